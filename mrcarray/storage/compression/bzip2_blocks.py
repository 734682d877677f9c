"""The blocks of a bzip2 file, found without decoding them.

A bzip2 stream is a row of blocks of at most 900 kB that know nothing of each other. They start anywhere in a byte, with
a number of 48 bits; another number ends the stream. Each block can be made a stream of its own.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mrcarray.storage.compression.stream import SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from mrcarray.storage.compression.checkpoints import Point
    from mrcarray.storage.compression.codec import Codec
    from mrcarray.storage.source import ByteSource

__all__ = ["CRC", "HEADER", "Scanner", "Unit", "borders"]

BLOCK = 0x314159265359
END = 0x177245385090
MAGIC = 48
"""Bits of these two numbers."""

CRC = 32
"""Bits of the checksum behind them."""

HEADER = 4
"""Bytes before the first block of a stream."""

CHUNK = 1 << 19
"""Compressed bytes read at a time."""

LONGEST = 3 << 20
"""No block has so many compressed bytes."""

PART = 1 << 16
"""Bytes of a block whose bits are shifted at a time, so that no second copy of it is held."""

FORGOTTEN = 1 << 14
"""Bytes that have been used are dropped when there are so many."""

EMPTY = 4096
"""Streams without a block that may follow each other: more are an attack on the reader's time."""

OVERLAP = 7
"""Bytes looked at again: 48 bits from anywhere in a byte lie in seven."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What comes next in the source: a block, the end of a stream, or the reason why there is nothing more.

    Parameters
    ----------
    kind : str
        "block", "end" (of a stream), or why there is nothing more: "stop", "garbage", "empty", "cut", "damage".
    bit : int
        Where it starts.
    stop : int
        For a block: the bit behind its last.
    crc : int
        Its checksum.
    raw : bytes
        For a block: the bytes it lies in, and one more if there is one.
    """

    kind: str
    bit: int
    stop: int = 0
    crc: int = 0
    raw: bytes = field(default=b"", repr=False)

    def parts(self) -> Iterator[bytes]:
        """Return the block as a stream of its own, in parts of which the last completes it."""
        count, spare = divmod(self.stop - self.bit, 8)
        yield b"BZh9"
        at = 0
        while count - at > 2 * PART:
            yield self._shifted(at, at + PART)
            at += PART
        last = self._shifted(at, count + 1)
        tail = ((last[-1] >> (8 - spare)) << MAGIC | END) << CRC | self.crc
        size = math.ceil((spare + MAGIC + CRC) / 8)
        tail <<= size * 8 - spare - MAGIC - CRC
        yield last[:-1] + tail.to_bytes(size, "big")

    def _shifted(self, start: int, stop: int) -> bytes:
        """Return some bytes of the block, counted from its first bit; what lies behind it is zero."""
        raw = np.frombuffer(self.raw[start : stop + 1].ljust(stop + 1 - start, b"\0"), dtype=np.uint8)
        shift = self.bit % 8
        return (raw[:-1] << np.uint8(shift) | raw[1:] >> np.uint8(8 - shift) if shift else raw[:-1]).tobytes()


