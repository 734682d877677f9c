"""`to_mrc`: NumPy, dask and labelled arrays to files, whole or by region."""

from __future__ import annotations

import os
import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray import _compat, reader, region_writer, writer
from mrcarray.errors import MrcValueError
from mrcarray.format import regions
from mrcarray.format.builder import Draft, draft
from mrcarray.format.casting import EXACT, as_pixels
from mrcarray.format.kinds import kind_of_name
from mrcarray.format.layout import Kind
from mrcarray.format.modes import PIXELS
from mrcarray.xarray_backend import convention
from mrcarray.xarray_backend.placements import check_placement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from dask.delayed import Delayed
    from numpy.typing import DTypeLike

    from mrcarray.progress import Progress
    from mrcarray.statistics import Stats

__all__ = ["to_mrc", "write_labelled"]

_AT_ONCE = 64 << 20
"""Bytes read at a time from a lazy array that is no dask array."""


def to_mrc(  # noqa: PLR0913 -- the choices of whoever writes
    array: Any,
    path: str | os.PathLike[str],
    *,
    kind: str | None = None,
    dtype: DTypeLike | None = None,
    mode: int | None = None,
    voxel_size: float | Sequence[float] | None = None,
    byteorder: str | None = None,
    nversion: int | None = None,
    label: str | None = None,
    placement: str = "auto",
    region: Mapping[Any, Any] | str | tuple[Any, ...] | None = None,
    overwrite: bool = False,
    sync: bool = True,
    compression: str | None = "auto",
    level: int | None = None,
    compute: bool = True,
    progress: Progress = "auto",
) -> str | Delayed | Stats:
    """Write an array to an MRC file, which appears under its name only when it is complete.

    Parameters
    ----------
    array : ndarray, dask array, DataArray or Dataset
        The pixels: (row, column), (section, row, column), (volume, section, row, column), or axes named by dims, whose
        coords give voxel size and place. A dask array is streamed: nothing but the chunks in work is in memory.
    path : str or path
        The file; ``.gz`` and ``.bz2`` are compressed.
    kind : str, optional
        "image", "image_stack", "volume" or "volume_stack" where the dims, or the number of axes, should not decide.
    dtype : dtype_like, optional
        Store the values as this dtype. Without it, or `mode`, only what the format can hold exactly is written.
    mode : int, optional
        Store the values in this mode (0, 1, 2, 3, 4, 6, 12, 101). Values outside its range are refused.
    voxel_size : float or (x, y, z), optional
        In ångström, instead of that of the coords.
    byteorder : {"<", ">"}, optional
        Byte order of the file.
    nversion : int, optional
        Version the header declares; 20141 by default.
    label : str, optional
        Text of the label that says who wrote the file; an empty one adds none.
    placement : {"auto", "nstart", "origin", "both"}
        Which header words state the position of the first voxel: words 5-7 (nstart, in voxels), words 50-52 (origin, in
        ångström) or both. ``"auto"`` keeps to those that placed the file the array came from; a map that was at 0 gets
        nstart, which gemmi, CCP4, Coot, Phenix, ChimeraX and Mol* read. ITK and RosettaSciIO read the origin alone, VTK
        adds the two.
    region : dict, "auto" or tuple, optional
        Write into a file that exists: a slice or integer for each dim, "auto" to find the place by the coords, or a
        NumPy key. The file's statistics are undetermined then, until `finalize` is called.
    overwrite : bool
        Whether an existing file may be replaced.
    sync : bool
        Whether the file is on the disk when the function returns.
    compression : {"auto", "gzip", "bzip2"} or None
        ``"auto"`` goes by the suffix.
    level : int, optional
        Of the compression.
    compute : bool
        With a dask array, whether to write now; else one Delayed is returned that gives the path.
    progress : bool or "auto"
        Whether to show a progress bar while a dask array is written; ``"auto"`` when a terminal is there.

    Returns
    -------
    str, Delayed or Stats
        The absolute path, what gives it, or the statistics of a region.

    Raises
    ------
    MrcValueError
        When the format cannot hold the array; the target is untouched then.
    FileExistsError
        When there is such a file, and `overwrite` is false.

    Warns
    -----
    MrcWarning
        Of what the file cannot state: a position that is not a whole number of voxels where nstart states it, an axis
        whose coordinate falls, coordinates and records that are lost.

    Examples
    --------
    >>> import numpy as np, mrcarray
    >>> path = to_mrc(np.zeros((3, 4, 5), dtype="float32"), "zeros.mrc", voxel_size=1.5)
    >>> mrcarray.open_dataarray(path).mrc.voxel_size
    (1.5, 1.5, 1.5)
    """
    if region is not None:
        return _write_region(array, path, region, compute=compute, progress=progress)
    mode = _mode(dtype, mode)
    check_placement(placement)
    options = {"overwrite": overwrite, "sync": sync, "compression": compression, "level": level}
    if _is_labelled(array):
        from mrcarray.xarray_backend.encode.options import Wishes

        signed = dtype is not None and np.dtype(dtype) == np.int8
        wishes = Wishes(kind, mode, byteorder, voxel_size, nversion, label, os.fsdecode(path), signed, placement)
        return write_labelled(array, path, wishes, options, compute=compute, progress=progress)
    values = array if _is_dask(array) or hasattr(array, "layout") else as_pixels(array)
    plan = _plain(values, path, kind, mode, byteorder or "<", voxel_size, nversion, label)
    return _write(values, path, plan, options, compute=compute, progress=progress)


