"""``mrcarray header``: explain the header of files."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mrcarray.analysis.header_report import header_report
from mrcarray.cli.explain import lines
from mrcarray.cli.help import Command
from mrcarray.cli.json_rows import run_each
from mrcarray.cli.names import expand, source_of
from mrcarray.cli.options import files, json_option, kind_option
from mrcarray.cli.output import shown
from mrcarray.errors import printable
from mrcarray.format.fields import HEADER_NBYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mrcarray.cli.json_rows import Rows

__all__ = ["header"]

_BYTES_A_LINE = 32

_SHOWN = 5
"""Values of a field that are shown as text; JSON contains all of them."""


@click.command(cls=Command)
@files()
@json_option()
@click.option("--raw", is_flag=True, help="Print the stored values of the fields only, bytes as hexadecimal digits.")
@click.option("--extended", is_flag=True, help="Also show the contents of the extended header.")
@click.option(
    "--bytes", "as_bytes", is_flag=True, help="Print the 1024 bytes of the header as hexadecimal digits, for a report."
)
@kind_option()
def header(  # noqa: PLR0913 -- an option each
    names: tuple[str, ...], *, as_json: bool, raw: bool, extended: bool, as_bytes: bool, kind: str | None
) -> int:
    """Explain the header of files: kind, shape, position, problems, and every field with its meaning.

    \b
    mrcarray header tomo.mrc
    mrcarray header --json *.mrc | jq '.[].voxel_size'
    mrcarray header --extended tilts.st
    mrcarray header --bytes tomo.mrc > header.txt
    """
    if as_bytes and (as_json or raw or extended):
        raise click.UsageError("--bytes prints nothing else: leave out --json, --raw and --extended")
    paths = list(expand(names))

    def show(name: str, rows: Rows | None) -> None:
        if as_bytes:
            click.echo(_hexadecimal(source_of(name)))
            return
        source = _whole(name) if extended else source_of(name)
        found = header_report(source, kind=kind or "auto")
        more = _extended(source) if extended else None
        if rows is not None:
            rows.found(name, {**found.to_dict(), **({"extended": more} if more is not None else {})})
            return
        if len(paths) > 1:
            click.echo(f"==> {shown(name)} <==")
        for line in (
            *(found.raw_lines() if raw else lines(found)),
            *(_extended_lines(more) if more is not None else ()),
        ):
            click.echo(line)

    return run_each(paths, show, as_json=as_json)


def _hexadecimal(source: Any) -> str:
    """Return the header of any file, MRC or not, as lines of 32 bytes; ``bytes.fromhex`` reads them."""
    from mrcarray.storage import open_source

    return bytes(open_source(source).read(0, HEADER_NBYTES)).hex("\n", -_BYTES_A_LINE)


def _whole(name: str) -> Any:
    """Return something that can be opened twice: the bytes of a stream, otherwise the name."""
    if name == "-":
        return sys.stdin.buffer.read()
    return Path(name).read_bytes() if os.path.exists(name) and not os.path.isfile(name) else name  # noqa: PTH110, PTH113 -- names may be URLs


def _extended(source: Any) -> dict[str, Any]:
    from mrcarray.format.extended import explained
    from mrcarray.reader import examine

    return explained(examine(source).decoded)


def _extended_lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each field of an extended header, with its unit and its first values."""
    yield ""
    if found["dialect"] is None:
        yield "extended header: none"
        return
    records = f", {found['records']} record{'s' if found['records'] != 1 else ''}" if found["records"] else ""
    yield f"extended header: {found['dialect']} ({found['title']}), {found['nbytes']} bytes{records}"
    columns = found["columns"]
    width, units = (max(map(len, texts), default=0) for texts in (columns, (row["unit"] for row in columns.values())))
    for name, row in columns.items():
        yield f"{name:<{width}}  {row['unit']:<{units}}  {_values(row['values'])}"
    for number, operator in enumerate(found["operators"], 1):
        yield f"operator {number:<3} {printable(operator)}"


def _values(values: list[Any]) -> str:
    shown = (
        "?" if value is None else f"{value:g}" if isinstance(value, float) else printable(value) for value in values
    )
    more = f" ... {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return ", ".join(itertools.islice(shown, _SHOWN)) + more
