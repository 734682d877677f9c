"""Write per-section metadata: coordinates as records of an extended header, as an mdoc or as a list of angles."""

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
from mrcarray.xarray_backend.convention import RECORD
from mrcarray.xarray_backend.metadata_update import binned_by, in_common_units, stretch_of, with_followed_pixels

if TYPE_CHECKING:
    import os
    from collections.abc import Hashable, Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from mrcarray.format.modes import ByteOrder

__all__ = ["Written", "angles_of", "extended_header", "mdoc_of", "section_dims", "values_of"]

_STATED = frozenset(name for key in KEYS.values() for name in key.common)
"""Names of the common vocabulary for which an mdoc has a key."""
_MDOC_DIGITS = 1e-5
"""Part of a number by which one in an mdoc may differ from that of the record and still be the same."""
_ALONG_Y = ("Pixel size Y", "Binning Height")
"""Fields of FEI records for the height of a pixel, which has no coordinate."""


@dataclass(frozen=True, slots=True)
class Written:
    """An extended header to be written, and the header words that belong to it.

    Parameters
    ----------
    data : bytes
        The block.
    exttyp : bytes
        Its type.
    nint, nreal : int
        Bytes 128 and 130 of the main header.
    issues : tuple of Issue
        What could not be written unchanged.
    """

    data: bytes
    exttyp: bytes
    nint: int
    nreal: int
    issues: tuple[Issue, ...] = ()


def extended_header(array: xr.DataArray, byteorder: ByteOrder = "<") -> Written | None:
    """Return the extended header of an array, one record a section in the present order of the sections.

    Where a coordinate of the common vocabulary differs from the record, because the caller changed it, the record is
    changed. Records of different kinds, or damaged ones, are left out with a warning.

    Parameters
    ----------
    array : DataArray
        An array opened from a file, however it was selected, sorted or concatenated since.
    byteorder : {"<", ">"}
        Byte order of the file to be written.

    Returns
    -------
    Written or None
        None when the array has no records.
    """
    if RECORD not in array.coords:
        return None
    carrier = array.coords[RECORD]
    along = section_dims(array)
    if others := [str(dim) for dim in carrier.dims if dim not in along]:
        sections = " and ".join(map(str, along)) or "no axis"
        reason = f"its records lie along {' and '.join(others)}, the sections of the file along {sections}"
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
    unmarked = _unmarked_gaps(records, array, along, tokens)
    facts = records.facts
    exttyp = records.dialect.exttyp.ljust(4, b"\0")
    return Written(records.encode(), exttyp, facts.nint, facts.nreal, lost + issues + unmarked)


def _is_filler(line: Any) -> bool:
    """Return whether xarray added the section, with NaN as text or with the fill value of the pixels."""
    try:
        float(line)
    except (TypeError, ValueError):
        return False
    return True


def _records(tokens: list[str], array: xr.DataArray, along: Mapping[Hashable, int]) -> Records | None:
    """Return the records; of an open-ended dialect those up to the last section with known metadata."""
    attrs = array.coords[RECORD].attrs
    count, reserved = int(attrs.get("records", len(tokens))), str(attrs.get("reserved", ""))
    records = from_tokens(tokens, reserved=reserved, sections=count)
    if records is None or not records.dialect.open_ended:
        return records
    known = np.array([bool(token) for token in tokens])
    for name in _common_names(records):
        values = values_of(array, name, along)
        known |= False if values is None else ~missing(values)
    used = int(np.flatnonzero(known)[-1]) + 1
    if used == len(tokens):
        return records
    records = from_tokens(tokens[:used], reserved=reserved, sections=count)
    # Readers would take free space of the size of a record for a record.
    fits = records is not None and len(records.reserved) < records.array.dtype.itemsize
    return records if fits or records is None else replace(records, reserved=b"")


def _common_names(records: Records) -> list[str]:
    """Return the names of the common vocabulary for which the records have a field."""
    return [field.common for field in records.fields if field.common]


def values_of(array: xr.DataArray, name: str, along: Mapping[Hashable, int]) -> NDArray[Any] | None:
    """Return the values of a coordinate for each section, None when there is no such coordinate.

    Parameters
    ----------
    array : DataArray
        With its axes in the order of the file.
    name : str
        Name of the coordinate.
    along : mapping of dim to int
        From `section_dims`.
    """
    if name not in array.coords or set(array.coords[name].dims) - set(along):
        return None
    return _spread(array.coords[name], along)


