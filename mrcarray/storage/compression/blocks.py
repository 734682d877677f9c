"""The blocks of a bzip2 file, found without decoding them.

A bzip2 stream is a row of blocks of at most 900 kB that know nothing of each other. They start anywhere in a byte, with
a number of 48 bits; another number ends the stream. Each block can be made a stream of its own.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mrcarray.storage.compression.stream import SIGNATURE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrcarray.storage.compression.codec import Codec
    from mrcarray.storage.protocols import ByteSource

__all__ = ["CRC", "HEADER", "OVERLAP", "Scanner", "Unit", "borders"]

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

OVERLAP = 7
"""Bytes looked at again: 48 bits from anywhere in a byte lie in seven."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What comes next in the source: a block, the end of a stream, or the reason why there is nothing more."""

    kind: str
    bit: int
    crc: int = 0
    data: bytes = b""


class Scanner:
    """Finds the blocks of a source in order, without decoding them."""

    def __init__(self, inner: ByteSource, codec: Codec, bit: int, *, inside: bool, first: int = 0) -> None:
        self._inner = inner
        granule: int = getattr(inner, "granule", 0)
        self._chunk = min(max(CHUNK // 8, granule, first), LONGEST)
        self._most = max(CHUNK, 64 * granule)
        self._codec = codec
        self._bit = bit
        self._inside = inside
        self._first = not inside and bit == 0
        self._base = bit // 8
        self._buffer = b""
        self._scanned = self._base
        self._borders: deque[int] = deque()
        self._exhausted = False

    @property
    def held(self) -> int:
        """Bytes that were read and not used yet."""
        return len(self._buffer)

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
        self._first, self._inside = False, True
        self._bit += HEADER * 8
        return None

    def _after_zeros(self, at: int) -> int:
        while True:
            some = self._bytes(at, at + CHUNK)
            rest = some.lstrip(b"\0")
            at += len(some) - len(rest)
            if rest or not some:
                return at
            self._bit = at * 8
            self._forget()

    def _end(self) -> Unit:
        bit = self._bit
        crc = self._bits(bit + MAGIC, CRC)
        if crc is None:
            return Unit("cut", bit)
        self._inside = False
        self._bit = math.ceil((bit + MAGIC + CRC) / 8) * 8
        return Unit("end", bit, crc)

    def _block(self, skip: int) -> Unit:
        bit = self._bit
        crc = self._bits(bit + MAGIC, CRC)
        stop = self._border(bit + MAGIC, skip)
        if crc is None or stop is None:
            return Unit("cut" if self._exhausted else "damage", bit)
        self._bit = stop
        data = self._stream_of(bit, stop, crc)
        self._forget()
        return Unit("block", bit, crc, data)

    def _stream_of(self, bit: int, stop: int, crc: int) -> bytes:
        """Return the bits of one block as a stream of its own."""
        count, spare = divmod(stop - bit, 8)
        raw = np.frombuffer(self._bytes(bit // 8, bit // 8 + count + 2) + b"\0\0", dtype=np.uint8)[: count + 2]
        shift = bit % 8
        if shift:
            raw = np.bitwise_or(raw[:-1] << np.uint8(shift), raw[1:] >> np.uint8(8 - shift))
        tail = ((int(raw[count]) >> (8 - spare)) << MAGIC | END) << CRC | crc
        size = math.ceil((spare + MAGIC + CRC) / 8)
        tail <<= size * 8 - spare - MAGIC - CRC
        return b"BZh9" + raw[:count].tobytes() + tail.to_bytes(size, "big")

    # -------------------------------------------------------------------------------- bytes and borders

    def _bytes(self, start: int, stop: int) -> bytes:
        while self._base + len(self._buffer) < stop and not self._exhausted:
            self._more()
        return self._buffer[start - self._base : stop - self._base]

    def _bits(self, bit: int, count: int) -> int | None:
        start, stop = bit // 8, math.ceil((bit + count) / 8)
        raw = self._bytes(start, stop)
        if len(raw) < stop - start:
            return None
        return (int.from_bytes(raw, "big") >> (stop * 8 - bit - count)) & ((1 << count) - 1)

    def _more(self) -> None:
        end = self._base + len(self._buffer)
        new = bytes(self._inner.read(end, end + self._chunk))
        self._chunk = max(self._chunk, min(8 * self._chunk, self._most))
        self._exhausted = not new
        self._buffer += new

    def _forget(self) -> None:
        """Drop the bytes that have been used, but for those before a border."""
        used = self._bit // 8 - self._base
        self._buffer = self._buffer[used:]
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
        part = self._buffer[self._scanned - self._base :]
        self._borders.extend(self._scanned * 8 + bit for bit in borders(part))
        self._scanned += max(0, len(part) - OVERLAP + 1)


def borders(part: bytes) -> list[int]:
    """Return at which bits of `part` the numbers of a block or of an end start; they lie in its bytes whole."""
    if len(part) < OVERLAP:
        return []
    raw = np.frombuffer(part, dtype=np.uint8)[1:]
    places = []
    for odd in (0, 1):
        pairs = raw[odd : odd + (raw.size - odd) // 2 * 2].view("<u2")
        places.append(np.flatnonzero(PAIRS.take(pairs)) * 2 + odd)
    found = []
    for at in np.sort(np.concatenate(places)).tolist():
        value = int.from_bytes(part[at : at + 7].ljust(7, b"\0"), "big")
        found += [at * 8 + shift for shift in range(8) if value >> (8 - shift) & ((1 << MAGIC) - 1) in {BLOCK, END}]
    return [bit for bit in found if bit + MAGIC <= len(part) * 8 and bit // 8 < len(part) - 6]


def _pairs() -> NDArray[np.bool_]:
    """Return which pairs of bytes can be the second and third of seven that hold one of the numbers."""
    table = np.zeros(1 << 16, dtype=np.bool_)
    for magic in (BLOCK, END):
        for shift in range(8):
            held = (magic << (8 - shift)).to_bytes(7, "big")
            table[held[1] | held[2] << 8] = True
    return table


PAIRS = _pairs()
