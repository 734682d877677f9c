"""A pass over a compressed source, from its start or from a point in it.

What all formats share is here: members that follow each other, zero bytes between and after them, bytes that do not
belong to the format, sources that end too early, and damage.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from mrcarray.errors import CompressionError, MrcWarning, printable
from mrcarray.storage.compression.checkpoints import WINDOW, Point
from mrcarray.storage.compression.decoder import Forward
from mrcarray.storage.compression.decoders import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrcarray.storage.compression.checkpoints import Aim, Points
    from mrcarray.storage.compression.codec import Codec
    from mrcarray.storage.compression.decoders import Decoder
    from mrcarray.storage.source import ByteSource

__all__ = ["Stream", "glance", "head", "warn_garbage"]

FIRST = 4096
"""Compressed bytes read first: enough for a header and what follows it."""

CHUNK = 1 << 17
"""Compressed bytes given to a decoder at once: with each piece it gives it copies those it has not used."""

MOST = 1 << 18
"""Compressed bytes read at a time at most, where the source is not far away."""

PIECE = 1 << 18
"""Most bytes one call of a library may produce; they are copied to where they belong while in the cache."""

DICTIONARY = 64 << 20
"""Bytes of output that decoders of xz and zstd refer to, at the highest common level."""

SMALL = 1 << 10
"""Compressed bytes given to the decoder of a further member at first, at least: what it does not need it copies."""

EMPTY = 4096
"""Members without content that may follow each other: more are an attack on the reader's time."""

SIGNATURE = 16
"""Bytes that show whether another member follows."""


