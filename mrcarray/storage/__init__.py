"""Where bytes live: files, memory, file objects, and what is added by compression and distance.

`open_source` is the door; `protocols` says what a source can do. Nothing in this room knows what the bytes mean.
"""

from __future__ import annotations

import importlib
import os
import stat
from typing import TYPE_CHECKING, Any

from mrcarray.errors import MissingDependencyError
from mrcarray.storage.codecs import detect
from mrcarray.storage.fileobj import from_file_object, read_stream
from mrcarray.storage.local import HEAD, LocalSource
from mrcarray.storage.memory import MemorySource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mrcarray.storage.protocols import ByteSource

__all__ = ["open_source"]


def open_source(
    file: Any, *, storage_options: Mapping[str, Any] | None = None, index: bool | str | os.PathLike[str] = False
) -> ByteSource:
    """Return a source of the (uncompressed) bytes of a file.

    Parameters
    ----------
    file : str, os.PathLike, bytes, bytearray, memoryview or binary file object
        A path, a URL, the bytes themselves, or an object to read them from, which is never closed. A named pipe or an
        object that cannot be positioned is read to its end into memory.
    storage_options : mapping, optional
        For URLs: credentials and the like.
    index : bool or path
        For compressed files: keep the seek index in a file (see `mrcarray.storage.compression.seekindex`).

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
    source = _open(file, storage_options)
    codec = detect(bytes(source.read(0, HEAD)))
    return source if codec is None else codec.open(source, index)


def _open(file: Any, storage_options: Mapping[str, Any] | None) -> ByteSource:
    if isinstance(file, bytes | bytearray | memoryview):
        return MemorySource(file)
    if isinstance(file, str) and is_url(file):
        return _open_url(file, storage_options)
    if isinstance(file, str | os.PathLike):
        return _open_path(os.fsdecode(file))
    if callable(getattr(file, "read", None)):
        return from_file_object(file)
    kind = "None" if file is None else type(file).__name__
    raise TypeError(f"expected a path, a URL, bytes or a binary file object, not {kind}")


def is_url(text: str) -> bool:
    """Tell whether a string names something by URL, or by a chain of them.

    Examples
    --------
    >>> is_url("s3://bucket/a.mrc"), is_url("a.mrc")
    (True, False)
    """
    return "://" in text or ("::" in text and not os.path.exists(text))  # noqa: PTH110 -- it is text still


def _open_url(url: str, storage_options: Mapping[str, Any] | None) -> ByteSource:
    try:
        remote = importlib.import_module("mrcarray.storage.remote")
    except ModuleNotFoundError as error:
        raise MissingDependencyError(f"URLs cannot be opened without {error.name}") from error
    source: ByteSource = remote.open_remote(url, storage_options)
    return source


def _open_path(path: str) -> ByteSource:
    mode = os.stat(path).st_mode  # noqa: PTH116 -- this runs for every file
    if stat.S_ISFIFO(mode):
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 -- as above
            return MemorySource(read_stream(stream), path)
    return LocalSource.open(path)
