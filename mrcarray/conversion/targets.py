"""Where a file is made, and how it gets its name: whole, or not at all."""

from __future__ import annotations

import contextlib
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrcarray.errors import MrcWarning
from mrcarray.storage.atomic import AtomicFile
from mrcarray.storage.atomic_stream import AtomicStream

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Target", "called", "in_this_process", "new_file"]

_HERE = ("threads", "threading", "sync", "synchronous", "single-threaded")
"""Schedulers of dask that compute in this process."""


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
def new_file(to: Target, size: int) -> Iterator[AtomicStream]:
    """Give a file object to write to; the file takes its name when the context ends, and not after an error.

    Parameters
    ----------
    to : Target
        The file.
    size : int
        Bytes to reserve on the disk first; the file may become shorter or longer.
    """
    with AtomicFile(to.name, overwrite=to.overwrite) as file:
        stream = AtomicStream(file)
        stream.reserve(size)
        try:
            yield stream
        except BaseException as error:
            if stream.error is not None and error is not stream.error:  # libraries hide it behind their own
                raise stream.error from error
            raise
        stream.finish()
        file.commit()


@contextlib.contextmanager
def in_this_process() -> Iterator[None]:
    """Have dask compute in threads of this process: a file object does not travel to others."""
    import dask

    chosen = dask.config.get("scheduler", None)
    with dask.config.set(scheduler=chosen if chosen in _HERE else "threads"):
        yield


@contextlib.contextmanager
def called(made: str, name: str) -> Iterator[None]:
    """Have warnings about a file that is made under another name say the name it will have."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MrcWarning)
        yield
    for warning in caught:
        message = warning.message
        if isinstance(message, MrcWarning):
            message = MrcWarning(str(message).replace(made, name), message.command_text.replace(made, name))
        warnings.warn(message, stacklevel=3)
