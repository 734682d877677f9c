"""From one file to another: modes, formats and grids, streamed at any size.

What is read is a labelled dask array, whatever the format; what is written appears under its name when it is complete,
and not at all when something fails. To add a format, add a row to `READERS` and one to `WRITERS`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import MissingDependencyError, MrcValueError
from mrcarray.format.kinds import suffix
from mrcarray.integrations import convention

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import xarray as xr

__all__ = ["READERS", "WRITERS", "convert", "crop", "load"]

_GRID = ("z", "y", "x")
_ZSTD = (".zst", ".zstd")
PIECE = 1 << 20


def convert(  # noqa: PLR0913 -- what to read, what to do with it, and what to write
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    sel: Mapping[str, slice] | None = None,
    isel: Mapping[str, slice] | None = None,
    bin: int = 1,  # noqa: A002 -- the word of the trade
    dtype: Any = None,
    overwrite: bool = False,
    progress: bool = False,
    **options: Any,
) -> str:
    """Convert a file; the suffixes say from what and to what.

    Parameters
    ----------
    source : str or path
        An MRC file, plain or compressed, or a ``.tif``, ``.nc`` or ``.zarr``.
    target : str or path
        Likewise.
    sel : mapping, optional
        Slices by dim, in ångström (or in what the coordinates are), both ends included where they fall on a voxel.
    isel : mapping, optional
        Slices by dim, in voxels.
    bin : int
        How many voxels along x, y (and z of a volume) to average into one.
    dtype : dtype_like, optional
        Store the values as this dtype; values outside its range are refused.
    overwrite : bool
        Whether the target may exist.
    progress : bool
        Whether to show a progress bar.
    **options
        For MRC targets as `to_mrc`: mode, kind, byteorder, voxel_size and the like.

    Returns
    -------
    str
        The target.

    Raises
    ------
    MrcValueError
        When the target's format cannot hold this.
    FileExistsError
        When the target exists, and `overwrite` is false.

    Examples
    --------
    >>> small = convert("tomo.mrc", "small.mrc", bin=2)
    >>> import mrcarray
    >>> mrcarray.open_dataarray(small).mrc.voxel_size
    (4.0, 4.0, 4.0)
    """
    target = os.fspath(target)
    if os.path.lexists(target) and not overwrite:
        raise FileExistsError(17, "the output exists; --overwrite replaces it", target)
    if os.path.isdir(source) and os.path.exists(target) and os.path.samefile(source, target):  # noqa: PTH112, PTH110, PTH121 -- names need not be text
        raise MrcValueError("the output is the input")
    write: Callable[..., None] = WRITERS.get(_suffix(target), _to_mrc)
    with load(source) as whole, _bar(shown=progress):
        array = _binned(crop(whole, sel, isel), bin)
        write(array, target, dtype, overwrite=overwrite, options=options)
    return target


def _suffix(path: str | os.PathLike[str]) -> str:
    return suffix(os.fsdecode(path).rstrip("/"))


def load(path: str | os.PathLike[str]) -> xr.DataArray:
    """Open a file of any format that is known as a labelled dask array.

    Examples
    --------
    >>> load("tomo.mrc").dims
    ('z', 'y', 'x')
    """
    return READERS.get(_suffix(path), _from_mrc)(path)


def crop(
    array: xr.DataArray, sel: Mapping[str, slice] | None = None, isel: Mapping[str, slice] | None = None
) -> xr.DataArray:
    """Cut an array by places, or by voxels.

    Raises
    ------
    MrcValueError
        When a dim does not exist, or nothing is left.
    """
    unknown = [dim for dim in {**(sel or {}), **(isel or {})} if dim not in array.dims]
    if unknown:
        raise MrcValueError(f"there is no dim {unknown[0]!r}; the dims are {', '.join(map(str, array.dims))}")
    unlabelled = [dim for dim in sel or {} if dim not in array.indexes]
    if unlabelled:
        raise MrcValueError(f"dim {unlabelled[0]!r} has no coordinates; cut it with isel")
    out = array.isel(isel or {}).sel(sel or {})
    if 0 in out.shape:
        raise MrcValueError("nothing is left: the slices lie outside the array")
    return out


def _binned(array: xr.DataArray, factor: int) -> xr.DataArray:
    if factor < 1:
        raise MrcValueError(f"bin is {factor}; expected 1 or more")
    if factor == 1:
        return array
    dims = [dim for dim in _GRID if dim in array.dims]
    short = [dim for dim in dims if array.sizes[dim] < factor]
    if short:
        raise MrcValueError(f"bin is {factor}, but dim {short[0]!r} has {array.sizes[short[0]]} voxels")
    kind = array.dtype.kind
    wide = array if kind == "c" else array.astype("float32")
    out = wide.coarsen(dict.fromkeys(dims, factor), boundary="trim").mean()
    out = out.assign_attrs(array.attrs)
    out.encoding = {key: value for key, value in array.encoding.items() if key == "source"}
    return out.rename(array.name)


def _bar(*, shown: bool) -> contextlib.AbstractContextManager[Any]:
    if not shown:
        return contextlib.nullcontext()
    import sys

    from dask.diagnostics.progress import ProgressBar

    bar: contextlib.AbstractContextManager[Any] = ProgressBar(out=sys.stderr)
    return bar


# ------------------------------------------------------------------------------------------ readers


def _from_mrc(path: str | os.PathLike[str]) -> xr.DataArray:
    import xarray as xr

    return xr.open_dataset(path, engine="mrc", chunks={})[convention.DATA]


def _from_netcdf(path: str | os.PathLike[str]) -> xr.DataArray:
    import xarray as xr

    return _only(xr.open_dataset(path, engine="h5netcdf", chunks={}))


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


def _from_tiff(path: str | os.PathLike[str]) -> xr.DataArray:
    """Open the pages of a TIFF file as sections, one chunk a page; a voxel size comes from ImageJ's tags."""
    import dask.array as da
    import xarray as xr

    tifffile = _tifffile()
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        pages, shape, dtype = len(series.pages), series.pages[0].shape, series.dtype
        sizes = _voxel_size(file)
    if len(shape) != 2:  # noqa: PLR2004 -- rows and columns
        raise MrcValueError(f"the pages have shape {shape}; only single-channel TIFF images can be converted")

    def page(block_id: tuple[int, ...]) -> Any:
        return tifffile.imread(path, key=block_id[0])[np.newaxis]

    chunks = ((1,) * pages, (shape[0],), (shape[1],))
    stack = da.map_blocks(page, chunks=chunks, dtype=dtype, meta=np.empty((0, 0, 0), dtype))
    dims = ("z", "y", "x")
    coords = {
        dim: (dim, np.arange(n) * size, {"units": "angstrom"})
        for dim, n, size in zip(dims, stack.shape, sizes, strict=True)
        if size
    }
    array = xr.DataArray(stack, dims=dims, coords=coords, name=convention.DATA)
    return array.isel(z=0, drop=True) if pages == 1 else array


