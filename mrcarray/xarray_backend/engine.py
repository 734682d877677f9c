"""The xarray engine: ``xr.open_dataset(path, engine="mrc")``.

xarray imports this module whenever it lists its engines, so it imports neither dask nor fsspec, nor a module of ours
that does. It knows nothing of the bytes: `mrcarray.reader` opens files, `convention` names dims and coords, and this
module builds a Dataset from both.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import numpy as np
import xarray as xr
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing

from mrcarray import _compat, reader
from mrcarray.errors import Hint, MrcError, MrcValueError, StaleFileError, printable
from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.sniff import looks_like_mrc
from mrcarray.storage import OpenedFingerprint
from mrcarray.urls import COMPRESSED, MRC, file_name, is_url, unpacked
from mrcarray.xarray_backend import convention
from mrcarray.xarray_backend import header_attrs as attributes
from mrcarray.xarray_backend.indexes import GRID_DIMS, GridIndex, SectionIndex
from mrcarray.xarray_backend.section_variable import keep_in_memory

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    from numpy.typing import NDArray

    from mrcarray.array import MrcArray
    from mrcarray.format.geometry import Geometry

__all__ = ["MrcBackendArray", "MrcBackendEntrypoint"]

_LENGTH_WORDS = (11, 12, 13)  # the cell lengths along x, y and z

_TEXT = np.dtype(object, metadata={"element_type": str})
"""Dtype by which xarray knows strings of any length; it would look at plain objects first, with a warning."""


class MrcBackendArray(BackendArray):
    """A lazy array that xarray can index.

    xarray's own adapter turns a pointwise or transposed request into the box around it. Here every kind of request goes
    to the array unchanged, so that only the requested pixels are read. Immutable, without a lock or a handle.

    Parameters
    ----------
    lazy : MrcArray
        Anything with `shape`, `dtype`, numpy basic indexing, ``oindex``, ``vindex`` and ``__dask_tokenize__``.
    """

    __slots__ = ("_lazy", "dtype", "shape")

    def __init__(self, lazy: MrcArray) -> None:
        self._lazy = lazy
        self.shape = lazy.shape
        self.dtype = lazy.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> NDArray[Any]:
        if isinstance(key, indexing.VectorizedIndexer):
            return _gather(self._lazy, key.tuple)
        if isinstance(key, indexing.OuterIndexer):
            return np.asarray(self._lazy.oindex[key.tuple])
        return np.asarray(self._lazy[key.tuple])

    async def async_getitem(self, key: indexing.ExplicitIndexer) -> NDArray[Any]:
        """Read in a thread, so that the event loop and other reads continue."""
        import asyncio

        return await asyncio.to_thread(self.__getitem__, key)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._lazy,)

    def __dask_tokenize__(self) -> Hashable:
        return ("mrcarray.MrcBackendArray", self._lazy.__dask_tokenize__())


def _gather(lazy: MrcArray, key: tuple[Any, ...]) -> NDArray[Any]:
    """Read a vectorised request of index arrays that broadcast against each other and slices, whose axes come last.

    Requests whose index arrays each vary along an axis of their own, such as those of a transposed array, are read as
    one outer selection; only true gathers are read point by point.
    """
    where = [axis for axis, item in enumerate(key) if isinstance(item, np.ndarray)]
    ndim = max((key[axis].ndim for axis in where), default=0)
    arrays = {axis: key[axis].reshape((1,) * (ndim - key[axis].ndim) + key[axis].shape) for axis in where}
    lengths = np.broadcast_shapes(*(item.shape for item in arrays.values()))
    along = {axis: _varies_along(item) for axis, item in arrays.items()}
    used = [axis for axis in along.values() if axis is not None and axis >= 0]
    if None in along.values() or len(set(used)) < len(used):
        return np.asarray(lazy.vindex[key])
    outer = tuple(
        item if axis not in arrays else arrays[axis][tuple(_line(arrays[axis].ndim, along[axis]))]
        for axis, item in enumerate(key)
    )
    values = np.asarray(lazy.oindex[outer])
    return _arrange(values, where, [along[axis] for axis in where], lengths)


def _varies_along(item: NDArray[Any]) -> int | None:
    """Return the one axis along which an index array varies, -1 if it is constant, None if there are several."""
    if item.size == 0:
        return None
    axes = [
        axis
        for axis, (length, stride) in enumerate(zip(item.shape, item.strides, strict=True))
        if length > 1 and stride != 0 and not _is_constant(item, axis)
    ]
    if not axes:
        return -1
    return axes[0] if len(axes) == 1 else None


def _is_constant(item: NDArray[Any], axis: int) -> bool:
    first = item[(slice(None),) * axis + (slice(0, 1),)]
    second = item[(slice(None),) * axis + (slice(1, 2),)]
    return bool((first == second).all()) and bool((item == first).all())


def _line(ndim: int, axis: int | None) -> list[Any]:
    """Return the key of the line along `axis`; along -1, of one element."""
    key: list[Any] = [0] * ndim
    if axis is None or axis < 0:
        key[0] = slice(0, 1)
    else:
        key[axis] = slice(None)
    return key


def _arrange(values: NDArray[Any], where: list[int], along: list[int | None], lengths: tuple[int, ...]) -> NDArray[Any]:
    """Bring the axes of an outer selection into the order a vectorised request asks for."""
    rest = [axis for axis in range(values.ndim) if axis not in where]
    moving = sorted((target, axis) for axis, target in zip(where, along, strict=True) if target is not None)
    values = values.transpose([axis for _, axis in moving] + rest)
    trailing = values.shape[len(moving) :]
    sizes = [1] * len(lengths)
    for target, _ in moving:
        if target >= 0:
            sizes[target] = lengths[target]
    values = values.reshape(*sizes, *trailing)
    return np.ascontiguousarray(np.broadcast_to(values, (*lengths, *trailing)))


_OWN_OPTIONS = (
    "drop_variables",
    "origin",
    "permissive",
    "preferred_chunks",
    "coords",
    "extended",
    "sidecar",
    "header_attrs",
)
"""Options of `MrcBackendEntrypoint.open_dataset` in addition to those of `reader.ReadOptions`."""


class MrcBackendEntrypoint(BackendEntrypoint):
    """Open MRC files (cryo-EM maps, movies, tilt series, tomograms, particle stacks, crystallographic maps).

    See `open_dataset` for the arguments.
    """

    description: ClassVar[str] = (
        "Open MRC and CCP4 files (.mrc, .mrcs, .map, .ccp4, .st, .rec, .ali) lazily, in ångström"
    )
    url: ClassVar[str] = "https://mrcarray.readthedocs.io"
    supports_groups: ClassVar[bool] = True
    open_dataset_parameters: ClassVar[tuple[str, ...]] = (
        "filename_or_obj",
        *reader.ReadOptions.__annotations__,
        *_OWN_OPTIONS,
        "fingerprint",
    )

    @reader.documented
    def open_dataset(  # noqa: PLR0913 -- xarray passes its arguments by name
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        origin: str = "auto",
        permissive: bool = False,
        preferred_chunks: Mapping[str, int] | None = None,
        coords: convention.CoordsOption = "physical",
        extended: bool | str = True,
        sidecar: Any = "auto",
        header_attrs: attributes.HeaderOption = True,
        fingerprint: Any = None,
        **options: Unpack[reader.ReadOptions],
    ) -> xr.Dataset:
        """Open one file.

        ``kind="tilt_series"`` asks for an index by ``tilt_angle``, if the angles are known. It and the index by
        ``section``, ``frame``, ``particle`` or ``volume`` are `SectionIndex`, which takes masks by label; those of
        ``x``, ``y`` and ``z`` are `GridIndex`, which refuses to join grids that do not match. All are made even with
        ``create_default_indexes=False``; ``drop_indexes`` removes them.

        Parameters
        ----------
        filename_or_obj : str, path, bytes or readable binary object
            The file.
        drop_variables : str or iterable of str, optional
            Variables and coordinates to leave out.
        **options
            See `mrcarray.reader.ReadOptions`.
        origin : {"auto", "origin", "nstart", "zero"}
            Header words that give the position of the first voxel.
        permissive : bool
            Open what can be opened, and warn instead of raising. If no data can be found, the Dataset has no variable.
        preferred_chunks : mapping of str to int, optional
            Chunks for ``chunks={}`` instead of those proposed.
        coords : {"physical", "pixel"} or None
            Coordinates in ångström, in pixels, or none.
        extended : {True, False, "all"}
            Per-section metadata (tilt angle, dose, stage, ...) as coordinates: the common set, none, or also every
            field of the extended header and of an mdoc under its own name.
        sidecar : {"auto", False} or path
            Text files next to the file (.mdoc, .rawtlt, .tlt, .xtilt) with metadata: look for them, ignore them, or
            read this one.
        header_attrs : {True, False, "all"}
            Attributes of the array and of the Dataset: labels, space group, symmetry and, with names that begin with
            ``mrc_``, what the header states; none; or every word of the header.
        fingerprint : object, optional
            Identifies the bytes of the file and enters the names of dask's tasks; a file with another is refused.

        Returns
        -------
        xarray.Dataset
            Its variable is ``data``.
        """
        if coords not in ("physical", "pixel", None):
            raise MrcValueError(f"coords is {coords!r}; expected 'physical', 'pixel' or None")
        attributes.require_option(header_attrs)
        reader.require_read_options(options, 'open_dataset(engine="mrc")', _OWN_OPTIONS)
        mrc = reader.open_file(
            fingerprint.source if isinstance(fingerprint, OpenedFingerprint) else filename_or_obj,
            permissive=permissive,
            sidecar="" if sidecar in ("auto", False) else sidecar,
            **options,
        )
        kind = options.get("kind", "auto")
        _check_fingerprint(mrc, fingerprint)
        source = _source_encoding(filename_or_obj, mrc)
        if mrc.layout is None or mrc.array is None:
            return _without_data(source, mrc, header_attrs)
        geometry = mrc.geometry(origin)
        symmetry = _symmetry(mrc) if extended else b""
        found = convention.convention_of(
            mrc.header,
            mrc.layout,
            geometry,
            kind=kind,
            coords=coords,
            symmetry=symmetry,
            kind_from=mrc.kind_from,
            attrs=header_attrs,
        )
        _handle_geometry_issues(mrc, geometry, found.unknown, permissive=permissive)
        _add_metadata(mrc, found, kind, extended=extended, sidecar=sidecar, permissive=permissive)
        if preferred_chunks is not None:
            found.encoding["preferred_chunks"] = _checked_chunks(preferred_chunks, found.dims)
        return _dataset(source, mrc.array, found, _names(drop_variables))

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Return whether this is an MRC file, by its bytes; by the suffix of a URL.

        It raises nothing but PermissionError, and does not use the network.
        """
        try:
            return _guess(filename_or_obj)
        except PermissionError:
            raise
        except (OSError, MrcError, ValueError, TypeError):
            return False

    def open_groups_as_dict(self, filename_or_obj: Any, **kwargs: Any) -> dict[str, xr.Dataset]:
        """Open the file as a dict of one group.

        Parameters
        ----------
        filename_or_obj, **kwargs
            As for `open_dataset`.
        """
        return {"/": self.open_dataset(filename_or_obj, **kwargs)}

    def open_datatree(self, filename_or_obj: Any, **kwargs: Any) -> xr.DataTree:
        """Open the file as a tree of one node.

        Parameters
        ----------
        filename_or_obj, **kwargs
            As for `open_dataset`.
        """
        dataset = self.open_dataset(filename_or_obj, **kwargs)
        tree = xr.DataTree(dataset)
        _compat.set_close_of(tree, dataset)
        return tree


