"""Rules about the pixels, and about the statistics in the header.

A statistic may differ from ours by what another program's arithmetic explains: minimum and maximum by one rounding to
single precision; mean and rms by 1 % of themselves or (the mean) of the rms, which covers sums accumulated in single
precision and the standard deviation of the sample instead of the population.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mrcarray.format.issues import Severity
from mrcarray.format.modes import Packing
from mrcarray.validation.checks.model import Found

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mrcarray.validation.checks.model import CheckFacts, Statistics

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
"""Relative difference allowed for minimum and maximum: two roundings to single precision."""

SPREAD = 0.01
"""Relative difference allowed for mean and rms."""


def _ordered(facts: CheckFacts) -> Statistics | None:
    """Return the statistics of real pixels that are all finite, else None."""
    stats = facts.stats
    if stats is None or not stats.count or stats.nans or stats.infs or isinstance(stats.mean, complex):
        return None
    return stats


def _extreme(facts: CheckFacts, word: int, name: str) -> Iterator[Found]:
    stats, h = _ordered(facts), facts.header
    if stats is None or not h.dmin < h.dmax:
        return
    stated, true = (h.dmin, stats.minimum) if name == "dmin" else (h.dmax, stats.maximum)
    if abs(stated - true) > ROUNDING * max(abs(true), abs(stated)):
        what = "minimum" if name == "dmin" else "maximum"
        text = f"word {word} ({name}) is {stated:.7g}, but the {what} of the pixels is {true:.7g}"
        yield Found(text, f"{stated:.9g}", f"{true:.9g}")


def minimum(facts: CheckFacts) -> Iterator[Found]:
    """Word 20 is the minimum."""
    return _extreme(facts, 20, "dmin")


def maximum(facts: CheckFacts) -> Iterator[Found]:
    """Word 21 is the maximum."""
    return _extreme(facts, 21, "dmax")


def mean(facts: CheckFacts) -> Iterator[Found]:
    """Word 22 is the mean."""
    stats, h = _ordered(facts), facts.header
    if stats is None or not h.dmean > min(h.dmin, h.dmax):
        return
    true = float(stats.mean.real)
    if abs(h.dmean - true) > max(1e-8, SPREAD * abs(true), SPREAD * stats.rms):
        text = f"word 22 (dmean) is {h.dmean:.7g}, but the mean of the pixels is {true:.7g}"
        yield Found(text, f"{h.dmean:.9g}", f"{true:.9g}")


def rms(facts: CheckFacts) -> Iterator[Found]:
    """Word 55 is the standard deviation."""
    stats, stated = facts.stats, facts.header.rms
    if stats is None or not stats.count or stats.nans or stats.infs or not 0 <= stated < math.inf:
        return
    low = stats.rms
    high = low * math.sqrt(stats.count / (stats.count - 1)) if stats.count > 1 else low  # the deviation of the sample
    if not low - SPREAD * low - 1e-8 <= stated <= high + SPREAD * high + 1e-8:
        text = f"word 55 (rms) is {stated:.7g}, but the standard deviation of the pixels is {low:.7g}"
        blank = Severity.WARNING if stated == 0 else None  # old programs, and some current ones, never set it
        yield Found(text, f"{stated:.9g}", f"{low:.9g}", severity=blank)


def constant_range(facts: CheckFacts) -> Iterator[Found]:
    """Words 20 and 21 are not equal when the pixels differ."""
    stats, h = _ordered(facts), facts.header
    if stats is not None and h.dmin == h.dmax and stats.minimum < stats.maximum:
        text = (
            f"words 20-21 (dmin, dmax) are both {h.dmin:g}, but the pixels span {stats.minimum:g} to {stats.maximum:g}"
        )
        yield Found(text, f"{h.dmin:g}", f"{stats.minimum:.9g} and {stats.maximum:.9g}")


def not_a_number(facts: CheckFacts) -> Iterator[Found]:
    """No pixel is NaN."""
    if facts.stats is not None and facts.stats.nans:
        yield Found(f"{facts.stats.nans} pixels are NaN; expected numbers", str(facts.stats.nans), "0")


def infinite(facts: CheckFacts) -> Iterator[Found]:
    """No pixel is infinite."""
    if facts.stats is not None and facts.stats.infs:
        yield Found(f"{facts.stats.infs} pixels are infinite; expected finite numbers", str(facts.stats.infs), "0")


def stated_numbers(facts: CheckFacts) -> Iterator[Found]:
    """Words 20-22 and 55 are finite numbers."""
    h = facts.header
    for word, name, value in ((20, "dmin", h.dmin), (21, "dmax", h.dmax), (22, "dmean", h.dmean), (55, "rms", h.rms)):
        if not math.isfinite(value):
            yield Found(f"word {word} ({name}) is {value:g}; expected a finite number", f"{value:g}", "finite", word)


def mean_outside(facts: CheckFacts) -> Iterator[Found]:
    """Word 22 does not exceed word 21 where both are determined."""
    h = facts.header
    if h.dmin < h.dmax < h.dmean and h.dmean - h.dmax > ROUNDING * abs(h.dmax):
        text = f"word 22 (dmean) is {h.dmean:g}; expected at most word 21 (dmax), {h.dmax:g}"
        yield Found(text, f"{h.dmean:g}", f"<= {h.dmax:g}")


def undetermined(facts: CheckFacts) -> Iterator[Found]:
    """Words 20-22 and 55 give statistics in a file with data."""
    h = facts.header
    if h.dmax < h.dmin and h.dmean < min(h.dmin, h.dmax) and h.rms < 0 and h.nx > 0:
        yield Found("words 20-22 and 55 (dmin, dmax, dmean, rms) are marked as not computed")


def unsigned_bytes(facts: CheckFacts) -> Iterator[Found]:
    """Bytes of mode 0 look signed: the last fifth of their histogram has no more pixels than the middle fifth.

    The test is the one of EMDB's deposition software.
    """
    layout, counts = facts.layout, facts.counts
    if layout is None or not counts or layout.pixel.mode != 0 or layout.pixel.packing is not Packing.PLAIN:
        return
    signed = counts[128:] + counts[:128]
    low = next(i for i, n in enumerate(signed) if n)
    high = 256 - next(i for i, n in enumerate(reversed(signed)) if n)
    fifth = (high - low) / 5
    if high - low < 128:  # noqa: PLR2004 -- bytes of half the range look the same with either sign
        return
    last = sum(signed[round(low + 4 * fifth) : high])
    middle = sum(signed[round(low + 2 * fifth) : round(low + 3 * fifth)])
    if last > middle:
        text = "word 4 (mode) is 0, which means signed bytes, but the histogram is one of unsigned bytes"
        yield Found(text, "unsigned", "signed")
