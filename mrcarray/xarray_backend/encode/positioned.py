"""The grid of an array that is written, and the cell its file gets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mrcarray.format.issues import Issue
    from mrcarray.format.layout import Kind
    from mrcarray.xarray_backend.coordinates import Axis

__all__ = ["Cell", "Place"]


@dataclass(slots=True)
class Place:
    """What is known of the grid, and what is to be said about it."""

    kind: Kind
    axes: dict[str, Axis]
    order: tuple[str, ...]
    """Spatial axes of the file, slowest first; always three."""
    intervals: int = 1
    """Intervals of the cell along the sections of a stack of images: 1, unless its header counted them otherwise."""
    issues: list[Issue] = field(default_factory=list)

    @property
    def mapcrs(self) -> tuple[int, int, int]:
        """Which axis columns, rows and sections run along (MRC2014 words 17-19)."""
        s, r, c = ("xyz".index(axis) + 1 for axis in self.order)
        return c, r, s


@dataclass(frozen=True, slots=True)
class Cell:
    """Voxel size along x, y, z (NaN where unknown), intervals of the cell (words 8-10) and its lengths (11-13)."""

    steps: tuple[float, ...]
    m: tuple[int, ...]
    cella: tuple[float, ...]
