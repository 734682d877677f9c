"""Cache the first uncompressed bytes of compressed files.

A bzip2 block returns nothing before it is decoded whole, and the header is in the first block: without the cache, each
opening of a file would decode that block again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrcarray.storage.cache import ProcessCache
from mrcarray.storage.coalesce import touch

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrcarray.storage.source import ByteSource

__all__ = ["LENGTH", "heads", "keep_head", "known_head", "read_head"]

LENGTH = 1 << 16
"""Bytes kept of one file, at most: its headers, unless the extended header is very long."""

heads: ProcessCache[bytes] = ProcessCache(1 << 16, (16 << 20,), lambda head: (len(head),))
"""First bytes by name and fingerprint of the compressed source, 16 MiB together."""


def known_head(source: ByteSource) -> bytes:
    """Return the first bytes that are known, none where there are none."""
    return heads.get((source.name, source.fingerprint)) or b""


def keep_head(source: ByteSource, start: int, piece: bytes | memoryview) -> None:
    """Keep bytes from `start` on, if they join those that are known."""
    known = known_head(source)
    if start <= len(known) < min(start + len(piece), LENGTH):
        heads[source.name, source.fingerprint] = (known[:start] + bytes(piece[:LENGTH]))[:LENGTH]


def read_head(
    source: ByteSource, start: int, stop: int, decode: Callable[[int, int], memoryview]
) -> bytes | memoryview:
    """Return the bytes ``start:stop``: those known, if the source has not changed, or what `decode` returns."""
    known = known_head(source)
    if stop <= len(known):
        touch(source)
        return known[start:stop]
    found = decode(start, stop)
    keep_head(source, start, found)
    return found
