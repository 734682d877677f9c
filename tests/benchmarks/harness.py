"""Measure several ways to do one job in turn, in one process, and report the ratios of their medians.

Absolute times do not carry over to another machine, and the speed of one machine varies. So the ways take turns, in
another order in each round, and the main result is how many times longer a way takes than ours.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FULL = os.environ.get("MRCARRAY_BENCH") == "1"
"""Whether to measure; otherwise the jobs are tiny and only their results are compared."""

_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def size(full: int, tiny: int, *, measuring: bool = FULL) -> int:
    """Return `full` when measuring, else `tiny`."""
    return full if measuring else tiny


@dataclass(frozen=True)
class Report:
    """Seconds that each way took in each round; ours is the first."""

    job: str
    seconds: Mapping[str, tuple[float, ...]]

    def median(self, way: str) -> float:
        """Return the median of the seconds that `way` took."""
        return statistics.median(self.seconds[way])

    def ratio(self, way: str) -> float:
        """Return how many times longer `way` takes than ours; we are faster above 1."""
        return self.median(way) / self.median(next(iter(self.seconds)))

    def __str__(self) -> str:
        """Return a table with one line per way."""
        width = max(len(self.job), *map(len, self.seconds)) + 2
        lines = [f"{self.job:<{width}}{'median':>12}  {'of ours':>8}"]
        lines += [f"{way:<{width}}{_human(self.median(way)):>12}  {self.ratio(way):>8.2f}" for way in self.seconds]
        return "\n".join(lines)


def _human(seconds: float) -> str:
    factor, unit = next((row for row in _UNITS if seconds >= row[0]), _UNITS[-1])
    return f"{seconds / factor:.1f} {unit}"


def compare(
    job: str,
    ways: Mapping[str, Callable[[], Any]],
    *,
    repeat: int = 9,
    inner: int = 1,
    prepare: Callable[[], None] | None = None,
    same: bool = True,
    measuring: bool = FULL,
) -> Report:
    """Measure `ways` in turn and print the table.

    Parameters
    ----------
    job : str
        Title of the table.
    ways : mapping of str to callable
        Each does the whole job and returns its result; ours first.
    repeat : int
        Rounds; two when not measuring.
    inner : int
        Calls in one measurement, for jobs that take microseconds.
    prepare : callable, optional
        Called before each measurement and before the first call, untimed; for example to drop a cache.
    same : bool
        Whether all results must be equal.
    measuring : bool
        Whether to measure; otherwise the numbers only show that all ways run.

    Returns
    -------
    Report
    """
    prepare = prepare or (lambda: None)
    results = {}
    for way, work in ways.items():
        prepare()
        results[way] = work()
    if same:
        _assert_same(results)
    del results
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    order = deque(ways)
    for _ in range(repeat if measuring else 2):
        for way in order:
            prepare()
            seconds[way].append(_measure(ways[way], inner, measuring=measuring))
        order.rotate(1)
    report = Report(job, {way: tuple(values) for way, values in seconds.items()})
    print(f"\n{report}")  # noqa: T201 -- the report is what a benchmark is for
    return report


def _measure(work: Callable[[], Any], inner: int, *, measuring: bool) -> float:
    if measuring:
        gc.collect()
    else:
        inner = 1
    gc.disable()
    try:
        start = time.perf_counter()
        for _ in range(inner):
            work()
        return (time.perf_counter() - start) / inner
    finally:
        gc.enable()


def _assert_same(results: Mapping[str, Any]) -> None:
    (first, expected), *others = results.items()
    for way, got in others:
        assert np.array_equal(np.asarray(got), np.asarray(expected)), f"{way} does not agree with {first}"


def drop_cache(path: str | os.PathLike[str]) -> None:
    """Ask the system to drop the cached pages of the file `path`, so that the next read is cold."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
