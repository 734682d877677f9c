"""The data block: where a header says it is, and how its bytes become an array and back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.classic import utils
from mrcarray.classic.constants import IMAGE_STACK_SPACEGROUP, MAP_ID, MAP_ID_OFFSET_BYTES
from mrcarray.format.casting import fit
from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.format.layout import Kind, Layout
from mrcarray.format.modes import MODES, Packing

if TYPE_CHECKING:
    from mrcarray.format.header import Header
    from mrcarray.format.modes import PixelFormat

__all__ = [
    "data_start",
    "data_stop",
    "impossible_dimensions",
    "is_map_id",
    "is_packed_mode",
    "is_plain",
    "is_plain_mode",
    "layout_of",
    "pixel_of",
    "pixels",
    "stored",
]


#: What a file holds, where the number of dimensions says so.
_KINDS = {2: Kind.IMAGE, 4: Kind.VOLUME_STACK}


def is_map_id(raw: bytes) -> bool:
    """Return whether a header carries the map identifier; its fourth character may be any."""
    return raw[MAP_ID_OFFSET_BYTES : MAP_ID_OFFSET_BYTES + 3] == MAP_ID[:3]


def pixel_of(header: Header) -> PixelFormat | None:
    """Return the pixel format of a header's mode, if the specification has it."""
    row = MODES.get(header.mode)
    return row.pixel if row is not None and row.standard else None


def impossible_dimensions(header: Header, *, permissive: bool = False) -> tuple[str, str] | None:
    """Return what makes the dimensions of a header impossible, and where; None when they can be."""
    lengths = header.lengths
    if min(lengths) < 0:
        word, name, length = next(row for row in zip((1, 2, 3), ("nx", "ny", "nz"), lengths, strict=True) if row[2] < 0)
        return f"Header field '{name}' is negative: {length}", f"word {word}; expected 0 or more"
    if not utils.spacegroup_is_volume_stack(header.ispg):
        return None
    nz, mz = lengths[2], header.mz
    if mz <= 0 or (nz % mz and not permissive):
        return f"Volume stack has nz = {nz} and mz = {mz}", "words 3 and 10; nz should be divisible by a positive mz"
    return None


def layout_of(header: Header, pixel: PixelFormat) -> Layout:
    """Return the layout a header with possible dimensions describes."""
    ispg = header.ispg
    shape = utils.shape_of(header.lengths, header.mz, ispg)
    kind = _KINDS.get(len(shape))
    if kind is None:
        kind = Kind.IMAGE_STACK if ispg == IMAGE_STACK_SPACEGROUP else Kind.VOLUME
    return Layout(kind, shape, pixel, header.byteorder, data_start(header))


def data_start(header: Header) -> int:
    """Return the byte at which the data begin."""
    return HEADER_NBYTES + max(0, header.nsymbt)


def data_stop(header: Header, data: Any) -> int:
    """Return the byte after the data."""
    return data_start(header) + _stored_nbytes(header, data)


def pixels(raw: Any, layout: Layout) -> Any:
    """Return the stored bytes as an array, in the byte order of the file."""
    flat = np.frombuffer(raw, dtype=np.uint8, count=layout.nbytes) if not isinstance(raw, np.ndarray) else raw
    if math.prod(layout.shape) == 0:
        return np.empty(layout.shape, layout.pixel.dtype.newbyteorder(layout.byteorder))
    if is_plain(layout.pixel):
        return flat.view(layout.pixel.stored_dtype(layout.byteorder)).reshape(layout.shape)
    return layout.pixel.unpack(flat.reshape(-1, layout.row_nbytes), layout.columns, layout.byteorder).reshape(
        layout.shape
    )


def is_plain(pixel: PixelFormat) -> bool:
    """Whether one stored item is one pixel of the same type."""
    return pixel.packing is Packing.PLAIN


def is_plain_mode(header: Header) -> bool:
    """Whether the mode of a header is one whose pixels are plain items, as the original library reads them."""
    pixel = pixel_of(header)
    return pixel is not None and is_plain(pixel)


def is_packed_mode(header: Header) -> bool:
    """Whether the mode of a header is one whose pixels are packed, which the original library does not read."""
    pixel = pixel_of(header)
    return pixel is not None and not is_plain(pixel)


def stored(header: Header, data: Any) -> Any:
    """Return data as the bytes to write, a flat array of uint8; packed where the header's mode is a packed one.

    Raises
    ------
    MrcValueError
        When a value is beyond what a packed pixel holds.
    """
    pixel = _packing(header, data)
    if pixel is not None:
        return pixel.pack(fit(data, pixel), header.byteorder).reshape(-1)
    return np.ascontiguousarray(data).reshape(-1).view(np.uint8)


def _stored_nbytes(header: Header, data: Any) -> int:
    """Return how many bytes the data take in the file."""
    pixel = _packing(header, data)
    if pixel is None:
        return int(data.nbytes)
    return int(pixel.row_nbytes(data.shape[-1]) * math.prod(data.shape[:-1]))


def _packing(header: Header, data: Any) -> PixelFormat | None:
    """Return the pixel format by which the data are packed, None when they are written as they are."""
    pixel = pixel_of(header)
    return pixel if pixel is not None and not is_plain(pixel) and data.ndim and data.dtype == pixel.dtype else None
