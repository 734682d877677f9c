"""The API of mrcfile 1.5.4, drop-in: ``from mrcarray import classic as mrcfile``.

The modules have the names of the original's. This is the only room whose objects change: `MrcObject` holds a header,
an extended header and data as NumPy arrays that may be edited in place, and `MrcFile` keeps a file in line with them.
It contains no knowledge of the format: that is in `mrcarray.format`; bytes come from `mrcarray.storage`, statistics
from `mrcarray.stats`. What is done differently on purpose is listed in ``docs/howto/coming-from-mrcfile.md``.

Examples
--------
>>> import numpy as np
>>> from mrcarray import classic as mrcfile
>>> with mrcfile.new("tmp.mrc") as mrc:
...     mrc.set_data(np.zeros((5, 5), dtype=np.int8))
...     mrc.data[1:4, 1:4] = 10
>>> with mrcfile.open("tmp.mrc") as mrc:
...     int(mrc.data.sum())
90
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mrcarray.classic import (
    bzip2mrcfile,
    constants,
    dtypes,
    future_mrcfile,
    gzipmrcfile,
    load_functions,
    mrcfile,
    mrcinterpreter,
    mrcmemmap,
    mrcobject,
    utils,
)
from mrcarray.classic.load_functions import mmap, new, new_mmap, open, open_async, read, write  # noqa: A004 - the original's names

if TYPE_CHECKING:
    from mrcarray.classic import validator
    from mrcarray.classic.validator import validate

__all__ = [
    "bzip2mrcfile",
    "constants",
    "dtypes",
    "future_mrcfile",
    "gzipmrcfile",
    "load_functions",
    "mmap",
    "mrcfile",
    "mrcinterpreter",
    "mrcmemmap",
    "mrcobject",
    "new",
    "new_mmap",
    "open",
    "open_async",
    "read",
    "utils",
    "validate",
    "validator",
    "write",
]

#: The version of the library whose API this is.
__version__ = "1.5.4"


def __getattr__(name: str) -> Any:
    """Fetch the validator when it is first used, so that it can also be run as a program."""
    if name not in ("validate", "validator"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module = importlib.import_module(f"{__name__}.validator")
    return module if name == "validator" else module.validate
