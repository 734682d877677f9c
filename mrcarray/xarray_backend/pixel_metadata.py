"""Sizes of pixels in per-section metadata, which follow the grid.

A record states the size of the pixels of its image, and how many pixels of the camera make one of them. Both change
when the grid is coarsened or when every second pixel is taken, and xarray does not know it. So when a file is opened
the coordinates note for which voxel size they were stated, and are brought up to date when they are written.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.format.issues import Issue, Severity
from mrcarray.xarray_backend import coordinates as grid_axes
from mrcarray.xarray_backend.metadata_read import RECORD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr

    from mrcarray.xarray_backend.convention import Coordinate

__all__ = ["BINNING", "PIXEL", "binned_by", "note_voxel_size", "stretch_of", "with_followed_pixels"]

PIXEL, BINNING = "pixel_size", "binning"
_STATED_FOR = "voxel_size"
"""Attribute: voxel size along x and y, in ångström, for which the values were stated."""
_SAME = 1e-4
"""Part of a voxel size by which two may differ and still be the same."""
_CALIBRATION = 0.1
"""Part by which a voxel size may change without being another binning."""


def note_voxel_size(coords: Mapping[str, Coordinate], voxel_size: Sequence[float]) -> None:
    """Add to the coordinates of a file for which voxel size they state pixel sizes.

    Parameters
    ----------
    coords : mapping of str to Coordinate
        All coordinates of the file; those in ångström tell the voxel size.
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
    """Return how many times larger pixels are now than those a coordinate was stated for, along x and y.

    Parameters
    ----------
    array : DataArray
        With its grid as it is now.
    name : str
        Of the coordinate.

    Returns
    -------
    tuple of float
        1 where the coordinate does not tell.
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
    """Return how many pixels were made one, by how much larger they are: a small change is another calibration.

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
    """Return the array with pixel sizes and binning that are those of its grid.

    Parameters
    ----------
    array : DataArray
        With its grid as it is now.
    voxel_size : float or (x, y, z), optional
        The one that is written instead of that of the coords: another calibration, not another binning.

    Returns
    -------
    DataArray
        The same object where nothing had to be done.
    tuple of Issue
        A warning when a binning is no whole number any more, and left out.
    """
    issues: tuple[Issue, ...] = ()
    asked = grid_axes.asked_sizes(voxel_size)
    if BINNING in array.coords and str(array.coords[BINNING].attrs.get("from", "")).startswith("extended header"):
        array, issues = _binned(array)
    if PIXEL in array.coords:
        ratio = stretch_of(array, PIXEL)[0]
        step = grid_axes.axis_of(array, "x").step if "x" in array.dims else math.nan
        if asked is not None and _STATED_FOR in array.coords[PIXEL].attrs and step > 0:
            ratio *= asked[0] / step
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
    text = f"pixels are {ratio:.4g} times as large as those the file stated a binning for; the binning is not written"
    return _replaced(array, BINNING, np.full_like(values, np.nan)), (Issue("MRC411", Severity.WARNING, text),)


def _replaced(array: xr.DataArray, name: str, values: Any) -> xr.DataArray:
    """Return the array with other values of a coordinate, which are those of its grid now."""
    coord = array.coords[name]
    now = [abs(grid_axes.axis_of(array, axis).step) for axis in ("x", "y")]
    return array.assign_coords({name: (coord.dims, values, {**coord.attrs, _STATED_FOR: np.array(now)})})
