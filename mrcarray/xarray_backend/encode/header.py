"""Header fields from the file an array came from: its main header, attributes, extended header and skew.

xarray keeps the main header in ``encoding``, and drops it in calculations; attributes and coordinates stay. Of the
attributes only the labels, the space group and the symmetry count.
"""

from __future__ import annotations

import operator
import struct
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mrcarray.errors import MrcError, MrcValueError
from mrcarray.format import builder
from mrcarray.format.byteorder import IMOD_STAMP
from mrcarray.format.fields import HEADER_NBYTES, VERSIONS
from mrcarray.format.header import Header
from mrcarray.format.issues import Issue, Severity
from mrcarray.xarray_backend.convention import EXTENDED, OPENED_SIZE, RECORD, REORDERED
from mrcarray.xarray_backend.header_attrs import (
    LABELS,
    SPACE_GROUP,
    label_attrs,
    space_group,
    states_symmetry,
    symmetry_of,
)
from mrcarray.xarray_backend.metadata_write import Written, extended_header
from mrcarray.xarray_backend.storage_facts import facts_of, float_fact, whole_fact
from mrcarray.xarray_backend.write_options import BY, provenance

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from mrcarray.format.geometry import Geometry
    from mrcarray.format.layout import Layout
    from mrcarray.format.modes import ByteOrder
    from mrcarray.xarray_backend.write_options import WriteOptions

__all__ = [
    "RGB",
    "Skew",
    "extended_fields",
    "extended_of",
    "group_of",
    "is_unknown",
    "label_fields",
    "opened_geometry",
    "placed_by_origin",
    "placement_of",
    "renewed_version",
    "skew_fields",
    "start_header",
    "stored_header",
    "stored_version",
]

RGB = 16
"""Mode of red, green and blue bytes; its files declare version 0."""
_NEW_MODES = (12, 101)
_NO_TYPE = bytes(4)
_IMOD_WORDS = 152
_NINT = 128
_SKEW, _SKEW_CODE = 96, "i12f"
_XYZ = ("x", "y", "z")
_WORD = 2**31


def stored_header(array: xr.DataArray) -> Header | None:
    """Return the header of the file an array came from, None if xarray has dropped it."""
    raw = array.encoding.get("header")
    if not isinstance(raw, bytes) or len(raw) != HEADER_NBYTES:
        return None
    return Header(raw, ">" if array.encoding.get("byteorder") == "big" else "<")


def start_header(array: xr.DataArray, source: Header | None) -> Header | None:
    """Return the header to start from: the stored one, or one with the IMOD stamp and flags of the file, or None."""
    if source is not None or "imod_flags" not in facts_of(array):
        return source
    raw = bytearray(Header.blank().raw)
    flags, kind = whole_fact(array, "imod_flags"), whole_fact(array, "imod_type", bits=16)
    struct.pack_into("<iih", raw, _IMOD_WORDS, IMOD_STAMP, flags, kind)
    return Header(bytes(raw), "<")


def opened_geometry(array: xr.DataArray, geometry: Geometry) -> Geometry:
    """Return the geometry of the stored header with the voxel size the file was opened with."""
    opened = array.encoding.get(OPENED_SIZE)
    if not isinstance(opened, tuple) or repr(opened) == repr(geometry.voxel_size):  # NaN differs from itself
        return geometry
    x, y, z = geometry.start
    if geometry.source == "nstart":
        x, y, z = (n * size if n else 0.0 for n, size in zip(geometry.nstart, opened, strict=True))
    return replace(geometry, voxel_size=opened, start=(x, y, z))


# ------------------------------------------------------------------------------------------ attributes


def placement_of(array: xr.DataArray) -> str:
    """Return the `origin` option that gives the position of the first voxel in the file of the array."""
    placement = str(facts_of(array).get("placement", "auto"))
    return placement if placement in ("nstart", "zero") else "auto"


def placed_by_origin(array: xr.DataArray) -> bool:
    """Return whether words 50-52 placed the file the array came from."""
    return placement_of(array) == "auto" and any(float_fact(array, "origin"))