class Scanner:
    """Finds the blocks of a source in order, without decoding them.

    Parameters
    ----------
    inner : ByteSource
        The compressed bytes.
    codec : Codec
        Their format.
    point : Point
        Where to start: at a block, or, if it has no window, at the header of a stream.
    """

    def __init__(self, inner: ByteSource, codec: Codec, point: Point) -> None:
        self._inner = inner
        granule: int = getattr(inner, "granule", 0)
        self._chunk = max(CHUNK // 8, granule)
        self._most = max(CHUNK, 64 * granule)
        self._codec = codec
        bit = self._bit = point.bit
        self._stop = 0
        self._inside = point.window is not None
        self._first = not self._inside and bit == 0
        self._base = bit // 8
        self._buffer = bytearray()
        self._scanned = self._base
        self._borders: deque[int] = deque()
        self._exhausted = False
        self._empty = 0

    @property
    def held(self) -> int:
        """Bytes that were read and not used yet."""
        return len(self._buffer)

    def toward(self, stop: int) -> None:
        """Ask the source for as much at once as the way to the block at byte `stop` takes; 0 where that is unknown."""
        self._stop = stop + OVERLAP if stop else 0

    def next(self, *, skip: int = 0) -> Unit:
        """Return what comes next; `skip` borders of blocks are taken for chance."""
        if not self._inside:
            self._forget()
            found = self._member()
            if found is not None:
                return found
        magic = self._bits(self._bit, MAGIC)
        if magic == END:
            return self._end()
        if magic == BLOCK:
            return self._block(skip)
        return Unit("cut" if magic is None else "damage", self._bit)

    def _member(self) -> Unit | None:
        """Step over the header of a stream; return why not."""
        at = self._bit // 8
        if not self._first:
            at = self._after_zeros(at)
        first = self._bytes(at, at + SIGNATURE)
        self._bit = at * 8
        if not first:
            return Unit("stop", self._bit)
        if not self._codec.matches(first):
            return Unit("garbage", self._bit)
        if self._empty > EMPTY:
            return Unit("empty", self._bit)
        self._empty += 1
        self._first, self._inside = False, True
        self._bit += HEADER * 8
        return None

    def _after_zeros(self, at: int) -> int:
        size = SIGNATURE
        while True:
            some = self._bytes(at, at + size)
            rest = some.lstrip(b"\0")
            at += len(some) - len(rest)
            if rest or not some:
                return at
            self._bit = at * 8
            self._forget()
            size = min(size * 8, CHUNK)

    def _end(self) -> Unit:
        bit = self._bit
        crc = self._bits(bit + MAGIC, CRC)
        if crc is None:
            return Unit("cut", bit)
        self._inside = False
        self._bit = math.ceil((bit + MAGIC + CRC) / 8) * 8
        return Unit("end", bit, crc=crc)

    def _block(self, skip: int) -> Unit:
        bit = self._bit
        crc = self._bits(bit + MAGIC, CRC)
        stop = self._border(bit + MAGIC, skip)
        if crc is None or stop is None:
            return Unit("cut" if self._exhausted else "damage", bit)
        self._bit, self._empty = stop, 0
        raw = self._bytes(bit // 8, stop // 8 + 1)
        self._forget()
        return Unit("block", bit, stop, crc, raw)

    # -------------------------------------------------------------------------------- bytes and borders

    def _bytes(self, start: int, stop: int) -> bytes:
        while self._base + len(self._buffer) < stop and not self._exhausted:
            self._more()
        return bytes(memoryview(self._buffer)[start - self._base : stop - self._base])

    def _bits(self, bit: int, count: int) -> int | None:
        start, stop = bit // 8, math.ceil((bit + count) / 8)
        raw = self._bytes(start, stop)
        if len(raw) < stop - start:
            return None
        return (int.from_bytes(raw, "big") >> (stop * 8 - bit - count)) & ((1 << count) - 1)

    def _more(self) -> None:
        end = self._base + len(self._buffer)
        left = min(self._stop - end, LONGEST)
        new = self._inner.read(end, end + (left if left > 0 else self._chunk))
        self._chunk = max(self._chunk, min(8 * self._chunk, self._most))
        self._exhausted = not len(new)
        self._buffer += new

    def _forget(self) -> None:
        """Drop the bytes that have been used, but for those before a border."""
        used = self._bit // 8 - self._base
        if used < FORGOTTEN:  # each time the others are moved
            return
        del self._buffer[:used]
        self._base += used
        self._scanned = max(self._scanned, self._base)

    def _border(self, bit: int, skip: int) -> int | None:
        """Return the next border from `bit` on, or None where there is none as near as it must be."""
        while True:
            while self._borders and self._borders[0] < bit:
                self._borders.popleft()
            if len(self._borders) > skip:
                return self._borders[skip]
            held = self._base + len(self._buffer)
            if self._scanned + OVERLAP >= held:
                if self._exhausted or held - bit // 8 > LONGEST * (skip + 1):
                    return None
                self._more()
            self._search()

    def _search(self) -> None:
        """Look for borders in bytes that were not looked at yet."""
        part = bytes(memoryview(self._buffer)[self._scanned - self._base :])
        self._borders.extend(self._scanned * 8 + bit for bit in borders(part))
        self._scanned += max(0, len(part) - OVERLAP + 1)


def borders(part: bytes) -> list[int]:
    """Return at which bits of `part` the numbers of a block or of an end start; each lies in seven of its bytes."""
    size = len(part)
    pairs = np.frombuffer(part, dtype="<u2", count=size // 2)[::2]
    places = np.flatnonzero(PAIRS.take(pairs, mode="wrap")) * 4  # no index is too large: none is looked for
    near = places[:, np.newaxis] - np.arange(4, 0, -1)
    near = near[(near >= 0) & (near <= size - OVERLAP)]
    found = []
    for at in near[_fits(part, near)].tolist():
        value = int.from_bytes(part[at : at + OVERLAP], "big")
        found += [at * 8 + shift for shift in range(8) if value >> (8 - shift) & ((1 << MAGIC) - 1) in {BLOCK, END}]
    return found


def _fits(part: bytes, places: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell at which places the second and third of seven bytes can be those of a number."""
    raw = np.frombuffer(part, dtype=np.uint8)
    return SECOND.take(raw[places + 1] | raw[places + 2].astype(np.uint16) << 8)


def _pairs(*places: int) -> NDArray[np.bool_]:
    """Return which pairs of bytes can be those from one of `places` on of seven that hold a number."""
    table = np.zeros(1 << 16, dtype=np.bool_)
    for magic in (BLOCK, END):
        for shift in range(8):
            held = (magic << (8 - shift)).to_bytes(OVERLAP, "big")
            for at in places:
                table[held[at] | held[at + 1] << 8] = True
    return table


# The second to the sixth of the seven bytes hold nothing but the number. Of the pairs of bytes they have, one lies at a
# multiple of four, wherever the number starts.
PAIRS = _pairs(1, 2, 3, 4)
SECOND = _pairs(1)
