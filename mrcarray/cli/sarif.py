"""Issues as SARIF 2.1.0, the format that GitHub, GitLab and editors read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from mrcarray.cli.json_rows import as_json, dump
from mrcarray.urls import is_url

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mrcarray.format.issues import Issue
    from mrcarray.validation import Report

__all__ = ["print_sarif", "sarif"]


def sarif(reports: Iterable[Report]) -> dict[str, Any]:
    """Return the issues of reports as a SARIF log."""
    import mrcarray
    from mrcarray.validation.checks import CHECKS

    rules = [
        {
            "id": row.code,
            "shortDescription": {"text": row.doc},
            "help": {"text": row.repair},
            "defaultConfiguration": {"level": str(row.severity)},
        }
        for row in CHECKS.values()
    ]
    results = [_result(report, issue) for report in reports for issue in report.issues]
    tool = {"driver": {"name": "mrcarray", "version": mrcarray.__version__, "rules": rules}}
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return {"$schema": schema, "version": "2.1.0", "runs": [{"tool": tool, "results": results}]}


def print_sarif(reports: Iterable[Report]) -> None:
    """Print a SARIF log, each result as soon as it is known, inside the text of a log without results."""
    before, _, after = as_json(sarif(())).rpartition("[]")
    click.echo(before, nl=False)
    dump(_result(report, issue) for report in reports for issue in report.issues)
    click.echo(after.lstrip("\n"))


def _result(report: Report, issue: Issue) -> dict[str, Any]:
    return {
        "ruleId": issue.code,
        "level": str(issue.severity),
        "message": {"text": issue.message},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(report.path)}}}],
    }


def _uri(path: str) -> str:
    """Return a name as a reference of RFC 3986; the separators of a URL are kept."""
    from urllib.parse import quote

    return quote(os.fsencode(path), safe=":/%~,;=+@" if is_url(path) else "/")
