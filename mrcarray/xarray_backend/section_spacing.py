"""What a header states along the axis of the sections of an image stack, kept as attributes of the section coordinate.

Many volumes have headers that do not tell them from stacks (space group 0, mz = nz). Read as a stack, such a file has
no coordinate in ångström along its sections, but its header states a cell, a start and intervals there
(`mrcarray.xarray_backend.convention` reads them). These facts follow every selection and every binning, because the
section numbers do, and they are written again as they were read:

- ``spacing``: distance of two sections in ångström (cell length over intervals), 0 where it is unknown;
- ``start``: position of section 0 in ångström, where it is not 0;
- ``intervals``: ``"sections"`` where the intervals (mz) count the sections, as in a volume; the number itself where
  they count something else; absent where they are 1, as MRC2014 wants it of images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.xarray_backend.convention import COUNTED_DIMS, INTERVALS, SECTIONS, SPACING, START

if TYPE_CHECKING:
    from collections.abc import Hashable

    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["Depth", "depth_of", "positions_of"]

_EVEN = 1e-6


@dataclass(frozen=True, slots=True)
class Depth:
    """The facts along the sections of an image stack as it is now.

    Parameters
    ----------
    spacing : float
        Distance of two sections in ångström; NaN where it is unknown.
    start : float
        Position of the first section in ångström.
    intervals : int
        Intervals of the cell along the sections, for the header word mx, my or mz.
    """

    spacing: float = math.nan
    start: float = 0.0
    intervals: int = 1


def depth_of(array: xr.DataArray, dim: Hashable) -> Depth | None:
    """Return the facts along the sections that an array has now, None when it has none.

    Sections that are no longer evenly spaced keep the spacing of their file.

    Parameters
    ----------
    array : DataArray
        An image stack.
    dim : hashable
        The dim of its sections.
    """
    coord = _coordinate(array, dim)
    if coord is None:
        return None
    spacing = float(coord.attrs.get(SPACING, 0.0)) or math.nan
    start = float(coord.attrs.get(START, 0.0))
    kept = coord.attrs.get(INTERVALS, 1)
    if kept == 1:  # each section is an image of its own, so none lies above another
        return Depth(spacing, start, 1)
    first, stride = _first_and_stride(np.atleast_1d(coord.values))
    if math.isfinite(spacing):
        start += first * spacing
    length = int(array.sizes.get(dim, 1))
    return Depth(spacing * stride, start, length if kept == SECTIONS else _divided(int(kept), stride, length))


def positions_of(array: xr.DataArray, dim: Hashable) -> NDArray[np.float64] | None:
    """Return the positions of the sections in ångström, None where their spacing is not known.

    Parameters
    ----------
    array : DataArray
        An image stack.
    dim : hashable
        The dim of its sections.
    """
    found = depth_of(array, dim)
    if found is None or not math.isfinite(found.spacing):
        return None
    return np.asarray(found.start + found.spacing * np.arange(array.sizes.get(dim, 1)), dtype=np.float64)


def _coordinate(array: xr.DataArray, dim: Hashable) -> xr.DataArray | None:
    """Return the coordinate that carries the facts, along `dim` or of the one section that was selected."""
    for name in (dim, *COUNTED_DIMS):
        if name in array.coords and {SPACING, START, INTERVALS} & set(array.coords[name].attrs):
            coord = array.coords[name]
            if coord.dims in ((dim,), ()) and coord.dtype.kind in "iuf":
                found: xr.DataArray = coord
                return found
    return None


def _first_and_stride(numbers: NDArray[Any]) -> tuple[float, float]:
    """Return the lowest section number and the step between two; 1 where the numbers are not evenly spaced."""
    values = numbers.astype(np.float64)
    if not np.isfinite(values).all():
        known = values[np.isfinite(values)]
        return (float(known.min()) if known.size else 0.0), 1.0
    steps = np.diff(values)
    even = steps.size > 0 and steps[0] != 0 and bool(np.allclose(steps, steps[0], rtol=_EVEN, atol=0))
    return float(values.min()), abs(float(steps[0])) if even else 1.0


def _divided(intervals: int, stride: float, length: int) -> int:
    """Return the intervals of a cell of which every `stride`-th is left, or the sections where none divides it so."""
    left = intervals / stride
    return round(left) if abs(left - round(left)) < _EVEN * left else length
