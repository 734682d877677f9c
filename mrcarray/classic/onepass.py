"""The uncompressed bytes of a gzip or bzip2 file, decoded once: `Pass`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.storage.coalesce import PIECE
from mrcarray.storage.compression.checkpoints import Point
from mrcarray.storage.compression.heads import beginnings
from mrcarray.storage.compression.stream import glance

if TYPE_CHECKING:
    from mrcarray.storage.compression.codecs import Codec
    from mrcarray.storage.local import LocalSource

__all__ = ["Pass"]


class Pass:
    """The uncompressed bytes of a file, in one pass from its start to its end; going back begins another.

    Parameters
    ----------
    file : LocalSource
        The compressed file.
    codec : Codec
        Its compression.
    """

    __slots__ = ("_codec", "_file", "_size", "_stream")

    def __init__(self, file: LocalSource, codec: Codec) -> None:
        self._file = file
        self._codec = codec
        self._stream: Any = None
        self._size: int | None = None

    def size(self) -> int | None:
        """Return the number of uncompressed bytes, once a pass has reached the end."""
        return self._size

    @property
    def head(self) -> bytes:
        """The bytes of the header, or as many as there are; a pass is begun only where the first bytes do not do."""
        first = glance(self._file.head, self._codec, HEADER_NBYTES)
        if len(first) == HEADER_NBYTES:
            return first
        return bytes(beginnings.read(self._file, 0, HEADER_NBYTES, self.read))

    def read(self, start: int, stop: int) -> memoryview:
        """Return some bytes; fewer only at the end."""
        pieces = []
        while start < stop:
            piece = np.empty(min(PIECE, stop - start), dtype=np.uint8)
            count = self.read_into(start, piece)
            pieces.append(piece[:count].data)
            start += count
            if count < piece.size:
                break
        return memoryview(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def read_into(self, start: int, out: Any) -> int:
        """Fill `out` from byte `start`; return the bytes read, fewer only at the end.

        Raises
        ------
        CompressionError
            When the file is damaged before the end of what is asked for.
        """
        stream = self._at(start)
        count = stream.readinto(memoryview(out)) if stream.position == start else 0
        if stream.damage is not None:
            self._stream = None
            raise stream.damage
        if stream.ended:
            self._size = stream.position
        return int(count)

    def _at(self, start: int) -> Any:
        """Return a pass that is at this byte, or at the end before it."""
        stream = self._stream
        if stream is None or stream.position > start:
            if stream is not None:
                stream.close()
            stream = self._stream = self._codec.stream(self._file, self._codec, Point(0, 0))
        stream.skip(start)
        return stream

    def close(self) -> None:
        """End the pass."""
        if self._stream is not None:
            self._stream.close()
        self._stream = None
