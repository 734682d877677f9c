"""References as kerchunk writes them: one JSON file that fsspec and zarr read. Nothing else is needed to make it."""

from __future__ import annotations

import base64
import json
import os
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from mrcarray.errors import MrcValueError, printable
from mrcarray.storage.atomic import AtomicFile
from mrcarray.virtual import pixel_codec
from mrcarray.virtual.reference import DATA, Reference, read_reference

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["to_kerchunk"]

_TEXT = "vlen-utf8"


def to_kerchunk(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str] | None = None,
    *,
    dim: str = "file",
    overwrite: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Describe files as one virtual Zarr array, in the JSON of kerchunk.

    The headers are read and no pixel. Read it with ``xr.open_dataset(out, engine="kerchunk")``, or with the reference
    file system of fsspec and ``engine="zarr"``.

    Parameters
    ----------
    paths : str, path or sequence of them
        Files or URLs, not compressed. Several files of one shape and mode are stacked along a new first dimension.
    out : str or path, optional
        The JSON file, which appears under its name only when it is complete.
    dim : str
        Name of the new dimension; its coordinate has the names of the files.
    overwrite : bool
        Whether `out` may be replaced.
    **options
        As for ``xr.open_dataset(engine="mrc")``: ``kind``, ``mode0``, ``imod_bytes``, ``origin``, ``coords``,
        ``extended``, ``sidecar``, ``storage_options``.

    Returns
    -------
    dict
        The references, as written to `out`.

    Raises
    ------
    MrcValueError
        When a file is compressed, or several files cannot be stacked.
    OutputExistsError
        When `out` exists and `overwrite` is not set.

    Examples
    --------
    >>> from mrcarray.virtual import to_kerchunk
    >>> references = to_kerchunk("tomo.mrc", "tomo.json")
    >>> references["refs"]["data/0.0.0"][1:]
    [1024, 102400]
    """
    single = isinstance(paths, str | os.PathLike)
    names = [os.fspath(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
    found = [read_reference(name, options) for name in names]
    if not found:
        raise MrcValueError("no files were given")
    _check_alike(found, dim)
    refs = {".zgroup": _json({"zarr_format": 2}), **_pixels(found, None if single else dim)}
    for name, variable in _coords(found, None if single else dim).items():
        refs.update(_inline(name, variable))
    document = {"version": 1, "refs": refs}
    if out is not None:
        with AtomicFile(out, overwrite=overwrite) as file:
            file.write_at(0, _json(document).encode())
            file.commit()
    return document


def _check_alike(found: list[Reference], dim: str) -> None:
    """Refuse files that have no common array."""
    first = found[0]
    if dim in first.dims and len(found) > 1:
        raise MrcValueError(f"dim is {dim!r}, which the files have already: {', '.join(first.dims)}")
    for one in found[1:]:
        facts = [(ref.dims, ref.layout.shape, str(ref.dtype), ref.codec) for ref in (first, one)]
        if facts[0] != facts[1]:
            mine, theirs = (f"{shape} {dtype} {', '.join(dims)}" for dims, shape, dtype, _ in facts)
            text = f"{printable(one.url)}: {theirs}; expected {mine} as in {printable(first.url)}"
            raise MrcValueError(text)


def _pixels(found: list[Reference], dim: str | None) -> dict[str, Any]:
    """Return the metadata and the chunks of the pixels."""
    first = found[0]
    new = () if dim is None else (len(found),)
    filters = None if first.codec is None else [{"id": pixel_codec.NAME, **first.codec}]
    shape, chunks = (*new, *first.layout.shape), (*(1 for _ in new), *first.chunks)
    attrs = {name: value for name, value in first.attrs.items() if all(one.attrs.get(name) == value for one in found)}
    auxiliary = sorted(name for one in found for name, variable in one.coords.items() if variable.dims != (name,))
    attrs |= {"coordinates": " ".join(dict.fromkeys(auxiliary))} if auxiliary else {}
    dims = (*(() if dim is None else (dim,)), *first.dims)
    refs: dict[str, Any] = _metadata(DATA, first.dtype.str, shape, chunks, dims, attrs, filters)
    for number, one in enumerate(found):
        for position, offset in one.chunk_offsets():
            key = ".".join(map(str, (*(() if dim is None else (number,)), *position)))
            refs[f"{DATA}/{key}"] = [one.url, offset, one.length]
    return refs


def _metadata(  # noqa: PLR0913, PLR0917 -- what Zarr has of an array
    name: str,
    dtype: str,
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    dims: tuple[str, ...],
    attrs: dict[str, Any],
    filters: list[dict[str, Any]] | None,
) -> dict[str, Any]:
    """Return the two documents of an array. Without a fill value: xarray would turn pixels equal to it into NaN."""
    array = {
        "zarr_format": 2,
        "shape": shape,
        "chunks": chunks,
        "dtype": dtype,
        "fill_value": None,
        "order": "C",
        "compressor": None,
        "filters": filters,
        "dimension_separator": ".",
    }
    return {f"{name}/.zarray": _json(array), f"{name}/.zattrs": _json({**attrs, "_ARRAY_DIMENSIONS": dims})}


def _coords(found: list[Reference], dim: str | None) -> dict[str, xr.Variable]:
    """Return the coordinates of all files: those that differ are stacked, and left out if they cannot be."""
    if dim is None:
        return found[0].coords
    names = np.array([os.path.basename(one.url) for one in found], dtype=object)  # noqa: PTH119 -- a path or a URL
    out = {dim: xr.Variable((dim,), names)}
    for name, first in found[0].coords.items():
        every = [one.coords.get(name) for one in found]
        if all(one is not None and one.identical(first) for one in every):
            out[name] = first
        elif all(one is not None and one.dims == first.dims and one.attrs == first.attrs for one in every):
            out[name] = xr.Variable(
                (dim, *first.dims), np.stack([one.values for one in every if one is not None]), first.attrs
            )
    return out


def _inline(name: str, variable: xr.Variable) -> dict[str, Any]:
    """Return a coordinate with its values in the document."""
    values = np.ascontiguousarray(variable.values)
    text = values.dtype.kind == "O"
    dtype = "|O" if text else values.dtype.str
    data = vlen_utf8(values) if text else values.tobytes()
    shape = values.shape
    refs = _metadata(name, dtype, shape, shape, _names(variable), variable.attrs, [{"id": _TEXT}] if text else None)
    key = ".".join("0" for _ in shape) or "0"
    return {**refs, f"{name}/{key}": "base64:" + base64.b64encode(data).decode()}


def _names(variable: xr.Variable) -> tuple[str, ...]:
    return tuple(map(str, variable.dims))


def vlen_utf8(values: np.ndarray[Any, Any]) -> bytes:
    """Return texts as Zarr's codec ``vlen-utf8`` stores them: their number, then each with its length.

    Examples
    --------
    >>> vlen_utf8(np.array(["a"], dtype=object)).hex()
    '010000000100000061'
    """
    texts = [str(value).encode() for value in values.reshape(-1)]
    return struct.pack("<I", len(texts)) + b"".join(struct.pack("<I", len(text)) + text for text in texts)


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
