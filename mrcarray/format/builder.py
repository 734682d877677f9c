"""Build layout, header and extended header of a file to be written, so that they agree.

`draft` and `build` turn shape, dtype and options into a `Draft`, and refuse what the format cannot store. The header
fields are collected first and applied once. `unfinished` marks the header of a file whose pixels are not all written,
in a way that every reader refuses.
"""

from __future__ import annotations

import datetime as dt
import math
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import MrcValueError
from mrcarray.format.casting import pixel_for
from mrcarray.format.fields import FIELDS, HEADER_NBYTES, LABELS, MONTHS, UNDETERMINED, UNFINISHED, VOLUME_GROUPS
from mrcarray.format.header import Header, ImodView, put_fields
from mrcarray.format.kinds import KINDS
from mrcarray.format.layout import Kind, Layout
from mrcarray.format.modes import MODES, PixelFormat

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import DTypeLike

    from mrcarray.format.modes import ByteOrder

__all__ = [
    "Draft",
    "build",
    "draft",
    "finished",
    "in_order",
    "label_fields",
    "layout_for",
    "space_group",
    "undetermined",
    "unfinished",
    "with_label",
]

_UNSIGNED = {"dmin": 0.0, "dmax": 255.0, "dmean": -1.0, "rms": -1.0}
_IMOD_FLAGS = 156
_SIGNED_BYTES, _HALF_BYTES = 1, 16
_TEXT, _STAMP = 55, 25
_STACKED = 400
_ORDERS: dict[str, ByteOrder] = {"<": "<", ">": ">", "little": "<", "big": ">"}


@dataclass(frozen=True, slots=True)
class Draft:
    """Layout, header and extended header of a file to be written.

    Parameters
    ----------
    layout : Layout
        Where the pixels go.
    header : Header
        Its statistics are undetermined.
    extended : bytes
        The extended header.

    Raises
    ------
    MrcValueError
        When header, extended header and layout contradict each other.
    """

    layout: Layout
    header: Header
    extended: bytes = b""

    def __post_init__(self) -> None:
        """Refuse parts that contradict each other."""
        layout, header = self.layout, self.header
        expected = {**_size_fields(layout), "nsymbt": len(self.extended)}
        wrong = {name: value for name, value in expected.items() if getattr(header, name) != value}
        if layout.kind is Kind.VOLUME_STACK and header.mz != layout.grid[1]:
            wrong["mz"] = layout.grid[1]
        if wrong:
            name, value = next(iter(wrong.items()))
            found = getattr(header, name)
            raise MrcValueError(f"header field {name} is {found}; the data to be written need {value}")
        if header.byteorder != layout.byteorder or layout.offset != HEADER_NBYTES + len(self.extended):
            raise MrcValueError("header and layout differ in byte order or data offset")

    def with_sections(self, sections: int) -> Draft:
        """Return the draft for another number of sections of a stack or volume."""
        layout = replace(self.layout, shape=(sections, *self.layout.shape[1:]))
        old, fields = self.header, dict[str, Any](nz=sections)
        counts = layout.kind is Kind.IMAGE_STACK and old.mz == old.nz > 1  # as in a volume
        if layout.kind is Kind.VOLUME or counts:
            step = old.cella[2] / old.mz if old.mz > 0 else 0.0
            fields |= {"mz": sections, "zlen": step * sections}
        return Draft(layout, old.replace(**fields), self.extended)


