"""Where the bytes of a classic file are: one class, with the compression and the mapping as values.

A `Backing` joins a path, a compression and what is known of the file: its source, with the fingerprint taken when it
was opened. It keeps no descriptor, except of a file that will be mapped. All writing is here: a patch of some bytes of
a plain file, or a whole new file that takes the name of the old one when it is complete. Nothing here knows what the
bytes mean.
"""

from __future__ import annotations

import bz2
import contextlib
import errno
import gzip
import io
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.classic.onepass import Pass
from mrcarray.classic.parts import HEAD, pack, pieces, write_in_threads
from mrcarray.classic.stream import open_plain
from mrcarray.classic.warn_user import say
from mrcarray.errors import ConflictError, MrcError, MrcValueError, StaleFileError, printable
from mrcarray.storage import atomic
from mrcarray.storage.atomic import AtomicFile, pwrite_all
from mrcarray.storage.coalesce import PIECE, THREADED, in_threads
from mrcarray.storage.compression.codecs import CODECS
from mrcarray.storage.compression.writer import PACKERS, StreamSink
from mrcarray.storage.in_place import write_over
from mrcarray.storage.local import LocalSource, absolute
from mrcarray.storage.patch import patch_bytes, span
from mrcarray.urls import is_url, public_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mrcarray.classic.modified import Content

__all__ = ["ELSEWHERE", "MOST", "Backing"]

#: What the standard library says of a file that is not compressed in this way.
_WRONG = {"gzip": "Not a gzipped file ({!r})", "bzip2": "Invalid data stream"}
#: What to do when a file must not be written because it has changed.
ELSEWHERE = "to keep them, call write('OTHER.mrc', mrc.data, voxel_size=mrc.voxel_size) before the object is closed"
#: Errors of a folder that takes no new file, though a file in it may be writable: a mount of its own, for example.
_NO_NEW_FILE = (errno.EACCES, errno.EPERM, errno.EROFS)
#: Bytes that one compressed byte may stand for; bzip2 makes more of them only of constant data.
RATIO = 1100
#: Bytes of a compressed file that are counted, at most, beyond what is wanted.
MOST = 16 << 20
#: Bytes of them that are held at a time.
SKIPPED = 1 << 20


