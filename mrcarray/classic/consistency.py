"""Warn of headers that contradict the data or the file that they are written with; they are written unchanged."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from mrcarray.caller import warn
from mrcarray.classic import utils
from mrcarray.classic.data_block import impossible_dimensions, layout_of, pixel_of
from mrcarray.errors import MrcWarning
from mrcarray.format.byteorder import STAMPS

if TYPE_CHECKING:
    from mrcarray.format.header import Header

__all__ = ["contradictions", "warn_of_contradictions", "warn_of_unreadable"]


def contradictions(header: Header, extended_header: Any, data: Any) -> list[str]:
    """Return how a header contradicts the extended header and data that are written with it."""
    found = []
    if extended_header is not None and header.nsymbt != extended_header.nbytes:
        found.append(f"nsymbt is {header.nsymbt} for an extended header of {extended_header.nbytes} bytes")
    if data is None or data.size == 0:
        return found
    pixel = pixel_of(header)
    if pixel is None or pixel.dtype != data.dtype.newbyteorder("=") or impossible_dimensions(header) is not None:
        return [*found, f"mode {header.mode}, nz {header.nz} and mz {header.mz} do not fit {data.dtype} data"]
    declared = layout_of(header, pixel).shape
    if data.shape not in (declared, (1, *declared)) and declared != (1, *data.shape):
        found.append(f"the header declares {declared}, the data are {data.shape}")
    if STAMPS.get(header.machst[:2]) != header.byteorder:
        found.append(f"the machine stamp is {utils.pretty_machine_stamp(header.machst)}")
    return found


def warn_of_contradictions(header: Header, extended_header: Any, data: Any) -> None:
    """Warn of a header that contradicts the data it is written with."""
    for text in contradictions(header, extended_header, data):
        _warn(f"the header contradicts the data: {text}")


def warn_of_unreadable(header: Header, before: Header, size: int) -> None:
    """Warn of a header that declares data which does not fit a file of this size, unless the one before did so, too."""
    text = _unreadable(header, size)
    if text and not _unreadable(before, size):
        _warn(f"the header contradicts the file: {text}")


def _unreadable(header: Header, size: int) -> str:
    """Return why the data of a header do not fit a file of this size; empty when they do."""
    pixel = pixel_of(header)
    if pixel is None or impossible_dimensions(header) is not None:
        return f"mode {header.mode}, nz {header.nz} and mz {header.mz} describe no data"
    stop = layout_of(header, pixel).stop
    return f"its data end at byte {stop}, the file at {size}" if stop > size else ""


def _warn(text: str) -> None:
    """Warn; a filter that makes the warning an error must not prevent the writing."""
    with contextlib.suppress(MrcWarning):
        warn(text)
