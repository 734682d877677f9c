"""Keep the header of an MRC file in an attribute of files of other formats, for the way back to MRC.

Coords and attrs state what the pixels are and where they are, in every format. Only the header contains the rest:
unused words, which of two ways an image stack states its cell, the bits of a pixel, an extended header of unknown kind.
It is stored as text in one attribute. When the array is written as MRC, words that are not true any more are ignored,
as for an array that was opened from an MRC file.
"""

from __future__ import annotations

import base64
import json
import warnings
from typing import TYPE_CHECKING, Any

from mrcarray.errors import MrcValueError
from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.modes import PIXELS
from mrcarray.reader import issue_warning
from mrcarray.xarray_backend.convention import DATA, EXTENDED
from mrcarray.xarray_backend.encode.header import extended_of, is_unknown, stored_header
from mrcarray.xarray_backend.header_attrs import SYMMETRY
from mrcarray.xarray_backend.header_bytes import HeaderBytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    import xarray as xr

    from mrcarray.format.header import Header

__all__ = ["ATTR", "carrying", "only_variable", "restored", "warn_lost"]

ATTR = "mrc_file"
"""Name of the attribute."""

_ORDERS = ("little", "big")


def carrying(array: xr.DataArray, target: str, longest: int) -> xr.DataArray:
    """Return the array with the header of its MRC file among its attrs, if it came from one.

    Parameters
    ----------
    array : DataArray
        Opened from a file, and perhaps cut or binned since.
    target : str
        The file that is written, for warnings.
    longest : int
        Bytes of an extended header of unknown kind that the format can store.
    """
    source = stored_header(array)
    if source is None:
        return array
    facts = {
        "header": _text(source.raw),
        "byteorder": _ORDERS[source.byteorder == ">"],
        "pixel": array.encoding["pixel"],
    }
    records = array.encoding.get(SYMMETRY)
    if isinstance(records, bytes):
        facts[SYMMETRY] = _text(records)
    block = _unknown(array, source, target, longest)
    if block:
        facts[EXTENDED] = _text(block)
    return array.assign_attrs({ATTR: json.dumps(facts)})


def _unknown(array: xr.DataArray, source: Header, target: str, longest: int) -> bytes:
    """Return the extended header of unknown kind, if there is one and it still belongs to the array."""
    if not is_unknown(array, source):
        return b""
    written = extended_of(array, source, source.byteorder)
    issues = written.issues
    if len(written.data) > longest:
        text = f"the extended header ({source.nsymbt} bytes of unknown kind) is not written: the format stores at most"
        issues = (*issues, Issue("MRC411", Severity.WARNING, f"{text} {longest} bytes", 24))
    warn_lost(target, issues)
    return b"" if issues else written.data


def warn_lost(target: str, issues: Iterable[Issue]) -> None:
    """Warn about what a file cannot store."""
    for issue in issues:
        warnings.warn(issue_warning(issue, target), stacklevel=2)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def restored(array: xr.DataArray, source: Any) -> xr.DataArray:
    """Return an array with the header from its attribute in its encoding, as if opened from an MRC file.

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
    out.set_close(array.close)  # copy() drops it
    try:
        out.encoding |= _encoding(json.loads(out.attrs.pop(ATTR)), out.dtype)
    except (ValueError, TypeError, KeyError, AttributeError):
        issue = Issue("MRC411", Severity.WARNING, f"attribute {ATTR} is damaged, and is ignored")
        warn_lost(source, (issue,))
    return out


def _encoding(facts: dict[str, Any], dtype: Any) -> dict[str, Any]:
    """Return header, byte order, pixel format (if the dtype is still the same) and extended header."""
    raw = base64.b64decode(facts["header"], validate=True)
    if len(raw) != HEADER_NBYTES:
        raise ValueError
    found: dict[str, Any] = {"header": HeaderBytes(raw), "byteorder": _ORDERS[_ORDERS.index(facts["byteorder"])]}
    if PIXELS[facts["pixel"]].dtype == dtype:
        found["pixel"] = facts["pixel"]
    for name in {EXTENDED, SYMMETRY} & set(facts):
        found[name] = base64.b64decode(facts[name], validate=True)
    return found


def only_variable(dataset: xr.Dataset) -> xr.DataArray:
    """Return the variable ``data``, or the only variable; closing it closes the file."""
    names = list(dataset.data_vars)
    if DATA not in names and len(names) != 1:
        dataset.close()
        shown = ", ".join(map(str, names))
        raise MrcValueError(f"found {len(names)} variables ({shown}); expected one, or one named 'data'")
    name = DATA if DATA in names else names[0]
    found = dataset[name].rename(DATA)
    found.set_close(dataset.close)
    return found
