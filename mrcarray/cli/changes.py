"""Output of ``fix``, ``edit`` and ``undo``: the header fields and bytes that change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mrcarray.cli.output import paint, plain, shown
from mrcarray.repair.model import value_text

if TYPE_CHECKING:
    from collections import Counter

    from mrcarray.cli.json_rows import Rows
    from mrcarray.repair import Repair

__all__ = ["show"]

_BYTES = 12
"""Bytes of a field that are shown."""


def show(name: str, repair: Repair, rows: Rows | None, totals: Counter[str]) -> None:
    """Print what a repair changes, as text or as a row of a JSON list, and count whether it changes anything."""
    totals[("to change" if repair.dry_run else "changed") if repair.changes else "unchanged"] += 1
    if rows is not None:
        rows.found(name, repair.to_dict())
    else:
        _print(name, repair)


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