def _names(drop_variables: str | Iterable[str] | None) -> frozenset[str]:
    return frozenset((drop_variables,) if isinstance(drop_variables, str) else drop_variables or ())


def _check_fingerprint(mrc: reader.Mrc, fingerprint: Any) -> None:
    if fingerprint is not None and tuple(fingerprint) != tuple(mrc.source.fingerprint):
        text = "the file does not match the given fingerprint (replaced or modified)"
        raise StaleFileError(f"{printable(mrc.path)}: {text}")


def _checked_chunks(preferred: Mapping[str, int], dims: tuple[str, ...]) -> convention.PreferredChunks:
    if unknown := sorted(set(preferred) - set(dims)):
        raise MrcValueError(f"preferred_chunks names {unknown}; the dims of the file are {list(dims)}")
    return convention.PreferredChunks(preferred)


def _symmetry(mrc: reader.Mrc) -> bytes:
    """Return the extended header if it contains symmetry records (CCP4), else nothing."""
    record = 80
    tag = b"" if mrc.header.ccp4.skewed else mrc.header.exttyp.strip(b"\0 ")
    size = mrc.header.nsymbt
    if tag not in (b"", b"CCP4") or size <= 0 or size % record or size > 192 * record:
        return b""
    raw = mrc.extended
    return raw if len(raw) == size and raw.isascii() and raw.strip(b"\0 ").decode().isprintable() else b""


