"""A file that appears under its name only when it is complete.

The bytes go to a temporary file in the directory of the target, and a rename gives it the target's name when all is
written. Until then the old file is unchanged, and whatever fails, the temporary file is removed. After a killed process
the next write in that directory removes it (`mrcarray.storage.orphans`).

All system calls go through `mrcarray.storage.syscalls.calls`, so that a test can make each of them fail.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
from typing import TYPE_CHECKING, Any, Self

from mrcarray.caller import warn
from mrcarray.errors import ClosedError, ConflictError, OutputExistsError, printable
from mrcarray.positional_io import CREATE, READ
from mrcarray.storage import in_place, orphans
from mrcarray.storage.at_exit import begun
from mrcarray.storage.source import with_path
from mrcarray.storage.syscalls import NOT_SUPPORTED, POSIX, Calls, calls, pwrite_all, sync_folder
from mrcarray.urls import is_url, public_name

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "AtomicFile",
    "Calls",
    "calls",
    "pwrite_all",
    "real_target",
    "sync_folder",
]

_PRIVATE = 0o600
_NO_LINKS = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EMLINK, getattr(errno, "ENOTSUP", errno.EOPNOTSUPP)}


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
    io.UnsupportedOperation: s3://bucket/a.mrc: URLs are read-only; write a local file and copy it there
    """
    name = os.fsdecode(path)
    if not is_url(name):
        return os.path.realpath(name)
    text = "URLs are read-only; write a local file and copy it there"
    raise io.UnsupportedOperation(f"{printable(public_name(name))}: {text}")


def _in_real_folder(path: str | os.PathLike[str]) -> str:
    """Return the path with its directory resolved; the file itself may be a symbolic link."""
    folder, name = os.path.split(os.fsdecode(path))
    return os.path.join(real_target(folder or "."), name)  # noqa: PTH118 -- a str


