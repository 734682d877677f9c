"""What is about to be written: layout, header and extended header that agree with each other.

`draft` turns shape, dtype and wishes into a `Draft`, and refuses what the format cannot say. `unfinished` marks the
header of a file whose pixels are not all there, in a way every reader refuses.
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
from mrcarray.format.fields import FIELDS, LABELS
from mrcarray.format.header import Header
from mrcarray.format.kinds import KINDS
from mrcarray.format.layout import Kind, Layout
from mrcarray.format.modes import MODES, PixelFormat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike

    from mrcarray.format.modes import ByteOrder

__all__ = [
    "Draft",
    "base_header",
    "draft",
    "finished",
    "in_order",
    "size_fields",
    "undetermined",
    "unfinished",
    "with_label",
]

_HEADER = 1024
_UNFINISHED = -1000
_UNDETERMINED = {"dmin": 0.0, "dmax": -1.0, "dmean": -2.0, "rms": -1.0}
_UNSIGNED = {"dmin": 0.0, "dmax": 255.0, "dmean": -1.0, "rms": -1.0}
_SIGNED_BYTES, _HALF_BYTES = 1, 16
_TEXT, _STAMP = 55, 25
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_VOLUME, _STACKED = 1, 400
_GROUPS = range(1, 231)
_ORDERS: dict[str, ByteOrder] = {"<": "<", ">": ">", "little": "<", "big": ">"}


@dataclass(frozen=True, slots=True)
class Draft:
    """A file about to be written; its parts agree.

    Parameters
    ----------
    layout : Layout
        Where the pixels go.
    header : Header
        Statistics are undetermined.
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
        expected = {**size_fields(layout), "nsymbt": len(self.extended), "mode": layout.pixel.mode}
        expected.pop("ispg")
        wrong = {name: value for name, value in expected.items() if getattr(header, name) != value}
        if layout.kind is Kind.VOLUME_STACK and header.mz != layout.grid[1]:
            wrong["mz"] = layout.grid[1]
        if wrong:
            name, value = next(iter(wrong.items()))
            found = getattr(header, name)
            raise MrcValueError(f"the header's {name} is {found}; the data to be written need {value}")
        if header.byteorder != layout.byteorder or layout.offset != _HEADER + len(self.extended):
            raise MrcValueError("header and layout differ in byte order or data offset")

    def with_sections(self, sections: int) -> Draft:
        """Return the draft for another number of sections of a stack or volume."""
        layout = replace(self.layout, shape=(sections, *self.layout.shape[1:]))
        old, header = self.header, self.header.replace(nz=sections)
        counts = layout.kind is Kind.IMAGE_STACK and old.mz == old.nz > 1  # as of a volume
        if layout.kind is Kind.VOLUME or counts:
            step = old.cella[2] / old.mz if old.mz > 0 else 0.0
            header = header.replace(mz=sections, zlen=step * sections)
        return Draft(layout, header, self.extended)


def draft(  # noqa: PLR0913 -- the choices of whoever writes
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
) -> Draft:
    """Plan a file.

    Parameters
    ----------
    shape : tuple of int
        (row, column), (section, row, column) or (volume, section, row, column); mode 16 has a last axis of length 3.
    dtype : dtype_like
        Of the values to come.
    kind : str, optional
        A word of `mrcarray.format.kinds.KINDS`; by default image, volume or volume stack by the number of axes.
    mode : int, optional
        Mode to store the values in.
    byteorder : {"<", ">", "little", "big"}
        Byte order of the file.
    voxel_size : float or (x, y, z), optional
        In ångström.
    header : Header, optional
        Where everything else comes from; its kind, sizes, mode and statistics do not matter.
    extended : bytes
        Extended header.
    exttyp : bytes or str
        Its type, four characters; by default that of `header`.
    code : str, optional
        Code of the pixel format the values had in the file they came from.

    Returns
    -------
    Draft

    Raises
    ------
    MrcValueError
        When the format cannot hold this.

    Examples
    --------
    >>> plan = draft((3, 4, 5), "float32", voxel_size=2.0)
    >>> plan.layout.kind.value, plan.header.cella, plan.header.mz
    ('volume', (10.0, 8.0, 6.0), 3)
    """
    if byteorder not in _ORDERS:
        raise MrcValueError(f"byteorder is {byteorder!r}; expected one of {', '.join(_ORDERS)}")
    order = _ORDERS[byteorder]
    pixel = pixel_for(dtype, mode, code)
    chosen = _kind(shape, pixel, kind)
    extended = bytes(extended)
    layout = Layout(chosen, tuple(int(n) for n in shape), pixel, order, _HEADER + len(extended))
    fields = _fields(layout, header, voxel_size)
    fields["nsymbt"] = len(extended)
    fields["exttyp"] = _exttyp(exttyp, header, extended)
    whole = _with_sign(base_header(header, order).replace(**fields), pixel)
    return Draft(layout, whole.replace(**undetermined(whole, pixel)), extended)


