"""Comparing files: `diff` for header words and pixels, `grid_issues` for maps that belong together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrcarray.errors import MrcValueError, printable
from mrcarray.format.fields import FIELDS
from mrcarray.format.issues import Issue, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mrcarray.reader import Mrc

__all__ = ["Difference", "diff", "grid_differences", "grid_issues"]

STEP = 8 << 20
"""Pixels compared at a time."""

_SAME = 1e-4
"""Part of a voxel by which two grids may differ."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How two files differ.

    Parameters
    ----------
    words : dict
        By header field, the two values.
    shapes : tuple
        The shapes of the pixels, when they differ; then pixels were not compared.
    pixels : int
        Pixels that differ by more than the tolerance.
    largest : float
        The largest difference of two pixels.
    compared : int
        Pixels that were compared.
    """

    words: dict[str, tuple[Any, Any]]
    shapes: tuple[Any, ...] = ()
    pixels: int = 0
    largest: float = 0.0
    compared: int = 0

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (self.words or self.shapes or self.pixels)


def diff(  # noqa: PLR0913 -- two files, and what counts as a difference
    a: Any, b: Any, *, rtol: float = 0.0, atol: float = 0.0, ignore: Sequence[str] = (), header_only: bool = False
) -> Difference:
    """Compare header words and pixels of two files, in bounded memory.

    Parameters
    ----------
    a, b : str, path, bytes or readable binary object
        The files.
    rtol, atol : float
        Pixels are the same when they differ by no more than ``atol + rtol * abs(b)``; NaN is NaN.
    ignore : sequence of str
        Header fields that may differ.
    header_only : bool
        Leave the pixels alone.

    Returns
    -------
    Difference

    Raises
    ------
    MrcFormatError
        When one of them cannot be read.
    MrcValueError
        When `ignore` names no field.

    Examples
    --------
    >>> diff("tomo.mrc", "tomo.mrc").same
    True
    """
    from mrcarray.reader import open_file

    unknown = [name for name in ignore if name not in FIELDS]
    if unknown:
        raise MrcValueError(f"there is no header field {unknown[0]!r}; expected some of {', '.join(FIELDS)}")
    one, two = open_file(a, permissive=header_only), open_file(b, permissive=header_only)
    names = (name for name in FIELDS if name not in ignore)
    pairs = {name: (getattr(one.header, name), getattr(two.header, name)) for name in names}
    words = {name: pair for name, pair in pairs.items() if not _equal(*pair)}
    if header_only or one.array is None or two.array is None:
        return Difference(words)
    if one.array.shape != two.array.shape:
        return Difference(words, (one.array.shape, two.array.shape))
    pixels, largest = _compared(one, two, rtol, atol)
    return Difference(words, (), pixels, largest, one.array.size)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, tuple):
        return all(_equal(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b)))


def _compared(one: Mrc, two: Mrc, rtol: float, atol: float) -> tuple[int, float]:
    """Return how many pixels differ, and by how much at most."""
    import numpy as np

    arrays = [mrc.array for mrc in (one, two) if mrc.array is not None]
    count, largest = 0, 0.0
    for key in _blocks(arrays[0].shape):
        x, y = (array[key] for array in arrays)
        wide = np.result_type(x, y, np.complex128 if "c" in (x.dtype.kind, y.dtype.kind) else np.float64)
        x, y = x.astype(wide), y.astype(wide)
        with np.errstate(invalid="ignore"):
            distance = np.abs(x - y)
        alike = (x == y) | (np.isnan(x) & np.isnan(y))
        far = ~alike & ~(distance <= atol + rtol * np.abs(y))
        count += int(np.count_nonzero(far))
        if far.any():
            largest = max(largest, float(np.nanmax(np.where(far, distance, 0), initial=0.0)))
    return count, largest


def _blocks(shape: tuple[int, ...]) -> Any:
    """Yield keys of blocks of at most `STEP` pixels, or one row."""
    rest = math.prod(shape[1:])
    if not shape or math.prod(shape) <= STEP:
        yield ...
    elif rest <= STEP:
        step = STEP // max(1, rest)
        yield from (slice(i, i + step) for i in range(0, shape[0], step))
    else:
        for i in range(shape[0]):
            for key in _blocks(shape[1:]):
                yield (i, *(key if isinstance(key, tuple) else (key,)))


def grid_issues(first: Any, other: Any) -> tuple[Issue, ...]:
    """Return what keeps a map from lying on the grid of another.

    Parameters
    ----------
    first, other : str, path, bytes or readable binary object
        The files.

    Returns
    -------
    tuple of Issue
        Codes MRC701 (shape), MRC702 (voxel size) and MRC703 (place), all errors.
    """
    from mrcarray.describe import describe

    one, two = describe(first), describe(other)
    return grid_differences(printable(one.path), one.facts(), two.facts())


def grid_differences(name: str, one: Mapping[str, Any], two: Mapping[str, Any]) -> tuple[Issue, ...]:
    """Return what keeps a map from lying on the grid of another, from what is known of both.

    Parameters
    ----------
    name : str
        What the first is called.
    one, two : mapping
        Of each, "shape", "axes", "voxel_size" and "origin", as in `Description.facts` and `Report.facts`.
    """
    if "origin" not in one or "origin" not in two:
        whose = "pixels" if "origin" not in two else f"those of {name}"
        return (Issue("MRC701", Severity.ERROR, f"the grid cannot be compared: {whose} cannot be located"),)
    issues = []
    if one["shape"] != two["shape"] or one["axes"] != two["axes"]:
        shapes = tuple(two["shape"]), tuple(one["shape"])
        text = f"the shape is {shapes[0]}, that of {name} {shapes[1]}"
        issues.append(Issue("MRC701", Severity.ERROR, text, 1, *map(str, shapes)))
    rows = (
        ("MRC702", 11, "voxel_size", "the voxel size is", ""),
        ("MRC703", 50, "origin", "the first voxel is at", "at "),
    )
    for code, word, key, start, link in rows:
        if not _near(one[key], two[key], one["voxel_size"]):
            found, expected = _triple(two[key]), _triple(one[key])
            text = f"{start} {found}, that of {name} {link}{expected}"
            issues.append(Issue(code, Severity.ERROR, text, word, found, expected))
    return tuple(issues)


def _near(one: Sequence[float], two: Sequence[float], sizes: Sequence[float]) -> bool:
    return all(
        x == y or (math.isnan(x) and math.isnan(y)) or abs(x - y) <= _SAME * size
        for x, y, size in zip(one, two, sizes, strict=True)
    )


def _triple(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
