"""CCP4's skew transformation (words 25-37), which shares words 27 and 28 with the extended type and the version."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from mrcarray.format.header import Header
from mrcarray.format.issues import Issue, Severity

if TYPE_CHECKING:
    from mrcarray.xarray_backend.encode.options import Wishes

__all__ = ["with_skew"]

_START, _WORDS = 96, "i12f"


def with_skew(header: Header, base: Header | None, wishes: Wishes) -> tuple[Header, tuple[Issue, ...]]:
    """Return the header with the whole skew of the old one, or without a rest of it where a version was asked for.

    The skew places the map among atoms, and so is as true of a part as of the whole.

    Parameters
    ----------
    header : Header
        Of the file to be written.
    base : Header or None
        Of the file the array came from.
    wishes : Wishes
        What the caller asked for.
    """
    if base is None or not base.ccp4.skewed:
        return header, ()
    raw = bytearray(header.raw)
    if wishes.nversion is None:
        words = struct.unpack_from(base.byteorder + _WORDS, base.raw, _START)
        struct.pack_into(header.byteorder + _WORDS, raw, _START, *words)
        return Header(bytes(raw), header.byteorder), ()
    version = raw[108:112]
    raw[_START : _START + struct.calcsize("<" + _WORDS)] = bytes(struct.calcsize("<" + _WORDS))
    raw[108:112] = version
    text = "the skew transformation is not written: a header that declares a version has no room for it"
    return Header(bytes(raw), header.byteorder), (Issue("MRC411", Severity.WARNING, text, 25),)
