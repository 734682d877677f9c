"""What all compressed formats share: `Codec`, a row of the table of formats, and `Decoder`, a pass over a source."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrcarray.errors import CompressionError, MrcWarning, printable

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from mrcarray.storage.compression.checkpoints import Aim, Checkpoint, Checkpoints
    from mrcarray.storage.compression.gzip_index import GzipIndex
    from mrcarray.storage.compression.member_decoders import MemberDecoder
    from mrcarray.storage.source import ByteSource

__all__ = ["Codec", "Decoder"]


@dataclass(frozen=True, slots=True)
class Codec:
    """A compressed format.

    Parameters
    ----------
    name, suffix : str
        What it is called, and how its files usually end; content decides, not the name.
    signature : re.Pattern
        Matches the first bytes of a member.
    start : callable
        Starts a pass: ``start(source, codec, checkpoint, checkpoints=None)``.
    member : callable, optional
        Makes a decoder of one member; None where no member returns anything at once.
    resumable : bool
        Whether a pass leaves checkpoints; without them, what it decodes is spooled.
    whole : callable, optional
        Returns what makes a faster decoder for whole reads, or None where its library is missing. If that fails,
        `member` decides.
    index : type, optional
        Reads by an index that is kept in a file, where checkpoints of a pass cannot be kept.
    """

    name: str
    suffix: str
    signature: re.Pattern[bytes]
    start: Callable[..., Decoder]
    member: Callable[[], MemberDecoder] | None = None
    resumable: bool = False
    whole: Callable[[], Callable[[], MemberDecoder] | None] | None = None
    index: type[GzipIndex] | None = None

    def matches(self, first: bytes) -> bool:
        """Return whether a member can start with these bytes."""
        return self.signature.match(first) is not None


class Decoder(ABC):
    """A pass over a compressed source, from a checkpoint on; after an error the bytes before it have been returned.

    Attributes
    ----------
    position : int
        The next uncompressed byte.
    ended : bool
        Whether the content ends there.
    damage : CompressionError or None
        What is wrong there.
    """

    def __init__(
        self, inner: ByteSource, codec: Codec, checkpoint: Checkpoint, checkpoints: Checkpoints | None = None
    ) -> None:
        self.position = checkpoint.out
        self.ended = False
        self.damage: CompressionError | None = None
        self._inner = inner
        self._codec = codec
        self._checkpoints = checkpoints

    @property
    def stopped(self) -> bool:
        """Whether there are no more bytes."""
        return self.ended or self.damage is not None

    @property
    @abstractmethod
    def held(self) -> int:
        """Approximate memory use in bytes."""

    @abstractmethod
    def toward(self, aim: Aim) -> None:
        """Note how far the read goes."""

    @abstractmethod
    def _some(self, most: int) -> bytes | memoryview:
        """Return some of the next bytes, none where a step gives none or the content ends."""

    def skip(self, stop: int) -> None:
        """Decode and drop the bytes before `stop`."""
        while self.position < stop and not self.stopped:
            self._some(stop - self.position)

    def readinto(self, out: memoryview) -> int:
        """Fill `out` and return the bytes written, fewer only at the end or at damage."""
        done = 0
        while done < len(out) and not self.stopped:
            piece = self._some(len(out) - done)
            out[done : done + len(piece)] = piece
            done += len(piece)
        return done

    def finish(self) -> bool:
        """Return whether the content ends here; this verifies the checksum of the last member."""
        return self.readinto(memoryview(bytearray(1))) == 0

    def close(self) -> None:  # noqa: B027 -- most have nothing to close
        """Drop what is being decoded ahead."""

    def _fail(self, what: str, position: int) -> None:
        """Stop at damage near byte `position` of the compressed source."""
        text = (
            f"the {self._codec.name} stream {what} near byte {position} of the compressed file; "
            f"{self.position} uncompressed bytes before it are whole"
        )
        self.damage = CompressionError(text, self._inner.name, position=position)

    def _end_before_garbage(self, position: int) -> None:
        """Stop at bytes that are not another member, and warn of them."""
        size = self._inner.size()
        count = "some" if size is None else str(size - position)
        warnings.warn(
            f"{printable(self._inner.name)}: {count} bytes from byte {position} on, after the {self._codec.name} "
            "stream, are not part of it; they are ignored",
            MrcWarning,
            stacklevel=2,
        )
        self.ended = True
