"""The lazy array: a layout joined to a source of bytes.

``array[key]`` plans, reads and unpacks; nothing is cached between two reads. An array contains facts only (path,
offset, shape, fingerprint), so threads can share it, and its pickle is small.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import MrcValueError, TruncatedError
from mrcarray.format.boxes import Boxes
from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.format.header_facts import array_rows, as_html, as_text
from mrcarray.format.layout import Kind, Layout
from mrcarray.format.modes import PIXELS, Packing, raw_pixel
from mrcarray.format.selection import ReadPlan, plan
from mrcarray.storage.coalesce import (
    MANY,
    PAGE,
    PIECE,
    SLACK,
    Segments,
    coalesce,
    fill,
    fill_all,
    in_threads,
    read_exactly,
    scattered,
    waits,
)
from mrcarray.storage.threads import each, processors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from mrcarray.format.header_facts import Row
    from mrcarray.format.selection import Indexing
    from mrcarray.storage.source import ByteSource, Readable

    Gather = Callable[[NDArray[np.int64], NDArray[np.uint8]], bool]

__all__ = ["MrcArray"]

_THREADED_BOX = 4 << 20
"""Bytes of a box from which on several are read at once: for 64³ bytes two threads read 1,200-2,000 boxes a second, one
thread 1,600-2,100, since they wait for each other's Python code."""


@dataclass(frozen=True, slots=True)
class ReadSizes:
    """How much is read at a time.

    Parameters
    ----------
    piece : int
        Bytes that one thread reads or copies at a time.
    strip : int
        Bytes of a buffer from which rows at equal distances are copied: it stays in the cache, and one system call
        fills much of it.
    shortest : int
        Bytes from the first to the last of such rows; shorter strips are read like other runs.
    scattered : int
        Bytes of small runs that are far apart and read by one call of `gather`.
    """

    piece: int = PIECE
    strip: int = 1 << 20
    shortest: int = SLACK
    scattered: int = 1 << 20


_SIZES = ReadSizes()


@dataclass(frozen=True, slots=True, repr=False)
class MrcArray:
    """Pixels of a file, which are read when the array is indexed.

    Indexing follows NumPy's rules and returns a new array in native byte order.

    Parameters
    ----------
    layout : Layout
        Where the pixels are in the file, and how they are stored.
    source : ByteSource
        The bytes of the file.

    Examples
    --------
    >>> from mrcarray.storage.memory import MemorySource
    >>> a = MrcArray(Layout.raw((2, 3), ">i2"), MemorySource(bytes(range(12))))
    >>> a
    MrcArray(shape=(2, 3), dtype=int16, '<memory>')
    >>> a[1, ::-1].tolist()
    [2571, 2057, 1543]
    """

    layout: Layout
    source: ByteSource

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of every axis, slowest first."""
        return self.layout.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a pixel in memory, native byte order."""
        return self.layout.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.layout.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        size = 1
        for length in self.layout.shape:
            size *= length
        return size

    @property
    def nbytes(self) -> int:
        """Bytes the whole array takes in memory."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without axes")
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        """Read the pixels that `key` selects, by NumPy's rules."""
        return self._read(key, "numpy")

    @property
    def oindex(self) -> _Indexer:
        """Orthogonal indexing: every array or mask selects along its own axis."""
        return _Indexer(self, "outer")

    @property
    def vindex(self) -> _Indexer:
        """Pointwise indexing: arrays give the coordinates of points; the axes of the points come first."""
        return _Indexer(self, "pointwise")

    def boxes(
        self,
        centres: Any,
        shape: Sequence[int] | int,
        *,
        out: Any = None,
        fill: float | None = None,
        threads: int | None = None,
    ) -> Any:
        """Read boxes of one shape around points, such as samples for training or particles of a tomogram.

        Parameters
        ----------
        centres : array of int, shape (box, axis)
            Index of each centre, in the order of the axes: (section, row, column). The centre is item ``length // 2``.
        shape : int or sequence of int
            Length of a box, along all axes or along each.
        out : array, shape (box, *shape), optional
            Where to read to: a NumPy array, or anything that shares its memory as one, such as a CPU tensor of torch.
        fill : number, optional
            Value of what lies outside of the array; without it such a box is refused.
        threads : int, optional
            Threads that read; by default one for each processor if a box has 4 MiB or more.

        Returns
        -------
        ndarray, shape (box, *shape)
            `out` where it was given.

        Raises
        ------
        MrcValueError
            When a box lies partly outside and `fill` is None, or a shape does not fit.

        Examples
        --------
        >>> import mrcarray
        >>> tomogram = mrcarray.open_array("tomo.mrc")
        >>> tomogram.boxes([[10, 16, 20], [5, 8, 30]], 8).shape
        (2, 8, 8, 8)
        >>> tomogram.boxes([[0, 0, 0]], 4, fill=-1)[0, 0, 0].tolist()
        [-1.0, -1.0, -1.0, -1.0]
        """
        boxes = Boxes.around(centres, shape, self.shape)
        if fill is None:
            boxes.check_inside()
        wanted = (len(boxes.starts), *boxes.shape)
        target: Any = np.empty(wanted, self.dtype) if out is None else np.asarray(out)
        if target.shape != wanted:
            raise MrcValueError(f"out has shape {target.shape}; expected {wanted}")

        def read(number: int) -> None:
            inside, part = boxes.parts(number)
            if fill is not None:
                target[number] = fill
            target[(number, *part)] = self._read(inside, "numpy")

        if threads is None:
            threads = processors() if math.prod(boxes.shape) * self.dtype.itemsize >= _THREADED_BOX else 1
        each(read, boxes.in_file_order(), threads)
        return target if out is None else out

    async def aread(self, key: Any = ...) -> Any:
        """Read the pixels that `key` selects in a thread, so that the event loop goes on."""
        return await asyncio.to_thread(self._read, key, "numpy")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: FBT001 -- NumPy's protocol
        if copy is False:
            raise ValueError("the pixels are in a file, so they cannot be returned without a copy")
        values: NDArray[Any] = np.asarray(self._read(..., "numpy"))
        return values if dtype is None else values.astype(dtype, copy=False)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return as_text(self._title(), _header_rows(self))

    def _repr_html_(self) -> str:
        return as_html(self._title(), _header_rows(self))

    def _title(self) -> str:
        return f"MrcArray(shape={self.shape}, dtype={self.dtype}, {self.source.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the facts as plain values."""
        return _load, (_facts(self.layout), self.source)

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        """Return a token that is equal in every process, and different when the file or the layout differs."""
        return ("mrcarray.MrcArray", *_facts(self.layout), self.source.name, self.source.fingerprint)

    def _read(self, key: Any, indexing: Indexing) -> Any:
        layout, size = self.layout, self.source.size()
        if size is not None and layout.stop > size:
            found = f"the pixels end at byte {layout.stop}, but there are {size} bytes"
            raise TruncatedError(found, self.source.name)
        plain = layout.shape and layout.pixel.packing is Packing.PLAIN
        if plain and _is_everything(key, len(layout.shape)) and hasattr(self.source, "session"):
            return _whole(layout, self.source)
        values = execute(plan(layout, key, indexing), self.source)
        return values if values.ndim else values[()]


