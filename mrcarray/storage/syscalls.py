"""The system calls of every write, in one table, so that a test can make each of them fail."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import importlib
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

from mrcarray.positional_io import pwrite
from mrcarray.storage.source import with_path

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NOT_SUPPORTED", "POSIX", "Calls", "calls", "pwrite_all", "pwrite_runs", "sync_folder"]

NOT_SUPPORTED = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, getattr(errno, "ENOTSUP", errno.EOPNOTSUPP)})
"""Errors of a call that the system or the file system does not have."""

_MAX_WRITE = 1 << 30  # Linux writes at most 2 GiB in one call

POSIX = hasattr(os, "fchown")
"""Whether files have owners, and an open file can be renamed and removed; on Windows neither is so."""

_AT_FDCWD = -100  # <fcntl.h> of Linux
_RENAME_EXCHANGE = 2  # <linux/fs.h>


def _nothing(*_: Any) -> None:
    """Do nothing, in place of a call that the system does not have."""


@functools.cache
def _fcntl() -> Any:
    """Return the module, or None on Windows."""
    try:
        return importlib.import_module("fcntl")
    except ImportError:
        return None


class Calls:
    """The system calls of a write."""

    __slots__ = ()  # an attribute of the instance would hide a call that a test replaces in the class

    open = staticmethod(os.open)
    close = staticmethod(os.close)
    pwrite = staticmethod(pwrite)
    ftruncate = staticmethod(os.ftruncate)
    replace = staticmethod(os.replace)
    rename = staticmethod(os.rename)
    link = staticmethod(os.link)
    unlink = staticmethod(os.unlink)
    mkdir = staticmethod(os.mkdir)
    rmtree = staticmethod(shutil.rmtree)
    fstat = staticmethod(os.fstat)
    fchmod = staticmethod(getattr(os, "fchmod", _nothing))
    fchown = staticmethod(getattr(os, "fchown", _nothing))
    chmod = staticmethod(os.chmod)

    @staticmethod
    def utime(path: str) -> None:
        """Set the modification time of a file to now."""
        os.utime(path)

    @staticmethod
    def chown(path: str, owner: int, group: int) -> None:
        """Change owner and group of a file or directory; -1 leaves one unchanged."""
        if POSIX:
            os.chown(path, owner, group)

    @staticmethod
    def fallocate(descriptor: int, size: int) -> None:
        """Reserve the disk blocks of a file, so that a full disk fails now and not during the writes."""
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size)
        else:  # pragma: no cover -- systems without it
            os.ftruncate(descriptor, size)

    @staticmethod
    def fsync(descriptor: int) -> None:
        """Flush a file to the medium. On macOS `fsync` stops at the cache of the drive; F_FULLFSYNC does not."""
        fcntl = _fcntl()
        full = getattr(fcntl, "F_FULLFSYNC", None)
        if full is not None:
            with contextlib.suppress(OSError):  # file systems without it, such as network shares
                fcntl.fcntl(descriptor, full)
                return
        os.fsync(descriptor)

    @staticmethod
    def lock(descriptor: int) -> bool | None:
        """Lock a file without waiting; return whether the lock was free, or None where there are no such locks."""
        fcntl = _fcntl()
        if fcntl is None:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return False
            if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK):
                return None
            raise
        return True

    @staticmethod
    def exchange(first: str, second: str) -> None:
        """Exchange the names of two files or directories in one step: ``renameat2(RENAME_EXCHANGE)`` of Linux.

        Raises
        ------
        OSError
            When one does not exist; ENOSYS or EINVAL where the system or the file system cannot do this.
        """
        function = _renameat2()
        if function is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), first)
        if function(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), first)


calls: Any = Calls()
"""The calls in use."""


@functools.cache
def _renameat2() -> Any:
    """Return the function of the C library, or None: Python does not offer it."""
    if sys.platform != "linux":
        return None
    return getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)


def pwrite_all(descriptor: int, start: int, data: Any, name: str = "") -> None:
    """Write all of a contiguous buffer from byte `start`, in as many calls as the system needs."""
    rest = memoryview(data).cast("B")
    try:
        while len(rest):
            count = calls.pwrite(descriptor, rest[:_MAX_WRITE], start)
            rest, start = rest[count:], start + count
    except OSError as error:
        raise with_path(error, name) from None


def pwrite_runs(descriptor: int, starts: Sequence[int], length: int, data: Any, name: str = "") -> None:
    """Write consecutive pieces of `length` bytes of a buffer to the file positions `starts`."""
    view = memoryview(data).cast("B")
    pwrite = calls.pwrite
    try:
        for i, start in enumerate(starts):
            piece = view[i * length : (i + 1) * length]
            if pwrite(descriptor, piece, start) != length:
                pwrite_all(descriptor, start, piece, name)
    except OSError as error:
        raise with_path(error, name) from None


def sync_folder(folder: str) -> None:
    """Flush the entries of a directory; does nothing where directories cannot be flushed."""
    try:
        descriptor = calls.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except PermissionError:
        return
    try:
        calls.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        calls.close(descriptor)
