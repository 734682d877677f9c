"""What a pass over a compressed source is, whatever its format: `Forward`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mrcarray.errors import CompressionError
    from mrcarray.storage.compression.checkpoints import Aim, Point

__all__ = ["Forward"]


class Forward(ABC):
    """A pass over a compressed source, from a point on; after an error the bytes before it have been given out.

    Parameters
    ----------
    point : Point
        Where to start.

    Attributes
    ----------
    position : int
        The next uncompressed byte.
    ended : bool
        Whether the content ends there.
    damage : CompressionError or None
        What is wrong behind it.
    """

    def __init__(self, point: Point) -> None:
        self.position = point.out
        self.ended = False
        self.damage: CompressionError | None = None

    @property
    def stopped(self) -> bool:
        """Whether there are no more bytes."""
        return self.ended or self.damage is not None

    @property
    @abstractmethod
    def held(self) -> int:
        """About how much memory it holds, in bytes."""

    @abstractmethod
    def toward(self, aim: Aim) -> None:
        """Take note of how far somebody wants to get, so that as much is done at once as that takes."""

    @abstractmethod
    def _some(self, most: int) -> bytes | memoryview:
        """Return some of the next bytes, none where a step gives none or the content ends."""

    def skip(self, stop: int) -> None:
        """Decode and drop what is before `stop`."""
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
        """Tell whether the content ends here; looking verifies the checksum of what ends."""
        return self.readinto(memoryview(bytearray(1))) == 0

    def close(self) -> None:  # noqa: B027 -- most have nothing to close
        """Drop what is being decoded ahead."""
