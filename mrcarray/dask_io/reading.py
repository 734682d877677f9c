"""Open files as lazy arrays: `open_array`, `from_mrc`, `open_dataset`, `open_dataarray`.

dask and xarray are imported when a function that needs them is called.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from mrcarray import reader
from mrcarray.dask_io.chunk_rule import layout_chunks
from mrcarray.reader import OriginOption, ReadOptions
from mrcarray.storage import OpenedFingerprint, open_source
from mrcarray.storage.local import absolute
from mrcarray.urls import is_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import dask.array as da
    import xarray as xr

    from mrcarray.array import MrcArray

__all__ = ["from_mrc", "open_array", "open_dataarray", "open_dataset"]


class DatasetOptions(ReadOptions, total=False):
    """Keyword arguments of `open_dataset`: `ReadOptions`, and those of the engine and of `xarray.open_dataset`."""

    origin: OriginOption
    coords: Literal["physical", "pixel"] | None
    extended: bool | Literal["all"]
    sidecar: Literal[False] | str | os.PathLike[str]
    header_attrs: bool | Literal["all"]
    preferred_chunks: Mapping[str, int] | None
    drop_variables: str | Iterable[str] | None
    chunks: int | Literal["auto"] | Mapping[Any, Any] | None
    cache: bool | None
    create_default_indexes: bool
    inline_array: bool
    chunked_array_type: str | None
    from_array_kwargs: dict[str, Any] | None


@overload
def open_array(path: Any, *, permissive: Literal[False] = ..., **options: Unpack[ReadOptions]) -> MrcArray: ...


@overload
def open_array(path: Any, *, permissive: bool, **options: Unpack[ReadOptions]) -> MrcArray | None: ...


@reader.documented
def open_array(path: Any, *, permissive: bool = False, **options: Unpack[ReadOptions]) -> MrcArray | None:
    """Open the data of a file as a lazy array, which reads the pixels that an index selects.

    Parameters
    ----------
    path : str, path, bytes or readable binary object
        The file.
    permissive : bool
        Warn where strict reading raises, and read what is there of a truncated or contradictory file. If its
        header does not determine where the data are, None is returned.
    **options
        See `mrcarray.reader.ReadOptions`.

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
    reader.require_read_options(options, "open_array()", ("permissive",))
    return reader.open_file(path, permissive=permissive, **options).array


@overload
def from_mrc(
    path: Any,
    chunks: Any = ...,
    *,
    permissive: Literal[False] = ...,
    name: str | None = ...,
    inline_array: bool = ...,
    **options: Unpack[ReadOptions],
) -> da.Array: ...


@overload
def from_mrc(
    path: Any,
    chunks: Any = ...,
    *,
    permissive: bool,
    name: str | None = ...,
    inline_array: bool = ...,
    **options: Unpack[ReadOptions],
) -> da.Array | None: ...