def _voxel_size(file: Any) -> tuple[float, float, float]:
    """Return the size along z, y, x in ångström; zeros when the file does not tell."""
    for stated in file.shaped_metadata or ():
        if len(stated.get("voxel_size", ())) == 3:  # noqa: PLR2004 -- as `_to_tiff` writes where ImageJ's tags do not do
            z, y, x = map(float, stated["voxel_size"])
            return z, y, x
    unit = (file.imagej_metadata or {}).get("unit", "")
    scale = {"angstrom": 1.0, "nm": 10.0, "um": 1e4, "\\u00B5m": 1e4, "micron": 1e4}.get(unit)
    page = file.pages[0]
    if scale is None or "XResolution" not in page.tags:
        return (0.0, 0.0, 0.0)
    (nx, dx), (ny, dy) = page.tags["XResolution"].value, page.tags["YResolution"].value
    x, y = (float(f"{scale * d / n:.6g}") if n else 0.0 for n, d in ((nx, dx), (ny, dy)))
    return float(file.imagej_metadata.get("spacing", x / scale)) * scale, y, x


def _tifffile() -> Any:
    try:
        import tifffile
    except ImportError as error:
        raise MissingDependencyError("TIFF files need tifffile; install mrcarray[tiff]") from error
    return tifffile


READERS: dict[str, Callable[[Any], xr.DataArray]] = {
    ".nc": _from_netcdf,
    ".zarr": _from_zarr,
    ".tif": _from_tiff,
    ".tiff": _from_tiff,
}
"""What opens files of a suffix; the others are MRC."""


# ------------------------------------------------------------------------------------------ writers


def _to_mrc(array: xr.DataArray, target: str, dtype: Any, *, overwrite: bool, options: dict[str, Any]) -> None:
    from mrcarray.integrations.write import to_mrc

    if array.dtype == np.float64 and dtype is None and options.get("mode") is None:
        dtype = "float32"
    if not target.lower().endswith(_ZSTD):
        to_mrc(array, target, dtype=dtype, overwrite=overwrite, progress=False, **options)
        return
    with _beside(target) as folder:
        plain = f"{folder}/plain.mrc"
        to_mrc(array, plain, dtype=dtype, progress=False, sync=False, **options)
        _compress(plain, target, overwrite=overwrite)


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


