"""Read a compressed file once, from its start to its end: `SequentialSource`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mrcarray.storage.coalesce import PIECE
from mrcarray.storage.compression.checkpoints import Checkpoint
from mrcarray.storage.compression.codecs import CODECS
from mrcarray.storage.compression.heads import read_head
from mrcarray.storage.compression.stream import first_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mrcarray.storage.compression.decoder import Decoder
    from mrcarray.storage.local import LocalSource

__all__ = ["SequentialSource", "read_pieces"]


class SequentialSource:
    """The uncompressed bytes of a file in one pass, of which nothing is kept; going back begins another pass.

    Parameters
    ----------
    file : LocalSource
        The compressed file.
    codec : str
        Name of its format.
    """

    __slots__ = ("_codec", "_decoder", "_file", "_size")

    def __init__(self, file: LocalSource, codec: str) -> None:
        self._file, self._codec = file, CODECS[codec]
        self._decoder: Decoder | None = None
        self._size: int | None = None

    def size(self) -> int | None:
        """Return the number of uncompressed bytes, once a pass has reached the end."""
        return self._size

    def head(self, count: int) -> bytes:
        """Return the first bytes; begin a pass only where they are not in the first bytes of the file."""
        first = first_bytes(self._file.head, self._codec, count)
        return first if len(first) == count else bytes(read_head(self._file, 0, count, self.read))

    def read(self, start: int, stop: int) -> memoryview:
        """Return some bytes; fewer only at the end."""
        return read_pieces(self.read_into, start, stop, PIECE)

    def read_into(self, start: int, out: NDArray[np.uint8]) -> int:
        """Fill `out` from byte `start`; return the bytes read, fewer only at the end.

        Raises
        ------
        CompressionError
            When the file is damaged before the end of the read.
        """
        if self._decoder is None or self._decoder.position > start:
            self.close()
            self._decoder = self._codec.start(self._file, self._codec, Checkpoint(0, 0))
        decoder = self._decoder
        decoder.skip(start)
        count = decoder.readinto(out.data) if decoder.position == start else 0
        if decoder.damage is not None:
            self._decoder = None
            raise decoder.damage
        if decoder.ended:
            self._size = decoder.position
        return count

    def close(self) -> None:
        """End the pass."""
        if self._decoder is not None:
            self._decoder.close()
        self._decoder = None


def read_pieces(read_into: Callable[[int, NDArray[np.uint8]], int], start: int, stop: int, most: int) -> memoryview:
    """Return the bytes ``start:stop``, allocating at most `most` bytes before it is known that they exist."""
    parts: list[memoryview] = []
    while start < stop:
        out = np.empty(min(most, stop - start), dtype=np.uint8)
        count = read_into(start, out)
        parts.append(out[:count].data)
        start += count
        if count < out.size:
            break
    return memoryview(parts[0] if len(parts) == 1 else b"".join(parts)).toreadonly()