class Stream(Forward):
    """Uncompressed bytes of a source in order.

    After an error the bytes before it have been given out, and `damage` says what is wrong.

    Parameters
    ----------
    inner : ByteSource
        The compressed bytes.
    codec : Codec
        Their format.
    point : Point
        Where to start.
    points : Points, optional
        Where to keep the points the pass finds.
    """

    def __init__(self, inner: ByteSource, codec: Codec, point: Point, points: Points | None = None) -> None:
        super().__init__(point)
        self._inner = inner
        self._codec = codec
        self._points = points
        self._decoder = point.start()
        self._next = point.inner
        self._buffer = memoryview(b"")
        self._at = 0
        self._portion = CHUNK
        self._began = point.inner
        self._granule: int = getattr(inner, "granule", FIRST)
        self._most = max(MOST, 64 * self._granule)
        self._chunk = self._granule
        self._exhausted = False
        self._empty = 0
        self._members = 0

    @property
    def held(self) -> int:
        """About how much memory it holds: what was read last, and the output a decoder may refer to."""
        if self._decoder is None:
            return len(self._buffer)
        return self._chunk + min(self.position, WINDOW if self._codec.forks else DICTIONARY)

    def toward(self, aim: Aim) -> None:
        """Ask the source for as much at once as the way takes, if that is known; a border may lie in a byte."""
        if aim.inner is not None:
            self._chunk = min(max(self._granule, aim.inner + 1 - self._next - len(self._buffer) + self._at), self._most)

    # -------------------------------------------------------------------------------- one step

    def _some(self, most: int) -> bytes:
        """Return some of the next bytes, none where a step gives none or the content ends."""
        if self._decoder is None and not self._next_member():
            return b""
        return self._step(min(most, PIECE))

    def _step(self, most: int) -> bytes:
        decoder = self._decoder
        if decoder is None:  # pragma: no cover -- `_some` has seen to it
            return b""
        data = self._feed() if decoder.hungry() else b""
        try:
            piece = decoder.decode(data, most)
            rest = decoder.rest()
        except MemoryError:  # that says nothing of the file
            raise
        except UnreadableError as error:
            self._damaged(f"the {self._codec.name} stream cannot be read; {error};", decoder)
            return b""
        except Exception as error:  # noqa: BLE001 -- each library has its own, and none of them is ours
            self._damaged(f"the {self._codec.name} stream is damaged ({printable(error)})", decoder)
            return b""
        self.position += len(piece)
        if rest is not None:
            self._end_member(rest, empty=not piece)
        elif self._exhausted and not piece and decoder.hungry():
            self._damaged(f"the {self._codec.name} stream ends too early; the file is not complete", decoder)
        elif self._points is not None and self._points.due(self.position):
            self._keep(decoder)
        return piece

    def _feed(self) -> bytes:
        """Return the next compressed bytes, none at the end of the source."""
        if self._at == len(self._buffer):
            self._refill()
        data = bytes(self._buffer[self._at : self._at + self._portion])
        self._portion = min(self._portion * 8, CHUNK)
        self._advance(len(data))
        return data

    def _refill(self) -> None:
        """Read on from the next byte."""
        self._buffer, self._at = memoryview(self._inner.read(self._next, self._next + self._chunk)), 0
        self._chunk = min(self._chunk * 8, self._most)
        self._exhausted = not self._buffer

    def _advance(self, count: int) -> None:
        """Step over bytes of the buffer, or back."""
        self._at += count
        self._next += count

    def _keep(self, decoder: Decoder) -> None:
        copy = decoder.fork()
        if copy is not None and self._points is not None:
            self._points.add(Point(self.position, self._next - decoder.waiting(), decoder=copy))

    def _damaged(self, what: str, decoder: Decoder | None) -> None:
        position = self._next - (0 if decoder is None else decoder.waiting())
        self.damage = CompressionError(
            f"{what} near byte {position} of the compressed file; "
            f"{self.position} uncompressed bytes before it are whole",
            self._inner.name,
            position=position,
        )

    # -------------------------------------------------------------------------------- members

    def _end_member(self, rest: bytes, *, empty: bool) -> None:
        """Go back to what follows the member: the decoder was given all of it by the last call."""
        self._decoder = None
        self._advance(-len(rest))
        size = self._next - self._began
        self._portion = min(CHUNK, max(SMALL, size + size // 8))  # members of one file are about as long
        self._empty = self._empty + 1 if empty else 0

    def _next_member(self) -> bool:
        """Start the next member, or note that there is none."""
        first = self._lookahead()
        if not first:
            self.ended = True
        elif not self._codec.matches(first):
            warn_garbage(self._inner, self._codec.name, self._next)
            self.ended = True
        elif self._empty >= EMPTY:
            self._damaged(f"{EMPTY} {self._codec.name} members without content follow each other", None)
        else:
            assert self._codec.decoder is not None  # noqa: S101 -- where there is none, this is not the pass
            self._decoder, self._began = self._codec.decoder(), self._next
            self._start_point()
        return not self.stopped

    def _lookahead(self) -> bytes:
        """Skip zeros, unless this is the very start, and return the first bytes after them."""
        padded, size = self._members > 0 or self._next > 0, SIGNATURE
        while True:
            if len(self._buffer) - self._at < SIGNATURE and not self._exhausted:
                self._refill()
            first = bytes(self._buffer[self._at : self._at + size])
            zeros = len(first) - len(first.lstrip(b"\0")) if padded else 0
            self._advance(zeros)
            if not zeros or self._exhausted:
                return first[:SIGNATURE]
            size = min(size * 8, CHUNK)

    def _start_point(self) -> None:
        self._members += 1
        if self._points is not None and self.position - self._points.last.out >= self._points.spacing // 4:
            self._points.add(Point(self.position, self._next))


def warn_garbage(inner: ByteSource, codec: str, position: int) -> None:
    """Say that what follows the last member is no member."""
    size = inner.size()
    count = "some" if size is None else str(size - position)
    warnings.warn(
        f"{printable(inner.name)}: {count} bytes from byte {position} on, after the {codec} stream, "
        "are not part of it; they are ignored",
        MrcWarning,
        stacklevel=2,
    )


class _First:
    """The first bytes of a file, as if they were all."""

    name = ""
    fingerprint = ()

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, start: int, stop: int) -> memoryview:
        return memoryview(self.data)[start:stop]


def glance(first: bytes, codec: Codec, wanted: int) -> bytes:
    """Return up to `wanted` uncompressed bytes of the first member, as many as come at once; none where that fails."""
    if codec.decoder is None:
        return b""
    try:  # faster than contextlib.suppress, and this runs for every file
        return codec.decoder().decode(first, wanted)
    except Exception:  # noqa: BLE001 -- what is damaged, or in several members, is a stream's to judge
        return b""


def head(first: bytes, codec: Codec, wanted: int, start: Callable[..., Stream] = Stream) -> bytes:
    """Return up to `wanted` uncompressed bytes of a file that starts with `first`."""
    piece = glance(first, codec, wanted)
    if len(piece) in {0, wanted}:
        return piece
    out = bytearray(wanted)
    stream = start(_First(first), codec, Point(0, 0))
    return bytes(out[: stream.readinto(memoryview(out))])
