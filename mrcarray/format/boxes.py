"""Boxes of one shape around points: which part of each lies within the array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import MrcValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Boxes"]


@dataclass(frozen=True, slots=True)
class Boxes:
    """Boxes of one shape in an array.

    Parameters
    ----------
    starts : ndarray of int64, shape (box, axis)
        First index of each box, which may be negative.
    shape : tuple of int
        Length of a box along each axis.
    extent : tuple of int
        Shape of the array.
    """

    starts: NDArray[np.int64]
    shape: tuple[int, ...]
    extent: tuple[int, ...]

    @classmethod
    def around(cls, centres: Any, shape: Sequence[int] | int, extent: tuple[int, ...]) -> Boxes:
        """Return boxes whose item ``length // 2`` along each axis is the centre.

        Parameters
        ----------
        centres : array of int, shape (box, axis)
            Index of each centre, in the order of the axes.
        shape : int or sequence of int
            Length of a box, along all axes or along each.
        extent : tuple of int
            Shape of the array.

        Raises
        ------
        MrcValueError
            When the centres are no integers, or their number of axes or that of the shape is another.

        Examples
        --------
        >>> Boxes.around([[3, 3]], 4, (8, 8)).starts.tolist()
        [[1, 1]]
        """
        points = np.asarray(centres)
        lengths = (int(shape),) * len(extent) if np.ndim(shape) == 0 else tuple(map(int, shape))  # type: ignore[arg-type]  # a sequence
        if points.ndim != 2 or points.shape[1] != len(extent):  # noqa: PLR2004 -- boxes and axes
            raise MrcValueError(f"centres has shape {points.shape}; expected (box, {len(extent)})")
        if points.dtype.kind not in "iu" and points.size:
            raise MrcValueError(f"centres are {points.dtype}; expected integers, the indices of voxels (round them)")
        if len(lengths) != len(extent) or min(lengths, default=1) < 1:
            raise MrcValueError(f"shape is {lengths}; expected {len(extent)} lengths of at least 1")
        return cls(points.astype(np.int64) - np.array(lengths) // 2, lengths, extent)

    def in_file_order(self) -> list[int]:
        """Return the numbers of the boxes by their first element, so that a file is read from front to back."""
        order: list[int] = np.lexsort(self.starts.T[::-1]).tolist()
        return order

    def parts(self, number: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Return the part of the array that a box covers, and where in the box it belongs."""
        inside, target = [], []
        for start, length, end in zip(self.starts[number].tolist(), self.shape, self.extent, strict=True):
            first, stop = min(max(start, 0), end), max(min(start + length, end), 0)
            stop = max(first, stop)
            inside.append(slice(first, stop))
            target.append(slice(first - start, stop - start))
        return tuple(inside), tuple(target)

    def check_inside(self) -> None:
        """Raise `MrcValueError` when a box is not whole within the array."""
        outside = ((self.starts < 0) | (self.starts + np.array(self.shape) > np.array(self.extent))).any(axis=1)
        if outside.any():
            number = int(np.argmax(outside))
            box = ", ".join(f"{at}:{at + n}" for at, n in zip(self.starts[number].tolist(), self.shape, strict=True))
            text = f"box {number} is [{box}] of an array of shape {self.extent}"
            raise MrcValueError(f"{text}; pass fill=0 (or another value) to fill what is outside")
