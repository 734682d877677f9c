"""``mrcarray clean``: list and remove the temporary files of killed writers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from mrcarray.cli.help import Command
from mrcarray.cli.json_rows import run_each
from mrcarray.cli.options import PATH, json_option
from mrcarray.cli.output import shown
from mrcarray.storage.orphans import SUFFIX

if TYPE_CHECKING:
    from mrcarray.cli.json_rows import Rows
    from mrcarray.storage.orphans import Leftover

__all__ = ["clean"]


@click.command(cls=Command)
@click.argument("names", metavar="DIR...", nargs=-1, required=True, type=PATH)
@click.option("--remove", is_flag=True, help="Remove the files instead of listing them.")
@click.option("-r", "--recursive", is_flag=True, help="Also search subdirectories.")
@json_option()
def clean(names: tuple[str, ...], *, remove: bool, recursive: bool, as_json: bool) -> int:
    """List the temporary files of killed writers in directories; --remove removes them.

    Temporary files of running writers are never removed. A directory whose replacement was interrupted gets its name
    back. Every write cleans its own directory; use this command for directories to which nothing is written.

    \b
    mrcarray clean /data/session
    mrcarray clean -r --remove /data
    """
    from mrcarray.storage.orphans import clean_up

    def work(name: str, rows: Rows | None) -> None:
        if not os.path.isdir(name):  # noqa: PTH112 -- names may be bytes that are not text
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
    """Return the directories to search, without those that are temporary themselves."""
    if not recursive:
        return [name]
    found = []
    for folder, folders, _ in os.walk(name):
        folders[:] = sorted(one for one in folders if not one.endswith(SUFFIX))
        found.append(folder)
    return found


def _size(found: Leftover) -> str:
    return f"{found.size / 1e6:.1f} MB" if found.size >= 1e5 else f"{found.size} bytes"  # noqa: PLR2004 -- a tenth of one


def _summary(found: list[Leftover], *, remove: bool) -> str:
    gone = sum(one.is_orphan for one in found)
    kept = len(found) - gone
    rest = f"; {kept} kept" if kept else ""
    if not gone:
        return f"nothing to remove{rest}"
    return f"removed {gone}{rest}" if remove else f"{gone} can be removed with --remove{rest}"
