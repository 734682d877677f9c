"""The records of an extended header, one for each section."""

from __future__ import annotations

from typing import Any

import numpy as np

from mrcarray.classic.record import header_of
from mrcarray.format.extended import Facts, detect

__all__ = ["INDEXED", "records"]

#: Types of extended header whose records are given.
INDEXED = (b"FEI1", b"FEI2", b"SERI", b"AGAR")


def records(header: Any, block: Any) -> Any:
    """Return the records of an extended header as an array of its own, or None when the bytes are something else."""
    frozen = header_of(header)
    label = frozen.text_labels[0] if frozen.text_labels else ""
    facts = Facts(frozen.byteorder, frozen.nz, frozen.exttyp, frozen.imod.nint, frozen.imod.nreal, label)
    raw = block.tobytes()
    found = detect(raw, facts)
    if found.dialect is None or found.dialect.exttyp != frozen.exttyp:
        return None
    dtype = found.dialect.dtype(found.facts)
    if dtype.itemsize == 0 or not 0 <= frozen.nz * dtype.itemsize <= len(raw):
        return None
    return np.frombuffer(bytearray(raw), dtype=dtype, count=frozen.nz)
