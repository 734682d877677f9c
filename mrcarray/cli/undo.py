"""``mrcarray undo``: undo the last change of a header."""

from __future__ import annotations

import click

from mrcarray.cli.changes import change_each
from mrcarray.cli.help import Command
from mrcarray.cli.names import expand
from mrcarray.cli.options import dry_run_option, files, json_option, require_one_output

__all__ = ["undo"]


@click.command(cls=Command)
@files()
@dry_run_option()
@json_option()
def undo(names: tuple[str, ...], dry_run: bool, as_json: bool) -> int:  # noqa: FBT001 -- click's signature
    """Undo the last fix or edit of each file; repeat it to undo the one before.

    \b
    mrcarray undo tomo.mrc
    """
    from mrcarray.repair import undo as undo_file

    paths = list(expand(names))
    require_one_output(None, paths)

    return change_each(paths, lambda name: undo_file(name, dry_run=dry_run), as_json=as_json)
