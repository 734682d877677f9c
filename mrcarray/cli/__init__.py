"""The command line ``mrcarray COMMAND``: one file per command, each of which calls a Python function.

To add a command, write one file and add one row to `GROUPS`. A command is imported when it is called, and imports
other modules when it needs them, so that small commands start fast. A plain ``mrcarray header FILE`` does not even
import click.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, Any

from mrcarray.cli.names import WILDCARDS
from mrcarray.cli.output import fail, set_debug, warning_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["COMMANDS", "GROUPS", "main", "run"]

GROUPS: dict[str, dict[str, str]] = {
    "Look": {
        "header": "Explain the header of files.",
        "info": "Show one line per file.",
        "stats": "Compute statistics of the pixels.",
        "view": "Plot a section, or three orthogonal sections.",
        "diff": "Compare two files.",
    },
    "Check and repair": {
        "validate": "Check files against a set of rules.",
        "fix": "Repair headers in place; can be undone.",
        "edit": "Change header fields in place; can be undone.",
        "undo": "Undo the last fix or edit.",
    },
    "Convert": {
        "convert": "Convert between modes, formats and grids.",
    },
    "Clean up": {
        "clean": "Remove the temporary files of killed writers.",
    },
}
"""Commands by what they are for, in the order of the help: name and summary; module and function have the same name."""

COMMANDS: dict[str, str] = {name: text for group in GROUPS.values() for name, text in group.items()}
"""Name of each command and its summary."""

_ERROR = 2
_SIGTERM, _SIGINT, _SIGPIPE = 143, 130, 141


def main(args: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status; errors are printed.

    Parameters
    ----------
    args : sequence of str, optional
        Command-line arguments; by default those of the process.
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
        fail("", "interrupted")
        return _SIGINT
    except Exception as error:
        if debug:
            raise
        fail("", error)
        return _ERROR
    return status


def _status(args: list[str]) -> int:
    if _is_plain_header(args):
        from mrcarray.cli.explain import explain

        return explain(args[1:])
    from mrcarray.cli.program import call

    return call(args)


def _is_plain_header(args: list[str]) -> bool:
    """Return whether the command is ``header`` with names only: no options, patterns or standard input."""
    names = args[1:]
    return (
        args[:1] == ["header"]
        and bool(names)
        and not any(name.startswith("-") or WILDCARDS & set(name) for name in names)
    )


def _finish(status: int) -> None:
    """Flush standard output; an error after one that was printed is ignored."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError:
        if status != _ERROR:
            raise


def _replace_closed_streams() -> None:
    """Replace a closed standard output by a stream that fails, and a closed standard error by one that ignores."""
    if sys.stdout is None:
        raw = io.FileIO(os.open(os.devnull, os.O_RDONLY), "w")
        raw.name = "<stdout>"
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8")
        atexit.register(_silence)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 -- open while the program runs


@contextlib.contextmanager
def _terminable() -> Any:
    """Turn SIGTERM into an exception, so that temporary files are removed."""
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
    """Discard what is left in standard output, because its reader has closed the pipe."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def run() -> None:
    """Run the program and exit the process with its status."""
    sys.exit(main())
