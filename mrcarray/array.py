"""The lazy array: a layout joined to a source of bytes.

``array[key]`` is plan, read, unpack; nothing is kept between two reads. An array holds facts only (path, offset,
shape, fingerprint), so it is safe to share between threads and small to send to other processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import TruncatedError
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from mrcarray.format.header_facts import Row
    from mrcarray.format.selection import Indexing
    from mrcarray.storage.source import ByteSource, Readable

    Gather = Callable[[NDArray[np.int64], NDArray[np.uint8]], bool]

__all__ = ["MrcArray"]

HEADER = 1024

STRIP = 1 << 20
"""Bytes of a buffer that rows are copied out of: small enough for the cache, large enough for one system call."""


SPREAD = 1 << 20
"""Bytes of scattered runs that are read together."""


@dataclass(frozen=True, slots=True, repr=False)
class MrcArray:
    """Pixels of a file, read when they are asked for.

    Indexing follows NumPy's rules and gives a new array in native byte order.

    Parameters
    ----------
    layout : Layout
        Where the pixels are, and what they are.
    source : ByteSource
        Where the bytes are.

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
        """Read what `key` selects, by NumPy's rules."""
        return self._read(key, "numpy")

    @property
    def oindex(self) -> _Indexer:
        """Indexing in which every array or mask chooses along its own axis."""
        return _Indexer(self, "outer")

    @property
    def vindex(self) -> _Indexer:
        """Indexing in which arrays name points; the axes of the points come first."""
        return _Indexer(self, "pointwise")

    async def aread(self, key: Any = ...) -> Any:
        """Read what `key` selects, by NumPy's rules, without keeping the event loop waiting."""
        return await asyncio.to_thread(self._read, key, "numpy")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: FBT001 -- NumPy's protocol
        if copy is False:
            raise ValueError("the pixels are in a file; they cannot be had without a copy")
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
        """Pickle facts as plain values."""
        return _load, (_facts(self.layout), self.source)

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        """Return what names the content: equal in every process, different when the file or the layout differ."""
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
    """What `MrcArray.oindex` and `MrcArray.vindex` return."""

    _pixels: MrcArray
    _indexing: Indexing

    def __getitem__(self, key: Any) -> Any:
        return self._pixels._read(key, self._indexing)  # noqa: SLF001 -- the array's own helper


def _header_rows(array: MrcArray) -> tuple[Row, ...]:
    """Return what the header in front of the pixels says, read now; whatever keeps it from being read is told."""
    layout, source = array.layout, array.source
    if layout.pixel.mode < 0 or layout.offset < HEADER:
        return ()
    try:
        return array_rows(layout, bytes(source.read(0, HEADER)), name=source.name, size=source.size())
    except Exception as error:  # noqa: BLE001 -- an array can be shown, whatever became of its file
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        return (("kind", str(layout.kind)), ("header", f"cannot be read: {why}"))


def _facts(layout: Layout) -> tuple[Any, ...]:
    return layout.pixel.code, layout.kind.value, layout.shape, layout.byteorder, layout.offset, layout.pixel.mode < 0


def _load(facts: tuple[Any, ...], source: ByteSource) -> MrcArray:
    code, kind, shape, order, offset, raw = facts
    return MrcArray(Layout(Kind(kind), shape, raw_pixel(code) if raw else PIXELS[code], order, offset), source)


# ------------------------------------------------------------------------------------------ execution


def execute(wanted: ReadPlan, source: ByteSource) -> NDArray[Any]:
    """Read what a plan says and return the result, a new array in native byte order."""
    out = np.empty((wanted.count, *wanted.kept), dtype=wanted.layout.dtype)
    if out.size:
        with _seen(wanted, source) as view:
            if view is not None:
                _copy(wanted, view, out)
        if view is None:
            with _session(source) as reader:
                _read(wanted, reader, out, source.name)
    return wanted.finish(out)


def _is_everything(key: Any, ndim: int) -> bool:
    """Tell whether a key selects every pixel in its order."""
    parts = key if type(key) is tuple and len(key) <= ndim else (key,)
    return key is ... or all(type(part) is slice and part == slice(None) for part in parts)


def _whole(layout: Layout, source: ByteSource) -> NDArray[Any]:
    """Read all pixels that are stored as they are in memory; for small files planning would take as long as reading."""
    out = np.empty(layout.shape, dtype=layout.dtype)
    if out.size:
        with _session(source) as reader:
            fill_all(reader, layout.offset, _bytes(out), source.name, _swapper(layout))
    return out


def _session(source: ByteSource) -> AbstractContextManager[Readable]:
    # Asking for the method is what isinstance does for a protocol, thirty times as fast.
    session = getattr(source, "session", None)
    return session() if session else contextlib.nullcontext(source)


def _seen(wanted: ReadPlan, source: ByteSource) -> AbstractContextManager[NDArray[np.uint8] | None]:
    view = getattr(source, "view", None)
    return view(*wanted.extent) if view else contextlib.nullcontext(None)


