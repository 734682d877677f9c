"""MRC files whose data are mapped into memory: `MrcMemmap`.

The map is made by path, so that one descriptor is held (the map's own) while the file is open, and none after.
Everything that changes the size of the file happens in a new file beside it, which takes its name when it is flushed.
"""

from __future__ import annotations

import math
import mmap
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.classic.block import data_start, is_plain
from mrcarray.classic.contradictions import warn_of_contradictions
from mrcarray.classic.mrcfile import MrcFile
from mrcarray.errors import MrcFormatError, TruncatedError
from mrcarray.storage.codecs import detect

if TYPE_CHECKING:
    from mrcarray.format.layout import Layout

__all__ = ["MrcMemmap"]

_NOT_READ = " - data block not read"


class MrcMemmap(MrcFile):
    """An `MrcFile` whose data are a `numpy.memmap`.

    Parts of the data are read when they are looked at, and written when they are assigned to. That is the risk of it,
    too: edits reach the file at once and cannot be taken back, and when another program cuts the file short while it is
    mapped, the interpreter dies of it. Reading through `mrcarray.open_array` has neither risk.

    Examples
    --------
    >>> from mrcarray.classic import new_mmap
    >>> new_mmap("example.mrc", (5, 3, 4), mrc_mode=1).close()
    >>> with MrcMemmap("example.mrc", mode="r+") as mrc:
    ...     mrc.data[1] = 7
    ...     mrc.update_header_stats()
    >>> MrcMemmap("example.mrc").data[1, 0].tolist()
    [7, 7, 7, 7]
    """

    #: The map, and what to map when it is first asked for: dtype, shape, start.
    _mapped: Any = None
    _to_map: tuple[np.dtype[Any], tuple[int, ...], int] | None = None
    #: The byte at which the data begin that are mapped, whatever was written into the header since.
    _start = 0

    @property
    def _array(self) -> Any:
        """The map, made when it is first asked for."""
        if self._to_map is not None:
            self._array = self._map(*self._to_map)
        return self._mapped

    @_array.setter
    def _array(self, array: Any) -> None:
        self._mapped = array
        self._to_map = None

    def _problem(self, text: str, detail: str, error: type[MrcFormatError] = MrcFormatError, suffix: str = "") -> None:
        """Raise or warn; of a compressed file say that it is one."""
        codec = detect(self._backing.file.head) if self._backing.file is not None else None
        if codec is not None:
            detail += f"; the file is compressed with {codec.name} and cannot be mapped, use open()"
        super()._problem(text, detail, error, suffix)

    def _layout(self, suffix: str = _NOT_READ) -> Layout | None:
        layout = super()._layout(suffix)
        if layout is not None and not is_plain(layout.pixel):
            self._problem(f"Unrecognised mode '{layout.pixel.mode}'", "packed pixels cannot be mapped", suffix=suffix)
            return None
        return layout

    def _read_data(self, max_bytes: int = 0) -> None:  # noqa: ARG002 - the inherited signature; a map reads nothing
        """Find the data; they are mapped when they are first asked for."""
        self._array = None
        layout = self._layout()
        if layout is None:
            return
        self._open_memmap(layout.pixel.dtype.newbyteorder(layout.byteorder), layout.shape)
        if self._to_map is not None:
            dtype, shape, start = self._to_map
            nbytes = math.prod(shape) * dtype.itemsize
            # a file without data whose headers end at a page border has a byte more, written by other software
            pad = nbytes == 0 and start % mmap.ALLOCATIONGRANULARITY == 0
            self._warn_of_more(start + nbytes + pad)
            self._position = start + nbytes

    def _open_file(self, name: str) -> None:
        super()._open_file(name)
        self._backing.mapped = True

    def _open_memmap(self, dtype: Any, shape: tuple[int, ...]) -> None:
        """Map the data block, or, in a new file, make room for one of this shape and map it."""
        start, size = self._data_start(), self._backing.room()
        nbytes = math.prod(shape) * np.dtype(dtype).itemsize
        stop = start + nbytes
        if stop > size and self._mode != "w+":
            detail = f"the data end at byte {stop}, the file at {size}"
            if not self._permissive:
                raise TruncatedError(f"mmap length is greater than file size ({detail})", self._name)
            self._problem("Error opening memmap", detail)
            return
        if stop > size and nbytes:
            self._close_data()
            self._backing.prepare(stop)
            self._data_replaced = True
        self._to_map = np.dtype(dtype), tuple(shape), start
        self._start = start

    def _map(self, dtype: np.dtype[Any], shape: tuple[int, ...], start: int) -> Any:
        """Return the map; an empty one, which the system cannot make, is an empty array."""
        if math.prod(shape) == 0:
            array: Any = np.empty(shape, dtype).view(np.memmap)
            array.flags.writeable = not self._read_only
            return array
        with self._backing.reopened(writable=not self._read_only) as file:
            return np.memmap(file, dtype, "r" if self._read_only else "r+", start, shape)

    def _data_start(self) -> int:
        """Return the byte at which the data begin."""
        return data_start(self._facts())

    def _get_file_size(self) -> int:
        """Return the number of bytes of the file, or of the new one that will replace it."""
        return self._backing.room()

    def _set_new_data(self, data: Any) -> None:
        """Copy data into a map of a new file beside this one."""
        self._backing.discard()
        if data.size or self._backing.exists:
            self._backing.prepare(self._data_start() + data.nbytes)
        self._open_memmap(data.dtype, data.shape)
        np.copyto(self._array, data, casting="no")
        self._data_replaced = True

    def set_extended_header(self, extended_header: Any) -> None:
        """Replace the extended header; when its size changes, the data are copied to a new file beside this one.

        Examples
        --------
        >>> from mrcarray.classic import new_mmap
        >>> with new_mmap("example.mrc", (5, 3, 4), mrc_mode=1, fill=7) as mrc:
        ...     mrc.set_extended_header(np.zeros(1024, "V1"))
        >>> MrcMemmap("example.mrc").data[0, 0].tolist()
        [7, 7, 7, 7]
        """
        before = self._extended_header, int(self._header.nsymbt) if self._header is not None else 0
        super().set_extended_header(extended_header)
        if self._array is None or self._start == self._data_start():
            return
        data = self._array
        try:
            self._set_new_data(data)
        except BaseException:  # the data are where they were, and so is what stands before them
            self._extended_header, self._header.nsymbt = before
            raise
        self._release(data)

    def _close_data(self) -> None:
        """Let the map go; arrays that still refer to it can no longer change the file."""
        if self._mapped is not None:
            self._release(self._mapped)
        self._array = None

    def _release(self, data: Any) -> None:
        """Write a map to the disk, and let nobody change the file by it any more."""
        if not self._read_only:
            data.flush()
        data.flags.writeable = False

    def _data_changed(self) -> bool:
        """Return whether the data are in a new file; edits of mapped data are in the file already."""
        return self._data_replaced

    def flush(self) -> None:
        """Write the map to the disk, and what differs of the rest of the file."""
        if not self._read_only and self._mapped is not None:
            self._mapped.flush()
        super().flush()

    def _write_all(self) -> None:
        """Complete the new file and give it its name."""
        if self._backing.pending is None and self._backing.exists and self._array is not None:
            self._set_new_data(self._array)  # the extended header was put in place by its private name
        if self._backing.pending is None:
            super()._write_all()
            return
        if self._owns_statistics():
            self._state_statistics(None)
        warn_of_contradictions(self._facts(), self._extended_header, self._array)
        self._backing.complete(self._facts().raw + self._extended_bytes())
