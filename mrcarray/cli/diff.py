"""``mrcarray diff``: compare two files."""

from __future__ import annotations

import os
from typing import Any

import click

from mrcarray.cli.common import PATH, Quit, fail, source_of
from mrcarray.errors import printable

__all__ = ["diff"]


@click.command()
@click.argument("a", type=PATH)
@click.argument("b", type=PATH)
@click.option("--rtol", type=click.FloatRange(0), default=0.0, help="Relative tolerance of pixels.")
@click.option("--atol", type=click.FloatRange(0), default=0.0, help="Absolute tolerance of pixels.")
@click.option("--ignore", multiple=True, metavar="FIELD", help="Header fields that may differ.")
@click.option("--header", "header_only", is_flag=True, help="Compare the headers only.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing.")
def diff(a: str, b: str, ignore: tuple[str, ...], quiet: bool, **options: Any) -> None:  # noqa: FBT001 -- click's
    """Compare header words and pixels of two files.

    Exit status: 0 they are the same, 1 they differ, 2 one cannot be read.

    \b
    mrcarray diff --ignore labels --rtol 1e-6 old.mrc new.mrc
    """
    from mrcarray.compare import diff as compare

    if a == b == "-":
        raise click.UsageError("standard input can be read once only", click.get_current_context())
    fields = tuple(field.strip() for item in ignore for field in item.split(",") if field.strip())
    try:
        found = compare(source_of(a), source_of(b), ignore=fields, **options)
    except (OSError, ValueError, MemoryError) as error:
        path = getattr(error, "path", None) or getattr(error, "filename", None)
        fail(next((name for name in (a, b) if path and _same(name, path)), str(path or "")), error)
        raise Quit(2) from None
    if not quiet:
        for name, (one, two) in found.words.items():
            click.echo(f"{name}: {_value(one)} | {_value(two)}")
        if found.shapes:
            click.echo(f"shape: {found.shapes[0]} | {found.shapes[1]}")
        if found.pixels:
            click.echo(f"pixels: {found.pixels} of {found.compared} differ, by up to {found.largest:g}")
    raise Quit(0 if found.same else 1)


def _same(name: str, path: str) -> bool:
    return os.path.abspath(name) == os.path.abspath(path)  # noqa: PTH100 -- names need not be text


def _value(value: Any) -> str:
    if isinstance(value, tuple) and value and isinstance(value[0], bytes):
        return "; ".join(printable(item.rstrip(b"\0 ").decode("latin-1")) for item in value if item.strip(b"\0 "))
    return printable(value)
