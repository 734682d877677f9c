"""The caller's own file objects and streams."""

from __future__ import annotations

import contextlib
import threading
import uuid
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import ClosedError, printable
from mrcarray.storage.memory import MemorySource

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray

__all__ = ["FileObjectSource", "from_file_object", "read_stream"]

BLOCK = 1 << 20

_Identity = tuple[str, threading.Lock]

_identities: dict[int, tuple[weakref.ref[Any], _Identity]] = {}
_identities_lock = threading.RLock()  # the end of a file object may be noticed while another is looked up


def _identity(file: Any) -> _Identity:
    """Return a name and a lock that belong to the object, however many sources it is in; equal objects are two."""
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
    """Drop the identity of an object that is no more, unless another has its place."""
    with _identities_lock:
        if key in _identities and _identities[key][0] is gone:
            del _identities[key]


class FileObjectSource:
    """A seekable binary file object that belongs to the caller.

    It is never closed, and its position is the same after each read as before.

    Parameters
    ----------
    file : file object
        With ``read``, ``seek`` and ``tell``.
    name : str, optional
        What error texts call it; by default the object's own name.
    of : object, optional
        What it is to be known by, if that is another object.

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
        """What error texts call it."""
        return self._name

    @property
    def fingerprint(self) -> tuple[Hashable, ...]:
        """Size, and a name that belongs to the object while this process lives."""
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
            if getattr(self._file, "closed", False):
                text = "the file object was closed; keep it open while it is read, or open the file by its path"
                raise ClosedError(f"{printable(self._name)}: {text}")
            position = self._file.tell()
            try:
                self._file.seek(start)
                return _fill(self._file, out)
            except OSError as error:
                raise _named(error, self._name) from None
            finally:
                self._file.seek(position)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FileObjectSource) and self._of is other._of

    def __hash__(self) -> int:
        return hash((FileObjectSource, id(self._of)))

    def __reduce__(self) -> tuple[Any, ...]:
        """Refuse: only the caller knows how to open the object again elsewhere."""
        raise TypeError(
            f"{printable(self._name)}: a file object cannot be sent to another process; open it by its path"
        )

    def __repr__(self) -> str:
        return f"FileObjectSource({self._name!r}, {self._size} bytes)"


def from_file_object(file: Any) -> FileObjectSource | MemorySource:
    """Return a source around a readable binary object; what cannot be positioned is read to its end."""
    seekable = getattr(file, "seekable", None)
    if hasattr(file, "seek") and hasattr(file, "tell") and (seekable is None or seekable()):
        if isinstance(file.read(0), str):
            raise TypeError(f"{type(file).__name__} gives text; open the file in binary mode")
        return FileObjectSource(file)
    return MemorySource(read_stream(file), _name_of(file))


def read_stream(file: Any) -> bytearray:
    """Return all bytes a stream still has."""
    content = bytearray()
    while block := file.read(BLOCK):
        if isinstance(block, str):
            raise TypeError(f"{type(file).__name__} gives text; open the stream in binary mode")
        content += block
    return content


def _fill(file: Any, out: NDArray[np.uint8]) -> int:
    """Fill `out` by as many reads as it takes."""
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


def _named(error: OSError, name: str) -> OSError:
    return (
        error if error.filename is not None or error.errno is None else type(error)(error.errno, error.strerror, name)
    )
