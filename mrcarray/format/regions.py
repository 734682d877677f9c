"""Boxes of pixels: from a key to a box, boxes of bounded size, and whether boxes cover an array exactly once."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import MrcValueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Box", "box_of", "gap", "lengths", "overlap", "pieces", "text", "tile", "touches"]

Box = tuple[tuple[int, int], ...]
"""Start and stop along every axis."""

_CELLS = 1 << 24
"""Cells of the grid of box edges that `tile` examines at most: 16 MiB."""


def box_of(shape: tuple[int, ...], key: Any) -> tuple[Box, tuple[int, ...]]:
    """Return the box that a key of integers and slices selects, and the shape of ``array[key]``.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array.
    key : int, slice, Ellipsis or tuple of them
        Slices must have step 1.

    Raises
    ------
    MrcValueError
        When the key is not a box.
    IndexError
        When an integer is out of range, or there are too many of them.

    Examples
    --------
    >>> box_of((10, 4, 5), (3, slice(1, None)))
    (((3, 4), (1, 4), (0, 5)), (3, 5))
    """
    items = list(key) if isinstance(key, tuple) else [key]
    holes = [i for i, item in enumerate(items) if item is Ellipsis]
    if len(holes) > 1 or len(items) - len(holes) > len(shape):
        raise IndexError(f"{len(items)} indices for an array of {len(shape)} axes")
    at = holes[0] if holes else len(items)
    items[at : at + 1] = [slice(None)] * (len(shape) - len(items) + len(holes))
    ranges = [_range(item, length) for item, length in zip(items, shape, strict=True)]
    kept = tuple(b - a for (a, b), item in zip(ranges, items, strict=True) if isinstance(item, slice))
    return tuple(ranges), kept


def _range(item: Any, length: int) -> tuple[int, int]:
    if isinstance(item, slice):
        start, stop, step = item.indices(length)
        if step != 1:
            raise MrcValueError(f"{item} has step {step}; expected step 1 in a region to write")
        return start, max(start, stop)
    try:
        at = int(item.__index__())
    except (AttributeError, TypeError):
        found = type(item).__name__
        raise MrcValueError(f"the key contains {found}; expected integers and slices in a region to write") from None
    if not -length <= at < length:
        raise IndexError(f"index {at} is out of bounds for an axis of length {length}")
    return at % length, at % length + 1


def lengths(box: Box) -> tuple[int, ...]:
    """Return the shape of a box."""
    return tuple(stop - start for start, stop in box)


def pieces(shape: tuple[int, ...], most: int) -> Iterator[Box]:
    """Yield boxes of at most about `most` elements that are contiguous in the array, in order.

    Examples
    --------
    >>> list(pieces((3, 4), 8))
    [((0, 2), (0, 4)), ((2, 3), (0, 4))]
    """
    inner = math.prod(shape[1:])
    if not shape or math.prod(shape) <= max(most, 1):
        if math.prod(shape):
            yield tuple((0, length) for length in shape)
    elif inner <= most:
        step = max(1, most // inner)
        rest = tuple((0, length) for length in shape[1:])
        for start in range(0, shape[0], step):
            yield ((start, min(start + step, shape[0])), *rest)
    else:
        for start in range(shape[0]):
            for box in pieces(shape[1:], most):
                yield ((start, start + 1), *box)


def touches(box: Box, row: int) -> tuple[slice, ...]:
    """Return the slices of a box, with `row` added to those of its first axis."""
    (start, stop), *rest = box
    return (slice(start + row, stop + row), *(slice(a, b) for a, b in rest))


def tile(boxes: Iterable[Box], shape: tuple[int, ...], *, most_cells: int = _CELLS) -> bool:
    """Return whether boxes cover every element of an array exactly once.

    The edges of the boxes divide the array into cells; if there are more than `most_cells`, return False.

    Examples
    --------
    >>> tile([((0, 1), (0, 4)), ((1, 3), (0, 4))], (3, 4))
    True
    >>> tile([((0, 2), (0, 4)), ((1, 3), (0, 4))], (3, 4))
    False
    """
    full = [box for box in boxes if math.prod(lengths(box))]
    if sum(math.prod(lengths(box)) for box in full) != math.prod(shape):
        return False
    edges = [np.unique([edge for box in full for edge in box[axis]]) for axis in range(len(shape))]
    if math.prod(len(edge) for edge in edges) > most_cells:
        return False
    seen = np.zeros([max(len(edge) - 1, 0) for edge in edges], dtype=bool)
    for box in full:
        cells = tuple(slice(*np.searchsorted(edge, where).tolist()) for edge, where in zip(edges, box, strict=True))
        if seen[cells].any():
            return False
        seen[cells] = True
    return True


def overlap(boxes: Sequence[Box]) -> tuple[int, int] | None:
    """Return the positions of the first two boxes that share an element; None if no two do.

    Examples
    --------
    >>> overlap([((0, 2),), ((2, 4),), ((3, 5),)])
    (1, 2)
    """
    edges = np.array(boxes, dtype=np.int64).reshape(len(boxes), -1, 2)
    for at in range(len(boxes) - 1):
        start, stop = edges[at, :, 0], edges[at, :, 1]
        shared = np.minimum(stop, edges[at + 1 :, :, 1]) > np.maximum(start, edges[at + 1 :, :, 0])
        found = np.flatnonzero(shared.all(axis=1))
        if found.size:
            return at, at + 1 + int(found[0])
    return None


def gap(boxes: Sequence[Box], shape: tuple[int, ...]) -> Box | None:
    """Return a box that none of `boxes` overlaps; None if they cover the array.

    Examples
    --------
    >>> gap([((0, 2), (0, 4)), ((2, 3), (0, 3))], (3, 4))
    ((2, 3), (3, 4))
    """
    if not shape:
        return None if boxes else ()
    edges = sorted({0, shape[0], *(edge for box in boxes for edge in box[0])})
    for start, stop in pairwise(edges):
        inside = [box[1:] for box in boxes if box[0][0] <= start and stop <= box[0][1]]
        rest = gap(inside, shape[1:])
        if rest is not None:
            return ((start, stop), *rest)
    return None


def text(box: Box) -> str:
    """Return the key that selects a box, as text.

    Examples
    --------
    >>> text(((0, 2), (0, 4)))
    '[0:2, 0:4]'
    """
    return f"[{', '.join(f'{start}:{stop}' for start, stop in box)}]"
