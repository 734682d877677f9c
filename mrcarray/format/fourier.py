"""Spatial frequencies of half transforms, which are stored as complex pixels.

The transform of a real image of width W is stored as W // 2 + 1 columns. The format does not store W; mx is W if it
fits, and then cell length / mx is the real pixel size. Zero frequency is in the first column and, as IMOD writes it, in
the middle of rows and sections.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrcarray.format.geometry import Geometry
    from mrcarray.format.layout import Layout

__all__ = ["frequencies", "real_width"]

_NARROWEST = 3  # widths 2 and 3 both give 2 columns


def real_width(layout: Layout, geometry: Geometry) -> int | None:
    """Return the width of the real image of a half transform; None if the array is no half transform.

    Parameters
    ----------
    layout : Layout
        The pixels.
    geometry : Geometry
        The geometry of the same file.
    """
    column = geometry.axes[-1]
    intervals = geometry.n["xyz".index(column)]
    is_half = layout.dtype.kind == "c" and intervals >= _NARROWEST and layout.columns == intervals // 2 + 1
    return int(intervals) if is_half else None


def frequencies(layout: Layout, geometry: Geometry) -> dict[str, NDArray[np.float64]]:
    """Return the spatial frequencies along each axis whose voxel size is known, in cycles per ångström.

    Parameters
    ----------
    layout : Layout
        The pixels.
    geometry : Geometry
        The geometry of the same file.

    Returns
    -------
    dict
        Axis name -> frequencies; empty if the array is no half transform of a known width.
    """
    width = real_width(layout, geometry)
    if width is None:
        return {}
    out = {}
    spatial = 3 if layout.kind.value.startswith("volume") else 2
    for axis, length in zip(geometry.axes[-spatial:], layout.grid[-spatial:], strict=True):
        size = geometry.voxel_size["xyz".index(axis)]
        if not math.isfinite(size):
            continue
        if axis == geometry.axes[-1]:
            out[axis] = np.arange(length) / (width * size)
        else:
            out[axis] = (np.arange(length) - length // 2) / (length * size)
    return out
