"""The header words that say where the grid of an array is: intervals, cell, order of the axes, start and origin.

Words of the old header that still say what is true are left as they are.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mrcarray.errors import MrcValueError
from mrcarray.format.geometry import Geometry, snap
from mrcarray.format.interpret import interpret
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.layout import Kind
from mrcarray.xarray_backend import coordinates as grid_axes
from mrcarray.xarray_backend.encode.header import float_attrs, placement_of
from mrcarray.xarray_backend.encode.placement import by_origin, start_words
from mrcarray.xarray_backend.encode.positioned import Cell, Place
from mrcarray.xarray_backend.section_spacing import depth_of

if TYPE_CHECKING:
    from collections.abc import Hashable

    import xarray as xr

    from mrcarray.format.builder import Draft
    from mrcarray.format.header import Header
    from mrcarray.xarray_backend.coordinates import Axis
    from mrcarray.xarray_backend.encode.options import Wishes

__all__ = ["grid_fields", "place_of", "still_true"]

_XYZ = ("x", "y", "z")
_ZERO = (0.0, 0.0, 0.0)
_ORTHOGONAL = (90.0, 90.0, 90.0)
_CLOSE = 1e-3
"""Part of a voxel by which a place may be off and still count as the same."""


def place_of(array: xr.DataArray, kind: Kind, wishes: Wishes) -> Place:
    """Return the grid an array has now, with the voxel size the caller asked for."""
    spatial = [str(dim) for dim in array.dims if dim in _XYZ and not _is_stack(array, kind, dim)]
    missing = [axis for axis in _XYZ if axis not in spatial]
    found = {axis: grid_axes.axis_of(array, axis) for axis in spatial}
    found |= {axis: _across(array, axis) for axis in missing}
    intervals = 1
    if kind in (Kind.IMAGE, Kind.IMAGE_STACK):
        found[missing[0]], intervals = _depth(array, kind, found[missing[0]])
    asked = grid_axes.asked_sizes(wishes.voxel_size)
    if asked is not None:
        counted = not by_origin(array)
        found = {axis: found[axis].resized(asked["xyz".index(axis)], counted=counted) for axis in found}
    return Place(kind, found, (*missing, *spatial), 1 if wishes.kind is not None else intervals)


def _across(array: xr.DataArray, name: str) -> Axis:
    """Return an axis that is not one of the grid, one voxel long: that of one section, or of sections of a stack."""
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
    """Return the axis of the sections of images, and the intervals of the cell along it.

    Its coordinate counts where there is one (of a section cut from a volume, of sections along z); else what the header
    of the stack stated.
    """
    if not math.isnan(axis.start) or axis.count is not None:
        return axis, 1
    facts = depth_of(array, array.dims[0] if kind is Kind.IMAGE_STACK else axis.name)
    if facts is None:
        return _stated_depth(array, axis), 1
    intervals = facts.intervals if kind is Kind.IMAGE_STACK else 1
    axis = replace(axis, step=facts.spacing, start=facts.start, unknown=math.isnan(facts.spacing))
    return (axis if facts.start or facts.spacing > 0 else _stated_depth(array, axis)), intervals


def _stated_depth(array: xr.DataArray, axis: Axis) -> Axis:
    """Return the axis across images with the position that the header of their file stated, if attrs still have it."""
    at = "xyz".index(axis.name)
    origin, nstart = float_attrs(array, "origin", _ZERO), float_attrs(array, "nstart", _ZERO)
    if by_origin(array) and len(origin) == 3 and "imod_flags" not in array.attrs:  # noqa: PLR2004 -- x, y, z
        return replace(axis, start=origin[at])  # IMOD's sign is known to the header alone
    if not by_origin(array) and len(nstart) == 3 and nstart[at]:  # noqa: PLR2004 -- x, y, z
        return replace(axis, start=math.nan, count=int(nstart[at]))
    return axis


def _is_stack(array: xr.DataArray, kind: Kind, dim: Hashable) -> bool:
    return kind is Kind.IMAGE_STACK and dim == array.dims[0]


def still_true(array: xr.DataArray, base: Header | None, sized: Draft, place: Place) -> Header | None:
    """Return the old header with the new sizes, if reading it gives the very kind and grid the array has."""
    if base is None:
        return None
    new = sized.header
    words = ("cella", "cellb", "mapcrs", "nstart", "origin", "m", "ispg")
    header = new.replace(**{name: getattr(base, name) for name in words})
    found = interpret(header, kind=str(place.kind)).layout
    if found is None or found.kind is not place.kind or found.shape != sized.layout.shape:
        return None
    # By the header alone: records that stated another voxel size may be changed by now, or not be written.
    geometry = Geometry.from_header(header, found, placement_of(array))
    spatial = tuple(axis for axis in place.order if axis in geometry.axes)
    if spatial != geometry.axes or not _same_cell(array, base, header, place):
        return None
    same = all(_agrees(place.axes[axis], geometry, "xyz".index(axis)) for axis in geometry.axes)
    return header if same and _same_depth(place, geometry) else None


def _same_cell(array: xr.DataArray, base: Header, header: Header, place: Place) -> bool:
    """Whether the intervals of the old cell are those of the array: the extent of a cut map is smaller."""
    if (base.nx, base.ny, base.nz) == (header.nx, header.ny, header.nz):
        return True
    unsaid = replace(place, issues=[])
    return _cell(array, _steps(base, unsaid), unsaid).m == base.m


def _same_depth(place: Place, geometry: Geometry) -> bool:
    """Whether what is known along the sections of images is what the header states."""
    if place.kind in (Kind.VOLUME, Kind.VOLUME_STACK):
        return True
    at = "xyz".index(place.order[0])
    size, start, axis = geometry.voxel_size[at], geometry.start[at], place.axes[place.order[0]]
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


def grid_fields(array: xr.DataArray, base: Header | None, sized: Draft, place: Place, wishes: Wishes) -> dict[str, Any]:
    """Return the header words that say where the grid of the array is."""
    cell = _cell(array, _steps(base, place), place)
    origin, nstart = start_words(array, sized, place, cell, wishes)
    angles = float_attrs(array, "cell_angles", _ORTHOGONAL)
    c, r, s = (axis - 1 for axis in place.mapcrs)
    return {
        "m": cell.m,
        "cella": cell.cella,
        "cellb": angles if len(angles) == 3 else _ORTHOGONAL,  # noqa: PLR2004 -- alpha, beta, gamma
        "mapcrs": place.mapcrs,
        "nstart": (nstart[c], nstart[r], nstart[s]),
        "origin": origin,
    }


def _steps(base: Header | None, place: Place) -> tuple[float, ...]:
    """Return the voxel size along x, y, z: with all the digits of the old header where it is the same.

    An axis of one voxel has no step of its own: it takes the old one, or that of another axis; so does, with a warning,
    a longer one without a coordinate.
    """
    known = [axis for axis in place.axes.values() if not math.isnan(axis.step)]
    out = []
    for at, name in enumerate(_XYZ):
        step = place.axes[name].step
        old = base.cella[at] / base.m[at] if base is not None and base.m[at] > 0 else math.nan
        usable = math.isfinite(old) and old > 0
        if usable and (math.isnan(step) or snap(step) == snap(old)) and place.axes[name].unknown is False:
            step = old
        elif math.isnan(step) and known and place.axes[name].unknown is False:
            step = known[0].step
            place.issues += _guessed(place.axes[name], known[0])
        out.append(step)
    return tuple(out)


def _guessed(axis: Axis, like: Axis) -> tuple[Issue, ...]:
    """Return a warning when an axis of many voxels gets the voxel size of another."""
    if axis.length == 1:
        return ()
    text = f"the array has no coordinate {axis.name}; its voxels are taken to be as large as those along {like.name}"
    return (Issue("MRC111", Severity.WARNING, f"{text}, {like.step:g} angstrom; voxel_size= says otherwise"),)


def _cell(array: xr.DataArray, steps: tuple[float, ...], place: Place) -> Cell:
    """Return the cell: that of the crystal as long as the grid divides it, else the extent of the data."""
    lengths = tuple(place.axes[axis].length for axis in _XYZ)
    if place.kind in (Kind.IMAGE, Kind.IMAGE_STACK):
        sections = place.order[0]
        lengths = tuple(place.intervals if axis == sections else n for axis, n in zip(_XYZ, lengths, strict=True))
    box = tuple(0.0 if math.isnan(step) else step * n for step, n in zip(steps, lengths, strict=True))
    old = float_attrs(array, "cell_lengths")
    if len(old) != 3 or not all(map(math.isfinite, (*old, *steps))):  # noqa: PLR2004 -- x, y, z
        return Cell(steps, lengths, box)
    if place.kind in (Kind.IMAGE, Kind.IMAGE_STACK):  # the cell of an image has no depth
        old = tuple(box[at] if axis == place.order[0] else old[at] for at, axis in enumerate(_XYZ))
    if place.kind is Kind.VOLUME_STACK:  # mz is the sections of a volume there
        old = (*old[:2], box[2])
    counts = [length / step for length, step in zip(old, steps, strict=True)]
    whole = tuple(round(count) for count in counts)
    if all(n > 0 and abs(count - n) < _CLOSE * n for count, n in zip(counts, whole, strict=True)):
        return Cell(steps, whole, old)
    text = "the unit cell is not a whole number of voxels any more; the file gets the box of the data as its cell"
    place.issues.append(Issue("MRC110", Severity.WARNING, text, 8))
    return Cell(steps, lengths, box)
