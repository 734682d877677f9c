"""OME-Zarr images, which are folders with one array a resolution.

The writer works box by box: a box is one chunk (or shard) of the array that is written, or as many as fit into `BOX`
bytes. Each level is computed from the one below, as it is stored. So the memory that is used does not depend on the
size of the array, unlike with a dask graph of the whole pyramid.
"""

from __future__ import annotations

import itertools
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.conversion import ome_metadata
from mrcarray.conversion.coords_json import from_json, is_ours, to_json
from mrcarray.conversion.header_attr import ATTR, carrying, warn_lost
from mrcarray.conversion.ome_metadata import OWN, VERSIONS, Grid, Image, Level, grid_of, levels_of
from mrcarray.conversion.output import Target, bare, check_replaceable, in_range, refuse_options
from mrcarray.errors import Hint, MrcValueError, missing_package, printable
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.units import LENGTHS, plain
from mrcarray.progress import progress_bar
from mrcarray.statistics import Stats
from mrcarray.storage.atomic_folder import AtomicFolder
from mrcarray.xarray_backend import convention
from mrcarray.xarray_backend.coordinates import falls
from mrcarray.xarray_backend.metadata_update import with_followed_pixels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from mrcarray.progress import Bar, Progress

__all__ = ["BOX", "from_ome_zarr", "to_ome_zarr", "write_ome_zarr"]

BOX = 64 << 20
"""Bytes of a box: one chunk of 256 voxels along each axis, in float32."""
PIECE = 4 << 20
"""Bytes of a box that are read from the source at a time: dask needs as much again to join what it reads, and the pages
of the file that a read maps count as resident (a 4 GiB file: 430 MB at the peak, 484 MB with pieces of 16 MiB)."""
LONGEST_EXTENDED = 16 << 20
"""Bytes of an extended header of unknown kind in an attribute, which is JSON."""
_SPACE = ("z", "y", "x")
_METHODS: dict[str, np.ufunc | None] = {
    "mean": np.add,
    "max": np.maximum,
    "min": np.minimum,
    "nearest": None,
}
"""How voxels are joined into one of the level above; nearest takes the first."""
_PRESETS = ("portal",)
_SAME = 1e-6
"""Part of a voxel by which the grid of a store may differ from that of the array in our own attribute."""


