"""Byte sinks: ranges written to a new file that is renamed when it is complete, or to an existing file.

A sink has no cursor: every write names its position, so threads and processes write without a lock. `FileSink` is a new
file; `write_path` writes to a file by its name, from any process. Compressed files, which only grow at their end, are
in `mrcarray.storage.compression.writer`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

from mrcarray.storage.syscalls import calls, pwrite_all, pwrite_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrcarray.storage.atomic import AtomicFile
    from mrcarray.storage.lease import Lease

__all__ = ["ByteSink", "FileSink", "append_path", "write_path"]

_EXISTING = os.O_WRONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class ByteSink(Protocol):
    """A file being written."""

    def write_runs(self, starts: Sequence[int], length: int, data: Any) -> None:
        """Write consecutive pieces of `length` bytes of `data` to the file positions `starts`."""

    def commit(self, head: bytes) -> None:
        """Write the first bytes, and rename the file to its target."""

    def abort(self) -> None:
        """Remove the temporary file."""


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
        """Write consecutive pieces of `length` bytes of `data` to the file positions `starts`."""
        pwrite_runs(self.file.descriptor, starts, length, data, self.file.path)

    def commit(self, head: bytes) -> None:
        """Write the first bytes last, and rename the file to its target."""
        self.file.write_at(0, head)
        self.file.commit()

    def abort(self) -> None:
        """Remove the temporary file."""
        self.file.abort()


def write_path(  # noqa: PLR0913 -- where, what, and two guards
    path: str, starts: Sequence[int], length: int, data: Any, *, size: int | None = None, lease: Lease | None = None
) -> None:
    """Write consecutive pieces of `length` bytes of `data` to the positions `starts` of an existing file.

    The file is never created, truncated or mapped. It is closed again, because some network file systems send changes
    at closing. Repeating a call is harmless.

    Parameters
    ----------
    path : str
        The file.
    starts : sequence of int
        Position of each piece.
    length : int
        Length of each piece.
    data : buffer
        The pieces, one after the other.
    size : int, optional
        Minimum size of the file, as a guard against writing to another one.
    lease : Lease, optional
        Lease of the temporary file, as a guard against writing to another one.
    """
    descriptor = calls.open(path, _EXISTING) if lease is None else lease.open()
    try:
        if size is not None and calls.fstat(descriptor).st_size < size:
            raise OSError(f"{path}: the file has {os.fstat(descriptor).st_size} bytes; expected {size}")
        if len(starts) == 1:
            pwrite_all(descriptor, starts[0], data, path)
        else:
            pwrite_runs(descriptor, starts, length, data, path)
    finally:
        calls.close(descriptor)


def append_path(lease: Lease, at: int, data: bytes) -> None:
    """Write bytes to one position of a temporary file; repeating a call is harmless.

    Parameters
    ----------
    lease : Lease
        Lease of the file.
    at : int
        First byte.
    data : bytes
        The bytes.
    """
    write_path(lease.temp, [at], len(data), data, lease=lease)
