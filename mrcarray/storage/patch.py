"""Changing a few bytes of a file in place, when the bytes there are the expected ones."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

import numpy as np

from mrcarray.errors import ConflictError, printable
from mrcarray.storage import atomic

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["patch_bytes", "span"]

_FLAGS = (
    os.O_RDWR
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
)


def span(old: bytes, new: bytes) -> tuple[int, int]:
    """Return start and stop of the bytes in which two equally long strings differ; (0, 0) when they do not.

    Examples
    --------
    >>> span(b"abcde", b"aXcYe")
    (1, 4)
    """
    differ = np.flatnonzero(np.frombuffer(old, np.uint8) != np.frombuffer(new, np.uint8))
    return (int(differ[0]), int(differ[-1]) + 1) if len(differ) else (0, 0)


def patch_bytes(  # noqa: PLR0913 -- where, what, and the order of the steps
    path: str,
    expected: bytes | None,
    new: bytes,
    *,
    start: int = 0,
    sync: bool = True,
    sync_before: bool = False,
    ready: Callable[[int], None] | None = None,
) -> None:
    """Replace some bytes of a file by others, by one positional write of those that differ.

    A process that is killed leaves the old bytes or the new ones: Linux does not interrupt a write of so few bytes to a
    local file. A power cut may leave both, when they lie in two sectors.

    Parameters
    ----------
    path : str
        The file; symbolic links are resolved by the caller.
    expected : bytes or None
        What must be at `start`, as long as `new`; None when the caller has checked the file in another way.
    new : bytes
        What will be there.
    start : int
        First byte.
    sync : bool
        Whether the new bytes are on the disk when the function returns.
    sync_before : bool
        Whether what was written to the file before is flushed first, so that no power cut leaves the new bytes alone.
    ready : callable, optional
        Called with the descriptor when all is checked, before the bytes change; what it raises prevents the change.

    Raises
    ------
    ConflictError
        When the file holds other bytes than `expected`, or `new` already.
    OSError
        When the file is not a regular one or cannot be written.
    """
    descriptor = atomic.calls.open(path, _FLAGS)
    try:
        if not stat.S_ISREG(atomic.calls.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)  # noqa: TRY301 -- the descriptor is closed below
        if sync_before:
            atomic.calls.fsync(descriptor)
        if expected is not None and os.pread(descriptor, len(expected), start) not in (expected, new):
            text = "the file was changed meanwhile; nothing was written"
            raise ConflictError(f"{printable(path)}: {text}")
        if ready is not None:
            ready(descriptor)
        first, stop = (0, len(new)) if expected is None else span(expected, new)
        atomic.pwrite_all(descriptor, start + first, new[first:stop], path)
        if sync:
            atomic.calls.fsync(descriptor)
    except OSError as error:
        if error.filename is None:
            raise type(error)(error.errno, error.strerror, path) from None
        raise
    finally:
        atomic.calls.close(descriptor)
