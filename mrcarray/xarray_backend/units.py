"""Per-section coordinates as a caller left them, in the units in which records and sidecars state them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mrcarray.errors import MrcValueError
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.quantities import COMMON
from mrcarray.format.units import conversion, plain
from mrcarray.xarray_backend.coordinates import units_of

if TYPE_CHECKING:
    import xarray as xr

    from mrcarray.format.quantities import Quantity

__all__ = ["in_common_units"]


def in_common_units(array: xr.DataArray) -> tuple[xr.DataArray, tuple[Issue, ...]]:
    """Return the array with the quantities of the common vocabulary in their common units.

    A coordinate without a unit has the common one. One whose unit is of another kind is left out, with a warning.

    Parameters
    ----------
    array : DataArray
        With any coordinates; those that are no numbers, or of other names, stay as they are.

    Returns
    -------
    DataArray
        The same object where nothing had to be done.
    tuple of Issue
    """
    issues = []
    for name in [name for name in COMMON if name in array.coords]:
        coord, quantity = array.coords[name], COMMON[name]
        units = units_of(coord)
        if not units or not quantity.unit or plain(units) == plain(quantity.unit):
            continue
        try:
            turned = _turned(coord, conversion(units, quantity.unit), quantity)
        except (MrcValueError, TypeError, ValueError) as error:
            issues.append(Issue("MRC411", Severity.WARNING, f"the coordinate {name} is not written: {error}"))
            array = array.drop_vars(name)
        else:
            array = array.drop_vars(name).assign_coords({name: turned})
    return array, tuple(issues)


def _turned(coord: xr.DataArray, factor: float, quantity: Quantity) -> tuple[object, ...]:
    """Return dims, values and attrs of a coordinate in the unit of its quantity."""
    values = np.asarray(getattr(coord.data, "magnitude", coord.values), dtype=np.float64)
    return coord.dims, values * factor, {**coord.attrs, "units": quantity.unit}
