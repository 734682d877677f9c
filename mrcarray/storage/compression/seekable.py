"""What one process knows of one compressed file: how far it was decoded, and how to get back.

A pass goes forward as far as somebody asks, and leaves points on its way from which later reads start. Where a format
has no such points, what the pass produced is spooled, so that the next read need not begin again.
"""

from __future__ import annotations

import contextlib
import importlib.util
import threading
import warnings
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from mrcarray.errors import MrcWarning, printable
from mrcarray.storage.coalesce import touch
from mrcarray.storage.compression.checkpoints import Aim, Point, Points
from mrcarray.storage.compression.heads import beginnings
from mrcarray.storage.compression.index_file import Index, checksum, load, save
from mrcarray.storage.compression.parked import parked
from mrcarray.storage.compression.spool import Spool
from mrcarray.storage.compression.stream import PIECE
from mrcarray.storage.memory import MemorySource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from mrcarray.errors import CompressionError
    from mrcarray.storage.compression.codec import Codec
    from mrcarray.storage.compression.decoder import Forward
    from mrcarray.storage.source import ByteSource

__all__ = ["State", "Wish"]

HEAD = 1 << 20
"""Beginnings up to this length are decoded again rather than spooled."""

NEAR = 16 << 20
"""Bytes decoded and dropped to get from a point to what is wanted, at most, where spooling is the other way."""


class Wish(NamedTuple):
    """Where an index shall be kept, and how much of the content is wanted."""

    path: Path
    limit: int | None


