"""How an open object keeps its data: `InMemory`, or `Mapped` from the file.

`MrcInterpreter` and its subclasses choose one by class; their methods, and the hooks that mrcfile's subclasses extend,
call it. Each method gets the object whose data it keeps: storing the object would make a reference cycle, which delays
the writing of an object that was dropped.
"""

from __future__ import annotations

import math
import mmap
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

import numpy as np

from mrcarray.classic.data_block import data_start, is_plain, pixels
from mrcarray.errors import MrcFormatError, TruncatedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrcarray.classic.backing import Backing, InPlaceWriter
    from mrcarray.file_writer import FileWriter
    from mrcarray.format.header import Header
    from mrcarray.format.layout import Layout

__all__ = ["DataStorage", "InMemory", "Mapped"]

#: What permissive mode adds to a problem with data that cannot be mapped.
_NOT_MAPPED = " - data block not read"


class Owner(Protocol):
    """What a data storage needs of its object."""

    _read_only: bool

    def _layout(self, suffix: str = ...) -> Layout | None: ...
    def _find_data(self, max_bytes: int = 0) -> Layout | None: ...
    def _read_block(self, number_of_bytes: int) -> tuple[Any, int]: ...
    def _data_missing(self, layout: Layout, found: str) -> None: ...
    def _shortage(self, count: int) -> str: ...
    def _problem(self, text: str, detail: str, error: type[MrcFormatError] = ..., suffix: str = "") -> None: ...


class FileOwner(Owner, Protocol):
    """What it needs of an object with a file."""

    _array: Any
    _backing: Backing
    _data_replaced: bool
    _mode: str
    _permissive: bool
    _position: int

    def _close_data(self) -> None: ...
    def _current_header(self) -> Header: ...
    def _extended_bytes(self) -> bytes: ...
    def _fill(self, file: FileWriter | InPlaceWriter) -> bytes: ...
    def _final_size(self) -> int: ...
    def _open_memmap(self, dtype: Any, shape: tuple[int, ...]) -> None: ...
    def _refresh_statistics(self) -> None: ...
    def _set_new_data(self, data: Any) -> None: ...


class InMemory:
    """Data that are read into memory as a whole."""

    #: Whether edits reach the file without being written.
    in_place: ClassVar[bool] = False

    def __init__(self) -> None:
        self.array: Any = None

    @property
    def present(self) -> bool:
        """Whether there are data."""
        return self.array is not None

    def read(self, owner: Owner, max_bytes: int) -> None:
        """Read the data that the header describes; refuse more than `max_bytes` bytes unless it is 0."""
        self.array = None
        layout = owner._find_data(max_bytes)
        if layout is None:
            return
        raw, count = owner._read_block(layout.nbytes)
        if count < layout.nbytes:
            owner._data_missing(layout, owner._shortage(count))
            return
        self.array = pixels(raw, layout)
        self.array.flags.writeable = not owner._read_only

    def set(self, owner: Owner, data: Any) -> None:  # noqa: ARG002 - the signature of `Mapped`
        """Keep new data."""
        self.array = data

    def follow_data_start(self, owner: Owner) -> None:
        """Do nothing: the position of the data in the file does not matter."""

    def release(self) -> None:
        """Drop the data."""
        self.array = None

    def flush(self) -> None:
        """Do nothing: edits are written with the file."""

    def prepare_rewrite(self, owner: Owner) -> None:
        """Do nothing: the data need no new file."""

    def write(self, owner: Owner) -> None:
        """Replace the whole file."""
        file = _file(owner)
        file._backing.rewrite(file._fill, file._final_size())