class AtomicFile:
    """A temporary file that becomes the target when it is committed.

    The commit is a rename. Only an empty target is overwritten in place, because a program may hold it open; so is,
    with a warning, a target that the system does not let another file replace.

    Parameters
    ----------
    path : str or path
        The target. If it is a symbolic link, the file it points to is replaced, not the link.
    overwrite : bool
        Whether the target may exist. If not, it is created exclusively: of two writers at most one succeeds.
    sync : bool
        Whether the commit flushes the file and its directory to the disk.
    follow : bool
        Whether to follow a symbolic link. If not, the link itself is replaced, so that nothing can redirect the write.
    mode : int
        Mode bits of a new file, before the umask. A file that replaces another gets the mode bits of the old one, and
        is readable by its owner alone while it is written.

    Raises
    ------
    FileExistsError
        When the target exists and `overwrite` is false.
    OSError
        When the directory does not exist or cannot be written to.
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
        self._stat: Callable[[str], os.stat_result] = os.stat if follow else os.lstat
        path = real_target(path) if follow else _in_real_folder(path)
        replaces = _check_target(path, self._stat, overwrite=overwrite)
        temp, descriptor = _create_temp(path, _PRIVATE if replaces else mode)
        self._set(descriptor, temp, path, overwrite=overwrite, sync=sync)
        self._remove_orphans()

    @classmethod
    def begin(cls, temp: str, path: str) -> AtomicFile:
        """Create a temporary file of a given name, without a lock; `release` leaves it to other processes.

        Raises
        ------
        FileExistsError
            When the temporary file exists already.
        """
        mode = _PRIVATE if os.path.lexists(path) else 0o666
        self = cls.adopt(_open_new(temp, mode), temp, path)
        self._remove_orphans()
        return self

    @classmethod
    def adopt(cls, descriptor: int, temp: str, path: str, *, overwrite: bool = False, sync: bool = False) -> AtomicFile:
        """Return an `AtomicFile` of an open temporary file that other processes wrote."""
        self = cls.__new__(cls)
        self._stat = os.stat
        self._set(descriptor, temp, path, overwrite=overwrite, sync=sync)
        return self

    def _set(self, descriptor: int, temp: str, path: str, *, overwrite: bool, sync: bool) -> None:
        self.path, self.temp, self._descriptor = path, temp, descriptor
        self._overwrite, self._sync, self._pid = overwrite, sync, os.getpid()
        #: Whether the commit copied the content into the target, so that the temporary file is not the target.
        self.copied = False
        self._is_closed = False

    def _remove_orphans(self) -> None:
        """Remove the temporary files of killed writers from the directory."""
        try:
            now = calls.fstat(self._descriptor).st_mtime
            orphans.remove_orphans(os.path.dirname(self.temp), now=now)  # noqa: PTH120 -- a str
        except BaseException:
            self.abort()
            raise

    @classmethod
    def check(cls, path: str | os.PathLike[str], *, overwrite: bool) -> str:
        """Return the real path of a target; raise what the constructor would, without creating anything."""
        path = real_target(path)
        _check_target(path, os.stat, overwrite=overwrite)
        folder = os.path.dirname(path)  # noqa: PTH120 -- a str
        if not os.access(folder, os.W_OK):
            os.stat(folder)  # noqa: PTH116 -- raises if it does not exist
            raise _not_writable(errno.EACCES, folder)
        return path

    @property
    def descriptor(self) -> int:
        """The open temporary file."""
        if self._descriptor < 0:
            raise ClosedError(f"{printable(self.path)}: the file was already committed or aborted")
        if os.getpid() != self._pid:
            raise ClosedError(f"{printable(self.path)}: a forked child cannot write a file that its parent opened")
        return self._descriptor

    @property
    def closed(self) -> bool:
        """Whether the file was committed or aborted."""
        return self._descriptor < 0

    def reserve(self, size: int) -> None:
        """Set the size of the file, and reserve its disk blocks where the file system can."""
        try:
            if size:
                calls.fallocate(self.descriptor, size)
        except OSError as error:
            if error.errno not in NOT_SUPPORTED:
                raise with_path(error, self.path) from None
            calls.ftruncate(self.descriptor, size)

    def write_at(self, start: int, data: Any) -> None:
        """Write all of `data` from byte `start`."""
        pwrite_all(self.descriptor, start, data, self.path)

    def flush(self) -> None:
        """Flush the bytes written so far to the disk, unless the file was opened with ``sync=False``."""
        if self._sync:
            calls.fsync(self.descriptor)

    def commit(self) -> None:
        """Rename the file to the target; on any failure the target is unchanged and the temporary file is removed."""
        descriptor = self.descriptor
        try:
            if not (self._overwrite and self._is_empty_target() and self._copy(descriptor, empty=True)):
                self._keep_attributes(descriptor)
                if self._sync:
                    calls.fsync(descriptor)
                self._check_name(descriptor)
                if not POSIX:
                    self._close(descriptor)
                self._rename(descriptor)
        except BaseException as error:
            self.abort()
            if isinstance(error, OSError):
                raise with_path(error, self.path) from None
            raise
        self._descriptor = -1
        begun.pop(self.temp, None)
        self._close(descriptor)
        if self.copied:
            with contextlib.suppress(OSError):
                calls.unlink(self.temp)
        if self._sync:
            sync_folder(os.path.dirname(self.path))  # noqa: PTH120 -- a str

    def abort(self) -> None:
        """Remove the temporary file; the target is unchanged. A forked child only closes its copy of the descriptor."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        _discard(self.temp, -1 if self._is_closed else descriptor, owned=os.getpid() == self._pid)
        self._is_closed = True

    def _close(self, descriptor: int) -> None:
        """Close the descriptor, once, and with it give up the lock."""
        if not self._is_closed:
            self._is_closed = True
            calls.close(descriptor)

    def release(self) -> None:
        """Close the temporary file but keep it; if closing fails, as on a full NFS disk, remove it."""
        descriptor, self._descriptor = self._descriptor, -1
        try:
            calls.close(descriptor)
        except OSError as error:
            with contextlib.suppress(OSError):
                calls.unlink(self.temp)
            raise with_path(error, self.path) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the temporary file unless it was committed."""
        self.abort()

    def _is_empty_target(self) -> bool:
        try:
            found = self._stat(self.path)
        except OSError:
            return False
        return stat.S_ISREG(found.st_mode) and found.st_size == 0

    def _check_name(self, descriptor: int) -> None:
        """Raise when the temporary file has lost its name: another file of that name must not become the target."""
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
            text = "another program created the file while it was written"
            raise FileExistsError(errno.EEXIST, text, self.path) from None
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _rename_exclusively(self.temp, self.path)
            return
        calls.unlink(self.temp)

    def _copy(self, descriptor: int, *, empty: bool = False, refusal: OSError | None = None) -> bool:
        """Copy the content into the target; return False, with nothing changed, if the target cannot be opened."""
        if self._stat is not os.stat:  # a copy would follow a symbolic link, which this write must not
            return False
        target = in_place.open_target(self.path, empty=empty)
        if target is None:
            return False
        try:
            if refusal is not None:
                warn(in_place.warning_text(self.path, refusal.strerror or str(refusal)))
            source = calls.open(self.temp, READ) if self._is_closed else descriptor
            try:
                in_place.copy_over(source, self.temp, target, self.path, sync=self._sync)
            finally:
                if self._is_closed:
                    calls.close(source)
        finally:
            calls.close(target)
        self.copied = True
        return True

    def _keep_attributes(self, descriptor: int) -> None:
        """Copy mode bits, owner and extended attributes of the file that is replaced, as far as permitted."""
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


def _check_target(path: str, stat_of: Callable[[str], os.stat_result], *, overwrite: bool) -> bool:
    """Raise for a target that must not be replaced; return whether there is one."""
    try:
        found = stat_of(path)
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not overwrite:
        raise OutputExistsError(path)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "cannot replace this: not a regular file", path)
    if found.st_nlink > 1 and found.st_size:
        warn(f"{printable(path)} has {found.st_nlink} hard links; only this name gets the new data")
    return True


def _rename_exclusively(temp: str, path: str) -> None:
    """Rename on a file system without hard links: create the target exclusively, then replace it."""
    calls.close(calls.open(path, CREATE, 0o666))
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
    """Create and lock a new temporary file for `path`; return its name and descriptor."""
    while True:
        temp = orphans.new_name(path)
        begun[temp] = os.getpid()
        try:
            descriptor = _open_new(temp, mode)
        except OSError:
            del begun[temp]
            raise
        try:
            if calls.lock(descriptor) is not False and calls.fstat(descriptor).st_nlink:
                return temp, descriptor
        except BaseException:
            _discard(temp, descriptor)
            raise
        del begun[temp]  # another process took it for an orphan before it was locked
        calls.close(descriptor)


def _open_new(temp: str, mode: int) -> int:
    folder = os.path.dirname(temp)  # noqa: PTH120 -- a str
    try:
        return int(calls.open(temp, CREATE, mode))
    except PermissionError as error:
        raise _not_writable(error.errno, folder) from None
    except FileNotFoundError as error:
        raise FileNotFoundError(error.errno, error.strerror, folder) from None
    except OSError as error:
        if error.errno == errno.EROFS:
            raise OSError(error.errno, "the file system is read-only", folder) from None
        raise


def _not_writable(number: int | None, folder: str) -> PermissionError:
    text = "no permission to create files in this directory (a temporary file is written there first)"
    return PermissionError(number, text, folder)


def _discard(temp: str, descriptor: int, *, owned: bool = True) -> None:
    """Remove a temporary file and close it, in this order where that is possible: the lock then outlives the name."""
    steps: list[tuple[Any, str | int]] = [(calls.unlink, temp)] if owned else []
    if descriptor >= 0:
        steps.insert(len(steps) if POSIX else 0, (calls.close, descriptor))
    for call, argument in steps:
        with contextlib.suppress(OSError):
            call(argument)
    begun.pop(temp, None)
