"""Records as text, so that they stay with an array when it is selected, sorted, concatenated or saved.

netCDF files and Zarr stores cannot store binary records, but they store text. A token such as
``SERI<14,61:AABw/ir/fgQ=`` is the dialect, the byte order, the two counts of the main header, and the bytes in base64
without trailing zeros. A section without a record has an empty token.
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
from mrcarray.format.extended.records import RecordFacts, Records
from mrcarray.format.extended.table import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrcarray.format.modes import ByteOrder

__all__ = ["from_tokens"]

_TOKEN = re.compile(r"(?P<name>\w+)(?P<order>[<>])(?P<nint>-?\d+),(?P<nreal>-?\d+):(?P<data>[A-Za-z0-9+/=]*)")
_RESERVE = re.compile(r"(?P<count>\d{1,9})\*(?P<slot>[A-Za-z0-9+/=]*)\+(?P<rest>[A-Za-z0-9+/=]*)")
#: Bytes of reserved space that are accepted from a text.
_LIMIT = 1 << 28


def from_tokens(tokens: Sequence[str], *, reserved: str = "", sections: int | None = None) -> Records | None:
    """Return the records of tokens, in their order; None if no section has one.

    Parameters
    ----------
    tokens : sequence of str
        One for each section, from `Records.tokens`.
    reserved : str
        The reserved bytes of the original block, from `Records.reserve_token`.
    sections : int, optional
        Number of records of the original block; the reserved space shrinks or grows by the difference.

    Raises
    ------
    MrcValueError
        When a token is damaged, or the tokens are of different dialects.

    Examples
    --------
    >>> from_tokens(["SERI<2,1:LAE=", "", "SERI<2,1:1P4="]).common("tilt_angle").values
    array([ 3.,  0., -3.])
    """
    parsed = [_TOKEN.fullmatch(token) for token in tokens]
    if any(token and match is None for token, match in zip(tokens, parsed, strict=True)):
        raise MrcValueError(
            "a token of an extended header record is damaged; drop the coordinate to write without records"
        )
    kinds = {match.group("name", "nint", "nreal") for match in parsed if match}
    if len(kinds) > 1:
        names = ", ".join(sorted(" ".join(kind) for kind in kinds))
        raise MrcValueError(f"the sections have records of different kinds ({names}); a file can store one kind only")
    orders = [match["order"] for match in parsed if match]
    if not orders:
        return None
    return _joined(parsed, orders[0], reserved, sections)


def _reserved(text: str, size: int) -> bytes:
    """Return the reserved bytes; empty if the text is empty or damaged."""
    match = _RESERVE.fullmatch(text)
    if match is None or int(match["count"]) * size > _LIMIT:
        return b""
    try:
        slot = base64.b64decode(match["slot"], validate=True).ljust(size, b"\0")
        return slot * int(match["count"]) + zlib.decompress(base64.b64decode(match["rest"], validate=True))
    except (binascii.Error, zlib.error):
        return b""


def _records(matches: Sequence[re.Match[str]], order: str) -> Records:
    """Return the records of tokens of one kind, in the given byte order."""
    one = matches[0]
    dialect = DIALECTS.get(one["name"])
    if dialect is None or not dialect.has_records:
        raise MrcValueError(f"unknown dialect {one['name']!r} in a token; expected one with records")
    facts = RecordFacts("<", len(matches), dialect.exttyp, int(one["nint"]), int(one["nreal"]))
    size = dialect.dtype(facts).itemsize
    array = np.zeros(len(matches), dialect.dtype(replace(facts, byteorder=_order(order))))
    for stored in {match["order"] for match in matches}:
        at = [index for index, match in enumerate(matches) if match["order"] == stored]
        data = b"".join(base64.b64decode(matches[index]["data"]).ljust(size, b"\0")[:size] for index in at)
        array[at] = np.frombuffer(data, dtype=dialect.dtype(replace(facts, byteorder=_order(stored))))
    return Records(dialect, replace(facts, byteorder=_order(order)), array)


def _order(text: str) -> ByteOrder:
    """Return a byte order with its literal type."""
    return ">" if text == ">" else "<"


def _joined(parsed: Sequence[re.Match[str] | None], order: str, reserved: str, sections: int | None) -> Records:
    """Return the records as one block, with the reserved space of the original."""
    full = _records([match for match in parsed if match is not None], order)
    full = replace(full, reserved=_reserved(reserved, full.array.dtype.itemsize))
    present = np.array([match is not None for match in parsed])
    taken = full.take(np.where(present, np.cumsum(present) - 1, -1))
    had = len(full) if sections is None or not 0 <= sections * full.array.dtype.itemsize <= _LIMIT else sections
    return replace(taken, reserved=full.reserved_after(len(parsed), had))
