"""The values of checks: the facts of a file, what a rule finds, and a row of the table."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mrcarray.errors import Hint
    from mrcarray.format.geometry import Geometry
    from mrcarray.format.header import Header
    from mrcarray.format.issues import Issue, Severity
    from mrcarray.format.layout import Layout

__all__ = ["STANDARD_MODES", "Check", "CheckFacts", "Found", "Statistics"]

STANDARD_MODES = frozenset({0, 1, 2, 3, 4, 6, 12, 101})
"""Modes of MRC2014 and its 2022 update."""


class Statistics(Protocol):
    """The statistics of the pixels that rules use."""

    @property
    def count(self) -> int:
        """Number of finite pixels."""

    @property
    def minimum(self) -> float:
        """Of the finite pixels."""

    @property
    def maximum(self) -> float:
        """Of the finite pixels."""

    @property
    def mean(self) -> complex | float:
        """Of the finite pixels."""

    @property
    def rms(self) -> float:
        """Population standard deviation."""

    @property
    def nans(self) -> int:
        """Number of NaN pixels."""

    @property
    def infs(self) -> int:
        """Number of infinite pixels."""


@dataclass(frozen=True)
class CheckFacts:
    """The facts of a file that rules look at.

    Parameters
    ----------
    header : Header
        The main header.
    issues : tuple of Issue
        What reading reported about byte order, layout, geometry and extended header.
    layout : Layout or None
        Where the pixels are; None when they cannot be located.
    geometry : Geometry or None
        Where the voxels are; None without a layout.
    stats : Statistics or None
        Of all pixels; None when they were not read, or some are missing.
    counts : tuple of int
        Bytes of each value 0-255, for data of mode 0; else empty.
    modes : frozenset of int
        Modes the profile accepts.
    kind_from : str
        Name of the line of `mrcarray.format.kinds.LINES` that decided the kind.
    """

    header: Header
    issues: tuple[Issue, ...] = ()
    layout: Layout | None = None
    geometry: Geometry | None = None
    stats: Statistics | None = None
    counts: tuple[int, ...] = ()
    modes: frozenset[int] = STANDARD_MODES
    kind_from: str = ""

    @cached_property
    def seen(self) -> frozenset[str]:
        """The codes of `issues`."""
        return frozenset(issue.code for issue in self.issues)

    @cached_property
    def filled(self) -> tuple[bool, ...]:
        """Which of the ten labels have text other than NUL and white space."""
        return tuple(bool(label.strip(b"\0 \t\r\n\v\f")) for label in self.header.labels)

    @cached_property
    def text(self) -> bytes:
        """All labels, joined by newlines."""
        return b"\n".join(self.header.labels)


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule found; the table adds code, severity and word.

    Parameters
    ----------
    message : str
        What was found and what was expected.
    found, expected : str
        The value and the rule, for programs.
    word : int, optional
        Header word, where it differs from the table.
    severity : Severity, optional
        Where it differs from the table.
    hint : Hint, optional
        What to type.
    """

    message: str
    found: str = ""
    expected: str = ""
    word: int | None = None
    severity: Severity | None = None
    hint: Hint | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the table of checks.

    Parameters
    ----------
    code : str
        Stable identifier; it never changes its meaning.
    severity : Severity
        Severity of its issues, unless the rule or the profile sets another.
    word : int or None
        Header word it is about.
    source : str
        Where the rule comes from.
    doc : str
        The rule in one line.
    repair : str
        What to do about it: a command to type where there is one.
    rule : callable
        Takes `CheckFacts` and yields each `Found`.
    fixable : bool
        Whether ``mrcarray fix`` repairs it.
    profile : str
        The profile the rule belongs to; empty for a rule of all profiles.
    """

    code: str
    severity: Severity
    word: int | None
    source: str
    doc: str
    repair: str
    rule: Callable[[CheckFacts], Iterator[Found]] = field(repr=False)
    fixable: bool = False
    profile: str = ""
