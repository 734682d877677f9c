"""Read the axes of the grid from coordinates: step, start and unit, along the sections of stacks too.

Three kinds of coordinates lead to an axis:

- positions in a unit of length, or numbers of pixels: `axis_of`;
- numbers of the sections of an image stack, whose attributes contain what the header states along them: `depth_of`.
  The headers of many volumes do not distinguish them from stacks (space group 0, mz = nz). Read as a stack, such a
  file has no coordinate in ångström along its sections, but its header states a cell, a start and intervals there. They
  follow every selection and binning, because the section numbers do. ``spacing`` is the distance of two sections in
  ångström, 0 where it is unknown; ``start`` the position of section 0 in ångström, where it is not 0; ``intervals`` is
  ``"sections"`` where the intervals (mz) count the sections, as in a volume, the number itself where they count
  something else, and absent where they are 1, as MRC2014 wants it of images;
- spatial frequencies of a half transform: `without_frequencies` turns them back into the grid of the real image. A
  header states how long the cell is and how many intervals of the real image it has; `mrcarray.format.fourier` made the
  frequencies from that. A transform from which parts were cut has no real image any more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import Hint, MrcValueError, printable
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.units import LENGTHS, PIXELS, plain
from mrcarray.xarray_backend.convention import COUNTED, COUNTED_DIMS, INTERVALS, SECTIONS, SPACING, START
from mrcarray.xarray_backend.storage_facts import float_fact

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import xarray as xr
    from numpy.typing import NDArray

__all__ = [
    "FREQUENCY",
    "Axis",
    "Depth",
    "axis_of",
    "continued",
    "counts_pixels",
    "depth_of",
    "factor_of",
    "falls",
    "given_sizes",
    "magnitudes",
    "reversed_issue",
    "section_positions",
    "units_of",
    "without_frequencies",
]

FREQUENCY = "1/angstrom"
"""Unit of the coords of a half transform."""

_XYZ = ("x", "y", "z")
_EVEN = 1e-3
"""Part of a step by which steps may differ."""
_SINGLE = 1e-6
"""Part of the largest position by which steps may differ: the precision of 32 bits."""
_DIGITS = 9
_EVEN_SECTIONS = 1e-6


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of the grid.

    Parameters
    ----------
    name : str
        x, y or z.
    length : int
        Voxels.
    step, start : float
        Voxel size and position of the first voxel in ångström; NaN where the coords do not state it.
    count : int or None
        Position of the first voxel in voxels, where the voxel size is unknown.
    unknown : bool
        Whether the coords count voxels, so that the voxel size is unknown.
    """

    name: str
    length: int
    step: float = math.nan
    start: float = math.nan
    count: int | None = None
    unknown: bool = False

    def resized(self, step: float, *, counted: bool = False) -> Axis:
        """Return the axis with another voxel size; a position counted in voxels becomes one in ångström.

        Parameters
        ----------
        step : float
            The voxel size in ångström.
        counted : bool
            Whether the position in ångström was calculated from a number of voxels, and so changes with their size.
        """
        start = self.start if self.count is None else self.count * step
        if counted and self.count is None and self.step > 0:
            start *= step / self.step
        return replace(self, step=step, start=start, count=None, unknown=False)


def factor_of(units: Any) -> float | None:
    """Return the length of a unit in ångström, None for voxels.

    Parameters
    ----------
    units : str or unit object
        In any Unicode spelling, in any case, and as pint prints it.

    Raises
    ------
    MrcValueError
        When it is not a unit of length.

    Examples
    --------
    >>> factor_of("nm"), factor_of("Å"), factor_of("micrometer"), factor_of("pixel")
    (10.0, 1.0, 10000.0, None)
    """
    name = plain(units)
    if name in PIXELS:
        return None
    if name not in LENGTHS:
        raise MrcValueError(
            f"{printable(units)!r} is not a unit of length; expected angstrom, nm, um, pixel or the like"
        )
    return LENGTHS[name]


def counts_pixels(coord: xr.DataArray) -> bool:
    """Return whether the unit of a coordinate is pixels."""
    units = units_of(coord)
    return units is not None and plain(units) in PIXELS


def units_of(coord: xr.DataArray) -> Any:
    """Return the unit of a coordinate, None if it has none."""
    return getattr(coord.data, "units", None) or coord.attrs.get("units")


