"""What a layer of napari needs to know of an array: scale, position, units, contrast limits, metadata."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.format.units import LENGTHS, plain
from mrcarray.urls import file_name, unpacked
from mrcarray.xarray_backend.convention import OPENED_SIZE, kind_of

if TYPE_CHECKING:
    from collections.abc import Hashable

    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["central_sections", "contrast_limits", "is_labels", "napari_kwargs"]

_SECTIONS = 3
_PIXELS = 1 << 22
"""Pixels of one section that are looked at: of larger ones every second, third, ... row."""

_LABELS_NBYTES = 256 << 20
_LABELS = 64
"""A volume of integers with at most this many different values in its central sections, none negative, has labels."""


def napari_kwargs(array: xr.DataArray, *, sample: NDArray[Any] | None = None) -> dict[str, Any]:
    """Return the arguments of ``viewer.add_image`` for an array of an MRC file.

    The contrast limits are the 1st and 99th percentile of the three central sections, which are read for them; without
    them napari would show lazy data between 0 and 1.

    Parameters
    ----------
    array : DataArray
        As ``xr.open_dataarray(engine="mrc")`` returns it, or part of it.
    sample : ndarray, optional
        The pixels that the contrast limits are for [default: the central sections, read now].

    Returns
    -------
    dict
        ``name``, ``scale``, ``translate``, ``units``, ``axis_labels`` and ``metadata``; ``contrast_limits``, or for
        colour images ``rgb``.

    Examples
    --------
    >>> import mrcarray
    >>> from mrcarray.napari import napari_kwargs
    >>> kwargs = napari_kwargs(mrcarray.open_dataarray("tomo.mrc"))
    >>> kwargs["scale"], kwargs["units"], kwargs["axis_labels"]
    ((2.0, 2.0, 2.0), ('angstrom', 'angstrom', 'angstrom'), ('z', 'y', 'x'))
    """
    dims = [dim for dim in array.dims if dim != "rgb"]
    axes = [_axis(array, dim) for dim in dims]
    out: dict[str, Any] = {
        "name": _name(array),
        "scale": tuple(step for step, _, _ in axes),
        "translate": tuple(start for _, start, _ in axes),
        "units": tuple(units for _, _, units in axes),
        "axis_labels": tuple(map(str, dims)),
        "metadata": _metadata(array),
    }
    if "rgb" in array.dims:
        return {**out, "rgb": True}
    return {**out, "contrast_limits": contrast_limits(central_sections(array) if sample is None else sample)}


def _axis(array: xr.DataArray, dim: Hashable) -> tuple[float, float, str]:
    """Return step, start and unit of an axis; sections count from 0, in pixels."""
    coord = array.coords.get(dim)
    if coord is None or coord.dtype.kind not in "iuf" or not coord.size:
        return 1.0, 0.0, "pixel"
    values = np.asarray(coord.values, dtype=np.float64)
    units = plain(coord.attrs.get("units", ""))
    length = units in LENGTHS
    step = (values[-1] - values[0]) / (values.size - 1) if values.size > 1 else _voxel_size(array, dim, length=length)
    if not (math.isfinite(step) and step and math.isfinite(values[0])):
        return 1.0, 0.0, "pixel"
    return float(f"{step:.9g}"), float(values[0]), str(coord.attrs["units"]) if length else "pixel"


def _voxel_size(array: xr.DataArray, dim: Hashable, *, length: bool) -> float:
    """Return the voxel size along an axis of length 1, as the file had it."""
    if not length or dim not in ("x", "y", "z"):
        return 1.0
    size = float(array.encoding.get(OPENED_SIZE, (1.0,) * 3)["xyz".index(str(dim))])
    return size if math.isfinite(size) and size > 0 else 1.0


def _name(array: xr.DataArray) -> str:
    source = array.encoding.get("source")
    if not source:
        return "MRC" if array.name is None else str(array.name)
    base = os.path.basename(unpacked(file_name(source)))  # noqa: PTH119 -- a path or a URL
    return os.path.splitext(base)[0]  # noqa: PTH122 -- as above


def _metadata(array: xr.DataArray) -> dict[str, Any]:
    """Return what a layer cannot store, and a save needs: the header, attributes, per-section coordinates."""
    coords = {
        str(name): (coord.dims, np.asarray(coord.values), dict(coord.attrs))
        for name, coord in array.coords.items()
        if name not in ("x", "y", "z", "rgb")
    }
    header = array.encoding.get("header", b"")
    facts = {"dims": array.dims, "kind": str(kind_of(array.dims) or ""), "attrs": dict(array.attrs), "coords": coords}
    return {"path": array.encoding.get("source", ""), **facts, "header": bytes(header)}


def central_sections(array: xr.DataArray) -> NDArray[Any]:
    """Read the three central sections of an array; of sections beyond 4 megapixels, evenly spaced rows."""
    colour = 1 if "rgb" in array.dims else 0
    leading = [int(n) for n in array.shape[: max(array.ndim - 2 - colour, 0)]]
    rows, columns = array.shape[len(leading) : len(leading) + 2]
    key: list[Any] = [slice(n // 2, n // 2 + 1) for n in leading]
    if leading:
        middle = leading[-1] // 2
        key[-1] = slice(max(middle - _SECTIONS // 2, 0), middle + _SECTIONS // 2 + 1)
    key.append(slice(None, None, max(1, math.ceil(rows * columns / _PIXELS))))
    return np.asarray(array[tuple(key)].values)


def contrast_limits(pixels: NDArray[Any]) -> tuple[float, float]:
    """Return the 1st and 99th percentile of the finite pixels, apart from each other.

    Examples
    --------
    >>> contrast_limits(np.arange(101))
    (1.0, 99.0)
    >>> contrast_limits(np.full(5, 3.0))
    (3.0, 4.0)
    """
    values = np.abs(pixels) if pixels.dtype.kind == "c" else pixels
    finite = values[np.isfinite(values)].astype(np.float64)
    if not finite.size:
        return 0.0, 1.0
    low, high = (float(one) for one in np.percentile(finite, (1, 99)))
    if low == high:
        low, high = float(finite.min()), float(finite.max())
    return (low, high) if low < high else (low, low + 1.0)


def is_labels(array: xr.DataArray, sample: NDArray[Any]) -> bool:
    """Tell whether an array has labels: a volume of integers with few different values, none negative."""
    if kind_of(array.dims) != "volume" or array.dtype.kind not in "iu" or array.nbytes > _LABELS_NBYTES:
        return False
    values = np.unique(sample)
    return bool(1 < values.size <= _LABELS and values[0] == 0)
