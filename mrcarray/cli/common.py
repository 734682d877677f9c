"""What commands share: names of files, lines of error, colours, worst exit status."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from mrcarray.errors import MrcFormatError, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = [
    "SUFFIXES",
    "Quit",
    "dump",
    "each",
    "expand",
    "fail",
    "files",
    "paint",
    "parse_triple",
    "reason",
    "source_of",
]

SUFFIXES = (".mrc", ".mrcs", ".map", ".ccp4", ".st", ".ali", ".preali", ".rec")
"""Suffixes that `expand` looks for in folders; those of compressions may follow."""

_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
_WILD = frozenset("*?[")
_STDIN = "-"


class Quit(Exception):  # noqa: N818 -- no error: an exit status
    """Ends the program with a status.

    Parameters
    ----------
    status : int
        Exit status.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def fail(path: str, error: BaseException | str) -> None:
    """Print the one line that tells what went wrong."""
    where = f"{printable(path)}: " if path else ""
    text = printable(error) if isinstance(error, str) else reason(error, path)
    click.echo(f"mrcarray: {where}{text}", err=True)


def reason(error: BaseException, path: str = "") -> str:
    """Return what went wrong in one line, without the path it is about."""
    if isinstance(error, OSError) and error.strerror:
        named = printable(os.fsdecode(error.filename)) + ": " if isinstance(error.filename, str | bytes) else ""
        return ("" if path or named == ": " else named) + printable(error.strerror)
    if isinstance(error, MrcFormatError) and path:
        return printable(error.message)
    if isinstance(error, MemoryError):
        return "not enough memory"
    text = printable(error) or type(error).__name__
    absolute = printable(os.path.abspath(path)) + ": " if path else ""  # noqa: PTH100 -- names need not be text
    return text.removeprefix(f"{printable(path)}: ").removeprefix(absolute) if path else text


def files(*, many: bool = True) -> Callable[[Any], Any]:
    """Return the decorator of commands that take files."""
    kind = click.Path(path_type=str, allow_dash=True)
    return click.argument(
        "names", metavar="FILE..." if many else "FILE", nargs=-1 if many else 1, required=True, type=kind
    )


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
            stem = name.lower()
            for tail in _COMPRESSED:
                stem = stem.removesuffix(tail)
            if stem.endswith(SUFFIXES):
                yield os.path.join(place, name)  # noqa: PTH118 -- names need not be text


def _matched(pattern: str) -> Iterator[str]:
    import glob

    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 -- names need not be text
    yield from found or [pattern]


def source_of(name: str) -> Any:
    """Return what to open for a name: standard input for a dash."""
    return sys.stdin.buffer if name == _STDIN else name


def each(names: Sequence[str], work: Callable[[str], int | None]) -> int:
    """Call a function with every file, whatever happens to the others, and return the worst status."""
    worst = 0
    for name in names:
        try:
            worst = max(worst, work(name) or 0)
        except BrokenPipeError:
            raise
        except (OSError, ValueError, MemoryError, ImportError) as error:
            if isinstance(error, OSError) and error.filename is None and _is_output(error):
                raise
            fail(name, error)
            worst = 2
    return worst


def _is_output(error: OSError) -> bool:
    """Whether an error without a name came from writing to standard output."""
    import errno

    return error.errno in (errno.ENOSPC, errno.EBADF)


def dump(value: Any) -> None:
    """Print a value as JSON; numbers that are not finite become text."""
    click.echo(json.dumps(_finite(value), ensure_ascii=True, indent=2))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and value - value != 0 else value


def paint(text: str, colour: str) -> str:
    """Colour a text where somebody sees it: on a terminal, unless NO_COLOR is set."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return click.style(text, fg=colour)


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
