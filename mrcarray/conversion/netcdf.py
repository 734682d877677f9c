"""NetCDF files, read and written with h5netcdf."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.conversion.header_attr import carrying, only_variable
from mrcarray.conversion.output import Target, bare, in_range, in_this_process, new_file, refuse_options
from mrcarray.errors import missing_package
from mrcarray.progress import task_bar
from mrcarray.xarray_backend import convention

if TYPE_CHECKING:
    import os
    from collections.abc import Hashable

    import xarray as xr

    from mrcarray.storage.atomic_stream import AtomicStream

__all__ = ["from_netcdf", "to_netcdf"]

PIECE = 4 << 20
"""Bytes that are read at a time from a variable that is stored in one piece."""
OVERHEAD = 1 << 16
"""Bytes of a file in addition to those of its variables."""
LONGEST_EXTENDED = 40 << 10
"""Bytes of an extended header of unknown kind in an attribute: as text it is a third longer, and HDF5 allows 64 KiB."""


def from_netcdf(path: str | os.PathLike[str], *, piece: int = PIECE) -> xr.DataArray:
    """Open a netCDF file as a labelled dask array; a variable in one piece gets chunks of at most `piece` bytes."""
    import xarray as xr

    _require_h5netcdf("reading netCDF")
    found = only_variable(xr.open_dataset(path, engine="h5netcdf"))
    close = found.close  # chunk() drops it
    found = found.chunk(found.encoding.get("preferred_chunks") or _pieces(found, piece))
    found.set_close(close)
    return found


def _require_h5netcdf(what: str) -> None:
    try:
        import h5netcdf  # noqa: F401 -- xarray imports it
    except ImportError as error:
        raise missing_package(what, str(error.name), "netcdf") from error


def _pieces(array: xr.DataArray, nbytes: int) -> dict[Hashable, int]:
    """Return chunks of at most `nbytes`, each one run of bytes, for an array that is stored in one piece."""
    chunks, rest = {}, array.dtype.itemsize
    for dim, length in zip(reversed(array.dims), reversed(array.shape), strict=True):
        chunks[dim] = max(1, min(length, nbytes // rest))
        rest *= length
    return chunks


def to_netcdf(array: xr.DataArray, to: Target, dtype: Any, options: dict[str, Any]) -> None:
    """Write the array as the variable ``data`` of a netCDF file."""
    refuse_options(options, "netCDF")
    _require_h5netcdf("writing netCDF")
    array = bare(in_range(carrying(array, to.name, LONGEST_EXTENDED), dtype))
    dataset = array.to_dataset(name=convention.DATA)
    with (
        new_file(to, dataset.nbytes + OVERHEAD) as stream,
        task_bar("converting", shown=to.progress),
        in_this_process(),
    ):
        dataset[convention.DATA] = _checked(dataset[convention.DATA], stream)
        dataset.to_netcdf(stream, engine="h5netcdf")


def _checked(array: xr.DataArray, stream: AtomicStream) -> xr.DataArray:
    """Return the array with blocks that raise the first error of the stream instead of being computed."""

    def check(block: Any) -> Any:
        stream.check()
        return block

    meta = np.empty((0,) * array.ndim, array.dtype)  # without it dask calls `check` to find out the dtype
    return array.copy(data=array.data.map_blocks(check, dtype=array.dtype, meta=meta))
