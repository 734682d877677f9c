"""Half transforms: the spatial frequencies of complex pixels.

The transform of a real image is stored as its half: nx is W // 2 + 1 columns for a real width of W. Nothing in the
format states W; the grid sampling mx does when it fits, and then cell length over mx is the size of a real pixel. Zero
frequency is in the first column and, as IMOD writes it, in the middle of rows and sections.
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

_NARROWEST = 3  # a real width of 2 has a half of 2 columns, which tells nothing


def real_width(layout: Layout, geometry: Geometry) -> int | None:
    """Return the width of the real image a half transform was made from, None when this is no such thing.

    Parameters
    ----------
    layout : Layout
        Where the pixels lie.
    geometry : Geometry
        Of the same file.
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
        Where the pixels lie.
    geometry : Geometry
        Of the same file.

    Returns
    -------
    dict
        Axis name -> frequencies; empty when the pixels are no half transform of a known width.
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
