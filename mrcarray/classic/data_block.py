"""The data block: where a header locates it, and how its bytes become an array and back."""

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
    "holds_pixels",
    "impossible_dimensions",
    "is_map_id",
    "is_packed",
    "is_packed_mode",
    "is_plain",
    "is_plain_mode",
    "layout_of",
    "pixel_of",
    "pixels",
    "stored",
]

#: Kinds of file that follow from the number of dimensions.
_KINDS = {2: Kind.IMAGE, 4: Kind.VOLUME_STACK}


def is_map_id(raw: bytes) -> bool:
    """Return whether a header has the map identifier; its fourth character is not checked."""
    return raw[MAP_ID_OFFSET_BYTES : MAP_ID_OFFSET_BYTES + 3] == MAP_ID[:3]


def pixel_of(header: Header) -> PixelFormat | None:
    """Return the pixel format of a header's mode; None for a mode that MRC2014 does not have."""
    row = MODES.get(header.mode)
    return row.pixel if row is not None and row.standard else None


def impossible_dimensions(header: Header, *, permissive: bool = False) -> tuple[str, str] | None:
    """Return why the dimensions of a header are impossible, and the words concerned; None for possible ones."""
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
    """Return the layout that a header with possible dimensions describes."""
    ispg = header.ispg
    shape = utils.shape_of(header.lengths, header.mz, ispg)
    kind = _KINDS.get(len(shape))
    if kind is None:
        kind = Kind.IMAGE_STACK if ispg == IMAGE_STACK_SPACEGROUP else Kind.VOLUME
    return Layout(kind, shape, pixel, header.byteorder, data_start(header))


def data_start(header: Header) -> int:
    """Return the first byte of the data."""
    return HEADER_NBYTES + max(0, header.nsymbt)


def data_stop(header: Header, data: Any) -> int:
    """Return the byte after the data."""
    pixel = _packing(header, data)
    if pixel is None:
        return data_start(header) + int(data.nbytes)
    return data_start(header) + int(pixel.row_nbytes(data.shape[-1]) * math.prod(data.shape[:-1]))


def pixels(raw: Any, layout: Layout) -> Any:
    """Return the bytes of a data block as an array in the byte order of the file."""
    flat = np.frombuffer(raw, dtype=np.uint8, count=layout.nbytes) if not isinstance(raw, np.ndarray) else raw
    if math.prod(layout.shape) == 0:
        return np.empty(layout.shape, layout.pixel.dtype.newbyteorder(layout.byteorder))
    if is_plain(layout.pixel):
        return flat.view(layout.pixel.stored_dtype(layout.byteorder)).reshape(layout.shape)
    return layout.pixel.unpack(flat.reshape(-1, layout.row_nbytes), layout.columns, layout.byteorder).reshape(
        layout.shape
    )


def is_plain(pixel: PixelFormat) -> bool:
    """Return whether one stored item is one pixel of the same type."""
    return pixel.packing is Packing.PLAIN


def is_plain_mode(header: Header) -> bool:
    """Return whether mrcfile, too, reads the mode of a header: its pixels are plain items."""
    pixel = pixel_of(header)
    return pixel is not None and is_plain(pixel)


def is_packed_mode(header: Header) -> bool:
    """Return whether the pixels of a header's mode are packed (3 and 101), which mrcfile does not read."""
    pixel = pixel_of(header)
    return pixel is not None and not is_plain(pixel)


def is_packed(header: Header, data: Any) -> bool:
    """Return whether data are packed when they are written with this header."""
    return _packing(header, data) is not None


def holds_pixels(header: Header, data: Any, raw: Any) -> bool:
    """Return whether stored bytes are the packed pixels of an array; bits that no pixel uses are ignored."""
    pixel = _packing(header, data)
    if pixel is None or len(raw) != data_stop(header, data) - data_start(header):
        return False
    rows = np.frombuffer(raw, np.uint8).reshape(-1, pixel.row_nbytes(data.shape[-1]))
    return bool(np.array_equal(pixel.unpack(rows, data.shape[-1], header.byteorder).reshape(data.shape), data))


def stored(header: Header, data: Any) -> Any:
    """Return data as the bytes to write, a flat array of uint8; packed if the header's mode is a packed one.

    Raises
    ------
    MrcValueError
        When a value is outside the range of a packed pixel.
    """
    pixel = _packing(header, data)
    if pixel is not None:
        return pixel.pack(fit(data, pixel), header.byteorder).reshape(-1)
    return np.ascontiguousarray(data).reshape(-1).view(np.uint8)


def _packing(header: Header, data: Any) -> PixelFormat | None:
    """Return the pixel format that packs the data, None for data that are written unchanged."""
    pixel = pixel_of(header)
    return pixel if pixel is not None and not is_plain(pixel) and data.ndim and data.dtype == pixel.dtype else None
