"""A Python file object on a temporary file, for libraries that write a format: HDF5, TIFF.

HDF5 1.14 crashes the interpreter (SIGSEGV) when a write fails while it flushes or closes a file, as on a full disk, and
when it cannot read back what it wrote. So no error passes through the library: `write` stores the first error, and from
then on keeps small pieces in memory for reading and drops large ones. The caller of the library calls `check` between
two pieces, which raises the error.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

from mrcarray.positional_io import preadv
from mrcarray.storage.syscalls import calls

if TYPE_CHECKING:
    from mrcarray.storage.atomic import AtomicFile

__all__ = ["AtomicStream"]

_SMALL = 1 << 20
_KEPT = 64 << 20
"""Maximum bytes of metadata kept after an error."""


class AtomicStream(io.RawIOBase):
    """A file object with a cursor that writes to an `AtomicFile`.

    Parameters
    ----------
    file : AtomicFile
        The temporary file.
    """

    def __init__(self, file: AtomicFile) -> None:
        super().__init__()
        self.file = file
        self.error: BaseException | None = None
        """The first error of a write."""
        self._kept: list[tuple[int, bytes]] = []
        self._at = self._end = self._reserved = 0

    def reserve(self, size: int) -> None:
        """Reserve disk space, so that a full disk fails now; `finish` frees what was not used."""
        self.file.reserve(size)
        self._reserved = size

    def check(self) -> None:
        """Raise the first error, if there was one."""
        if self.error is not None:
            raise self.error

    def finish(self) -> None:
        """Cut the file to the size that was written; raise the first error, if there was one."""
        self.check()
        if self._reserved > self._end:
            calls.ftruncate(self.file.descriptor, self._end)

    def readable(self) -> bool:
        """Return True: HDF5 reads what it wrote."""
        return True

    def writable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position, and return it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read at the position."""
        view = memoryview(buffer).cast("B")
        view = view[: max(0, self._end - self._at)]
        count = preadv(self.file.descriptor, [view], self._at)
        if self._kept:
            view[count:] = bytes(len(view) - count)
            count = len(view)
            for start, data in self._kept:
                first, stop = max(start, self._at), min(start + len(data), self._at + count)
                if first < stop:
                    view[first - self._at : stop - self._at] = data[first - start : stop - start]
        self._at += count
        return count

    def write(self, data: Any) -> int:
        """Write at the position; store the first error for `check`."""
        count = memoryview(data).nbytes
        if self.error is None:
            try:
                self.file.write_at(self._at, data)
            except BaseException as error:  # noqa: BLE001 -- Ctrl-C, too, must not pass through the library
                self.error = error
        if self.error is not None and count <= _SMALL and sum(len(piece) for _, piece in self._kept) < _KEPT:
            self._kept.append((self._at, bytes(memoryview(data).cast("B"))))
        self._at += count
        self._end = max(self._end, self._at)
        return count

    def truncate(self, size: int | None = None) -> int:
        """Cut or extend what was written."""
        self._end = self._at if size is None else size
        if self.error is None:
            self._reserved = 0
            try:
                calls.ftruncate(self.file.descriptor, self._end)
            except BaseException as error:  # noqa: BLE001 -- as in `write`
                self.error = error
        return self._end
