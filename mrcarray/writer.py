"""Writing a file: from shape and dtype to a file that is there, whole, or not at all.

`Writer` fills a temporary file region by region, from any threads; statistics are gathered on the way, the header goes
last, and then the file takes its name. `create`, `write_region` and `finalize` fill one file from many places that do
not know of each other; until it is finalised, its header says that it is not.
"""

from __future__ import annotations

import math
import os
import warnings
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mrcarray.errors import (
    ClosedError,
    ConflictError,
    MrcFormatError,
    MrcValueError,
    MrcWarning,
    TruncatedError,
    printable,
)
from mrcarray.format import boxes
from mrcarray.format.draft import Draft, draft, finished, undetermined, unfinished
from mrcarray.format.fitting import as_pixels, fit
from mrcarray.format.header import Header
from mrcarray.format.infer import interpret
from mrcarray.format.layout import Kind, Layout
from mrcarray.format.selection import runs
from mrcarray.stats import Stats
from mrcarray.storage import atomic
from mrcarray.storage.atomic import AtomicFile, pwrite_all
from mrcarray.storage.codecs import SUFFIXES, detect
from mrcarray.storage.ranges import in_threads
from mrcarray.storage.sink import FileSink, write_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from numpy.typing import DTypeLike, NDArray

    from mrcarray.storage.sink import ByteSink

__all__ = [
    "Region",
    "Writer",
    "create",
    "existing",
    "finalize",
    "mark_changed",
    "open_sink",
    "store",
    "store_pixels",
    "warn_trouble",
    "write",
    "write_region",
]

PIECE = 1 << 20
"""Pixels converted, counted and written at a time by one thread."""

_HEADER = 1024


def store(  # noqa: PLR0913 -- where, what, and how
    write_runs: Callable[[Sequence[int], int, Any], None],
    layout: Layout,
    box: boxes.Box,
    values: NDArray[Any],
    *,
    threads: bool = True,
    ordered: bool = False,
) -> Stats:
    """Convert a box of pixels, write it, and return its statistics, all in one pass over pieces that fit the cache.

    Parameters
    ----------
    write_runs : callable
        ``write_runs(starts, length, data)`` of a sink.
    layout : Layout
        Where the pixels are to lie.
    box : Box
        Which of them.
    values : ndarray
        The pixels, in the shape of the box.
    threads : bool
        Whether large boxes are shared between threads.
    ordered : bool
        Whether the pieces must be written in order.

    Returns
    -------
    Stats
        Of the pixels as they are stored.

    Raises
    ------
    MrcValueError
        When a value does not fit the mode.
    """
    origin = tuple(start for start, _ in box)
    parts = list(boxes.pieces(values.shape, _piece(layout)))
    found: list[Stats] = [Stats()] * len(parts)

    def work(i: int) -> None:
        part = parts[i]
        pixels = fit(values[tuple(slice(a, b) for a, b in part)], layout.pixel)
        place = tuple(slice(a + o, b + o) for (a, b), o in zip(part, origin, strict=True))
        starts, length = runs(layout, place)
        raw = layout.pixel.pack(pixels, layout.byteorder)
        found[i] = Stats.of(pixels, threads=1)
        write_runs(starts.tolist(), length, raw.reshape(-1).data)

    in_threads(work, range(len(parts)), 0 if ordered or not threads else values.nbytes)
    return Stats.merged(found)


def store_pixels(collect: Callable[[bytes | memoryview], None], layout: Layout, values: NDArray[Any]) -> Stats:
    """Convert pixels to stored bytes, in order, and return their statistics.

    Parameters
    ----------
    collect : callable
        Takes the bytes, a piece at a time.
    layout : Layout
        Pixel format and byte order; whole rows are taken.
    values : ndarray
        The pixels.
    """
    found = []
    for part in boxes.pieces(values.shape, _piece(layout)):
        pixels = fit(values[tuple(slice(a, b) for a, b in part)], layout.pixel)
        found.append(Stats.of(pixels, threads=1))
        collect(layout.pixel.pack(pixels, layout.byteorder).reshape(-1).data)
    return Stats.merged(found)


