"""A pass over a bzip2 source, several blocks at a time.

A bzip2 stream is a row of blocks of at most 900 kB that know nothing of each other. They start anywhere in a byte, with
a number of 48 bits; so they can be found without decoding. Each is given to the library as a stream of its own, side by
side in threads, and each is a point to come back to. Two checksums are verified: the block's by the library, and here
the stream's, which is made of those of its blocks.
"""

from __future__ import annotations

import math
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import CompressionError, printable
from mrcarray.storage.compression.points import Point
from mrcarray.storage.compression.stream import SIGNATURE, warn_garbage

if TYPE_CHECKING:
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from mrcarray.storage.compression.codec import Codec
    from mrcarray.storage.compression.points import Aim, Points
    from mrcarray.storage.protocols import ByteSource

__all__ = ["Bzip2Stream"]

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

PIECE = 2 << 20
"""Most bytes a block gives at once: one of zeros may have 45 MB."""

TYPICAL = 900_000
"""Bytes a block has, to guess how many blocks are wanted."""

BUSY = 7 * TYPICAL
"""Bytes a block takes while decoded: the library's four for each of its own, what goes in, and twice what comes out."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """What comes next in the source: a block, the end of a stream, or the reason why there is nothing more."""

    kind: str
    bit: int
    crc: int = 0
    data: bytes = b""


class _Scanner:
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

    def next(self, *, skip: int = 0) -> _Unit:
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
        return _Unit("cut" if magic is None else "damage", self._bit)

    def _member(self) -> _Unit | None:
        """Step over the header of a stream; return why not."""
        at = self._bit // 8
        if not self._first:
            at = self._after_zeros(at)
        first = self._bytes(at, at + SIGNATURE)
        self._bit = at * 8
        if not first:
            return _Unit("stop", self._bit)
        if not self._codec.matches(first):
            return _Unit("garbage", self._bit)
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

    def _end(self) -> _Unit:
        bit = self._bit
        crc = self._bits(bit + MAGIC, CRC)
        if crc is None:
            return _Unit("cut", bit)
        self._inside = False
        self._bit = math.ceil((bit + MAGIC + CRC) / 8) * 8
        return _Unit("end", bit, crc)

    def _block(self, skip: int) -> _Unit:
        bit = self._bit
        crc = self._bits(bit + MAGIC, CRC)
        stop = self._border(bit + MAGIC, skip)
        if crc is None or stop is None:
            return _Unit("cut" if self._exhausted else "damage", bit)
        self._bit = stop
        data = self._stream_of(bit, stop, crc)
        self._forget()
        return _Unit("block", bit, crc, data)

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


# ------------------------------------------------------------------------------------------------ decoding


class _Workers:
    """Threads that decode blocks, started when there is more than one to decode."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self.count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def submit(self, data: bytes) -> Future[_Result]:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.count, thread_name_prefix="bzip2")
        return self._pool.submit(_decode, data)

    def renew(self) -> None:
        """Forget the threads: a forked child has none of them."""
        self._pool = None


_workers = _Workers()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_workers.renew)


@dataclass(frozen=True, slots=True)
class _Result:
    """The first bytes of a block and the decoder that has the others, or an error."""

    piece: bytes
    decoder: Any = None
    error: Exception | None = None


def _decode(data: bytes, most: int = PIECE) -> _Result:
    """Decode the first `most` bytes of a block; the others, for which half of the time is needed, can follow."""
    import bz2

    decoder = bz2.BZ2Decompressor()
    try:
        piece = decoder.decompress(data, most)
        if not decoder.eof and len(piece) < most:
            raise EOFError("the block is not complete")  # noqa: TRY301 -- one way out for all that can be wrong
    except Exception as error:  # noqa: BLE001 -- whatever it is, the block is damaged
        return _Result(b"", error=error)
    return _Result(piece, None if decoder.eof else decoder)


