"""Pixel formats: how a row of pixels is stored in the file and which dtype it has in memory.

`MODES` is the table of mode numbers (MRC2014 word 4), `PIXELS` the table of pixel formats. A mode may have several
formats: mode 0 is signed, unsigned, or two 4-bit pixels in a byte. To add a mode, add a row to both tables, and a
`Packing` if it is not a plain NumPy dtype.
"""

from __future__ import annotations

import enum
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["MODES", "PIXELS", "ByteOrder", "Mode", "Packing", "PixelFormat", "raw_pixel"]

ByteOrder = Literal["<", ">"]


class Packing(enum.StrEnum):
    """How stored items become pixels."""

    PLAIN = "plain"
    """One stored item is one pixel."""
    NIBBLE = "nibble"
    """Two pixels in a byte, the first in the low nibble, every row padded to a whole byte (IMOD)."""
    COMPLEX_INT = "complex_int"
    """Two 16-bit integers, real then imaginary, are one complex pixel."""
    SHIFTED = "shifted"
    """One byte is one pixel of 0 to 255, stored minus 128 (IMOD's signed bytes)."""
    RGB = "rgb"
    """Three bytes, red, green, blue, are one pixel with a trailing axis of length 3 (IMOD)."""


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How a pixel is stored in a file and represented in memory.

    Parameters
    ----------
    code : str
        Key in `PIXELS`; for raw arrays the dtype string itself.
    mode : int
        Mode number of the file (MRC2014 word 4).
    stored : str
        NumPy type string of one stored item, without byte order.
    memory : str
        NumPy type string of one pixel in memory, without byte order.
    packing : Packing
        How stored items become pixels.

    Examples
    --------
    >>> PIXELS["101"].row_nbytes(5)
    3
    >>> PIXELS["2"].stored_dtype(">")
    dtype('>f4')
    """

    code: str
    mode: int
    stored: str
    memory: str
    packing: Packing = Packing.PLAIN

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype in memory, in native byte order."""
        import numpy as np

        return np.dtype(self.memory)

    def stored_dtype(self, byteorder: ByteOrder) -> np.dtype[Any]:
        """Return the dtype of one stored item."""
        return _ordered(self.stored, byteorder)

    @property
    def trailing(self) -> tuple[int, ...]:
        """Lengths of the extra axes of a pixel in memory: ``(3,)`` for RGB, else empty."""
        return (3,) if self.packing is Packing.RGB else ()

    @property
    def bits(self) -> int:
        """Bits of one pixel in the file."""
        return _bits(self.stored, self.packing)

    def row_nbytes(self, columns: int) -> int:
        """Return the number of bytes of a row of `columns` pixels in the file."""
        return (columns * self.bits + 7) // 8

    def unpack(self, raw: NDArray[np.uint8], columns: int, byteorder: ByteOrder) -> NDArray[Any]:
        """Convert stored bytes to pixels, without a copy for plain pixels and RGB.

        Parameters
        ----------
        raw : ndarray of uint8, shape (..., row bytes)
            Whole rows, C-contiguous along the last axis.
        columns : int
            Pixels in a row.
        byteorder : {"<", ">"}
            Byte order of the file.

        Returns
        -------
        ndarray, shape (..., columns) or (..., columns, 3) for RGB
            For plain pixels and RGB a view in the file's byte order, else a new array in native byte order.
        """
        import numpy as np

        if self.packing is Packing.NIBBLE:
            return _unpack_nibbles(raw, columns)
        items: NDArray[Any] = raw.view(self.stored_dtype(byteorder))
        if self.packing is Packing.RGB:
            return items.reshape(*raw.shape[:-1], columns, 3)
        if self.packing is Packing.COMPLEX_INT:
            return items.astype(np.float32).view(np.complex64)
        if self.packing is Packing.SHIFTED:
            return items ^ np.uint8(_SIGN_BIT)
        return items

    def pack(self, values: NDArray[Any], byteorder: ByteOrder) -> NDArray[np.uint8]:
        """Convert pixels to stored bytes; the caller has checked their range.

        Parameters
        ----------
        values : ndarray, shape (..., columns) or (..., columns, 3) for RGB
            Pixels.
        byteorder : {"<", ">"}
            Byte order of the file.

        Returns
        -------
        ndarray of uint8, shape (..., row bytes)
        """
        import numpy as np

        if self.packing is Packing.NIBBLE:
            return _pack_nibbles(values)
        if self.packing is Packing.SHIFTED:
            return np.ascontiguousarray(values, dtype=np.uint8) ^ np.uint8(_SIGN_BIT)
        if self.packing is Packing.COMPLEX_INT:
            values = np.stack([values.real, values.imag], axis=-1)
            values = np.rint(values).reshape(*values.shape[:-2], -1)
        elif self.packing is Packing.RGB:
            values = values.reshape(*values.shape[:-2], -1)
        stored = np.ascontiguousarray(values, dtype=self.stored_dtype(byteorder))
        return stored.view(np.uint8)


@functools.cache
def _ordered(code: str, byteorder: ByteOrder) -> np.dtype[Any]:
    """Return a dtype in a byte order; cached, since every opened file needs it."""
    import numpy as np

    return np.dtype(code).newbyteorder(byteorder)


@functools.cache
def _bits(stored: str, packing: Packing) -> int:
    if packing is Packing.NIBBLE:
        return 4
    items = {Packing.COMPLEX_INT: 2, Packing.RGB: 3}.get(packing, 1)
    return 8 * items * (_SIZES.get(stored) or _itemsize(stored))


