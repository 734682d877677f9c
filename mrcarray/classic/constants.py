"""Constants with mrcfile's names; the offset comes from the table of header fields."""

from __future__ import annotations

from typing import Final

from mrcarray.format.fields import FIELDS

__all__ = [
    "IMAGE_STACK_SPACEGROUP",
    "MAP_ID",
    "MAP_ID_OFFSET_BYTES",
    "VOLUME_SPACEGROUP",
    "VOLUME_STACK_SPACEGROUP",
]

MAP_ID: Final = b"MAP "
MAP_ID_OFFSET_BYTES: Final = FIELDS["map"].offset

IMAGE_STACK_SPACEGROUP: Final = 0
VOLUME_SPACEGROUP: Final = 1
VOLUME_STACK_SPACEGROUP: Final = 401
