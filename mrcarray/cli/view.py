"""``mrcarray view``: plot sections."""

from __future__ import annotations

import base64
import os
import sys

import click

from mrcarray.cli.help import Command
from mrcarray.cli.names import STDIN, source_of
from mrcarray.cli.options import PATH, kind_option, overwrite_option, refuse_terminal, require_local
from mrcarray.cli.output import Quit, fail, shown
from mrcarray.urls import file_name, public_name

__all__ = ["view"]


@click.command(cls=Command)
@click.argument("name", metavar="FILE", type=PATH)
@click.option("-o", "--output", type=PATH, help="PNG file to write; a dash writes to standard output.")
@click.option("--section", type=int, help="Number of the section, from 0; -1 is the last [default: the middle one].")
@click.option(
    "--ortho/--no-ortho", default=None, help="Plot three orthogonal sections [default: for volumes without --section]."
)
@click.option("--montage", type=click.IntRange(1), help="Plot this many sections, from the first to the last.")
@click.option(
    "--contrast",
    type=click.FloatRange(0, 49.9),
    default=0.5,
    show_default=True,
    help="Percentage of the pixels that become black, and of those that become white.",
)
@kind_option()
@overwrite_option()
def view(  # noqa: PLR0913 -- the command's options
    name: str,
    *,
    output: str | None,
    section: int | None,
    ortho: bool | None,
    montage: int | None,
    contrast: float,
    kind: str | None,
    overwrite: bool,
) -> None:
    """Plot a section, or three orthogonal sections, with axes in angstrom and a scale bar.

    The first row is at the bottom.

    Without --output, the plot is shown in terminals that can show images (kitty, iTerm2, WezTerm); in others it is
    written to FILE.png in the current directory (to stdin.png for standard input).

    \b
    mrcarray view tomo.mrc
    mrcarray view --montage 12 -o tilts.png tilts.st
    mrcarray view --section 0 --contrast 2 -o first.png tilts.st
    """
    import mrcarray

    if output is not None and os.path.splitext(output)[1].lower() not in ("", ".png"):  # noqa: PTH122 -- as below
        raise click.UsageError(f"--output {output!r}: expected a .png file", click.get_current_context())
    require_local(output)
    refuse_terminal(output)
    last = _last(name)
    inline = ""
    try:
        plot = mrcarray.plot(
            source_of(name),
            section=section,
            ortho=ortho,
            montage=montage,
            contrast=contrast,
            title=last,
            kind=kind or "auto",
        )
        png = plot.to_png() if output in (None, STDIN) else b""
        inline = _inline(png) if output is None else ""
        if output != STDIN and not inline:
            plot.save(path := output or f"{last}.png", overwrite=overwrite)
    except (OSError, ValueError, MemoryError, ImportError) as error:
        fail(name, error)
        raise Quit(2) from None
    if output == STDIN:
        click.echo(png, nl=False)
    else:
        click.echo(inline or shown(path))


def _last(name: str) -> str:
    """Return the last part of a name or of the path of a URL."""
    if name == STDIN:
        return "stdin"
    return os.path.basename(public_name(file_name(name)))  # noqa: PTH119 -- names may be bytes that are not text


def _inline(png: bytes) -> str:
    """Return the control sequence that shows an image in the terminal; empty if the terminal cannot."""
    if not sys.stdout.isatty():
        return ""
    text = base64.b64encode(png).decode()
    if os.environ.get("TERM_PROGRAM") in ("iTerm.app", "WezTerm"):
        return f"\x1b]1337;File=inline=1;size={len(png)}:{text}\x07"
    if "KITTY_WINDOW_ID" in os.environ:
        parts = [text[i : i + 4096] for i in range(0, len(text), 4096)]
        last = len(parts) - 1
        return "".join(
            f"\x1b_G{'a=T,f=100,' if not i else ''}m={int(i < last)};{part}\x1b\\" for i, part in enumerate(parts)
        )
    return ""
