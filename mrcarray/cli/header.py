"""``mrcarray header``: every field with its meaning, and the facts that follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mrcarray.cli.common import dump, each, expand, files, paint, source_of
from mrcarray.describe import Description, describe
from mrcarray.errors import printable
from mrcarray.format.fields import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["header"]

_LABEL = 80
_VALUE = 36


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
        found = describe(source_of(name))
        more = _extended(name) if extended else {}
        if as_json:
            rows.append({**found.to_dict(), "path": printable(name), **({"extended": more} if extended else {})})
            return
        if len(paths) > 1:
            click.echo(f"==> {printable(name)} <==")
        for line in _raw(found) if raw else _lines(found):
            click.echo(line)
        for key, value in more.items():
            click.echo(f"{'extended ' + key:<24}{value}")

    status = each(paths, show)
    if as_json:
        dump(rows)
    return status


def _raw(found: Description) -> Iterator[str]:
    for name in FIELDS:
        value = getattr(found.header, name)
        values = value if isinstance(value, tuple) else (value,)
        yield f"{name} = {' '.join(item.hex() if isinstance(item, bytes) else repr(item) for item in values)}"


def _lines(found: Description) -> Iterator[str]:
    facts = found.facts()
    for name in ("kind", "shape", "dtype", "byteorder", "voxel_size", "origin", "origin_from", "axes"):
        if name in facts:
            yield f"{name.replace('_', ' '):<14}{_text(facts[name])}{_UNITS.get(name, '')}"
    if "data_offset" in facts:
        yield f"{'data':<14}{facts['data_nbytes']} bytes from byte {facts['data_offset']}"
    if facts["extended_nbytes"]:
        kind = facts["extended_type"] or "no type"
        yield f"{'extended':<14}{facts['extended_nbytes']} bytes ({kind})"
    for issue in found.issues:
        colour = {"error": "red", "warning": "yellow"}.get(str(issue.severity), "cyan")
        yield f"{paint(str(issue.severity), colour)}: {printable(issue)}"
    yield ""
    yield f"{'word':<5} {'field':<9} {'value':<{_VALUE}} {'unit':<9} meaning"
    for row in FIELDS.values():
        if row.name != "labels":
            value = _text(found.fields()[row.name])
            value = value if len(value) < _VALUE else value[: _VALUE - 3] + "..."
            yield f"{row.word:>4}  {row.name:<9} {value:<{_VALUE}} {row.unit:<9} {row.doc}"
    for number, label in enumerate(facts["labels"], 1):
        yield f"label {number:<2} {label[:_LABEL]}"


_UNITS = {"voxel_size": " angstrom", "origin": " angstrom"}


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else printable(value)


def _extended(name: str) -> dict[str, Any]:
    from mrcarray.format import extended
    from mrcarray.reader import open_file

    mrc = open_file(source_of(name), permissive=True)
    found = extended.decode(mrc.extended, extended.Facts.of(mrc.header))
    facts: dict[str, Any] = {"dialect": found.dialect.name if found.dialect is not None else "none"}
    if found.records is not None:
        facts["records"] = len(found.records)
        for key, column in found.records.columns().items():
            values = column.values
            facts[key] = [printable(value) for value in values[:5].tolist()] + (["..."] if len(values) > 5 else [])  # noqa: PLR2004 -- enough to see
    return facts
