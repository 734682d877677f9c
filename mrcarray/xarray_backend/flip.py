"""Mirror an array along an axis whose coordinate stays."""

from __future__ import annotations

from typing import Any

import xarray as xr

from mrcarray.errors import MrcValueError
from mrcarray.xarray_backend import convention
from mrcarray.xarray_backend.indexes import GRID_DIMS

__all__ = ["flipped"]


def flipped(obj: xr.DataArray | xr.Dataset, dim: str) -> Any:
    """Return the array mirrored along an axis; see `mrcarray.accessor.MrcAccessor.flip`."""
    if dim not in obj.dims:
        raise MrcValueError(f"there is no dim {dim!r} to flip; the dims are {', '.join(map(str, obj.dims))}")
    out: Any = obj.isel({dim: slice(None, None, -1)})
    if dim in GRID_DIMS and dim in obj.coords:
        indexes = {dim: obj.xindexes[dim]} if dim in obj.xindexes else {}
        out = out.assign_coords(xr.Coordinates({dim: obj.coords[dim].variable}, indexes=indexes))
    for array in out.data_vars.values() if isinstance(out, xr.Dataset) else (out,):
        # Records of unknown kind in the file do not belong to the sections any more.
        if array.dims[:1] == (dim,) and "header" in array.encoding:
            array.encoding[convention.REORDERED] = not array.encoding.get(convention.REORDERED, False)
    return out
