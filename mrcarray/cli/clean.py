"""``mrcarray clean``: find and remove what killed writers left."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from mrcarray.cli.common import PATH, json_option, run_each, shown
from mrcarray.storage.orphans import SUFFIX

if TYPE_CHECKING:
    from mrcarray.cli.common import Rows
    from mrcarray.storage.orphans import Leftover

__all__ = ["clean"]


@click.command()
@click.argument("names", metavar="DIR...", nargs=-1, required=True, type=PATH)
@click.option("--remove", is_flag=True, help="Remove them; without it, they are only listed.")
@click.option("-r", "--recursive", is_flag=True, help="Look into subdirectories, too.")
@json_option()
def clean(names: tuple[str, ...], *, remove: bool, recursive: bool, as_json: bool) -> int:
    """List the temporary files that killed writers left in directories, or remove them with --remove.

    The files of live writers are never removed. A directory that was being replaced when its writer was killed gets its
    name back. Each write removes leftovers in its own directory; this command is for directories nobody writes to.

    \b
    mrcarray clean /data/session
    mrcarray clean -r --remove /data
    """
    from mrcarray.storage.orphans import clean_up

    def work(name: str, rows: Rows | None) -> None:
        if not os.path.isdir(name):  # noqa: PTH112 -- names need not be text
            raise NotADirectoryError(20, "not a directory", name)
        found = [one for folder in _folders(name, recursive=recursive) for one in clean_up(folder, delete=remove)]
        if rows is not None:
            rows.found(name, {"leftovers": [one.to_dict() for one in found]})
            return
        for one in found:
            click.echo(f"{shown(one.path)}: {_size(one)}, {one.state}: {one.reason}")
        click.echo(f"{shown(name)}: {_summary(found, remove=remove)}")

    return run_each(list(names), work, as_json=as_json)


def _folders(name: str, *, recursive: bool) -> list[str]:
    """Return the directories to look into: not those that are leftovers themselves."""
    if not recursive:
        return [name]
    found = []
    for place, folders, _ in os.walk(name):
        folders[:] = sorted(folder for folder in folders if not folder.endswith(SUFFIX))
        found.append(place)
    return found


def _size(found: Leftover) -> str:
    return f"{found.size / 1e6:.1f} MB" if found.size >= 1e5 else f"{found.size} bytes"  # noqa: PLR2004 -- a tenth of one


def _summary(found: list[Leftover], *, remove: bool) -> str:
    gone = sum(one.is_orphan for one in found)
    kept = len(found) - gone
    rest = f"; {kept} kept" if kept else ""
    if not gone:
        return f"nothing to remove{rest}"
    return f"removed {gone}{rest}" if remove else f"{gone} can be removed{rest}; --remove does it"
