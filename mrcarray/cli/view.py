"""``mrcarray view``: pictures."""

from __future__ import annotations

import base64
import os
import sys

import click

from mrcarray.cli.common import PATH, Quit, fail, kind_option, local_output, no_terminal, shown, source_of
from mrcarray.urls import file_name, public_name

__all__ = ["view"]


@click.command()
@click.argument("name", metavar="FILE", type=PATH)
@click.option("-o", "--output", type=PATH, help="The PNG file; a dash is standard output.")
@click.option("--section", type=int, help="Which section, from 0, or -1 for the last; by default the middle one.")
@click.option("--ortho/--no-ortho", default=None, help="Three orthogonal sections; the default for volumes.")
@click.option(
    "--contrast", type=click.FloatRange(0, 49.9), default=0.5, show_default=True, help="Percent that saturate."
)
@kind_option()
@click.option("--overwrite", is_flag=True, help="Let the output replace a file.")
def view(  # noqa: PLR0913 -- the command's options
    name: str,
    *,
    output: str | None,
    section: int | None,
    ortho: bool | None,
    contrast: float,
    kind: str | None,
    overwrite: bool,
) -> None:
    """Draw a section, or three orthogonal ones, with axes in angstrom and a scale bar; the first row is at the bottom.

    Without --output the picture is shown in a terminal that can show pictures (kitty, iTerm2, WezTerm), and else
    written to FILE.png in the current folder (of standard input to stdin.png).

    \b
    mrcarray view tomo.mrc
    mrcarray view --section 0 --contrast 2 -o first.png tilts.st
    """
    from mrcarray.analysis.plotting import draw

    if output is not None and os.path.splitext(output)[1].lower() not in ("", ".png"):  # noqa: PTH122 -- as below
        raise click.UsageError(f"--output {output!r}: pictures are PNG files", click.get_current_context())
    local_output(output)
    no_terminal(output)
    last = _last(name)
    try:
        png = draw(source_of(name), section=section, ortho=ortho, contrast=contrast, title=last, kind=kind or "auto")
        shown = png if output == "-" else _inline(png) if output is None else ""
        if not shown:
            _save(png, output or f"{last}.png", overwrite=overwrite)
    except (OSError, ValueError, MemoryError, ImportError) as error:
        fail(name, error)
        raise Quit(2) from None
    if shown:
        click.echo(shown, nl=output is None)


def _last(name: str) -> str:
    """Return the last part of a name; of a URL without its query."""
    if name == "-":
        return "stdin"
    return os.path.basename(public_name(file_name(name)))  # noqa: PTH119 -- names need not be text


def _inline(png: bytes) -> str:
    """Return what makes the terminal show the picture; empty when it cannot."""
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


def _save(png: bytes, path: str, *, overwrite: bool) -> None:
    from mrcarray.storage.atomic import AtomicFile

    with AtomicFile(path, overwrite=overwrite) as file:
        file.write_at(0, png)
        file.commit()
    click.echo(shown(path))
