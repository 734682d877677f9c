"""What commands share: names of files, lines of error, colours, worst exit status."""

from __future__ import annotations

import json
import os
import sys
from textwrap import indent
from typing import TYPE_CHECKING, Any

import click

from mrcarray.cli.output import Quit, each, fail, paint, plain, reason, shown
from mrcarray.suffixes import MRC, unpacked
from mrcarray.urls import is_url, public_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

__all__ = [
    "PATH",
    "Quit",
    "Rows",
    "as_json",
    "dump",
    "each",
    "expand",
    "fail",
    "files",
    "json_option",
    "kind_option",
    "local_output",
    "no_terminal",
    "one_output",
    "paint",
    "parse_codes",
    "parse_triple",
    "plain",
    "reason",
    "run_each",
    "shown",
    "source_of",
]

PATH = click.Path(readable=False, allow_dash=True)
"""A name; whether it can be read shows when it is opened, so that one file that cannot never stops the rest."""

_WILD = frozenset("*?[")
_STDIN = "-"


def files(*, many: bool = True) -> Callable[[Any], Any]:
    """Return the decorator of commands that take files."""
    return click.argument(
        "names", metavar="FILE..." if many else "FILE", nargs=-1 if many else 1, required=True, type=PATH
    )


def json_option() -> Callable[[Any], Any]:
    """Return the decorator of commands that print a list with an object for each file on request."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, a list with an object for each file.")


def kind_option() -> Callable[[Any], Any]:
    """Return the decorator of commands that open files, for those whose kind the header does not tell."""
    words = click.Choice(["image", "image_stack", "volume", "volume_stack"])
    return click.option("--kind", type=words, default=None, help="Read the files as this kind [default: by evidence].")


def expand(names: Iterable[str], *, recursive: bool = False, list_on_stdin: bool = False) -> Iterator[str]:
    """Yield the files that names stand for: patterns are matched, folders searched, a list is read from stdin.

    Parameters
    ----------
    names : iterable of str
        Names, patterns, folders, or ``-``.
    recursive : bool
        Whether to look for MRC files in folders.
    list_on_stdin : bool
        Whether ``-`` is a list of names, one a line or separated by zero bytes.
    """
    for name in names:
        if name == _STDIN and list_on_stdin:
            yield from _listed()
        elif recursive and os.path.isdir(name):  # noqa: PTH112 -- names need not be text
            yield from _found(name)
        elif _WILD & set(name) and not os.path.lexists(name):
            yield from _matched(name)
        else:
            yield name


def _listed() -> Iterator[str]:
    raw = sys.stdin.buffer.read()
    lines = raw.split(b"\0") if b"\0" in raw else raw.splitlines()
    yield from (os.fsdecode(line) for line in lines if line)


def _found(folder: str) -> Iterator[str]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if unpacked(name).lower().endswith(MRC):
                yield os.path.join(place, name)  # noqa: PTH118 -- names need not be text


def _matched(pattern: str) -> Iterator[str]:
    import glob

    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 -- names need not be text
    yield from found or [pattern]


def source_of(name: str) -> Any:
    """Return what to open for a name: standard input for a dash."""
    return sys.stdin.buffer if name == _STDIN else name


class Rows:
    """A JSON list with an object for each file, printed while it is made."""

    def __init__(self) -> None:
        self._mark = "["

    def add(self, value: Any) -> None:
        """Print one more value."""
        click.echo(f"{self._mark}\n{indent(as_json(value), '  ')}", nl=False)
        self._mark = ","

    def found(self, path: str, row: Mapping[str, Any]) -> None:
        """Print what was found of a file."""
        self.add({"path": public_name(path), "error": None, **{key: row[key] for key in row if key != "path"}})

    def failed(self, path: str, reason: str) -> None:
        """Print why a file could not be worked on."""
        self.add({"path": public_name(path), "error": reason})

    def end(self) -> None:
        """Close the list."""
        click.echo("[]" if self._mark == "[" else "\n]")


def dump(values: Iterable[Any]) -> None:
    """Print values as a JSON list, each as soon as it is there."""
    rows = Rows()
    for value in values:
        rows.add(value)
    rows.end()


def run_each(paths: Sequence[str], work: Callable[[str, Rows | None], int | None], *, as_json: bool) -> int:
    """Call a function with every file and the JSON list it adds to, if there is one; return the worst status."""
    rows = Rows() if as_json else None
    status = each(paths, lambda name: work(name, rows), rows.failed if rows is not None else None)
    if rows is not None:
        rows.end()
    return status


def as_json(value: Any) -> str:
    """Return a value as JSON in which only ASCII stands: what a name or a file holds reaches no terminal.

    JSON has no number that is not finite; null stands for those.
    """
    return json.dumps(_finite(value), ensure_ascii=True, indent=2)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and value - value != 0 else value


def parse_triple(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[float, float, float] | None:
    """Read one number or three, separated by commas."""
    if value is None:
        return None
    try:
        numbers = [float(part) for part in value.split(",")]
    except ValueError:
        raise click.BadParameter(f"{value!r} is no number, nor X,Y,Z") from None
    if len(numbers) == 1:
        numbers *= 3
    if len(numbers) != 3:  # noqa: PLR2004 -- x, y, z
        raise click.BadParameter(f"{value!r} is no number, nor X,Y,Z")
    return numbers[0], numbers[1], numbers[2]


def parse_codes(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Read codes of findings, or beginnings of some, separated by commas."""
    from mrcarray.validation.checks import CHECKS

    codes = tuple(code.strip().upper() for item in value for code in item.split(",") if code.strip())
    wrong = [code for code in codes if not any(known.startswith(code) for known in CHECKS)]
    if wrong:
        raise click.BadParameter(f"{wrong[0]!r} is no code, nor the beginning of one, such as MRC153 or MRC5")
    return codes


def one_output(output: str | None, paths: Sequence[str]) -> None:
    """Refuse an output for several files, and standard output, where the changes are shown."""
    if output is not None and len(paths) != 1:
        raise click.UsageError("--output takes one file", click.get_current_context())
    if output == _STDIN:
        raise click.UsageError("--output takes the name of a file, no dash", click.get_current_context())
    local_output(output)
    if _STDIN in paths:
        text = "standard input cannot be changed; give the name of a file"
        raise click.UsageError(text, click.get_current_context())


def no_terminal(output: str | None) -> None:
    """Refuse to write what is no text to a terminal, which would take it for commands."""
    if output == _STDIN and sys.stdout.isatty():
        text = "standard output is a terminal, and the output no text: redirect it, or give the name of a file"
        raise click.UsageError(text, click.get_current_context())


def local_output(output: str | None) -> None:
    """Refuse an output that is no file of this machine."""
    if output is not None and is_url(output):
        raise click.UsageError(
            f"--output {output!r}: remote files are read but not written", click.get_current_context()
        )
