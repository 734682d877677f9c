"""The header words that say where the grid of an array is: intervals, cell, order of the axes, start and origin.

Words of the old header that still say what is true are left as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mrcarray.format.geometry import Geometry, snap
from mrcarray.format.infer import interpret
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.layout import Kind
from mrcarray.integrations import axes as grid_axes
from mrcarray.integrations.encoding.original import float_attrs, placement_of

if TYPE_CHECKING:
    from collections.abc import Hashable

    import xarray as xr

    from mrcarray.format.draft import Draft
    from mrcarray.format.header import Header
    from mrcarray.integrations.axes import Axis
    from mrcarray.integrations.encoding.wishes import Wishes

__all__ = ["Place", "grid_fields", "place_of", "still_true"]

_XYZ = ("x", "y", "z")
_ORTHOGONAL = (90.0, 90.0, 90.0)
_CLOSE = 1e-3
"""Part of a voxel by which a place may be off and still count as the same."""


@dataclass(slots=True)
class Place:
    """What is known of the grid, and what is to be said about it."""

    kind: Kind
    axes: dict[str, Axis]
    order: tuple[str, ...]
    """Spatial axes of the file, slowest first; always three."""
    issues: list[Issue] = field(default_factory=list)

    @property
    def mapcrs(self) -> tuple[int, int, int]:
        """Which axis columns, rows and sections run along (MRC2014 words 17-19)."""
        s, r, c = ("xyz".index(axis) + 1 for axis in self.order)
        return c, r, s


def place_of(array: xr.DataArray, kind: Kind, wishes: Wishes) -> Place:
    """Return the grid an array has now, with the voxel size the caller asked for."""
    spatial = [str(dim) for dim in array.dims if dim in _XYZ and not _is_stack(array, kind, dim)]
    missing = [axis for axis in _XYZ if axis not in spatial]
    found = {axis: grid_axes.axis_of(array, axis) for axis in spatial}
    for axis in missing:
        found[axis] = grid_axes.axis_of(array, axis) if axis not in array.dims else grid_axes.Axis(axis, 1)
    asked = grid_axes.asked_sizes(wishes.voxel_size)
    if asked is not None:
        found = {axis: found[axis].resized(asked["xyz".index(axis)]) for axis in found}
    return Place(kind, found, (*missing, *spatial))


def _is_stack(array: xr.DataArray, kind: Kind, dim: Hashable) -> bool:
    return kind is Kind.IMAGE_STACK and dim == array.dims[0]


def still_true(array: xr.DataArray, base: Header | None, sized: Draft, place: Place, wishes: Wishes) -> Header | None:
    """Return the old header with the new sizes, if reading it gives the very kind and grid the array has."""
    if base is None:
        return None
    new = sized.header
    words = ("cella", "cellb", "mapcrs", "nstart", "origin", "m", "ispg")
    as_read = {name: getattr(base, name) for name in words}
    header = new.replace(**as_read)
    found = interpret(header, name=wishes.name).layout
    if found is None or found.kind is not place.kind or found.shape != sized.layout.shape:
        return None
    geometry = Geometry.from_header(header, found, placement_of(array))
    spatial = tuple(axis for axis in place.order if axis in geometry.axes)
    if spatial != geometry.axes:
        return None
    same = all(_agrees(place.axes[axis], geometry, "xyz".index(axis)) for axis in geometry.axes)
    return header if same else None


def _agrees(axis: Axis, geometry: Geometry, at: int) -> bool:
    size, start = geometry.voxel_size[at], geometry.start[at]
    if math.isnan(size) or math.isnan(axis.step):
        if not math.isnan(size) or not math.isnan(axis.step):
            return axis.length == 1 and math.isnan(axis.step) and _near(axis.start, start, size)
        return axis.count is None or axis.count == geometry.nstart[at]
    return snap(axis.step) == size and _near(axis.start, start, size)


def _near(one: float, two: float, size: float) -> bool:
    return math.isnan(one) or abs(one - (0.0 if math.isnan(two) else two)) <= _CLOSE * size


def grid_fields(array: xr.DataArray, base: Header | None, sized: Draft, place: Place) -> dict[str, Any]:
    """Return the header words that say where the grid of the array is."""
    steps = _steps(base, place)
    lengths = tuple(place.axes[axis].length for axis in _XYZ)
    m, cella = _cell(array, steps, lengths, place)
    origin, nstart = _start(array, sized, steps, place)
    angles = float_attrs(array, "cell_angles", _ORTHOGONAL)
    c, r, s = (axis - 1 for axis in place.mapcrs)
    return {
        "m": m,
        "cella": cella,
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


def _cell(
    array: xr.DataArray, steps: tuple[float, ...], lengths: tuple[int, ...], place: Place
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return intervals and lengths of the cell: that of the crystal as long as the grid divides it, else the box."""
    if place.kind in (Kind.IMAGE, Kind.IMAGE_STACK):
        sections = place.order[0]
        lengths = tuple(1 if axis == sections else n for axis, n in zip(_XYZ, lengths, strict=True))
    box = tuple(0.0 if math.isnan(step) else step * n for step, n in zip(steps, lengths, strict=True))
    old = float_attrs(array, "cell_lengths")
    if len(old) != 3 or not all(map(math.isfinite, (*old, *steps))):  # noqa: PLR2004 -- x, y, z
        return lengths, box
    if place.kind in (Kind.IMAGE, Kind.IMAGE_STACK):  # the cell of an image has no depth
        old = tuple(box[at] if axis == place.order[0] else old[at] for at, axis in enumerate(_XYZ))
    if place.kind is Kind.VOLUME_STACK:  # mz is the sections of a volume there
        old = (*old[:2], box[2])
    counts = [length / step for length, step in zip(old, steps, strict=True)]
    whole = tuple(round(count) for count in counts)
    if all(n > 0 and abs(count - n) < _CLOSE * n for count, n in zip(counts, whole, strict=True)):
        return whole, old
    text = "the unit cell is not a whole number of voxels any more; the file gets the box of the data as its cell"
    place.issues.append(Issue("MRC110", Severity.WARNING, text, 8))
    return lengths, box


