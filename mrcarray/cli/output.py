"""Lines of output and errors, colours, and the worst exit status; without click, whose import is slow."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
import warnings
from typing import TYPE_CHECKING

from mrcarray.errors import MrcError, MrcFormatError, MrcWarning, printable
from mrcarray.progress import is_shown
from mrcarray.urls import public_name, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mrcarray.progress import Progress

__all__ = ["Quit", "each", "fail", "paint", "plain", "print_totals", "reason", "set_debug", "shown", "warning_lines"]

_COLOURS = {"red": 31, "green": 32, "yellow": 33, "cyan": 36}


class Quit(Exception):  # noqa: N818 -- an exit status, not an error
    """Ends the program.

    Parameters
    ----------
    status : int
        Exit status.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


_debugging = False


def set_debug(on: bool) -> None:  # noqa: FBT001 -- a switch
    """Switch on or off whether errors are printed with a traceback."""
    global _debugging  # noqa: PLW0603 -- one program has one output
    _debugging = on


def fail(path: str, error: BaseException | str) -> None:
    """Print an error as one line; with ``--debug`` after its traceback."""
    if _debugging and isinstance(error, BaseException):
        import traceback

        traceback.print_exception(error)
    path = _path_of(path, error)
    where = f"{shown(path)}: " if path else ""
    text = plain(error) if isinstance(error, str) else reason(error, path)
    sys.stderr.write(f"mrcarray: {where}{text}\n")


@contextlib.contextmanager
def warning_lines() -> Iterator[None]:
    """Print each warning of this package as one line, once; ignore the warnings of other packages."""
    printed: set[str] = set()

    def show(message: Warning | str, *_: object, **__: object) -> None:
        text = plain(getattr(message, "command_text", message))
        if text not in printed:
            printed.add(text)
            sys.stderr.write(f"mrcarray: warning: {text}\n")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", MrcWarning)
        warnings.showwarning = show
        yield


def _path_of(path: str, error: BaseException | str) -> str:
    """Return the file that an error is about: the file it names if that is not `path`."""
    if not isinstance(error, OSError) or not isinstance(error.filename, str | bytes) or not path:
        return path
    named = os.fsdecode(error.filename)
    temporary = re.search(r"/[^/]*\.mrcarray-tmp(/|$)", named)
    if temporary:  # the name of a temporary file means nothing to the user; its directory does
        return named[: temporary.start()]
    return path if os.path.realpath(named) == os.path.realpath(path) else named


def reason(error: BaseException, path: str = "") -> str:
    """Return the text of an error in one line, without the path it is about."""
    if isinstance(error, OSError) and error.strerror:
        named = shown(os.fsdecode(error.filename)) + ": " if isinstance(error.filename, str | bytes) else ""
        return ("" if path or named == ": " else named) + plain(getattr(error, "command_text", error.strerror))
    if isinstance(error, MrcFormatError) and path:
        return plain(error.command_text)
    if isinstance(error, MemoryError):
        return "not enough memory"
    text = plain(_text(error)) or type(error).__name__
    for name in (public_name(path), os.path.abspath(path)) if path else ():  # noqa: PTH100 -- names may be bytes that are not text
        text = text.removeprefix(f"{printable(name)}: ")
    return text


def _text(error: BaseException) -> str:
    """Return the text of an error, with its hint worded for the command line."""
    if isinstance(error, MrcFormatError) and error.path:
        return f"{error.path}: {error.command_text}"
    return error.command_text if isinstance(error, MrcError) else str(error)


def print_totals(counts: Mapping[str, int], more: str = "", *, shown: Progress = "auto") -> None:
    """Print how many of several files ended how, as the last line, on standard error.

    Parameters
    ----------
    counts : mapping
        Number of files by result.
    more : str
        What else to tell about all files.
    shown : bool or "auto"
        Whether to print it; ``"auto"`` on a terminal, since a script counts by itself and takes a line for an error.
    """
    total = sum(counts.values())
    if total > 1 and is_shown(shown):
        parts = [f"{count} {name}" for name, count in counts.items() if count] + ([more] if more else [])
        sys.stderr.write(f"mrcarray: {total} files: {', '.join(parts)}\n")


def plain(text: object) -> str:
    """Return text without control characters and credentials."""
    return redact(printable(text))


def shown(name: str) -> str:
    """Return the name of a file as it is printed."""
    return printable(public_name(name))


def each(
    names: Sequence[str], work: Callable[[str], int | None], failed: Callable[[str, str], object] | None = None
) -> int:
    """Call a function with each file, print the errors, and return the worst exit status.

    Parameters
    ----------
    names : sequence of str
        The files.
    work : callable
        Takes a file; may return an exit status.
    failed : callable, optional
        Takes a file for which `work` raised, and the reason.
    """
    worst = 0
    for name in names:
        try:
            worst = max(worst, work(name) or 0)
        except BrokenPipeError:
            raise
        except (OSError, ValueError, MemoryError, ImportError) as error:
            if isinstance(error, OSError) and error.filename is None and error.errno in (errno.ENOSPC, errno.EBADF):
                raise  # it came from writing to standard output
            fail(name, error)
            worst = 2
            if failed is not None:
                failed(name, reason(error, name))
    return worst


def paint(text: str, colour: str) -> str:
    """Colour text on a terminal, unless NO_COLOR is set."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"