def magnitudes(coord: xr.DataArray) -> NDArray[Any]:
    """Return the values of a coordinate without the unit that pint attaches, which NumPy strips with a warning."""
    data = coord.data
    return np.asarray(getattr(data, "magnitude", data))


def falls(array: xr.DataArray, dim: Hashable) -> bool:
    """Return whether the coordinate of an axis falls."""
    if dim not in array.coords or array.coords[dim].ndim != 1 or array.sizes[dim] < 2:  # noqa: PLR2004 -- to fall takes two
        return False
    values = magnitudes(array.coords[dim])
    if values.dtype.kind not in "iuf":
        return False
    positions = continued(values)
    return bool(positions[-1] < positions[0])


def reversed_issue(dim: str) -> Issue:
    """Return the warning that a flip is undone: a header has no way to state falling coordinates."""
    text = f"the coordinate {dim} falls, which a file cannot store: the axis is written in rising order, every voxel at"
    text += f" its position, which undoes a flip along {dim}"
    hint = Hint(
        f"mirror the data with .mrc.flip({dim!r}), or drop the coordinate with .drop_vars({dim!r})",
        f"mirror the data with --flip {dim}",
    )
    return Issue("MRC308", Severity.WARNING, text, 17, hint=hint)


def continued(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return positions with those at the ends filled in, which xarray leaves open where it pads.

    Examples
    --------
    >>> continued(np.array([np.nan, 2.0, 4.0, np.nan]))
    array([0., 2., 4., 6.])
    """
    values = np.asarray(values, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(values)) if values.ndim == 1 else np.arange(0)
    if known.size < 2 or known.size == values.size or known[-1] - known[0] >= known.size:  # noqa: PLR2004 -- a step takes two
        return values
    first, last = known[[0, -1]]
    step = (values[last] - values[first]) / (last - first)
    return np.where(np.isnan(values), values[first] + (np.arange(values.size) - first) * step, values)


def axis_of(array: xr.DataArray, name: str) -> Axis:
    """Read an axis from its coordinate; an axis that is not a dim of the array has a scalar coordinate or none.

    Raises
    ------
    MrcValueError
        When the coordinate is not evenly spaced, not numeric, or not in a unit of length.
    """
    length = int(array.sizes.get(name, 1))
    if name not in array.coords:
        return Axis(name, length)
    coord = array.coords[name]
    values = magnitudes(coord)
    if values.dtype.kind not in "iuf" or values.ndim > 1:
        raise MrcValueError(
            f"coordinate {name} has dtype {values.dtype} and {values.ndim} axes; expected numbers along {name}"
        )
    values = continued(np.atleast_1d(values))
    if not np.isfinite(values).all():
        at = int(np.flatnonzero(~np.isfinite(values))[0])
        text = f"coordinate {name} is {values[at]} at index {at}; expected numbers"
        typed = f".assign_coords({name}=start + step * np.arange({length}))"
        hint = f"cut and bin before .pad(), which leaves the coordinates of new voxels open, or set them: {typed}"
        raise MrcValueError(text, hint=Hint(hint))
    factor = _factor(coord, name)
    if units_of(coord) is None and str(coord.attrs.get("long_name", "")).endswith(COUNTED):
        values, factor = _of_sections(coord, values)
    step = _step(values, name)
    if factor is None:
        return _counted(name, length, values, step)
    return Axis(name, length, step * factor, float(values[0]) * factor)


def _factor(coord: xr.DataArray, name: str) -> float | None:
    units = units_of(coord)
    if units is None:
        return 1.0
    try:
        return factor_of(units)
    except MrcValueError as error:
        raise MrcValueError(f"coordinate {name}: {error}") from None


def _of_sections(coord: xr.DataArray, numbers: NDArray[np.float64]) -> tuple[NDArray[np.float64], float | None]:
    """Return the positions of numbered sections that became an axis, or their numbers where the spacing is unknown."""
    spacing, start = float(coord.attrs.get(SPACING, 0.0)), float(coord.attrs.get(START, 0.0))
    return (start + numbers * spacing, 1.0) if spacing > 0 else (numbers, None)


def _counted(name: str, length: int, values: np.ndarray[Any, Any], step: float) -> Axis:
    whole = step == 1.0 or math.isnan(step)
    count = round(float(values[0])) if whole and float(values[0]).is_integer() else 0
    return Axis(name, length, count=count, unknown=True)


def _step(values: np.ndarray[Any, Any], name: str) -> float:
    """Return the one step between values, to nine digits; NaN for one value."""
    if values.size < 2:  # noqa: PLR2004 -- a step needs two
        return math.nan
    steps = np.diff(values)
    usual = float(np.median(steps))
    if usual == 0:
        raise MrcValueError(f"coordinate {name} repeats {values[0]:g}; expected positions that differ")
    tolerance = _EVEN * abs(usual) + _SINGLE * float(np.abs(values).max())
    odd = np.flatnonzero(np.abs(steps - usual) > min(tolerance, abs(usual) / 2))
    if odd.size:
        at = int(odd[0])
        text = f"spacing along {name} is not uniform: {usual:g}, but {steps[at]:g} from index {at} to {at + 1}"
        hint = Hint("select evenly, or interpolate with .interp()")
        raise MrcValueError(f"{text}; an MRC file has one voxel size an axis", hint=hint)
    return float(f"{(values[-1] - values[0]) / (values.size - 1):.{_DIGITS}g}")


def given_sizes(voxel_size: float | Sequence[float] | None) -> tuple[float, float, float] | None:
    """Return the voxel size a caller gave, along x, y and z.

    Raises
    ------
    MrcValueError
        When it is not one positive number or three.
    """
    if voxel_size is None:
        return None
    try:
        sizes = np.asarray(voxel_size, dtype=np.float64)
    except (TypeError, ValueError):
        sizes = np.array(np.nan)
    if sizes.shape not in ((), (3,)) or not (np.isfinite(sizes) & (sizes > 0)).all():
        raise MrcValueError(
            f"voxel_size is {voxel_size!r}; expected one positive number or three (x, y, z), in ångström"
        )
    x, y, z = np.broadcast_to(sizes, (3,)).tolist()
    return x, y, z


# ------------------------------------------------------------------------------------------ sections of stacks


@dataclass(frozen=True, slots=True)
class Depth:
    """What the header of an image stack states along its sections, for the sections it has now.

    Parameters
    ----------
    spacing : float
        Distance of two sections in ångström; NaN where it is unknown.
    start : float
        Position of the first section in ångström.
    intervals : int
        Intervals of the cell along the sections, for the header word mx, my or mz.
    """

    spacing: float = math.nan
    start: float = 0.0
    intervals: int = 1


def depth_of(array: xr.DataArray, dim: Hashable) -> Depth | None:
    """Return what the attributes of the section coordinate state, None where they do not state anything.

    Sections that are no longer evenly spaced keep the spacing of their file.

    Parameters
    ----------
    array : DataArray
        An image stack.
    dim : hashable
        The dim of its sections.
    """
    coord = _section_coordinate(array, dim)
    if coord is None:
        return None
    spacing = float(coord.attrs.get(SPACING, 0.0)) or math.nan
    start = float(coord.attrs.get(START, 0.0))
    kept = coord.attrs.get(INTERVALS, 1)
    if kept == 1:  # each section is an image of its own, not a layer of a volume
        return Depth(spacing, start, 1)
    first, stride = _first_and_stride(np.atleast_1d(coord.values))
    if math.isfinite(spacing):
        start += first * spacing
    length = int(array.sizes.get(dim, 1))
    return Depth(spacing * stride, start, length if kept == SECTIONS else _divided(int(kept), stride, length))


def section_positions(array: xr.DataArray, dim: Hashable) -> NDArray[np.float64] | None:
    """Return the positions of the sections in ångström, None where their spacing is unknown.

    Parameters
    ----------
    array : DataArray
        An image stack.
    dim : hashable
        The dim of its sections.
    """
    found = depth_of(array, dim)
    if found is None or not math.isfinite(found.spacing):
        return None
    return np.asarray(found.start + found.spacing * np.arange(array.sizes.get(dim, 1)), dtype=np.float64)


def _section_coordinate(array: xr.DataArray, dim: Hashable) -> xr.DataArray | None:
    """Return the coordinate with these attributes, along `dim` or of the one section that was selected."""
    for name in (dim, *COUNTED_DIMS):
        if name in array.coords and {SPACING, START, INTERVALS} & set(array.coords[name].attrs):
            coord = array.coords[name]
            if coord.dims in ((dim,), ()) and coord.dtype.kind in "iuf":
                found: xr.DataArray = coord
                return found
    return None


def _first_and_stride(numbers: NDArray[Any]) -> tuple[float, float]:
    """Return the lowest section number and the step between two; 1 where the numbers are not evenly spaced."""
    values = numbers.astype(np.float64)
    if not np.isfinite(values).all():
        known = values[np.isfinite(values)]
        return (float(known.min()) if known.size else 0.0), 1.0
    steps = np.diff(values)
    even = steps.size > 0 and steps[0] != 0 and bool(np.allclose(steps, steps[0], rtol=_EVEN_SECTIONS, atol=0))
    return float(values.min()), abs(float(steps[0])) if even else 1.0


def _divided(intervals: int, stride: float, length: int) -> int:
    """Return the intervals of a cell of which every `stride`-th is left; the sections if that is not a whole number."""
    left = intervals / stride
    return round(left) if abs(left - round(left)) < _EVEN_SECTIONS * left else length


# ------------------------------------------------------------------------------------------ half transforms


def without_frequencies(array: xr.DataArray) -> tuple[xr.DataArray, tuple[Issue, ...]]:
    """Return the array with positions instead of spatial frequencies, and a warning if no header can state these.

    Parameters
    ----------
    array : DataArray
        Any array; one without frequencies is returned unchanged.

    Returns
    -------
    DataArray
        Its frequency coords are replaced, or dropped where they are not those of a whole transform. The axis of which
        half is stored comes last, since it is the columns of a file.
    tuple of Issue
    """
    found = [axis for axis in _XYZ if axis in array.coords and array.coords[axis].attrs.get("units") == FREQUENCY]
    if not found:
        return array, ()
    if array.dtype.kind != "c":
        # Programs take real pixels, such as a power spectrum, for an image, and their frequencies for positions.
        text = "the coordinates are spatial frequencies, which a file of real pixels cannot state; they are not written"
        return _without_grid(array.drop_vars(found)), (Issue("MRC307", Severity.WARNING, text, 8),)
    falling = [axis for axis in found if axis in array.dims and falls(array, axis)]
    array, turned = array.isel(dict.fromkeys(falling, slice(None, None, -1))), tuple(map(reversed_issue, falling))
    sizes = {axis: _size(array, axis) for axis in found}
    array = _half_last(array, found)
    if any(math.isnan(size) for size in sizes.values()) or _has_z_columns(array):
        text = "the array is not a complete half transform, so the file cannot state its spatial frequencies"
        return array.drop_vars(found), (*turned, Issue("MRC307", Severity.WARNING, text, 8))
    steps = {axis: (axis, size * np.arange(array.sizes[axis]), {"units": "angstrom"}) for axis, size in sizes.items()}
    return array.assign_coords(steps), turned


def _half_last(array: xr.DataArray, axes: list[str]) -> xr.DataArray:
    """Return the array with the axis of which half is stored as the fastest."""
    half = [axis for axis in axes if axis in array.dims and _is_half(array, axis)]
    return array.transpose(..., half[0]) if len(half) == 1 else array


def _is_half(array: xr.DataArray, axis: str) -> bool:
    """Return whether an axis has no negative frequencies, and more than zero itself."""
    values = array.coords[axis].values
    return bool(values[0] == 0 and values.size > 1)


def _has_z_columns(array: xr.DataArray) -> bool:
    """Return whether the columns of a stack of volumes run along z, which has to be its slowest axis."""
    return array.dims[-1:] == ("z",) and {"x", "y"} < set(array.dims) and array.ndim > len(_XYZ)


def _without_grid(array: xr.DataArray) -> xr.DataArray:
    """Return the array without its stored header, whose cell is that of the real image."""
    array = array.copy(deep=False)
    array.encoding = {key: value for key, value in array.encoding.items() if key != "header"}
    return array


def _size(array: xr.DataArray, axis: str) -> float:
    """Return the size of a real pixel along an axis that has all frequencies, else NaN."""
    if axis not in array.dims:
        return math.nan
    values, length = np.asarray(array.coords[axis].values, dtype=np.float64), array.sizes[axis]
    intervals, lengths = (float_fact(array, name) for name in ("cell_intervals", "cell_lengths"))
    if len(intervals) != 3 or len(lengths) != 3:  # noqa: PLR2004 -- x, y, z
        return math.nan
    at = _XYZ.index(axis)
    width, size = int(intervals[at]), float(lengths[at]) / max(int(intervals[at]), 1)
    half, whole = np.arange(length), np.arange(length) - length // 2
    counted = half if length == width // 2 + 1 and values[:1] == 0 else whole
    fits = size > 0 and (counted is half or length == width) and np.allclose(values * width * size, counted, atol=1e-3)
    return size if fits else math.nan
