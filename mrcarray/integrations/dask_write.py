"""Streaming a dask array to a file: every chunk is written where it belongs by the task that has it, without a lock.

A task writes its chunk by positional writes to the temporary file and returns the statistics of what it wrote; these
are merged in a tree; the last task writes the header and gives the file its name. To run a task twice does no harm.
Nothing but the chunks in work is in memory.

Compressed files grow at their end: tasks compress slabs side by side, and a chain of small tasks appends them in order.
"""

from __future__ import annotations

import contextlib
import math
import os
import platform
import secrets
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mrcarray import inplace, storing
from mrcarray.errors import MrcValueError, printable
from mrcarray.format import boxes
from mrcarray.format.draft import unfinished
from mrcarray.format.fitting import as_pixels
from mrcarray.format.modes import Packing
from mrcarray.stats import Stats
from mrcarray.storage.atomic import AtomicFile, lease_name
from mrcarray.storage.packed import packer_for
from mrcarray.storage.sink import append_path, write_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    import dask.array as da
    from dask.delayed import Delayed

    from mrcarray.format.draft import Draft
    from mrcarray.format.layout import Layout
    from mrcarray.storage.packed import Packer

__all__ = ["RECORD", "Progress", "Target", "write_box", "write_dask"]

Progress = bool | Literal["auto"]

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
    ]
)
"""One `Stats` as an element of an array, so that dask carries and reduces it."""

_SLAB = 32 << 20
_SPLIT = 16


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
    lease : bool
        Whether nobody holds the temporary file open, so that the first task to come makes it.
    packer : Packer or None
        How to compress.
    """

    temp: str
    path: str
    plan: Draft
    overwrite: bool
    sync: bool
    lease: bool
    packer: Packer | None = None

    def __dask_tokenize__(self) -> Any:
        """Tell two writes apart, even of the same array to the same name."""
        return ("mrcarray.write", self.temp)

    @property
    def layout(self) -> Layout:
        """Where the pixels go."""
        return self.plan.layout

    def write(self, place: tuple[slice, ...], values: np.ndarray[Any, Any]) -> Stats:
        """Write a chunk to the temporary file and return its statistics."""
        layout = self.layout
        box, _ = boxes.box_of(layout.shape, place)
        size, grow = (None, layout.stop) if self.lease else (layout.stop, None)

        def write_runs(starts: Any, length: int, data: Any) -> None:
            write_path(self.temp, starts, length, data, size=size, grow=grow)

        try:
            return storing.store(write_runs, layout, box, values, threads=False)
        except FileNotFoundError as error:
            text = f"{error.strerror} on host {platform.node()}; every worker must see the folder under this path"
            raise FileNotFoundError(error.errno, text, error.filename) from None

    def finish(self, stats: Stats) -> str:
        """Write the header and give the file its name."""
        with AtomicFile.adopt(self.temp, self.path, overwrite=self.overwrite, sync=self.sync) as file:
            self.seal(file, stats)
        return self.path

    def seal(self, file: AtomicFile, stats: Stats) -> None:
        """Write the header of a file whose pixels are there, and commit it."""
        if stats.total != math.prod(self.layout.shape):
            text = f"{stats.total} of {math.prod(self.layout.shape)} pixels were written"
            raise MrcValueError(f"{printable(self.path)}: {text}; the file is given up")
        storing.warn_trouble(stats, self.path)
        head = self.plan.header.replace(**stats.to_header_fields()).raw
        file.write_at(0, head + self.plan.extended if self.packer is None else self.packer.head(head))
        file.commit()


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
        target = Target(temp, real, plan, overwrite, sync, lease=True, packer=packer)
        from dask.delayed import delayed

        job: Delayed = delayed(target.finish)(_written(array, target))
        return job
    with AtomicFile(path, overwrite=overwrite, sync=sync) as file:
        target = Target(file.temp, file.path, plan, overwrite, sync, lease=False, packer=packer)
        if packer is None:
            file.write_at(0, unfinished(plan.header).raw + plan.extended)
            file.reserve(plan.layout.stop)
        else:
            file.write_at(0, packer.head(unfinished(plan.header).raw))
        target.seal(file, _run(_written(array, target), progress))
    return file.path


def _written(array: da.Array, target: Target) -> Delayed:
    """Return what writes the pixels and gives their statistics."""
    return _stream(array, target) if target.packer is not None else _scatter(array, target)


# ------------------------------------------------------------------------------------------ plain files


def write_box(array: da.Array, region: inplace.Region, box: boxes.Box, *, compute: bool, progress: Progress) -> Any:
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
    Stats or Delayed
    """
    origin = tuple(start for start, _ in box)
    job = _scatter(array, _Into(region, origin))
    return _run(job, progress) if compute else job


@dataclass(frozen=True, slots=True)
class _Into:
    """Part of a file that exists, as a target of chunks."""

    region: inplace.Region
    origin: tuple[int, ...]

    @property
    def layout(self) -> Layout:
        return self.region.layout

    def write(self, place: tuple[slice, ...], values: Any) -> Stats:
        moved = tuple(slice(s.start + at, s.stop + at) for s, at in zip(place, self.origin, strict=True))
        return self.region.write(moved, values, threads=False)


