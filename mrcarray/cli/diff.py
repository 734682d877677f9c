"""``mrcarray diff``: compare two files."""

from __future__ import annotations

import os
from typing import Any

import click

from mrcarray.cli.help import Command
from mrcarray.cli.json_rows import as_json
from mrcarray.cli.names import source_of
from mrcarray.cli.options import PATH
from mrcarray.cli.output import Quit, fail
from mrcarray.urls import public_name

__all__ = ["diff"]


@click.command(cls=Command)
@click.argument("a", type=PATH)
@click.argument("b", type=PATH)
@click.option(
    "--rtol", type=click.FloatRange(0), default=0.0, show_default=True, help="Relative tolerance for pixel values."
)
@click.option(
    "--atol", type=click.FloatRange(0), default=0.0, show_default=True, help="Absolute tolerance for pixel values."
)
@click.option(
    "--ignore",
    multiple=True,
    metavar="FIELD",
    help="Do not compare this header field, or 'extended' for the extended header; may be repeated.",
)
@click.option("--header", "header_only", is_flag=True, help="Compare the headers only.")
@click.option("--json", "form", flag_value="json", help="Print one JSON object.")
@click.option("-q", "--quiet", "form", flag_value="quiet", help="Print nothing; only set the exit status.")
def diff(a: str, b: str, ignore: tuple[str, ...], form: str | None, **options: Any) -> None:
    """Compare the header fields, extended headers and pixels of two files.

    Exit status: 0 the files are the same, 1 they differ, 2 a file cannot be read.

    \b
    mrcarray diff --ignore labels,extended --rtol 1e-6 old.mrc new.mrc
    mrcarray diff --json old.mrc new.mrc
    """
    import mrcarray

    if a == b == "-":
        raise click.UsageError("standard input can only be read once", click.get_current_context())
    fields = tuple(field.strip() for item in ignore for field in item.split(",") if field.strip())
    try:
        found = mrcarray.diff(source_of(a), source_of(b), ignore=fields, **options)
    except (OSError, ValueError, MemoryError) as error:
        path = getattr(error, "path", None) or getattr(error, "filename", None)
        same = (name for name in (a, b) if path and os.path.abspath(name) == os.path.abspath(path))  # noqa: PTH100 -- names need not be text
        fail(next(same, str(path or "")), error)
        raise Quit(2) from None
    if form == "json":
        click.echo(as_json({"a": public_name(a), "b": public_name(b), **found.to_dict()}))
    elif form is None:
        for line in found.lines():
            click.echo(line)
    raise Quit(0 if found.same else 1)