@reader.documented
def from_mrc(
    path: Any,
    chunks: Any = "auto",
    *,
    permissive: bool = False,
    name: str | None = None,
    inline_array: bool = True,
    **options: Unpack[ReadOptions],
) -> da.Array | None:
    """Open the data of a file as a dask array.

    Only the header is read now. Each task of the graph describes what to read in some hundred bytes, and can run in any
    process that sees the same path.

    Parameters
    ----------
    path : str, path, bytes or readable binary object
        The file.
    chunks : int, tuple, str or None
        As in dask. ``"auto"`` gives whole sections, about 24 MiB together and more in very large files, or rows of
        one where a section is larger than dask's ``array.chunk-size``; never parts of rows, so every chunk is one run
        of bytes. ``open_dataset(chunks={})`` has the same chunks.
    permissive : bool
        As for `open_array`.
    name : str, optional
        Name of the dask array; by default made from the path and the fingerprint of the file.
    inline_array : bool
        Whether each task contains the description of the file, or refers to another task that does.
    **options
        See `mrcarray.reader.ReadOptions`.

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

    reader.require_read_options(options, "from_mrc()", ("chunks", "permissive", "name", "inline_array"))
    array = open_array(path, permissive=permissive, **options)
    if array is None:
        return None
    cut = _chunks(array, chunks)
    out: da.Array = da.from_array(
        array,
        chunks=cut,
        name=name or f"from-mrc-{tokenize(array, cut)}",
        lock=False,
        asarray=True,
        fancy=True,  # otherwise dask does not pass slices on to the array
        inline_array=inline_array,
        meta=np.empty((0,) * array.ndim, dtype=array.dtype),
    )
    return out


def _chunks(array: MrcArray, chunks: Any) -> tuple[tuple[int, ...], ...]:
    """Return explicit chunks; automatic ones are runs of whole sections, or of whole rows."""
    from dask.array.core import normalize_chunks

    if isinstance(chunks, str) and chunks == "auto":
        chunks = (*layout_chunks(array.layout), *(-1,) * len(array.layout.pixel.trailing))
    elif chunks is None:
        chunks = -1
    out: tuple[tuple[int, ...], ...] = normalize_chunks(chunks, shape=array.shape, dtype=array.dtype)
    return out


@reader.documented
def open_dataset(path: Any, *, permissive: bool = False, **options: Unpack[DatasetOptions]) -> xr.Dataset:
    """Open a file as an xarray Dataset; like ``xarray.open_dataset(path, engine="mrc")``, with safe task names.

    The path is made absolute, and the fingerprint of the file (size, time and inode, or ETag) becomes part of the names
    of dask's tasks, so that dask never mistakes two files, or two states of one file, for each other.

    Parameters
    ----------
    path : str, path, bytes or readable binary object
        The file.
    permissive : bool
        Warn where strict reading raises. Without readable data, the Dataset has no variable ``data``.
    **options
        See `mrcarray.reader.ReadOptions`.
    origin, coords, extended, sidecar, header_attrs, preferred_chunks, drop_variables
        Options of the engine; see `mrcarray.xarray_backend.engine.MrcBackendEntrypoint.open_dataset`.
    chunks, cache, create_default_indexes, inline_array, chunked_array_type, from_array_kwargs
        Options of ``xarray.open_dataset``.

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

    return xr.open_dataset(_absolute(path), permissive=permissive, **_identified(path, options))


@overload
def open_dataarray(
    path: Any, *, permissive: Literal[False] = ..., **options: Unpack[DatasetOptions]
) -> xr.DataArray: ...


@overload
def open_dataarray(path: Any, *, permissive: bool, **options: Unpack[DatasetOptions]) -> xr.DataArray | None: ...


def open_dataarray(path: Any, *, permissive: bool = False, **options: Unpack[DatasetOptions]) -> xr.DataArray | None:
    """Open the data of a file as an xarray DataArray.

    Parameters
    ----------
    path : str, path, bytes or readable binary object
        The file.
    permissive : bool
        As for `open_array`.
    **options
        As for `open_dataset`.

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
        return xr.open_dataarray(_absolute(path), **_identified(path, options))
    return open_dataset(path, permissive=True, **options).get("data")


def _absolute(path: Any) -> Any:
    if isinstance(path, bytes):
        return memoryview(path)  # xarray treats bytes as a path when it looks for a modification time
    if isinstance(path, str | os.PathLike):
        name = os.fspath(path)
        return name if is_url(name) else absolute(os.path.expanduser(name))  # noqa: PTH111 -- a str
    return path


def _identified(path: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with our engine and the fingerprint of the file, which is opened once for both."""
    fingerprint = None
    if not _is_stream(path):
        source = open_source(
            _absolute(path), storage_options=options.get("storage_options"), index=options.get("index", False)
        )
        fingerprint = OpenedFingerprint.of(source)
    return {"engine": "mrc", "fingerprint": fingerprint, **options}


def _is_stream(path: Any) -> bool:
    """Return whether the bytes can be read only once, as those of named pipes and file objects."""
    if isinstance(path, str | os.PathLike):
        return os.path.exists(path) and stat.S_ISFIFO(os.stat(path).st_mode)  # noqa: PTH110, PTH116 -- a str
    return hasattr(path, "read")
