"""The four statistics of a classic header: computed by `mrcarray.stats`, in the conventions of the original library."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mrcarray.stats import Stats

__all__ = ["STATISTICS", "set_statistics", "statistics_bytes"]

#: Statistics of the header, in the order of their bytes.
STATISTICS = ("dmin", "dmax", "dmean", "rms")


def set_statistics(header: Any, data: Any) -> list[str]:
    """Set the statistics of non-empty data in a header; return what is worth a warning.

    Complex data have no minimum, maximum and mean in a header; only their rms is set.
    """
    stats = Stats.of(data)
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
