"""One pass over the pixels of a file: block by block, in several threads, in bounded memory.

The thread that reads a block also processes it, while it is in the processor's cache. Memory is one block per thread,
whatever the size of the file. Results are combined in the order of the file, so they do not depend on the number of
threads.
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
from mrcarray.storage.coalesce import started

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mrcarray.format.layout import Layout
    from mrcarray.storage.source import ByteSource, Readable

__all__ = ["BLOCK", "scan", "workers"]

_T = TypeVar("_T")

BLOCK = 3 << 19
"""Bytes of a block: a multiple of every pixel size, and small enough for the processor's cache."""


def workers(count: int | None = None) -> int:
    """Return the number of threads to use: `count`, or by default one per processor and at most 8."""
    return max(1, count) if count is not None else max(1, min(8, os.cpu_count() or 1))


def scan(  # noqa: PLR0913 -- input, functions and two options
    layout: Layout,
    source: ByteSource,
    visit: Callable[[NDArray[Any]], _T],
    combine: Callable[[_T, _T], _T],
    *,
    threads: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> _T | None:
    """Call a function with every block of pixels, and combine the results.

    Parameters
    ----------
    layout : Layout
        The layout of the pixels.
    source : ByteSource
        The file.
    visit : callable
        Called with each block of pixels, from several threads at once. The block is overwritten afterwards.
    combine : callable
        Called with the combined result so far and the result of the next block, one call at a time.
    threads : int, optional
        Number of threads; by default one per processor, at most 8.
    progress : callable, optional
        Called with the number of bytes of each block after it was read.

    Returns
    -------
    object
        The combined result; None if there are no pixels.

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
        blocks = _Blocks(iter(enumerate(starts)), reader, in_order=in_order)

        def run() -> None:
            buffer = np.empty(min(step, layout.nbytes), dtype=np.uint8)
            while not fold.failed and (block := blocks.next(buffer, layout.stop, source.name)) is not None:
                index, raw = block
                fold.add(index, visit(_pixels(layout, raw, rows=rows)), raw.size)

        _in_threads(run, count, fold)
    result: _T | None = fold.result
    return result


def _step(layout: Layout) -> tuple[int, bool]:
    """Return the bytes of a block, and whether blocks are whole rows (for 4-bit rows that end inside a byte)."""
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


class _Blocks:
    """Give out blocks to threads; blocks of a source without random access are read one at a time, in order."""

    def __init__(self, starts: Any, reader: Readable, *, in_order: bool) -> None:
        self._starts, self._reader = starts, reader
        self._lock = threading.Lock()
        self._in_order = in_order

    def next(self, buffer: NDArray[np.uint8], stop: int, name: str) -> tuple[int, NDArray[np.uint8]] | None:
        """Read the next block into `buffer`, and return its number and its bytes; None after the last block."""
        with self._lock:
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
            raise TruncatedError(f"the pixels end at byte {stop}, but the file has {start + count} bytes", name)
        return raw


class _Fold:
    """Combine the results of blocks in the order of the file, whatever the order in which they arrive."""

    def __init__(self, combine: Callable[[Any, Any], Any], progress: Callable[[int], object] | None) -> None:
        self._combine, self._progress = combine, progress
        self._lock = threading.Lock()
        self._waiting: dict[int, Any] = {}
        self._next = 0
        self.result: Any = None
        self.errors: list[BaseException] = []

    @property
    def failed(self) -> bool:
        """Whether a thread failed."""
        return bool(self.errors)

    def add(self, index: int, part: Any, nbytes: int) -> None:
        """Add the result of block `index`."""
        with self._lock:
            self._waiting[index] = part
            while self._next in self._waiting:
                part = self._waiting.pop(self._next)
                self.result = part if self._next == 0 else self._combine(self.result, part)
                self._next += 1
            if self._progress is not None:
                self._progress(nbytes)


def _in_threads(run: Callable[[], None], count: int, fold: _Fold) -> None:
    def guarded() -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001 -- it is raised again in the caller's thread
            fold.errors.append(error)

    others = started(guarded, count - 1)
    guarded()
    for thread in others:
        thread.join()
    if fold.errors:
        raise fold.errors[0]
