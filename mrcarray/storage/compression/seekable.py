"""Random access to one compressed file: `SeekableReader`, shared by all sources of that file in a process.

A pass decodes as far as a read asks and leaves checkpoints on its way, from which later reads start. Where a format has
none, the output of the pass is spooled, so that the next read need not start from the beginning.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

from mrcarray.errors import MrcWarning, missing_package, printable
from mrcarray.storage.coalesce import touch
from mrcarray.storage.compression.checkpoints import Aim, Checkpoint, Checkpoints
from mrcarray.storage.compression.heads import keep_head, known_head
from mrcarray.storage.compression.index_file import Index, checksum, load, save
from mrcarray.storage.compression.spool import Spool
from mrcarray.storage.memory import MemorySource

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from mrcarray.errors import CompressionError
    from mrcarray.storage.compression.decoder import Codec, Decoder
    from mrcarray.storage.compression.gzip_index import GzipIndex
    from mrcarray.storage.compression.index_file import IndexTarget
    from mrcarray.storage.source import ByteSource

__all__ = ["SeekableReader"]

HEAD = 1 << 20
"""Reads up to this byte are decoded again rather than spooled."""

IDLE = 4
"""Passes kept where a read has ended, so that the next one goes on from there; one of bzip2 uses up to 8 MB."""

STATE = 40_000
"""Bytes of a saved decoder state."""

PIECE = 1 << 18
"""Bytes spooled at a time."""


class SeekableReader:
    """Random access to one compressed source, for all threads of the process.

    Parameters
    ----------
    inner : ByteSource
        The compressed bytes.
    codec : Codec
        Their format.
    head : int
        Up to which byte reads are decoded again rather than spooled.
    checkpoints : Checkpoints, optional
        Where the checkpoints are collected.
    """

    def __init__(
        self,
        inner: ByteSource,
        codec: Codec,
        *,
        head: int = HEAD,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self.inner = inner
        self.codec = codec
        self.checkpoints = checkpoints or Checkpoints()
        self.index: GzipIndex | None = None
        self.spool: Spool | None = None
        self.end: int | None = None
        self.verified = False
        self.passes = 0
        self._head = head
        self._turn = _Turn()
        self._begin = Checkpoint(0, 0)
        self._front: Decoder | None = None
        self._lock = threading.Lock()
        self._idle: list[Decoder] = []
        self._prepared = self._kept = False
        #: For lengths up to which was read: whether the content ends there, and what is wrong there.
        self._tails: dict[int, tuple[bool, CompressionError | None]] = {}

    def weigh(self) -> tuple[int, int, int]:
        """Return the approximate memory use, and bytes and number of the temporary files."""
        held = self.checkpoints.states * STATE
        held += (self.inner.size() or 0) if isinstance(self.inner, MemorySource) else 0
        held += sum(one.held for one in [*self._idle, self._front] if one is not None)
        held += 0 if self.index is None else self.index.cost
        if self.spool is None or not self.spool.on_disk:
            return held + (0 if self.spool is None else self.spool.size), 0, 0
        return held, self.spool.size, 1

    @property
    def fresh(self) -> bool:
        """Whether the first read has still to make a pass."""
        return self.spool is None and self.index is None and len(self.checkpoints.all) == 1

    def read_into(
        self,
        start: int,
        out: NDArray[np.uint8],
        *,
        whole: bool = False,
        last: bool = False,
        target: IndexTarget | None = None,
    ) -> tuple[int, CompressionError | None]:
        """Fill `out` from uncompressed byte `start`; return how much there was, and why not more.

        Parameters
        ----------
        start : int
            First byte.
        out : ndarray of uint8
            Where the bytes go.
        whole : bool
            Whether this reads the whole content, so that nothing need be kept for later.
        last : bool
            Whether the read ends where the declared content does, so that `finish` will be called.
        target : IndexTarget, optional
            Where an index is kept.
        """
        stop = start + out.size
        if stop > self._head and target is not None and not self._prepared:
            self.prepare(target, start, build=not whole)
        spool = self._spooled(stop)
        if spool is not None:
            return self._from_spool(spool, start, out)
        if whole and self._at_once(start, out):
            return out.size, None
        with self._pass(start):
            low = self.checkpoints.before(start).out if self.index is None else start - self.index.spacing
            if low <= self._frontier().position <= start:  # the pass is nearer than a checkpoint
                return self._forward(start, out, whole=whole)
        if self.index is not None and self.index.read_into(start, out):
            self._tails.setdefault(stop, (self.index.end == stop, None))
            return out.size, None
        if self.codec.resumable or whole or stop <= self._head:
            return self._from_checkpoint(start, out, last=last)
        with self._pass(start):
            spool = self._spool_to(stop)
        return self._from_spool(spool, start, out)

    def reach(self, stop: int) -> tuple[int, CompressionError | None]:
        """Decode up to `stop` and return how many bytes there are before it, and what is wrong if fewer."""
        with self._pass(0):
            if self.codec.resumable:
                self._skip(stop)
            else:
                self._spool_to(stop)
            front = self._frontier()
            return min(stop, front.position), front.damage

    def finish(self, limit: int) -> tuple[bool, CompressionError | None]:
        """After a read up to `limit`: return whether the content ends there, its checksum verified."""
        with self._pass(limit):
            front = self._front
            if limit not in self._tails and front is not None and front.position == limit:
                if self.spool is None:
                    self._tails[limit] = front.finish(), front.damage
                    self._note(front)
                else:  # a byte that follows is spooled like all others
                    self._spool_to(limit + 1)
                    self._tails[limit] = front.position == limit, front.damage
            return self._tails.get(limit, (True, None))

    # ------------------------------------------------------------------------------------ the kept index

    def prepare(self, target: IndexTarget, start: int = 0, *, build: bool = False) -> None:
        """Use the index that is kept in a file, if there is one; if not, `build` it before a read from `start`."""
        with self._pass(start):
            if self._prepared:
                return
            found = load(target.path, self.inner.fingerprint, self.inner)
            used = found is not None and self._use(found)
            if build and not used:
                self._build(target)
            self._prepared = used or build

    def _use(self, found: Index) -> bool:
        if self.codec.index is None:
            self.checkpoints = Checkpoints(found.checkpoints)
        else:
            try:
                self.index = self.codec.index(self.inner, found.gzip, found.reach, found.end)
            except (ValueError, ImportError):
                return False
        self.end = found.end
        keep_head(self.inner, 0, found.head)
        return True

    def _build(self, target: IndexTarget) -> None:
        """Make a pass for the index alone, and keep it."""
        if self.codec.index is not None:
            try:
                self.index = self.codec.index.build(self.inner, target.limit)
            except ImportError:
                text = str(missing_package("keeping its index", "indexed_gzip", "fast"))
                warnings.warn(f"{printable(self.inner.name)}: {text}", MrcWarning, stacklevel=2)
        elif self.codec.resumable:
            self._skip(1 << 62 if target.limit is None else target.limit)
        self.keep(target)

    def keep(self, target: IndexTarget) -> None:
        """Write the index to its file, if there is one that can be kept."""
        if self._kept:
            return
        if self.index is not None:
            index = Index([Checkpoint(0, 0)], self.index.data, self.index.reach, self.index.end)
        elif self.codec.index is None and len(self.checkpoints.all) > 1:
            index = Index(self.checkpoints.all, end=self.end)
        else:
            return
        self._kept = True
        try:
            index = index._replace(head=known_head(self.inner), checksum=checksum(self.inner))
            save(target.path, self.inner.fingerprint, index)
        except (OSError, ValueError) as error:
            text = f"{printable(self.inner.name)}: its index cannot be kept ({printable(error)})"
            warnings.warn(text, MrcWarning, stacklevel=2)

    # ------------------------------------------------------------------------------------ ways to read

    def _spooled(self, stop: int) -> Spool | None:
        """Return the spool, if it contains all up to `stop`."""
        spool = self.spool
        return spool if spool is not None and (spool.size >= stop or spool.size == self.end) else None

    def _from_spool(self, spool: Spool, start: int, out: NDArray[np.uint8]) -> tuple[int, CompressionError | None]:
        touch(self.inner)
        count = spool.read_into(start, out)
        return count, self._front.damage if count < out.size and self._front is not None else None

    def _from_checkpoint(
        self, start: int, out: NDArray[np.uint8], *, last: bool = False
    ) -> tuple[int, CompressionError | None]:
        """Read from the checkpoint before `start`, or go on from an earlier read, while other threads do the same."""
        checkpoint = self.checkpoints.before(start)
        decoder = self._take(checkpoint.out, start)
        if decoder is None:
            decoder = self.codec.start(self.inner, self.codec, checkpoint)
        else:
            touch(self.inner)
        try:
            decoder.toward(self.checkpoints.aim(checkpoint.out, start + out.size))
            decoder.skip(start)
            count = decoder.readinto(out.data) if decoder.position == start else 0
            if last and count == out.size:
                self._tails[start + count] = decoder.finish(), decoder.damage
        except BaseException:
            decoder.close()
            raise
        self._put(decoder)
        return count, decoder.damage

    def _take(self, low: int, high: int) -> Decoder | None:
        """Return the idle pass that is furthest between bytes `low` and `high`."""
        with self._lock:
            near = [one for one in self._idle if low <= one.position <= high]
            if not near:
                return None
            found = max(near, key=lambda one: one.position)
            self._idle.remove(found)
        return found

    def _put(self, decoder: Decoder) -> None:
        """Keep a pass where it is, unless there is nothing more in it."""
        with self._lock:
            self._idle += [] if decoder.stopped else [decoder]
            dropped, self._idle = self._idle[:-IDLE], self._idle[-IDLE:]
        for one in [decoder] if decoder.stopped else dropped:
            one.close()

    def _at_once(self, start: int, out: NDArray[np.uint8]) -> bool:
        """Read all with the decoder for whole reads; return False without one, or where anything is wrong."""
        member = self.codec.whole() if self.codec.whole is not None else None
        if member is None:
            return False
        self.passes += 1
        decoder = self.codec.start(self.inner, replace(self.codec, member=member), Checkpoint(0, 0))
        decoder.skip(start)
        if decoder.readinto(out.data) < out.size:
            return False
        ends = decoder.finish()
        if decoder.damage is None:
            self._tails[start + out.size] = ends, None
            self._note(decoder)
        return decoder.damage is None

    def _forward(self, start: int, out: NDArray[np.uint8], *, whole: bool) -> tuple[int, CompressionError | None]:
        stop = start + out.size
        spared = self.spool is None and (whole or stop <= self._head)
        if not (self.codec.resumable or spared):  # once something is spooled, all is
            return self._from_spool(self._spool_to(stop), start, out)
        touch(self.inner)
        front = self._frontier()
        front.toward(Aim(stop))
        front.skip(start)
        count = front.readinto(out.data) if front.position == start else 0
        self._note(front)
        return count, front.damage if count < out.size else None

    def _frontier(self) -> Decoder:
        """Return the pass that goes forward from the start; begin it if there is none."""
        if self._front is None:
            self.passes += 1
            self._front = self.codec.start(self.inner, self.codec, self._begin, self.checkpoints)
        return self._front

    def _skip(self, stop: int) -> None:
        front = self._frontier()
        front.toward(Aim(stop))
        front.skip(stop)
        self._note(front)

    @contextlib.contextmanager
    def _pass(self, start: int) -> Iterator[None]:
        """Use the pass alone; give it up where the work breaks off, for then its position may be wrong.

        Whatever breaks it off (Ctrl-C, a lost connection, a full disk), bytes may have been decoded and not stored.
        """
        with self._turn.of(start):
            try:
                yield
            except BaseException:
                self._front = self.spool = None
                if self.codec.resumable:  # at such checkpoints a decoder can still verify what it decodes
                    self._begin = next(one for one in reversed(self.checkpoints.all) if not one.inside)
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

    def _note(self, decoder: Decoder) -> None:
        if decoder.ended and decoder.damage is None:
            self.end, self.verified = decoder.position, True


class _Turn:
    """A lock that goes to the waiting read that is first in the file, so that the pass can serve all."""

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
            finally:  # a read that gave up must not be waited for
                self._waiting.remove(start)
                self._condition.notify_all()
        try:
            yield
        finally:
            with self._condition:
                self._busy = False
                self._condition.notify_all()
