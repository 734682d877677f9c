"""Output of ``fix``, ``edit`` and ``undo``: the header fields and bytes that change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mrcarray.cli.output import paint, plain, shown

if TYPE_CHECKING:
    from mrcarray.cli.json_rows import Rows
    from mrcarray.repair import Repair

__all__ = ["show"]

_BYTES = 12
"""Bytes of a field that are shown."""


def show(name: str, repair: Repair, rows: Rows | None, *, dry_run: bool) -> None:
    """Print what a repair changes, as text or as a row of a JSON list."""
    if rows is not None:
        rows.found(name, {"dry_run": dry_run, **repair.to_dict()})
    else:
        _print(name, repair, dry_run=dry_run)


def _print(name: str, repair: Repair, *, dry_run: bool) -> None:
    changes = repair.changes
    verb = "would change" if dry_run else "changed"
    count = f"{len(changes)} word{'s' if len(changes) != 1 else ''}"
    click.echo(f"{shown(name)}: {f'{verb} {count}' if changes else 'nothing to change'}")
    for change in changes:
        click.echo(f"  word {change.word} ({change.name}): {_value(change.before)} -> {_value(change.after)}")
        click.echo(
            f"    byte {change.offset}: {paint(_bytes(change.old), 'red')} -> {paint(_bytes(change.new), 'green')}"
        )
    for ask in repair.asks:
        click.echo(f"  not repaired: {plain(ask.sentence(command=True))}")
    for issue in repair.left:
        click.echo(f"  left: {issue.severity}: {plain(issue.sentence(command=True))}")


def _bytes(raw: bytes) -> str:
    return raw[:_BYTES].hex(" ") + (" ..." if len(raw) > _BYTES else "")


def _value(value: Any) -> str:
    if isinstance(value, bytes):
        return ascii(value.rstrip(b"\0 ") if len(value) > 4 else value)[1:]  # noqa: PLR2004 -- labels are padded
    return f"{value:.7g}" if isinstance(value, float) else str(value)
