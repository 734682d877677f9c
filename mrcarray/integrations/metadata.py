"""Per-section metadata as coordinates: what extended header and sidecars say, joined, and taken back for writing.

Precedence, for each quantity and section by itself: a sidecar the caller named; the mdoc beside the file, whose numbers
have more digits than most extended headers; the extended header; the lists of angles, ``.rawtlt`` for ``tilt_angle``.
``.tlt`` and ``.xtilt`` are quantities of their own (``refined_tilt_angle``, ``x_tilt_angle``); a refined angle also
stands in for ``tilt_angle`` where nothing else states it. A source that is silent about a section is filled up from the
next; one that contradicts the next beyond the tolerance of the quantity is named in a warning.

The sections of a stack of volumes are counted through all of them, as in the file, so that what is known of each has
the dims ``(volume, z)``.

The records themselves travel as text in the coordinate `RECORD`, one line a section, which every selection, sort,
concatenation, netCDF file and Zarr store keeps with its section. `extended_header` turns them back into bytes, with
the values of coordinates that were changed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mrcarray import reader
from mrcarray.errors import MrcError, MrcValueError
from mrcarray.format.extended import Decoded, Records, from_tokens, missing
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.layout import Kind
from mrcarray.format.quantities import COMMON, Column
from mrcarray.format.sidecars import ANGLE_LISTS, KEYS, Mdoc, format_angles
from mrcarray.integrations import sidecars
from mrcarray.integrations.convention import Coordinate

if TYPE_CHECKING:
    import os
    from collections.abc import Hashable, Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from mrcarray.format.modes import ByteOrder
    from mrcarray.reader import Mrc

__all__ = [
    "RECORD",
    "ExtendedOption",
    "Metadata",
    "Written",
    "angles_of",
    "columns_of",
    "describe",
    "extended_header",
    "mdoc_of",
    "merge",
    "ranked",
    "section_dims",
    "stated",
]

RECORD = "extended_record"
"""Name of the coordinate that carries the records of the extended header."""

ExtendedOption = bool | Literal["all"]
"""False: no metadata; True: the common vocabulary; "all": every field under its own name as well."""

#: Digits of an mdoc: a number that differs from the record's by less is the same.
_MDOC_DIGITS = 1e-5


@dataclass(frozen=True, slots=True)
class Metadata:
    """Coordinates and what was noticed while making them.

    Parameters
    ----------
    coords : dict of str to Coordinate
        Per-section coordinates, scalars for a single image.
    issues : tuple of Issue
        Notes and warnings.
    """

    coords: dict[str, Coordinate]
    issues: tuple[Issue, ...] = ()


def describe(
    mrc: Mrc, dims: tuple[str, ...], *, extended: ExtendedOption = True, sidecar: sidecars.SidecarOption = "auto"
) -> Metadata:
    """Return the metadata coordinates of an opened file.

    Parameters
    ----------
    mrc : Mrc
        The file; its extended header is read once, here.
    dims : tuple of str
        Dims of the data; the first is the one of the sections, the first two are in a stack of volumes.
    extended : {False, True, "all"}
        How much of the metadata.
    sidecar : {"auto", False} or path
        Which sidecars. Beside a volume none is looked for: the ones there belong to the images it was made from.

    Raises
    ------
    MrcValueError
        When an option is none of its words, or a named sidecar does not fit.
    OSError
        When a named sidecar cannot be read.
    """
    if extended not in (True, False, "all"):
        raise MrcValueError(f"extended is {extended!r}; expected True, False or 'all'")
    layout = mrc.layout
    if layout is None or (extended is False and sidecar == "auto"):
        return Metadata({})
    axes = {Kind.IMAGE: 0, Kind.VOLUME_STACK: 2}.get(layout.kind, 1)
    along = dict(zip(dims[:axes], layout.shape[:axes], strict=True))
    count = math.prod(along.values())
    every = extended == "all"
    decoded = mrc.decoded if extended else Decoded(None, None, b"")
    wanted = False if sidecar == "auto" and layout.kind in (Kind.VOLUME, Kind.VOLUME_STACK) else sidecar
    found = sidecars.load(mrc.path, wanted, count, every=every)
    own = columns_of(decoded.records, count, every=every)
    columns, conflicts = merge(ranked(found.columns, own, named=sidecar != "auto"))
    coords = {name: _coordinate(column, along) for name, column in columns.items()}
    coords.update(_record_coordinate(decoded.records, along))
    return Metadata(coords, decoded.issues + found.issues + conflicts)


def columns_of(records: Records | None, count: int, *, every: bool = False) -> dict[str, Column]:
    """Return the columns of the records, cut or filled up to the sections there are.

    Parameters
    ----------
    records : Records or None
        None gives no columns.
    count : int
        Number of sections.
    every : bool
        Add each field under its own name.
    """
    if records is None or not len(records):
        return {}
    columns = records.columns(every=every)
    return {name: replace(column, values=_resized(column.values, count)) for name, column in columns.items()}


def _resized(values: NDArray[Any], count: int) -> NDArray[Any]:
    """Return `count` values; the ones that are not there are missing."""
    if len(values) >= count:
        return values[:count]
    if values.dtype.kind == "b":
        values = values.astype(np.float64)
    missing: Any = {"M": np.datetime64("NaT", "ns"), "O": ""}.get(values.dtype.kind, np.nan)
    return np.concatenate([values, np.full(count - len(values), missing, dtype=values.dtype)])


def ranked(
    beside: tuple[dict[str, Column], ...], own: dict[str, Column], *, named: bool = False
) -> list[dict[str, Column]]:
    """Return the sources in the order in which they count.

    Parameters
    ----------
    beside : tuple of dict of str to Column
        What sidecars say.
    own : dict of str to Column
        What the extended header says.
    named : bool
        Whether the caller named the sidecar.
    """
    lists = [columns for columns in beside if columns and not _is_document(columns)]
    documents = [columns for columns in beside if _is_document(columns)]
    return [*beside, own] if named else [*documents, own, *lists]


def _is_document(columns: dict[str, Column]) -> bool:
    """Whether columns came from an mdoc."""
    return any(column.source.startswith("mdoc") for column in columns.values())


def merge(sources: Sequence[dict[str, Column]]) -> tuple[dict[str, Column], tuple[Issue, ...]]:
    """Return one column for each name, the first source counting most, and one issue for all contradictions.

    Examples
    --------
    >>> one = Column("tilt_angle", np.array([3.0, np.nan]), "degree", "tilt", "mdoc")
    >>> two = Column("tilt_angle", np.array([30.0, 6.0]), "degree", "tilt", "header")
    >>> columns, issues = merge([{"tilt_angle": one}, {"tilt_angle": two}])
    >>> columns["tilt_angle"].values.tolist(), issues[0].code
    ([3.0, 6.0], 'MRC421')
    """
    merged: dict[str, Column] = {}
    conflicts = []
    for source in sources:
        for name, column in source.items():
            if name not in merged or (column.known and not merged[name].known):
                merged[name] = column
                continue
            first = merged[name]
            if name in COMMON and not COMMON[name].agree(*np.broadcast_arrays(first.values, column.values)):
                conflicts.append(_contradiction(first, column))
            merged[name] = _filled(first, column)
    if "refined_tilt_angle" in merged and not ("tilt_angle" in merged and merged["tilt_angle"].known):
        merged["tilt_angle"] = replace(merged["refined_tilt_angle"], name="tilt_angle")
    if not conflicts:
        return merged, ()
    message = "two sources contradict each other: " + "; ".join(conflicts)
    return merged, (Issue("MRC421", Severity.WARNING, message),)


def _contradiction(first: Column, second: Column) -> str:
    """Return one phrase that names the section that differs most, both values and both sources."""
    one, two = (np.atleast_1d(values) for values in np.broadcast_arrays(first.values, second.values))
    away = np.abs(one - two)
    away = np.where(np.isnan(away), np.zeros_like(away), away)
    at = int(np.argmax(away))
    return (
        f"{first.name} of section {at} is {one[at]} in the {first.source} and {two[at]} in the {second.source}; "
        f"the {first.source} counts"
    )


def _filled(first: Column, second: Column) -> Column:
    """Return the first column with its gaps filled from the second."""
    if first.values.shape != second.values.shape or first.values.dtype != second.values.dtype:
        return first
    if first.values.dtype.kind not in "fM" or not np.isnan(first.values).any():
        return first
    values = np.where(np.isnan(first.values), second.values, first.values)
    return replace(first, values=values, source=f"{first.source}, {second.source}")


def _coordinate(column: Column, along: Mapping[str, int]) -> Coordinate:
    """Return a column as a coordinate along the dims of the sections, a scalar where there is one value or no dim."""
    if not column.values.ndim:
        return Coordinate((), column.values, dict(column.attrs))
    values = column.values if along else column.values[:1]
    return Coordinate(tuple(along), values.reshape(tuple(along.values())), dict(column.attrs))


def _record_coordinate(records: Records | None, along: Mapping[str, int]) -> dict[str, Coordinate]:
    """Return the coordinate that carries the records."""
    if records is None or not len(records):
        return {}
    tokens = np.array(_lines(records, math.prod(along.values())), dtype=object)
    attrs = {
        "long_name": f"record of the extended header ({records.dialect.name}), for writing it back",
        "records": len(records),
        "reserved": records.reserve_token(),
        "following": len(records.reserved),
    }
    return {RECORD: Coordinate(tuple(along), tokens.reshape(tuple(along.values())), attrs)}


def _lines(records: Records, count: int) -> list[str]:
    """Return one line a section; empty ones for sections without a record."""
    lines = records.tokens()[:count]
    return lines + [""] * (count - len(lines))


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
    lines = [str(line) for line in _spread(carrier, along)]
    tokens = ["" if line == "nan" else line for line in lines]  # xarray fills texts with NaN where it adds sections
    try:
        records = _records(tokens, array, along)
    except (ValueError, TypeError) as error:
        return Written(b"", bytes(4), 0, 0, (_lost(str(error)),))
    if records is None:
        return None
    records, lost = _with_rest(records, array, carrier)
    records, issues = _updated(records.in_order(byteorder), array, along)
    unsaid = _unsaid(records, array, along, tokens)
    facts = records.facts
    exttyp = records.dialect.exttyp.ljust(4, b"\0")
    return Written(records.encode(), exttyp, facts.nint, facts.nreal, lost + issues + unsaid)


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
        With per-section coordinates of the common vocabulary.
    image : str or path
        Name of the file, for the entry ``ImageFile``.

    Raises
    ------
    MrcValueError
        When no coordinate has a place in an mdoc.
    """
    names = {name for key in KEYS.values() for name in key.common}
    wanted = {str(name): coord for name, coord in array.coords.items() if name in names and coord.ndim <= 1}
    if not wanted:
        raise MrcValueError("the array has no per-section coordinate that an mdoc could state")
    count = max(coord.size for coord in wanted.values())
    columns = {name: np.broadcast_to(coord.values, (count,)) for name, coord in wanted.items()}
    return Mdoc.from_columns(columns, {"ImageFile": PurePath(image).name} if image else None)
