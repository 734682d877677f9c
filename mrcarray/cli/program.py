"""The click program: a group that imports a command when it is called."""

from __future__ import annotations

import importlib
import os
import shlex
from typing import Any

import click

from mrcarray.cli import COMMANDS, GROUPS
from mrcarray.cli.help import write_end
from mrcarray.cli.output import Quit, fail, reason

__all__ = ["call", "program"]

_MEANT = {
    "check": "validate",
    "compare": "diff",
    "dump": "header",
    "ls": "info",
    "list": "info",
    "plot": "view",
    "repair": "fix",
    "set": "edit",
    "show": "view",
    "statistics": "stats",
}
"""Other words for commands, and the command that they mean."""

_EXAMPLES = """\
mrcarray header tomo.mrc
mrcarray validate -r /data/session
mrcarray fix --voxel-size 1.08 tomo.mrc
mrcarray convert --bin 4 tomo.mrc small.mrc
"""


class _Program(click.Group):
    """A group that imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- as above
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = getattr(importlib.import_module(f"mrcarray.cli.{cmd_name}"), cmd_name)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; an unknown one is an error that names the most similar one."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"unknown command {args[0]!r}{_meant(args[0])}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 -- as above
        """List the commands by group, without importing them."""
        widest = max(map(len, COMMANDS))
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<{widest}}", text) for name, text in commands.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 -- as above
        """Write examples and the address of the documentation."""
        write_end(formatter, _EXAMPLES)


def _meant(word: str) -> str:
    """Return what to type instead of a word that is no command."""
    from difflib import get_close_matches

    if os.path.lexists(word):
        return f"; to look at the file, type: mrcarray header {shlex.quote(word)}"
    close = get_close_matches(word.lower(), [*COMMANDS, *_MEANT], 1)
    return f"; did you mean {_MEANT.get(close[0], close[0])!r}?" if close else ""


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001 -- click's signature
    if value and not ctx.resilient_parsing:
        import mrcarray

        click.echo(f"mrcarray {mrcarray.__version__}")
        ctx.exit()


@click.group(
    cls=_Program,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 120},
    no_args_is_help=True,
    subcommand_metavar="COMMAND ...",
)
@click.option(
    "-V",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Show the version and exit.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def program(debug: bool) -> None:  # noqa: FBT001 -- click's; `main` takes it
    """Inspect, check, repair and convert MRC files.

    `mrcarray help COMMAND` shows the options of a command and examples. Exit status: 0 success, 1 a file is invalid or
    files differ, 2 an error. A dash means standard input or output.
    """


def call(args: list[str]) -> int:  # noqa: C901 -- one branch for each way to end
    """Run the program and return its exit status; unexpected errors are raised."""
    try:
        status: Any = program.main(_without_help(args), prog_name="mrcarray", standalone_mode=False)
    except Quit as quitting:
        return quitting.status
    except SystemExit as leaving:
        if leaving.code == 1:  # click reports a closed pipe so
            raise BrokenPipeError from None
        raise
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.UsageError as error:
        command = f"{error.ctx.command_path} --help" if error.ctx is not None else "mrcarray --help"
        fail("", f"{error.format_message().removesuffix('.')} (see {command})")
        return 2
    except click.Abort:
        raise KeyboardInterrupt from None
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


def _without_help(args: list[str]) -> list[str]:
    """Return the arguments with ``help COMMAND`` as an option of the command."""
    if args[:1] != ["help"]:
        return args
    return [*(name for name in args[1:2] if name != "help" and not name.startswith("-")), "--help"]
