"""Per-section metadata as coordinates: what extended header and sidecars say, joined.

Precedence, for each quantity and section by itself: a sidecar the caller named; the mdoc beside the file, whose numbers
have more digits than most extended headers; the extended header; the lists of angles, ``.rawtlt`` for ``tilt_angle``.
``.tlt`` and ``.xtilt`` are quantities of their own (``refined_tilt_angle``, ``x_tilt_angle``); a refined angle also
stands in for ``tilt_angle`` where nothing else states it. A source that is silent about a section is filled up from the
next; one that contradicts the next beyond the tolerance of the quantity is named in a warning.

The labels of a stack of images state its tilt axis (SerialEM, Tomography 5); they count least.

Records and sidecars belong to the sections of a stack. Those of a volume were made from others, so that it has no such
coordinates unless ``extended="all"`` or a named sidecar asks for them.

The sections of a stack of volumes are counted through all of them, as in the file, so that what is known of each has
the dims ``(volume, z)``.

The records themselves travel as text in the coordinate `RECORD`, one line a section, which every selection, sort,
concatenation, netCDF file and Zarr store keeps with its section. `metadata_write` turns them back into bytes, with the
values of coordinates that were changed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mrcarray.errors import MrcValueError
from mrcarray.format.extended import Decoded, Records
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.layout import Kind
from mrcarray.format.quantities import COMMON, Column
from mrcarray.format.titles import tilt_axis_angle
from mrcarray.xarray_backend import sidecars
from mrcarray.xarray_backend.convention import Coordinate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from mrcarray.format.header import Header
    from mrcarray.reader import Mrc

__all__ = [
    "RECORD",
    "ExtendedOption",
    "Metadata",
    "columns_of",
    "columns_of_labels",
    "describe",
    "merge",
    "ranked",
]

RECORD = "extended_record"
"""Name of the coordinate that carries the records of the extended header."""

ExtendedOption = bool | Literal["all"]
"""False: no metadata; True: the common vocabulary; "all": every field under its own name as well."""


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
        How much of the metadata; of a volume only "all" gives records, along its first axis.
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
    spatial = layout.kind in (Kind.VOLUME, Kind.VOLUME_STACK)
    axes = {Kind.IMAGE: 0, Kind.VOLUME_STACK: 2}.get(layout.kind, 1)
    along = dict(zip(dims[:axes], layout.shape[:axes], strict=True))
    count = math.prod(along.values())
    every = extended == "all"
    decoded = mrc.decoded if every or (extended and not spatial) else Decoded(None, None, b"")
    wanted = False if sidecar == "auto" and spatial else sidecar
    found = sidecars.load(mrc.path, wanted, count, every=every)
    own = columns_of(decoded.records, count, every=every)
    labels = columns_of_labels(mrc.header, count) if extended and not spatial else {}
    columns, conflicts = merge([*ranked(found.columns, own, named=sidecar != "auto"), labels])
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


def columns_of_labels(header: Header, count: int) -> dict[str, Column]:
    """Return the columns that the labels of a header state of all sections alike.

    Parameters
    ----------
    header : Header
        The main header.
    count : int
        Number of sections.
    """
    angle = tilt_axis_angle(header.text_labels)
    if angle is None:
        return {}
    name = "tilt_axis_angle"
    return {name: Column(name, np.full(count, angle), COMMON[name].unit, COMMON[name].meaning, "label")}


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
