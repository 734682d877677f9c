"""The file behind a classic object: `Backing` reads it by position, notices changes by others, and writes it.

A `Backing` contains a path, a compression and the source with the fingerprint taken when the file was opened. It keeps
no descriptor, except for a file that is about to be mapped. A plain file is patched in place; any other change goes
to a new file, which replaces the old one once it is complete. The bytes have no meaning here.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.block_writer import store_array
from mrcarray.caller import warn
from mrcarray.classic.stream import open_stream
from mrcarray.errors import ConflictError, MrcError, MrcValueError, StaleFileError, printable
from mrcarray.file_writer import FileWriter
from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.positional_io import READ_WRITE, WRITE
from mrcarray.storage.coalesce import PIECE, THREADED, in_threads
from mrcarray.storage.compression.codecs import CODECS
from mrcarray.storage.compression.sequential import SequentialSource
from mrcarray.storage.compression.writer import COMPRESSORS
from mrcarray.storage.in_place import write_over
from mrcarray.storage.local import LocalSource, absolute
from mrcarray.storage.patch import patch_bytes, span
from mrcarray.storage.syscalls import POSIX
from mrcarray.urls import is_url, public_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mrcarray.statistics import Stats

__all__ = ["SAVE_ELSEWHERE", "SMALL", "Backing", "Content", "InPlaceWriter"]

SMALL = 1 << 20
"""Bytes of data of which a copy is kept to recognise a file that was only touched; copying them takes 0.1 ms."""

SAVE_ELSEWHERE = (
    "to keep them, call write('OTHER.mrc', mrc.data, voxel_size=mrc.voxel_size) before the object is closed"
)
"""Advice for a file that must not be written because another program changed it."""

_WRONG_COMPRESSION = {"gzip": "Not a gzipped file ({!r})", "bzip2": "Invalid data stream"}
"""The standard library's messages for a file with another compression."""

_NO_NEW_FILE = (errno.EACCES, errno.EPERM, errno.EROFS)
"""Errors of a folder that refuses new files although a file in it may be writable, such as a bind mount."""

_MAX_RATIO = 1100
"""Uncompressed bytes that one compressed byte can expand to; bzip2 exceeds it only for constant data."""

_MAX_COUNTED = 16 << 20
"""Bytes after the data of a compressed file that are decoded, at most, to count them."""

_COUNTED_PIECE = 1 << 20
"""Bytes of them that are in memory at a time."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a session read from a file, to distinguish a file that was touched from one that was changed.

    ``touch``, a backup or a synchronised folder changes the modification time alone; edits must not be lost by that.

    Parameters
    ----------
    headers : bytes
        Header and extended header.
    data : bytes or None
        The data, if they are small and were read.
    """

    headers: bytes
    data: bytes | None

    def is_in(self, source: LocalSource | SequentialSource, *, same_inode: bool) -> bool:
        """Return whether a file still has this content; without known data, it must be the same inode."""
        stop = len(self.headers)
        if bytes(source.read(0, stop)) != self.headers:
            return False
        if self.data is None:
            return same_inode
        return bytes(source.read(stop, stop + len(self.data))) == self.data


class InPlaceWriter:
    """Writes over a file whose folder refuses new files; has the methods of `FileWriter` that `MrcFile` uses.

    Parameters
    ----------
    backing : Backing
        The file.
    """

    def __init__(self, backing: Backing) -> None:
        self._backing = backing
        self._content = bytearray()

    def write_at(self, start: int, data: Any) -> None:  # noqa: ARG002 - bytes come in order
        """Append bytes to the content, which is collected in memory."""
        self._content += data

    def write_array(self, start: int, values: Any, *, count: bool = True) -> Stats:
        """Append an array; return its statistics."""
        return store_array(
            lambda _starts, _length, data: self.write_at(0, data), start, values, threads=False, count=count
        )

    def commit(self, header: bytes) -> None:
        """Write over the file; an interruption leaves a file that no reader accepts as complete."""
        backing = self._backing
        content = header + bytes(self._content)
        if backing.compression:
            content = COMPRESSORS[backing.compression].compress(content)
        descriptor = backing.open_to_write(READ_WRITE)
        try:
            write_over(descriptor, content, backing.name, sync=backing.sync)
        finally:
            os.close(descriptor)

    def abort(self) -> None:
        """Drop the content; the file was not touched."""
        self._content.clear()


