"""What the names of files tell: endings of MRC and of compressed files, and which part of a URL names a file.

A file is known by its bytes; its name counts only where there are no bytes yet, or none to be had for a guess. The
lists of such endings stand on the lowest floor, so that whoever needs a name need load neither a decoder nor xarray.
"""

from __future__ import annotations

import os
from typing import NamedTuple

__all__ = ["COMPRESSED", "MRC", "Sidecars", "named", "sidecars_of", "unpacked"]

MRC = (".mrc", ".mrcs", ".map", ".ccp4", ".st", ".rec", ".ali", ".preali")
"""Endings that speak for an MRC file where its bytes are not to be had; one of a compression may follow."""

COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zstd")
"""One or more for each row of `mrcarray.storage.compression.codecs.CODECS`."""


def unpacked(name: str) -> str:
    """Return a name without the ending of a compression, if it has one, in upper or lower case.

    Examples
    --------
    >>> unpacked("TS_01.mrc.gz"), unpacked("TS_01.MRC.ZSTD"), unpacked("TS_01.mrc")
    ('TS_01.mrc', 'TS_01.MRC', 'TS_01.mrc')
    """
    lower = name.lower()
    if not lower.endswith(COMPRESSED):
        return name
    return name[: -len(next(one for one in COMPRESSED if lower.endswith(one)))]


def named(name: str) -> str:
    """Return the part of a chain of URLs that names the file; other names are returned as they are.

    Examples
    --------
    >>> named("zip://inner/TS_01.st::https://host/all.zip"), named("simplecache::https://host/TS_01.st")
    ('zip://inner/TS_01.st', 'https://host/TS_01.st')
    """
    return next((part for part in name.split("::") if part.partition("://")[2]), name)


class Sidecars(NamedTuple):
    """Names under which sidecars of a file are looked for: documents, the first there counts, and lists of angles."""

    documents: tuple[str, ...]
    lists: tuple[str, ...]


def sidecars_of(path: str) -> Sidecars:
    """Return the names of the sidecars a local file may have; the ending of a compression does not matter.

    Parameters
    ----------
    path : str
        The image file; a URL or a path that is not absolute has no sidecars.

    Examples
    --------
    >>> sidecars_of("/data/TS_01.mrc.gz").lists
    ('/data/TS_01.rawtlt', '/data/TS_01.tlt', '/data/TS_01.xtilt')
    """
    if "://" in path or "::" in path or not os.path.isabs(path):  # noqa: PTH117 -- as below
        return Sidecars((), ())
    path = unpacked(path)
    stem = os.path.splitext(path)[0]  # noqa: PTH122 -- names need not be text
    documents = (path + ".mdoc", stem + ".mdoc", stem + ".idoc")
    return Sidecars(documents, (stem + ".rawtlt", stem + ".tlt", stem + ".xtilt"))
