"""Every private attribute of another library that this package uses, one function each.

No public API gives these facts. If a release of a library renames one of them, this module is the only one to change.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    import numpy as np
    import xarray as xr

__all__ = [
    "call_s3",
    "calls_s3",
    "file_info",
    "is_in_memory",
    "set_close_of",
    "set_dtype",
    "warning_filters",
    "zip_member_facts",
]


def is_in_memory(variable: xr.Variable) -> bool:
    """Return whether the values of a variable of xarray are loaded; those of a dask array are not."""
    return bool(variable._in_memory)  # noqa: SLF001


def set_close_of(tree: xr.DataTree, dataset: xr.Dataset) -> None:
    """Let a tree close what a dataset closes: `Dataset` has `set_close`, and no public getter."""
    tree.set_close(dataset._close)  # noqa: SLF001


def set_dtype(array: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> None:
    """Set the dtype of an array in place.

    NumPy 2.5 warns of the assignment, and has ``_set_dtype`` for subclasses of ndarray that need it.
    """
    import numpy as np

    setter = getattr(np.ndarray, "_set_dtype", None)
    if setter is None:
        array.dtype = dtype  # type: ignore[misc]  # it is read-only from NumPy 2.5 on
    else:
        setter(array, dtype)


def warning_filters() -> Sequence[tuple[Any, ...]]:
    """Return the warning filters in force; Python 3.14 keeps those of `catch_warnings` in a context as well."""
    found: Sequence[tuple[Any, ...]] = getattr(warnings, "_get_filters", lambda: warnings.filters)()
    return found


def file_info(fs: Any, path: str) -> Awaitable[dict[str, Any]]:
    """Ask an asynchronous file system of fsspec for the facts about a file, past its cache."""
    found: Awaitable[dict[str, Any]] = fs._info(path, refresh=True)  # noqa: SLF001
    return found


def calls_s3(fs: Any) -> bool:
    """Return whether a file system of fsspec is one that `call_s3` can use."""
    return hasattr(fs, "_call_s3")


def call_s3(fs: Any, method: str, **arguments: Any) -> Awaitable[Any]:
    """Call a method of S3: the only way to get the size and the tag of an object together with its bytes."""
    found: Awaitable[Any] = fs._call_s3(method, **arguments)  # noqa: SLF001
    return found


def zip_member_facts(file: Any) -> tuple[Any, int, int, int, int, int] | None:
    """Return what an open member of a zip archive knows about itself.

    Parameters
    ----------
    file : zipfile.ZipExtFile
        What ``ZipFile.open`` returns.

    Returns
    -------
    tuple or None
        The file object that all members share, position of the first compressed byte, compression method, compressed
        size, size and CRC-32; None if one of them is missing or the member is encrypted.
    """
    names = ("_fileobj", "_orig_compress_start", "_compress_type", "_orig_compress_size", "_orig_file_size")
    facts: list[Any] = [getattr(file, name, None) for name in (*names, "_expected_crc")]
    if None in facts or getattr(file, "_decrypter", None) is not None:
        return None
    shared, start, method, packed, size, crc = facts
    return shared, start, method, packed, size, crc
