"""Change a few bytes of a file in place, if the bytes there are the expected ones."""

from __future__ import annotations

import errno
import stat
from typing import TYPE_CHECKING

import numpy as np

from mrcarray.errors import ConflictError, printable
from mrcarray.positional_io import OWN_FILE, READ_WRITE, pread
from mrcarray.storage.source import with_path
from mrcarray.storage.syscalls import calls, pwrite_all

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["patch_bytes", "span"]

_FLAGS = READ_WRITE | OWN_FILE


def span(old: bytes, new: bytes) -> tuple[int, int]:
    """Return start and stop of the bytes in which two equally long strings differ; (0, 0) if they are equal.

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
    """Replace bytes of a file by one positional write from the first to the last byte that differs.

    A killed process leaves the old bytes or the new ones: Linux does not interrupt a write of so few bytes to a local
    file. A power cut may leave a mixture, if they lie in two sectors.

    Parameters
    ----------
    path : str
        The file; the caller resolves symbolic links.
    expected : bytes or None
        The bytes that must be at `start`, as many as in `new`; None when the caller has checked the file itself.
    new : bytes
        The bytes to write.
    start : int
        Position of the first byte of both.
    sync : bool
        Whether to flush the new bytes to the disk.
    sync_before : bool
        Whether to flush earlier writes to the file first, so that a power cut cannot leave the new bytes alone.
    ready : callable, optional
        Called with the descriptor after all checks, before the write; an exception it raises prevents the write.

    Raises
    ------
    ConflictError
        When the file contains neither `expected` nor `new`.
    OSError
        When the file is not a regular file or cannot be written.
    """
    descriptor = calls.open(path, _FLAGS)
    try:
        if not stat.S_ISREG(calls.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)  # noqa: TRY301 -- the descriptor is closed below
        if sync_before:
            calls.fsync(descriptor)
        if expected is not None and pread(descriptor, len(expected), start) not in (expected, new):
            text = "the header was changed by another program since it was read; nothing was written"
            raise ConflictError(f"{printable(path)}: {text}")
        if ready is not None:
            ready(descriptor)
        first, stop = (0, len(new)) if expected is None else span(expected, new)
        pwrite_all(descriptor, start + first, new[first:stop], path)
        if sync:
            calls.fsync(descriptor)
    except OSError as error:
        raise with_path(error, path) from None
    finally:
        calls.close(descriptor)
