"""How the values of the pixels are distributed: statistics, percentiles and a histogram, in one pass.

Pixels of 8 and 16 bits are counted value by value, and their percentiles are exact. Others are counted in 65,536
classes, whose range comes from a sample; their percentiles are right to a class.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.analysis.blockwise import BLOCK, scan
from mrcarray.errors import MrcFormatError
from mrcarray.statistics import Stats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from mrcarray.array import MrcArray

__all__ = ["Distribution", "distribution"]

CLASSES = 1 << 16
SAMPLES = 64
"""Places in the file the range of the classes is taken from."""

SAMPLE = 1 << 14
"""Pixels at each of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """What one pass over the pixels tells.

    Parameters
    ----------
    stats : Stats
        Minimum, maximum, mean, rms, and how many pixels are NaN or infinite.
    edges : ndarray
        Edges of the classes; None for complex pixels, which have no order.
    counts : ndarray
        Pixels in each.
    exact : bool
        Whether each class is one value.
    """

    stats: Stats
    edges: NDArray[np.float64] | None
    counts: NDArray[np.int64]
    exact: bool

    def percentile(self, percent: float) -> float:
        """Return the value below which `percent` of the finite pixels lie.

        Examples
        --------
        >>> abs(distribution("tomo.mrc").percentile(50)) < 0.1
        True
        """
        if self.edges is None or not self.stats.count:
            return float("nan")
        total = np.cumsum(self.counts)
        rank = percent / 100 * (self.stats.count - 1)
        at = int(np.searchsorted(total, rank, side="right"))
        at = min(at, self.counts.size - 1)
        if self.exact:
            return float(self.edges[at])
        before = total[at] - self.counts[at]
        part = (rank + 0.5 - before) / max(1, int(self.counts[at]))
        value = self.edges[at] + min(1.0, max(0.0, part)) * (self.edges[at + 1] - self.edges[at])
        return float(min(max(value, self.stats.minimum), self.stats.maximum))

    def histogram(self, bins: int = 20) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the edges of some equal classes between minimum and maximum, and the pixels in each."""
        if self.edges is None or not self.stats.count:
            return np.zeros(0), np.zeros(0, np.int64)
        low, high = self.stats.minimum, self.stats.maximum
        edges = np.linspace(low, high if high > low else low + 1, bins + 1)
        middles = self.edges[:-1] if self.exact else (self.edges[:-1] + self.edges[1:]) / 2
        counts, _ = np.histogram(np.clip(middles, low, edges[-1]), edges, weights=self.counts)
        return edges, counts.astype(np.int64)

    def to_dict(self, percentiles: Sequence[float] = (1, 5, 25, 50, 75, 95, 99), bins: int = 20) -> dict[str, Any]:
        """Return plain values; what no finite pixel tells is NaN."""
        s = self.stats
        mean: Any = [s.mean.real, s.mean.imag] if isinstance(s.mean, complex) else s.mean
        low, high, rms = s.minimum, s.maximum, s.rms
        if not s.count:
            low = high = mean = rms = math.nan
        edges, counts = self.histogram(bins)
        return {
            "count": s.total,
            "min": low,
            "max": high,
            "mean": mean,
            "rms": rms,
            "nan": s.nans,
            "inf": s.infs,
            "percentiles": {f"{percent:g}": self.percentile(percent) for percent in percentiles},
            "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
        }


def distribution(
    path: Any,
    *,
    kind: str = "auto",
    permissive: bool = False,
    threads: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> Distribution:
    """Look at every pixel of a file once.

    Parameters
    ----------
    path : str, path, bytes or readable binary object
        The file.
    kind : str
        As for `mrcarray.open_file`; the pixels are the same whatever it is.
    permissive : bool
        Whether to take the whole sections of a file that is too short.
    threads : int, optional
        How many threads; by default one a processor.
    progress : callable, optional
        Called with the number of bytes of each block that is done.

    Returns
    -------
    Distribution

    Raises
    ------
    MrcFormatError
        When the file is wrong.

    Examples
    --------
    >>> found = distribution("tilts.mrcs")
    >>> found.stats.count, found.exact
    (1920, True)
    """
    from mrcarray.reader import open_file

    mrc = open_file(path, permissive=permissive, kind=kind)
    if mrc.array is None:
        raise MrcFormatError("the pixels cannot be located", mrc.path, mrc.issues)
    count, edges, exact = _classes(mrc.array)

    def visit(values: NDArray[Any]) -> tuple[Stats, NDArray[np.int64]]:
        stats = Stats.of(values, threads=1)
        return stats, count(values if stats.count == values.size else values[np.isfinite(values)])

    def combine(one: Any, two: Any) -> Any:
        return one[0].merge(two[0]), one[1] + two[1]

    seen = scan(mrc.array.layout, mrc.source, visit, combine, threads=threads, progress=progress)
    stats, counts = seen if seen is not None else (Stats(), np.zeros(0, np.int64))
    if edges is not None and not exact and stats.count:
        edges[0], edges[-1] = min(edges[0], stats.minimum), max(edges[-1], stats.maximum)
    return Distribution(stats, edges, counts, exact)


def _classes(array: MrcArray) -> tuple[Callable[[NDArray[Any]], Any], NDArray[np.float64] | None, bool]:
    """Return what counts the pixels of a block, the edges of its classes, and whether each is one value."""
    dtype = array.dtype
    if dtype.kind == "c":
        return (lambda _: np.zeros(0, np.int64)), None, False
    if dtype.kind in "iu" and dtype.itemsize <= 2:  # noqa: PLR2004 -- 65,536 values
        low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
        size = high - low + 1
        edges = np.arange(low, high + 2, dtype=np.float64)
        return (lambda values: np.bincount(values.reshape(-1).astype(np.int64) - low, minlength=size)), edges, True
    start, stop = _range(array)
    step = (stop - start) / (CLASSES - 2)
    edges = np.concatenate(([start], np.linspace(start, stop, CLASSES - 1), [stop]))

    def count(values: NDArray[Any]) -> Any:
        places = np.clip((values.reshape(-1).astype(np.float64) - start) / step, -1, CLASSES - 2)
        return np.bincount(np.floor(places).astype(np.int64) + 1, minlength=CLASSES)

    return count, edges, False


def _range(array: MrcArray) -> tuple[float, float]:
    """Return the range of a sample of the pixels, and a tenth more on either side."""
    rows = int(np.prod(array.layout.grid[:-1]))
    every = max(1, -(-rows // max(1, min(rows, SAMPLES * max(1, SAMPLE // max(1, array.layout.columns))))))
    picked = np.unique(np.linspace(0, rows - 1, num=max(1, min(rows // every, BLOCK // 8))).astype(np.int64))
    places = np.unravel_index(picked, array.layout.grid[:-1])
    values = np.asarray(array.vindex[places]).astype(np.float64) if rows else np.zeros(1)
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    margin = (high - low) / 10 or 1.0
    return low - margin, high + margin
