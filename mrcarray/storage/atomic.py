"""A file that appears under its name only when it is complete.

Bytes go to a temporary file beside the target, which takes the target's name in one step when all is written. Whatever
happens before that step, the old file stays as it was; whatever fails, the temporary file is removed. Where nobody is
left to remove it (the process was killed), the next write of that name does, told by a lock that the file is orphaned.

Every call to the system goes through `calls`, so that a test can let each of them fail.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import io
import os
import secrets
import stat
from typing import TYPE_CHECKING, Any, Self

from mrcarray.caller import warn
from mrcarray.errors import ClosedError, printable
from mrcarray.storage import in_place
from mrcarray.urls import public_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "NAME_MAX",
    "SUFFIX",
    "AtomicFile",
    "Calls",
    "calls",
    "lease_name",
    "pwrite_all",
    "pwrite_runs",
    "real_target",
    "temp_names",
]

SUFFIX = ".mrcarray-tmp"
"""Last part of the name of every temporary file."""

NAME_MAX = 255
"""Bytes the name of a file may have."""

_TOKEN = 8
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_SPACE_RESERVED = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, getattr(errno, "ENOTSUP", errno.EOPNOTSUPP)}
_NO_LINKS = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EMLINK, getattr(errno, "ENOTSUP", errno.EOPNOTSUPP)}
_MOST = 1 << 30  # bytes handed to one call; Linux takes no more than 2 GiB


class Calls:
    """The calls to the system a write is made of."""

    __slots__ = ()  # a call put into an instance would hide the one of the class, and stay

    open = staticmethod(os.open)
    close = staticmethod(os.close)
    pwrite = staticmethod(os.pwrite)
    ftruncate = staticmethod(os.ftruncate)
    fsync = staticmethod(os.fsync)
    replace = staticmethod(os.replace)
    link = staticmethod(os.link)
    unlink = staticmethod(os.unlink)
    fstat = staticmethod(os.fstat)
    fchmod = staticmethod(os.fchmod)
    fchown = staticmethod(os.fchown)

    @staticmethod
    def fallocate(descriptor: int, size: int) -> None:
        """Reserve the blocks of a file, so that a full disk shows now."""
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size)
        else:  # pragma: no cover -- systems without it
            os.ftruncate(descriptor, size)

    @staticmethod
    def lock(descriptor: int) -> bool:
        """Take the lock of a file without waiting; return whether it was free."""
        try:
            import fcntl
        except ImportError:  # pragma: no cover -- systems without it
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return False
            if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK):
                return True
            raise
        return True


calls: Any = Calls()
"""The calls in use."""

_begun: dict[str, int] = {}
"""Temporary files that were neither committed nor given up, and the process they belong to."""


@atexit.register
def _remove_begun() -> None:
    """Remove what an interruption left between the making of a file and the moment its owner could take care of it."""
    for temp, owner in list(_begun.items()):
        if owner == os.getpid():
            with contextlib.suppress(OSError):
                calls.unlink(temp)


def real_target(path: str | os.PathLike[str]) -> str:
    """Return the real path of a file to be written.

    Raises
    ------
    io.UnsupportedOperation
        When it is a URL.

    Examples
    --------
    >>> real_target("s3://bucket/a.mrc")
    Traceback (most recent call last):
    io.UnsupportedOperation: s3://bucket/a.mrc: a URL can be read only; write a file on this machine, and copy it there
    """
    name = os.fsdecode(path)
    if "://" not in name:
        return os.path.realpath(name)
    text = "a URL can be read only; write a file on this machine, and copy it there"
    raise io.UnsupportedOperation(f"{printable(public_name(name))}: {text}")


class AtomicFile:
    """A temporary file that becomes the target when it is committed.

    The target takes the temporary file by a rename. An empty target is written to instead, because a program may hold
    it open; so is, with a warning, a target that the system does not let another file replace.

    Parameters
    ----------
    path : str or path
        The target. Of a symbolic link the file it points to is replaced, not the link.
    overwrite : bool
        Whether the target may exist. Without it, the target is made exclusively: of two writers at most one succeeds.
    sync : bool
        Whether the file and its folder are flushed to the disk at the commit.

    Raises
    ------
    FileExistsError
        When the target exists and `overwrite` is false.
    OSError
        When the folder does not exist or cannot be written to.
    """

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = False, sync: bool = True) -> None:
        self.path = real_target(path)
        self._overwrite, self._sync = overwrite, sync
        self._pid = os.getpid()
        self._descriptor = -1
        #: Whether the content was copied into the target, so that the temporary file is not the target.
        self.copied = False
        self._refuse_target()
        remove_orphans(self.path)
        self.temp, self._descriptor = _create_temp(self.path)

    @property
    def descriptor(self) -> int:
        """The open temporary file."""
        if self._descriptor < 0:
            raise ClosedError(f"{printable(self.path)}: the file was committed or given up")
        if os.getpid() != self._pid:
            raise ClosedError(f"{printable(self.path)}: a forked child cannot write what its parent opened")
        return self._descriptor

    @property
    def closed(self) -> bool:
        """Whether the file was committed or given up."""
        return self._descriptor < 0

    def reserve(self, size: int) -> None:
        """Give the file its size, with blocks on the disk where the file system can promise them."""
        try:
            if size:
                calls.fallocate(self.descriptor, size)
        except OSError as error:
            if error.errno not in _NO_SPACE_RESERVED:
                raise _named(error, self.path) from None
            calls.ftruncate(self.descriptor, size)

    def write_at(self, start: int, data: Any) -> None:
        """Write all of `data` from byte `start`."""
        pwrite_all(self.descriptor, start, data, self.path)

    def commit(self) -> None:
        """Give the file the name of the target; on any failure the target stays and the temporary file goes."""
        descriptor = self.descriptor
        try:
            if not (self._overwrite and _is_empty(self.path) and self._copy(descriptor, empty=True)):
                self._keep_attributes(descriptor)
                if self._sync:
                    calls.fsync(descriptor)
                self._rename(descriptor)
        except BaseException as error:
            self.abort()
            if isinstance(error, OSError):
                raise _named(error, self.path) from None
            raise
        self._descriptor = -1
        _begun.pop(self.temp, None)
        calls.close(descriptor)
        if self._sync:
            _sync_folder(os.path.dirname(self.path))  # noqa: PTH120 -- a str

    def abort(self) -> None:
        """Remove the temporary file; the target stays. A forked child only lets go of it."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        if os.getpid() == self._pid:
            with contextlib.suppress(OSError):
                calls.unlink(self.temp)
        _begun.pop(self.temp, None)
        with contextlib.suppress(OSError):
            calls.close(descriptor)

    @classmethod
    def adopt(cls, temp: str, path: str, *, overwrite: bool, sync: bool) -> AtomicFile:
        """Take over a temporary file that others made under a `lease_name`."""
        self = cls.__new__(cls)
        self.path, self.temp = path, temp
        self._overwrite, self._sync, self._pid, self.copied = overwrite, sync, os.getpid(), False
        self._descriptor = calls.open(temp, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
        return self

    @classmethod
    def check(cls, path: str | os.PathLike[str], *, overwrite: bool) -> str:
        """Return the real path of a target that may be written; raise as the constructor would, and touch nothing."""
        self = cls.__new__(cls)
        self.path, self._overwrite = real_target(path), overwrite
        self._refuse_target()
        if not os.access(os.path.dirname(self.path), os.W_OK):  # noqa: PTH120 -- a str
            os.stat(os.path.dirname(self.path))  # noqa: PTH116, PTH120 -- raises if it does not exist
            raise _not_writable(errno.EACCES, os.path.dirname(self.path))  # noqa: PTH120 -- a str
        return self.path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the temporary file unless it was committed."""
        self.abort()

    def _refuse_target(self) -> None:
        try:
            found = os.stat(self.path)  # noqa: PTH116 -- a str
        except FileNotFoundError:
            return
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self.path)
        if not self._overwrite:
            raise FileExistsError(errno.EEXIST, "the file exists; overwrite=True replaces it", self.path)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file, which could be replaced", self.path)
        if found.st_nlink > 1 and found.st_size:
            text = f"{printable(self.path)} has {found.st_nlink} names (hard links); only this one gets the new data"
            warn(text)

    def _rename(self, descriptor: int) -> None:
        if self._overwrite:
            try:
                calls.replace(self.temp, self.path)
            except OSError as error:
                if error.errno not in in_place.REFUSED or not self._copy(descriptor, refusal=error):
                    raise
            return
        try:
            calls.link(self.temp, self.path)
        except FileExistsError:
            raise FileExistsError(errno.EEXIST, "the file appeared while it was written", self.path) from None
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _rename_exclusively(self.temp, self.path)
            return
        calls.unlink(self.temp)

    def _copy(self, descriptor: int, *, empty: bool = False, refusal: OSError | None = None) -> bool:
        """Copy the content into the target; return False, with nothing changed, when it cannot be opened for that."""
        target = in_place.open_target(self.path, calls, empty=empty)
        if target is None:
            return False
        try:
            if refusal is not None:
                warn(in_place.warning_text(self.path, refusal.strerror or str(refusal)))
            in_place.copy_over(descriptor, self.temp, target, self.path, calls=calls, write=pwrite_all, sync=self._sync)
        finally:
            calls.close(target)
        self.copied = True
        with contextlib.suppress(OSError):
            calls.unlink(self.temp)
        return True

    def _keep_attributes(self, descriptor: int) -> None:
        """Copy mode bits, owner and extended attributes of the file that will be replaced, as far as permitted."""
        try:
            old = os.stat(self.path)  # noqa: PTH116 -- a str
        except FileNotFoundError:
            return
        new = calls.fstat(descriptor)
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
            with contextlib.suppress(PermissionError):
                calls.fchown(descriptor, old.st_uid, old.st_gid)
        calls.fchmod(descriptor, stat.S_IMODE(old.st_mode))
        _copy_xattrs(self.path, descriptor)


def _is_empty(path: str) -> bool:
    try:
        found = os.stat(path)  # noqa: PTH116 -- a str
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == 0


def _rename_exclusively(temp: str, path: str) -> None:
    """Rename where the file system has no hard links: the name is taken first, exclusively."""
    calls.close(calls.open(path, _NEW, 0o666))
    try:
        calls.replace(temp, path)
    except BaseException:
        calls.unlink(path)
        raise


def _copy_xattrs(path: str, descriptor: int) -> None:
    if not hasattr(os, "listxattr"):  # pragma: no cover -- systems without them
        return
    with contextlib.suppress(OSError):
        for name in os.listxattr(path):
            with contextlib.suppress(OSError):
                os.setxattr(descriptor, name, os.getxattr(path, name))


def temp_names(path: str) -> tuple[str, str]:
    """Return what stands before and after the random part in the name of a temporary file for `path`."""
    name = os.path.basename(path)  # noqa: PTH119 -- a str
    room = NAME_MAX - _TOKEN - len(SUFFIX) - 2
    raw = os.fsencode(name)[:room]
    return f".{os.fsdecode(raw)}.", SUFFIX


def lease_name(path: str, token: str) -> str:
    """Return the name of a temporary file that several processes write to while none holds its lock.

    It counts as orphaned only when nobody has written to it for an hour.
    """
    before, after = temp_names(path)
    name = f"{before}_{token[: _TOKEN - 1]}{after}"
    return os.path.join(os.path.dirname(path), name)  # noqa: PTH118, PTH120 -- a str


def _create_temp(path: str) -> tuple[str, int]:
    """Make a new temporary file beside `path` and take its lock."""
    folder = os.path.dirname(path)  # noqa: PTH120 -- a str
    before, after = temp_names(path)
    while True:
        temp = os.path.join(folder, before + secrets.token_hex(_TOKEN // 2) + after)  # noqa: PTH118 -- a str
        _begun[temp] = os.getpid()
        try:
            descriptor = _open_new(temp, folder)
        except OSError:
            del _begun[temp]
            raise
        try:
            if calls.lock(descriptor) and calls.fstat(descriptor).st_nlink:
                return temp, descriptor
        except BaseException:
            _discard(temp, descriptor)
            raise
        del _begun[temp]
        calls.close(descriptor)


def _open_new(temp: str, folder: str) -> int:
    try:
        return int(calls.open(temp, _NEW, 0o666))
    except PermissionError as error:
        raise _not_writable(error.errno, folder) from None
    except FileNotFoundError as error:
        raise FileNotFoundError(error.errno, error.strerror, folder) from None
    except OSError as error:
        if error.errno == errno.EROFS:
            raise OSError(error.errno, "the file system is read-only", folder) from None
        raise


def _not_writable(number: int | None, folder: str) -> PermissionError:
    text = "the folder cannot be written to, and a file is made by way of a temporary one beside it"
    return PermissionError(number, text, folder)


def _discard(temp: str, descriptor: int) -> None:
    with contextlib.suppress(OSError):
        calls.unlink(temp)
    _begun.pop(temp, None)
    with contextlib.suppress(OSError):
        calls.close(descriptor)


_LEASE_SECONDS = 3600.0


def remove_orphans(path: str) -> None:
    """Remove the temporary files of `path` whose writer is gone; what cannot be removed stays."""
    with contextlib.suppress(OSError):
        for temp in list(_temps(path)):
            with contextlib.suppress(OSError):
                _remove_orphan(temp)


def _temps(path: str) -> Iterator[str]:
    before, after = temp_names(path)
    with os.scandir(os.path.dirname(path)) as entries:  # noqa: PTH120 -- a str
        for entry in entries:
            token = entry.name[len(before) : -len(after)]
            if entry.name.startswith(before) and entry.name.endswith(after) and len(token) == _TOKEN:
                yield entry.path


def _remove_orphan(temp: str) -> None:
    descriptor = calls.open(temp, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
    try:
        found = calls.fstat(descriptor)
        if os.path.basename(temp)[-len(SUFFIX) - _TOKEN] == "_" and not _abandoned(found.st_mtime):  # noqa: PTH119 -- a str
            return
        if calls.lock(descriptor) and os.path.samestat(found, os.stat(temp)):  # noqa: PTH116 -- a str
            calls.unlink(temp)
    finally:
        calls.close(descriptor)


def _abandoned(modified: float) -> bool:
    import time

    return time.time() - modified > _LEASE_SECONDS


def _sync_folder(folder: str) -> None:
    """Flush a folder's entries; file systems that cannot do so have nothing to flush."""
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


def pwrite_all(descriptor: int, start: int, data: Any, name: str = "") -> None:
    """Write all of a contiguous buffer from byte `start`, however often the system stops short."""
    rest = memoryview(data).cast("B")
    try:
        while len(rest):
            count = calls.pwrite(descriptor, rest[:_MOST], start)
            rest, start = rest[count:], start + count
    except OSError as error:
        raise _named(error, name) from None


def pwrite_runs(descriptor: int, starts: Sequence[int], length: int, data: Any, name: str = "") -> None:
    """Write consecutive pieces of `length` bytes of a buffer to the bytes `starts`."""
    view = memoryview(data).cast("B")
    pwrite = calls.pwrite
    try:
        for i, start in enumerate(starts):
            piece = view[i * length : (i + 1) * length]
            if pwrite(descriptor, piece, start) != length:
                pwrite_all(descriptor, start, piece, name)
    except OSError as error:
        raise _named(error, name) from None


def _named(error: OSError, path: str) -> OSError:
    """Return the error with the path, which calls on a descriptor leave out."""
    return error if error.filename is not None or not path else type(error)(error.errno, error.strerror, path)