def _copy(wanted: ReadPlan, view: NDArray[np.uint8], out: NDArray[Any]) -> None:
    """Gather all runs from bytes that are in memory."""
    low = wanted.extent[0]
    done = 0
    for starts in wanted.starts():
        step = max(1, PIECE // wanted.run_nbytes)
        for i in range(0, starts.size, step):
            some = starts[i : i + step]
            out[done : done + some.size] = wanted.unpack(_rows(view, some - low, wanted))
            done += some.size


def _read(wanted: ReadPlan, reader: Readable, out: NDArray[Any], name: str) -> None:
    if wanted.direct and wanted.count == 1:
        start = wanted.extent[0]
        fill_all(reader, start, _bytes(out).reshape(-1), name, _swapper(wanted.layout))
        return
    # A source with an order is far away or packed: it is given all ranges at once, to go for them in few steps.
    if (rows := _even_rows(wanted)) and not hasattr(reader, "in_order"):
        _read_strips(wanted, rows, reader, out, name)
        return
    done = 0
    for starts in wanted.starts():
        _read_block(wanted, reader, starts, out[done : done + starts.size], name)
        done += starts.size


def _even_rows(wanted: ReadPlan) -> range | None:
    """Return the last of the leading axes if its runs lie close together at equal distances over a long strip."""
    rows = wanted.lead[-1] if wanted.lead else None
    if not isinstance(rows, range) or abs(rows.step) - wanted.run_nbytes >= PAGE:
        return None
    return rows if abs(rows.step) * len(rows) >= SLACK else None


def _read_strips(wanted: ReadPlan, rows: range, reader: Readable, out: NDArray[Any], name: str) -> None:
    """Read runs at equal distances with the gaps between them, and copy the runs out: no list of positions is made."""
    length, step = wanted.run_nbytes, rows.step
    each = min(len(rows), max(1, STRIP // abs(step)))
    spare: deque[NDArray[np.uint8]] = deque()

    def strip(task: tuple[int, int, int]) -> None:
        start, place, i = task
        count = min(each, len(rows) - i)
        last = (count - 1) * step
        buffer = spare.pop() if spare else np.empty((each - 1) * abs(step) + length, dtype=np.uint8)
        read_exactly(reader, start + rows[i] + min(0, last), buffer[: abs(last) + length], name)
        grid: NDArray[np.uint8] = np.ndarray((count, length), np.uint8, buffer, max(0, -last), (step, 1))
        out[place + i : place + i + count] = wanted.unpack(grid)
        spare.append(buffer)

    done = 0
    for starts in dataclasses.replace(wanted, lead=wanted.lead[:-1]).starts():
        places = range(done, done + starts.size * len(rows), len(rows))
        strips = zip(starts.tolist(), places, strict=True)
        tasks = [(start, place, i) for start, place in strips for i in range(0, len(rows), each)]
        waiting = waits(reader, starts)
        in_threads(strip, tasks, starts.size * len(rows) * abs(step), waiting=waiting)
        done += starts.size * len(rows)


def _read_block(wanted: ReadPlan, reader: Readable, starts: NDArray[np.int64], out: NDArray[Any], name: str) -> None:
    """Read some runs: sort, coalesce, read batches of segments, and gather the runs from them."""
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
        places = slice(first, last) if order is None else order[first:last]
        out[places] = wanted.unpack(rows)

    waiting = waits(reader, found.starts)
    gather = None if waiting else scattered(reader, found, starts, wanted.run_nbytes)
    if gather and _read_scattered(wanted, gather, starts, out, order):
        return
    batches, total = _batches(found, at_most=len(found) // MANY if waiting else len(found))
    in_threads(batch, batches, total, waiting=waiting)


def _read_scattered(
    wanted: ReadPlan, gather: Gather, starts: NDArray[np.int64], out: NDArray[Any], order: NDArray[np.int64] | None
) -> bool:
    """Read small runs that are far apart, some thousands at a time; return False if the reader cannot.

    One thread does it: the calls are short, and others would only wait for their turn to run Python.
    """
    each = max(MANY, SPREAD // wanted.run_nbytes)
    straight, swap = wanted.direct and order is None, _swapper(wanted.layout)
    for i in range(0, starts.size, each):
        part, places = starts[i : i + each], slice(i, i + each)
        shape = part.size, wanted.run_nbytes
        rows = _bytes(out[places]).reshape(shape) if straight else np.empty(shape, dtype=np.uint8)
        if not gather(part, rows):
            return False
        if not straight:
            out[places if order is None else order[places]] = wanted.unpack(rows)
        elif swap:
            swap(rows.reshape(-1))
    return True


def _batches(found: Segments, at_most: int) -> tuple[list[tuple[int, int]], int]:
    """Return which segments to read together, and the bytes of all."""
    ends = np.cumsum(found.stops - found.starts)
    cuts = np.flatnonzero(np.diff(ends // PIECE, prepend=0)) if ends[-1] > PIECE else np.zeros(0, dtype=np.int64)
    edges = np.unique(np.concatenate((np.arange(0, len(found), at_most), cuts, [len(found)]))).tolist()
    return list(itertools.pairwise(edges)), int(ends[-1])


def _gather(
    wanted: ReadPlan, reader: Readable, part: Segments, starts: NDArray[np.int64], name: str
) -> NDArray[np.uint8]:
    """Read some segments one after the other into a buffer and return the runs that start at `starts`."""
    lengths = part.stops - part.starts
    ends = np.cumsum(lengths)
    buffer = np.empty(int(ends[-1]), dtype=np.uint8)
    places = zip((ends - lengths).tolist(), ends.tolist(), strict=True)
    fill(reader, part.starts.tolist(), [buffer[a:b] for a, b in places], name)
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
    """Return a function that turns stored bytes to native order in place, or None when they are native."""
    stored = layout.pixel.stored_dtype(layout.byteorder)
    if stored.isnative:
        return None
    return lambda raw: raw.view(stored.newbyteorder("=")).byteswap(inplace=True)
