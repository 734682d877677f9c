"""MRC files compressed with bzip2: `Bzip2MrcFile`."""

from __future__ import annotations

from typing import ClassVar

from mrcarray.classic.mrcfile import MrcFile

__all__ = ["Bzip2MrcFile"]


class Bzip2MrcFile(MrcFile):
    """An `MrcFile` compressed with bzip2.

    Examples
    --------
    >>> from mrcarray.classic import new, open
    >>> new("example.mrc", compression="bzip2").close()
    >>> with open("example.mrc") as mrc:
    ...     type(mrc).__name__
    'Bzip2MrcFile'
    """

    _compression: ClassVar[str] = "bzip2"
