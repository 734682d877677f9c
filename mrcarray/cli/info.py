"""``mrcarray info``: one line per file."""

from __future__ import annotations

import math
import os
from collections import Counter
from typing import TYPE_CHECKING

import click

from mrcarray.analysis.header_report import header_report
from mrcarray.cli.help import Command
from mrcarray.cli.json_rows import run_each
from mrcarray.cli.names import expand, source_of
from mrcarray.cli.options import files, json_option, kind_option, recursive_option
from mrcarray.cli.output import print_totals, shown
from mrcarray.errors import MrcValueError

if TYPE_CHECKING:
    from mrcarray.analysis.header_report import HeaderReport
    from mrcarray.cli.json_rows import Rows

__all__ = ["info"]

_KEYS = ("kind", "kind_from", "shape", "mode", "voxel_size", "data_nbytes")
_HEAD = ("kind", "shape", "mode", "voxel size x,y,z", "MiB", "file")


@click.command(cls=Command)
@files()
@recursive_option()
@json_option()
@kind_option()
def info(names: tuple[str, ...], *, recursive: bool, as_json: bool, kind: str | None) -> int:
    """Show one line per file: kind, shape, mode, voxel size, size of the pixels.

    \b
    mrcarray info *.mrc
    mrcarray info -r /data/session | sort
    """
    totals, nbytes = Counter[str](), 0

    def show(name: str, rows: Rows | None) -> None:
        if os.path.isdir(name):  # noqa: PTH112 -- names may be bytes that are not text
            raise MrcValueError("Is a directory; use -r to search it")
        nonlocal nbytes
        found = header_report(source_of(name), kind=kind or "auto")
        totals["read"] += 1
        nbytes += found.layout.nbytes if found.layout is not None else 0
        if rows is not None:
            row = found.to_dict()
            rows.found(name, {key: row[key] for key in _KEYS})
        else:
            click.echo(_line(_row(name, found)))

    if not as_json:
        click.echo(_line(_HEAD))
    status = run_each(list(expand(names, recursive=recursive)), show, as_json=as_json, totals=totals)
    print_totals(totals, f"{nbytes / 2**20:.1f} MiB of pixels")
    return status


def _line(cells: tuple[str, ...]) -> str:
    widths = (12, 22, 4, 21, 9)
    return "  ".join([f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=False)] + [cells[-1]])


def _row(name: str, found: HeaderReport) -> tuple[str, ...]:
    layout, geometry = found.layout, found.geometry
    if layout is None or geometry is None:
        return "?", "?", str(found.header.mode), "?", "?", shown(name)
    shape = " x ".join(map(str, layout.shape))
    sizes = ["?" if math.isnan(size) else f"{size:g}" for size in geometry.voxel_size]
    return (
        str(layout.kind),
        shape,
        str(found.header.mode),
        ",".join(sizes) if len(set(sizes)) > 1 else sizes[0],
        f"{layout.nbytes / 2**20:.1f}",
        shown(name),
    )
