"""Where a file is made, and how it gets its name: whole, or not at all."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import secrets
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mrcarray.errors import MrcWarning
from mrcarray.storage.atomic import AtomicFile, temp_names

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Target", "beside", "called", "place", "room"]


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be written.

    Parameters
    ----------
    name : str
        The file.
    overwrite : bool
        Whether it may exist.
    progress : bool
        Whether to show a progress bar.
    """

    name: str
    overwrite: bool = False
    progress: bool = False


@contextlib.contextmanager
def beside(target: str) -> Iterator[str]:
    """Give a folder beside the target for what is not complete, so that a rename ends the work.

    After an interruption threads may still write for a while: what they leave is removed when the program ends.
    """
    before, after = temp_names(target)
    folder = os.path.dirname(os.path.abspath(target))  # noqa: PTH100, PTH120 -- names need not be text
    made = os.path.join(folder, before + secrets.token_hex(4) + after)  # noqa: PTH118 -- likewise
    remove = functools.partial(shutil.rmtree, made, ignore_errors=True)
    atexit.register(remove)
    try:
        os.mkdir(made, 0o700)  # noqa: PTH102 -- likewise
        yield made
    finally:
        remove()
        if not os.path.lexists(made):
            atexit.unregister(remove)


@contextlib.contextmanager
def called(made: str, name: str) -> Iterator[None]:
    """Have warnings about a file that is made under another name say the name it will have."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MrcWarning)
        yield
    for warning in caught:
        warnings.warn(str(warning.message).replace(made, name), warning.category, stacklevel=3)


def room(target: str, size: int) -> None:
    """Raise the error of a disk that has no room for `size` bytes beside the target.

    HDF5 takes the interpreter down when it cannot write, so it must not get that far.
    """
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
