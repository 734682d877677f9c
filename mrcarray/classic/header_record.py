"""The header as a record array: `HeaderRecord`, its conversions, its statistics, and the records described by it.

A `HeaderRecord` is a `numpy.recarray` with faster access to its fields. It warns when a field takes only a part of what
is assigned to it; NumPy truncates texts and fractions and wraps integers around silently.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray import _compat
from mrcarray.caller import warn
from mrcarray.classic import utils
from mrcarray.classic.arguments import MAX_INT
from mrcarray.classic.dtypes import HEADER_DTYPE
from mrcarray.errors import MrcValueError
from mrcarray.format.extended import RecordFacts, detect
from mrcarray.format.header import Header
from mrcarray.statistics import Stats

if TYPE_CHECKING:
    from mrcarray.format.modes import ByteOrder

__all__ = [
    "INDEXED",
    "STATISTICS",
    "HeaderRecord",
    "Text",
    "extended_records",
    "header_of",
    "read_only_record",
    "record_array",
    "set_statistics",
    "statistics_bytes",
]

#: Statistics of the header, in the order of their bytes.
STATISTICS = ("dmin", "dmax", "dmean", "rms")
#: Types of extended header that have records; without a type, the dialect is detected.
INDEXED = (b"FEI1", b"FEI2", b"SERI", b"AGAR", b"MRCO", b"", bytes(4), b"    ")


class Text(np.ndarray):
    """The texts of a header field; assigning one longer than the field warns that it is truncated."""

    __slots__ = ()

    def __setitem__(self, key: Any, value: Any) -> None:
        warn_of_truncation(value, self.dtype.itemsize)
        super().__setitem__(key, value)

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        """Return results of functions of texts as plain NumPy values."""
        plain = array.view(np.ndarray)
        return plain[()] if return_scalar else plain

    def __repr__(self) -> str:
        return repr(self.view(np.ndarray))


class HeaderRecord(np.recarray):
    """A header: a 0-d record array whose fields can be changed in place."""

    #: Fields are properties: recarray's own lookup, in Python, takes longer and is only needed for other names.
    __getattribute__ = np.ndarray.__getattribute__

    def __getattr__(self, name: str) -> Any:
        """Return a field that is not one of the header's: this record was given another dtype."""
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
        """Change the byte order in place, so that other references to this record see it."""
        self.byteswap(inplace=True)
        _compat.set_dtype(self, self.dtype.newbyteorder("S"))


def _view(dtype: np.dtype[Any]) -> type[np.ndarray[Any, Any]]:
    """Return the class of arrays that a field of this dtype is returned as."""
    return np.recarray if dtype.names else Text if dtype.base.kind == "S" else np.ndarray


#: The class of each field.
_VIEWS = {name: _view(HEADER_DTYPE[name]) for name in HEADER_DTYPE.names or ()}


def _field(name: str) -> property:
    """Return the attribute for a field; `HeaderRecord.__setattr__` sets it."""

    def get(self: HeaderRecord) -> Any:
        try:
            return self[name]
        except ValueError:  # a record with some of the fields only
            raise AttributeError(f"record array has no field {name!r}") from None

    return property(get)


for _name in _VIEWS:
    setattr(HeaderRecord, _name, _field(_name))

_RECORDS = {order: np.dtype((np.record, HEADER_DTYPE.newbyteorder(order))) for order in ("<", ">")}


def record_array(raw: bytes | bytearray, byte_order: ByteOrder) -> Any:
    """Return a header's bytes as a writable record array in a byte order."""
    return np.ndarray.__new__(HeaderRecord, (), _RECORDS[byte_order], bytearray(raw))


def header_of(record: Any) -> Header:
    """Return a record array as a `Header`, in the byte order of its dtype."""
    order: ByteOrder = "<" if utils.byte_orders_equal(record.dtype["nx"].byteorder, "<") else ">"
    return Header(record.tobytes(), order)


