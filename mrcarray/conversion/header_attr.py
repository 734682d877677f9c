"""What a file of another format carries of the MRC file its pixels came from, for the way back to MRC.

Coords and attrs say where the pixels are and what they are, in every format. What they do not say (unused words, which
of two ways an image stack states its cell, how many bits a pixel had, an extended header that nobody understands)
stands in the header itself, which travels as text in one attribute. Words of it that are not true any more do not count
when an MRC file is written: it is then what an array that was opened from an MRC file has in its encoding.
"""

from __future__ import annotations

import base64
import json
import warnings
from typing import TYPE_CHECKING, Any

from mrcarray.errors import MrcWarning, printable
from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.modes import PIXELS
from mrcarray.reader import issue_warning
from mrcarray.xarray_backend.encode.header import stored_header
from mrcarray.xarray_backend.encode.records import EXTENDED, extended_of, is_unknown

if TYPE_CHECKING:
    from collections.abc import Iterable

    import xarray as xr

    from mrcarray.format.header import Header

__all__ = ["ATTR", "carrying", "restored", "tell_lost"]

ATTR = "mrc_file"
"""Name of the attribute."""

_ORDERS = ("little", "big")


def carrying(array: xr.DataArray, target: str, most: int) -> xr.DataArray:
    """Return the array with the header of its MRC file among its attrs, where it came from one.

    Parameters
    ----------
    array : DataArray
        As it was opened, cut or binned since.
    target : str
        The file that is written, for warnings.
    most : int
        Bytes of an extended header of unknown kind that the format can take.
    """
    base = stored_header(array)
    if base is None:
        return array
    facts = {"header": _text(base.raw), "byteorder": _ORDERS[base.byteorder == ">"], "pixel": array.encoding["pixel"]}
    block = _unknown(array, base, target, most)
    if block:
        facts[EXTENDED] = _text(block)
    return array.assign_attrs({ATTR: json.dumps(facts)})


def _unknown(array: xr.DataArray, base: Header, target: str, most: int) -> bytes:
    """Return the extended header of unknown kind, if there is one and it still belongs to the array."""
    if not is_unknown(array, base):
        return b""
    written, issues = extended_of(array, base, base.byteorder)
    if len(written.data) > most:
        text = f"the extended header ({base.nsymbt} bytes of unknown kind) has no place in the file; the most is {most}"
        issues = (*issues, Issue("MRC411", Severity.WARNING, text, 24))
    tell_lost(target, issues)
    return b"" if issues else written.data


def tell_lost(target: str, issues: Iterable[Issue]) -> None:
    """Warn of what a file will not say."""
    for issue in issues:
        warnings.warn(issue_warning(issue, target), stacklevel=2)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def restored(array: xr.DataArray, source: Any) -> xr.DataArray:
    """Return an array that was read with the header it carries where one opened from an MRC file has it.

    Parameters
    ----------
    array : DataArray
        With or without the attribute.
    source : object
        The file that was read, for warnings.
    """
    if ATTR not in array.attrs:
        return array
    out = array.copy(deep=False)
    out.set_close(array.close)  # a copy forgets it
    try:
        out.encoding |= _encoding(json.loads(out.attrs.pop(ATTR)), out.dtype)
    except (ValueError, TypeError, KeyError, AttributeError):
        text = f"attribute {ATTR} is not as it was written, and is ignored"
        warnings.warn(f"{printable(source)}: {text}", MrcWarning, stacklevel=2)
    return out


def _encoding(facts: dict[str, Any], dtype: Any) -> dict[str, Any]:
    """Return header, byte order, pixel and extended header; how pixels of another dtype were stored does not matter."""
    raw = base64.b64decode(facts["header"], validate=True)
    if len(raw) != HEADER_NBYTES:
        raise ValueError
    found: dict[str, Any] = {"header": raw, "byteorder": _ORDERS[_ORDERS.index(facts["byteorder"])]}
    if PIXELS[facts["pixel"]].dtype == dtype:
        found["pixel"] = facts["pixel"]
    if EXTENDED in facts:
        found[EXTENDED] = base64.b64decode(facts[EXTENDED], validate=True)
    return found
