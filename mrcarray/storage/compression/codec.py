"""What the room must know of a compression; the table of all of them is `mrcarray.storage.codecs.CODECS`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from mrcarray.errors import CompressionError
    from mrcarray.storage.compression.decoders import Decoder
    from mrcarray.storage.compression.points import Aim, Point
    from mrcarray.storage.protocols import ByteSource

__all__ = ["Codec", "Forward"]


class Forward(Protocol):
    """A pass over a compressed source, from a point on; after an error the bytes before it have been given out."""

    position: int
    ended: bool
    damage: CompressionError | None

    @property
    def stopped(self) -> bool:
        """Whether there are no more bytes."""

    @property
    def held(self) -> int:
        """About how much memory it holds, in bytes."""

    def toward(self, aim: Aim) -> None:
        """Take note of how far somebody wants to get, so that as much is done at once as that takes."""

    def skip(self, stop: int) -> None:
        """Decode and drop what is before `stop`."""

    def readinto(self, out: memoryview) -> int:
        """Fill `out` and return the bytes written, fewer only at the end or at damage."""

    def finish(self) -> bool:
        """Tell whether the content ends here; looking verifies the checksum of what ends."""

    def close(self) -> None:
        """Drop what is being decoded ahead."""


@dataclass(frozen=True, slots=True)
class Codec:
    """One row of the table of compressions.

    Parameters
    ----------
    name : str
        What people call it.
    suffix : str
        What such files are usually called; content decides, not the name.
    signature : re.Pattern
        Matches the first bytes of a member of such a file.
    decoder : callable
        Makes a fresh decoder of one member.
    access : str
        How a reader gets into the middle, for people.
    stream : callable
        Makes a pass over a source: ``stream(source, codec, point, points=None)``.
    forks : bool
        Whether a pass leaves points to come back to wherever they are wanted.
    outline : callable, optional
        Finds points without a pass.
    whole : callable, optional
        Returns another decoder, faster for who reads all and keeps nothing, or None where its library is missing. What
        it finds to be wrong is not told: `decoder` has the last word.
    windows : callable, optional
        Finds points that can be kept in a file, where those of a pass cannot.
    """

    name: str
    suffix: str
    signature: re.Pattern[bytes]
    decoder: Callable[[], Decoder]
    access: str
    stream: Callable[..., Forward]
    forks: bool = False
    outline: Callable[[ByteSource], list[Point] | None] | None = None
    whole: Callable[[], Callable[[], Decoder] | None] | None = None
    windows: Callable[[ByteSource, int | None], list[Point] | None] | None = None

    def matches(self, first: bytes) -> bool:
        """Tell whether a member can start with these bytes."""
        return self.signature.match(first) is not None
