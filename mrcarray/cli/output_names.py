"""Names of outputs: of one input the name that was given, of several inputs names in a folder."""

from __future__ import annotations

import os

import click

from mrcarray.cli.names import STDIN
from mrcarray.urls import MRC, file_name, public_name, unpacked

__all__ = ["pairs_of"]

_WRITTEN = ("", ".gz", ".bz2", ".zst")
"""Suffixes of compressed MRC files that can be written."""


def pairs_of(names: tuple[str, ...], new_suffix: str | None) -> list[tuple[str, str]]:
    """Return inputs and outputs for the arguments ``IN OUT`` or ``IN... DIR``.

    Parameters
    ----------
    names : tuple of str
        The arguments.
    new_suffix : str, optional
        Suffix of outputs in a folder, such as ``.zarr``.
    """
    context = click.get_current_context()
    *sources, target = names
    if not sources:
        raise click.UsageError("missing OUT: give the name of the output, or a folder", context)
    folder = os.path.isdir(target) and not target.rstrip("/").endswith(".zarr")  # noqa: PTH112 -- names may be bytes that are not text
    if len(sources) == 1 and not folder:
        if new_suffix:
            raise click.UsageError("--suffix is for outputs in a folder; give OUT that suffix", context)
        return [(sources[0], target)]
    if not folder:
        hint = "" if os.path.lexists(target) else f"; create it with: mkdir -p {target}"
        raise click.UsageError(f"several inputs need a folder, and {target!r} is none{hint}", context)
    if STDIN in sources:
        raise click.UsageError("standard input has no name; give the name of the output", context)
    pairs = [(name, os.path.join(target, _output_name(name, new_suffix))) for name in sources]  # noqa: PTH118 -- as above
    seen: dict[str, str] = {}
    for name, output in pairs:
        if output in seen:
            raise click.UsageError(f"{seen[output]!r} and {name!r} would both be written to {output!r}", context)
        seen[output] = name
    return pairs


def _output_name(name: str, new_suffix: str | None) -> str:
    """Return the last part of a name, with a suffix that can be written."""
    last = os.path.basename(public_name(file_name(name)).rstrip("/"))  # noqa: PTH119 -- as above
    plain = unpacked(last)
    if new_suffix is None and plain.lower().endswith(MRC) and last[len(plain) :].lower() in _WRITTEN:
        return last
    stem = os.path.splitext(plain)[0].removesuffix(".ome")  # noqa: PTH122 -- as above
    return stem + (new_suffix or (plain[len(stem) :] if plain.lower().endswith(MRC) else ".mrc"))
