"""Read slices of gzip files by an index that is kept in a file: `GzipIndex`, around the reader of indexed_gzip.

Only an index that is kept uses this. Within a process, copies of zlib's decoder state are as good, cost no second
library, and their pass verifies what it decodes: the pass of indexed_gzip 1.10 takes 1.2 to 3 times as long (128 MiB:
0.42 s for 0.35 s, of zeros 0.27 s for 0.09 s), takes a truncated file for a whole one, and its reads return data of
members whose checksum is wrong.
"""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING, Any

from mrcarray.storage.fileobj import SourceFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mrcarray.storage.source import ByteSource

__all__ = ["GzipIndex"]

SPACING = 1 << 20
"""Uncompressed bytes between two checkpoints, at least: their windows take a thirtieth of the content."""

WINDOWED = 1024
"""About how many checkpoints of 32 KiB a large file gets."""

MEMBERS = 1 << 17
"""Most checkpoints, of which every member gets one: more than some GiB of BGZF, or an attack on the memory."""

READ = 1 << 17
"""Compressed bytes that indexed_gzip asks for at a time."""

MOST = 1 << 20
"""Most compressed bytes read at a time from a source that is not remote."""


class GzipIndex:
    """Random access to a gzip source by an index of indexed_gzip.

    Readers of indexed_gzip serve one thread at a time, so each thread borrows one.

    Parameters
    ----------
    inner : ByteSource
        The compressed bytes.
    data : bytes
        The index, as ``export_index`` writes it.
    reach : int, optional
        How much of the content it covers; None for all.
    end : int, optional
        Size of the content, if it is known.

    Raises
    ------
    ValueError
        When the index is damaged or belongs to a file of another size.
    """

    def __init__(self, inner: ByteSource, data: bytes, reach: int | None = None, end: int | None = None) -> None:
        self.data, self.reach, self.end = data, reach, end
        self._inner = inner
        self._lock = threading.Lock()
        self._idle: list[_Handle] = []
        self._idle.append(self._open())

    @classmethod
    def build(cls, inner: ByteSource, limit: int | None, spacing: int = SPACING) -> GzipIndex | None:
        """Make a pass up to `limit` for the index; return None where the source is damaged or ends before `limit`.

        Raises
        ------
        ImportError
            When indexed_gzip is not installed.
        """
        spacing = max(spacing, (4 * (inner.size() or 0) if limit is None else limit) // WINDOWED)
        handle = _Handle(inner, auto_build=True, spacing=spacing)
        handle.reader.count = lambda: int(handle.file.npoints)
        out = io.BytesIO()
        try:
            reached = handle.file.seek(1 << 62 if limit is None else limit + 1)
            handle.file.export_index(fileobj=out)
        except handle.errors as error:
            handle.reader.raise_again(error)
            return None
        finally:
            handle.reader.count = int  # a reference cycle with an object of C would stay
        if limit is not None and reached < limit:  # truncated: indexed_gzip takes that for the end
            return None
        return cls(inner, out.getvalue(), limit, reached if limit is None or reached == limit else None)

    @property
    def cost(self) -> int:
        """Memory use in bytes."""
        return len(self.data) * (1 + len(self._idle))

    def read_into(self, start: int, out: NDArray[np.uint8]) -> bool:
        """Fill `out` from byte `start`; return whether that was possible."""
        if self.reach is not None and start + out.size > self.reach:
            return False
        with self._lock:
            handle = self._idle.pop() if self._idle else None
        handle = handle or self._open()
        done = handle.fill(start, out)
        with self._lock:
            self._idle.append(handle)
        return done

    def _open(self) -> _Handle:
        handle = _Handle(self._inner, auto_build=False)
        try:
            handle.file.import_index(fileobj=io.BytesIO(self.data))
        except handle.errors as error:
            handle.reader.raise_again(error)
            raise ValueError(str(error)) from None
        handle.points = list(handle.file.seek_points())
        self.spacing = max(SPACING, handle.points[-1][0] // len(handle.points) if handle.points else 0)
        return handle


class _Handle:
    """One reader of indexed_gzip; its raw file, for the buffer around it reads more than is wanted."""

    def __init__(self, inner: ByteSource, **options: Any) -> None:
        import indexed_gzip

        self.errors = (OSError, EOFError, ValueError, MemoryError, OverflowError, indexed_gzip.ZranError)
        self.reader = _Reader(inner)
        self._buffered = indexed_gzip.IndexedGzipFile(fileobj=self.reader, readbuf_size=READ, **options)
        self.file = self._buffered.raw  # which is closed with the buffer, and crashes then
        self.points: list[tuple[int, int]] = []

    def fill(self, start: int, out: NDArray[np.uint8]) -> bool:
        stop = start + out.size
        self.reader.toward = next((inner for produced, inner in self.points if produced >= stop), 0)
        self.reader.error = None
        self.reader.held = b""  # so that the source is read, which checks if it has changed
        try:
            self.file.seek(start)
            done = 0
            while done < out.size and (count := self.file.readinto(out.data[done:])) > 0:
                done += count
        except self.errors as error:
            self.reader.raise_again(error)
            return False
        return done == out.size


class _Reader(SourceFile):
    """A source as the file object that indexed_gzip reads, in pieces as large as the read needs."""

    def __init__(self, source: ByteSource) -> None:
        super().__init__(source)
        self._least: int = getattr(source, "granule", 1)
        self._most = max(MOST, 64 * self._least)
        self.toward = 0
        self.error: BaseException | None = None
        self.count: Any = int

    def raise_again(self, error: BaseException) -> None:
        """Raise what the source raised: indexed_gzip replaces it by an error of its own."""
        if self.error is not None:
            raise self.error from None
        if isinstance(error, MemoryError):
            raise error

    def fetch(self, at: int, size: int) -> memoryview:
        if self.count() > MEMBERS:
            raise OverflowError("too many members for an index")
        try:
            return super().fetch(at, max(size, self._least, min(self.toward + 1 - at, self._most)))
        except BaseException as error:
            self.error = error
            raise
