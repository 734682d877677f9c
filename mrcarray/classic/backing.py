"""Where the bytes of a classic file are: one class, with the compression and the mapping as values.

A `Backing` joins a path, a compression and what is known of the file: its source, with the fingerprint taken when it
was opened. It keeps no descriptor. All writing is here: a patch of some bytes of a plain file, or a whole new file that
takes the name of the old one when it is complete. Nothing here knows what the bytes mean.
"""

from __future__ import annotations

import bz2
import gzip
import io
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.classic._stub import Dec, Sink, compressed
from mrcarray.errors import ConflictError, StaleFileError, printable
from mrcarray.storage.codecs import CODECS
from mrcarray.storage.local import LocalSource
from mrcarray.storage.ranges import PIECE, in_threads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mrcarray.storage.protocols import ByteSource

__all__ = ["Backing"]

#: What the standard library says of a file that is not compressed in this way.
_WRONG = {"gzip": "Not a gzipped file ({!r})", "bzip2": "Invalid data stream"}
_SIGNATURE = 4


class Backing:
    """The file behind a classic object.

    Parameters
    ----------
    path : str
        Name, as the caller gave it.
    compression : str
        ``""``, ``"gzip"`` or ``"bzip2"``.
    exclusive : bool
        Whether a new file must not replace one.
    mapped : bool
        Whether parts of the file are mapped and written by way of the map, so that its time changes.
    """

    __slots__ = ("compression", "exclusive", "file", "mapped", "path", "pending", "source")

    def __init__(self, path: str, compression: str = "", *, exclusive: bool = False, mapped: bool = False) -> None:
        self.path = path
        self.compression = compression
        self.exclusive = exclusive
        self.mapped = mapped
        #: The compressed or plain file, as it was when it was opened; None until there is one.
        self.file: LocalSource | None = None
        #: Its bytes, uncompressed.
        self.source: ByteSource | None = None
        #: A new file that has not taken its name yet.
        self.pending: Sink | None = None

    def open(self) -> None:
        """Take the fingerprint of the file.

        Raises
        ------
        OSError
            When there is no such file, or it is not compressed as it should be.
        """
        self.file = self.source = LocalSource.open(self.path)
        if self.compression:
            self.source = self._uncompressed(self.file)

    def _uncompressed(self, file: LocalSource) -> ByteSource:
        """Return a source of the uncompressed bytes."""
        first = bytes(file.read(0, 1024))
        codec = CODECS[self.compression]
        if first and not codec.matches(first):
            error = gzip.BadGzipFile if self.compression == "gzip" else OSError
            raise error(_WRONG[self.compression].format(first[:2]))
        return codec.open(file)

    @property
    def fingerprint(self) -> tuple[int, int, int] | None:
        """What identifies the file that was opened."""
        return self.file.fingerprint if self.file is not None else None

    @property
    def exists(self) -> bool:
        """Whether a file has been opened or committed."""
        return self.file is not None

    @property
    def current(self) -> str:
        """The path of the file to map: the new one while there is one."""
        return self.pending.path if self.pending is not None else self.path

    # reading

    def size(self) -> int | None:
        """Return the number of uncompressed bytes, or None when only reading them would tell."""
        return self.source.size() if self.source is not None else 0

    def read(self, start: int, stop: int) -> memoryview:
        """Return some bytes; fewer only at the end."""
        return self.source.read(start, stop) if self.source is not None else memoryview(b"")

    def read_array(self, start: int, nbytes: int) -> tuple[Any, int]:
        """Read a block into a new array, several threads at once; return it and the bytes read."""
        out = np.empty(nbytes, dtype=np.uint8)
        if not isinstance(self.source, LocalSource):
            return out, self.source.read_into(start, out) if self.source is not None else 0
        counts: list[int] = []
        with self.source.session() as session:

            def piece(at: int) -> None:
                counts.append(session.read_into(start + at, out[at : at + PIECE]))

            in_threads(piece, range(0, nbytes, PIECE), nbytes)
        return out, sum(counts)

    def pieces(self, start: int, stop: int | None = None) -> Iterator[memoryview]:
        """Return the bytes from `start` to `stop`, or to the end, a piece at a time."""
        while stop is None or start < stop:
            piece = self.read(start, start + PIECE if stop is None else min(stop, start + PIECE))
            if not piece:
                return
            yield piece
            start += len(piece)

    def after(self, stop: int) -> int:
        """Return how many uncompressed bytes there are after `stop`."""
        size = self.size()
        return max(0, size - stop) if size is not None else sum(map(len, self.pieces(stop)))

    def holds(self, start: int, block: Any) -> bool:
        """Return whether the file has these bytes (a flat array of uint8) at `start`."""
        at = 0
        for piece in self.pieces(start, start + block.size):
            if not np.array_equal(np.frombuffer(piece, np.uint8), block[at : at + len(piece)]):
                return False
            at += len(piece)
        return bool(at == block.size)

    def stream(self) -> Any:
        """Return a stream on the file, for subclasses that want one; a new file without a name has an empty one."""
        if self.file is None and self.pending is None:
            return io.BytesIO()
        opener = {"gzip": gzip.open, "bzip2": bz2.open}.get(self.compression, io.open)
        return opener(self.current, "rb")

    # writing

    def check(self) -> None:
        """Raise `ConflictError` when the file is no longer the one that was opened."""
        if self.file is None:
            return
        try:
            if self.mapped:
                self._check_mapped(self.file)
            else:
                with self.file.session():
                    pass
        except (StaleFileError, FileNotFoundError) as error:
            raise ConflictError(
                f"{printable(self.path)}: another program changed the file since it was opened; your changes were not "
                f"written, so as not to revert its ({error})"
            ) from error

    def _check_mapped(self, file: LocalSource) -> None:
        """Raise when there is another file, or one of another size, under the name."""
        found = os.stat(self.path)  # noqa: PTH116 - the path is text
        if (found.st_size, found.st_ino) != (file.fingerprint[0], file.fingerprint[2]):
            raise StaleFileError(f"size and inode were {file.fingerprint[::2]}, are {(found.st_size, found.st_ino)}")

    def patch(self, changes: Iterable[tuple[int, bytes]]) -> None:
        """Overwrite some bytes of a plain file, each run by one call.

        Raises
        ------
        ConflictError
            When another program changed the file.
        OSError
            When it cannot be written.
        """
        self.check()
        descriptor = os.open(self.path, os.O_WRONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            for start, data in changes:
                os.pwrite(descriptor, data, start)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        self.open()

    def rewrite(self, parts: Iterable[Any]) -> None:
        """Replace the whole file; the old one stays until the new one is complete.

        Raises
        ------
        ConflictError
            When another program changed the file.
        ValueError
            When the file must not exist and does.
        OSError
            When it cannot be written; the old file is untouched then.
        """
        self.check()
        self.pending = Sink(self.path, exclusive=self.exclusive)
        try:
            for part in compressed(self.compression, parts):
                self.pending.append(part)
            self._commit()
        except BaseException:
            self.discard()
            raise

    def prepare(self, nbytes: int) -> None:
        """Begin a new plain file of this size, to be mapped, instead of any that was begun before."""
        self.discard()
        self.pending = Sink(self.path, exclusive=self.exclusive)
        self.pending.allocate(nbytes)

    def complete(self, head: bytes) -> None:
        """Write the first bytes of the new file and give it its name."""
        if self.pending is None:
            return
        self.check()
        self.pending.write_at(0, head)
        self._commit()

    def _commit(self) -> None:
        if self.pending is not None:
            self.pending.commit()
        self.pending = None
        self.exclusive = False
        self.open()

    def discard(self) -> None:
        """Remove a new file that has not taken its name."""
        if self.pending is not None:
            self.pending.abort()
        self.pending = None
