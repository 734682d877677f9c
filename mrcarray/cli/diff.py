"""``mrcarray diff``: compare two files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from mrcarray.cli.common import PATH, Quit, as_json, fail, source_of
from mrcarray.errors import printable
from mrcarray.urls import public_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mrcarray.analysis.compare import Difference, ExtendedDifference

__all__ = ["diff"]


@click.command()
@click.argument("a", type=PATH)
@click.argument("b", type=PATH)
@click.option("--rtol", type=click.FloatRange(0), default=0.0, help="Relative tolerance of pixels.")
@click.option("--atol", type=click.FloatRange(0), default=0.0, help="Absolute tolerance of pixels.")
@click.option(
    "--ignore", multiple=True, metavar="FIELD", help="Header fields that may differ; extended is the extended header."
)
@click.option("--header", "header_only", is_flag=True, help="Compare the headers only.")
@click.option("--json", "form", flag_value="json", help="Print JSON, one object.")
@click.option("-q", "--quiet", "form", flag_value="quiet", help="Print nothing.")
def diff(a: str, b: str, ignore: tuple[str, ...], form: str | None, **options: Any) -> None:
    """Compare header words, extended headers and pixels of two files.

    Exit status: 0 they are the same, 1 they differ, 2 one cannot be read.

    \b
    mrcarray diff --ignore labels,extended --rtol 1e-6 old.mrc new.mrc
    mrcarray diff --json old.mrc new.mrc
    """
    from mrcarray.analysis.compare import diff as compare

    if a == b == "-":
        raise click.UsageError("standard input can be read once only", click.get_current_context())
    fields = tuple(field.strip() for item in ignore for field in item.split(",") if field.strip())
    try:
        found = compare(source_of(a), source_of(b), ignore=fields, **options)
    except (OSError, ValueError, MemoryError) as error:
        path = getattr(error, "path", None) or getattr(error, "filename", None)
        fail(next((name for name in (a, b) if path and _same(name, path)), str(path or "")), error)
        raise Quit(2) from None
    if form == "json":
        click.echo(as_json({"a": public_name(a), "b": public_name(b), **found.to_dict()}))
    elif form is None:
        for line in _lines(found):
            click.echo(line)
    raise Quit(0 if found.same else 1)


def _lines(found: Difference) -> Iterator[str]:
    for name, (one, two) in found.words.items():
        yield f"{name}: {_value(one)} | {_value(two)}"
    if found.extended is not None:
        yield from _extended_lines(found.extended)
    if found.shapes:
        yield f"shape: {found.shapes[0]} | {found.shapes[1]}"
    if found.pixels:
        yield f"pixels: {found.pixels} of {found.compared} differ, by up to {found.largest:g}"


def _extended_lines(found: ExtendedDifference) -> Iterator[str]:
    if found.nbytes[0] != found.nbytes[1] or found.dialects[0] != found.dialects[1]:
        whats = (
            f"{name}, {size} bytes" if name is not None else "none"
            for name, size in zip(found.dialects, found.nbytes, strict=True)
        )
        yield f"extended header: {' | '.join(whats)}"
    if found.differ:
        yield f"extended header: {found.differ} of {min(found.nbytes)} bytes differ"
    if found.records[0] != found.records[1]:
        yield f"extended records: {found.records[0]} | {found.records[1]}"
    for name, column in found.columns.items():
        unit = f" [{column.unit}]" if column.unit else ""
        more = f" and {len(column.sections) - 1} more" if len(column.sections) > 1 else ""
        values = " | ".join("nothing" if value is None else _value(value) for value in (column.a[0], column.b[0]))
        yield f"extended {name}{unit}: {values} (record {column.sections[0]}{more})"


def _same(name: str, path: str) -> bool:
    return os.path.abspath(name) == os.path.abspath(path)  # noqa: PTH100 -- names need not be text


def _value(value: Any) -> str:
    if isinstance(value, tuple) and value and isinstance(value[0], bytes):
        return "; ".join(printable(item.rstrip(b"\0 ").decode("latin-1")) for item in value if item.strip(b"\0 "))
    return printable(value)