def _add_metadata(  # noqa: PLR0913 -- the options of the engine
    mrc: reader.Mrc,
    found: convention.Convention,
    kind: str,
    *,
    extended: Any,
    sidecar: Any,
    permissive: bool,
) -> None:
    """Add the coordinates from extended header and sidecars; a tilt series is indexed by its angles."""
    from mrcarray.xarray_backend import metadata_read, metadata_update

    known = metadata_read.section_metadata(mrc, found.dims, extended=extended, sidecar=sidecar)
    reader.handle_issues(known.issues, permissive=permissive, path=mrc.path)
    found.coords.update(known.coords)
    metadata_update.note_voxel_size(found.coords, found.encoding[convention.OPENED_SIZE])
    angles = known.coords.get("tilt_angle")
    if kind == "tilt_series" and angles is not None and angles.dims == ("tilt",) and not np.isnan(angles.values).all():
        found.coords["section"] = found.coords.pop("tilt")


def _handle_geometry_issues(mrc: reader.Mrc, geometry: Geometry, unknown: tuple[str, ...], *, permissive: bool) -> None:
    """Raise or warn about the geometry, with one warning for all axes along which the voxel size is unknown."""
    lost = {word for word, size in zip(_LENGTH_WORDS, geometry.voxel_size, strict=True) if not math.isfinite(size)}
    reader.handle_issues([one for one in geometry.issues if one.word not in lost], permissive=permissive, path=mrc.path)
    if unknown:
        found = ", ".join(f"{axis}len {mrc.header.cella['xyz'.index(axis)]:g}" for axis in sorted(unknown))
        counted = ", ".join(f"m{axis} {mrc.header.m['xyz'.index(axis)]}" for axis in sorted(unknown))
        text = f"the voxel size is unknown along {', '.join(sorted(unknown))} (words 8-13: {found}; {counted});"
        text += " expected positive numbers; the coordinates count pixels"
        hint = Hint("set the size in the header with: mrcarray fix --voxel-size")
        issue = Issue("MRC111", Severity.WARNING, text, 11, hint=hint)
        reader.handle_issues([issue], permissive=permissive, path=mrc.path)