def _piece(layout: Layout) -> int:
    """Return how many pixels to take at a time: whole rows, so that 4-bit pixels stay in their bytes."""
    return max(PIECE, math.prod(layout.shape[-1 - len(layout.pixel.trailing) :]))


def open_sink(  # noqa: PLR0913 -- the choices of whoever writes
    path: str | os.PathLike[str],
    plan: Draft,
    *,
    overwrite: bool = False,
    sync: bool = True,
    compression: str | None = "auto",
    level: int | None = None,
    growing: bool = False,
) -> ByteSink:
    """Open the temporary file that will become `path`, with its extended header in place.

    Parameters
    ----------
    path : str or path
        The target.
    plan : Draft
        What will be written.
    overwrite, sync : bool
        As for `Writer`.
    compression : {"auto", "gzip", "bzip2"} or None
        ``"auto"`` goes by the suffix of `path`.
    level : int, optional
        Of the compression.
    growing : bool
        Leave the size open.

    Returns
    -------
    ByteSink
    """
    from mrcarray.storage.packed import StreamSink, packer_for

    packer = packer_for(os.fsdecode(path), compression, level)
    file = AtomicFile(path, overwrite=overwrite, sync=sync)
    try:
        head = unfinished(plan.header).raw
        if packer is not None:
            stream = StreamSink(file, packer, len(head))
            stream.write_runs([_HEADER], len(plan.extended), plan.extended)
            return stream
        file.write_at(0, head + plan.extended)
        if not growing:
            file.reserve(plan.layout.stop)
    except BaseException:
        file.abort()
        raise
    return FileSink(file)