def _in_range(array: xr.DataArray, dtype: Any) -> xr.DataArray:
    """Return the array as another dtype; a value outside its range is refused when it is written."""
    if dtype is None or np.dtype(dtype) == array.dtype:
        return array
    wanted = np.dtype(dtype)

    def cast(values: Any) -> Any:
        if wanted.kind in "iu" and values.dtype.kind == "f":
            values = np.rint(values)
        if values.size and wanted.kind in "iuf":
            info: Any = np.iinfo(wanted) if wanted.kind in "iu" else np.finfo(wanted)
            finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
            whole = finite.size == values.size or wanted.kind == "f"
            if not whole or (finite.size and not (info.min <= finite.min() and finite.max() <= info.max)):
                raise MrcValueError(f"a value does not fit {wanted}, which holds {info.min} to {info.max}")
        return values.astype(wanted)

    return array.copy(data=array.data.map_blocks(cast, dtype=wanted))


def _to_zarr(array: xr.DataArray, target: str, dtype: Any, *, overwrite: bool, options: dict[str, Any]) -> None:
    _refuse(options, "Zarr")
    target = target.rstrip("/")
    with _beside(target) as folder:
        made = f"{folder}/data.zarr"
        _plain(_in_range(array, dtype)).to_dataset(name=convention.DATA).to_zarr(made)
        if os.path.lexists(target):
            if not overwrite:
                raise FileExistsError(17, "the output exists; --overwrite replaces it", target)
            Path(target).rename(f"{folder}/old")
        Path(made).rename(target)


def _to_netcdf(array: xr.DataArray, target: str, dtype: Any, *, overwrite: bool, options: dict[str, Any]) -> None:
    _refuse(options, "netCDF")
    with _beside(target) as folder:
        made = f"{folder}/data.nc"
        _plain(_in_range(array, dtype)).to_dataset(name=convention.DATA).to_netcdf(made, engine="h5netcdf")
        _place(made, target, overwrite=overwrite)


def _to_tiff(array: xr.DataArray, target: str, dtype: Any, *, overwrite: bool, options: dict[str, Any]) -> None:
    """Write the sections as pages, one after the other, with ImageJ's tags where it can read the dtype."""
    _refuse(options, "TIFF")
    tifffile = _tifffile()
    array = _in_range(array, dtype)
    sizes = array.mrc.voxel_size
    stack = array.data.reshape(-1, *array.shape[-2:])
    known = all(size == size and size > 0 for size in sizes[:2])  # noqa: PLR0124 -- NaN
    imagej = stack.dtype.str[1:] in ("u1", "u2", "f4") and stack.nbytes < 2**32 - 2**25
    metadata: dict[str, Any] = {"axes": "ZYX"}
    if known:
        z = sizes[2] if sizes[2] > 0 else sizes[0]
        metadata |= {"unit": "angstrom", "spacing": z} if imagej else {"voxel_size": [z, sizes[1], sizes[0]]}
    with _beside(target) as folder:
        made = f"{folder}/data.tif"
        tifffile.imwrite(
            made,
            _pages(stack),
            shape=stack.shape,
            dtype=stack.dtype,
            imagej=imagej,
            bigtiff=stack.nbytes >= 2**32 - 2**25,
            metadata=metadata,
            photometric="minisblack",
            resolution=(1 / sizes[0], 1 / sizes[1]) if known else None,
        )
        _place(made, target, overwrite=overwrite)


def _pages(stack: Any) -> Iterator[Any]:
    for block in stack.blocks if stack.numblocks[1:] == (1, 1) else stack.rechunk({1: -1, 2: -1}).blocks:
        yield from np.ascontiguousarray(block.compute())


def _plain(array: xr.DataArray) -> xr.DataArray:
    """Return the array without the encoding of the file it came from, which is no other format's business."""
    out = array.drop_encoding()
    for name in out.coords:
        out.coords[name].encoding = {}
    return out


def _refuse(options: Mapping[str, Any], name: str) -> None:
    given = [key for key, value in options.items() if value is not None]
    if given:
        raise MrcValueError(f"{given[0]} is for MRC files; {name} files have none")


def _beside(target: str) -> tempfile.TemporaryDirectory[str]:
    """Return a folder beside the target for what is not complete, so that a rename ends the work."""
    folder, name = os.path.split(os.path.abspath(target))  # noqa: PTH100 -- names need not be text
    return tempfile.TemporaryDirectory(prefix=f".{name[:100]}.", suffix=".mrcarray-tmp", dir=folder)


def _place(made: str, target: str, *, overwrite: bool) -> None:
    """Give a complete file its name."""
    if overwrite:
        Path(made).replace(os.path.realpath(target))
        return
    try:
        os.link(made, target)
    except FileExistsError:
        raise
    except OSError:
        if os.path.lexists(target):
            raise FileExistsError(17, "the output exists; --overwrite replaces it", target) from None
        shutil.move(made, target)


WRITERS: dict[str, Callable[..., None]] = {
    ".nc": _to_netcdf,
    ".zarr": _to_zarr,
    ".tif": _to_tiff,
    ".tiff": _to_tiff,
}
"""What writes files of a suffix; the others are MRC."""
