"""The four statistics of a classic header, computed by `mrcarray.statistics` in the conventions of mrcfile."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mrcarray.statistics import Stats

__all__ = ["STATISTICS", "Counted", "set_statistics", "statistics_bytes"]

#: Statistics of the header, in the order of their bytes.
STATISTICS = ("dmin", "dmax", "dmean", "rms")


def set_statistics(header: Any, data: Any, stats: Stats | None = None) -> list[str]:
    """Set the statistics of non-empty data in a header; return what is worth a warning.

    Complex data have no minimum, maximum and mean in a header; only their rms is set.

    Parameters
    ----------
    header : recarray, 0-d
        The header.
    data : ndarray
        The data.
    stats : Stats, optional
        Their statistics, if they are known.
    """
    stats = Stats.of(data) if stats is None else stats
    values = {"rms": stats.rms}
    if data.dtype.kind != "c":
        values |= {"dmin": stats.minimum, "dmax": stats.maximum, "dmean": float(stats.mean.real)}
    if stats.infs:
        values |= _infinite(data)
    if stats.nans:
        values = dict.fromkeys(values, math.nan)
    with np.errstate(over="ignore"):
        for name, value in values.items():
            header[name] = np.float32(value)
    nans = ["Data array contains NaN values"] if stats.nans else []
    return nans + (["Data array contains infinite values"] if stats.infs and not stats.nans else [])


def statistics_bytes(header: Any) -> bytes:
    """Return the bytes of the four statistics of a header."""
    return b"".join(header[name].astype("<f4").tobytes() for name in STATISTICS)


def _infinite(data: Any) -> dict[str, float]:
    """Return the statistics of data with infinite values, as IEEE arithmetic gives them."""
    if data.dtype.kind == "c":
        return {"rms": math.nan}
    low, high = float(data.min()), float(data.max())
    return {"dmin": low, "dmax": high, "dmean": low + high if math.isinf(low + high) else math.nan, "rms": math.nan}


class Counted:
    """A block of bytes that is counted piece by piece while it is written.

    Parameters
    ----------
    raw : ndarray of uint8, 1-d
        The bytes.
    dtype : dtype or None
        What they are; None leaves them uncounted.
    """

    def __init__(self, raw: Any, dtype: np.dtype[Any] | None) -> None:
        self.raw = raw
        self._dtype = dtype
        self._found: dict[int, Stats] = {}

    def piece(self, start: int, stop: int) -> memoryview:
        """Return some of the bytes, and count the values in them; start and stop fall between values."""
        part = self.raw[start:stop]
        if self._dtype is not None:
            self._found[start] = Stats.of(part.view(self._dtype), threads=1)
        return memoryview(part)

    @property
    def stats(self) -> Stats | None:
        """What was counted, in the order of the bytes, or is counted now; None when nothing was to be."""
        if self._dtype is None:
            return None
        if not self._found:
            return Stats.of(self.raw.view(self._dtype))
        return Stats.merged(self._found[start] for start in sorted(self._found))
