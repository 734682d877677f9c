"""Streams on files for subclasses and scripts that use ``_iostream``."""

from __future__ import annotations

import bz2
import gzip
import io
from typing import Any

__all__ = ["TrackedStream", "open_stream"]


class TrackedStream(io.BufferedRandom):
    """A stream for reading and writing that records whether it was written to.

    Parameters
    ----------
    path : str
        The file to open.
    name : str
        The name that the caller gave it.
    """

    def __init__(self, path: str, name: str) -> None:
        super().__init__(_raw(path, name, "r+b"))
        self.written = False

    def write(self, data: Any, /) -> int:
        """Write bytes at the position."""
        self.written = True
        return super().write(data)

    def truncate(self, pos: int | None = None, /) -> int:
        """Set the size of the file."""
        self.written = True
        return super().truncate(pos)


def open_stream(path: str, name: str, compression: str, *, writable: bool) -> Any:
    """Return a stream on a file; only that of a plain file can be written to."""
    if compression:
        opener: Any = {"gzip": gzip.open, "bzip2": bz2.open}[compression]
        return opener(path, "rb")
    return TrackedStream(path, name) if writable else io.BufferedReader(_raw(path, name, "rb"))


def _raw(path: str, name: str, mode: str) -> io.FileIO:
    raw = io.FileIO(path, mode)
    raw.name = name
    return raw