def _mode(dtype: DTypeLike | None, mode: int | None) -> int | None:
    """Return the mode that `dtype` asks for."""
    if dtype is None:
        return mode
    wanted = np.dtype(dtype)
    code = EXACT.get(wanted.str[1:])
    if code is None:
        raise MrcValueError(f"dtype is {wanted}; MRC files hold int8, int16, uint16, float16, float32 and complex64")
    found = PIXELS[code].mode
    if mode is not None and mode != found:
        raise MrcValueError(f"dtype {wanted} is mode {found}, but mode is {mode}; give one of the two")
    return found


def _is_labelled(array: Any) -> bool:
    if "xarray" not in sys.modules:
        return False
    import xarray as xr

    return isinstance(array, xr.DataArray | xr.Dataset)


def _is_dask(array: Any) -> bool:
    if "dask" not in sys.modules:
        return False
    from dask.base import is_dask_collection

    return bool(is_dask_collection(array))


def _plain(  # noqa: PLR0913, PLR0917 -- the choices of whoever writes
    array: Any,
    path: str | os.PathLike[str],
    kind: str | None,
    mode: int | None,
    byteorder: str,
    voxel_size: float | Sequence[float] | None,
    nversion: int | None,
    label: str | None,
) -> Draft:
    """Return the plan for an array without labels."""
    from mrcarray.format.builder import with_label
    from mrcarray.format.header import Header

    named = kind_of_name(os.fsdecode(path))
    if kind is None and array.ndim == 3 and named is Kind.IMAGE_STACK:  # noqa: PLR2004 -- a stack's axes
        kind = "image_stack"
    if 0 in array.shape:
        raise MrcValueError(f"the array is empty: its shape is {array.shape}; MRC files hold at least one pixel")
    start = Header.blank(nversion=20141 if nversion is None else nversion)
    text = "Written by mrcarray" if label is None else label
    start = with_label(start, text) if text else start
    return draft(
        tuple(array.shape), array.dtype, kind=kind, mode=mode, byteorder=byteorder, voxel_size=voxel_size, header=start
    )


