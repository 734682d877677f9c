"""The metadata of OME-Zarr (NGFF) images, versions 0.4 and 0.5: written for an array, and read from a store.

Each level of an image has a scale and a translation along each axis. A voxel of a level that averages `f` voxels along
an axis is centred `(f - 1) / 2` voxels after the first of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import MrcValueError, printable
from mrcarray.format.units import LENGTHS, plain
from mrcarray.xarray_backend import convention

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr

    from mrcarray.statistics import Stats

__all__ = ["OWN", "VERSIONS", "Grid", "Image", "Level", "attributes", "grid_of", "levels_of", "parsed"]

VERSIONS = ("0.4", "0.5")
OWN = "mrcarray"
"""Name of the root attribute with the dims of the array, and with its coords, attrs and header as text."""

_SPACE = ("z", "y", "x")
_WINDOW_SIGMAS = 3
"""Standard deviations on each side of the mean that a viewer shows at first."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Axes of an image, slowest first.

    Parameters
    ----------
    dims : tuple of str
        Names of the dims of the array.
    steps, starts : tuple of float
        Distance of voxels, and position of the first one: in ångström along spatial axes of known voxel size, else in
        voxels.
    known : tuple of bool
        Whether step and start are in ångström.
    """

    dims: tuple[str, ...]
    steps: tuple[float, ...]
    starts: tuple[float, ...]
    known: tuple[bool, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the axes in OME-Zarr: sections and volumes of a stack are ``t``."""
        return tuple(dim if dim in _SPACE else "t" for dim in self.dims)


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution of an image.

    Parameters
    ----------
    shape : tuple of int
        Its shape.
    factors : tuple of int
        Voxels of the full resolution in one of its voxels, by axis.
    ratio : tuple of int
        Voxels of the level below in one of its voxels, by axis.
    """

    shape: tuple[int, ...]
    factors: tuple[int, ...]
    ratio: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Image:
    """An image in a store.

    Parameters
    ----------
    axes : tuple of str
        Names of its axes.
    units : tuple of str
        Units along them; empty if unknown.
    paths : tuple of str
        Names of the arrays, full resolution first.
    scales, translations : tuple of tuple of float
        By level, then by axis.
    """

    axes: tuple[str, ...]
    units: tuple[str, ...]
    paths: tuple[str, ...]
    scales: tuple[tuple[float, ...], ...]
    translations: tuple[tuple[float, ...], ...]


def grid_of(array: xr.DataArray) -> Grid:
    """Return the axes of an array whose dims are those of an MRC file, in the order of OME-Zarr.

    Raises
    ------
    MrcValueError
        When voxels along an axis are not evenly spaced.
    """
    dims = tuple(str(dim) for dim in array.dims)
    sizes, origin = array.mrc.voxel_size, array.mrc.origin
    steps, starts, known = [1.0] * len(dims), [0.0] * len(dims), [False] * len(dims)
    for at, dim in enumerate(dims):
        if (
            dim not in _SPACE
            or dim not in array.coords
            or plain(array.coords[dim].attrs.get("units", "")) not in LENGTHS
        ):
            continue
        axis = "xyz".index(dim)
        step = sizes[axis] if array.sizes[dim] > 1 else _opened_size(array, axis)
        if array.sizes[dim] > 1 and not step > 0:
            raise MrcValueError(f"voxels along {dim} are not evenly spaced; expected rising, even coordinates")
        if step > 0 and math.isfinite(origin[axis]):
            steps[at], starts[at], known[at] = step, origin[axis], True
    return Grid(dims, tuple(steps), tuple(starts), tuple(known))


def _opened_size(array: xr.DataArray, axis: int) -> float:
    """Return the voxel size along an axis of length 1, whose coordinates do not state it."""
    size = float(array.encoding.get(convention.OPENED_SIZE, (math.nan,) * 3)[axis])
    return size if math.isfinite(size) and size > 0 else math.nan


def levels_of(grid: Grid, shape: tuple[int, ...], scale_factors: Sequence[int]) -> tuple[Level, ...]:
    """Return the levels of an image, full resolution first.

    An axis with fewer voxels than a factor is not reduced any more, and the levels end where no axis can be reduced.
    Sections of a stack are never reduced.

    Raises
    ------
    MrcValueError
        When a factor is not a multiple of the one before.
    """
    levels = [Level(shape, (1,) * len(shape), (1,) * len(shape))]
    before = 1
    for factor in scale_factors:
        if factor <= before or factor % before:
            found = ", ".join(map(str, scale_factors))
            raise MrcValueError(f"scale_factors are {found}; expected multiples of each other, such as 2, 4")
        whole, before = factor // before, factor
        below = levels[-1]
        ratio = tuple(
            whole if dim in _SPACE and length >= whole else 1
            for dim, length in zip(grid.dims, below.shape, strict=True)
        )
        if set(ratio) == {1}:
            break
        reduced = tuple(length // by for length, by in zip(below.shape, ratio, strict=True))
        factors = tuple(one * by for one, by in zip(below.factors, ratio, strict=True))
        levels.append(Level(reduced, factors, ratio))
    return tuple(levels)


def attributes(  # noqa: PLR0913 -- everything the root of a store states
    version: str, name: str, grid: Grid, levels: Sequence[Level], *, method: str, stats: Stats, own: dict[str, Any]
) -> dict[str, Any]:
    """Return the attributes of the root group."""
    averaged = method != "nearest"  # the nearest voxel is the first of each block, where it was
    datasets = [
        {
            "path": str(at),
            "coordinateTransformations": _transformations(grid, level.factors if averaged else None, level),
        }
        for at, level in enumerate(levels)
    ]
    axes = [_axis(name, known=known) for name, known in zip(grid.names, grid.known, strict=True)]
    image = {"name": name, "axes": axes, "datasets": datasets, "type": method}
    if version == "0.4":
        found: dict[str, Any] = {"multiscales": [{"version": version, **image}], **_omero(name, stats, version)}
    else:
        found = {"ome": {"version": version, "multiscales": [image], **_omero(name, stats, version)}}
    return {**found, OWN: own}


def _axis(name: str, *, known: bool) -> dict[str, str]:
    axis = {"name": name, "type": "time" if name == "t" else "space"}
    return {**axis, "unit": "angstrom"} if known else axis


def _transformations(grid: Grid, centred: tuple[int, ...] | None, level: Level) -> list[dict[str, Any]]:
    scale = [step * factor for step, factor in zip(grid.steps, level.factors, strict=True)]
    shift = [(factor - 1) / 2 for factor in centred] if centred else [0.0] * len(scale)
    start = [first + step * by for first, step, by in zip(grid.starts, grid.steps, shift, strict=True)]
    return [{"type": "scale", "scale": scale}, {"type": "translation", "translation": start}]


def _omero(name: str, stats: Stats, version: str) -> dict[str, Any]:
    """Return the window of values that a viewer shows at first; nothing if no value is finite."""
    if not stats.count:
        return {}
    low, high, mean = float(stats.minimum), float(stats.maximum), float(stats.mean.real)
    start, end = max(low, mean - _WINDOW_SIGMAS * stats.rms), min(high, mean + _WINDOW_SIGMAS * stats.rms)
    if not start < end:
        start, end = low, low + 1.0
    window = {"min": low, "max": max(high, end), "start": start, "end": end}
    channel = {"label": name, "color": "FFFFFF", "active": True, "coefficient": 1, "family": "linear", "window": window}
    rdefs = {"defaultT": 0, "defaultZ": 0, "model": "greyscale"}
    return {"omero": {"name": name, "version": version, "channels": [{**channel, "inverted": False}], "rdefs": rdefs}}


def parsed(found: Mapping[str, Any], path: str) -> Image | None:
    """Return the image that the attributes of a group describe; None if they are not those of an OME-Zarr image.

    Raises
    ------
    MrcValueError
        When the description is damaged.
    """
    inner = found.get("ome", found)
    if not isinstance(inner, dict) or not inner.get("multiscales"):
        return None
    try:
        image = inner["multiscales"][0]
        axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in image["axes"]]
        pairs = [_pair(one, image, len(axes)) for one in image["datasets"]]
        return Image(
            axes=tuple(str(axis["name"]) for axis in axes),
            units=tuple(str(axis.get("unit", "")) for axis in axes),
            paths=tuple(str(one["path"]) for one in image["datasets"]),
            scales=tuple(scale for scale, _ in pairs),
            translations=tuple(translation for _, translation in pairs),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        text = f"{printable(path)}: the OME-Zarr metadata are damaged ({type(error).__name__}: {printable(error)})"
        raise MrcValueError(text) from error


def _pair(
    dataset: Mapping[str, Any], image: Mapping[str, Any], ndim: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return scale and translation of a level; transformations of all levels apply after its own."""
    scale, translation = np.ones(ndim), np.zeros(ndim)
    for one in (*dataset["coordinateTransformations"], *image.get("coordinateTransformations", ())):
        if one["type"] == "scale":
            by = np.array(one["scale"], dtype=np.float64).reshape(ndim)
            scale, translation = scale * by, translation * by
        elif one["type"] == "translation":
            translation = translation + np.array(one["translation"], dtype=np.float64).reshape(ndim)
    return tuple(map(float, scale)), tuple(map(float, translation))
