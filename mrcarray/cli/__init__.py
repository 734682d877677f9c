"""``mrcarray COMMAND``: one file a command, each a thin face over a Python function.

To add a command, write one file and add one row to `COMMANDS`. A command is imported when it is called, and imports
what it needs when it needs it, so that a small one starts fast. The smallest, a plain ``mrcarray header FILE``, does
without click too.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, Any

from mrcarray.cli.output import fail, set_debug, warning_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["COMMANDS", "main", "run"]

COMMANDS: dict[str, str] = {
    "header": "Explain the header of files.",
    "info": "Show one line for each file.",
    "validate": "Check files against the rules of the format.",
    "fix": "Repair headers, in place and undoably.",
    "edit": "Change header fields.",
    "undo": "Take back the last fix or edit.",
    "stats": "Compute statistics of the pixels.",
    "diff": "Compare two files.",
    "view": "Draw a section, or three orthogonal ones.",
    "convert": "Convert between modes, formats and grids.",
    "clean": "Remove what killed writers left.",
}
"""Name of each command and what it does in one line; its module and function bear the same name."""

_ERROR = 2
_SIGTERM, _SIGINT, _SIGPIPE = 143, 130, 141
_WILD = frozenset("*?[")


def main(args: Sequence[str] | None = None) -> int:
    """Run the program, and return its exit status; nothing is raised.

    Parameters
    ----------
    args : sequence of str, optional
        Arguments; by default those of the process.
    """
    given = list(sys.argv[1:] if args is None else args)
    debug = "--debug" in given[: given.index("--") if "--" in given else len(given)]
    if debug:
        given.remove("--debug")
    set_debug(debug)
    _replace_closed_streams()
    try:
        with _terminable(), warning_lines():
            status = _status(given)
        _finish(status)
    except BrokenPipeError:
        _silence()
        return _SIGPIPE
    except KeyboardInterrupt:
        return _SIGINT
    except Exception as error:
        if debug:
            raise
        fail("", error)
        return _ERROR
    return status


def _status(args: list[str]) -> int:
    if _plain(args):
        from mrcarray.cli.explain import explain

        return explain(args[1:])
    from mrcarray.cli.program import call

    return call(args)


def _plain(args: list[str]) -> bool:
    """Whether the header of some files is asked for, without options, patterns or standard input."""
    names = args[1:]
    return (
        args[:1] == ["header"] and bool(names) and not any(name.startswith("-") or _WILD & set(name) for name in names)
    )


def _finish(status: int) -> None:
    """Write what waits to be written; where that failed already, it was told."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError:
        if status != _ERROR:
            raise


def _replace_closed_streams() -> None:
    """Where there is no standard output, have one that cannot be written to; what else is told then goes nowhere."""
    if sys.stdout is None:
        raw = io.FileIO(os.open(os.devnull, os.O_RDONLY), "w")
        raw.name = "<stdout>"
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8")
        atexit.register(_silence)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 -- as long as the program runs


@contextlib.contextmanager
def _terminable() -> Any:
    """Turn SIGTERM into an exception, so that nothing is left half-written."""
    import signal
    import threading

    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise SystemExit(_SIGTERM)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _silence() -> None:
    """Let the interpreter flush its standard output to nowhere: the reader has gone."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def run() -> None:
    """Run the program and leave the process with its exit status."""
    sys.exit(main())
