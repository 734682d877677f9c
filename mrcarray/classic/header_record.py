"""The header as a record array: how it is made of bytes, and how it becomes a value again.

A `HeaderRecord` is a `numpy.recarray` whose fields are found faster, and which says when a field takes only a part of
what is assigned to it: NumPy cuts texts and fractions, and wraps integers around, without a word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray import _compat
from mrcarray.classic import utils
from mrcarray.classic.arguments import MAX_INT
from mrcarray.classic.dtypes import HEADER_DTYPE
from mrcarray.classic.warn_user import say
from mrcarray.errors import MrcValueError
from mrcarray.format.header import Header

if TYPE_CHECKING:
    from mrcarray.format.modes import ByteOrder

__all__ = ["HeaderRecord", "Text", "header_of", "read_only_record", "record_array"]


class Text(np.ndarray):
    """The texts of a header field; assigning one that is too long for it warns that it is cut."""

    __slots__ = ()

    def __setitem__(self, key: Any, value: Any) -> None:
        warn_of_cut(value, self.dtype.itemsize)
        super().__setitem__(key, value)

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        """Return what is computed from texts as plain NumPy values."""
        plain = array.view(np.ndarray)
        return plain[()] if return_scalar else plain

    def __repr__(self) -> str:
        return repr(self.view(np.ndarray))


class HeaderRecord(np.recarray):
    """A header: a 0-d record array whose fields can be changed in place."""

    #: Fields are properties; NumPy's own way for record arrays, in Python, is asked for other names only.
    __getattribute__ = np.ndarray.__getattribute__

    def __getattr__(self, name: str) -> Any:
        """Return a field that no header has: this record has been given another dtype."""
        return np.recarray.__getattribute__(self, name)

    def __getitem__(self, key: Any) -> Any:
        """Return a field as an array that shares the header's bytes."""
        view = _VIEWS.get(key) if isinstance(key, str) else None
        if view is None:
            return super().__getitem__(key)
        field = self.view(np.ndarray)[key]
        return field if view is np.ndarray else field.view(view)

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, str):
            _check(key, value)
        super().__setitem__(key, value)

    def __setattr__(self, name: str, value: Any) -> None:
        _check(name, value)
        super().__setattr__(name, value)

    def swap(self) -> None:
        """Turn the numbers to the other byte order in place, so that whoever holds this record sees it."""
        self.byteswap(inplace=True)
        _compat.set_dtype(self, self.dtype.newbyteorder("S"))


def _view(dtype: np.dtype[Any]) -> type[np.ndarray[Any, Any]]:
    """Return the class by which a field of this type is shown."""
    return np.recarray if dtype.names else Text if dtype.base.kind == "S" else np.ndarray


#: How each field is shown.
_VIEWS = {name: _view(HEADER_DTYPE[name]) for name in HEADER_DTYPE.names or ()}


def _field(name: str) -> property:
    """Return the attribute for a field; setting it is left to NumPy."""

    def get(self: HeaderRecord) -> Any:
        try:
            return self[name]
        except ValueError:  # this record holds some of the fields only
            raise AttributeError(f"record array has no field {name!r}") from None

    return property(get)


for _name in _VIEWS:
    setattr(HeaderRecord, _name, _field(_name))

_RECORDS = {order: np.dtype((np.record, HEADER_DTYPE.newbyteorder(order))) for order in ("<", ">")}


def record_array(raw: bytes | bytearray, byte_order: ByteOrder) -> Any:
    """Return a header's bytes as a writable record array in a byte order."""
    return np.ndarray.__new__(HeaderRecord, (), _RECORDS[byte_order], bytearray(raw))


def header_of(record: Any) -> Header:
    """Return the frozen header of a record array, in the byte order of its dtype."""
    order: ByteOrder = "<" if utils.byte_orders_equal(record.dtype["nx"].byteorder, "<") else ">"
    return Header(record.tobytes(), order)


def read_only_record(values: tuple[Any, ...], dtype: np.dtype[Any]) -> Any:
    """Return three values as a 0-d record array that cannot be changed."""
    record = np.rec.array(values, dtype)
    record.flags.writeable = False
    return record


def _check(name: str, value: Any) -> None:
    """Warn of a value that its field holds in part only, and refuse one that NumPy would wrap around."""
    view = _VIEWS.get(name)
    if view is Text:
        warn_of_cut(value, HEADER_DTYPE[name].base.itemsize)
    elif view is np.ndarray and HEADER_DTYPE[name].kind == "i" and type(value) is not int:
        _check_whole(name, np.asarray(value))


def _check_whole(name: str, value: Any) -> None:
    """Check what is assigned to an integer field; Python's own integers NumPy checks itself."""
    if value.dtype.kind not in "iuf" or value.size == 0:
        return
    if not (value.min() >= -MAX_INT - 1 and value.max() <= MAX_INT):
        raise MrcValueError(f"header.{name} is set to {value}; expected a 32-bit integer")
    if value.dtype.kind == "f" and (value != np.trunc(value)).any():
        say(f"header.{name} is set to {value}, of which only the whole part is kept")


def warn_of_cut(value: Any, nbytes: int) -> None:
    """Warn of a text that is longer than its field."""
    texts = np.asarray(value)
    longest = texts.dtype.itemsize // (4 if texts.dtype.kind == "U" else 1)  # bytes of a character in NumPy
    if texts.dtype.kind in "SU" and longest > nbytes:
        say(f"a text of {longest} bytes is cut to {nbytes}, which is all its header field holds")
