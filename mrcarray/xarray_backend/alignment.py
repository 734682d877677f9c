"""Compare the grids of arrays, and cut arrays to the voxels they share, with any index.

Arithmetic joins by the index of the first array. If that is xarray's own (after ``coarsen``, ``interp``, netCDF, Zarr),
it joins by equal labels; here the grids are compared as `GridIndex` compares them, and units of length are converted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from mrcarray.errors import Hint, MrcValueError, printable
from mrcarray.format.units import LENGTHS, plain
from mrcarray.xarray_backend.coordinates import continued, units_of
from mrcarray.xarray_backend.even_spacing import compare, positions
from mrcarray.xarray_backend.indexes import GRID_DIMS, GridIndex

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["align", "same_grid"]

_ANGSTROM = "angstrom"


def same_grid(one: xr.DataArray, other: xr.DataArray) -> bool:
    """Return whether two arrays have the same voxels: the same dims, lengths, voxel size and position.

    Parameters
    ----------
    one, other : xarray.DataArray
        Arrays with coordinates x, y, z in units of length, in pixels, or without coordinates.

    Returns
    -------
    bool

    Examples
    --------
    >>> volume = xr.open_dataarray("tomo.mrc")
    >>> same_grid(volume, volume * 2), same_grid(volume, volume.isel(z=slice(1, None)))
    (True, False)
    """
    if one.dims != other.dims or one.shape != other.shape:
        return False
    return all(_same_axis(one, other, axis) for axis in GRID_DIMS if axis in one.dims)


def align(*objects: Any) -> tuple[Any, ...]:
    """Cut arrays to the voxels they share, and give all of them the labels of the first.

    Along x, y and z the grids are compared in parts of a voxel and in ångström, with any index and any unit of length.
    Along other dims xarray joins by equal labels. No pixel is read or interpolated.

    Parameters
    ----------
    *objects : xarray.DataArray or xarray.Dataset
        Arrays on the same grid, or on parts of it; an axis without a coordinate must have the length that remains.

    Returns
    -------
    tuple
        One object for each given, with a `GridIndex` along x, y and z.

    Raises
    ------
    MrcValueError
        When spacings differ, the grids are not a whole number of voxels apart, a unit cannot be converted, or an object
        is not an array of xarray.

    Examples
    --------
    >>> volume = xr.open_dataarray("tomo.mrc")
    >>> coarse = volume.coarsen(z=2, y=2, x=2).mean()
    >>> first, second = align(coarse, coarse.isel(z=slice(2, None)))
    >>> first.shape == second.shape == (8, 16, 20)
    True
    """
    if others := [type(obj).__name__ for obj in objects if not isinstance(obj, xr.DataArray | xr.Dataset)]:
        raise MrcValueError(f"cannot align {', '.join(others)}; expected xarray.DataArray or xarray.Dataset")
    like: dict[Hashable, xr.Variable] = {}
    for obj in objects:
        for axis in _indexed_axes(obj):
            like.setdefault(axis, obj[axis].variable)
    return tuple(xr.align(*(_on_grid_index(obj, like) for obj in objects), join="inner"))


def _indexed_axes(obj: Any) -> list[str]:
    return [axis for axis in GRID_DIMS if axis in obj.coords and obj.coords[axis].dims == (axis,)]


def _on_grid_index(obj: Any, like: dict[Hashable, xr.Variable]) -> Any:
    """Return an object whose x, y and z are in the units of `like`, under a `GridIndex`."""
    axes = _indexed_axes(obj)
    variables = {axis: xr.Variable((axis,), _in_units_of(obj[axis], like[axis]), like[axis].attrs) for axis in axes}
    indexes = {axis: GridIndex.from_variables({axis: one}, options={}) for axis, one in variables.items()}
    plain = obj.drop_indexes([axis for axis in axes if axis in obj.xindexes])
    return plain.assign_coords(xr.Coordinates(variables, indexes))


def _in_units_of(coord: xr.DataArray, like: xr.Variable) -> Any:
    """Return the values of a coordinate in the units of another."""
    (factor, unit), (factor2, unit2) = _unit(coord), _unit(xr.DataArray(like))
    if unit != unit2:
        text = f"{printable(coord.name)} is in {printable(unit)} in one array and in {printable(unit2)} in another"
        raise MrcValueError(
            f"{text}; expected units of length, or the same", hint=Hint("set attrs['units'] of the coordinate")
        )
    return coord.values if factor == factor2 else coord.values * (factor / factor2)


def _unit(coord: xr.DataArray) -> tuple[float, str]:
    """Return the unit of a coordinate as factor and base unit: ångström for lengths and without a stated unit."""
    units = units_of(coord)
    name = _ANGSTROM if units is None else plain(units)
    return (LENGTHS[name], _ANGSTROM) if name in LENGTHS else (1.0, name)


def _same_axis(one: xr.DataArray, other: xr.DataArray, axis: str) -> bool:
    if axis not in one.coords or axis not in other.coords:
        return axis not in one.coords and axis not in other.coords
    (factor, unit), (factor2, unit2) = (_unit(array.coords[axis]) for array in (one, other))
    if unit != unit2:
        return False
    labels, labels2 = (
        xr.Variable((axis,), continued(array.coords[axis].values) * scale).to_index()
        for array, scale in ((one, factor), (other, factor2))
    )
    if labels.equals(labels2):
        return True
    found = compare(labels, labels2)
    if found.problem or not found.tolerance:
        return False
    return bool((positions(labels, labels2, found.tolerance) == np.arange(len(labels))).all())