def read_only_record(values: tuple[Any, ...], dtype: np.dtype[Any]) -> Any:
    """Return three values as a read-only 0-d record array."""
    record = np.rec.array(values, dtype)
    record.flags.writeable = False
    return record


def _check(name: str, value: Any) -> None:
    """Warn of a value that its field truncates; refuse one that NumPy would wrap around."""
    view = _VIEWS.get(name)
    if view is Text:
        warn_of_truncation(value, HEADER_DTYPE[name].base.itemsize)
    elif view is np.ndarray and HEADER_DTYPE[name].kind == "i" and type(value) is not int:
        _check_whole(name, np.asarray(value))


def _check_whole(name: str, value: Any) -> None:
    """Check what is assigned to an integer field; NumPy itself checks Python integers."""
    if value.dtype.kind not in "iuf" or value.size == 0:
        return
    if not (value.min() >= -MAX_INT - 1 and value.max() <= MAX_INT):
        raise MrcValueError(f"header.{name} is set to {value}; expected a 32-bit integer")
    if value.dtype.kind == "f" and (value != np.trunc(value)).any():
        warn(f"header.{name} is set to {value}; the fraction is dropped")


def warn_of_truncation(value: Any, nbytes: int) -> None:
    """Warn of a text that is longer than its field."""
    texts = np.asarray(value)
    longest = texts.dtype.itemsize // (4 if texts.dtype.kind == "U" else 1)  # bytes of a character in NumPy
    if texts.dtype.kind in "SU" and longest > nbytes:
        warn(f"a text of {longest} bytes is truncated to {nbytes}, the length of its header field")


def set_statistics(header: Any, data: Any, stats: Stats | None = None) -> list[str]:
    """Set the statistics of non-empty data in a header, as mrcfile defines them; return the texts of warnings.

    A header has no minimum, maximum and mean of complex data; only their rms is set.

    Parameters
    ----------
    header : recarray, 0-d
        The header.
    data : ndarray
        The data.
    stats : Stats, optional
        Their statistics, if known.
    """
    stats = Stats.of(data) if stats is None else stats
    values = {"rms": stats.rms}
    if data.dtype.kind != "c":
        values |= {"dmin": stats.minimum, "dmax": stats.maximum, "dmean": float(stats.mean.real)}
    if stats.infs:
        values |= _infinite_statistics(data)
    if stats.nans:
        values = dict.fromkeys(values, math.nan)
    with np.errstate(over="ignore"):
        for name, value in values.items():
            header[name] = np.float32(value)
    nans = ["Data array contains NaN values"] if stats.nans else []
    return nans + (["Data array contains infinite values"] if stats.infs and not stats.nans else [])


def _infinite_statistics(data: Any) -> dict[str, float]:
    """Return the statistics of data with infinite values, by IEEE arithmetic."""
    if data.dtype.kind == "c":
        return {"rms": math.nan}
    low, high = float(data.min()), float(data.max())
    return {"dmin": low, "dmax": high, "dmean": low + high if math.isinf(low + high) else math.nan, "rms": math.nan}


def statistics_bytes(header: Any) -> bytes:
    """Return the bytes of the four statistics of a header."""
    return b"".join(header[name].astype("<f4").tobytes() for name in STATISTICS)


def extended_records(header: Any, block: Any) -> Any:
    """Return a copy of the records of an extended header, one for each section; None when the bytes are no records."""
    frozen = header_of(header)
    raw = block.tobytes()
    found = detect(raw, RecordFacts.of(frozen))
    if found.dialect is None or frozen.exttyp.strip(b"\0 ") not in (b"", found.dialect.exttyp):
        return None
    dtype = found.dialect.dtype(found.facts)
    if dtype.itemsize == 0 or not 0 <= frozen.nz * dtype.itemsize <= len(raw):
        return None
    return np.frombuffer(bytearray(raw), dtype=dtype, count=frozen.nz)
