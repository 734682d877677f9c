"""The words that give the position of the first voxel: words 5-7 (nstart), words 50-52 (origin), or both.

gemmi, CCP4, Coot and Phenix place a map by words 5-7 alone; ITK and RosettaSciIO by words 50-52 alone; ChimeraX and
Mol* by words 50-52 unless all of them are 0, and else by words 5-7; VTK and GridDataFormats by the sum of both. So a
map keeps the words it was placed by, and one that was at 0 gets words 5-7, which all but the second group read.
``docs/explanation/placement.md`` has the table.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mrcarray.errors import Hint, MrcValueError
from mrcarray.format.cell_edges import to_cartesian
from mrcarray.format.geometry import ORTHOGONAL, TINY_ORIGIN, ZERO, farthest_nstart
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.kinds import kind_of_name, suffix
from mrcarray.format.layout import Kind
from mrcarray.xarray_backend.convention import RECORD
from mrcarray.xarray_backend.encode.header import group_of, placed_by_origin
from mrcarray.xarray_backend.header_attrs import label_attrs, states_symmetry
from mrcarray.xarray_backend.storage_facts import facts_of, float_fact

if TYPE_CHECKING:
    import xarray as xr

    from mrcarray.xarray_backend.coordinates import Axis
    from mrcarray.xarray_backend.encode.grid import Cell, Grid
    from mrcarray.xarray_backend.write_options import WriteOptions

__all__ = ["start_fields"]

_XYZ = ("x", "y", "z")
_CCP4_SUFFIXES = frozenset({".map", ".ccp4"})
_EMDB_LABEL = "EMDATABANK.org"
_CLOSE = 1e-3
"""Part of a voxel by which a position may be off and still count as a whole number of voxels."""
_WORD = 2**31

Words = tuple[tuple[float, ...], tuple[int, ...], tuple[Issue, ...]]
"""Words 50-52, words 5-7 in the order x, y, z, and warnings about them."""


def start_fields(
    array: xr.DataArray, grid: Grid, cell: Cell, options: WriteOptions, *, inverted_origin: bool
) -> tuple[dict[str, Any], tuple[Issue, ...]]:
    """Return the header fields for the position that the coords give the first voxel, and what they cannot state.

    Parameters
    ----------
    array : DataArray
        What is written.
    grid : Grid
        Of the array.
    cell : Cell
        Voxel size and intervals the file will state.
    options : WriteOptions
        The placement, and the name of the file, whose suffix is evidence.
    inverted_origin : bool
        Whether the header declares words 50-52 with IMOD's opposite sign.

    Raises
    ------
    MrcValueError
        When words 50-52 are asked for and cannot state the position.
    """
    origin, nstart, issues = _start_words(array, grid, cell, options, inverted=inverted_origin)
    c, r, s = (axis - 1 for axis in grid.mapcrs)
    return {"nstart": (nstart[c], nstart[r], nstart[s]), "origin": origin}, issues


def _start_words(array: xr.DataArray, grid: Grid, cell: Cell, options: WriteOptions, *, inverted: bool) -> Words:
    axes, asked = [grid.axes[axis] for axis in _XYZ], options.placement
    x, y, z = map(_along, axes, cell.steps)
    start = (x, y, z)
    counts = tuple(map(_count, axes, cell.steps))
    if array.dtype.kind == "c":
        return _of_transform(array, counts, asked)
    _check_known(counts, cell.steps, asked)
    by = asked if asked != "auto" else _words_of_source(array, options.name)
    offset = float_fact(array, "nstart_offset", ZERO) if (asked, by) == ("auto", "both") else ZERO
    counts = _moved(counts, offset, cell.steps)
    nstart, largest = _whole(counts), farthest_nstart(cell.m, tuple(axis.length for axis in axes))
    if (asked, by) == ("auto", "nstart") and (nstart is None or max(map(abs, nstart)) > largest):
        by = "both" if any(math.isfinite(step) for step in cell.steps) else by
    if by == "origin":
        return _origin(array, start, inverted=inverted), (0, 0, 0), ()
    nstart = nstart if nstart is not None else _rounded(counts)
    rounded: tuple[Issue, ...] = ()
    if by == "nstart" or _is_placed(array, grid, options.name):  # else readers go by words 50-52, which are exact
        rounded = _rounded_issues(start, counts, nstart, cell.steps)
    if by == "nstart":
        return ZERO, nstart, (*rounded, *_far_issues(nstart, largest))
    origin = _origin(array, start, inverted=inverted)
    if any(nstart) and any(offset) and max(map(abs, origin)) < TINY_ORIGIN:
        text = f"words 5-7 (nstart) are written as 0: with words 50-52 all 0, readers would place the map by {nstart}"
        return ZERO, (0, 0, 0), (*rounded, Issue("MRC105", Severity.WARNING, text, 5))
    return origin, nstart, rounded


def _is_placed(array: xr.DataArray, grid: Grid, name: str) -> bool:
    """Return whether programs place the file in space: a volume, or a stack that they may take for one.

    They may where its header counts sections as a volume does, unless its name or its metadata show the kind.
    """
    if grid.is_spatial:
        return True
    declared = kind_of_name(name) is Kind.IMAGE_STACK or {RECORD, "tilt_angle"} & set(array.coords)
    return grid.intervals != 1 and not declared


def _along(axis: Axis, step: float) -> float:
    """Return the position of the first voxel in ångström, 0 where it is unknown."""
    start = axis.start if axis.count is None else axis.count * step
    return 0.0 if math.isnan(start) else start


def _count(axis: Axis, step: float) -> float:
    """Return the position of the first voxel in voxels, 0 where it is unknown."""
    if axis.count is not None:
        return float(axis.count)
    return 0.0 if math.isnan(axis.start) or math.isnan(step) else axis.start / step


def _words_of_source(array: xr.DataArray, name: str) -> str:
    """Return the words that placed the file the array came from; words 5-7 for one at 0, and for a new array."""
    if not placed_by_origin(array):
        return "nstart"
    if any(float_fact(array, "nstart", ZERO)):
        return "both"
    return "nstart" if _is_ccp4(array, name) else "origin"


def _is_ccp4(array: xr.DataArray, name: str) -> bool:
    """Return whether this is a map of CCP4 or EMDB, which reserve words 50-52."""
    names = (name, str(array.encoding.get("source", "")))
    return (
        any(suffix(name) in _CCP4_SUFFIXES for name in names)
        or states_symmetry(array)
        or "cell_intervals" in facts_of(array)
        or group_of(array, 0) > 1
        or any(_EMDB_LABEL in label for label in label_attrs(array))
    )


def _of_transform(array: xr.DataArray, counts: tuple[float, ...], placement: str) -> Words:
    """Return the words of a transform, whose words 50-52 are its phase origin in pixels."""
    if placement in ("origin", "both"):
        text = f"placement is {placement!r}, but words 50-52 of complex pixels are their phase origin"
        hint = Hint("pass placement='nstart'", "pass --placement nstart")
        raise MrcValueError(text, hint=hint)
    whole = _whole(counts)
    issues: tuple[Issue, ...] = ()
    if whole is None:
        text = "the position of the array is lost: words 5-7 (nstart) of complex pixels store whole voxels only"
        issues = (Issue("MRC105", Severity.WARNING, text, 5),)
    return float_fact(array, "origin", ZERO), whole or (0, 0, 0), issues


def _check_known(counts: tuple[float, ...], steps: tuple[float, ...], placement: str) -> None:
    lost = [axis for axis, count, step in zip(_XYZ, counts, steps, strict=True) if count and math.isnan(step)]
    if lost and placement in ("origin", "both"):
        text = (
            f"placement is {placement!r}, but the voxel size along {', '.join(lost)} is unknown, and so is the position"
        )
        hint = Hint("pass voxel_size=, or placement='nstart'", "pass --voxel-size, or --placement nstart")
        raise MrcValueError(f"{text} in ångström", hint=hint)


def _moved(counts: tuple[float, ...], offset: tuple[float, ...], steps: tuple[float, ...]) -> tuple[float, ...]:
    """Return the counts for words 5-7 of a file whose words 5-7 gave another position than words 50-52."""
    if len(offset) != len(_XYZ):
        return counts
    known = zip(counts, offset, steps, strict=True)
    return tuple(count if math.isnan(step) else count + off / step for count, off, step in known)


def _whole(counts: tuple[float, ...]) -> tuple[int, ...] | None:
    """Return the counts if they are whole numbers of voxels that fit a word."""
    if not all(abs(count) < _WORD for count in counts):
        return None
    whole = _rounded(counts)
    return whole if all(abs(count - n) < _CLOSE for count, n in zip(counts, whole, strict=True)) else None


def _rounded(counts: tuple[float, ...]) -> tuple[int, ...]:
    return tuple(round(max(min(count, _WORD - 1), 1 - _WORD)) if math.isfinite(count) else 0 for count in counts)


def _origin(array: xr.DataArray, start: tuple[float, float, float], *, inverted: bool) -> tuple[float, ...]:
    """Return words 50-52 for a position along the edges of the cell: Cartesian, with the sign the header declares."""
    angles = float_fact(array, "cell_angles", ORTHOGONAL)
    alpha, beta, gamma = angles if len(angles) == len(_XYZ) else ORTHOGONAL
    return tuple(-x if inverted and x else x for x in to_cartesian(start, (alpha, beta, gamma)))


def _rounded_issues(
    start: tuple[float, ...], counts: tuple[float, ...], nstart: tuple[int, ...], steps: tuple[float, ...]
) -> tuple[Issue, ...]:
    """Return a warning when words 5-7 are rounded."""
    off = {
        axis: abs(count - n) * (1.0 if math.isnan(step) else step)
        for axis, count, n, step in zip(_XYZ, counts, nstart, steps, strict=True)
        if abs(count - n) >= _CLOSE
    }
    if not off:
        return ()
    shown = ", ".join(f"{distance:.3g} Å along {axis}" for axis, distance in off.items())
    position = ", ".join(f"{along:.6g}" for along in start)
    text = f"the first voxel is at ({position}) Å, not a whole number of voxels from 0, so words 5-7 (nstart) are"
    text += f" rounded: programs that place a map by them (gemmi, CCP4, Coot, Phenix) are {shown} off"
    hint = Hint("pass placement='origin' to leave these words 0", "pass --placement origin to leave these words 0")
    return (Issue("MRC105", Severity.WARNING, text, 5, hint=hint),)


def _far_issues(nstart: tuple[int, ...], limit: int) -> tuple[Issue, ...]:
    """Return a warning about words 5-7 that ChimeraX and this package ignore."""
    if max(map(abs, nstart)) <= limit:
        return ()
    text = f"words 5-7 (nstart) are {nstart}, more than ten times the size of the map, which ChimeraX and mrcarray"
    text += " ignore"
    advice = "to store the position in words 50-52 as well"
    hint = Hint(f"pass placement='both' {advice}", f"pass --placement both {advice}")
    return (Issue("MRC105", Severity.WARNING, text, 5, str(nstart), f"-{limit} to {limit}", hint),)
