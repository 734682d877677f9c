"""Read per-section metadata: extended header and sidecars joined into coordinates.

Precedence, for each quantity and section separately: a sidecar the caller named; the mdoc next to the file, whose
numbers have more digits than most extended headers; the extended header; the angle lists, ``.rawtlt`` for
``tilt_angle``. ``.tlt`` and ``.xtilt`` are quantities of their own (``refined_tilt_angle``, ``x_tilt_angle``); a
refined angle also serves as ``tilt_angle`` where nothing else states that. Gaps of a source are filled from the next
one. A source that contradicts the next beyond the tolerance of the quantity is named in a warning. The labels of an
image stack state its tilt axis (SerialEM, Tomography 5); they count least.

Records and sidecars belong to the sections of a stack. A volume was made from other sections, so it has no such
coordinates unless ``extended="all"`` or a named sidecar asks for them. The sections of a stack of volumes are counted
through all of them, as in the file, so its metadata have the dims ``(volume, z)``.

The records themselves are kept as text in the coordinate `RECORD`, one line a section, because every selection, sort,
concatenation, netCDF file and Zarr store keeps text with its section. `metadata_write` turns the lines back into bytes,
with the values of coordinates that were changed.
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
from mrcarray.xarray_backend.convention import RECORD, Coordinate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from mrcarray.format.header import Header
    from mrcarray.reader import Mrc

__all__ = [
    "ExtendedOption",
    "Metadata",
    "columns_of",
    "columns_of_labels",
    "merge",
    "ranked",
    "section_metadata",
]

ExtendedOption = bool | Literal["all"]
"""False: no metadata; True: the common vocabulary; "all": every field under its own name as well."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """Per-section coordinates and the issues found in their sources.

    Parameters
    ----------
    coords : dict of str to Coordinate
        Per-section coordinates, scalars for a single image.
    issues : tuple of Issue
        Notes and warnings.
    """

    coords: dict[str, Coordinate]
    issues: tuple[Issue, ...] = ()


def section_metadata(
    mrc: Mrc, dims: tuple[str, ...], *, extended: ExtendedOption = True, sidecar: sidecars.SidecarOption = "auto"
) -> Metadata:
    """Return the metadata coordinates of an opened file.

    Parameters
    ----------
    mrc : Mrc
        The file; its extended header is read once, here.
    dims : tuple of str
        Dims of the data: the sections lie along the first, of a stack of volumes along the first two.
    extended : {False, True, "all"}
        How much of the metadata; only "all" gives the records of a volume, along its first axis.
    sidecar : {"auto", False} or path
        Which sidecars. None is looked for next to a volume: those there belong to the images it was made from.

    Raises
    ------
    MrcValueError
        When an option has an unknown value, or a named sidecar does not fit.
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
    """Return the columns of the records, cut or padded to the number of sections.

    Parameters
    ----------
    records : Records or None
        No columns for None.
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
    """Return the columns that the labels of a header state, the same for all sections.

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
    """Return `count` values, padded with missing ones."""
    if len(values) >= count:
        return values[:count]
    if values.dtype.kind == "b":
        values = values.astype(np.float64)
    missing: Any = {"M": np.datetime64("NaT", "ns"), "O": ""}.get(values.dtype.kind, np.nan)
    return np.concatenate([values, np.full(count - len(values), missing, dtype=values.dtype)])


def ranked(
    found: tuple[dict[str, Column], ...], own: dict[str, Column], *, named: bool = False
) -> list[dict[str, Column]]:
    """Return the sources in order of precedence.

    Parameters
    ----------
    found : tuple of dict of str to Column
        Columns of the sidecars.
    own : dict of str to Column
        Columns of the extended header.
    named : bool
        Whether the caller named the sidecar.
    """
    lists = [columns for columns in found if columns and not _is_document(columns)]
    documents = [columns for columns in found if _is_document(columns)]
    return [*found, own] if named else [*documents, own, *lists]


def _is_document(columns: dict[str, Column]) -> bool:
    """Return whether columns came from an mdoc."""
    return any(column.source.startswith("mdoc") for column in columns.values())


def merge(sources: Sequence[dict[str, Column]]) -> tuple[dict[str, Column], tuple[Issue, ...]]:
    """Return one column for each name, the first source first, and one issue for all contradictions.

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
    """Return a phrase with the section that differs most, both values and both sources."""
    one, two = (np.atleast_1d(values) for values in np.broadcast_arrays(first.values, second.values))
    away = np.abs(one - two)
    away = np.where(np.isnan(away), np.zeros_like(away), away)
    at = int(np.argmax(away))
    return (
        f"{first.name} of section {at} is {one[at]} in the {first.source} and {two[at]} in the {second.source}; "
        f"the {first.source} is used"
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
    """Return a column as a coordinate along the dims of the sections; a scalar if there is one value or no dim."""
    if not column.values.ndim:
        return Coordinate((), column.values, dict(column.attrs))
    values = column.values if along else column.values[:1]
    return Coordinate(tuple(along), values.reshape(tuple(along.values())), dict(column.attrs))


def _record_coordinate(records: Records | None, along: Mapping[str, int]) -> dict[str, Coordinate]:
    """Return the coordinate with the records as text, one line a section; empty lines for sections without one."""
    if records is None or not len(records):
        return {}
    count = math.prod(along.values())
    lines = records.tokens()[:count]
    lines += [""] * (count - len(lines))
    attrs = {
        "long_name": f"record of the extended header ({records.dialect.name}), for writing it back",
        "records": len(records),
        "reserved": records.reserve_token(),
        "following": len(records.reserved),
    }
    values = np.array(lines, dtype=object).reshape(tuple(along.values()))
    return {RECORD: Coordinate(tuple(along), values, attrs)}
