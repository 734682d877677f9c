"""`open_particles`: from a table of particles to a lazy Dataset."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import xarray as xr
from xarray.core import indexing

from mrcarray.caller import warn
from mrcarray.errors import MrcValueError, printable
from mrcarray.particles.cryosparc import read_cryosparc
from mrcarray.particles.stack import ParticleStack, check_section, checked, open_images
from mrcarray.particles.star import from_frames, read_star
from mrcarray.particles.table import Images, ParticleTable, resolve
from mrcarray.xarray_backend.convention import grid_positions
from mrcarray.xarray_backend.engine import MrcBackendArray
from mrcarray.xarray_backend.indexes import GridIndex, SectionIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    from mrcarray.particles.table import Column
    from mrcarray.reader import Mrc

__all__ = ["FORMATS", "CheckOption", "open_particles"]

CheckOption = Literal["headers", "none"]

FORMATS: dict[str, Callable[[str], ParticleTable]] = {".star": read_star, ".cs": read_cryosparc}
"""Reader by suffix. To read another format, add a row."""

_CHUNK = 16 << 20
"""Bytes of the images in a chunk with ``chunks={}`` or ``"auto"``: as the engine groups small sections."""

_SAME_SIZE = 0.01
"""Part by which two pixel sizes may differ and still be the same, as for the pixel size of records."""

_PARTICLE = "particle"

_TEXT = np.dtype(object, metadata={"element_type": str})
"""Text is saved as strings of any length: Zarr has no settled form for those of a fixed width."""


def open_particles(
    table: Any,
    *,
    root: str | os.PathLike[str] | None = None,
    columns: Iterable[str] | None = None,
    chunks: Any = None,
    check: CheckOption = "headers",
) -> xr.Dataset:
    """Open the images of a particle table as one Dataset, lazily.

    Parameters
    ----------
    table : str, path, DataFrame or dict
        A STAR file of RELION (needs starfile), a ``.cs`` file of cryoSPARC, a DataFrame with the column
        ``rlnImageName``, or what ``starfile.read`` returns.
    root : str or path, optional
        Directory that the image names are relative to. Without it each file is looked for in the current directory, in
        the directory of the table, and in its parents.
    columns : iterable of str, optional
        Columns to keep, by their names in the table or in the Dataset [default: all].
    chunks : int, "auto", mapping or None
        None reads lazily without dask. Else a dask array: chunks of about 16 MiB of particles for ``"auto"`` and
        ``{}``, or chunk sizes by dimension.
    check : {"headers", "none"}
        "headers" reads the header of every file now, and refuses files that are missing, too short, or of another image
        size. "none" reads that of the first file only; other files are checked when they are read.

    Returns
    -------
    xarray.Dataset
        The variable ``data`` with the dimensions ``particle``, ``y`` and ``x``, and each column as a coordinate along
        ``particle``: the name in snake case without ``rln``, with units. ``y`` and ``x`` are in ångström if all
        particles have one pixel size, else in pixels.

    Raises
    ------
    FileNotFoundError
        When an image file is missing; the message names the line of the table.
    MrcFormatError
        When an image file is wrong, or does not fit the first.
    MrcValueError
        When the table lists no images, or `columns` names one that it does not have.
    MissingDependencyError
        When a STAR file is given and starfile is not installed.

    Examples
    --------
    >>> import mrcarray, pandas as pd
    >>> names = ["000003@tilts.mrcs", "000001@tilts.mrcs"]
    >>> table = pd.DataFrame({"rlnImageName": names, "rlnDefocusU": [9000.0, 9500.0]})
    >>> particles = mrcarray.open_particles(table)
    >>> particles.data.dims, particles.data.shape
    (('particle', 'y', 'x'), (2, 16, 24))
    >>> particles.sel(particle=particles.defocus_u > 9200).image_name.values.tolist()
    ['000001@tilts.mrcs']
    """
    if check not in ("headers", "none"):
        raise MrcValueError(f"check is {check!r}; expected 'headers' or 'none'")
    found = _read_table(table)
    if not found.images.codes.size:
        raise MrcValueError(f"{printable(found.rows.path) or 'the table'}: no particles")
    kept = _kept(found.columns, columns)
    paths = resolve(found, root, every=check == "headers")
    stack, first = _open_stack(found, paths, every=check == "headers")
    size = _pixel_size(found, first)
    data: Any = indexing.LazilyIndexedArray(MrcBackendArray(cast("Any", stack)))
    if chunks is not None:
        data = _chunked(stack, chunks)
    coords = {**_grid(stack, size), **{column.name: _coordinate(column) for column in kept}}
    return _dataset(data, coords, found)


def _read_table(table: Any) -> ParticleTable:
    if isinstance(table, str | os.PathLike):
        path = os.path.abspath(os.path.expanduser(os.fspath(table)))  # noqa: PTH100, PTH111 -- a str
        suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122 -- a str
        if suffix not in FORMATS:
            raise MrcValueError(f"{printable(path)}: expected a file ending in {' or '.join(FORMATS)}")
        if not os.path.isfile(path):  # noqa: PTH113 -- a str
            raise FileNotFoundError(f"no file {printable(path)}")
        return FORMATS[suffix](path)
    if isinstance(table, dict):
        return from_frames(table)
    if hasattr(table, "columns"):
        return from_frames({"particles": table})
    raise TypeError(f"expected a STAR or .cs file, a DataFrame or a dict of them, not {type(table).__name__}")


def _kept(found: tuple[Column, ...], columns: Iterable[str] | None) -> list[Column]:
    """Return the columns asked for, by either of their names."""
    if columns is None:
        return list(found)
    names = {name: column for column in found for name in (column.name, column.attrs.get("star_name", column.name))}
    wanted = [columns] if isinstance(columns, str) else list(columns)
    if unknown := [name for name in wanted if name not in names]:
        raise MrcValueError(f"no column {unknown[0]!r}; the table has {', '.join(sorted(one.name for one in found))}")
    return list({names[name].name: names[name] for name in wanted}.values())


def _open_stack(table: ParticleTable, paths: tuple[str, ...], *, every: bool) -> tuple[ParticleStack, list[Mrc]]:
    """Return the lazy array, and the files that were opened for it."""
    images = Images(paths, table.images.codes, table.images.sections)
    codes, rows = np.unique(images.codes, return_index=True)
    if not every:
        codes, rows = codes[:1], rows[:1]
    pairs = list(zip(codes.tolist(), rows.tolist(), strict=True))
    opened = [open_images(paths[code], table.rows, row) for code, row in pairs]
    first = opened[0].array
    image = first.shape[1:] if first is not None else ()
    arrays = {code: checked(mrc, image, None, table.rows, row) for (code, row), mrc in zip(pairs, opened, strict=True)}
    if every:
        _check_sections(table, arrays)
    dtype = np.result_type(*(array.dtype for array in arrays.values()))
    shape = (images.codes.size, image[0], image[1])
    return ParticleStack(images, shape, dtype, table.rows, arrays), opened


def _check_sections(table: ParticleTable, arrays: Mapping[int, Any]) -> None:
    """Refuse the first and the last section of each file, if the file does not have it."""
    order = np.lexsort((table.images.sections, table.images.codes))
    codes = table.images.codes[order]
    edges = np.flatnonzero(np.diff(codes, prepend=-1, append=-1))
    for row in (*order[edges[:-1]].tolist(), *order[edges[1:] - 1].tolist()):
        code = int(table.images.codes[row])
        check_section(arrays[code], int(table.images.sections[row]), table.rows, row)


def _pixel_size(table: ParticleTable, opened: list[Mrc]) -> float:
    """Return the pixel size of all particles in ångström; NaN if there is none, or several."""
    stated = np.unique(table.pixel_size[np.isfinite(table.pixel_size) & (table.pixel_size > 0)])
    in_files = [mrc.geometry().voxel_size[0] for mrc in opened]
    if stated.size > 1:
        sizes = ", ".join(f"{size:g}" for size in stated[:4])
        text = f"the particles have {stated.size} pixel sizes ({sizes} Å); x and y count pixels"
        warn(f"{_name(table)}: {text}; open one optics group at a time for coordinates in ångström")
        return float("nan")
    if not stated.size:
        return in_files[0]
    size = float(stated[0])
    other = [at for at, one in enumerate(in_files) if np.isfinite(one) and abs(one - size) > _SAME_SIZE * size]
    if other:
        more = f" and {len(other) - 1} more files" if len(other) > 1 else ""
        text = f"the pixel size is {size:g} Å, but {in_files[other[0]]:g} Å in the header of"
        warn(f"{_name(table)}: {text} {printable(opened[other[0]].path)}{more}; that of the table is used")
    return size


def _name(table: ParticleTable) -> str:
    return printable(table.rows.path) or "the table"


def _grid(stack: ParticleStack, size: float) -> dict[str, xr.Variable]:
    """Return the coordinates of the axes."""
    number = {"long_name": "particle number, counted from 0"}
    out = {_PARTICLE: xr.Variable((_PARTICLE,), np.arange(len(stack)), number)}
    known = bool(np.isfinite(size))
    for name, length in zip("yx", stack.shape[1:], strict=True):
        values: NDArray[Any] = grid_positions(length, size, 0.0) if known else np.arange(length, dtype=np.float64)
        attrs = {"units": "angstrom" if known else "pixel", "axis": name.upper()}
        out[name] = xr.Variable((name,), values, {**attrs, "long_name": f"{name} of the voxel centre"})
    return out


def _coordinate(column: Column) -> xr.Variable:
    """Return the coordinate of a column; vectors get a dimension of their own."""
    vector = tuple(f"{column.name}_{axis}" for axis in range(column.values.ndim - 1))
    encoding = {"dtype": _TEXT} if column.values.dtype.kind == "U" else {}
    return xr.Variable((_PARTICLE, *vector), column.values, column.attrs, encoding)


def _dataset(data: Any, coords: dict[str, xr.Variable], table: ParticleTable) -> xr.Dataset:
    indexes: dict[Any, Any] = {
        _PARTICLE: SectionIndex.from_variables({_PARTICLE: coords[_PARTICLE]}, options={}),
        **{name: GridIndex.from_variables({name: coords[name]}, options={}) for name in "yx"},
    }
    for name, index in indexes.items():
        coords.update(index.create_variables({name: coords[name]}))
    variable = xr.Variable((_PARTICLE, "y", "x"), data)
    dataset = xr.Dataset({"data": variable}, coords=xr.Coordinates(coords, indexes=indexes))
    if table.rows.path:
        dataset.encoding["source"] = table.rows.path
    return dataset


def _chunked(stack: ParticleStack, chunks: Any) -> Any:
    """Return the stack as a dask array."""
    import dask.array as da
    from dask.array.core import normalize_chunks
    from dask.base import tokenize

    each = max(1, _CHUNK // max(1, stack.nbytes // len(stack)))
    if chunks in ("auto", {}):
        chunks = (each, -1, -1)
    elif isinstance(chunks, dict):
        if unknown := set(chunks) - {_PARTICLE, "y", "x"}:
            raise MrcValueError(f"chunks names {sorted(unknown)}; the dimensions are particle, y and x")
        chunks = (chunks.get(_PARTICLE, each), chunks.get("y", -1), chunks.get("x", -1))
    cut = normalize_chunks(chunks, shape=stack.shape, dtype=stack.dtype)
    out: da.Array = da.from_array(
        stack,
        chunks=cut,
        name=f"open-particles-{tokenize(stack, cut)}",
        lock=False,
        asarray=True,
        fancy=True,  # else dask does not hand slices down to the array
        inline_array=False,  # the table is one node of the graph, not a copy in each task
        meta=np.empty((0, 0, 0), dtype=stack.dtype),
    )
    return out