class Backing:
    """The file behind a classic object.

    Parameters
    ----------
    name : str
        Name that the caller gave, for messages.
    compression : str
        ``""``, ``"gzip"`` or ``"bzip2"``.
    path : str, optional
        Absolute path of the file, if known; the working directory may change while the object is open.
    exclusive : bool
        Whether a new file must not replace an existing one.
    mapped : bool
        Whether the file is written through a map, which changes its modification time.
    sync : bool
        Whether a new file is flushed to the disk before it takes its name.
    writable : bool
        Whether the object may write; a change of the permissions alone must not stop such a session.
    """

    __slots__ = (
        "_descriptor",
        "compression",
        "exclusive",
        "file",
        "mapped",
        "name",
        "path",
        "pending",
        "source",
        "sync",
        "writable",
    )

    def __init__(
        self,
        name: str,
        compression: str = "",
        *,
        path: str | None = None,
        exclusive: bool = False,
        mapped: bool = False,
        sync: bool = True,
        writable: bool = True,
    ) -> None:
        self.name = name
        self.path = absolute(name) if path is None else path
        self.compression = compression
        self.exclusive = exclusive
        self.sync = sync
        self.writable = writable
        self.mapped = mapped
        #: The file as stored, with its fingerprint; None until it exists.
        self.file: LocalSource | None = None
        #: Its uncompressed bytes.
        self.source: LocalSource | SequentialSource | None = None
        #: A new file for a map or a stream, which has not taken its name yet.
        self.pending: FileWriter | None = None
        #: Descriptor of the file until it is mapped, so that it may be renamed or deleted meanwhile.
        self._descriptor = -1

    def open(self, file: LocalSource | None = None) -> None:
        """Take the fingerprint of the file; `file` is that of one that was opened just before.

        Raises
        ------
        OSError
            When there is no such file or its compression is another one.
        """
        if file is None:
            file = self._opened()
            if self.compression:
                self._check_compression(file.head)
        self.file = file = file.for_writing() if self.writable else file
        self.source = SequentialSource(file, self.compression) if self.compression else file

    def _opened(self) -> LocalSource:
        """Open the file; an error has the name that the caller gave."""
        try:
            if not self.mapped:
                return LocalSource.open(self.path)
            self.release()
            source, self._descriptor = LocalSource.held(self.path)
        except OSError as error:
            if is_url(self.name):
                raise _not_found(self.name) from None
            error.filename = self.name
            raise
        return source

    def release(self) -> None:
        """Close the descriptor of a file that was not mapped."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        """Close the descriptor of a file that was never mapped."""
        if getattr(self, "_descriptor", -1) >= 0:
            self.release()

    def check_writable(self) -> None:
        """Raise `OSError` when permissions or the file system forbid writing to the file."""
        os.close(self.open_to_write())

    def open_to_write(self, access: int = WRITE) -> int:
        """Return a descriptor of the file itself; an error has the name that the caller gave."""
        try:
            return os.open(self.path, access)
        except OSError as error:
            error.filename = self.name
            raise

    def check_target(self) -> None:
        """Raise `OSError` now for a name that a new file cannot take later."""
        folder = os.path.dirname(os.path.realpath(self.path))  # noqa: PTH120 - the path is text
        if os.path.isdir(self.path):  # noqa: PTH112 - the path is text
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self.name)
        if not os.path.isdir(folder):  # noqa: PTH112 - the path is text
            raise _not_found(self.name)
        if not os.access(folder, os.W_OK | os.X_OK) and not os.access(self.path, os.W_OK):
            text = "no permission to write the file or to create files in its folder"
            raise PermissionError(errno.EACCES, text, self.name)

    def _check_compression(self, first: bytes) -> None:
        """Raise as the standard library does when the first bytes belong to another compression."""
        if first and not CODECS[self.compression].matches(first):
            error = gzip.BadGzipFile if self.compression == "gzip" else OSError
            raise error(_WRONG_COMPRESSION[self.compression].format(first[:2]))

    @property
    def fingerprint(self) -> tuple[int, ...] | None:
        """Size, times and inode of the file that was opened."""
        return self.file.fingerprint if self.file is not None else None

    @property
    def exists(self) -> bool:
        """Whether a file was opened or written."""
        return self.file is not None

    @property
    def replaces(self) -> bool:
        """Whether a file with content has the name of the new one."""
        try:
            return os.stat(self.path).st_size > 0  # noqa: PTH116 - the path is text
        except OSError:
            return False

    @property
    def _current(self) -> str:
        """Path of the file to map or stream: the new one while there is one."""
        return self.pending.temp if self.pending is not None else self.path

    # reading

    def size(self) -> int | None:
        """Return the number of uncompressed bytes, None when that is only known after decoding."""
        return self.source.size() if self.source is not None else 0

    def current_size(self) -> int:
        """Return the number of uncompressed bytes of the file, or of the new plain one while there is one."""
        if self.pending is not None:
            return os.stat(self.pending.temp).st_size  # noqa: PTH116 - the path is text
        return self.bytes_after(0)

    def head(self) -> bytes:
        """Return the 1024 bytes of the header, fewer when the file is shorter."""
        if isinstance(self.source, SequentialSource):
            return self.source.head(HEADER_NBYTES)
        return self.source.head if self.source is not None else b""

    def read(self, start: int, stop: int) -> memoryview:
        """Return the bytes ``start:stop``; fewer only at the end."""
        return self.source.read(start, stop) if self.source is not None else memoryview(b"")

    def read_array(self, start: int, nbytes: int) -> tuple[Any, int]:
        """Read a block into a new array, in several threads; return it and the number of bytes read."""
        try:
            out = np.empty(nbytes, dtype=np.uint8)
        except (MemoryError, ValueError):
            if (
                self.file is None or nbytes <= _MAX_RATIO * self.file.size()
            ):  # a compressed file of this size may contain that many bytes
                raise
            return np.empty(0, dtype=np.uint8), self.bytes_after(start)
        if self.source is None:
            return out, 0
        if nbytes < THREADED or not isinstance(self.source, LocalSource):
            return out, self.source.read_into(start, out)
        counts: list[int] = []
        with self.source.session() as session:

            def piece(at: int) -> None:
                counts.append(session.read_into(start + at, out[at : at + PIECE]))

            in_threads(piece, range(0, nbytes, PIECE), nbytes)
        return out, sum(counts)

    def pieces(self, start: int, stop: int | None = None) -> Iterator[memoryview]:
        """Yield the bytes from `start` to `stop`, or to the end, in pieces."""
        while stop is None or start < stop:
            piece = self.read(start, start + PIECE if stop is None else min(stop, start + PIECE))
            if not piece:
                return
            yield piece
            start += len(piece)

    def bytes_after(self, stop: int, *, limit: int = _MAX_COUNTED, piece: int = _COUNTED_PIECE) -> int:
        """Return the number of uncompressed bytes after `stop`; from `limit` on, there may be more.

        Counting decodes a compressed file, so that `limit` bounds the cost of a bomb behind a small header.
        """
        size = self.size()
        if size is not None:
            return max(0, size - stop)
        count = 0
        while count < limit:
            read = len(self.read(stop + count, stop + count + piece))
            if not read:
                break
            count += read
        return count

    def end_reading(self) -> None:
        """Close the decoder that was kept to read on."""
        if isinstance(self.source, SequentialSource):
            self.source.close()

    def contains(self, start: int, block: Any) -> bool:
        """Return whether the bytes at `start` equal a flat array of uint8."""
        at = 0
        for piece in self.pieces(start, start + block.size):
            if not np.array_equal(np.frombuffer(piece, np.uint8), block[at : at + len(piece)]):
                return False
            at += len(piece)
        return bool(at == block.size)

    def stream(self, *, writable: bool) -> Any:
        """Return a stream on the file, for subclasses; that of a new file without a name is empty."""
        if self.compression and not self.exists:
            return io.BytesIO()
        if not (self.compression or self.exists or self.pending):
            self.prepare(0)
        return open_stream(self._current, self.name, self.compression, writable=writable)

    def accept_stream_writes(self) -> None:
        """Take the fingerprint again after this program wrote to a stream on the file."""
        if self.pending is None:
            self.open()

    @contextlib.contextmanager
    def file_to_map(self, *, writable: bool) -> Iterator[Any]:
        """Give the file to map: the one that was opened or, for writing, the one that has its name.

        Raises
        ------
        StaleFileError
            When the inode or the size is not that of the file that was opened.
        io.UnsupportedOperation
            When a new file is mapped on Windows, where it could not be renamed when it is complete.
        """
        if self.pending is not None and not POSIX:
            text = "a new file cannot be mapped on Windows; use mrcarray.classic.new and set_data"
            raise io.UnsupportedOperation(f"{printable(self.name)}: {text}")
        with self._open_to_map(writable=writable) as file:
            if self.pending is None:
                self._check_inode_and_size(os.fstat(file.fileno()))
            yield file

    def _open_to_map(self, *, writable: bool) -> io.FileIO:
        if self._descriptor < 0 or writable or self.pending is not None:
            return io.FileIO(self._current, "r+b" if writable else "rb")
        descriptor, self._descriptor = self._descriptor, -1
        file = io.FileIO(descriptor, "rb")
        file.name = self.path
        return file

    # changes by other programs

    def check_unchanged(self) -> None:
        """Raise `ConflictError` when the file is no longer the one that was opened."""
        if self.file is None:
            return
        try:
            if self.mapped:
                self._check_inode_and_size(os.stat(self.path))  # noqa: PTH116 - the path is text
                if LocalSource.open(self.path).head != self.file.head:  # a map does not write these
                    text = f"the first {len(self.file.head)} bytes changed"
                    raise StaleFileError(f"{printable(self.name)}: {text}")  # noqa: TRY301 - turned into a conflict
            else:
                self.file.confirm()
        except (StaleFileError, FileNotFoundError) as error:
            raise ConflictError(
                f"{printable(self.name)}: another program changed the file since it was opened; your changes were not "
                f"written, because they would revert its changes ({error}); {SAVE_ELSEWHERE}"
            ) from error

    def accept_touch(self, content: Callable[[], Content]) -> None:
        """Take the fingerprint again when the modification time changed but the known content did not."""
        file, source = self.file, self.source
        if file is None or self.mapped or self.pending is not None:
            return
        try:
            found = os.stat(self.path)  # noqa: PTH116 - the path is text
            size, time, inode = file.fingerprint[:3]
            if found.st_size != size or (found.st_mtime_ns, found.st_ino) == (time, inode):
                return
            now = LocalSource.open(self.path)
            if now.head != file.head:
                return
            self.open(now)
            same = self.source is not None and content().is_in(self.source, same_inode=found.st_ino == inode)
        except (OSError, MrcError):
            same = False
        if not same:
            self.file, self.source = file, source

    def _check_inode_and_size(self, found: os.stat_result) -> None:
        """Raise `StaleFileError` when inode or size are not those of the file that was opened."""
        old = self.fingerprint
        if old is not None and (found.st_size, found.st_ino) != (old[0], old[2]):
            text = f"size and inode were {old[::2]}, are {(found.st_size, found.st_ino)}"
            raise StaleFileError(f"{printable(self.name)}: the file changed after it was opened: {text}")

    # writing

    def patch(self, old: bytes, new: bytes) -> None:
        """Overwrite the first bytes of a plain file, in one call, where `new` differs from `old`.

        Raises
        ------
        ConflictError
            When another program changed the file.
        OSError
            When the file cannot be written.
        """
        self.check_unchanged()
        self.check_writable()
        first, stop = span(old, new)
        patch_bytes(os.path.realpath(self.path), old[first:stop], new[first:stop], start=first, sync=self.sync)
        self.open()

    def rewrite(self, fill: Callable[[FileWriter | InPlaceWriter], bytes], size: int) -> None:
        """Replace the whole file; the old one stays until the new one is complete.

        Parameters
        ----------
        fill : callable
            Writes all bytes after the header, in order, to the writer it is given, and returns the header.
        size : int
            Bytes to reserve; the file may become longer, not shorter.

        Raises
        ------
        ConflictError
            When another program changed the file.
        ValueError
            When a file exists that must not be replaced.
        OSError
            When the file cannot be written; the old one is unchanged.
        """
        self.check_unchanged()
        self.discard()
        file: FileWriter | InPlaceWriter | None = self._begin(size)
        if file is None:
            text = "the folder cannot be written to, so the file is overwritten in place"
            warn(f"{printable(self.name)}: {text}; when that is interrupted, the file is damaged")
            file = InPlaceWriter(self)
        try:
            file.commit(fill(file))
        except FileExistsError as error:
            raise self._already_exists() from error
        finally:
            file.abort()
        self._committed()

    def _begin(self, size: int) -> FileWriter | None:
        """Begin a new file; return None when the folder refuses it but the existing file is writable."""
        compression = self.compression or None
        try:
            return FileWriter(
                self.path, size=size, overwrite=not self.exclusive, sync=self.sync, compression=compression
            )
        except FileExistsError as error:
            raise self._already_exists() from error
        except FileNotFoundError as error:
            raise FileNotFoundError(error.errno, error.strerror, self.name) from None
        except OSError as error:
            if error.errno not in _NO_NEW_FILE or self.exclusive or not os.access(self.path, os.W_OK):
                raise
            return None

    def _already_exists(self) -> MrcValueError:
        return MrcValueError(f"File '{self.name}' already exists; set overwrite=True to overwrite it")

    def prepare(self, nbytes: int) -> None:
        """Begin a new plain file of this size, to be mapped or streamed to; discard one that was begun before.

        Raises
        ------
        OSError
            When the disk is full or the folder cannot be written to.
        """
        self.discard()
        self.pending = self._begin(nbytes)
        if self.pending is None:
            text = "the folder cannot be written to, which a new map or stream needs"
            raise PermissionError(errno.EACCES, text, self.name)

    def complete(self, head: bytes = b"") -> bool:
        """Write the first bytes of the new file, if there is one, and give it its name.

        Returns
        -------
        bool
            Whether the content was copied into an existing file, so that a map of the new file is no map of it.
        """
        self.check_unchanged()
        file = self.pending
        if file is None:
            return False
        try:
            file.commit(head)
        except FileExistsError as error:
            self.discard()
            raise self._already_exists() from error
        self.pending = None
        self._committed()
        return file.copied

    def _committed(self) -> None:
        """Take the fingerprint of the file that was written, which later writes may replace."""
        self.exclusive = False
        self.open()

    def discard(self) -> None:
        """Remove a new file that has not taken its name."""
        pending, self.pending = self.pending, None
        if pending is not None:
            pending.abort()


def _not_found(name: str) -> FileNotFoundError:
    """Return the error for a missing file or folder; for a URL, the text hides credentials and names what opens it."""
    if not is_url(name):
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    text = "a URL is not a local file; read it with mrcarray.open_array or xarray.open_dataset(..., engine='mrc')"
    return FileNotFoundError(errno.ENOENT, text, public_name(name))
