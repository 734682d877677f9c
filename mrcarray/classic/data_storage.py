"""How an open object holds its data: `InMemory`, or `Mapped` from the file.

A class chooses one of the two; its methods, and the hooks of the original library's subclasses, pass through it. What
is held belongs to one object, its owner, which is handed in at each call: they would keep each other alive otherwise.
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
    from collections.abc import Callable, Iterator

    from mrcarray.classic.backing import Backing
    from mrcarray.format.header import Header
    from mrcarray.format.layout import Layout

__all__ = ["Holding", "InMemory", "Mapped"]

#: What a mode that cannot be mapped is followed by in permissive mode.
_NOT_MAPPED = " - data block not read"


class Owner(Protocol):
    """What is asked of the object whose data are held."""

    _read_only: bool

    def _layout(self, suffix: str = ...) -> Layout | None: ...
    def _find_data(self, max_bytes: int = 0) -> Layout | None: ...
    def _read_block(self, number_of_bytes: int) -> tuple[Any, int]: ...
    def _data_missing(self, layout: Layout, found: str) -> None: ...
    def _shortage(self, count: int) -> str: ...
    def _problem(self, text: str, detail: str, error: type[MrcFormatError] = ..., suffix: str = "") -> None: ...


class FileOwner(Owner, Protocol):
    """What is asked of it when it is a file whose data are mapped."""

    _array: Any
    _backing: Backing
    _data_replaced: bool
    _mode: str
    _permissive: bool
    _position: int

    def _close_data(self) -> None: ...
    def _facts(self) -> Header: ...
    def _open_memmap(self, dtype: Any, shape: tuple[int, ...]) -> None: ...
    def _set_new_data(self, data: Any) -> None: ...


class InMemory:
    """Data that are read whole into memory, and written whole from there."""

    #: Whether edits reach the file by themselves.
    in_place: ClassVar[bool] = False

    def __init__(self) -> None:
        self.array: Any = None

    @property
    def present(self) -> bool:
        """Whether there are data."""
        return self.array is not None

    def read(self, owner: Owner, max_bytes: int) -> None:
        """Read the data the header describes; at most `max_bytes`, when that is positive."""
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

    def set(self, owner: Owner, data: Any) -> None:  # noqa: ARG002 - as for maps
        """Take new data."""
        self.array = data

    def move(self, owner: Owner) -> None:
        """Follow a change of what stands before the data: nothing to do here."""

    def release(self) -> None:
        """Let the data go."""
        self.array = None

    def flush(self) -> None:
        """Write what was edited in place: nothing to do here."""

    def settle(self, owner: Owner) -> None:
        """Make ready for writing the whole file: nothing to do here."""

    def write(self, backing: Backing, head: Callable[[], bytes], parts: Iterator[Any], size: int) -> None:
        """Write the whole file anew; for the arguments see `Backing.rewrite`."""
        backing.rewrite(head, parts, size)


class Mapped:
    """Data that are mapped from the file, or from a new one beside it that takes its name when it is complete.

    The map is made by path, so that one descriptor is held (the map's own) while the file is open, and none after.
    """

    in_place: ClassVar[bool] = True

    def __init__(self) -> None:
        self._map: Any = None
        #: What makes the map, until it is first asked for.
        self._make: Callable[[], Any] | None = None
        #: The same, kept to map the file again.
        self._make_again: Callable[[], Any] | None = None
        #: The bytes at which the mapped data begin and end, whatever was written into the header since.
        self._start = self._stop = 0

    @property
    def array(self) -> Any:
        """The map, made when it is first asked for."""
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

    def read(self, owner: Owner, max_bytes: int) -> None:  # noqa: ARG002 - as in memory; a map reads nothing
        """Find the data; they are mapped when they are first asked for."""
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
            # a file without data whose headers end at a page border has a byte more, written by other software
            pad = self._start == self._stop and self._start % mmap.ALLOCATIONGRANULARITY == 0
            file._position = self._stop + pad

    def open(self, owner: FileOwner, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        """Map the data block, or, in a new file, make room for one of this shape and map it."""
        start, size = data_start(owner._facts()), owner._backing.room()
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
        """Copy data into a map of a new file beside this one."""
        file = _file(owner)
        backing = file._backing
        backing.discard()
        if data.size or backing.exists:
            backing.prepare(data_start(file._facts()) + data.nbytes)
        file._open_memmap(data.dtype, data.shape)
        np.copyto(file._array, data, casting="no")

    def move(self, owner: Owner) -> None:
        """Copy the data to a new file when they no longer begin where the header says."""
        file = _file(owner)
        if not self.present or self._start == data_start(file._facts()):
            return
        data = self.array
        file._set_new_data(data)
        _release(data)

    def release(self) -> None:
        """Let the map go; arrays that still refer to it can no longer change the file."""
        if self._map is not None:
            _release(self._map)
        self._map = self._make = None

    def flush(self) -> None:
        """Write what was edited to the disk."""
        if self._map is not None and self._map.flags.writeable:
            self._map.flush()

    def settle(self, owner: Owner) -> None:
        """Have a new file, when the whole of it has to be written: a map keeps its place in the old one."""
        file = _file(owner)
        if file._backing.pending is None and file._backing.exists and self.present:
            file._set_new_data(self.array)

    def write(self, backing: Backing, head: Callable[[], bytes], parts: Iterator[Any], size: int) -> None:
        """Complete the new file and give it its name; for the arguments see `Backing.rewrite`."""
        if backing.pending is None:
            backing.rewrite(head, parts, size)
        elif backing.complete(head() + next(parts)) and self._map is not None:
            _release(self._map)  # it is a map of the temporary file, which is gone
            self._map, self._make = None, self._make_again


#: The two ways of holding data.
Holding = InMemory | Mapped


def _map(backing: Backing, dtype: np.dtype[Any], shape: tuple[int, ...], start: int, *, writable: bool) -> Any:
    """Return a map; an empty one, which the system cannot make, is an empty array."""
    if math.prod(shape) == 0:
        array: Any = np.empty(shape, dtype).view(np.memmap)
        array.flags.writeable = writable
        return array
    with backing.reopened(writable=writable) as file:
        return np.memmap(file, dtype, "r+" if writable else "r", start, shape)


def _file(owner: Owner) -> FileOwner:
    """Return the owner of a map as what it is: only files choose to be mapped."""
    return cast("FileOwner", owner)


def _release(data: Any) -> None:
    """Write a map to the disk, and let nobody change the file by it any more."""
    if data.flags.writeable:
        data.flush()
    data.flags.writeable = False
