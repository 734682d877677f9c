"""`ProcessCache`: the one bounded cache of the package, per process, safe for threads and forks."""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["ProcessCache"]

V = TypeVar("V")


class ProcessCache(Generic[V]):
    """Values by key; the least recently used ones are dropped when there are too many or they weigh too much.

    A forked child starts with an empty cache: a thread that holds the lock in the parent does not exist in the child.

    Parameters
    ----------
    max_items : int
        Values to keep.
    max_bytes : tuple of int
        Largest totals to keep, one for each number that `weigh` returns.
    weigh : callable, optional
        Returns the size of a value, such as bytes of memory and bytes on disk. A value is weighed when it is stored;
        store it again after it has grown.

    Examples
    --------
    >>> cache = ProcessCache(max_items=10, max_bytes=(5,), weigh=lambda text: (len(text),))
    >>> cache["a"], cache["b"] = "four", "two"
    >>> cache.get("a"), cache.get("b")
    (None, 'two')
    """

    def __init__(
        self,
        max_items: int,
        max_bytes: tuple[int, ...] = (),
        weigh: Callable[[V], tuple[int, ...]] = lambda _: (),
    ) -> None:
        self.max_items = max_items
        self.max_bytes = max_bytes
        self._weigh = weigh
        self.renew()
        _caches.add(self)

    def clear(self) -> None:
        """Drop all values."""
        with self._lock:
            self._values.clear()
            self.totals = [0] * len(self.max_bytes)

    def renew(self) -> None:
        """Start empty, with a new lock."""
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, tuple[V, tuple[int, ...]]] = OrderedDict()
        self.totals = [0] * len(self.max_bytes)

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable) -> V | None:
        """Return the value of `key`, None where there is none."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def get_or_make(self, key: Hashable, make: Callable[[], V]) -> V:
        """Return the value of `key`; where there is none, store what `make` returns, unless a thread was faster."""
        found = self.get(key)
        if found is not None:
            return found
        made = make()
        with self._lock:
            known = self._values.get(key)
            if known is not None:
                return known[0]
            self._store(key, made)
        return made

    def __setitem__(self, key: Hashable, value: V) -> None:
        with self._lock:
            self._store(key, value)

    def _store(self, key: Hashable, value: V) -> None:
        """Store a value as the last used one, and drop others while there is too much; the last one stays."""
        self._count(self._values.pop(key, None), -1)
        self._values[key] = entry = value, self._weigh(value)
        self._count(entry, 1)
        while len(self._values) > 1 and self._too_much():
            self._count(self._values.popitem(last=False)[1], -1)

    def _count(self, entry: tuple[V, tuple[int, ...]] | None, sign: int) -> None:
        if entry is not None:
            self.totals = [total + sign * part for total, part in zip(self.totals, entry[1], strict=True)]

    def _too_much(self) -> bool:
        over = any(total > most for total, most in zip(self.totals, self.max_bytes, strict=True))
        return over or len(self._values) > self.max_items


_caches: weakref.WeakSet[ProcessCache[Any]] = weakref.WeakSet()


def _renew_all() -> None:
    for cache in _caches:
        cache.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