class Backing:
    """The file behind a classic object.

    Parameters
    ----------
    name : str
        Name, as the caller gave it.
    compression : str
        ``""``, ``"gzip"`` or ``"bzip2"``.
    path : str, optional
        Where the file is, if that is known already.
    exclusive : bool
        Whether a new file must not replace one.
    mapped : bool
        Whether parts of the file are mapped and written by way of the map, so that its time changes.
    sync : bool
        Whether what is written is flushed to the disk before the file takes its name.
    writable : bool
        Whether the file may be written, so that a change of its permissions alone must not stop the session.
    """

    __slots__ = (
        "_held",
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
        #: The name the caller gave, for messages; the file is reached by the path, wherever the program goes meanwhile.
        self.name = name
        self.path = absolute(name) if path is None else path
        self.compression = compression
        self.exclusive = exclusive
        self.sync = sync
        self.writable = writable
        self.mapped = mapped
        #: The compressed or plain file, as it was when it was opened; None until there is one.
        self.file: LocalSource | None = None
        #: Its bytes, uncompressed.
        self.source: LocalSource | Pass | None = None
        #: A new file that has not taken its name yet.
        self.pending: AtomicFile | None = None
        #: The file to map, open for reading until it is mapped, so that it may be renamed or deleted meanwhile.
        self._held = -1

    def open(self, file: LocalSource | None = None) -> None:
        """Take the fingerprint of the file, or that of one which was just opened and looked at.

        Raises
        ------
        OSError
            When there is no such file, or it is not compressed as it should be.
        """
        if file is None:
            file = self._opened()
            if self.compression:
                self._check_compression(file.head)
        self.file = file = file.for_writing() if self.writable else file
        self.source = Pass(file, CODECS[self.compression]) if self.compression else file

    def _opened(self) -> LocalSource:
        """Open the file; an error names it as the caller did."""
        try:
            if not self.mapped:
                return LocalSource.open(self.path)
            self.release()
            source, self._held = LocalSource.held(self.path)
        except OSError as error:
            if is_url(self.name):
                raise _no_file(self.name) from None
            error.filename = self.name
            raise
        return source

    def release(self) -> None:
        """Close the file that is open to be mapped."""
        descriptor, self._held = self._held, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        """Close the file that was opened to be mapped, and never was."""
        if getattr(self, "_held", -1) >= 0:
            self.release()

    def check_writable(self) -> None:
        """Raise now, not when the work is done, when the file must not be written.

        Raises
        ------
        OSError
            When its permissions or its file system do not allow it.
        """
        os.close(self._open_to_write())

    def _open_to_write(self, access: int = os.O_WRONLY) -> int:
        """Open the file itself; an error names it as the caller did."""
        try:
            return os.open(self.path, access | getattr(os, "O_CLOEXEC", 0))
        except OSError as error:
            error.filename = self.name
            raise

    def check_target(self) -> None:
        """Raise now what would hinder a new file from taking its name later.

        Raises
        ------
        OSError
            When the folder does not exist or takes no new file, or the name is that of a folder.
        """
        folder = os.path.dirname(os.path.realpath(self.path))  # noqa: PTH120 - the path is text
        if os.path.isdir(self.path):  # noqa: PTH112 - the path is text
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self.name)
        if not os.path.isdir(folder):  # noqa: PTH112 - the path is text
            raise _no_file(self.name)
        if not os.access(folder, os.W_OK | os.X_OK) and not os.access(self.path, os.W_OK):
            text = "the file cannot be written, and its folder takes no new one"
            raise PermissionError(errno.EACCES, text, self.name)

    def _check_compression(self, first: bytes) -> None:
        """Raise where the first bytes of the file are not those of its compression."""
        if first and not CODECS[self.compression].matches(first):
            error = gzip.BadGzipFile if self.compression == "gzip" else OSError
            raise error(_WRONG[self.compression].format(first[:2]))

    @property
    def fingerprint(self) -> tuple[int, ...] | None:
        """What identifies the file that was opened."""
        return self.file.fingerprint if self.file is not None else None

    @property
    def exists(self) -> bool:
        """Whether a file has been opened or committed."""
        return self.file is not None

    @property
    def replaces(self) -> bool:
        """Whether a file with content has the name of the new one."""
        try:
            return os.stat(self.path).st_size > 0  # noqa: PTH116 - the path is text
        except OSError:
            return False

    @property
    def current(self) -> str:
        """The path of the file to map: the new one while there is one."""
        return self.pending.temp if self.pending is not None else self.path

    # reading

    def size(self) -> int | None:
        """Return the number of uncompressed bytes, or None when only reading them would tell."""
        return self.source.size() if self.source is not None else 0

    def room(self) -> int:
        """Return the number of uncompressed bytes of the file, or of the new plain one while there is one."""
        if self.pending is not None:
            return os.stat(self.pending.temp).st_size  # noqa: PTH116 - the path is text
        return self.after(0)

    def head(self) -> bytes:
        """Return the bytes of the header, or as many as there are."""
        return self.source.head if self.source is not None else b""

    def read(self, start: int, stop: int) -> memoryview:
        """Return some bytes; fewer only at the end."""
        return self.source.read(start, stop) if self.source is not None else memoryview(b"")

    def read_array(self, start: int, nbytes: int) -> tuple[Any, int]:
        """Read a block into a new array, several threads at once; return it and the bytes read."""
        try:
            out = np.empty(nbytes, dtype=np.uint8)
        except (MemoryError, ValueError):
            if self.file is None or nbytes <= RATIO * self.file.size():  # the bytes may be there
                raise
            return np.empty(0, dtype=np.uint8), self.after(start)
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
        """Return the bytes from `start` to `stop`, or to the end, a piece at a time."""
        while stop is None or start < stop:
            piece = self.read(start, start + PIECE if stop is None else min(stop, start + PIECE))
            if not piece:
                return
            yield piece
            start += len(piece)

    def after(self, stop: int) -> int:
        """Return how many uncompressed bytes there are after `stop`.

        A compressed file is read on for it, to its end or for `MOST` bytes: what is behind a small header must not cost
        more than that. A result of `MOST` or more means that there may be more still.
        """
        size = self.size()
        if size is not None:
            return max(0, size - stop)
        count = 0
        while count < MOST:
            read = len(self.read(stop + count, stop + count + SKIPPED))
            if not read:
                break
            count += read
        return count

    def rest(self) -> None:
        """Let go of what was kept for reading on."""
        if isinstance(self.source, Pass):
            self.source.close()

    def holds(self, start: int, block: Any) -> bool:
        """Return whether the file has these bytes (a flat array of uint8) at `start`."""
        at = 0
        for piece in self.pieces(start, start + block.size):
            if not np.array_equal(np.frombuffer(piece, np.uint8), block[at : at + len(piece)]):
                return False
            at += len(piece)
        return bool(at == block.size)

    def stream(self, *, writable: bool) -> Any:
        """Return a stream on the file, for subclasses that want one; that of a new file without a name is empty.

        It can be written to where the file is plain.
        """
        if not self.compression:
            if not (self.exists or self.pending):
                self.prepare(0)
            return open_plain(self.current, self.name, writable=writable)
        if not self.exists:
            return io.BytesIO()
        opener: Any = {"gzip": gzip.open, "bzip2": bz2.open}[self.compression]
        return opener(self.path, "rb")

    def settle(self) -> None:
        """Take the file as it is now, after this program itself has written to a stream on it."""
        if self.pending is None:
            self.open()

    @contextlib.contextmanager
    def reopened(self, *, writable: bool) -> Iterator[Any]:
        """Give the file to map while the context lasts: the one that was opened, or to write to it, one of its name.

        Raises
        ------
        StaleFileError
            When it is another file, or has another size, than when it was opened.
        """
        with self._to_map(writable=writable) as file:
            if self.pending is None:
                self._check_mapped(os.fstat(file.fileno()))
            yield file

    def _to_map(self, *, writable: bool) -> io.FileIO:
        """Return the open file to map."""
        if self._held < 0 or writable or self.pending is not None:
            return io.FileIO(self.current, "r+b" if writable else "rb")
        descriptor, self._held = self._held, -1
        file = io.FileIO(descriptor, "rb")
        file.name = self.path
        return file

    # writing

    def check(self) -> None:
        """Raise `ConflictError` when the file is no longer the one that was opened."""
        if self.file is None:
            return
        try:
            if self.mapped:
                self._check_mapped(os.stat(self.path))  # noqa: PTH116 - the path is text
                self._check_head()
            else:
                self.file.confirm()
        except (StaleFileError, FileNotFoundError) as error:
            raise ConflictError(
                f"{printable(self.name)}: another program changed the file since it was opened; your changes were not "
                f"written, so as not to revert its ({error}); {ELSEWHERE}"
            ) from error

    def forgive_touch(self, content: Callable[[], Content]) -> None:
        """Take the file as it is now if its time has changed but not its content, as far as that is known."""
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
            same = self.source is not None and content().is_in(self.source, same_file=found.st_ino == inode)
        except (OSError, MrcError):
            same = False
        if not same:
            self.file, self.source = file, source

    def _check_mapped(self, found: os.stat_result) -> None:
        """Raise when a file is another one than was opened, or has another size."""
        old = self.fingerprint
        if old is not None and (found.st_size, found.st_ino) != (old[0], old[2]):
            text = f"its size and inode were {old[::2]}, are {(found.st_size, found.st_ino)}"
            raise StaleFileError(f"{printable(self.name)}: the file changed after it was opened: {text}")

    def _check_head(self) -> None:
        """Raise when the first bytes of a file are others than when it was opened; a map does not write these."""
        if self.file is not None and LocalSource.open(self.path).head != self.file.head:
            raise StaleFileError(f"{printable(self.name)}: its first {len(self.file.head)} bytes are others")

    def patch(self, old: bytes, new: bytes) -> None:
        """Overwrite the first bytes of a plain file where they differ, by one call.

        Parameters
        ----------
        old, new : bytes
            Different bytes of the same length.

        Raises
        ------
        ConflictError
            When another program changed the file.
        OSError
            When it cannot be written.
        """
        self.check()
        self.check_writable()
        first, stop = span(old, new)
        patch_bytes(os.path.realpath(self.path), old[first:stop], new[first:stop], start=first, sync=self.sync)
        self.open()

    def rewrite(self, head: Callable[[], bytes], parts: Iterable[Any], size: int) -> None:
        """Replace the whole file; the old one stays until the new one is complete.

        Parameters
        ----------
        head : callable
            Returns the first bytes; it is called when the others are written.
        parts : iterable of bytes or Counted
            The bytes after them.
        size : int
            Bytes to reserve room for; there may be more, not fewer.

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
        self.discard()
        if not self._begin():
            self._overwrite(head, parts)
            return
        try:
            self._fill(head, parts, size)
            self._commit()
        except FileExistsError as error:
            raise self._in_the_way() from error
        finally:
            self.discard()

    def _fill(self, head: Callable[[], bytes], parts: Iterable[Any], size: int) -> None:
        """Write everything to the new file."""
        file = self.pending
        assert file is not None  # noqa: S101 - `_begin` has made it
        if self.compression:
            pack(StreamSink(file, PACKERS[self.compression], HEAD), head, parts)
            return
        file.reserve(size)
        position = HEAD
        for part in parts:
            position += write_in_threads(file, position, part)
        file.write_at(0, head())

    def _begin(self) -> bool:
        """Make a new file beside this one; return whether the folder allows it."""
        try:
            self.pending = AtomicFile(self.path, overwrite=not self.exclusive, sync=self.sync)
        except FileExistsError as error:
            raise self._in_the_way() from error
        except FileNotFoundError as error:
            raise FileNotFoundError(error.errno, error.strerror, self.name) from None
        except OSError as error:
            if error.errno not in _NO_NEW_FILE or self.exclusive or not os.access(self.path, os.W_OK):
                raise
            return False
        return True

    def _overwrite(self, head: Callable[[], bytes], parts: Iterable[Any]) -> None:
        """Write over the file itself, where its folder takes no new file; all pieces are gathered first.

        Whoever is interrupted leaves a file that no reader takes for a whole one.
        """
        text = (
            f"{printable(self.name)}: the folder cannot be written to, so the file is overwritten in place; when that"
        )
        say(f"{text} is interrupted, the file is damaged")
        rest = b"".join(bytes(piece) for part in parts for _, piece in pieces(part))
        content = head() + rest
        if self.compression:
            content = PACKERS[self.compression].pack(content)
        descriptor = self._open_to_write(os.O_RDWR)
        try:
            write_over(descriptor, content, self.name, calls=atomic.calls, write=pwrite_all, sync=self.sync)
        finally:
            os.close(descriptor)
        self.open()

    def _in_the_way(self) -> MrcValueError:
        return MrcValueError(f"File '{self.name}' already exists; set overwrite=True to overwrite it")

    def prepare(self, nbytes: int) -> None:
        """Begin a new plain file of this size, to be mapped or streamed to, instead of any that was begun before.

        Raises
        ------
        OSError
            When there is no room for it, or its folder cannot be written to.
        """
        self.discard()
        if not self._begin() or self.pending is None:
            text = "its folder cannot be written to, which a new map or stream needs"
            raise PermissionError(errno.EACCES, text, self.name)
        try:
            self.pending.reserve(nbytes)
        except BaseException:
            self.discard()
            raise

    def complete(self, head: bytes) -> bool:
        """Write the first bytes of the new file and give it its name.

        Returns
        -------
        bool
            Whether the content was copied into a file that was there, so that a map of the new file is none of it.
        """
        self.check()
        if self.pending is None:
            return False
        self.pending.write_at(0, head)
        return self.keep()

    def keep(self) -> bool:
        """Give the new file its name; return what `complete` does."""
        try:
            return self._commit()
        except FileExistsError as error:
            self.discard()
            raise self._in_the_way() from error

    def _commit(self) -> bool:
        """Give the new file its name, unless it has it already, and take its fingerprint."""
        if self.pending is not None and not self.pending.closed:
            self.pending.commit()
        copied = self.pending is not None and self.pending.copied
        self.pending = None
        self.exclusive = False
        self.open()
        return copied

    def discard(self) -> None:
        """Remove a new file that has not taken its name."""
        pending, self.pending = self.pending, None
        if pending is not None:
            pending.abort()


def _no_file(name: str) -> FileNotFoundError:
    """Return the error for a missing file or folder; of a URL it shows no credentials and says what opens it."""
    if not is_url(name):
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    text = "A URL is no local file; mrcarray.open_array and xarray.open_dataset(..., engine='mrc') read it"
    return FileNotFoundError(errno.ENOENT, text, public_name(name))