def draft(  # noqa: PLR0913 -- the options of all writers
    shape: tuple[int, ...],
    dtype: DTypeLike,
    *,
    kind: str | None = None,
    mode: int | None = None,
    byteorder: str = "<",
    voxel_size: float | Sequence[float] | None = None,
    header: Header | None = None,
    extended: bytes = b"",
    exttyp: bytes | str = b"",
    code: str | None = None,
    label: str | None = None,
    nversion: int | None = None,
) -> Draft:
    """Plan a file from the shape and dtype of its array.

    Parameters
    ----------
    shape : tuple of int
        (row, column), (section, row, column) or (volume, section, row, column); mode 16 has a last axis of length 3.
    dtype : dtype_like
        Of the values to be written.
    kind : str, optional
        A key of `mrcarray.format.kinds.KINDS`; by default image, volume or volume stack by the number of axes.
    mode : int, optional
        Mode to store the values in.
    byteorder : {"<", ">", "little", "big"}
        Byte order of the file.
    voxel_size : float or (x, y, z), optional
        In ångström.
    header : Header, optional
        Header to start from; its kind, sizes, mode and statistics are replaced.
    extended : bytes
        Extended header.
    exttyp : bytes or str
        Type of the extended header, four characters; by default that of `header`.
    code : str, optional
        Code of the pixel format the values had in the file they came from.
    label : str, optional
        Text of a label to add, empty for none; by default a header without `header` gets one.
    nversion : int, optional
        Version the header declares; by default that of `header`, or 20141.

    Returns
    -------
    Draft

    Raises
    ------
    MrcValueError
        When the format cannot store this.

    Examples
    --------
    >>> plan = draft((3, 4, 5), "float32", voxel_size=2.0)
    >>> plan.layout.kind.value, plan.header.cella, plan.header.mz
    ('volume', (10.0, 8.0, 6.0), 3)
    """
    extended = bytes(extended)
    layout = layout_for(shape, dtype, kind=kind, mode=mode, byteorder=byteorder, code=code)
    fields = {**_grid_fields(layout, header, voxel_size), "exttyp": _exttyp(exttyp, header, extended)}
    text = ("Created by mrcarray" if header is None else "") if label is None else label
    if text:
        fields |= label_fields(*((), 0) if header is None else (header.labels, header.nlabl), text)
    if nversion is not None:
        fields["nversion"] = nversion
    return build(layout, fields, header=header, extended=extended)


def layout_for(  # noqa: PLR0913 -- as `draft`
    shape: tuple[Any, ...],
    dtype: DTypeLike,
    *,
    kind: str | None = None,
    mode: int | None = None,
    byteorder: str = "<",
    code: str | None = None,
) -> Layout:
    """Return the layout of a file without an extended header; parameters and errors as for `draft`."""
    if byteorder not in _ORDERS:
        raise MrcValueError(f"byteorder is {byteorder!r}; expected one of {', '.join(_ORDERS)}")
    pixel = pixel_for(dtype, mode, code)
    chosen = _kind(shape, pixel, kind)
    return Layout(chosen, tuple(int(n) for n in shape), pixel, _ORDERS[byteorder], HEADER_NBYTES)


def build(
    layout: Layout,
    fields: Mapping[str, Any],
    *,
    header: Header | None = None,
    words: Mapping[int, bytes] | None = None,
    extended: bytes = b"",
) -> Draft:
    """Build the header for a layout, once, from all its fields.

    Sizes, mode, space group, identifier, machine stamp and undetermined statistics follow from layout and `header`.

    Parameters
    ----------
    layout : Layout
        Where the pixels go; the extended header moves them.
    fields : mapping of str to object
        All other header fields that change, as for `Header.replace`.
    header : Header, optional
        Header to start from; a blank one by default.
    words : mapping of int to bytes, optional
        Bytes of the free area that change, by offset, in the byte order of the layout.
    extended : bytes
        Extended header.

    Raises
    ------
    MrcValueError
        When a field does not fit, or the parts contradict each other.
    """
    order, pixel = layout.byteorder, layout.pixel
    blank = Header.blank(order)
    start = blank if header is None else in_order(header, order)
    raw = bytearray(start.raw)
    for at, data in (words or {}).items():
        raw[at : at + len(data)] = data
    imod = ImodView(bytes(raw), order)
    if imod.stamped:  # its flags declare how bytes of mode 0 are stored
        flags = imod.flags & ~_HALF_BYTES
        if pixel.mode == 0:
            flags = flags & ~_SIGNED_BYTES | {"0u": 0, "0n": _HALF_BYTES}.get(pixel.code, _SIGNED_BYTES)
        struct.pack_into(order + "i", raw, _IMOD_FLAGS, flags)
    machst = start.machst if start.machst[:1] == blank.machst[:1] else blank.machst
    known: dict[str, Any] = {"map": blank.map, "machst": machst}
    known |= {**_size_fields(layout), "ispg": space_group(layout.kind, start.ispg), "nsymbt": len(extended)}
    put_fields(raw, order, {**known, **undetermined(imod, pixel), **fields})
    return Draft(replace(layout, offset=HEADER_NBYTES + len(extended)), Header(bytes(raw), order), extended)


