"""Write a new file from pixels: `Writer`, and `DeferredWriter` for tasks that run later in other processes."""

from __future__ import annotations

import math
import os
import secrets
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mrcarray import region_writer
from mrcarray.block_writer import box_and_values, stats_of_file
from mrcarray.caller import warn
from mrcarray.errors import ClosedError, MrcValueError, printable
from mrcarray.file_writer import FileWriter, head_of
from mrcarray.format import regions
from mrcarray.format.builder import Draft, draft, unfinished
from mrcarray.format.casting import as_pixels
from mrcarray.format.layout import Kind
from mrcarray.region_writer import Part, Region
from mrcarray.statistics import Stats
from mrcarray.storage.atomic import AtomicFile
from mrcarray.storage.lease import Lease
from mrcarray.storage.orphans import lease_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from numpy.typing import DTypeLike, NDArray

    from mrcarray.format.header import Header
    from mrcarray.storage.compression.writer import Compressor

__all__ = ["DeferredWriter", "Writer", "write"]


class Writer:
    """A new file that is being written; it appears under its name when it is closed.

    Assign regions in any order, from any number of threads, or let ``dask.array.store(array, writer, lock=False)`` do
    so; or `append` sections when their number is not known yet. Leaving ``with`` by an exception leaves no file.

    Parameters
    ----------
    path : str or path
        The target; ``.gz`` and ``.bz2`` are compressed, for which regions must come in order.
    shape : tuple of int
        (row, column), (section, row, column) or (volume, section, row, column); the first may be None for `append`.
    dtype : dtype_like
        Type of the values.
    kind : str, optional
        "image", "image_stack", "volume" or "volume_stack"; by default by the number of axes.
    mode : int, optional
        Mode to store the values in. Without it, one that stores the dtype exactly.
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
        ``"auto"`` chooses by the suffix.
    level : int, optional
        Compression level.

    Raises
    ------
    MrcValueError
        When the format cannot store such an array.
    FileExistsError
        When the file exists and `overwrite` is false.

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

    def __init__(  # noqa: PLR0913 -- the options of every write
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
        options: dict[str, Any] = {"overwrite": overwrite, "sync": sync, "compression": compression, "level": level}
        self._open(path, plan, growing=growing, **options)

    @classmethod
    def of(cls, path: str | os.PathLike[str], plan: Draft, *, shared: bool = False, **options: Any) -> Writer:
        """Open a writer for a finished plan.

        Parameters
        ----------
        path : str or path
            The target.
        plan : Draft
            Layout, header and extended header; they must agree.
        shared : bool
            Whether all pixels are written by other tasks, through `region`.
        **options
            `overwrite`, `sync`, `compression`, `level`.
        """
        self = cls.__new__(cls)
        self._open(path, plan, shared=shared, **{"compression": "auto", **options})
        return self

    def _open(self, path: str | os.PathLike[str], plan: Draft, *, growing: bool = False, **options: Any) -> None:
        if growing and plan.layout.kind in (Kind.IMAGE, Kind.VOLUME_STACK):
            raise MrcValueError(
                f"sections cannot be appended to a {plan.layout.kind}; give shape (None, rows, columns)"
            )
        size = 0 if growing else plan.layout.stop
        head = unfinished(plan.header).raw + plan.extended
        self._start(FileWriter(path, head=head, size=size, **options), plan, growing=growing)

    @classmethod
    def adopt(cls, file: FileWriter, plan: Draft) -> Writer:
        """Take over a file whose pixels other tasks wrote.

        Parameters
        ----------
        file : FileWriter
            The file, with a lease.
        plan : Draft
            Layout, header and extended header.
        """
        self = cls.__new__(cls)
        self._start(file, plan)
        return self

    def _start(self, file: FileWriter, plan: Draft, *, growing: bool = False) -> None:
        self._file, self._plan, self._growing = file, plan, growing
        self._found: dict[regions.Box, Stats] = {}
        self._region = None if file.lease is None else Region.of(file.lease, plan.layout)
        self._pid = os.getpid()
        self._finalizer = weakref.finalize(self, _not_closed, file, self._pid)

    @property
    def path(self) -> str:
        """Where the file will be."""
        return self._file.path

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array, with the sections appended so far."""
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
        return self._file.closed

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
        self._plan = self._plan.with_sections(start + sections.shape[0])
        self._write(((start, self.shape[0]), *((0, length) for length in layout.shape[1:])), sections)

    def _write(self, box: regions.Box, values: NDArray[Any]) -> None:
        self._check_open()
        self._found[box] = self._file.write(self._plan.layout, box, values)

    def _check_open(self) -> None:
        if self.closed:
            raise ClosedError(f"{printable(self.path)}: the writer is closed")
        if os.getpid() != self._pid:
            raise ClosedError(f"{printable(self.path)}: a forked child cannot write a file that its parent opened")

    @property
    def region(self) -> Region:
        """The file as a target for tasks of other processes, which write it without this object.

        Raises
        ------
        TypeError
            When the file is compressed, or its size is not known.
        """
        self._check_open()
        if self._region is None:
            if self._file.compressed or self._growing:
                raise TypeError("only an uncompressed file of known size can be written by other processes")
            self._region = Region.of(self._file.share(unfinished(self._plan.header).raw), self._plan.layout)
        return self._region

    @property
    def stats(self) -> Stats | None:
        """Statistics of all pixels; None when the regions written do not cover the array exactly once."""
        if self._region is not None or not regions.tile(self._found, self.shape):
            return None
        return Stats.merged(self._found[box] for box in sorted(self._found))

    def close(self, stats: Stats | None = None) -> Stats:
        """Write the header, and give the file its name.

        Parameters
        ----------
        stats : Stats, optional
            Statistics of the pixels, when the caller has them.

        Returns
        -------
        Stats
            What the header declares.
        """
        if self.closed:
            return Stats()
        self._check_open()
        try:
            found = stats or self.stats or self._counted_again()
            self._check_complete(found)
            found.warn(self.path)
            self._finalizer.detach()
            self._file.commit(self._plan.header.replace(**found.to_header_fields()).raw)
        except BaseException:
            self.abort()
            raise
        return found

    def _check_complete(self, stats: Stats) -> None:
        """Raise when the file has no section, or tasks did not write all pixels."""
        expected = math.prod(self.shape)
        if self._growing and not expected:
            raise MrcValueError(f"{printable(self.path)}: no section was appended; MRC files contain at least one")
        if self._file.lease is not None and stats.total != expected:
            text = f"{stats.total} of {expected} pixels were written"
            raise MrcValueError(f"{printable(self.path)}: {text}; the file is not made")

    def _counted_again(self) -> Stats:
        """Read the statistics from the file, because the regions written do not add up to them."""
        if self._file.compressed:
            text = "regions are missing; a compressed file is written from the first section to the last"
            raise MrcValueError(f"{printable(self.path)}: {text}")
        if self._region is None:
            text = "the regions written do not cover every pixel exactly once; pixels never written are 0"
            warn(f"{printable(self.path)}: {text}")
        return stats_of_file(self._file.temp, self._plan.layout)

    def abort(self) -> None:
        """Give up: no file appears, and an existing one stays."""
        self._finalizer.detach()
        if not self.closed:
            self._file.abort()

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
        return f"<Writer {printable(self.path)!r} shape={self.shape} dtype={self.dtype} {state}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a target for regions; `close` then reads the statistics from the file."""
        region = self.region
        return Region, (region.path, region.layout, region.file, region.lease)

    def __dask_tokenize__(self) -> Any:
        """Tell two writers apart by their temporary files."""
        self._check_open()
        return ("mrcarray.Writer", self._file.temp)


