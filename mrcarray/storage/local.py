"""Local files, by positional reads.

A file is opened for each request and closed after it. That costs some ten microseconds; in return no descriptor stays
open, is shared with a forked child or closed while another thread reads, and a replaced file is noticed. Size,
modification time, inode and change time are compared on the descriptor itself, before and after the bytes are read. The
change time (ctime) cannot be set, so it reveals a file that was overwritten and got its old modification time back
(``cp -p``, ``rsync -t``). It also changes with the permissions or links of a file, which only a second read of the
whole file could tell apart: reading refuses both.
"""

from __future__ import annotations

import os
import platform
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mrcarray.errors import StaleFileError, TruncatedError, printable
from mrcarray.positional_io import READ, pread, preadv
from mrcarray.storage.source import HEAD_NBYTES, with_path
from mrcarray.storage.vectored import gather

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["LocalSource", "absolute", "fingerprint_of"]

_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # a pipe without a writer raises; without the flag, open would wait


def absolute(path: str | os.PathLike[str]) -> str:
    """Return the absolute path of a file, which stays valid when the program changes its working directory.

    Parameters
    ----------
    path : str or path
        The file, absolute or relative to the current directory.

    Examples
    --------
    >>> absolute("/data/./a.mrc")
    '/data/a.mrc'
    """
    text = os.fspath(path)
    if os.pardir in text:  # the parent of a symbolic link is not in the text
        return os.path.realpath(text)
    # runs for every file: abspath is twice as slow, a Path ten times
    folder = "" if text.startswith("/") else os.getcwd().rstrip("/") + "/"  # noqa: PTH109
    return os.path.normpath(folder + text)


