"""Dask tasks that write an array: each writes its chunk, and the statistics are merged in a tree.

Chunks of a plain file are written where they belong, without a lock. A compressed file grows at its end: tasks compress
slabs in parallel, and a chain of small tasks appends them in order. Running a task twice changes nothing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mrcarray.block_writer import store
from mrcarray.format.casting import as_pixels
from mrcarray.format.modes import Packing
from mrcarray.region_writer import Part, Region, merged

if TYPE_CHECKING:
    import dask.array as da
    from dask.delayed import Delayed

    from mrcarray.format.layout import Layout
    from mrcarray.statistics import Stats
    from mrcarray.storage.compression.writer import Compressor

__all__ = ["RECORD", "append_slabs", "write_chunks"]

RECORD = np.dtype(
    [
        ("count", "i8"),
        ("minimum", "f8"),
        ("maximum", "f8"),
        ("mean", "c16"),
        ("m2", "f8"),
        ("nans", "i8"),
        ("infs", "i8"),
        ("is_complex", "?"),
        ("file", "u8"),
    ]
)
"""A `Part` without its region as an element of an array, which dask carries and reduces."""

_SLAB_NBYTES = 32 << 20
"""Bytes that are compressed by one task."""

_SPLIT_EVERY = 16
"""Records merged by one task."""


# ------------------------------------------------------------------------------------------ plain files


def write_chunks(
    array: da.Array, layout: Layout, region: Region | Delayed, origin: tuple[int, ...] | None = None
) -> Delayed:
    """Return the tasks that write every chunk of an array to a file, and merge what they return.

    Parameters
    ----------
    array : dask.array.Array
        The pixels.
    layout : Layout
        Where the pixels are in the file.
    region : Region or Delayed
        The file, or the task that returns it, for which all writes wait.
    origin : tuple of int, optional
        Position of the first pixel of the array in the file; by default 0 along each axis.

    Returns
    -------
    Delayed
        Gives a `Part`.
    """
    import dask.array as da
    from dask.base import tokenize
    from dask.blockwise import blockwise
    from dask.delayed import Delayed, delayed
    from dask.highlevelgraph import HighLevelGraph
    from dask.layers import ArraySliceDep

    if layout.pixel.packing is Packing.NIBBLE:  # two pixels share a byte: no row may be cut
        array = array.rechunk({array.ndim - 1: -1})
    parents: Any = [array]
    target: tuple[Any, ...] = (region, None)
    if isinstance(region, Delayed):
        scalar = da.from_delayed(region, shape=(), dtype=object)
        parents, target = [array, scalar], (scalar.name, ())
    name = f"mrc-write-{tokenize(array.name, region, origin)}"
    axes = tuple(range(array.ndim))
    numblocks = {parent.name: parent.numblocks for parent in parents}
    pairs = (array.name, axes, ArraySliceDep(array.chunks), axes, *target)
    layer = blockwise(_write_chunk, name, axes, *pairs, origin=origin or (0,) * array.ndim, numblocks=numblocks)
    graph = HighLevelGraph.from_collections(name, layer, dependencies=parents)
    records = da.Array(graph, name, tuple((1,) * n for n in array.numblocks), meta=np.empty((0,) * array.ndim, RECORD))
    reduced = da.reduction(
        records,
        chunk=_unchanged,
        combine=_merge_records,
        aggregate=_merge_records,
        dtype=RECORD,
        meta=np.empty((), dtype=RECORD),
        split_every=_SPLIT_EVERY,
    )
    job: Delayed = delayed(_from_record)(_optimized(reduced, region))
    return job


def _optimized(reduced: da.Array, region: Region | Delayed) -> Delayed:
    """Return what `reduced.to_delayed` does, but keep the task of the region: fused into others, it would run twice."""
    from dask.core import flatten
    from dask.delayed import Delayed
    from dask.highlevelgraph import HighLevelGraph

    (key,) = flatten(reduced.__dask_keys__())
    keys = [key, region.key] if isinstance(region, Delayed) else [key]
    layer = f"delayed-{reduced.name}"
    tasks = reduced.__dask_optimize__(reduced.__dask_graph__(), keys)
    return Delayed(key, HighLevelGraph.from_collections(layer, tasks, dependencies=()), layer=layer)


def _write_chunk(
    chunk: Any, where: tuple[slice, ...], region: Region, *, origin: tuple[int, ...]
) -> np.ndarray[Any, Any]:
    """Write a chunk where it belongs, and return its statistics as an array of one record."""
    values = as_pixels(chunk)
    key = tuple(slice(one.start + at, one.stop + at) for one, at in zip(where, origin, strict=True))
    return _record(region.write(key, values, threads=False), values.ndim)


def _record(part: Part, ndim: int) -> np.ndarray[Any, Any]:
    out = np.empty((1,) * ndim, dtype=RECORD)
    numbers = (part.count, part.minimum, part.maximum, part.mean, part.m2, part.nans, part.infs)
    out[...] = (*numbers, isinstance(part.mean, complex), part.file)
    return out


def _from_record(record: Any) -> Part:
    count, low, high, mean, m2, nans, infs, is_complex, file = np.asarray(record).reshape(-1)[0].item()
    return Part(count, low, high, mean if is_complex else mean.real, m2, nans, infs, file=file)


def _unchanged(records: Any, **_: Any) -> Any:
    return records


def _merge_records(records: Any, axis: Any = None, *, keepdims: bool = False) -> Any:  # noqa: ARG001 -- all axes
    """Merge the records of some chunks."""
    parts = map(_from_record, np.asarray(records).reshape(-1))
    out = _record(merged(parts), np.ndim(records))
    return out if keepdims else out.reshape(())


# ------------------------------------------------------------------------------------------ compressed files


class _Appended(NamedTuple):
    """How far a compressed file has grown, and what is in it."""

    end: int
    part: Part


def append_slabs(
    array: da.Array, layout: Layout, compressor: Compressor, region: Region | Delayed, start: int
) -> Delayed:
    """Return a chain of tasks that append slabs to a compressed file in order; slabs are compressed in parallel.

    Parameters
    ----------
    array : dask.array.Array
        The pixels.
    layout : Layout
        How they are stored.
    compressor : Compressor
        How they are compressed.
    region : Region or Delayed
        The temporary file, or the task that returns it.
    start : int
        Byte of the compressed file at which the first slab begins.

    Returns
    -------
    Delayed
        Gives a `Part`.
    """
    from dask.delayed import delayed

    before: Any = _Appended(start, Part())
    slabs = array.rechunk(_slabs(array, layout))
    for slab in slabs.to_delayed().reshape(-1):
        before = delayed(_append)(before, delayed(_compress)(slab, layout, compressor), region)
    job: Delayed = delayed(_last)(before)
    return job


def _slabs(array: da.Array, layout: Layout, most: int = _SLAB_NBYTES) -> tuple[tuple[int, ...], ...]:
    """Return chunks of about `most` bytes that follow each other in the file."""
    if len(array.chunks[0]) > 1 and all(len(sizes) == 1 for sizes in array.chunks[1:]):
        chunks: tuple[tuple[int, ...], ...] = array.chunks
        return chunks
    # Cut along the first axis whose items are small enough; all axes before it are cut into single items.
    axis, item = 0, math.prod(array.shape[1:]) * layout.dtype.itemsize
    while item > most and axis < array.ndim - 2:
        axis, item = axis + 1, item // max(1, array.shape[axis + 1])
    step = max(1, most // max(1, item))
    cuts = [1] * axis + [step] + [max(1, n) for n in array.shape[axis + 1 :]]
    return tuple(tuple(min(cut, n - at) for at in range(0, n, cut)) for n, cut in zip(array.shape, cuts, strict=True))


def _compress(slab: Any, layout: Layout, compressor: Compressor) -> tuple[bytes, Stats]:
    """Convert and compress a slab."""
    values = as_pixels(slab)
    raw = bytearray()
    box = tuple((0, length) for length in values.shape)
    found = store(lambda _, __, data: raw.extend(data), layout, box, values, threads=False)
    return compressor.compress(raw), found


def _append(before: _Appended, compressed: tuple[bytes, Stats], region: Region) -> _Appended:
    """Write compressed bytes where the slab before ended."""
    data, found = compressed
    part = merged((before.part, Part.at(found, (), region.file)), region.path)
    region.append(before.end, data)
    return _Appended(before.end + len(data), part)


def _last(before: _Appended) -> Part:
    return before.part
