"""The extended header of an array: records with their sections, symmetry, or the unknown bytes of an untouched file."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import MrcError
from mrcarray.format.header import Header
from mrcarray.format.issues import Issue, Severity
from mrcarray.xarray_backend import metadata_write
from mrcarray.xarray_backend.encode.header import bytes_attr
from mrcarray.xarray_backend.flip import REORDERED
from mrcarray.xarray_backend.metadata_read import RECORD

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["EXTENDED", "extended_of", "is_unknown", "joined"]

EXTENDED = "extended_header"
"""Where in its encoding an array has the bytes of an extended header that nobody understands."""

_XYZ = ("x", "y", "z")


def extended_of(
    array: xr.DataArray, base: Header | None, byteorder: Any
) -> tuple[metadata_write.Written, tuple[Issue, ...]]:
    """Return the extended header: records with their sections, symmetry, or the unknown bytes of an untouched file."""
    written = metadata_write.extended_header(array, byteorder)
    if written is not None:
        return written, written.issues
    if "symmetry" in array.attrs:
        data = bytes_attr(array, "symmetry")
        tag = str(array.attrs.get("exttyp", "")).encode("ascii", "replace").ljust(4, b"\0")[:4]
        nint, nreal = (base.imod.nint, base.imod.nreal) if base is not None else (0, 0)
        return metadata_write.Written(data, tag, nint, nreal), ()
    if base is None or base.nsymbt <= 0:
        return metadata_write.Written(b"", bytes(4), 0, 0), ()
    return _unknown_block(array, base, byteorder)


def is_unknown(array: xr.DataArray, base: Header) -> bool:
    """Whether the array came from a file with an extended header of which it has neither records nor symmetry."""
    return base.nsymbt > 0 and RECORD not in array.coords and "symmetry" not in array.attrs


def _unknown_block(
    array: xr.DataArray, base: Header, byteorder: Any
) -> tuple[metadata_write.Written, tuple[Issue, ...]]:
    block, reason = b"", _why_not(array, base, byteorder)
    if not reason:
        block, reason = _kept(array, base)
    if not reason:
        return metadata_write.Written(block, base.exttyp, base.imod.nint, base.imod.nreal), ()
    if not any(_kept(array, base)[0] or (1,)):
        return metadata_write.Written(b"", bytes(4), 0, 0), ()  # reserved and never used: nothing is lost
    text = f"the extended header ({base.nsymbt} bytes) is not written: {reason}"
    return metadata_write.Written(b"", bytes(4), 0, 0), (Issue("MRC411", Severity.WARNING, text, 24),)


def _kept(array: xr.DataArray, base: Header) -> tuple[bytes, str]:
    """Return the bytes that the array has with it, or those that stand in its file; or why there are none."""
    kept = array.encoding.get(EXTENDED)
    if isinstance(kept, bytes) and len(kept) == base.nsymbt:
        return kept, ""
    from mrcarray.reader import open_file

    try:
        mrc = open_file(str(array.encoding.get("source", "")), permissive=False, header_only=True)
    except (OSError, MrcError):
        return b"", "the file it stood in is not there any more"
    if mrc.header.raw == base.raw and len(mrc.extended) == base.nsymbt:
        return mrc.extended, ""
    return b"", "the file it stood in has changed"


def _why_not(array: xr.DataArray, base: Header, byteorder: Any) -> str:
    if not {"source", EXTENDED} & set(array.encoding):
        return "the array does not say from which file it came"
    if byteorder != base.byteorder:
        return "nothing is known of its numbers, so their byte order cannot be changed"
    if array.size != base.nx * base.ny * base.nz * array.sizes.get("rgb", 1):
        return "nothing is known of its records, so they cannot follow the sections that were selected"
    if not _in_file_order(array):
        return "nothing is known of its records, so they cannot follow the new order of the sections"
    return ""


def _in_file_order(array: xr.DataArray) -> bool:
    """Whether the numbers of the sections, where there are any, still count from 0."""
    if array.encoding.get(REORDERED):
        return False
    names = [name for name in ("section", *array.dims[:1]) if name in array.coords and name not in _XYZ]
    return all(np.array_equal(array.coords[name].values, np.arange(array.shape[0])) for name in names[:1])


def joined(header: Header, extended: metadata_write.Written) -> tuple[Header, metadata_write.Written]:
    """Return the header with the words that belong to the extended header."""
    if not extended.data and header.nsymbt == 0:
        return header, extended
    raw = bytearray(header.replace(nsymbt=len(extended.data), exttyp=extended.exttyp).raw)
    struct.pack_into(header.byteorder + "2h", raw, 128, extended.nint, extended.nreal)
    return Header(bytes(raw), header.byteorder), extended
