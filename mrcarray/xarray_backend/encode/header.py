"""What an array still knows of the file it came from: its header, if xarray kept it, and attributes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mrcarray.errors import MrcValueError
from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.format.header import Header
from mrcarray.xarray_backend.convention import OPENED_SIZE

if TYPE_CHECKING:
    import xarray as xr

    from mrcarray.format.geometry import Geometry

__all__ = ["bytes_attr", "float_attrs", "label_attrs", "opened_geometry", "placement_of", "stored_header", "whole_attr"]


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


def opened_geometry(array: xr.DataArray, geometry: Geometry) -> Geometry:
    """Return the geometry of the header an array came from, with the voxel size it was opened with."""
    opened = array.encoding.get(OPENED_SIZE)
    if not isinstance(opened, tuple) or repr(opened) == repr(geometry.voxel_size):  # NaN differs from itself
        return geometry
    x, y, z = geometry.start
    if geometry.source == "nstart":
        x, y, z = (n * size if n else 0.0 for n, size in zip(geometry.nstart, opened, strict=True))
    return replace(geometry, voxel_size=opened, start=(x, y, z))


def whole_attr(array: xr.DataArray, name: str, default: int, bits: int = 32) -> int:
    """Return an attribute that is a whole number of so many bits."""
    value = array.attrs.get(name, default)
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        raise MrcValueError(f"attrs[{name!r}] is {value!r}; expected a whole number, or no such attribute") from None
    if not -(1 << bits - 1) <= number < 1 << bits - 1:
        raise MrcValueError(f"attrs[{name!r}] is {value!r}; expected a whole number of {bits} bits")
    return number


def float_attrs(array: xr.DataArray, name: str, default: tuple[float, ...] = ()) -> tuple[float, ...]:
    """Return an attribute that is a series of numbers."""
    value = array.attrs.get(name, default)
    try:
        return tuple(float(x) for x in np.atleast_1d(value))
    except (TypeError, ValueError):
        raise MrcValueError(f"attrs[{name!r}] is {value!r}; expected numbers, or no such attribute") from None


def bytes_attr(array: xr.DataArray, name: str) -> bytes:
    """Return an attribute that holds bytes as numbers."""
    value = array.attrs[name]
    try:
        return bytes(np.atleast_1d(value).tolist())
    except (TypeError, ValueError):
        raise MrcValueError(f"attrs[{name!r}] is {value!r}; expected bytes as numbers from 0 to 255") from None


def label_attrs(array: xr.DataArray) -> list[str]:
    """Return the labels among the attributes; netCDF makes a text of a list of one."""
    value = array.attrs.get("labels", [])
    labels = [value] if isinstance(value, str) else value
    try:
        found = list(labels)
    except TypeError:
        found = [None]
    if not all(isinstance(label, str) for label in found):
        raise MrcValueError(f"attrs['labels'] is {value!r}; expected text, or a list of texts")
    return [str(label) for label in found]
