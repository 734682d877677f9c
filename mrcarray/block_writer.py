"""Convert a block of pixels to its stored bytes, count it and write it, in one pass.

`mrcarray.file_writer.FileWriter` does so for new files, `mrcarray.region_writer.Region` for existing ones.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import MrcValueError
from mrcarray.format import regions
from mrcarray.format.casting import as_pixels, fit
from mrcarray.format.layout import Layout
from mrcarray.format.modes import Packing
from mrcarray.format.selection import runs
from mrcarray.statistics import Stats
from mrcarray.storage.coalesce import in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = ["PIXELS_AT_ONCE", "box_and_values", "stats_of_file", "store", "store_array"]

PIXELS_AT_ONCE = 1 << 20
"""Pixels that one thread converts, counts and writes at a time: they stay in the cache between the three steps."""

_READ_AT_ONCE = 1 << 23


def store(  # noqa: PLR0913 -- where, what, and two switches
    write_runs: Callable[[Sequence[int], int, Any], None],
    layout: Layout,
    box: regions.Box,
    values: NDArray[Any],
    *,
    threads: bool = True,
    count: bool = True,
) -> Stats:
    """Convert a box of pixels, write it, and return its statistics.

    Parameters
    ----------
    write_runs : callable
        ``write_runs(starts, length, data)`` writes consecutive pieces of `length` bytes of `data` to the bytes
        `starts` of the file.
    layout : Layout
        Where the pixels are in the file, and how they are stored.
    box : Box
        Which of them.
    values : ndarray
        The pixels, in the shape of the box.
    threads : bool
        Whether a large box is shared between threads. Without them, pieces are written in order.
    count : bool
        Whether the statistics are computed.

    Returns
    -------
    Stats
        Of the pixels as they are stored; of no pixels without `count`.

    Raises
    ------
    MrcValueError
        When a value does not fit the mode.
    """
    origin = tuple(start for start, _ in box)
    parts = list(regions.pieces(values.shape, _piece(layout)))
    found: list[Stats] = [Stats()] * len(parts)

    def work(i: int) -> None:
        part = parts[i]
        pixels = fit(values[tuple(slice(a, b) for a, b in part)], layout.pixel)
        starts, length = runs(layout, tuple(slice(a + o, b + o) for (a, b), o in zip(part, origin, strict=True)))
        raw = layout.pixel.pack(pixels, layout.byteorder)
        if count:
            found[i] = Stats.of(pixels, threads=1)
        write_runs(starts.tolist(), length, raw.reshape(-1).data)

    in_threads(work, range(len(parts)), values.nbytes if threads else 0)
    return Stats.merged(found)


def store_array(
    write_runs: Callable[[Sequence[int], int, Any], None], start: int, values: NDArray[Any], **options: bool
) -> Stats:
    """Write an array as it is in memory, in C order from byte `start`, and return its statistics; see `store`."""
    flat = values.reshape(-1)
    return store(write_runs, Layout.raw(flat.shape, flat.dtype, start), ((0, flat.size),), flat, **options)


def _piece(layout: Layout) -> int:
    """Return how many pixels to take at a time; whole rows where pixels share bytes."""
    if layout.pixel.packing is Packing.PLAIN:
        return PIXELS_AT_ONCE
    return max(PIXELS_AT_ONCE, math.prod(layout.shape[-1 - len(layout.pixel.trailing) :]))


def box_and_values(whole: tuple[int, ...], key: Any, values: Any) -> tuple[regions.Box, NDArray[Any]]:
    """Return the box that a key selects from an array of shape `whole`, and the values broadcast to its shape."""
    box, shape = regions.box_of(whole, key)
    array = as_pixels(values)
    try:
        full = np.broadcast_to(array, shape)
    except ValueError:
        raise MrcValueError(f"the values have shape {array.shape}; the region to be written has {shape}") from None
    return box, full.reshape(regions.lengths(box))


def stats_of_file(path: str, layout: Layout) -> Stats:
    """Return the statistics of the pixels of a file, read a block at a time."""
    from mrcarray.array import MrcArray
    from mrcarray.storage.local import LocalSource

    array = MrcArray(layout, LocalSource.open(path))
    keys = (tuple(slice(a, b) for a, b in box) for box in regions.pieces(layout.shape, _READ_AT_ONCE))
    return Stats.merged(Stats.of(array[key]) for key in keys)
