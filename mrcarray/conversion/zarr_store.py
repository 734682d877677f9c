"""Zarr stores, which are folders."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from mrcarray.conversion.header_attr import carrying, only_variable
from mrcarray.conversion.ome_zarr import from_ome_zarr
from mrcarray.conversion.output import Target, bare, in_range, refuse_options
from mrcarray.errors import MrcValueError, missing_package, printable
from mrcarray.progress import task_bar
from mrcarray.storage.atomic_folder import AtomicFolder
from mrcarray.xarray_backend import convention

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["from_zarr", "to_zarr"]

LONGEST_EXTENDED = 16 << 20
"""Bytes of an extended header of unknown kind in an attribute, which is JSON."""


def _require_zarr(what: str) -> None:
    try:
        import zarr  # noqa: F401 -- xarray imports it
    except ImportError as error:
        raise missing_package(what, str(error.name), "zarr") from error


def from_zarr(path: str | os.PathLike[str], level: int = 0) -> xr.DataArray:
    """Open a Zarr store as a labelled dask array; of an OME-Zarr image one level."""
    import xarray as xr

    _require_zarr("reading Zarr")
    image = from_ome_zarr(path, level)
    if image is not None:
        return image
    if level:
        raise MrcValueError(f"level is {level}, but {printable(os.fspath(path))} is not an OME-Zarr image")
    return only_variable(xr.open_zarr(os.fspath(path)))


def to_zarr(array: xr.DataArray, to: Target, dtype: Any, options: dict[str, Any]) -> None:
    """Write the array as the variable ``data`` of a Zarr store."""
    refuse_options(options, "Zarr")
    _require_zarr("writing Zarr")
    target = to.name.rstrip("/")
    with AtomicFolder(target, overwrite=to.overwrite) as folder:
        dataset = bare(in_range(carrying(array, target, LONGEST_EXTENDED), dtype)).to_dataset(name=convention.DATA)
        with task_bar("converting", shown=to.progress):
            dataset.to_zarr(folder.content)
        folder.commit()
