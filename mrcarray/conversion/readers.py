"""What opens a file of each format as a labelled dask array. To add a format, add a row to `READERS`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, BinaryIO

from mrcarray.conversion.header_attr import restored
from mrcarray.conversion.tiff import from_tiff
from mrcarray.errors import MrcValueError
from mrcarray.format.kinds import suffix
from mrcarray.urls import is_url
from mrcarray.xarray_backend import convention

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    import xarray as xr

__all__ = ["READERS", "is_mrc", "load", "suffix_of"]

PIECE = 4 << 20
"""Bytes that are read at a time from an array that is stored in one piece."""


def suffix_of(path: str | os.PathLike[str]) -> str:
    """Return the suffix that names the format, without that of a compression."""
    return suffix(os.fsdecode(path).rstrip("/"))


def is_mrc(path: str | os.PathLike[str] | BinaryIO) -> bool:
    """Whether a file is opened as an MRC file: a binary object always, others when no other format has their suffix."""
    return not isinstance(path, str | os.PathLike) or suffix_of(path) not in READERS


def load(path: str | os.PathLike[str] | BinaryIO, kind: str | None = None) -> xr.DataArray:
    """Open a file of any format that is known as a labelled dask array; a binary object holds an MRC file.

    Parameters
    ----------
    path : str, path or readable binary object
        The file.
    kind : str, optional
        What an MRC file is, where its header should not decide.

    Examples
    --------
    >>> load("tomo.mrc").dims
    ('z', 'y', 'x')
    """
    if not isinstance(path, str | os.PathLike):
        return _from_mrc(path, kind)
    if not is_url(os.fsdecode(path)):
        os.stat(path)  # noqa: PTH116 -- a missing file is the same error whatever reads it
    return _from_mrc(path, kind) if is_mrc(path) else restored(READERS[suffix_of(path)](path), path)


def _from_mrc(path: Any, kind: str | None) -> xr.DataArray:
    import xarray as xr

    return xr.open_dataset(path, engine="mrc", chunks={}, kind=kind or "auto")[convention.DATA]


def _from_netcdf(path: str | os.PathLike[str]) -> xr.DataArray:
    import xarray as xr

    found = _only(xr.open_dataset(path, engine="h5netcdf"))
    close = found.close  # rechunking forgets it
    found = found.chunk(found.encoding.get("preferred_chunks") or _pieces(found))
    found.set_close(close)
    return found


def _pieces(array: xr.DataArray) -> dict[Hashable, int]:
    """Return chunks of at most `PIECE` bytes, each one run of bytes, for an array that is stored in one piece."""
    chunks, rest = {}, array.dtype.itemsize
    for dim, length in zip(reversed(array.dims), reversed(array.shape), strict=True):
        chunks[dim] = max(1, min(length, PIECE // rest))
        rest *= length
    return chunks


def _from_zarr(path: str | os.PathLike[str]) -> xr.DataArray:
    import xarray as xr

    return _only(xr.open_zarr(os.fspath(path)))


def _only(dataset: xr.Dataset) -> xr.DataArray:
    """Return the variable ``data``, or the only one there is; closing it closes the file."""
    names = list(dataset.data_vars)
    if convention.DATA not in names and len(names) != 1:
        dataset.close()
        raise MrcValueError(f"there are {len(names)} variables ({', '.join(map(str, names))}), none of them 'data'")
    name = convention.DATA if convention.DATA in names else names[0]
    found = dataset[name].rename(convention.DATA)
    found.set_close(dataset.close)
    return found


READERS: dict[str, Callable[[Any], xr.DataArray]] = {
    ".nc": _from_netcdf,
    ".zarr": _from_zarr,
    ".tif": from_tiff,
    ".tiff": from_tiff,
}
"""What opens files of a suffix; the others are MRC."""
