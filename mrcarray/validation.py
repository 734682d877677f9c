"""Is this file good? `validate` gathers the facts of a file, asks the checks, and returns a `Report`.

The rules themselves stand in `mrcarray.format.checks`; here files are read. Whatever a file holds, nothing is raised:
what went wrong becomes a finding like any other.

Examples
--------
>>> report = validate("tomo.mrc")
>>> report.ok, report.codes
(True, ('MRC511',))
"""

from __future__ import annotations

import math
import os
import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from mrcarray.errors import (
    CompressionError,
    MrcError,
    MrcFormatError,
    MrcValueError,
    StaleFileError,
    TruncatedError,
    printable,
)
from mrcarray.format.checks import CHECKS, PROFILES, Facts, judge, writers
from mrcarray.format.geometry import Geometry
from mrcarray.format.header import Header
from mrcarray.format.infer import interpret
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.sniff import identify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mrcarray.format.infer import Interpretation
    from mrcarray.format.layout import Layout
    from mrcarray.stats import Stats
    from mrcarray.storage.protocols import ByteSource

__all__ = ["Level", "Look", "Report", "gather", "reason", "validate"]

Level = Literal["header", "full"]

HEADER = 1024
EXTENDED = 16 << 20
"""Extended headers longer than this are not looked into."""

_RANK = {Severity.NOTE: 0, Severity.WARNING: 1, Severity.ERROR: 2}


@dataclass(frozen=True, slots=True)
class Report:
    """What was found about one file.

    Parameters
    ----------
    path : str
        The file, as it was named.
    issues : tuple of Issue
        The findings, in the order of the table of checks.
    profile, level : str
        Whose rules were asked, and how far the file was read.
    facts : dict
        What the file is, in plain values: kind, shape, mode, voxel size, statistics, who wrote it. Empty for a file
        that is none.
    readable : bool
        Whether the file could be opened and read at all.
    """

    path: str
    issues: tuple[Issue, ...] = ()
    profile: str = "mrc2014"
    level: str = "full"
    facts: dict[str, Any] = field(default_factory=dict, hash=False)
    readable: bool = True

    @property
    def ok(self) -> bool:
        """Whether no finding is an error."""
        return not any(issue.is_error for issue in self.issues)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes found, each once."""
        return tuple(dict.fromkeys(issue.code for issue in self.issues))

    def at_least(self, severity: Severity | str) -> tuple[Issue, ...]:
        """Return the findings that are as bad as `severity`, or worse."""
        floor = _RANK[Severity(severity)]
        return tuple(issue for issue in self.issues if _RANK[issue.severity] >= floor)

    def select(self, only: tuple[str, ...] = (), ignore: tuple[str, ...] = ()) -> Report:
        """Return the report of some of the findings.

        Parameters
        ----------
        only, ignore : tuple of str
            Codes or beginnings of codes, such as ``MRC5``; without `only` all findings are kept but those ignored.
        """
        kept = (
            issue
            for issue in self.issues
            if (not only or issue.code.startswith(only)) and not (ignore and issue.code.startswith(ignore))
        )
        return replace(self, issues=tuple(kept))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that every JSON parser takes; numbers that are not finite become text."""
        return {
            "path": self.path,
            "ok": self.ok,
            "readable": self.readable,
            "profile": self.profile,
            "level": self.level,
            "issues": [_issue_dict(issue) for issue in self.issues],
            "facts": _plain(self.facts),
        }

    def __str__(self) -> str:
        """Return a line for the verdict and one for each finding that is no note."""
        lines = [f"{printable(self.path)}: {'valid' if self.ok else 'invalid'}"]
        lines += [f"  {issue.severity}: {issue}" for issue in self.at_least(Severity.WARNING)]
        return "\n".join(lines)


