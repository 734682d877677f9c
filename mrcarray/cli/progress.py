"""A bar that shows how much of some files has been looked at."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mrcarray.progress import progress_bar
from mrcarray.suffixes import unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Share", "bar"]


@contextmanager
def bar(paths: list[str], *, shown: bool) -> Iterator[Callable[[str], Share]]:
    """Show how much of the files has been looked at, and yield what gives each its share of the bar."""
    if not shown:
        yield lambda _: Share(0, 1, lambda _: None)
        return
    with progress_bar("validating", sum(map(_size, paths))) as whole:
        yield lambda path: Share(_size(path), _pixel_nbytes(path), whole.advance)


class Share:
    """The part of a progress bar that belongs to one file: its bytes on the disk, however large its pixels are.

    Parameters
    ----------
    size : int
        Of the part.
    whole : int
        Bytes of pixels that fill it.
    advance : callable
        Moves the bar.
    """

    def __init__(self, size: int, whole: int, advance: Callable[[float], object]) -> None:
        self._left, self._scale, self._advance = float(size), size / whole, advance

    def add(self, count: int) -> None:
        """Move the bar by some bytes of pixels; a second pass over them does not move it."""
        part = min(self._left, count * self._scale)
        self._left -= part
        self._advance(part)

    def end(self) -> None:
        """Fill what is left of the part: headers, or all of what could not be read."""
        self._advance(self._left)
        self._left = 0.0


def _size(path: str) -> int:
    """Return the bytes of a file on the disk; what is none, or far away, counts as one."""
    return max(1, os.path.getsize(path)) if os.path.isfile(path) else 1  # noqa: PTH113, PTH202 -- see common


def _pixel_nbytes(path: str) -> int:
    """Return the bytes of a file's pixels as they are counted, which in a compressed file are more than its own."""
    from mrcarray.analysis.header_report import describe

    try:
        layout = describe(path).layout if unpacked(path) != path else None
    except (OSError, ValueError):
        layout = None
    return max(1, layout.nbytes) if layout is not None else _size(path)
