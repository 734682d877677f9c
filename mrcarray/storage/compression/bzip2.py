"""A pass over a bzip2 source, several blocks at a time.

Its blocks are found without decoding. Each is given to the library as a stream of its own, side by side in threads, and
each is a point to come back to. Two checksums are verified: the block's by the library, and here the stream's, which is
made of those of its blocks.
"""

from __future__ import annotations

import bisect
import contextlib
import math
import os
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mrcarray.errors import CompressionError, printable
from mrcarray.storage.compression.bzip2_blocks import CRC, EMPTY, HEADER, Scanner, Unit
from mrcarray.storage.compression.checkpoints import Aim, Point
from mrcarray.storage.compression.decoder import Forward
from mrcarray.storage.compression.stream import warn_garbage
from mrcarray.storage.threads import allowed, executor

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor

    from mrcarray.storage.compression.checkpoints import Points
    from mrcarray.storage.compression.codec import Codec
    from mrcarray.storage.source import ByteSource

__all__ = ["Bzip2Stream"]

PIECE = 2 << 20
"""Most bytes a block gives at once: one of zeros may have 45 MB."""

TYPICAL = 900_000
"""Bytes a block has, to guess how many blocks are wanted."""

BUSY = 7 * TYPICAL
"""Bytes a block takes while decoded: the library's four for each of its own, what goes in, and twice what comes out."""


_WRONG = {
    "cut": "ends too early; the file is not complete",
    "damage": "is damaged",
    "empty": f"has {EMPTY} streams without content one after the other",
}
"""What is said of a source that goes on in such a way."""