def _scatter(array: da.Array, target: Target | _Into) -> Delayed:
    """Return the writes of all chunks, and the merging of what they give."""
    import dask.array as da
    from dask.base import tokenize
    from dask.blockwise import blockwise
    from dask.delayed import delayed
    from dask.highlevelgraph import HighLevelGraph
    from dask.layers import ArraySliceDep

    array = _whole_bytes(array, target.layout)
    parents: Any = [array]
    name = f"mrc-write-{tokenize(array.name, target)}"
    axes = tuple(range(array.ndim))
    places = ArraySliceDep(array.chunks)
    numblocks = {array.name: array.numblocks}
    layer = blockwise(_write_chunk, name, axes, array.name, axes, places, axes, target=target, numblocks=numblocks)
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
    job: Delayed = delayed(_from_record)(merged.to_delayed().item())
    return job


def _whole_bytes(array: da.Array, layout: Layout) -> da.Array:
    """Return the array in chunks no two of which share a byte: with 4-bit pixels, rows are not cut."""
    if layout.pixel.packing is Packing.NIBBLE and len(array.chunks[-1]) > 1:
        whole: da.Array = array.rechunk({array.ndim - 1: -1})
        return whole
    return array


def _write_chunk(chunk: Any, place: tuple[slice, ...], *, target: Target | _Into) -> np.ndarray[Any, Any]:
    """Write a chunk where it belongs and return its statistics as an array of one element."""
    values = as_pixels(chunk)
    return _record(target.write(place, values), values.ndim)


def _record(stats: Stats, ndim: int) -> np.ndarray[Any, Any]:
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
    )
    return out


def _from_record(record: Any) -> Stats:
    count, low, high, mean, m2, nans, infs, is_complex = np.asarray(record).reshape(-1)[0].item()
    return Stats(count, low, high, mean if is_complex else mean.real, m2, nans, infs)


def _as_is(records: Any, **_: Any) -> Any:
    return records


def _merge_records(records: Any, axis: Any = None, *, keepdims: bool = False) -> Any:  # noqa: ARG001 -- all axes
    """Merge the records of some chunks."""
    ndim = np.ndim(records)
    merged = Stats.merged(_from_record(one) for one in np.asarray(records).reshape(-1))
    out = _record(merged, ndim)
    return out if keepdims else out.reshape(())


# ------------------------------------------------------------------------------------------ compressed files


def _stream(array: da.Array, target: Target) -> Delayed:
    """Return a chain of tasks that append slabs in order; the slabs are compressed side by side."""
    from dask.delayed import delayed

    start: Any = (None, Stats())
    if target.plan.extended:
        packed = delayed(_pack_bytes)(target)
        start = delayed(_append)(start, packed, target)
    slabs = array.rechunk(_slabs(array, target.layout))
    for slab in slabs.to_delayed().reshape(-1):
        start = delayed(_append)(start, delayed(_pack_slab)(slab, target), target)
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
    found = storing.store_pixels(raw.extend, target.layout, values)
    assert target.packer is not None  # noqa: S101 -- for the type checker
    return target.packer.pack(raw), found


def _pack_bytes(target: Target) -> tuple[bytes, Stats]:
    assert target.packer is not None  # noqa: S101 -- for the type checker
    return target.packer.pack(target.plan.extended), Stats()


def _append(before: tuple[int | None, Stats], packed: tuple[bytes, Stats], target: Target) -> tuple[int, Stats]:
    """Write some compressed bytes after those before them; to do it again does no harm."""
    end, stats = before
    data, found = packed
    at = _room(target) if end is None else end
    append_path(target.temp, at, data, create=target.lease)
    return at + len(data), stats.merge(found)


def _room(target: Target) -> int:
    assert target.packer is not None  # noqa: S101 -- for the type checker
    return len(target.packer.head(bytes(len(target.plan.header.raw))))


def _last(before: tuple[int | None, Stats], _target: Target) -> Stats:
    return before[1]


# ------------------------------------------------------------------------------------------ running


def _run(job: Delayed, progress: Progress) -> Stats:
    """Compute, with a progress bar if wanted; a client of distributed is used if there is one."""
    shown = sys.stderr.isatty() if progress == "auto" else bool(progress)
    client = _client()
    if client is not None:
        return _run_distributed(job, client, shown=shown)
    with _local_bar(shown=shown):
        found: Stats = job.compute()
    return found


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


def _run_distributed(job: Delayed, client: Any, *, shown: bool) -> Stats:
    future = client.compute(job)
    try:
        if shown:
            _cluster_bar(future)
        found: Stats = future.result()
    except BaseException:
        future.cancel()
        raise
    return found


def _cluster_bar(future: Any) -> None:
    """Show the progress of a cluster where that of threads is shown; returns when all is done."""
    from distributed.diagnostics.progressbar import TextProgressBar

    class Bar(TextProgressBar):
        """The bar of distributed, on standard error."""

        def _draw_bar(self, remaining: int, all: int, **_: Any) -> None:  # noqa: A002 -- its name there
            done = 1 - remaining / all if all else 1.0
            sys.stderr.write(f"\r[{'#' * int(self.width * done):<{self.width}}] | {int(100 * done)}% Completed")
            sys.stderr.flush()

        def _draw_stop(self, **_: Any) -> None:
            sys.stderr.write("\n")

    Bar([future])  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def _local_bar(*, shown: bool) -> Iterator[None]:
    if not shown:
        yield
        return
    from dask.diagnostics.progress import ProgressBar

    with ProgressBar(out=sys.stderr):
        yield
