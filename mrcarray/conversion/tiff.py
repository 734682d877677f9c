"""TIFF files: pages are sections, ImageJ's tags state the voxel size, and a tag of our own contains everything else."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.conversion.coords_json import from_json, is_ours, to_json
from mrcarray.conversion.header_attr import carrying, warn_lost
from mrcarray.conversion.output import Target, bare, in_range, new_file, refuse_options
from mrcarray.errors import Hint, MissingDependencyError, MrcValueError
from mrcarray.format.issues import Issue, Severity
from mrcarray.progress import counted
from mrcarray.xarray_backend import convention

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    import xarray as xr

    from mrcarray.progress import Progress
    from mrcarray.storage.atomic_stream import AtomicStream

__all__ = ["from_tiff", "to_tiff"]

TAG = 65300
"""Number of the tag with the description of an array; those from 65000 on are free (TIFF 6.0, p. 8)."""
LONGEST_EXTENDED = 16 << 20
"""Bytes of an extended header of unknown kind in the tag."""
PIECE = 4 << 20
"""Bytes of pages that are read at a time: tifffile counts the pages before them each time."""
_ASCII = 2
_TIFF_EXTRA = Hint("install mrcarray[tiff]", "install mrcarray[tiff]")
_CLOSE = 1e-3
"""Part of a voxel size by which ImageJ's tags, which are fractions, may differ."""


def from_tiff(path: str | os.PathLike[str], *, piece: int = PIECE) -> xr.DataArray:
    """Open the pages of a TIFF file as the array that was written, or else as sections.

    Pages share a chunk of at most `piece` bytes. A tag of our own describes the array. Another program may have changed
    the image and kept the tag: if the tag does not fit the image and its voxel size, it is ignored with a warning.
    """
    import dask.array as da

    tifffile = _tifffile()
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        pages, shape, dtype = len(series.pages), series.pages[0].shape, series.dtype
        sizes = _stated_sizes(file)
        described = file.pages[0].tags.valueof(TAG)
    if len(shape) != 2 and (shape[2:] != (3,) or dtype != np.uint8):  # noqa: PLR2004 -- rows and columns
        text = "expected one channel, or red, green and blue bytes"
        raise MrcValueError(f"the TIFF pages have shape {shape} and dtype {dtype}; {text}")

    together = max(1, piece // (math.prod(shape) * dtype.itemsize))

    def read(block_id: tuple[int, ...]) -> Any:
        first = block_id[0] * together
        return tifffile.imread(path, key=range(first, min(first + together, pages))).reshape(-1, *shape)

    chunks = da.core.normalize_chunks((together, *shape), (pages, *shape))
    stack = da.map_blocks(read, chunks=chunks, dtype=dtype, meta=np.empty((0,) * len(chunks), dtype))
    if is_ours(described):
        try:
            return _as_described(stack, described, sizes)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            text = f"tag {TAG}, with coordinates and header of an MRC file, is ignored: it describes {error}"
            warn_lost(str(path), (Issue("MRC411", Severity.WARNING, text),))
    return _sections(stack, sizes)


def _as_described(stack: Any, described: str, sizes: tuple[float, ...]) -> xr.DataArray:
    array = from_json(stack, described)
    own = _page_sizes(array)
    if not np.allclose(own, sizes, rtol=_CLOSE, atol=0):
        raise ValueError(f"voxels of (z, y, x) {_angstroms(own)}, but the image has {_angstroms(sizes)}")
    return array


def _angstroms(sizes: tuple[float, ...]) -> str:
    return f"{' x '.join(f'{size:g}' for size in sizes)} angstrom" if any(sizes) else "unknown size"


def _sections(stack: Any, sizes: tuple[float, ...]) -> xr.DataArray:
    """Return pages as the sections of a volume, or a single page as an image."""
    import xarray as xr

    dims = ("z", "y", "x", "rgb")[: stack.ndim]
    coords = {
        dim: (dim, np.arange(n) * size, {"units": "angstrom"})
        for dim, n, size in zip(dims, stack.shape, sizes, strict=False)
        if size
    }
    array = xr.DataArray(stack, dims=dims, coords=coords, name=convention.DATA)
    return array.isel(z=0, drop=True) if len(stack) == 1 else array


def _page_sizes(array: xr.DataArray) -> tuple[float, float, float]:
    """Return the size of a voxel from page to page, row to row and column to column in ångström; zeros if unknown."""
    axes = [str(dim) for dim in array.dims if dim != "rgb"]
    known = dict(zip("xyz", array.mrc.voxel_size, strict=True))
    row, column = (known.get(axis, 0.0) for axis in axes[-2:])
    if not (row > 0 and column > 0):
        return 0.0, 0.0, 0.0
    depth = known.get(axes[-3], 0.0) if len(axes) > 2 else 0.0  # noqa: PLR2004 -- rows and columns
    return depth if depth > 0 else column, row, column


def _stated_sizes(file: Any) -> tuple[float, float, float]:
    """Return the voxel size along z, y, x in ångström; zeros if unknown."""
    for stated in file.shaped_metadata or ():
        if len(stated.get("voxel_size", ())) == 3:  # noqa: PLR2004 -- z, y, x
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
        raise MissingDependencyError("TIFF files need tifffile", hint=_TIFF_EXTRA) from error
    return tifffile


def to_tiff(array: xr.DataArray, to: Target, dtype: Any, options: dict[str, Any]) -> None:
    """Write the sections as pages, with ImageJ's tags if it can read the dtype."""
    refuse_options(options, "TIFF")
    tifffile = _tifffile()
    rgb = array.dims[-1] == "rgb"
    target = to.name
    array = carrying(array, target, LONGEST_EXTENDED)
    array = bare(in_range(array, "uint8" if rgb and dtype is None else dtype))
    text, lost = to_json(array)
    warn_lost(target, lost)
    sizes = _page_sizes(array)
    stack = array.data.reshape(-1, *array.shape[-3 if rgb else -2 :])
    imagej = not rgb and stack.dtype.str[1:] in ("u1", "u2", "f4") and stack.nbytes < 2**32 - 2**25
    metadata: dict[str, Any] = {"axes": "ZYXS" if rgb else "ZYX"}
    if any(sizes):
        metadata |= {"unit": "angstrom", "spacing": sizes[0]} if imagej else {"voxel_size": list(sizes)}
    with new_file(to, stack.nbytes) as stream:
        tifffile.imwrite(
            stream,
            _pages(stack, stream, progress=to.progress),
            shape=stack.shape,
            dtype=stack.dtype,
            imagej=imagej,
            bigtiff=stack.nbytes >= 2**32 - 2**25,
            metadata=metadata,
            photometric="rgb" if rgb else "minisblack",
            resolution=(1 / sizes[2], 1 / sizes[1]) if any(sizes) else None,
            extratags=[(TAG, _ASCII, None, text, True)],
        )


def _pages(stack: Any, stream: AtomicStream, *, progress: Progress) -> Iterator[Any]:
    whole = stack if set(stack.numblocks[1:]) == {1} else stack.rechunk(dict.fromkeys(range(1, stack.ndim), -1))
    for block in counted(whole.blocks, whole.numblocks[0], "converting", shown=progress):
        stream.check()
        yield from np.ascontiguousarray(block.compute())
