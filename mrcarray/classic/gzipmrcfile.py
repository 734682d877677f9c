"""MRC files compressed with gzip: `GzipMrcFile`."""

from __future__ import annotations

from typing import ClassVar

from mrcarray.classic.mrcfile import MrcFile

__all__ = ["GzipMrcFile"]


class GzipMrcFile(MrcFile):
    """An `MrcFile` compressed with gzip.

    Examples
    --------
    >>> from mrcarray.classic import new, open
    >>> new("example.mrc", compression="gzip").close()
    >>> with open("example.mrc") as mrc:
    ...     type(mrc).__name__
    'GzipMrcFile'
    """

    _compression: ClassVar[str] = "gzip"
