"""A temporary file that tasks of several processes and hosts write to, none of which holds its lock.

One task begins the file and hands on a `Lease`; the others open the file by it. A lease has a random mark, which is
stored in the unfinished file too. A task refuses a file without that mark: somebody removed the file, and another took
its name. Device and inode would not do, because `st_dev` differs between the hosts of a cluster and some network file
systems make up inodes for each host. Nothing but the first task creates a file.

While a process holds a `Lease`, a thread renews the modification time of its file, so that the file is no orphan
(`mrcarray.storage.orphans`). When the object goes and no other process has a copy, the file goes with it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import threading
import weakref
from typing import Any

from mrcarray.errors import ConflictError, printable
from mrcarray.storage import atomic, orphans

__all__ = ["MARK_NBYTES", "MARK_START", "Lease", "mark_of", "marked", "open_marked"]

MARK_NBYTES = 32
MARK_START = 1024 - MARK_NBYTES
"""Where the mark is in an unfinished file: the end of the last label, which the finished header overwrites."""

RENEW_SECONDS = orphans.LEASE_SECONDS / 12
"""Seconds between two renewals: eleven may fail before the lease runs out."""

_FLAGS = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)


_MARK = b"mrcarray unfinished "
_owners: dict[str, int] = {}
_numbers = itertools.count()


def _new_mark() -> bytes:
    """Return a mark that no other file has."""
    return _MARK + secrets.token_bytes(MARK_NBYTES - len(_MARK))


def marked(head: bytes, mark: bytes) -> bytes:
    """Return the first bytes of an unfinished file, with its mark."""
    return head[:MARK_START] + mark + head[MARK_START + MARK_NBYTES :]


def mark_of(descriptor: int) -> bytes:
    """Return the mark of an open file, or whatever is in its place."""
    return os.pread(descriptor, MARK_NBYTES, MARK_START)


def open_marked(temp: str, mark: bytes) -> int:
    """Open a temporary file that exists, for reading and writing.

    Raises
    ------
    ConflictError
        When it is another file than the one that was begun.
    FileNotFoundError
        When it is gone.
    """
    descriptor: int = atomic.calls.open(temp, _FLAGS)
    try:
        found = mark_of(descriptor)
    except BaseException:
        atomic.calls.close(descriptor)
        raise
    if found == mark:
        return descriptor
    atomic.calls.close(descriptor)
    text = "another file has the name of the temporary file, whose pixels are lost; run the computation again"
    raise ConflictError(f"{printable(temp)}: {text}")


class Lease:
    """The right to write to a temporary file.

    Parameters
    ----------
    temp : str
        The file.
    mark : bytes
        Its mark.
    """

    __slots__ = ("__weakref__", "_finalizer", "failure", "mark", "temp")

    def __init__(self, temp: str, mark: bytes) -> None:
        self.temp, self.mark = temp, mark
        self.failure: Exception | None = None
        """The first error of a task of this process."""
        self._finalizer: Any = None
        _renewed.add(self)

    @classmethod
    def begin(cls, temp: str, path: str, head: bytes, size: int) -> Lease:
        """Create a temporary file, or take the one that an earlier run of the same task created.

        Parameters
        ----------
        temp : str
            The file; `orphans.lease_name` makes its name.
        path : str
            The target.
        head : bytes
            The first bytes, at least 1024; the mark replaces some of them.
        size : int
            Bytes to reserve.

        Raises
        ------
        ConflictError
            When there is a file without a mark: its writer was killed within its first two calls.
        OSError
            When there is no room, or the folder cannot be written to.
        """
        try:
            file = atomic.AtomicFile.begin(temp, path)
        except FileExistsError:
            return cls._taken(temp)
        mark = _new_mark()
        try:
            file.write_at(0, marked(head, mark))
            file.reserve(size)
        except BaseException:
            file.abort()
            raise
        file.release()
        return cls._owning(temp, mark)

    @classmethod
    def of(cls, file: atomic.AtomicFile, head: bytes) -> Lease:
        """Write the first bytes of a temporary file that this process keeps open, and return what others need."""
        mark = _new_mark()
        file.write_at(0, marked(head, mark))
        return cls(file.temp, mark)

    @classmethod
    def _taken(cls, temp: str) -> Lease:
        """Take a file that is there: a worker that was lost, or a run that failed, began it."""
        descriptor = atomic.calls.open(temp, _FLAGS)
        try:
            mark = mark_of(descriptor)
        finally:
            atomic.calls.close(descriptor)
        if not mark.startswith(_MARK):
            with contextlib.suppress(OSError):
                atomic.calls.unlink(temp)
            text = "the temporary file of an interrupted run was incomplete and is removed; run the computation again"
            raise ConflictError(f"{printable(temp)}: {text}")
        return cls._owning(temp, mark)

    @classmethod
    def _owning(cls, temp: str, mark: bytes) -> Lease:
        self = cls(temp, mark)
        number = _owners[temp] = next(_numbers)
        self._finalizer = weakref.finalize(self, _given_up, temp, mark, number, os.getpid())
        return self

    @property
    def is_alone(self) -> bool:
        """Whether no other process has a copy, so that the file is of no use when this computation fails."""
        return self._finalizer is not None and bool(self._finalizer.alive)

    @property
    def number(self) -> int:
        """The mark as an integer that is not 0."""
        return int.from_bytes(self.mark[-8:], "little") | 1

    def open(self) -> int:
        """Open the file; raise as `open_marked` does."""
        return open_marked(self.temp, self.mark)

    def remove(self) -> None:
        """Remove the file, unless another has its name."""
        _remove(self.temp, self.mark)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what names the file. From now on others may write to it, so this object no longer removes it."""
        if self._finalizer is not None:
            self._finalizer.detach()
        return Lease, (self.temp, self.mark)


