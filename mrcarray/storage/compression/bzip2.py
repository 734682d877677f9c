"""Decode bzip2 sources, several blocks at a time: `Bzip2Decoder`.

A bzip2 stream is a row of blocks of at most 900 kB that do not depend on each other. A block starts at any bit, with a
number of 48 bits; another number ends the stream. `Scanner` finds them without decoding. Each block is given to the
library as a stream of its own, in threads, and is a checkpoint to come back to. The library verifies the checksum of a
block; the stream's checksum, made of those of its blocks, is verified here.

No library does this: indexed_bzip2 1.7 took 197 MiB for a file of 1.5 kB of zeros, and does not report where a
truncated file ends (see docs/explanation/compression.md).
"""

from __future__ import annotations

import bisect
import math
from collections import deque
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import printable
from mrcarray.storage.compression.checkpoints import Aim, Checkpoint
from mrcarray.storage.compression.decoder import Decoder
from mrcarray.storage.compression.stream import EMPTY, SIGNATURE
from mrcarray.storage.threads import Ordered, processors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mrcarray.storage.compression.checkpoints import Checkpoints
    from mrcarray.storage.compression.decoder import Codec
    from mrcarray.storage.source import ByteSource

__all__ = ["Bzip2Decoder", "Scanner"]

BLOCK, END = 0x314159265359, 0x177245385090
"""The numbers that start a block, and end a stream."""

MAGIC, CRC = 48, 32
"""Bits of these numbers, and of the checksum after them."""

HEADER = 4
"""Bytes before the first block of a stream."""

CHUNK = 1 << 19
"""Compressed bytes read at a time."""

LONGEST = 3 << 20
"""No block has so many compressed bytes."""

PART = 1 << 16
"""Bytes of a block whose bits are shifted at a time, so that no second copy of it is held."""

FORGOTTEN = 1 << 14
"""Used bytes are dropped when there are so many: the others are moved each time."""

OVERLAP = 7
"""Bytes searched again: 48 bits that start anywhere in a byte lie in seven."""

PIECE = 2 << 20
"""Most bytes a block returns at once: one of zeros may have 45 MB."""

TYPICAL = 900_000
"""Bytes of a typical block, to guess how many blocks are wanted."""

BUSY = 7 * TYPICAL
"""Bytes a block takes while decoded: the library's four for each of its own, the input, and twice the output."""

_WRONG = {
    "cut": "ends too early; the file is not complete",
    "damage": "is damaged",
    "empty": f"has {EMPTY} streams without content one after the other",
}


