"""Many files of one shape as one labelled array: `open_stack`."""

from __future__ import annotations

import glob
import math
import os
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import xarray as xr

from mrcarray import reader
from mrcarray.caller import warn
from mrcarray.dask_io.file_stack import FileStack, stack_to_dask
from mrcarray.dask_io.reading import open_dataarray
from mrcarray.errors import MrcFormatError, MrcValueError, printable
from mrcarray.format.layout import Kind
from mrcarray.storage import threads
from mrcarray.urls import is_url, public_name
from mrcarray.xarray_backend import convention, metadata_read
from mrcarray.xarray_backend.indexes import SectionIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mrcarray.array import MrcArray

__all__ = ["open_stack"]

_AXIS = {Kind.IMAGE: "section", Kind.VOLUME: "volume"}
"""The axis that files of these kinds lie along; those of the other kinds are joined along their own first axis."""

_THREADS = 16
"""Headers that are read at once: on a network file system each takes a millisecond of waiting."""

_SAME_SIZE = 1e-3
"""Part by which voxel sizes may differ, as programs round them."""


@reader.documented
def open_stack(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    dim: str | None = None,
    *,
    chunks: Any = "auto",
    **options: Unpack[reader.ReadOptions],
) -> xr.DataArray:
    """Open many files of one shape as one dask-backed array, with one header read for each file.

    Images become an image stack, volumes a stack of volumes; image stacks (movies, tilt series) are joined along their
    sections. `mrcarray.to_mrc` writes the result to one file. For files of different shapes use
    ``xarray.open_mfdataset``.

    Parameters
    ----------
    paths : str, path or iterable of these
        The files, in the order of the result; or a pattern such as ``"frames/*.mrc"``, whose matches are sorted.
    dim : str, optional
        Name of the axis along which the files lie: by default ``"section"`` for images, ``"volume"`` for volumes, and
        the first axis of files that are stacks. Another name always makes a new axis.
    chunks : int, tuple, str or None
        As for `mrcarray.from_mrc`; ``"auto"`` puts several small files into a chunk.
    **options
        See `mrcarray.reader.ReadOptions`.

    Returns
    -------
    xarray.DataArray
        With the coordinate ``file``, the name of the file of each item, and those metadata of the sections (such as
        ``tilt_angle``) that every file has.

    Raises
    ------
    MrcValueError
        When there is no file.
    MrcFormatError
        When a file is no MRC file, or its kind, shape, pixel type or voxel size is not that of the first.

    Warns
    -----
    MrcWarning
        When the files have different origins; the coordinates are those of the first.

    Examples
    --------
    >>> import mrcarray
    >>> stack = mrcarray.open_stack(["tomo.mrc", "tomo.mrc"])
    >>> stack.dims, stack.shape, stack.file.values.tolist()
    (('volume', 'z', 'y', 'x'), (2, 20, 32, 40), ['tomo.mrc', 'tomo.mrc'])
    """
    names = list(_names(paths))
    if not names:
        raise MrcValueError(f"no file matches {printable(str(paths))}" if isinstance(paths, str) else "paths is empty")
    reader.require_read_options(options, "open_stack()", ("dim", "chunks"))
    template = open_dataarray(names[0], **options)
    files = list(threads.ordered(lambda name: reader.open_file(name, **options), names, _THREADS))
    arrays = tuple(_agreeing(files))
    own = str(template.dims[0])
    kind = arrays[0].layout.kind
    dim = dim or _AXIS.get(kind, own)
    joined = dim == own and kind not in _AXIS
    dims = (dim, *template.dims[1:]) if joined else (dim, *template.dims)
    data = xr.Variable(dims, stack_to_dask(FileStack(arrays, joined), chunks))
    kept = [name for name in template.dims[joined:] if name in template.coords]
    out = xr.DataArray(data, coords=template.coords.to_dataset()[kept].coords, name=convention.DATA)
    counts = [len(array) if joined else 1 for array in arrays]
    metadata = _common_metadata(files, tuple(map(str, template.dims)), dim, joined=joined)
    return out.assign_coords(_numbers(dim, sum(counts))).assign_coords(
        {**metadata, "file": (dim, _repeated(names, counts))}
    )


