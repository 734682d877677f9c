"""Arguments and options that several commands share, and the checks of their values."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from mrcarray.cli.names import STDIN
from mrcarray.urls import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Decorator = Callable[[Any], Any]

__all__ = [
    "PATH",
    "dry_run_option",
    "files",
    "jobs_option",
    "json_option",
    "kind_option",
    "output_option",
    "overwrite_option",
    "parse_codes",
    "parse_dtype",
    "parse_triple",
    "progress_option",
    "recursive_option",
    "refuse_terminal",
    "require_local",
    "require_one_output",
    "undo_option",
]

PATH = click.Path(readable=False, allow_dash=True)
"""A name that is not checked before it is opened, so that one unreadable file does not stop the others."""


def files() -> Decorator:
    """Return the decorator of commands that take any number of files."""
    return click.argument("names", metavar="FILE...", nargs=-1, required=True, type=PATH)


def json_option() -> Decorator:
    """Return the decorator of commands that can print an object for each file."""
    return click.option("--json", "as_json", is_flag=True, help="Print a JSON list with one object per file.")


def kind_option(
    text: str = "Open the files as this kind [default: decided by the header and other evidence].",
) -> Decorator:
    """Return the decorator of commands that open files."""
    return click.option("--kind", type=click.Choice(["image", "image_stack", "volume", "volume_stack"]), help=text)


def jobs_option() -> Decorator:
    """Return the decorator of commands that read pixels in several threads."""
    text = "Number of threads [default: one per processor, at most 8]."
    return click.option("-j", "--jobs", type=click.IntRange(1), help=text)


def recursive_option() -> Decorator:
    """Return the decorator of commands that search directories."""
    return click.option("-r", "--recursive", is_flag=True, help="Search directories for MRC files.")


def progress_option() -> Decorator:
    """Return the decorator of commands that can show a progress bar: on a terminal by default."""
    text = "Show a progress bar on standard error [default: on a terminal]."
    return click.option("--progress/--no-progress", default=None, callback=_auto, help=text)


def _auto(_ctx: click.Context, _param: click.Parameter, value: bool | None) -> Any:  # noqa: FBT001 -- click's signature
    """Return the argument `progress` of the functions of the package."""
    return "auto" if value is None else value


def dry_run_option() -> Decorator:
    """Return the decorator of commands that change files."""
    return click.option("-n", "--dry-run", is_flag=True, help="Show the changes without making them.")


def output_option() -> Decorator:
    """Return the decorator of commands that can change a copy of the file."""
    text = "Write a changed copy to this file instead of changing FILE."
    return click.option("-o", "--output", type=PATH, help=text)


def overwrite_option() -> Decorator:
    """Return the decorator of commands that write files."""
    return click.option("--overwrite", is_flag=True, help="Overwrite an existing file.")


def undo_option() -> Decorator:
    """Return the decorator of commands whose changes can be undone."""
    text = "Keep what `mrcarray undo` needs, in a small file next to FILE."
    return click.option("--undo/--no-undo", "keep_undo", default=True, show_default=True, help=text)


def parse_triple(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[float, float, float] | None:
    """Parse one number, or three separated by commas."""
    if value is None:
        return None
    try:
        numbers = [float(part) for part in value.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3):
        raise click.BadParameter(f"{value!r}: expected one number, or three separated by commas (X,Y,Z)")
    x, y, z = numbers * 3 if len(numbers) == 1 else numbers
    return x, y, z


def parse_codes(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Parse issue codes or prefixes of codes, separated by commas."""
    from mrcarray.validation.checks import CHECKS

    codes = tuple(code.strip().upper() for item in value for code in item.split(",") if code.strip())
    unknown = [code for code in codes if not any(known.startswith(code) for known in CHECKS)]
    if unknown:
        raise click.BadParameter(
            f"unknown code {unknown[0]!r}; expected a code such as MRC153 or a prefix such as MRC5"
        )
    return codes


def parse_dtype(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """Refuse a text that is not the name of a dtype."""
    if value is not None:
        import numpy as np

        try:
            np.dtype(value)
        except TypeError:
            raise click.BadParameter(f"{value!r}: expected the name of a dtype, such as int16 or float32") from None
    return value


def require_one_output(output: str | None, paths: Sequence[str]) -> None:
    """Refuse an output for several files, an output that is a stream, and to change standard input."""
    context = click.get_current_context()
    if output is not None and len(paths) != 1:
        raise click.UsageError("--output needs exactly one input file", context)
    if output == STDIN:
        raise click.UsageError("--output cannot be standard output; give the name of a file", context)
    require_local(output)
    if STDIN in paths:
        raise click.UsageError("standard input cannot be changed; give the name of a file", context)


def refuse_terminal(output: str | None) -> None:
    """Refuse to write binary data to a terminal, which would interpret it as control sequences."""
    if output == STDIN and sys.stdout.isatty():
        text = "refusing to write binary data to a terminal; give a file name or redirect"
        raise click.UsageError(text, click.get_current_context())


def require_local(output: str | None) -> None:
    """Refuse an output that is a URL."""
    if output is not None and is_url(output):
        text = f"cannot write to the URL {output!r}; write a local file and copy it"
        raise click.UsageError(text, click.get_current_context())
