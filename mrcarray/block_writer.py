"""Pixels on their way into a file: converted, counted and written in one pass.

`Writer` and the functions that write in place share these steps; they differ in who owns the file.
"""

from __future__ import annotations

import math
import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import MrcValueError, MrcWarning, printable
from mrcarray.format import regions
from mrcarray.format.builder import Draft, unfinished
from mrcarray.format.casting import as_pixels, fit
from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.format.selection import runs
from mrcarray.statistics import Stats
from mrcarray.storage.atomic import AtomicFile
from mrcarray.storage.coalesce import in_threads
from mrcarray.storage.sink import FileSink

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from mrcarray.format.layout import Layout
    from mrcarray.storage.sink import ByteSink

__all__ = ["PIECE", "box_and_values", "open_sink", "stats_of_file", "store", "store_pixels", "warn_trouble"]

PIECE = 1 << 20
"""Pixels converted, counted and written at a time by one thread."""


def store(  # noqa: PLR0913 -- where, what, and how
    write_runs: Callable[[Sequence[int], int, Any], None],
    layout: Layout,
    box: regions.Box,
    values: NDArray[Any],
    *,
    threads: bool = True,
    ordered: bool = False,
) -> Stats:
    """Convert a box of pixels, write it, and return its statistics, all in one pass over pieces that fit the cache.

    Parameters
    ----------
    write_runs : callable
        ``write_runs(starts, length, data)`` of a sink.
    layout : Layout
        Where the pixels are to lie.
    box : Box
        Which of them.
    values : ndarray
        The pixels, in the shape of the box.
    threads : bool
        Whether large boxes are shared between threads.
    ordered : bool
        Whether the pieces must be written in order.

    Returns
    -------
    Stats
        Of the pixels as they are stored.

    Raises
    ------
    MrcValueError
        When a value does not fit the mode.
    """
    origin = tuple(start for start, _ in box)
    parts = list(regions.pieces(values.shape, _piece(layout)))
    found: list[Stats] = [Stats()] * len(parts)

    def work(i: int) -> None:
        part = parts[i]
        pixels = fit(values[tuple(slice(a, b) for a, b in part)], layout.pixel)
        place = tuple(slice(a + o, b + o) for (a, b), o in zip(part, origin, strict=True))
        starts, length = runs(layout, place)
        raw = layout.pixel.pack(pixels, layout.byteorder)
        found[i] = Stats.of(pixels, threads=1)
        write_runs(starts.tolist(), length, raw.reshape(-1).data)

    in_threads(work, range(len(parts)), 0 if ordered or not threads else values.nbytes)
    return Stats.merged(found)


def store_pixels(collect: Callable[[bytes | memoryview], None], layout: Layout, values: NDArray[Any]) -> Stats:
    """Convert pixels to stored bytes, in order, and return their statistics.

    Parameters
    ----------
    collect : callable
        Takes the bytes, a piece at a time.
    layout : Layout
        Pixel format and byte order; whole rows are taken.
    values : ndarray
        The pixels.
    """
    found = []
    for part in regions.pieces(values.shape, _piece(layout)):
        pixels = fit(values[tuple(slice(a, b) for a, b in part)], layout.pixel)
        found.append(Stats.of(pixels, threads=1))
        collect(layout.pixel.pack(pixels, layout.byteorder).reshape(-1).data)
    return Stats.merged(found)


def _piece(layout: Layout) -> int:
    """Return how many pixels to take at a time: whole rows, so that 4-bit pixels stay in their bytes."""
    return max(PIECE, math.prod(layout.shape[-1 - len(layout.pixel.trailing) :]))


def box_and_values(whole: tuple[int, ...], key: Any, values: Any) -> tuple[regions.Box, NDArray[Any]]:
    """Return the box a key names in an array, and the values in its shape."""
    box, shape = regions.box_of(whole, key)
    array = as_pixels(values)
    try:
        full = np.broadcast_to(array, shape)
    except ValueError:
        raise MrcValueError(f"the values have shape {array.shape}; the region to be written has {shape}") from None
    return box, full.reshape(regions.lengths(box))


def stats_of_file(path: str, layout: Layout) -> Stats:
    """Read the pixels of a file once, a few megabytes at a time, and return their statistics."""
    from mrcarray.array import MrcArray
    from mrcarray.storage.local import LocalSource

    array = MrcArray(layout, LocalSource.open(path))
    keys = (tuple(slice(a, b) for a, b in box) for box in regions.pieces(layout.shape, 1 << 23))
    return Stats.merged(Stats.of(array[key]) for key in keys)


def warn_trouble(stats: Stats, path: str) -> None:
    """Warn when the header cannot say the statistics."""
    if stats.problem is not None:
        text = f"{printable(path)}: {stats.problem}; the header says that its statistics are undetermined"
        warnings.warn(text, MrcWarning, stacklevel=4)


def open_sink(  # noqa: PLR0913 -- the choices of whoever writes
    path: str | os.PathLike[str],
    plan: Draft,
    *,
    overwrite: bool = False,
    sync: bool = True,
    compression: str | None = "auto",
    level: int | None = None,
    growing: bool = False,
) -> ByteSink:
    """Open the temporary file that will become `path`, with its extended header in place.

    Parameters
    ----------
    path : str or path
        The target.
    plan : Draft
        What will be written.
    overwrite, sync : bool
        As for `Writer`.
    compression : {"auto", "gzip", "bzip2"} or None
        ``"auto"`` goes by the suffix of `path`.
    level : int, optional
        Of the compression.
    growing : bool
        Leave the size open.

    Returns
    -------
    ByteSink
    """
    from mrcarray.storage.compression.writer import StreamSink, compressor_for

    packer = compressor_for(os.fsdecode(path), compression, level)
    file = AtomicFile(path, overwrite=overwrite, sync=sync)
    try:
        head = unfinished(plan.header).raw
        if packer is not None:
            stream = StreamSink(file, packer, len(head))
            stream.write_runs([HEADER_NBYTES], len(plan.extended), plan.extended)
            return stream
        file.write_at(0, head + plan.extended)
        if not growing:
            file.reserve(plan.layout.stop)
    except BaseException:
        file.abort()
        raise
    return FileSink(file)
