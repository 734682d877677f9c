"""MRC files compressed with gzip: `GzipMrcFile`."""

from __future__ import annotations

from typing import ClassVar

from mrcarray.classic.mrcfile import MrcFile

__all__ = ["GzipMrcFile"]


class GzipMrcFile(MrcFile):
    """An `MrcFile` compressed with gzip; it is used in the same way."""

    _compression: ClassVar[str] = "gzip"
