"""`Report`: the result of checking one file."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mrcarray.errors import printable
from mrcarray.format.header_facts import as_html
from mrcarray.format.issues import Severity
from mrcarray.validation.checks import CHECKS

if TYPE_CHECKING:
    from mrcarray.format.header_facts import Row
    from mrcarray.format.issues import Issue

__all__ = ["FACTS", "Report", "plain_issue"]

FACTS = (
    "size",
    "compressed",
    "byteorder",
    "mode",
    "nsymbt",
    "exttyp",
    "nversion",
    "labels",
    "writers",
    "kind",
    "kind_from",
    "shape",
    "dtype",
    "offset",
    "voxel_size",
    "origin",
    "axes",
    "statistics",
)
"""The keys of `Report.facts`, in order."""

_RANK = {Severity.NOTE: 0, Severity.WARNING: 1, Severity.ERROR: 2}


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """The result of checking one file.

    Parameters
    ----------
    path : str
        The file, as given; a URL without credentials.
    issues : tuple of Issue
        The issues, in the order of the table of checks.
    profile, level : str
        The rules that were checked, and whether the pixels were read.
    facts : dict
        Plain values: kind, shape, mode, voxel size, statistics, programs that wrote the file. Empty for a file that is
        not MRC.
    readable : bool
        Whether the file could be opened and read.
    """

    path: str
    issues: tuple[Issue, ...] = ()
    profile: str = "mrc2014"
    level: str = "full"
    facts: dict[str, Any] = field(default_factory=dict, hash=False)
    readable: bool = True

    @property
    def ok(self) -> bool:
        """Whether no issue is an error."""
        return not any(issue.is_error for issue in self.issues)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the issues, each once."""
        return tuple(dict.fromkeys(issue.code for issue in self.issues))

    def at_least(self, severity: Severity | str) -> tuple[Issue, ...]:
        """Return the issues of this severity or worse."""
        lowest = _RANK[Severity(severity)]
        return tuple(issue for issue in self.issues if _RANK[issue.severity] >= lowest)

    def select(self, only: tuple[str, ...] = (), ignore: tuple[str, ...] = ()) -> Report:
        """Return a report with only some of the issues.

        Parameters
        ----------
        only, ignore : tuple of str
            Codes or prefixes of codes, such as ``MRC5``; without `only`, all issues that are not ignored are kept.
        """
        kept = (
            issue
            for issue in self.issues
            if (not only or issue.code.startswith(only)) and not (ignore and issue.code.startswith(ignore))
        )
        return replace(self, issues=tuple(kept))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; unknown and not finite values are None."""
        return {
            "path": self.path,
            "ok": self.ok,
            "readable": self.readable,
            "profile": self.profile,
            "level": self.level,
            "issues": [plain_issue(issue) for issue in self.issues],
            "facts": {**dict.fromkeys(FACTS), **_plain(self.facts)},
        }

    def __str__(self) -> str:
        """Return a line for the verdict, and one for each issue except notes, with its repair on the command line."""
        lines = [f"{printable(self.path)}: {'valid' if self.ok else 'invalid'}"]
        for issue in self.at_least(Severity.WARNING):
            lines.append(f"  {issue.severity}: {issue}")
            if repair := self.repair_of(issue):
                lines.append(f"    repair: {repair}")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        title = f"{self.path}: {'valid' if self.ok else 'invalid'}"
        rows: list[Row] = []
        for issue in self.issues:
            rows.append((str(issue.severity), str(issue)))
            if repair := self.repair_of(issue):
                rows.append(("repair", repair))
        return as_html(title, rows)

    def repair_of(self, issue: Issue) -> str:
        """Return what repairs an issue of this file, mostly a line for a shell; empty if nothing does.

        Parameters
        ----------
        issue : Issue
            One of `issues`.

        Examples
        --------
        >>> import mrcarray
        >>> report = mrcarray.check("tomo.mrc")
        >>> report.repair_of(report.issues[0])
        'mrcarray fix tomo.mrc'
        """
        row = CHECKS.get(issue.code)
        return row.repair.replace("FILE", shlex.quote(printable(self.path))) if row is not None else ""


def plain_issue(issue: Issue) -> dict[str, Any]:
    """Return an issue as plain values."""
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
        return None
    return value
