"""From a key to byte ranges: index arithmetic without any I/O.

`plan` returns which bytes of a data block a key needs, and how they become the result; `mrcarray.array` executes plans.
`runs` returns where a box of pixels is written. Runs may be any number of bytes apart; `mrcarray.storage.coalesce`
decides whether to read across the gaps.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mrcarray.errors import MrcValueError
from mrcarray.format.modes import Packing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from mrcarray.format.layout import Layout

    Offsets = range | NDArray[np.int64]

__all__ = ["Indexing", "ReadPlan", "plan", "runs"]

Indexing = Literal["numpy", "outer", "pointwise"]

NEAR = 4096
"""Pixels of one axis with gaps of at most this many bytes are read as one span: a page of the disk covers both."""

SPAN = 1 << 20
"""Pixels that must be unpacked or cropped are read in spans of about this many bytes, to keep the extra copy small."""

BATCH = 1 << 18
"""Number of runs in a block of `ReadPlan.starts`."""


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """Which bytes to read and how they become the result.

    The file positions of the runs are ``base`` plus one number from each of `lead`, in C order; every run has
    `run_nbytes` bytes.

    Parameters
    ----------
    layout : Layout
        Where the pixels are.
    base : int
        File position of the first byte when all of `lead` are 0.
    lead : tuple of range or ndarray of int64
        Byte offsets along the axes that are not contiguous.
    run_nbytes : int
        Bytes of one run.
    inner : tuple of int
        Pixels of one run by axis, as unpacked.
    then : tuple of slice or ndarray, or None
        Which of the unpacked pixels to keep, by axis; None keeps all.
    shape : tuple of int
        Shape of the result before `order`.
    order : tuple of int or None
        Transposition of the result, or None.
    parity : ndarray of int64 or None
        For single 4-bit pixels, which half of its byte each point uses.
    """

    layout: Layout
    base: int
    lead: tuple[Offsets, ...]
    run_nbytes: int
    inner: tuple[int, ...]
    then: tuple[Any, ...] | None
    shape: tuple[int, ...]
    order: tuple[int, ...] | None = None
    parity: NDArray[np.int64] | None = None

    @property
    def count(self) -> int:
        """Number of runs."""
        return math.prod(len(offsets) for offsets in self.lead)

    @property
    def kept(self) -> tuple[int, ...]:
        """Pixels kept of one run, by axis."""
        if self.then is None:
            return self.inner
        return tuple(
            len(range(n)[keep]) if isinstance(keep, slice) else len(keep)
            for n, keep in zip(self.inner, self.then, strict=True)
        )

    @property
    def direct(self) -> bool:
        """Whether the stored bytes, in order, are the bytes of the result, except for the byte order."""
        return self.then is None and self.layout.pixel.packing in (Packing.PLAIN, Packing.RGB)

    @property
    def unit(self) -> int:
        """Number of bytes of which every run's length, and position in the data block, is a multiple."""
        return _unit(self.layout)

    @property
    def extent(self) -> tuple[int, int]:
        """File positions of the first byte and of the byte after the last."""
        if self.count == 0:
            return self.layout.offset, self.layout.offset
        low = self.base + sum(_bounds(offsets)[0] for offsets in self.lead)
        high = self.base + sum(_bounds(offsets)[1] for offsets in self.lead)
        return low, high + self.run_nbytes

    def starts(self) -> Iterator[NDArray[np.int64]]:
        """Yield the file positions of the runs, in order, in blocks of bounded length."""
        for block in _outer_blocks(self.lead):
            yield block + self.base

    def unpack(self, rows: NDArray[np.uint8]) -> NDArray[Any]:
        """Return the pixels of some runs.

        Parameters
        ----------
        rows : ndarray of uint8, shape (run, run_nbytes)
            Stored bytes.

        Returns
        -------
        ndarray, shape (run, *kept)
            A view in the file's byte order for plain pixels.
        """
        pixel, byteorder = self.layout.pixel, self.layout.byteorder
        if pixel.packing in (Packing.NIBBLE, Packing.COMPLEX_INT, Packing.SHIFTED):
            values = pixel.unpack(rows, 2 * rows.shape[-1], byteorder)
        else:
            values = rows.view(pixel.stored_dtype(byteorder))
        values = values.reshape(rows.shape[0], *self.inner)
        return values if self.then is None else values[(slice(None), *self.then)]

    def finish(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the result, given the pixels of all runs in order, shape ``(run, *kept)``."""
        if self.parity is not None:
            pairs = values.reshape(self.parity.size, -1, 2)
            values = np.where(self.parity.reshape(-1, 1) == 1, pairs[..., 1], pairs[..., 0])
        values = values.reshape(self.shape)
        return values if self.order is None else values.transpose(self.order)


def _bounds(offsets: Offsets) -> tuple[int, int]:
    if isinstance(offsets, range):
        return min(offsets[0], offsets[-1]), max(offsets[0], offsets[-1])
    return int(offsets.min()), int(offsets.max())


def _outer_blocks(lead: tuple[Offsets, ...]) -> Iterator[NDArray[np.int64]]:
    """Yield the sums of one number from each of `lead`, in C order, at most about `BATCH` at a time."""
    if not lead:
        yield np.zeros(1, dtype=np.int64)
        return
    first, rest = lead[0], lead[1:]
    each = math.prod(len(offsets) for offsets in rest)
    if each > BATCH:
        for number in first:
            for block in _outer_blocks(rest):
                yield block + number
        return
    tail = np.zeros(1, dtype=np.int64)
    for offsets in rest:
        tail = np.add.outer(tail, _listed(offsets)).reshape(-1)
    at_once = max(1, BATCH // max(1, each))
    for i in range(0, len(first), at_once):
        yield np.add.outer(_listed(first[i : i + at_once]), tail).reshape(-1)


def _listed(offsets: Offsets) -> NDArray[np.int64]:
    if isinstance(offsets, range):
        return np.arange(offsets.start, offsets.stop, offsets.step, dtype=np.int64)
    return offsets


@dataclass(slots=True)
class _Axis:
    """One axis of the stored array, and the positions that a key selects."""

    length: int
    stride: int
    want: Offsets
    dropped: bool = False
    halves: bool = False
    """Whether two pixels along this axis share a byte."""


def plan(layout: Layout, key: Any, indexing: Indexing = "numpy") -> ReadPlan:
    """Return which bytes `key` needs, and how they become the result.

    Parameters
    ----------
    layout : Layout
        Where the pixels are.
    key : int, slice, Ellipsis, None, integer array, boolean mask, or a tuple of these
        What to read.
    indexing : {"numpy", "outer", "pointwise"}
        What arrays in `key` mean: NumPy's rules; one selection for each axis, independent of the others; or points,
        whose axes come first in the result (``vindex`` of xarray and zarr).

    Returns
    -------
    ReadPlan

    Raises
    ------
    IndexError
        When the key does not fit the shape, as in NumPy.

    Examples
    --------
    >>> from mrcarray.format.layout import Layout
    >>> p = plan(Layout.raw((10, 20, 30), "f4", offset=1024), (slice(2, 4), 5))
    >>> p.shape, p.run_nbytes, [starts.tolist() for starts in p.starts()]
    ((2, 30), 120, [[6424, 8824]])
    """
    parts, pointwise = _normalise(layout.shape, key, indexing)
    axes = _axes(layout, parts)
    if pointwise:
        return _plan_points(layout, axes, numpy_order=indexing == "numpy")
    return _plan_axes(layout, axes, _Result(tuple(len(axis.want) for axis in axes if not axis.dropped)))


def runs(layout: Layout, slices: tuple[slice | int, ...]) -> tuple[NDArray[np.int64], int]:
    """Return the file positions, and the common length in bytes, of the contiguous runs of a box of pixels.

    Parameters
    ----------
    layout : Layout
        Where the pixels are.
    slices : tuple of slice or int
        The box; steps must be 1. A box of 4-bit pixels, two of which share a byte, starts at an even column and stops
        at an even column or at the end of the row.

    Returns
    -------
    starts : ndarray of int64
        File positions, in C order.
    nbytes : int
        Length of every run; the packed pixels of the box, divided into runs of this length, belong at `starts`.

    Raises
    ------
    MrcValueError
        When the box does not cover whole bytes, or a step is not 1.

    Examples
    --------
    >>> from mrcarray.format.layout import Layout
    >>> starts, nbytes = runs(Layout.raw((4, 6, 8), "i2"), (slice(0, 2), slice(2, 4)))
    >>> starts.tolist(), nbytes
    ([32, 128], 32)
    """
    parts, pointwise = _normalise(layout.shape, slices, "numpy")
    if pointwise or any(len(part) > 1 and part.step != 1 for part, _ in parts if isinstance(part, range)):
        raise MrcValueError(f"{slices!r} is not a box; expected integers and slices with step 1")
    axes = _axes(layout, parts)
    result = _plan_axes(layout, axes, _Result(tuple(len(axis.want) for axis in axes)))
    if layout.pixel.packing is Packing.NIBBLE and result.count:
        _check_whole_bytes(axes[-1])
    blocks = list(result.starts()) if result.count else [np.zeros(0, dtype=np.int64)]
    return np.concatenate(blocks), result.run_nbytes


def _check_whole_bytes(columns: _Axis) -> None:
    want = columns.want
    if want[0] % 2 or (want[-1] % 2 == 0 and want[-1] + 1 != columns.length):
        text = f"columns {want[0]} to {want[-1] + 1} split a byte of two 4-bit pixels"
        raise MrcValueError(f"{text}; start at an even column and stop at an even column or the end of the row")


# ---------------------------------------------------------------------------------------------- keys


def _normalise(shape: tuple[int, ...], key: Any, indexing: Indexing) -> tuple[list[tuple[Any, bool]], bool]:
    """Return by axis (a range, index array or None; whether the axis is dropped), and whether arrays mean points."""
    items = _expand(key if isinstance(key, tuple) else (key,), len(shape), outer=indexing == "outer")
    parts: list[tuple[Any, bool]] = []
    axis = 0
    for item in items:
        if item is None:
            parts.append((None, False))
            continue
        parts.append(_one(item, shape[axis], axis))
        axis += 1
    arrays = [part for part, _ in parts if isinstance(part, np.ndarray)]
    if indexing == "outer":
        if any(array.ndim != 1 for array in arrays):
            raise IndexError("an orthogonal index array must have exactly one dimension")
        return parts, False
    return parts, bool(arrays)


def _expand(items: tuple[Any, ...], ndim: int, *, outer: bool) -> list[Any]:
    """Convert lists to arrays and masks to index arrays, and replace `...` and missing axes by slices."""
    flat: list[Any] = []
    gap: int | None = None
    for item in items:
        if item is Ellipsis:
            if gap is not None:
                raise IndexError("an index can only have a single ellipsis ('...')")
            gap = len(flat)
        elif isinstance(item, list | np.ndarray):
            flat.extend(_arrays(np.asarray(item), outer=outer))
        else:
            flat.append(item)
    named = sum(item is not None for item in flat)
    if named > ndim:
        raise IndexError(f"too many indices: the array has {ndim} axes, but {named} were indexed")
    at = len(flat) if gap is None else gap
    flat[at:at] = [slice(None)] * (ndim - named)
    return flat


@dataclass(slots=True)
class _Mask:
    """What a boolean mask selects along one axis, and its length."""

    where: NDArray[np.int64]
    length: int


def _arrays(array: NDArray[Any], *, outer: bool) -> list[Any]:
    if array.dtype == bool and array.ndim:
        if outer and array.ndim > 1:
            raise IndexError("an orthogonal mask must have exactly one dimension")
        return [_Mask(where.astype(np.int64), n) for where, n in zip(array.nonzero(), array.shape, strict=True)]
    if array.size == 0 and array.dtype.kind == "f":
        array = array.astype(np.int64)
    return [array]


def _one(item: Any, length: int, axis: int) -> tuple[Any, bool]:
    if isinstance(item, slice):
        return range(*item.indices(length)), False
    if isinstance(item, _Mask):
        if item.length != length:
            raise IndexError(f"the mask has length {item.length}, but axis {axis} has length {length}")
        return item.where, False
    if isinstance(item, np.ndarray) and item.ndim:
        return _checked(item, length, axis), False
    if isinstance(item, bool | np.bool_) or (isinstance(item, np.ndarray) and item.dtype == bool):
        raise IndexError("the index is a single boolean; expected an integer, a slice or a mask as long as the axis")
    try:
        number = operator.index(item)
    except TypeError:
        raise IndexError(
            f"invalid index {item!r}; expected integers, slices, ..., integer arrays or boolean masks"
        ) from None
    if not -length <= number < length:
        raise IndexError(f"index {number} is out of bounds for axis {axis} with length {length}")
    number %= length
    return range(number, number + 1), True


def _checked(array: NDArray[Any], length: int, axis: int) -> NDArray[np.int64]:
    if array.dtype.kind not in "iu":
        raise IndexError(f"index array has dtype {array.dtype}; expected integers or booleans")
    if array.size and not (-length <= int(array.min()) and int(array.max()) < length):
        found = f"{array.min()} to {array.max()}"
        raise IndexError(f"indices {found} are out of bounds for axis {axis} with length {length}")
    whole = array.astype(np.int64)
    return np.where(whole < 0, whole + length, whole)


def _axes(layout: Layout, parts: list[tuple[Any, bool]]) -> list[_Axis]:
    """Return the axes with their strides in bytes; a new axis has length 1 and stride 0."""
    halves = layout.pixel.packing is Packing.NIBBLE
    lengths = list(layout.shape)
    stride = _unit(layout)
    axes: list[_Axis] = []
    for part, dropped in reversed(parts):
        if part is None:
            axes.append(_Axis(1, 0, range(1)))
            continue
        length = lengths.pop()
        axes.append(_Axis(length, stride, part, dropped, halves))
        stride = layout.row_nbytes if halves else stride * length
        halves = False
    return axes[::-1]


def _unit(layout: Layout) -> int:
    """Return the bytes of one step along the last axis."""
    items = 2 if layout.pixel.packing is Packing.COMPLEX_INT else 1
    return items * np.dtype(layout.pixel.stored).itemsize


# --------------------------------------------------------------------------------------------- plans


def _plan_points(layout: Layout, axes: list[_Axis], *, numpy_order: bool) -> ReadPlan:
    """Plan for index arrays that mean points: they become one leading axis of offsets."""
    advanced = [i for i, axis in enumerate(axes) if axis.dropped or isinstance(axis.want, np.ndarray)]
    wants = [np.asarray(axes[i].want[0] if axes[i].dropped else axes[i].want) for i in advanced]
    try:
        points = np.broadcast_shapes(*(want.shape for want in wants))
    except ValueError:
        shapes = " ".join(str(want.shape) for want in wants)
        raise IndexError(f"index arrays of shapes {shapes} cannot be broadcast together") from None
    offsets = np.zeros(points, dtype=np.int64)
    parity = None
    for i, want in zip(advanced, wants, strict=True):
        if axes[i].halves:
            offsets += want // 2
            parity = np.broadcast_to(want % 2, points).reshape(-1)
        else:
            offsets += want * axes[i].stride
    rest = tuple(len(axis.want) for i, axis in enumerate(axes) if i not in advanced)
    order = _numpy_order(advanced, len(points), len(rest)) if numpy_order else None
    for i in advanced:
        axes[i].want = range(1)
    return _plan_axes(layout, axes, _Result(points + rest, order, parity), (offsets.reshape(-1),))


def _numpy_order(advanced: list[int], points: int, rest: int) -> tuple[int, ...] | None:
    """Return the order of axes as in NumPy: those of the points at the first array if all are adjacent, else first."""
    before = advanced[0]
    if advanced[-1] - before + 1 != len(advanced) or before == 0:
        return None
    axes = tuple(range(points + rest))
    return axes[points : points + before] + axes[:points] + axes[points + before :]


@dataclass(frozen=True, slots=True)
class _Result:
    """How the pixels of all runs become the result."""

    shape: tuple[int, ...]
    order: tuple[int, ...] | None = None
    parity: NDArray[np.int64] | None = None


@dataclass(slots=True)
class _Run:
    """A contiguous run of bytes under construction, from the last axis to the first."""

    nbytes: int
    inner: tuple[int, ...] = ()
    then: tuple[Any, ...] = ()
    costly: bool = False
    """Whether its pixels need one more copy on the way to the result."""

    def add(self, length: int, keep: Any) -> None:
        self.nbytes *= length
        self.inner = (length, *self.inner)
        self.then = (keep, *self.then)
        self.costly |= not _keeps_all(keep)


def _keeps_all(keep: Any) -> bool:
    return isinstance(keep, slice) and keep == slice(None)


def _plan_axes(layout: Layout, axes: list[_Axis], result: _Result, lead: tuple[Offsets, ...] = ()) -> ReadPlan:
    """Join the trailing axes to contiguous runs; the other axes become offsets."""
    if 0 in result.shape:
        return ReadPlan(layout, layout.offset, (range(0),), _unit(layout), (), None, result.shape, result.order)
    base = layout.offset
    run = _Run(_unit(layout), costly=layout.pixel.packing is Packing.COMPLEX_INT)
    outer: list[Offsets] = []
    for axis in reversed(axes):
        if axis.halves:
            base += _halves(axis, run, points=result.parity is not None)
        elif len(axis.want) == 1:
            base += int(axis.want[0]) * axis.stride
        elif not outer and run.nbytes == axis.stride and (span := _span(axis.want, run)):
            base += span[0] * axis.stride
            run.add(*span[1:])
        else:
            outer.append(_times(axis.want, axis.stride))
    then = None if all(map(_keeps_all, run.then)) else run.then
    lead = (*lead, *_joined(outer[::-1]))
    return ReadPlan(layout, base, lead, run.nbytes, run.inner, then, result.shape, result.order, result.parity)


def _joined(lead: list[Offsets]) -> list[Offsets]:
    """Merge the ranges of adjacent axes that form one range."""
    joined: list[Offsets] = []
    for offsets in lead:
        last = joined[-1] if joined else None
        if isinstance(last, range) and isinstance(offsets, range) and last.step == offsets.step * len(offsets):
            start = last[0] + offsets[0]
            joined[-1] = range(start, start + len(last) * last.step, offsets.step)
        else:
            joined.append(offsets)
    return joined


def _halves(axis: _Axis, run: _Run, *, points: bool) -> int:
    """Start `run` with the bytes that contain the selected 4-bit pixels; return the first byte within the row."""
    run.costly = True
    if points:
        run.add(1, slice(None))
        run.inner = (2,)
        return 0
    low, high = _bounds(axis.want)
    first, last = low // 2, high // 2
    keep: Any
    if isinstance(axis.want, range):
        keep = _as_slice(axis.want, 2 * first)
        if low == 2 * first and high == 2 * last + 1 and axis.want.step == 1:
            keep = slice(None)
    else:
        keep = axis.want - 2 * first
    run.add(last - first + 1, keep)
    run.inner = (2 * (last - first + 1),)
    return first


def _as_slice(want: range, origin: int) -> slice:
    stop = want[-1] - origin + (1 if want.step > 0 else -1)
    return slice(want[0] - origin, stop if stop >= 0 else None, want.step)


def _span(want: Offsets, run: _Run) -> tuple[int, int, Any] | None:
    """Return (first, length, what to keep) of the span to read along an axis; None if separate reads are faster."""
    low, high = _bounds(want)
    keep: Any
    if isinstance(want, range):
        gap = abs(want.step) - 1
        keep = slice(None) if want.step == 1 else slice(None, None, want.step)
    else:
        steps = np.diff(np.unique(want))
        gap = int(steps.max()) - 1 if steps.size else 0
        keep = want - low
        if len(want) == high - low + 1 and np.array_equal(keep, np.arange(len(want))):
            keep = slice(None)
    length = high - low + 1
    too_long = run.inner and (run.costly or not _keeps_all(keep)) and run.nbytes * length > SPAN
    two_arrays = isinstance(keep, np.ndarray) and any(isinstance(other, np.ndarray) for other in run.then)
    return None if too_long or two_arrays or gap * run.nbytes > NEAR else (low, length, keep)


def _times(want: Offsets, stride: int) -> Offsets:
    if isinstance(want, range):
        return range(want.start * stride, want.stop * stride, want.step * stride)
    return want * stride
