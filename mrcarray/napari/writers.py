"""Saving layers as files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from mrcarray.errors import MrcValueError
from mrcarray.format.units import LENGTHS, plain
from mrcarray.xarray_backend.convention import grid_positions
from mrcarray.xarray_backend.write import to_mrc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["write_image", "write_labels"]

_DIMS = {2: ("y", "x"), 3: ("z", "y", "x"), 4: ("volume", "z", "y", "x")}
_STORED = ("i1", "i2", "u2", "f4")
"""Types that integers of other sizes are stored as: the first whose range includes all of them."""


def write_image(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Save an image layer.

    A layer that came from an MRC file keeps the words of its header, and its per-section metadata. Existing files are
    replaced, because napari has asked.

    Parameters
    ----------
    path : str
        The file; ``.gz`` and ``.bz2`` are compressed.
    data : array or list of arrays
        The pixels; of several resolutions, the first is saved.
    attributes : mapping
        Of the layer.

    Returns
    -------
    list of str
        What was written.
    """
    first = data[0] if attributes.get("multiscale") or isinstance(data, list | tuple) else data
    to_mrc(_labelled(_stored(first), attributes), path, overwrite=True)
    return [path]


def write_labels(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Save a labels layer, in the smallest type whose range includes its labels; see `write_image`."""
    return write_image(path, data, attributes)


def _stored(data: Any) -> Any:
    """Return pixels of a type that a file has."""
    kind, size = data.dtype.kind, data.dtype.itemsize
    if kind == "f" and size > 4:  # noqa: PLR2004 -- napari's own results have 64 bits; files have 32
        return data.astype(np.float32)
    if kind == "b":
        return data.astype(np.int8)
    if kind in "iu" and size > 2:  # noqa: PLR2004 -- integers of 32 bits, as labels are, have no mode
        low, high = (int(value) for value in _bounds(data))
        fits = next((code for code in _STORED if _holds(np.dtype(code), low, high)), None)
        if fits is None:
            raise MrcValueError(
                f"the layer has values from {low} to {high}, which no mode of an MRC file stores exactly"
            )
        return data.astype(fits)
    return data


def _bounds(data: Any) -> tuple[Any, Any]:
    low, high = data.min(), data.max()
    if hasattr(low, "compute"):
        from dask.base import compute

        low, high = compute(low, high)
    return low, high


def _holds(dtype: np.dtype[Any], low: int, high: int) -> bool:
    if dtype.kind == "f":
        return max(-low, high) <= 1 << np.finfo(dtype).nmant + 1
    info = np.iinfo(dtype)
    return int(info.min) <= low and high <= int(info.max)


def _labelled(data: Any, attributes: Mapping[str, Any]) -> xr.DataArray:
    """Return the pixels with dimensions and coordinates as the layer has them."""
    metadata = attributes.get("metadata") or {}
    rgb = bool(attributes.get("rgb"))
    dims = tuple(metadata.get("dims", ()))
    ours = len(dims) == data.ndim and "header" in metadata
    if not ours:
        if data.ndim - rgb not in _DIMS:
            raise MrcValueError(f"the layer has {data.ndim} axes; an MRC file has 2 to 4")
        dims = (*_DIMS[data.ndim - rgb], *(("rgb",) if rgb else ()))
    array = xr.DataArray(data, dims=dims, attrs=dict(metadata.get("attrs", {})) if ours else {})
    array = array.assign_coords(_grid(array, attributes))
    if not ours:
        return array
    for name, (along, values, attrs) in metadata["coords"].items():
        if all(array.sizes.get(dim) == length for dim, length in zip(along, np.shape(values), strict=True)):
            array = array.assign_coords({name: (along, values, attrs)})
    if metadata["header"]:
        array.encoding.update(header=metadata["header"])
    return array


def _grid(array: xr.DataArray, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the coordinates of the spatial axes by scale, translation and units of the layer."""
    axes = [str(dim) for dim in array.dims if dim != "rgb"]
    scale = np.broadcast_to(np.asarray(attributes.get("scale", 1.0), dtype=np.float64), (len(axes),))
    start = np.broadcast_to(np.asarray(attributes.get("translate", 0.0), dtype=np.float64), (len(axes),))
    units = attributes.get("units") or ("pixel",) * len(axes)
    out = {}
    for dim, step, first, unit in zip(axes, scale.tolist(), start.tolist(), units, strict=True):
        if dim in ("x", "y", "z"):
            known = plain(unit) in LENGTHS
            positions: NDArray[Any] = np.arange(array.sizes[dim]) + (0.0 if known else round(first / (step or 1.0)))
            if known:
                positions = grid_positions(array.sizes[dim], step, first) if step > 0 else first + positions * step
            out[dim] = (dim, positions, {"units": str(unit) if known else "pixel"})
    return out
