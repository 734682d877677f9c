"""Half transforms on their way to a file: from spatial frequencies back to the grid of the real image.

A header says how long the cell is and how many intervals of the real image it has; `mrcarray.format.fourier` made the
frequencies from that. The columns are the axis of which half is stored, whatever the order of the axes now is. A
transform of which parts were cut away has no real image any more, and says so. What is real, a power spectrum say, is
no transform in any program's eyes, and its frequencies would be taken for places.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mrcarray.format.issues import Issue, Severity
from mrcarray.xarray_backend.coordinates import falls, turned_issue

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["FREQUENCY", "in_space"]

FREQUENCY = "1/angstrom"
"""Unit of the coords of a half transform."""

_AXES = ("x", "y", "z")


def in_space(array: xr.DataArray) -> tuple[xr.DataArray, tuple[Issue, ...]]:
    """Return the array with places instead of frequencies, and an issue when no header can say them.

    Parameters
    ----------
    array : DataArray
        Any array; one without frequencies is returned as it is.

    Returns
    -------
    DataArray
        Its frequency coords are replaced, or dropped where they are not those of a whole transform; the axis that is
        half comes last, since a file has it in its columns.
    tuple of Issue
    """
    found = [axis for axis in _AXES if axis in array.coords and array.coords[axis].attrs.get("units") == FREQUENCY]
    if not found:
        return array, ()
    if array.dtype.kind != "c":
        text = "the coordinates are spatial frequencies, which a file of real pixels cannot say; they are not written"
        return _without_grid(array.drop_vars(found)), (Issue("MRC307", Severity.WARNING, text, 8),)
    fallen = [axis for axis in found if axis in array.dims and falls(array, axis)]
    array, turned = array.isel(dict.fromkeys(fallen, slice(None, None, -1))), tuple(map(turned_issue, fallen))
    sizes = {axis: _size(array, axis) for axis in found}
    array = _half_last(array, found)
    if any(math.isnan(size) for size in sizes.values()) or _cannot_be_said(array):
        text = "the array is no whole half transform any more, so the file cannot say which spatial frequencies it has"
        return array.drop_vars(found), (*turned, Issue("MRC307", Severity.WARNING, text, 8))
    steps = {axis: (axis, size * np.arange(array.sizes[axis]), {"units": "angstrom"}) for axis, size in sizes.items()}
    return array.assign_coords(steps), turned


def _half_last(array: xr.DataArray, axes: list[str]) -> xr.DataArray:
    """Return the array with the axis of which half is stored as the fastest."""
    half = [axis for axis in axes if axis in array.dims and _is_half(array, axis)]
    return array.transpose(..., half[0]) if len(half) == 1 else array


def _is_half(array: xr.DataArray, axis: str) -> bool:
    """Whether an axis has no negative frequencies, and more than zero itself."""
    values = array.coords[axis].values
    return bool(values[0] == 0 and values.size > 1)


def _cannot_be_said(array: xr.DataArray) -> bool:
    """Whether columns along z stand against the rule that z is slowest in a stack of volumes."""
    return array.dims[-1:] == ("z",) and {"x", "y"} < set(array.dims) and array.ndim > len(_AXES)


def _without_grid(array: xr.DataArray) -> xr.DataArray:
    """Return the array without the header it came from, whose cell is that of an image which these pixels are not."""
    array = array.copy(deep=False)
    array.encoding = {key: value for key, value in array.encoding.items() if key != "header"}
    return array


def _size(array: xr.DataArray, axis: str) -> float:
    """Return the size of a real pixel along an axis whose frequencies are all there, else NaN."""
    if axis not in array.dims:
        return math.nan
    values, length = np.asarray(array.coords[axis].values, dtype=np.float64), array.sizes[axis]
    intervals, lengths = (np.atleast_1d(array.attrs.get(name, ())) for name in ("cell_intervals", "cell_lengths"))
    if len(intervals) != 3 or len(lengths) != 3:  # noqa: PLR2004 -- x, y, z
        return math.nan
    at = _AXES.index(axis)
    width, size = int(intervals[at]), float(lengths[at]) / max(int(intervals[at]), 1)
    half, whole = np.arange(length), np.arange(length) - length // 2
    counted = half if length == width // 2 + 1 and values[:1] == 0 else whole
    fits = size > 0 and (counted is half or length == width) and np.allclose(values * width * size, counted, atol=1e-3)
    return size if fits else math.nan