def _kind(shape: tuple[Any, ...], pixel: PixelFormat, kind: str | None) -> Kind:
    if any(not isinstance(n, int | np.integer) or n < 0 for n in shape):
        raise MrcValueError(f"shape is {shape}; expected whole numbers, not negative")
    grid = shape[: len(shape) - len(pixel.trailing)]
    if pixel.trailing and shape[-1:] != pixel.trailing:
        raise MrcValueError(f"shape is {shape}; pixels of mode {pixel.mode} need a last axis of length 3")
    by_axes = {2: Kind.IMAGE, 3: Kind.VOLUME, 4: Kind.VOLUME_STACK}.get(len(grid))
    if by_axes is None:
        raise MrcValueError(f"the array has {len(grid)} axes; an MRC file has 2 (image), 3 (stack or volume) or 4")
    if kind in (None, "auto"):
        return by_axes
    if kind not in KINDS:
        raise MrcValueError(f"kind is {kind!r}; expected one of {', '.join(KINDS)}")
    chosen = KINDS[kind]
    if chosen is None or chosen.ndim != len(grid):
        raise MrcValueError(f"kind is {kind!r}, but the array has {len(grid)} axes")
    return chosen


def _size_fields(layout: Layout) -> dict[str, Any]:
    """Return the header fields that follow from the layout alone."""
    grid = layout.grid
    return {"nx": grid[-1], "ny": grid[-2], "nz": math.prod(grid[:-2]), "mode": layout.pixel.mode}


def _grid_fields(layout: Layout, header: Header | None, voxel_size: float | Sequence[float] | None) -> dict[str, Any]:
    """Return intervals and cell where `header` does not have them: other sizes, or a voxel size that is given."""
    grid = layout.grid
    sections = max(1, grid[-3]) if layout.kind in (Kind.VOLUME, Kind.VOLUME_STACK) else 1
    if header is not None and voxel_size is None and _same_grid(header, layout):
        return {"m": (header.mx, header.my, sections)} if layout.kind is Kind.VOLUME_STACK else {}
    m = (grid[-1], grid[-2], sections)
    return {"m": m, "cella": tuple(step * n for step, n in zip(_voxel(header, voxel_size), m, strict=True))}


def space_group(kind: Kind, group: int) -> int:
    """Return word 23 (ispg) of a kind: 0 of images, the crystallographic number of volumes, 1 where it is none.

    Parameters
    ----------
    kind : Kind
        Of the file.
    group : int
        Crystallographic space group, with or without the 400 of a stack of volumes.

    Examples
    --------
    >>> space_group(Kind.VOLUME_STACK, 19), space_group(Kind.VOLUME, 0), space_group(Kind.IMAGE, 1)
    (419, 1, 0)
    """
    if kind in (Kind.IMAGE, Kind.IMAGE_STACK):
        return 0
    known = group % _STACKED if group % _STACKED in VOLUME_GROUPS else 1
    return known + (_STACKED if kind is Kind.VOLUME_STACK else 0)


def _same_grid(header: Header, layout: Layout) -> bool:
    grid = layout.grid
    sizes = (grid[-1], grid[-2], math.prod(grid[:-2]))
    return header.lengths == sizes and header.ispg == space_group(layout.kind, header.ispg)


def _voxel(header: Header | None, voxel_size: float | Sequence[float] | None) -> tuple[float, ...]:
    if voxel_size is None:
        if header is None:
            return (0.0, 0.0, 0.0)
        return tuple(length / n if n > 0 else 0.0 for length, n in zip(header.cella, header.m, strict=True))
    try:
        given = np.asarray(voxel_size, dtype=np.float64)
        sizes = (given.tolist() if given.ndim else [float(given)] * 3) if given.ndim < 2 else []  # noqa: PLR2004 -- a table
    except (TypeError, ValueError):
        sizes = []
    if len(sizes) != 3 or not all(math.isfinite(size) and size >= 0 for size in sizes):  # noqa: PLR2004 -- x, y, z
        text = f"voxel_size is {voxel_size!r}; expected one number or three (x, y, z)"
        raise MrcValueError(f"{text} in ångström, not negative")
    return tuple(sizes)


