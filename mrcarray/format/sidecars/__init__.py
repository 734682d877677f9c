"""Sidecars: the text files programs put beside an image, parsed and written without touching a disk.

`Mdoc` is SerialEM's ``.mdoc``; `parse_angles` and `format_angles` serve the one-number-a-line lists of IMOD
(``.rawtlt``, ``.tlt``, ``.xtilt``). Where they are looked for, and which of several sources wins, is decided by
`mrcarray.xarray_backend.metadata_read`.
"""

from __future__ import annotations

from mrcarray.format.sidecars.lists import ANGLE_LISTS, format_angles, parse_angles
from mrcarray.format.sidecars.mdoc import KEYS, OWN, Entry, Key, Mdoc, Section

__all__ = ["ANGLE_LISTS", "KEYS", "OWN", "Entry", "Key", "Mdoc", "Section", "format_angles", "parse_angles"]
