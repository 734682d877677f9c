"""Compressions, recognised by content. To add one, add a row to `CODECS`.

A row says how a compressed file starts and which decoder reads it; everything else (members, padding, damage, random
access, memory) is the same for all rows and lives in `mrcarray.storage.compression`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrcarray.storage.compression.bzip2 import Bzip2Stream
from mrcarray.storage.compression.decoders import Bzip2Decoder, Decoder, GzipDecoder, XzDecoder, ZstdDecoder
from mrcarray.storage.compression.seekindex import windows
from mrcarray.storage.compression.stream import Stream, head
from mrcarray.storage.compression.xz import outline

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrcarray.storage.compressed import CompressedSource
    from mrcarray.storage.compression.points import Point
    from mrcarray.storage.protocols import ByteSource

__all__ = ["CODECS", "Codec", "by_name", "detect", "peek"]

PEEK = 212
"""First bytes `detect` looks at."""


@dataclass(frozen=True, slots=True)
class Codec:
    """One row of the table of compressions.

    Parameters
    ----------
    name : str
        What people call it.
    suffix : str
        What such files are usually called; content decides, not the name.
    signature : bytes
        Regular expression for the first bytes of a member of such a file.
    decoder : callable
        Makes a fresh decoder of one member.
    access : str
        How a reader gets into the middle, for people.
    forks : bool
        Whether a pass leaves points to come back to wherever they are wanted.
    stream : callable
        Makes a pass over a source.
    outline : callable, optional
        Finds points without a pass.
    windows : callable, optional
        Finds points that can be kept in a file, where those of a pass cannot.
    """

    name: str
    suffix: str
    signature: bytes
    decoder: Callable[[], Decoder]
    access: str
    forks: bool = False
    stream: Callable[..., Stream | Bzip2Stream] = Stream
    outline: Callable[[ByteSource], list[Point] | None] | None = None
    windows: Callable[[ByteSource, int | None], list[Point] | None] | None = None

    def matches(self, first: bytes) -> bool:
        """Tell whether a member can start with these bytes."""
        return re.match(self.signature, first, re.DOTALL) is not None

    def open(self, source: ByteSource, index: bool | str | os.PathLike[str] = False) -> CompressedSource:  # noqa: FBT001, FBT002 -- a path, or yes
        """Return a source of the uncompressed bytes; `index` says where its seek index is kept."""
        from mrcarray.storage.compressed import CompressedSource

        kept = index if isinstance(index, bool) else _absolute(os.fspath(index))
        return CompressedSource(source, self.name, index=kept)


def _absolute(path: str) -> str:
    """Return an absolute path; one that ends like a folder keeps that end."""
    return os.path.abspath(path) + (os.sep if path.endswith(os.sep) else "")  # noqa: PTH100 -- a str


_ROWS = (
    # Method 8 is the only one, and the three reserved flags are 0 (RFC 1952).
    Codec(
        "gzip",
        ".gz",
        rb"\x1f\x8b\x08[\x00-\x1f]",
        GzipDecoder,
        "saved decoder states every few MiB; members",
        forks=True,
        windows=windows,
    ),
    # The level is followed by the first block's magic number, or at once by the end of an empty stream.
    Codec(
        "bzip2",
        ".bz2",
        rb"BZh[1-9](1AY&SY|\x17rE8P\x90)",
        Bzip2Decoder,
        "blocks of at most 900 kB, by their bits",
        forks=True,
        stream=Bzip2Stream,
    ),
    Codec(
        "xz",
        ".xz",
        rb"\xfd7zXZ\x00\x00",
        XzDecoder,
        "blocks, listed at the end; else a temporary copy",
        outline=outline,
    ),
    # Frames, and the frames that decoders skip.
    Codec("zstd", ".zst", rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", ZstdDecoder, "frames; else a temporary copy"),
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
    return next((row for row in CODECS.values() if row.matches(first)), None)


def peek(first: bytes, wanted: int = 1024) -> bytes:
    """Return up to `wanted` uncompressed bytes of a file that starts with `first`, whether it is compressed or not.

    Nothing else of the file is looked at, and damage gives what came before it.

    Examples
    --------
    >>> import bz2
    >>> peek(bz2.compress(b"abcdef"), 3)
    b'abc'
    """
    codec = detect(first)
    if codec is None:
        return first[:wanted]
    return head(first, codec, wanted)
