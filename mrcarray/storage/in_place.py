"""Copy a finished file over an existing one, where a rename would be wrong or is refused.

A rename gives the name to another inode. A program that holds the old file open, such as one with a
`tempfile.NamedTemporaryFile`, never sees the new content; and a file that is itself a mount point (a single file
bind-mounted into a container) cannot be renamed over at all. Then the content is copied: first a marker that no reader
accepts replaces the header, then the bytes after the header are written, and the header comes last.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from typing import TYPE_CHECKING

from mrcarray.errors import printable
from mrcarray.positional_io import READ_WRITE, pread
from mrcarray.storage.source import HEAD_NBYTES
from mrcarray.storage.syscalls import NOT_SUPPORTED, calls, pwrite_all
from mrcarray.unfinished import MARKER

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["REFUSED", "copy_over", "open_target", "warning_text", "write_over"]

REFUSED = frozenset({errno.EBUSY, errno.EXDEV, errno.EPERM})
"""Errors of a rename after which the file itself may be writable: a mount point, or a file in a protected directory."""

_COPY_NBYTES = 8 << 20


def warning_text(path: str, reason: str) -> str:
    """Return the warning for a file with content that is about to be overwritten by copying."""
    return (
        f"{printable(path)}: the system refuses to rename a new file to this name ({reason}), so the finished new "
        "content is copied over the file; if the copy is interrupted, the file is unfinished, its old content is lost, "
        "and the new content is in a file next to it whose name ends in .rescued"
    )


def open_target(path: str, *, empty: bool) -> int | None:
    """Open a file to copy over, and lock it against a second writer.

    Parameters
    ----------
    path : str
        The file.
    empty : bool
        Whether to accept only an empty file.

    Returns
    -------
    int or None
        A descriptor; None when the file cannot be opened, another writer has locked it, or it should be empty and is
        not.
    """
    try:
        descriptor: int = calls.open(path, READ_WRITE)
    except (FileNotFoundError, PermissionError):
        return None
    try:
        if calls.lock(descriptor) and not (empty and calls.fstat(descriptor).st_size):
            return descriptor
    except BaseException:
        calls.close(descriptor)
        raise
    calls.close(descriptor)
    return None


def copy_over(source: int, temp: str, target: int, path: str, *, sync: bool) -> None:
    """Copy a finished file over another: marker first, header last.

    Parameters
    ----------
    source, temp : int, str
        Descriptor and name of the finished file.
    target, path : int, str
        Descriptor and name of the file to overwrite.
    sync : bool
        Whether each step is flushed to the disk before the next one.

    Raises
    ------
    OSError
        When a call fails. Before the marker is written, the target keeps its content; a target that was empty is empty
        again in any case. Later the finished file keeps a name of its own, which the error gives.
    """
    size, before = calls.fstat(source).st_size, calls.fstat(target).st_size
    rescued = _rescue(temp, path) if before else ""
    try:
        _mark(target, size, path, sync=sync)
    except BaseException:
        _remove(rescued)
        raise
    try:
        for start, stop in _pieces(source, HEAD_NBYTES, size, with_holes=before > 0):
            pwrite_all(target, start, _read(source, start, stop, path), path)
        _finish(target, size, _read(source, 0, min(size, HEAD_NBYTES), path), path, sync=sync)
    except BaseException as error:
        if before == 0:
            with contextlib.suppress(OSError):
                calls.ftruncate(target, 0)
            raise
        raise _with_rescued(error, rescued, path) from error.__cause__
    _remove(rescued)


def write_over(target: int, content: bytes, path: str, *, sync: bool) -> None:
    """Write content in memory over a file in the steps of `copy_over`, for directories that take no temporary file.

    Raises
    ------
    OSError
        When a call fails. After a full disk the file is unchanged; after other errors it may be unfinished.
    """
    _mark(target, len(content), path, sync=sync)
    pwrite_all(target, HEAD_NBYTES, memoryview(content)[HEAD_NBYTES:], path)
    _finish(target, len(content), content[:HEAD_NBYTES], path, sync=sync)


def _mark(target: int, size: int, path: str, *, sync: bool) -> None:
    """Reserve disk space and mark the file as unfinished; restore the file when that fails."""
    before = calls.fstat(target).st_size
    first = pread(target, HEAD_NBYTES, 0)
    try:
        if before:  # a full disk fails before anything is overwritten
            _reserve(target, size, before)
        pwrite_all(target, 0, MARKER[: min(size, HEAD_NBYTES)], path)
        _sync(target, sync=sync)
        if not before:
            _reserve(target, size, before)
    except BaseException:
        with contextlib.suppress(OSError):
            pwrite_all(target, 0, first, path)
            calls.ftruncate(target, before)
        raise


def _finish(target: int, size: int, head: bytes, path: str, *, sync: bool) -> None:
    """Cut the file to its size and write its header."""
    calls.ftruncate(target, size)
    _sync(target, sync=sync)
    pwrite_all(target, 0, head, path)
    _sync(target, sync=sync)


def _read(source: int, start: int, stop: int, path: str) -> bytes:
    """Read bytes of the finished file; a short read that went unnoticed would become zeros."""
    out = pread(source, stop - start, start)
    while len(out) < stop - start:
        more = pread(source, stop - start - len(out), start + len(out))
        if not more:
            raise OSError(errno.EIO, "the finished temporary file became shorter while it was copied", path)
        out += more
    return out


def _sync(descriptor: int, *, sync: bool) -> None:
    if sync:
        calls.fsync(descriptor)


def _reserve(target: int, size: int, before: int) -> None:
    """Reserve disk space for the content, where the file system can."""
    if size <= before:
        return
    try:
        calls.fallocate(target, size)
    except OSError as error:
        if error.errno not in NOT_SUPPORTED:
            raise


def _pieces(source: int, start: int, stop: int, *, with_holes: bool) -> Iterator[tuple[int, int]]:
    """Yield the ranges to copy; holes are skipped when the target is empty and has zeros there already."""
    while start < stop:
        first, last = (start, stop) if with_holes else _next_data(source, start, stop)
        for at in range(first, last, _COPY_NBYTES):
            yield at, min(at + _COPY_NBYTES, last)
        start = last


def _next_data(source: int, start: int, stop: int) -> tuple[int, int]:
    """Return the next range that is not a hole, as far as the file system knows."""
    if not hasattr(os, "SEEK_DATA"):  # pragma: no cover -- systems without it
        return start, stop
    try:
        first = os.lseek(source, start, os.SEEK_DATA)
    except OSError as error:
        return (stop, stop) if error.errno == errno.ENXIO else (start, stop)
    return first, min(stop, os.lseek(source, first, os.SEEK_HOLE))


def _rescue(temp: str, path: str) -> str:
    """Give the finished file a second name that no clean-up removes; return it, or "" where the directory refuses.

    After a kill during the copy, this file is the only one with complete content.
    """
    name = f"{path}.{secrets.token_hex(4)}.rescued"
    for give in (calls.link, calls.replace):  # not every file system has hard links
        with contextlib.suppress(OSError):
            give(temp, name)
            return name
    return ""


def _remove(rescued: str) -> None:
    if rescued:
        with contextlib.suppress(OSError):
            calls.unlink(rescued)


def _with_rescued(error: BaseException, rescued: str, path: str) -> BaseException:
    """Return the error with the name of the file that has the complete new content."""
    if not rescued:
        return error
    text = f"the file is partly overwritten; the complete new content is in {printable(rescued)}"
    if isinstance(error, OSError):
        return OSError(error.errno, f"{error.strerror}; {text}", path)
    error.add_note(f"{printable(path)}: {text}")
    return error
