"""Writing into files that exist: one file, filled from many places that do not know of each other.

`create` makes the file, `write_region` fills it, `finalize` adds up the statistics; until then, the header says that
the file is not finished. `write_region` changes a finished file as well.
"""

from __future__ import annotations

import dataclasses
import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrcarray.block_writer import box_and_values, open_sink, stats_of_file, store, warn_trouble
from mrcarray.errors import ConflictError, MrcFormatError, MrcValueError, TruncatedError, printable
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
from mrcarray.suffixes import COMPRESSED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import DTypeLike

    from mrcarray.format.layout import Layout

__all__ = ["Part", "Region", "create", "existing", "file_number", "finalize", "mark_changed", "write_region"]

_NUMBERS = 1 << 23
"""Files that `create` tells apart: the integers that float32 holds exactly, with a margin."""


@dataclass(frozen=True, slots=True)
class Part(Stats):
    """The statistics of a region that was written, for `finalize`.

    Parameters
    ----------
    region : tuple of (int, int)
        Start and stop along every axis of the file.
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


@dataclass(frozen=True, slots=True)
class Region:
    """Part of a file that exists, as something to assign to; it holds a path and no handle, so it travels anywhere.

    Parameters
    ----------
    path : str
        The file.
    layout : Layout
        Where its pixels lie.
    file : int
        Its number, as `file_number` gives it.
    """

    path: str
    layout: Layout
    file: int = 0

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

    def write(self, key: Any, values: Any, *, threads: bool = True) -> Part:
        """Write a region and return its statistics; to write the same again does no harm."""
        box, full = box_and_values(self.shape, key, values)

        def write_runs(starts: Sequence[int], length: int, data: Any) -> None:
            write_path(self.path, starts, length, data, size=self.layout.stop)

        return Part.at(store(write_runs, self.layout, box, full, threads=threads), box, self.file)


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
        sink.commit(unfinished(plan.header).replace(rms=-1.0 - secrets.randbelow(_NUMBERS)).raw)
    except BaseException:
        sink.abort()
        raise
    return os.path.realpath(os.fsdecode(path))


def file_number(header: Header) -> int:
    """Return the number that `create` gave to an unfinished file: its unknown rms (word 55); 0 for a finished file."""
    return 0 if finished(header) is header else int(-header.rms)


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


def write_region(path: str | os.PathLike[str], region: Any, values: Any, *, kind: str = "auto") -> Part:
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
    Part
        The region and its statistics, for `finalize`.

    Raises
    ------
    MrcValueError
        When the region or the values do not fit.
    """
    absolute, header, layout = existing(path, kind)
    box_and_values(layout.shape, region, values)  # what does not fit must not touch the file
    mark_changed(path, kind)
    return Region(absolute, layout, file_number(header)).write(region, values)


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
        patch_bytes(absolute, header.raw, header.replace(**undetermined(header, layout.pixel)).raw, sync=False)


def finalize(
    path: str | os.PathLike[str], stats: Iterable[Stats] | None = None, *, sync: bool = True, kind: str = "auto"
) -> Stats:
    """Write the statistics of a file that is complete, and mark it finished.

    Parameters
    ----------
    path : str or path
        The file.
    stats : iterable of Part, optional
        What every `write_region` returned, if the regions cover the file once; without it, the file is read.
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
        When a part has no region, two regions overlap, or the regions leave a gap.
    ConflictError
        When a part was written to an earlier file of this name.
    """
    absolute, header, layout = existing(path, kind)
    if stats is None:
        found = stats_of_file(absolute, layout)
    else:
        parts = list(stats)
        _check_parts(parts, layout, file_number(header), absolute)
        found = Stats.merged(parts)
    warn_trouble(found, absolute)
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
            text = (
                f"part {at} ({regions.text(part.region)}) was written to an earlier file of this name; write it again"
            )
            raise ConflictError(f"{printable(path)}: {text}")
        found.append(part.region)
    if regions.tile(found, layout.shape):
        return
    twice = regions.overlap(found)
    if twice is not None:
        one, other = twice
        text = f"parts {one} {regions.text(found[one])} and {other} {regions.text(found[other])} overlap"
        raise MrcValueError(f"{printable(path)}: {text}; pass each region once, or {advice}")
    missing = regions.gap(found, layout.shape)
    if missing is not None:
        text = f"no part covers {regions.text(missing)} of shape {layout.shape}"
        raise MrcValueError(f"{printable(path)}: {text}; write it and pass its part, or {advice}")
