"""Tell a file that was only touched from one that another program changed.

The modification time of a file also changes without its content: by ``touch``, a backup or a synchronising folder. What
a session edited must not be lost by that. So the file counts as unchanged if it has the size and the headers that were
read and, when it is small, its data; a larger file must be the same inode.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mrcarray.storage.compression.sequential import SequentialSource
    from mrcarray.storage.local import LocalSource

__all__ = ["SMALL", "Content"]

SMALL = 1 << 20
"""Bytes of data that are kept to compare them; copying them takes 0.1 ms."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a session read of a file.

    Parameters
    ----------
    headers : bytes
        Header and extended header.
    data : bytes or None
        The data, where they are small and were read.
    """

    headers: bytes
    data: bytes | None

    def is_in(self, source: LocalSource | SequentialSource, *, same_file: bool) -> bool:
        """Return whether a file still holds this; one whose data are not known must be the `same_file`."""
        stop = len(self.headers)
        if bytes(source.read(0, stop)) != self.headers:
            return False
        if self.data is None:
            return same_file
        return bytes(source.read(stop, stop + len(self.data))) == self.data
