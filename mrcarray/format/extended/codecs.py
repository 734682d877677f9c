"""Decode and encode stored items: numbers, text, flags, two kinds of time, and SerialEM's float in two integers."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mrcarray.errors import MrcValueError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["CODECS", "Codec", "Coding", "odd_float", "odd_shorts"]

#: Day 0 of OLE automation dates.
_OLE_EPOCH = np.datetime64("1899-12-30T00:00:00", "ns")
_NS_PER_DAY = 86_400_000_000_000
#: OLE days that datetime64[ns] can represent: the years 1900 to 2261.
_OLE_DAYS = (1.0, 132_000.0)
#: Microseconds since 1970 that datetime64[ns] can represent.
_UNIX_LIMIT = 9_000_000_000_000_000
#: Largest difference of a float from the integer it represents.
_WHOLE = 1e-3


class Codec(enum.StrEnum):
    """How the stored items of a field become values."""

    NUMBER = "number"
    """A number, times a scale; float64 in memory."""
    TEXT = "text"
    """ASCII, padded with NULs or blanks."""
    HEX = "hex"
    """Bytes without a meaning, as hexadecimal digits."""
    FLAG = "flag"
    """One byte, zero or not."""
    OLE_DAYS = "ole_days"
    """Days since 30 December 1899, as a float."""
    UNIX_US = "unix_us"
    """Microseconds since 1970, as an integer; zero means never."""
    ODD_FLOAT = "odd_float"
    """SerialEM's float in two 16-bit integers."""


