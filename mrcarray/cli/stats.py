"""``mrcarray stats``: statistics, percentiles and a histogram."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mrcarray.cli.common import expand, files, json_option, kind_option, run_each, shown, source_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mrcarray.cli.common import Rows

__all__ = ["stats"]

_WIDTH = 40
_PERCENTILES = "1,5,25,50,75,95,99"


def _percents(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in value.split(",") if part.strip())
    except ValueError:
        raise click.BadParameter(f"{value!r} is no list of numbers") from None
    if not all(0 <= percent <= 100 for percent in found):  # noqa: PLR2004 -- percent
        raise click.BadParameter(f"{value!r}: percentiles lie between 0 and 100")
    return found


@click.command()
@files()
@json_option()
@click.option("--percentiles", default=_PERCENTILES, callback=_percents, show_default=True, help="Which percentiles.")
@click.option("--bins", type=click.IntRange(1, 1000), default=20, show_default=True, help="Classes of the histogram.")
@click.option("-j", "--jobs", type=click.IntRange(1), help="Threads; by default one a processor.")
@kind_option()
@click.option("--permissive", is_flag=True, help="Take what is there of a file that is too short.")
def stats(  # noqa: PLR0913 -- the command's options
    names: tuple[str, ...],
    *,
    as_json: bool,
    percentiles: tuple[float, ...],
    bins: int,
    jobs: int | None,
    kind: str | None,
    permissive: bool,
) -> int:
    """Compute statistics of the pixels, in one pass.

    \b
    mrcarray stats tomo.mrc
    mrcarray stats --json --percentiles 0.1,99.9 *.mrc
    """
    from mrcarray.analysis.histogram import distribution

    def work(name: str, rows: Rows | None) -> None:
        found = distribution(source_of(name), kind=kind or "auto", threads=jobs, permissive=permissive)
        row = found.to_dict(percentiles, bins)
        if rows is not None:
            rows.found(name, row)
            return
        click.echo(shown(name))
        for line in _lines(row):
            click.echo(line)

    return run_each(list(expand(names)), work, as_json=as_json)


def _lines(found: dict[str, Any]) -> Iterator[str]:
    for name in ("count", "min", "max", "mean", "rms", "nan", "inf"):
        yield f"  {name:<6} {_number(found[name])}"
    for percent, value in found["percentiles"].items():
        yield f"  {percent + '%':<6} {_number(value)}"
    edges, counts = found["histogram"]["edges"], found["histogram"]["counts"]
    top = max(counts, default=0) or 1
    for low, count in zip(edges, counts, strict=False):
        yield f"  {low:>12.5g} {'#' * round(_WIDTH * count / top)} {count}"


def _number(value: Any) -> str:
    return f"{value:.7g}" if isinstance(value, float) else str(value)
