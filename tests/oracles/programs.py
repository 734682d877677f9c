"""One adapter a program: the voxels it reads of a file, where it puts them, and what it cannot read."""

from __future__ import annotations

import importlib
import logging
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest

from tests.oracles.placement import Rule, Voxels, Words, in_zyx, voxels_of, words_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

Ability = Literal["permuted axes", "big-endian", "one section", "mz = 1", "off grid"]
"""Words 17-19 that permute the axes, big-endian bytes, a lone section, a cell of one section, a voxel off the grid."""

STRAIGHT: frozenset[Ability] = frozenset({"permuted axes"})
INTEGERS_AND_SINGLES = frozenset({0, 1, 2, 6})


@dataclass(frozen=True)
class Program:
    """A program that reads MRC files.

    Parameters
    ----------
    module : str
        What is imported of it; empty where a rule written with `struct` stands for it.
    rule : Rule or None
        By which words it places the first voxel; None for one that does not place voxels.
    values_at : callable
        Path and positions (x, y, z) in ångström to values, NaN where the program has no voxel.
    reads : callable
        Words of a file to whether the program reads it at all.
    lacks : frozenset of Ability
        What it cannot do with files that others read.
    """

    module: str
    rule: Rule | None
    values_at: Callable[[Path, NDArray[np.float64]], NDArray[np.float64]]
    reads: Callable[[Words], bool]
    lacks: frozenset[Ability] = frozenset()

    def needed(self) -> None:
        """Skip the test where the program is not installed."""
        if self.module:
            pytest.importorskip(self.module, reason=f"{self.module} is not installed; the extra `oracles` brings it")


def _straight(words: Words) -> bool:
    """Whether columns, rows and sections are x, y and z, of a cell with right angles."""
    return bool(words["mapcrs"] == (1, 2, 3)) and _orthogonal(words)


def _orthogonal(words: Words) -> bool:
    return bool(words["cellb"] == (90.0, 90.0, 90.0))


# --- ChimeraX


