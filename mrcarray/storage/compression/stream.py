"""Decode a source member by member: `StreamDecoder`, for gzip, xz and zstd.

Members may follow each other, with zero bytes between and after them. The content ends before other bytes. A source
that ends inside a member, or is damaged, is an error with its position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrcarray.errors import printable
from mrcarray.storage.compression.checkpoints import Checkpoint
from mrcarray.storage.compression.decoder import Decoder
from mrcarray.storage.compression.member_decoders import UnreadableError
from mrcarray.storage.memory import MemorySource

if TYPE_CHECKING:
    from mrcarray.storage.compression.checkpoints import Aim, Checkpoints
    from mrcarray.storage.compression.decoder import Codec
    from mrcarray.storage.compression.member_decoders import MemberDecoder
    from mrcarray.storage.source import ByteSource

__all__ = ["EMPTY", "SIGNATURE", "StreamDecoder", "first_bytes", "head"]

FIRST = 4096
"""Compressed bytes read first: enough for a header and what follows it."""

CHUNK = 1 << 17
"""Compressed bytes given to a decoder at once: with each piece it returns it copies those it has not used."""

MOST = 1 << 18
"""Most compressed bytes read at a time from a source that is not remote."""

PIECE = 1 << 18
"""Most bytes one call of a library may produce; they are copied to the array while in the cache."""

WINDOW, DICTIONARY = 1 << 15, 64 << 20
"""Bytes of output that decoders refer to: of gzip, and of xz and zstd at the highest common level."""

SMALL = 1 << 10
"""Least compressed bytes given to the decoder of a further member at first: it copies those it does not need."""

EMPTY = 4096
"""Members without content that may follow each other: more are an attack on the reader's time."""

SIGNATURE = 16
"""Bytes that show whether another member follows."""


class StreamDecoder(Decoder):
    """Uncompressed bytes of a source in order."""

    def __init__(
        self, inner: ByteSource, codec: Codec, checkpoint: Checkpoint, checkpoints: Checkpoints | None = None
    ) -> None:
        super().__init__(inner, codec, checkpoint, checkpoints)
        self._decoder: MemberDecoder | None = None if checkpoint.decoder is None else checkpoint.decoder.fork()
        self._next = self._began = checkpoint.inner
        self._buffer = memoryview(b"")
        self._at = 0
        self._portion = CHUNK
        self._granule: int = getattr(inner, "granule", FIRST)
        self._most = max(MOST, 64 * self._granule)
        self._chunk = self._granule
        self._exhausted = False
        self._empty = self._members = 0

    @property
    def held(self) -> int:
        """Approximate memory use in bytes: the bytes read last, and the output that the decoder refers to."""
        if self._decoder is None:
            return len(self._buffer)
        return self._chunk + min(self.position, WINDOW if self._codec.resumable else DICTIONARY)

    def toward(self, aim: Aim) -> None:
        """Ask the source for as much at once as the read takes, if that is known; a block may end inside a byte."""
        if aim.inner is not None:
            self._chunk = min(max(self._granule, aim.inner + 1 - self._next - len(self._buffer) + self._at), self._most)

    def _some(self, most: int) -> bytes:
        if self._decoder is None:
            self._next_member()
        decoder = self._decoder
        if decoder is None or self.stopped:
            return b""
        data = self._feed() if decoder.hungry() else b""
        try:
            piece = decoder.decode(data, min(most, PIECE))
            rest = decoder.rest()
        except MemoryError:  # not a fault of the file
            raise
        except UnreadableError as error:
            self._fail(f"cannot be read; {error};", self._next - decoder.waiting())
            return b""
        except Exception as error:  # noqa: BLE001 -- each library raises its own
            self._fail(f"is damaged ({printable(error)})", self._next - decoder.waiting())
            return b""
        self.position += len(piece)
        if rest is not None:
            self._end_member(rest, empty=not piece)
        elif self._exhausted and not piece and decoder.hungry():
            self._fail("ends too early; the file is not complete", self._next - decoder.waiting())
        elif self._checkpoints is not None and self._checkpoints.due(self.position):
            self._save(decoder, self._checkpoints)
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
        self._buffer, self._at = memoryview(self._inner.read(self._next, self._next + self._chunk)), 0
        self._chunk = min(self._chunk * 8, self._most)
        self._exhausted = not self._buffer

    def _advance(self, count: int) -> None:
        """Step over bytes of the buffer, or back."""
        self._at += count
        self._next += count

    def _save(self, decoder: MemberDecoder, checkpoints: Checkpoints) -> None:
        copy = decoder.fork()
        if copy is not None:
            checkpoints.add(Checkpoint(self.position, self._next - decoder.waiting(), decoder=copy))

    def _end_member(self, rest: bytes, *, empty: bool) -> None:
        """Go back to what follows the member: the decoder was given all of it by the last call."""
        self._decoder = None
        self._advance(-len(rest))
        size = self._next - self._began
        self._portion = min(CHUNK, max(SMALL, size + size // 8))  # members of one file are about as long
        self._empty = self._empty + 1 if empty else 0

    def _next_member(self) -> None:
        """Start the next member, or note that there is none."""
        first = self._lookahead()
        if not first:
            self.ended = True
        elif not self._codec.matches(first):
            self._end_before_garbage(self._next)
        elif self._empty >= EMPTY:
            self._fail(f"has {EMPTY} members without content one after the other", self._next)
        else:
            assert self._codec.member is not None  # noqa: S101 -- such codecs have another pass
            self._decoder, self._began = self._codec.member(), self._next
            self._members += 1
            known = self._checkpoints
            if known is not None and self.position - known.all[-1].out >= known.spacing // 4:
                known.add(Checkpoint(self.position, self._next))

    def _lookahead(self) -> bytes:
        """Skip zeros, unless this is the start of the source, and return the first bytes after them."""
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


def first_bytes(first: bytes, codec: Codec, wanted: int) -> bytes:
    """Return up to `wanted` uncompressed bytes of the first member, as many as come at once; none where that fails."""
    if codec.member is None:
        return b""
    try:  # faster than contextlib.suppress, and this runs for every file
        return codec.member().decode(first, wanted)
    except Exception:  # noqa: BLE001 -- a pass reports what is wrong
        return b""


def head(first: bytes, codec: Codec, wanted: int) -> bytes:
    """Return up to `wanted` uncompressed bytes of a file that starts with `first`."""
    piece = first_bytes(first, codec, wanted)
    if len(piece) in {0, wanted}:
        return piece
    out = memoryview(bytearray(wanted))
    return bytes(out[: codec.start(MemorySource(first), codec, Checkpoint(0, 0)).readinto(out)])
