"""Compare the labels of two axes: whether they have one spacing and are a whole number of voxels apart.

Labels are the coordinates of voxel centres. Two programs that write the same grid round it differently (words 11-13 and
50-52 of MRC2014 are 32-bit floats), so grids are compared in parts of a voxel, not bit by bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Comparison", "EvenLabels", "compare", "positions", "summary"]

_STEP = 1e-4
"""Relative difference up to which two spacings are the same."""

_APART = 1e-2
"""Voxels by which a distance may differ from a whole number: a 32-bit origin of 5000 Å is exact to 1e-3 of a voxel."""

_DRIFT = 0.2
"""Voxels by which labels may differ where spacings that differ have added up."""

_NEAR = 0.25
"""Voxels within which two labels are the same voxel; more than `_DRIFT`, or labels that match would not be found."""

_EVEN = 1e-2
"""Voxels by which a label may be off in even spacing: labels that were stored in 32 bits are still even."""

_ROUNDED = 1e-6
"""Relative difference up to which two single labels, which have no spacing, are equal: the precision of 32 bits."""


@dataclass(frozen=True, slots=True)
class EvenLabels:
    """Evenly spaced labels.

    Parameters
    ----------
    start : float
        First label.
    step : float
        Distance between labels, negative where they descend; NaN for one label.
    count : int
        Number of labels, at least 1.
    """

    start: float
    step: float
    count: int

    @classmethod
    def of(cls, labels: Any) -> EvenLabels | None:
        """Return the labels of an index if they are evenly spaced numbers, else None.

        Examples
        --------
        >>> import pandas as pd
        >>> EvenLabels.of(pd.Index([3.0, 5.0, 7.0])), EvenLabels.of(pd.Index([0, 1, 4]))
        (EvenLabels(start=3.0, step=2.0, count=3), None)
        """
        if labels.dtype.kind not in "iuf" or len(labels) == 0:
            return None
        values = labels.to_numpy(np.float64)
        if not np.isfinite(values).all():
            return None
        start, count = float(values[0]), len(values)
        if count == 1:
            return cls(start, math.nan, count)
        step = float(values[-1] - start) / (count - 1)
        off = np.abs(values - (start + step * np.arange(count))).max()
        return cls(start, step, count) if step and off <= _EVEN * abs(step) else None

    @property
    def lowest(self) -> float:
        """Smallest label."""
        return min(self.start, self.start + self.step * (self.count - 1)) if self.count > 1 else self.start

    @property
    def highest(self) -> float:
        """Largest label."""
        return max(self.start, self.start + self.step * (self.count - 1)) if self.count > 1 else self.start


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the labels of two axes relate.

    Parameters
    ----------
    problem : str
        Why they are not the same grid; empty where they are, or where one of them is not evenly spaced.
    tolerance : float
        Distance within which two labels are the same voxel; 0 where only equal labels are.
    """

    problem: str = ""
    tolerance: float = 0.0


def compare(first: Any, second: Any) -> Comparison:
    """Compare the labels of two axes.

    Of uneven labels, and of labels that are not numbers, only equal ones match.

    Parameters
    ----------
    first, second : pandas.Index
        Labels of one dimension in two arrays, in one unit.

    Returns
    -------
    Comparison

    Examples
    --------
    >>> import pandas as pd
    >>> coarse, fine, moved = pd.Index([0.0, 2.0, 4.0]), pd.Index([0.0, 1.0, 2.0]), pd.Index([2.000001, 4.000001])
    >>> compare(coarse, fine).problem, compare(coarse, moved)
    ('their spacings differ', Comparison(problem='', tolerance=0.5))
    """
    one, other = EvenLabels.of(first), EvenLabels.of(second)
    if one is None or other is None:
        return Comparison()
    if one.count == other.count == 1:
        return Comparison(tolerance=_ROUNDED * max(abs(one.start), abs(other.start)))
    if problem := _problem(one, other):
        return Comparison(problem)
    return Comparison(tolerance=_NEAR * abs(other.step if one.count == 1 else one.step))


def _problem(one: EvenLabels, other: EvenLabels) -> str:
    """Return why two axes are not the same grid; a single label may belong to a grid of any spacing."""
    steps = abs(other.step if one.count == 1 else one.step), abs(one.step if other.count == 1 else other.step)
    unlike = abs(steps[1] / steps[0] - 1)
    if unlike > _STEP or unlike * min(one.count, other.count) > _DRIFT:
        return "their spacings differ"
    ends = max(one.lowest, other.lowest), min(one.highest, other.highest)
    apart = [(end - one.lowest) / steps[0] - (end - other.lowest) / steps[1] for end in ends]
    off = max(abs(distance - round(apart[0])) for distance in apart)
    unlike = unlike if one.count > 1 and other.count > 1 else _STEP
    if off > min(_APART + unlike * max(map(abs, ends)) / steps[0], _DRIFT):  # different spacings add up from 0 on
        return f"they are {abs(apart[0]):.8g} voxels apart, not a whole number"
    return ""


def summary(labels: Any) -> str:
    """Return a short description of the labels of an axis, for messages.

    Examples
    --------
    >>> import pandas as pd
    >>> summary(pd.Index([0.0, 7.84, 15.68])), summary(pd.Index([3.5]))
    ('3 voxels of 7.84 from 0', '1 voxel at 3.5')
    """
    even = EvenLabels.of(labels)
    if even is None:
        return f"{len(labels)} labels, not evenly spaced"
    if even.count == 1:
        return f"1 voxel at {even.start:g}"
    return f"{even.count} voxels of {even.step:g} from {even.start:g}"


def positions(labels: Any, wanted: Any, tolerance: float) -> NDArray[np.intp]:
    """Return the position in `labels` of each of the `wanted`, within a tolerance; -1 for those that are missing."""
    return np.asarray(labels.get_indexer(wanted, method="nearest", tolerance=tolerance), dtype=np.intp)
