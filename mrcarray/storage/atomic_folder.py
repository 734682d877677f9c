"""A directory that appears under its name only when it is complete, such as a Zarr store.

The content is written inside a hidden directory next to the target, which is locked and private meanwhile. An existing
target exchanges names with the new one in one step where the system can do that (Linux: ext4, XFS, Btrfs, tmpfs,
overlayfs). Elsewhere it is set aside under a name that ends in `orphans.SET_ASIDE` and that no clean-up removes; if the
process is killed before the new directory has its name, the next write of the target puts the old one back.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Self

from mrcarray.errors import ClosedError, OutputExistsError, printable
from mrcarray.positional_io import CREATE
from mrcarray.storage import orphans
from mrcarray.storage.at_exit import begun
from mrcarray.storage.atomic import real_target
from mrcarray.storage.orphans import SET_ASIDE, put_back, set_aside
from mrcarray.storage.syscalls import NOT_SUPPORTED, calls, sync_folder

__all__ = ["SET_ASIDE", "AtomicFolder", "WorkFolder", "put_back", "set_aside"]


class WorkFolder:
    """A hidden directory next to a target, for files that are not complete; removed when the context ends.

    Threads may go on writing for a while after an interruption: their files are removed when the program ends. The
    directory of a killed process is removed by the next write to the same directory.

    Parameters
    ----------
    target : str or path
        The target.
    """

    def __init__(self, target: str | os.PathLike[str]) -> None:
        self.target = real_target(target)
        folder = os.path.dirname(self.target)  # noqa: PTH120 -- a str
        self.path = orphans.new_name(self.target)
        self._pid = os.getpid()
        self._lock = -1
        begun[self.path] = self._pid
        try:
            self._make(folder)
            now = os.fstat(self._lock).st_mtime
            orphans.remove_orphans(folder, now=now)
        except BaseException:
            self.close()
            raise

    def _make(self, folder: str) -> None:
        try:
            calls.mkdir(self.path, 0o700)
        except OSError as error:
            raise type(error)(error.errno, error.strerror, folder) from None
        self._lock = calls.open(os.path.join(self.path, orphans.LOCK), CREATE, 0o600)  # noqa: PTH118 -- a str
        calls.lock(self._lock)

    def close(self) -> None:
        """Remove the directory and its content. A forked child only closes its copy of the lock."""
        descriptor, self._lock = self._lock, -1
        try:
            self._remove()
        finally:
            if descriptor >= 0:
                with contextlib.suppress(OSError):
                    calls.close(descriptor)

    def _remove(self) -> None:
        if os.getpid() == self._pid:
            with contextlib.suppress(OSError):
                calls.rmtree(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.close()
        # Tasks that an exception left running may create the directory again.
        if kind is None and not os.path.lexists(self.path):
            begun.pop(self.path, None)


class AtomicFolder(WorkFolder):
    """A directory that becomes the target when it is committed.

    Parameters
    ----------
    target : str or path
        The target. If it is a symbolic link, what it points to is replaced, not the link.
    overwrite : bool
        Whether the target may exist.
    sync : bool
        Whether the commit flushes all files and directories to the disk.

    Raises
    ------
    FileExistsError
        When the target exists and `overwrite` is false.
    """

    def __init__(self, target: str | os.PathLike[str], *, overwrite: bool = False, sync: bool = True) -> None:
        self._overwrite, self._sync = overwrite, sync
        put_back(real_target(target))
        self._check_target(real_target(target))
        super().__init__(target)
        self._done = False

    @property
    def content(self) -> str:
        """The directory to create and fill."""
        return os.path.join(self.path, "content")  # noqa: PTH118 -- a str

    def commit(self) -> None:
        """Rename the content to the target; on any failure the target is unchanged."""
        if self._done or self._lock < 0:
            raise ClosedError(f"{printable(self.target)}: the directory was already committed or closed")
        self._keep_attributes()
        if self._sync:
            _sync_tree(self.content)
        self._check_target(self.target)
        self._rename()
        self._done = True
        if self._sync:
            sync_folder(os.path.dirname(self.target))  # noqa: PTH120 -- a str

    def _check_target(self, target: str) -> None:
        if not self._overwrite and os.path.lexists(target):
            raise OutputExistsError(target)

    def _rename(self) -> None:
        if not os.path.lexists(self.target):
            calls.rename(self.content, self.target)
            return
        try:
            calls.exchange(self.content, self.target)
        except OSError as error:
            if error.errno not in NOT_SUPPORTED:
                raise
            self._replace()

    def _replace(self) -> None:
        """Replace the target in two steps, between which nothing has its name."""
        old = self.path.removesuffix(orphans.SUFFIX) + SET_ASIDE
        calls.rename(self.target, old)
        try:
            calls.rename(self.content, self.target)
        except BaseException:
            calls.rename(old, self.target)
            raise
        with contextlib.suppress(OSError):
            (calls.rmtree if os.path.isdir(old) else calls.unlink)(old)  # noqa: PTH112 -- a str

    def _keep_attributes(self) -> None:
        """Copy mode bits and owner of the directory that is replaced, as far as permitted."""
        try:
            old = os.stat(self.target)  # noqa: PTH116 -- a str
        except FileNotFoundError:
            return
        if stat.S_ISDIR(old.st_mode):
            with contextlib.suppress(PermissionError):
                calls.chown(self.content, old.st_uid, old.st_gid)
            calls.chmod(self.content, stat.S_IMODE(old.st_mode))


def _sync_tree(folder: str) -> None:
    """Flush every file below a directory, then the directories."""
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            descriptor = calls.open(os.path.join(parent, name), os.O_RDONLY)  # noqa: PTH118 -- a str
            try:
                calls.fsync(descriptor)
            finally:
                calls.close(descriptor)
        sync_folder(parent)
