"""Streaming a dask array to a file: every chunk is written where it belongs by the task that has it, without a lock.

A task writes its chunk by positional writes to the temporary file and returns the statistics of what it wrote; these
are merged in a tree; the last task writes the header and gives the file its name. To run a task twice does no harm.
Nothing but the chunks in work is in memory.

Compressed files grow at their end: tasks compress slabs side by side, and a chain of small tasks appends them in order.
"""

from __future__ import annotations

import contextlib
import copy
import errno
import functools
import math
import os
import platform
import secrets
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mrcarray import block_writer, region_writer
from mrcarray.errors import ConflictError, MrcValueError, printable
from mrcarray.format import regions
from mrcarray.format.builder import unfinished
from mrcarray.format.casting import as_pixels
from mrcarray.format.modes import Packing
from mrcarray.progress import is_shown, progress_bar, task_bar
from mrcarray.statistics import Stats
from mrcarray.storage.atomic import AtomicFile, lease_name
from mrcarray.storage.compression.writer import packer_for
from mrcarray.storage.lease import Lease
from mrcarray.storage.sink import append_path, write_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    import dask.array as da
    from dask.delayed import Delayed

    from mrcarray.format.builder import Draft
    from mrcarray.format.layout import Layout
    from mrcarray.progress import Progress
    from mrcarray.storage.compression.writer import Packer

__all__ = ["RECORD", "Target", "write_box", "write_dask"]


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
"""One `Written` as an element of an array, so that dask carries and reduces it."""

_SLAB = 32 << 20
_SPLIT = 16


_HOPELESS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM})
"""Errors that the same task meets again when a scheduler retries it."""


class Written(NamedTuple):
    """What chunks give when they are written: their statistics, and the number of the file they are in (0: any)."""

    stats: Stats
    file: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """The temporary file tasks write to, and how it becomes the file; travels to other processes.

    Parameters
    ----------
    temp, path : str
        The temporary file, and the name it gets.
    plan : Draft
        What is written.
    overwrite, sync : bool
        As for `mrcarray.writer.Writer`.
    packer : Packer or None
        How to compress.
    lease : Lease or None
        Of the temporary file, when it is there already; else the first task begins it, and hands its lease on.
    """

    temp: str
    path: str
    plan: Draft
    overwrite: bool
    sync: bool
    packer: Packer | None = None
    lease: Lease | None = None

    def __dask_tokenize__(self) -> Any:
        """Tell two writes apart, even of the same array to the same name."""
        return ("mrcarray.write", self.temp)

    @property
    def layout(self) -> Layout:
        """Where the pixels go."""
        return self.plan.layout

    @property
    def head(self) -> bytes:
        """The first bytes of the unfinished file."""
        head = unfinished(self.plan.header).raw
        return head + self.plan.extended if self.packer is None else self.packer.head(head)

    def begin(self) -> Lease:
        """Create the temporary file."""
        with self._located():
            return Lease.begin(self.temp, self.path, self.head, self.layout.stop if self.packer is None else 0)

    def write(self, place: tuple[slice, ...], values: np.ndarray[Any, Any], lease: Lease | None) -> Written:
        """Write a chunk to the temporary file and return its statistics."""
        layout, held = self.layout, self._held(lease)
        box, _ = regions.box_of(layout.shape, place)

        def write_runs(starts: Any, length: int, data: Any) -> None:
            write_path(held.temp, starts, length, data, size=layout.stop, lease=held)

        with self._located(), _cleaning(held):
            return Written(block_writer.store(write_runs, layout, box, values, threads=False), held.number)

    def append(self, at: int, data: bytes, lease: Lease | None) -> int:
        """Write compressed bytes to the temporary file and return the number of the file."""
        held = self._held(lease)
        with self._located(), _cleaning(held):
            append_path(held, at, data)
        return held.number

    def finish(self, written: Written, lease: Lease) -> str:
        """Write the header and give the file its name."""
        _same_file(written.file, lease.number, self.path)
        with self._located():
            descriptor = lease.open()
        with AtomicFile.adopt(descriptor, self.temp, self.path, overwrite=self.overwrite, sync=self.sync) as file:
            self.seal(file, written.stats)
        return self.path

    def seal(self, file: AtomicFile, stats: Stats) -> None:
        """Write the header of a file whose pixels are there, and commit it."""
        if stats.total != math.prod(self.layout.shape):
            text = f"{stats.total} of {math.prod(self.layout.shape)} pixels were written"
            raise MrcValueError(f"{printable(self.path)}: {text}; the file is given up")
        block_writer.warn_trouble(stats, self.path)
        head = self.plan.header.replace(**stats.to_header_fields()).raw
        file.write_at(0, head + self.plan.extended if self.packer is None else self.packer.head(head))
        file.commit()

    def _held(self, lease: Lease | None) -> Lease:
        held = self.lease if lease is None else lease
        assert held is not None  # noqa: S101 -- without one of its own, the target gets one from the first task
        return held

    @contextlib.contextmanager
    def _located(self) -> Iterator[None]:
        """Word the error of a file that is not there: it was removed, or this host does not see its folder."""
        try:
            yield
        except FileNotFoundError as error:
            folder = os.path.dirname(self.temp)  # noqa: PTH120 -- a str
            seen = "the temporary file was removed while it was written; run the computation again"
            unseen = f"{error.strerror} on host {platform.node()}; every worker must see the folder under this path"
            raise FileNotFoundError(error.errno, seen if os.path.isdir(folder) else unseen, self.temp) from None  # noqa: PTH112 -- a str


