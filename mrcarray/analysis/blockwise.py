"""One pass over the pixels of a file: in blocks, by several threads, in bounded memory.

Blocks are read and looked at by the same thread, so a block is still in the cache when it is looked at, and memory is
one block a thread whatever the size of the file. What was seen is combined in the order of the file, so a result does
not depend on how many threads there were.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from mrcarray.errors import TruncatedError
from mrcarray.format.modes import Packing
from mrcarray.storage.threads import each

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mrcarray.format.layout import Layout
    from mrcarray.storage.source import ByteSource, Readable

__all__ = ["BLOCK", "scan", "workers"]

_T = TypeVar("_T")

BLOCK = 3 << 19
"""Bytes of a block: a multiple of every pixel's size, and small enough for the cache."""


def workers(count: int | None = None) -> int:
    """Return how many threads to use: those asked for, else one a processor and at most 8."""
    return max(1, count) if count is not None else max(1, min(8, os.cpu_count() or 1))


def scan(  # noqa: PLR0913 -- what to read, what to do with it, and two options
    layout: Layout,
    source: ByteSource,
    visit: Callable[[NDArray[Any]], _T],
    combine: Callable[[_T, _T], _T],
    *,
    threads: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> _T | None:
    """Show every pixel to a function, and combine what it returns.

    Parameters
    ----------
    layout, source
        The pixels.
    visit : callable
        Called with each block of pixels, from several threads at once. The block is overwritten afterwards.
    combine : callable
        Called with what `visit` returned for the blocks so far and for the next block, one call at a time.
    threads : int, optional
        How many threads; by default one a processor.
    progress : callable, optional
        Called with the number of bytes of each block that is done.

    Returns
    -------
    object
        The combined result; None when there are no pixels.

    Raises
    ------
    TruncatedError
        When the source ends before the pixels do.
    """
    step, rows = _step(layout)
    starts = range(layout.offset, layout.stop, step)
    if not layout.nbytes:
        return None
    fold = _Fold(combine, progress)
    count = min(workers(threads), len(starts)) if len(starts) > 1 else 1
    in_order = not hasattr(source, "session")
    with _session(source) as reader:
        line = _Line(iter(enumerate(starts)), reader, in_order=in_order)

        def run(_: int) -> None:
            buffer = np.empty(min(step, layout.nbytes), dtype=np.uint8)
            try:
                while not fold.failed and (block := line.next(buffer, layout.stop, source.name)) is not None:
                    index, raw = block
                    fold.add(index, visit(_pixels(layout, raw, rows=rows)), raw.size)
            except BaseException:
                fold.failed = True
                raise

        each(run, range(count), count)
    result: _T | None = fold.result
    return result


def _step(layout: Layout) -> tuple[int, bool]:
    """Return the bytes of a block, and whether blocks must be whole rows (4-bit rows that end within a byte)."""
    if layout.pixel.packing is Packing.NIBBLE and layout.columns % 2:
        return layout.row_nbytes * max(1, BLOCK // layout.row_nbytes), True
    return BLOCK, False


def _pixels(layout: Layout, raw: NDArray[np.uint8], *, rows: bool) -> NDArray[Any]:
    if rows:
        return layout.pixel.unpack(raw.reshape(-1, layout.row_nbytes), layout.columns, layout.byteorder)
    count = raw.size * 8 // layout.pixel.bits
    return layout.pixel.unpack(raw, count, layout.byteorder)


def _session(source: ByteSource) -> contextlib.AbstractContextManager[Readable]:
    session = getattr(source, "session", None)
    return session() if session else contextlib.nullcontext(source)


class _Line:
    """Hands out blocks; those of a source that is best read from start to end are read one at a time."""

    def __init__(self, starts: Any, reader: Readable, *, in_order: bool) -> None:
        self._starts, self._reader = starts, reader
        self._taking = threading.Lock()
        self._in_order = in_order

    def next(self, buffer: NDArray[np.uint8], stop: int, name: str) -> tuple[int, NDArray[np.uint8]] | None:
        """Fill `buffer` with the next block, and return its number and its bytes; None after the last."""
        with self._taking:
            number, start = next(self._starts, (-1, math.inf))
            if number < 0:
                return None
            if self._in_order:
                return number, self._read(buffer, int(start), stop, name)
        return number, self._read(buffer, int(start), stop, name)

    def _read(self, buffer: NDArray[np.uint8], start: int, stop: int, name: str) -> NDArray[np.uint8]:
        raw = buffer[: min(buffer.size, stop - start)]
        count = self._reader.read_into(start, raw)
        if count != raw.size:
            raise TruncatedError(f"the pixels end at byte {stop}, but there are {start + count} bytes", name)
        return raw


class _Fold:
    """Combines results in the order of their blocks, whatever the order in which they come."""

    def __init__(self, combine: Callable[[Any, Any], Any], progress: Callable[[int], object] | None) -> None:
        self._combine, self._progress = combine, progress
        self._lock = threading.Lock()
        self._waiting: dict[int, Any] = {}
        self._next = 0
        self.result: Any = None
        self.failed = False

    def add(self, index: int, part: Any, nbytes: int) -> None:
        """Take the result of block `index`."""
        with self._lock:
            self._waiting[index] = part
            while self._next in self._waiting:
                part = self._waiting.pop(self._next)
                self.result = part if self._next == 0 else self._combine(self.result, part)
                self._next += 1
            if self._progress is not None:
                self._progress(nbytes)
