"""Compare the grids of maps: shape, axes, voxel size and position."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mrcarray.errors import printable
from mrcarray.format.issues import Issue, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["grid_differences", "grid_issues"]

_SAME = 1e-4
"""Fraction of a voxel by which two grids may differ."""


def grid_issues(first: Any, other: Any) -> tuple[Issue, ...]:
    """Return the differences between the grids of two maps.

    Parameters
    ----------
    first, other : str, path, bytes or readable binary object
        The files.

    Returns
    -------
    tuple of Issue
        Codes MRC701 (shape), MRC702 (voxel size) and MRC703 (position), all errors; empty for equal grids.
    """
    from mrcarray.analysis.header_report import header_report

    one, two = header_report(first), header_report(other)
    return grid_differences(printable(one.path), one.facts(), two.facts())


def grid_differences(name: str, one: Mapping[str, Any], two: Mapping[str, Any]) -> tuple[Issue, ...]:
    """Return the differences between the grids of two maps, given their facts.

    Parameters
    ----------
    name : str
        Name of the first map, for messages.
    one, two : mapping
        "shape", "axes", "voxel_size" and "origin" of each map, as in `HeaderReport.facts` and `Report.facts`.
    """
    if "origin" not in one or "origin" not in two:
        whose = "the pixels" if "origin" not in two else f"the pixels of {name}"
        return (Issue("MRC701", Severity.ERROR, f"the grid cannot be compared: {whose} cannot be located"),)
    issues = []
    if one["shape"] != two["shape"] or one["axes"] != two["axes"]:
        shapes = tuple(two["shape"]), tuple(one["shape"])
        text = f"the shape is {shapes[0]}, but {shapes[1]} in {name}"
        issues.append(Issue("MRC701", Severity.ERROR, text, 1, str(shapes[0]), str(shapes[1])))
    rows = (
        ("MRC702", 11, "voxel_size", "the voxel size is", ""),
        ("MRC703", 50, "origin", "the first voxel is at", "at "),
    )
    for code, word, key, start, link in rows:
        if not _near(one[key], two[key], one["voxel_size"]):
            found, expected = _triple(two[key]), _triple(one[key])
            text = f"{start} {found}, but {link}{expected} in {name}"
            issues.append(Issue(code, Severity.ERROR, text, word, found, expected))
    return tuple(issues)


def _near(one: Sequence[float], two: Sequence[float], sizes: Sequence[float]) -> bool:
    return all(
        x == y or (math.isnan(x) and math.isnan(y)) or abs(x - y) <= _SAME * size
        for x, y, size in zip(one, two, sizes, strict=True)
    )


def _triple(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
