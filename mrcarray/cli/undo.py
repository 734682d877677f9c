"""``mrcarray undo``: take back the last change of a header."""

from __future__ import annotations

import click

from mrcarray.cli.changes import show
from mrcarray.cli.common import each, expand, files, one_output

__all__ = ["undo"]


@click.command()
@files()
@click.option("-n", "--dry-run", is_flag=True, help="Show what would change, and change nothing.")
def undo(names: tuple[str, ...], dry_run: bool) -> int:  # noqa: FBT001 -- click's signature
    """Take back the last fix or edit of each file; call it again for the one before.

    \b
    mrcarray undo tomo.mrc
    """
    from mrcarray.repair import undo as take_back

    paths = list(expand(names))
    one_output(None, paths)
    return each(paths, lambda name: show(name, take_back(name, dry_run=dry_run), dry_run=dry_run))
