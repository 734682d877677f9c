"""Choose the pixel format for a dtype (`pixel_for`), and cast values to it (`fit`); nothing wraps or overflows.

A dtype that a mode stores exactly needs no option. Every other conversion must be requested, and raises if a value is
outside the range of the mode.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import Hint, MrcValueError
from mrcarray.format.modes import MODES, PIXELS, Packing, PixelFormat

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

__all__ = ["EXACT", "as_pixels", "fit", "pixel_for"]

EXACT: dict[str, str] = {
    "b1": "0",
    "i1": "0",
    "u1": "6",
    "i2": "1",
    "u2": "6",
    "f2": "12",
    "f4": "2",
    "c8": "4",
}
"""dtype without byte order -> key in `PIXELS` of its pixel format, unless the caller requests another mode."""

_NIBBLE_MAX = 15
_DTYPES = "int8, int16, uint16, float16, float32 or complex64"


def pixel_for(dtype: DTypeLike, mode: int | None = None, code: str | None = None) -> PixelFormat:
    """Return the pixel format for an array.

    Parameters
    ----------
    dtype : dtype_like
        Dtype of the array.
    mode : int, optional
        Requested mode; `fit` raises for values outside its range.
    code : str, optional
        Key in `PIXELS` of the file from which the array was read; kept if it stores the dtype exactly.

    Returns
    -------
    PixelFormat

    Raises
    ------
    MrcValueError
        When no mode stores the dtype exactly and none was requested, or the mode is unknown.

    Examples
    --------
    >>> pixel_for("uint8").mode, pixel_for("bool").mode, pixel_for("float64", mode=2).mode
    (6, 0, 2)
    """
    kind = np.dtype(dtype)
    if mode is not None:
        return _requested(kind, mode, code)
    if code in PIXELS and PIXELS[code].dtype == kind.newbyteorder("="):
        return PIXELS[code]
    exact = EXACT.get(kind.str[1:])
    if exact is None:
        modes = ", ".join(str(number) for number, row in MODES.items() if row.standard)
        hint = Hint(
            f"pass dtype= one of {_DTYPES}, or mode= one of {modes}", f"pass --dtype {_DTYPES}, or --mode {modes}"
        )
        raise MrcValueError(f"no MRC mode stores dtype {kind} exactly", hint=hint)
    return PIXELS[exact]


def _requested(kind: np.dtype[Any], mode: int, code: str | None) -> PixelFormat:
    if isinstance(mode, bool) or mode not in MODES:
        raise MrcValueError(f"mode is {mode!r}; expected one of {', '.join(map(str, MODES))}")
    pixel = MODES[mode].pixel
    if code in PIXELS and PIXELS[code].mode == mode and PIXELS[code].dtype == kind:
        return PIXELS[code]
    if kind.kind not in "biufc":
        raise MrcValueError(f"dtype {kind} is not numeric; expected integers, floats or complex numbers")
    if kind.kind == "c" and pixel.dtype.kind != "c":
        hint = Hint("pass mode=4, or write .real or abs()", "pass --mode 4")
        raise MrcValueError(f"complex values do not fit mode {mode}", hint=hint)
    return pixel


def as_pixels(values: Any) -> NDArray[Any]:
    """Return values of any kind as a plain array.

    Raises
    ------
    MrcValueError
        When a value is masked, which no MRC file can store.

    Examples
    --------
    >>> as_pixels(np.ma.masked_less([1, 2, 3], 2))
    Traceback (most recent call last):
    mrcarray.errors.MrcValueError: 1 of 3 values are masked, which MRC files cannot store; write array.filled(0), ...
    """
    if isinstance(values, np.ma.MaskedArray) and (hidden := values.size - int(values.count())):
        text = f"{hidden} of {values.size} values are masked, which MRC files cannot store"
        raise MrcValueError(text, hint=Hint("write array.filled(0), with the fill value you need"))
    return np.asarray(values)


def fit(values: NDArray[Any], pixel: PixelFormat) -> NDArray[Any]:
    """Return the values in the memory dtype of `pixel`.

    Floats are rounded to the nearest integer; integers and doubles are rounded to the precision of shorter floats.

    Parameters
    ----------
    values : ndarray
        Numbers.
    pixel : PixelFormat
        Their pixel format in the file.

    Returns
    -------
    ndarray
        The same array if it has the dtype already.

    Raises
    ------
    MrcValueError
        When a value is outside the range of the mode, or NaN among integers.

    Examples
    --------
    >>> fit(np.array([1.6, -2.0]), PIXELS["1"])
    array([ 2, -2], dtype=int16)
    >>> fit(np.array([300]), PIXELS["0"])
    Traceback (most recent call last):
    mrcarray.errors.MrcValueError: value 300 does not fit mode 0, whose range is -128 to 127; scale the data or ...
    """
    if pixel.packing is Packing.COMPLEX_INT:
        return _fit_pairs(values, pixel)
    target = pixel.dtype
    top = _NIBBLE_MAX if pixel.packing is Packing.NIBBLE else None
    if values.dtype.newbyteorder("=") == target and top is None:
        return values
    if values.dtype.kind == "c" and target.kind != "c":
        raise MrcValueError(f"complex values do not fit mode {pixel.mode}")
    if top is None and np.can_cast(values.dtype, target, "safe"):
        return values.astype(target)
    if target.kind in "iu":
        low, high = int(np.iinfo(target).min), int(top if top is not None else np.iinfo(target).max)
        return _to_integers(values, pixel, low, high)
    return _to_floats(values, pixel)


def _to_integers(values: NDArray[Any], pixel: PixelFormat, low: int, high: int) -> NDArray[Any]:
    if values.dtype.kind == "f":
        values = np.rint(values)
    _check_range(values, pixel, low, high)
    return values.astype(pixel.dtype)


def _check_range(values: NDArray[Any], pixel: PixelFormat, low: int, high: int) -> None:
    if not values.size or values.dtype.kind == "b":
        return
    least, most = values.min().item(), values.max().item()
    if low <= least and most <= high:
        return
    found = least if not low <= least else most
    shown = f"{found:g}" if isinstance(found, float) else found
    text = f"value {shown} does not fit mode {pixel.mode}, whose range is {low} to {high}"
    raise MrcValueError(f"{text}; scale the data or choose another mode")


def _to_floats(values: NDArray[Any], pixel: PixelFormat) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        out = values.astype(pixel.dtype)
    if values.dtype.kind in "iub" and np.isfinite(out).all():
        return out
    wrong = np.isinf(out) & np.isfinite(values)
    if wrong.any():
        largest = np.abs(values[wrong]).max()
        limit = np.finfo(pixel.dtype).max
        text = f"value {largest:g} does not fit mode {pixel.mode}, whose range is {-limit:g} to {limit:g}"
        raise MrcValueError(f"{text}; scale the data or choose another mode")
    return out


def _fit_pairs(values: NDArray[Any], pixel: PixelFormat) -> NDArray[Any]:
    wide = values.astype(np.complex64, copy=False) if values.dtype.kind != "c" else values
    info = np.iinfo(np.int16)
    for part in (wide.real, wide.imag):
        if part.size and math.isnan(float(part.min())):
            raise MrcValueError(f"NaN does not fit mode {pixel.mode}, which stores pairs of 16-bit integers")
        _check_range(np.rint(part), pixel, info.min, info.max)
    return wide.astype(np.complex64, copy=False)
