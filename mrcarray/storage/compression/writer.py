"""Write compressed files: `Compressor`, one way to compress, and `StreamSink`, a file compressed part by part.

A compressed file is a chain of members (gzip) or streams (bzip2), which every reader takes for one file. The first
member contains only the head and has a fixed length, so that it can be written last, when the statistics are known.
"""

from __future__ import annotations

import bz2
import importlib
import os
import threading
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mrcarray.errors import Hint, MrcValueError, printable
from mrcarray.storage.threads import Ordered, processors
from mrcarray.urls import COMPRESSED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mrcarray.storage.atomic import AtomicFile

__all__ = ["COMPRESSORS", "Compressor", "StreamSink", "compressor_for"]

PART = 4 << 20
"""Bytes compressed as one member."""

_GZIP = 31
"""`wbits` of zlib for a gzip member."""

_EMPTY_BZ2 = bz2.compress(b"")
_BZ2_HEAD, _BZ2_SINGLES, _BZ2_CUTS = 2800, 28, 16


@dataclass(frozen=True, slots=True)
class Compressor:
    """One way to compress.

    Parameters
    ----------
    name, suffix : str
        What it is called, and how its files end.
    member : callable
        ``member(data, level)`` compresses some bytes to a member of their own.
    head : callable
        ``head(data)`` compresses the head; the length of the result depends on that of `data` alone.
    level : int or None
        Asked for by the caller.
    """

    name: str
    suffix: str
    member: Callable[[Any, int | None], bytes]
    head: Callable[[bytes], bytes]
    level: int | None = None

    def compress(self, data: Any, part: int = PART) -> bytes:
        """Compress some bytes, as members of at most `part` bytes."""
        view = memoryview(data).cast("B")
        return b"".join(self.member(view[i : i + part], self.level) for i in range(0, len(view), part))


def _gzip_member(data: Any, level: int | None) -> bytes:
    return _gzip_function()(data, level)


def _gzip_function() -> Callable[[Any, int | None], bytes]:
    """Return the fastest way that is installed: isal, zlib-ng, or the standard library."""
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
    """Return a stored member: at compression level 0 one block takes 23 bytes more than the data."""
    return zlib.compress(data, 0, wbits=_GZIP)


def _bz2_member(data: Any, level: int | None) -> bytes:
    return bz2.compress(data, 9 if level is None else level)


def _bz2_head(data: bytes) -> bytes:
    """Return streams of `_BZ2_HEAD` bytes together.

    bzip2 cannot store, so the head is cut into streams whose lengths leave a gap that empty streams of 14 bytes fill.
    A single byte takes a stream of 37: one more of them moves the gap, whatever the head contains.
    """
    front = b""
    for start in range(min(_BZ2_SINGLES, len(data))):
        for cut in range(start, min(start + _BZ2_CUTS, len(data))):
            streams = front + _bz2_small(data[start:cut]) + _bz2_small(data[cut:])
            gap = _BZ2_HEAD - len(streams)
            if gap >= 0 and gap % len(_EMPTY_BZ2) == 0:
                return streams + _EMPTY_BZ2 * (gap // len(_EMPTY_BZ2))
        front += _bz2_small(data[start : start + 1])
    raise MrcValueError(f"cannot compress the header to {_BZ2_HEAD} bytes of bzip2; pass compression='gzip'")


def _bz2_small(data: bytes) -> bytes:
    return bz2.compress(data, 1)  # the level is the size of a block, and so of the memory to clear


COMPRESSORS: dict[str, Compressor] = {
    "gzip": Compressor("gzip", ".gz", _gzip_member, _gzip_head),
    "bzip2": Compressor("bzip2", ".bz2", _bz2_member, _bz2_head),
}
"""Compressions that can be written, by name."""


def compressor_for(path: str, compression: str | None = "auto", level: int | None = None) -> Compressor | None:
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
        When the compression is unknown, or the suffix is that of a read-only format.

    Examples
    --------
    >>> compressor_for("emd_1234.map.gz").name, compressor_for("a.mrc")
    ('gzip', None)
    """
    if compression == "auto":
        found = _by_suffix(path)
    elif compression is None or compression in COMPRESSORS:
        found = COMPRESSORS[compression] if compression else None
    else:
        known = ", ".join(map(repr, COMPRESSORS))
        raise MrcValueError(f"compression is {compression!r}; expected 'auto', {known} or None")
    if found is None:
        return None
    if level is not None and not 0 <= level <= 9:  # noqa: PLR2004 -- the levels of both
        raise MrcValueError(f"level is {level!r}; expected 0 to 9")
    return replace(found, level=level)


def _by_suffix(path: str) -> Compressor | None:
    name = os.fsdecode(path).lower()
    found = next((row for row in COMPRESSORS.values() if name.endswith(row.suffix)), None)
    if found is None and name.endswith(COMPRESSED):
        text = f"{printable(path)}: cannot write .xz or .zst (read-only formats)"
        other = "" if name.endswith(".xz") else "; mrcarray.convert can write .zst"
        raise MrcValueError(text, hint=Hint(f"use .gz, .bz2 or compression=None{other}", "use .gz or .bz2"))
    return found


class StreamSink:
    """A new compressed file, written from front to back; some parts are compressed while others are written.

    Parameters
    ----------
    file : AtomicFile
        The temporary file.
    compressor : Compressor
        How to compress.
    head : int
        Uncompressed bytes at the front that are written last.
    part : int
        Bytes compressed as one member.
    """

    def __init__(self, file: AtomicFile, compressor: Compressor, head: int, *, part: int = PART) -> None:
        self.file = file
        self._compressor = compressor
        self._part = part
        self._next = head
        self._end = len(compressor.head(bytes(head)))
        self._rest = bytearray()
        self._lock = threading.Lock()
        self._pending: Ordered[bytes] = Ordered()
        self._most = 2 * max(2, min(8, processors()))

    def write_runs(self, starts: Sequence[int], length: int, data: Any) -> None:
        """Append pieces of `length` bytes of `data`, each of which must start where the last one ended."""
        view = memoryview(data).cast("B")
        with self._lock:
            for i, start in enumerate(starts):
                if start != self._next:
                    text = f"byte {start} was to be written where byte {self._next} is due"
                    raise MrcValueError(f"{text}; a compressed file is written from the first section to the last")
                self._rest += view[i * length : (i + 1) * length]
                self._next += length
                while len(self._rest) >= self._part:
                    self._submit(bytes(memoryview(self._rest)[: self._part]))
                    del self._rest[: self._part]

    def _submit(self, part: bytes) -> None:
        self.file.descriptor  # noqa: B018 -- refuses a closed file and a forked child
        self._pending.submit(self._compressor.compress, part, self._part)
        while len(self._pending) > self._most:  # a bound on what waits in memory
            self.write_packed(self._pending.pop())

    def write_packed(self, packed: bytes) -> None:
        """Append bytes that are compressed already."""
        self.file.write_at(self._end, packed)
        self._end += len(packed)

    def commit(self, head: bytes) -> None:
        """Write what is left, then the head, and give the file its name."""
        if self._rest:
            self._submit(bytes(self._rest))
        while self._pending:
            self.write_packed(self._pending.pop())
        self.file.write_at(0, self._compressor.head(head))
        self.file.commit()

    def abort(self) -> None:
        """Remove the temporary file."""
        self._pending.cancel()
        self.file.abort()
