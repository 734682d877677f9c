"""Write to an existing file by its name, from any process, at given positions and so without a lock."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from mrcarray.positional_io import WRITE
from mrcarray.storage.syscalls import calls, pwrite_all, pwrite_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrcarray.storage.lease import Lease

__all__ = ["write_path"]


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
    descriptor = calls.open(path, WRITE) if lease is None else lease.open()
    try:
        if size is not None and calls.fstat(descriptor).st_size < size:
            raise OSError(f"{path}: the file has {os.fstat(descriptor).st_size} bytes; expected {size}")
        if len(starts) == 1:
            pwrite_all(descriptor, starts[0], data, path)
        else:
            pwrite_runs(descriptor, starts, length, data, path)
    finally:
        calls.close(descriptor)
