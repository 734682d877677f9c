"""Axes of the grid as coords tell them: step, start and unit, in ångström."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import MrcValueError, printable
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.units import LENGTHS, PIXELS, plain
from mrcarray.xarray_backend.convention import COUNTED, SPACING, START

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import xarray as xr
    from numpy.typing import NDArray

__all__ = [
    "Axis",
    "asked_sizes",
    "axis_of",
    "continued",
    "counts_pixels",
    "factor_of",
    "falls",
    "turned_issue",
    "units_of",
]

_EVEN = 1e-3
_SINGLE = 1e-6
_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of the grid.

    Parameters
    ----------
    name : str
        x, y or z.
    length : int
        Voxels.
    step, start : float
        Voxel size and place of the first voxel in ångström; NaN where the coords do not tell.
    count : int or None
        Place of the first voxel in voxels, where these are all that is known.
    unknown : bool
        Whether the coords say that the voxel size is unknown.
    """

    name: str
    length: int
    step: float = math.nan
    start: float = math.nan
    count: int | None = None
    unknown: bool = False

    def resized(self, step: float, *, counted: bool = False) -> Axis:
        """Return the axis with another voxel size; a position counted in voxels becomes one in ångström.

        Parameters
        ----------
        step : float
            The voxel size in ångström.
        counted : bool
            Whether the position in ångström was made of a number of voxels, and so changes with their size.
        """
        start = self.start if self.count is None else self.count * step
        if counted and self.count is None and self.step > 0:
            start *= step / self.step
        return replace(self, step=step, start=start, count=None, unknown=False)


def factor_of(units: Any) -> float | None:
    """Return how many ångström a unit is, None for voxels.

    Parameters
    ----------
    units : str or unit object
        As it stands in attrs; any Unicode spelling, any case, and what pint prints.

    Raises
    ------
    MrcValueError
        When it is no unit of length.

    Examples
    --------
    >>> factor_of("nm"), factor_of("Å"), factor_of("micrometer"), factor_of("pixel")
    (10.0, 1.0, 10000.0, None)
    """
    name = plain(units)
    if name in PIXELS:
        return None
    if name not in LENGTHS:
        raise MrcValueError(f"{printable(units)!r} is no unit of length; expected angstrom, nm, um, pixel or the like")
    return LENGTHS[name]


def counts_pixels(coord: xr.DataArray) -> bool:
    """Tell whether a coordinate is in voxels by its unit."""
    units = units_of(coord)
    return units is not None and plain(units) in PIXELS


def units_of(coord: xr.DataArray) -> Any:
    """Return the unit of a coordinate, None where it has none."""
    return getattr(coord.data, "units", None) or coord.attrs.get("units")


def falls(array: xr.DataArray, dim: Hashable) -> bool:
    """Tell whether the coordinate of an axis falls."""
    if dim not in array.coords or array.coords[dim].ndim != 1 or array.sizes[dim] < 2:  # noqa: PLR2004 -- to fall takes two
        return False
    values = array.coords[dim].values
    if values.dtype.kind not in "iuf":
        return False
    places = continued(values)
    return bool(places[-1] < places[0])


def turned_issue(dim: str) -> Issue:
    """Return the warning that a flip is undone: a header has no way to state falling coordinates."""
    text = f"the coordinate {dim} falls, which a file cannot store: the axis is written in rising order, every voxel at"
    text += f" its position, which undoes a flip along {dim}; to mirror the data, use .mrc.flip({dim!r}) or"
    return Issue(
        "MRC308", Severity.WARNING, f"{text} convert --flip {dim}, or drop the coordinate: .drop_vars({dim!r})", 17
    )


