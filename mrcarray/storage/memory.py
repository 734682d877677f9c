"""Byte source of a buffer in memory."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from numpy.typing import NDArray

__all__ = ["MemorySource"]


class MemorySource:
    """Byte source of bytes, bytearray, memoryview or another contiguous buffer.

    Parameters
    ----------
    data : buffer
        The bytes. They are not copied, so they must not change.
    name : str, optional
        Name for messages.

    Examples
    --------
    >>> bytes(MemorySource(b"abcdef").read(2, 4))
    b'cd'
    """

    __slots__ = ("_bytes", "_digest", "_name")

    def __init__(self, data: Any, name: str = "<memory>") -> None:
        self._bytes = np.frombuffer(data, dtype=np.uint8)
        self._name = name
        self._digest: str | None = None

    @property
    def name(self) -> str:
        """Name for messages."""
        return self._name

    @property
    def fingerprint(self) -> tuple[Hashable, ...]:
        """Size and digest of the bytes; the digest is computed at the first use."""
        if self._digest is None:
            self._digest = hashlib.blake2b(self._bytes.data, digest_size=16).hexdigest()
        return (self._bytes.size, self._digest)

    def size(self) -> int:
        """Return the number of bytes."""
        return self._bytes.size

    def read(self, start: int, stop: int) -> memoryview:
        """Return the bytes ``start:stop``; fewer only at the end."""
        return self._bytes[start:stop].data.toreadonly()

    def read_into(self, start: int, out: NDArray[np.uint8]) -> int:
        """Copy to `out` from byte `start`; return the bytes copied."""
        part = self._bytes[start : start + out.size]
        out[: part.size] = part
        return part.size

    @contextlib.contextmanager
    def view(self, start: int, stop: int) -> Iterator[NDArray[np.uint8] | None]:
        """Give the bytes ``start:stop`` without a copy."""
        yield self._bytes[start:stop]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MemorySource):
            return NotImplemented
        return self is other or (self._name == other._name and np.array_equal(self._bytes, other._bytes))

    def __hash__(self) -> int:
        return hash((MemorySource, self._name, self._bytes.size))

    def __reduce__(self) -> tuple[Any, ...]:
        return MemorySource, (self._bytes.tobytes(), self._name)

    def __repr__(self) -> str:
        return f"MemorySource({self._name!r}, {self._bytes.size} bytes)"
