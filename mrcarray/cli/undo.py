"""``mrcarray undo``: take back the last change of a header."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mrcarray.cli.changes import show
from mrcarray.cli.common import expand, files, json_option, one_output, run_each

if TYPE_CHECKING:
    from mrcarray.cli.common import Rows

__all__ = ["undo"]


@click.command()
@files()
@click.option("-n", "--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@json_option()
def undo(names: tuple[str, ...], dry_run: bool, as_json: bool) -> int:  # noqa: FBT001 -- click's signature
    """Take back the last fix or edit of each file; call it again for the one before.

    \b
    mrcarray undo tomo.mrc
    """
    from mrcarray.repair import undo as take_back

    paths = list(expand(names))
    one_output(None, paths)

    def work(name: str, rows: Rows | None) -> None:
        show(name, take_back(name, dry_run=dry_run), rows, dry_run=dry_run)

    return run_each(paths, work, as_json=as_json)
