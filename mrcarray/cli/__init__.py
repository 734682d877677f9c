"""``mrcarray COMMAND``: one file a command, each a thin face over a Python function.

To add a command, write one file and add one row to `COMMANDS`. A command is imported when it is called, and imports
what it needs when it needs it, so that a small one starts fast.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from mrcarray.cli.common import Quit, fail, reason

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["COMMANDS", "main", "program"]

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
}
"""Name of each command and what it does in one line; its module and function bear the same name."""

_SIGTERM, _SIGINT, _SIGPIPE = 143, 130, 141


class _Program(click.Group):
    """Imports the commands one by one."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- as above
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = getattr(importlib.import_module(f"mrcarray.cli.{cmd_name}"), cmd_name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 -- as above
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001 -- click's signature
    if value and not ctx.resilient_parsing:
        import mrcarray

        click.echo(f"mrcarray {mrcarray.__version__}")
        ctx.exit()


@click.group(cls=_Program, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
@click.option("--debug", is_flag=True, help="Show a traceback when something goes wrong.")
def program(debug: bool) -> None:  # noqa: FBT001 -- click's; `main` takes it
    """Look at, check, repair and convert MRC files.

    \b
    mrcarray header tomo.mrc
    mrcarray validate -r /data/session
    mrcarray fix --voxel-size 1.08 tomo.mrc
    mrcarray convert --bin 4 tomo.mrc small.mrc

    Exit status: 0 fine, 1 a negative verdict, 2 an error. A dash stands for standard input or output.
    """


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
    try:
        with _terminable():
            status = _run(given)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence()
        return _SIGPIPE
    except (KeyboardInterrupt, click.Abort):
        return _SIGINT
    except Exception as error:
        if debug:
            raise
        fail("", error)
        return 2
    return status


def _run(args: list[str]) -> int:
    try:
        status: Any = program.main(args, prog_name="mrcarray", standalone_mode=False)
    except Quit as quitting:
        return quitting.status
    except SystemExit as leaving:
        if leaving.code == 1:  # so click says that nobody reads the output any more
            raise BrokenPipeError from None
        raise
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.UsageError as error:
        command = f"{error.ctx.command_path} --help" if error.ctx is not None else "mrcarray --help"
        fail("", f"{error.format_message()} (see {command})")
        return 2
    except click.ClickException as error:
        fail("", error.format_message())
        return 2
    except OSError as error:
        if error.filename is None:
            if isinstance(error, BrokenPipeError):
                raise
            fail("standard output", reason(error))
            return 2
        raise
    return status if isinstance(status, int) else 0


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
