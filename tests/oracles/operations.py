"""What is done to an array before it is written, and the same done to voxels with NumPy alone."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from mrcarray.conversion import convert
from mrcarray.errors import MrcWarning
from tests.oracles.placement import Voxels

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.oracles.files import Case
    from tests.oracles.programs import Ability

ALL = slice(None)


@dataclass(frozen=True)
class Operation:
    """An operation.

    Parameters
    ----------
    run : callable
        Source file and target file: open, operate, write.
    expect : callable
        What becomes of the voxels.
    resampled : bool
        Whether voxels have another size afterwards, so that the first one may be off the old grid.
    fits : callable
        Whether it can be done to such a file.
    asks : frozenset of Ability
        What a program must be able to do to read what is written.
    placement : str
        The words that place what is written, where the caller asks for them.
    """

    run: Callable[[Path, Path], Any]
    expect: Callable[[Voxels], Voxels] = lambda voxels: voxels
    resampled: bool = False
    fits: Callable[[Case], bool] = lambda _: True
    asks: frozenset[Ability] = frozenset()
    placement: str = ""


def opened(path: Path) -> xr.DataArray:
    """Open a file."""
    return xr.open_dataarray(path, engine="mrc")


def along(array: xr.DataArray, axis: str) -> str:
    """Return the name of the dim that runs along an axis; the sections of a stack run along z."""
    return axis if axis in array.dims else str(array.dims[0])


def _through(change: Callable[[xr.DataArray], xr.DataArray]) -> Callable[[Path, Path], Any]:
    """Return a function that opens a file, changes the array, and writes it."""

    def run(source: Path, target: Path) -> None:
        change(opened(source)).mrc.to_mrc(target)

    return run


def _cut(x: slice = ALL, y: slice = ALL, z: slice = ALL) -> Callable[[xr.DataArray], xr.DataArray]:
    return lambda a: a.isel({along(a, name): one for name, one in (("x", x), ("y", y), ("z", z))})


def _sel(array: xr.DataArray) -> xr.DataArray:
    dim = along(array, "z")
    x, z = array.x.values, array[dim].values
    return array.sel({"x": slice(x[1], x[4]), dim: slice(z[2], z[6])})


def _coarsen(array: xr.DataArray) -> xr.DataArray:
    texts = [name for name, coord in array.coords.items() if coord.dtype.kind == "U"]
    blocks: Any = array.drop_vars(texts).coarsen({along(array, axis): 2 for axis in "xyz"})
    mean: xr.DataArray = blocks.mean()
    return mean.astype(np.float32)


def _binned(voxels: Voxels) -> Voxels:
    z, y, x = voxels.values.shape
    blocks = voxels.values.astype(np.float64).reshape(z // 2, 2, y // 2, 2, x // 2, 2)
    first = voxels.first + voxels.edges.sum(axis=0) / 2
    return Voxels(blocks.mean(axis=(1, 3, 5)).astype(np.float32), first, 2 * voxels.edges)


def _backwards(array: xr.DataArray) -> xr.DataArray:
    """Turn every axis that is measured: the sections of a stack have the order they are written in."""
    return array.isel({dim: slice(None, None, -1) for dim in "xyz" if dim in array.dims})


def _padded(voxels: Voxels) -> Voxels:
    values = np.pad(voxels.values, ((0, 0), (2, 1), (1, 0)), constant_values=7)
    return Voxels(values, voxels.first - np.array([1, 2, 0]) @ voxels.edges, voxels.edges)


def _halves(array: xr.DataArray) -> xr.DataArray:
    dim = along(array, "z")
    return xr.concat([array.isel({dim: slice(0, 4)}), array.isel({dim: slice(4, None)})], dim)


def _in_nm(array: xr.DataArray) -> xr.DataArray:
    dims = [dim for dim in "xyz" if dim in array.dims]
    return array.assign_coords({dim: (dim, array[dim].values / 10, {"units": "nm"}) for dim in dims})


def _mirrored(voxels: Voxels) -> Voxels:
    return replace(voxels, values=voxels.values[:, ::-1])


def _of_size(*step: float) -> Callable[[Voxels], Voxels]:
    return lambda voxels: replace(voxels, edges=np.diag(step))


def _placed(placement: str) -> Callable[[Path, Path], Any]:
    return lambda source, target: opened(source).mrc.to_mrc(target, placement=placement)


def _netcdf(source: Path, target: Path) -> None:
    opened(source).to_netcdf(target.with_suffix(".nc"), engine="h5netcdf")
    with xr.open_dataarray(target.with_suffix(".nc"), engine="h5netcdf") as again:
        again.mrc.to_mrc(target)


def _zarr(source: Path, target: Path) -> None:
    opened(source).to_zarr(target.with_suffix(".zarr"), zarr_format=2)
    with xr.open_dataarray(target.with_suffix(".zarr"), engine="zarr") as again:
        again.mrc.to_mrc(target)


def _converted(**options: Any) -> Callable[[Path, Path], Any]:
    return lambda source, target: convert(source, target, **options)


def _there_and_back(suffix: str) -> Callable[[Path, Path], Any]:
    def run(source: Path, target: Path) -> None:
        convert(source, target.with_suffix(suffix))
        convert(target.with_suffix(suffix), target)

    return run


FROM_0 = (slice(0, 4), slice(0, 6), slice(0, 5))
MIDDLE = (slice(1, 5), slice(2, 7), slice(3, 9))
OFF_GRID: frozenset[Ability] = frozenset({"off grid"})
SECOND = (slice(None, None, 2),) * 3

OPERATIONS: dict[str, Operation] = {
    "untouched": Operation(_through(lambda a: a)),
    "arithmetic": Operation(_through(lambda a: a * 2 + 1), lambda v: replace(v, values=2 * v.values + 1)),
    "sel": Operation(_through(_sel), lambda v: v.cut(slice(1, 5), ALL, slice(2, 7))),
    "isel from 0": Operation(_through(_cut(*FROM_0)), lambda v: v.cut(*FROM_0)),
    "isel from the middle": Operation(_through(_cut(*MIDDLE)), lambda v: v.cut(*MIDDLE)),
    "one section": Operation(
        _through(_cut(z=slice(3, 4))), lambda v: v.cut(ALL, ALL, slice(3, 4)), asks=frozenset({"one section"})
    ),
    "step -1": Operation(_through(_backwards)),
    "step 2": Operation(_through(_cut(*SECOND)), lambda v: v.cut(*SECOND), resampled=True),
    "coarsen": Operation(_through(_coarsen), _binned, resampled=True, asks=OFF_GRID),
    "transpose": Operation(
        _through(lambda a: a.transpose("section", "x", "y") if "section" in a.dims else a.transpose("y", "z", "x")),
        asks=frozenset({"permuted axes"}),
    ),
    "rename": Operation(_through(lambda a: a.rename("density"))),
    "pad": Operation(_through(lambda a: a.pad(x=(1, 0), y=(2, 1), constant_values=7)), _padded),
    "concat": Operation(_through(_halves)),
    "nm": Operation(_through(_in_nm)),
    "netCDF": Operation(_netcdf, fits=lambda case: case.mode != 12),  # netCDF has no half floats
    "Zarr": Operation(_zarr),
    "flip": Operation(_through(lambda a: a.mrc.flip("y")), _mirrored),
    "to_mrc placement=nstart": Operation(_placed("nstart"), placement="nstart"),
    "to_mrc placement=origin": Operation(_placed("origin"), placement="origin"),
    "to_mrc placement=both": Operation(_placed("both"), placement="both"),
    "convert": Operation(_converted()),
    "convert to TIFF and back": Operation(_there_and_back(".tif")),
    "convert to netCDF and back": Operation(_there_and_back(".nc"), fits=lambda case: case.mode != 12),
    "convert to Zarr and back": Operation(_there_and_back(".zarr")),
    "convert --sel": Operation(_converted(sel={"y": slice(None, 1e6)})),
    "convert --isel": Operation(
        _converted(isel={"x": slice(1, 5), "y": slice(2, 7)}), lambda v: v.cut(slice(1, 5), slice(2, 7), ALL)
    ),
    "convert --bin": Operation(
        _converted(bin=2, dtype="float32"), _binned, True, lambda case: not case.is_stack, OFF_GRID
    ),
    "convert --flip": Operation(_converted(flip=("y",)), _mirrored),
    "convert --placement": Operation(_converted(placement="both"), placement="both"),
    "convert --kind volume": Operation(_converted(kind="volume"), fits=lambda case: case.kind == "unmarked"),
    "convert --kind image_stack": Operation(
        _converted(kind="image_stack"),
        fits=lambda case: case.kind == "unmarked" and case.order[2] == 3,
        asks=frozenset({"mz = 1"}),
    ),
    "convert --voxel-size": Operation(
        _converted(voxel_size=(2.0, 2.5, 3.5)),
        _of_size(2.0, 2.5, 3.5),
        fits=lambda case: case.placed == "neither" and case.cell != "skewed" and case.kind != "crystal",
    ),
    "convert --dtype": Operation(_converted(dtype="float32")),
    "convert --mode": Operation(_converted(mode=1)),
    "convert --byteorder little": Operation(_converted(byteorder="<")),
    "convert --byteorder big": Operation(_converted(byteorder=">"), asks=frozenset({"big-endian"})),
}


def perform(operation: Operation, source: Path, target: Path) -> None:
    """Do it; what is said of rounding, flips and records is tested where it is said."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MrcWarning)
        warnings.filterwarnings(
            "ignore", "Consolidated metadata|The data type .* does not have a Zarr V3"
        )  # zarr's own
        operation.run(source, target)
