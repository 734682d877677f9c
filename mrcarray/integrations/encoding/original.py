"""What an array still knows of the file it came from: its header, if xarray kept it, and attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mrcarray.errors import MrcValueError
from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.format.header import Header

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["float_attrs", "placement_of", "stored_header", "whole_attr"]


def placement_of(array: xr.DataArray) -> str:
    """Return where the file the array came from was said to start."""
    placement = str(array.attrs.get("placement", "auto"))
    return placement if placement in ("nstart", "zero") else "auto"


def stored_header(array: xr.DataArray) -> Header | None:
    """Return the header of the file an array came from, if xarray still has it."""
    raw = array.encoding.get("header")
    if not isinstance(raw, bytes) or len(raw) != HEADER_NBYTES:
        return None
    return Header(raw, ">" if array.encoding.get("byteorder") == "big" else "<")


def whole_attr(array: xr.DataArray, name: str, default: int) -> int:
    """Return an attribute that is a whole number."""
    value = array.attrs.get(name, default)
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise MrcValueError(f"attrs[{name!r}] is {value!r}; expected a whole number, or no such attribute") from None


def float_attrs(array: xr.DataArray, name: str, default: tuple[float, ...] = ()) -> tuple[float, ...]:
    """Return an attribute that is a series of numbers."""
    value = array.attrs.get(name, default)
    try:
        return tuple(float(x) for x in np.atleast_1d(value))
    except (TypeError, ValueError):
        raise MrcValueError(f"attrs[{name!r}] is {value!r}; expected numbers, or no such attribute") from None
