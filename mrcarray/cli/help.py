"""Help texts: a command whose examples stand under a heading, and the address of the documentation."""

from __future__ import annotations

from inspect import cleandoc

import click

__all__ = ["DOCS", "Command", "write_end"]

DOCS = "https://mrcarray.readthedocs.io/en/latest/howto/command-line.html"

_KEPT = "\b\n"
"""click's mark of a paragraph whose lines are kept: in the docstring of a command its examples, which come last."""


class Command(click.Command):
    """A command whose docstring ends with examples, which its help shows after the options."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the docstring without the examples."""
        text, mark, _ = (self.help or "").partition(_KEPT)
        if not mark:
            super().format_help_text(ctx, formatter)
            return
        indent = " " * formatter.indent_increment
        wrapped = click.wrap_text(cleandoc(text).strip(), formatter.width, indent, indent, preserve_paragraphs=True)
        formatter.write(f"\n{wrapped}\n")

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 -- click's
        """Write the examples and the address of the documentation."""
        write_end(formatter, (self.help or "").partition(_KEPT)[2])


def write_end(formatter: click.HelpFormatter, examples: str) -> None:
    """Write examples, one a line, and the address of the documentation."""
    with formatter.section("Examples"):
        for line in cleandoc(f"\n{examples}").strip().splitlines():
            formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
    formatter.write(f"\nDocumentation: {DOCS}\n")
