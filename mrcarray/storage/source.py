"""What the rest of the package may ask of a place where bytes live.

A source has no cursor: every read names its range. That makes it safe to share between threads, cheap to pickle,
and easy to combine. Nothing in this room knows what the bytes mean.

Besides the three methods every source has, a source may have some of the capabilities below. Who reads asks for the
capability, never for a class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "ByteSource",
    "Readable",
    "SupportsBounds",
    "SupportsGather",
    "SupportsOrder",
    "SupportsRanges",
    "SupportsSession",
    "SupportsView",
]


@runtime_checkable
class Readable(Protocol):
    """Bytes that can be read from anywhere, by several threads at once."""

    def read_into(self, start: int, out: NDArray[np.uint8]) -> int:
        """Fill the 1-d contiguous array `out` from byte `start`; return the bytes read, fewer only at the end."""


@runtime_checkable
class ByteSource(Readable, Protocol):
    """A fixed sequence of bytes that can be read from anywhere in it, by several threads at once.

    Implementations are immutable, hashable and picklable (except around a caller's own file object), and raise
    `StaleFileError` when the bytes are no longer those that were opened.
    """

    @property
    def name(self) -> str:
        """Absolute path or URL for people and error texts, with credentials removed."""

    @property
    def fingerprint(self) -> tuple[Hashable, ...]:
        """What identifies the bytes: size, modification time, inode and change time, or size and etag."""

    def size(self) -> int | None:
        """Return the number of bytes, or None when it is not known without reading them all."""

    def read(self, start: int, stop: int) -> memoryview:
        """Return the bytes ``start:stop``; fewer only where the source ends."""


@runtime_checkable
class SupportsRanges(Protocol):
    """A source that reads many ranges better than one after the other."""

    def read_ranges(self, starts: Sequence[int], outs: Sequence[NDArray[np.uint8]]) -> None:
        """Fill every array of `outs` from its byte in `starts`; raise `TruncatedError` when the source is too short."""


@runtime_checkable
class SupportsGather(Protocol):
    """A source that may have a fast way to read many small runs of one length."""

    def gather(self, starts: NDArray[np.int64], out: NDArray[np.uint8]) -> bool:
        """Fill every row of `out` from its byte in `starts`, or return False: they must be read in another way."""


@runtime_checkable
class SupportsSession(Protocol):
    """A source that is best opened once for all reads of a request, and checked for changes at its end."""

    def session(self) -> AbstractContextManager[Readable]:
        """Open the source; the reads of the session all see the same bytes, or its end raises `StaleFileError`."""


@runtime_checkable
class SupportsView(Protocol):
    """Bytes that may be seen in memory without reading them."""

    def view(self, start: int, stop: int) -> AbstractContextManager[NDArray[np.uint8] | None]:
        """Show the bytes ``start:stop`` while the context lasts, or None when reading them is the better way."""


@runtime_checkable
class SupportsOrder(Protocol):
    """A source for which the number of readers matters."""

    @property
    def in_order(self) -> bool:
        """Whether a large range is best read by one call, rather than piece by piece in threads."""


@runtime_checkable
class SupportsBounds(Protocol):
    """A source whose size is not known, so that it must be told how much of it is wanted."""

    def bounded(
        self, limit: int | None = None, *, permissive: bool | None = None, max_bytes: int | None = None
    ) -> ByteSource:
        """Return the source with the number of bytes that are wanted from its start on."""

    def available(self, stop: int) -> int:
        """Read up to `stop` and return how many bytes there are before it."""
