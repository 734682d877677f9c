"""TIFF files: pages are sections; a voxel size stands in ImageJ's tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import MissingDependencyError, MrcValueError
from mrcarray.integrations import convention
from mrcarray.integrations.converting.places import beside, place, room
from mrcarray.integrations.converting.values import in_range, refuse

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    import xarray as xr

__all__ = ["from_tiff", "to_tiff"]


def from_tiff(path: str | os.PathLike[str]) -> xr.DataArray:
    """Open the pages of a TIFF file as sections, one chunk a page; a voxel size comes from ImageJ's tags."""
    import dask.array as da
    import xarray as xr

    tifffile = _tifffile()
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        pages, shape, dtype = len(series.pages), series.pages[0].shape, series.dtype
        sizes = _voxel_size(file)
    if len(shape) != 2 and (shape[2:] != (3,) or dtype != np.uint8):  # noqa: PLR2004 -- rows and columns
        text = "single-channel TIFF images and those of red, green and blue bytes can be converted"
        raise MrcValueError(f"the pages have shape {shape} and dtype {dtype}; {text}")

    def page(block_id: tuple[int, ...]) -> Any:
        return tifffile.imread(path, key=block_id[0])[np.newaxis]

    chunks = ((1,) * pages, *((length,) for length in shape))
    stack = da.map_blocks(page, chunks=chunks, dtype=dtype, meta=np.empty((0,) * len(chunks), dtype))
    dims = ("z", "y", "x", "rgb")[: stack.ndim]
    coords = {
        dim: (dim, np.arange(n) * size, {"units": "angstrom"})
        for dim, n, size in zip(dims, stack.shape, sizes, strict=False)
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


def to_tiff(array: xr.DataArray, target: str, dtype: Any, *, overwrite: bool, options: dict[str, Any]) -> None:
    """Write the sections as pages, one after the other, with ImageJ's tags where it can read the dtype."""
    refuse(options, "TIFF")
    tifffile = _tifffile()
    rgb = array.dims[-1] == "rgb"
    array = in_range(array, "uint8" if rgb and dtype is None else dtype)
    sizes = array.mrc.voxel_size
    stack = array.data.reshape(-1, *array.shape[-3 if rgb else -2 :])
    known = all(size == size and size > 0 for size in sizes[:2])  # noqa: PLR0124 -- NaN
    imagej = not rgb and stack.dtype.str[1:] in ("u1", "u2", "f4") and stack.nbytes < 2**32 - 2**25
    metadata: dict[str, Any] = {"axes": "ZYXS" if rgb else "ZYX"}
    if known:
        z = sizes[2] if sizes[2] > 0 else sizes[0]
        metadata |= {"unit": "angstrom", "spacing": z} if imagej else {"voxel_size": [z, sizes[1], sizes[0]]}
    with beside(target) as folder:
        made = f"{folder}/data.tif"
        room(target, stack.nbytes)
        tifffile.imwrite(
            made,
            _pages(stack),
            shape=stack.shape,
            dtype=stack.dtype,
            imagej=imagej,
            bigtiff=stack.nbytes >= 2**32 - 2**25,
            metadata=metadata,
            photometric="rgb" if rgb else "minisblack",
            resolution=(1 / sizes[0], 1 / sizes[1]) if known else None,
        )
        place(made, target, overwrite=overwrite)


def _pages(stack: Any) -> Iterator[Any]:
    whole = stack if set(stack.numblocks[1:]) == {1} else stack.rechunk(dict.fromkeys(range(1, stack.ndim), -1))
    for block in whole.blocks:
        yield from np.ascontiguousarray(block.compute())