def _start(
    array: xr.DataArray, sized: Draft, steps: tuple[float, ...], place: Place
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Return words 50-52, and words 5-7 in the order x, y, z, that place the first voxel where the coords say.

    Files that were placed by words 5-7 are again, if the place is a whole number of voxels; all others by words 50-52.
    """
    starts = tuple(0.0 if math.isnan(place.axes[axis].start) else place.axes[axis].start for axis in _XYZ)
    counts = _counts(starts, steps, place)
    stored = float_attrs(array, "origin", (0.0, 0.0, 0.0))
    if array.dtype.kind == "c":
        return stored, _whole(counts, place, must=True) or (0, 0, 0)
    by_count = array.attrs.get("placement") == "nstart" or all(math.isnan(step) for step in steps)
    whole = _whole(counts, place, must=False) if by_count else None
    if whole is not None:
        return (0.0, 0.0, 0.0), whole
    inverted = sized.header.imod.inverted_origin
    return tuple(-x if inverted and x else x for x in starts), (0, 0, 0)


def _counts(starts: tuple[float, ...], steps: tuple[float, ...], place: Place) -> tuple[float, ...]:
    out = []
    for name, start, step in zip(_XYZ, starts, steps, strict=True):
        count = place.axes[name].count
        out.append(float(count or 0) if math.isnan(step) else start / step)
    return tuple(out)


def _whole(counts: tuple[float, ...], place: Place, *, must: bool) -> tuple[int, ...] | None:
    """Return the counts if they are whole numbers of voxels."""
    whole = tuple(round(count) for count in counts)
    if all(abs(count - n) < _CLOSE for count, n in zip(counts, whole, strict=True)):
        return whole
    if must:
        text = "complex pixels are placed by whole voxels (words 5-7); the place of this array is not, and is lost"
        place.issues.append(Issue("MRC105", Severity.WARNING, text, 5))
    return None
