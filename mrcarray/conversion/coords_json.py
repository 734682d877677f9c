"""Dims, coords and attrs of an array as JSON, for formats that cannot store them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.format.issues import Issue, Severity
from mrcarray.xarray_backend import convention

if TYPE_CHECKING:
    from collections.abc import Hashable

    import xarray as xr

__all__ = ["from_json", "is_ours", "to_json"]

_MARK = "mrcarray"
_VERSION = 1
_LONGEST = 32 << 20
"""Characters of one coordinate."""
_TIMES = "mM"
_TEXT = "OUST"


def to_json(array: xr.DataArray) -> tuple[str, tuple[Issue, ...]]:
    """Return the description of an array in ASCII, and a warning that names what it leaves out.

    Parameters
    ----------
    array : DataArray
        Its pixels are not used.

    Examples
    --------
    >>> import xarray as xr
    >>> to_json(xr.DataArray([1, 2], dims="x", coords={"x": [0.0, 1.5]}, name="data"))[0][:60]
    '{"mrcarray": 1, "dims": ["x"], "shape": [2], "dtype": "<i8",'
    """
    parts = {f"coordinate {name}": _json(_coordinate(coord)) for name, coord in array.coords.items()}
    parts |= {f"attribute {name}": _json(_plain(value)) for name, value in array.attrs.items()}
    lost = [name for name, text in parts.items() if text is None or len(text) > _LONGEST]
    whole = {
        _MARK: _VERSION,
        "dims": list(array.dims),
        "shape": list(array.shape),
        "dtype": array.dtype.str,
        "coords": {name: _coordinate(one) for name, one in array.coords.items() if f"coordinate {name}" not in lost},
        "attrs": {name: _plain(one) for name, one in array.attrs.items() if f"attribute {name}" not in lost},
    }
    return json.dumps(whole), _left_out(lost)


def _left_out(names: list[str]) -> tuple[Issue, ...]:
    if not names:
        return ()
    text = f"the file cannot store what is too large, or neither text nor number: {', '.join(names)}"
    return (Issue("MRC411", Severity.WARNING, text),)


def _json(value: Any) -> str | None:
    """Return a value as JSON, None if that is not possible."""
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return None


def _coordinate(coord: xr.DataArray) -> dict[str, Any]:
    values = coord.values
    kind = values.dtype.kind
    code = "text" if kind in _TEXT else values.dtype.str
    plain = values.view("i8") if kind in _TIMES else values
    attrs = {name: _plain(value) for name, value in coord.attrs.items()}
    return {"dims": list(coord.dims), "dtype": code, "values": plain.tolist(), "attrs": attrs}


def _plain(value: Any) -> Any:
    """Return arrays and NumPy scalars as plain values, and anything else unchanged."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def is_ours(text: object) -> bool:
    """Return whether a text was written by `to_json`."""
    return isinstance(text, str) and text.startswith(f'{{"{_MARK}": ')


def from_json(pixels: Any, text: str) -> xr.DataArray:
    """Return pixels with the dims, coords and attrs of a description.

    Parameters
    ----------
    pixels : array
        In the shape of the array, or pages of rows and columns, of single values or of three colours.
    text : str
        The description.

    Raises
    ------
    ValueError
        When the description does not fit the pixels; the message names the difference.
    """
    import xarray as xr

    described = _parsed(text)
    shape, dtype = tuple(described["shape"]), np.dtype(described["dtype"])
    page = len("yx") + (described["dims"][-1:] == ["rgb"])
    if dtype != pixels.dtype:
        raise ValueError(f"pixels of dtype {dtype}, but the file has {pixels.dtype}")
    if pixels.shape not in (shape, (int(np.prod(shape[:-page])), *shape[-page:])):
        raise ValueError(f"pixels of shape {shape}, but the file has the shape {pixels.shape}")
    coords: dict[Hashable, Any] = {name: _variable(one) for name, one in described["coords"].items()}
    dims, attrs = described["dims"], described["attrs"]
    return xr.DataArray(pixels.reshape(shape), dims=dims, coords=coords, attrs=attrs, name=convention.DATA)


def _parsed(text: str) -> dict[str, Any]:
    try:
        described = json.loads(text)
        if described[_MARK] != _VERSION:
            raise ValueError(f"an array in version {described[_MARK]!r} of the format; expected {_VERSION}")
        (
            np.dtype(described["dtype"]),
            tuple(described["shape"]),
            described["dims"],
            described["coords"],
            described["attrs"],
        )
    except (TypeError, KeyError, json.JSONDecodeError) as error:
        raise ValueError("an array in a damaged text") from error
    found: dict[str, Any] = described
    return found


def _variable(one: dict[str, Any]) -> tuple[list[str], Any, dict[str, Any]]:
    dtype = np.dtype(object if one["dtype"] == "text" else one["dtype"])
    stored = np.dtype("i8") if dtype.kind in _TIMES else dtype
    return one["dims"], np.array(one["values"], dtype=stored).view(dtype), one["attrs"]
