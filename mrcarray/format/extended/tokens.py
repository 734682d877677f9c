"""Records as lines of text: how they travel with an array through selecting, sorting, concatenating and saving.

A netCDF file or a Zarr store has no place for packed binary records, but every one of them holds text. A token says
what its record is, ``SERI<14,61:AABw/ir/fgQ=``: dialect, byte order, the two counts of the main header, and the bytes
in base64 without trailing zeros. A section without a record has an empty token.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mrcarray.errors import MrcValueError
from mrcarray.format.extended.records import Facts, Records, joined
from mrcarray.format.extended.table import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrcarray.format.modes import ByteOrder

__all__ = ["from_tokens"]

_TOKEN = re.compile(r"(?P<name>\w+)(?P<order>[<>])(?P<nint>-?\d+),(?P<nreal>-?\d+):(?P<data>[A-Za-z0-9+/=]*)")
_RESERVE = re.compile(r"(?P<count>\d{1,9})\*(?P<slot>[A-Za-z0-9+/=]*)\+(?P<rest>[A-Za-z0-9+/=]*)")
#: No block reserves more.
_LIMIT = 1 << 28


def from_tokens(tokens: Sequence[str], *, reserved: str = "", sections: int | None = None) -> Records | None:
    """Return the records these lines stand for, in their order; None when no section has one.

    Parameters
    ----------
    tokens : sequence of str
        One line for each section, as `Records.tokens` gave them.
    reserved : str
        The reserved bytes of the original block, as `Records.reserve_token` gave them.
    sections : int, optional
        Number of records the original block held; the reserved room is cut or grown from there.

    Raises
    ------
    MrcValueError
        When a line is no token, or the lines are of different kinds.

    Examples
    --------
    >>> from_tokens(["SERI<2,1:LAE=", "", "SERI<2,1:1P4="]).common("tilt_angle").values
    array([ 3.,  0., -3.])
    """
    parsed = [_TOKEN.fullmatch(token) for token in tokens]
    if any(token and match is None for token, match in zip(tokens, parsed, strict=True)):
        raise MrcValueError("the text of an extended header record is damaged; drop the coordinate to write without it")
    kinds = {match.group("name", "nint", "nreal") for match in parsed if match}
    if len(kinds) > 1:
        names = ", ".join(sorted(" ".join(kind) for kind in kinds))
        raise MrcValueError(f"the sections carry records of different kinds ({names}); one file holds one kind")
    orders = [match["order"] for match in parsed if match]
    if not orders:
        return None
    pieces = [_records(match, orders[0]) if match else None for match in parsed]
    return _joined(pieces, reserved, sections)


def _reserved(text: str, size: int) -> bytes:
    """Return the reserved bytes; none when the text is empty or damaged."""
    match = _RESERVE.fullmatch(text)
    if match is None or int(match["count"]) * size > _LIMIT:
        return b""
    try:
        slot = base64.b64decode(match["slot"], validate=True).ljust(size, b"\0")
        return slot * int(match["count"]) + zlib.decompress(base64.b64decode(match["rest"], validate=True))
    except (binascii.Error, zlib.error):
        return b""


def _records(match: re.Match[str], order: str) -> Records:
    """Return the one record of a token, in the byte order asked for."""
    byteorder: ByteOrder = ">" if match["order"] == ">" else "<"
    dialect = DIALECTS.get(match["name"])
    facts = Facts(byteorder, 1, dialect.exttyp if dialect else b"", int(match["nint"]), int(match["nreal"]))
    if dialect is None or not dialect.has_records:
        raise MrcValueError(f"{match['name']!r} is no dialect with records")
    dtype = dialect.dtype(facts)
    data = base64.b64decode(match["data"]).ljust(dtype.itemsize, b"\0")[: dtype.itemsize]
    return Records(dialect, facts, np.frombuffer(data, dtype=dtype)).in_order(">" if order == ">" else "<")


def _joined(pieces: Sequence[Records | None], reserved: str, sections: int | None) -> Records:
    """Return the records as one block, with the reserved room of the original."""
    one = next(piece for piece in pieces if piece is not None)
    array = joined([piece.array for piece in pieces if piece is not None])
    spare = _reserved(reserved, array.dtype.itemsize)
    present = np.cumsum([piece is not None for piece in pieces]) - 1
    index = [int(at) if piece is not None else -1 for at, piece in zip(present, pieces, strict=True)]
    full = replace(one, facts=replace(one.facts, nz=len(array)), array=array, reserved=spare)
    taken = full.take(index)
    had = len(array) if sections is None or not 0 <= sections * array.dtype.itemsize <= _LIMIT else sections
    return replace(taken, reserved=full.room(len(index), had))
