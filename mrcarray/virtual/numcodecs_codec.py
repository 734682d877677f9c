"""The pixel codec for numcodecs, which Zarr format 2 and references of kerchunk use."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numcodecs.abc import Codec
from numcodecs.compat import ndarray_copy

from mrcarray.virtual import pixel_codec

__all__ = ["PixelCodec"]


class PixelCodec(Codec):  # type: ignore[misc]  # not typed
    """Decode pixels of an MRC file that are not stored as they are in memory.

    Parameters
    ----------
    pixel, columns, byteorder
        As for `mrcarray.virtual.pixel_codec.decode`.
    """

    codec_id: ClassVar[str] = pixel_codec.NAME

    def __init__(self, pixel: str, columns: int, byteorder: str) -> None:
        self.pixel, self.columns, self.byteorder = pixel_codec.checked(pixel, columns, byteorder)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return the bytes of the pixels."""
        values = pixel_codec.decode(memoryview(buf), self.pixel, self.columns, self.byteorder)
        return values if out is None else ndarray_copy(values, out)

    def encode(self, buf: Any) -> Any:
        """Return the stored bytes."""
        values = np.ascontiguousarray(buf).reshape(-1).view(np.uint8)
        return pixel_codec.encode(values, self.pixel, self.columns, self.byteorder)
