"""``mrcarray fix``: repair headers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mrcarray.cli.changes import show
from mrcarray.cli.common import PATH, expand, files, json_option, one_output, parse_codes, parse_triple, run_each

if TYPE_CHECKING:
    from mrcarray.cli.common import Rows

__all__ = ["fix"]


@click.command()
@files()
@click.option("-n", "--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--only", multiple=True, callback=parse_codes, help="Repair findings of these codes only (MRC153,MRC5).")
@click.option(
    "--voxel-size", callback=parse_triple, metavar="A|X,Y,Z", help="Voxel size in angstrom, which sets the cell."
)
@click.option(
    "--kind", type=click.Choice(["image", "image_stack", "volume", "volume_stack"]), help="What the sections are."
)
@click.option("-o", "--output", type=PATH, help="Write a repaired copy here, and leave the file alone.")
@click.option("--overwrite", is_flag=True, help="Let the output replace a file.")
@click.option("--undo/--no-undo", "keep_undo", default=True, help="Keep a record beside the file (default).")
@json_option()
def fix(names: tuple[str, ...], *, only: tuple[str, ...], output: str | None, as_json: bool, **options: Any) -> int:
    """Repair what `mrcarray validate` marks as repairable: header bytes, never the pixels.

    What a file cannot tell is asked for by options and never guessed. `mrcarray undo FILE` takes the last repair back.
    Exit status: 0 no error is left, 1 errors are left, 2 a file could not be repaired.

    \b
    mrcarray fix --dry-run tomo.mrc
    mrcarray fix --voxel-size 1.08 --kind volume tomo.mrc
    mrcarray fix --only MRC5 *.mrc
    """
    from mrcarray.repair import fix as repair

    paths = list(expand(names))
    one_output(output, paths)

    def work(name: str, rows: Rows | None) -> int:
        done = repair(name, only=only, output=output, **options)
        show(name, done, rows, dry_run=options["dry_run"])
        return int(any(issue.is_error for issue in done.left))

    return run_each(paths, work, as_json=as_json)