def group_of(array: xr.DataArray, default: int) -> int:
    """Return the space group: that of attrs, or else of the file the array came from, or else the default.

    Raises
    ------
    MrcValueError
        When the attribute is not a whole number that fits a word.
    """
    if SPACE_GROUP not in array.attrs:
        source = stored_header(array)
        return default if source is None else space_group(source.ispg)
    value = array.attrs[SPACE_GROUP]
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = _WORD
    if not -_WORD <= number < _WORD:
        raise MrcValueError(f"attrs[{SPACE_GROUP!r}] is {value!r}; expected a whole number, or no such attribute")
    return number


def label_fields(array: xr.DataArray, start: Header | None, text: str) -> dict[str, Any]:
    """Return the label fields of attrs with one more label, or those of the header to start from.

    The latter count where attrs state the same labels, and where they have none at all: an empty text removes them.

    A label that only says that this package wrote the file is added once: it is not added after one of this package,
    and is replaced by one that says more.

    Parameters
    ----------
    array : DataArray
        What is written.
    start : Header or None
        Header to start from.
    text : str
        Text of the label to add; empty for none.
    """
    labels, fields = label_attrs(array), dict[str, Any]()
    before: tuple[bytes | str, ...]
    if LABELS not in array.attrs or labels == (list(start.text_labels) if start is not None else []):
        before, used = ((), 0) if start is None else (start.labels, start.nlabl)
    else:
        before, used = tuple(_as_read(label) for label in labels), len(labels)
        fields = {"labels": before, "nlabl": used}
    if BY in str(text) and 0 < used <= len(before):
        last = before[used - 1]
        last = last.decode("latin-1") if isinstance(last, bytes) else last
        if BY in last and text == provenance("written"):
            return fields
        used -= last.startswith((provenance("written").rpartition(" ")[0], "Created by mrcarray"))
    return builder.label_fields(before, used, text) if text else fields


def _as_read(label: str) -> bytes | str:
    """Return the bytes a label was read from; other programs use more than ASCII."""
    try:
        return label.encode("latin-1")
    except UnicodeEncodeError:
        return label


def stored_version(source: Header | None, layout: Layout, options: WriteOptions) -> int:
    """Return the version a file declares whose pixels are those of the source."""
    if options.nversion is not None:
        try:
            return operator.index(options.nversion)
        except TypeError:
            raise MrcValueError(f"nversion is {options.nversion!r}; expected a whole number") from None
    if layout.pixel.mode == RGB:
        return 0
    if source is None or source.mode == RGB:  # calculated; or one colour of a colour file, which declares 0
        return VERSIONS[-1]
    stated = 0 if source.ccp4.skewed else source.nversion  # a skew matrix overlaps the version
    return VERSIONS[-1] if layout.pixel.mode in _NEW_MODES and 0 < stated < VERSIONS[-1] else stated


def renewed_version(version: int, layout: Layout, options: WriteOptions) -> int:
    """Return the version a file declares whose pixels changed: the newest, unless the caller or mode 16 fixes it."""
    return version if options.nversion is not None or layout.pixel.mode == RGB else VERSIONS[-1]


# ------------------------------------------------------------------------------------------ extended header


def extended_of(array: xr.DataArray, source: Header | None, byteorder: ByteOrder) -> Written:
    """Return the extended header: records, symmetry, or the block of unknown kind of an array that is unchanged."""
    written = extended_header(array, byteorder)
    if written is not None:
        return written
    if states_symmetry(array):
        data = symmetry_of(array)
        tag = _NO_TYPE if source is None or source.ccp4.skewed else source.exttyp
        nint, nreal = (source.imod.nint, source.imod.nreal) if source is not None else (0, 0)
        return Written(data, tag, nint, nreal)
    if source is None or source.nsymbt <= 0:
        return Written(b"", _NO_TYPE, 0, 0)
    return _unknown_block(array, source, byteorder)


def extended_fields(
    extended: Written, source: Header | None, byteorder: ByteOrder, *, symmetry: bool
) -> tuple[bytes, dict[int, bytes]]:
    """Return exttyp (word 27) and the words of the free area that belong to an extended header.

    Parameters
    ----------
    extended : Written
        The extended header.
    source : Header or None
        Header of the file the array came from.
    byteorder : {"<", ">"}
        Byte order of the file to be written.
    symmetry : bool
        Whether it contains symmetry records that need their type: ``CCP4`` (MRC2014 word 27).
    """
    if not extended.data and (source is None or source.nsymbt == 0):
        return _NO_TYPE, {}
    exttyp = b"CCP4" if symmetry and not extended.exttyp.strip(b"\0 ") else extended.exttyp
    return exttyp, {_NINT: struct.pack(byteorder + "2h", extended.nint, extended.nreal)}