@dataclass(frozen=True, slots=True)
class Unit:
    """What comes next in a source: a block, the end of a stream, or the reason why there is nothing more.

    Parameters
    ----------
    kind : str
        "block", "end" (of a stream), or why there is nothing more: "stop", "garbage", "empty", "cut", "damage".
    bit, stop : int
        Where it starts and, for a block, the bit after its last.
    crc : int
        Its checksum.
    raw : bytes
        For a block: the bytes that contain it, and one more if there is one.
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
        """Return some bytes of the block, counted from its first bit; what follows the block is zero."""
        raw = np.frombuffer(self.raw[start : stop + 1].ljust(stop + 1 - start, b"\0"), dtype=np.uint8)
        shift = self.bit % 8
        return (raw[:-1] << np.uint8(shift) | raw[1:] >> np.uint8(8 - shift) if shift else raw[:-1]).tobytes()


def _decode(unit: Unit, most: int = PIECE) -> tuple[bytes, Any]:
    """Decode the first `most` bytes of a block; return them and the decoder that has the others."""
    import bz2

    decoder = bz2.BZ2Decompressor()
    pieces = [piece for part in unit.parts() if (piece := decoder.decompress(part, most))]
    piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)  # all comes with the last part of a sound block
    if not decoder.eof and len(piece) < most:
        raise EOFError("the block is not complete")
    return piece, None if decoder.eof else decoder


def _ahead(wanted: int, cores: int) -> int:
    """Return how many blocks may be under way: two, or those that take what one does and a tenth of what is wanted.

    One more waits where all threads have work, so that the first that is done finds the next at once.
    """
    busy = min(cores, max(2, 1 + wanted // (10 * BUSY)))
    return min(busy + (busy == cores), math.ceil(wanted / TYPICAL))


class Bzip2Decoder(Decoder):
    """Uncompressed bytes of a bzip2 source in order."""

    def __init__(
        self, inner: ByteSource, codec: Codec, checkpoint: Checkpoint, checkpoints: Checkpoints | None = None
    ) -> None:
        super().__init__(inner, codec, checkpoint, checkpoints)
        self._scanner = Scanner(inner, codec, checkpoint)
        self._aim = Aim(0)
        self._combined: int | None = None if checkpoint.inside else 0
        self._units: deque[Unit] = deque()
        self._results: Ordered[tuple[bytes, Any]] = Ordered()
        self._piece = memoryview(b"")
        self._decoder: Any = None
        self._bit = 0
        self._last = False

    @property
    def held(self) -> int:
        """Approximate memory use in bytes: the current block, those under way, and the bytes read."""
        return BUSY * (len(self._results) + (self._decoder is not None)) + len(self._piece) + self._scanner.held

    def toward(self, aim: Aim) -> None:
        """Decode as many blocks at once as lie on the way, found and of the last no more than needed."""
        self._aim = aim
        self._scanner.toward(aim.inner or 0)

    def close(self) -> None:
        """Drop what is being decoded ahead."""
        self._results.cancel()
        self._units.clear()

    def _some(self, most: int) -> memoryview:
        if not self._piece:
            self._refill(most)
        piece, self._piece = self._piece[:most], self._piece[most:]
        self.position += len(piece)
        return piece

    def _refill(self, wanted: int) -> None:
        """Get more of the current block, or go on to the next unit; others are decoded meanwhile."""
        wanted = max(wanted, self._aim.out - self.position)
        begun = self._decoder is not None and not self._decoder.eof
        count = _ahead(wanted, processors())
        self._look_ahead(count - begun, wanted if count == 1 else PIECE, threaded=count > 1)
        if begun:
            self._continue()
            return
        self._decoder = None
        unit = self._units.popleft()
        if unit.kind == "block":
            self._start(unit)
        elif unit.kind == "end":
            if self._combined is not None and self._combined != unit.crc:
                self._fail("is damaged (its checksum is wrong)", unit.bit // 8)
            self._combined = 0
        elif unit.kind == "garbage":
            self._end_before_garbage(unit.bit // 8)
        elif unit.kind == "stop":
            self.ended = True
        else:
            self._fail(_WRONG[unit.kind], unit.bit // 8)

    def _look_ahead(self, count: int, most: int, *, threaded: bool) -> None:
        """Have `count` units under way, at most `most` bytes of each."""
        while len(self._units) < count and not self._last:
            unit = self._scanner.next()
            self._last = unit.kind not in {"block", "end"}
            if unit.kind == "block":
                self._results.submit(_decode, unit, min(most, self._most(unit)), threaded=threaded)
            self._units.append(replace(unit, raw=b""))

    def _most(self, unit: Unit) -> int:
        """Return how many bytes of a block to decode at first: of the last, if it is known, no more than needed."""
        known = self._aim.checkpoints
        i = bisect.bisect_left(known, unit.bit, key=attrgetter("bit"))
        left = self._aim.out - known[i].out if i < len(known) and known[i].bit == unit.bit else PIECE
        return min(left, PIECE) if left > 0 else PIECE

    def _start(self, unit: Unit) -> None:
        """Take the first bytes of a block."""
        try:
            piece, decoder = self._results.pop()
        except MemoryError:  # not a fault of the file
            raise
        except Exception as error:  # noqa: BLE001 -- whatever it is, the block is damaged
            found = self._again(unit)
            if found is None:
                self._fail(f"is damaged ({printable(error)})", unit.bit // 8)
                return
            piece, decoder = found
        if self._checkpoints is not None and unit.bit != HEADER * 8:
            self._checkpoints.add(Checkpoint(self.position, unit.bit // 8, unit.bit % 8, inside=True))
        if self._combined is not None:
            self._combined = ((self._combined << 1 | self._combined >> (CRC - 1)) & 0xFFFFFFFF) ^ unit.crc
        self._bit = unit.bit
        self._piece, self._decoder = memoryview(piece), decoder

    def _again(self, unit: Unit) -> tuple[bytes, Any] | None:
        """Decode a block once more, in case the number of the next one stood in it by chance."""
        scanner = Scanner(self._inner, self._codec, Checkpoint(self.position, unit.bit // 8, unit.bit % 8, inside=True))
        whole = scanner.next(skip=1)
        if whole.kind != "block":
            return None
        try:
            found = _decode(whole)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 -- the first error counts
            return None
        self.close()
        self._scanner, self._last = scanner, False
        return found

    def _continue(self) -> None:
        """Take further bytes of the current block."""
        try:
            self._piece = memoryview(self._decoder.decompress(b"", PIECE))
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever it is, the block is damaged
            self._fail(f"is damaged ({printable(error)})", self._bit // 8)


# ------------------------------------------------------------------------------------------ finding blocks


class Scanner:
    """Finds the blocks of a source in order, without decoding them, from a checkpoint on."""

    def __init__(self, inner: ByteSource, codec: Codec, checkpoint: Checkpoint) -> None:
        self._inner = inner
        granule: int = getattr(inner, "granule", 0)
        self._chunk = max(CHUNK // 8, granule)
        self._most = max(CHUNK, 64 * granule)
        self._codec = codec
        bit = self._bit = checkpoint.bit
        self._stop = 0
        self._inside = checkpoint.inside
        self._first = not self._inside and bit == 0
        self._base = self._scanned = bit // 8
        self._buffer = bytearray()
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
        """Return what comes next; ignore `skip` borders of blocks, which are there by chance."""
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
        if used >= FORGOTTEN:
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
        """Look for borders in bytes that were not searched yet."""
        part = bytes(memoryview(self._buffer)[self._scanned - self._base :])
        self._borders.extend(self._scanned * 8 + bit for bit in borders(part))
        self._scanned += max(0, len(part) - OVERLAP + 1)


def borders(part: bytes) -> list[int]:
    """Return the bits of `part` where the number of a block or of an end starts; each lies in seven of its bytes.

    The second to the sixth of these bytes contain nothing but the number. Of the pairs of bytes among them, one starts
    at a multiple of four, so every second pair of `part` is looked up first.
    """
    pairs = np.frombuffer(part, dtype="<u2", count=len(part) // 2)[::2]
    found = []
    for pair in np.flatnonzero(PAIRS.take(pairs, mode="wrap")).tolist():  # "wrap" saves the check of valid indices
        for at in range(max(0, 4 * pair - 4), min(4 * pair, len(part) - OVERLAP + 1)):
            shift = MIDDLES.get(part[at + 1 : at + 6])
            if shift is not None:
                value = int.from_bytes(part[at : at + OVERLAP], "big") >> (8 - shift)
                found += [at * 8 + shift] if value & ((1 << MAGIC) - 1) in {BLOCK, END} else []
    return found


MIDDLES = {(magic << (8 - shift)).to_bytes(OVERLAP, "big")[1:6]: shift for magic in (BLOCK, END) for shift in range(8)}
"""The bytes that contain nothing but a number, and how many bits of the byte before them do not belong to it."""

PAIRS = np.zeros(1 << 16, dtype=np.bool_)
"""Which pairs of bytes occur in `MIDDLES`."""
for middle in MIDDLES:
    PAIRS[[middle[at] | middle[at + 1] << 8 for at in range(4)]] = True