class _Workers:
    """Threads that decode blocks, one fewer than there are cores: who needs the blocks decodes as well."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self.cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def submit(self, work: Callable[[], object]) -> None:
        """Have a thread do some work; they are started when there is some."""
        if self.cores == 1 or not allowed():
            return
        if self._pool is None:
            self._pool = executor(self.cores - 1, "bzip2")
        if self._pool is None:
            return
        with contextlib.suppress(RuntimeError):  # no thread can be had: who needs the blocks decodes them all
            self._pool.submit(work)

    def renew(self) -> None:
        """Forget the threads: a forked child has none of them."""
        self._pool = None


_workers = _Workers()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_workers.renew)


@dataclass(frozen=True, slots=True)
class _Result:
    """The first bytes of a block and the decoder that has the others, or an error."""

    piece: bytes
    decoder: Any = None
    error: Exception | None = None


def _decode(unit: Unit, most: int = PIECE) -> _Result:
    """Decode the first `most` bytes of a block; the others, for which a third of the time is needed, can follow."""
    import bz2

    decoder = bz2.BZ2Decompressor()
    try:
        pieces = [piece for part in unit.parts() if (piece := decoder.decompress(part, most))]
        piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)  # all comes with the last part, if all is right
        if not decoder.eof and len(piece) < most:
            raise EOFError("the block is not complete")  # noqa: TRY301 -- one way out for all that can be wrong
    except Exception as error:  # noqa: BLE001 -- whatever it is, the block is damaged
        return _Result(b"", error=error)
    return _Result(piece, None if decoder.eof else decoder)


class _Job:
    """A block to decode: by a thread of the pool or by who waits for it, whoever comes to it first.

    Parameters
    ----------
    unit : Unit
        The block.
    most : int
        How much of it to decode.
    """

    def __init__(self, unit: Unit, most: int) -> None:
        self._todo = [unit]
        self._most = most
        self._result: Future[_Result] = Future()

    @property
    def done(self) -> bool:
        """Whether the result is there."""
        return self._result.done()

    def work(self) -> None:
        """Decode, unless somebody has begun."""
        try:
            unit = self._todo.pop()
        except IndexError:
            return
        try:
            self._result.set_result(_decode(unit, self._most))
        except BaseException as error:
            self._result.set_exception(error)
            raise

    def drop(self) -> None:
        """Have it not done, unless somebody has begun."""
        self._todo.clear()

    def result(self) -> _Result:
        """Wait for the result."""
        return self._result.result()


def _ahead(wanted: int) -> int:
    """Return how many blocks may be under way: two, or those that take what one does and a tenth of what is wanted.

    One more waits where all threads have work, so that the first that is done finds the next at once.
    """
    busy = min(_workers.cores, max(2, 1 + wanted // (10 * BUSY)))
    return min(busy + (busy == _workers.cores), math.ceil(wanted / TYPICAL))


def _bit(point: Point) -> int:
    return point.bit


class Bzip2Stream(Forward):
    """Uncompressed bytes of a bzip2 source in order; like `Stream`, which see."""

    def __init__(self, inner: ByteSource, codec: Codec, point: Point, points: Points | None = None) -> None:
        super().__init__(point)
        self._inner = inner
        self._codec = codec
        self._points = points
        self._scanner = Scanner(inner, codec, point)
        self._aim = Aim(0)
        self._combined: int | None = 0 if point.window is None else None
        self._queue: deque[tuple[Unit, _Job | None]] = deque()
        self._piece = memoryview(b"")
        self._decoder: Any = None
        self._bit = 0
        self._last = False

    @property
    def held(self) -> int:
        """About how much memory it holds: a block that is given out, those under way, and what was read."""
        return BUSY * (len(self._queue) + (self._decoder is not None)) + len(self._piece) + self._scanner.held

    def toward(self, aim: Aim) -> None:
        """Take as many blocks at once as the way there allows, found and of the last no more than needed."""
        self._aim = aim
        self._scanner.toward(aim.inner or 0)

    def close(self) -> None:
        """Wait for nothing: what is being decoded is dropped."""
        for _, job in self._queue:
            if job is not None:
                job.drop()
        self._queue.clear()

    # -------------------------------------------------------------------------------- blocks

    def _some(self, most: int) -> memoryview:
        """Return some of the next bytes, none where a step gives none or the content ends."""
        if not self._piece:
            self._refill(most)
        piece, self._piece = self._piece[:most], self._piece[most:]
        self.position += len(piece)
        return piece

    def _refill(self, wanted: int) -> None:
        """Get more of the current block, or go on to the next unit; others are decoded meanwhile."""
        wanted = max(wanted, self._aim.out - self.position)
        begun = self._decoder is not None and not self._decoder.eof
        count = _ahead(wanted)
        self._look_ahead(count - begun, wanted if count == 1 else PIECE)
        if begun:
            self._take(self._continue())
            return
        self._decoder = None
        unit, job = self._queue.popleft()
        if job is not None:
            self._start(unit, self._finished(job))
        elif unit.kind == "end":
            self._close_stream(unit)
        elif unit.kind == "garbage":
            warn_garbage(self._inner, self._codec.name, unit.bit // 8)
            self.ended = True
        elif unit.kind == "stop":
            self.ended = True
        else:
            self._damaged(_WRONG[unit.kind], unit.bit)

    def _look_ahead(self, count: int, most: int) -> None:
        """Have `count` units under way, at most so much of each; a block that is alone is left to who needs it."""
        while len(self._queue) < count and not self._last:
            unit = self._scanner.next()
            self._last = unit.kind not in {"block", "end"}
            job = _Job(unit, min(most, self._most(unit))) if unit.kind == "block" else None
            if job is not None and count > 1:
                _workers.submit(job.work)
            self._queue.append((replace(unit, raw=b""), job))

    def _finished(self, job: _Job) -> _Result:
        """Return what a block gives; while another thread is at it, decode those nobody has begun."""
        job.work()
        for _, other in self._queue:
            if job.done:
                break
            if other is not None:
                other.work()
        return job.result()

    def _most(self, unit: Unit) -> int:
        """Return how many bytes of a block to decode at first: of the last, if it is known, no more than needed."""
        known = self._aim.points
        i = bisect.bisect_left(known, unit.bit, key=_bit)
        left = self._aim.out - known[i].out if i < len(known) and known[i].bit == unit.bit else PIECE
        return min(left, PIECE) if left > 0 else PIECE

    def _start(self, unit: Unit, result: _Result) -> None:
        if isinstance(result.error, MemoryError):  # that says nothing of the file
            raise result.error
        if result.error is not None:
            result = self._again(unit, result)
        if result.error is not None:
            self._damaged(f"is damaged ({printable(result.error)})", unit.bit)
            return
        if self._points is not None and unit.bit != HEADER * 8:
            self._points.add(Point(self.position, unit.bit // 8, unit.bit % 8, window=b""))
        if self._combined is not None:
            self._combined = ((self._combined << 1 | self._combined >> (CRC - 1)) & 0xFFFFFFFF) ^ unit.crc
        self._bit = unit.bit
        self._take(result)

    def _again(self, unit: Unit, result: _Result) -> _Result:
        """Decode a block once more, in case it seemed to end where the next number stood in it by chance."""
        scanner = Scanner(self._inner, self._codec, Point(self.position, unit.bit // 8, unit.bit % 8, window=b""))
        whole = scanner.next(skip=1)
        second = _decode(whole) if whole.kind == "block" else result
        if second.error is None:
            self.close()
            self._scanner = scanner
            self._last = False
        return second

    def _continue(self) -> _Result:
        try:
            return _Result(self._decoder.decompress(b"", PIECE), self._decoder)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 -- as in `_decode`
            self._damaged(f"is damaged ({printable(error)})", self._bit)
            return _Result(b"")

    def _take(self, result: _Result) -> None:
        self._piece = memoryview(result.piece)
        self._decoder = result.decoder

    def _close_stream(self, unit: Unit) -> None:
        if self._combined is not None and self._combined != unit.crc:
            self._damaged("is damaged (its checksum is wrong)", unit.bit)
        self._combined = 0

    def _damaged(self, what: str, bit: int) -> None:
        position = bit // 8
        self.damage = CompressionError(
            f"the bzip2 stream {what} near byte {position} of the compressed file; "
            f"{self.position} uncompressed bytes before it are whole",
            self._inner.name,
            position=position,
        )