def continued(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return places with those missing at the ends, which xarray leaves open where it pads, on the same grid.

    Examples
    --------
    >>> continued(np.array([np.nan, 2.0, 4.0, np.nan]))
    array([0., 2., 4., 6.])
    """
    values = np.asarray(values, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(values)) if values.ndim == 1 else np.arange(0)
    if known.size < 2 or known.size == values.size or known[-1] - known[0] >= known.size:  # noqa: PLR2004 -- a step takes two
        return values
    first, last = known[[0, -1]]
    step = (values[last] - values[first]) / (last - first)
    return np.where(np.isnan(values), values[first] + (np.arange(values.size) - first) * step, values)


def axis_of(array: xr.DataArray, name: str) -> Axis:
    """Read an axis from its coordinate; one that is no dim of the array has a scalar coordinate or none.

    Raises
    ------
    MrcValueError
        When the coordinate is not evenly spaced, not numeric, or in no unit of length.
    """
    length = int(array.sizes.get(name, 1))
    if name not in array.coords:
        return Axis(name, length)
    coord = array.coords[name]
    values = np.asarray(coord.values)
    if values.dtype.kind not in "iuf" or values.ndim > 1:
        raise MrcValueError(
            f"coordinate {name} has dtype {values.dtype} and {values.ndim} axes; expected numbers along {name}"
        )
    values = continued(np.atleast_1d(values))
    if not np.isfinite(values).all():
        at = int(np.flatnonzero(~np.isfinite(values))[0])
        typed = f".assign_coords({name}=start + step * np.arange({length}))"
        text = f"coordinate {name} is {values[at]} at index {at}; expected numbers; cut and bin before .pad(), which"
        text += f" leaves the coordinates of new voxels open, or set them: {typed}"
        raise MrcValueError(text)
    factor = _factor(coord, name)
    if units_of(coord) is None and str(coord.attrs.get("long_name", "")).endswith(COUNTED):
        values, factor = _of_sections(coord, values)
    step = _step(values, name)
    if factor is None:
        return _counted(name, length, values, step)
    return Axis(name, length, step * factor, float(values[0]) * factor)


def _factor(coord: xr.DataArray, name: str) -> float | None:
    units = units_of(coord)
    if units is None:
        return 1.0
    try:
        return factor_of(units)
    except MrcValueError as error:
        raise MrcValueError(f"coordinate {name}: {error}") from None


def _of_sections(coord: xr.DataArray, numbers: NDArray[np.float64]) -> tuple[NDArray[np.float64], float | None]:
    """Return the positions of counted sections that became an axis of the grid; numbers where no header has them."""
    spacing, start = float(coord.attrs.get(SPACING, 0.0)), float(coord.attrs.get(START, 0.0))
    return (start + numbers * spacing, 1.0) if spacing > 0 else (numbers, None)


def _counted(name: str, length: int, values: np.ndarray[Any, Any], step: float) -> Axis:
    whole = step == 1.0 or math.isnan(step)
    count = round(float(values[0])) if whole and float(values[0]).is_integer() else 0
    return Axis(name, length, count=count, unknown=True)


def _step(values: np.ndarray[Any, Any], name: str) -> float:
    """Return the one step between values, to nine digits; NaN for one value."""
    if values.size < 2:  # noqa: PLR2004 -- a step needs two
        return math.nan
    steps = np.diff(values)
    usual = float(np.median(steps))
    tolerance = _EVEN * abs(usual) + _SINGLE * float(np.abs(values).max())
    odd = np.flatnonzero(np.abs(steps - usual) > min(tolerance, abs(usual) / 2))
    if usual == 0:
        raise MrcValueError(
            f"coordinate {name} is {values[0]:g} at index 0 and at most others; expected places that differ"
        )
    if odd.size:
        at = int(odd[0])
        text = f"coordinate {name} is not evenly spaced: at index {at + 1} it goes from {values[at]:g} "
        text += f"to {values[at + 1]:g}, {steps[at]:g} instead of {usual:g}"
        raise MrcValueError(f"{text}; an MRC file has one step an axis, so select evenly or interpolate")
    return float(f"{(values[-1] - values[0]) / (values.size - 1):.{_DIGITS}g}")


def asked_sizes(voxel_size: float | Sequence[float] | None) -> tuple[float, float, float] | None:
    """Return the voxel size a caller gave, along x, y and z.

    Raises
    ------
    MrcValueError
        When it is not one positive number or three.
    """
    if voxel_size is None:
        return None
    try:
        sizes = np.asarray(voxel_size, dtype=np.float64)
    except (TypeError, ValueError):
        sizes = np.array(np.nan)
    if sizes.shape not in ((), (3,)) or not (np.isfinite(sizes) & (sizes > 0)).all():
        raise MrcValueError(
            f"voxel_size is {voxel_size!r}; expected one positive number or three (x, y, z), in ångström"
        )
    x, y, z = np.broadcast_to(sizes, (3,)).tolist()
    return x, y, z
