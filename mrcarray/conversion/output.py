"""Parts of the writers of all formats: the target, a file object that becomes a file, conversion of values."""

from __future__ import annotations

import contextlib
import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import Hint, MrcValueError, MrcWarning, printable
from mrcarray.storage.atomic import AtomicFile
from mrcarray.storage.atomic_stream import AtomicStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import xarray as xr

    from mrcarray.progress import Progress

__all__ = [
    "COPIED",
    "Target",
    "bare",
    "check_replaceable",
    "in_range",
    "in_this_process",
    "named_in_warnings",
    "new_file",
    "refuse_options",
]

COPIED = 1 << 20
"""Bytes of a finished file that are copied or compressed at a time."""

_STORE = frozenset({".zarray", ".zattrs", ".zgroup", ".zmetadata", "zarr.json"})
"""Files of which the folder of a Zarr store has one (versions 2 and 3)."""

_HERE = ("threads", "threading", "sync", "synchronous", "single-threaded")
"""Schedulers of dask that compute in this process."""


@dataclass(frozen=True, slots=True)
class Target:
    """A file to be written.

    Parameters
    ----------
    name : str
        The file.
    overwrite : bool
        Whether an existing file may be replaced.
    progress : bool or "auto"
        Whether to show a progress bar.
    """

    name: str
    overwrite: bool = False
    progress: Progress = False


def check_replaceable(target: str) -> None:
    """Refuse to replace a folder that is not a Zarr store and not empty, such as one of other results.

    Raises
    ------
    MrcValueError
        When the target is such a folder.
    """
    folder = target.rstrip("/")
    if os.path.isdir(folder) and (names := set(os.listdir(folder))) and not names & _STORE:  # noqa: PTH112, PTH208 -- names need not be text
        text = f"{printable(folder)} is a folder that is not a Zarr store; it is never replaced"
        raise MrcValueError(text, hint=Hint("give another name, or a file in it"))


@contextlib.contextmanager
def new_file(to: Target, size: int) -> Iterator[AtomicStream]:
    """Open a file object to write to; the file gets its name when the context ends without an error.

    Parameters
    ----------
    to : Target
        The file.
    size : int
        Bytes to reserve on the disk first; the final size may differ.
    """
    with AtomicFile(to.name, overwrite=to.overwrite) as file:
        stream = AtomicStream(file)
        stream.reserve(size)
        try:
            yield stream
        except BaseException as error:
            if stream.error is not None and error is not stream.error:  # libraries raise errors of their own
                raise stream.error from error
            raise
        stream.finish()
        file.commit()


@contextlib.contextmanager
def in_this_process() -> Iterator[None]:
    """Let dask compute in threads of this process, since other processes cannot use its file object."""
    import dask

    chosen = dask.config.get("scheduler", None)
    with dask.config.set(scheduler=chosen if chosen in _HERE else "threads"):
        yield


@contextlib.contextmanager
def named_in_warnings(made: str, name: str) -> Iterator[None]:
    """Replace the name of a temporary file in warnings by the name the file gets."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MrcWarning)
        yield
    made, name = printable(made), printable(name)  # as the texts have them
    for warning in caught:
        message = warning.message
        if isinstance(message, MrcWarning):
            message = MrcWarning(str(message).replace(made, name), message.command_text.replace(made, name))
        warnings.warn(message, stacklevel=3)


def in_range(array: xr.DataArray, dtype: Any) -> xr.DataArray:
    """Return the array as another dtype; a value outside its range is refused when it is computed."""
    if dtype is None or np.dtype(dtype) == array.dtype:
        return array
    wanted = np.dtype(dtype)

    def cast(values: Any) -> Any:
        if wanted.kind in "iu" and values.dtype.kind == "f":
            values = np.rint(values)
        if values.size and wanted.kind in "iuf":
            info: Any = np.iinfo(wanted) if wanted.kind in "iu" else np.finfo(wanted)
            finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
            whole = finite.size == values.size or wanted.kind == "f"
            if not whole or (finite.size and not (info.min <= finite.min() and finite.max() <= info.max)):
                raise MrcValueError(f"a value does not fit {wanted}, whose range is {info.min} to {info.max}")
        return values.astype(wanted)

    return array.copy(data=array.data.map_blocks(cast, dtype=wanted))


def bare(array: xr.DataArray) -> xr.DataArray:
    """Return the array without the encoding of its file, which would set options of another format."""
    out = array.drop_encoding()
    for name in out.coords:
        out.coords[name].encoding = {}
    return out


def refuse_options(options: Mapping[str, Any], name: str) -> None:
    """Raise for an option of MRC files that another format does not have."""
    given = [key for key, value in options.items() if value is not None]
    if given:
        hint = Hint(f"omit {given[0]}", f"omit --{given[0].replace('_', '-')}")
        raise MrcValueError(f"{name} files have no option {given[0]}", hint=hint)
