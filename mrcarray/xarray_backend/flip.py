"""Mirror an array along an axis of its grid, which a slice with a negative step does not do in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import xarray as xr

from mrcarray.errors import MrcValueError

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["REORDERED", "mirrored"]

REORDERED = "sections_reordered"
"""Encoding of an array whose sections are in another order than in its file, although its coordinates are not."""

_GRID = ("x", "y", "z")
_Object = TypeVar("_Object", bound="xr.DataArray | xr.Dataset")


def mirrored(obj: _Object, dim: str) -> _Object:
    """Return an object mirrored along an axis; its grid stays, all else moves with the data.

    Parameters
    ----------
    obj : DataArray or Dataset
        What is mirrored.
    dim : str
        Name of the axis.

    Raises
    ------
    MrcValueError
        When there is no such axis.
    """
    if dim not in obj.dims:
        raise MrcValueError(f"there is no dim {dim!r} to flip; the dims are {', '.join(map(str, obj.dims))}")
    out: xr.DataArray | xr.Dataset = obj.isel({dim: slice(None, None, -1)})
    if dim in _GRID and dim in obj.coords:
        indexes = {dim: obj.xindexes[dim]} if dim in obj.xindexes else {}
        out = out.assign_coords(xr.Coordinates({dim: obj.coords[dim].variable}, indexes=indexes))
    _mark(out, dim)
    return cast("_Object", out)


def _mark(out: xr.DataArray | xr.Dataset, dim: Hashable) -> None:
    """Note that sections are reordered: records of unknown kind in the file do not belong to them any more."""
    for array in out.data_vars.values() if isinstance(out, xr.Dataset) else (out,):
        if array.dims[:1] == (dim,) and "header" in array.encoding:
            array.encoding[REORDERED] = not array.encoding.get(REORDERED, False)
