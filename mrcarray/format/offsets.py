"""Where the data start, when header and size of the file are compared."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.modes import Packing

if TYPE_CHECKING:
    from mrcarray.format.layout import Layout

__all__ = ["Extent", "locate"]

_LARGEST = 2**63 - 1


class Extent(NamedTuple):
    """Where the data lie.

    Parameters
    ----------
    offset : int or None
        First byte; None when it cannot be told.
    sections : int or None
        Whole sections present; None when they all are.
    extended_stop : int
        Byte after the extended header.
    issues : tuple of Issue
        What was found.
    """

    offset: int | None
    sections: int | None
    extended_stop: int
    issues: tuple[Issue, ...] = ()


def locate(layout: Layout, nsymbt: int, file_size: int | None) -> Extent:
    """Compare the hypotheses about the data offset with the size of the file.

    Parameters
    ----------
    layout : Layout
        The data as the header declares them; its offset is ignored.
    nsymbt : int
        Declared length of the extended header.
    file_size : int or None
        Size of the file; None when it is unknown.
    """
    size = layout.nbytes
    if nsymbt < 0:
        return _negative(layout, nsymbt, file_size)
    offset = HEADER_NBYTES + nsymbt
    if offset + size > _LARGEST:
        return _too_large(layout, offset)
    if file_size is None or file_size >= offset + size:
        extra = 0 if file_size is None else file_size - offset - size
        return Extent(offset, None, offset, (_trailing(extra, offset + size),) if extra else ())
    return _too_short(layout, nsymbt, file_size)


def _too_short(layout: Layout, nsymbt: int, file_size: int) -> Extent:
    """Try the hypotheses under which a file that seems too short is whole."""
    if nsymbt and file_size == HEADER_NBYTES + layout.nbytes:
        return _stale(nsymbt)
    offset = HEADER_NBYTES + nsymbt
    if _continuous(layout) == file_size - offset:
        return Extent(None, None, offset, (_CONTINUOUS,))
    return _truncated(layout, offset, file_size)


def _negative(layout: Layout, nsymbt: int, file_size: int | None) -> Extent:
    text = f"word 24 (nsymbt) is {nsymbt}; expected the length of the extended header, 0 or more"
    issue = Issue("MRC124", Severity.ERROR, text, 24, str(nsymbt), ">= 0")
    fits = file_size == HEADER_NBYTES + layout.nbytes
    return Extent(HEADER_NBYTES if fits else None, None, HEADER_NBYTES, (issue,))


def _too_large(layout: Layout, offset: int) -> Extent:
    text = f"words 1-3 (nx, ny, nz) ask for {layout.nbytes} bytes of data; no file can hold them"
    return Extent(None, None, offset, (Issue("MRC204", Severity.ERROR, text, 1, str(layout.nbytes), "< 2**63"),))


def _trailing(count: int, stop: int) -> Issue:
    text = f"the file is {count} bytes larger than its header says; the data end at byte {stop}"
    return Issue("MRC202", Severity.WARNING, text, None, str(count), "0")


def _stale(nsymbt: int) -> Extent:
    text = (
        f"word 24 (nsymbt) is {nsymbt}, but the size of the file leaves no room for an extended header; "
        f"data read from byte {HEADER_NBYTES}"
    )
    issue = Issue("MRC203", Severity.WARNING, text, 24, str(nsymbt), "0")
    return Extent(HEADER_NBYTES, None, HEADER_NBYTES, (issue,))


_CONTINUOUS = Issue(
    "MRC206",
    Severity.ERROR,
    "word 4 (mode) is 101 and the rows are not padded to whole bytes, which cannot be read; expected rows of "
    "(nx + 1) // 2 bytes",
    4,
    "101",
)


def _continuous(layout: Layout) -> int:
    """Return the bytes of 4-bit sections written without padding, -1 when that is no question."""
    if layout.pixel.packing is not Packing.NIBBLE or layout.columns % 2 == 0:
        return -1
    return (math.prod(layout.grid[-2:]) + 1) // 2 * math.prod(layout.grid[:-2])


def _truncated(layout: Layout, offset: int, file_size: int) -> Extent:
    present = max(0, file_size - offset)
    declared = math.prod(layout.grid[:-2])
    sections = min(declared, present // max(1, layout.section_nbytes))
    text = (
        f"the file has {file_size} bytes, but header, extended header and data need {offset + layout.nbytes}; "
        f"{sections} of {declared} sections are whole"
    )
    issue = Issue("MRC201", Severity.ERROR, text, 3, str(file_size), str(offset + layout.nbytes))
    return Extent(offset, sections, offset, (issue,))
