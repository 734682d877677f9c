"""Bring per-section metadata up to date with the array before it is written: common units, sizes of present pixels.

A record states the size of the pixels of its image, and how many pixels of the camera make one of them. Both change
when the grid is coarsened or when every second pixel is selected, and xarray does not know that. So when a file is
opened, `note_voxel_size` adds to the coordinates the voxel size for which they were stated, and `with_followed_pixels`
updates them when they are written.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import MrcValueError
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.quantities import COMMON
from mrcarray.format.units import conversion, plain
from mrcarray.xarray_backend import coordinates as grid_axes
from mrcarray.xarray_backend.convention import RECORD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr

    from mrcarray.format.quantities import Quantity
    from mrcarray.xarray_backend.convention import Coordinate

__all__ = ["BINNING", "PIXEL", "binned_by", "in_common_units", "note_voxel_size", "stretch_of", "with_followed_pixels"]

PIXEL, BINNING = "pixel_size", "binning"
_STATED_FOR = "voxel_size"
"""Attribute: voxel size along x and y, in ångström, for which the values were stated."""
_SAME = 1e-4
"""Part of a voxel size by which two may differ and still be the same."""
_CALIBRATION = 0.1
"""Part by which a voxel size may change without being another binning."""


def in_common_units(array: xr.DataArray) -> tuple[xr.DataArray, tuple[Issue, ...]]:
    """Return the array with the quantities of the common vocabulary in their common units.

    A coordinate without a unit has the common one. One whose unit is of another kind is left out, with a warning.

    Parameters
    ----------
    array : DataArray
        Coordinates of other names are kept.

    Returns
    -------
    DataArray
        The same object if nothing changes.
    tuple of Issue
        A warning for each coordinate that is left out.
    """
    issues = []
    for name in [name for name in COMMON if name in array.coords]:
        coord, quantity = array.coords[name], COMMON[name]
        units = grid_axes.units_of(coord)
        if not units or not quantity.unit or plain(units) == plain(quantity.unit):
            continue
        try:
            converted = _converted(coord, conversion(units, quantity.unit), quantity)
        except (MrcValueError, TypeError, ValueError) as error:
            issues.append(Issue("MRC411", Severity.WARNING, f"the coordinate {name} is not written: {error}"))
            array = array.drop_vars(name)
        else:
            array = array.drop_vars(name).assign_coords({name: converted})
    return array, tuple(issues)


def _converted(coord: xr.DataArray, factor: float, quantity: Quantity) -> tuple[object, ...]:
    """Return dims, values and attrs of a coordinate in the unit of its quantity."""
    values = np.asarray(grid_axes.magnitudes(coord), dtype=np.float64)
    return coord.dims, values * factor, {**coord.attrs, "units": quantity.unit}


def note_voxel_size(coords: Mapping[str, Coordinate], voxel_size: Sequence[float]) -> None:
    """Add the voxel size of a file to the coordinates that state pixel sizes.

    Parameters
    ----------
    coords : mapping of str to Coordinate
        All coordinates of the file; those in ångström give the voxel size.
    voxel_size : sequence of float
        Of the file, along x, y and z in ångström, for coordinates that count pixels.
    """
    sizes: list[float] = []
    for axis, size in zip(("x", "y"), voxel_size, strict=False):
        units = coords[axis].attrs.get("units") if axis in coords else None
        if units == "pixel" and math.isfinite(size):
            sizes.append(float(size))
            continue
        if units != "angstrom":
            return
        values = coords[axis].values
        if values.size < 2:  # noqa: PLR2004 -- a step takes two
            return
        sizes.append(float(f"{(values[-1] - values[0]) / (len(values) - 1):.9g}"))
    for name in (PIXEL, BINNING, RECORD):
        if name in coords:
            coords[name].attrs[_STATED_FOR] = np.array(sizes)


def stretch_of(array: xr.DataArray, name: str) -> tuple[float, float]:
    """Return the ratio of the present voxel size to the one a coordinate was stated for, along x and y.

    Parameters
    ----------
    array : DataArray
        With its present grid.
    name : str
        Name of the coordinate.

    Returns
    -------
    tuple of float
        1 where the coordinate has no voxel size.
    """
    before = np.atleast_1d(np.asarray(array.coords[name].attrs.get(_STATED_FOR, ()), dtype=np.float64))
    if before.shape != (2,):
        return 1.0, 1.0
    x, y = (_ratio(array, axis, size) for axis, size in zip(("x", "y"), before, strict=True))
    return x, y


def _ratio(array: xr.DataArray, axis: str, before: float) -> float:
    if axis not in array.dims or axis not in array.coords or not before > 0:
        return 1.0
    counted = grid_axes.counts_pixels(array.coords[axis])
    ratio = _pixels_apart(array.coords[axis]) if counted else abs(grid_axes.axis_of(array, axis).step) / before
    return 1.0 if math.isnan(ratio) or abs(ratio - 1) < _SAME else ratio


def _pixels_apart(coord: xr.DataArray) -> float:
    """Return how many pixels of the file lie between two of an array whose coordinate counts them; NaN for one."""
    values = grid_axes.continued(np.atleast_1d(coord.values))
    return abs(float(values[-1] - values[0])) / (values.size - 1) if values.size > 1 else math.nan


def binned_by(ratio: float) -> float:
    """Return the binning for a ratio of voxel sizes; a small change is another calibration, not another binning.

    Examples
    --------
    >>> binned_by(2.02), binned_by(0.97), binned_by(1.4)
    (2.0, 1.0, 1.4)
    """
    nearest = round(ratio)
    return float(nearest) if nearest >= 1 and abs(ratio - nearest) <= _CALIBRATION * nearest else ratio


def with_followed_pixels(
    array: xr.DataArray, voxel_size: float | Sequence[float] | None = None
) -> tuple[xr.DataArray, tuple[Issue, ...]]:
    """Return the array with pixel sizes and binning that fit its grid.

    Parameters
    ----------
    array : DataArray
        With its present grid.
    voxel_size : float or (x, y, z), optional
        Written instead of that of the coords: another calibration, not another binning.

    Returns
    -------
    DataArray
        The same object if nothing changes.
    tuple of Issue
        A warning when a binning is not a whole number any more, and left out.
    """
    issues: tuple[Issue, ...] = ()
    given = grid_axes.given_sizes(voxel_size)
    if BINNING in array.coords and str(array.coords[BINNING].attrs.get("from", "")).startswith("extended header"):
        array, issues = _binned(array)
    if PIXEL in array.coords:
        ratio = stretch_of(array, PIXEL)[0]
        step = grid_axes.axis_of(array, "x").step if "x" in array.dims else math.nan
        if given is not None and _STATED_FOR in array.coords[PIXEL].attrs and step > 0:
            ratio *= given[0] / step
        if ratio != 1:
            array = _replaced(array, PIXEL, array.coords[PIXEL].values * ratio)
    return array, issues


def _binned(array: xr.DataArray) -> tuple[xr.DataArray, tuple[Issue, ...]]:
    ratio = binned_by(stretch_of(array, BINNING)[0])
    if ratio == 1:
        return array, ()
    values = np.asarray(array.coords[BINNING].values * ratio, dtype=np.float64)
    known = values[~np.isnan(values)]
    if np.allclose(known, np.round(known), rtol=_SAME, atol=0) and (np.round(known) >= 1).all():
        return _replaced(array, BINNING, np.round(values)), ()
    text = f"binning is not written: pixels are {ratio:.4g} times as large as in the file, not a whole number of times"
    return _replaced(array, BINNING, np.full_like(values, np.nan)), (Issue("MRC411", Severity.WARNING, text),)


def _replaced(array: xr.DataArray, name: str, values: Any) -> xr.DataArray:
    """Return the array with new values of a coordinate, for the present voxel size."""
    coord = array.coords[name]
    now = [abs(grid_axes.axis_of(array, axis).step) for axis in ("x", "y")]
    return array.assign_coords({name: (coord.dims, values, {**coord.attrs, _STATED_FOR: np.array(now)})})