class Mapped:
    """Data that are mapped from the file, or from a new one that takes its name when it is complete.

    The map is made by path: its own descriptor is the only one while the file is open.
    """

    in_place: ClassVar[bool] = True

    def __init__(self) -> None:
        self._map: Any = None
        #: Makes the map when it is first used; None afterwards.
        self._make: Callable[[], Any] | None = None
        #: The same, kept to map the file again.
        self._make_again: Callable[[], Any] | None = None
        #: First byte and byte after the mapped data, whatever was written into the header since.
        self._start = self._stop = 0

    @property
    def array(self) -> Any:
        """The map, made when it is first used."""
        if self._make is not None:
            self.array = self._make()
        return self._map

    @array.setter
    def array(self, array: Any) -> None:
        self._map = array
        self._make = None

    @property
    def present(self) -> bool:
        """Whether there are data."""
        return self._map is not None or self._make is not None

    def read(self, owner: Owner, max_bytes: int) -> None:  # noqa: ARG002 - the signature of `InMemory`
        """Locate the data that the header describes; they are mapped when they are first used."""
        self._map = self._make = None
        file = _file(owner)
        layout = file._layout(_NOT_MAPPED)
        if layout is None:
            return
        if not is_plain(layout.pixel):
            text = f"Unrecognised mode '{layout.pixel.mode}'"
            file._problem(text, "packed pixels cannot be mapped", suffix=_NOT_MAPPED)
            return
        file._open_memmap(layout.pixel.stored_dtype(layout.byteorder), layout.shape)
        if self.present:
            # mrcfile adds a byte to a file without data whose headers end at a page border: it can map no empty range
            pad = self._start == self._stop and self._start % mmap.ALLOCATIONGRANULARITY == 0
            file._position = self._stop + pad

    def open(self, owner: FileOwner, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        """Map the data block; in a new file, first give the file the size for data of this shape."""
        start, size = data_start(owner._current_header()), owner._backing.current_size()
        nbytes = math.prod(shape) * dtype.itemsize
        stop = start + nbytes
        if stop > size and owner._mode != "w+":
            text = "Error opening memmap" if owner._permissive else "mmap length is greater than file size"
            owner._problem(text, f"the data end at byte {stop}, the file at {size}", TruncatedError)
            return
        if stop > size and nbytes:
            owner._close_data()
            owner._backing.prepare(stop)
            owner._data_replaced = True
        self._make = partial(_map, owner._backing, dtype, shape, start, writable=not owner._read_only)
        self._make_again = self._make
        self._start, self._stop = start, stop

    def set(self, owner: Owner, data: Any) -> None:
        """Copy data into the map of a new file."""
        file = _file(owner)
        backing = file._backing
        backing.discard()
        if data.size or backing.exists:
            backing.prepare(data_start(file._current_header()) + data.nbytes)
        file._open_memmap(data.dtype, data.shape)
        np.copyto(file._array, data, casting="no")

    def follow_data_start(self, owner: Owner) -> None:
        """Copy the data to a new file when the header gives them another first byte than the map has."""
        file = _file(owner)
        if not self.present or self._start == data_start(file._current_header()):
            return
        data = self.array
        file._set_new_data(data)
        _release(data)

    def release(self) -> None:
        """Drop the map; arrays that still refer to it can no longer change the file."""
        if self._map is not None:
            _release(self._map)
        self._map = self._make = None

    def flush(self) -> None:
        """Write edits to the disk."""
        if self._map is not None and self._map.flags.writeable:
            self._map.flush()

    def prepare_rewrite(self, owner: Owner) -> None:
        """Copy the data to a new file, because the map belongs to the one that will be replaced."""
        file = _file(owner)
        if file._backing.pending is None and file._backing.exists and self.present:
            file._set_new_data(self.array)

    def write(self, owner: Owner) -> None:
        """Complete the new file with its headers and give it its name; without a new file, replace the whole file."""
        file = _file(owner)
        backing = file._backing
        if backing.pending is None:
            backing.rewrite(file._fill, file._final_size())
            return
        file._refresh_statistics()
        copied = backing.complete(file._current_header().raw + file._extended_bytes())
        if copied and self._map is not None:
            _release(self._map)  # it maps the temporary file, which is deleted
            self._map, self._make = None, self._make_again


DataStorage = InMemory | Mapped
"""The two ways of keeping data."""


def _map(backing: Backing, dtype: np.dtype[Any], shape: tuple[int, ...], start: int, *, writable: bool) -> Any:
    """Return a map; for no data, which the system cannot map, an empty array."""
    if math.prod(shape) == 0:
        array: Any = np.empty(shape, dtype).view(np.memmap)
        array.flags.writeable = writable
        return array
    with backing.file_to_map(writable=writable) as file:
        return np.memmap(file, dtype, "r+" if writable else "r", start, shape)


def _file(owner: Owner) -> FileOwner:
    """Return the owner as an object with a file, which only those are that write files or map them."""
    return cast("FileOwner", owner)


def _release(data: Any) -> None:
    """Write a map to the disk and make it read-only, because its file is no longer this object's."""
    if data.flags.writeable:
        data.flush()
    data.flags.writeable = False
