"""``mrcarray undo``: undo the last change of a header."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from mrcarray.cli.changes import show
from mrcarray.cli.help import Command
from mrcarray.cli.json_rows import run_each
from mrcarray.cli.names import expand
from mrcarray.cli.options import dry_run_option, files, json_option, require_one_output
from mrcarray.cli.output import print_totals

if TYPE_CHECKING:
    from mrcarray.cli.json_rows import Rows

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

    totals = Counter[str]()

    def work(name: str, rows: Rows | None) -> None:
        show(name, undo_file(name, dry_run=dry_run), rows, totals)

    status = run_each(paths, work, as_json=as_json, totals=totals)
    print_totals(totals)
    return status
