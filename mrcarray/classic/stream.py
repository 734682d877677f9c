"""The stream on a file that subclasses and scripts may ask for: `Noting` says whether they wrote to it."""

from __future__ import annotations

import io
from typing import Any

__all__ = ["Noting", "open_plain"]


class Noting(io.BufferedRandom):
    """A stream for reading and writing that notes whether something was written.

    Parameters
    ----------
    path : str
        The file to open.
    name : str
        What it is called.
    """

    def __init__(self, path: str, name: str) -> None:
        raw = io.FileIO(path, "r+b")
        raw.name = name
        super().__init__(raw)
        self.written = False

    def write(self, data: Any, /) -> int:
        """Write some bytes."""
        self.written = True
        return super().write(data)

    def truncate(self, pos: int | None = None, /) -> int:
        """Cut the file, or lengthen it."""
        self.written = True
        return super().truncate(pos)


def open_plain(path: str, name: str, *, writable: bool) -> Any:
    """Return a stream on a file under the name the caller gave it."""
    if writable:
        return Noting(path, name)
    raw = io.FileIO(path, "rb")
    raw.name = name
    return io.BufferedReader(raw)
