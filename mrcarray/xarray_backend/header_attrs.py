"""The attributes that an opened file gets: a table of names, and the header facts behind them.

``labels``, ``space_group`` and ``symmetry`` describe the specimen; users may change them, and the writer reads them. A
name that begins with ``mrc_`` says what the file stated when it was opened. The writer ignores these, because no
calculation keeps them up to date. All values are text, numbers or short arrays of numbers, which netCDF, Zarr and
JSON can store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from mrcarray.errors import MrcValueError
from mrcarray.format.fields import FIELDS

if TYPE_CHECKING:
    import xarray as xr

    from mrcarray.format.geometry import Geometry
    from mrcarray.format.header import Header

__all__ = [
    "LABELS",
    "SPACE_GROUP",
    "SYMMETRY",
    "HeaderOption",
    "header_attrs",
    "label_attrs",
    "operators",
    "require_option",
    "space_group",
    "states_symmetry",
    "symmetry_attrs",
    "symmetry_of",
]

HeaderOption: TypeAlias = bool | Literal["all"]
"""Which attributes a file gets: those of the table, none, or also every header word."""

LABELS, SPACE_GROUP, SYMMETRY = "labels", "space_group", "symmetry"
"""The attributes that the writer reads."""

_OPENED = "mrc_"
"""Beginning of the names of attributes that say what the file stated when it was opened."""
_RECORD = 80
"""Bytes of a symmetry record."""
_STACKED = 400
"""Word 23 of a stack of volumes is so much more than the space group."""


def require_option(option: Any) -> HeaderOption:
    """Return the option, or refuse an unknown one.

    Raises
    ------
    MrcValueError
        When it is not True, False or "all".
    """
    if option is True or option is False or option == "all":
        found: HeaderOption = option
        return found
    raise MrcValueError(f"header_attrs is {option!r}; expected True, False or 'all'")


def header_attrs(
    header: Header,
    geometry: Geometry | None = None,
    *,
    kind: str = "",
    symmetry: bytes = b"",
    option: HeaderOption = True,
) -> dict[str, Any]:
    """Return the attributes of a file.

    Parameters
    ----------
    header : Header
        Main header.
    geometry : Geometry, optional
        Voxel size and position; None for a file without data.
    kind : str
        Kind of file.
    symmetry : bytes
        Extended header, if it contains symmetry records.
    option : {True, False, "all"}
        The table, nothing, or also every word of the header as ``mrc_<name>``.

    Returns
    -------
    dict

    Examples
    --------
    >>> from mrcarray import read_header
    >>> found = header_attrs(read_header("tomo.mrc"), kind="volume")
    >>> found["space_group"], found["mrc_kind"], found["mrc_mode"]
    (1, 'volume', 2)
    """
    if option is False:
        return {}
    out: dict[str, Any] = {LABELS: "\n".join(header.text_labels)} if any(header.text_labels) else {}
    out[SPACE_GROUP] = space_group(header.ispg)
    if text := operators(symmetry):
        out[SYMMETRY] = text
    opened = _declared(header, kind) | ({} if geometry is None else _placed(geometry))
    if option == "all":
        opened = _words(header) | opened
    out |= {_OPENED + name: value for name, value in opened.items()}
    if header.imod.stamped:
        imod = {"imod_flags": int(header.imod.flags), "imod_type": int(header.imod.idtype)}
        out |= {name: value for name, value in imod.items() if value}
    return out


def space_group(ispg: int) -> int:
    """Return the crystallographic number for word 23.

    Examples
    --------
    >>> space_group(19), space_group(419)
    (19, 19)
    """
    return ispg - _STACKED if ispg > _STACKED else ispg


def _declared(header: Header, kind: str) -> dict[str, Any]:
    """Return what a header declares; a skew matrix overlaps version and type."""
    out: dict[str, Any] = {"kind": kind} if kind else {}
    out["mode"] = int(header.mode)
    if header.ccp4.skewed:
        return out
    exttyp = _tag(header.exttyp)
    return {**out, **({"exttyp": exttyp} if exttyp else {}), "nversion": int(header.nversion)}


def _tag(exttyp: bytes) -> str:
    text = exttyp.rstrip(b"\0 ")
    return text.decode("ascii") if text and text.isascii() and text.decode("ascii").isprintable() else ""


def _placed(geometry: Geometry) -> dict[str, Any]:
    """Return voxel size, position and cell, along x, y, z."""
    return {
        "voxel_size": np.array(geometry.voxel_size, dtype=np.float64),
        "origin": np.array(geometry.origin, dtype=np.float64),
        "nstart": np.array(geometry.nstart, dtype=np.int64),
        "placement": geometry.source,
        "unit_cell": np.array((*geometry.cella, *geometry.angles), dtype=np.float64),
        "sampling": np.array(geometry.n, dtype=np.int64),
    }


def _words(header: Header) -> dict[str, Any]:
    """Return every word of the header by name, but for the labels: numbers as they are, bytes as hexadecimal text."""
    return {name: _plain(getattr(header, name)) for name in FIELDS if name != LABELS}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return np.array(value, dtype=np.int64 if all(isinstance(one, int) for one in value) else np.float64)
    return value


# ------------------------------------------------------------------------------------------ read by the writer


def label_attrs(array: xr.DataArray | xr.Dataset) -> list[str]:
    """Return the labels among the attributes; none where there is no such attribute.

    Raises
    ------
    MrcValueError
        When the attribute is neither text nor a list of texts.
    """
    return _lines(array, LABELS)


def symmetry_attrs(array: xr.DataArray | xr.Dataset) -> list[str]:
    """Return the symmetry operators among the attributes; none where there is no such attribute.

    Raises
    ------
    MrcValueError
        When the attribute is neither text, nor a list of texts, nor the bytes of records as numbers.
    """
    value = array.attrs.get(SYMMETRY, "")
    if _is_numbers(value):
        return operators(_bytes(value)).splitlines()
    return [one.strip() for line in _lines(array, SYMMETRY) for one in line.split("*") if one.strip()]


def _lines(array: xr.DataArray | xr.Dataset, name: str) -> list[str]:
    """Return the lines of a text attribute; the version before stored lists of text."""
    value = array.attrs.get(name, "")
    lines: list[Any]
    try:
        lines = value.split("\n") if isinstance(value, str) else list(value)
    except TypeError:
        lines = [None]
    if not all(isinstance(line, str) for line in lines):
        raise MrcValueError(f"attrs[{name!r}] is {value!r}; expected text, one item a line")
    return [] if lines == [""] else [str(line) for line in lines]


def _bytes(value: Any) -> bytes:
    try:
        return bytes(np.atleast_1d(value).tolist())
    except (TypeError, ValueError):
        raise MrcValueError(f"attrs[{SYMMETRY!r}] is {value!r}; expected one operator a line") from None


def operators(records: bytes) -> str:
    r"""Return the symmetry operators of records of 80 characters, one a line.

    A record contains one operator, or several between asterisks.

    Examples
    --------
    >>> operators(b"X,  Y,  Z".ljust(80) + b"-X,Y+1/2,-Z".ljust(80))
    'X,  Y,  Z\n-X,Y+1/2,-Z'
    """
    lines = [records[at : at + _RECORD].replace(b"\0", b" ").decode("ascii") for at in range(0, len(records), _RECORD)]
    found = (one.strip() for line in lines for one in line.split("*"))
    return "\n".join(one for one in found if one)


def states_symmetry(array: xr.DataArray) -> bool:
    """Return whether the symmetry of an array is known: by its attribute, or else by the records of its file."""
    return SYMMETRY in array.attrs or isinstance(array.encoding.get(SYMMETRY), bytes)


def symmetry_of(array: xr.DataArray) -> bytes:
    """Return the symmetry records to be written for an array.

    They are those of the file the array came from, byte by byte, unless the attribute states something else.

    Raises
    ------
    MrcValueError
        When an operator is not ASCII or too long for a record.
    """
    stored = array.encoding.get(SYMMETRY)
    kept = stored if isinstance(stored, bytes) else b""
    if SYMMETRY not in array.attrs:
        return kept
    value = array.attrs[SYMMETRY]
    if _is_numbers(value):
        return _bytes(value)
    lines = symmetry_attrs(array)
    return kept if kept and operators(kept).split("\n") == lines else b"".join(map(_record, lines))


def _is_numbers(value: Any) -> bool:
    """Return whether symmetry is stored as the version before did: the bytes of the records as numbers."""
    return not isinstance(value, str) and np.asarray(value).dtype.kind in "iu"


def _record(line: str) -> bytes:
    if not line.isascii() or len(line) > _RECORD:
        raise MrcValueError(f"attrs[{SYMMETRY!r}] has the line {line!r}; expected at most {_RECORD} ASCII characters")
    return line.encode("ascii").ljust(_RECORD)