def odd_float(shorts: NDArray[Any]) -> NDArray[np.float64]:
    """Decode SerialEM's floats from pairs of 16-bit integers.

    The first integer has the sign and the high bits of the mantissa; the second has the exponent and its sign, then
    the low byte of the mantissa.

    Examples
    --------
    >>> odd_float(np.array([[16384, -5632], [-16384, -5376], [0, 0]], dtype="i2"))
    array([ 1., -2.,  0.])
    """
    one, two = shorts[..., 0].astype(np.int64), shorts[..., 1].astype(np.int64)
    mantissa = np.where(one < 0, -1, 1) * (np.abs(one) * 256 + np.abs(two) % 256)
    exponent = np.where(two < 0, -1, 1) * (np.abs(two) // 256)
    return np.asarray(np.ldexp(mantissa.astype(np.float64), exponent.astype(np.int32)), dtype=np.float64)


def odd_shorts(values: NDArray[Any]) -> NDArray[np.int16]:
    """Encode floats as SerialEM's pairs of 16-bit integers.

    Raises
    ------
    MrcValueError
        When a value is not finite or its magnitude needs an exponent beyond 127.

    Examples
    --------
    >>> odd_shorts(np.array([1.0, 2.5, 0.0]))
    array([[16384, -5632],
           [20480, -5376],
           [    0,     0]], dtype=int16)
    """
    values = np.asarray(values, dtype=np.float64)
    if not np.isfinite(values).all():
        raise MrcValueError("a SerialEM record cannot store NaN or infinity; expected finite values")
    # frexp gives v = f * 2**p with f in [0.5, 1), so a mantissa in [2**22, 2**23) needs the exponent p - 23
    _, power = np.frexp(np.abs(values))
    exponent = np.where(values == 0, 0, power - 23)
    if np.any(np.abs(exponent) > 127):  # noqa: PLR2004 - the exponent has seven bits
        raise MrcValueError(
            "a value is too large or too small for a SerialEM record; expected a binary exponent of at most 127"
        )
    mantissa = np.floor(np.ldexp(np.abs(values), -exponent)).astype(np.int64)
    one = np.where(values < 0, -1, 1) * (mantissa // 256)
    two = np.where(exponent < 0, -1, 1) * (np.abs(exponent) * 256 + mantissa % 256)
    return np.stack([one, two], axis=-1).astype(np.int16)


def _number(stored: NDArray[Any], scale: float) -> NDArray[Any]:
    """Return float64 numbers; a scale below 1 is one over an integer, and dividing by that integer rounds only once."""
    numbers = stored.astype(np.float64)
    return numbers * scale if scale >= 1 else numbers / round(1 / scale)


def _number_back(values: NDArray[Any], dtype: np.dtype[Any], scale: float) -> NDArray[Any]:
    """Return stored numbers, for integers rounded and checked."""
    numbers = np.asarray(values, dtype=np.float64) / scale
    if dtype.kind == "f":
        return numbers.astype(dtype)
    info = np.iinfo(dtype)
    rounded = np.rint(numbers)
    if np.any((rounded < info.min) | (rounded > info.max)):
        raise MrcValueError(f"the values are {values}; expected {info.min * scale:g} to {info.max * scale:g}")
    if scale == 1 and np.any(np.abs(rounded - numbers) > _WHOLE):
        raise MrcValueError(f"the values are {values}; expected whole numbers")
    return rounded.astype(dtype)


def _text(stored: NDArray[Any], _scale: float) -> NDArray[Any]:
    """Return Python strings up to the first NUL, blanks stripped, other bytes escaped."""
    texts = [bytes(item).split(b"\0", 1)[0].decode("ascii", "backslashreplace").strip() for item in stored.ravel()]
    return np.array(texts, dtype=object).reshape(stored.shape)


def _text_back(values: NDArray[Any], dtype: np.dtype[Any], _scale: float) -> NDArray[Any]:
    """Return padded ASCII; raise for text that is too long."""
    encoded = [str(value).encode("ascii", "backslashreplace") for value in values]
    if max(map(len, encoded), default=0) > dtype.itemsize:
        raise MrcValueError(f"a text is too long; expected at most {dtype.itemsize} bytes")
    return np.array(encoded, dtype=dtype)


def _hex(stored: NDArray[Any], _scale: float) -> NDArray[Any]:
    """Return the bytes as hexadecimal digits, with the trailing NULs that NumPy drops."""
    return np.array([bytes(item).ljust(stored.dtype.itemsize, b"\0").hex() for item in stored.ravel()], dtype=object)


def _hex_back(values: NDArray[Any], dtype: np.dtype[Any], _scale: float) -> NDArray[Any]:
    """Return the bytes of hexadecimal digits."""
    return np.array([bytes.fromhex(value) for value in values], dtype=dtype)


def _flag(stored: NDArray[Any], _scale: float) -> NDArray[Any]:
    """Return booleans, true for any byte that is not zero."""
    return np.asarray(np.ascontiguousarray(stored).view(np.uint8) != 0)


def _flag_back(values: NDArray[Any], dtype: np.dtype[Any], _scale: float) -> NDArray[Any]:
    """Return bytes 0 and 1."""
    return np.asarray(values).astype(dtype)


def _ole(stored: NDArray[Any], _scale: float) -> NDArray[Any]:
    """Return datetime64[ns], NaT outside 1900 to 2261."""
    days = stored.astype(np.float64)
    known = (days >= _OLE_DAYS[0]) & (days < _OLE_DAYS[1])
    # a float64 of days resolves about half a microsecond; finer digits would be noise
    elapsed = np.rint(np.where(known, days, 0) * (_NS_PER_DAY / 1000)).astype(np.int64) * 1000
    return np.where(known, _OLE_EPOCH + elapsed.astype("m8[ns]"), np.datetime64("NaT", "ns"))


def _ole_back(values: NDArray[Any], dtype: np.dtype[Any], _scale: float) -> NDArray[Any]:
    """Return OLE days."""
    return ((values.astype("M8[ns]") - _OLE_EPOCH) / np.timedelta64(_NS_PER_DAY, "ns")).astype(dtype)


def _unix(stored: NDArray[Any], _scale: float) -> NDArray[Any]:
    """Return datetime64[ns], NaT for zero and impossible times."""
    micro = stored.astype(np.int64)
    known = (micro > 0) & (micro < _UNIX_LIMIT)
    return np.where(known, np.where(known, micro, 0).astype("M8[us]").astype("M8[ns]"), np.datetime64("NaT", "ns"))


def _unix_back(values: NDArray[Any], dtype: np.dtype[Any], _scale: float) -> NDArray[Any]:
    """Return microseconds since 1970."""
    return values.astype("M8[us]").astype(np.int64).astype(dtype)


def _odd(stored: NDArray[Any], _scale: float) -> NDArray[Any]:
    """Return float64 numbers."""
    return odd_float(stored)


def _odd_back(values: NDArray[Any], _dtype: np.dtype[Any], _scale: float) -> NDArray[Any]:
    """Return pairs of integers."""
    return odd_shorts(values)


class Coding(NamedTuple):
    """The two directions of a codec: ``decode(stored, scale)`` and ``encode(values, dtype, scale)``."""

    decode: Callable[[NDArray[Any], float], NDArray[Any]]
    encode: Callable[[NDArray[Any], np.dtype[Any], float], NDArray[Any]]


CODECS: dict[Codec, Coding] = {
    Codec.NUMBER: Coding(_number, _number_back),
    Codec.TEXT: Coding(_text, _text_back),
    Codec.HEX: Coding(_hex, _hex_back),
    Codec.FLAG: Coding(_flag, _flag_back),
    Codec.OLE_DAYS: Coding(_ole, _ole_back),
    Codec.UNIX_US: Coding(_unix, _unix_back),
    Codec.ODD_FLOAT: Coding(_odd, _odd_back),
}