def to_ome_zarr(  # noqa: PLR0913 -- what to write, how, and where
    array: xr.DataArray | xr.Dataset,
    path: str | os.PathLike[str],
    *,
    version: str = "0.5",
    scale_factors: Sequence[int] = (2, 4),
    chunks: int | Sequence[int] = 256,
    shards: Sequence[int] | None = None,
    method: str = "mean",
    preset: str | None = None,
    overwrite: bool = False,
    compute: bool = True,
    progress: Progress | None = None,
) -> Any:
    """Write an array as an OME-Zarr image with several resolutions, which viewers of large images open.

    Memory for a few chunks is enough for an array of any size. The folder appears when it is complete. It also contains
    the header, attributes and coordinates, so that `convert` restores the MRC file.

    Parameters
    ----------
    array : DataArray or Dataset
        A volume, an image, or a stack of them, as `open_dataarray` returns it or calculated from it. Sections of a
        stack become the axis ``t``.
    path : str or path
        The folder to write, usually ``.ome.zarr``.
    version : {"0.4", "0.5"}
        Version of the OME-Zarr specification; 0.4 is stored in Zarr format 2, 0.5 in Zarr format 3.
    scale_factors : sequence of int
        Voxels along each spatial axis that are joined into one, for each further level: multiples of each other.
        Sections of a stack are never joined. Voxels at the end that do not fill a block are left out, as for ``bin``.
    chunks : int or sequence of int
        Voxels in a chunk along each spatial axis, with one section of a stack a chunk; or a number for each axis.
    shards : sequence of int, optional
        Voxels in a shard, a file of several chunks, along each axis: multiples of those of a chunk. Only in 0.5; one
        shard is in memory at a time.
    method : {"mean", "max", "min", "nearest"}
        How voxels are joined; ``"nearest"`` takes one of them, for labels.
    preset : {"portal"}, optional
        The layout of the CryoET Data Portal: version 0.4, levels 1, 2 and 4, chunks of 256 voxels, LZ4. It replaces
        `version`, `scale_factors`, `chunks` and `shards`.
    overwrite : bool
        Whether the folder may exist.
    compute : bool
        Whether to write now; otherwise a Delayed is returned, which writes when it is computed.
    progress : bool or "auto", optional
        Whether to show a progress bar.

    Returns
    -------
    str or Delayed
        The absolute path, or a Delayed that returns it.

    Raises
    ------
    MrcValueError
        When OME-Zarr cannot store the array, or an option is wrong.
    FileExistsError
        When the folder exists and `overwrite` is false.
    MissingDependencyError
        When zarr is not installed.

    Examples
    --------
    >>> import mrcarray
    >>> path = mrcarray.to_ome_zarr(mrcarray.open_dataarray("tomo.mrc"), "tomo.ome.zarr", scale_factors=[2])
    >>> mrcarray.convert(path, "half.mrc", level=1, placement="origin")
    'half.mrc'
    >>> half = mrcarray.open_dataarray("half.mrc")
    >>> half.shape, half.mrc.voxel_size, half.mrc.origin
    ((10, 16, 20), (4.0, 4.0, 4.0), (1.0, 1.0, 1.0))
    """
    if preset is not None:
        _require("preset", preset, _PRESETS)
        version, scale_factors, chunks, shards = "0.4", (2, 4), 256, None
    _require("version", version, VERSIONS)
    _require("method", method, tuple(_METHODS))
    if shards is not None and version == "0.4":
        raise MrcValueError("shards need OME-Zarr 0.5", hint=Hint("leave out shards, or pass version='0.5'"))
    _zarr()
    target = os.path.abspath(os.fspath(path).rstrip("/"))  # noqa: PTH100 -- names need not be text
    data = _in_order(convention.data_of(array))
    grid = grid_of(data)
    text, lost = to_json(bare(carrying(data, target, LONGEST_EXTENDED)))
    warn_lost(target, lost)
    job = _Job(
        values=data.variable,
        target=target,
        version=version,
        grid=grid,
        levels=levels_of(grid, data.shape, tuple(scale_factors)),
        chunks=_chunks(grid, data.shape, chunks),
        shards=None if shards is None else tuple(shards),
        method=method,
        portal=preset == "portal",
        own={"dims": list(convention.data_of(array).dims), "array": text},
        overwrite=overwrite,
        progress=progress or False,
    )
    if compute:
        return job()
    from dask.delayed import delayed

    return delayed(job, pure=False, traverse=False)()


