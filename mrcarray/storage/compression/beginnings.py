"""The first bytes of compressed files, kept by fingerprint for who opens a file again.

A block of bzip2 gives nothing before it is decoded whole, and a header is in the first: without this, each time a file
is opened that would be done again.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from mrcarray.storage.protocols import ByteSource

__all__ = ["Beginnings", "Content", "beginnings", "content_of"]

Content = tuple[str, tuple["Hashable", ...]]
"""What a beginning belongs to: the name and the fingerprint of the uncompressed bytes."""

LENGTH = 1 << 16
"""Bytes kept of one file, at most: its headers, but for long lists of what was measured in each section."""

MOST = 16 << 20
"""Bytes kept of all files together."""


def content_of(inner: ByteSource, codec: str) -> Content:
    """Return what identifies the uncompressed bytes of a source."""
    return inner.name, (*inner.fingerprint, codec)


class Beginnings:
    """First bytes by content; those used last are kept.

    Examples
    --------
    >>> some = Beginnings()
    >>> some.keep(("a.bz2", ()), 0, b"abc")
    >>> some.keep(("a.bz2", ()), 3, b"def")
    >>> some.of(("a.bz2", ()))
    b'abcdef'
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self.clear()

    def of(self, content: Content) -> bytes:
        """Return the bytes that are known, none where there are none."""
        with self._lock:
            if content in self._all:
                self._all.move_to_end(content)
            return self._all.get(content, b"")

    def keep(self, content: Content, start: int, piece: bytes | memoryview) -> None:
        """Take note of bytes from `start` on, if they join those that are known."""
        if start > LENGTH or not piece:
            return
        with self._lock:
            known = self._all.get(content, b"")
            if start <= len(known) < start + len(piece):
                longer = (known[:start] + bytes(piece[:LENGTH]))[:LENGTH]
                self._all[content] = longer
                self._held += len(longer) - len(known)
            while self._held > self._most:
                self._held -= len(self._all.popitem(last=False)[1])

    def clear(self) -> None:
        """Drop all. A forked child does, too: the lock may be held by a thread that is not in the child."""
        self._lock = threading.Lock()
        self._all: OrderedDict[Content, bytes] = OrderedDict()
        self._held = 0


beginnings = Beginnings()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=beginnings.clear)
