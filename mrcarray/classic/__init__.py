"""The API of mrcfile 1.5.4, drop-in: ``from mrcarray import classic as mrcfile``.

The public modules have mrcfile's names. Objects are mutable, unlike elsewhere in the package: `MrcObject` has a header,
an extended header and data as NumPy arrays that may be edited in place, and `MrcFile` writes them to a file. The format
comes from `mrcarray.format`, bytes from `mrcarray.storage`, whole files from `mrcarray.file_writer`, statistics from
`mrcarray.statistics`. Intended differences are listed in ``docs/howto/coming-from-mrcfile.md``.

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
    version,
)
from mrcarray.classic.load_functions import mmap, new, new_mmap, open, open_async, read, write  # noqa: A004 - the original's names
from mrcarray.classic.version import __version__ as __version__

if TYPE_CHECKING:
    from mrcarray.classic import command_line, validator
    from mrcarray.classic.validator import validate

__all__ = [
    "bzip2mrcfile",
    "command_line",
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
    "version",
    "write",
]


def __getattr__(name: str) -> Any:
    """Import the modules that can also be run as programs when they are first used."""
    if name not in ("command_line", "validate", "validator"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module = importlib.import_module(f"{__name__}.{'validator' if name == 'validate' else name}")
    return module.validate if name == "validate" else module
