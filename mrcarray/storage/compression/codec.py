"""`Codec`, one row of the table of compressions: `mrcarray.storage.compression.codecs.CODECS`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from mrcarray.storage.compression.checkpoints import Point
    from mrcarray.storage.compression.decoder import Forward
    from mrcarray.storage.compression.decoders import Decoder
    from mrcarray.storage.source import ByteSource

__all__ = ["Codec"]


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
    decoder : callable or None
        Makes a fresh decoder of one member; None where no member gives anything at once, so that a pass decodes in its
        own way.
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
    decoder: Callable[[], Decoder] | None
    access: str
    stream: Callable[..., Forward]
    forks: bool = False
    outline: Callable[[ByteSource], list[Point] | None] | None = None
    whole: Callable[[], Callable[[], Decoder] | None] | None = None
    windows: Callable[[ByteSource, int | None], list[Point] | None] | None = None

    def matches(self, first: bytes) -> bool:
        """Tell whether a member can start with these bytes."""
        return self.signature.match(first) is not None
