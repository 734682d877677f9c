"""What a file about to be written will say of its sections when it is opened again, with the sidecars beside its name.

The extended header has no place for most of what an mdoc states, and an mdoc beside the name that is written to counts
more than the header when the file is opened. So what is lost, and what will be contradicted, is found by reading both
the way `mrcarray.xarray_backend.metadata_read` does.
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
from mrcarray.xarray_backend.convention import COUNTED_DIMS

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
"""Quantities that the main header states as well."""

_DIGITS = 1e-5
"""Part of a number by which one that went through text may differ."""


def differences(array: xr.DataArray, plan: Draft, path: str | os.PathLike[str]) -> tuple[Issue, ...]:
    """Return warnings about what the file will not say, or say otherwise, when it is opened again.

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
        ``MRC411`` names coordinates that have no place, ``MRC424`` a sidecar that describes other sections.
    """
    along = metadata_write.section_dims(array)
    given = _given(array, along)
    found = _beside(str(Path(os.fsdecode(path)).absolute()), plan, math.prod(along.values()))
    if not given and not found.columns and not found.issues:
        return ()
    read = _read_again(plan, found, math.prod(along.values()), given)
    lost = [name for name, values in given.items() if name not in _ELSEWHERE and _is_lost(values, read.get(name))]
    return (*_lost(lost), *_stale(_contradictions(array, given, read, along), found.issues))


def _given(array: xr.DataArray, along: Mapping[Any, int]) -> dict[str, Values]:
    """Return what the coordinates say of each section, of the one that was selected, or (an mdoc's word) of all."""
    one = any(name in array.coords and not array.coords[name].dims for name in COUNTED_DIMS)
    names = (name for name in COMMON if name in array.coords and (one or _is_of_sections(array.coords[name])))
    given = {name: metadata_write.stated(array, name, along) for name in names}
    return {name: values for name, values in given.items() if values is not None and not missing(values).all()}


def _is_of_sections(coord: xr.DataArray) -> bool:
    """Whether a coordinate has a value for each section, or the one that an mdoc states of all frames."""
    return bool(coord.dims) or str(coord.attrs.get("from", "")).startswith("mdoc")


def _beside(path: str, plan: Draft, count: int) -> sidecars.Found:
    """Return what the sidecars say that will be read with the file."""
    own = plan.layout.kind in (Kind.IMAGE, Kind.IMAGE_STACK)
    return sidecars.load(path, "auto", count) if own else sidecars.Found()


def _read_again(plan: Draft, found: sidecars.Found, count: int, given: Mapping[str, Values]) -> dict[str, Column]:
    """Return the columns as they will be when the file is opened; a label that states another value is left out."""
    own = metadata_read.columns_of(decode(plan.extended, RecordFacts.of(plan.header)).records, count)
    labels = {
        name: column
        for name, column in metadata_read.columns_of_labels(plan.header, count).items()
        if name not in given or np.array_equal(given[name], np.broadcast_to(column.values, given[name].shape))
    }
    return metadata_read.merge([*metadata_read.ranked(found.columns, own), labels])[0]


def _is_lost(values: Values, read: Column | None) -> bool:
    """Whether something is known that the file will say nothing of."""
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
    """Return one phrase for each quantity of which a sidecar will say something else than the array."""
    found = []
    for name, column in read.items():
        if name not in COMMON or column.source.startswith(("extended header", "label")):
            continue
        if name in given:
            found += _contradiction(array, name, given[name], column)
        elif name == "tilt_angle" and (numbers := _numbers(array, along)) is not None:
            found.append(f"the sections are numbers {', '.join(map(str, numbers[:4]))}, ... of those it describes")
    return found


def _contradiction(array: xr.DataArray, name: str, values: Values, column: Column) -> list[str]:
    """Return a phrase that names the first section of which a sidecar will say something else."""
    read = np.broadcast_to(column.values, values.shape)
    rounded = str(array.coords[name].attrs.get("from", "")).startswith("extended header")
    other = np.flatnonzero(~missing(read) & (missing(values) | _differ(COMMON[name], values, read, rounded=rounded)))
    return [f"{name} of section {at} is {values[at]}, and {read[at]} in {column.source}" for at in other[:1]]


def _differ(quantity: Quantity, values: Values, read: Values, *, rounded: bool) -> NDArray[np.bool_]:
    """Say where two known values are not the same; those of records are rounded, those of text are not."""
    kinds = values.dtype.kind, read.dtype.kind
    if kinds == ("M", "M"):
        return np.asarray(np.abs(values - read) > np.timedelta64(int(quantity.tolerance) if rounded else 1, "s"))
    if kinds[0] not in "iuf" or kinds[1] != "f":
        return np.asarray(values != read)
    larger = np.maximum(np.abs(values), np.abs(read))
    slack = np.maximum(quantity.tolerance, quantity.relative * larger) if rounded else _DIGITS * (1 + larger)
    return np.asarray(np.abs(values - read) > slack)


def _numbers(array: xr.DataArray, along: Mapping[Any, int]) -> Values | None:
    """Return the numbers the sections had, when they are not in their order any more."""
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
