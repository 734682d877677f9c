"""Per-section metadata on its way back: coordinates as records of an extended header, an mdoc or a list of angles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray import reader
from mrcarray.errors import MrcError, MrcValueError
from mrcarray.format.extended import Records, from_tokens, missing
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.sidecars import ANGLE_LISTS, KEYS, OWN, Mdoc, format_angles
from mrcarray.xarray_backend.metadata_read import RECORD
from mrcarray.xarray_backend.pixel_metadata import binned_by, stretch_of, with_followed_pixels
from mrcarray.xarray_backend.units import in_common_units

if TYPE_CHECKING:
    import os
    from collections.abc import Hashable, Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from mrcarray.format.modes import ByteOrder

__all__ = ["Written", "angles_of", "extended_header", "mdoc_of", "section_dims", "stated"]

#: Names of the common vocabulary that an mdoc has a key for.
_STATED = frozenset(name for key in KEYS.values() for name in key.common)
#: Digits of an mdoc: a number that differs from the record's by less is the same.
_MDOC_DIGITS = 1e-5
#: Fields of FEI records for the height of a pixel, which has no coordinate.
_ALONG_Y = ("Pixel size Y", "Binning Height")


@dataclass(frozen=True, slots=True)
class Written:
    """An extended header ready to be written, and the header words that belong to it.

    Parameters
    ----------
    data : bytes
        The block.
    exttyp : bytes
        Its type.
    nint, nreal : int
        Bytes 128 and 130 of the main header.
    issues : tuple of Issue
        What could not be written as it is.
    """

    data: bytes
    exttyp: bytes
    nint: int
    nreal: int
    issues: tuple[Issue, ...] = ()


def extended_header(array: xr.DataArray, byteorder: ByteOrder = "<") -> Written | None:
    """Return the extended header an array carries, one record a section in the order the sections have now.

    Coordinates of the common vocabulary count: where one differs from the record (because the caller changed it), the
    record is changed. Records of different kinds, or damaged ones, are left out with a warning.

    Parameters
    ----------
    array : DataArray
        An array opened from a file, however it was selected, sorted or concatenated since.
    byteorder : {"<", ">"}
        Byte order of the file to be written.

    Returns
    -------
    Written or None
        None when the array carries no records.
    """
    if RECORD not in array.coords:
        return None
    carrier = array.coords[RECORD]
    along = section_dims(array)
    if strange := [str(dim) for dim in carrier.dims if dim not in along]:
        sections = " and ".join(map(str, along)) or "no axis"
        reason = f"its records lie along {' and '.join(strange)}, the sections of the file along {sections}"
        return Written(b"", bytes(4), 0, 0, (_lost(reason),))
    tokens = ["" if _is_filler(line) else str(line) for line in _spread(carrier, along)]
    try:
        records = _records(tokens, array, along)
    except (ValueError, TypeError) as error:
        return Written(b"", bytes(4), 0, 0, (_lost(str(error)),))
    if records is None:
        return None
    records, lost = _with_rest(records, array, carrier)
    records, issues = _updated(_stretched(records.in_order(byteorder), array), array, along)
    unsaid = _unsaid(records, array, along, tokens)
    facts = records.facts
    exttyp = records.dialect.exttyp.ljust(4, b"\0")
    return Written(records.encode(), exttyp, facts.nint, facts.nreal, lost + issues + unsaid)


def _is_filler(line: Any) -> bool:
    """Whether xarray filled an added section: texts with NaN, or with the number the caller gave for the pixels."""
    try:
        float(line)
    except (TypeError, ValueError):
        return False
    return True


def _records(tokens: list[str], array: xr.DataArray, along: Mapping[Hashable, int]) -> Records | None:
    """Return the records; a block that may end early ends after the last section of which something is known."""
    attrs = array.coords[RECORD].attrs
    count, reserved = int(attrs.get("records", len(tokens))), str(attrs.get("reserved", ""))
    records = from_tokens(tokens, reserved=reserved, sections=count)
    if records is None or not records.dialect.open_ended:
        return records
    known = np.array([bool(token) for token in tokens])
    for name in _common_names(records):
        values = stated(array, name, along)
        known |= False if values is None else ~missing(values)
    used = int(np.flatnonzero(known)[-1]) + 1
    if used == len(tokens):
        return records
    records = from_tokens(tokens[:used], reserved=reserved, sections=count)
    # room for one more record would be taken for that record
    fits = records is not None and len(records.reserved) < records.array.dtype.itemsize
    return records if fits or records is None else replace(records, reserved=b"")


def _common_names(records: Records) -> list[str]:
    """Return the names of the common vocabulary that the records have a field for."""
    return [field.common for field in records.fields if field.common]


def stated(array: xr.DataArray, name: str, along: Mapping[Hashable, int]) -> NDArray[Any] | None:
    """Return what a coordinate says of each section, None when there is no such coordinate.

    Parameters
    ----------
    array : DataArray
        With its axes in the order of the file.
    name : str
        Of the coordinate.
    along : mapping of dim to int
        As `section_dims` gives them.
    """
    if name not in array.coords or set(array.coords[name].dims) - set(along):
        return None
    return _spread(array.coords[name], along)


def section_dims(array: xr.DataArray) -> dict[Hashable, int]:
    """Return the dims along which the sections of a file with this array are counted, and their lengths.

    Stack dims, and the slowest of three spatial axes.

    Parameters
    ----------
    array : DataArray
        With its axes in the order of the file.
    """
    spatial = [dim for dim in array.dims if dim in ("x", "y", "z")]
    depth = spatial[:1] if len(spatial) == 3 else []  # noqa: PLR2004 -- a volume's axes
    stack = [dim for dim in array.dims if dim not in ("x", "y", "z", "rgb")]
    return {dim: array.sizes[dim] for dim in (*stack, *depth)}


def _spread(coord: xr.DataArray, along: Mapping[Hashable, int]) -> NDArray[Any]:
    """Return the values of a coordinate for each section, in the order of the file."""
    return np.asarray(coord.variable.set_dims(along).transpose(*along).values).ravel()


def _with_rest(records: Records, array: xr.DataArray, carrier: xr.DataArray) -> tuple[Records, tuple[Issue, ...]]:
    """Return the records with what followed them in their file, when that was too long to travel (a gain reference)."""
    following = int(carrier.attrs.get("following", 0))
    if carrier.attrs.get("reserved") or following <= 0:
        return records, ()
    source, header = array.encoding.get("source"), array.encoding.get("header")
    try:
        mrc = reader.examine(source) if source and header else None
    except (OSError, MrcError):
        mrc = None
    if mrc is not None and mrc.header.raw == header:
        found = mrc.decoded.records
        if found is not None and len(found.reserved) == following and not records.dialect.slots:
            return replace(records, reserved=found.reserved), ()
    text = f"the {following} bytes after the records of the extended header are not written: their file cannot be read"
    return records, (Issue("MRC411", Severity.WARNING, text),)


def _lost(reason: str) -> Issue:
    """Return the warning that the extended header is not written."""
    return Issue("MRC411", Severity.WARNING, f"the extended header is not written: {reason}")


def _updated(records: Records, array: xr.DataArray, along: Mapping[Hashable, int]) -> tuple[Records, tuple[Issue, ...]]:
    """Return the records with the values of the coordinates, and a warning for each that does not fit."""
    issues = []
    for name in _common_names(records):
        values = stated(array, name, along)
        if values is None:
            continue
        relative = _MDOC_DIGITS if str(array.coords[name].attrs.get("from", "")).startswith("mdoc") else 0.0
        try:
            records = records.replaced(name, values[: len(records)], relative=relative)
        except (MrcValueError, TypeError, ValueError) as error:
            message = f"the coordinate {name} is not written into the extended header: {error}"
            issues.append(Issue("MRC411", Severity.WARNING, message))
    return records, tuple(issues)


def _stretched(records: Records, array: xr.DataArray) -> Records:
    """Return the records with the pixel height and the binning along columns that the grid has now.

    Only the fields along rows have names in the common vocabulary, and so coordinates.
    """
    factor = stretch_of(array, RECORD)[1]
    fields = [field for field in records.fields if field.name in _ALONG_Y and field.bit]
    if factor == 1 or not fields:
        return records
    stretched = records.array.copy()
    for field in fields:
        whole = stretched.dtype[field.name].kind == "i"
        values = stretched[field.name] * (binned_by(factor) if whole else factor)
        lost = (np.abs(values - np.round(values)) > _MDOC_DIGITS * values) & whole
        stretched[field.name] = np.where(lost, 0, np.round(values) if whole else values)
        stretched[field.mask][lost] &= ~np.uint32(1 << field.bit)
    return replace(records, array=stretched)


def angles_of(array: xr.DataArray, path: str | os.PathLike[str]) -> str:
    """Return the angles of the sections as the text of a list of IMOD; its suffix says which angles.

    Parameters
    ----------
    array : DataArray
        With `tilt_angle`, `refined_tilt_angle` or `x_tilt_angle`.
    path : str or path
        Name of the list.

    Raises
    ------
    MrcValueError
        When the suffix is that of no list, or an angle is not known.
    """
    suffix = PurePath(path).suffix
    if suffix not in ANGLE_LISTS:
        raise MrcValueError(f"{suffix!r} is the suffix of no list of angles; expected one of {', '.join(ANGLE_LISTS)}")
    names = dict.fromkeys((ANGLE_LISTS[suffix], "tilt_angle" if suffix == ".tlt" else ANGLE_LISTS[suffix]))
    found = next((name for name in names if name in array.coords), None)
    if found is None:
        raise MrcValueError(f"the array has no coordinate {' or '.join(names)} to write a {suffix} of")
    array = _measured(array)
    return format_angles(_spread(array.coords[found], section_dims(array)))


def _unsaid(
    records: Records, array: xr.DataArray, along: Mapping[Hashable, int], tokens: Sequence[str]
) -> tuple[Issue, ...]:
    """Return a warning that names the missing values for which the records state a number all the same."""
    said = []
    for name in _common_names(records):
        values = stated(array, name, along)
        absent = np.array([not token for token in tokens]) if values is None else missing(values)
        now = records.common(name).values
        if (where := np.flatnonzero(absent[: len(records)] & ~missing(now))).size:
            said.append(f"{name} of {_sections(where)} as {', '.join(_shown(now[where]))}")
    if not said:
        return ()
    text = f"{records.dialect.name} records cannot say that a value is missing; the file states {'; '.join(said)}"
    return (Issue("MRC411", Severity.WARNING, text),)


def _sections(where: NDArray[Any], most: int = 5) -> str:
    """Return numbers of sections in words."""
    numbers = ", ".join(str(at) for at in where[:most]) + ", ..." * (len(where) > most)
    return f"section{'s' * (len(where) > 1)} {numbers}"


def _shown(values: NDArray[Any], most: int = 3) -> list[str]:
    """Return the first of the different values as text."""
    return [f"{value:g}" if values.dtype.kind == "f" else str(value) for value in np.unique(values)[:most]]


def mdoc_of(array: xr.DataArray, image: str | os.PathLike[str] = "") -> Mdoc:
    """Return the per-section coordinates of an array as an mdoc, to be written beside the file of its pixels.

    Parameters
    ----------
    array : DataArray
        With per-section coordinates of the common vocabulary, or of an mdoc's own keys (``extended="all"``).
    image : str or path
        Name of the file, for the entry ``ImageFile``.

    Raises
    ------
    MrcValueError
        When no coordinate has a place in an mdoc.
    """
    array = with_followed_pixels(_measured(array))[0]
    along = section_dims(array)
    names = [str(name) for name in array.coords if name in _STATED or str(name).startswith(OWN)]
    found = {name: stated(array, name, along) for name in names}
    columns = {name: values for name, values in found.items() if values is not None}
    if not columns:
        raise MrcValueError("the array has no per-section coordinate that an mdoc could state")
    return Mdoc.from_columns(columns, {"ImageFile": PurePath(image).name} if image else None)


def _measured(array: xr.DataArray) -> xr.DataArray:
    """Return the array with its per-section coordinates in common units, or refuse one that measures something else."""
    array, issues = in_common_units(array)
    if issues:
        raise MrcValueError(issues[0].message)
    return array