@dataclass(frozen=True, slots=True)
class _Indexer:
    """An array that is indexed by other rules than NumPy's."""

    _pixels: MrcArray
    _indexing: Indexing

    def __getitem__(self, key: Any) -> Any:
        return self._pixels._read(key, self._indexing)  # noqa: SLF001 -- the array's own helper


def _header_rows(array: MrcArray) -> tuple[Row, ...]:
    """Return the rows that describe the header, which is read now, or the reason why it cannot be read."""
    layout, source = array.layout, array.source
    if layout.pixel.mode < 0 or layout.offset < HEADER_NBYTES:
        return ()
    try:
        return array_rows(layout, bytes(source.read(0, HEADER_NBYTES)), name=source.name, size=source.size())
    except Exception as error:  # noqa: BLE001 -- an array must have a representation even if its file is gone
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        return (("kind", str(layout.kind)), ("header", f"cannot be read: {why}"))


def _facts(layout: Layout) -> tuple[Any, ...]:
    return layout.pixel.code, layout.kind.value, layout.shape, layout.byteorder, layout.offset, layout.pixel.mode < 0


def _load(facts: tuple[Any, ...], source: ByteSource) -> MrcArray:
    code, kind, shape, order, offset, raw = facts
    return MrcArray(Layout(Kind(kind), shape, raw_pixel(code) if raw else PIXELS[code], order, offset), source)


# ------------------------------------------------------------------------------------------ execution


def execute(wanted: ReadPlan, source: ByteSource, sizes: ReadSizes = _SIZES) -> NDArray[Any]:
    """Read the runs of a plan, and return a new array in native byte order.

    Parameters
    ----------
    wanted : ReadPlan
        What to read.
    source : ByteSource
        The bytes of the file.
    sizes : ReadSizes
        How much to read at a time.
    """
    out = np.empty((wanted.count, *wanted.kept), dtype=wanted.layout.dtype)
    if out.size:
        with _view(wanted, source) as view:
            if view is not None:
                _copy(wanted, view, out, sizes.piece)
        if view is None:
            with _session(source) as reader:
                _read(wanted, reader, out, source.name, sizes)
    return wanted.finish(out)


