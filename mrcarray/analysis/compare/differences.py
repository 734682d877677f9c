"""Compare header fields, extended headers and pixels of two files: `diff`."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mrcarray.analysis.compare.extended import extended_difference
from mrcarray.errors import MrcValueError, printable
from mrcarray.format.fields import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mrcarray.analysis.compare.extended import ExtendedDifference
    from mrcarray.reader import Mrc

__all__ = ["Difference", "diff"]

STEP = 1 << 19
"""Pixels compared at a time."""

EXTENDED = "extended"
"""Name of the extended header in `ignore`."""

_TEXTS = ("exttyp", "map", "labels")
"""Fields that contain text; bytes of other fields are shown as hexadecimal digits."""


@dataclass(frozen=True, slots=True, repr=False)
class Difference:
    """The differences of two files; shows itself as text.

    Parameters
    ----------
    words : dict
        The two values of each header field that differs, by its name.
    extended : ExtendedDifference or None
        The differences of the extended headers; None if there are none.
    shapes : tuple
        The two shapes if they differ; then pixels were not compared.
    pixels : int
        Number of pixels that differ by more than the tolerance.
    largest : float
        Largest difference of two pixels.
    compared : int
        Number of pixels that were compared.
    """

    words: dict[str, tuple[Any, Any]]
    extended: ExtendedDifference | None = None
    shapes: tuple[Any, ...] = ()
    pixels: int = 0
    largest: float = 0.0
    compared: int = 0

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (self.words or self.extended or self.shapes or self.pixels)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; parts that are the same or were not compared are None."""
        shapes = [list(shape) for shape in self.shapes]
        pixels = {"compared": self.compared, "differ": self.pixels, "largest": self.largest}
        return {
            "same": self.same,
            "header": {name: {"a": _shown(name, a), "b": _shown(name, b)} for name, (a, b) in self.words.items()},
            "extended": asdict(self.extended) if self.extended is not None else None,
            "shape": {"a": shapes[0], "b": shapes[1]} if shapes else None,
            "pixels": pixels if self.compared else None,
        }

    def lines(self) -> Iterator[str]:
        """Yield a line for each difference."""
        for name, (one, two) in self.words.items():
            yield f"{name}: {_text(one)} | {_text(two)}"
        if self.extended is not None:
            yield from self.extended.lines()
        if self.shapes:
            yield f"shape: {self.shapes[0]} | {self.shapes[1]}"
        if self.pixels:
            yield f"pixels: {self.pixels} of {self.compared} differ, by up to {self.largest:g}"

    def __str__(self) -> str:
        return "\n".join(self.lines()) or "no differences"

    __repr__ = __str__


def _text(value: Any) -> str:
    import numpy as np

    if isinstance(value, tuple) and value and isinstance(value[0], bytes):
        return "; ".join(printable(item.rstrip(b"\0 ").decode("latin-1")) for item in value if item.strip(b"\0 "))
    if isinstance(value, tuple):
        return ", ".join(map(_text, value))
    if isinstance(value, float):  # a float32, whose shortest text is unique: 45.8, not 45.79999923706
        return f"{float(str(np.float32(value))):.9g}"
    return ascii(value)[1:] if isinstance(value, bytes) else str(value)


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("latin-1") if name in _TEXTS else value.hex()
    return [_shown(name, item) for item in value] if isinstance(value, tuple) else value


def diff(  # noqa: PLR0913 -- two files, and what counts as a difference
    a: Any, b: Any, *, rtol: float = 0.0, atol: float = 0.0, ignore: Sequence[str] = (), header_only: bool = False
) -> Difference:
    """Compare the header fields, extended headers and pixels of two files, in bounded memory.

    Parameters
    ----------
    a, b : str, path, bytes or readable binary object
        The files.
    rtol, atol : float
        Pixels are equal if they differ by at most ``atol + rtol * abs(b)``; NaN equals NaN.
    ignore : sequence of str
        Header fields not to compare; "extended" for the extended header.
    header_only : bool
        Whether to compare the headers only.

    Returns
    -------
    Difference

    Raises
    ------
    MrcFormatError
        When one of the files cannot be read.
    MrcValueError
        When `ignore` contains an unknown field.

    Examples
    --------
    >>> import mrcarray
    >>> mrcarray.diff("tomo.mrc", "tomo.mrc")
    no differences
    >>> found = mrcarray.diff("tomo.mrc", "tilts.mrcs", ignore=["labels", "extra2"])
    >>> found.same, found.words["mode"]
    (False, (2, 1))
    """
    from mrcarray.reader import open_file

    unknown = [name for name in ignore if name not in (*FIELDS, EXTENDED)]
    if unknown:
        expected = ", ".join((*FIELDS, EXTENDED))
        raise MrcValueError(f"unknown header field {unknown[0]!r} in ignore; expected some of {expected}")
    one, two = open_file(a, permissive=header_only), open_file(b, permissive=header_only)
    names = (name for name in FIELDS if name not in ignore)
    pairs = {name: (getattr(one.header, name), getattr(two.header, name)) for name in names}
    words = {name: pair for name, pair in pairs.items() if not _equal(*pair)}
    extended = extended_difference(one, two) if EXTENDED not in ignore else None
    if header_only or one.array is None or two.array is None:
        return Difference(words, extended)
    if one.array.shape != two.array.shape:
        return Difference(words, extended, (one.array.shape, two.array.shape))
    pixels, largest = _compared(one, two, rtol, atol)
    return Difference(words, extended, (), pixels, largest, one.array.size)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, tuple):
        return all(_equal(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b)))


def _compared(one: Mrc, two: Mrc, rtol: float, atol: float) -> tuple[int, float]:
    """Return the number of pixels that differ, and the largest difference."""
    import numpy as np

    arrays = [mrc.array for mrc in (one, two) if mrc.array is not None]
    count, largest = 0, 0.0
    for key in _blocks(arrays[0].shape):
        x, y = (array[key] for array in arrays)
        if np.array_equal(x, y):
            continue
        wide = np.result_type(x, y, np.complex128 if "c" in (x.dtype.kind, y.dtype.kind) else np.float64)
        x, y = x.astype(wide), y.astype(wide)
        with np.errstate(invalid="ignore"):
            distance = np.abs(x - y)
        equal = (x == y) | (np.isnan(x) & np.isnan(y))
        far = ~equal & ~(distance <= atol + rtol * np.abs(y))
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
