"""Compressed files, read like plain ones.

A `CompressedSource` is a value: the source of the compressed bytes, the name of the compression, and how many bytes
are wanted. What the process learns while it decodes (how far it got, points to start from, spooled bytes) is kept
aside, by fingerprint, so that copies of the source share it, also those that arrive in a pickle.

Output is never more than what is asked for and one piece (256 KiB, for bzip2 some blocks), whatever the input.
"""

from __future__ import annotations

import contextlib
import operator
import os
import threading
import warnings
import weakref
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import LimitError, MrcWarning, TruncatedError, printable
from mrcarray.storage.compression.codecs import by_name, glance
from mrcarray.storage.compression.heads import LENGTH, beginnings
from mrcarray.storage.compression.index_file import FOLDER, place
from mrcarray.storage.compression.parked import parked
from mrcarray.storage.compression.seekable import State, Wish
from mrcarray.storage.local import HEAD, absolute

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from numpy.typing import NDArray

    from mrcarray.errors import CompressionError
    from mrcarray.storage.compression.codec import Codec
    from mrcarray.storage.source import ByteSource

__all__ = ["CompressedSource", "forget", "open_compressed"]

KEPT = 512
"""Files whose state is kept although nobody uses them now."""

KEPT_BYTES = 256 << 20
"""Memory such states may hold together."""

KEPT_DISK = 16 << 30
"""Bytes of temporary files such states may hold together."""

KEPT_FILES = 64
"""Number of those files, each of which is open."""

PART = 1 << 20
"""Bytes for which `read` allocates before it knows that they exist."""


