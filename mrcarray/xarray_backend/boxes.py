"""Boxes around points in ångström."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from mrcarray.errors import Hint, MrcValueError
from mrcarray.format.boxes import Boxes

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["boxes_around"]


def boxes_around(
    data: xr.DataArray, points: Any, size: Any, grid: Mapping[str, tuple[float, float]], *, fill: float | None
) -> xr.DataArray:
    """Return boxes around points of an array whose dims are x, y and z; see `mrcarray.accessor.MrcAccessor.boxes`.

    Parameters
    ----------
    data : DataArray
        The array.
    points : array of float, shape (box, axis)
        x, y and z of each centre in ångström.
    size : float or (x, y, z)
        Length of a box in ångström.
    grid : mapping of str to (float, float)
        Position of the first voxel and voxel size along each axis in ångström.
    fill : number or None
        Value of what is outside.
    """
    axes = [axis for axis in "xyz" if axis in data.dims]
    if set(data.dims) != set(axes) or not all(np.isfinite(grid[axis][1]) for axis in axes):
        text = (
            f"the dims are {', '.join(map(str, data.dims))}; boxes need x, y and z (or x and y) with a known voxel size"
        )
        raise MrcValueError(text, hint=Hint("select one section or volume first, such as array.isel(section=0)"))
    given = np.atleast_2d(np.asarray(points, dtype=np.float64))
    if given.ndim != 2 or given.shape[1] != len(axes):  # noqa: PLR2004 -- boxes and axes
        raise MrcValueError(f"points has shape {np.shape(points)}; expected (box, {len(axes)}), {', '.join(axes)} in Å")
    sizes = np.broadcast_to(np.asarray(size, dtype=np.float64), (len(axes),))
    order = [axes.index(str(dim)) for dim in data.dims]
    start, step = np.array([grid[axis] for axis in axes]).T
    centres = np.rint((given - start) / step).astype(np.int64)[:, order]
    shape = tuple(np.maximum(1, np.rint(sizes / abs(step))).astype(int)[order].tolist())
    boxes = Boxes.around(centres, shape, data.shape)
    if fill is None:
        boxes.check_inside()
    out: Any = np.full((len(centres), *shape), 0 if fill is None else fill, data.dtype)
    for number in boxes.in_file_order():
        inside, part = boxes.parts(number)
        out[(number, *part)] = data.variable[inside].values
    coords: dict[Any, Any] = {
        dim: xr.Variable((dim,), (np.arange(length) - length // 2) * grid[str(dim)][1], {"units": "angstrom"})
        for dim, length in zip(data.dims, shape, strict=True)
    }
    coords |= {
        f"{axis}_centre": ("box", values, {"units": "angstrom"}) for axis, values in zip(axes, given.T, strict=True)
    }
    return xr.DataArray(out, coords=coords, dims=("box", *data.dims), name=data.name)
