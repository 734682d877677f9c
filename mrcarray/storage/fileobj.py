"""Byte sources of file objects and streams, and the reverse: a file object of a byte source."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import threading
import uuid
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import ClosedError, printable
from mrcarray.storage.memory import MemorySource
from mrcarray.storage.source import with_path

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray

    from mrcarray.storage.source import ByteSource

__all__ = ["FileObjectSource", "SourceFile", "from_file_object", "read_stream"]

_BLOCK = 1 << 20

_Identity = tuple[str, threading.Lock]

_identities: dict[int, tuple[weakref.ref[Any], _Identity]] = {}
_identities_lock = threading.RLock()  # a finalizer may run during a lookup


def _identity(file: Any) -> _Identity:
    """Return the name and lock of an object, the same for all its sources; equal objects have different ones."""
    fresh = (uuid.uuid4().hex, threading.Lock())
    key = id(file)
    with _identities_lock:
        known = _identities.get(key)
        if known is not None and known[0]() is file:
            return known[1]
        with contextlib.suppress(TypeError):  # it cannot be weakly referenced
            _identities[key] = (weakref.ref(file, lambda gone: _forget(key, gone)), fresh)
        return fresh


def _forget(key: int, gone: weakref.ref[Any]) -> None:
    """Drop the identity of a deleted object, unless another object has its id."""
    with _identities_lock:
        if key in _identities and _identities[key][0] is gone:
            del _identities[key]


class FileObjectSource:
    """Byte source of a seekable binary file object of the caller.

    The object is never closed, and each read restores its position.

    Parameters
    ----------
    file : file object
        With ``read``, ``seek`` and ``tell``.
    name : str, optional
        Name for messages; by default the name of the object.
    of : object, optional
        The object that identifies the source and whose `closed` counts, if it is not `file`.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO(b"abcdef")
    >>> bytes(FileObjectSource(file).read(2, 4)), file.tell()
    (b'cd', 0)
    """

    __slots__ = ("_file", "_id", "_lock", "_name", "_of", "_size")

    def __init__(self, file: Any, name: str | None = None, of: Any = None) -> None:
        self._file = file
        self._of = file if of is None else of
        self._name = name or _name_of(file)
        self._id, self._lock = _identity(self._of)
        with self._lock:
            position = file.tell()
            self._size: int = file.seek(0, 2)
            file.seek(position)

    @property
    def name(self) -> str:
        """Name for messages."""
        return self._name

    @property
    def fingerprint(self) -> tuple[Hashable, ...]:
        """Size, and a name that is unique to the object in this process."""
        return (self._size, self._id)

    def size(self) -> int:
        """Return the number of bytes."""
        return self._size

    def read(self, start: int, stop: int) -> memoryview:
        """Return the bytes ``start:stop``; fewer only at the end."""
        out = np.empty(max(0, min(stop, self._size) - start), dtype=np.uint8)
        return out[: self.read_into(start, out)].data.toreadonly()

    def read_into(self, start: int, out: NDArray[np.uint8]) -> int:
        """Fill `out` from byte `start`; return the bytes read, fewer only at the end."""
        with self._lock:
            if getattr(self._of, "closed", False):
                text = "the file object was closed; keep it open while reading, or open the file by its path"
                raise ClosedError(f"{printable(self._name)}: {text}")
            position = self._file.tell()
            try:
                self._file.seek(start)
                return _fill(self._file, out)
            except OSError as error:
                raise with_path(error, self._name) from None
            finally:
                self._file.seek(position)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FileObjectSource) and self._of is other._of

    def __hash__(self) -> int:
        return hash((FileObjectSource, id(self._of)))

    def __reduce__(self) -> tuple[Any, ...]:
        """Refuse: only the caller knows how to open the object in another process."""
        raise TypeError(
            f"{printable(self._name)}: a file object cannot be sent to another process; open it by its path"
        )

    def __repr__(self) -> str:
        return f"FileObjectSource({self._name!r}, {self._size} bytes)"


def from_file_object(file: Any) -> FileObjectSource | MemorySource:
    """Return a source of a readable binary object; an object without ``seek`` is read to its end."""
    seekable = getattr(file, "seekable", None)
    if hasattr(file, "seek") and hasattr(file, "tell") and (seekable is None or seekable()):
        if isinstance(file.read(0), str):
            raise TypeError(f"{type(file).__name__} returns text; open the file in binary mode")
        return FileObjectSource(file)
    return MemorySource(read_stream(file), _name_of(file))


def read_stream(file: Any) -> bytearray:
    """Read a stream to its end."""
    content = bytearray()
    while block := file.read(_BLOCK):
        if isinstance(block, str):
            raise TypeError(f"{type(file).__name__} returns text; open the stream in binary mode")
        content += block
    return content


def _fill(file: Any, out: NDArray[np.uint8]) -> int:
    """Fill `out` by as many reads as needed."""
    done = 0
    rest = out.data
    while done < len(rest):
        block = file.read(len(rest) - done)
        if not block:
            break
        rest[done : done + len(block)] = block
        done += len(block)
    return done


def _name_of(file: Any) -> str:
    name = getattr(file, "name", None)
    return name if isinstance(name, str) and name else f"<{type(file).__name__}>"


class SourceFile(io.RawIOBase):
    """A source of known size as a file object, for libraries that read one; the bytes read last are kept.

    Parameters
    ----------
    source : ByteSource
        The bytes.
    """

    def __init__(self, source: ByteSource) -> None:
        super().__init__()
        self._source = source
        self._at = self._base = 0
        self.held: bytes | memoryview = b""

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position and return it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}
        at = offset + (base[whence] if whence in base else self._source.size() or 0)
        if at < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._at = at
        return at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer from the bytes kept, or read others; return the bytes read, fewer also where those kept end."""
        view = memoryview(buffer).cast("B")
        if not self._base <= self._at < self._base + len(self.held):
            found = self.fetch(self._at, len(view))
            if not found:  # at the end; the bytes kept may be read again
                return 0
            self._base, self.held = self._at, found
        part = self.held[self._at - self._base :][: len(view)]
        view[: len(part)] = part
        self._at += len(part)
        return len(part)

    def fetch(self, at: int, size: int) -> memoryview:
        """Read `size` bytes of the source; more may be kept."""
        return self._source.read(at, at + size)