def section_dims(array: xr.DataArray) -> dict[Hashable, int]:
    """Return the dims along which the sections of the file lie, and their lengths: stack dims, and the z of a volume.

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
    """Return the records with the bytes that followed them in their file, such as a gain reference.

    These are read from the file where they are too long for an attribute.
    """
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
    text = f"{following} bytes after the records of the extended header are not written: their file cannot be read"
    return records, (Issue("MRC411", Severity.WARNING, text),)


def _lost(reason: str) -> Issue:
    """Return the warning that the extended header is not written."""
    return Issue("MRC411", Severity.WARNING, f"the extended header is not written: {reason}")


def _updated(records: Records, array: xr.DataArray, along: Mapping[Hashable, int]) -> tuple[Records, tuple[Issue, ...]]:
    """Return the records with the values of the coordinates, and a warning for each that does not fit."""
    issues = []
    for name in _common_names(records):
        values = values_of(array, name, along)
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
    """Return the angles of the sections as the text of an angle list of IMOD; its suffix selects the angles.

    Parameters
    ----------
    array : DataArray
        With `tilt_angle`, `refined_tilt_angle` or `x_tilt_angle`.
    path : str or path
        Name of the list.

    Raises
    ------
    MrcValueError
        When the suffix is not that of a list, or an angle is missing.
    """
    suffix = PurePath(path).suffix
    if suffix not in ANGLE_LISTS:
        raise MrcValueError(f"{suffix!r} is not a suffix of an angle list; expected one of {', '.join(ANGLE_LISTS)}")
    names = dict.fromkeys((ANGLE_LISTS[suffix], "tilt_angle" if suffix == ".tlt" else ANGLE_LISTS[suffix]))
    found = next((name for name in names if name in array.coords), None)
    if found is None:
        raise MrcValueError(f"the array has no coordinate {' or '.join(names)}, which a {suffix} file contains")
    array = _in_units(array)
    return format_angles(_spread(array.coords[found], section_dims(array)))


def _unmarked_gaps(
    records: Records, array: xr.DataArray, along: Mapping[Hashable, int], tokens: Sequence[str]
) -> tuple[Issue, ...]:
    """Return a warning about missing values for which the records contain a number."""
    found = []
    for name in _common_names(records):
        values = values_of(array, name, along)
        absent = np.array([not token for token in tokens]) if values is None else missing(values)
        now = records.common(name).values
        if (where := np.flatnonzero(absent[: len(records)] & ~missing(now))).size:
            found.append(f"{name} of {_sections(where)} as {', '.join(_shown(now[where]))}")
    if not found:
        return ()
    text = f"{records.dialect.name} records cannot mark a value as missing; the file states {'; '.join(found)}"
    return (Issue("MRC411", Severity.WARNING, text),)


def _sections(where: NDArray[Any], most: int = 5) -> str:
    """Return a text with the first section numbers."""
    numbers = ", ".join(str(at) for at in where[:most]) + ", ..." * (len(where) > most)
    return f"section{'s' * (len(where) > 1)} {numbers}"


def _shown(values: NDArray[Any], most: int = 3) -> list[str]:
    """Return the first distinct values as text."""
    return [f"{value:g}" if values.dtype.kind == "f" else str(value) for value in np.unique(values)[:most]]


def mdoc_of(array: xr.DataArray, image: str | os.PathLike[str] = "") -> Mdoc:
    """Return the per-section coordinates of an array as an mdoc, to be written next to the file of its pixels.

    Parameters
    ----------
    array : DataArray
        With per-section coordinates of the common vocabulary, or of an mdoc's own keys (``extended="all"``).
    image : str or path
        Name of the file, for the entry ``ImageFile``.

    Raises
    ------
    MrcValueError
        When an mdoc can store no coordinate of the array.
    """
    array = with_followed_pixels(_in_units(array))[0]
    along = section_dims(array)
    names = [str(name) for name in array.coords if name in _STATED or str(name).startswith(OWN)]
    found = {name: values_of(array, name, along) for name in names}
    columns = {name: values for name, values in found.items() if values is not None}
    if not columns:
        raise MrcValueError("the array has no per-section coordinate that an mdoc can store")
    return Mdoc.from_columns(columns, {"ImageFile": PurePath(image).name} if image else None)


def _in_units(array: xr.DataArray) -> xr.DataArray:
    """Return the array with its per-section coordinates in common units, or refuse one of another quantity."""
    array, issues = in_common_units(array)
    if issues:
        raise MrcValueError(issues[0].message)
    return array
