"""Positions in a compressed source where decoding can start: `Checkpoint`, and a bounded list: `Checkpoints`."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mrcarray.storage.compression.member_decoders import MemberDecoder

__all__ = ["Aim", "Checkpoint", "Checkpoints"]

SPACING = 1 << 18
"""Uncompressed bytes between two saved decoder states at first: about a millisecond of decoding."""

MOST = 512
"""Saved decoder states, of 40 KiB each; when there are more, every second is dropped and the spacing doubled."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A position where decoding can start.

    Parameters
    ----------
    out : int
        Byte of the uncompressed content.
    inner : int
        Byte of the compressed source.
    bits : int
        Bits of that byte which belong to what comes before.
    inside : bool
        Whether a bzip2 block starts here, rather than a member.
    decoder : MemberDecoder, optional
        A decoder in the state it had here; it is only copied, never used.
    """

    out: int
    inner: int
    bits: int = 0
    inside: bool = False
    decoder: MemberDecoder | None = None

    @property
    def bit(self) -> int:
        """The first bit in the compressed source that belongs to what follows."""
        return self.inner * 8 + self.bits


class Aim(NamedTuple):
    """How far a read goes, so that the source is asked for all of it at once.

    Parameters
    ----------
    out : int
        Uncompressed byte.
    inner : int, optional
        Compressed byte that is far enough, if a checkpoint is known there.
    checkpoints : list of Checkpoint
        Those on the way, and the first that is far enough.
    """

    out: int
    inner: int | None = None
    checkpoints: Sequence[Checkpoint] = ()


_out = attrgetter("out")


class Checkpoints:
    """The checkpoints of one source found so far, in order, in bounded memory.

    Only one thread may add; others may search at the same time.
    """

    def __init__(
        self, known: Iterable[Checkpoint] = (Checkpoint(0, 0),), *, spacing: int = SPACING, most: int = MOST
    ) -> None:
        self.all = list(known)
        self.spacing = spacing
        self._most = most
        self.states = self._count()

    def _count(self) -> int:
        return sum(one.decoder is not None for one in self.all)

    def due(self, out: int) -> bool:
        """Return whether the state of a decoder should be saved at uncompressed byte `out`."""
        return out - self.all[-1].out >= self.spacing

    def add(self, found: Checkpoint) -> None:
        """Add a checkpoint, unless it is before the last one."""
        if found.out <= self.all[-1].out:
            return
        if found.decoder is not None and self.states >= self._most:
            self.spacing *= 2
            self.all = self.all[:1] + self.all[2::2]
            self.states = self._count()
        self.states += found.decoder is not None
        self.all.append(found)

    def before(self, out: int) -> Checkpoint:
        """Return the checkpoint to start from for uncompressed byte `out`."""
        return self.all[bisect.bisect_right(self.all, out, key=_out) - 1]

    def aim(self, start: int, out: int) -> Aim:
        """Return how far in the compressed source a read of ``start:out`` must go, if a checkpoint is known there."""
        found = self.all
        i, j = (bisect.bisect_left(found, byte, key=_out) for byte in (start, out))
        return Aim(out, found[j].inner if j < len(found) else None, found[i : j + 1])
