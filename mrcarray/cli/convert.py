"""``mrcarray convert``: between modes, formats and grids."""

from __future__ import annotations

import errno
import sys
from typing import Any

import click

from mrcarray.cli.common import PATH, Quit, fail, no_terminal, parse_triple, source_of
from mrcarray.xarray_backend.write_options import PLACEMENTS

__all__ = ["convert", "parse_slices"]


def parse_slices(_ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> dict[str, slice]:
    """Read slices such as ``z=100:200``, several separated by commas."""
    number = int if param.name == "isel" else float
    out = {}
    for text in (part for item in value for part in item.split(",")):
        dim, equals, bounds = text.partition("=")
        start, colon, stop = bounds.partition(":")
        if not (dim and equals and colon):
            raise click.BadParameter(f"{text!r} is no DIM=START:STOP")
        try:
            out[dim.strip()] = slice(number(start) if start else None, number(stop) if stop else None)
        except ValueError:
            raise click.BadParameter(f"{text!r} is no DIM=START:STOP") from None
    return out


@click.command()
@click.argument("source", metavar="IN", type=PATH)
@click.argument("target", metavar="OUT", type=PATH)
@click.option("--sel", multiple=True, callback=parse_slices, metavar="DIM=A:B", help="Crop by places, in angstrom.")
@click.option("--isel", multiple=True, callback=parse_slices, metavar="DIM=A:B", help="Crop by voxels.")
@click.option("--bin", "factor", type=click.IntRange(1), default=1, help="Average blocks of N voxels.")
@click.option("--flip", multiple=True, metavar="DIM", help="Mirror the data along an axis, such as z.")
@click.option("--dtype", help="int8, int16, uint16, float16, float32, complex64; out of range is refused.")
@click.option("--mode", type=int, help="Mode of an MRC file.")
@click.option("--byteorder", type=click.Choice(["little", "big"]), help="Byte order of an MRC file.")
@click.option(
    "--kind", type=click.Choice(["image", "image_stack", "volume", "volume_stack"]), help="What an MRC file is."
)
@click.option("--voxel-size", callback=parse_triple, metavar="A|X,Y,Z", help="In angstrom, for an MRC file.")
@click.option(
    "--placement",
    type=click.Choice(PLACEMENTS),
    help="Header words that state the position: nstart (5-7), origin (50-52) or both [default: auto].",
)
@click.option("--mdoc/--no-mdoc", default=True, help="Bring an mdoc along, to OUT.mdoc (default).")
@click.option("--overwrite", is_flag=True, help="Let the output replace a file.")
@click.option("--progress", is_flag=True, help="Show a progress bar on standard error.")
def convert(source: str, target: str, *, factor: int, byteorder: str | None, **options: Any) -> None:
    """Convert IN to OUT; the suffixes say from what and to what.

    MRC files may end in .gz, .bz2 or .zst; others are .tif, .nc and .zarr. Data of any size are streamed. OUT
    appears when it is complete, and not at all when something fails. A dash is an MRC file on standard input or output.

    \b
    mrcarray convert --bin 4 tomo.mrc small.mrc
    mrcarray convert --isel z=100:200 --dtype float16 tomo.mrc slab.mrc.gz
    mrcarray convert tomo.mrc tomo.zarr
    mrcarray convert --flip z --placement origin tomo.mrc mirrored.mrc
    zcat tomo.mrc.gz | mrcarray convert --bin 2 - - | mrcarray header -
    """
    from mrcarray.conversion import check_suffix, is_stream
    from mrcarray.conversion import convert as work

    no_terminal(target)
    order = {"little": "<", "big": ">", None: None}[byteorder]
    options = {key: value for key, value in options.items() if value not in (None, {}, ())}
    if order is not None:
        options["byteorder"] = order
    try:
        if target != "-" and not is_stream(target):
            check_suffix(target)
    except ValueError as error:
        fail(target, error)
        raise Quit(2) from None
    try:
        work(source_of(source), sys.stdout.buffer if target == "-" else target, bin=factor, **options)
    except BrokenPipeError:
        raise
    except (OSError, ValueError, TypeError, MemoryError, ImportError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            source = target  # only what is written needs room
            error.filename = error.filename if target == "-" else target  # it has another name until it is complete
        fail(source, error)
        raise Quit(2) from None