@contextlib.contextmanager
def _cleaning(lease: Lease) -> Iterator[None]:
    """Remove the temporary file when a task fails, unless a scheduler may retry the task with success.

    Tasks that then miss the file raise the error of the first, which dask may meet later than theirs.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, FileNotFoundError) and lease.failure is not None:
            raise copy.copy(lease.failure) from None
        lease.failure = copy.copy(error)  # without the traceback, whose frames would keep the lease
        if lease.is_alone or not isinstance(error, OSError) or error.errno in _HOPELESS:
            lease.remove()
        raise


def _same_file(first: int, second: int, path: str) -> int:
    """Return the number of the one file that chunks are in.

    Raises
    ------
    ConflictError
        When there are two: the first was removed while chunks were written, and its pixels with it.
    """
    if first and second and first != second:
        text = "the temporary file was removed while it was written, so some pixels are lost; run the computation again"
        raise ConflictError(f"{printable(path)}: {text}" if path else text)
    return first or second


def write_dask(  # noqa: PLR0913 -- the choices of whoever writes
    array: da.Array,
    path: str | os.PathLike[str],
    plan: Draft,
    *,
    overwrite: bool = False,
    sync: bool = True,
    compression: str | None = "auto",
    level: int | None = None,
    compute: bool = True,
    progress: Progress = "auto",
) -> str | Delayed:
    """Stream a dask array to a file.

    Parameters
    ----------
    array : dask.array.Array
        The pixels; chunks of any shape.
    path : str or path
        The target.
    plan : Draft
        Layout, header and extended header.
    overwrite, sync, compression, level
        As for `mrcarray.writer.Writer`.
    compute : bool
        Whether to write now. Else one `Delayed` is returned, and nothing is under the final name until it has run.
    progress : bool or "auto"
        Whether to show a progress bar; ``"auto"`` when a terminal is there.

    Returns
    -------
    str or Delayed
        The path of the file, or what gives it.
    """
    if any(math.isnan(n) for n in array.shape):
        raise MrcValueError("the dask array does not know its shape; call compute_chunk_sizes() first")
    if array.shape != plan.layout.shape:
        raise MrcValueError(f"the dask array has shape {array.shape}; the file {plan.layout.shape}")
    packer = packer_for(os.fsdecode(path), compression, level)
    if not compute:
        real = AtomicFile.check(path, overwrite=overwrite)
        temp = lease_name(real, secrets.token_hex(4))
        target = Target(temp, real, plan, overwrite, sync, packer)
        from dask.delayed import delayed

        lease: Delayed = delayed(target.begin)()
        job: Delayed = delayed(target.finish)(_written(array, target, lease), lease)
        return job
    with AtomicFile(path, overwrite=overwrite, sync=sync) as file:
        target = Target(file.temp, file.path, plan, overwrite, sync, packer)
        target = replace(target, lease=Lease.of(file, target.head))
        if packer is None:
            file.reserve(plan.layout.stop)
        target.seal(file, _run(_written(array, target), progress).stats)
    return file.path


def _written(array: da.Array, target: Target, lease: Delayed | None = None) -> Delayed:
    """Return what writes the pixels and gives `Written`."""
    return _stream(array, target, lease) if target.packer is not None else _scatter(array, target, lease)


# ------------------------------------------------------------------------------------------ plain files


def write_box(
    array: da.Array, region: region_writer.Region, box: regions.Box, *, compute: bool, progress: Progress
) -> Any:
    """Write a dask array into part of a file that exists.

    Parameters
    ----------
    array : dask.array.Array
        The pixels, in the shape of the box.
    region : Region
        The file.
    box : Box
        Where the array goes.
    compute : bool
        Whether to write now; else a Delayed is returned that gives the statistics.
    progress : bool or "auto"
        Whether to show a progress bar.

    Returns
    -------
    Part or Delayed
    """
    from dask.delayed import delayed

    origin = tuple(start for start, _ in box)
    job: Delayed = delayed(_part)(_scatter(array, _Into(region, origin)), box, region.file)
    return _run(job, progress) if compute else job


def _part(written: Written, box: regions.Box, file: int) -> region_writer.Part:
    return region_writer.Part.at(written.stats, box, file)


@dataclass(frozen=True, slots=True)
class _Into:
    """Part of a file that exists, as a target of chunks."""

    region: region_writer.Region
    origin: tuple[int, ...]

    @property
    def layout(self) -> Layout:
        return self.region.layout

    def write(self, place: tuple[slice, ...], values: Any, _lease: Lease | None) -> Written:
        moved = tuple(slice(s.start + at, s.stop + at) for s, at in zip(place, self.origin, strict=True))
        return Written(self.region.write(moved, values, threads=False))


def _scatter(array: da.Array, target: Target | _Into, lease: Delayed | None = None) -> Delayed:
    """Return the writes of all chunks, and the merging of what they give; each write waits for the lease."""
    import dask.array as da
    from dask.base import tokenize
    from dask.blockwise import blockwise
    from dask.delayed import delayed
    from dask.highlevelgraph import HighLevelGraph
    from dask.layers import ArraySliceDep

    array = _whole_bytes(array, target.layout)
    parents: Any = [array]
    held: Any = ()
    if lease is not None:
        scalar = da.from_delayed(lease, shape=(), dtype=object)
        parents, held = [array, scalar], (scalar.name, ())
    name = f"mrc-write-{tokenize(array.name, target)}"
    axes = tuple(range(array.ndim))
    places = ArraySliceDep(array.chunks)
    numblocks = {parent.name: parent.numblocks for parent in parents}
    pairs = (array.name, axes, places, axes, *held)
    layer = blockwise(_write_chunk, name, axes, *pairs, target=target, numblocks=numblocks)
    graph = HighLevelGraph.from_collections(name, layer, dependencies=parents)
    ones = tuple((1,) * n for n in array.numblocks)
    meta = np.empty((0,) * array.ndim, dtype=RECORD)
    records = da.Array(graph, name, ones, meta=meta)
    merged = da.reduction(
        records,
        chunk=_as_is,
        combine=_merge_records,
        aggregate=_merge_records,
        dtype=RECORD,
        meta=np.empty((), dtype=RECORD),
        split_every=_SPLIT,
    )
    job: Delayed = delayed(_from_record)(_optimized(merged, lease))
    return job


def _optimized(merged: da.Array, lease: Delayed | None) -> Delayed:
    """Return what `merged.to_delayed` does, with the task of the lease kept: fused into others, it would run twice."""
    from dask.core import flatten
    from dask.delayed import Delayed
    from dask.highlevelgraph import HighLevelGraph

    (key,) = flatten(merged.__dask_keys__())
    keys = [key] if lease is None else [key, lease.key]
    layer = f"delayed-{merged.name}"
    tasks = merged.__dask_optimize__(merged.__dask_graph__(), keys)
    return Delayed(key, HighLevelGraph.from_collections(layer, tasks, dependencies=()), layer=layer)


def _whole_bytes(array: da.Array, layout: Layout) -> da.Array:
    """Return the array in chunks no two of which share a byte: with 4-bit pixels, rows are not cut."""
    if layout.pixel.packing is Packing.NIBBLE and len(array.chunks[-1]) > 1:
        whole: da.Array = array.rechunk({array.ndim - 1: -1})
        return whole
    return array


def _write_chunk(
    chunk: Any, place: tuple[slice, ...], lease: Lease | None = None, *, target: Target | _Into
) -> np.ndarray[Any, Any]:
    """Write a chunk where it belongs and return its statistics as an array of one element."""
    values = as_pixels(chunk)
    return _record(target.write(place, values, lease), values.ndim)


def _record(written: Written, ndim: int) -> np.ndarray[Any, Any]:
    stats, file = written
    out = np.empty((1,) * ndim, dtype=RECORD)
    mean = stats.mean
    out[...] = (
        stats.count,
        stats.minimum,
        stats.maximum,
        mean,
        stats.m2,
        stats.nans,
        stats.infs,
        isinstance(mean, complex),
        file,
    )
    return out


def _from_record(record: Any) -> Written:
    count, low, high, mean, m2, nans, infs, is_complex, file = np.asarray(record).reshape(-1)[0].item()
    return Written(Stats(count, low, high, mean if is_complex else mean.real, m2, nans, infs), file)


def _as_is(records: Any, **_: Any) -> Any:
    return records


def _merge_records(records: Any, axis: Any = None, *, keepdims: bool = False) -> Any:  # noqa: ARG001 -- all axes
    """Merge the records of some chunks."""
    found = [_from_record(one) for one in np.asarray(records).reshape(-1)]
    file = functools.reduce(lambda first, one: _same_file(first, one.file, ""), found, 0)
    out = _record(Written(Stats.merged(one.stats for one in found), file), np.ndim(records))
    return out if keepdims else out.reshape(())


# ------------------------------------------------------------------------------------------ compressed files


class _Appended(NamedTuple):
    """How far a compressed file has grown: None before the first bytes."""

    end: int | None
    written: Written


def _stream(array: da.Array, target: Target, lease: Delayed | None = None) -> Delayed:
    """Return a chain of tasks that append slabs in order; the slabs are compressed side by side."""
    from dask.delayed import delayed

    start: Any = _Appended(None, Written(Stats()))
    if target.plan.extended:
        packed = delayed(_pack_bytes)(target)
        start = delayed(_append)(start, packed, target, lease)
    slabs = array.rechunk(_slabs(array, target.layout))
    for slab in slabs.to_delayed().reshape(-1):
        start = delayed(_append)(start, delayed(_pack_slab)(slab, target), target, lease)
    job: Delayed = delayed(_last)(start, target)
    return job


def _slabs(array: da.Array, layout: Layout) -> tuple[tuple[int, ...], ...]:
    """Return chunks that follow each other in the file."""
    itemsize = layout.dtype.itemsize
    inner = math.prod(array.shape[1:])
    if len(array.chunks[0]) > 1 and all(len(sizes) == 1 for sizes in array.chunks[1:]):
        chunks: tuple[tuple[int, ...], ...] = array.chunks
        return chunks
    if inner * itemsize <= _SLAB or array.ndim == 2:  # noqa: PLR2004 -- rows of an image
        return (_cut(array.shape[0], max(1, _SLAB // max(1, inner * itemsize))), *((n,) for n in array.shape[1:]))
    rows = max(1, _SLAB // max(1, math.prod(array.shape[2:]) * itemsize))
    if array.ndim == 3 or math.prod(array.shape[2:]) * itemsize <= _SLAB:  # noqa: PLR2004 -- rows of a section
        return (_cut(array.shape[0], 1), _cut(array.shape[1], rows), *((n,) for n in array.shape[2:]))
    return (_cut(array.shape[0], 1), _cut(array.shape[1], 1), *((n,) for n in array.shape[2:]))


def _cut(length: int, step: int) -> tuple[int, ...]:
    return tuple(min(step, length - at) for at in range(0, length, step))


def _pack_slab(slab: Any, target: Target) -> tuple[bytes, Stats]:
    """Convert and compress a slab."""
    values = as_pixels(slab)
    raw = bytearray()
    found = block_writer.store_pixels(raw.extend, target.layout, values)
    assert target.packer is not None  # noqa: S101 -- for the type checker
    return target.packer.pack(raw), found


def _pack_bytes(target: Target) -> tuple[bytes, Stats]:
    assert target.packer is not None  # noqa: S101 -- for the type checker
    return target.packer.pack(target.plan.extended), Stats()


def _append(before: _Appended, packed: tuple[bytes, Stats], target: Target, lease: Lease | None) -> _Appended:
    """Write some compressed bytes after those before them; to do it again does no harm."""
    end, (stats, file) = before
    data, found = packed
    at = _room(target) if end is None else end
    number = _same_file(file, target.append(at, data, lease), target.path)
    return _Appended(at + len(data), Written(stats.merge(found), number))


def _room(target: Target) -> int:
    assert target.packer is not None  # noqa: S101 -- for the type checker
    return len(target.packer.head(bytes(len(target.plan.header.raw))))


def _last(before: _Appended, _target: Target) -> Written:
    return before.written


# ------------------------------------------------------------------------------------------ running


def _run(job: Delayed, progress: Progress) -> Any:
    """Compute, with a progress bar if wanted; a client of distributed is used if there is one."""
    client = _client()
    if client is not None:
        return _run_distributed(job, client, shown=is_shown(progress))
    with task_bar("writing", shown=progress):
        return job.compute()


def _client() -> Any:
    """Return the client of distributed that dask would use now, None when there is none."""
    if "distributed" not in sys.modules:
        return None
    import dask
    from distributed import Client

    chosen = dask.config.get("scheduler", None)
    if chosen not in (None, "dask.distributed", "distributed"):
        return None
    with contextlib.suppress(ValueError):
        return Client.current()
    return None


def _run_distributed(job: Delayed, client: Any, *, shown: bool) -> Any:
    future = client.compute(job)
    try:
        if shown:
            _cluster_bar(future)
        found = future.result()
    except BaseException:
        future.cancel()
        raise
    return found


def _cluster_bar(future: Any) -> None:
    """Show how many tasks of a cluster are done; return when all are."""
    from distributed.diagnostics.progressbar import TextProgressBar

    with progress_bar("writing") as bar:

        class ClusterBar(TextProgressBar):
            """Pass what distributed counts to the bar."""

            def _draw_bar(self, remaining: int, all: int, **_: Any) -> None:  # noqa: A002 -- its name there
                bar.update(all - remaining, all)

            def _draw_stop(self, **_: Any) -> None:
                """Leave the end to the bar."""

        ClusterBar([future])  # type: ignore[no-untyped-call]
