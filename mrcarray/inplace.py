"""Writing into files that exist: one file, filled from many places that do not know of each other.

`create` makes the file, `write_region` fills it, `finalize` adds up the statistics; until then, the header says that
the file is not finished. `write_region` changes a finished file as well.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrcarray.errors import ConflictError, MrcFormatError, MrcValueError, TruncatedError, printable
from mrcarray.format.draft import draft, finished, undetermined, unfinished
from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.format.header import Header
from mrcarray.kind_facts import interpret_file
from mrcarray.stats import Stats
from mrcarray.storage import atomic
from mrcarray.storage.codecs import detect
from mrcarray.storage.sink import write_path
from mrcarray.storing import box_and_values, open_sink, stats_of_file, store, warn_trouble
from mrcarray.suffixes import COMPRESSED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import DTypeLike

    from mrcarray.format.layout import Layout

__all__ = ["Region", "create", "existing", "finalize", "mark_changed", "write_region"]


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
        box, full = box_and_values(self.shape, key, values)

        def write_runs(starts: Sequence[int], length: int, data: Any) -> None:
            write_path(self.path, starts, length, data, size=self.layout.stop)

        return store(write_runs, self.layout, box, full, threads=threads)


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
    if name.lower().endswith(COMPRESSED):
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

    source = LocalSource.open(atomic.real_target(path))
    raw = bytes(source.read(0, HEADER_NBYTES))
    codec = detect(raw)
    if codec is not None:
        text = f"the file is compressed with {codec.name}, and compressed files cannot be changed in place"
        raise MrcValueError(f"{printable(source.path)}: {text}; write it as a whole by to_mrc")
    if len(raw) < HEADER_NBYTES:
        raise TruncatedError("the file ends within its header", source.path)
    header, issues = Header.parse(raw, source.size())
    plain = finished(header)
    found = interpret_file(plain, source.size(), source.read, name=source.path, kind=kind)
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
    box_and_values(layout.shape, region, values)  # what does not fit must not touch the file
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
        found = stats_of_file(absolute, layout)
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
        now = os.pread(descriptor, HEADER_NBYTES, 0)
        if now not in (before.raw, after.raw):
            raise ConflictError(f"{printable(path)}: another writer changed the header meanwhile")
        atomic.pwrite_all(descriptor, first, after.raw[first:stop], path)
        if sync:
            atomic.calls.fsync(descriptor)
    finally:
        atomic.calls.close(descriptor)
