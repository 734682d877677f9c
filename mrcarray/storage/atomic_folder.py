"""A folder that appears under its name only when it is complete, such as a Zarr store.

The content is written inside a hidden folder next to the target, which is locked and private while it is filled. A
folder that is there already changes names with the new one in one step, where the system can do that (Linux: ext4, XFS,
Btrfs, tmpfs, overlayfs). Elsewhere it is set aside under a name that ends in `SET_ASIDE` and that nothing sweeps; if
the process is killed before the new one has its name, the next write of the target puts the old one back.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING, Self

from mrcarray.errors import ClosedError, OutputExistsError, printable
from mrcarray.storage import atomic, orphans

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SET_ASIDE", "AtomicFolder", "WorkFolder", "put_back", "set_aside"]

SET_ASIDE = ".mrcarray-old"
"""Last part of the name of a folder that is being replaced where names cannot be exchanged."""

_NO_EXCHANGE = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, getattr(errno, "ENOTSUP", errno.EOPNOTSUPP)}
_LOCK = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)


class WorkFolder:
    """A hidden folder next to a target, for files that are not complete; removed when the context ends.

    After an interruption threads may go on writing for a while: what they leave is removed when the program ends. What
    a killed process leaves is removed by the next write in the folder.

    Parameters
    ----------
    target : str or path
        The target.
    """

    def __init__(self, target: str | os.PathLike[str]) -> None:
        self.target = atomic.real_target(target)
        folder = os.path.dirname(self.target)  # noqa: PTH120 -- a str
        self.path = orphans.new_name(self.target)
        self._pid = os.getpid()
        self._lock = -1
        atexit.register(self._remove)
        try:
            self._make(folder)
            now = os.fstat(self._lock).st_mtime
            orphans.remove_orphans(folder, atomic.calls, now=now)
        except BaseException:
            self.close()
            raise

    def _make(self, folder: str) -> None:
        try:
            atomic.calls.mkdir(self.path, 0o700)
        except OSError as error:
            raise type(error)(error.errno, error.strerror, folder) from None
        self._lock = atomic.calls.open(os.path.join(self.path, orphans.LOCK), _LOCK, 0o600)  # noqa: PTH118 -- a str
        atomic.calls.lock(self._lock)

    def close(self) -> None:
        """Remove the folder and all that is in it. A forked child only lets go of it."""
        descriptor, self._lock = self._lock, -1
        try:
            self._remove()
        finally:
            if descriptor >= 0:
                with contextlib.suppress(OSError):
                    atomic.calls.close(descriptor)
        if not os.path.lexists(self.path):
            atexit.unregister(self._remove)

    def _remove(self) -> None:
        if os.getpid() == self._pid:
            with contextlib.suppress(OSError):
                atomic.calls.rmtree(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AtomicFolder(WorkFolder):
    """A folder that takes the name of the target when it is committed.

    Parameters
    ----------
    target : str or path
        The target. If it is a symbolic link, what it points to is replaced, not the link.
    overwrite : bool
        Whether the target may exist.
    sync : bool
        Whether all files and folders are flushed to the disk at the commit.

    Raises
    ------
    FileExistsError
        When the target exists and `overwrite` is false.
    """

    def __init__(self, target: str | os.PathLike[str], *, overwrite: bool = False, sync: bool = True) -> None:
        self._overwrite, self._sync = overwrite, sync
        put_back(atomic.real_target(target))
        self._refuse(atomic.real_target(target))
        super().__init__(target)
        self._done = False

    @property
    def content(self) -> str:
        """The folder to fill, which does not exist yet."""
        return os.path.join(self.path, "content")  # noqa: PTH118 -- a str

    def commit(self) -> None:
        """Give the content the name of the target; on any failure what was there stays."""
        if self._done or self._lock < 0:
            raise ClosedError(f"{printable(self.target)}: the folder was committed or given up")
        self._keep_attributes()
        if self._sync:
            _sync_tree(self.content)
        self._refuse(self.target)
        self._rename()
        self._done = True
        if self._sync:
            atomic.sync_folder(os.path.dirname(self.target))  # noqa: PTH120 -- a str

    def _refuse(self, target: str) -> None:
        if not self._overwrite and os.path.lexists(target):
            raise OutputExistsError(target)

    def _rename(self) -> None:
        if not os.path.lexists(self.target):
            atomic.calls.rename(self.content, self.target)
            return
        try:
            atomic.calls.exchange(self.content, self.target)
        except OSError as error:
            if error.errno not in _NO_EXCHANGE:
                raise
            self._replace()

    def _replace(self) -> None:
        """Replace the target in two steps, between which it has no name."""
        old = self.path.removesuffix(orphans.SUFFIX) + SET_ASIDE
        atomic.calls.rename(self.target, old)
        try:
            atomic.calls.rename(self.content, self.target)
        except BaseException:
            atomic.calls.rename(old, self.target)
            raise
        with contextlib.suppress(OSError):
            _remove(old)

    def _keep_attributes(self) -> None:
        """Give the new folder mode bits and owner of the one that it replaces, as far as permitted."""
        try:
            old = os.stat(self.target)  # noqa: PTH116 -- a str
        except FileNotFoundError:
            return
        if stat.S_ISDIR(old.st_mode):
            with contextlib.suppress(PermissionError):
                atomic.calls.chown(self.content, old.st_uid, old.st_gid)
            atomic.calls.chmod(self.content, stat.S_IMODE(old.st_mode))


def _remove(path: str) -> None:
    if os.path.isdir(path):  # noqa: PTH112 -- a str
        atomic.calls.rmtree(path)
    else:
        atomic.calls.unlink(path)


def set_aside(target: str) -> Iterator[str]:
    """Yield what was set aside for a target when the process that replaced it was killed, or is at work."""
    folder, (before, _) = os.path.dirname(target), orphans.temp_names(target)  # noqa: PTH120 -- a str
    with contextlib.suppress(OSError), os.scandir(folder or ".") as entries:
        for entry in entries:
            if entry.name.startswith(before) and entry.name.endswith(SET_ASIDE):
                yield entry.path


def put_back(target: str) -> bool:
    """Put back what a killed process set aside, if nothing has the name of the target; return whether it was."""
    if os.path.lexists(target):
        return False
    for old in list(set_aside(target)):
        if not os.path.lexists(old.removesuffix(SET_ASIDE) + orphans.SUFFIX):  # else its writer may be at work
            atomic.calls.rename(old, target)
            return True
    return False


def _sync_tree(folder: str) -> None:
    """Flush every file below a folder, then the folders."""
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            descriptor = atomic.calls.open(os.path.join(place, name), os.O_RDONLY)  # noqa: PTH118 -- a str
            try:
                atomic.calls.fsync(descriptor)
            finally:
                atomic.calls.close(descriptor)
        atomic.sync_folder(place)