def _kind(shape: tuple[Any, ...], pixel: PixelFormat, kind: str | None) -> Kind:
    if any(not isinstance(n, int | np.integer) or n < 0 for n in shape):
        raise MrcValueError(f"shape {shape} is no shape")
    grid = shape[: len(shape) - len(pixel.trailing)]
    if pixel.trailing and shape[-1:] != pixel.trailing:
        raise MrcValueError(f"shape is {shape}; pixels of mode {pixel.mode} need a last axis of length 3")
    by_axes = {2: Kind.IMAGE, 3: Kind.VOLUME, 4: Kind.VOLUME_STACK}.get(len(grid))
    if by_axes is None:
        raise MrcValueError(f"the array has {len(grid)} axes; MRC files hold 2 (image), 3 (stack or volume) or 4")
    if kind in (None, "auto"):
        return by_axes
    if kind not in KINDS:
        raise MrcValueError(f"kind is {kind!r}; expected one of {', '.join(KINDS)}")
    chosen = KINDS[kind]
    if chosen is None or chosen.ndim != len(grid):
        raise MrcValueError(f"kind is {kind!r}, but the array has {len(grid)} axes")
    return chosen


def size_fields(layout: Layout) -> dict[str, Any]:
    """Return the header fields that follow from the layout alone: sizes, and the space group of its kind."""
    grid = layout.grid
    fields: dict[str, Any] = {"nx": grid[-1], "ny": grid[-2], "nz": math.prod(grid[:-2])}
    stacks = {Kind.IMAGE: 0, Kind.IMAGE_STACK: 0, Kind.VOLUME: _VOLUME, Kind.VOLUME_STACK: _STACKED + _VOLUME}
    return {**fields, "ispg": stacks[layout.kind]}


def _fields(layout: Layout, header: Header | None, voxel_size: float | Sequence[float] | None) -> dict[str, Any]:
    grid = layout.grid
    fields = {**size_fields(layout), "mode": layout.pixel.mode}
    group = header.ispg % _STACKED if header is not None else _VOLUME
    if layout.kind in (Kind.VOLUME, Kind.VOLUME_STACK) and group in _GROUPS:
        fields["ispg"] = group + (_STACKED if layout.kind is Kind.VOLUME_STACK else 0)
    sections = max(1, grid[-3]) if layout.kind in (Kind.VOLUME, Kind.VOLUME_STACK) else 1
    if header is not None and voxel_size is None and _same_grid(header, fields):
        if layout.kind is Kind.VOLUME_STACK:
            fields["m"] = (header.mx, header.my, sections)
        return fields
    fields["m"] = m = (grid[-1], grid[-2], sections)
    fields["cella"] = tuple(step * n for step, n in zip(_voxel(header, voxel_size), m, strict=True))
    return fields


def _same_grid(header: Header, fields: dict[str, Any]) -> bool:
    return all(getattr(header, name) == fields[name] for name in ("nx", "ny", "nz", "ispg"))


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


