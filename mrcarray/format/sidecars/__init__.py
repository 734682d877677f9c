"""Sidecars: text files that programs write next to an image, parsed and formatted without any I/O.

`Mdoc` is SerialEM's ``.mdoc``; `parse_angles` and `format_angles` are for IMOD's lists of one number a line
(``.rawtlt``, ``.tlt``, ``.xtilt``). `mrcarray.xarray_backend.metadata_read` decides where to look for them, and which
of several sources is used.
"""

from __future__ import annotations

from mrcarray.format.sidecars.lists import ANGLE_LISTS, format_angles, parse_angles
from mrcarray.format.sidecars.mdoc import Entry, Mdoc, Section
from mrcarray.format.sidecars.mdoc_values import KEYS, OWN, Key

__all__ = ["ANGLE_LISTS", "KEYS", "OWN", "Entry", "Key", "Mdoc", "Section", "format_angles", "parse_angles"]
