"""Output of ``fix``, ``edit`` and ``undo``: the header fields and bytes that change."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from mrcarray.cli.json_rows import run_each
from mrcarray.cli.output import paint, plain, print_totals, shown
from mrcarray.repair.model import value_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mrcarray.cli.json_rows import Rows
    from mrcarray.repair import Repair

__all__ = ["change_each"]

_BYTES = 12
"""Bytes of a field that are shown."""


def change_each(paths: Sequence[str], change: Callable[[str], Repair], *, as_json: bool, complete: bool = False) -> int:
    """Change each file, print what changes and then how many changed; return the exit status.

    It is 2 if a file could not be changed, and with `complete` 1 if errors are left in one.
    """
    totals = Counter[str]()

    def work(name: str, rows: Rows | None) -> int:
        repair = change(name)
        totals[("to change" if repair.dry_run else "changed") if repair.changes else "unchanged"] += 1
        if rows is not None:
            rows.found(name, repair.to_dict())
        else:
            _print(name, repair)
        return int(complete and any(issue.is_error for issue in repair.left))

    status = run_each(paths, work, as_json=as_json, totals=totals)
    print_totals(totals)
    return status


def _print(name: str, repair: Repair) -> None:
    click.echo(f"{shown(name)}: {repair.title}")
    for change in repair.changes:
        click.echo(f"  word {change.word} ({change.name}): {value_text(change.before)} -> {value_text(change.after)}")
        click.echo(
            f"    byte {change.offset}: {paint(_bytes(change.old), 'red')} -> {paint(_bytes(change.new), 'green')}"
        )
    for ask in repair.asks:
        click.echo(f"  not repaired: {plain(ask.sentence(command=True))}")
    for issue in repair.left:
        click.echo(f"  left: {issue.severity}: {plain(issue.sentence(command=True))}")


def _bytes(raw: bytes) -> str:
    return raw[:_BYTES].hex(" ") + (" ..." if len(raw) > _BYTES else "")
