"""Extended headers: the meaning of the bytes between the header and the pixels.

`detect` returns the dialect of a block, `decode` its `Records`, and ``Records.encode`` the bytes of the records, also
after `Records.take` selected or reordered sections. Each dialect has one file; `DIALECTS` is the table of them.

Examples
--------
>>> tilts = bytes([112, 23, 0, 0, 144, 232])  # 60, 0 and -60 degrees, as SerialEM stores them
>>> found = decode(tilts, RecordFacts(nz=3, exttyp=b"SERI", nint=2, nreal=1))
>>> found.records.take([2, 1, 0]).common("tilt_angle").values
array([-60.,   0.,  60.])
"""

from __future__ import annotations

from mrcarray.format.extended.blocks import operators
from mrcarray.format.extended.codecs import CODECS, Codec, odd_float, odd_shorts
from mrcarray.format.extended.detect import Decoded, Detection, decode, detect, is_blank
from mrcarray.format.extended.record_text import from_tokens
from mrcarray.format.extended.records import Dialect, Field, RecordFacts, Records, missing
from mrcarray.format.extended.report import explained, plain, stated
from mrcarray.format.extended.table import DIALECTS

__all__ = [
    "CODECS",
    "DIALECTS",
    "Codec",
    "Decoded",
    "Detection",
    "Dialect",
    "Field",
    "RecordFacts",
    "Records",
    "decode",
    "detect",
    "explained",
    "from_tokens",
    "is_blank",
    "missing",
    "odd_float",
    "odd_shorts",
    "operators",
    "plain",
    "stated",
]