def _dataset(
    origin: dict[str, str], array: MrcArray, found: convention.Convention, dropped: frozenset[str]
) -> xr.Dataset:
    data = indexing.LazilyIndexedArray(MrcBackendArray(array))
    variable = xr.Variable(found.dims, data, found.attrs, {**origin, **found.encoding})
    variables = {} if convention.DATA in dropped else {convention.DATA: variable}
    coords = {name: _coordinate(one) for name, one in found.coords.items() if name not in dropped}
    measured = [dim for dim in GRID_DIMS if dim in coords and coords[dim].dims == (dim,)]
    kinds = {**dict.fromkeys(_counted(coords), SectionIndex), **dict.fromkeys(measured, GridIndex)}
    indexes = {name: index.from_variables({name: coords[name]}, options={}) for name, index in kinds.items()}
    for name, index in indexes.items():
        coords.update(index.create_variables({name: coords[name]}))
    dataset = xr.Dataset(variables, coords=xr.Coordinates(coords, indexes=indexes), attrs=found.attrs)
    keep_in_memory(dataset)
    return _finished(dataset, origin)


def _counted(coords: Mapping[str, xr.Variable]) -> list[str]:
    """Return the coords that number the sections, or the angles that replace them in a tilt series."""
    names = [dim for dim in convention.COUNTED_DIMS if dim in coords and coords[dim].dims == (dim,)]
    by_angle = "tilt_angle" in coords and coords["tilt_angle"].dims == ("tilt",) and "tilt" not in coords
    return [*names, *["tilt_angle"] * by_angle]


