"""Places in a compressed source where decoding can start, and how it starts there."""

from __future__ import annotations

import bisect
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mrcarray.storage.compression.decoders import Decoder, RawDeflateDecoder

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["WINDOW", "Aim", "Point", "Points"]

SPACING = 1 << 18
"""Uncompressed bytes between two points at first: about a millisecond of decoding to get from one to the next."""

WINDOW = 1 << 15
"""Bytes of output a gzip decoder can refer back to."""

MOST = 512
"""Points of which one takes 40 KiB; when there are more, every second is dropped and the spacing doubled."""


@dataclass(frozen=True, slots=True)
class Point:
    """One place where decoding can start.

    Parameters
    ----------
    out : int
        Byte of the uncompressed content.
    inner : int
        Byte of the compressed source.
    bits : int
        Bits of that byte which belong to what came before.
    window : bytes, optional
        The last uncompressed bytes before a block border inside a gzip member, packed with zlib (those of the first
        block are none); empty inside a bzip2 stream, whose blocks need none; None at the start of a member.
    decoder : Decoder, optional
        A decoder in the state it had there; it is never used itself, only copied.
    """

    out: int
    inner: int
    bits: int = 0
    window: bytes | None = None
    decoder: Decoder | None = None

    def start(self) -> Decoder | None:
        """Return a decoder for the bytes from here on; None means that a member starts here."""
        if self.decoder is not None:
            return self.decoder.fork()
        if self.window:
            return RawDeflateDecoder(zlib.decompressobj().decompress(self.window, WINDOW), self.bits)
        return None

    @property
    def bit(self) -> int:
        """The first bit in the compressed source that belongs to what comes."""
        return self.inner * 8 + self.bits

    @property
    def heavy(self) -> bool:
        """Whether the point holds much memory."""
        return self.decoder is not None or bool(self.window)


class Aim(NamedTuple):
    """How far somebody wants to get, so that no more and no less is read for it at once.

    Parameters
    ----------
    out : int
        Uncompressed byte.
    inner : int, optional
        Compressed byte that is far enough, if the points tell.
    points : list of Point
        Those on the way, and the first that is far enough.
    """

    out: int
    inner: int | None = None
    points: Sequence[Point] = ()


class Points:
    """The points of one source found so far, in order, with bounded memory.

    Not safe for threads by itself: who adds must keep others out; `before` may run at the same time.
    """

    def __init__(self, points: Iterable[Point] = (Point(0, 0),)) -> None:
        self._all = list(points)
        self._heavy = sum(point.heavy for point in self._all)
        self.spacing = SPACING

    @property
    def heavy(self) -> int:
        """How many of them hold much memory."""
        return self._heavy

    @property
    def all(self) -> list[Point]:
        """The points, in order."""
        return self._all

    @property
    def last(self) -> Point:
        """The furthest point."""
        return self._all[-1]

    def due(self, out: int) -> bool:
        """Tell whether a heavy point should be made at uncompressed byte `out`."""
        return out - self._all[-1].out >= self.spacing

    def add(self, point: Point) -> None:
        """Add a point that is further than all others."""
        if point.out <= self._all[-1].out:
            return
        if point.heavy and self._heavy >= MOST:
            self._thin()
        self._heavy += point.heavy
        self._all.append(point)

    def _thin(self) -> None:
        self.spacing *= 2
        self._all = self._all[:1] + self._all[2::2]
        self._heavy = sum(point.heavy for point in self._all)

    def before(self, out: int) -> Point:
        """Return the point to start from for uncompressed byte `out`."""
        found = self._all
        return found[bisect.bisect_right(found, out, key=_out) - 1]

    def aim(self, start: int, out: int) -> Aim:
        """Return how far in the compressed source a read of ``start:out`` must go, if the points tell."""
        found = self._all
        i, j = (bisect.bisect_left(found, byte, key=_out) for byte in (start, out))
        return Aim(out, found[j].inner if j < len(found) else None, found[i : j + 1])


def _out(point: Point) -> int:
    return point.out
