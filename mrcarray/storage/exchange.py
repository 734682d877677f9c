"""Exchanging two names in one step: ``renameat2(RENAME_EXCHANGE)`` of Linux, which Python does not offer."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
from typing import Any

__all__ = ["exchange"]

_AT_FDCWD = -100  # <fcntl.h> of Linux
_RENAME_EXCHANGE = 2  # <linux/fs.h>


@functools.cache
def _renameat2() -> Any:
    """Return the function of the C library, None where it has none."""
    return getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)


def exchange(first: str, second: str) -> None:
    """Give each of two files or folders the name of the other, in one step.

    Raises
    ------
    OSError
        When one does not exist, or (ENOSYS, EINVAL) the system or the file system cannot do this.
    """
    function = _renameat2()
    if function is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), first)
    if function(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), first)
