"""Passes over compressed files, left where a read has ended, for the next read to go on from.

Who reads section after section would else decode for each what lies between it and the point before it: of a bzip2 file
nearly each block twice. A few passes are kept for the whole process, whatever files they belong to.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mrcarray.storage.compression.decoder import Forward

__all__ = ["Parked", "parked"]

MOST = 8
"""Passes that are kept. One over a bzip2 file holds up to 8 MB, any other one little more than a piece of its input."""


class Parked:
    """Passes with their owners; one is given to one reader only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[tuple[weakref.ref[object], Forward]] = []

    def put(self, owner: object, stream: Forward) -> None:
        """Keep a pass, unless there is nothing more in it."""
        if stream.stopped:
            stream.close()
            return
        with self._lock:
            self._all.append((weakref.ref(owner), stream))
            alive = [one for one in self._all if one[0]() is not None]
            dropped, self._all = alive[:-MOST], alive[-MOST:]
        for _, old in dropped:
            old.close()

    def take(self, owner: object, low: int, high: int) -> Forward | None:
        """Return the owner's pass that stands furthest from byte `low` to `high`, if there is one."""
        with self._lock:
            mine = [one for one in self._all if one[0]() is owner and low <= one[1].position <= high]
            if not mine:
                return None
            found = max(mine, key=lambda one: one[1].position)
            self._all = [one for one in self._all if one is not found]
        return found[1]

    def clear(self) -> None:
        """Drop all. A forked child does, too: it lacks the threads that work for them, and the lock may be held."""
        self._lock = threading.Lock()
        self._all = []


parked = Parked()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=parked.clear)
