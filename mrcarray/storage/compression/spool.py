"""Keep uncompressed bytes of formats without checkpoints: `Spool`, in memory while few, then in a temporary file."""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from typing import TYPE_CHECKING

from mrcarray.errors import MrcValueError, printable
from mrcarray.positional_io import preadv, pwrite

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FOLDER", "MEMORY", "Spool"]

FOLDER = "MRCARRAY_SPOOL_FOLDER"
"""Environment variable: the folder for temporary files; without it, the system's."""

MEMORY = "MRCARRAY_SPOOL_MEMORY"
"""Environment variable: bytes of one file that are kept in memory before a temporary file is used."""

DEFAULT = 64 << 20


class Spool:
    """Bytes that can be added at the end and read anywhere, also at the same time.

    The temporary file has no name once it is open, so it is gone with the process however that ends.

    Parameters
    ----------
    name : str
        The compressed file, for error texts.

    Examples
    --------
    >>> import numpy as np
    >>> spool = Spool("a.mrc.xz")
    >>> spool.append(memoryview(b"abcdef"))
    >>> out = np.empty(3, np.uint8)
    >>> spool.read_into(2, out), bytes(out)
    (3, b'cde')
    """

    def __init__(self, name: str) -> None:
        self.size = 0
        self._name = name
        self._folder = os.environ.get(FOLDER) or None
        self._memory = _limit()
        self._bytes = bytearray()
        self._lock = threading.Lock()
        self._descriptor: int | None = None

    @property
    def on_disk(self) -> bool:
        """Whether a temporary file is used."""
        return self._descriptor is not None

    @property
    def in_memory(self) -> int:
        """Bytes held in memory."""
        return len(self._bytes)

    def append(self, data: memoryview) -> None:
        """Add bytes at the end.

        Raises
        ------
        OSError
            When the temporary file cannot be made or is full.
        """
        with self._lock:
            try:
                if self._descriptor is None and self.size + len(data) > self._memory:
                    descriptor = self._open()
                    _write(descriptor, memoryview(bytes(self._bytes)), 0)
                    self._descriptor, self._bytes = descriptor, bytearray()
                if self._descriptor is None:
                    self._bytes += data
                else:
                    _write(self._descriptor, data, self.size)
            except OSError as error:
                where = self._folder or tempfile.gettempdir()
                text = f"{error.strerror}, while uncompressed bytes are kept in {where}; {FOLDER} names another folder"
                raise type(error)(error.errno, printable(text), self._name) from None
            self.size += len(data)

    def read_into(self, start: int, out: NDArray[np.uint8]) -> int:
        """Fill `out` from byte `start`; return the bytes read, fewer only at the end."""
        rest = out.data[: max(0, self.size - start)]
        with self._lock:
            if self._descriptor is None:
                rest[:] = self._bytes[start : start + len(rest)]
                return len(rest)
        done = 0
        while done < len(rest):
            done += preadv(self._descriptor, [rest[done:]], start + done)
        return done

    def _open(self) -> int:
        file = tempfile.TemporaryFile(dir=self._folder, prefix="spool-", buffering=0)  # noqa: SIM115 -- closed by `finalize`
        weakref.finalize(self, file.close)
        return file.fileno()


def _limit() -> int:
    """Return how many bytes of a file are kept in memory."""
    text = os.environ.get(MEMORY) or str(DEFAULT)
    try:
        return int(text)
    except ValueError:
        raise MrcValueError(f"the environment variable {MEMORY} is {text!r}; expected a number of bytes") from None


def _write(descriptor: int, data: memoryview, at: int) -> None:
    done = 0
    while done < len(data):
        done += pwrite(descriptor, data[done:], at + done)
