"""``mrcarray header``: every field with its meaning, and the facts that follow."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from mrcarray.cli.common import dump, each, expand, files, source_of
from mrcarray.cli.explain import lines, raw_lines
from mrcarray.describe import describe
from mrcarray.errors import printable

__all__ = ["header"]


@click.command()
@files()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, a list with an object for each file.")
@click.option("--raw", is_flag=True, help="Print the fields alone, bytes as hexadecimal digits.")
@click.option("--extended", is_flag=True, help="Show what the extended header holds, too.")
def header(names: tuple[str, ...], as_json: bool, raw: bool, extended: bool) -> int:  # noqa: FBT001 -- click's
    """Explain the header of files.

    \b
    mrcarray header tomo.mrc
    mrcarray header --json *.mrc | jq '.[].voxel_size'
    """
    rows: list[dict[str, Any]] = []
    paths = list(expand(names))

    def show(name: str) -> None:
        source = _whole(name) if extended else source_of(name)
        found = describe(source)
        more = _extended(source) if extended else {}
        if as_json:
            rows.append({**found.to_dict(), "path": name, **({"extended": more} if extended else {})})
            return
        if len(paths) > 1:
            click.echo(f"==> {printable(name)} <==")
        for line in raw_lines(found) if raw else lines(found):
            click.echo(line)
        for key, value in more.items():
            click.echo(f"{'extended ' + key:<24}{value}")

    status = each(paths, show)
    if as_json:
        dump(rows)
    return status


def _whole(name: str) -> Any:
    """Return what can be opened twice: the bytes of a stream, or else the name."""
    if name == "-":
        return sys.stdin.buffer.read()
    return Path(name).read_bytes() if os.path.exists(name) and not os.path.isfile(name) else name  # noqa: PTH110, PTH113 -- names may be URLs


def _extended(source: Any) -> dict[str, Any]:
    from mrcarray.format import extended
    from mrcarray.reader import open_file

    mrc = open_file(source, permissive=True)
    found = extended.decode(mrc.extended, extended.Facts.of(mrc.header))
    facts: dict[str, Any] = {"dialect": found.dialect.name if found.dialect is not None else "none"}
    if found.records is not None:
        facts["records"] = len(found.records)
        for key, column in found.records.columns().items():
            values = column.values
            facts[key] = [printable(value) for value in values[:5].tolist()] + (["..."] if len(values) > 5 else [])  # noqa: PLR2004 -- enough to see
    return facts