def write_labelled(  # noqa: PLR0913 -- as `to_mrc`
    array: xr.DataArray | xr.Dataset,
    path: str | os.PathLike[str],
    wishes: Any,
    options: Mapping[str, Any],
    *,
    compute: bool,
    progress: Progress,
) -> str | Delayed:
    """Write a labelled array.

    Parameters
    ----------
    array : DataArray or Dataset
        The pixels.
    path : str or path
        The file.
    wishes : Wishes
        What the caller asked for.
    options : mapping
        `overwrite`, `sync`, `compression`, `level`.
    compute : bool
        Whether to write now.
    progress : bool or "auto"
        Whether to show a progress bar.

    Returns
    -------
    str or Delayed
    """
    from mrcarray.xarray_backend.encode import encode
    from mrcarray.xarray_backend.roundtrip_check import differences

    found = encode(convention.data_of(array), wishes)
    for issue in (*found.issues, *differences(found.array, found.plan, path)):
        warnings.warn(reader.issue_warning(issue, os.fsdecode(path)), stacklevel=reader.outside())
    if compute and _is_lazy(found.array):
        return _write_lazy(found.array, path, found.plan, options)
    values = found.array.variable.data
    values = values if _is_dask(values) else _magnitude(values)
    return _write(values, path, found.plan, options, compute=compute, progress=progress)


def _magnitude(values: Any) -> Any:
    """Return the numbers of an array that carries a unit."""
    return as_pixels(getattr(values, "magnitude", values))


def _is_lazy(array: xr.DataArray) -> bool:
    """Tell whether the pixels are still in a file, without dask."""
    return not _compat.is_in_memory(array.variable) and array.chunks is None


def _write(  # noqa: PLR0913 -- as `to_mrc`
    array: Any,
    path: str | os.PathLike[str],
    plan: Draft,
    options: Mapping[str, Any],
    *,
    compute: bool,
    progress: Progress,
) -> str | Delayed:
    if _is_dask(array):
        from mrcarray.dask_io.writing import write_dask

        return write_dask(array, path, plan, **options, compute=compute, progress=progress)
    if not compute:
        raise MrcValueError("compute=False needs a dask array; chunk() the array first")
    with writer.Writer.of(path, plan, **options) as out:
        for box in regions.pieces(plan.layout.shape, _pixels(plan)) if hasattr(array, "layout") else (None,):
            key = tuple(slice(a, b) for a, b in box) if box is not None else ...
            out[key] = array[key]
    return out.path


def _write_lazy(array: xr.DataArray, path: str | os.PathLike[str], plan: Draft, options: Mapping[str, Any]) -> str:
    """Write an array whose pixels are still in a file, a few sections at a time."""
    with writer.Writer.of(path, plan, **options) as out:
        for box in regions.pieces(plan.layout.shape, _pixels(plan)):
            key = tuple(slice(a, b) for a, b in box)
            out[key] = array.variable[key].values
    return out.path


