"""``mrcarray stats``: statistics, percentiles and a histogram."""

from __future__ import annotations

from textwrap import indent
from typing import TYPE_CHECKING, Any

import click

from mrcarray.cli.file_progress import file_shares
from mrcarray.cli.help import Command
from mrcarray.cli.json_rows import run_each
from mrcarray.cli.names import expand, source_of
from mrcarray.cli.options import files, jobs_option, json_option, kind_option, progress_option
from mrcarray.cli.output import shown

if TYPE_CHECKING:
    from mrcarray.cli.json_rows import Rows

__all__ = ["stats"]


def _percents(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in value.split(",") if part.strip())
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of numbers such as 1,50,99") from None
    if not all(0 <= percent <= 100 for percent in found):  # noqa: PLR2004 -- percent
        raise click.BadParameter(f"{value!r}: expected numbers from 0 to 100")
    return found


@click.command(cls=Command)
@files()
@json_option()
@click.option(
    "--percentiles",
    default="1,5,25,50,75,95,99",
    callback=_percents,
    show_default=True,
    help="Percentiles to compute, separated by commas.",
)
@click.option("--bins", type=click.IntRange(1, 1000), default=20, show_default=True, help="Bins of the histogram.")
@jobs_option()
@progress_option()
@kind_option()
@click.option("--permissive", is_flag=True, help="Use the complete sections of a truncated file.")
def stats(  # noqa: PLR0913 -- the command's options
    names: tuple[str, ...],
    *,
    as_json: bool,
    percentiles: tuple[float, ...],
    bins: int,
    jobs: int | None,
    progress: Any,
    kind: str | None,
    permissive: bool,
) -> int:
    """Compute statistics, percentiles and a histogram of the pixels.

    \b
    mrcarray stats tomo.mrc
    mrcarray stats --json --percentiles 0.1,99.9 *.mrc
    """
    import mrcarray

    paths = list(expand(names))

    def work(name: str, rows: Rows | None) -> None:
        share = share_of(name)
        found = mrcarray.stats(
            source_of(name), kind=kind or "auto", threads=jobs, permissive=permissive, progress=share.add
        )
        share.end()
        if rows is not None:
            rows.found(name, found.to_dict(percentiles, bins))
        else:
            click.echo(f"{shown(name)}\n{indent(found.to_text(percentiles, bins), '  ')}")

    with file_shares(paths, "reading", shown=progress) as share_of:
        return run_each(paths, work, as_json=as_json)
