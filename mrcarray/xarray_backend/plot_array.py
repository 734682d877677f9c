"""Plot an array of xarray by its coordinates."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mrcarray.analysis.plotting import draw
from mrcarray.analysis.views import Choice, Grid
from mrcarray.errors import MrcValueError
from mrcarray.xarray_backend.convention import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from mrcarray.analysis.plotting import Plot

__all__ = ["plot_array"]


def plot_array(
    data: xr.DataArray, grid: Mapping[str, tuple[float, float]], choice: Choice, *, contrast: float, title: str
) -> Plot:
    """Return the plot of sections of an array; see `mrcarray.plot`.

    Parameters
    ----------
    data : DataArray
        The array; a last dim ``rgb`` holds colours.
    grid : mapping of str to (float, float)
        Position of the first voxel and voxel size along x, y and z in ångström.
    choice : Choice
        Which sections.
    contrast : float
        Percentage of the pixels that become black, and of those that become white.
    title : str
        Text above the plot; the name of the array if it is empty.

    Raises
    ------
    MrcValueError
        When there are no rows and columns, or the choice does not fit the array.
    """
    dims = [str(dim) for dim in data.dims if dim != "rgb"]
    if len(dims) < 2:  # noqa: PLR2004 -- rows and columns
        raise MrcValueError(f"the dims are {', '.join(dims)}; a plot needs rows and columns")
    names = tuple(dim if dim in grid else "" for dim in dims)
    known = any(names[-2:]) and all(math.isfinite(grid[name][1]) for name in names[-2:] if name)
    pixels = Grid(data.shape[: len(dims)], names, grid, known, lambda key: data.variable[key].values)
    views = choice.views(pixels, volume=tuple(dims) == ("z", "y", "x"), kind=kind_of(data.dims))
    return draw(views, contrast=contrast, title=title or ("" if data.name is None else str(data.name)))
