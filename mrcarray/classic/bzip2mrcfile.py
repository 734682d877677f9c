"""MRC files compressed with bzip2: `Bzip2MrcFile`."""

from __future__ import annotations

from typing import ClassVar

from mrcarray.classic.mrcfile import MrcFile

__all__ = ["Bzip2MrcFile"]


class Bzip2MrcFile(MrcFile):
    """An `MrcFile` compressed with bzip2; it is used in the same way."""

    _compression: ClassVar[str] = "bzip2"