def _given_up(temp: str, mark: bytes, number: int, pid: int) -> None:
    """Remove the file of a lease that is gone, unless a later run of the same task took it."""
    if os.getpid() == pid and _owners.get(temp) == number:
        del _owners[temp]
        _remove(temp, mark)


def _remove(temp: str, mark: bytes) -> None:
    """Remove a file, unless another has its name.

    This also runs while an object is collected, perhaps in the middle of `_Renewed`: it must not wait for its lock.
    """
    with contextlib.suppress(OSError, ConflictError):
        atomic.calls.close(open_marked(temp, mark))
        atomic.calls.unlink(temp)


class _Renewed:
    """The leases this process holds, and the thread that renews them while there are any."""

    def __init__(self) -> None:
        self._leases: weakref.WeakSet[Lease] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()

    def add(self, lease: Lease) -> None:
        """Renew a lease as long as it is there."""
        with self._lock:
            self._leases.add(lease)
            if self._thread is None or self._pid != os.getpid():
                self._pid = os.getpid()
                thread = threading.Thread(target=self._run, name="mrcarray-lease", daemon=True)
                with contextlib.suppress(RuntimeError):  # no more threads: the file has an hour without renewal
                    thread.start()
                    self._thread = thread

    def renew(self) -> bool:
        """Renew every lease once; return whether there was one."""
        with self._lock:
            leases = list(self._leases)
            if not leases:
                self._thread = None
        for lease in leases:
            with contextlib.suppress(OSError):
                atomic.calls.utime(lease.temp)
        return bool(leases)

    def _run(self) -> None:
        pause = threading.Event()
        pause.wait(RENEW_SECONDS)
        while self.renew():
            pause.wait(RENEW_SECONDS)


_renewed = _Renewed()


def _unlock() -> None:
    """Have a new lock in a forked child: another thread of the parent may have held the old one."""
    _renewed._lock = threading.Lock()  # noqa: SLF001 -- the other half of the object


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)
