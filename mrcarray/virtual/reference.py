"""What a virtual Zarr array of a file is: its chunks as ranges of bytes, its dimensions, attributes and coordinates."""

from __future__ import annotations

import itertools
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import numpy as np
import xarray as xr

from mrcarray import reader
from mrcarray.errors import MrcFormatError, MrcValueError, printable
from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.storage import open_source
from mrcarray.storage.compression.codecs import detect
from mrcarray.storage.local import LocalSource, absolute
from mrcarray.virtual import pixel_codec
from mrcarray.xarray_backend.engine import MrcBackendEntrypoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mrcarray.format.layout import Layout
    from mrcarray.storage.source import ByteSource

__all__ = ["DATA", "Reference", "chunk_shape", "local_path", "read_reference"]

DATA = "data"
"""Name of the array of pixels."""

_LARGE = 16 << 20
"""Bytes of the largest chunk: one request to an object store of about 0.2 s; a viewer keeps many of them in memory."""

_SMALL = 1 << 20
"""Sections below this are grouped, as for dask: a request for less costs as much as one for this."""

_READ = ("kind", "mode0", "imod_bytes")
"""Options that change how bytes are read; the others change coordinates only."""


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A file as a virtual Zarr array.

    Parameters
    ----------
    url : str
        Absolute path or URL that the chunks name.
    layout : Layout
        Where the pixels are in the file.
    dims : tuple of str
        Of the array.
    chunks : tuple of int
        Shape of a chunk; it divides the shape of the array, so that every chunk is whole.
    attrs : dict
        Of the array, as JSON.
    coords : dict of str to Variable
        As they are stored: numbers, or ``str`` as objects.
    """

    url: str
    layout: Layout
    dims: tuple[str, ...]
    chunks: tuple[int, ...]
    attrs: dict[str, Any]
    coords: dict[str, xr.Variable]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the stored numbers, in their byte order; of the decoded ones if the codec is needed."""
        if self.codec is not None:
            return self.layout.dtype.newbyteorder("<")
        return self.layout.pixel.stored_dtype(self.layout.byteorder)

    @property
    def codec(self) -> dict[str, Any] | None:
        """Configuration of the codec that the pixels need, if they need one."""
        return pixel_codec.configuration(self.layout)

    @property
    def grid(self) -> tuple[int, ...]:
        """Number of chunks along each axis."""
        return tuple(n // chunk for n, chunk in zip(self.layout.shape, self.chunks, strict=True))

    @property
    def length(self) -> int:
        """Bytes of each chunk in the file."""
        return self.layout.nbytes // math.prod(self.grid)

    def chunk_offsets(self) -> Iterator[tuple[tuple[int, ...], int]]:
        """Yield the position of each chunk in `grid` and its first byte; chunks are contiguous."""
        positions = itertools.product(*map(range, self.grid))
        for number, position in enumerate(positions):
            yield position, self.layout.offset + number * self.length


def chunk_shape(layout: Layout, *, large: int = _LARGE, small: int = _SMALL) -> tuple[int, ...]:
    """Return the shape of chunks that are each one run of bytes, and divide the array.

    One section is a chunk. A section of more than `large` bytes is split into equal groups of rows; sections of less
    than `small` bytes are grouped up to `large`, by a divisor of their number.

    Examples
    --------
    >>> from mrcarray.format.layout import Layout
    >>> chunk_shape(Layout.raw((12, 100, 100), "<f4"), large=200_000, small=100_000)
    (4, 100, 100)
    >>> chunk_shape(Layout.raw((12, 100, 100), "<f4"), large=25_000)
    (1, 50, 100)
    """
    *outer, rows, _ = layout.grid
    sections = outer[-1] if outer else 1
    each, split = 1, rows
    if layout.section_nbytes > large:
        split = _divisor(rows, large // max(layout.row_nbytes, 1))
    elif layout.section_nbytes < small:
        each = _divisor(sections, large // max(layout.section_nbytes, 1))
    leading = (*(1 for _ in outer[:-1]), each) if outer else ()
    return (*leading, split, *layout.shape[len(outer) + 1 :])


def _divisor(number: int, most: int) -> int:
    """Return the largest divisor of a number that is at most `most`, or 1."""
    return next((n for n in range(min(number, most), 0, -1) if number % n == 0), 1)


def local_path(url: str) -> str | None:
    """Return the path of a local file, absolute; None for other URLs.

    Examples
    --------
    >>> local_path("file:///data/a%20b.mrc"), local_path("s3://bucket/a.mrc")
    ('/data/a b.mrc', None)
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        return unquote(parts.path)
    return None if "://" in url or "::" in url else absolute(os.path.expanduser(url))  # noqa: PTH111 -- a str


def read_reference(url: str, options: Mapping[str, Any], source: ByteSource | None = None) -> Reference:
    """Read the header of a file, and describe it.

    Parameters
    ----------
    url : str
        Path or URL; the chunks name it.
    options : mapping
        Options of ``xr.open_dataset(engine="mrc")``.
    source : ByteSource, optional
        Where to read it [default: a local file, or by URL].

    Raises
    ------
    MrcValueError
        When the file is compressed.
    MrcFormatError
        When the file is wrong.
    """
    path = local_path(url)
    if source is None:
        source = LocalSource.open(path) if path is not None else open_source(url, **_storage(options))
    codec = detect(bytes(source.read(0, HEADER_NBYTES)))
    if codec is not None or type(source).__module__.startswith("mrcarray.storage.compression"):
        name = codec.name if codec is not None else "compressed"
        text = "chunks of a virtual Zarr array are ranges of bytes of the file, which a compressed file does not have"
        raise MrcValueError(f"{printable(url)}: {name}: {text}; decompress it first, with mrcarray convert")
    read = {name: options[name] for name in _READ if name in options}
    mrc = reader.open_file(source, **read)
    if mrc.layout is None:
        raise MrcFormatError("the data cannot be located", url, mrc.issues)
    engine = {name: value for name, value in options.items() if name != "storage_options"}
    dataset = MrcBackendEntrypoint().open_dataset(source, **engine)
    image = dataset[DATA]
    coords = {str(name): _stored(coord.variable) for name, coord in dataset.coords.items()}
    attrs = {str(name): _plain(value) for name, value in image.attrs.items()}
    dims = tuple(map(str, image.dims))
    return Reference(path or url, mrc.layout, dims, chunk_shape(mrc.layout), attrs, coords)


def _storage(options: Mapping[str, Any]) -> dict[str, Any]:
    return {"storage_options": options["storage_options"]} if "storage_options" in options else {}


def _stored(variable: xr.Variable) -> xr.Variable:
    """Return a coordinate as netCDF and Zarr store it: times as numbers, text as objects."""
    values = np.asarray(variable.values)
    found = xr.Variable(variable.dims, values.astype(object) if values.dtype.kind == "U" else values, variable.attrs)
    if values.dtype.kind != "U":
        found = xr.conventions.encode_cf_variable(found)
    attrs = {str(name): _plain(value) for name, value in found.attrs.items() if name != "_FillValue"}
    return xr.Variable(found.dims, np.asarray(found.values), attrs)


def _plain(value: Any) -> Any:
    """Return an attribute as JSON has it."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
