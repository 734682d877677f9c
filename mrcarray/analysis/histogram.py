"""Statistics, percentiles and a histogram of the pixels of a file, in one pass.

Pixels of 8 and 16 bits are counted by value, so their percentiles are exact. Other pixels are counted in 65,536 bins
over a range that is estimated from a sample, so their percentiles are exact to one bin.
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

__all__ = ["PERCENTILES", "Distribution", "stats"]

BINS = 1 << 16
"""Bins in which pixels of more than 16 bits are counted."""

SAMPLES = 64
"""Positions in the file from which the range of the bins is estimated."""

SAMPLE = 1 << 14
"""Pixels that are read at each of these positions."""

PERCENTILES = (1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0)
"""Percentiles that are shown by default."""

_BAR = 40
"""Characters of the longest bar of a histogram."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Distribution:
    """The distribution of the pixels of a file; shows itself as text.

    Parameters
    ----------
    stats : Stats
        Minimum, maximum, mean, rms, and the numbers of NaN and infinite pixels.
    edges : ndarray
        Edges of the bins; None for complex pixels, which have no order.
    counts : ndarray
        Number of pixels in each bin.
    exact : bool
        Whether each bin is one value.
    """

    stats: Stats
    edges: NDArray[np.float64] | None
    counts: NDArray[np.int64]
    exact: bool

    def percentile(self, percent: float) -> float:
        """Return the value below which `percent` of the finite pixels lie."""
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
        """Return the edges of equal bins between minimum and maximum, and the number of pixels in each bin."""
        if self.edges is None or not self.stats.count:
            return np.zeros(0), np.zeros(0, np.int64)
        low, high = self.stats.minimum, self.stats.maximum
        edges = np.linspace(low, high if high > low else low + 1, bins + 1)
        middles = self.edges[:-1] if self.exact else (self.edges[:-1] + self.edges[1:]) / 2
        counts, _ = np.histogram(np.clip(middles, low, edges[-1]), edges, weights=self.counts)
        return edges, counts.astype(np.int64)

    def to_dict(self, percentiles: Sequence[float] = PERCENTILES, bins: int = 20) -> dict[str, Any]:
        """Return plain values for JSON; NaN where no pixel is finite."""
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

    def to_text(self, percentiles: Sequence[float] = PERCENTILES, bins: int = 20) -> str:
        """Return statistics, percentiles and a histogram as lines of text."""
        found = self.to_dict(percentiles, bins)
        rows = {name: found[name] for name in ("count", "min", "max", "mean", "rms", "nan", "inf")}
        rows |= {f"{percent}%": value for percent, value in found["percentiles"].items()}
        lines = [
            f"{name:<6} {value:.7g}" if isinstance(value, float) else f"{name:<6} {value}"
            for name, value in rows.items()
        ]
        edges, counts = found["histogram"]["edges"], found["histogram"]["counts"]
        top = max(counts, default=0) or 1
        bars = (f"{low:>12.5g} {'#' * round(_BAR * n / top)} {n}" for low, n in zip(edges, counts, strict=False))
        return "\n".join((*lines, *bars))

    def __str__(self) -> str:
        return self.to_text()

    __repr__ = __str__


def stats(
    path: Any,
    *,
    kind: str = "auto",
    permissive: bool = False,
    threads: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> Distribution:
    """Compute statistics, percentiles and a histogram of all pixels of a file, in one pass and bounded memory.

    Parameters
    ----------
    path : str, path, bytes or readable binary object
        The file.
    kind : str
        As for `mrcarray.open_file`; it does not change the result.
    permissive : bool
        Whether to use the complete sections of a truncated file.
    threads : int, optional
        Number of threads; by default one per processor, at most 8.
    progress : callable, optional
        Called with the number of bytes of each block after it was read.

    Returns
    -------
    Distribution

    Raises
    ------
    MrcFormatError
        When the file is wrong, or its pixels cannot be located.

    Examples
    --------
    >>> import mrcarray
    >>> found = mrcarray.stats("tilts.mrcs")
    >>> found.stats.count, found.exact
    (1920, True)
    >>> print(found.to_text(percentiles=[50], bins=2))
    count  1920
    ...
    """
    from mrcarray.reader import open_file

    mrc = open_file(path, permissive=permissive, kind=kind)
    if mrc.array is None:
        raise MrcFormatError("the pixels cannot be located", mrc.path, mrc.issues)
    count, edges, exact = _counter(mrc.array)

    def visit(values: NDArray[Any]) -> tuple[Stats, NDArray[np.int64]]:
        part = Stats.of(values, threads=1)
        return part, count(values if part.count == values.size else values[np.isfinite(values)])

    def combine(one: Any, two: Any) -> Any:
        return one[0].merge(two[0]), one[1] + two[1]

    seen = scan(mrc.array.layout, mrc.source, visit, combine, threads=threads, progress=progress)
    total, counts = seen if seen is not None else (Stats(), np.zeros(0, np.int64))
    if edges is not None and not exact and total.count:
        edges[0], edges[-1] = min(edges[0], total.minimum), max(edges[-1], total.maximum)
    return Distribution(total, edges, counts, exact)


def _counter(array: MrcArray) -> tuple[Callable[[NDArray[Any]], Any], NDArray[np.float64] | None, bool]:
    """Return a function that counts the pixels of a block, the edges of its bins, and whether each is one value."""
    dtype = array.dtype
    if dtype.kind == "c":
        return (lambda _: np.zeros(0, np.int64)), None, False
    if dtype.kind in "iu" and dtype.itemsize <= 2:  # noqa: PLR2004 -- 65,536 values
        low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
        size = high - low + 1
        edges = np.arange(low, high + 2, dtype=np.float64)
        return (lambda values: np.bincount(values.reshape(-1).astype(np.int64) - low, minlength=size)), edges, True
    start, stop = _range(array)
    step = (stop - start) / (BINS - 2)
    edges = np.concatenate(([start], np.linspace(start, stop, BINS - 1), [stop]))

    def count(values: NDArray[Any]) -> Any:
        bins = np.clip((values.reshape(-1).astype(np.float64) - start) / step, -1, BINS - 2)
        return np.bincount(np.floor(bins).astype(np.int64) + 1, minlength=BINS)

    return count, edges, False


def _range(array: MrcArray) -> tuple[float, float]:
    """Return the range of a sample of the pixels, widened by a tenth on either side."""
    rows = int(np.prod(array.layout.grid[:-1]))
    every = max(1, -(-rows // max(1, min(rows, SAMPLES * max(1, SAMPLE // max(1, array.layout.columns))))))
    picked = np.unique(np.linspace(0, rows - 1, num=max(1, min(rows // every, BLOCK // 8))).astype(np.int64))
    positions = np.unravel_index(picked, array.layout.grid[:-1])
    values = np.asarray(array.vindex[positions]).astype(np.float64) if rows else np.zeros(1)
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    margin = (high - low) / 10 or 1.0
    return low - margin, high + margin
