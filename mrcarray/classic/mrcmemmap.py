"""MRC files whose data are mapped into memory: `MrcMemmap`.

Everything that changes the size of the file happens in a new file beside it, which takes its name when it is flushed.
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

    Parts of the data are read when they are looked at, and written when they are assigned to. That is the risk of it,
    too: edits reach the file at once and cannot be taken back, and when another program cuts the file short while it is
    mapped, the interpreter dies of it. Reading through `mrcarray.open_array` has neither risk.

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
        """Map the data block, or, in a new file, make room for one of this shape and map it."""
        self._storage.open(self, np.dtype(dtype), tuple(shape))
