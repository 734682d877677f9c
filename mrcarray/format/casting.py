"""Which mode can hold which dtype, and whether values fit it. Nothing is wrapped or cut in silence.

What a mode holds exactly is taken as it is; every other conversion must be asked for, and is refused value by value
where it would change more than the last digits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import MrcValueError
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
"""dtype (without byte order) and the code in `PIXELS` it is stored as unless the caller says otherwise."""

_NIBBLE_MAX = 15
_SHOWN = "int8, int16, uint16, float16, float32 or complex64"


def pixel_for(dtype: DTypeLike, mode: int | None = None, code: str | None = None) -> PixelFormat:
    """Return the pixel format for an array.

    Parameters
    ----------
    dtype : dtype_like
        Of the array.
    mode : int, optional
        Mode asked for; values that do not fit it are refused when they come.
    code : str, optional
        Code in `PIXELS` of the file the array came from, kept when it holds the dtype exactly.

    Returns
    -------
    PixelFormat

    Raises
    ------
    MrcValueError
        When no mode holds the dtype exactly and none was asked for, or the mode is unknown.

    Examples
    --------
    >>> pixel_for("uint8").mode, pixel_for("bool").mode, pixel_for("float64", mode=2).mode
    (6, 0, 2)
    """
    kind = np.dtype(dtype)
    if mode is not None:
        return _asked(kind, mode, code)
    if code in PIXELS and PIXELS[code].dtype == kind.newbyteorder("="):
        return PIXELS[code]
    exact = EXACT.get(kind.str[1:])
    if exact is None:
        text = f"no MRC mode holds dtype {kind} exactly; choose one: dtype= one of {_SHOWN}, or mode= one of "
        raise MrcValueError(text + ", ".join(str(number) for number, row in MODES.items() if row.standard))
    return PIXELS[exact]


def _asked(kind: np.dtype[Any], mode: int, code: str | None) -> PixelFormat:
    if isinstance(mode, bool) or mode not in MODES:
        raise MrcValueError(f"mode is {mode!r}; known modes are {', '.join(map(str, MODES))}")
    pixel = MODES[mode].pixel
    if code in PIXELS and PIXELS[code].mode == mode and PIXELS[code].dtype == kind:
        return PIXELS[code]
    if kind.kind not in "biufc":
        raise MrcValueError(f"dtype {kind} holds no numbers; MRC files hold integers, floats and complex numbers")
    if kind.kind == "c" and pixel.dtype.kind != "c":
        raise MrcValueError(
            f"complex values do not fit mode {mode}; choose mode=4, or write their real or absolute part"
        )
    return pixel


def as_pixels(values: Any) -> NDArray[Any]:
    """Return values of any kind as a plain array; those behind a mask have no place in a file, and are refused.

    Raises
    ------
    MrcValueError
        When a value is masked.

    Examples
    --------
    >>> as_pixels(np.ma.masked_less([1, 2, 3], 2))
    Traceback (most recent call last):
    mrcarray.errors.MrcValueError: 1 of 3 values are masked, which no MRC file can say; fill them first: array.filled(0)
    """
    if isinstance(values, np.ma.MaskedArray) and (hidden := values.size - int(values.count())):
        text = f"{hidden} of {values.size} values are masked, which no MRC file can say; fill them first"
        raise MrcValueError(f"{text}: array.filled(0)")
    return np.asarray(values)


def fit(values: NDArray[Any], pixel: PixelFormat) -> NDArray[Any]:
    """Return the values in the memory dtype of `pixel`, or refuse them.

    Floats become integers by rounding to the nearest; integers and doubles become shorter floats by rounding to their
    precision. A value outside the range of the mode is refused, and so is NaN among integers.

    Parameters
    ----------
    values : ndarray
        Numbers.
    pixel : PixelFormat
        Where they are to go.

    Returns
    -------
    ndarray
        The same array where nothing has to be done.

    Raises
    ------
    MrcValueError
        When a value does not fit.

    Examples
    --------
    >>> fit(np.array([1.6, -2.0]), PIXELS["1"])
    array([ 2, -2], dtype=int16)
    >>> fit(np.array([300]), PIXELS["0"])
    Traceback (most recent call last):
    mrcarray.errors.MrcValueError: value 300 does not fit mode 0, which holds -128 to 127; scale the data or choose ...
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
    text = f"value {shown} does not fit mode {pixel.mode}, which holds {low} to {high}"
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
        text = f"value {largest:g} does not fit mode {pixel.mode}, which holds {-limit:g} to {limit:g}"
        raise MrcValueError(f"{text}; scale the data or choose another mode")
    return out


def _fit_pairs(values: NDArray[Any], pixel: PixelFormat) -> NDArray[Any]:
    wide = values.astype(np.complex64, copy=False) if values.dtype.kind != "c" else values
    info = np.iinfo(np.int16)
    for part in (wide.real, wide.imag):
        if part.size and math.isnan(float(part.min())):
            raise MrcValueError(f"NaN does not fit mode {pixel.mode}, which holds pairs of 16-bit integers")
        _check_range(np.rint(part), pixel, info.min, info.max)
    return wide.astype(np.complex64, copy=False)
