"""A file that appears under its name only when it is complete.

Bytes go to a temporary file beside the target, which takes the target's name in one step when all is written. Whatever
happens before that step, the old file stays as it was; whatever fails, the temporary file is removed. After a killed
process the next write in that folder removes it (`mrcarray.storage.orphans`).

Every call to the system goes through `calls`, so that a test can let each of them fail.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import io
import os
import shutil
import stat
from typing import TYPE_CHECKING, Any, Self

from mrcarray.caller import warn
from mrcarray.errors import ClosedError, ConflictError, OutputExistsError, printable
from mrcarray.storage import in_place, orphans
from mrcarray.storage.exchange import exchange
from mrcarray.storage.orphans import NAME_MAX, SUFFIX, lease_name, temp_names
from mrcarray.urls import is_url, public_name

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    "sync_folder",
    "temp_names",
]

_PRIVATE = 0o600
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
    replace = staticmethod(os.replace)
    rename = staticmethod(os.rename)
    link = staticmethod(os.link)
    unlink = staticmethod(os.unlink)
    mkdir = staticmethod(os.mkdir)
    rmtree = staticmethod(shutil.rmtree)
    fstat = staticmethod(os.fstat)
    fchmod = staticmethod(os.fchmod)
    fchown = staticmethod(os.fchown)
    chmod = staticmethod(os.chmod)
    exchange = staticmethod(exchange)

    @staticmethod
    def utime(path: str) -> None:
        """Set the modification time of a file to now."""
        os.utime(path)

    @staticmethod
    def chown(path: str, owner: int, group: int) -> None:
        """Give a file or folder to an owner and a group; -1 leaves one as it is."""
        os.chown(path, owner, group)

    @staticmethod
    def fallocate(descriptor: int, size: int) -> None:
        """Reserve the blocks of a file, so that a full disk shows now."""
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size)
        else:  # pragma: no cover -- systems without it
            os.ftruncate(descriptor, size)

    @staticmethod
    def fsync(descriptor: int) -> None:
        """Flush a file to the medium. On macOS `fsync` stops at the cache of the drive; F_FULLFSYNC does not."""
        import fcntl

        full = getattr(fcntl, "F_FULLFSYNC", None)
        if full is not None:
            with contextlib.suppress(OSError):  # file systems without it, such as network shares
                fcntl.fcntl(descriptor, full)
                return
        os.fsync(descriptor)

    @staticmethod
    def lock(descriptor: int) -> bool | None:
        """Take the lock of a file without waiting; return whether it was free, None where there are no locks."""
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return False
            if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK):
                return None
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
    if not is_url(name):
        return os.path.realpath(name)
    text = "a URL can be read only; write a file on this machine, and copy it there"
    raise io.UnsupportedOperation(f"{printable(public_name(name))}: {text}")


def _in_real_folder(path: str | os.PathLike[str]) -> str:
    """Return the path of a file whose folder is real, while the file itself may be a link."""
    folder, name = os.path.split(os.fsdecode(path))
    return os.path.join(real_target(folder or "."), name)  # noqa: PTH118 -- a str


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
    follow : bool
        Whether a symbolic link is followed. Without it, the link itself is replaced: nobody can redirect the write.
    mode : int
        Mode bits of a new file, before the umask. A file that replaces another gets its mode bits, and is readable by
        its owner alone while it is written.

    Raises
    ------
    FileExistsError
        When the target exists and `overwrite` is false.
    OSError
        When the folder does not exist or cannot be written to.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        sync: bool = True,
        follow: bool = True,
        mode: int = 0o666,
    ) -> None:
        self.path = real_target(path) if follow else _in_real_folder(path)
        self._overwrite, self._sync = overwrite, sync
        self._pid = os.getpid()
        self._descriptor = -1
        #: Whether the content was copied into the target, so that the temporary file is not the target.
        self.copied = False
        self._stat = os.stat if follow else os.lstat
        replacing = self._refuse_target()
        self.temp, self._descriptor = _create_temp(self.path, _PRIVATE if replacing else mode)
        try:
            now = calls.fstat(self._descriptor).st_mtime
            orphans.remove_orphans(os.path.dirname(self.path), calls, now=now)  # noqa: PTH120 -- a str
        except BaseException:
            self.abort()
            raise

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

    def flush(self) -> None:
        """Flush what was written to the disk, if that is wanted."""
        if self._sync:
            calls.fsync(self.descriptor)

    def commit(self) -> None:
        """Give the file the name of the target; on any failure the target stays and the temporary file goes."""
        descriptor = self.descriptor
        try:
            if not (self._overwrite and self._is_empty_target() and self._copy(descriptor, empty=True)):
                self._keep_attributes(descriptor)
                if self._sync:
                    calls.fsync(descriptor)
                self._check_name(descriptor)
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
            sync_folder(os.path.dirname(self.path))  # noqa: PTH120 -- a str

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
    def begin(cls, temp: str, path: str) -> AtomicFile:
        """Create a temporary file with a name that was chosen before, without a lock; `release` leaves it to others.

        Raises
        ------
        FileExistsError
            When there is such a file already.
        """
        folder = os.path.dirname(temp)  # noqa: PTH120 -- a str
        mode = _PRIVATE if os.path.lexists(path) else 0o666
        self = cls._opened(_open_new(temp, folder, mode), temp, path)
        try:
            now = calls.fstat(self._descriptor).st_mtime
            orphans.remove_orphans(folder, calls, now=now)
        except BaseException:
            self.abort()
            raise
        return self

    @classmethod
    def adopt(cls, descriptor: int, temp: str, path: str, *, overwrite: bool, sync: bool) -> AtomicFile:
        """Take over an open temporary file that others wrote."""
        return cls._opened(descriptor, temp, path, overwrite=overwrite, sync=sync)

    @classmethod
    def _opened(cls, descriptor: int, temp: str, path: str, *, overwrite: bool = False, sync: bool = False) -> Self:
        self = cls.__new__(cls)
        self.path, self.temp = path, temp
        self._overwrite, self._sync, self._pid, self._stat = overwrite, sync, os.getpid(), os.stat
        self._descriptor, self.copied = descriptor, False
        return self

    def release(self) -> None:
        """Close the temporary file and leave it where it is; remove it when that fails, as NFS does on a full disk."""
        descriptor, self._descriptor = self._descriptor, -1
        try:
            calls.close(descriptor)
        except OSError as error:
            with contextlib.suppress(OSError):
                calls.unlink(self.temp)
            raise _named(error, self.path) from None

    @classmethod
    def check(cls, path: str | os.PathLike[str], *, overwrite: bool) -> str:
        """Return the real path of a target that may be written; raise as the constructor would, and touch nothing."""
        self = cls.__new__(cls)
        self.path, self._overwrite, self._stat = real_target(path), overwrite, os.stat
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

    def _refuse_target(self) -> bool:
        """Raise for a target that must not be replaced; return whether there is one."""
        try:
            found = self._stat(self.path)
        except FileNotFoundError:
            return False
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self.path)
        if not self._overwrite:
            raise OutputExistsError(self.path)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file, which could be replaced", self.path)
        if found.st_nlink > 1 and found.st_size:
            text = f"{printable(self.path)} has {found.st_nlink} names (hard links); only this one gets the new data"
            warn(text)
        return True

    def _is_empty_target(self) -> bool:
        try:
            found = self._stat(self.path)
        except OSError:
            return False
        return stat.S_ISREG(found.st_mode) and found.st_size == 0

    def _check_name(self, descriptor: int) -> None:
        """Raise when the name of the temporary file is gone or that of another file: it must not become the target."""
        try:
            same = os.path.samestat(calls.fstat(descriptor), os.stat(self.temp))  # noqa: PTH116 -- a str
        except FileNotFoundError:
            same = False
        if not same:
            text = "the temporary file was removed or replaced while it was written; nothing was changed, write again"
            raise ConflictError(f"{printable(self.path)}: {text}")

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
        if self._stat is not os.stat:  # a copy would follow a symbolic link, which this write must not
            return False
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
            old = self._stat(self.path)
        except FileNotFoundError:
            return
        new = calls.fstat(descriptor)
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
            try:
                calls.fchown(descriptor, old.st_uid, old.st_gid)
            except PermissionError:  # a member of the group may still give the file to the group
                with contextlib.suppress(PermissionError):
                    calls.fchown(descriptor, -1, old.st_gid)
        calls.fchmod(descriptor, stat.S_IMODE(old.st_mode))
        _copy_xattrs(self.path, descriptor)


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


def _create_temp(path: str, mode: int) -> tuple[str, int]:
    """Make a new temporary file beside `path` and take its lock."""
    folder = os.path.dirname(path)  # noqa: PTH120 -- a str
    while True:
        temp = orphans.new_name(path)
        _begun[temp] = os.getpid()
        try:
            descriptor = _open_new(temp, folder, mode)
        except OSError:
            del _begun[temp]
            raise
        try:
            if calls.lock(descriptor) is not False and calls.fstat(descriptor).st_nlink:
                return temp, descriptor
        except BaseException:
            _discard(temp, descriptor)
            raise
        del _begun[temp]
        calls.close(descriptor)


def _open_new(temp: str, folder: str, mode: int) -> int:
    try:
        return int(calls.open(temp, _NEW, mode))
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


def sync_folder(folder: str) -> None:
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
