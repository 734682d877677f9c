"""Endings of names that promise a compressed file.

A file is known by its bytes; its name counts only where there are no bytes yet, or none to be had for a guess. This is
the one list of such endings. It stands on the lowest floor, so that whoever needs a name need not load a decoder.
"""

from __future__ import annotations

__all__ = ["COMPRESSED", "unpacked"]

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
