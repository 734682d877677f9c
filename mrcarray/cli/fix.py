"""``mrcarray fix``: repair headers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mrcarray.cli.changes import change_each
from mrcarray.cli.help import Command
from mrcarray.cli.names import expand
from mrcarray.cli.options import (
    dry_run_option,
    files,
    json_option,
    kind_option,
    output_option,
    overwrite_option,
    parse_codes,
    parse_triple,
    require_one_output,
    undo_option,
)

if TYPE_CHECKING:
    from mrcarray.repair import Repair

__all__ = ["fix"]


@click.command(cls=Command)
@files()
@dry_run_option()
@click.option(
    "--only",
    multiple=True,
    callback=parse_codes,
    help="Repair only these codes or prefixes of codes, such as MRC153,MRC5.",
)
@click.option("--voxel-size", callback=parse_triple, metavar="A|X,Y,Z", help="Voxel size in angstrom; sets the cell.")
@kind_option("Kind of the file; sets space group and intervals.")
@output_option()
@overwrite_option()
@undo_option()
@json_option()
def fix(names: tuple[str, ...], *, only: tuple[str, ...], output: str | None, as_json: bool, **options: Any) -> int:
    """Repair the headers of files, in place; the pixels are never changed.

    A value that the file does not contain is never guessed: the output names the option that sets it. `mrcarray undo
    FILE` undoes the last repair. Exit status: 0 no errors are left, 1 errors are left, 2 a file could not be repaired.

    \b
    mrcarray fix --dry-run tomo.mrc
    mrcarray fix --voxel-size 1.08 --kind volume tomo.mrc
    mrcarray fix --only MRC5 *.mrc
    """
    import mrcarray

    paths = list(expand(names))
    require_one_output(output, paths)

    def change(name: str) -> Repair:
        return mrcarray.fix(name, only=only, output=output, **options)

    return change_each(paths, change, as_json=as_json, complete=True)
