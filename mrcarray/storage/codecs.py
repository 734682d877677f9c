"""Compressions, recognised by content. To add one, add a row to `CODECS`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrcarray.storage.protocols import ByteSource

__all__ = ["CODECS", "Codec", "detect"]


@dataclass(frozen=True, slots=True)
class Codec:
    """One row of the table of compressions.

    Parameters
    ----------
    name : str
        What people call it.
    magic : bytes
        First bytes of every compressed file.
    open : callable
        Makes a source of the uncompressed bytes from a source of the compressed ones.
    """

    name: str
    magic: bytes
    open: Callable[[ByteSource], ByteSource]


CODECS: dict[str, Codec] = {}
"""Compressions by name."""


def detect(first: bytes) -> Codec | None:
    """Return the row for a file that starts with `first`, or None if it is not compressed.

    A file with "MAP " at byte 208 is taken as it is, whatever its first bytes look like.

    Examples
    --------
    >>> detect(bytes(208) + b"MAP ") is None
    True
    """
    if first[208:212] == b"MAP ":
        return None
    return next((row for row in CODECS.values() if first.startswith(row.magic)), None)
