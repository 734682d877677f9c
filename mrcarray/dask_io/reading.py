"""Opening files as lazy arrays: `open_array`, `from_mrc`, `open_dataset`, `open_dataarray`.

dask and xarray are imported when a function that needs them is called.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any, Literal, overload

from mrcarray import reader
from mrcarray.storage import OpenedFingerprint, open_source
from mrcarray.storage.local import absolute
from mrcarray.urls import is_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    import dask.array as da
    import xarray as xr

    from mrcarray.array import MrcArray

__all__ = ["from_mrc", "open_array", "open_dataarray", "open_dataset"]


@overload
def open_array(
    path: Any,
    *,
    kind: str = ...,
    mode0: str = ...,
    imod_bytes: str = ...,
    permissive: Literal[False] = ...,
    storage_options: Mapping[str, Any] | None = ...,
    index: bool | str | os.PathLike[str] = ...,
    max_bytes: int | None = ...,
) -> MrcArray: ...


@overload
def open_array(
    path: Any,
    *,
    kind: str = ...,
    mode0: str = ...,
    imod_bytes: str = ...,
    permissive: bool,
    storage_options: Mapping[str, Any] | None = ...,
    index: bool | str | os.PathLike[str] = ...,
    max_bytes: int | None = ...,
) -> MrcArray | None: ...


def open_array(  # noqa: PLR0913 -- what to open and how to read it, by keyword
    path: Any,
    *,
    kind: str = "auto",
    mode0: str = "auto",
    imod_bytes: str = "raw",
    permissive: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    index: bool | str | os.PathLike[str] = False,
    max_bytes: int | None = None,
) -> MrcArray | None:
    """Open the data of a file as a lazy array that reads what it is indexed with.

    Parameters
    ----------
    path : str, path, bytes or readable binary object
        The file.
    kind : str
        "image", "image_stack", "volume" or "volume_stack" where the header should not decide.
    mode0 : {"auto", "signed", "unsigned"}
        Sign of 8-bit pixels.
    imod_bytes : {"raw", "shifted"}
        Whether IMOD's signed bytes are the numbers stored, or those IMOD means: 128 more.
    permissive : bool
        Warn where strict reading raises, and take what is there of a truncated or contradictory file. Where its
        1024 bytes of header do not tell where the data are, there is no array: None is returned.
    storage_options : mapping, optional
        For remote files.
    index : bool or path
        For compressed files: keep the index that the first access makes in a file, for the next session and for other
        processes. True puts it beside the file, or in the cache folder; a path names the file or a folder.
    max_bytes : int, optional
        Refuse data blocks that are larger.

    Returns
    -------
    MrcArray or None
        None only with `permissive`, when no data can be found.

    Raises
    ------
    MrcFormatError
        When the file is wrong; with `permissive` only when it has no 1024 bytes of header.

    Examples
    --------
    >>> import mrcarray
    >>> volume = mrcarray.open_array("tomo.mrc")
    >>> volume.shape, volume[3, ::2, 7].shape
    ((20, 32, 40), (16,))
    """
    return reader.open_file(
        path,
        permissive=permissive,
        kind=kind,
        mode0=mode0,
        imod_bytes=imod_bytes,
        storage_options=storage_options,
        index=index,
        max_bytes=max_bytes,
    ).array


@overload
def from_mrc(
    path: Any,
    chunks: Any = ...,
    *,
    kind: str = ...,
    mode0: str = ...,
    imod_bytes: str = ...,
    permissive: Literal[False] = ...,
    storage_options: Mapping[str, Any] | None = ...,
    index: bool | str | os.PathLike[str] = ...,
    max_bytes: int | None = ...,
    name: str | None = ...,
    inline_array: bool = ...,
) -> da.Array: ...


@overload
def from_mrc(
    path: Any,
    chunks: Any = ...,
    *,
    kind: str = ...,
    mode0: str = ...,
    imod_bytes: str = ...,
    permissive: bool,
    storage_options: Mapping[str, Any] | None = ...,
    index: bool | str | os.PathLike[str] = ...,
    max_bytes: int | None = ...,
    name: str | None = ...,
    inline_array: bool = ...,
) -> da.Array | None: ...


def from_mrc(  # noqa: PLR0913 -- as da.from_zarr: what to open, how to cut it, how to name it
    path: Any,
    chunks: Any = "auto",
    *,
    kind: str = "auto",
    mode0: str = "auto",
    imod_bytes: str = "raw",
    permissive: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    index: bool | str | os.PathLike[str] = False,
    max_bytes: int | None = None,
    name: str | None = None,
    inline_array: bool = True,
) -> da.Array | None:
    """Open the data of a file as a dask array.

    Nothing is read but the header while the graph is built; every task carries a recipe of some hundred bytes and can
    run in another process that sees the same path.

    Parameters
    ----------
    path : str, path, bytes or readable binary object
        The file.
    chunks : int, tuple, str or None
        As dask takes it. ``"auto"`` gives whole sections, as many as make dask's chunk size, and rows of them where one
        section is larger; never columns, so that every chunk is one run of bytes.
    kind, mode0, imod_bytes, permissive, storage_options, index, max_bytes
        As for `open_array`.
    name : str, optional
        Name of the dask array; by default made from the path and the fingerprint of the file.
    inline_array : bool
        Whether the recipe stands in each task or in one of its own.

    Returns
    -------
    dask.array.Array or None
        None only with `permissive`, when no data can be found.

    Examples
    --------
    >>> import mrcarray
    >>> mrcarray.from_mrc("tomo.mrc", chunks=(8, -1, -1)).numblocks
    (3, 1, 1)
    """
    import dask.array as da
    import numpy as np
    from dask.base import tokenize

    array = open_array(
        path,
        kind=kind,
        mode0=mode0,
        imod_bytes=imod_bytes,
        permissive=permissive,
        storage_options=storage_options,
        index=index,
        max_bytes=max_bytes,
    )
    if array is None:
        return None
    cut = _chunks(array, chunks)
    out: da.Array = da.from_array(
        array,
        chunks=cut,
        name=name or f"from-mrc-{tokenize(array, cut)}",
        lock=False,
        asarray=True,
        fancy=True,  # else dask does not hand slices down to the array
        inline_array=inline_array,
        meta=np.empty((0,) * array.ndim, dtype=array.dtype),
    )
    return out


def _chunks(array: MrcArray, chunks: Any) -> tuple[tuple[int, ...], ...]:
    """Return explicit chunks; automatic ones are runs of whole sections, or of whole rows."""
    from dask.array.core import normalize_chunks

    if chunks == "auto":
        chunks = _automatic(array)
    elif chunks is None:
        chunks = -1
    out: tuple[tuple[int, ...], ...] = normalize_chunks(chunks, shape=array.shape, dtype=array.dtype)
    return out


def _automatic(array: MrcArray) -> tuple[Any, ...]:
    import math

    import dask
    from dask.utils import parse_bytes

    limit = parse_bytes(dask.config.get("array.chunk-size"))
    out: list[Any] = []
    room = max(limit // array.dtype.itemsize, 1)
    for axis, length in enumerate(array.shape[:-1]):
        inner = math.prod(array.shape[axis + 1 :])
        if inner * length <= room:
            break
        out.append(max(room // max(inner, 1), 1))
        if inner <= room:
            break
    return (*out, *(-1,) * (array.ndim - len(out)))


def open_dataset(path: Any, **kwargs: Any) -> xr.Dataset:
    """Open a file as an xarray Dataset; as ``xarray.open_dataset(path, engine="mrc")``, with a stronger identity.

    The path is made absolute and the fingerprint of the file (size, time, inode, or etag) enters the names of dask's
    tasks, so that two files, or two states of one, are never taken for each other.

    Parameters
    ----------
    path : str, path, bytes or readable binary object
        The file.
    **kwargs
        Of ``xarray.open_dataset`` (``chunks``, ``cache``, ``drop_variables``, ...) and of the engine (``kind``,
        ``mode0``, ``origin``, ``permissive``, ``coords``, ``preferred_chunks``, ``storage_options``, ``index``,
        ``max_bytes``, ``extended``, ``sidecar``).

    Returns
    -------
    xarray.Dataset
        With the variable ``data``.

    Examples
    --------
    >>> import mrcarray
    >>> mrcarray.open_dataset("tomo.mrc").data.sel(z=slice(10, 19)).dims
    ('z', 'y', 'x')
    """
    import xarray as xr

    return xr.open_dataset(_absolute(path), **_identified(path, kwargs))


@overload
def open_dataarray(path: Any, *, permissive: Literal[False] = ..., **kwargs: Any) -> xr.DataArray: ...


@overload
def open_dataarray(path: Any, *, permissive: bool, **kwargs: Any) -> xr.DataArray | None: ...


def open_dataarray(path: Any, *, permissive: bool = False, **kwargs: Any) -> xr.DataArray | None:
    """Open the data of a file as an xarray DataArray.

    Parameters
    ----------
    path, **kwargs
        As for `open_dataset`.
    permissive : bool
        As for `open_array`.

    Returns
    -------
    xarray.DataArray or None
        None only with `permissive`, when no data can be found.

    Examples
    --------
    >>> import mrcarray
    >>> mrcarray.open_dataarray("tilts.mrcs").dims
    ('section', 'y', 'x')
    """
    import xarray as xr

    if not permissive:
        return xr.open_dataarray(_absolute(path), **_identified(path, kwargs))
    dataset = open_dataset(path, permissive=True, **kwargs)
    return dataset.get("data")


def _absolute(path: Any) -> Any:
    if isinstance(path, bytes):
        return memoryview(path)  # xarray takes bytes for a path when it looks for a modification time
    if isinstance(path, str | os.PathLike):
        name = os.fspath(path)
        return name if is_url(name) else absolute(os.path.expanduser(name))  # noqa: PTH111 -- a str
    return path


def _identified(path: Any, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with our engine and the fingerprint of the file, which is opened once for both."""
    fingerprint = None
    if not _is_stream(path):
        source = open_source(
            _absolute(path), storage_options=kwargs.get("storage_options"), index=kwargs.get("index", False)
        )
        fingerprint = OpenedFingerprint.of(source)
    return {"engine": "mrc", "fingerprint": fingerprint, **kwargs}


def _is_stream(path: Any) -> bool:
    """Return whether reading may use the bytes up: named pipes and file objects are opened once only."""
    if isinstance(path, str | os.PathLike):
        return os.path.exists(path) and stat.S_ISFIFO(os.stat(path).st_mode)  # noqa: PTH110, PTH116 -- a str
    return hasattr(path, "read")
