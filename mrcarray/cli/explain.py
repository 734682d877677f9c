"""``mrcarray header FILE...`` without click, whose import takes longer than everything else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mrcarray.analysis.header_report import header_report
from mrcarray.cli.output import each, paint, shown
from mrcarray.urls import redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mrcarray.analysis.header_report import HeaderReport

__all__ = ["explain", "lines"]


def explain(names: Sequence[str]) -> int:
    """Print the headers of files, and return the exit status."""

    def show(name: str) -> None:
        report = header_report(name)
        title = [f"==> {shown(name)} <=="] if len(names) > 1 else []
        sys.stdout.write("\n".join([*title, *lines(report)]) + "\n")

    return each(names, show)


def lines(report: HeaderReport) -> Iterator[str]:
    """Yield the lines of a header report for this terminal."""
    return (redact(line) for line in report.lines(command=True, paint=paint))
