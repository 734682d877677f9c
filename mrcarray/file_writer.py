"""Write a whole new file, which takes its name when it is complete.

`mrcarray.writer.Writer`, dask tasks and the classic API write their files with a `FileWriter`. It owns the temporary
file, compresses, converts and counts pixels in threads, and writes the header last.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self

from mrcarray.block_writer import store, store_array
from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.storage.atomic import AtomicFile
from mrcarray.storage.lease import Lease
from mrcarray.storage.syscalls import pwrite_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mrcarray.format import regions
    from mrcarray.format.layout import Layout
    from mrcarray.statistics import Stats
    from mrcarray.storage.compression.writer import Compressor, StreamSink

__all__ = ["FileWriter"]


class FileWriter:
    """A new file that is being written; its first `HEADER_NBYTES` bytes are written by `commit`.

    The bytes of the header have no meaning here. A plain file is written in any order, from any number of threads; a
    compressed file from its first byte to its last.

    Parameters
    ----------
    path : str or path
        The target.
    head : bytes
        First bytes of the unfinished file: a header that readers refuse, and what follows it. Without them, the file
        begins with zeros until `commit`.
    size : int
        Bytes to reserve on the disk for a plain file; 0 lets the file grow.
    overwrite : bool
        Whether an existing file may be replaced.
    sync : bool
        Whether the file is on the disk when `commit` returns.
    compression : {"auto", "gzip", "bzip2"} or None
        ``"auto"`` chooses by the suffix of `path`.
    level : int, optional
        Compression level.
    shared : bool
        Whether other tasks write everything after `head`, by the `lease`. Then a compressed file gets `head` now, and
        they append to it.

    Raises
    ------
    FileExistsError
        When the target exists and `overwrite` is false.
    OSError
        When the folder does not exist or cannot be written to, or the disk is full.

    Examples
    --------
    >>> import numpy as np
    >>> with FileWriter("numbers.bin") as file:
    ...     stats = file.write_array(1024, np.arange(5, dtype="<i2"))
    ...     file.commit(b"header".ljust(1024))
    >>> stats.maximum, np.fromfile("numbers.bin", "<i2", offset=1024).tolist()
    (4.0, [0, 1, 2, 3, 4])
    """

    def __init__(  # noqa: PLR0913 -- the options of every write
        self,
        path: str | os.PathLike[str],
        *,
        head: bytes = b"",
        size: int = 0,
        overwrite: bool = False,
        sync: bool = True,
        compression: str | None = None,
        level: int | None = None,
        shared: bool = False,
    ) -> None:
        from mrcarray.storage.compression.writer import StreamSink, compressor_for

        compressor = compressor_for(os.fsdecode(path), compression, level)
        self._file, self._compressor = AtomicFile(path, overwrite=overwrite, sync=sync), compressor
        self._stream: StreamSink | None = None
        #: The right of other tasks to write to the file, when it is `shared`.
        self.lease: Lease | None = None
        try:
            if shared:
                self.lease = Lease.of(self._file, head_of(head, compressor))
            elif compressor is None:
                self._file.write_at(0, head)
            else:
                self._stream = StreamSink(self._file, compressor, HEADER_NBYTES)
                self.write_at(HEADER_NBYTES, head[HEADER_NBYTES:])
            if compressor is None:
                self._file.reserve(size)
        except BaseException:
            self._file.abort()
            raise

    @classmethod
    def adopt(
        cls, lease: Lease, path: str, *, overwrite: bool, sync: bool, compressor: Compressor | None = None
    ) -> FileWriter:
        """Take over the temporary file of a lease, which other tasks have written.

        Parameters
        ----------
        lease : Lease
            Of the temporary file.
        path : str
            The real path of the target.
        overwrite, sync : bool
            As for the constructor.
        compressor : Compressor, optional
            How the file is compressed.
        """
        self = cls.__new__(cls)
        self._file = AtomicFile.adopt(lease.open(), lease.temp, path, overwrite=overwrite, sync=sync)
        self._compressor, self._stream, self.lease = compressor, None, lease
        return self

    @property
    def temp(self) -> str:
        """The temporary file."""
        return self._file.temp

    @property
    def path(self) -> str:
        """The real path of the target."""
        return self._file.path

    @property
    def closed(self) -> bool:
        """Whether the file was committed or given up."""
        return self._file.closed

    @property
    def copied(self) -> bool:
        """Whether `commit` copied the content into the target instead of renaming, so that maps of `temp` are stale."""
        return self._file.copied

    @property
    def compressed(self) -> bool:
        """Whether the file is compressed here, so that bytes must come in order."""
        return self._stream is not None

    def share(self, head: bytes) -> Lease:
        """Let tasks of other processes write to a plain file; `head` is the header of the unfinished file."""
        self.lease = Lease.of(self._file, head)
        return self.lease

    def write_at(self, start: int, data: Any) -> None:
        """Write a buffer from byte `start` of the uncompressed file."""
        if self._stream is None:
            self._file.write_at(start, data)
        else:
            self._stream.write_runs([start], memoryview(data).nbytes, data)

    def _write_runs(self, starts: Sequence[int], length: int, data: Any) -> None:
        """Write consecutive pieces of `length` bytes of `data` to the bytes `starts`."""
        if self._stream is None:
            pwrite_runs(self._file.descriptor, starts, length, data, self._file.path)
        else:
            self._stream.write_runs(starts, length, data)

    def write_array(self, start: int, values: NDArray[Any], *, count: bool = True) -> Stats:
        """Write an array as it is in memory, and compute its statistics on the way.

        Parameters
        ----------
        start : int
            First byte.
        values : ndarray
            Numbers of any dtype, shape and byte order; written in C order.
        count : bool
            Whether the statistics are computed.

        Returns
        -------
        Stats
        """
        return store_array(self._write_runs, start, values, threads=not self.compressed, count=count)

    def write(self, layout: Layout, box: regions.Box, values: NDArray[Any]) -> Stats:
        """Convert a box of pixels to the stored format, write it, and return its statistics.

        Parameters
        ----------
        layout : Layout
            Where the pixels are in the file, and how they are stored.
        box : Box
            Which of them.
        values : ndarray
            The pixels, in the shape of the box.

        Raises
        ------
        MrcValueError
            When a value does not fit the mode, or the box is not the next one of a compressed file.
        """
        return store(self._write_runs, layout, box, values, threads=not self.compressed)

    def commit(self, header: bytes) -> None:
        """Write the first bytes, and give the file its name; on failure no file appears, and an old one stays."""
        if self._stream is not None:
            self._stream.commit(header)
            return
        self._file.write_at(0, header if self._compressor is None else self._compressor.head(header))
        self._file.commit()

    def abort(self) -> None:
        """Remove the temporary file; an existing target stays."""
        (self._stream or self._file).abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the temporary file unless it was committed."""
        if not self.closed:
            self.abort()


def head_of(head: bytes, compressor: Compressor | None) -> bytes:
    """Return the first bytes of an unfinished file as they are on the disk: header and extended header."""
    if compressor is None:
        return head
    return compressor.head(head[:HEADER_NBYTES]) + compressor.compress(head[HEADER_NBYTES:])
