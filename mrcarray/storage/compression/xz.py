"""The blocks of an xz file, from the lists at the ends of its streams.

Each stream ends with a list of its blocks and their sizes, so all of them are found by a few small reads from the end.
Where there are several, each is a point to start from, without any pass. The block's own checksum is verified by the
library; the list's is verified here.
"""

from __future__ import annotations

import importlib
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrcarray.storage.compression.checkpoints import Point

if TYPE_CHECKING:
    from mrcarray.storage.source import ByteSource

__all__ = ["XzBlockDecoder", "outline"]

HEADER = 12
"""Bytes of the header of a stream, and of its footer."""

MAGIC = b"\xfd7zXZ\0"

LISTED = 1 << 20
"""Bytes of a list that is read."""

BLOCKS = 50_000
"""Blocks and streams that are looked at: each takes some 300 bytes in memory."""

NEAR, TAIL = 1 << 6, 1 << 16
"""Bytes read at a time, going back from the end: at first, and where many small streams lie together."""


@dataclass(frozen=True, slots=True)
class _Block:
    """Where a block lies, compressed (`inner`, `length` with its padding) and uncompressed."""

    inner: int
    length: int
    out: int
    header: bytes


def outline(inner: ByteSource) -> list[Point] | None:
    """Return a point for every block of an xz file, or None where its lists cannot be read."""
    end = inner.size()
    if end is None:
        return None
    streams = []
    left = BLOCKS
    backwards = _Backwards(inner)
    try:
        while (end := _before_padding(backwards, end)) > 0:
            end, header, sizes = _stream(backwards, end, left)
            left -= len(sizes) + 1
            streams.append((end, header, sizes))
    except (ValueError, IndexError, struct.error):
        return None
    blocks: list[_Block] = []
    out = 0
    for start, header, sizes in reversed(streams):
        at = start + HEADER
        for unpadded, produced in sizes:
            length = unpadded + -unpadded % 4
            blocks.append(_Block(at, length, out, header))
            at += length
            out += produced
    shared = tuple(blocks)
    points = [Point(0, 0)]
    points += [Point(b.out, b.inner, decoder=XzBlockDecoder(shared, i)) for i, b in enumerate(shared) if b.out]
    return points


class _Backwards:
    """A source that is read from its end, in many small steps."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._start = 0
        self._held = b""
        self._size = NEAR

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes ``start:stop``, most often from those before others that were read."""
        if not (self._start <= start and stop <= self._start + len(self._held)):
            together = self._held and 0 <= self._start - start <= TAIL
            self._size = min(self._size * 8, TAIL) if together else NEAR
            self._start = max(0, min(start, stop - self._size))
            self._held = bytes(self._source.read(self._start, stop))
        return self._held[start - self._start : stop - self._start]


def _before_padding(inner: _Backwards, end: int) -> int:
    """Return where the zeros before `end` begin, of which there are four or a multiple of four."""
    size = 4
    while end > 0:
        some = inner.read(max(0, end - size), end)
        zeros = len(some) - len(some.rstrip(b"\0"))
        end -= zeros - zeros % 4
        if zeros < len(some):
            break
        size = min(size * 8, TAIL)
    return end


def _stream(inner: _Backwards, end: int, most: int) -> tuple[int, bytes, list[tuple[int, int]]]:
    """Return start, header and block sizes of the stream that ends at `end`."""
    footer = inner.read(end - HEADER, end)
    check, backward, flags, magic = struct.unpack("<II2s2s", footer)
    if magic != b"YZ" or zlib.crc32(footer[4:10]) != check:
        raise ValueError("no footer")
    length = (backward + 1) * 4
    if length > min(LISTED, end - HEADER):
        raise ValueError("no list, or one that is too long")
    listed = inner.read(end - HEADER - length, end - HEADER)
    if zlib.crc32(listed[:-4]) != struct.unpack("<I", listed[-4:])[0] or listed[0]:
        raise ValueError("no list")
    sizes = _sizes(listed, most)
    start = end - 2 * HEADER - length - sum(unpadded + -unpadded % 4 for unpadded, _ in sizes)
    header = inner.read(start, start + HEADER) if start >= 0 else b""
    if header[:8] != MAGIC + flags:
        raise ValueError("no header")
    return start, header, sizes


def _sizes(listed: bytes, most: int) -> list[tuple[int, int]]:
    count, at = _number(listed, 1)
    if count >= most:
        raise ValueError("too many blocks")
    sizes = []
    for _ in range(count):
        unpadded, at = _number(listed, at)
        produced, at = _number(listed, at)
        sizes.append((unpadded, produced))
    return sizes


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that starts at byte `at`, seven bits a byte, and where it ends."""
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 0x80:
            return value, at


class XzBlockDecoder:
    """A decoder of all blocks from one on, across the streams they are in."""

    __slots__ = ("_blocks", "_i", "_left", "_object", "_pending", "_skip", "_started")

    def __init__(self, blocks: tuple[_Block, ...], first: int) -> None:
        self._blocks = blocks
        self._i = first
        self._pending = b""
        self._left = blocks[first].length
        self._skip = 0
        self._object: Any = None
        self._started = False

    def decode(self, data: bytes, most: int) -> bytes:
        """Give the library the bytes of one block at a time."""
        data = self._pending + data
        self._pending = b""
        if self._object is None:
            self._begin()
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        part, self._pending = data[: self._left], data[self._left :]
        self._left -= len(part)
        piece: bytes = self._object.decompress(part, most)
        if not self._left and self._object.needs_input and not piece:
            self._object = None
        return piece

    def _begin(self) -> None:
        """Start the next block."""
        block = self._blocks[self._i]
        self._object = importlib.import_module("lzma").LZMADecompressor()
        self._object.decompress(block.header)
        self._left = block.length
        if self._started:
            before = self._blocks[self._i - 1]
            self._skip = block.inner - before.inner - before.length
        self._i += 1
        self._started = True

    def waiting(self) -> int:
        """Return the number of bytes not given to the library yet."""
        return len(self._pending)

    def hungry(self) -> bool:
        """Tell whether nothing more can come without input."""
        return not self._pending and (self._object is None or self._object.needs_input)

    def rest(self) -> bytes | None:
        """Return nothing, once the last block is decoded: what follows was verified when the lists were read."""
        return b"" if self._object is None and self._i == len(self._blocks) else None

    def fork(self) -> XzBlockDecoder | None:
        """Return a fresh decoder; one that has begun cannot be copied."""
        return XzBlockDecoder(self._blocks, self._i) if not self._started else None
