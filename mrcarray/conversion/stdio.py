"""Output to binary objects, pipes and devices, which no rename can replace."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from typing import TYPE_CHECKING, Any

from mrcarray.conversion.output import COPIED, named_in_warnings
from mrcarray.errors import MrcValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["is_stream", "write_stream"]


def is_stream(target: Any) -> bool:
    """Return whether a target is a writable object, a pipe or a device."""
    if hasattr(target, "write"):
        return True
    if not isinstance(target, str | bytes | os.PathLike):  # `os.stat` takes a number for an open file
        return False
    try:
        mode = os.stat(target).st_mode  # noqa: PTH116 -- names need not be text
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def write_stream(make: Callable[[str], str], target: Any) -> str:
    """Write a file in a temporary folder, copy it to a stream, and return the name of the stream.

    Parameters
    ----------
    make : callable
        Writes the file whose name it gets.
    target : object or path
        The stream.
    """
    is_object = hasattr(target, "write")
    name = str(getattr(target, "name", "<stream>")) if is_object else os.fspath(target)
    with tempfile.TemporaryDirectory(prefix="mrcarray-") as folder:
        made = os.path.join(folder, "out.mrc" if is_object else os.path.basename(name))  # noqa: PTH118, PTH119 -- names need not be text
        if made.endswith(".zarr"):
            raise MrcValueError(f"cannot write a Zarr store, which is a folder, to {name}")
        with named_in_warnings(made, name):
            make(made)
        stream = contextlib.nullcontext(target) if is_object else open(target, "wb")  # noqa: PTH123, SIM115 -- as above; closed below
        with open(made, "rb") as file, _named(name), stream as out:  # noqa: PTH123 -- as above
            shutil.copyfileobj(file, out, COPIED)
            out.flush()
    return name


@contextlib.contextmanager
def _named(name: str) -> Iterator[None]:
    """Put the name of the output into an error."""
    try:
        yield
    except OSError as error:
        raise type(error)(error.errno, error.strerror, name) from error