def _ahead(wanted: int) -> int:
    """Return how many blocks may be under way: all together take a tenth of what is wanted, and what two take."""
    return min(2 * _workers.count, math.ceil(wanted / TYPICAL), 2 + wanted // (10 * BUSY))


class Bzip2Stream:
    """Uncompressed bytes of a bzip2 source in order; like `Stream`, which see."""

    def __init__(
        self, inner: ByteSource, codec: Codec, point: Point, points: Points | None = None, aim: Aim | None = None
    ) -> None:
        self.position = point.out
        self.ended = False
        self.damage: CompressionError | None = None
        self._inner = inner
        self._codec = codec
        self._points = points
        inside = point.window is not None
        first = 0 if aim is None or aim.inner is None else aim.inner + OVERLAP - point.inner
        self._scanner = _Scanner(inner, codec, point.inner * 8 + point.bits, inside=inside, first=first)
        self._aim = 0 if aim is None else aim.out
        self._combined: int | None = None if inside else 0
        self._queue: deque[tuple[_Unit, Future[_Result] | None]] = deque()
        self._piece = memoryview(b"")
        self._decoder: Any = None
        self._bit = 0
        self._last = False

    @property
    def stopped(self) -> bool:
        """Whether there are no more bytes."""
        return self.ended or self.damage is not None

    @property
    def held(self) -> int:
        """About how much memory it holds: a block that is given out, those under way, and what was read."""
        return BUSY * (len(self._queue) + (self._decoder is not None)) + len(self._piece) + self._scanner.held

    def readinto(self, out: memoryview) -> int:
        """Fill `out` and return the bytes written, fewer only at the end or at damage."""
        done = 0
        while done < len(out) and not self.stopped:
            if not self._piece and not self._refill(len(out) - done):
                continue
            count = min(len(self._piece), len(out) - done)
            out[done : done + count] = self._piece[:count]
            self._piece = self._piece[count:]
            self.position += count
            done += count
        return done

    def finish(self) -> bool:
        """Tell whether the content ends here; looking verifies the checksum of the stream that ends."""
        return self.readinto(memoryview(bytearray(1))) == 0

    def close(self) -> None:
        """Wait for nothing: what is being decoded is dropped."""
        for _, result in self._queue:
            if result is not None:
                result.cancel()
        self._queue.clear()

    # -------------------------------------------------------------------------------- blocks

    def _refill(self, wanted: int) -> bool:
        """Get more of the current block, or go on to the next unit."""
        if self._decoder is not None and not self._decoder.eof:
            self._take(self._continue())
            return True
        self._decoder = None
        wanted = max(wanted, self._aim - self.position)
        self._look_ahead(_ahead(wanted))
        unit, result = self._queue.popleft()
        if unit.kind == "block":
            self._start(unit, result.result() if result is not None else _decode(unit.data, min(wanted, PIECE)))
        elif unit.kind == "end":
            self._close_stream(unit)
        elif unit.kind == "garbage":
            warn_garbage(self._inner, self._codec.name, unit.bit // 8)
            self.ended = True
        elif unit.kind == "stop":
            self.ended = True
        else:
            early = "ends too early; the file is not complete" if unit.kind == "cut" else "is damaged"
            self._damaged(early, unit.bit)
        return False

    def _look_ahead(self, count: int) -> None:
        while len(self._queue) < max(1, count) and not self._last:
            unit = self._scanner.next()
            self._last = unit.kind not in {"block", "end"}
            alone = count <= 1 or unit.kind != "block"
            self._queue.append((unit, None if alone else _workers.submit(unit.data)))

    def _start(self, unit: _Unit, result: _Result) -> None:
        if isinstance(result.error, MemoryError):  # that says nothing of the file
            raise result.error
        if result.error is not None:
            result = self._again(unit, result)
        if result.error is not None:
            self._damaged(f"is damaged ({printable(result.error)})", unit.bit)
            return
        if self._points is not None and unit.bit != HEADER * 8:
            self._points.add(Point(self.position, unit.bit // 8, unit.bit % 8, window=b""))
        if self._combined is not None:
            self._combined = ((self._combined << 1 | self._combined >> (CRC - 1)) & 0xFFFFFFFF) ^ unit.crc
        self._bit = unit.bit
        self._take(result)

    def _again(self, unit: _Unit, result: _Result) -> _Result:
        """Decode a block once more, in case it seemed to end where the next number stood in it by chance."""
        whole = _Scanner(self._inner, self._codec, unit.bit, inside=True).next(skip=1)
        second = _decode(whole.data) if whole.kind == "block" else result
        if second.error is None:
            self.close()
            self._scanner = _Scanner(self._inner, self._codec, unit.bit, inside=True)
            self._scanner.next(skip=1)
            self._last = False
        return second

    def _continue(self) -> _Result:
        try:
            return _Result(self._decoder.decompress(b"", PIECE), self._decoder)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 -- as in `_decode`
            self._damaged(f"is damaged ({printable(error)})", self._bit)
            return _Result(b"")

    def _take(self, result: _Result) -> None:
        self._piece = memoryview(result.piece)
        self._decoder = result.decoder

    def _close_stream(self, unit: _Unit) -> None:
        if self._combined is not None and self._combined != unit.crc:
            self._damaged("is damaged (its checksum is wrong)", unit.bit)
        self._combined = 0

    def _damaged(self, what: str, bit: int) -> None:
        position = bit // 8
        self.damage = CompressionError(
            f"the bzip2 stream {what} near byte {position} of the compressed file; "
            f"{self.position} uncompressed bytes before it are whole",
            self._inner.name,
            position=position,
        )