def undetermined(header: Header, pixel: PixelFormat) -> dict[str, float]:
    """Return the statistics of a header whose pixels are not known.

    Without IMOD's stamp, a range beyond 127 is all that says that bytes of mode 0 are unsigned; it is kept.

    Examples
    --------
    >>> from mrcarray.format.modes import PIXELS
    >>> undetermined(Header.blank(), PIXELS["2"])
    {'dmin': 0.0, 'dmax': -1.0, 'dmean': -2.0, 'rms': -1.0}
    """
    return dict(_UNSIGNED if pixel.code == "0u" and not header.imod.stamped else _UNDETERMINED)


def _with_sign(header: Header, pixel: PixelFormat) -> Header:
    """Return the header with the flags of IMOD's stamp that say how bytes of mode 0 are stored."""
    if not header.imod.stamped:
        return header
    flags = header.imod.flags & ~_HALF_BYTES
    if pixel.mode == 0:
        flags = flags & ~_SIGNED_BYTES | {"0u": 0, "0n": _HALF_BYTES}.get(pixel.code, _SIGNED_BYTES)
    raw = bytearray(header.raw)
    struct.pack_into(header.byteorder + "i", raw, 156, flags)
    return Header(bytes(raw), header.byteorder)


def _exttyp(exttyp: bytes | str, header: Header | None, extended: bytes) -> bytes:
    given = exttyp.encode() if isinstance(exttyp, str) else bytes(exttyp)
    if not given:
        return header.exttyp if header is not None and extended else bytes(4)
    if len(given) != 4:  # noqa: PLR2004 -- the format's own number
        raise MrcValueError(f"exttyp is {exttyp!r}; expected four characters")
    return given


def base_header(header: Header | None, byteorder: ByteOrder) -> Header:
    """Return the header all else is put into: that of the caller, in the byte order asked for, or a blank one."""
    if header is None:
        return with_label(Header.blank(byteorder), "Created by mrcarray")
    out = in_order(header, byteorder)
    fresh = Header.blank(byteorder)
    return out.replace(map=fresh.map, machst=fresh.machst if out.machst[:1] != fresh.machst[:1] else out.machst)


def in_order(header: Header, byteorder: ByteOrder) -> Header:
    """Return a header that says the same in another byte order.

    Words of the free area are turned as IMOD, SerialEM and CCP4 use them.
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
"""Parts of the free area and the width of their numbers; without IMOD's marks all are words."""


def with_label(header: Header, text: str, when: dt.datetime | None = None) -> Header:
    """Return the header with one more label, in IMOD's form; when all ten are in use the last is replaced.

    Examples
    --------
    >>> header = with_label(Header.blank(), "trimmed", dt.datetime(2026, 3, 1, 9, 5, 7))
    >>> header.nlabl, header.text_labels[0]
    (1, 'trimmed                                                 01-Mar-26  09:05:07')
    """
    if not isinstance(text, str):
        raise MrcValueError(f"label is {text!r}; expected text")
    now = when or dt.datetime.now().astimezone()
    month = _MONTHS[now.month - 1]
    label = text[:_TEXT].ljust(_TEXT) + now.strftime(f" %d-{month}-%y  %H:%M:%S").ljust(_STAMP)
    used = max(0, min(header.nlabl, LABELS))
    at = min(used, LABELS - 1)
    labels = [*header.labels[:at], label, *header.labels[at + 1 :]]
    return header.replace(labels=labels, nlabl=at + 1)


def unfinished(header: Header) -> Header:
    """Return the header of a file that is not complete: its mode is one that no reader knows.

    Examples
    --------
    >>> marked = unfinished(Header.blank(mode=2))
    >>> marked.mode, finished(marked).mode
    (-1002, 2)
    """
    return header.replace(mode=_UNFINISHED - header.mode)


def finished(header: Header) -> Header:
    """Return the header without the mark of `unfinished`; the same object if it has none."""
    mode = _UNFINISHED - header.mode
    return header.replace(mode=mode) if mode in MODES else header