def _coordinate(one: convention.Coordinate) -> xr.Variable:
    """Return the variable of a coordinate.

    Texts have a fixed width in memory, since xarray cannot choose chunks for objects, and are saved as strings of any
    length, since Zarr has no standard for those of a fixed width.
    """
    if one.values.dtype.kind in "OU":
        return xr.Variable(one.dims, one.values.astype(np.str_), one.attrs, {"dtype": _TEXT})
    return xr.Variable(one.dims, one.values, one.attrs)


def _finished(dataset: xr.Dataset, origin: dict[str, str]) -> xr.Dataset:
    dataset.encoding.update(origin)
    dataset.set_close(_nothing)  # open_mfdataset calls it even if there is none
    return dataset


def _without_data(origin: dict[str, str], mrc: reader.Mrc, option: attributes.HeaderOption) -> xr.Dataset:
    return _finished(xr.Dataset(attrs=attributes.header_attrs(mrc.header, option=option)), origin)


def _nothing() -> None:
    """Close nothing: no file is open between two reads."""


def _source_encoding(obj: Any, mrc: reader.Mrc) -> dict[str, str]:
    """Return the encoding with the path of the file; bytes and file objects have none."""
    return {"source": mrc.path} if isinstance(obj, str | os.PathLike) else {}


def _guess(obj: Any) -> bool:
    if isinstance(obj, str | os.PathLike):
        name = os.fspath(obj)
        return _guess_url(name) if is_url(name) else _guess_path(name)
    if isinstance(obj, bytes | bytearray | memoryview):
        return looks_like_mrc(bytes(obj[:HEADER_NBYTES]), len(obj))
    if hasattr(obj, "read") and hasattr(obj, "seek"):
        return _guess_object(obj)
    return False


def _guess_url(url: str) -> bool:
    return unpacked(file_name(url)).lower().endswith(MRC)


def _guess_path(name: str) -> bool:
    if not os.path.isfile(name):  # noqa: PTH113 -- faster than pathlib
        return False
    with open(name, "rb") as file:  # noqa: PTH123 -- as above
        raw, size = file.read(HEADER_NBYTES), os.fstat(file.fileno()).st_size
    if looks_like_mrc(raw, size):
        return True
    return name.lower().endswith(COMPRESSED) and _guess_url(name) and reader.is_mrc(name)


def _guess_object(obj: Any) -> bool:
    position = obj.tell()
    try:
        obj.seek(0)
        raw = obj.read(HEADER_NBYTES)
    finally:
        obj.seek(position)
    return isinstance(raw, bytes) and looks_like_mrc(raw)
