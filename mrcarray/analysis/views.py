"""Sections to plot: their pixels, the names of their axes, the positions of their edges.

They come from a `Grid`, which a file has and, by its coordinates, an array of xarray. Only the pixels shown are read,
at a lower resolution if there are more than `MOST` along an axis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrcarray.errors import MrcValueError
from mrcarray.format.kinds import kind_hint
from mrcarray.format.layout import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from mrcarray.reader import Mrc

__all__ = ["Choice", "Grid", "View", "grid_of"]

MOST = 2048
"""Largest number of pixels shown along an axis."""

_DIMS = 3
_WORDS = ("section", "row", "column")
"""Names of the axes of a volume, slowest first."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Pixels with positions.

    Parameters
    ----------
    shape : tuple of int
        Length of each axis, slowest first, without the axis of colours.
    names : tuple of str
        ``"x"``, ``"y"`` or ``"z"`` for each axis; an empty name for those that are not measured.
    positions : mapping of str to (float, float)
        For each named axis the position of the first voxel and the voxel size, in \u00e5ngstr\u00f6m.
    known : bool
        Whether the voxel size is known; if not, positions count voxels.
    read : callable
        Takes an integer or a slice for each axis, and returns the pixels.
    """

    shape: tuple[int, ...]
    names: tuple[str, ...]
    positions: Mapping[str, tuple[float, float]]
    known: bool
    read: Callable[[tuple[Any, ...]], NDArray[Any]]

    def position(self, axis: int, index: float) -> float:
        """Return the position of a voxel along an axis, or its number if the voxel size is unknown."""
        if not self.known or self.names[axis] not in self.positions:
            return index
        start, step = self.positions[self.names[axis]]
        return (0.0 if math.isnan(start) else start) + index * step

    def where(self, axis: int, index: int) -> str:
        """Return the position of a section along an axis as text; empty for an axis that is not measured."""
        name = self.names[axis]
        return f"{name} = {self.position(axis, index):g} \u00c5" if self.known and name in self.positions else ""


@dataclass(frozen=True, slots=True)
class View:
    """One section.

    Parameters
    ----------
    pixels : ndarray, shape (row, column) or (row, column, 3)
        The values.
    names : (str, str)
        Names of its axes, rows first.
    extent : ((float, float), (float, float))
        Positions of its edges along them.
    known : bool
        Whether they are in \u00e5ngstr\u00f6m.
    text : str
        Number and position of the section.
    """

    pixels: NDArray[Any]
    names: tuple[str, str]
    extent: tuple[tuple[float, float], tuple[float, float]]
    known: bool
    text: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Which sections to plot: one, three orthogonal ones, or a montage; see `mrcarray.plot`."""

    section: int | None = None
    ortho: bool | None = None
    montage: int | None = None

    def views(self, grid: Grid, *, volume: bool, kind: str | None) -> list[View]:
        """Return the sections of a grid.

        Parameters
        ----------
        grid : Grid
            The pixels.
        volume : bool
            Whether it is one volume, which has orthogonal sections.
        kind : str or None
            What it is, for messages.

        Raises
        ------
        MrcValueError
            When the section does not exist, or the choice is contradictory.
        """
        if self.ortho and self.section is not None:
            raise MrcValueError("pass either `section` or `ortho`, not both")
        if self.montage is not None and (self.ortho or self.section is not None):
            raise MrcValueError("pass either `montage` or one of `section` and `ortho`")
        if 0 in grid.shape:
            raise MrcValueError("the file declares no pixels to plot")
        if self.ortho and not volume:
            text = f"three orthogonal sections need a volume; the kind of this file is {kind}"
            raise MrcValueError(text, hint=None if kind == Kind.IMAGE else kind_hint(Kind.VOLUME))
        if self.montage is not None:
            return _montage(grid, self.montage)
        ortho = volume and self.section is None if self.ortho is None else self.ortho
        return _ortho(grid) if ortho else [_section(grid, self.section)]


def grid_of(mrc: Mrc) -> Grid:
    """Return the grid of an opened file with pixels."""
    shape, geometry = mrc.layout.grid if mrc.layout is not None else (), mrc.geometry()
    positions = {name: (geometry.start[i], geometry.voxel_size[i]) for i, name in enumerate("xyz")}
    names = ("",) * (len(shape) - len(geometry.axes)) + geometry.axes
    return Grid(shape, names, positions, geometry.known, lambda key: mrc.array[key])  # type: ignore[index]  # it has pixels


def _view(grid: Grid, key: tuple[Any, ...], axes: tuple[int, int], text: str) -> View:
    steps = [max(1, math.ceil(length / MOST)) for length in grid.shape]
    pixels = grid.read(tuple(slice(None, None, steps[i]) if i in axes else k for i, k in enumerate(key)))
    rows, columns = ((grid.position(axis, -0.5), grid.position(axis, grid.shape[axis] - 0.5)) for axis in axes)
    return View(pixels, (grid.names[axes[0]], grid.names[axes[1]]), (rows, columns), grid.known, text)


def _section(grid: Grid, section: int | None) -> View:
    stack = grid.shape[:-2]
    count = math.prod(stack)
    number = count // 2 if section is None else section
    if not -count <= number < count:
        raise MrcValueError(f"there is no section {number}; the file has {count} sections, numbered from 0")
    number %= count
    lead: list[int] = []
    rest = number
    for length in reversed(stack):
        rest, index = divmod(rest, length)
        lead.insert(0, index)
    last = len(grid.shape) - 1
    where = grid.where(last - 2, lead[-1]) if stack else ""
    text = ", ".join(filter(None, (f"section {number}" if stack else "", where)))
    return _view(grid, (*lead, slice(None), slice(None)), (last - 1, last), text)


def _montage(grid: Grid, count: int) -> list[View]:
    sections = math.prod(grid.shape[:-2])
    if count < 1:
        raise MrcValueError(f"montage is {count}; expected a number of sections of at least 1")
    count = min(count, sections)
    return [_section(grid, round(number * (sections - 1) / max(count - 1, 1))) for number in range(count)]


def _ortho(grid: Grid) -> list[View]:
    middle = [length // 2 for length in grid.shape]
    views = []
    for fixed, shown in ((0, (1, 2)), (1, (0, 2)), (2, (0, 1))):
        key = tuple(middle[i] if i == fixed else slice(None) for i in range(_DIMS))
        text = ", ".join(filter(None, (f"{_WORDS[fixed]} {middle[fixed]}", grid.where(fixed, middle[fixed]))))
        views.append(_view(grid, key, shown, text))
    return views