def _chimerax(path: Path, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    return voxels_of(path, "either").values_at(positions)


# --- gemmi: the grid is the whole cell, and goes on beyond it


def _gemmi(path: Path, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    gemmi = importlib.import_module("gemmi")
    grid = gemmi.read_ccp4_map(str(path))
    grid.setup(float("nan"))
    grid = grid.grid
    to_fraction = np.array(grid.unit_cell.frac.mat.tolist())
    found = positions @ to_fraction.T * (grid.nu, grid.nv, grid.nw)
    at = np.rint(found).astype(int)
    u, v, w = (at % (grid.nu, grid.nv, grid.nw)).T
    near = (np.abs(found - at) < 0.02).all(axis=1)  # a fiftieth of a voxel, as for the others
    return np.where(near, np.array(grid)[u, v, w], np.nan)


def _gemmi_reads(words: Words) -> bool:
    whole = all(words["m"][axis - 1] >= n for axis, n in zip(words["mapcrs"], words["n"], strict=True))
    if words["byteorder"] == ">":  # of other modes gemmi 0.7.5 swaps the floats that it made of the numbers
        return whole and bool(words["mode"] == 2)  # the mode of float32
    return whole and words["mode"] in INTEGERS_AND_SINGLES | {12}


# --- mrcfile: values and voxel size, no position


def _mrcfile(path: Path, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    mrcfile = importlib.import_module("mrcfile")
    with mrcfile.open(path) as mrc:
        data = np.array(mrc.data)
        size = [float(mrc.voxel_size[name]) for name in "xyz"]
    values = in_zyx(data.reshape((-1, *data.shape[-2:])), words_of(path)["mapcrs"])
    return Voxels(values, positions[0], np.diag(size)).values_at(positions)


# --- SimpleITK


def _simpleitk(path: Path, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    sitk = importlib.import_module("SimpleITK")
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    image = sitk.ReadImage(str(path))
    edges = np.array(image.GetDirection()).reshape(3, 3).T * np.array(image.GetSpacing())[:, None]
    values = sitk.GetArrayFromImage(image)
    return Voxels(values, np.array(image.GetOrigin()), edges).values_at(positions)


def _simpleitk_reads(words: Words) -> bool:
    starts = all(start < n for start, n in zip(words["nstart"], words["n"], strict=True))  # else it refuses the file
    return _straight(words) and starts and words["mode"] in INTEGERS_AND_SINGLES


# --- VTK


def _vtk(path: Path, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    vtk = importlib.import_module("vtkmodules.vtkIOImage")
    support = importlib.import_module("vtkmodules.util.numpy_support")
    reader = vtk.vtkMRCReader()
    reader.SetFileName(str(path))
    reader.Update()
    image = reader.GetOutput()
    values = support.vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    first = np.array(image.GetPoint(0))  # origin + spacing * first index, and the extent begins at words 5-7
    return Voxels(values.copy(), first, np.diag(image.GetSpacing())).values_at(positions)


def _vtk_reads(words: Words) -> bool:
    return _straight(words) and words["byteorder"] == "<" and words["mode"] in INTEGERS_AND_SINGLES


# --- GridDataFormats


def _griddata(path: Path, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    mrc = importlib.import_module("gridData.mrc")
    grid = mrc.MRC(str(path), assume_volumetric=True)
    return Voxels(grid.array.transpose(), np.array(grid.origin), np.array(grid.delta)).values_at(positions)


def _griddata_reads(words: Words) -> bool:
    return _orthogonal(words) and words["nz"] > 1


# --- RosettaSciIO: in nm; it swaps the bytes of the header, and not those of the pixels


def _rosettasciio(path: Path, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    mrc = importlib.import_module("rsciio.mrc")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves the file to the garbage collector
        (signal,) = mrc.file_reader(str(path))
    axes = {axis["name"]: axis for axis in signal["axes"]}
    first, step = (np.array([10 * axes[name][key] for name in "xyz"]) for key in ("offset", "scale"))
    return Voxels(np.asarray(signal["data"]), first, np.diag(step)).values_at(positions)


def _rosettasciio_reads(words: Words) -> bool:
    return _straight(words) and words["byteorder"] == "<" and 1 not in words["n"]


# --- mrcz: values and voxel size, the cell divided by n


def _mrcz(path: Path, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    mrcz = importlib.import_module("mrcz")
    logging.getLogger("mrcz").setLevel(logging.ERROR)
    words = words_of(path)
    values, header = mrcz.readMRC(str(path), slices=0, pixelunits="\\AA")
    step = np.array(header["pixelsize"][::-1], dtype=np.float64)
    return Voxels(values.reshape(words["n"][::-1]), positions[0], np.diag(step)).values_at(positions)


def _mrcz_reads(words: Words) -> bool:
    return _straight(words) and words["m"] == words["n"] and words["mode"] in INTEGERS_AND_SINGLES


PROGRAMS: dict[str, Program] = {
    "ChimeraX": Program("", "either", _chimerax, lambda _: True),
    "gemmi": Program("gemmi", "nstart", _gemmi, _gemmi_reads, frozenset({"off grid", "mz = 1"})),
    "mrcfile": Program("mrcfile", None, _mrcfile, _orthogonal),
    "SimpleITK": Program("SimpleITK", "origin", _simpleitk, _simpleitk_reads, STRAIGHT),
    "VTK": Program("vtkmodules", "sum", _vtk, _vtk_reads, STRAIGHT | {"big-endian", "off grid"}),
    "GridDataFormats": Program("gridData", "sum", _griddata, _griddata_reads, frozenset({"off grid", "one section"})),
    "RosettaSciIO": Program(
        "rsciio", "origin", _rosettasciio, _rosettasciio_reads, STRAIGHT | {"big-endian", "one section"}
    ),
    "mrcz": Program("mrcz", None, _mrcz, _mrcz_reads, STRAIGHT | {"mz = 1"}),
}
"""The programs, with the rules of `placement.FIRST` by which each places voxels."""
