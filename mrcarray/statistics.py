"""Statistics of pixels: one pass, float64 accuracy, mergeable.

Pixels are summed in blocks that stay in the cache. Within a block, small integers and floats are shifted by an
approximate mean and summed in float32 over short rows; the sums of the rows are added in float64, and blocks are merged
by Chan's formula. That is faster than summing in float64, and the short sums lose no significant digits. Pixels whose
spread would leave the range of float32 are summed in float64.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.caller import warn
from mrcarray.errors import printable
from mrcarray.format.fields import UNDETERMINED
from mrcarray.storage.threads import ordered, processors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

__all__ = ["Stats"]

BLOCK = 1 << 19
"""Pixels in a block: 2 MiB of float32. Smaller blocks stay in faster caches, but threads wait for the interpreter."""

FEW = 1 << 13
"""Blocks of at most this many pixels are summed in float64, which costs nothing and gives NumPy's digits."""

ROW = 1 << 10
"""Pixels summed in float32 before their sum is added in float64."""

PARALLEL = 1 << 22
"""Pixels for which a second thread pays."""

SPREAD = (1e-12, 1e15)
"""Deviations from the approximate mean whose squares are in the range of float32."""

_ONES = {dtype: np.ones(ROW, dtype) for dtype in (np.dtype(np.float32), np.dtype(np.float64))}

_F32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class Stats:
    """Statistics of some pixels; two merge into the statistics of both sets of pixels.

    Parameters
    ----------
    count : int
        Number of finite pixels.
    minimum, maximum : float
        Of the finite pixels; ``inf`` and ``-inf`` when there are none, NaN for complex pixels, which have no order.
    mean : float or complex
        Mean of the finite pixels; 0 when there are none.
    m2 : float
        Sum of the squared deviations from the mean (of their absolute values for complex pixels).
    nans, infs : int
        Numbers of pixels that are NaN, and that are infinite.

    Examples
    --------
    >>> import numpy as np
    >>> whole = Stats.of(np.arange(10, dtype="i2"))
    >>> halves = Stats.of(np.arange(5)).merge(Stats.of(np.arange(5, 10)))
    >>> (whole.minimum, whole.maximum, whole.mean) == (halves.minimum, halves.maximum, halves.mean) == (0, 9, 4.5)
    True
    >>> round(whole.rms, 6)
    2.872281
    """

    count: int = 0
    minimum: float = math.inf
    maximum: float = -math.inf
    mean: complex | float = 0.0
    m2: float = 0.0
    nans: int = 0
    infs: int = 0

    @classmethod
    def of(cls, values: NDArray[Any], *, threads: int | None = None) -> Stats:
        """Return the statistics of an array of numbers or booleans, of any shape, order and byte order.

        Parameters
        ----------
        values : ndarray
            Pixels.
        threads : int, optional
            How many threads share the work; by default two for large arrays.

        Returns
        -------
        Stats
        """
        array = np.asarray(values)
        if array.dtype.kind == "c":
            return _of_complex(array)
        workers = threads or min(2, processors())
        return cls.merged(ordered(_of_flat, _pieces(array), workers if array.size >= PARALLEL else 1))

    @classmethod
    def merged(cls, parts: Iterable[Stats]) -> Stats:
        """Return the statistics of all parts together."""
        return reduce(cls.merge, parts, cls())

    def merge(self, other: Stats) -> Stats:
        """Return the statistics of both sets of pixels together (Chan, Golub and LeVeque)."""
        count = self.count + other.count
        nans, infs = self.nans + other.nans, self.infs + other.infs
        if not self.count or not other.count:
            one = self if self.count else other
            return Stats(count, one.minimum, one.maximum, one.mean, one.m2, nans, infs)
        delta = other.mean - self.mean
        mean = self.mean + delta * (other.count / count)
        m2 = self.m2 + other.m2 + _square(delta) * (self.count / count * other.count)
        low, high = min(self.minimum, other.minimum), max(self.maximum, other.maximum)
        return Stats(count, low, high, mean, m2, nans, infs)

    @property
    def total(self) -> int:
        """Number of pixels, finite or not."""
        return self.count + self.nans + self.infs

    @property
    def rms(self) -> float:
        """Root mean square deviation from the mean (MRC2014 word 55): the population standard deviation."""
        return math.sqrt(self.m2 / self.count) if self.count else 0.0

    @property
    def problem(self) -> str | None:
        """Why a header cannot store these statistics; None when it can."""
        if self.nans:
            return f"{self.nans} pixels are not a number"
        if self.infs:
            return f"{self.infs} pixels are infinite"
        ordered = () if isinstance(self.mean, complex) else (self.minimum, self.maximum, self.mean)
        if self.count and any(not abs(value) <= _F32_MAX for value in (*ordered, self.rms)):
            return "the values exceed the range of the header's 32-bit floats"
        return None

    def warn(self, path: str) -> None:
        """Warn when the header of the file `path` cannot store these statistics."""
        if self.problem is not None:
            warn(f"{printable(path)}: {self.problem}; the header declares its statistics undetermined")

    def to_header_fields(self) -> dict[str, float]:
        """Return dmin, dmax, dmean and rms for a header (MRC2014 words 20-22 and 55).

        Returns
        -------
        dict
            The markers for "undetermined" when there are no pixels or `problem` is not None; for complex pixels
            only rms is determined.
        """
        if not self.count or self.problem is not None:
            return dict(UNDETERMINED)
        if isinstance(self.mean, complex):
            return {**UNDETERMINED, "rms": self.rms}
        return {"dmin": float(self.minimum), "dmax": float(self.maximum), "dmean": float(self.mean), "rms": self.rms}