def is_unknown(array: xr.DataArray, source: Header) -> bool:
    """Return whether an array came from a file with an extended header of which it has no records and no symmetry."""
    return source.nsymbt > 0 and RECORD not in array.coords and not states_symmetry(array)


def _unknown_block(array: xr.DataArray, source: Header, byteorder: ByteOrder) -> Written:
    block, lost = _kept_block(array, source)
    reason = _why_not(array, source, byteorder) or lost
    if not reason:
        return Written(block, source.exttyp, source.imod.nint, source.imod.nreal)
    if block and not any(block):  # reserved and never used: nothing is lost
        return Written(b"", _NO_TYPE, 0, 0)
    text = f"the extended header ({source.nsymbt} bytes) is not written: {reason}"
    return Written(b"", _NO_TYPE, 0, 0, (Issue("MRC411", Severity.WARNING, text, 24),))


def _kept_block(array: xr.DataArray, source: Header) -> tuple[bytes, str]:
    """Return the extended header from the encoding of the array or from its file, or the reason why there is none."""
    kept = array.encoding.get(EXTENDED)
    if isinstance(kept, bytes) and len(kept) == source.nsymbt:
        return kept, ""
    from mrcarray.reader import open_file

    try:
        mrc = open_file(str(array.encoding.get("source", "")), permissive=False, header_only=True)
    except (OSError, MrcError):
        return b"", "its file does not exist any more"
    if mrc.header.raw == source.raw and len(mrc.extended) == source.nsymbt:
        return mrc.extended, ""
    return b"", "its file has changed"


def _why_not(array: xr.DataArray, source: Header, byteorder: ByteOrder) -> str:
    """Return why a block of unknown kind does not belong to the array any more, empty where it does."""
    if not {"source", EXTENDED} & set(array.encoding):
        return "the array does not know its file (encoding['source'])"
    if byteorder != source.byteorder:
        return "its kind is unknown, so its byte order cannot be changed"
    if array.size != source.nx * source.ny * source.nz * array.sizes.get("rgb", 1):
        return "its kind is unknown, so its records cannot be selected with the sections"
    if not _in_file_order(array):
        return "its kind is unknown, so its records cannot be sorted with the sections"
    return ""


def _in_file_order(array: xr.DataArray) -> bool:
    """Return whether the section numbers, if there are any, still count from 0."""
    if array.encoding.get(REORDERED):
        return False
    names = [name for name in ("section", *array.dims[:1]) if name in array.coords and name not in _XYZ]
    return all(np.array_equal(array.coords[name].values, np.arange(array.shape[0])) for name in names[:1])


# ------------------------------------------------------------------------------------------ skew


class Skew(NamedTuple):
    """Fields and words (bytes of the free area by offset) of a skew transformation, and a warning if it is lost."""

    fields: Mapping[str, Any] = MappingProxyType({})
    words: Mapping[int, bytes] = MappingProxyType({})
    issues: tuple[Issue, ...] = ()


def skew_fields(source: Header | None, byteorder: ByteOrder, options: WriteOptions) -> Skew:
    """Return CCP4's skew transformation (words 25-37) of the source for the file to be written.

    It gives the position of the map relative to atomic models, and so is valid for a part as well. It overlaps the
    type of the extended header and the version (words 27 and 28), so a file that declares a version cannot have it.
    """
    if source is None or not source.ccp4.skewed:
        return Skew()
    if options.nversion is None:
        numbers = struct.unpack_from(source.byteorder + _SKEW_CODE, source.raw, _SKEW)
        data = struct.pack(byteorder + _SKEW_CODE, *numbers)
        (version,) = struct.unpack_from(byteorder + "i", data, 12)
        return Skew({"exttyp": data[8:12], "nversion": version}, {_SKEW: data[:8], _SKEW + 16: data[16:]})
    text = "the skew transformation is not written: its words overlap the version that the header declares"
    issue = Issue("MRC411", Severity.WARNING, text, 25)
    return Skew({"exttyp": _NO_TYPE}, {_SKEW: bytes(8), _SKEW + 16: bytes(36)}, (issue,))
