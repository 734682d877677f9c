"""Copy a finished file over one that exists, where a rename would be wrong or is refused.

A rename gives the name to another inode. A program that holds the old file open, such as one with a
`tempfile.NamedTemporaryFile`, never sees the new content; and the name of a file that is itself a mount point (a single
file bind-mounted into a container) cannot be given away at all. Then the content is copied: first a marker that no
reader accepts takes the place of the header, then the bytes after the header are written, and the header comes last.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from typing import TYPE_CHECKING, Any

from mrcarray.errors import printable
from mrcarray.unfinished import MARKER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["HEAD", "REFUSED", "copy_over", "open_target", "warning_text", "write_over"]

REFUSED = frozenset({errno.EBUSY, errno.EXDEV, errno.EPERM})
"""Errors of a rename that do not forbid writing to the file itself: it is a mount point, or its folder is protected."""

HEAD = 1024
"""Bytes that are written last."""

_PIECE = 8 << 20
_FLAGS = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NOT_RESERVED = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, getattr(errno, "ENOTSUP", errno.EOPNOTSUPP)}


def warning_text(path: str, reason: str) -> str:
    """Return the warning for a file with content that is about to be overwritten by copying."""
    return (
        f"{printable(path)}: the system does not let a new file take this name ({reason}), so the complete new content "
        "is copied over the file; if the copying is interrupted, the file is unfinished, its old content is lost, and "
        "the new content is in a file next to it whose name ends in .rescued"
    )


def open_target(path: str, calls: Any, *, empty: bool) -> int | None:
    """Open a file to copy over, and lock it against a second writer.

    Parameters
    ----------
    path : str
        The file.
    calls : Calls
        The calls to the system.
    empty : bool
        Whether only an empty file is wanted.

    Returns
    -------
    int or None
        A descriptor; None when the file cannot be opened, another writer has it, or it is not empty and should be.
    """
    try:
        descriptor: int = calls.open(path, _FLAGS)
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


def copy_over(  # noqa: PLR0913 -- two files, and how to write
    source: int,
    temp: str,
    target: int,
    path: str,
    *,
    calls: Any,
    write: Callable[[int, int, Any, str], None],
    sync: bool,
) -> None:
    """Copy a finished file over another: marker first, header last.

    Parameters
    ----------
    source, temp : int, str
        Descriptor and name of the finished file.
    target, path : int, str
        Descriptor and name of the file to overwrite.
    calls : Calls
        The calls to the system.
    write : callable
        ``write(descriptor, start, data, path)`` writes all of some bytes.
    sync : bool
        Whether each step is on the disk before the next one.

    Raises
    ------
    OSError
        When a call fails. A file that was empty is empty again, and one with content is as it was, if the marker was
        not written yet. After that the finished file keeps a name of its own, which the error gives.
    """
    size, before = calls.fstat(source).st_size, calls.fstat(target).st_size
    kept = _kept(temp, path, calls) if before else ""
    try:
        _mark(target, size, path, calls=calls, write=write, sync=sync)
    except BaseException:
        _remove(kept, calls)
        raise
    try:
        for start, stop in _spans(source, HEAD, size, whole=before > 0):
            write(target, start, _bytes(source, start, stop, path), path)
        _finish(target, size, _bytes(source, 0, min(size, HEAD), path), path, calls=calls, write=write, sync=sync)
    except BaseException as error:
        if before == 0:
            with contextlib.suppress(OSError):
                calls.ftruncate(target, 0)
            raise
        raise _naming(error, kept, path) from error.__cause__
    _remove(kept, calls)


def write_over(  # noqa: PLR0913 -- as for `copy_over`
    target: int, content: bytes, path: str, *, calls: Any, write: Callable[[int, int, Any, str], None], sync: bool
) -> None:
    """Write content that is in memory over a file, as `copy_over` does where a folder takes no temporary file.

    Raises
    ------
    OSError
        When a call fails. A full disk leaves the file as it was; after other errors it may be unfinished.
    """
    _mark(target, len(content), path, calls=calls, write=write, sync=sync)
    write(target, HEAD, memoryview(content)[HEAD:], path)
    _finish(target, len(content), content[:HEAD], path, calls=calls, write=write, sync=sync)


def _mark(  # noqa: PLR0913 -- as for `copy_over`
    target: int, size: int, path: str, *, calls: Any, write: Callable[[int, int, Any, str], None], sync: bool
) -> None:
    """Reserve room, and mark the file as unfinished; when that fails, it is as it was."""
    before = calls.fstat(target).st_size
    first = os.pread(target, HEAD, 0)
    try:
        if before:  # a full disk shows before anything is overwritten
            _reserve(target, size, before, calls)
        write(target, 0, MARKER[: min(size, HEAD)], path)
        _sync(target, calls, sync=sync)
        if not before:
            _reserve(target, size, before, calls)
    except BaseException:
        with contextlib.suppress(OSError):
            write(target, 0, first, path)
            calls.ftruncate(target, before)
        raise


def _finish(  # noqa: PLR0913 -- as for `copy_over`
    target: int,
    size: int,
    head: bytes,
    path: str,
    *,
    calls: Any,
    write: Callable[[int, int, Any, str], None],
    sync: bool,
) -> None:
    """Write the header of a file whose other bytes are there."""
    calls.ftruncate(target, size)
    _sync(target, calls, sync=sync)
    write(target, 0, head, path)
    _sync(target, calls, sync=sync)


def _bytes(source: int, start: int, stop: int, path: str) -> bytes:
    """Read some bytes, however often the system stops short: what was missing would become zeros."""
    out = os.pread(source, stop - start, start)
    while len(out) < stop - start:
        more = os.pread(source, stop - start - len(out), start + len(out))
        if not more:
            raise OSError(errno.EIO, "the finished temporary file became shorter while it was copied", path)
        out += more
    return out


def _sync(descriptor: int, calls: Any, *, sync: bool) -> None:
    if sync:
        calls.fsync(descriptor)


def _reserve(target: int, size: int, before: int, calls: Any) -> None:
    """Have room for the content, where the file system can promise it."""
    if size <= before:
        return
    try:
        calls.fallocate(target, size)
    except OSError as error:
        if error.errno not in _NOT_RESERVED:
            raise


def _spans(source: int, start: int, stop: int, *, whole: bool) -> Iterator[tuple[int, int]]:
    """Give the pieces to copy; holes are left out unless the `whole` file has to be written."""
    while start < stop:
        first, last = (start, stop) if whole else _data(source, start, stop)
        for at in range(first, last, _PIECE):
            yield at, min(at + _PIECE, last)
        start = last


def _data(source: int, start: int, stop: int) -> tuple[int, int]:
    """Return the next bytes that are no hole, as far as the file system can tell."""
    if not hasattr(os, "SEEK_DATA"):  # pragma: no cover -- systems without it
        return start, stop
    try:
        first = os.lseek(source, start, os.SEEK_DATA)
    except OSError as error:
        return (stop, stop) if error.errno == errno.ENXIO else (start, stop)
    return first, min(stop, os.lseek(source, first, os.SEEK_HOLE))


def _kept(temp: str, path: str, calls: Any) -> str:
    """Give the finished file a name that no clean-up removes, as a kill during the copy leaves no other whole content.

    Returns
    -------
    str
        The name; empty where the folder takes none.
    """
    name = f"{path}.{secrets.token_hex(4)}.rescued"
    for give in (calls.link, calls.replace):  # not every file system has hard links
        with contextlib.suppress(OSError):
            give(temp, name)
            return name
    return ""


def _remove(kept: str, calls: Any) -> None:
    if kept:
        with contextlib.suppress(OSError):
            calls.unlink(kept)


def _naming(error: BaseException, kept: str, path: str) -> BaseException:
    """Return the error with the name of the file that has the complete new content."""
    if not kept:
        return error
    text = f"the file was overwritten in part; the complete new content is in {printable(kept)}"
    if isinstance(error, OSError):
        return OSError(error.errno, f"{error.strerror}; {text}", path)
    error.add_note(f"{printable(path)}: {text}")
    return error
