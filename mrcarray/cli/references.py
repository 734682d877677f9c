"""``mrcarray convert --virtual``: the positions of the pixels of files, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from mrcarray.cli.names import STDIN
from mrcarray.cli.output import Quit, fail

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["write_references"]

_ALLOWED = ("virtual", "overwrite", "kind")
"""Options that do not change pixels."""


def write_references(sources: Sequence[str], target: str, *, overwrite: bool, kind: str | None) -> None:
    """Write references to the pixels of files; a single file gets no new axis.

    Raises
    ------
    click.UsageError
        When an option about pixels was given, or a name is wrong.
    """
    from mrcarray.virtual import to_kerchunk

    context = click.get_current_context()
    given = [
        param.opts[0]
        for param in context.command.params
        if isinstance(param, click.Option)
        and param.name not in _ALLOWED
        and context.get_parameter_source(str(param.name)) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(f"--virtual writes no pixels, so it cannot be used with {given[0]}")
    if STDIN in sources:
        raise click.UsageError("--virtual needs the names of files, which standard input does not have")
    if not target.lower().endswith(".json"):
        raise click.UsageError(f"OUT is {target}; expected a name that ends in .json")
    paths = list(sources) if len(sources) > 1 else sources[0]
    try:
        to_kerchunk(paths, target, overwrite=overwrite, **({} if kind is None else {"kind": kind}))
    except (OSError, ValueError, TypeError, ImportError) as error:
        fail(sources[0] if len(sources) == 1 else "", error)
        raise Quit(2) from None
