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
    head = sys.stdin.buffer.read(HEADER_NBYTES)
    if found := _no_list(head):
        import click  # a plain `mrcarray header` needs no click

        text = f"standard input is {found}, but a dash means a list of file names here; save it and give its name"
        raise click.UsageError(text, click.get_current_context())
    raw = head + sys.stdin.buffer.read()
    lines = raw.split(b"\0") if b"\0" in raw else raw.splitlines()
    yield from (os.fsdecode(line) for line in lines if line)


def _no_list(head: bytes) -> str:
    """Return what standard input is by its first bytes, empty if it may be a list of names."""
    from mrcarray.storage.compression.codecs import detect

    if head[208:211] == b"MAP":
        return "an MRC file"
    codec = detect(head)
    if codec is not None:
        return f"a file compressed by {codec.name}"
    return "binary data" if b"\0\0" in head else ""  # names are separated by single zero bytes


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
