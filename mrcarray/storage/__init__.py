"""Where the bytes live: files, memory, file objects, compressed and remote files.

`open_source` opens all of them; `source` defines what a source can do. This package does not know what the bytes mean.
"""

from __future__ import annotations

import importlib
import os
import stat
import sys
from typing import TYPE_CHECKING, Any

from mrcarray.errors import missing_package
from mrcarray.storage.compression.codecs import detect
from mrcarray.storage.fileobj import from_file_object, read_stream
from mrcarray.storage.local import LocalSource
from mrcarray.storage.memory import MemorySource
from mrcarray.storage.source import HEAD_NBYTES, ByteSource
from mrcarray.urls import is_url

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["OpenedFingerprint", "open_source"]

ZIP = "zip://"
"""Start of the URL of a member of a zip archive, in a chain."""


class OpenedFingerprint(tuple[Any, ...]):  # noqa: SLOT001 -- a tuple can have no slots of its own
    """Fingerprint tuple that also carries the open source, so that `xr.open_dataset` need not reopen it.

    It is equal to the plain tuple.
    """

    source: ByteSource

    @classmethod
    def of(cls, source: ByteSource) -> OpenedFingerprint:
        """Return the fingerprint of `source`, with `source`."""
        self = cls(source.fingerprint)
        self.source = source
        return self


def open_source(
    file: Any, *, storage_options: Mapping[str, Any] | None = None, index: bool | str | os.PathLike[str] = False
) -> ByteSource:
    """Return a source of the (uncompressed) bytes of a file.

    Parameters
    ----------
    file : str, os.PathLike, bytes, bytearray, memoryview, binary file object or ByteSource
        A path, a URL, the bytes themselves, or an object to read them from, which is never closed. A named pipe or an
        object that cannot seek is read to its end into memory. A source is returned unchanged.
    storage_options : mapping, optional
        For URLs: credentials and the like.
    index : bool or path
        For compressed files: keep an index in a file (see `mrcarray.storage.compression.index_file`).

    Returns
    -------
    ByteSource

    Raises
    ------
    TypeError
        When `file` is none of these.
    OSError
        When it cannot be opened.

    Examples
    --------
    >>> open_source(b"abc").size()
    3
    """
    if not isinstance(file, str) and isinstance(file, ByteSource):
        return file
    source = _open(file, storage_options)
    first = bytes(source.read(0, HEAD_NBYTES))
    codec = detect(first)
    if codec is None:
        return source
    from mrcarray.storage.compression.source import open_compressed  # not loaded for plain files

    unpacked = open_compressed(source, codec, first, index=index)
    again = detect(unpacked.head)  # a .map.gz that was compressed again, alone or in an archive
    return unpacked if again is None else open_compressed(unpacked, again, unpacked.head)


def _open(file: Any, storage_options: Mapping[str, Any] | None) -> ByteSource:
    if isinstance(file, bytes | bytearray | memoryview):
        return MemorySource(file)
    if isinstance(file, str) and is_url(file):
        return _open_url(file, storage_options)
    if isinstance(file, str | os.PathLike):
        return _open_path(os.fsdecode(file))
    if callable(getattr(file, "read", None)):
        return _open_member(file) or from_file_object(file)
    kind = "None" if file is None else type(file).__name__
    raise TypeError(f"expected a path, a URL, bytes or a binary file object, not {kind}")


def _open_url(url: str, storage_options: Mapping[str, Any] | None) -> ByteSource:
    if url.startswith(ZIP) and "::" in url:
        found = _find_member(url, storage_options)
        if found is not None:
            return found
    try:
        remote = importlib.import_module("mrcarray.storage.remote.source")
    except ModuleNotFoundError as error:
        raise missing_package("opening a URL", str(error.name), "remote") from error
    source: ByteSource = remote.open_remote(url, storage_options)
    return source


def _find_member(url: str, storage_options: Mapping[str, Any] | None) -> ByteSource | None:
    """Return the source for a member of a zip archive, or None where fsspec must read it."""
    from mrcarray.storage.remote.zip_member import find_member

    member, archive_url = url.removeprefix(ZIP).split("::", 1)
    protocols = {part.partition("://")[0] for part in archive_url.split("::")}
    if set(storage_options or ()) - protocols:  # options for the archive itself are fsspec's
        return None
    archive = _open(os.path.expanduser(archive_url), storage_options)  # noqa: PTH111 -- it may be a URL
    return find_member(archive, member.strip("/"))


def _open_member(file: Any) -> ByteSource | None:
    """Return the source for an open member of a zip archive, or None for other objects."""
    zipfile = sys.modules.get("zipfile")
    if zipfile is None or not isinstance(file, zipfile.ZipExtFile):
        return None
    from mrcarray.storage.remote.zip_member import member_of

    return member_of(file)


def _open_path(path: str) -> ByteSource:
    mode = os.stat(path).st_mode  # noqa: PTH116 -- this runs for every file
    if stat.S_ISFIFO(mode):
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 -- as above
            return MemorySource(read_stream(stream), path)
    return LocalSource.open(path)
