"""The records of an extended header, one for each section."""

from __future__ import annotations

from typing import Any

import numpy as np

from mrcarray.classic.header_record import header_of
from mrcarray.format.extended import RecordFacts, detect

__all__ = ["INDEXED", "records"]

#: Types of extended header whose records are given; without a type those that are recognised, FEI's older block too.
INDEXED = (b"FEI1", b"FEI2", b"SERI", b"AGAR", b"MRCO", b"", bytes(4), b"    ")


def records(header: Any, block: Any) -> Any:
    """Return the records of an extended header as an array of its own, or None when the bytes are something else."""
    frozen = header_of(header)
    raw = block.tobytes()
    found = detect(raw, RecordFacts.of(frozen))
    if found.dialect is None or frozen.exttyp.strip(b"\0 ") not in (b"", found.dialect.exttyp):
        return None
    dtype = found.dialect.dtype(found.facts)
    if dtype.itemsize == 0 or not 0 <= frozen.nz * dtype.itemsize <= len(raw):
        return None
    return np.frombuffer(bytearray(raw), dtype=dtype, count=frozen.nz)
