"""Many files of one shape as one lazy array: `FileStack`, and the dask array of it."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.dask_io.chunk_rule import grid_chunks

if TYPE_CHECKING:
    from collections.abc import Iterator

    import dask.array as da
    from numpy.typing import NDArray

    from mrcarray.array import MrcArray

__all__ = ["FileStack", "stack_to_dask"]


@dataclass(frozen=True, slots=True)
class FileStack:
    """Arrays of files, one after the other along the first axis.

    Parameters
    ----------
    arrays : tuple of MrcArray
        At least one, all of one dtype and one shape; their first axes may differ if they are joined along it.
    joined : bool
        Whether the first axis of each file is the first axis of the stack, instead of each file being an item of it.
    """

    arrays: tuple[MrcArray, ...]
    joined: bool

    @property
    def stops(self) -> list[int]:
        """For each file the number of items up to its end."""
        return list(itertools.accumulate(len(array) if self.joined else 1 for array in self.arrays))

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of every axis."""
        return (self.stops[-1], *self._inner)

    @property
    def _inner(self) -> tuple[int, ...]:
        """Length of every axis but the first."""
        first = self.arrays[0].shape
        return first[1:] if self.joined else first

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a pixel."""
        return self.arrays[0].dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return 1 + len(self._inner)

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[Any]:
        """Read a box, a slice an axis: only the files that have a part of it are opened."""
        stops = self.stops
        positions = range(stops[-1])[key[0]]
        inner = tuple(range(length)[one] for length, one in zip(self._inner, key[1:], strict=True))
        out = np.empty((len(positions), *map(len, inner)), self.dtype)
        at = 0
        for array, items in self._files(positions, stops):
            part = array[(items, *key[1:])] if self.joined else array[key[1:]]
            count = len(part) if self.joined else 1
            out[at : at + count] = part
            at += count
        return out

    def _files(self, positions: range, stops: list[int]) -> Iterator[tuple[MrcArray, slice]]:
        """Yield each file with the slice of its own first axis, in the order of the positions."""
        for file, group in itertools.groupby(positions, lambda position: bisect_right(stops, position)):
            start = stops[file - 1] if file else 0
            items = [position - start for position in group]
            stop = items[-1] + (1 if positions.step > 0 else -1)
            yield self.arrays[file], slice(items[0], stop if stop >= 0 else None, positions.step)


def stack_to_dask(stack: FileStack, chunks: Any = "auto") -> da.Array:
    """Return a dask array of the files; ``"auto"`` makes chunks of several small files or of sections of large ones."""
    import dask.array as da
    from dask.base import tokenize

    layout = stack.arrays[0].layout
    if isinstance(chunks, str) and chunks == "auto":
        trailing = layout.pixel.trailing
        grid = stack.shape[: stack.ndim - len(trailing)]
        chunks = (*grid_chunks(grid, layout), *(-1,) * len(trailing))
    out: da.Array = da.from_array(
        stack,
        chunks=-1 if chunks is None else chunks,
        name=f"open-stack-{tokenize(*stack.arrays, stack.joined, chunks)}",
        lock=False,
        asarray=True,
        fancy=False,
        inline_array=False,  # the list of files exists once, not in each task
        meta=np.empty((0,) * stack.ndim, dtype=stack.dtype),
    )
    return out
