"""Write parts of a file that exists: `create`, `write_region`, `finalize`.

`create` makes the file, `write_region` fills it from any number of processes, `finalize` merges the statistics. Until
then the header marks the file as unfinished. `write_region` changes a finished file as well. `Region` is the target of
both, and of dask tasks that write a new file together.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import errno
import os
import platform
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrcarray.block_writer import box_and_values, stats_of_file, store
from mrcarray.errors import ConflictError, MrcFormatError, MrcValueError, TruncatedError, printable
from mrcarray.file_writer import FileWriter
from mrcarray.format import regions
from mrcarray.format.builder import draft, finished, undetermined, unfinished
from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.format.header import Header
from mrcarray.kind_facts import interpret_file
from mrcarray.statistics import Stats
from mrcarray.storage import atomic
from mrcarray.storage.compression.codecs import detect
from mrcarray.storage.patch import patch_bytes
from mrcarray.storage.sink import write_path
from mrcarray.urls import COMPRESSED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import DTypeLike

    from mrcarray.format.layout import Layout
    from mrcarray.storage.lease import Lease

__all__ = [
    "Part",
    "Region",
    "create",
    "existing",
    "file_number",
    "finalize",
    "mark_changed",
    "merged",
    "write_region",
]

_NUMBERS = 1 << 23
"""Number of files that `create` can distinguish: float32 stores integers exactly up to twice this number."""

_PERMANENT = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM})
"""Errors that a task meets again when a scheduler retries it."""


@dataclass(frozen=True, slots=True)
class Part(Stats):
    """The statistics of a region that was written, for `finalize`.

    Parameters
    ----------
    region : tuple of (int, int)
        Start and stop along every axis of the file; empty for merged parts.
    file : int
        Number of the unfinished file that the region was written to; 0 for a finished file.
    """

    region: regions.Box = ()
    file: int = 0

    @classmethod
    def at(cls, stats: Stats, region: regions.Box, file: int) -> Part:
        """Return the statistics of a region."""
        values = {field.name: getattr(stats, field.name) for field in dataclasses.fields(Stats)}
        return cls(**values, region=region, file=file)


def merged(parts: Iterable[Part], path: str = "") -> Part:
    """Return the statistics of parts of one file together.

    Parameters
    ----------
    parts : iterable of Part
        What was written.
    path : str
        The file, for the error.

    Raises
    ------
    ConflictError
        When they were written to two temporary files: the first was removed while tasks wrote, and its pixels are lost.
    """
    parts = tuple(parts)
    files = {part.file for part in parts if part.file}
    if len(files) > 1:
        text = "the temporary file was removed while it was written, so some pixels are lost; run the computation again"
        raise ConflictError(f"{printable(path)}: {text}" if path else text)
    return Part.at(Stats.merged(parts), (), files.pop() if files else 0)


@dataclass(frozen=True, slots=True)
class Region:
    """A file that exists, as a target to assign regions to; it contains a path and no handle, so it can be pickled.

    Parameters
    ----------
    path : str
        The file.
    layout : Layout
        Where its pixels are.
    file : int
        Number of the unfinished file; 0 for a finished one.
    lease : Lease, optional
        The right to write to the temporary file of a `FileWriter`; a file without its mark is refused.
    """

    path: str
    layout: Layout
    file: int = 0
    lease: Lease | None = None

    @classmethod
    def of(cls, lease: Lease, layout: Layout) -> Region:
        """Return a temporary file as a target."""
        return cls(lease.temp, layout, lease.number, lease)

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
        return len(self.shape)

    def __setitem__(self, key: Any, values: Any) -> None:
        """Write a region.

        Parameters
        ----------
        key : int, slice or tuple of them
            Which pixels; slices have step 1.
        values : array_like
            Numbers that broadcast to the region.
        """
        self.write(key, values)

    def write(self, key: Any, values: Any, *, threads: bool = True) -> Part:
        """Write a region and return its statistics; writing it again changes nothing."""
        box, full = box_and_values(self.shape, key, values)

        def write_runs(starts: Sequence[int], length: int, data: Any) -> None:
            write_path(self.path, starts, length, data, size=self.layout.stop, lease=self.lease)

        with self._explained():
            return Part.at(store(write_runs, self.layout, box, full, threads=threads), box, self.file)

    def append(self, at: int, data: bytes) -> None:
        """Write compressed bytes from byte `at` of a temporary file; writing them again changes nothing."""
        assert self.lease is not None  # noqa: S101 -- only temporary files are compressed here
        with self._explained():
            write_path(self.path, [at], len(data), data, lease=self.lease)

    def __dask_tokenize__(self) -> Any:
        """Name the file; the lease is left out, because pickling it would give up its ownership of the file."""
        layout = self.layout
        return ("mrcarray.Region", self.path, self.file, layout.shape, layout.pixel.code, layout.offset)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Remove a temporary file when a task fails for good, and explain why it is missing.

        Tasks that then miss the file raise the error of the first, which dask may meet later than theirs.
        """
        lease = self.lease
        if lease is None:
            yield
            return
        try:
            yield
        except FileNotFoundError as error:
            if lease.failure is not None:
                raise copy.copy(lease.failure) from None
            found = missing(error, self.path)
            lease.failure = copy.copy(found)
            raise found from None
        except Exception as error:
            lease.failure = copy.copy(error)  # without the traceback, whose frames would keep the lease
            if lease.is_alone or not isinstance(error, OSError) or error.errno in _PERMANENT:
                lease.remove()
            raise


