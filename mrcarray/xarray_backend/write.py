"""Write NumPy, dask and labelled arrays to files with `to_mrc`, whole or by region."""

from __future__ import annotations

import os
import stat
import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray import _compat, reader, region_writer, writer
from mrcarray.errors import Hint, MrcValueError, OutputExistsError
from mrcarray.format import regions
from mrcarray.format.builder import draft
from mrcarray.format.casting import EXACT, as_pixels
from mrcarray.format.fields import VERSIONS
from mrcarray.format.kinds import kind_of_name
from mrcarray.format.layout import Kind
from mrcarray.format.modes import PIXELS
from mrcarray.xarray_backend import convention
from mrcarray.xarray_backend.write_options import WriteOptions

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    import xarray as xr
    from dask.delayed import Delayed
    from numpy.typing import DTypeLike

    from mrcarray.format.builder import Draft
    from mrcarray.progress import Progress
    from mrcarray.statistics import Stats

__all__ = ["to_mrc"]

_AT_ONCE = 64 << 20
"""Bytes read at a time from a lazy array without dask."""


def to_mrc(  # noqa: PLR0913 -- the options of all ways to write
    array: Any,
    path: str | os.PathLike[str],
    *,
    variable: Hashable | None = None,
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
    """Write an array to an MRC file, which appears under its name when it is complete.

    Parameters
    ----------
    array : ndarray, dask array, DataArray or Dataset
        The pixels: (row, column), (section, row, column), (volume, section, row, column), or axes named by dims, whose
        coords give voxel size and position. A dask array is streamed: only the chunks being written are in memory.
    path : str or path
        The file; ``.gz`` and ``.bz2`` are compressed.
    variable : str, optional
        Name of the variable of a Dataset, ``data`` by default.
    kind : str, optional
        "image", "image_stack", "volume" or "volume_stack"; by default the dims, or the number of axes, decide.
    dtype : dtype_like, optional
        Store the values as this dtype. Without it, or `mode`, a dtype that the format cannot store exactly is refused.
    mode : int, optional
        Store the values in this mode (0, 1, 2, 3, 4, 6, 12, 101). Values outside its range are refused.
    voxel_size : float or (x, y, z), optional
        In ångström, instead of that of the coords.
    byteorder : {"<", ">"}, optional
        Byte order of the file.
    nversion : int, optional
        Version the header declares; 20141 by default.
    label : str, optional
        Text of the label that is added, "Written by mrcarray 0.2" or what was done by default, once; an empty one
        adds none.
    placement : {"auto", "nstart", "origin", "both"}
        Header words that state the position of the first voxel: words 5-7 (nstart, in voxels), words 50-52 (origin, in
        ångström) or both. ``"auto"`` uses those of the file the array came from; a map that was at 0 gets nstart, which
        gemmi, CCP4, Coot, Phenix, ChimeraX and Mol* read. ITK and RosettaSciIO read only the origin, VTK adds both.
    region : dict, "auto" or tuple, optional
        Write into an existing file: a slice or integer for each dim, "auto" to find the region by the coords, or a
        NumPy key. The statistics of the file are then undetermined until you call `finalize`.
    overwrite : bool
        Whether an existing file may be replaced.
    sync : bool
        Whether the file is on the disk when the function returns.
    compression : {"auto", "gzip", "bzip2"} or None
        ``"auto"`` decides by the suffix.
    level : int, optional
        Compression level.
    compute : bool
        Whether to write a dask array now; else the function returns a Delayed.
    progress : bool or "auto"
        Whether to show a progress bar while a dask array is written; ``"auto"`` does on a terminal.

    Returns
    -------
    str, Delayed or Stats
        The absolute path, a Delayed that returns it, or the statistics of a region.

    Raises
    ------
    MrcValueError
        When the format cannot store the array; the target is then unchanged.
    FileExistsError
        When the file exists and `overwrite` is false.

    Warns
    -----
    MrcWarning
        About what the file cannot store: a position in nstart that is not a whole number of voxels, an axis whose
        coordinate falls, coordinates and records that are lost.

    Examples
    --------
    >>> import numpy as np, mrcarray
    >>> path = to_mrc(np.zeros((3, 4, 5), dtype="float32"), "zeros.mrc", voxel_size=1.5)
    >>> mrcarray.open_dataarray(path).mrc.voxel_size
    (1.5, 1.5, 1.5)
    """
    _require_file(path)
    if _is_labelled(array):
        array = convention.data_of(array, variable)
    elif variable is not None:
        raise MrcValueError(f"variable is {variable!r}, but the array is not a Dataset")
    if region is not None:
        return _write_region(array, path, region, compute=compute, progress=progress)
    options = WriteOptions(
        kind=kind,
        mode=_mode(dtype, mode),
        byteorder=byteorder,
        voxel_size=voxel_size,
        nversion=nversion,
        label=label,
        name=os.fsdecode(path),
        signed=dtype is not None and np.dtype(dtype) == np.int8,
        placement=placement,
    )
    if not overwrite and os.path.lexists(path):  # before anything is warned about that will not be written
        raise OutputExistsError(options.name)
    if _is_labelled(array):
        values, plan = _labelled(array, options)
    else:
        values = array if _is_dask(array) or hasattr(array, "layout") else as_pixels(array)
        plan = _plain(values, options)
    output: dict[str, Any] = {"overwrite": overwrite, "sync": sync, "compression": compression, "level": level}
    if _is_dask(values):
        from mrcarray.dask_io.writing import write_dask

        return write_dask(values, path, plan, **output, compute=compute, progress=progress)
    if not compute:
        raise MrcValueError("compute=False needs a dask array", hint=Hint("chunk() the array first"))
    lazy = hasattr(values, "layout") or hasattr(values, "dims")
    with writer.Writer.of(path, plan, **output) as out:
        pieces = regions.pieces(plan.layout.shape, max(1, _AT_ONCE // plan.layout.dtype.itemsize))
        for key in (tuple(slice(a, b) for a, b in box) for box in pieces) if lazy else (...,):
            out[key] = np.asarray(values[key])
    return out.path


def _require_file(path: str | os.PathLike[str]) -> None:
    """Refuse a pipe or a terminal, such as /dev/stdout: the header is written last, and the file then renamed."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 -- names need not be text
    except OSError:
        return
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        hint = Hint("write a file, then mrcarray.convert(file, sys.stdout.buffer)")
        raise MrcValueError(f"{os.fsdecode(path)} is a pipe or a device, not a file", hint=hint)


def _mode(dtype: DTypeLike | None, mode: int | None) -> int | None:
    """Return the mode of `dtype`, or `mode`."""
    if dtype is None:
        return mode
    wanted = np.dtype(dtype)
    code = EXACT.get(wanted.str[1:])
    if code is None:
        raise MrcValueError(f"dtype is {wanted}; expected int8, int16, uint16, float16, float32 or complex64")
    found = PIXELS[code].mode
    if mode is not None and mode != found:
        hint = Hint("pass one of them", "pass --dtype or --mode")
        raise MrcValueError(f"dtype {wanted} is mode {found}, but mode is {mode}", hint=hint)
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


def _plain(array: Any, options: WriteOptions) -> Draft:
    """Return the plan for an array without labels."""
    kind = options.kind
    if kind is None and array.ndim == 3 and kind_of_name(options.name) is Kind.IMAGE_STACK:  # noqa: PLR2004 -- a stack's axes
        kind = "image_stack"
    if 0 in array.shape:
        raise MrcValueError(f"the array is empty: its shape is {array.shape}; an MRC file has at least one pixel")
    return draft(
        tuple(array.shape),
        array.dtype,
        kind=kind,
        mode=options.mode,
        byteorder=options.byteorder or "<",
        voxel_size=options.voxel_size,
        label=options.label_text,
        nversion=VERSIONS[-1] if options.nversion is None else options.nversion,
    )


def _labelled(array: xr.DataArray, options: WriteOptions) -> tuple[Any, Draft]:
    """Return the pixels of a labelled array and the plan; warn about what the file cannot store.

    The pixels are a dask array, an ndarray, or a variable of xarray if they are still in a file.
    """
    from mrcarray.xarray_backend.encode import encode
    from mrcarray.xarray_backend.roundtrip_check import differences

    found = encode(array, options)
    for issue in (*found.issues, *differences(found.array, found.plan, options.name)):
        warnings.warn(reader.issue_warning(issue, options.name), stacklevel=reader.outside())
    variable = found.array.variable
    if not _compat.is_in_memory(variable) and found.array.chunks is None:
        return variable, found.plan
    values = variable.data
    # The pixels may carry a unit, of which the numbers are stored.
    return values if _is_dask(values) else as_pixels(getattr(values, "magnitude", values)), found.plan


# ------------------------------------------------------------------------------------------ regions


def _write_region(
    array: Any,
    path: str | os.PathLike[str],
    region: Mapping[Any, Any] | str | tuple[Any, ...],
    *,
    compute: bool,
    progress: Progress,
) -> Stats | Delayed:
    """Write a region of an existing file; a dask array chunk by chunk."""
    target, dims, starts = _existing(path)
    if _is_labelled(array) and set(array.dims) - set(dims):
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
    """Return the region writer of a file, its dims, and start and step of the axes of its grid."""
    from mrcarray.format.geometry import Geometry

    absolute, header, layout = region_writer.existing(path)
    geometry = Geometry.from_header(header, layout)
    dims = convention.dims_of(layout, geometry)
    steps = dict(zip("xyz", zip(geometry.start, geometry.voxel_size, strict=True), strict=True))
    grid = {axis: steps[axis] for axis in dims if axis in steps}
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
        return tuple(_by_coords(array, dim, grid, length) for dim, length in zip(dims, shape, strict=True))
    if unknown := set(region) - set(dims):
        raise MrcValueError(f"region names {sorted(map(str, unknown))}; the dims of the file are {dims}")
    return tuple(
        _by_coords(array, dim, grid, length) if region.get(dim) == "auto" else region.get(dim, slice(None))
        for dim, length in zip(dims, shape, strict=True)
    )


def _basic(key: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Return a NumPy key with one slice or integer for each axis."""
    box, _ = regions.box_of(shape, key)
    holes = [i for i, item in enumerate(key) if item is Ellipsis]
    at = holes[0] if holes else len(key)
    items = [*key[:at], *(slice(None),) * (len(shape) - len(key) + len(holes)), *key[at + 1 :]]
    return tuple(slice(*edges) if isinstance(item, slice) else edges[0] for item, edges in zip(items, box, strict=True))


def _by_coords(array: Any, dim: str, grid: Mapping[str, tuple[float, float]], length: int) -> Any:
    """Return the region of an array along one axis of the file, by its coords."""
    from mrcarray.xarray_backend import coordinates

    if not hasattr(array, "coords") or dim not in array.coords:
        if hasattr(array, "sizes") and array.sizes.get(dim) == length:
            return slice(None)
        raise MrcValueError(f"region 'auto' needs coords, but the array has none along {dim}")
    if dim in grid:
        axis = coordinates.axis_of(array, dim)
        start, step = grid[dim]
        first = (axis.start - start) / step if axis.count is None else float(axis.count)
        if not np.isnan(axis.step) and abs(axis.step - step) * axis.length > step / 2:
            raise MrcValueError(f"voxel size along {dim} is {axis.step:g}, but {step:g} in the file")
        count = axis.length
    else:
        values = np.atleast_1d(array.coords[dim].values)
        first, count = float(values[0]), values.size
        if not np.array_equal(values, np.arange(values[0], values[0] + values.size)):
            raise MrcValueError(f"coordinate {dim} does not number sections one by one")
    at = round(first) if np.isfinite(first) else -1
    if not np.isfinite(first) or abs(first - at) > 0.1 or at < 0 or at + count > length:  # noqa: PLR2004 -- a tenth of a voxel
        raise MrcValueError(f"along {dim} the array starts at voxel {first:g} and has {count}; the file has {length}")
    return slice(at, at + count) if dim in array.dims else at
