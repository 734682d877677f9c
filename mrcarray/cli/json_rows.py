"""JSON output: a list with one object per file, printed while it is computed."""

from __future__ import annotations

import json
from textwrap import indent
from typing import TYPE_CHECKING, Any

import click

from mrcarray.cli.output import each
from mrcarray.urls import public_name

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["Rows", "as_json", "dump", "run_each"]


class Rows:
    """A JSON list with one object per file, each printed as soon as it is known."""

    def __init__(self) -> None:
        self._mark = "["

    def add(self, value: Any) -> None:
        """Print one more value."""
        click.echo(f"{self._mark}\n{indent(as_json(value), '  ')}", nl=False)
        self._mark = ","

    def found(self, path: str, row: Mapping[str, Any]) -> None:
        """Print the result of a file."""
        self.add({"path": public_name(path), "error": None, **{key: row[key] for key in row if key != "path"}})

    def failed(self, path: str, reason: str) -> None:
        """Print why a file could not be processed."""
        self.add({"path": public_name(path), "error": reason})

    def end(self) -> None:
        """Close the list."""
        click.echo("[]" if self._mark == "[" else "\n]")


def dump(values: Iterable[Any]) -> None:
    """Print values as a JSON list, each as soon as it is known."""
    rows = Rows()
    for value in values:
        rows.add(value)
    rows.end()


def run_each(
    paths: Sequence[str],
    work: Callable[[str, Rows | None], int | None],
    *,
    as_json: bool,
    totals: Counter[str] | None = None,
) -> int:
    """Call a function with each file and the JSON list to print to (or None), and return the worst exit status.

    In `totals`, in which the function may count files by result, those with an error are counted.
    """
    rows = Rows() if as_json else None

    def failed(name: str, reason: str) -> None:
        if totals is not None:
            totals["failed"] += 1
        if rows is not None:
            rows.failed(name, reason)

    status = each(paths, lambda name: work(name, rows), failed)
    if rows is not None:
        rows.end()
    return status


def as_json(value: Any) -> str:
    """Return a value as JSON in ASCII, so that no control character of a name or a file reaches a terminal.

    Numbers that are not finite become null, because JSON has none.
    """
    return json.dumps(_finite(value), ensure_ascii=True, indent=2)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and value - value != 0 else value