def _pieces(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield the pixels as flat arrays in memory order, copying at most one block at a time."""
    array = array.transpose(sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis])))
    if array.flags.c_contiguous or array.size <= BLOCK:
        flat = array.reshape(-1)
        for start in range(0, flat.size, PARALLEL):
            yield flat[start : start + PARALLEL]
        return
    step = max(1, BLOCK * len(array) // array.size)
    for start in range(0, len(array), step):
        part = array[start : start + step]
        yield from _pieces(part if step > 1 else part[0])


def _of_flat(flat: NDArray[Any]) -> Stats:
    """Return the statistics of a contiguous flat array, block by block."""
    blocks = [_of_block(flat[start : start + BLOCK]) for start in range(0, flat.size, BLOCK)]
    return _together(blocks)


def _together(blocks: list[Stats]) -> Stats:
    """Merge many blocks at once: the same formula as `Stats.merge`, with the sums taken exactly."""
    nans, infs = sum(block.nans for block in blocks), sum(block.infs for block in blocks)
    full = [block for block in blocks if block.count]
    if not full:
        return Stats(nans=nans, infs=infs)
    count = sum(block.count for block in full)
    mean = math.fsum(block.mean.real * (block.count / count) for block in full)
    m2 = math.fsum(block.m2 + block.count * _square(block.mean.real - mean) for block in full)
    low, high = min(block.minimum for block in full), max(block.maximum for block in full)
    return Stats(count, low, high, mean, m2, nans, infs)


def _of_block(block: NDArray[Any]) -> Stats:
    low, high = float(block.min()), float(block.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        return _of_finite(block)
    pilot = _pilot(block)
    spread = max(high - pilot, pilot - low)
    small = block.dtype.kind in "biu" and block.dtype.itemsize <= 2  # noqa: PLR2004 -- 16 bits are exact in float32
    single = block.dtype.kind == "f" and block.dtype.itemsize <= 4  # noqa: PLR2004 -- 32 bits
    harmless = spread == 0 or SPREAD[0] < spread < SPREAD[1]
    narrow = block.size > FEW and (small or single) and harmless
    total, squares = _sums(block, np.dtype(np.float32 if narrow else np.float64), pilot)
    shift = total / block.size
    return Stats(block.size, low, high, pilot + shift, max(0.0, squares - total * shift))


def _pilot(block: NDArray[Any]) -> float:
    """Return an approximate mean, as a float32 where it is in range."""
    mean = float(block[:: max(1, block.size >> 8)].mean(dtype=np.float64))
    if block.dtype.kind in "biu":
        return float(round(mean))  # differences of integers are exact
    return float(np.float32(mean)) if abs(mean) <= _F32_MAX else mean


def _square(delta: complex) -> float:
    """Return the squared absolute value; infinity on overflow, where Python's ``**`` would raise."""
    return delta.real * delta.real + delta.imag * delta.imag


def _sums(block: NDArray[Any], dtype: np.dtype[Any], pilot: float) -> tuple[float, float]:
    """Return the sum of the deviations from `pilot`, and of their squares.

    Both are dot products of rows: three times as fast as NumPy's sum along an axis, and too short for BLAS threads.
    """
    deviations = _scratch(dtype, block.size)
    with np.errstate(over="ignore"):
        if block.dtype == dtype:
            np.subtract(block, dtype.type(pilot), out=deviations)
        else:
            deviations[...] = block  # in two steps, because a ufunc that converts does so in short pieces
            deviations -= dtype.type(pilot)
        return _dot_products(deviations)


class _Scratch(threading.local):
    """The buffers of one thread: allocating one for each block would take longer than the sums."""

    def __init__(self) -> None:
        self.buffers: dict[np.dtype[Any], NDArray[Any]] = {}


_SCRATCH = _Scratch()


def _scratch(dtype: np.dtype[Any], size: int) -> NDArray[Any]:
    """Return a buffer of `size` numbers that is valid until the next call in this thread."""
    buffers = _SCRATCH.buffers
    if dtype not in buffers or buffers[dtype].size < size:
        buffers[dtype] = np.empty(max(size, BLOCK), dtype=dtype)
    return buffers[dtype][:size]


def _dot_products(deviations: NDArray[Any]) -> tuple[float, float]:
    whole = deviations.size - deviations.size % ROW
    rows, rest = deviations[:whole].reshape(-1, ROW), deviations[whole:].astype(np.float64)
    total = float(np.vecdot(rows, _ONES[deviations.dtype]).sum(dtype=np.float64)) + float(rest.sum())
    squares = float(np.vecdot(rows, rows).sum(dtype=np.float64)) + float(np.vecdot(rest, rest))
    return total, squares


def _of_finite(block: NDArray[Any]) -> Stats:
    """Return the statistics of a block that contains NaN or infinities."""
    finite = block[np.isfinite(block)]
    nans = int(np.count_nonzero(np.isnan(block)))
    rest = _of_block(finite) if finite.size else Stats()
    infs = block.size - finite.size - nans
    return Stats(rest.count, rest.minimum, rest.maximum, rest.mean, rest.m2, nans, infs)


def _of_complex(array: NDArray[Any]) -> Stats:
    """Return the statistics of complex pixels: mean and spread in the complex plane, no minimum and maximum."""
    bad = ~np.isfinite(array)
    nans = int(np.count_nonzero(np.isnan(array)))
    infs = int(np.count_nonzero(bad)) - nans
    finite = array[~bad] if nans or infs else array
    real, imag = Stats.of(finite.real), Stats.of(finite.imag)
    mean = complex(real.mean.real, imag.mean.real)
    return Stats(real.count, math.nan, math.nan, mean, real.m2 + imag.m2, nans, infs)