def missing(error: FileNotFoundError, temp: str) -> FileNotFoundError:
    """Return the error for a temporary file that was removed, or whose folder this host does not see."""
    folder = os.path.dirname(temp)  # noqa: PTH120 -- a str
    text = f"{error.strerror} on host {platform.node()}; every worker must see the folder under this path"
    if os.path.isdir(folder):  # noqa: PTH112 -- a str
        text = "the temporary file was removed while it was written; run the computation again"
    return FileNotFoundError(error.errno, text, temp)


def create(
    path: str | os.PathLike[str], shape: tuple[int, ...], dtype: DTypeLike, *, overwrite: bool = False, **options: Any
) -> str:
    """Make a file of the right size, whose pixels `write_region` writes from any number of processes.

    Until `finalize` is called, its header marks it as unfinished, and readers refuse it.

    Parameters
    ----------
    path : str or path
        The file.
    shape : tuple of int
        Shape of the array.
    dtype : dtype_like
        Type of its values.
    overwrite : bool
        Whether an existing file may be replaced.
    **options
        `kind`, `mode`, `byteorder`, `voxel_size`, `header`, `extended`, `exttyp`, `sync`, as for `Writer`.

    Returns
    -------
    str
        Absolute path.

    Raises
    ------
    MrcValueError
        When the suffix is that of a compressed file, or the format cannot store such an array.
    FileExistsError
        When the file exists and `overwrite` is false.

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
        text = "compressed files cannot be written region by region"
        raise MrcValueError(f"{printable(name)}: {text}; write the whole array with to_mrc, or choose another suffix")
    sync = options.pop("sync", True)
    plan = draft(tuple(shape), dtype, **options)
    head = unfinished(plan.header).replace(rms=-1.0 - secrets.randbelow(_NUMBERS)).raw
    with FileWriter(path, head=head + plan.extended, size=plan.layout.stop, overwrite=overwrite, sync=sync) as file:
        file.commit(head)
    return file.path


def file_number(header: Header) -> int:
    """Return the number that `create` stored in the unknown rms (word 55) of an unfinished file; 0 if finished."""
    return 0 if finished(header) is header else int(-header.rms)


def existing(path: str | os.PathLike[str], kind: str = "auto") -> tuple[str, Header, Layout]:
    """Return the absolute path, header and layout of an uncompressed file, finished or not, to write regions to.

    Parameters
    ----------
    path : str or path
        The file.
    kind : str
        Kind of the data, where the header should not decide.
    """
    from mrcarray.storage.local import LocalSource

    source = LocalSource.open(atomic.real_target(path))
    raw = bytes(source.read(0, HEADER_NBYTES))
    codec = detect(raw)
    if codec is not None:
        text = f"the file is compressed with {codec.name}, and compressed files cannot be changed in place"
        raise MrcValueError(f"{printable(source.path)}: {text}; write the whole array with to_mrc")
    if len(raw) < HEADER_NBYTES:
        raise TruncatedError("the file ends within its header", source.path)
    header, issues = Header.parse(raw, source.size())
    plain = finished(header)
    found = interpret_file(plain, source.size(), source.read, name=source.path, kind=kind)
    wrong = [one for one in (*issues, *found.issues) if one.is_error]
    if wrong:
        raise MrcFormatError(printable(str(wrong[0])), source.path, wrong)
    if found.layout is None:
        raise MrcValueError(f"{printable(source.path)}: the file contains no data block")
    return source.path, header, found.layout


def write_region(path: str | os.PathLike[str], region: Any, values: Any, *, kind: str = "auto") -> Part:
    """Write part of an existing file in place.

    The header of a finished file then declares its statistics undetermined, until `finalize` is called.

    Parameters
    ----------
    path : str or path
        The file, made by `create` or any other uncompressed MRC file.
    region : int, slice or tuple of them
        Which pixels; slices have step 1.
    values : array_like
        Numbers that broadcast to the region.
    kind : str
        Kind of the data, where the header should not decide; as for `open_array`.

    Returns
    -------
    Part
        The region and its statistics, for `finalize`.

    Raises
    ------
    MrcValueError
        When the region or the values do not fit.
    """
    absolute, header, layout = existing(path, kind)
    box_and_values(layout.shape, region, values)  # raises before the header is changed
    mark_changed(absolute, header, layout)
    return Region(absolute, layout, file_number(header)).write(region, values)


def mark_changed(path: str, header: Header, layout: Layout) -> None:
    """Declare the statistics of a finished file undetermined, before its pixels are changed.

    Parameters
    ----------
    path, header, layout
        What `existing` returned.
    """
    if finished(header) is header:
        patch_bytes(path, header.raw, header.replace(**undetermined(header.imod, layout.pixel)).raw, sync=False)


def finalize(
    path: str | os.PathLike[str], stats: Iterable[Stats] | None = None, *, sync: bool = True, kind: str = "auto"
) -> Stats:
    """Write the statistics of a complete file, and mark it finished.

    Parameters
    ----------
    path : str or path
        The file.
    stats : iterable of Part, optional
        What every `write_region` returned; the regions must cover the file once. Without it, the file is read.
    sync : bool
        Whether the file is on the disk when the function returns.
    kind : str
        Kind of the data, where the header should not decide; as for `open_array`.

    Returns
    -------
    Stats

    Raises
    ------
    MrcValueError
        When a part has no region, two regions overlap, or the regions leave a gap.
    ConflictError
        When a part was written to an earlier file of this name, or another program changes the header.
    """
    absolute, header, layout = existing(path, kind)
    if stats is None:
        found = stats_of_file(absolute, layout)
    else:
        parts = list(stats)
        _check_parts(parts, layout, file_number(header), absolute)
        found = Stats.merged(parts)
    found.warn(absolute)
    done = finished(header).replace(**found.to_header_fields())
    patch_bytes(absolute, header.raw, done.raw, sync=sync, sync_before=sync)
    return found


def _check_parts(parts: Sequence[Stats], layout: Layout, number: int, path: str) -> None:
    """Raise unless every pixel of the file is in exactly one part that was written to this file."""
    advice = "omit them to have the file read"
    found: list[regions.Box] = []
    for at, part in enumerate(parts):
        if not isinstance(part, Part) or len(part.region) != len(layout.shape):
            text = f"part {at} has no region of this file; pass what each write_region returned, or {advice}"
            raise MrcValueError(f"{printable(path)}: {text}")
        if number and part.file not in (0, number):
            text = f"part {at} ({regions.text(part.region)}) was written to an earlier file of this name"
            raise ConflictError(f"{printable(path)}: {text}; write it again")
        found.append(part.region)
    if regions.tile(found, layout.shape):
        return
    twice = regions.overlap(found)
    if twice is not None:
        one, other = twice
        text = f"parts {one} {regions.text(found[one])} and {other} {regions.text(found[other])} overlap"
        raise MrcValueError(f"{printable(path)}: {text}; pass each region once, or {advice}")
    hole = regions.gap(found, layout.shape)
    if hole is not None:
        text = f"no part covers {regions.text(hole)} of shape {layout.shape}"
        raise MrcValueError(f"{printable(path)}: {text}; write it and pass its part, or {advice}")
