"""``mrcarray info``: a table of files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mrcarray.cli.common import each, expand, files, source_of
from mrcarray.describe import describe
from mrcarray.errors import printable

if TYPE_CHECKING:
    from mrcarray.describe import Description

__all__ = ["info"]

_HEAD = ("kind", "shape", "mode", "voxel size", "MiB", "file")


@click.command()
@files()
@click.option("-r", "--recursive", is_flag=True, help="Look for MRC files in folders.")
def info(names: tuple[str, ...], recursive: bool) -> int:  # noqa: FBT001 -- click's signature
    """Show one line for each file.

    \b
    mrcarray info *.mrc
    mrcarray info -r /data/session | sort
    """
    click.echo(_line(_HEAD))
    return each(
        list(expand(names, recursive=recursive)), lambda name: click.echo(_line(_row(name, describe(source_of(name)))))
    )


def _line(cells: tuple[str, ...]) -> str:
    widths = (12, 22, 4, 21, 9)
    return "  ".join([f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=False)] + [cells[-1]])


def _row(name: str, found: Description) -> tuple[str, ...]:
    layout, geometry = found.layout, found.geometry
    if layout is None or geometry is None:
        return "?", "?", str(found.header.mode), "?", "?", printable(name)
    shape = " x ".join(map(str, layout.shape))
    sizes = list(dict.fromkeys(f"{size:g}" for size in geometry.voxel_size))
    return (
        str(layout.kind),
        shape,
        str(found.header.mode),
        " ".join(sizes),
        f"{layout.nbytes / 2**20:.1f}",
        printable(name),
    )
