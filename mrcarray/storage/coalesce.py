"""Turn many byte ranges into few reads.

Runs less than a page apart are read together with the gap between them, because the disk reads that page anyway. Larger
gaps are read only if all gaps of a request have at most `SLACK` bytes. Many tiny runs share a system call, and large
runs are read directly into the result, without a copy.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import TruncatedError
from mrcarray.storage.threads import each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from mrcarray.storage.source import Readable

__all__ = [
    "PIECE",
    "Segments",
    "coalesce",
    "fill",
    "fill_all",
    "in_threads",
    "merge",
    "read_exactly",
    "scattered",
    "touch",
    "waits",
]

PAGE = 4096
"""Gaps shorter than this are read."""

SLACK = 65536
"""If all gaps of a request together have at most this many bytes, they are read, too."""

PIECE = 8 << 20
"""Bytes one thread reads at a time."""

THREADED = 16 << 20
"""Requests of this many bytes and more are split over threads; for smaller ones, starting a thread takes longer."""

MANY = 32
"""With fewer runs than this, the page cache is not examined."""

SCATTERED = 48
"""Fewer runs than this are read one by one."""

APART = 32768
"""Runs are read one by one, too, if most are further apart than this: mapping each page alone takes longer."""

WAITING = 16
"""Threads that wait for the disk at the same time: it serves scattered requests faster in parallel."""


@dataclass(frozen=True, slots=True)
class Segments:
    """Ranges of bytes, each of which covers neighbouring runs.

    Parameters
    ----------
    starts, stops : ndarray of int64
        File positions.
    first : ndarray of int64
        For each segment the number of its first run, then the number of runs.
    """

    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    first: NDArray[np.int64]

    def __len__(self) -> int:
        return self.starts.size

    def part(self, i: int, j: int) -> Segments:
        """Return the segments ``i:j``."""
        return Segments(self.starts[i:j], self.stops[i:j], self.first[i : j + 1])


def coalesce(starts: NDArray[np.int64], nbytes: int, limit: int = PIECE) -> Segments:
    """Join runs into segments, including the gaps that are worth reading.

    Parameters
    ----------
    starts : ndarray of int64
        File positions of the runs, ascending; runs may overlap.
    nbytes : int
        Length of every run.
    limit : int
        Segments longer than this are split between runs.

    Returns
    -------
    Segments

    Examples
    --------
    >>> import numpy as np
    >>> found = coalesce(np.array([0, 10, 200_000]), 4)
    >>> found.starts.tolist(), found.stops.tolist(), found.first.tolist()
    ([0, 200000], [14, 200004], [0, 2, 3])
    """
    gaps = np.diff(starts) - nbytes
    wide = gaps >= PAGE
    if int(gaps[gaps > 0].sum()) <= SLACK:
        wide[:] = False
    begin = np.concatenate(([0], np.flatnonzero(wide) + 1))
    begin = _cut(starts, begin, max(limit, nbytes))
    last = np.concatenate((begin[1:], [starts.size])) - 1
    return Segments(starts[begin], starts[last] + nbytes, np.concatenate((begin, [starts.size])))


def _cut(starts: NDArray[np.int64], begin: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """Start a new segment after every `limit` bytes."""
    origin = np.repeat(starts[begin], np.diff(np.concatenate((begin, [starts.size]))))
    part = (starts - origin) // limit
    if not part.any():
        return begin
    more: NDArray[np.int64] = np.union1d(begin, np.flatnonzero(np.diff(part) > 0) + 1)
    return more


def merge(ranges: Iterable[tuple[int, int]], gap: int, most: int) -> list[tuple[int, int]]:
    """Join ranges that are at most `gap` bytes apart, while they are no longer than `most` together.

    Examples
    --------
    >>> merge([(0, 10), (20, 30), (200, 300)], gap=50, most=1000)
    [(0, 30), (200, 300)]
    """
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(ranges):
        if joined and start - joined[-1][1] <= gap and stop - joined[-1][0] <= most:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined


def touch(source: Readable) -> None:
    """Raise if the source has changed, without reading any bytes."""
    source.read_into(0, np.empty(0, dtype=np.uint8))


def read_exactly(reader: Readable, start: int, out: NDArray[np.uint8], name: str) -> None:
    """Fill `out` from byte `start`, or raise `TruncatedError`."""
    count = reader.read_into(start, out)
    if count != out.size:
        found = f"bytes {start} to {start + out.size} were asked for, but the file ends at {start + count}"
        raise TruncatedError(found, name)


def fill(reader: Readable, starts: list[int], outs: list[NDArray[np.uint8]], name: str) -> None:
    """Fill every array of `outs` from its byte in `starts`, in one call if the reader can."""
    read_ranges = getattr(reader, "read_ranges", None)
    if len(starts) > 1 and read_ranges:
        read_ranges(starts, outs)
        return
    for start, out in zip(starts, outs, strict=True):
        read_exactly(reader, start, out, name)


def fill_all(
    reader: Readable, start: int, out: NDArray[np.uint8], name: str, then: Callable[[NDArray[np.uint8]], Any] | None
) -> None:
    """Fill one large array with several threads; call `then` with each piece that was read."""
    if out.size < THREADED or getattr(reader, "in_order", False):
        read_exactly(reader, start, out, name)
        if then is not None:
            then(out)
        return

    def piece(at: int) -> None:
        part = out[at : at + PIECE]
        read_exactly(reader, start + at, part, name)
        if then is not None:
            then(part)

    in_threads(piece, range(0, out.size, PIECE), out.size)


def waits(reader: Readable, starts: NDArray[np.int64]) -> bool:
    """Return whether reading many runs would wait for the disk, as far as the reader knows."""
    ask = getattr(reader, "waits", None)
    return ask is not None and starts.size >= MANY and ask(starts[:: starts.size // 8].tolist())


def scattered(reader: Readable, found: Segments, starts: NDArray[np.int64], nbytes: int) -> Any:
    """Return the `gather` method of the reader if the runs are many, small and not very far apart, else None."""
    if starts.size < SCATTERED or nbytes > PAGE or starts.size > 2 * len(found):
        return None
    if 4 * np.count_nonzero(np.diff(starts) > APART) > starts.size:
        return None
    return getattr(reader, "gather", None)


def in_threads(work: Callable[[Any], None], tasks: Iterable[Any], nbytes: int, *, waiting: bool = False) -> None:
    """Call `work` with every task, in this thread and, if there is much to read or to wait for, in others."""
    count = WAITING if waiting else _threads() if nbytes >= THREADED else 1
    each(work, tasks, count)


def _threads() -> int:
    return max(2, min(8, os.cpu_count() or 2))
