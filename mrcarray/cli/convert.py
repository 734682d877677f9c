"""``mrcarray convert``: convert between modes, formats and grids."""

from __future__ import annotations

import errno
import sys
from collections import Counter
from typing import Any

import click

from mrcarray.cli.help import Command
from mrcarray.cli.names import STDIN, source_of
from mrcarray.cli.options import (
    PATH,
    kind_option,
    overwrite_option,
    parse_dtype,
    parse_triple,
    progress_option,
    refuse_terminal,
)
from mrcarray.cli.output import fail, print_totals
from mrcarray.cli.output_names import pairs_of
from mrcarray.cli.references import write_references
from mrcarray.xarray_backend.write_options import PLACEMENTS

__all__ = ["convert", "parse_slices"]


def parse_slices(_ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> dict[str, slice]:
    """Parse slices such as ``z=100:200``, separated by commas."""
    number = int if param.name == "isel" else float
    out = {}
    for text in (part for item in value for part in item.split(",")):
        dim, equals, bounds = text.partition("=")
        start, colon, stop = bounds.partition(":")
        if not (dim and equals and colon):
            raise click.BadParameter(f"{text!r}: expected DIM=START:STOP, such as z=100:200")
        try:
            out[dim.strip()] = slice(number(start) if start else None, number(stop) if stop else None)
        except ValueError:
            raise click.BadParameter(f"{text!r}: expected DIM=START:STOP, such as z=100:200") from None
    return out


@click.command(cls=Command)
@click.argument("names", metavar="IN... OUT|DIR", nargs=-1, required=True, type=PATH)
@click.option("--sel", multiple=True, callback=parse_slices, metavar="DIM=A:B", help="Crop by coordinate, in Å.")
@click.option("--isel", multiple=True, callback=parse_slices, metavar="DIM=A:B", help="Crop by voxel index, from 0.")
@click.option(
    "--bin",
    "factor",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Average blocks of this many voxels along each axis.",
)
@click.option(
    "--flip", multiple=True, metavar="DIM", help="Mirror the data along this axis, such as z; may be repeated."
)
@click.option(
    "--dtype",
    callback=parse_dtype,
    help="Convert to int8, int16, uint16, float16, float32 or complex64; a value that would be lost is an error.",
)
@click.option("--lossy", is_flag=True, help="Round fractions and clip values that --dtype or --mode cannot store.")
@click.option("--mode", type=int, help="Mode of the MRC file to write.")
@click.option("--byteorder", type=click.Choice(["little", "big"]), help="Byte order of the MRC file to write.")
@kind_option("Open and write MRC files as this kind [default: decided by the header and other evidence].")
@click.option(
    "--voxel-size", callback=parse_triple, metavar="A|X,Y,Z", help="Voxel size of the MRC file to write, in angstrom."
)
@click.option(
    "--placement",
    type=click.Choice(PLACEMENTS),
    help="Header fields that store the position: nstart (words 5-7), origin (words 50-52) or both [default: auto].",
)
@click.option("--level", type=click.IntRange(0), help="Resolution of an OME-Zarr image to read; 0 is the highest.")
@click.option(
    "--ngff", type=click.Choice(["0.4", "0.5"]), help="Version of the OME-Zarr image to write [default: 0.5]."
)
@click.option(
    "--preset",
    type=click.Choice(["portal"]),
    help="Write an OME-Zarr image in the layout of the CryoET Data Portal (0.4, levels 1, 2 and 4, LZ4).",
)
@click.option(
    "--virtual",
    is_flag=True,
    help="Write no pixels, but their positions in IN..., in kerchunk's JSON, for Zarr readers.",
)
@click.option("--mdoc/--no-mdoc", default=True, show_default=True, help="Also copy the matching .mdoc, to OUT.mdoc.")
@click.option(
    "--suffix", metavar="SUFFIX", help="Suffix of files in DIR, such as .zarr [default: that of IN if MRC, else .mrc]."
)
@overwrite_option()
@progress_option()
def convert(
    names: tuple[str, ...],
    *,
    factor: int,
    byteorder: str | None,
    suffix: str | None,
    virtual: bool,
    **options: Any,
) -> int:
    """Convert IN to OUT, or each IN to a file in the folder DIR; the suffixes decide the formats.

    MRC files may also be compressed (.gz, .bz2, .zst); other formats are TIFF (.tif), OME-TIFF (.ome.tif), netCDF
    (.nc), Zarr (.zarr) and OME-Zarr (.ome.zarr), with levels of 1, 2 and 4 voxels. Files of any size are streamed. OUT
    appears when it is complete; after an error nothing is left. A dash means an MRC file on standard input or output.

    With --virtual, OUT is a JSON file by which Zarr readers read the pixels of one or more IN, which stay where they
    are; several of one shape become one array.

    \b
    mrcarray convert --bin 4 tomo.mrc small.mrc
    mrcarray convert --bin 4 *.mrc small/
    mrcarray convert --isel z=100:200 --dtype float16 tomo.mrc slab.mrc.gz
    mrcarray convert tomo.mrc tomo.ome.zarr
    mrcarray convert --level 1 tomo.ome.zarr half.mrc
    mrcarray convert --flip z --placement origin tomo.mrc mirrored.mrc
    mrcarray convert --virtual TS_01.mrc TS_02.mrc series.json
    zcat tomo.mrc.gz | mrcarray convert --bin 2 - - | mrcarray header -
    """
    if virtual:
        if len(names) < 2:  # noqa: PLR2004 -- at least one file, and the output
            raise click.UsageError("expected IN... and OUT.json")
        write_references(names[:-1], names[-1], overwrite=options["overwrite"], kind=options["kind"])
        return 0
    order = {"little": "<", "big": ">", None: None}[byteorder]
    options = {key: value for key, value in options.items() if value not in (None, {}, ())}
    if order is not None:
        options["byteorder"] = order
    totals = Counter[str]()
    pairs = pairs_of(names, suffix)
    for source, target in pairs:
        totals["converted" if _one(source, target, bin=factor, **options) else "failed"] += 1
    print_totals(totals)
    return 2 if totals["failed"] else 0


def _one(source: str, target: str, **options: Any) -> bool:
    """Convert a file; print an error and return whether there was none."""
    import mrcarray
    from mrcarray.conversion import check_suffix, is_stream

    refuse_terminal(target)
    try:
        if target != STDIN and not is_stream(target):
            check_suffix(target)
    except ValueError as error:
        fail(target, error)
        return False
    try:
        mrcarray.convert(source_of(source), sys.stdout.buffer if target == STDIN else target, **options)
    except BrokenPipeError:
        raise
    except (OSError, ValueError, TypeError, MemoryError, ImportError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            source = target  # only writing needs space
            error.filename = error.filename if target == STDIN else target  # not the name of the temporary file
        fail(source, error)
        return False
    return True
