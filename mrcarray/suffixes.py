"""What the names of files tell: endings that promise a compressed file, and which part of a URL names it.

A file is known by its bytes; its name counts only where there are no bytes yet, or none to be had for a guess. This is
the one list of such endings. It stands on the lowest floor, so that whoever needs a name need not load a decoder.
"""

from __future__ import annotations

__all__ = ["COMPRESSED", "named", "unpacked"]

COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zstd")
"""One or more for each row of `mrcarray.storage.codecs.CODECS`."""


def unpacked(name: str) -> str:
    """Return a name without the ending of a compression, if it has one, in upper or lower case.

    Examples
    --------
    >>> unpacked("TS_01.mrc.gz"), unpacked("TS_01.MRC.ZSTD"), unpacked("TS_01.mrc")
    ('TS_01.mrc', 'TS_01.MRC', 'TS_01.mrc')
    """
    lower = name.lower()
    ending = next((one for one in COMPRESSED if lower.endswith(one)), "")
    return name[: len(name) - len(ending)]


def named(name: str) -> str:
    """Return the part of a chain of URLs that names the file; other names are returned as they are.

    Examples
    --------
    >>> named("zip://inner/TS_01.st::https://host/all.zip"), named("simplecache::https://host/TS_01.st")
    ('zip://inner/TS_01.st', 'https://host/TS_01.st')
    """
    return next((part for part in name.split("::") if part.partition("://")[2]), name)
