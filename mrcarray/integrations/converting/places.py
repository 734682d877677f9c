"""Where a file is made, and how it gets its name: whole, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

__all__ = ["beside", "place", "room"]


def beside(target: str) -> tempfile.TemporaryDirectory[str]:
    """Return a folder beside the target for what is not complete, so that a rename ends the work."""
    folder, name = os.path.split(os.path.abspath(target))  # noqa: PTH100 -- names need not be text
    return tempfile.TemporaryDirectory(prefix=f".{name[:100]}.", suffix=".mrcarray-tmp", dir=folder)


def room(target: str, size: int) -> None:
    """Raise the error of a disk that has no room for `size` bytes beside the target.

    HDF5 takes the interpreter down when it cannot write, so it must not get that far.
    """
    from mrcarray.storage.atomic import AtomicFile

    with AtomicFile(target, overwrite=True) as file:
        file.reserve(size)


def place(made: str, target: str, *, overwrite: bool) -> None:
    """Give a complete file its name."""
    if overwrite:
        Path(made).replace(os.path.realpath(target))
        return
    try:
        os.link(made, target)
    except FileExistsError:
        raise
    except OSError:
        if os.path.lexists(target):
            raise FileExistsError(17, "the output exists; --overwrite replaces it", target) from None
        shutil.move(made, target)
