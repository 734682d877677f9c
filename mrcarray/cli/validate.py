"""``mrcarray validate``: check files, with issues as text, JSON or SARIF."""

from __future__ import annotations

import os
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from mrcarray.cli.file_progress import file_shares
from mrcarray.cli.help import Command
from mrcarray.cli.json_rows import dump
from mrcarray.cli.names import expand
from mrcarray.cli.options import (
    files,
    jobs_option,
    kind_option,
    parse_codes,
    progress_option,
    recursive_option,
)
from mrcarray.cli.output import Quit, fail, paint, plain, print_totals
from mrcarray.cli.sarif import print_sarif
from mrcarray.errors import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from mrcarray.validation import Report

__all__ = ["validate"]

_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


@click.command(cls=Command)
@files()
@click.option(
    "--profile",
    type=click.Choice(["mrc2014", "strict", "emdb", "imod", "relion"]),
    default="mrc2014",
    show_default=True,
    help="Rule set to check against.",
)
@click.option(
    "--level",
    type=click.Choice(["full", "header"]),
    default="full",
    show_default=True,
    help="Read the whole file, or only its headers.",
)
@click.option(
    "--select",
    multiple=True,
    callback=parse_codes,
    help="Show only these codes or prefixes of codes, such as MRC1,MRC504.",
)
@click.option("--ignore", multiple=True, callback=parse_codes, help="Ignore these codes or prefixes of codes.")
@click.option(
    "--fail-on",
    type=click.Choice(["note", "warning", "error"]),
    default="error",
    show_default=True,
    help="Lowest severity that makes a file invalid.",
)
@kind_option()
@click.option("--json", "form", flag_value="json", help="Print a JSON list with one object per file.")
@click.option("--sarif", "form", flag_value="sarif", help="Print SARIF 2.1.0, for GitHub, GitLab and editors.")
@click.option("--same-grid", is_flag=True, help="Also check that all files have the grid of the first file.")
@recursive_option()
@jobs_option()
@progress_option()
@click.option("-q", "--quiet", is_flag=True, help="Print only files with warnings or errors.")
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
    progress: Any,
    quiet: bool,
) -> int:
    """Check files against a set of rules.

    A dash reads a list of names from standard input, one per line or separated by zero bytes. Exit status: 0 all
    files are valid, 1 a file is invalid, 2 a file could not be read.

    \b
    mrcarray validate *.mrc
    mrcarray validate --profile emdb --same-grid map.mrc half1.mrc half2.mrc
    find . -name '*.mrc' -print0 | mrcarray validate --level header --json -
    """
    import mrcarray

    paths = list(expand(names, recursive=recursive, list_on_stdin=True))
    if not paths:
        raise click.UsageError("no files found", click.get_current_context())
    workers = jobs or max(1, min(8, os.cpu_count() or 1))
    inner = workers if len(paths) == 1 else 1

    stop = threading.Event()
    with file_shares(paths, "validating", shown=progress) as share_of:

        def check(path: str) -> Report:
            share = share_of(path)

            def tick(count: int) -> None:
                if stop.is_set():
                    raise KeyboardInterrupt
                share.add(count)

            report = mrcarray.check(
                path, profile=profile, level=level, kind=kind or "auto", threads=inner, progress=tick
            )
            share.end()
            return report.select(select, ignore)

        status, counts = 0, [0, 0, 0]
        first: Report | None = None

        def judged(reports: Iterable[Report]) -> Iterator[Report]:
            nonlocal status, first
            for found in reports:
                first = first or (found if "origin" in found.facts else None)
                report = _on_grid(found, first or found).select(select, ignore) if same_grid else found
                one = int(bool(report.at_least(fail_on))) if report.readable else 2
                status, counts[one] = max(status, one), counts[one] + 1
                yield report

        with closing(_in_order(check, paths, workers if len(paths) > 1 else 1, stop)) as reports:
            if form == "json":
                dump(report.to_dict() for report in judged(reports))
            elif form == "sarif":
                print_sarif(judged(reports))
            else:
                for report in judged(reports):
                    _print(report, fail_on, quiet=quiet)
    print_totals(dict(zip(("valid", "invalid", "unreadable"), counts, strict=True)), shown=progress)
    raise Quit(status)


def _in_order(
    work: Callable[[str], Report], paths: list[str], workers: int, stop: threading.Event
) -> Generator[Report]:
    """Yield results in the order of the input, a bounded number of files ahead; set `stop` at the end."""
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
    """Add the differences from the grid of the first file that has one; files of other formats are left out."""
    from dataclasses import replace

    from mrcarray.analysis.compare import grid_differences

    located = "origin" in report.facts
    foreign = any(issue.code.startswith("MRC9") for issue in report.issues)
    if not report.readable or (report is first and located) or (foreign and not located):
        return report
    found = grid_differences(printable(first.path), first.facts, report.facts)
    return replace(report, issues=(*report.issues, *found))


def _print(report: Report, fail_on: str, *, quiet: bool) -> None:
    name = printable(report.path)
    if not report.readable:
        reason = report.issues[0].message if report.issues else "cannot be read"
        hint = "; use -r to search it" if os.path.isdir(report.path) else ""  # noqa: PTH112 -- names may be bytes that are not text
        fail(report.path, reason + hint)
        return
    bad = bool(report.at_least(fail_on))
    listed = [issue for issue in report.issues if str(issue.severity) != "note" or fail_on == "note"]
    if listed or not quiet:
        click.echo(f"{name}: {paint('invalid', 'red') if bad else paint('valid', 'green')}")
    for issue in listed:
        severity = paint(str(issue.severity), _COLOURS[str(issue.severity)])
        click.echo(f"  {severity}: {plain(issue.sentence(command=True))}")
        if advice := report.repair_of(issue):
            click.echo(f"    repair: {advice}")
