"""A parser for VirtualiZarr: ``open_virtual_dataset(url, registry, MRCParser())``."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import StaleFileError, missing_package, printable
from mrcarray.virtual import pixel_codec
from mrcarray.virtual.reference import DATA, Reference, local_path, read_reference
from mrcarray.virtual.reference_json import vlen_utf8

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    import xarray as xr
    from numpy.typing import NDArray
    from virtualizarr.manifests import ManifestArray, ManifestStore

__all__ = ["MRCParser"]


class MRCParser:
    """Describe MRC files for VirtualiZarr.

    The header is read and no pixel. Coordinates and per-section metadata are values, not references: they are computed
    from the header, so the file has no bytes for them.

    Parameters
    ----------
    **options
        As for ``xr.open_dataset(engine="mrc")``: ``kind``, ``mode0``, ``imod_bytes``, ``origin``, ``coords``,
        ``extended``, ``sidecar``.
    """

    def __init__(self, **options: Any) -> None:
        self.options = options

    def __call__(self, url: str, registry: Any) -> ManifestStore:
        """Return the store of one file.

        Parameters
        ----------
        url : str
            The file.
        registry : ObjectStoreRegistry
            Where VirtualiZarr reads it.

        Raises
        ------
        MrcValueError
            When the file is compressed.
        MrcFormatError
            When the file is wrong.
        MissingDependencyError
            When VirtualiZarr is not installed.
        """
        store = _store_class()
        from virtualizarr.manifests import ManifestGroup

        path = local_path(url)
        source = None if path is not None else StoreSource(url, *registry.resolve(url))
        found = read_reference(url, self.options, source)
        if path is not None:  # VirtualiZarr looks for the name as the URI spells it, %20 for a space
            url = f"file://{path}"
        arrays = {DATA: _pixels(found, url)}
        values = {name: _bytes(variable) for name, variable in found.coords.items()}
        arrays |= {name: _coordinate(variable, url) for name, variable in found.coords.items()}
        group = ManifestGroup(arrays=arrays, attributes={"coordinates": " ".join(found.coords)})
        manifest: ManifestStore = store(group, registry=registry, values=values)
        return manifest


@functools.cache
def _store_class() -> Any:
    """Return the class of our stores; VirtualiZarr, of which it is a subclass, is imported when a file is parsed."""
    try:
        from virtualizarr.manifests import ManifestStore
    except ModuleNotFoundError as error:
        raise missing_package("parsing for VirtualiZarr", str(error.name), "virtual") from error

    class MRCManifestStore(ManifestStore):  # type: ignore[misc]  # not typed
        """A store whose pixels are references, and whose coordinates are values.

        Parameters
        ----------
        group, registry
            As for `ManifestStore`.
        values : dict of str to bytes
            The one chunk of each coordinate.
        """

        def __init__(self, group: Any, *, registry: Any, values: dict[str, bytes]) -> None:
            super().__init__(group, registry=registry)
            self._values = values

        async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
            """Return a document or a chunk."""
            name, _, rest = key.partition("/")
            if name not in self._values or not rest.startswith("c"):
                return await super().get(key, prototype, byte_range)
            chunk = prototype.buffer.from_bytes(self._values[name])
            return chunk if byte_range is None else chunk[byte_range.start : byte_range.end]

        def to_virtual_dataset(
            self, group: str = "", loadable_variables: Iterable[str] | None = None, **kwargs: Any
        ) -> xr.Dataset:
            """Return the Dataset; its coordinates are always loaded, because they are computed and no file has them."""
            loaded = list(dict.fromkeys([*(loadable_variables or ()), *self._values]))
            dataset: xr.Dataset = super().to_virtual_dataset(group, loadable_variables=loaded, **kwargs)
            for name in self._values:
                dataset[name].load()
            return dataset

    return MRCManifestStore


class StoreSource:
    """The bytes of an object in one of VirtualiZarr's stores.

    Parameters
    ----------
    url : str
        Its name in errors.
    store : object
        A store of obstore, or another with ``head`` and ``get_range``.
    path : str
        The object's name in the store.
    """

    def __init__(self, url: str, store: Any, path: str) -> None:
        self.name, self._store, self._path = url, store, str(path)
        found = store.head(self._path)
        self._size = int(found["size"])
        self.fingerprint: tuple[Hashable, ...] = (self._size, found.get("e_tag"))

    def size(self) -> int:
        """Return the number of bytes."""
        return self._size

    def read(self, start: int, stop: int) -> memoryview:
        """Return the bytes ``start:stop``; fewer only at the end."""
        stop = min(stop, self._size)
        if stop <= start:
            return memoryview(b"")
        found = memoryview(self._store.get_range(self._path, start=start, end=stop)).toreadonly()
        if len(found) != stop - start:
            text = f"{printable(self.name)}: bytes {start}-{stop} gave {len(found)} bytes; the object changed"
            raise StaleFileError(text)
        return found

    def read_into(self, start: int, out: NDArray[np.uint8]) -> int:
        """Fill `out` from byte `start`; return the bytes read, fewer only at the end."""
        found = self.read(start, start + out.size)
        out[: len(found)] = np.frombuffer(found, dtype=np.uint8)
        return len(found)


def _pixels(found: Reference, url: str) -> ManifestArray:
    """Return the array of pixels."""
    from virtualizarr.manifests import ChunkManifest, ManifestArray
    from virtualizarr.manifests.utils import create_v3_array_metadata

    order = {"<": "little", ">": "big"}[found.layout.byteorder if found.codec is None else "<"]
    codecs: list[dict[str, Any]] = (
        [{"name": "bytes", "configuration": {"endian": order}}] if found.dtype.itemsize > 1 else [{"name": "bytes"}]
    )
    if found.codec is not None:
        codecs.append({"name": pixel_codec.NAME, "configuration": found.codec})
    offsets = np.array([offset for _, offset in found.chunk_offsets()], dtype=np.uint64).reshape(found.grid)
    paths = np.full(found.grid, url, dtype=np.dtypes.StringDType())
    lengths = np.full(found.grid, found.length, dtype=np.uint64)
    metadata = create_v3_array_metadata(
        shape=found.layout.shape,
        data_type=found.layout.dtype,
        chunk_shape=found.chunks,
        chunk_key_encoding={"name": "default", "configuration": {"separator": "."}},
        fill_value=_fill(found.layout.dtype),
        codecs=codecs,
        attributes=found.attrs,
        dimension_names=found.dims,
    )
    return ManifestArray(metadata, ChunkManifest.from_arrays(paths=paths, offsets=offsets, lengths=lengths))


def _fill(dtype: np.dtype[Any]) -> Any:
    """Return the value of chunks that do not exist: one that pixels do not have, where there is one."""
    return dtype.type(np.nan) if dtype.kind in "fc" else dtype.type(0)


def _bytes(variable: xr.Variable) -> bytes:
    """Return the values of a coordinate as its codec stores them."""
    values = np.ascontiguousarray(variable.values)
    return vlen_utf8(values) if values.dtype.kind == "O" else values.astype(values.dtype.newbyteorder("<")).tobytes()


def _coordinate(variable: xr.Variable, url: str) -> ManifestArray:
    """Return the array of a coordinate; its one reference is never read."""
    from virtualizarr.manifests import ChunkManifest, ManifestArray
    from virtualizarr.manifests.utils import create_v3_array_metadata

    text = variable.dtype.kind == "O"
    plain = (
        [{"name": "bytes", "configuration": {"endian": "little"}}]
        if variable.dtype.itemsize > 1
        else [{"name": "bytes"}]
    )
    metadata = create_v3_array_metadata(
        shape=variable.shape,
        data_type=np.dtypes.StringDType() if text else variable.dtype,
        chunk_shape=variable.shape,
        chunk_key_encoding={"name": "default", "configuration": {"separator": "."}},
        codecs=[{"name": "vlen-utf8"}] if text else plain,
        attributes=variable.attrs,
        dimension_names=tuple(map(str, variable.dims)),
    )
    key = ".".join("0" for _ in variable.shape) or "0"
    return ManifestArray(
        metadata, ChunkManifest({key: {"path": url, "offset": 0, "length": 1}}, shape=(1,) * variable.ndim)
    )
