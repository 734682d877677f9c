"""Rules about the pixels, and about the statistics the header states.

A statistic may differ from ours by what another program's arithmetic explains: minimum and maximum by one rounding to
single precision, mean and rms by 1 % of themselves or (the mean) of the spread, which covers sums that were
accumulated in single precision and the sample deviation in place of that of the population.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mrcarray.format.issues import Severity
from mrcarray.format.modes import Packing
from mrcarray.validation.checks.model import Found

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mrcarray.validation.checks.model import Facts, Statistics

__all__ = [
    "constant_range",
    "infinite",
    "maximum",
    "mean",
    "mean_outside",
    "minimum",
    "not_a_number",
    "rms",
    "stated_numbers",
    "undetermined",
    "unsigned_bytes",
]

ROUNDING = 2.0**-22
"""Part of a value by which a minimum or maximum may differ: single precision, rounded twice."""

SPREAD = 0.01
"""Part of the mean or of the spread by which the mean and rms may differ."""


def _ordered(facts: Facts) -> Statistics | None:
    """Return the statistics of pixels that have an order and are all finite."""
    stats = facts.stats
    if stats is None or not stats.count or stats.nans or stats.infs or isinstance(stats.mean, complex):
        return None
    return stats


def _spread(stats: Statistics) -> float:
    """Return the rms, as that of the sample for few pixels."""
    return stats.rms * math.sqrt(stats.count / (stats.count - 1)) if stats.count > 1 else stats.rms


def _extreme(facts: Facts, word: int, name: str) -> Iterator[Found]:
    stats, h = _ordered(facts), facts.header
    if stats is None or not h.dmin < h.dmax:
        return
    stated, true = (h.dmin, stats.minimum) if name == "dmin" else (h.dmax, stats.maximum)
    if abs(stated - true) > ROUNDING * max(abs(true), abs(stated)):
        what = "minimum" if name == "dmin" else "maximum"
        yield Found(
            f"word {word} ({name}) is {stated:.7g}, but the {what} is {true:.7g}", f"{stated:.9g}", f"{true:.9g}"
        )


def minimum(facts: Facts) -> Iterator[Found]:
    """Word 20 is the minimum."""
    return _extreme(facts, 20, "dmin")


def maximum(facts: Facts) -> Iterator[Found]:
    """Word 21 is the maximum."""
    return _extreme(facts, 21, "dmax")


def mean(facts: Facts) -> Iterator[Found]:
    """Word 22 is the mean."""
    stats, h = _ordered(facts), facts.header
    if stats is None or not h.dmean > min(h.dmin, h.dmax):
        return
    true = float(stats.mean.real)
    if abs(h.dmean - true) > max(1e-8, SPREAD * abs(true), SPREAD * stats.rms):
        yield Found(f"word 22 (dmean) is {h.dmean:.7g}, but the mean is {true:.7g}", f"{h.dmean:.9g}", f"{true:.9g}")


def rms(facts: Facts) -> Iterator[Found]:
    """Word 55 is the deviation from the mean."""
    stats, stated = facts.stats, facts.header.rms
    if stats is None or not stats.count or stats.nans or stats.infs or not 0 <= stated < math.inf:
        return
    low, high = stats.rms, _spread(stats)
    if not low - SPREAD * low - 1e-8 <= stated <= high + SPREAD * high + 1e-8:
        text = f"word 55 (rms) is {stated:.7g}, but the deviation is {low:.7g}"
        blank = Severity.WARNING if stated == 0 else None  # old programs and some of today leave it so
        yield Found(text, f"{stated:.9g}", f"{low:.9g}", severity=blank)


def constant_range(facts: Facts) -> Iterator[Found]:
    """Words 20 and 21 are not equal when the pixels differ."""
    stats, h = _ordered(facts), facts.header
    if stats is not None and h.dmin == h.dmax and stats.minimum < stats.maximum:
        text = (
            f"words 20-21 (dmin, dmax) are both {h.dmin:g}, but the pixels span {stats.minimum:g} to {stats.maximum:g}"
        )
        yield Found(text, f"{h.dmin:g}", f"{stats.minimum:.9g} and {stats.maximum:.9g}")


def not_a_number(facts: Facts) -> Iterator[Found]:
    """No pixel is NaN."""
    if facts.stats is not None and facts.stats.nans:
        yield Found(f"{facts.stats.nans} pixels are not a number (NaN)", str(facts.stats.nans), "0")


def infinite(facts: Facts) -> Iterator[Found]:
    """No pixel is infinite."""
    if facts.stats is not None and facts.stats.infs:
        yield Found(f"{facts.stats.infs} pixels are infinite", str(facts.stats.infs), "0")


def stated_numbers(facts: Facts) -> Iterator[Found]:
    """Words 20-22 and 55 are finite numbers."""
    h = facts.header
    for word, name, value in ((20, "dmin", h.dmin), (21, "dmax", h.dmax), (22, "dmean", h.dmean), (55, "rms", h.rms)):
        if not math.isfinite(value):
            yield Found(f"word {word} ({name}) is {value:g}; expected a finite number", f"{value:g}", "finite", word)


def mean_outside(facts: Facts) -> Iterator[Found]:
    """Word 22 does not exceed word 21 where both are determined."""
    h = facts.header
    if h.dmin < h.dmax < h.dmean and h.dmean - h.dmax > ROUNDING * abs(h.dmax):
        text = f"word 22 (dmean) is {h.dmean:g}, above word 21 (dmax), {h.dmax:g}"
        yield Found(text, f"{h.dmean:g}", f"<= {h.dmax:g}")


def undetermined(facts: Facts) -> Iterator[Found]:
    """Words 20-22 and 55 state the statistics of a file that has data."""
    h = facts.header
    if h.dmax < h.dmin and h.dmean < min(h.dmin, h.dmax) and h.rms < 0 and h.nx > 0:
        yield Found("words 20-22 and 55: no statistics are stated")


def unsigned_bytes(facts: Facts) -> Iterator[Found]:
    """Bytes of mode 0 look signed: read so, the top of their histogram is not heavier than its middle.

    The test is that of the archives' deposition software: 128 classes of two values, fifths of the histogram.
    """
    layout, counts = facts.layout, facts.counts
    if layout is None or not counts or layout.pixel.mode != 0 or layout.pixel.packing is not Packing.PLAIN:
        return
    signed = counts[128:] + counts[:128]
    low = next(i for i, n in enumerate(signed) if n)
    high = 256 - next(i for i, n in enumerate(reversed(signed)) if n)
    fifth = (high - low) / 5
    if high - low < 128:  # noqa: PLR2004 -- bytes in the middle of their range may be both
        return
    last = sum(signed[round(low + 4 * fifth) : high])
    middle = sum(signed[round(low + 2 * fifth) : round(low + 3 * fifth)])
    if last > middle:
        text = "word 4 (mode) is 0, but the histogram is that of unsigned bytes, which mode 0 does not mean"
        yield Found(text, "unsigned", "signed")
