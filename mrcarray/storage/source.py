"""The protocol of byte sources, and the optional capabilities of a source.

A source has no cursor: every read names its range. So threads can share a source without a lock, and it is cheap to
pickle and easy to wrap. Sources know nothing about MRC.

Callers test for a capability (`hasattr`, or a protocol below), never for a class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "HEAD_NBYTES",
    "ByteSource",
    "Readable",
    "SupportsBounds",
    "SupportsGather",
    "SupportsOrder",
    "SupportsRanges",
    "SupportsSession",
    "SupportsView",
    "with_path",
]

HEAD_NBYTES: Final = 1024
"""Bytes at the start of a file that are read when it is opened and written last: the main header of an MRC file."""


@runtime_checkable
class Readable(Protocol):
    """Bytes that several threads can read at any position."""

    def read_into(self, start: int, out: NDArray[np.uint8]) -> int:
        """Fill the 1-d contiguous array `out` from byte `start`; return the bytes read, fewer only at the end."""


@runtime_checkable
class ByteSource(Readable, Protocol):
    """A fixed sequence of bytes that several threads can read at any position.

    Implementations are immutable, hashable and picklable (except around a caller's own file object), and raise
    `StaleFileError` when the bytes are no longer those that were opened.
    """

    @property
    def name(self) -> str:
        """Absolute path or URL for messages, without credentials."""

    @property
    def fingerprint(self) -> tuple[Hashable, ...]:
        """Values that identify the bytes: size, modification time, inode and change time; or size and ETag."""

    def size(self) -> int | None:
        """Return the number of bytes, or None if it is only known after reading all of them."""

    def read(self, start: int, stop: int) -> memoryview:
        """Return the bytes ``start:stop``; fewer only at the end."""


@runtime_checkable
class SupportsRanges(Protocol):
    """A source that reads many ranges faster than one by one."""

    def read_ranges(self, starts: Sequence[int], outs: Sequence[NDArray[np.uint8]]) -> None:
        """Fill every array of `outs` from its byte in `starts`; raise `TruncatedError` when the source is too short."""


@runtime_checkable
class SupportsGather(Protocol):
    """A source that may have a fast way to read many small ranges of one length."""

    def gather(self, starts: NDArray[np.int64], out: NDArray[np.uint8]) -> bool:
        """Fill every row of `out` from its byte in `starts`; return False if the caller must read in another way."""


@runtime_checkable
class SupportsSession(Protocol):
    """A source that is opened once for all reads of a request."""

    def session(self) -> AbstractContextManager[Readable]:
        """Open the source; all reads of the session return the same bytes, or its end raises `StaleFileError`."""


@runtime_checkable
class SupportsView(Protocol):
    """A source whose bytes are in memory."""

    def view(self, start: int, stop: int) -> AbstractContextManager[NDArray[np.uint8] | None]:
        """Give the bytes ``start:stop`` without a copy while the context lasts, or None if reading is faster."""


@runtime_checkable
class SupportsOrder(Protocol):
    """A source that threads may slow down."""

    @property
    def in_order(self) -> bool:
        """Whether one call reads a large range faster than several threads do."""


@runtime_checkable
class SupportsBounds(Protocol):
    """A source of unknown size, which needs to know how many bytes are wanted."""

    def bounded(
        self, limit: int | None = None, *, permissive: bool | None = None, max_bytes: int | None = None
    ) -> ByteSource:
        """Return the source, limited to this number of bytes from its start."""

    def available(self, stop: int) -> int:
        """Read up to `stop` and return the number of bytes before it."""


def with_path(error: OSError, path: str) -> OSError:
    """Return the error with the path, which calls on a descriptor leave out."""
    if error.filename is not None or error.errno is None or not path:
        return error
    return type(error)(error.errno, error.strerror, path)
