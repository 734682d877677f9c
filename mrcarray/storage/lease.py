"""A temporary file that tasks of several processes and hosts write to without locking it.

One task creates the file and passes a `Lease` on; the other tasks open the file with it. A lease contains a random
mark, which is stored in the unfinished file too. A task refuses a file without that mark: the file was removed, and
another has its name. Device and inode would not do, because `st_dev` differs between the hosts of a cluster and some
network file systems make up inodes for each host. Only the first task creates a file.

While a process holds a `Lease`, a thread renews the modification time of its file, so that the file is not an orphan
(`mrcarray.storage.orphans`). When the object is deleted and no other process has a copy, its file is removed.
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
from mrcarray.positional_io import OWN_FILE, READ_WRITE, pread
from mrcarray.storage import orphans
from mrcarray.storage.atomic import AtomicFile
from mrcarray.storage.source import HEAD_NBYTES
from mrcarray.storage.syscalls import calls

__all__ = ["MARK_NBYTES", "MARK_START", "Lease", "mark_of", "marked", "open_marked"]

MARK_NBYTES = 32
MARK_START = HEAD_NBYTES - MARK_NBYTES
"""Position of the mark in an unfinished file: the end of the last label, which the finished header overwrites."""

RENEW_SECONDS = orphans.LEASE_SECONDS / 12
"""Seconds between two renewals: eleven may fail before the lease runs out."""

_FLAGS = READ_WRITE | OWN_FILE
_MARK = b"mrcarray unfinished "

_owners: dict[str, int] = {}
"""For each file the number of the last lease that this process took of it."""
_numbers = itertools.count()


def _new_mark() -> bytes:
    """Return a mark that no other file has."""
    return _MARK + secrets.token_bytes(MARK_NBYTES - len(_MARK))


def marked(head: bytes, mark: bytes) -> bytes:
    """Return the first bytes of an unfinished file, with its mark."""
    return head[:MARK_START] + mark + head[MARK_START + MARK_NBYTES :]


def mark_of(descriptor: int) -> bytes:
    """Return the bytes of an open file at the position of the mark."""
    return pread(descriptor, MARK_NBYTES, MARK_START)


def open_marked(temp: str, mark: bytes) -> int:
    """Open an existing temporary file for reading and writing.

    Raises
    ------
    ConflictError
        When it does not have this mark, because another file has its name.
    FileNotFoundError
        When it does not exist.
    """
    descriptor: int = calls.open(temp, _FLAGS)
    try:
        found = mark_of(descriptor)
    except BaseException:
        calls.close(descriptor)
        raise
    if found == mark:
        return descriptor
    calls.close(descriptor)
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
        """Create a temporary file, or take over the one that an earlier run of the same task created.

        Parameters
        ----------
        temp : str
            The file; `orphans.lease_name` returns its name.
        path : str
            The target.
        head : bytes
            The first bytes, at least 1024; the mark replaces some of them.
        size : int
            Bytes to reserve.

        Raises
        ------
        ConflictError
            When the file exists without a mark: its writer was killed within its first two calls.
        OSError
            When the disk is full, or the directory cannot be written to.
        """
        try:
            file = AtomicFile.begin(temp, path)
        except FileExistsError:
            return cls._take_over(temp)
        mark = _new_mark()
        try:
            file.write_at(0, marked(head, mark))
            file.reserve(size)
        except BaseException:
            file.abort()
            raise
        file.release()
        return cls._owner(temp, mark)

    @classmethod
    def of(cls, file: AtomicFile, head: bytes) -> Lease:
        """Write the first bytes of a temporary file that this process keeps open; return a lease of the file."""
        mark = _new_mark()
        file.write_at(0, marked(head, mark))
        return cls(file.temp, mark)

    @classmethod
    def _take_over(cls, temp: str) -> Lease:
        """Return a lease of an existing file, which a lost worker or a failed run created."""
        descriptor = calls.open(temp, _FLAGS)
        try:
            mark = mark_of(descriptor)
        finally:
            calls.close(descriptor)
        if not mark.startswith(_MARK):
            with contextlib.suppress(OSError):
                calls.unlink(temp)
            text = "the temporary file of an interrupted run was incomplete and is removed; run the computation again"
            raise ConflictError(f"{printable(temp)}: {text}")
        return cls._owner(temp, mark)

    @classmethod
    def _owner(cls, temp: str, mark: bytes) -> Lease:
        """Return a lease that removes its file when it is deleted."""
        self = cls(temp, mark)
        number = _owners[temp] = next(_numbers)
        self._finalizer = weakref.finalize(self, _end, temp, mark, number, os.getpid())
        return self

    @property
    def is_alone(self) -> bool:
        """Whether no other process has a copy, so that the file is useless when this computation fails."""
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
        """Pickle name and mark. From now on other processes may write to the file, so this object keeps it."""
        if self._finalizer is not None:
            self._finalizer.detach()
        return Lease, (self.temp, self.mark)


def _end(temp: str, mark: bytes, number: int, pid: int) -> None:
    """Remove the file of a deleted lease, unless a later run of the same task took it over."""
    if os.getpid() == pid and _owners.get(temp) == number:
        del _owners[temp]
        _remove(temp, mark)


def _remove(temp: str, mark: bytes) -> None:
    """Remove a file, unless another has its name.

    This runs in garbage collections too, perhaps in the middle of `_Renewed`: it must not wait for its lock.
    """
    with contextlib.suppress(OSError, ConflictError):
        calls.close(open_marked(temp, mark))
        calls.unlink(temp)


class _Renewed:
    """The leases of this process, and the thread that renews them while there are any."""

    def __init__(self) -> None:
        self._leases: weakref.WeakSet[Lease] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()

    def add(self, lease: Lease) -> None:
        """Renew a lease from now on, until it is deleted."""
        with self._lock:
            self._leases.add(lease)
            if self._thread is None or self._pid != os.getpid():
                self._pid = os.getpid()
                thread = threading.Thread(target=self._run, name="mrcarray-lease", daemon=True)
                with contextlib.suppress(RuntimeError):  # no more threads: the lease lasts an hour without renewal
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
                calls.utime(lease.temp)
        return bool(leases)

    def _run(self) -> None:
        pause = threading.Event()
        pause.wait(RENEW_SECONDS)
        while self.renew():
            pause.wait(RENEW_SECONDS)


_renewed = _Renewed()


def _renew_lock() -> None:
    """Replace the lock in a forked child: another thread of the parent may have held it."""
    _renewed._lock = threading.Lock()  # noqa: SLF001 -- of this module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
