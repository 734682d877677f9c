"""Compare files: `diff` for headers and pixels, `grid_issues` for maps that should share a grid.

`differences` compares two files, `extended` their extended headers, `grids` the positions of their voxels.
"""

from __future__ import annotations

from mrcarray.analysis.compare.differences import Difference, diff
from mrcarray.analysis.compare.extended import ColumnDifference, ExtendedDifference
from mrcarray.analysis.compare.grids import grid_differences, grid_issues

__all__ = ["ColumnDifference", "Difference", "ExtendedDifference", "diff", "grid_differences", "grid_issues"]
