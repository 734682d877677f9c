"""Conversion to a narrower dtype: values that would be lost are refused, or rounded and clipped on request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import Hint, MrcValueError
from mrcarray.format.modes import MODES

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["narrowed"]

_LOSSY = Hint("pass lossy=True to round and clip", "pass --lossy to round and clip")


def narrowed(array: xr.DataArray, dtype: Any, mode: int | None, *, lossy: bool) -> xr.DataArray:
    """Return an array that fits a dtype; raise, when it is computed, for a value that is not a whole number.

    Rounding between floating-point numbers is no loss. Writers refuse values outside the range, and NaN as an integer.

    Parameters
    ----------
    array : DataArray
        Any pixels, as a dask array.
    dtype : dtype_like or None
        What they will be stored as.
    mode : int or None
        The MRC mode they will be stored in, if `dtype` is None.
    lossy : bool
        Whether to round values and to clip them to the range instead.

    Examples
    --------
    >>> import xarray as xr
    >>> array = xr.DataArray([0.4, 300.0], dims="x").chunk()
    >>> narrowed(array, "int8", None, lossy=True).values
    array([  0., 127.])
    """
    wanted = _stored_as(dtype, mode)
    if wanted is None or wanted == array.dtype or array.dtype.kind not in "iuf" or wanted.kind not in "iuf":
        return array
    rounds = wanted.kind in "iu" and array.dtype.kind == "f"
    if not (rounds or lossy):
        return array
    low, high = _shared_range(array.dtype, wanted)

    def check(values: Any) -> Any:
        if not lossy:
            whole = np.rint(values)
            parts = values[np.isfinite(values) & (values != whole)]
            if parts.size and not ((whole < low) | (whole > high)).any():  # which the writer reports
                text = f"value {parts.flat[0]:g} is not a whole number, and {wanted} stores only whole numbers"
                raise MrcValueError(text, hint=_LOSSY)
            return values
        fit = np.clip(np.rint(values) if rounds else values, low, high)
        return np.where(np.isfinite(values), fit, values).astype(values.dtype)

    return array.copy(data=array.data.map_blocks(check, dtype=array.dtype))


def _stored_as(dtype: Any, mode: int | None) -> np.dtype[Any] | None:
    """Return the dtype of the pixels of the target, or None where neither option decides it."""
    found: np.dtype[Any] | None = None if mode not in MODES else MODES[mode].pixel.dtype
    return found if dtype is None else np.dtype(dtype)


def _shared_range(one: np.dtype[Any], two: np.dtype[Any]) -> tuple[Any, Any]:
    """Return the least and the greatest value that both dtypes store."""
    ranges: list[Any] = [np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype) for dtype in (one, two)]
    return max(item.min for item in ranges), min(item.max for item in ranges)
