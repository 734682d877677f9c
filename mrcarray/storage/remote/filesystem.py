"""Read files of any other file system of fsspec: `FsspecTransport`."""

from __future__ import annotations

import contextlib
import errno
import io
import os
from typing import TYPE_CHECKING, Any

from mrcarray import _compat
from mrcarray.errors import MrcValueError, StaleFileError
from mrcarray.storage.remote.http import HttpTransport
from mrcarray.storage.remote.http_response import Limits
from mrcarray.storage.remote.s3 import S3Transport
from mrcarray.storage.remote.transport import CONCURRENT, Fingerprint, Piece, Transport, changes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["FsspecTransport", "transport_for"]

TAGS = (
    *("etag", "ETag", "generation", "md5Hash", "content_md5", "checksum", "CRC"),
    *("LastModified", "last_modified", "updated", "mtime", "modified", "date_time", "created"),
)
"""Names that file systems give to facts which change with a file."""


def transport_for(connect: Callable[[], tuple[Any, str]], name: str, limits: Limits = Limits()) -> Transport:  # noqa: B008 -- immutable
    """Return access to what `connect` returns: an fsspec file system and a path in it.

    Raises
    ------
    MrcValueError
        When `limits` were set and fsspec makes the requests itself.
    """
    fs, path = connect()
    protocols = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
    if fs.async_impl and "http" in protocols and hasattr(fs, "set_session"):
        return HttpTransport(fs, path, name, limits)
    if fs.async_impl and "s3" in protocols and _compat.calls_s3(fs):
        return S3Transport(fs, path, name, limits)
    if limits != Limits():
        raise MrcValueError("min_rate and total_timeout are options of http, https and s3 URLs, not of this protocol")
    return FsspecTransport(connect if is_archive(fs) else lambda: (fs, path), name)


def is_archive(fs: Any) -> bool:
    """Return whether a file system is the inside of one file, which it holds open."""
    return hasattr(fs, "fo") and not fs.async_impl


class FsspecTransport:
    """A file of which size and tag are asked for before each read, for the answers contain neither.

    Parameters
    ----------
    connect : callable
        Returns the file system and the path in it.
    name : str
        What error texts call the file.
    """

    def __init__(self, connect: Callable[[], tuple[Any, str]], name: str) -> None:
        self._connect = connect
        self.name = name

    def open(self, view: memoryview) -> tuple[int, Fingerprint]:
        """Fill `view` with the first bytes; return how many there are, size and tag."""
        with self._connected() as (fs, path):
            found = self._facts(fs, path)
            if found[0] is None:
                with fs.open(path, "rb") as file:
                    found = (file.seek(0, io.SEEK_END), found[1])
            count = min(len(view), found[0] or 0)
            self._read(fs, path, [(0, view[:count])])
        return count, found

    def fetch(self, pieces: Sequence[Piece], expected: Fingerprint) -> list[int]:
        """Fill all pieces."""
        with self._connected() as (fs, path):
            if changed := changes(self.name, expected, self._facts(fs, path)):
                raise StaleFileError(changed)
            self._read(fs, path, pieces)
        return [len(view) for _, view in pieces]

    @contextlib.contextmanager
    def _connected(self) -> Iterator[tuple[Any, str]]:
        """Give the file system; close the file that an archive holds open in the end."""
        fs, path = self._connect()
        try:
            yield fs, path
        finally:
            if is_archive(fs):
                for held in ("zip", "tar", "fo"):
                    if hasattr(getattr(fs, held, None), "close"):
                        getattr(fs, held).close()

    def _facts(self, fs: Any, path: str) -> Fingerprint:
        fs.invalidate_cache(path)
        info = fs.info(path)
        if info.get("type") == "directory":
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self.name)
        tags = (info.get(key) for key in TAGS)
        return info.get("size"), str(next((tag for tag in tags if tag), ""))

    def _read(self, fs: Any, path: str, pieces: Sequence[Piece]) -> None:
        if fs.async_impl:
            parts = fs.cat_ranges(
                [path] * len(pieces),
                [start for start, _ in pieces],
                [start + len(view) for start, view in pieces],
                batch_size=CONCURRENT,
                on_error="raise",
            )
            for (_, view), part in zip(pieces, parts, strict=True):
                self._check(len(part), len(view))
                view[:] = part
            return
        with fs.open(path, "rb") as file:
            for start, view in pieces:
                file.seek(start)
                done = 0
                while done < len(view) and (block := file.read(len(view) - done)):
                    view[done : done + len(block)] = block
                    done += len(block)
                self._check(done, len(view))

    def _check(self, count: int, wanted: int) -> None:
        if count != wanted:
            raise OSError(errno.EIO, f"{wanted} bytes were asked for, {count} arrived", self.name)