def _names(paths: Any) -> Iterator[str]:
    if isinstance(paths, str | os.PathLike):
        name = os.fspath(paths)
        yield from sorted(glob.glob(name)) if not is_url(name) else [name]  # noqa: PTH207 -- a str
        return
    yield from map(os.fspath, paths)


def _agreeing(files: Sequence[reader.Mrc]) -> Iterator[MrcArray]:
    """Yield the arrays of files that agree with the first.

    Raises
    ------
    MrcFormatError
        When one does not, with its name.
    """
    first = files[0]
    wanted = _facts(first)
    moved = []
    for file in files:
        if file.array is None:
            raise MrcFormatError("the pixels cannot be located", file.path)
        found = _facts(file)
        different = [name for name in wanted if not _same(wanted[name], found[name])]
        if "origin" in different:
            moved.append(file.path)
            different.remove("origin")
        if different:
            name = different[0]
            text = f"{name} is {found[name]}, but {wanted[name]} in {printable(first.path)}"
            way_out = "leave the file out, or join files of different shapes with xarray.open_mfdataset"
            raise MrcFormatError(f"{text}; the files of a stack must agree: {way_out}", file.path)
        yield file.array
    if moved:
        text = f"{len(moved)} files, such as {printable(moved[0])}, have another origin than {printable(first.path)}"
        warn(f"{text}; the coordinates are those of the latter")


def _facts(file: reader.Mrc) -> dict[str, Any]:
    """Return what the files of a stack must agree in, and the origin."""
    layout = file.layout
    if layout is None:
        return {}
    geometry = file.geometry()
    axes = layout.kind in (Kind.IMAGE_STACK, Kind.VOLUME_STACK)
    return {
        "kind": str(layout.kind),
        "shape": layout.shape[1:] if axes else layout.shape,
        "dtype": layout.dtype,
        "voxel size": geometry.voxel_size[: 3 if layout.kind in (Kind.VOLUME, Kind.VOLUME_STACK) else 2],
        "origin": geometry.origin,
    }


def _same(one: Any, other: Any) -> bool:
    """Return whether two facts are equal, sizes and positions as far as programs round them; NaN is unknown."""
    if (
        not isinstance(one, tuple)
        or len(one) != len(other)
        or not all(isinstance(value, float) for value in (*one, *other))
    ):
        return bool(one == other)
    return all(
        math.isclose(left, right, rel_tol=_SAME_SIZE, abs_tol=_SAME_SIZE) or (left != left and right != right)  # noqa: PLR0124 -- NaN
        for left, right in zip(one, other, strict=True)
    )


def _common_metadata(
    files: Sequence[reader.Mrc], own: tuple[str, ...], dim: str, *, joined: bool
) -> dict[str, xr.Variable]:
    """Return the metadata of the sections that every file has, along the axis of the stack."""
    found = []
    for file in files:
        known = metadata_read.section_metadata(file, own)
        reader.handle_issues(known.issues, permissive=False, path=file.path)
        found.append(known.coords)
    out = {}
    for name, first in found[0].items():
        if name == convention.RECORD or not all(name in one and one[name].dims == first.dims for one in found):
            continue
        values = [one[name].values for one in found]
        if joined and first.dims[:1] != own[:1]:
            continue
        dims = first.dims if joined else (dim, *first.dims)
        out[name] = xr.Variable(dims, np.concatenate(values) if joined else np.stack(values), first.attrs)
    return out


def _numbers(dim: str, count: int) -> xr.Coordinates:
    variables = {dim: xr.Variable((dim,), np.arange(count))}
    index = SectionIndex.from_variables(variables, options={})
    return xr.Coordinates(index.create_variables(variables), {dim: index})


def _repeated(names: Sequence[str], counts: Sequence[int]) -> Any:
    """Return the name of the file of each item, without the credentials of URLs."""
    return np.repeat([public_name(name) if is_url(name) else name for name in names], counts)
