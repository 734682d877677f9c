"""``mrcarray validate``: findings as text, JSON or SARIF."""

from __future__ import annotations

import os
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from mrcarray.cli.common import Quit, as_json, dump, expand, fail, files, kind_option, paint, parse_codes, plain
from mrcarray.cli.progress import bar
from mrcarray.errors import printable
from mrcarray.urls import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from mrcarray.format.issues import Issue
    from mrcarray.validation import Report

__all__ = ["sarif", "validate"]

_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


@click.command()
@files()
@click.option(
    "--profile",
    type=click.Choice(["mrc2014", "strict", "emdb", "imod", "relion"]),
    default="mrc2014",
    help="Whose rules.",
)
@click.option(
    "--level", type=click.Choice(["full", "header"]), default="full", help="Read the pixels, or headers only."
)
@click.option("--select", multiple=True, callback=parse_codes, help="Show findings of these codes only (MRC1,MRC504).")
@click.option("--ignore", multiple=True, callback=parse_codes, help="Leave out findings of these codes.")
@click.option(
    "--fail-on", type=click.Choice(["note", "warning", "error"]), default="error", help="What makes a file invalid."
)
@kind_option()
@click.option("--json", "form", flag_value="json", help="Print JSON, a list with an object for each file.")
@click.option("--sarif", "form", flag_value="sarif", help="Print SARIF 2.1, as code forges read it.")
@click.option("--same-grid", is_flag=True, help="Also require one grid: that of the first file that has one.")
@click.option("-r", "--recursive", is_flag=True, help="Look for MRC files in folders.")
@click.option("-j", "--jobs", type=click.IntRange(1), help="Threads; by default one a processor.")
@click.option("--progress", is_flag=True, help="Show a progress bar on standard error.")
@click.option("-q", "--quiet", is_flag=True, help="Print files with findings only.")
def validate(  # noqa: PLR0913 -- the command's options
    names: tuple[str, ...],
    *,
    profile: str,
    level: Any,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    fail_on: str,
    kind: str | None,
    form: str | None,
    same_grid: bool,
    recursive: bool,
    jobs: int | None,
    progress: bool,
    quiet: bool,
) -> int:
    """Check files against the rules of the format.

    A dash stands for a list of names on standard input, one a line or separated by zero bytes. Exit status: 0 valid, 1
    findings at or above --fail-on, 2 a file could not be read.

    \b
    mrcarray validate *.mrc
    mrcarray validate --profile emdb --same-grid map.mrc half1.mrc half2.mrc
    find . -name '*.mrc' -print0 | mrcarray validate --level header --json -
    """
    from mrcarray.validation import validate as check

    paths = list(expand(names, recursive=recursive, list_on_stdin=True))
    if not paths:
        raise click.UsageError("no files were found", click.get_current_context())
    workers = jobs or max(1, min(8, os.cpu_count() or 1))
    inner = workers if len(paths) == 1 else 1

    stop = threading.Event()
    with bar(paths, shown=progress) as share_of:

        def look(path: str) -> Report:
            share = share_of(path)

            def tick(count: int) -> None:
                if stop.is_set():
                    raise KeyboardInterrupt
                share.add(count)

            report = check(path, profile=profile, level=level, kind=kind or "auto", threads=inner, progress=tick)
            share.end()
            return report.select(select, ignore)

        status = 0
        first: Report | None = None

        def judged(reports: Iterable[Report]) -> Iterator[Report]:
            nonlocal status, first
            for found in reports:
                first = first or (found if "origin" in found.facts else None)
                report = _on_grid(found, first or found).select(select, ignore) if same_grid else found
                status = max(status, _status(report, fail_on))
                yield report

        with closing(_in_order(look, paths, workers if len(paths) > 1 else 1, stop)) as reports:
            if form == "json":
                dump(report.to_dict() for report in judged(reports))
            elif form == "sarif":
                _print_sarif(judged(reports))
            else:
                for report in judged(reports):
                    _print(report, fail_on, quiet=quiet)
    raise Quit(status)


def _in_order(
    work: Callable[[str], Report], paths: list[str], workers: int, stop: threading.Event
) -> Generator[Report]:
    """Yield results in the order of the input, a bounded number of files ahead; set `stop` when no more are wanted."""
    if workers == 1:
        yield from map(work, paths)
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Any] = deque()
        try:
            for path in paths:
                waiting.append(pool.submit(work, path))
                if len(waiting) >= 4 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)


def _on_grid(report: Report, first: Report) -> Report:
    """Add what keeps a file from the grid of the first one that has a grid; what is no MRC file is not asked."""
    from dataclasses import replace

    from mrcarray.analysis.compare import grid_differences

    located = "origin" in report.facts
    foreign = any(issue.code.startswith("MRC9") for issue in report.issues)
    if not report.readable or (report is first and located) or (foreign and not located):
        return report
    found = grid_differences(printable(first.path), first.facts, report.facts)
    return replace(report, issues=(*report.issues, *found))


def _status(report: Report, fail_on: str) -> int:
    if not report.readable:
        return 2
    return 1 if report.at_least(fail_on) else 0


def _print(report: Report, fail_on: str, *, quiet: bool) -> None:
    name = printable(report.path)
    if not report.readable:
        reason = report.issues[0].message if report.issues else "cannot be read"
        hint = "; -r looks for files in it" if os.path.isdir(report.path) else ""  # noqa: PTH112 -- see common
        fail(report.path, reason + hint)
        return
    bad = bool(report.at_least(fail_on))
    listed = [issue for issue in report.issues if str(issue.severity) != "note" or fail_on == "note"]
    if listed or not quiet:
        click.echo(f"{name}: {paint('invalid', 'red') if bad else paint('valid', 'green')}")
    for issue in listed:
        severity = paint(str(issue.severity), _COLOURS[str(issue.severity)])
        click.echo(f"  {severity}: {plain(issue.sentence(command=True))}")
        if advice := _advice(issue.code):
            click.echo(f"    repair: {advice}")


def _advice(code: str) -> str:
    from mrcarray.validation.checks import CHECKS

    return CHECKS[code].repair if code in CHECKS else ""


def sarif(reports: Iterable[Report]) -> dict[str, Any]:
    """Return findings as a SARIF 2.1.0 log."""
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


def _print_sarif(reports: Iterable[Report]) -> None:
    """Print a log whose results come one by one: what stands before and after them is that of one without any."""
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
    """Return a name as a reference of RFC 3986; in a URL what separates its parts stays."""
    from urllib.parse import quote

    return quote(os.fsencode(path), safe=":/%~,;=+@" if is_url(path) else "/")
