"""Writing a file: from shape and dtype to a file that is there, whole, or not at all.

`Writer` fills a temporary file region by region, from any threads; statistics are gathered on the way, the header goes
last, and then the file takes its name.
"""

from __future__ import annotations

import os
import warnings
import weakref
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mrcarray.block_writer import box_and_values, open_sink, stats_of_file, store, warn_trouble
from mrcarray.errors import ClosedError, MrcValueError, MrcWarning, printable
from mrcarray.format import regions
from mrcarray.format.builder import Draft, draft
from mrcarray.format.casting import as_pixels
from mrcarray.format.layout import Kind
from mrcarray.region_writer import Region
from mrcarray.statistics import Stats
from mrcarray.storage.sink import FileSink

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from numpy.typing import DTypeLike, NDArray

    from mrcarray.format.header import Header
    from mrcarray.storage.sink import ByteSink

__all__ = ["Writer", "write"]


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
        self._found: dict[regions.Box, Stats] = {}
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
        self._write(*box_and_values(self.shape, key, values))

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

    def _write(self, box: regions.Box, values: NDArray[Any]) -> None:
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
        if self._shared or not regions.tile(self._found, self.shape):
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
        return stats_of_file(sink.file.temp, self._plan.layout)

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
