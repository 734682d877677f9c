"""Compressions, recognised by content. To add one, add a row to `CODECS`, and its ending to `mrcarray.suffixes`.

A row says how a compressed file starts and which decoder reads it; everything else (members, padding, damage, random
access, memory) is the same for all rows and lives in `mrcarray.storage.compression`.
"""

from __future__ import annotations

import re

from mrcarray.storage.compression.bzip2 import Bzip2Stream
from mrcarray.storage.compression.codec import Codec
from mrcarray.storage.compression.decoders import GzipDecoder, XzDecoder, ZstdDecoder, whole_gzip
from mrcarray.storage.compression.index_file import windows
from mrcarray.storage.compression.stream import Stream, glance, head
from mrcarray.storage.compression.xz import outline

__all__ = ["CODECS", "Codec", "by_name", "detect", "glance", "peek"]

_ROWS = (
    # Method 8 is the only one, and the three reserved flags are 0 (RFC 1952).
    Codec(
        "gzip",
        ".gz",
        re.compile(rb"\x1f\x8b\x08[\x00-\x1f]", re.DOTALL),
        GzipDecoder,
        "saved decoder states, every quarter MiB at first; members",
        Stream,
        forks=True,
        whole=whole_gzip,
        windows=windows,
    ),
    # The level is followed by the first block's magic number, or at once by the end of an empty stream.
    Codec(
        "bzip2",
        ".bz2",
        re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", re.DOTALL),
        None,
        "blocks of at most 900 kB, by their bits",
        Bzip2Stream,
        forks=True,
    ),
    Codec(
        "xz",
        ".xz",
        re.compile(rb"\xfd7zXZ\x00\x00", re.DOTALL),
        XzDecoder,
        "blocks, listed at the end; else a temporary copy",
        Stream,
        outline=outline,
    ),
    # Frames, and the frames that decoders skip.
    Codec(
        "zstd",
        ".zst",
        re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", re.DOTALL),
        ZstdDecoder,
        "frames; else a temporary copy",
        Stream,
    ),
)

CODECS: dict[str, Codec] = {row.name: row for row in _ROWS}
"""Compressions by name."""


def by_name(name: str) -> Codec:
    """Return the row of that name."""
    return CODECS[name]


def detect(first: bytes) -> Codec | None:
    r"""Return the row for a file that starts with `first`, or None if it is not compressed.

    A file with "MAP " at byte 208 is taken as it is, whatever its first bytes look like: they are numbers there.

    Examples
    --------
    >>> import gzip
    >>> detect(gzip.compress(b"abc")).name
    'gzip'
    >>> detect(b"\x1f\x8b\x08\x00" + bytes(204) + b"MAP ") is None
    True
    """
    if first[208:212] == b"MAP ":
        return None
    for row in _ROWS:
        if row.matches(first):
            return row
    return None


def peek(first: bytes, wanted: int = 1024) -> bytes:
    """Return up to `wanted` uncompressed bytes of a file that starts with `first`, whether it is compressed or not.

    Nothing else of the file is looked at, and damage gives what came before it. Of a format that gives nothing at once,
    nothing is returned.

    Examples
    --------
    >>> import gzip
    >>> peek(gzip.compress(b"abcdef"), 3)
    b'abc'
    """
    codec = detect(first)
    if codec is None:
        return first[:wanted]
    return head(first, codec, wanted)
