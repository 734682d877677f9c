"""Compressed targets, written from front to back in parts that are compressed side by side.

A compressed file here is a chain of members (gzip) or streams (bzip2), which every reader takes for one. The first
holds the head alone and takes a fixed room, so that it can be written again when the rest is known.
"""

from __future__ import annotations

import bz2
import importlib
import os
import threading
import zlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrcarray.errors import Hint, MrcValueError, printable
from mrcarray.storage.threads import executor
from mrcarray.suffixes import COMPRESSED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from mrcarray.storage.atomic import AtomicFile

__all__ = ["PACKERS", "Packer", "StreamSink", "packer_for"]

PART = 4 << 20
"""Bytes compressed as one member."""

_GZIP = 31
"""`wbits` of zlib for a gzip member."""

_EMPTY_BZ2 = bz2.compress(b"")
_BZ2_ROOM, _BZ2_SINGLES, _BZ2_CUTS = 2800, 28, 16
_STORED_ROOM = 23


@dataclass(frozen=True, slots=True)
class Packer:
    """One way of compressing.

    Parameters
    ----------
    name, suffix : str
        What people call it, and how its files end.
    part : callable
        ``part(data, level)`` compresses some bytes to a member of their own.
    head : callable
        ``head(data)`` compresses the head; the length of the result depends on that of `data` alone.
    level : int or None
        Asked for by the caller.
    """

    name: str
    suffix: str
    part: Callable[[Any, int | None], bytes]
    head: Callable[[bytes], bytes]
    level: int | None = None

    def pack(self, data: Any) -> bytes:
        """Compress some bytes, as members of at most `PART` bytes."""
        view = memoryview(data).cast("B")
        return b"".join(self.part(view[i : i + PART], self.level) for i in range(0, len(view), PART))


def _gzip_part(data: Any, level: int | None) -> bytes:
    return _gzip_function()(data, level)


def _gzip_function() -> Callable[[Any, int | None], bytes]:
    """Return the fastest way there is: isal, zlib-ng, or the standard library."""
    for name, function in (("isal.isal_zlib", _isal), ("zlib_ng.zlib_ng", _zlib_ng)):
        try:
            importlib.import_module(name)
        except ImportError:
            continue
        return function
    return _zlib


def _isal(data: Any, level: int | None) -> bytes:
    module = importlib.import_module("isal.isal_zlib")
    fastest, best = 1, 3
    out: bytes = module.compress(data, fastest if level is None else min(max(level, 0), best), wbits=_GZIP)
    return out


def _zlib_ng(data: Any, level: int | None) -> bytes:
    module = importlib.import_module("zlib_ng.zlib_ng")
    out: bytes = module.compress(data, 2 if level is None else level, wbits=_GZIP)
    return out


def _zlib(data: Any, level: int | None) -> bytes:
    return zlib.compress(data, 1 if level is None else level, wbits=_GZIP)


def _gzip_head(data: bytes) -> bytes:
    """Return a stored member: compression level 0 of one block takes 23 bytes more than the data."""
    return zlib.compress(data, 0, wbits=_GZIP)


def _bz2_part(data: Any, level: int | None) -> bytes:
    return bz2.compress(data, 9 if level is None else level)


