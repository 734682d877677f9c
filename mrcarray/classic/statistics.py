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
    if np.iscomplexobj(data):
        parts = [Stats.of(data.real), Stats.of(data.imag)]
        values = {"rms": math.sqrt(sum(part.m2 for part in parts) / data.size)}
    else:
        parts = [Stats.of(data)]
        values = _real(parts[0])
    nans, infs = any(part.nans for part in parts), any(part.infs for part in parts)
    if infs:
        values = _infinite(data, values)
    if nans:
        values = dict.fromkeys(values, math.nan)
    with np.errstate(over="ignore"):
        for name, value in values.items():
            header[name] = np.float32(value)
    texts = ["Data array contains NaN values"] if nans else []
    return texts + (["Data array contains infinite values"] if infs and not nans else [])


def statistics_bytes(header: Any) -> bytes:
    """Return the bytes of the four statistics of a header."""
    return b"".join(header[name].astype("<f4").tobytes() for name in STATISTICS)


def _real(stats: Stats) -> dict[str, float]:
    """Return the statistics of finite real data."""
    return {"dmin": stats.minimum, "dmax": stats.maximum, "dmean": stats.mean, "rms": stats.rms}


def _infinite(data: Any, values: dict[str, float]) -> dict[str, float]:
    """Return the statistics of data with infinite values, as IEEE arithmetic gives them."""
    if "dmin" not in values:
        return {"rms": math.nan}
    low, high = float(data.min()), float(data.max())
    return {"dmin": low, "dmax": high, "dmean": low + high if math.isinf(low + high) else math.nan, "rms": math.nan}
