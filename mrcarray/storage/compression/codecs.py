"""The table of compressed formats, recognised by content: `CODECS`.

To add a format, add a row, and its suffix to `mrcarray.urls`. Members, padding, damage, random access and bounds of
memory are the same for all rows.
"""

from __future__ import annotations

import re

from mrcarray.storage.compression.bzip2 import Bzip2Decoder
from mrcarray.storage.compression.decoder import Codec
from mrcarray.storage.compression.gzip_index import GzipIndex
from mrcarray.storage.compression.member_decoders import GzipDecoder, XzDecoder, ZstdDecoder, whole_gzip
from mrcarray.storage.compression.stream import StreamDecoder, head

__all__ = ["CODECS", "Codec", "detect", "peek"]

_ROWS = (
    Codec(
        "gzip",
        ".gz",
        re.compile(rb"\x1f\x8b\x08[\x00-\x1f]", re.DOTALL),  # method 8; the three reserved flags are 0 (RFC 1952)
        StreamDecoder,
        GzipDecoder,
        resumable=True,
        whole=whole_gzip,
        index=GzipIndex,
    ),
    Codec(
        "bzip2",
        ".bz2",
        re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", re.DOTALL),  # the level, then a block or the end of a stream
        Bzip2Decoder,
        resumable=True,
    ),
    Codec(
        "xz",
        ".xz",
        re.compile(rb"\xfd7zXZ\x00\x00", re.DOTALL),
        StreamDecoder,
        XzDecoder,
    ),
    Codec(
        "zstd",
        ".zst",
        re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", re.DOTALL),  # frames, and skippable frames
        StreamDecoder,
        ZstdDecoder,
    ),
)

CODECS: dict[str, Codec] = {row.name: row for row in _ROWS}
"""Compressed formats by name."""


def detect(first: bytes) -> Codec | None:
    r"""Return the row for a file that starts with `first`, or None if it is not compressed.

    A file with "MAP " at byte 208 is not compressed, whatever its first bytes look like: they are numbers there.

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
    return next((row for row in _ROWS if row.matches(first)), None)


def peek(first: bytes, wanted: int = 1024) -> bytes:
    """Return up to `wanted` uncompressed bytes of a file that starts with `first`, compressed or not.

    Nothing else of the file is read, and damage gives the bytes before it. bzip2 gives nothing.

    Examples
    --------
    >>> import gzip
    >>> peek(gzip.compress(b"abcdef"), 3)
    b'abc'
    """
    codec = detect(first)
    return first[:wanted] if codec is None else head(first, codec, wanted)