class Writer:
    """A file being written; it appears under its name when it is closed.

    Assign regions in any order, from any number of threads, or let ``dask.array.store(array, writer, lock=False)`` do
    it; or `append` sections whose number nobody knows yet. Leaving ``with`` by an exception leaves no file.

    Parameters
    ----------
    path : str or path
        The target; ``.gz`` and ``.bz2`` are compressed, for which regions must come in order.
    shape : tuple of int
        (row, column), (section, row, column) or (volume, section, row, column); the first may be None for `append`.
    dtype : dtype_like
        What the values are.
    kind : str, optional
        "image", "image_stack", "volume" or "volume_stack"; by default by the number of axes.
    mode : int, optional
        Mode to store the values in. Without it, one that holds the dtype exactly.
    byteorder : {"<", ">"}
        Byte order of the file.
    voxel_size : float or (x, y, z), optional
        In ångström.
    header : Header, optional
        Other header fields to start from: labels, space group, origin and the like.
    extended : bytes
        Extended header.
    exttyp : bytes or str
        Its type, four characters.
    overwrite : bool
        Whether an existing file may be replaced.
    sync : bool
        Whether the file is on the disk when `close` returns.
    compression : {"auto", "gzip", "bzip2"} or None
        ``"auto"`` goes by the suffix.
    level : int, optional
        Of the compression.

    Examples
    --------
    >>> import numpy as np
    >>> with Writer("new.mrc", (3, 4, 5), "float32", voxel_size=2.0) as writer:
    ...     for z in range(3):
    ...         writer[z] = np.full((4, 5), z)
    >>> import mrcarray
    >>> header = mrcarray.read_header("new.mrc")
    >>> header.cella, header.dmax
    ((10.0, 8.0, 6.0), 2.0)
    """

    def __init__(  # noqa: PLR0913 -- the choices of whoever writes
        self,
        path: str | os.PathLike[str],
        shape: tuple[int | None, ...],
        dtype: DTypeLike,
        *,
        kind: str | None = None,
        mode: int | None = None,
        byteorder: str = "<",
        voxel_size: float | Sequence[float] | None = None,
        header: Header | None = None,
        extended: bytes = b"",
        exttyp: bytes | str = b"",
        overwrite: bool = False,
        sync: bool = True,
        compression: str | None = "auto",
        level: int | None = None,
    ) -> None:
        growing = len(shape) > 0 and shape[0] is None
        full: tuple[Any, ...] = (0, *shape[1:]) if growing else shape
        plan = draft(
            full,
            dtype,
            kind=kind,
            mode=mode,
            byteorder=byteorder,
            voxel_size=voxel_size,
            header=header,
            extended=extended,
            exttyp=exttyp,
        )
        self._begin(path, plan, growing, overwrite=overwrite, sync=sync, compression=compression, level=level)

    @classmethod
    def of(cls, path: str | os.PathLike[str], plan: Draft, *, growing: bool = False, **options: Any) -> Writer:
        """Open a writer for a finished plan.

        Parameters
        ----------
        path : str or path
            The target.
        plan : Draft
            Layout, header and extended header; they must agree.
        growing : bool
            Whether the number of sections is unknown.
        **options
            `overwrite`, `sync`, `compression`, `level`.
        """
        self = cls.__new__(cls)
        self._begin(path, plan, growing, **options)
        return self

    def _begin(self, path: str | os.PathLike[str], plan: Draft, growing: bool, **options: Any) -> None:  # noqa: FBT001 -- private
        if growing and plan.layout.kind in (Kind.IMAGE, Kind.VOLUME_STACK):
            raise MrcValueError(
                f"sections cannot be appended to a {plan.layout.kind}; give shape (None, rows, columns)"
            )
        self._plan, self._growing = plan, growing
        self._path = os.path.realpath(os.fsdecode(path))
        self._sink: ByteSink | None = None
        self._found: dict[boxes.Box, Stats] = {}
        self._shared = False
        self._pid = os.getpid()
        self._sink = open_sink(path, plan, growing=growing, **options)
        self._finalizer = weakref.finalize(self, _abandoned, self._sink, self._path, self._pid)

    @property
    def path(self) -> str:
        """Where the file will be."""
        return self._path

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array; sections appended so far included."""
        return self._plan.layout.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype the stored values have in memory."""
        return self._plan.layout.dtype

    @property
    def closed(self) -> bool:
        """Whether the file was committed or given up."""
        return self._sink is None

    def __setitem__(self, key: Any, values: Any) -> None:
        """Write a region.

        Parameters
        ----------
        key : int, slice or tuple of them
            The region; slices have step 1.
        values : array_like
            Numbers that broadcast to the region.
        """
        self._write(*_region(self.shape, key, values))

    def append(self, values: Any) -> None:
        """Add one section, or several, at the end.

        Parameters
        ----------
        values : array_like
            Shape (row, column) or (section, row, column).
        """
        if not self._growing:
            raise MrcValueError("the number of sections is fixed; give shape (None, rows, columns) to append")
        sections = as_pixels(values)
        layout = self._plan.layout
        if sections.ndim == len(layout.shape) - 1:
            sections = sections[np.newaxis]
        if sections.shape[1:] != layout.shape[1:]:
            raise MrcValueError(f"sections have shape {sections.shape[1:]}; expected {layout.shape[1:]}")
        start = layout.shape[0]
        plan = self._plan.with_sections(start + sections.shape[0])
        box = ((start, plan.layout.shape[0]), *((0, length) for length in layout.shape[1:]))
        self._plan = plan
        self._write(box, sections)

    def _write(self, box: boxes.Box, values: NDArray[Any]) -> None:
        sink = self._open_sink()
        ordered = not isinstance(sink, FileSink)
        self._found[box] = store(sink.write_runs, self._plan.layout, box, values, ordered=ordered)

    def _open_sink(self) -> ByteSink:
        if self._sink is None:
            raise ClosedError(f"{printable(self._path)}: the writer is closed")
        if os.getpid() != self._pid:
            raise ClosedError(f"{printable(self._path)}: a forked child cannot write what its parent opened")
        return self._sink

    @property
    def stats(self) -> Stats | None:
        """The statistics of all pixels, None when the regions written do not cover the array once each."""
        if self._shared or not boxes.tile(self._found, self.shape):
            return None
        return Stats.merged(self._found[box] for box in sorted(self._found))

    def close(self, stats: Stats | None = None) -> Stats:
        """Write the header, and give the file its name.

        Parameters
        ----------
        stats : Stats, optional
            Statistics of the pixels, where the caller knows them better.

        Returns
        -------
        Stats
            What the header says.
        """
        sink = self._sink
        if sink is None:
            return Stats()
        self._open_sink()
        try:
            self._refuse_nothing()
            found = stats or self.stats or self._recount(sink)
            warn_trouble(found, self._path)
            head = self._plan.header.replace(**found.to_header_fields()).raw
            self._release()
            sink.commit(head)
        except BaseException:
            self._release()
            sink.abort()
            raise
        return found

    def _refuse_nothing(self) -> None:
        if self._growing and not self._found:
            raise MrcValueError(f"{printable(self._path)}: no section was appended; MRC files hold at least one")

    def _release(self) -> None:
        self._sink = None
        self._finalizer.detach()

    def _recount(self, sink: ByteSink) -> Stats:
        """Read the statistics from what was written, where the regions do not add up to them."""
        if not isinstance(sink, FileSink):
            missing = "regions are missing; a compressed file is written from the first section to the last"
            raise MrcValueError(f"{printable(self._path)}: {missing}")
        if not self._shared:
            text = "the regions written do not cover every pixel exactly once; pixels never written are 0"
            warnings.warn(f"{printable(self._path)}: {text}", MrcWarning, stacklevel=4)
        return _stats_of_file(sink.file.temp, self._plan.layout)

    def abort(self) -> None:
        """Give up: no file appears, and one that was there stays."""
        sink = self._sink
        if sink is not None:
            self._release()
            sink.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<Writer {printable(self._path)!r} shape={self.shape} dtype={self.dtype} {state}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a target for regions alone; the statistics are then read from the file when it is closed."""
        sink = self._open_sink()
        if not isinstance(sink, FileSink) or self._growing:
            raise TypeError("only a plain file of known size can be written by other processes")
        self._shared = True
        return Region, (sink.file.temp, self._plan.layout)

    def __dask_tokenize__(self) -> Any:
        """Tell two writers apart: by the temporary file."""
        sink = self._open_sink()
        return ("mrcarray.Writer", sink.file.temp if isinstance(sink, FileSink) else id(self))


def _abandoned(sink: ByteSink, path: str, pid: int) -> None:
    """Give up the file of a writer that nobody closed; called by the garbage collector, or when Python ends."""
    if os.getpid() == pid:
        sink.abort()
        text = f"the writer of {printable(path)} was never closed, so there is no such file"
        warnings.warn(text, ResourceWarning, stacklevel=2)


def warn_trouble(stats: Stats, path: str) -> None:
    """Warn when the header cannot say the statistics."""
    if stats.problem is not None:
        text = f"{printable(path)}: {stats.problem}; the header says that its statistics are undetermined"
        warnings.warn(text, MrcWarning, stacklevel=4)


@dataclass(frozen=True, slots=True)
class Region:
    """Part of a file that exists, as something to assign to; it holds a path and no handle, so it travels anywhere.

    Parameters
    ----------
    path : str
        The file.
    layout : Layout
        Where its pixels lie.
    """

    path: str
    layout: Layout

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole array."""
        return self.layout.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype the stored values have in memory."""
        return self.layout.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.layout.shape)

    def __setitem__(self, key: Any, values: Any) -> None:
        self.write(key, values)

    def write(self, key: Any, values: Any, *, threads: bool = True) -> Stats:
        """Write a region and return its statistics; to write the same again does no harm."""
        box, full = _region(self.shape, key, values)

        def write_runs(starts: Sequence[int], length: int, data: Any) -> None:
            write_path(self.path, starts, length, data, size=self.layout.stop)

        return store(write_runs, self.layout, box, full, threads=threads)


def _region(whole: tuple[int, ...], key: Any, values: Any) -> tuple[boxes.Box, NDArray[Any]]:
    """Return the box a key names in an array, and the values in its shape."""
    box, shape = boxes.box_of(whole, key)
    array = as_pixels(values)
    try:
        full = np.broadcast_to(array, shape)
    except ValueError:
        raise MrcValueError(f"the values have shape {array.shape}; the region to be written has {shape}") from None
    return box, full.reshape(boxes.lengths(box))


def write(path: str | os.PathLike[str], plan: Draft, values: Any, **options: Any) -> Stats:
    """Write a whole array in memory.

    Parameters
    ----------
    path : str or path
        The target.
    plan : Draft
        Layout, header and extended header.
    values : array_like
        The pixels; they may lie in a memory map of the file that is replaced.
    **options
        `overwrite`, `sync`, `compression`, `level`, as for `Writer`.

    Returns
    -------
    Stats
    """
    with Writer.of(path, plan, **options) as writer:
        writer[...] = values
        return writer.close()


def create(
    path: str | os.PathLike[str], shape: tuple[int, ...], dtype: DTypeLike, *, overwrite: bool = False, **options: Any
) -> str:
    """Make a file of the right size whose pixels are to be written by `write_region`, from as many places as you like.

    Until `finalize` was called, its header says that it is unfinished, and reading it is refused.

    Parameters
    ----------
    path : str or path
        The file.
    shape : tuple of int
        Of the array.
    dtype : dtype_like
        Of its values.
    overwrite : bool
        Whether an existing file may be replaced.
    **options
        `kind`, `mode`, `byteorder`, `voxel_size`, `header`, `extended`, `exttyp`, as for `Writer`; `sync`.

    Returns
    -------
    str
        Absolute path.

    Raises
    ------
    MrcValueError
        When the name is that of a compressed file, or the format cannot hold such an array.
    FileExistsError
        When there is such a file, and `overwrite` is false.

    Examples
    --------
    >>> import numpy as np, mrcarray
    >>> path = create("big.mrc", (4, 8, 8), "int16")
    >>> parts = [write_region(path, slice(z, z + 2), np.full((2, 8, 8), z)) for z in (0, 2)]
    >>> mrcarray.open_array(path)
    Traceback (most recent call last):
    mrcarray.errors.MrcFormatError: ...: the file is unfinished...
    >>> finalize(path, parts).maximum
    2.0
    """
    name = os.fsdecode(path)
    if name.lower().endswith(SUFFIXES):
        text = "its name says that it is compressed, and no region of a compressed file can be written in place"
        raise MrcValueError(f"{printable(name)}: {text}; write it as a whole by to_mrc, or choose another name")
    sync = options.pop("sync", True)
    plan = draft(tuple(shape), dtype, **options)
    sink = open_sink(path, plan, overwrite=overwrite, sync=sync, compression=None)
    try:
        sink.commit(unfinished(plan.header).raw)
    except BaseException:
        sink.abort()
        raise
    return os.path.realpath(os.fsdecode(path))


def existing(path: str | os.PathLike[str], kind: str = "auto") -> tuple[str, Header, Layout]:
    """Return the absolute path, header and layout of a plain file to be written to, finished or not.

    Parameters
    ----------
    path : str or path
        The file.
    kind : str
        How to read its header.
    """
    from mrcarray.storage.local import LocalSource

    source = LocalSource.open(os.path.realpath(os.fsdecode(path)))
    raw = bytes(source.read(0, _HEADER))
    codec = detect(raw)
    if codec is not None:
        text = f"the file is compressed with {codec.name}, and compressed files cannot be changed in place"
        raise MrcValueError(f"{printable(source.path)}: {text}; write it as a whole by to_mrc")
    if len(raw) < _HEADER:
        raise TruncatedError("the file ends within its header", source.path)
    header, issues = Header.parse(raw, source.size())
    plain = finished(header)
    found = interpret(plain, source.size(), name=source.path, kind=kind)
    wrong = [one for one in (*issues, *found.issues) if one.is_error]
    if wrong:
        raise MrcFormatError(printable(str(wrong[0])), source.path, wrong)
    if found.layout is None:
        raise MrcValueError(f"{printable(source.path)}: the file holds no data that could be written to")
    return source.path, header, found.layout


def write_region(path: str | os.PathLike[str], region: Any, values: Any, *, kind: str = "auto") -> Stats:
    """Write part of a file that exists, in place.

    The statistics of a finished file no longer hold then: its header says so until `finalize` was called.

    Parameters
    ----------
    path : str or path
        The file, made by `create` or any other plain MRC file.
    region : int, slice or tuple of them
        Which pixels; slices have step 1.
    values : array_like
        Numbers that broadcast to the region.
    kind : str
        How to read the file's header, as for reading.

    Returns
    -------
    Stats
        Of the region; `finalize` takes them.

    Raises
    ------
    MrcValueError
        When the region or the values do not fit.
    """
    absolute, _, layout = existing(path, kind)
    _region(layout.shape, region, values)  # what does not fit must not touch the file
    mark_changed(path, kind)
    return Region(absolute, layout).write(region, values)


def mark_changed(path: str | os.PathLike[str], kind: str = "auto") -> None:
    """Say in the header of a finished file that its statistics are unknown, before its pixels are changed.

    Parameters
    ----------
    path : str or path
        The file.
    kind : str
        How to read its header.
    """
    absolute, header, layout = existing(path, kind)
    if finished(header) is header:
        _patch(absolute, header, header.replace(**undetermined(header, layout.pixel)))


def finalize(
    path: str | os.PathLike[str], stats: Iterable[Stats] | None = None, *, sync: bool = True, kind: str = "auto"
) -> Stats:
    """Write the statistics of a file that is complete, and mark it finished.

    Parameters
    ----------
    path : str or path
        The file.
    stats : iterable of Stats, optional
        What every `write_region` gave, if the regions cover the file once; else the file is read.
    sync : bool
        Whether the file is on the disk when the function returns.
    kind : str
        How to read the file's header, as for reading.

    Returns
    -------
    Stats

    Raises
    ------
    MrcValueError
        When the statistics are of another number of pixels than the file holds.
    """
    absolute, header, layout = existing(path, kind)
    if stats is None:
        found = _stats_of_file(absolute, layout)
    else:
        found = Stats.merged(stats)
        expected = math.prod(layout.shape)
        if found.total != expected:
            text = f"the statistics are of {found.total} pixels, the file holds {expected}"
            raise MrcValueError(f"{printable(absolute)}: {text}; leave them out to have the file read")
    warn_trouble(found, absolute)
    _patch(absolute, header, finished(header).replace(**found.to_header_fields()), sync=sync)
    return found


def _patch(path: str, before: Header, after: Header, *, sync: bool = False) -> None:
    """Write the bytes in which two headers differ, by one call."""
    differ = [i for i, (a, b) in enumerate(zip(before.raw, after.raw, strict=True)) if a != b]
    if not differ:
        return
    first, stop = differ[0], differ[-1] + 1
    descriptor = atomic.calls.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
    try:
        if sync:
            atomic.calls.fsync(descriptor)
        now = os.pread(descriptor, _HEADER, 0)
        if now not in (before.raw, after.raw):
            raise ConflictError(f"{printable(path)}: another writer changed the header meanwhile")
        pwrite_all(descriptor, first, after.raw[first:stop], path)
        if sync:
            atomic.calls.fsync(descriptor)
    finally:
        atomic.calls.close(descriptor)


def _stats_of_file(path: str, layout: Layout) -> Stats:
    """Read the pixels of a file once, a few megabytes at a time, and return their statistics."""
    from mrcarray.array import MrcArray
    from mrcarray.storage.local import LocalSource

    array = MrcArray(layout, LocalSource.open(path))
    keys = (tuple(slice(a, b) for a, b in box) for box in boxes.pieces(layout.shape, 1 << 23))
    return Stats.merged(Stats.of(array[key]) for key in keys)