def _is_everything(key: Any, ndim: int) -> bool:
    """Return whether a key selects every pixel in order."""
    parts = key if type(key) is tuple and len(key) <= ndim else (key,)
    return key is ... or all(type(part) is slice and part == slice(None) for part in parts)


def _whole(layout: Layout, source: ByteSource) -> NDArray[Any]:
    """Read all pixels of a plain mode without a plan, which would take as long as reading a small file."""
    out = np.empty(layout.shape, dtype=layout.dtype)
    if out.size:
        with _session(source) as reader:
            fill_all(reader, layout.offset, _bytes(out), source.name, _swapper(layout))
    return out


def _session(source: ByteSource) -> AbstractContextManager[Readable]:
    # getattr is thirty times as fast as isinstance with a protocol.
    session = getattr(source, "session", None)
    return session() if session else contextlib.nullcontext(source)


def _view(wanted: ReadPlan, source: ByteSource) -> AbstractContextManager[NDArray[np.uint8] | None]:
    view = getattr(source, "view", None)
    return view(*wanted.extent) if view else contextlib.nullcontext(None)


def _copy(wanted: ReadPlan, view: NDArray[np.uint8], out: NDArray[Any], piece: int) -> None:
    """Copy all runs from bytes that are in memory."""
    low = wanted.extent[0]
    done = 0
    for starts in wanted.starts():
        step = max(1, piece // wanted.run_nbytes)
        for i in range(0, starts.size, step):
            some = starts[i : i + step]
            out[done : done + some.size] = wanted.unpack(_rows(view, some - low, wanted))
            done += some.size


def _read(wanted: ReadPlan, reader: Readable, out: NDArray[Any], name: str, sizes: ReadSizes) -> None:
    if wanted.direct and wanted.count == 1:
        start = wanted.extent[0]
        fill_all(reader, start, _bytes(out).reshape(-1), name, _swapper(wanted.layout))
        return
    # A source with `in_order` is remote or compressed: it gets all ranges at once, to fetch them in few requests.
    if (rows := _even_rows(wanted, sizes.shortest)) and not hasattr(reader, "in_order"):
        _read_strips(wanted, rows, reader, out, name, sizes.strip)
        return
    done = 0
    for starts in wanted.starts():
        _read_block(wanted, reader, starts, out[done : done + starts.size], name, sizes)
        done += starts.size


def _even_rows(wanted: ReadPlan, shortest: int) -> range | None:
    """Return the last of the leading axes if its runs are close together, at equal distances, over a long strip."""
    rows = wanted.lead[-1] if wanted.lead else None
    if not isinstance(rows, range) or abs(rows.step) - wanted.run_nbytes >= PAGE:
        return None
    return rows if abs(rows.step) * len(rows) >= shortest else None


def _read_strips(  # noqa: PLR0913, PLR0917 -- what, from where, to where, and how much at a time
    wanted: ReadPlan, rows: range, reader: Readable, out: NDArray[Any], name: str, nbytes: int
) -> None:
    """Read runs at equal distances together with the gaps between them, and copy the runs; no positions are listed."""
    length, step = wanted.run_nbytes, rows.step
    each = min(len(rows), max(1, nbytes // abs(step)))
    spare: deque[NDArray[np.uint8]] = deque()

    def strip(task: tuple[int, int, int]) -> None:
        start, first, i = task
        count = min(each, len(rows) - i)
        last = (count - 1) * step
        buffer = spare.pop() if spare else np.empty((each - 1) * abs(step) + length, dtype=np.uint8)
        read_exactly(reader, start + rows[i] + min(0, last), buffer[: abs(last) + length], name)
        grid: NDArray[np.uint8] = np.ndarray((count, length), np.uint8, buffer, max(0, -last), (step, 1))
        out[first + i : first + i + count] = wanted.unpack(grid)
        spare.append(buffer)

    done = 0
    for starts in dataclasses.replace(wanted, lead=wanted.lead[:-1]).starts():
        strips = zip(starts.tolist(), range(done, done + starts.size * len(rows), len(rows)), strict=True)
        tasks = [(start, first, i) for start, first in strips for i in range(0, len(rows), each)]
        waiting = waits(reader, starts)
        in_threads(strip, tasks, starts.size * len(rows) * abs(step), waiting=waiting)
        done += starts.size * len(rows)


def _read_block(  # noqa: PLR0913, PLR0917 -- what, from where, to where, and how much at a time
    wanted: ReadPlan, reader: Readable, starts: NDArray[np.int64], out: NDArray[Any], name: str, sizes: ReadSizes
) -> None:
    """Read some runs: sort and coalesce them, read batches of segments, and copy the runs from these."""
    order = None
    if (np.diff(starts) < 0).any():
        order = np.argsort(starts, kind="stable")
        starts = starts[order]
    found = coalesce(starts, wanted.run_nbytes)
    straight = wanted.direct and order is None and len(found) == starts.size

    def batch(bounds: tuple[int, int]) -> None:
        i, j = bounds
        if straight:
            rows = _bytes(out[i:j]).reshape(j - i, -1)
            fill(reader, starts[i:j].tolist(), list(rows), name)
            if swap := _swapper(wanted.layout):
                swap(rows.reshape(-1))
            return
        first, last = int(found.first[i]), int(found.first[j])
        rows = _gather(wanted, reader, found.part(i, j), starts[first:last], name)
        out[slice(first, last) if order is None else order[first:last]] = wanted.unpack(rows)

    waiting = waits(reader, found.starts)
    gather = None if waiting else scattered(reader, found, starts, wanted.run_nbytes)
    if gather and _read_scattered(wanted, gather, starts, out, order, sizes.scattered):
        return
    batches, total = _batches(found, len(found) // MANY if waiting else len(found), sizes.piece)
    in_threads(batch, batches, total, waiting=waiting)


def _read_scattered(  # noqa: PLR0913, PLR0917 -- what, from where, to where, and how much at a time
    wanted: ReadPlan,
    gather: Gather,
    starts: NDArray[np.int64],
    out: NDArray[Any],
    order: NDArray[np.int64] | None,
    nbytes: int,
) -> bool:
    """Read small runs that are far apart, some thousands at a time; return False if the reader cannot.

    One thread does so: the calls are short, and other threads would only wait for the interpreter.
    """
    each = max(MANY, nbytes // wanted.run_nbytes)
    straight, swap = wanted.direct and order is None, _swapper(wanted.layout)
    for i in range(0, starts.size, each):
        part, here = starts[i : i + each], slice(i, i + each)
        shape = part.size, wanted.run_nbytes
        rows = _bytes(out[here]).reshape(shape) if straight else np.empty(shape, dtype=np.uint8)
        if not gather(part, rows):
            return False
        if not straight:
            out[here if order is None else order[here]] = wanted.unpack(rows)
        elif swap:
            swap(rows.reshape(-1))
    return True


def _batches(found: Segments, most: int, piece: int) -> tuple[list[tuple[int, int]], int]:
    """Return batches of at most `most` segments and about `piece` bytes, and the bytes of all segments."""
    ends = np.cumsum(found.stops - found.starts)
    cuts = np.flatnonzero(np.diff(ends // piece, prepend=0)) if ends[-1] > piece else np.zeros(0, dtype=np.int64)
    edges = np.unique(np.concatenate((np.arange(0, len(found), most), cuts, [len(found)]))).tolist()
    return list(itertools.pairwise(edges)), int(ends[-1])


def _gather(
    wanted: ReadPlan, reader: Readable, part: Segments, starts: NDArray[np.int64], name: str
) -> NDArray[np.uint8]:
    """Read some segments into one buffer and return the runs that start at `starts`."""
    lengths = part.stops - part.starts
    ends = np.cumsum(lengths)
    buffer = np.empty(int(ends[-1]), dtype=np.uint8)
    edges = zip((ends - lengths).tolist(), ends.tolist(), strict=True)
    fill(reader, part.starts.tolist(), [buffer[a:b] for a, b in edges], name)
    shift = np.repeat(ends - lengths - part.starts, np.diff(part.first))
    return _rows(buffer, starts + shift, wanted)


def _rows(buffer: NDArray[np.uint8], at: NDArray[np.int64], wanted: ReadPlan) -> NDArray[np.uint8]:
    """Return the runs that start `at` in the buffer, shape (run, run_nbytes)."""
    width, length = wanted.unit, wanted.run_nbytes
    if at.size * length == buffer.size and (at.size == 1 or (np.diff(at) == length).all()):
        return buffer.reshape(at.size, length)
    item = np.dtype(f"u{width}" if width in (1, 2, 4, 8) else f"V{width}")
    windows: NDArray[Any] = np.ndarray(
        (buffer.size // width - length // width + 1, length // width), item, buffer, 0, (width, width)
    )
    return windows[at // width].view(np.uint8).reshape(at.size, length)


def _bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    return values.reshape(-1).view(np.uint8)


def _swapper(layout: Layout) -> Any:
    """Return a function that converts stored bytes to native order in place, or None when they are native."""
    stored = layout.pixel.stored_dtype(layout.byteorder)
    if stored.isnative:
        return None
    return lambda raw: raw.view(stored.newbyteorder("=")).byteswap(inplace=True)