def _require(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise MrcValueError(f"{name} is {value!r}; expected {' or '.join(map(repr, allowed))}")


def _zarr() -> Any:
    try:
        import zarr
    except ImportError as error:
        raise missing_package("OME-Zarr", "zarr", "ome-zarr") from error
    return zarr


def _in_order(array: xr.DataArray) -> xr.DataArray:
    """Return the array with its axes in the order of OME-Zarr, and with rising coordinates.

    Raises
    ------
    MrcValueError
        When OME-Zarr cannot store it.
    """
    if convention.kind_of(array.dims) is None:
        raise MrcValueError(f"the dims {', '.join(map(str, array.dims))} are not those of an image, volume or stack")
    if "rgb" in array.dims or array.dtype.kind not in "iuf":
        found = "colours" if "rgb" in array.dims else f"{array.dtype} values"
        raise MrcValueError(f"OME-Zarr files of {found} are not written; expected integers or floats")
    if 0 in array.shape:
        raise MrcValueError(f"the array of shape {array.shape} has no pixels")
    counted = [dim for dim in array.dims if dim not in _SPACE]
    array = array.transpose(*counted, *(dim for dim in _SPACE if dim in array.dims))
    falling = [dim for dim in array.dims if dim in _SPACE and falls(array, dim)]
    return array.isel({dim: slice(None, None, -1) for dim in falling})


def _chunks(grid: Grid, shape: tuple[int, ...], chunks: int | Sequence[int]) -> tuple[int, ...]:
    """Return the shape of a chunk, which is never larger than the array."""
    each = [chunks if dim in _SPACE else 1 for dim in grid.dims] if isinstance(chunks, int) else list(chunks)
    if len(each) != len(shape) or min(each) < 1:
        raise MrcValueError(f"chunks are {chunks}; expected a number, or {len(shape)} numbers, of 1 or more")
    return tuple(min(one, length) for one, length in zip(each, shape, strict=True))


@dataclass(frozen=True, slots=True)
class _Job:
    """All that is needed to write one store; `values` is the variable with the pixels."""

    values: xr.Variable
    target: str
    version: str
    grid: Grid
    levels: tuple[Level, ...]
    chunks: tuple[int, ...]
    shards: tuple[int, ...] | None
    method: str
    portal: bool
    own: dict[str, Any]
    overwrite: bool
    progress: Progress

    def __call__(self) -> str:
        """Write the store and return its path."""
        zarr = _zarr()
        check_replaceable(self.target)
        total = sum(math.prod(level.shape) for level in self.levels)
        with (
            AtomicFolder(self.target, overwrite=self.overwrite) as folder,
            progress_bar("converting", total, shown=self.progress) as bar,
        ):
            root = zarr.create_group(folder.content, zarr_format=2 if self.version == "0.4" else 3)
            stored = self._new_array(root, 0)
            stats = _write_base(self.values, stored, bar)
            for at, level in enumerate(self.levels[1:], 1):
                below, stored = stored, self._new_array(root, at)
                _write_level(below, stored, level.ratio, self.method, bar)
            root.attrs.update(self._attributes(stats))
            folder.commit()
        return self.target

    def _attributes(self, stats: Stats) -> dict[str, Any]:
        name = os.path.basename(self.target).removesuffix(".zarr").removesuffix(".ome")  # noqa: PTH119 -- names need not be text
        return ome_metadata.attributes(
            self.version, name, self.grid, self.levels, method=self.method, stats=stats, own=self.own
        )

    def _new_array(self, root: Any, at: int) -> Any:
        shape = self.levels[at].shape
        options: dict[str, Any] = {"dimension_names": self.grid.names, "shards": self.shards}
        if self.version == "0.4":  # xarray finds the names of axes in this attribute
            options = {
                "attributes": {"_ARRAY_DIMENSIONS": list(self.grid.names)},
                "chunk_key_encoding": {"name": "v2", "separator": "/"},
            }
        if self.portal:
            from numcodecs import Blosc

            options["compressors"] = Blosc(cname="lz4", clevel=5, shuffle=Blosc.SHUFFLE)
        dtype = self.values.dtype.newbyteorder("=")
        chunks = tuple(min(one, length) for one, length in zip(self.chunks, shape, strict=True))
        if self.shards is not None:
            chunks = self.chunks  # a shard must be a multiple of them
        return root.create_array(str(at), shape=shape, dtype=dtype, chunks=chunks, fill_value=0, **options)


def _write_base(values: xr.Variable, stored: Any, bar: Bar) -> Stats:
    """Write the full resolution, and return the statistics of all values."""
    stats = Stats()
    for box in _boxes(stored.shape, _step(stored)):
        block = _read_box(values, box, stored.dtype)
        stats = stats.merge(Stats.of(block))
        stored[box] = block
        bar.advance(block.size)
        del block  # or the next one is read while this one is still in memory
    return stats


def _read_box(values: xr.Variable, box: tuple[slice, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Read a box, a few sections at a time."""
    block = np.empty([one.stop - one.start for one in box], dtype)
    depth = max(1, PIECE // (block.nbytes // len(block)))
    for start in range(0, len(block), depth):
        stop = min(start + depth, len(block))
        block[start:stop] = values[(slice(box[0].start + start, box[0].start + stop), *box[1:])].values
    return block


def _write_level(below: Any, stored: Any, ratio: tuple[int, ...], method: str, bar: Bar) -> None:
    """Write a level from the one below."""
    for box in _boxes(stored.shape, _step(stored)):
        block = _joined_box(below, box, ratio, method)
        stored[box] = block
        bar.advance(block.size)
        del block  # as in `_write_base`


def _joined_box(below: Any, box: tuple[slice, ...], ratio: tuple[int, ...], method: str) -> NDArray[Any]:
    """Return a box of a level, from one chunk of the level below at a time."""
    block = np.empty([one.stop - one.start for one in box], below.dtype)
    part = tuple(max(1, chunk // by) for chunk, by in zip(below.chunks, ratio, strict=True))
    for inner in _boxes(block.shape, part):
        source = tuple(
            slice((one.start + at.start) * by, (one.stop + at.start) * by)
            for one, at, by in zip(inner, box, ratio, strict=True)
        )
        block[inner] = _joined(below[source], ratio, method)
    return block


def _joined(values: NDArray[Any], ratio: tuple[int, ...], method: str) -> NDArray[Any]:
    """Return one value for each block of voxels; the mean of integers is rounded to even.

    Every strided view adds one voxel of all blocks, which needs far less memory than a reduction over a reshaped array.

    Examples
    --------
    >>> _joined(np.array([[1, 2, 5], [3, 4, 5]], dtype="i2"), (2, 1), "mean")
    array([[2, 3, 5]], dtype=int16)
    """
    views = [
        values[tuple(slice(at, None, by) for at, by in zip(first, ratio, strict=True))] for first in np.ndindex(ratio)
    ]
    combine = _METHODS[method]
    if combine is None:
        return views[0]
    total = views[0].astype(np.float64) if method == "mean" else views[0].copy()
    for view in views[1:]:
        combine(total, view, out=total)
    if method == "mean":
        total /= len(views)
        if values.dtype.kind in "iu":
            np.rint(total, out=total)
    return total.astype(values.dtype)


def _step(stored: Any) -> tuple[int, ...]:
    """Return the shape of a box: whole chunks or shards, as many as fit into `BOX`, the fastest axis first."""
    step = list(stored.shards or stored.chunks)
    for axis in reversed(range(len(step))):
        times = max(1, BOX // (math.prod(step) * stored.dtype.itemsize))
        step[axis] *= min(times, -(-stored.shape[axis] // step[axis]))
        if step[axis] < stored.shape[axis]:
            break
    return tuple(step)


def _boxes(shape: tuple[int, ...], step: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Yield the boxes that cover an array."""
    axes = [
        [slice(start, min(start + by, length)) for start in range(0, length, by)]
        for length, by in zip(shape, step, strict=True)
    ]
    yield from itertools.product(*axes)


def write_ome_zarr(array: xr.DataArray, to: Target, dtype: Any, options: dict[str, Any]) -> None:
    """Write an OME-Zarr image as the target of a conversion."""
    options = dict(options)
    ngff, preset = options.pop("ngff", None), options.pop("preset", None)
    refuse_options(options, "OME-Zarr")
    if preset is not None and ngff not in (None, "0.4"):
        raise MrcValueError(f"preset {preset} is version 0.4", hint=Hint("leave out ngff", "leave out --ngff"))
    wanted = in_range(array, dtype)
    to_ome_zarr(
        wanted, to.name, version=ngff or VERSIONS[-1], preset=preset, overwrite=to.overwrite, progress=to.progress
    )


def from_ome_zarr(path: str | os.PathLike[str], level: int = 0) -> xr.DataArray | None:
    """Open one level of an OME-Zarr image as a labelled dask array.

    Parameters
    ----------
    path : str, path or URL
        The folder.
    level : int
        The resolution: 0 is the highest.

    Returns
    -------
    DataArray or None
        None if the store is not an OME-Zarr image.

    Raises
    ------
    MrcValueError
        When there is no such level, or the image has several channels.
    """
    zarr = _zarr()
    name = os.fspath(path)
    group = zarr.open(name, mode="r")
    found = dict(group.attrs)
    image = ome_metadata.parsed(found, name)
    if image is None:
        return None
    if not 0 <= level < len(image.paths):
        raise MrcValueError(f"level is {level}; {printable(name)} has the levels 0 to {len(image.paths) - 1}")
    own = _described(group, image, found.get(OWN), name)
    if own is not None and level == 0:
        return own
    array = _labelled(_lazy(group, image, level), image, level, name)
    return array if own is None else _with_coords_of(array, own)


def _lazy(group: Any, image: Image, level: int) -> Any:
    import dask.array as da

    stored = group[image.paths[level]]
    return da.from_array(stored, chunks=stored.shards or stored.chunks)


def _described(group: Any, image: Image, found: Any, name: str) -> xr.DataArray | None:
    """Return the full resolution as our own attribute describes it; None without one, or if it does not fit."""
    if not isinstance(found, dict) or not is_ours(found.get("array")):
        return None
    try:
        array = from_json(_lazy(group, image, 0), found["array"])
        _check_grid(grid_of(array), image)
        return array.transpose(*found["dims"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        text = f"attribute {OWN}, with coordinates and header of an MRC file, is ignored: it describes {error}"
        warn_lost(name, (Issue("MRC411", Severity.WARNING, text),))
        return None


def _check_grid(grid: Grid, image: Image) -> None:
    """Raise if the axes of an array are not those of the image, which another program may have changed."""
    if grid.names != image.axes:
        raise ValueError(f"axes {', '.join(grid.names)}, but the image has {', '.join(image.axes)}")
    for at, known in enumerate(grid.known):
        unit = LENGTHS.get(plain(image.units[at]), 1.0)
        size, start = image.scales[0][at] * unit, image.translations[0][at] * unit
        limit = _SAME * max(grid.steps[at], abs(grid.starts[at]))
        if known and (abs(size - grid.steps[at]) > limit or abs(start - grid.starts[at]) > limit):
            own = f"voxels of {grid.steps[at]:g} angstrom from {grid.starts[at]:g} along {grid.names[at]}"
            raise ValueError(f"{own}, but the image has {size:g} from {start:g}")


def _labelled(pixels: Any, image: Image, level: int, name: str) -> xr.DataArray:
    """Return a level with the coordinates of its transformations; time points are sections or volumes."""
    import xarray as xr

    array = xr.DataArray(pixels, dims=image.axes, name=convention.DATA)
    for at, (axis, unit) in enumerate(zip(image.axes, image.units, strict=True)):
        if axis in _SPACE and plain(unit) in LENGTHS:
            factor = LENGTHS[plain(unit)]
            step, start = image.scales[level][at] * factor, image.translations[level][at] * factor
            values = convention.grid_positions(array.sizes[axis], step, start)
            array = array.assign_coords({axis: (axis, values, {"units": "angstrom", "axis": axis.upper()})})
    single = [axis for axis in image.axes if axis not in _SPACE and array.sizes[axis] == 1]
    array = array.isel(dict.fromkeys(single, 0), drop=True)
    rest = [str(axis) for axis in array.dims if axis not in _SPACE]
    if len(rest) > 1 or (rest and rest != ["t"]):
        text = f"{printable(name)} has the axes {', '.join(map(str, array.dims))}; expected z, y, x and at most t"
        raise MrcValueError(text, hint=Hint("select one channel with another program first"))
    if rest and array.sizes.get("z") == 1:
        array = array.isel(z=0, drop=True)
    return array.rename(t="volume" if "z" in array.dims else "section") if rest else array


def _with_coords_of(array: xr.DataArray, own: xr.DataArray) -> xr.DataArray:
    """Return a reduced level with the names, attributes and per-section coordinates of the full resolution."""
    counted = [dim for dim in own.dims if dim not in _SPACE]
    rest = [dim for dim in array.dims if dim not in _SPACE]
    array = array.rename(dict(zip(rest, counted, strict=True))).transpose(*own.dims)
    kept = {
        name: one.variable for name, one in own.coords.items() if set(one.dims) <= set(counted) and name not in _SPACE
    }
    attrs = {key: value for key, value in own.attrs.items() if key != ATTR}
    return with_followed_pixels(array.assign_coords(kept).assign_attrs(attrs))[0]
