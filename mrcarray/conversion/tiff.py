"""TIFF files: pages are sections, and a tag of our own contains what is neither pixel nor voxel size.

The voxel size is in ImageJ's tags (``.tif``) or in the XML of OME (``.ome.tif``), which tifffile writes.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.conversion import ome_xml
from mrcarray.conversion.coords_json import from_json, is_ours, to_json
from mrcarray.conversion.header_attr import carrying, warn_lost
from mrcarray.conversion.output import Target, bare, in_range, new_file, refuse_options
from mrcarray.errors import MrcValueError, missing_package
from mrcarray.format.issues import Issue, Severity
from mrcarray.progress import counted
from mrcarray.xarray_backend import convention

if TYPE_CHECKING:
    from collections.abc import Iterator

    import xarray as xr

    from mrcarray.progress import Progress
    from mrcarray.storage.atomic_stream import AtomicStream

__all__ = ["from_tiff", "to_ome_tiff", "to_tiff"]

TAG = 65300
"""Number of the tag with the description of an array; those from 65000 on are free (TIFF 6.0, p. 8)."""
LONGEST_EXTENDED = 16 << 20
"""Bytes of an extended header of unknown kind in the tag."""
PIECE = 4 << 20
"""Bytes of pages that are read at a time: tifffile counts the pages before them each time."""
_LARGEST = 2**32 - 2**25
"""Bytes of pixels in a file whose offsets have 32 bits."""
_ASCII = 2
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
        how = _order(file, series) if file.is_ome else {}
        pages, shape, dtype = len(series.pages), series.keyframe.shape, series.dtype
        sizes = _stated_sizes(file)
        described = file.pages[0].tags.valueof(TAG)
    if len(shape) != 2 and (shape[2:] != (3,) or dtype != np.uint8):  # noqa: PLR2004 -- rows and columns
        text = "expected one channel, or red, green and blue bytes"
        raise MrcValueError(f"the TIFF pages have shape {shape} and dtype {dtype}; {text}")

    together = max(1, piece // (math.prod(shape) * dtype.itemsize))

    def read(block_id: tuple[int, ...]) -> Any:
        first = block_id[0] * together
        return tifffile.imread(path, key=range(first, min(first + together, pages)), **how).reshape(-1, *shape)

    chunks = da.core.normalize_chunks((together, *shape), (pages, *shape))
    stack = da.map_blocks(read, chunks=chunks, dtype=dtype, meta=np.empty((0,) * len(chunks), dtype))
    if is_ours(described):
        try:
            return _as_described(stack, described, sizes)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            text = f"tag {TAG}, with coordinates and header of an MRC file, is ignored: it describes {error}"
            warn_lost(str(path), (Issue("MRC411", Severity.WARNING, text),))
    return _sections(stack, sizes)


def _order(file: Any, series: Any) -> dict[str, int]:
    """Return how the pages of an OME-TIFF image are found: by their number in the file, or else by the XML.

    By number is much faster: by the XML tifffile looks at every page each time.
    """
    ome_xml.check_series(series.axes, series.shape, series.pages)
    plain = all(page.parent is file and page.index == at for at, page in enumerate(series.pages))
    return {} if plain else {"series": 0}


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
    if file.is_ome:
        return ome_xml.stated_sizes(_tifffile().xml2dict(file.ome_metadata))
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
        raise missing_package("TIFF", "tifffile", "tiff") from error
    return tifffile


def to_tiff(array: xr.DataArray, to: Target, dtype: Any, options: dict[str, Any]) -> None:
    """Write the sections as pages, with ImageJ's tags if it can read the dtype."""
    refuse_options(options, "TIFF")
    array, rgb = _values(array, to, dtype), array.dims[-1] == "rgb"
    sizes = _page_sizes(array)
    stack = array.data.reshape(-1, *array.shape[-3 if rgb else -2 :])
    imagej = not rgb and stack.dtype.str[1:] in ("u1", "u2", "f4") and stack.nbytes < _LARGEST
    metadata: dict[str, Any] = {"axes": "ZYXS" if rgb else "ZYX"}
    if any(sizes):
        metadata |= {"unit": "angstrom", "spacing": sizes[0]} if imagej else {"voxel_size": list(sizes)}
    resolution = (1 / sizes[2], 1 / sizes[1]) if any(sizes) else None
    _write(array, stack, to, imagej=imagej, metadata=metadata, resolution=resolution)


def to_ome_tiff(array: xr.DataArray, to: Target, dtype: Any, options: dict[str, Any]) -> None:
    """Write an OME-TIFF image: sections of a volume are its axis Z, those of a stack its axis T.

    OME-TIFF has no 16-bit floats: they become 32-bit floats, with a warning.
    """
    refuse_options(options, "OME-TIFF")
    array = _values(array, to, dtype)
    if array.dtype == np.float16:
        text = "OME-TIFF has no 16-bit floats: the pixels are stored as float32"
        warn_lost(to.name, (Issue("MRC411", Severity.WARNING, text),))
        array = in_range(array, np.float32)
    name = os.path.basename(os.fsdecode(to.name))  # noqa: PTH119 -- names need not be text
    name = name[: name.lower().rindex(".ome.")].encode(errors="replace").decode()
    metadata = ome_xml.metadata([str(dim) for dim in array.dims], _page_sizes(array), name)
    _write(array, array.data, to, ome=True, metadata=metadata)


def _values(array: xr.DataArray, to: Target, dtype: Any) -> xr.DataArray:
    """Return the array as a dtype, colours as bytes, with the header of its MRC file among its attrs."""
    colours = array.dims[-1] == "rgb" and dtype is None
    return in_range(carrying(array, to.name, LONGEST_EXTENDED), "uint8" if colours else dtype)


def _write(array: xr.DataArray, stack: Any, to: Target, **how: Any) -> None:
    """Write pixels, in any shape whose pages are the sections, with the tag that describes their array."""
    tifffile = _tifffile()
    text, lost = to_json(bare(array))
    warn_lost(to.name, lost)
    rgb = array.dims[-1] == "rgb"
    pages = stack.reshape(-1, *stack.shape[-3 if rgb else -2 :])
    with new_file(to, stack.nbytes) as stream:
        tifffile.imwrite(
            stream,
            _pages(pages, stream, progress=to.progress),
            shape=stack.shape,
            dtype=stack.dtype,
            bigtiff=stack.nbytes >= _LARGEST,
            photometric="rgb" if rgb else "minisblack",
            extratags=[(TAG, _ASCII, None, text, True)],
            **how,
        )


def _pages(stack: Any, stream: AtomicStream, *, progress: Progress) -> Iterator[Any]:
    whole = stack if set(stack.numblocks[1:]) == {1} else stack.rechunk(dict.fromkeys(range(1, stack.ndim), -1))
    for block in counted(whole.blocks, whole.numblocks[0], "converting", shown=progress):
        stream.check()
        yield from np.ascontiguousarray(block.compute())
