"""Compressed files to read, and sources that count what is read of them."""

from __future__ import annotations

import bz2
import functools
import gzip
import lzma
import struct
import threading
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.storage.compression.codecs import CODECS
from mrcarray.storage.compression.seekable import SeekableReader
from mrcarray.storage.compression.source import CompressedSource, open_compressed, readers

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def zstd(content: bytes, *, checksum: bool = False) -> bytes:
    """Compress with whichever library there is; the checksum of a frame is optional."""
    from mrcarray.storage.compression.member_decoders import zstd_library

    library: Any = zstd_library()
    words = library.CompressionParameter
    packed: bytes = library.compress(content, options={words.compression_level: 1, words.checksum_flag: int(checksum)})
    return packed


XZ = [{"id": lzma.FILTER_LZMA2, "preset": 0, "depth": 1, "mf": lzma.MF_HC3, "dict_size": 1 << 12, "lc": 0, "pb": 0}]
"""Filters that compress twice as fast as the lowest preset."""

_cached = functools.lru_cache(24)  # compressing takes longer than decoding, and many tests use the same content

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": _cached(lambda content: gzip.compress(content, 1)),
    "bzip2": _cached(lambda content: bz2.compress(content, 1)),
    "xz": _cached(lambda content: lzma.compress(content, filters=XZ)),
    "zstd": _cached(zstd),
}
"""How to make a file of every row of CODECS."""


def bgzf(content: bytes, size: int = 60_000) -> bytes:
    """Return a blocked gzip file, as bgzip makes it: small members that say how long they are, and an empty one."""
    out = bytearray()
    for start in [*range(0, len(content), size), len(content)]:
        part = content[start : start + size]
        deflate = zlib.compressobj(1, zlib.DEFLATED, -15)
        body = deflate.compress(part) + deflate.flush()
        extra = struct.pack("<BBHH", 66, 67, 2, len(body) + 25)
        out += b"\x1f\x8b\x08\x04" + bytes(4) + b"\0\xff" + struct.pack("<H", 6) + extra + body
        out += struct.pack("<II", zlib.crc32(part), len(part))
    return bytes(out)


@functools.lru_cache(24)
def noise(size: int, seed: int = 0) -> bytes:
    """Return bytes such as an int16 map has: noise, a little compressible."""
    return np.random.default_rng(seed).normal(0, 300, size // 2 + 1).astype("<i2").tobytes()[:size]


class Counting:
    """A source in memory that counts what is read of it and can change."""

    def __init__(self, content: bytes, name: str = "/counting/file") -> None:
        self.content = content
        self.name = name
        self.fingerprint = (len(content), zlib.crc32(content))
        self.count = 0
        self.furthest = 0
        self.error: Exception | None = None
        self._lock = threading.Lock()

    def size(self) -> int:
        return len(self.content)

    def read(self, start: int, stop: int) -> memoryview:
        if self.error is not None:
            raise self.error
        part = memoryview(self.content)[start:stop]
        with self._lock:
            self.count += len(part)
            self.furthest = max(self.furthest, start + len(part))
        return part

    def read_into(self, start: int, out: NDArray[np.uint8]) -> int:
        part = self.read(start, start + out.size)
        out.data[: len(part)] = part
        return len(part)

    @property
    def passes(self) -> float:
        """How many times the whole was read."""
        return self.count / len(self.content)

    def __reduce__(self) -> tuple[Any, ...]:
        return Counting, (self.content, self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Counting) and self.content == other.content

    def __hash__(self) -> int:
        return hash(self.content)

    def __repr__(self) -> str:
        return f"Counting({self.name!r})"


MIB = 1 << 20


@functools.cache
def bomb(codec: str) -> bytes:
    """Return many zeros in few bytes: twice what a reader of the first of them may take."""
    return COMPRESS[codec](bytes(64 * MIB))


def opened(
    content: bytes, codec: str, limit: int | None = None, *, reader: dict[str, Any] | None = None, **options: Any
) -> tuple[CompressedSource, Counting]:
    """Return a source of compressed `content`, and what counts how it is read; `reader` are its reader's options."""
    inner = Counting(content)
    source = open_compressed(inner, CODECS[codec]).bounded(limit, **options)
    if reader is not None:
        readers[source.key] = SeekableReader(inner, CODECS[codec], **reader)
    return source, inner


def read_all(source: CompressedSource, size: int, start: int = 0) -> bytes:
    """Read up to byte `size` in one go."""
    out = np.empty(size - start, dtype=np.uint8)
    return out[: source.read_into(start, out)].tobytes()
