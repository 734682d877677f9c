"""One progress bar for many files, each of which counts by its size on disk."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mrcarray.progress import is_shown, progress_bar
from mrcarray.urls import unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mrcarray.progress import Progress

__all__ = ["Share", "file_shares"]


@contextmanager
def file_shares(paths: list[str], text: str, *, shown: Progress) -> Iterator[Callable[[str], Share]]:
    """Show how much of the files has been read; yield a function that returns the share of a file.

    Parameters
    ----------
    paths : list of str
        The files.
    text : str
        What is going on.
    shown : bool or "auto"
        Whether to show the bar; ``"auto"`` on a terminal.
    """
    if not is_shown(shown):
        yield lambda _: Share(0, 1, lambda _: None)
        return
    with progress_bar(text, sum(map(_size, paths)), shown=shown) as bar:
        yield lambda path: Share(_size(path), _pixel_nbytes(path), bar.advance)


class Share:
    """The part of a progress bar that belongs to one file: its size on disk, whatever the size of its pixels.

    Parameters
    ----------
    size : int
        Size of the part.
    whole : int
        Bytes of pixels that fill it.
    advance : callable
        Moves the bar.
    """

    def __init__(self, size: int, whole: int, advance: Callable[[float], object]) -> None:
        self._left, self._scale, self._advance = float(size), size / whole, advance

    def add(self, count: int) -> None:
        """Move the bar by some bytes of pixels; a second pass over the pixels does not move it."""
        part = min(self._left, count * self._scale)
        self._left -= part
        self._advance(part)

    def end(self) -> None:
        """Fill the rest of the part, such as the headers, or a file that could not be read."""
        self._advance(self._left)
        self._left = 0.0


def _size(path: str) -> int:
    """Return the size of a file on disk; 1 for a remote file and for a name that is not a file."""
    return max(1, os.path.getsize(path)) if os.path.isfile(path) else 1  # noqa: PTH113, PTH202 -- names may be bytes that are not text


def _pixel_nbytes(path: str) -> int:
    """Return the bytes of pixels that will be counted, which are more than the size of a compressed file."""
    from mrcarray.analysis.header_report import header_report

    try:
        layout = header_report(path).layout if unpacked(path) != path else None
    except (OSError, ValueError):
        layout = None
    return max(1, layout.nbytes) if layout is not None else _size(path)
