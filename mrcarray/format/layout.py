"""`Layout`: where the pixels are in a file, and their shape and format.

A `Layout` contains what `mrcarray.format.selection` needs to convert a key to byte ranges, and nothing about voxel
sizes, labels or files. `mrcarray.format.interpret` makes it from a header.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrcarray.errors import MrcValueError
from mrcarray.format.modes import ByteOrder, PixelFormat, raw_pixel

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Kind", "Layout"]


class Kind(enum.StrEnum):
    """What the sections of a file are."""

    IMAGE = "image"
    IMAGE_STACK = "image_stack"
    VOLUME = "volume"
    VOLUME_STACK = "volume_stack"

    @property
    def ndim(self) -> int:
        """Number of spatial and stack axes."""
        return _NDIM.get(self, 3)


_NDIM = {Kind.IMAGE: 2, Kind.VOLUME_STACK: 4}


@dataclass(frozen=True, slots=True)
class Layout:
    """Shape, pixel format and offset of a block of pixels; valid by construction.

    Parameters
    ----------
    kind : Kind
        Image, image stack, volume or volume stack.
    shape : tuple of int
        Shape in memory, slowest axis first: (row, column), (section, row, column) or (volume, section, row, column);
        RGB pixels add a last axis of length 3. Any length may be 0.
    pixel : PixelFormat
        How pixels are stored.
    byteorder : {"<", ">"}
        Byte order of the stored items.
    offset : int
        First byte of the first pixel.

    Raises
    ------
    MrcValueError
        When the shape has a negative length, the wrong number of axes, or the offset is negative.
    """

    kind: Kind
    shape: tuple[int, ...]
    pixel: PixelFormat
    byteorder: ByteOrder
    offset: int

    def __post_init__(self) -> None:
        """Check lengths, number of axes and offset."""
        if min(self.shape, default=0) < 0 or self.offset < 0:
            msg = f"shape is {self.shape} and offset {self.offset}; expected lengths and an offset of 0 or more"
            raise MrcValueError(msg)
        axes = self.kind.ndim + len(self.pixel.trailing)
        if self.pixel.mode >= 0 and len(self.shape) != axes:
            msg = f"shape is {self.shape}; expected {axes} axes for {self.kind}, mode {self.pixel.mode}"
            raise MrcValueError(msg)

    @classmethod
    def raw(cls, shape: tuple[int, ...], dtype: np.dtype[Any] | str, offset: int = 0) -> Layout:
        """Return the layout of a plain C-ordered array of any dtype and number of axes."""
        import numpy as np

        order: ByteOrder = ">" if np.dtype(dtype).str.startswith(">") else "<"
        return cls(Kind.VOLUME, tuple(shape), raw_pixel(dtype), order, offset)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype in memory, native byte order."""
        return self.pixel.dtype

    @property
    def ndim(self) -> int:
        """Number of axes in memory."""
        return len(self.shape)

    @property
    def grid(self) -> tuple[int, ...]:
        """The shape without the colour axis of RGB pixels."""
        return self.shape[: self.ndim - len(self.pixel.trailing)]

    @property
    def columns(self) -> int:
        """Pixels in a row; 1 for a 0-d raw array."""
        return self.grid[-1] if self.grid else 1

    @property
    def row_nbytes(self) -> int:
        """Bytes of one stored row."""
        return self.pixel.row_nbytes(self.columns)

    @property
    def section_nbytes(self) -> int:
        """Bytes of one stored section (rows x columns)."""
        return self.row_nbytes * math.prod(self.grid[-2:-1])

    @property
    def nbytes(self) -> int:
        """Bytes of the stored data block."""
        grid = self.grid
        return self.pixel.row_nbytes(grid[-1] if grid else 1) * math.prod(grid[:-1])

    @property
    def stop(self) -> int:
        """Byte after the last stored pixel."""
        return self.offset + self.nbytes