def _not_closed(file: FileWriter, pid: int) -> None:
    """Give up the file of a writer that was never closed; called by the garbage collector, or when Python ends."""
    if os.getpid() == pid:
        file.abort()
        warn(f"the writer of {printable(file.path)} was never closed, so the file was not made", ResourceWarning)


def write(path: str | os.PathLike[str], plan: Draft, values: Any, **options: Any) -> Stats:
    """Write a whole array in memory.

    Parameters
    ----------
    path : str or path
        The target.
    plan : Draft
        Layout, header and extended header.
    values : array_like
        The pixels; they may be a memory map of the file that is replaced.
    **options
        `overwrite`, `sync`, `compression`, `level`, as for `Writer`.

    Returns
    -------
    Stats
    """
    with Writer.of(path, plan, **options) as writer:
        writer[...] = values
        return writer.close()


@dataclass(frozen=True, slots=True)
class DeferredWriter:
    """A file that tasks will write later, perhaps in other processes: what is known of it before the first task runs.

    Parameters
    ----------
    temp, path : str
        The temporary file, and the name it gets.
    plan : Draft
        Layout, header and extended header.
    overwrite, sync : bool
        As for `Writer`.
    compressor : Compressor or None
        How to compress.
    """

    temp: str
    path: str
    plan: Draft
    overwrite: bool = False
    sync: bool = True
    compressor: Compressor | None = None

    @classmethod
    def of(
        cls, path: str | os.PathLike[str], plan: Draft, compressor: Compressor | None, **options: bool
    ) -> DeferredWriter:
        """Choose a temporary file for a target; raise as `Writer` does for one that must not be written."""
        real = AtomicFile.check(path, overwrite=options["overwrite"])
        return cls(lease_name(real, secrets.token_hex(4)), real, plan, compressor=compressor, **options)

    def begin(self) -> Region:
        """Create the temporary file, or take the one that an earlier run of the same task created."""
        head = head_of(unfinished(self.plan.header).raw + self.plan.extended, self.compressor)
        size = self.plan.layout.stop if self.compressor is None else 0
        try:
            return Region.of(Lease.begin(self.temp, self.path, head, size), self.plan.layout)
        except FileNotFoundError as error:
            raise region_writer.missing(error, self.temp) from None

    def finish(self, part: Part, region: Region) -> str:
        """Write the header and give the file its name.

        Parameters
        ----------
        part : Part
            All that was written, merged.
        region : Region
            What `begin` returned.

        Returns
        -------
        str
            The path of the file.
        """
        lease = region.lease
        assert lease is not None  # noqa: S101 -- for the type checker
        merged = region_writer.merged((part, Part(file=lease.number)), self.path)
        try:
            file = FileWriter.adopt(
                lease, self.path, overwrite=self.overwrite, sync=self.sync, compressor=self.compressor
            )
        except FileNotFoundError as error:
            raise region_writer.missing(error, self.temp) from None
        with Writer.adopt(file, self.plan) as writer:
            writer.close(merged)
        return self.path
