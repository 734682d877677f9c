"""Header fields of the grid: intervals, cell, order of the axes, start and origin.

Words of the old header that are still right for the array are kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import Hint, MrcValueError
from mrcarray.format.geometry import ORTHOGONAL, ZERO, Geometry, snap
from mrcarray.format.interpret import interpret
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.kinds import KINDS
from mrcarray.format.layout import Kind
from mrcarray.xarray_backend import coordinates as grid_axes
from mrcarray.xarray_backend.encode.header import (
    opened_geometry,
    placed_by_origin,
    placement_of,
    stored_header,
)
from mrcarray.xarray_backend.storage_facts import facts_of, float_fact

if TYPE_CHECKING:
    from collections.abc import Hashable

    import xarray as xr

    from mrcarray.format.header import Header
    from mrcarray.format.layout import Layout
    from mrcarray.xarray_backend.coordinates import Axis
    from mrcarray.xarray_backend.write_options import WriteOptions

__all__ = ["Cell", "Grid", "cell_fields", "grid_of", "is_unchanged", "with_positions"]

_XYZ = ("x", "y", "z")
_CLOSE = 1e-3
"""Part of a voxel by which two positions may differ and still be the same."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The grid of an array that is written.

    Parameters
    ----------
    kind : Kind
        Kind of file.
    axes : dict of str to Axis
        x, y and z.
    order : tuple of str
        The axes in the order of the file, slowest first; always three.
    intervals : int
        Intervals of the cell along the sections of a stack of images: 1, unless its header counted them otherwise.
    """

    kind: Kind
    axes: dict[str, Axis]
    order: tuple[str, ...]
    intervals: int = 1

    @property
    def mapcrs(self) -> tuple[int, int, int]:
        """The axis along which columns, rows and sections run (MRC2014 words 17-19)."""
        s, r, c = ("xyz".index(axis) + 1 for axis in self.order)
        return c, r, s

    @property
    def is_spatial(self) -> bool:
        """Whether the sections lie on the grid, as those of volumes do."""
        return self.kind in (Kind.VOLUME, Kind.VOLUME_STACK)


@dataclass(frozen=True, slots=True)
class Cell:
    """The cell: voxel sizes along x, y, z (NaN if unknown), its intervals (words 8-10) and lengths (words 11-13)."""

    steps: tuple[float, ...]
    m: tuple[int, ...]
    cella: tuple[float, ...]


def with_positions(array: xr.DataArray) -> xr.DataArray:
    """Return the array with positions in ångström where the header of its file can give them.

    These are the axes whose coordinate counts pixels, and those without a coordinate that are as long as in the file.
    """
    source = stored_header(array)
    kind = str(array.encoding.get("kind", "auto"))
    layout = interpret(source, kind=kind if kind in KINDS else "auto").layout if source is not None else None
    if source is None or layout is None:
        return array
    geometry = opened_geometry(array, Geometry.from_header(source, layout, placement_of(array)))
    lengths = dict(zip(geometry.axes, layout.grid[-len(geometry.axes) :], strict=True))
    for axis, size, start in zip(_XYZ, geometry.voxel_size, geometry.start, strict=True):
        if not (math.isfinite(size) and math.isfinite(start)):
            continue
        if axis in array.coords and grid_axes.counts_pixels(array.coords[axis]):
            coord = array.coords[axis]
            numbers, shift, attrs = coord.values, start - round(start / size) * size, coord.attrs
        elif axis in array.dims and axis not in array.coords and array.sizes[axis] == lengths.get(axis):
            coord, numbers, shift, attrs = array[axis], np.arange(lengths[axis]), start, {}
        else:
            continue
        array = array.assign_coords({axis: (coord.dims, numbers * size + shift, {**attrs, "units": "angstrom"})})
    return array


def grid_of(array: xr.DataArray, kind: Kind, options: WriteOptions) -> Grid:
    """Return the grid an array has now, with the voxel size the caller gave."""
    spatial = [str(dim) for dim in array.dims if dim in _XYZ and not _is_stack(array, kind, dim)]
    missing = [axis for axis in _XYZ if axis not in spatial]
    found = {axis: grid_axes.axis_of(array, axis) for axis in spatial}
    found |= {axis: _across(array, axis) for axis in missing}
    intervals = 1
    if kind in (Kind.IMAGE, Kind.IMAGE_STACK):
        found[missing[0]], intervals = _depth(array, kind, found[missing[0]])
    sizes = grid_axes.given_sizes(options.voxel_size)
    if sizes is not None:
        counted = not placed_by_origin(array)
        found = {axis: found[axis].resized(sizes["xyz".index(axis)], counted=counted) for axis in found}
    return Grid(kind, found, (*missing, *spatial), 1 if options.kind is not None else intervals)


def _across(array: xr.DataArray, name: str) -> Axis:
    """Return an axis across the images, one voxel long: that of one section, or of the sections of a stack."""
    try:
        axis = grid_axes.axis_of(array, name)
    except MrcValueError:
        if name not in array.dims:
            raise
        return grid_axes.Axis(name, 1)  # sections need not be evenly spaced
    if axis.step < 0:
        return grid_axes.Axis(name, 1, -axis.step, axis.start + (axis.length - 1) * axis.step)
    return replace(axis, length=1)


def _depth(array: xr.DataArray, kind: Kind, axis: Axis) -> tuple[Axis, int]:
    """Return the axis across images, and the intervals of the cell along it.

    Its coordinate decides if there is one (of a section cut from a volume, of sections along z), else what the header
    of the stack stated.
    """
    if not math.isnan(axis.start) or axis.count is not None:
        return axis, 1
    depth = grid_axes.depth_of(array, array.dims[0] if kind is Kind.IMAGE_STACK else axis.name)
    if depth is None:
        return _stated_depth(array, axis), 1
    intervals = depth.intervals if kind is Kind.IMAGE_STACK else 1
    axis = replace(axis, step=depth.spacing, start=depth.start, unknown=math.isnan(depth.spacing))
    return (axis if depth.start or depth.spacing > 0 else _stated_depth(array, axis)), intervals


def _stated_depth(array: xr.DataArray, axis: Axis) -> Axis:
    """Return the axis across images with the position that the header of their file stated, if it is still known."""
    at = "xyz".index(axis.name)
    origin, nstart = float_fact(array, "origin", ZERO), float_fact(array, "nstart", ZERO)
    if placed_by_origin(array) and len(origin) == 3 and "imod_flags" not in facts_of(array):  # noqa: PLR2004 -- x, y, z
        return replace(axis, start=origin[at])  # only the header contains IMOD's sign
    if not placed_by_origin(array) and len(nstart) == 3 and nstart[at]:  # noqa: PLR2004 -- x, y, z
        return replace(axis, start=math.nan, count=int(nstart[at]))
    return axis


def _is_stack(array: xr.DataArray, kind: Kind, dim: Hashable) -> bool:
    return kind is Kind.IMAGE_STACK and dim == array.dims[0]


# ------------------------------------------------------------------------------------------ unchanged grids


def is_unchanged(array: xr.DataArray, source: Header, header: Header, layout: Layout, grid: Grid) -> bool:
    """Return whether a header with the cell and position of the source gives the kind and grid the array has now.

    Parameters
    ----------
    array : DataArray
        What is written.
    source, header : Header
        Of the file the array came from, and the one to be written.
    layout : Layout
        Of the file to be written.
    grid : Grid
        Of the array.
    """
    found = interpret(header, kind=str(grid.kind)).layout
    if found is None or found.kind is not grid.kind or found.shape != layout.shape:
        return False
    # By the header alone: records that stated another voxel size may be changed by now, or not be written.
    geometry = Geometry.from_header(header, found, placement_of(array))
    spatial = tuple(axis for axis in grid.order if axis in geometry.axes)
    if spatial != geometry.axes or not _same_cell(array, source, header, grid):
        return False
    same = all(_agrees(grid.axes[axis], geometry, "xyz".index(axis)) for axis in geometry.axes)
    return same and _same_depth(grid, geometry)


def _same_cell(array: xr.DataArray, source: Header, header: Header, grid: Grid) -> bool:
    """Return whether the intervals of the cell are still right: the extent of a cut map is smaller."""
    return source.lengths == header.lengths or _cell(array, _steps(source, grid)[0], grid)[0].m == source.m


def _same_depth(grid: Grid, geometry: Geometry) -> bool:
    """Return whether the header states what is known along the sections of images."""
    if grid.is_spatial:
        return True
    at = "xyz".index(grid.order[0])
    size, start, axis = geometry.voxel_size[at], geometry.start[at], grid.axes[grid.order[0]]
    if not math.isnan(axis.step) and snap(axis.step) != size:
        return False
    return _near(axis.start, start, 1.0 if math.isnan(size) else size)


def _agrees(axis: Axis, geometry: Geometry, at: int) -> bool:
    size, start = geometry.voxel_size[at], geometry.start[at]
    if math.isnan(size) or math.isnan(axis.step):
        if not math.isnan(size) or not math.isnan(axis.step):
            return axis.length == 1 and math.isnan(axis.step) and _near(axis.start, start, size)
        return axis.count is None or axis.count == geometry.nstart[at]
    return snap(axis.step) == size and _near(axis.start, start, size)


def _near(one: float, two: float, size: float) -> bool:
    return math.isnan(one) or abs(one - (0.0 if math.isnan(two) else two)) <= _CLOSE * size


# ------------------------------------------------------------------------------------------ fields


def cell_fields(
    array: xr.DataArray, source: Header | None, grid: Grid
) -> tuple[Cell, dict[str, Any], tuple[Issue, ...]]:
    """Return the cell, its header fields and those of the order of the axes, and what they cannot state.

    Parameters
    ----------
    array : DataArray
        What is written.
    source : Header or None
        Header of the file the array came from.
    grid : Grid
        Of the array.
    """
    steps, guessed = _steps(source, grid)
    cell, changed = _cell(array, steps, grid)
    angles = float_fact(array, "cell_angles", ORTHOGONAL)
    angles = angles if len(angles) == 3 else ORTHOGONAL  # noqa: PLR2004 -- alpha, beta, gamma
    fields = {"m": cell.m, "cella": cell.cella, "cellb": angles, "mapcrs": grid.mapcrs}
    return cell, fields, (*guessed, *changed)


def _steps(source: Header | None, grid: Grid) -> tuple[tuple[float, ...], tuple[Issue, ...]]:
    """Return the voxel size along x, y, z, with all digits of the old header where it is the same.

    An axis of one voxel has no step of its own: it gets the old one, or that of another axis. A longer axis without a
    coordinate does too, with a warning.
    """
    known = [axis for axis in grid.axes.values() if not math.isnan(axis.step)]
    out, issues = [], []
    for at, name in enumerate(_XYZ):
        axis = grid.axes[name]
        step = axis.step
        old = source.cella[at] / source.m[at] if source is not None and source.m[at] > 0 else math.nan
        if not axis.unknown and math.isfinite(old) and old > 0 and (math.isnan(step) or snap(step) == snap(old)):
            step = old
        elif not axis.unknown and math.isnan(step) and known:
            step = known[0].step
            if axis.length > 1:
                issues.append(_guessed(axis, known[0]))
        out.append(step)
    return tuple(out), tuple(issues)


def _guessed(axis: Axis, like: Axis) -> Issue:
    text = f"the array has no coordinate {axis.name}; its voxel size is taken from {like.name}: {like.step:g} Å"
    hint = Hint("pass voxel_size= to set it", "pass --voxel-size to set it")
    return Issue("MRC111", Severity.WARNING, text, hint=hint)


def _cell(array: xr.DataArray, steps: tuple[float, ...], grid: Grid) -> tuple[Cell, tuple[Issue, ...]]:
    """Return the cell: that of the crystal as long as the grid divides it, else the extent of the data."""
    lengths = tuple(grid.axes[axis].length for axis in _XYZ)
    sections = grid.order[0]
    if not grid.is_spatial:
        lengths = tuple(grid.intervals if axis == sections else n for axis, n in zip(_XYZ, lengths, strict=True))
    box = tuple(0.0 if math.isnan(step) else step * n for step, n in zip(steps, lengths, strict=True))
    old = float_fact(array, "cell_lengths")
    if len(old) != 3 or not all(map(math.isfinite, (*old, *steps))):  # noqa: PLR2004 -- x, y, z
        return Cell(steps, lengths, box), ()
    if not grid.is_spatial:  # the cell of an image has no depth
        old = tuple(box[at] if axis == sections else old[at] for at, axis in enumerate(_XYZ))
    if grid.kind is Kind.VOLUME_STACK:  # its mz is the sections of a volume
        old = (*old[:2], box[2])
    counts = [length / step for length, step in zip(old, steps, strict=True)]
    whole = tuple(round(count) for count in counts)
    if all(n > 0 and abs(count - n) < _CLOSE * n for count, n in zip(counts, whole, strict=True)):
        return Cell(steps, whole, old), ()
    text = "the unit cell is not a whole number of voxels any more; the file gets the extent of the data as its cell"
    return Cell(steps, lengths, box), (Issue("MRC110", Severity.WARNING, text, 8),)