def _issue_dict(issue: Issue) -> dict[str, Any]:
    row = CHECKS.get(issue.code)
    return {
        "code": issue.code,
        "severity": str(issue.severity),
        "word": issue.word,
        "message": issue.message,
        "found": issue.found,
        "expected": issue.expected,
        "repair": row.repair if row is not None else "",
        "fixable": row.fixable if row is not None else False,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, complex):
        return [_plain(value.real), _plain(value.imag)]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def validate(  # noqa: PLR0913 -- each is a choice of its own, with a default
    path: Any,
    *,
    profile: str = "mrc2014",
    level: Level = "full",
    kind: str = "auto",
    mode0: str = "auto",
    threads: int | None = None,
    progress: Callable[[int], object] | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Report:
    """Check a file against the rules of a profile, in one pass and bounded memory.

    Parameters
    ----------
    path : str, path, bytes or readable binary object
        The file; it may be compressed or remote.
    profile : str
        "mrc2014", "emdb", "imod" or "relion".
    level : {"full", "header"}
        Whether to read the pixels, or the headers and the size of the file only.
    kind, mode0 : str
        As for `mrcarray.open_file`.
    threads : int, optional
        How many threads look at the pixels; by default one a processor.
    progress : callable, optional
        Called with the number of bytes that were looked at, some at a time.
    storage_options : mapping, optional
        For remote files.

    Returns
    -------
    Report
        Also for files that cannot be read: then the reason is a finding, and `Report.readable` is False.

    Raises
    ------
    MrcValueError
        When `profile` or `level` has no meaning; nothing about the file raises.
    TypeError
        When `path` is nothing that can be opened.
    """
    if profile not in PROFILES:
        raise MrcValueError(f"profile is {profile!r}; expected one of {', '.join(PROFILES)}")
    if level not in ("header", "full"):
        raise MrcValueError(f"level is {level!r}; expected 'header' or 'full'")
    name = os.fsdecode(path) if isinstance(path, str | os.PathLike) else getattr(path, "name", "<memory>")
    blank = Report(str(name), profile=profile, level=level)
    look = Look(kind, mode0, threads, progress)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            source = _open(path, storage_options)
            facts, sized = gather(source, look, full=level == "full")
        except TypeError:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever a file or a place does, it is a finding
            return replace(blank, issues=(_trouble(error),), readable=False)
    if facts is None:
        return replace(blank, issues=sized.issues)
    return replace(
        blank, issues=judge(facts, profile), facts=_described(facts, sized), readable="MRC911" not in facts.seen
    )


def _open(path: Any, storage_options: Mapping[str, Any] | None) -> ByteSource:
    from mrcarray.storage import open_source

    return open_source(path, storage_options=storage_options)


def _trouble(error: Exception) -> Issue:
    if isinstance(error, CompressionError):
        return Issue("MRC912", Severity.ERROR, printable(error.message))
    if isinstance(error, StaleFileError):
        return Issue("MRC913", Severity.ERROR, printable(error))
    return Issue("MRC911", Severity.ERROR, reason(error))


def reason(error: BaseException) -> str:
    """Return what went wrong in one line, without the path."""
    if isinstance(error, OSError) and error.strerror:
        return printable(error.strerror)
    if isinstance(error, MrcFormatError):
        return printable(error.message)
    if isinstance(error, MemoryError):
        return "not enough memory"
    return (
        printable(error) if isinstance(error, MrcError | ValueError) else printable(f"{type(error).__name__}: {error}")
    )


@dataclass(frozen=True, slots=True)
class Look:
    """How to look at a file; as the arguments of `validate`."""

    kind: str = "auto"
    mode0: str = "auto"
    threads: int | None = None
    progress: Callable[[int], object] | None = None


@dataclass(frozen=True, slots=True)
class _Sized:
    """What is known of the size of a file, and what was noticed on the way."""

    size: int | None
    issues: tuple[Issue, ...] = ()
    compressed: bool = False


def gather(source: ByteSource, look: Look, *, full: bool) -> tuple[Facts | None, _Sized]:
    """Read a file and return its facts, and what is known of its size; no facts of what has no header.

    Parameters
    ----------
    source : ByteSource
        The file.
    look : Look
        How to look at it.
    full : bool
        Whether to read the pixels and the extended header.
    """
    size = source.size()
    sized = _Sized(size, compressed=hasattr(source, "codec"))
    raw = bytes(source.read(0, HEADER))
    if len(raw) < HEADER:
        issue = identify(raw, size if size is not None else len(raw))
        short = Issue("MRC903", Severity.ERROR, f"the file has {len(raw)} bytes; expected at least {HEADER}")
        return None, replace(sized, issues=(_coded(issue) if issue is not None else short,))
    header, parsed = Header.parse(raw, size)
    if any(issue.is_error for issue in parsed) and (foreign := identify(raw, size)) is not None:
        parsed = (foreign,)
    if any(issue.code.startswith("MRC9") for issue in parsed):
        return Facts(header, parsed), sized
    found = interpret(header, size, name=source.name, kind=look.kind, mode0=look.mode0)
    pixels = _Pixels(source, look)
    if full:
        found = pixels.look_at(header, found, size)
    issues = (*parsed, *found.issues, *pixels.issues, *_extended(source, header, found, full=full))
    geometry = Geometry.from_header(header, found.layout) if found.layout is not None else None
    return Facts(header, issues, found.layout, geometry, pixels.stats, pixels.counts), replace(
        sized, size=source.size()
    )


def _coded(issue: Issue) -> Issue:
    return replace(issue, severity=CHECKS[issue.code].severity)


def _extended(source: ByteSource, header: Header, found: Interpretation, *, full: bool) -> tuple[Issue, ...]:
    """Return what the dialects say about the extended header."""
    start, stop = found.extended
    if not full or not 0 < stop - start <= EXTENDED:
        return ()
    from mrcarray.format import extended

    data = bytes(source.read(start, stop))
    return extended.decode(data, extended.Facts.of(header)).issues if len(data) == stop - start else ()


class _Pixels:
    """What one pass over the pixels tells."""

    def __init__(self, source: ByteSource, look: Look) -> None:
        self.source, self.look = source, look
        self.issues: list[Issue] = []
        self.stats: Stats | None = None
        self.counts: tuple[int, ...] = ()

    def look_at(self, header: Header, found: Interpretation, size: int | None) -> Interpretation:
        """Read all pixels; return the interpretation, which for compressed files the pass may correct."""
        if found.layout is None or any(issue.code == "MRC201" for issue in found.issues):
            return found
        try:
            self._scan(found.layout)
        except TruncatedError:
            return self._truncated(header, found)
        except (OSError, MrcError, MemoryError) as error:
            self.issues.append(_trouble(error))
            return found
        if size is None and len(self.source.read(found.layout.stop, found.layout.stop + 1)):
            text = f"the stream goes on after the {found.layout.stop} bytes its header declares"
            self.issues.append(Issue("MRC202", Severity.WARNING, text, None, "more", str(found.layout.stop)))
        return found

    def _truncated(self, header: Header, found: Interpretation) -> Interpretation:
        """Interpret the header again, now that a pass has shown where the stream ends."""
        size = self.source.size()
        again = interpret(header, size, name=self.source.name, kind=self.look.kind, mode0=self.look.mode0)
        if again.layout is not None and again.layout != found.layout and "MRC201" not in [i.code for i in again.issues]:
            self._scan(again.layout)
        elif again.issues == found.issues:
            self.issues.append(Issue("MRC201", Severity.ERROR, "the file ends before its pixels do"))
        return again

    def _scan(self, layout: Layout) -> None:
        import numpy as np

        from mrcarray.scan import scan
        from mrcarray.stats import Stats

        count = layout.pixel.mode == 0 and layout.pixel.stored in ("i1", "u1")

        def visit(values: Any) -> tuple[Stats, Any]:
            stats = Stats.of(values, threads=1)
            if not count:
                return stats, 0
            return stats, np.bincount(values.view(np.uint8).reshape(-1), minlength=256)

        def combine(one: tuple[Stats, Any], two: tuple[Stats, Any]) -> tuple[Stats, Any]:
            return one[0].merge(two[0]), one[1] + two[1]

        seen = scan(layout, self.source, visit, combine, threads=self.look.threads, progress=self.look.progress)
        if seen is not None:
            self.stats, counts = seen
            self.counts = tuple(counts.tolist()) if count else ()


def _described(facts: Facts, sized: _Sized) -> dict[str, Any]:
    """Return what a file is in plain values."""
    h, layout, geometry, stats = facts.header, facts.layout, facts.geometry, facts.stats
    described: dict[str, Any] = {
        "size": sized.size,
        "compressed": sized.compressed,
        "byteorder": {"<": "little", ">": "big"}[h.byteorder],
        "mode": h.mode,
        "nsymbt": h.nsymbt,
        "exttyp": printable(h.exttyp.decode("latin-1").strip("\0 ")),
        "nversion": h.nversion,
        "labels": list(h.text_labels),
        "writers": [writer.name for writer in writers(facts)],
    }
    if layout is not None and geometry is not None:
        described |= {
            "kind": str(layout.kind),
            "shape": list(layout.shape),
            "dtype": layout.pixel.memory,
            "offset": layout.offset,
            "voxel_size": list(geometry.voxel_size),
            "origin": list(geometry.start),
            "axes": list(geometry.axes),
        }
    if stats is not None:
        names = ("count", "minimum", "maximum", "mean", "rms", "nans", "infs")
        described["statistics"] = {name: getattr(stats, name) for name in names}
    return described