_SIZES = {"i1": 1, "u1": 1, "i2": 2, "u2": 2, "f2": 2, "i4": 4, "u4": 4, "f4": 4, "c8": 8}
"""Bytes of the items in the table; NumPy would know them, but its import takes longer than reading a header."""


def _itemsize(stored: str) -> int:
    import numpy as np

    return np.dtype(stored).itemsize


_SIGN_BIT = 128  # inverting this bit adds 128 without an overflow


def _unpack_nibbles(raw: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    import numpy as np

    pairs = np.empty((*raw.shape, 2), dtype=np.uint8)
    np.bitwise_and(raw, 0x0F, out=pairs[..., 0])
    np.right_shift(raw, 4, out=pairs[..., 1])
    return pairs.reshape(*raw.shape[:-1], 2 * raw.shape[-1])[..., :columns]


def _pack_nibbles(values: NDArray[Any]) -> NDArray[np.uint8]:
    import numpy as np

    columns = values.shape[-1]
    even = np.zeros((*values.shape[:-1], columns + columns % 2), dtype=np.uint8)
    even[..., :columns] = values
    packed: NDArray[np.uint8] = even[..., 0::2] | (even[..., 1::2] << 4)
    return packed


def raw_pixel(dtype: np.dtype[Any] | str) -> PixelFormat:
    """Return the pixel format of a plain array of any fixed-size dtype, which is not in the table of modes.

    Examples
    --------
    >>> raw_pixel("<f8").memory
    'f8'
    """
    import numpy as np

    text = np.dtype(dtype).str.lstrip("<>|=")
    return PixelFormat(text, -1, text, text)


_FORMATS = (
    PixelFormat("0", 0, "i1", "i1"),
    PixelFormat("0u", 0, "u1", "u1"),
    PixelFormat("0s", 0, "u1", "u1", Packing.SHIFTED),
    PixelFormat("0n", 0, "u1", "u1", Packing.NIBBLE),
    PixelFormat("1", 1, "i2", "i2"),
    PixelFormat("2", 2, "f4", "f4"),
    PixelFormat("3", 3, "i2", "c8", Packing.COMPLEX_INT),
    PixelFormat("4", 4, "c8", "c8"),
    PixelFormat("5", 5, "u1", "u1"),
    PixelFormat("5w", 5, "i2", "i2"),
    PixelFormat("6", 6, "u2", "u2"),
    PixelFormat("7", 7, "i4", "i4"),
    PixelFormat("8", 8, "u4", "u4"),
    PixelFormat("12", 12, "f2", "f2"),
    PixelFormat("16", 16, "u1", "u1", Packing.RGB),
    PixelFormat("17", 17, "i1", "i1"),
    PixelFormat("101", 101, "u1", "u1", Packing.NIBBLE),
)

PIXELS: dict[str, PixelFormat] = {row.code: row for row in _FORMATS}
"""Pixel formats by code."""


@dataclass(frozen=True, slots=True)
class Mode:
    """One row of the table of modes.

    Parameters
    ----------
    number : int
        Value of header word 4 (MRC2014).
    name : str
        What a pixel is.
    standard : bool
        Whether the MRC2014 specification (with its 2022 update) lists it.
    formats : tuple of str
        Codes in `PIXELS`, the default first.
    source : str
        What defines it, or which programs write it.
    """

    number: int
    name: str
    standard: bool
    formats: tuple[str, ...]
    source: str

    @property
    def pixel(self) -> PixelFormat:
        """The pixel format without further evidence."""
        return PIXELS[self.formats[0]]


_STANDARD, _HISTORIC = True, False

MODES: dict[int, Mode] = {
    row.number: row
    for row in (
        Mode(
            0,
            "8-bit integer, signed unless evidence says otherwise",
            _STANDARD,
            ("0", "0u", "0s", "0n"),
            "MRC2014; IMOD",
        ),
        Mode(1, "16-bit signed integer", _STANDARD, ("1",), "MRC2014"),
        Mode(2, "32-bit float", _STANDARD, ("2",), "MRC2014"),
        Mode(3, "complex of two 16-bit integers", _STANDARD, ("3",), "MRC2014"),
        Mode(4, "complex of two 32-bit floats", _STANDARD, ("4",), "MRC2014"),
        Mode(5, "historic 8-bit unsigned integer; 16-bit signed in Priism files", _HISTORIC, ("5", "5w"), "MotionCor2"),
        Mode(6, "16-bit unsigned integer", _STANDARD, ("6",), "MRC2014"),
        Mode(7, "32-bit signed integer", _HISTORIC, ("7",), "Priism, MotionCor, MRCZ"),
        Mode(8, "32-bit unsigned integer", _HISTORIC, ("8",), "MRCZ"),
        Mode(12, "16-bit float", _STANDARD, ("12",), "MRC2014, 2022 update"),
        Mode(16, "RGB, three unsigned bytes", _HISTORIC, ("16",), "IMOD"),
        Mode(17, "8-bit signed integer", _HISTORIC, ("17",), "EMAN2"),
        Mode(101, "4-bit unsigned integer, two in a byte", _STANDARD, ("101",), "MRC2014, 2022 update"),
    )
}
"""Modes by number: 0, 1, 2, 3, 4, 6, 12 and 101 are standard, the others historic."""
