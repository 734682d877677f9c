"""The default chunks of a file, for `from_mrc`, for ``chunks={}`` and for ``chunks="auto"``.

Every chunk is one run of bytes: whole volumes of a stack, or whole sections, or whole rows of one section. Measured
with sums of 512 MiB on two cores: chunks of 32 MiB and more are fresh zeroed memory each (the threshold of malloc), and
take 1.7 to 2.4 times as long as chunks of 24 MiB; chunks of 1 MiB cost more for the tasks than for the pixels.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrcarray.format.layout import Layout

__all__ = ["LIMIT", "chunk_shape", "grid_chunks", "layout_chunks"]

SMALL = 24 << 20
"""Bytes of a chunk of all but very large files."""

LIMIT = 128 << 20
"""Default of dask's ``array.chunk-size``: bytes of the largest chunks, and beyond which a section is split by rows."""

_MANY = 1333
"""Chunks of a file from which on they grow: 24 MiB up to 31 GiB, 128 MiB from 166 GiB on."""

_MOST = 10_000
"""Chunks that are too many for a graph: beyond, chunks have up to twice the limit."""


def layout_chunks(layout: Layout) -> tuple[int, ...]:
    """Return the length of a chunk along each axis of a file's grid, with the limit that dask is configured with."""
    return grid_chunks(layout.grid, layout)


def grid_chunks(grid: Sequence[int], layout: Layout) -> tuple[int, ...]:
    """Return the same for a larger grid of files of this layout."""
    itemsize = layout.dtype.itemsize * math.prod(layout.pixel.trailing)
    return chunk_shape(grid, itemsize, _configured_limit())


def _configured_limit() -> int:
    """Return dask's ``array.chunk-size``; without importing dask, which opening a file does not need."""
    if "dask" not in sys.modules:
        return LIMIT
    import dask
    from dask.utils import parse_bytes

    return int(parse_bytes(dask.config.get("array.chunk-size", LIMIT)))


def chunk_shape(grid: Sequence[int], itemsize: int, limit: int = LIMIT) -> tuple[int, ...]:
    """Return the length of a chunk along each axis of a grid.

    Parameters
    ----------
    grid : sequence of int
        (volume, section, row, column), (section, row, column) or (row, column).
    itemsize : int
        Bytes of a pixel in memory, with all its components.
    limit : int
        Bytes of the largest chunks.

    Examples
    --------
    >>> chunk_shape((512, 512, 512), 4), chunk_shape((500, 11520, 8184), 4), chunk_shape((1000, 64, 64, 64), 4)
    ((16, 512, 512), (1, 3840, 8184), (20, 64, 64, 64))
    """
    nbytes = math.prod(grid) * itemsize
    out = _runs(grid, itemsize, min(limit, max(SMALL, nbytes // _MANY)), limit)
    if math.prod(-(-length // max(size, 1)) for length, size in zip(grid, out, strict=True)) > _MOST:
        return _runs(grid, itemsize, 2 * limit, 2 * limit)
    return out


def _runs(grid: Sequence[int], itemsize: int, most: int, limit: int) -> tuple[int, ...]:
    """Return chunks of at most `most` bytes; a section is only split if it is larger than `limit`."""
    steps = [max(1, math.prod(grid[axis + 1 :]) * itemsize) for axis in range(len(grid) - 1)]
    section = math.prod(grid[-2:]) * itemsize
    if section > most:
        most = min(section, limit)
    if math.prod(grid) * itemsize <= most:
        return tuple(grid)
    axis = next((axis for axis, step in enumerate(steps) if step <= most), len(steps) - 1)
    return (*(1,) * axis, _even(grid[axis], max(1, most // steps[axis])), *grid[axis + 1 :])


def _even(length: int, most: int) -> int:
    """Return how many items make a chunk: of the upper third of what is allowed, what leaves the last chunk fullest.

    All chunks but the last are equal, which Zarr asks for.
    """
    sizes = range(-(-2 * most // 3), min(most, length) + 1)
    return max(sizes, key=lambda size: (((length - 1) % size + 1) / size, size), default=min(most, length))
