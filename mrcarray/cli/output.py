"""What is printed, without click: lines of error, colours, the worst exit status."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import warnings
from typing import TYPE_CHECKING

from mrcarray.errors import MrcError, MrcFormatError, MrcWarning, printable
from mrcarray.urls import public_name, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Quit", "each", "fail", "paint", "plain", "reason", "set_debug", "shown", "warning_lines"]

_CODES = {"red": 31, "green": 32, "yellow": 33, "cyan": 36}


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


_debugging = False


def set_debug(on: bool) -> None:  # noqa: FBT001 -- a switch
    """Show, or no longer show, where an error came from."""
    global _debugging  # noqa: PLW0603 -- one program has one output
    _debugging = on


def fail(path: str, error: BaseException | str) -> None:
    """Print the one line that tells what went wrong; with ``--debug`` the traceback, too."""
    if _debugging and isinstance(error, BaseException):
        import traceback

        traceback.print_exception(error)
    path = _culprit(path, error)
    where = f"{shown(path)}: " if path else ""
    text = plain(error) if isinstance(error, str) else reason(error, path)
    sys.stderr.write(f"mrcarray: {where}{text}\n")


@contextlib.contextmanager
def warning_lines() -> Iterator[None]:
    """Print warnings of this package as lines, each text once; those of others are no business of who calls us."""
    said: set[str] = set()

    def show(message: Warning | str, *_: object, **__: object) -> None:
        text = plain(getattr(message, "command_text", message))
        if text not in said:
            said.add(text)
            sys.stderr.write(f"mrcarray: warning: {text}\n")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", MrcWarning)
        warnings.showwarning = show
        yield


def _culprit(path: str, error: BaseException | str) -> str:
    """Return the file an error is about: the one it names, where that is another than the one that was worked on."""
    if not isinstance(error, OSError) or not isinstance(error.filename, str | bytes) or not path:
        return path
    named = os.fsdecode(error.filename)
    unfinished = re.search(r"/[^/]*\.mrcarray-tmp(/|$)", named)
    if unfinished:  # it stands beside the output
        return named[: unfinished.start()]
    return path if os.path.realpath(named) == os.path.realpath(path) else named


def reason(error: BaseException, path: str = "") -> str:
    """Return what went wrong in one line, without the path it is about."""
    if isinstance(error, OSError) and error.strerror:
        named = shown(os.fsdecode(error.filename)) + ": " if isinstance(error.filename, str | bytes) else ""
        return ("" if path or named == ": " else named) + plain(getattr(error, "command_text", error.strerror))
    if isinstance(error, MrcFormatError) and path:
        return plain(error.command_text)
    if isinstance(error, MemoryError):
        return "not enough memory"
    text = plain(_text(error)) or type(error).__name__
    for name in (public_name(path), os.path.abspath(path)) if path else ():  # noqa: PTH100 -- names need not be text
        text = text.removeprefix(f"{printable(name)}: ")
    return text


def _text(error: BaseException) -> str:
    """Return the text of an error, with its hint worded for the command line."""
    if isinstance(error, MrcFormatError) and error.path:
        return f"{error.path}: {error.command_text}"
    return error.command_text if isinstance(error, MrcError) else str(error)


def plain(text: object) -> str:
    """Return printable text without credentials."""
    return redact(printable(text))


def shown(name: str) -> str:
    """Return a name as it may be printed."""
    return printable(public_name(name))


def each(
    names: Sequence[str], work: Callable[[str], int | None], failed: Callable[[str, str], object] | None = None
) -> int:
    """Call a function with every file, whatever happens to the others, and return the worst status.

    Parameters
    ----------
    names : sequence of str
        The files.
    work : callable
        Takes a file, and may return a status.
    failed : callable, optional
        Takes a file that could not be worked on, and the reason.
    """
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
            if failed is not None:
                failed(name, reason(error, name))
    return worst


def _is_output(error: OSError) -> bool:
    """Whether an error without a name came from writing to standard output."""
    import errno

    return error.errno in (errno.ENOSPC, errno.EBADF)


def paint(text: str, colour: str) -> str:
    """Colour a text where somebody sees it: on a terminal, unless NO_COLOR is set."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m"