def undetermined(imod: ImodView, pixel: PixelFormat) -> dict[str, float]:
    """Return the statistics fields of a header whose pixels are not known.

    Without IMOD's stamp, readers recognise unsigned bytes of mode 0 only by a range beyond 127.

    Examples
    --------
    >>> from mrcarray.format.modes import PIXELS
    >>> undetermined(Header.blank().imod, PIXELS["2"])
    {'dmin': 0.0, 'dmax': -1.0, 'dmean': -2.0, 'rms': -1.0}
    """
    return dict(_UNSIGNED if pixel.code == "0u" and not imod.stamped else UNDETERMINED)


def _exttyp(exttyp: bytes | str, header: Header | None, extended: bytes) -> bytes:
    given = exttyp.encode() if isinstance(exttyp, str) else bytes(exttyp)
    if not given:
        return header.exttyp if header is not None and extended else bytes(4)
    if len(given) != 4:  # noqa: PLR2004 -- the format's own number
        raise MrcValueError(f"exttyp is {exttyp!r}; expected four characters")
    return given


def in_order(header: Header, byteorder: ByteOrder) -> Header:
    """Return the header in another byte order; the same object if it has that order.

    Numbers of the free area are swapped as IMOD, SerialEM and CCP4 use them.
    """
    if header.byteorder == byteorder:
        return header
    values = {name: getattr(header, name) for name in FIELDS if name not in ("extra1", "extra2")}
    raw = bytearray(Header.blank(byteorder).replace(**values).raw)
    for start, stop, width in _FREE if header.imod.stamped or any(header.raw[128:132]) else _WORDS:
        for at in range(start, stop, width):
            raw[at : at + width] = header.raw[at : at + width][::-1]
    fresh = Header(bytes(raw), byteorder)
    return fresh.replace(machst=Header.blank(byteorder).machst)


_WORDS = ((96, 104, 4), (112, 196, 4))
_FREE = (
    (96, 98, 2),
    (98, 104, 1),
    (112, 128, 4),
    (128, 132, 2),
    (132, 152, 4),
    (152, 160, 4),
    (160, 172, 2),
    (172, 196, 4),
)
"""Ranges of the free area and the width of their numbers; without IMOD's stamp all are words of 4 bytes."""


def with_label(header: Header, text: str, when: dt.datetime | None = None) -> Header:
    """Return the header with one more label, as `label_fields` makes it.

    Examples
    --------
    >>> header = with_label(Header.blank(), "trimmed", dt.datetime(2026, 3, 1, 9, 5, 7))
    >>> header.nlabl, header.text_labels[0]
    (1, 'trimmed                                                 01-Mar-26  09:05:07')
    """
    return header.replace(**label_fields(header.labels, header.nlabl, text, when))


def label_fields(
    labels: Sequence[bytes | str], used: int, text: str, when: dt.datetime | None = None
) -> dict[str, Any]:
    """Return the header fields of labels with one more, in IMOD's form; if all ten are in use the last is replaced.

    Parameters
    ----------
    labels : sequence of bytes or str
        The labels there are, in use or not.
    used : int
        Number of labels in use.
    text : str
        Text of the new label, cut to 55 characters.
    when : datetime, optional
        Its time; now by default.
    """
    if not isinstance(text, str):
        raise MrcValueError(f"label is {text!r}; expected text")
    now = when or dt.datetime.now().astimezone()
    month = MONTHS[now.month - 1]
    label = text[:_TEXT].ljust(_TEXT) + now.strftime(f" %d-{month}-%y  %H:%M:%S").ljust(_STAMP)
    at = min(max(0, used), LABELS - 1)
    return {"labels": [*labels[:at], label, *labels[at + 1 :]], "nlabl": at + 1}


def unfinished(header: Header) -> Header:
    """Return the header of a file that is not complete: no reader knows its mode.

    Examples
    --------
    >>> marked = unfinished(Header.blank(mode=2))
    >>> marked.mode, finished(marked).mode
    (-1002, 2)
    """
    return header.replace(mode=UNFINISHED - header.mode)


def finished(header: Header) -> Header:
    """Undo `unfinished`; return the same object if the header is not marked."""
    mode = UNFINISHED - header.mode
    return header.replace(mode=mode) if mode in MODES else header
