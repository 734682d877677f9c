"""The convention: which dims, coords, attrs and encoding a file gets in xarray.

Pure: nothing is read, printed or warned here.

======================  ==============================  =========================================
kind                    dims                            coords
======================  ==============================  =========================================
image                   ``(y, x)``                      ``y``, ``x`` in ångström
image_stack             ``(section, y, x)``             ``section`` counts from 0, ``y``, ``x`` in ångström
volume                  ``(z, y, x)``                   ``z``, ``y``, ``x`` in ångström
volume_stack            ``(volume, z, y, x)``           ``volume`` counts from 0, the others in ångström
======================  ==============================  =========================================

The kinds ``tilt_series``, ``movie`` and ``particles`` are image stacks whose first dim is called ``tilt``, ``frame`` or
``particle``. RGB pixels add a last dim ``rgb``. A file whose axes are permuted (mapc, mapr, maps) has its dims in the
order of the file; no data move. Half transforms whose real width is known (`mrcarray.format.fourier`) have spatial
frequencies as coords, in ``1/angstrom``. Where the voxel size is unknown the coords count pixels, with that unit.

attrs contain what describes the specimen, and what the file stated when it was opened, under names that say so
(`mrcarray.xarray_backend.header_attrs`). encoding contains what is true of the file alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from mrcarray.dask_io.chunk_rule import layout_chunks
from mrcarray.errors import Hint, MrcValueError
from mrcarray.format.fourier import frequencies
from mrcarray.format.layout import Kind
from mrcarray.xarray_backend.header_attrs import SYMMETRY, header_attrs
from mrcarray.xarray_backend.header_bytes import HeaderBytes
from mrcarray.xarray_backend.storage_facts import KEPT, as_text, storage_facts

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import xarray as xr
    from numpy.typing import NDArray

    from mrcarray.format.geometry import Geometry
    from mrcarray.format.header import Header
    from mrcarray.format.layout import Layout
    from mrcarray.xarray_backend.header_attrs import HeaderOption

__all__ = [
    "COUNTED",
    "COUNTED_DIMS",
    "DATA",
    "EXTENDED",
    "INTERVALS",
    "OPENED_SIZE",
    "RECORD",
    "REORDERED",
    "SECTIONS",
    "SPACING",
    "STACK_DIMS",
    "START",
    "Convention",
    "Coordinate",
    "CoordsOption",
    "PreferredChunks",
    "convention_of",
    "data_of",
    "dims_of",
    "grid_positions",
    "kind_of",
    "preferred_chunks",
]

DATA = "data"
"""Name of the one data variable."""

STACK_DIMS = {"image_stack": "section", "tilt_series": "tilt", "movie": "frame", "particles": "particle"}
"""Name of the first dim of an image stack, by kind."""

COUNTED_DIMS = (*STACK_DIMS.values(), "volume")
"""Names of the dims along which items are numbered, not measured."""

COUNTED = "number, counted from 0"
"""Ending of the long name of a coordinate that numbers items."""

SPACING, START, INTERVALS = "spacing", "start", "intervals"
"""Attributes of the section coordinate of an image stack, which `coordinates.depth_of` reads."""

SECTIONS = "sections"
"""Value of `INTERVALS` where the intervals of the cell (MRC2014 word 10) count the sections, as in a volume."""

RECORD = "extended_record"
"""Name of the coordinate with the records of the extended header."""

EXTENDED = "extended_header"
"""Encoding: the bytes of an extended header of unknown kind."""

REORDERED = "sections_reordered"
"""Encoding: whether the sections are in another order than in the file, although their coordinates are not."""

OPENED_SIZE = "opened_voxel_size"
"""Encoding: the voxel size with which a file was opened, which records may have stated instead of the header."""

CoordsOption = Literal["physical", "pixel"] | None
"""Coordinates in ångström, in pixels, or none for the axes of the grid."""

_ON_GRID = ((1, 1e-3), (24, 1e-4))
"""Parts of a voxel at which grids start, and the difference in voxels up to which a start is taken as one of them."""
_DECIMALS = 9
"""Decimals of a voxel to which positions are rounded."""


@dataclass(frozen=True, slots=True)
class Coordinate:
    """One coordinate: its dims, its values, its attrs."""

    dims: tuple[str, ...]
    values: NDArray[Any]
    attrs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Convention:
    """Dims, coords, attrs and encoding of a file in xarray.

    Parameters
    ----------
    dims : tuple of str
        One name an axis, slowest first.
    coords : dict of str to Coordinate
        Coordinates by name.
    attrs, encoding : dict
        Of the data variable.
    unknown : tuple of str
        Grid axes whose voxel size is unknown.
    """

    dims: tuple[str, ...]
    coords: dict[str, Coordinate]
    attrs: dict[str, Any]
    encoding: dict[str, Any]
    unknown: tuple[str, ...] = ()


class PreferredChunks(dict[str, int]):
    """Chunk sizes proposed for a file that has no chunks of its own.

    xarray calls ``.get(dim, length)`` for the sizes to use with ``chunks={}`` and ``"auto"``, and ``.get(dim)`` for the
    stored chunks, and warns if a request cuts these. A plain file has no chunks to cut, so the second call gets None.
    """

    def get(self, key: str, default: Any = None) -> Any:
        """Return the proposed size where a default is given, else None."""
        return super().get(key, default) if default is not None else None

    def copy(self) -> PreferredChunks:
        """Return a copy of the same class."""
        return PreferredChunks(self)


def data_of(obj: xr.DataArray | xr.Dataset, variable: Hashable | None = None) -> xr.DataArray:
    """Return a DataArray itself, or one variable of a Dataset.

    Parameters
    ----------
    obj : DataArray or Dataset
        What a caller gave.
    variable : hashable, optional
        Name of the variable of a Dataset; by default `DATA`.

    Raises
    ------
    MrcValueError
        When a Dataset has no such variable.
    """
    variables = getattr(obj, "data_vars", None)
    if variables is None:
        if variable not in (None, getattr(obj, "name", None)):
            raise MrcValueError(f"variable is {variable!r}, but the array is {getattr(obj, 'name', None)!r}")
        return cast("xr.DataArray", obj)
    found = DATA if variable is None else variable
    if found not in variables:
        text = f"the Dataset has no variable {found!r}; it has {list(variables)}"
        raise MrcValueError(text, hint=Hint(f"pass variable={next(iter(variables))!r}") if len(variables) else None)
    return obj[found]


def convention_of(  # noqa: PLR0913 -- three values and the options of the engine
    header: Header,
    layout: Layout,
    geometry: Geometry,
    *,
    kind: str = "auto",
    coords: CoordsOption = "physical",
    symmetry: bytes = b"",
    kind_from: str = "",
    attrs: HeaderOption = True,
) -> Convention:
    """Return the convention for one file.

    Parameters
    ----------
    header : Header
        Header of the file.
    layout : Layout
        Where its pixels are in the file.
    geometry : Geometry
        Where they are in space.
    kind : str
        Option of the caller; names the first dim of an image stack.
    coords : {"physical", "pixel"} or None
        Coordinates of the grid in ångström, in pixels, or none.
    symmetry : bytes
        Extended header, if it contains symmetry records.
    kind_from : str
        Name of the line of evidence that decided the kind.
    attrs : {True, False, "all"}
        Which attributes of the header.

    Returns
    -------
    Convention
    """
    dims = dims_of(layout, geometry, kind)
    grid = tuple(dim for dim in dims if dim in ("x", "y", "z"))
    unknown = tuple(dim for dim in grid if not math.isfinite(_component(geometry.voxel_size, dim)))
    lengths = dict(zip(dims, layout.shape, strict=True))
    frequency = frequencies(layout, geometry) if coords == "physical" else {}
    kept = storage_facts(geometry, lengths, header)
    stored = {KEPT: as_text(kept)} if kept else {}
    stated = header_attrs(header, geometry, kind=str(layout.kind), symmetry=symmetry, option=attrs)
    records = {SYMMETRY: symmetry} if symmetry else {}
    return Convention(
        dims=dims,
        coords={**_coords(dims, layout, geometry, coords), **_frequency_coords(frequency)},
        attrs=stated | (stored if stated else {}),
        encoding={**_encoding(header, layout, dims, kind_from), **stored, **records, OPENED_SIZE: geometry.voxel_size},
        unknown=unknown if coords == "physical" else (),
    )


def dims_of(layout: Layout, geometry: Geometry, kind: str = "auto") -> tuple[str, ...]:
    """Return the names of the axes of the array, slowest first."""
    stack = {
        Kind.IMAGE: (),
        Kind.IMAGE_STACK: (STACK_DIMS.get(kind, "section"),),
        Kind.VOLUME: (),
        Kind.VOLUME_STACK: ("volume",),
    }[layout.kind]
    plane = geometry.axes[-2:] if layout.kind in (Kind.IMAGE, Kind.IMAGE_STACK) else geometry.axes[-3:]
    return (*stack, *plane, *(("rgb",) if layout.pixel.trailing else ()))


def kind_of(dims: tuple[Any, ...]) -> str | None:
    """Return the kind of file with these dims, in any order; None if no kind has them.

    Examples
    --------
    >>> kind_of(("z", "y", "x")), kind_of(("tilt", "y", "x")), kind_of(("time", "x"))
    ('volume', 'tilt_series', None)
    """
    names = set(dims) - {"rgb"}
    spatial = names & {"x", "y", "z"}
    rest = names - spatial
    kinds = {dim: kind for kind, dim in STACK_DIMS.items()}
    if not rest:
        return {2: "image", 3: "volume"}.get(len(spatial))
    if rest == {"volume"}:
        return "volume_stack" if len(spatial) == 3 else None  # noqa: PLR2004 -- a volume has three axes
    return kinds.get(rest.pop()) if len(rest) == 1 and len(spatial) == 2 else None  # noqa: PLR2004 -- an image has two


def _component(triple: tuple[Any, Any, Any], axis: str) -> Any:
    return triple["xyz".index(axis)]


def _coords(dims: tuple[str, ...], layout: Layout, geometry: Geometry, option: CoordsOption) -> dict[str, Coordinate]:
    lengths = dict(zip(dims, layout.shape, strict=True))
    out = {}
    for dim in dims:
        if dim in ("x", "y", "z"):
            if option is not None:
                out[dim] = _grid_coordinate(dim, lengths[dim], geometry, option)
        elif dim == "rgb":
            out[dim] = Coordinate((dim,), np.array(["red", "green", "blue"]), {"long_name": "colour"})
        else:
            attrs = {"long_name": f"{dim} {COUNTED}", **_depth_attrs(layout, geometry)}
            out[dim] = Coordinate((dim,), np.arange(lengths[dim]), attrs)
    return out


def _depth_attrs(layout: Layout, geometry: Geometry) -> dict[str, Any]:
    """Return the attributes for what the header states along the sections of an image stack."""
    if layout.kind is not Kind.IMAGE_STACK:
        return {}
    at = next(at for at, axis in enumerate("xyz") if axis not in geometry.axes)
    spacing, start, intervals = geometry.voxel_size[at], geometry.start[at], geometry.n[at]
    found: dict[str, Any] = {SPACING: spacing if math.isfinite(spacing) else 0.0}
    if math.isfinite(start) and start:
        found[START] = start
    if intervals != 1:
        found[INTERVALS] = SECTIONS if intervals <= 0 or intervals == layout.grid[0] else intervals
    return found


def _grid_coordinate(dim: str, length: int, geometry: Geometry, option: CoordsOption) -> Coordinate:
    step, start = _component(geometry.voxel_size, dim), _component(geometry.start, dim)
    if option == "physical" and math.isfinite(step):
        values = grid_positions(length, step, start if math.isfinite(start) else 0.0)
        return Coordinate((dim,), values, _axis_attrs(dim, "angstrom"))
    steps = np.arange(length, dtype=np.float64)
    return Coordinate((dim,), steps + _pixel_start(dim, geometry), _axis_attrs(dim, "pixel"))


def grid_positions(length: int, step: float, start: float) -> NDArray[np.float64]:
    """Return the positions of voxels, with identical numbers for grids that coincide.

    Files store a start in 32 bits or as a number of voxels. One that is a whole number of voxels, or of the halves,
    thirds and so on that binning gives, is taken as exactly that, and all positions are rounded far below the precision
    of any file.

    Examples
    --------
    >>> grid_positions(3, 1.07, 3.2100000381)
    array([3.21, 4.28, 5.35])
    """
    steps = np.arange(length, dtype=np.float64)
    values = steps * step + start
    for parts, off in _ON_GRID:
        count = round(start / step * parts)
        if abs(start / step - count / parts) < off:
            values = (steps + count / parts) * step
            break
    return np.round(values, _DECIMALS - math.floor(math.log10(step)))


def _frequency_coords(values: Mapping[str, NDArray[Any]]) -> dict[str, Coordinate]:
    """Return the coords of a half transform: spatial frequencies instead of positions."""
    attrs = {dim: {"units": "1/angstrom", "long_name": f"spatial frequency along {dim}"} for dim in values}
    return {dim: Coordinate((dim,), one, attrs[dim]) for dim, one in values.items()}


def _pixel_start(dim: str, geometry: Geometry) -> float:
    """Return the position of the first voxel in voxels: in space if that is known, else nstart."""
    step, start = _component(geometry.voxel_size, dim), _component(geometry.start, dim)
    if math.isfinite(step) and math.isfinite(start):
        return float(round(start / step))
    return 0.0 if geometry.source == "zero" else float(_component(geometry.nstart, dim))


def _axis_attrs(dim: str, unit: str) -> dict[str, Any]:
    return {"units": unit, "axis": dim.upper(), "long_name": f"{dim} of the voxel centre"}


def _encoding(header: Header, layout: Layout, dims: tuple[str, ...], kind_from: str) -> dict[str, Any]:
    return {
        "dtype": layout.dtype,
        "mode": int(header.mode),
        "pixel": layout.pixel.code,
        "byteorder": "little" if layout.byteorder == "<" else "big",
        "data_offset": layout.offset,
        "header": HeaderBytes(header.raw),
        "kind": str(layout.kind),
        "kind_from": kind_from,
        "preferred_chunks": preferred_chunks(layout, dims),
    }


def preferred_chunks(layout: Layout, dims: tuple[str, ...]) -> PreferredChunks:
    """Return the chunk sizes of `mrcarray.dask_io.chunk_rule`; dims that are missing are not split."""
    sizes = zip(dims, layout.grid, layout_chunks(layout), strict=False)
    return PreferredChunks({dim: size for dim, length, size in sizes if size < length})