def _pixels(plan: Draft) -> int:
    return max(1, _AT_ONCE // plan.layout.dtype.itemsize)


# ------------------------------------------------------------------------------------------ regions


def _write_region(
    array: Any,
    path: str | os.PathLike[str],
    region: Mapping[Any, Any] | str | tuple[Any, ...],
    *,
    compute: bool,
    progress: Progress,
) -> Stats | Delayed:
    """Write part of a file that exists; a dask array chunk by chunk."""
    target, dims, starts = _existing(path)
    if _is_labelled(array):
        array = convention.data_of(array)
        if set(array.dims) - set(dims):
            raise MrcValueError(f"dims {tuple(array.dims)} are not those of the file, {dims}")
    key = _region_key(array, region, dims, starts, target.shape)
    if hasattr(array, "dims"):
        kept = [dim for dim, item in zip(dims, key, strict=True) if isinstance(item, slice) and dim in array.dims]
        array = array.transpose(*kept).data
    box, shape = regions.box_of(target.shape, key)
    if tuple(array.shape) != shape:
        raise MrcValueError(f"the array has shape {tuple(array.shape)}; the region {shape}")
    region_writer.mark_changed(*region_writer.existing(path))
    if not _is_dask(array):
        return target.write(key, array)
    from mrcarray.dask_io.writing import write_box

    done: Stats | Delayed = write_box(
        array.reshape(regions.lengths(box)), target, box, compute=compute, progress=progress
    )
    return done


def _existing(
    path: str | os.PathLike[str],
) -> tuple[region_writer.Region, tuple[str, ...], dict[str, tuple[float, float]]]:
    """Return what to write to, the dims of the file, and start and step of the axes of its grid."""
    from mrcarray.format.geometry import Geometry

    absolute, header, layout = region_writer.existing(path)
    geometry = Geometry.from_header(header, layout)
    dims = convention.dims_of(layout, geometry)
    places = {axis: ("xyz".index(axis)) for axis in dims if axis in ("x", "y", "z")}
    grid = {axis: (geometry.start[at], geometry.voxel_size[at]) for axis, at in places.items()}
    return region_writer.Region(absolute, layout, region_writer.file_number(header)), dims, grid


def _region_key(
    array: Any,
    region: Mapping[Any, Any] | str | tuple[Any, ...],
    dims: tuple[str, ...],
    grid: Mapping[str, tuple[float, float]],
    shape: tuple[int, ...],
) -> tuple[Any, ...]:
    if isinstance(region, tuple):
        return _basic(region, shape)
    if isinstance(region, str):
        if region != "auto":
            raise MrcValueError(f"region is {region!r}; expected a dict, a tuple or 'auto'")
        return tuple(_found(array, dim, grid, length) for dim, length in zip(dims, shape, strict=True))
    if strange := set(region) - set(dims):
        raise MrcValueError(f"region names {sorted(map(str, strange))}; the dims of the file are {dims}")
    return tuple(
        _found(array, dim, grid, length) if region.get(dim) == "auto" else region.get(dim, slice(None))
        for dim, length in zip(dims, shape, strict=True)
    )


def _basic(key: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Return a NumPy key with one slice or integer for each axis."""
    box, _ = regions.box_of(shape, key)
    holes = [i for i, item in enumerate(key) if item is Ellipsis]
    at = holes[0] if holes else len(key)
    items = [*key[:at], *(slice(None),) * (len(shape) - len(key) + len(holes)), *key[at + 1 :]]
    return tuple(slice(*edges) if isinstance(item, slice) else edges[0] for item, edges in zip(items, box, strict=True))


def _found(array: Any, dim: str, grid: Mapping[str, tuple[float, float]], length: int) -> Any:
    """Return where the coords of an array put it along one axis of the file."""
    from mrcarray.xarray_backend import coordinates

    if not hasattr(array, "coords") or dim not in array.coords:
        if hasattr(array, "sizes") and array.sizes.get(dim) == length:
            return slice(None)
        raise MrcValueError(f"region 'auto' needs coords; the array has none along {dim}")
    if dim in grid:
        axis = coordinates.axis_of(array, dim)
        start, step = grid[dim]
        first = (axis.start - start) / step if axis.count is None else float(axis.count)
        if not np.isnan(axis.step) and abs(axis.step - step) * axis.length > step / 2:
            raise MrcValueError(f"voxel size along {dim} is {axis.step:g}; that of the file is {step:g}")
        count = axis.length
    else:
        values = np.atleast_1d(array.coords[dim].values)
        first, count = float(values[0]), values.size
        if not np.array_equal(values, np.arange(values[0], values[0] + values.size)):
            raise MrcValueError(f"coordinate {dim} does not count sections one by one")
    at = round(first) if np.isfinite(first) else -1
    if not np.isfinite(first) or abs(first - at) > 0.1 or at < 0 or at + count > length:  # noqa: PLR2004 -- a tenth of a voxel
        raise MrcValueError(f"along {dim} the array begins at voxel {first:g} and has {count}; the file has {length}")
    return slice(at, at + count) if dim in array.dims else at