@dataclass(frozen=True, slots=True)
class CompressedSource:
    """The uncompressed bytes of a compressed source.

    Parameters
    ----------
    inner : ByteSource
        The compressed bytes.
    codec : str
        Name of the row in `mrcarray.storage.compression.codecs.CODECS`.
    limit : int, optional
        Bytes that are wanted from the start on; who reads up to it has read the whole, which is then verified.
    permissive : bool
        Whether damage ends the content, with a warning, instead of raising.
    max_bytes : int, optional
        Refuse to read beyond this byte.
    index : bool or str
        Keep the index in a file: True for beside the compressed one or in the cache folder, or a path.
    head : bytes, optional
        First uncompressed bytes, decoded when the source was opened.

    Examples
    --------
    >>> import gzip
    >>> from mrcarray.storage import open_source
    >>> source = open_source(gzip.compress(b"abcdef"))
    >>> bytes(source.read(2, 4))
    b'cd'
    """

    inner: ByteSource
    codec: str
    limit: int | None = None
    permissive: bool = False
    max_bytes: int | None = None
    index: bool | str = False
    head: bytes = field(default=b"", compare=False, repr=False)

    @property
    def name(self) -> str:
        """Name of the compressed source."""
        return self.inner.name

    @property
    def fingerprint(self) -> tuple[Hashable, ...]:
        """What identifies the compressed source, and the compression."""
        return (*self.inner.fingerprint, self.codec)

    @property
    def in_order(self) -> bool:
        """Whether a large range is best read from its start to its end by one reader."""
        return self._state().fresh

    @property
    def verified(self) -> bool:
        """Whether a pass has reached the end, all checksums right; a result read in part is not verified."""
        return self._state().verified

    def bounded(
        self, limit: int | None = None, *, permissive: bool | None = None, max_bytes: int | None = None
    ) -> CompressedSource:
        """Return a source that knows how much of it is wanted, and what to do with damage.

        Parameters
        ----------
        limit : int, optional
            Bytes wanted from the start on.
        permissive : bool, optional
            Whether damage ends the content instead of raising.
        max_bytes : int, optional
            Refuse to read beyond this byte.
        """
        return replace(
            self,
            limit=self.limit if limit is None else limit,
            permissive=self.permissive if permissive is None else permissive,
            max_bytes=self.max_bytes if max_bytes is None else max_bytes,
        )

    def size(self) -> int | None:
        """Return the number of bytes if a pass has reached the end, else None."""
        return self._state().end

    def available(self, stop: int) -> int:
        """Decode up to `stop`, and return how many bytes there are before it.

        This is a pass over the file, after which reading starts at points; for damaged files it tells what was whole.
        """
        self._refuse(stop)
        with _states.using(self) as state:
            count, damage = state.reach(stop)
        self._say(damage if count < stop else None)
        return count

    def read(self, start: int, stop: int) -> memoryview:
        """Return the bytes ``start:stop``; fewer only where the content ends."""
        if stop > LENGTH or stop == self.limit:
            return self._read(start, stop)
        self._refuse(stop)
        if stop <= len(self.head):
            return memoryview(self.head)[start:stop]
        if by_name(self.codec).decoder is not None:  # what comes at once need not be kept
            return self._read(start, stop)
        self._recall()
        return memoryview(beginnings.read(self.inner, start, stop, self._read))

    def _recall(self) -> None:
        """Look for the first bytes in the index that was kept, unless they are known."""
        wish = self._wish()
        if wish is not None and not beginnings.of(self.inner):
            with _states.using(self) as state:
                state.recall(wish)

    def _read(self, start: int, stop: int) -> memoryview:
        parts: list[memoryview] = []
        while start < stop:
            out = np.empty(min(PART, stop - start), dtype=np.uint8)
            count = self.read_into(start, out)
            parts.append(out[:count].data)
            start += count
            if count < out.size:
                break
        return memoryview(parts[0] if len(parts) == 1 else b"".join(parts)).toreadonly()

    def read_into(self, start: int, out: NDArray[np.uint8]) -> int:
        """Fill `out` from byte `start`; return the bytes read, fewer only where the content ends."""
        stop = start + out.size
        self._refuse(stop)
        if not out.size:
            return 0
        last = stop == self.limit
        whole = last and out.size * 2 > stop
        with _states.using(self) as state:
            count, damage = state.read_into(start, out, whole=whole, last=last, wish=self._wish())
            if last and count == out.size:
                damage = self._finish(state, stop)
        self._say(damage)
        return count

    def read_ranges(self, starts: Sequence[int], outs: Sequence[NDArray[np.uint8]]) -> None:
        """Fill every array of `outs` from its byte in `starts`, decoding what lies close together in one go."""
        ranges = sorted(zip(starts, outs, strict=True), key=_start)
        for start, out in ranges:
            self._refuse(start + out.size)
        with _states.using(self) as state:
            done, damage = state.read_ranges(ranges, self._wish())
        if done == len(ranges):
            return
        self._say(damage)
        start, out = ranges[done]
        text = f"bytes {start} to {start + out.size} were asked for, but the file ends before"
        raise TruncatedError(text, self.name)

    def _finish(self, state: State, stop: int) -> CompressionError | None:
        ends, damage = state.finish(stop)
        wish = self._wish()
        if wish is not None and damage is None:
            state.keep(wish)
        if not ends and damage is None:
            warnings.warn(
                f"{printable(self.name)}: the {self.codec} stream goes on after the {stop} bytes that are declared; "
                "what follows is ignored, and its checksum was not reached, so damage may have gone unnoticed",
                MrcWarning,
                stacklevel=4,
            )
        return damage

    def _wish(self) -> Wish | None:
        path = place(self.name, self.inner.fingerprint, self.index) if self.index else None
        return None if path is None else Wish(path, self.limit)

    def _refuse(self, stop: int) -> None:
        if self.max_bytes is not None and stop > self.max_bytes:
            raise LimitError(f"{stop} uncompressed bytes are wanted; max_bytes allows {self.max_bytes}", self.name)

    def _say(self, damage: CompressionError | None) -> None:
        if damage is None:
            return
        if not self.permissive:
            raise damage
        warnings.warn(str(damage), MrcWarning, stacklevel=4)

    def _state(self) -> State:
        return _states.of(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the facts, no more."""
        facts: tuple[Any, ...] = (self.limit, self.permissive, self.max_bytes, self.index)
        while facts and not facts[-1]:
            facts = facts[:-1]
        return CompressedSource, (self.inner, self.codec, *facts)


def _start(one: tuple[int, NDArray[np.uint8]]) -> int:
    return one[0]


def open_compressed(
    source: ByteSource, codec: Codec, first: bytes = b"", *, index: bool | str | os.PathLike[str] = False
) -> CompressedSource:
    """Return a source of the uncompressed bytes.

    Parameters
    ----------
    source : ByteSource
        The compressed bytes.
    codec : Codec
        Their format.
    first : bytes, optional
        The first of them, if they are known: what they hold need not be read again.
    index : bool or path
        Where the seek index is kept.
    """
    kept = index if isinstance(index, bool) else _absolute(os.fspath(index))
    if kept and place(source.name, source.fingerprint, kept) is None:
        text = f"no index is kept: there is no home folder; set {FOLDER}, or give a path as index"
        warnings.warn(f"{printable(source.name)}: {text}", MrcWarning, stacklevel=3)
    return CompressedSource(source, codec.name, index=kept, head=glance(first, codec, HEAD))


def _absolute(path: str) -> str:
    """Return an absolute path; one that ends like a folder keeps that end."""
    return absolute(path) + (os.sep if path.endswith(os.sep) else "")


class _States:
    """States by fingerprint: all that are in use, and some that were used last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: weakref.WeakValueDictionary[tuple[Hashable, ...], State] = weakref.WeakValueDictionary()
        self._recent: OrderedDict[tuple[Hashable, ...], State] = OrderedDict()
        self._weights: dict[tuple[Hashable, ...], tuple[int, int]] = {}
        self._memory = self._disk = self._files = 0

    def of(self, source: CompressedSource) -> State:
        key = (source.name, source.fingerprint)
        with self._lock:
            state = self._all.get(key)
            if state is None:
                self._all[key] = state = State(source.inner, by_name(source.codec))
            self._recent[key] = state
            self._recent.move_to_end(key)
            return state

    @contextlib.contextmanager
    def using(self, source: CompressedSource) -> Iterator[State]:
        """Give the state of a source, see what it holds afterwards, and drop others if that is too much."""
        state = self.of(source)
        try:
            yield state
        finally:
            with self._lock:
                self._weigh((source.name, source.fingerprint), state.cost, state.disk)
                while len(self._recent) > 1 and self._too_much():
                    oldest, _ = self._recent.popitem(last=False)
                    self._weigh(oldest, 0, 0)

    def _weigh(self, key: tuple[Hashable, ...], memory: int, disk: int) -> None:
        """Note what a state holds; all others hold what they did when they were used, for to ask all takes long."""
        old_memory, old_disk = self._weights.pop(key, (0, 0))
        if key in self._recent:
            self._weights[key] = memory, disk
        else:
            memory = disk = 0
        self._memory += memory - old_memory
        self._disk += disk - old_disk
        self._files += (disk > 0) - (old_disk > 0)

    def _too_much(self) -> bool:
        most = (KEPT, KEPT_BYTES, KEPT_DISK, KEPT_FILES)
        held = (len(self._recent), self._memory, self._disk, self._files)
        return any(map(operator.gt, held, most))

    def clear(self) -> None:
        with self._lock:
            self._recent.clear()
            self._all.clear()
            self._weights.clear()
            self._memory = self._disk = self._files = 0


_states = _States()


def forget() -> None:
    """Drop what this process has learnt of compressed files, and the memory and temporary files it takes."""
    _states.clear()
    parked.clear()
    beginnings.clear()


def _after_fork() -> None:
    """Begin anew in a child: a lock may be held by a thread that is not in the child."""
    global _states  # noqa: PLW0603 -- one table per process
    _states = _States()  # pragma: no cover -- runs in a forked child


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
