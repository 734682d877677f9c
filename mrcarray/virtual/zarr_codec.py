"""The pixel codec for Zarr format 3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from zarr.abc.codec import BytesBytesCodec

from mrcarray.format.modes import PIXELS
from mrcarray.virtual import pixel_codec

if TYPE_CHECKING:
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer

__all__ = ["PixelCodec"]


@dataclass(frozen=True)
class PixelCodec(BytesBytesCodec):
    """Decode pixels of an MRC file that are not stored as they are in memory.

    It follows the codec ``bytes`` with little endian.

    Parameters
    ----------
    pixel, columns, byteorder
        As for `mrcarray.virtual.pixel_codec.decode`.
    """

    is_fixed_size = True

    pixel: str
    columns: int
    byteorder: str

    def __post_init__(self) -> None:
        """Refuse a configuration that cannot be used."""
        pixel_codec.checked(self.pixel, self.columns, self.byteorder)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the codec that metadata describe."""
        return cls(**data["configuration"])

    def to_dict(self) -> dict[str, Any]:
        """Return the codec as metadata."""
        given = {"pixel": self.pixel, "columns": self.columns, "byteorder": self.byteorder}
        return {"name": pixel_codec.NAME, "configuration": given}

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> Buffer:
        return self._decode_sync(chunk_bytes, chunk_spec)

    async def _encode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> Buffer:
        return self._encode_sync(chunk_bytes, chunk_spec)

    def _decode_sync(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> Buffer:
        order = pixel_codec.checked(self.pixel, self.columns, self.byteorder)[2]
        values = pixel_codec.decode(chunk_bytes.to_bytes(), self.pixel, self.columns, order)
        return chunk_spec.prototype.buffer.from_array_like(values)

    def _encode_sync(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> Buffer:
        order = pixel_codec.checked(self.pixel, self.columns, self.byteorder)[2]
        stored = pixel_codec.encode(chunk_bytes.to_bytes(), self.pixel, self.columns, order)
        return chunk_spec.prototype.buffer.from_array_like(np.ascontiguousarray(stored))

    def compute_encoded_size(self, input_byte_length: int, _chunk_spec: ArraySpec) -> int:
        """Return the stored bytes of so many bytes of pixels."""
        row = PIXELS[self.pixel]
        return input_byte_length // (self.columns * row.dtype.itemsize) * row.row_nbytes(self.columns)
