"""File suffixes: of MRC files, of compressed files, and of the sidecars of an image file.

A file is recognised by its content; its name counts only where there is no content yet, or none to look at. This module
imports neither decoders nor xarray, because every module that looks at a name uses it.
"""

from __future__ import annotations

import os
from typing import NamedTuple

__all__ = ["COMPRESSED", "MRC", "Sidecars", "sidecars_of", "unpacked"]

MRC = (".mrc", ".mrcs", ".map", ".ccp4", ".st", ".rec", ".ali", ".preali")
"""Suffixes of MRC files; one of a compression may follow."""

COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zstd")
"""Suffixes of compressed files: one or more for each row of `mrcarray.storage.compression.codecs.CODECS`."""


def unpacked(name: str) -> str:
    """Return a name without the suffix of a compression, whose case does not matter.

    Examples
    --------
    >>> unpacked("TS_01.mrc.gz"), unpacked("TS_01.MRC.ZSTD"), unpacked("TS_01.mrc")
    ('TS_01.mrc', 'TS_01.MRC', 'TS_01.mrc')
    """
    lower = name.lower()
    if not lower.endswith(COMPRESSED):
        return name
    return name[: -len(next(one for one in COMPRESSED if lower.endswith(one)))]


class Sidecars(NamedTuple):
    """Names of the sidecars that a file may have.

    Parameters
    ----------
    documents : tuple of str
        Names of mdoc files; the first that exists is the one that is read.
    lists : tuple of str
        Names of lists of angles.
    """

    documents: tuple[str, ...]
    lists: tuple[str, ...]


def sidecars_of(path: str) -> Sidecars:
    """Return the names of the sidecars that a local file may have, ignoring the suffix of a compression.

    Parameters
    ----------
    path : str
        The image file; a URL or a relative path has no sidecars.

    Examples
    --------
    >>> sidecars_of("/data/TS_01.mrc.gz").lists
    ('/data/TS_01.rawtlt', '/data/TS_01.tlt', '/data/TS_01.xtilt')
    """
    if not os.path.isabs(path):  # noqa: PTH117 -- as below
        return Sidecars((), ())
    path = unpacked(path)
    stem = os.path.splitext(path)[0]  # noqa: PTH122 -- names need not be text
    documents = (path + ".mdoc", stem + ".mdoc", stem + ".idoc")
    return Sidecars(documents, (stem + ".rawtlt", stem + ".tlt", stem + ".xtilt"))
