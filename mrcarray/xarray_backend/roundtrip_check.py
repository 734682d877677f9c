"""Find what a file to be written will lose or contradict when it is opened again with its sidecars.

The extended header cannot store most of what an mdoc states, and an mdoc next to the file takes precedence over the
header. So both are read here the way `mrcarray.xarray_backend.metadata_read` reads them.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import Hint
from mrcarray.format.extended import RecordFacts, decode, missing
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.layout import Kind
from mrcarray.format.quantities import COMMON
from mrcarray.xarray_backend import metadata_read, metadata_write, sidecars
from mrcarray.xarray_backend.convention import COUNTED_DIMS, RECORD

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    import xarray as xr
    from numpy.typing import NDArray

    from mrcarray.format.builder import Draft
    from mrcarray.format.quantities import Column, Quantity

    Values: TypeAlias = NDArray[Any]

__all__ = ["differences"]

_ELSEWHERE = frozenset({"pixel_size"})
"""Quantities that the main header states too."""

_DIGITS = 1e-5
"""Part of a number by which one that was written as text may differ."""


def differences(array: xr.DataArray, plan: Draft, path: str | os.PathLike[str]) -> tuple[Issue, ...]:
    """Return warnings about metadata that differ or are missing when the file is opened again.

    Parameters
    ----------
    array : DataArray
        The pixels and coordinates, axes in the order of the file.
    plan : Draft
        Header and extended header to be written.
    path : str or path
        Where to; sidecars are looked for next to it.

    Returns
    -------
    tuple of Issue
        ``MRC411`` names coordinates that cannot be stored, ``MRC424`` a sidecar that describes other sections.
    """
    along = metadata_write.section_dims(array)
    given = _given(array, along)
    own = plan.layout.kind in (Kind.IMAGE, Kind.IMAGE_STACK)  # volumes are read without sidecars
    name, count = str(Path(os.fsdecode(path)).absolute()), math.prod(along.values())
    found = sidecars.load(name, "auto", count) if own else sidecars.Found()
    foreign = _foreign(array)
    if not (given or foreign) and not found.columns and not found.issues:
        return ()
    read = _read_again(plan, found, count, given)
    lost = [name for name, values in given.items() if name not in _ELSEWHERE and _is_lost(values, read.get(name))]
    return (*_lost([*lost, *foreign]), *_stale(_contradictions(array, given, read, along), found.issues))


def _foreign(array: xr.DataArray) -> list[str]:
    """Return the coordinates of a caller, with other names than the vocabulary, which no header can store.

    Those that were read from a file say so, and an mdoc or the records contain them.
    """
    known = {*COMMON, *COUNTED_DIMS, "x", "y", "z", "rgb", RECORD}
    return [
        str(name) for name, one in array.coords.items() if name not in known and one.dims and "from" not in one.attrs
    ]


def _given(array: xr.DataArray, along: Mapping[Any, int]) -> dict[str, Values]:
    """Return the values of the per-section coordinates, of one selected section, or those an mdoc states for all."""
    one = any(name in array.coords and not array.coords[name].dims for name in COUNTED_DIMS)
    names = (name for name in COMMON if name in array.coords and (one or _is_of_sections(array.coords[name])))
    given = {name: metadata_write.values_of(array, name, along) for name in names}
    return {name: values for name, values in given.items() if values is not None and not missing(values).all()}


def _is_of_sections(coord: xr.DataArray) -> bool:
    """Return whether a coordinate has a value for each section, or one that an mdoc states for all frames."""
    return bool(coord.dims) or str(coord.attrs.get("from", "")).startswith("mdoc")


def _read_again(plan: Draft, found: sidecars.Found, count: int, given: Mapping[str, Values]) -> dict[str, Column]:
    """Return the columns that the file will have when it is opened, without labels that state another value."""
    own = metadata_read.columns_of(decode(plan.extended, RecordFacts.of(plan.header)).records, count)
    labels = {
        name: column
        for name, column in metadata_read.columns_of_labels(plan.header, count).items()
        if name not in given or np.array_equal(given[name], np.broadcast_to(column.values, given[name].shape))
    }
    return metadata_read.merge([*metadata_read.ranked(found.columns, own), labels])[0]


def _is_lost(values: Values, read: Column | None) -> bool:
    """Return whether a value is known that the file will not have."""
    absent = np.ones(values.shape, dtype=bool) if read is None else missing(np.broadcast_to(read.values, values.shape))
    return bool(np.any(~missing(values) & absent))


def _lost(names: list[str]) -> tuple[Issue, ...]:
    if not names:
        return ()
    what = f"the coordinate{'s' * (len(names) > 1)} {', '.join(names)}"
    hint = Hint("save them with .mrc.to_mdoc() or .mrc.to_angles()")
    return (Issue("MRC411", Severity.WARNING, f"an MRC file cannot store {what}", hint=hint),)


def _contradictions(
    array: xr.DataArray, given: Mapping[str, Values], read: Mapping[str, Column], along: Mapping[Any, int]
) -> list[str]:
    """Return a phrase for each quantity for which a sidecar states other values than the array."""
    found = []
    for name, column in read.items():
        if name not in COMMON or column.source.startswith(("extended header", "label")):
            continue
        if name in given:
            found += _contradiction(array, name, given[name], column)
        elif name == "tilt_angle" and (numbers := _numbers(array, along)) is not None:
            shown = ", ".join(map(str, numbers[:4]))
            found.append(f"the sections are numbers {shown}, ... of those it describes")
    return found


def _contradiction(array: xr.DataArray, name: str, values: Values, column: Column) -> list[str]:
    """Return a phrase about the first section for which a sidecar states another value."""
    read = np.broadcast_to(column.values, values.shape)
    rounded = str(array.coords[name].attrs.get("from", "")).startswith("extended header")
    other = np.flatnonzero(~missing(read) & (missing(values) | _differ(COMMON[name], values, read, rounded=rounded)))
    return [f"{name} of section {at} is {values[at]}, but {read[at]} in {column.source}" for at in other[:1]]


def _differ(quantity: Quantity, values: Values, read: Values, *, rounded: bool) -> NDArray[np.bool_]:
    """Return where two known values differ; those of records are rounded, those of text are not."""
    kinds = values.dtype.kind, read.dtype.kind
    if kinds == ("M", "M"):
        return np.asarray(np.abs(values - read) > np.timedelta64(int(quantity.tolerance) if rounded else 1, "s"))
    if kinds[0] not in "iuf" or kinds[1] != "f":
        return np.asarray(values != read)
    larger = np.maximum(np.abs(values), np.abs(read))
    slack = np.maximum(quantity.tolerance, quantity.relative * larger) if rounded else _DIGITS * (1 + larger)
    return np.asarray(np.abs(values - read) > slack)


def _numbers(array: xr.DataArray, along: Mapping[Any, int]) -> Values | None:
    """Return the numbers the sections had in their file, None if they are still in that order."""
    for name in COUNTED_DIMS:
        if name in array.coords and array.coords[name].dims == tuple(along):
            values = np.asarray(array.coords[name].values)
            return None if np.all(np.diff(values) == 1) else values
    return None


def _stale(phrases: list[str], issues: tuple[Issue, ...]) -> tuple[Issue, ...]:
    reasons = [*phrases, *(issue.message for issue in issues)]
    if not reasons:
        return ()
    text = "the existing sidecar does not match the data being written: " + "; ".join(reasons)
    hint = Hint("overwrite it with .mrc.to_mdoc(..., overwrite=True) or .mrc.to_angles, or delete it", "delete it")
    return (Issue("MRC424", Severity.WARNING, text, hint=hint),)
