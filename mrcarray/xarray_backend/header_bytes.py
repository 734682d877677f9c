"""The main header as it is kept in ``encoding``: bytes that print as one short phrase."""

from __future__ import annotations

__all__ = ["HeaderBytes"]


class HeaderBytes(bytes):
    """Bytes of a main header.

    They compare, hash, slice and pickle as bytes; only their text is short, because notebooks and error messages print
    ``encoding``.

    Examples
    --------
    >>> HeaderBytes(1024), HeaderBytes(1024) == bytes(1024)
    (<MRC header, 1024 bytes>, True)
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<MRC header, {len(self)} bytes>"

    def __str__(self) -> str:
        return repr(self)
