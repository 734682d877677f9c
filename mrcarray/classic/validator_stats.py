"""The statistics that the validator compares with the header; its rules are in `mrcarray.validation.checks.classic`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from mrcarray.statistics import Stats
from mrcarray.validation.checks import classic as checks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mrcarray.format.header import Header

__all__ = ["Measured", "Numbers", "findings", "report"]

#: Up to this many bytes, a printed result is computed again by NumPy: its last digits are those of mrcfile.
_SMALL = 64 << 20
_NAMES = ("minimum", "maximum", "mean", "rms")


@dataclass
class Measured:
    """Statistics of data that are too large to be in memory.

    Parameters
    ----------
    size, nbytes : int
        Number of values, and of their bytes in the file.
    stats : Stats
        Their statistics.
    low, high : number
        Minimum and maximum with infinite values, in the type of the data.
    """

    size: int = 0
    nbytes: int = 0
    stats: Stats = field(default_factory=Stats)
    low: Any = None
    high: Any = None

    @classmethod
    def of(cls, values: Any) -> Measured:
        """Return the statistics of an array."""
        return cls(values.size, values.nbytes, Stats.of(values), values.min(), values.max())

    def add(self, values: Any) -> None:
        """Add more values."""
        if not values.size:
            return
        more = Measured.of(values)
        self.size, self.nbytes = self.size + more.size, self.nbytes + more.nbytes
        self.stats = self.stats.merge(more.stats)
        self.low = more.low if self.low is None else min(self.low, more.low)
        self.high = more.high if self.high is None else max(self.high, more.high)


class Numbers:
    """The four statistics of data, computed when one of them is first used.

    Parameters
    ----------
    data : ndarray, Measured or None
        None for data that could not be read, whose statistics are 0.
    """

    def __init__(self, data: Any) -> None:
        self._data = data
        self._values: dict[str, Any] = {}

    def value(self, name: str) -> Any:
        """Return "minimum", "maximum", "mean" or "rms"."""
        if not self._values:
            self._values = self._compute()
        return self._values[name]

    def shown(self, name: str) -> Any:
        """Return the same with the digits that NumPy computes."""
        if name in ("mean", "rms") and isinstance(self._data, np.ndarray) and 0 < self._data.nbytes <= _SMALL:
            with np.errstate(all="ignore"):
                real = self._data.real if self._data.dtype.kind == "c" else self._data
                return self._data.std() if name == "rms" else real.mean(dtype=np.float64)
        return self.value(name)

    def _compute(self) -> dict[str, Any]:
        if self._data is None or self._data.size == 0:
            return dict.fromkeys(_NAMES, 0)
        measured = self._data if isinstance(self._data, Measured) else Measured.of(self._data)
        stats = measured.stats
        if stats.nans:
            return dict.fromkeys(_NAMES, math.nan)
        low, high, mean, rms = measured.low, measured.high, stats.mean.real, stats.rms
        if stats.infs:
            mean, rms = float((low + high).real), math.nan
        return {"minimum": low, "maximum": high, "mean": _in_range(mean), "rms": _in_range(rms)}


def _in_range(value: float) -> float:
    """Return the value; infinity when it exceeds a 32-bit float, as in the header."""
    return value if abs(value) <= float(np.finfo(np.float32).max) else math.copysign(math.inf, value)


def findings(header: Header, data: Any) -> list[str]:
    """Return one line for each problem of a header and its data, an array or `Measured`."""
    numbers = Numbers(data)
    facts = checks.ClassicFacts(
        header, modes=checks.PLAIN_MODES, value=numbers.value, shown=numbers.shown, single=np.float32
    )
    return list(checks.findings(facts))


def report(lines: Iterable[str], print_file: IO[str] | None) -> bool:
    """Print the lines; return whether there are none."""
    valid = True
    for line in lines:
        print(line, file=print_file)
        valid = False
    return valid
