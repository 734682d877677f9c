"""Open files, and read and write at a position of them, on every system.

Linux has `os.pread`, `os.preadv` and `os.pwrite`, which leave the position of the descriptor alone, so that threads can
share it. macOS lacks `preadv` before version 11, and Windows lacks all three: there a lock keeps the seek and the read
of one thread together.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["CREATE", "OWN_FILE", "READ", "READ_WRITE", "WRITE", "pread", "preadv", "pwrite"]

_BINARY = getattr(os, "O_BINARY", 0)  # Windows would translate line ends

READ = os.O_RDONLY | _BINARY
WRITE = os.O_WRONLY | _BINARY
READ_WRITE = os.O_RDWR | _BINARY
CREATE = READ_WRITE | os.O_CREAT | os.O_EXCL

OWN_FILE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""Flags for a name that others may have replaced: no link is followed, and opening a named pipe does not wait."""

_MAX_COPY = 1 << 24
"""Bytes that are copied at once where the system cannot read into a buffer."""

_POSITIONAL = hasattr(os, "pread")
_SCATTER = hasattr(os, "preadv")

_position = threading.Lock()


def pread(descriptor: int, length: int, offset: int) -> bytes:
    """Read at most `length` bytes at `offset`."""
    if _POSITIONAL:
        return os.pread(descriptor, length, offset)
    with _position:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, length)


def preadv(descriptor: int, buffers: Sequence[Any], offset: int) -> int:
    """Fill buffers with the bytes from `offset` on, and return how many there were."""
    if _SCATTER:
        return os.preadv(descriptor, buffers, offset)
    done = 0
    for buffer in buffers:
        rest = memoryview(buffer).cast("B")
        while len(rest):
            found = pread(descriptor, min(len(rest), _MAX_COPY), offset + done)
            if not found:
                return done
            rest[: len(found)] = found
            rest, done = rest[len(found) :], done + len(found)
    return done


def _seek_and_write(descriptor: int, data: Any, offset: int) -> int:
    with _position:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.write(descriptor, data)


pwrite: Callable[[int, Any, int], int] = getattr(os, "pwrite", _seek_and_write)
"""Write bytes at an offset, and return how many were written."""
