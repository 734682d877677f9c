"""`ProcessCache`: bounded by number and weight, one value for a key, empty after a fork."""

from __future__ import annotations

import os

from mrcarray.storage.cache import ProcessCache
from mrcarray.storage.threads import each


def test_cache_drops_least_recently_used() -> None:
    cache: ProcessCache[str] = ProcessCache(2)
    cache["a"], cache["b"] = "1", "2"
    assert cache.get("a") == "1"
    cache["c"] = "3"
    assert [cache.get(key) for key in "abc"] == ["1", None, "3"]
    assert len(cache) == 2


def test_cache_is_bounded_by_each_weight_and_keeps_the_last_value() -> None:
    cache: ProcessCache[tuple[int, int]] = ProcessCache(9, (10, 3), lambda value: value)
    cache["a"], cache["b"] = (6, 1), (3, 1)
    cache["b"] = (5, 1)
    assert cache.totals == [5, 1]
    cache["c"], cache["d"] = (1, 1), (1, 1)
    assert len(cache) == 3
    cache["e"] = (99, 99)
    assert cache.get("e") == (99, 99)
    assert len(cache) == 1
    cache.clear()
    assert cache.totals == [0, 0]


def test_threads_get_the_same_value() -> None:
    cache: ProcessCache[list[int]] = ProcessCache(9)
    found: list[list[int]] = []
    each(lambda i: found.append(cache.get_or_make("key", lambda: [i])), range(50), 8)
    assert all(one is found[0] for one in found)


def test_forked_child_starts_empty() -> None:
    cache: ProcessCache[int] = ProcessCache(9)
    cache["a"] = 1
    with cache._lock:  # as if another thread held it
        child = os.fork()
        if child == 0:  # pragma: no cover -- another process
            os._exit(0 if cache.get("a") is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert cache.get("a") == 1