class State:
    """Progress in one compressed source, shared by all threads of the process.

    Parameters
    ----------
    inner : ByteSource
        The compressed bytes.
    codec : Codec
        Their format.
    """

    def __init__(self, inner: ByteSource, codec: Codec) -> None:
        self.inner = inner
        self.codec = codec
        self.points = Points()
        self.spool: Spool | None = None
        self.end: int | None = None
        self.verified = False
        self.passes = 0
        self._turn = _Turn()
        self._front: Forward | None = None
        self._begin = Point(0, 0)
        self._prepared = self._wished = False
        self._kept = False
        #: For lengths up to which was read: whether the content ends there, and what is wrong behind it.
        self._tails: dict[int, tuple[bool, CompressionError | None]] = {}

    @property
    def cost(self) -> int:
        """About how much memory is held, in bytes."""
        held = self.points.heavy * 40_000
        held += (self.inner.size() or 0) if isinstance(self.inner, MemorySource) else 0
        held += self._front.held if self._front is not None else 0
        return held + (self.spool.in_memory if self.spool else 0)

    @property
    def disk(self) -> int:
        """Bytes of a temporary file that are held."""
        return self.spool.size if self.spool is not None and self.spool.on_disk else 0

    @property
    def fresh(self) -> bool:
        """Whether no pass has gone beyond the beginning yet, and none can be spared."""
        return self.spool is None and len(self.points.all) == 1

    def read_into(
        self,
        start: int,
        out: NDArray[np.uint8],
        *,
        whole: bool = False,
        last: bool = False,
        wish: Wish | None = None,
    ) -> tuple[int, CompressionError | None]:
        """Fill `out` from uncompressed byte `start`; return how much there was, and why not more.

        Parameters
        ----------
        start : int
            First byte.
        out : ndarray of uint8
            Where the bytes go.
        whole : bool
            Whether this is all there is to read, so that nothing need be kept for later.
        last : bool
            Whether nothing is wanted behind it, so that `finish` will be asked.
        wish : Wish, optional
            Where an index shall be kept, and how far it shall go.
        """
        if start + out.size > HEAD and self._unprepared(wish):
            with self._pass(start):
                self._prepare(wish, build=not whole)
        spool = self._spooled(start + out.size)
        if spool is not None:
            return self._from_spool(spool, start, out)
        if whole and self._at_once(start, out):
            return out.size, None
        with self._pass(start):
            if self._ahead(start):
                return self._forward(start, out, whole=whole)
        if self.codec.forks or whole or start - self.points.before(start).out <= NEAR:
            return self._from_point(start, out, last=last)
        with self._pass(start):
            spool = self._spool_to(start + out.size)
        return self._from_spool(spool, start, out)

    def read_ranges(
        self, ranges: Sequence[tuple[int, NDArray[np.uint8]]], wish: Wish | None = None
    ) -> tuple[int, CompressionError | None]:
        """Fill all arrays, each from its uncompressed byte; return how many were filled whole, and why not all.

        Neighbours the pass has gone by are decoded in one go from the point before the first of them.
        """
        done = 0
        while done < len(ranges):
            start, out = ranges[done]
            count = self._neighbours(ranges[done:])
            if count > 1:
                filled, damage = self._walk(ranges[done : done + count])
            else:
                got, damage = self.read_into(start, out, wish=wish)
                filled = count = int(got == out.size)
            done += filled
            if filled < max(count, 1):
                return done, damage
        return done, None

    def _neighbours(self, ranges: Sequence[tuple[int, NDArray[np.uint8]]]) -> int:
        """Return how many of the ranges are best decoded together: those behind the pass with no point in between."""
        front = 0 if self._front is None else self._front.position
        if not self._prepared or self.spool is not None:
            return 0
        count, reached = 0, -1
        for start, out in ranges:
            point = self.points.before(start).out
            passed = start + out.size <= front or point > front
            if not passed or start - point > NEAR or (count and not point <= reached <= start):
                break
            count, reached = count + 1, start + out.size
        return count

    def _walk(self, ranges: Sequence[tuple[int, NDArray[np.uint8]]]) -> tuple[int, CompressionError | None]:
        """Fill neighbours from one point on."""
        first, (last, end) = ranges[0][0], (ranges[-1][0], ranges[-1][1].size)
        with self._leading(first, last + end) as stream:
            for i, (start, out) in enumerate(ranges):
                stream.skip(start)
                if stream.position != start or stream.readinto(out.data) != out.size:
                    return i, stream.damage
        return len(ranges), None

    def reach(self, stop: int) -> tuple[int, CompressionError | None]:
        """Decode up to `stop` and return how many bytes there are before it, and what is wrong if fewer."""
        with self._pass(0):
            if not self.codec.forks:
                self._spool_to(stop)
                front = self._front
            else:
                front = self._skip(stop)
            assert front is not None  # noqa: S101 -- tells the type checker
            return min(stop, front.position), front.damage

    def _unprepared(self, wish: Wish | None) -> bool:
        return not self._prepared or (wish is not None and not self._wished)

    def _prepare(self, wish: Wish | None, *, build: bool) -> None:
        """Before the first access behind the beginning: get the points that cost less than a pass, or can be kept."""
        if not self._unprepared(wish):
            return
        found = None if wish is None else load(wish.path, self.inner.fingerprint, self.inner)
        if found is not None:
            self.points, self.end = Points(found.points), found.end
            beginnings.keep(self.inner, 0, found.head)
            build = True
        elif build and self.codec.outline is not None:  # these points are in the file already
            points = self.codec.outline(self.inner) or []
            if len(points) > 1:
                self.points = Points(points)
        elif build and wish is not None:
            self._build(wish)
        self._prepared |= build
        self._wished |= build and wish is not None

    def recall(self, wish: Wish) -> None:
        """Use the index that was kept, if there is one, before anything is decoded."""
        with self._pass(0):
            self._prepare(wish, build=False)

    def _build(self, wish: Wish) -> None:
        """Make a pass for the index alone, and keep it."""
        if self.codec.windows is not None:
            found = self.codec.windows(self.inner, wish.limit)
            if found is None and importlib.util.find_spec("indexed_gzip") is not None:
                return  # the file is damaged; who reads it will be told
            if found is None:
                text = "its index cannot be kept without indexed_gzip: pip install 'mrcarray[fast]'"
                warnings.warn(f"{printable(self.inner.name)}: {text}", MrcWarning, stacklevel=2)
                return
            self.points = Points(found)
        elif self.codec.forks:
            self._skip(1 << 62 if wish.limit is None else wish.limit)
        self.keep(wish)

    def keep(self, wish: Wish) -> None:
        """Write the index where it was wished, if there is one that can be kept."""
        if self._kept or not any(point.out and point.decoder is None for point in self.points.all):
            return
        self._kept = True
        try:
            index = Index(self.points.all, self.end, beginnings.of(self.inner), checksum(self.inner))
            save(wish.path, self.inner.fingerprint, index)
        except (OSError, ValueError) as error:
            text = f"{printable(self.inner.name)}: its index cannot be kept ({printable(error)})"
            warnings.warn(text, MrcWarning, stacklevel=2)

    def finish(self, limit: int) -> tuple[bool, CompressionError | None]:
        """After a read up to `limit`: tell whether the content ends there, its checksum verified."""
        with self._pass(limit):
            front = self._front
            if limit not in self._tails and front is not None and front.position == limit:
                self._tails[limit] = self._ends(front), front.damage
                self._note(front)
            return self._tails.get(limit, (True, None))

    def _ends(self, front: Forward) -> bool:
        """Tell whether the content ends where the pass stands; a byte that follows is spooled like those before it."""
        if self.spool is None:
            return front.finish()
        byte = memoryview(bytearray(1))
        count = front.readinto(byte)
        self.spool.append(byte[:count])
        return count == 0

    # -------------------------------------------------------------------------------- ways to bytes

    def _spooled(self, stop: int) -> Spool | None:
        """Return what was spooled, if all up to `stop` was."""
        spool = self.spool
        return spool if spool is not None and (spool.size >= stop or spool.size == self.end) else None

    def _from_spool(self, spool: Spool, start: int, out: NDArray[np.uint8]) -> tuple[int, CompressionError | None]:
        touch(self.inner)
        count = spool.read_into(start, out)
        damage = self._front.damage if count < out.size and self._front is not None else None
        return count, damage

    def _from_point(
        self, start: int, out: NDArray[np.uint8], *, last: bool = False
    ) -> tuple[int, CompressionError | None]:
        """Read what the pass has gone by: from the point before it, while others do the same; look behind the last."""
        with self._leading(start, start + out.size) as stream:
            count = stream.readinto(out.data) if stream.position == start else 0
            if last and count == out.size:
                self._tails[start + count] = stream.finish(), stream.damage
            return count, stream.damage

    @contextlib.contextmanager
    def _leading(self, start: int, stop: int) -> Iterator[Forward]:
        """Give a pass that stands at `start`, to read up to `stop`: one that was left before it, or a new one."""
        point = self.points.before(start)
        left = parked.take(self, point.out, start)
        stream = self._from(point) if left is None else left
        try:
            if left is not None:
                touch(self.inner)
            stream.toward(self.points.aim(point.out, stop))
            stream.skip(start)
            yield stream
        except BaseException:
            stream.close()
            raise
        parked.put(self, stream)

    def _from(self, point: Point) -> Forward:
        """Return a pass from a point, or from the start if the point is from an index that cannot be true."""
        try:
            return self.codec.stream(self.inner, self.codec, point)
        except zlib.error:
            self.points = Points()
            return self.codec.stream(self.inner, self.codec, self.points.last)

    def _at_once(self, start: int, out: NDArray[np.uint8]) -> bool:
        """Read all with the decoder for that, which leaves no points; False without one, or where anything is wrong."""
        decoder = self.codec.whole() if self.codec.whole is not None else None
        if decoder is None:
            return False
        self.passes += 1
        stream = self.codec.stream(self.inner, replace(self.codec, decoder=decoder), Point(0, 0))
        stream.skip(start)
        if stream.readinto(out.data) < out.size:
            return False
        ends = stream.finish()
        if stream.damage is None:
            self._tails[start + out.size] = ends, None
            self._note(stream)
        return stream.damage is None

    def _ahead(self, start: int) -> bool:
        """Tell whether the pass should go on for a read from `start`."""
        front = self._frontier()
        return front.position <= start and front.position >= self.points.before(start).out

    def _forward(self, start: int, out: NDArray[np.uint8], *, whole: bool) -> tuple[int, CompressionError | None]:
        if not (self.codec.forks or self._spares(start + out.size, whole=whole)):
            return self._from_spool(self._spool_to(start + out.size), start, out)
        touch(self.inner)
        front = self._frontier()
        front.toward(Aim(start + out.size))
        front.skip(start)
        count = front.readinto(out.data) if front.position == start else 0
        self._note(front)
        return count, front.damage if count < out.size else None

    def _spares(self, stop: int, *, whole: bool) -> bool:
        """Tell whether the pass may go on without keeping what it produces; once something is kept, all is."""
        return self.spool is None and (whole or stop <= HEAD or len(self.points.all) > 1)

    def _frontier(self) -> Forward:
        if self._front is None:
            self.passes += 1
            self._front = self.codec.stream(self.inner, self.codec, self._begin, self.points)
        return self._front

    def _skip(self, stop: int) -> Forward:
        """Take the pass as far as `stop`."""
        front = self._frontier()
        front.toward(Aim(stop))
        front.skip(stop)
        self._note(front)
        return front

    @contextlib.contextmanager
    def _pass(self, start: int) -> Iterator[None]:
        """Have the pass alone; it is given up where the work breaks off, for then it may not stand where it says.

        Whatever breaks it off (Ctrl-C, a lost connection, a full disk, no memory), bytes may have been decoded and not
        have arrived. Points were made before and are right.
        """
        with self._turn.of(start):
            try:
                yield
            except BaseException:
                self._front = self.spool = None
                if self.codec.forks:  # at such points a decoder knows all it needs to verify what it decodes
                    self._begin = next(point for point in reversed(self.points.all) if point.window is None)
                raise

    def _spool_to(self, stop: int) -> Spool:
        """Decode and keep everything up to `stop`."""
        if self.spool is None:
            self._front = None
            self.spool = Spool(self.inner.name)
        front, spool = self._frontier(), self.spool
        buffer = memoryview(bytearray(min(PIECE, max(0, stop - front.position))))
        while front.position < stop and not front.stopped:
            count = front.readinto(buffer[: stop - front.position])
            spool.append(buffer[:count])
        self._note(front)
        return spool

    def _note(self, front: Forward) -> None:
        if front.ended and front.damage is None:
            self.end, self.verified = front.position, True


class _Turn:
    """A lock that goes to the waiting read that is first in the file, so that a pass need not be left."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._busy = False
        self._waiting: list[int] = []

    @contextlib.contextmanager
    def of(self, start: int) -> Iterator[None]:
        with self._condition:
            self._waiting.append(start)
            try:
                self._condition.wait_for(lambda: not self._busy and min(self._waiting) == start)
                self._busy = True
            finally:  # who no longer waits must not be waited for
                self._waiting.remove(start)
                self._condition.notify_all()
        try:
            yield
        finally:
            with self._condition:
                self._busy = False
                self._condition.notify_all()
