"""MRC files as virtual Zarr: chunks that are ranges of bytes of the file, so that no pixel is copied.

`MRCParser` is a parser for VirtualiZarr, which concatenates files and stores the references with Icechunk.
`to_kerchunk` writes references as JSON, without another package. `reference` finds what both need: where the chunks
are, and the coordinates. `pixel_codec` and the two modules that register it decode pixels that are not whole bytes.
"""

from mrcarray.virtual.parser import MRCParser
from mrcarray.virtual.reference_json import to_kerchunk

__all__ = ["MRCParser", "to_kerchunk"]
