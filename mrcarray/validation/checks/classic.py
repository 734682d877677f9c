"""The rules of mrcfile's validator: which rows of `CHECKS` it applies, in which order, and with which sentences.

Programs read its output, so each row keeps mrcfile's sentence. The validator ignores some findings of the table and
compares statistics in its own way; both are implemented here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mrcarray.errors import printable
from mrcarray.format.byteorder import STAMPS
from mrcarray.format.fields import STACK_GROUPS
from mrcarray.format.modes import MODES, Packing
from mrcarray.validation.checks import words
from mrcarray.validation.checks.model import CheckFacts, Found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["CLASSIC", "PLAIN_MODES", "ClassicFacts", "Row", "findings", "size_finding"]

PLAIN_MODES = frozenset(m.number for m in MODES.values() if m.standard and m.pixel.packing is Packing.PLAIN)
"""Modes that mrcfile knows: those whose pixels are plain numbers."""

RTOL, ATOL = 0.01, 1e-8
"""Relative and absolute tolerance of mean and rms."""

_NAMES = {1: "nx", 2: "ny", 3: "nz", 8: "mx", 9: "my", 10: "mz"}
_WRONG = "Data statistics appear to be inaccurate: "


@dataclass(frozen=True)
class ClassicFacts(CheckFacts):
    """The facts of a file, and how its numbers are printed.

    Parameters
    ----------
    value : callable
        Returns the "minimum", "maximum", "mean" or "rms" of the pixels; 0 when there are none.
    shown : callable
        Returns the same as it is printed.
    single : callable
        Returns a header's number as it is printed.
    """

    value: Callable[[str], Any] = field(default=lambda _name: 0, compare=False)
    shown: Callable[[str], Any] = field(default=lambda _name: 0, compare=False)
    single: Callable[[float], Any] = field(default=float, compare=False)


@dataclass(frozen=True, slots=True)
class Row:
    """One rule of mrcfile's validator.

    Parameters
    ----------
    codes : tuple of str
        The corresponding rows of `CHECKS`.
    lines : callable
        Takes `ClassicFacts` and yields a line for each problem.
    """

    codes: tuple[str, ...]
    lines: Callable[[ClassicFacts], Iterator[str]] = field(repr=False)


def _map_id(facts: ClassicFacts) -> Iterator[str]:
    for _ in words.map_id(facts):
        yield f"Map ID string is incorrect: found {facts.header.map.rstrip(bytes(1))!r}, should be {b'MAP '!r}"


def _stamp(facts: ClassicFacts) -> Iterator[str]:
    mark = facts.header.machst
    if mark[:2] not in STAMPS:  # mrcfile does not know the stamp of a VAX
        yield "Invalid machine stamp: " + " ".join(f"0x{byte:02x}" for byte in mark)


def _mode(facts: ClassicFacts) -> Iterator[str]:
    for found in words.mode(facts):
        yield f"Invalid mode: {found.found}"


def _negative(found: Iterable[Found]) -> Iterator[Found]:
    """Keep only the findings about negative numbers."""
    return (one for one in found if float(one.found) < 0)


def _dimensions(facts: ClassicFacts) -> Iterator[str]:
    for rule in (words.dimensions, words.intervals):
        for found in _negative(rule(facts)):
            yield f"Header field '{_NAMES[found.word or 0]}' is negative"
    for name, rule in (("ispg", words.space_group), ("nlabl", words.label_number)):
        for _ in _negative(rule(facts)):
            yield f"Header field '{name}' is negative"


def _cell(facts: ClassicFacts) -> Iterator[str]:
    for found in _negative(words.cell_lengths(facts)):
        yield f"Cell dimension '{'xyz'[(found.word or 0) - 11]}' is negative"


def _axes(facts: ClassicFacts) -> Iterator[str]:
    for _ in words.axes(facts):
        yield f"Invalid axis mapping: found {sorted(set(facts.header.mapcrs))}, should be [1, 2, 3]"


def _volume_stack(facts: ClassicFacts) -> Iterator[str]:
    h = facts.header
    below = h.ispg in STACK_GROUPS and h.mz < 0 and h.nz % h.mz != 0  # the table has another row for negative mz
    if below or any(words.volume_stack(facts)):
        text = "Error in dimensions for volume stack: nz should be divisible by mz."
        yield f"{text} Found nz = {h.nz}, mz = {h.mz})"  # mrcfile has this parenthesis


def _filled(facts: ClassicFacts) -> tuple[bool, ...]:
    """Return which labels have text; unlike `CheckFacts.filled`, zero bytes are ignored at the end of a label only."""
    return tuple(bool(label.rstrip(b"\0").strip()) for label in facts.header.labels)


def _label_gaps(facts: ClassicFacts) -> Iterator[str]:
    filled = _filled(facts)
    for number, text in enumerate(filled):
        if text and not all(filled[:number]):
            yield "Error in header labels: empty labels appear between text-containing labels"


def _label_count(facts: ClassicFacts) -> Iterator[str]:
    count = sum(_filled(facts))
    if facts.header.nlabl != count:
        yield f"Error in header labels: nlabl is {facts.header.nlabl} but {count} labels contain text"


def _version(facts: ClassicFacts) -> Iterator[str]:
    for found in words.nversion(facts):
        yield f"File does not declare MRC format version 20140 or 20141: nversion = {found.found}"


def _exttyp(facts: ClassicFacts) -> Iterator[str]:
    for _ in words.exttyp(facts):
        text = printable(facts.header.exttyp.rstrip(b"\0").decode("ascii", "backslashreplace"))
        yield f"Extended header type is undefined or unrecognised: exttyp = '{text}'"


def _rms(facts: ClassicFacts) -> Iterator[str]:
    stated = facts.header.rms
    if stated >= 0 and not _close(facts.value("rms"), stated):
        yield _inaccurate(facts, "RMS deviation", "rms", stated)


def _extremes(facts: ClassicFacts) -> Iterator[str]:
    h = facts.header
    if h.dmin < h.dmax:
        for stated, name in ((h.dmin, "minimum"), (h.dmax, "maximum")):
            if stated != facts.value(name):
                yield _inaccurate(facts, name, name, stated)


def _mean(facts: ClassicFacts) -> Iterator[str]:
    h = facts.header
    if h.dmean > min(h.dmin, h.dmax) and not _close(facts.value("mean"), h.dmean):
        yield _inaccurate(facts, "mean", "mean", h.dmean)


def _inaccurate(facts: ClassicFacts, what: str, name: str, stated: float) -> str:
    return f"{_WRONG}{what} is {facts.shown(name)} but the value in the header is {facts.single(stated)}"


def _close(real: Any, stated: float) -> bool:
    """Return whether a statistic agrees with the header within the tolerance; an infinity agrees with itself."""
    if not (math.isfinite(real) and math.isfinite(stated)):
        return bool(real == stated)
    return bool(abs(real - stated) <= ATOL + RTOL * abs(stated))


CLASSIC: tuple[Row, ...] = (
    Row(("MRC153",), _map_id),
    Row(("MRC160", "MRC161"), _stamp),
    Row(("MRC104",), _mode),
    Row(("MRC101", "MRC108", "MRC123", "MRC156"), _dimensions),
    Row(("MRC111",), _cell),
    Row(("MRC117",), _axes),
    Row(("MRC110",), _volume_stack),
    Row(("MRC157",), _label_gaps),
    Row(("MRC156", "MRC158"), _label_count),
    Row(("MRC128",), _version),
    Row(("MRC127",), _exttyp),
    Row(("MRC504",), _rms),
    Row(("MRC501", "MRC502"), _extremes),
    Row(("MRC503",), _mean),
)
"""The rules in mrcfile's order; `size_finding` comes last."""


def findings(facts: ClassicFacts) -> Iterator[str]:
    """Yield a line for each problem of a header and its pixels.

    Parameters
    ----------
    facts : ClassicFacts
        The facts of the file; `modes` should be `PLAIN_MODES`.
    """
    return (line for row in CLASSIC for line in row.lines(facts))


def size_finding(file_size: int, expected: int | None) -> str:
    """Return the problem with the size of a file (MRC201, MRC202), empty when there is none.

    Parameters
    ----------
    file_size : int
        Bytes of the file, uncompressed.
    expected : int or None
        Bytes of headers and data; None when the data could not be read.
    """
    if expected is None:
        return "Data block could not be read - file size not checked"
    if file_size == expected:
        return ""
    return (
        f"File is larger than expected. Actual size: {file_size} bytes; expected size: {expected} bytes "
        "(calculated from header)"
    )
