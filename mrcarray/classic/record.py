"""The header as a record array: how it is made of bytes, and how it becomes a value again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.classic import utils
from mrcarray.classic.dtypes import HEADER_DTYPE
from mrcarray.format.header import Header

if TYPE_CHECKING:
    from mrcarray.format.modes import ByteOrder

__all__ = ["header_of", "read_only_record", "record_array"]

_RECORDS = {order: np.dtype((np.record, HEADER_DTYPE.newbyteorder(order))) for order in ("<", ">")}


def record_array(raw: bytes | bytearray, byte_order: ByteOrder) -> Any:
    """Return a header's bytes as a writable record array in a byte order."""
    return np.ndarray.__new__(np.recarray, (), _RECORDS[byte_order], bytearray(raw))


def header_of(record: Any) -> Header:
    """Return the frozen header of a record array, in the byte order of its dtype."""
    order: ByteOrder = "<" if utils.byte_orders_equal(record.dtype["nx"].byteorder, "<") else ">"
    return Header(record.tobytes(), order)


def read_only_record(values: tuple[Any, ...], dtype: np.dtype[Any]) -> Any:
    """Return three values as a 0-d record array that cannot be changed."""
    record = np.rec.array(values, dtype)
    record.flags.writeable = False
    return record
