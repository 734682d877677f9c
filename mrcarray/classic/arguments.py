"""Arguments of callers: each function returns or checks one, and its error explains why it does not fit a file."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import MrcValueError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MAX_INT", "check_extended_header", "check_fill", "check_shape", "text_name", "three", "whole"]

#: The largest number that fits a field of the header.
MAX_INT = int(np.iinfo(np.int32).max)
#: Numbers of dimensions of the data.
_MIN_NDIM, _MAX_NDIM = 2, 4


class _ArgumentError(MrcValueError, TypeError):
    """An argument of the wrong type: mrcfile's `TypeError`, and a `ValueError` like the others."""


def text_name(name: Any) -> str:
    """Return a file name as text."""
    if type(name) is str and name:
        return name
    if isinstance(name, str | bytes | os.PathLike):
        if not os.fspath(name):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return os.fsdecode(name)
    raise TypeError(f"a file name must be a str, bytes or os.PathLike, not {type(name).__name__}")


def check_extended_header(extended_header: Any) -> None:
    """Refuse an extended header that is not an array, or too large for the header field of its size."""
    if not hasattr(extended_header, "nbytes"):
        raise TypeError(f"an extended header must be an array, not {type(extended_header).__name__}")
    if extended_header.nbytes > MAX_INT:
        raise MrcValueError(
            f"New extended header is too large! It has {extended_header.nbytes} bytes. "
            f"The maximum allowed is {MAX_INT}."
        )


def check_shape(shape: tuple[int, ...], start: str) -> None:
    """Refuse a shape that the header cannot store."""
    sections = shape[:2] if len(shape) == _MAX_NDIM else ()
    for size in (*shape, int(np.prod(sections, dtype=object)) if sections else 0):
        if size > MAX_INT:
            raise MrcValueError(f"{start} Found a dimension of size {size}. The maximum allowed is {MAX_INT}.")
    if not _MIN_NDIM <= len(shape) <= _MAX_NDIM:
        raise MrcValueError("Data must be 2-, 3- or 4-dimensional")


def check_fill(fill: Any, dtype: np.dtype[Any]) -> None:
    """Refuse numbers outside the range of an integer dtype, which NumPy would wrap around."""
    values = np.asarray(fill)
    if dtype.kind not in "iu" or values.dtype.kind not in "iuf" or values.size == 0:
        return
    limits = np.iinfo(dtype)
    if not (limits.min <= values.min() and values.max() <= limits.max):
        raise MrcValueError(f"fill is {fill}; expected {limits.min} to {limits.max} for {dtype} pixels")


def three(value: Any, convert: Callable[[Any], Any], name: str) -> tuple[Any, Any, Any]:
    """Return a number, a sequence of three or a record of three as a tuple of three."""
    try:
        return (convert(value),) * 3
    except TypeError:
        items = value.item() if isinstance(value, np.ndarray) and value.dtype.names else value
    try:
        x, y, z = (convert(item) for item in items)
    except (TypeError, ValueError) as error:
        raise _ArgumentError(f"{name} is {value!r}; expected one number or three") from error
    return x, y, z


def whole(value: Any) -> int:
    """Return a number, or the text of one, as an integer; refuse a fraction."""
    number = int(value)
    if not isinstance(value, str | bytes) and number != value:
        raise MrcValueError(f"nstart is set to {value}; expected a whole number")
    return number
