"""Rows of the representation of `.mrc` that come from the attributes of an array."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mrcarray.errors import MrcValueError
from mrcarray.xarray_backend.header_attrs import label_attrs
from mrcarray.xarray_backend.storage_facts import float_fact

if TYPE_CHECKING:
    import xarray as xr

    from mrcarray.format.header_facts import Row

__all__ = ["attr_rows", "cell_rows"]


def attr_rows(array: xr.DataArray | xr.Dataset) -> tuple[Row, ...]:
    """Return the labels among the attributes."""
    try:
        labels = label_attrs(array)
    except MrcValueError:  # an unrelated attribute of this name
        return ()
    return tuple((f"label {number}", text.rstrip()) for number, text in enumerate(labels, 1))


def cell_rows(array: xr.DataArray | xr.Dataset) -> tuple[Row, ...]:
    """Return a row about a skewed cell, whose coordinates are not Cartesian."""
    angles = np.atleast_1d(float_fact(array, "cell_angles"))
    if angles.shape != (3,) or angles.dtype.kind not in "iuf" or (angles == 90).all():  # noqa: PLR2004 -- alpha, beta, gamma
        return ()
    shown = ", ".join(f"{angle:g}" for angle in angles)
    return (("cell", f"angles {shown}: x, y, z run along the cell's edges and are not Cartesian"),)
