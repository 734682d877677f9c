"""Read many small runs with few system calls: `writev` from a memory map into a pipe.

With one read per run most of the time goes into entering the kernel. `writev` takes a thousand runs at once, but only
from memory; so the file is mapped, the runs are written from the map into a pipe, and read from the pipe. The process
itself never touches the map. For a page that cannot be read, because the file was truncated or the disk failed, the
call stops early, where an access by the process would have raised SIGBUS. Then the caller must read the runs one by
one, which gives the reason.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

__all__ = ["gather"]

MAX_RUNS = 1024
"""Runs that the system accepts in one call (IOV_MAX)."""


def gather(descriptor: int, starts: NDArray[np.int64], out: NDArray[np.uint8]) -> bool:
    """Fill every row of `out` from its byte in `starts`.

    Parameters
    ----------
    descriptor : int
        A regular file, open for reading.
    starts : ndarray of int64
        File positions, at least one, in any order.
    out : ndarray of uint8, shape (run, length)
        Contiguous.

    Returns
    -------
    bool
        False when the runs could not be read: another system, a file that is too short, no memory for the map, no
        descriptors. The content of `out` is undefined then.
    """
    write = _writev()
    if write is None:
        return False
    low, high = int(starts.min()), int(starts.max()) + out.shape[1]
    try:
        with _mapping(descriptor, low, high) as address, _pipe() as pipe:
            return _copy(write, pipe, starts + (address - low), out)
    except (OSError, ValueError):
        return False


@functools.cache
def _writev() -> Callable[[int, int, int], int] | None:
    """Return the function of the C library, which takes addresses: a Python object for each run is too slow."""
    if sys.platform != "linux":
        return None
    import ctypes

    found: Any = ctypes.CDLL(None).writev
    found.restype = ctypes.c_ssize_t
    found.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
    return found  # type: ignore[no-any-return]  # ctypes' functions are not typed


@contextlib.contextmanager
def _mapping(descriptor: int, low: int, high: int) -> Iterator[int]:
    """Map the bytes ``low:high`` and give the address of the first. Only system calls may use it."""
    import mmap

    skip = low % mmap.ALLOCATIONGRANULARITY
    with mmap.mmap(descriptor, high - low + skip, mmap.MAP_SHARED, mmap.PROT_READ, offset=low - skip) as mapping:
        mapping.madvise(mmap.MADV_RANDOM)
        address: int = np.frombuffer(mapping, dtype=np.uint8).__array_interface__["data"][0]
        yield address + skip


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)


def _pipe_size(writing: int) -> int:
    """Return the bytes that fit in the pipe: fewer than usual for a user with very many pipes."""
    import fcntl

    return fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ)


def _copy(
    write: Callable[[int, int, int], int], pipe: tuple[int, int], addresses: NDArray[np.int64], out: NDArray[np.uint8]
) -> bool:
    """Send the runs through the pipe; return whether all arrived."""
    reading, writing = pipe
    length = out.shape[1]
    each = min(MAX_RUNS, _pipe_size(writing) // length)
    if each == 0:
        return False
    vectors = np.empty((addresses.size, 2), dtype=np.int64)
    vectors[:, 0] = addresses
    vectors[:, 1] = length
    first: int = vectors.__array_interface__["data"][0]
    rest = out.reshape(-1).data
    for i in range(0, addresses.size, each):
        count = min(each, addresses.size - i)
        part = rest[i * length : (i + count) * length]
        if write(writing, first + 16 * i, count) != len(part) or os.readv(reading, [part]) != len(part):
            return False
    return True
