"""What writes a labelled dask array as a file of each format. To add a format, add a row to `WRITERS`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.conversion.header_attr import carrying
from mrcarray.conversion.readers import suffix_of
from mrcarray.conversion.targets import Target, called, in_this_process, new_file
from mrcarray.conversion.tiff import to_tiff
from mrcarray.conversion.values import bare, in_range, refuse
from mrcarray.errors import MissingDependencyError, MrcValueError
from mrcarray.progress import task_bar
from mrcarray.storage.atomic_folder import AtomicFolder, WorkFolder
from mrcarray.suffixes import MRC, unpacked
from mrcarray.urls import is_url
from mrcarray.xarray_backend import convention, sidecars

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

    from mrcarray.storage.atomic_stream import AtomicStream

__all__ = ["WRITERS", "check_suffix", "to_mrc_file"]

_ZSTD = (".zst", ".zstd")
_PACKED = (".gz", ".bz2", *_ZSTD)
RGB = 16
"""Mode of red, green and blue bytes."""

PIECE = 1 << 20
OVERHEAD = 1 << 16
"""Bytes of a netCDF file beside those of its variables."""
MOST_ZARR = 16 << 20
"""Bytes of an extended header of unknown kind that become an attribute of a Zarr array, which is JSON."""
MOST_NETCDF = 40 << 10
"""Likewise in a netCDF file: an attribute is text, a third longer, and HDF5 gives it 64 KiB."""


def to_mrc_file(array: xr.DataArray, to: Target, dtype: Any, options: dict[str, Any]) -> None:
    """Write an MRC file, packed when its name says so."""
    from mrcarray.xarray_backend.write import to_mrc

    if array.dtype == np.float64 and dtype is None and options.get("mode") is None:
        dtype = "float32"
    if array.dims[-1] == "rgb":
        _check_colours(dtype, options.get("mode"))
        dtype = None
    target = to.name
    if not target.lower().endswith(_ZSTD):
        with task_bar("converting", shown=to.progress):
            to_mrc(array, target, dtype=dtype, overwrite=to.overwrite, progress=False, **options)
        return
    with WorkFolder(target) as folder:
        plain = f"{folder.path}/{os.path.basename(unpacked(target))}"  # noqa: PTH119 -- names need not be text
        with called(plain, target), sidecars.announced_as(target, plain), task_bar("converting", shown=to.progress):
            to_mrc(array, plain, dtype=dtype, progress=False, sync=False, **options)
        _compress(plain, target, overwrite=to.overwrite)


def _check_colours(dtype: Any, mode: int | None) -> None:
    """Refuse what is not the one way in which an MRC file holds colours."""
    wanted = f"mode {mode}" if mode not in (None, RGB) else ""
    wanted = f"dtype {np.dtype(dtype)}" if dtype is not None and np.dtype(dtype) != np.uint8 else wanted
    if wanted:
        text = f"the pixels are red, green and blue bytes, which mode {RGB} holds; {wanted} holds one value a pixel"
        raise MrcValueError(f"{text}. Take one colour, or their mean, first")


def _compress(plain: str, target: str, *, overwrite: bool) -> None:
    from mrcarray.storage.atomic import AtomicFile

    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        try:
            from backports import zstd  # type: ignore[no-redef, unused-ignore]
        except ImportError as error:
            raise MissingDependencyError(".zst files need backports.zstd; install mrcarray[zstd]") from error
    packer, at = zstd.ZstdCompressor(), 0
    with AtomicFile(target, overwrite=overwrite) as out, open(plain, "rb") as file:  # noqa: PTH123 -- names need not be text
        while piece := file.read(PIECE):
            data = packer.compress(piece)
            out.write_at(at, data)
            at += len(data)
        out.write_at(at, packer.flush())
        out.commit()


def _to_zarr(array: xr.DataArray, to: Target, dtype: Any, options: dict[str, Any]) -> None:
    refuse(options, "Zarr")
    target = to.name.rstrip("/")
    with AtomicFolder(target, overwrite=to.overwrite) as folder:
        dataset = _dataset(array, target, dtype, MOST_ZARR)
        with task_bar("converting", shown=to.progress):
            dataset.to_zarr(folder.content)
        folder.commit()


def _to_netcdf(array: xr.DataArray, to: Target, dtype: Any, options: dict[str, Any]) -> None:
    refuse(options, "netCDF")
    dataset = _dataset(array, to.name, dtype, MOST_NETCDF)
    with (
        new_file(to, dataset.nbytes + OVERHEAD) as stream,
        task_bar("converting", shown=to.progress),
        in_this_process(),
    ):
        dataset[convention.DATA] = _checked(dataset[convention.DATA], stream)
        dataset.to_netcdf(stream, engine="h5netcdf")


def _checked(array: xr.DataArray, stream: AtomicStream) -> xr.DataArray:
    """Return an array no block of which is computed after an error of the stream."""

    def check(block: Any) -> Any:
        stream.check()
        return block

    meta = np.empty((0,) * array.ndim, array.dtype)  # without it dask calls `check` to find out the dtype
    return array.copy(data=array.data.map_blocks(check, dtype=array.dtype, meta=meta))


def _dataset(array: xr.DataArray, target: str, dtype: Any, most: int) -> xr.Dataset:
    return bare(in_range(carrying(array, target, most), dtype)).to_dataset(name=convention.DATA)


WRITERS: dict[str, Callable[..., None]] = {
    ".nc": _to_netcdf,
    ".zarr": _to_zarr,
    ".tif": to_tiff,
    ".tiff": to_tiff,
}
"""What writes files of a suffix; the others are MRC."""


def check_suffix(target: str) -> None:
    """Refuse a name whose suffix promises a format that would not be written.

    Raises
    ------
    MrcValueError
        When the suffix is none of those of MRC, nor one of `WRITERS`, or names a compression that is not written.
    """
    if is_url(target):
        raise MrcValueError("remote files are read but not written; give the name of a local one")
    last, inner = os.path.splitext(target.rstrip("/").lower())[1], suffix_of(target)  # noqa: PTH122 -- names need not be text
    packed = last != inner
    if inner in WRITERS and not packed:
        return
    if inner not in ("", *MRC) or (packed and last not in _PACKED):
        raise MrcValueError(
            f"the suffix {last!r} names no format that is written; expected one of {', '.join(MRC)}, which "
            f"{', '.join(_PACKED)} may follow, or one of {', '.join(WRITERS)}"
        )
