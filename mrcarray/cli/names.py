"""Names of files on the command line: patterns, directories and lists of names."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.urls import MRC, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["STDIN", "WILDCARDS", "expand", "source_of"]

STDIN = "-"
"""The name of standard input, and of standard output."""

WILDCARDS = frozenset("*?[")
"""Characters that make a name a pattern."""


def expand(names: Iterable[str], *, recursive: bool = False, list_on_stdin: bool = False) -> Iterator[str]:
    """Yield the files for names: match patterns, search directories, read a list of names.

    Parameters
    ----------
    names : iterable of str
        Names, patterns, directories, or ``-``.
    recursive : bool
        Whether to search directories for MRC files.
    list_on_stdin : bool
        Whether ``-`` is a list of names on standard input, one per line or separated by zero bytes.
    """
    for name in names:
        if name == STDIN and list_on_stdin:
            yield from _listed()
        elif recursive and os.path.isdir(name):  # noqa: PTH112 -- names may be bytes that are not text
            yield from _in_directory(name)
        elif WILDCARDS & set(name) and not os.path.lexists(name):
            yield from _matching(name)
        else:
            yield name


def _listed() -> Iterator[str]:
    raw = sys.stdin.buffer.read()
    if b"\0\0" in raw[:HEADER_NBYTES]:  # an MRC file, or an archive; names are separated by single zero bytes
        import click  # a plain `mrcarray header` needs no click

        raise click.UsageError(
            "standard input contains binary data, but a dash reads the names of files from it; "
            "give the name of the file",
            click.get_current_context(),
        )
    lines = raw.split(b"\0") if b"\0" in raw else raw.splitlines()
    yield from (os.fsdecode(line) for line in lines if line)


def _in_directory(directory: str) -> Iterator[str]:
    for folder, folders, names in os.walk(directory):
        folders.sort()
        for name in sorted(names):
            if unpacked(name).lower().endswith(MRC):
                yield os.path.join(folder, name)  # noqa: PTH118 -- as above


def _matching(pattern: str) -> Iterator[str]:
    import glob

    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 -- as above
    yield from found or [pattern]


def source_of(name: str) -> Any:
    """Return what to open for a name: standard input for ``-``."""
    return sys.stdin.buffer if name == STDIN else name
