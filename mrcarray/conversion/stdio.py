"""Output that cannot be renamed into place: binary objects, pipes and devices."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from typing import TYPE_CHECKING, Any

from mrcarray.conversion.targets import called
from mrcarray.errors import MrcValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["is_stream", "pour"]

_PIECE = 1 << 20


def is_stream(target: Any) -> bool:
    """Whether a target is a writable object, a pipe or a device."""
    if hasattr(target, "write"):
        return True
    try:
        mode = os.stat(target).st_mode  # noqa: PTH116 -- names need not be text
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def pour(make: Callable[[str], str], target: Any) -> str:
    """Let a file be made in a temporary folder, copy it into a stream, and return the name of the stream.

    Parameters
    ----------
    make : callable
        Takes the name of the file to make.
    target : object or path
        The stream.
    """
    is_object = hasattr(target, "write")
    name = str(getattr(target, "name", "<stream>")) if is_object else os.fspath(target)
    with tempfile.TemporaryDirectory(prefix="mrcarray-") as folder:
        made = os.path.join(folder, "out.mrc" if is_object else os.path.basename(name))  # noqa: PTH118, PTH119 -- names need not be text
        if made.endswith(".zarr"):
            raise MrcValueError(f"{name} takes one file; a Zarr store is a folder of many")
        with called(made, name):
            make(made)
        stream = contextlib.nullcontext(target) if is_object else open(target, "wb")  # noqa: PTH123, SIM115 -- as above; closed below
        with open(made, "rb") as file, _named(name), stream as out:  # noqa: PTH123 -- as above
            shutil.copyfileobj(file, out, _PIECE)
            out.flush()
    return name


@contextlib.contextmanager
def _named(name: str) -> Iterator[None]:
    """Tell of an error that it is about the output."""
    try:
        yield
    except OSError as error:
        raise type(error)(error.errno, error.strerror, name) from error
