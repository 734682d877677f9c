"""The parts of a file that is written: taken a piece at a time, in threads or through a compressor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mrcarray.classic.statistics import Counted
from mrcarray.storage.coalesce import in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mrcarray.storage.atomic import AtomicFile
    from mrcarray.storage.compression.writer import StreamSink

__all__ = ["HEAD", "pack", "pieces", "write_in_threads"]

#: Bytes at the front that are written last.
HEAD = 1024
#: Bytes handed to a compressor at a time.
BLOCK = 1 << 20
#: Bytes counted and written at a time by one thread; with fewer, threads wait for the interpreter more than they work.
SHARE = 4 << 20


def pieces(part: Any) -> Iterator[tuple[int, memoryview]]:
    """Give a part in pieces, each with its place in it."""
    get, nbytes = _getter(part)
    for at in range(0, nbytes, BLOCK):
        yield at, get(at, min(at + BLOCK, nbytes))


def _getter(part: Any) -> tuple[Callable[[int, int], memoryview], int]:
    """Return how to get pieces of a part, and its length."""
    if isinstance(part, Counted):
        return part.piece, part.raw.size
    view = memoryview(part).cast("B")
    return lambda start, stop: view[start:stop], len(view)


def pack(sink: StreamSink, head: Callable[[], bytes], parts: Iterable[Any]) -> None:
    """Write everything to a compressed file, and give it its name."""
    position = HEAD
    try:
        for part in parts:
            for _, piece in pieces(part):
                sink.write_runs([position], len(piece), piece)
                position += len(piece)
        sink.commit(head())
    except BaseException:
        sink.abort()
        raise


def write_in_threads(file: AtomicFile, start: int, part: Any) -> int:
    """Write a part, several threads at once; return its length."""
    get, nbytes = _getter(part)

    def work(at: int) -> None:
        file.write_at(start + at, get(at, min(at + SHARE, nbytes)))

    in_threads(work, range(0, nbytes, SHARE), nbytes)
    return nbytes
