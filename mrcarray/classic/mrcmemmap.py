"""MRC files whose data are mapped into memory: `MrcMemmap`.

A change of the file size is made in a new file, which takes the name when the object is flushed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mrcarray.classic.data_storage import Mapped
from mrcarray.classic.mrcfile import MrcFile

if TYPE_CHECKING:
    from mrcarray.classic.data_storage import DataStorage

__all__ = ["MrcMemmap"]


class MrcMemmap(MrcFile):
    """An `MrcFile` whose data are a `numpy.memmap`.

    Parts of the data are read when they are used, and written when they are assigned to. Two risks follow: edits reach
    the file at once and cannot be undone, and if another program truncates the file while it is mapped, access to it
    kills the interpreter (SIGBUS). Reading through `mrcarray.open_array` has neither risk.

    Examples
    --------
    >>> from mrcarray.classic import new_mmap
    >>> new_mmap("example.mrc", (5, 3, 4), mrc_mode=1).close()
    >>> with MrcMemmap("example.mrc", mode="r+") as mrc:
    ...     mrc.data[1] = 7
    ...     mrc.update_header_stats()
    >>> MrcMemmap("example.mrc").data[1, 0].tolist()
    [7, 7, 7, 7]
    """

    _storage_class: ClassVar[type[DataStorage]] = Mapped
    _storage: Mapped

    def _open_memmap(self, dtype: Any, shape: tuple[int, ...]) -> None:
        """Map the data block; in a new file, first give the file the size for data of this shape."""
        self._storage.open(self, np.dtype(dtype), tuple(shape))