def _bz2_head(data: bytes) -> bytes:
    """Return streams that fill their room to the byte.

    bzip2 cannot store, so the head is cut into streams whose lengths leave a gap that empty streams of 14 bytes fill.
    A single byte takes a stream of 37: one more of them moves the gap, whatever the head holds.
    """
    front = b""
    for start in range(min(_BZ2_SINGLES, len(data))):
        for cut in range(start, min(start + _BZ2_CUTS, len(data))):
            streams = front + _bz2_small(data[start:cut]) + _bz2_small(data[cut:])
            gap = _BZ2_ROOM - len(streams)
            if gap >= 0 and gap % len(_EMPTY_BZ2) == 0:
                return streams + _EMPTY_BZ2 * (gap // len(_EMPTY_BZ2))
        front += _bz2_small(data[start : start + 1])
    raise MrcValueError("the header cannot be fitted into its place in a bzip2 file; write it with compression='gzip'")


def _bz2_small(data: bytes) -> bytes:
    return bz2.compress(data, 1)  # the level is the size of a block, and so of the memory to clear


PACKERS: dict[str, Packer] = {
    "gzip": Packer("gzip", ".gz", _gzip_part, _gzip_head),
    "bzip2": Packer("bzip2", ".bz2", _bz2_part, _bz2_head),
}
"""Compressions that can be written, by name."""


def packer_for(path: str, compression: str | None = "auto", level: int | None = None) -> Packer | None:
    """Return the compression for a target, None for none.

    Parameters
    ----------
    path : str
        The target.
    compression : {"auto", "gzip", "bzip2"} or None
        ``"auto"`` goes by the suffix.
    level : int, optional
        Level, in the numbers of zlib or bzip2.

    Raises
    ------
    MrcValueError
        When the compression is unknown, or the suffix is that of one that can only be read.

    Examples
    --------
    >>> packer_for("emd_1234.map.gz").name, packer_for("a.mrc")
    ('gzip', None)
    """
    if compression == "auto":
        found = _by_suffix(path)
    elif compression is None or compression in PACKERS:
        found = PACKERS[compression] if compression else None
    else:
        raise MrcValueError(f"compression is {compression!r}; expected 'auto', {', '.join(map(repr, PACKERS))} or None")
    if found is None:
        return None
    if level is not None and not 0 <= level <= 9:  # noqa: PLR2004 -- the levels of both
        raise MrcValueError(f"level is {level!r}; expected 0 to 9")
    return Packer(found.name, found.suffix, found.part, found.head, level)


def _by_suffix(path: str) -> Packer | None:
    name = os.fsdecode(path).lower()
    found = next((row for row in PACKERS.values() if name.endswith(row.suffix)), None)
    if found is None and name.endswith(COMPRESSED):
        text = f"{printable(path)}: cannot write .xz or .zst (read-only formats)"
        raise MrcValueError(text, hint=Hint("use .gz, .bz2 or compression=None", "use .gz or .bz2"))
    return found


class StreamSink:
    """A new compressed file, whose bytes come in order; some parts are compressed while others are written.

    Parameters
    ----------
    file : AtomicFile
        The temporary file.
    packer : Packer
        How to compress.
    head : int
        Uncompressed bytes at the front that are written last.
    """

    def __init__(self, file: AtomicFile, packer: Packer, head: int) -> None:
        self.file = file
        self._packer = packer
        self._head = head
        self._next = head
        self._end = len(packer.head(bytes(head)))
        self._rest = bytearray()
        self._lock = threading.Lock()
        self._workers = max(2, min(8, os.cpu_count() or 2))
        self._pool = executor(self._workers, "mrcarray-pack")
        self._pending: deque[Future[bytes]] = deque()

    def write_runs(self, starts: Sequence[int], length: int, data: Any) -> None:
        """Append pieces of `length` bytes of `data`, which must go where the last ones ended."""
        view = memoryview(data).cast("B")
        with self._lock:
            for i, start in enumerate(starts):
                if start != self._next:
                    text = f"byte {start} was to be written where byte {self._next} is due"
                    raise MrcValueError(f"{text}; a compressed file is written from the first section to the last")
                self._rest += view[i * length : (i + 1) * length]
                self._next += length
                while len(self._rest) >= PART:
                    self._submit(bytes(memoryview(self._rest)[:PART]))
                    del self._rest[:PART]

    def _submit(self, part: bytes) -> None:
        self.file.descriptor  # noqa: B018 -- refuses a closed file and a forked child
        future = self._shared(part)
        if future is None:
            while self._pending:
                self._drain()
            self.write_packed(self._packer.pack(part))
            return
        self._pending.append(future)
        while len(self._pending) > 2 * self._workers:  # a bound on what waits in memory
            self._drain()

    def _shared(self, part: bytes) -> Future[bytes] | None:
        """Have another thread compress a part; None where none takes it."""
        try:
            return None if self._pool is None else self._pool.submit(self._packer.pack, part)
        except RuntimeError:  # the interpreter ends, or can have no more threads
            return None

    def _drain(self) -> None:
        self.write_packed(self._pending.popleft().result())

    def write_packed(self, packed: bytes) -> None:
        """Append bytes that are compressed already."""
        self.file.write_at(self._end, packed)
        self._end += len(packed)

    def commit(self, head: bytes) -> None:
        """Write what is left, then the head, and give the file its name."""
        if self._rest:
            self._submit(bytes(self._rest))
        while self._pending:
            self._drain()
        if self._pool is not None:
            self._pool.shutdown()
        self.file.write_at(0, self._packer.head(head))
        self.file.commit()

    def abort(self) -> None:
        """Remove the temporary file."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._pending.clear()
        self.file.abort()