@dataclass(frozen=True, slots=True)
class LocalSource:
    """A file on this machine, or on a file system that all workers mount at the same path.

    Parameters
    ----------
    path : str
        Absolute path.
    fingerprint : (int, int, int, int)
        Size, modification time in nanoseconds, inode and change time in nanoseconds that the file must have. Pickles of
        earlier versions have no change time; then it is not compared.
    head : bytes, optional
        First bytes of the file, read together with the fingerprint.
    compared : int
        How many values of the fingerprint are compared.
    """

    path: str
    fingerprint: tuple[int, ...]
    head: bytes = field(default=b"", compare=False, repr=False)
    compared: int = field(default=4, compare=False, repr=False)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> LocalSource:
        """Open a regular file, and read its fingerprint and first bytes.

        Raises
        ------
        OSError
            When the file does not exist, is a directory or cannot be read.
        """
        source, descriptor = cls.held(path)
        os.close(descriptor)
        return source

    @classmethod
    def held(cls, path: str | os.PathLike[str]) -> tuple[LocalSource, int]:
        """Return the source as `open` does, and the descriptor of the open file.

        Raises
        ------
        OSError
            When the file does not exist, is a directory or cannot be read.
        """
        fixed = absolute(path)
        descriptor = os.open(fixed, READ | _NO_WAIT)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                _refuse(found.st_mode, fixed)
            head = pread(descriptor, HEAD_NBYTES, 0)
        except BaseException as error:
            os.close(descriptor)
            if isinstance(error, OSError):
                raise with_path(error, fixed) from None
            raise
        return cls(fixed, fingerprint_of(found), head), descriptor

    @property
    def name(self) -> str:
        """The path."""
        return self.path

    def size(self) -> int:
        """Return the size the file had when it was opened."""
        return self.fingerprint[0]

    def read(self, start: int, stop: int) -> memoryview:
        """Return the bytes ``start:stop``; fewer only at the end of the file."""
        if stop <= len(self.head):
            return memoryview(self.head)[start:stop]
        out = np.empty(max(0, min(stop, self.size()) - start), dtype=np.uint8)
        return out[: self.read_into(start, out)].data.toreadonly()

    def read_into(self, start: int, out: NDArray[np.uint8]) -> int:
        """Fill `out` from byte `start`; return the bytes read, fewer only at the end of the file."""
        with self.session() as session:
            return session.read_into(start, out)

    def read_ranges(self, starts: Sequence[int], outs: Sequence[NDArray[np.uint8]]) -> None:
        """Fill every array of `outs` from its byte in `starts`."""
        with self.session() as session:
            session.read_ranges(starts, outs)

    def session(self) -> LocalSession:
        """Open the file for several reads; check before and after them that it has not changed."""
        return LocalSession(self)

    def unchanged(self, found: os.stat_result) -> bool:
        """Return whether the status of an open file matches the fingerprint."""
        return self._matches(fingerprint_of(found))

    def _matches(self, found: tuple[int, ...]) -> bool:
        count = min(len(self.fingerprint), self.compared)
        return found[:count] == self.fingerprint[:count]

    def for_writing(self) -> LocalSource:
        """Return the source for a caller that will write: the change time is not compared.

        Otherwise a ``chmod`` or the hard link of a backup would make the write fail; `confirm` compares the first bytes
        instead.
        """
        return LocalSource(self.path, self.fingerprint, self.head, compared=3)

    def confirm(self) -> None:
        """Raise `StaleFileError` unless the fingerprint and the first bytes are those that were opened."""
        now = LocalSource.open(self.path)
        if not self._matches(now.fingerprint):
            raise self._stale(now.fingerprint)
        if now.head != self.head:
            text = "the file changed after it was opened: its first bytes were overwritten"
            raise StaleFileError(f"{printable(self.path)}: {text}")

    def _check(self, descriptor: int) -> None:
        found = os.fstat(descriptor)
        if not self.unchanged(found):
            raise self._stale(fingerprint_of(found))

    def _stale(self, found: tuple[int, ...]) -> StaleFileError:
        pairs = zip(_FACTS, self.fingerprint, found, strict=False)
        changed = [(what, old, new) for what, old, new in pairs if old != new]
        text = ", ".join(f"{what} was {old}, is {new}" for what, old, new in changed)
        if changed[0][0] == _FACTS[-1]:
            text += " (its content, or only its permissions or links); open the file again"
        return StaleFileError(f"{printable(self.path)}: the file changed after it was opened: {text}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the path and the fingerprint only."""
        return _local, (self.path, *self.fingerprint)


_FACTS = ("size", "modification time in nanoseconds", "inode", "change time in nanoseconds")


def _local(path: str, *fingerprint: int) -> LocalSource:
    return LocalSource(path, fingerprint)


class LocalSession:
    """An open file, checked for changes before the first read and after the last."""

    __slots__ = ("descriptor", "source")

    def __init__(self, source: LocalSource) -> None:
        self.source = source
        self.descriptor = -1

    def __enter__(self) -> Self:
        try:
            self.descriptor = os.open(self.source.path, READ)
        except OSError as error:
            raise _missing(error, self.source.path) from None
        try:
            self.source._check(self.descriptor)  # noqa: SLF001 -- of this module
        except BaseException:
            os.close(self.descriptor)
            raise
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self.source._check(self.descriptor)  # noqa: SLF001 -- of this module
        finally:
            os.close(self.descriptor)

    def read_into(self, start: int, out: NDArray[np.uint8]) -> int:
        """Fill `out` from byte `start`; return the bytes read, fewer only at the end of the file."""
        done = 0
        rest = out.data
        try:
            while done < len(rest):
                count = preadv(self.descriptor, [rest[done:]], start + done)
                if count == 0:
                    break
                done += count
        except OSError as error:
            raise with_path(error, self.source.path) from None
        return done

    def read_ranges(self, starts: Sequence[int], outs: Sequence[NDArray[np.uint8]]) -> None:
        """Fill every array of `outs` from its byte in `starts`."""
        descriptor, read = self.descriptor, getattr(os, "preadv", preadv)  # no call in between: this is a hot loop
        try:
            for start, out in zip(starts, outs, strict=True):
                count = read(descriptor, [out.data], start)
                if count != out.size:
                    self._rest(start, out, count)
        except OSError as error:
            raise with_path(error, self.source.path) from None

    def gather(self, starts: NDArray[np.int64], out: NDArray[np.uint8]) -> bool:
        """Fill every row of `out` from its byte in `starts` in few system calls; return False if that is impossible."""
        if not self._cached(starts[:: max(1, starts.size // 8)].tolist()):
            return False
        return gather(self.descriptor, starts, out)

    def waits(self, starts: Sequence[int]) -> bool:
        """Return whether a byte is missing from the page cache, as far as the system knows."""
        return self._cached(starts) is False

    def _cached(self, starts: Sequence[int]) -> bool | None:
        """Return whether these bytes are in the page cache, or None where the system has no call for it."""
        flag = getattr(os, "RWF_NOWAIT", None)
        if flag is None:
            return None
        try:
            for start in starts:
                os.preadv(self.descriptor, [bytearray(1)], start, flag)
        except BlockingIOError:
            return False
        except OSError:  # this file system does not support the call
            return None
        return True

    def _rest(self, start: int, out: NDArray[np.uint8], done: int) -> None:
        if done and done + self.read_into(start + done, out[done:]) == out.size:
            return
        self.source._check(self.descriptor)  # noqa: SLF001 -- of this module
        raise TruncatedError(f"bytes {start} to {start + out.size} were asked for, but the file ends", self.source.path)


def fingerprint_of(found: os.stat_result) -> tuple[int, int, int, int]:
    """Return size, modification time, inode and change time, which identify the content of a file."""
    return found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns


def _refuse(mode: int, path: str) -> None:
    import errno

    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise OSError(errno.EINVAL, "neither a regular file nor a stream", path)


def _missing(error: OSError, path: str) -> OSError:
    """Return the error for a file that existed when it was opened: this may be another host, so name it."""
    text = f"{error.strerror} on host {platform.node()} (the file was there when it was first opened)"
    return type(error)(error.errno, text, path)
