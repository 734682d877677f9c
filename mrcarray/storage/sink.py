"""Where bytes go: ranges of a new file that takes its name when it is complete, or of one that is there.

A sink has no cursor: every write names its place, so threads and processes write without a lock. `FileSink` is the new
file; `write_path` writes to a file by its name, from any process. Compressed targets, which only grow at their end, are
in `mrcarray.storage.compression.writer`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

from mrcarray.storage import atomic
from mrcarray.storage.atomic import AtomicFile, pwrite_all, pwrite_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrcarray.storage.lease import Lease

__all__ = ["ByteSink", "FileSink", "append_path", "write_path"]

_EXISTING = os.O_WRONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class ByteSink(Protocol):
    """A file being written."""

    def write_runs(self, starts: Sequence[int], length: int, data: Any) -> None:
        """Write consecutive pieces of `length` bytes of `data` to the bytes `starts`."""

    def commit(self, head: bytes) -> None:
        """Write the first bytes, and give the file its name."""

    def abort(self) -> None:
        """Give up; no trace is left."""


class FileSink:
    """A new plain file.

    Parameters
    ----------
    file : AtomicFile
        The temporary file.
    """

    def __init__(self, file: AtomicFile) -> None:
        self.file = file

    def write_runs(self, starts: Sequence[int], length: int, data: Any) -> None:
        """Write consecutive pieces of `length` bytes of `data` to the bytes `starts`."""
        pwrite_runs(self.file.descriptor, starts, length, data, self.file.path)

    def commit(self, head: bytes) -> None:
        """Write the first bytes last, and give the file its name."""
        self.file.write_at(0, head)
        self.file.commit()

    def abort(self) -> None:
        """Remove the temporary file."""
        self.file.abort()


def write_path(  # noqa: PLR0913 -- where, what, and two guards
    path: str, starts: Sequence[int], length: int, data: Any, *, size: int | None = None, lease: Lease | None = None
) -> None:
    """Write consecutive pieces of `length` bytes of `data` to the bytes `starts` of a file that exists.

    The file is never created, cut or mapped, and closed again, so that file systems which pass changes on at closing
    do so. Writing the same bytes again does no harm.

    Parameters
    ----------
    path : str
        The file.
    starts : sequence of int
        Where each piece goes.
    length : int
        Length of each piece.
    data : buffer
        The pieces, one after the other.
    size : int, optional
        Size the file must have at least, as a guard against writing to another one.
    lease : Lease, optional
        Of the temporary file, as a guard against writing to another one.
    """
    descriptor = atomic.calls.open(path, _EXISTING) if lease is None else lease.open()
    try:
        if size is not None and atomic.calls.fstat(descriptor).st_size < size:
            raise OSError(f"{path}: the file has {os.fstat(descriptor).st_size} bytes; expected {size}")
        if len(starts) == 1:
            pwrite_all(descriptor, starts[0], data, path)
        else:
            pwrite_runs(descriptor, starts, length, data, path)
    finally:
        atomic.calls.close(descriptor)


def append_path(lease: Lease, at: int, data: bytes) -> None:
    """Write bytes to a position of a temporary file; to do it again does no harm.

    Parameters
    ----------
    lease : Lease
        Of the file.
    at : int
        First byte.
    data : bytes
        What to write.
    """
    descriptor = lease.open()
    try:
        pwrite_all(descriptor, at, data, lease.temp)
    finally:
        atomic.calls.close(descriptor)
