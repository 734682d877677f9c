"""The click program: a group that imports a command when it is called."""

from __future__ import annotations

import importlib
from typing import Any

import click

from mrcarray.cli import COMMANDS
from mrcarray.cli.output import Quit, fail, reason

__all__ = ["call", "program"]


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
            from difflib import get_close_matches

            close = get_close_matches(args[0], COMMANDS, 1)
            ctx.fail(f"unknown command {args[0]!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
        return super().resolve_command(ctx, args)

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
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version and exit."
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def program(debug: bool) -> None:  # noqa: FBT001 -- click's; `main` takes it
    """Inspect, check, repair and convert MRC files.

    \b
    mrcarray header tomo.mrc
    mrcarray validate -r /data/session
    mrcarray fix --voxel-size 1.08 tomo.mrc
    mrcarray convert --bin 4 tomo.mrc small.mrc

    Exit status: 0 success, 1 a file is invalid or files differ, 2 an error. A dash means standard input or output.
    """


def call(args: list[str]) -> int:  # noqa: C901 -- one branch for each way to end
    """Run the program and return its exit status; unexpected errors are raised."""
    try:
        status: Any = program.main(args, prog_name="mrcarray", standalone_mode=False)
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
