"""Pixels that are not stored as they are in memory: from the bytes of whole rows to pixels, and back.

Zarr describes plain numbers of either byte order, and three bytes of colour, by itself. Modes 3 (pairs of 16-bit
integers) and 101 (4-bit pixels), and IMOD's signed bytes where they are to be shifted, need this codec.
`zarr_codec` and `numcodecs_codec` register it under the same `NAME` for the two versions of Zarr.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import MrcValueError
from mrcarray.format.modes import PIXELS, Packing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrcarray.format.layout import Layout
    from mrcarray.format.modes import ByteOrder

__all__ = ["NAME", "checked", "configuration", "decode", "encode"]

NAME = "mrcarray.pixels"


def configuration(layout: Layout) -> dict[str, Any] | None:
    """Return the codec's configuration for a layout, or None where Zarr needs no codec."""
    if layout.pixel.packing in (Packing.PLAIN, Packing.RGB):
        return None
    return {"pixel": layout.pixel.code, "columns": layout.columns, "byteorder": layout.byteorder}


def checked(pixel: Any, columns: Any, byteorder: Any) -> tuple[str, int, ByteOrder]:
    """Return a configuration that was read from metadata.

    Raises
    ------
    MrcValueError
        When it is not one.
    """
    if pixel not in PIXELS or byteorder not in ("<", ">") or not isinstance(columns, int) or columns < 1:
        text = f"pixel={pixel!r}, columns={columns!r}, byteorder={byteorder!r}"
        raise MrcValueError(f"the codec {NAME} has {text}; expected a code of mrcarray's pixel table, a number, < or >")
    return pixel, columns, byteorder


def decode(stored: Any, pixel: str, columns: int, byteorder: ByteOrder) -> NDArray[np.uint8]:
    """Return the bytes of little-endian pixels.

    Parameters
    ----------
    stored : buffer
        Bytes of whole rows.
    pixel : str
        Code of the pixel format in `mrcarray.format.modes.PIXELS`.
    columns : int
        Pixels in a row.
    byteorder : {"<", ">"}
        Byte order of the stored items.

    Examples
    --------
    >>> decode(bytes([0x21, 0x03]), "101", 3, "<").tolist()
    [1, 2, 3]
    """
    row = PIXELS[pixel]
    raw = np.frombuffer(stored, dtype=np.uint8).reshape(-1, row.row_nbytes(columns))
    values = row.unpack(raw, columns, byteorder)
    return np.ascontiguousarray(values, dtype=row.dtype.newbyteorder("<")).reshape(-1).view(np.uint8)


def encode(values: Any, pixel: str, columns: int, byteorder: ByteOrder) -> NDArray[np.uint8]:
    """Return the stored bytes of little-endian pixels; the way back of `decode`."""
    row = PIXELS[pixel]
    pixels = np.frombuffer(values, dtype=row.dtype.newbyteorder("<")).reshape(-1, columns)
    return row.pack(pixels, byteorder).reshape(-1)
