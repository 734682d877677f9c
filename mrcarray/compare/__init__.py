"""Comparing files: `diff` for header words and pixels, `grid_issues` for maps that belong together.

`differences` compares two files, `grids` the places of their voxels.
"""

from __future__ import annotations

from mrcarray.compare.differences import Difference, diff
from mrcarray.compare.grids import grid_differences, grid_issues

__all__ = ["Difference", "diff", "grid_differences", "grid_issues"]
