"""The first bytes of compressed files, kept by fingerprint for who opens a file again.

A block of bzip2 gives nothing before it is decoded whole, and a header is in the first: without this, each time a file
is opened that would be done again.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from mrcarray.storage.coalesce import touch

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from mrcarray.storage.source import ByteSource

__all__ = ["LENGTH", "Beginnings", "beginnings"]

LENGTH = 1 << 16
"""Bytes kept of one file, at most: its headers, but for long lists of what was measured in each section."""

MOST = 16 << 20
"""Bytes kept of all files together."""


class Beginnings:
    """First uncompressed bytes by compressed source; those used last are kept.

    Examples
    --------
    >>> from mrcarray.storage.memory import MemorySource
    >>> some, source = Beginnings(), MemorySource(b"something compressed")
    >>> some.keep(source, 0, b"abc")
    >>> some.keep(source, 3, b"def")
    >>> some.of(source)
    b'abcdef'
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self.clear()

    def of(self, source: ByteSource) -> bytes:
        """Return the bytes that are known, none where there are none."""
        key = source.name, source.fingerprint
        with self._lock:
            if key in self._all:
                self._all.move_to_end(key)
            return self._all.get(key, b"")

    def keep(self, source: ByteSource, start: int, piece: bytes | memoryview) -> None:
        """Take note of bytes from `start` on, if they join those that are known."""
        if start > LENGTH or not piece:
            return
        key = source.name, source.fingerprint
        with self._lock:
            known = self._all.get(key, b"")
            if start <= len(known) < start + len(piece):
                longer = (known[:start] + bytes(piece[:LENGTH]))[:LENGTH]
                self._all[key] = longer
                self._held += len(longer) - len(known)
            while self._held > self._most:
                self._held -= len(self._all.popitem(last=False)[1])

    def read(
        self, source: ByteSource, start: int, stop: int, decode: Callable[[int, int], memoryview]
    ) -> bytes | memoryview:
        """Return the bytes ``start:stop``: those known, if the source has not changed, or what `decode` gives."""
        known = self.of(source)
        if stop <= len(known):
            touch(source)
            return known[start:stop]
        found = decode(start, stop)
        self.keep(source, start, found)
        return found

    def clear(self) -> None:
        """Drop all. A forked child does, too: the lock may be held by a thread that is not in the child."""
        self._lock = threading.Lock()
        self._all: OrderedDict[tuple[str, tuple[Hashable, ...]], bytes] = OrderedDict()
        self._held = 0


beginnings = Beginnings()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=beginnings.clear)
