"""Where programs put the first voxel, as functions of the header words, made with `struct` alone.

========  ==============================================  ==========================================================
rule      first voxel                                     who
========  ==============================================  ==========================================================
nstart    words 5-7 along the edges of the cell           gemmi, CCP4, clipper/Coot, cctbx/Phenix, PyMOL for .ccp4
either    words 50-52, Cartesian, unless all 0, else 5-7  ChimeraX, Mol*, PyMOL for .mrc, mrcarray
origin    words 50-52                                     ITK/SimpleITK, RosettaSciIO, ProDy
sum       words 50-52 plus words 5-7                      GridDataFormats/MDAnalysis, VTK
========  ==============================================  ==========================================================

ChimeraX's rule is that of ``src/bundles/map_data/src/mrc/mrc_format.py`` of its repository (RBVI/ChimeraX, commit
31ebcdf): a file opened as CCP4 (suffix .ccp4 or .map) is placed by words 5-7 alone; any other by words 50-52, which are
Cartesian, unless they are all 0 or not finite; starts beyond ten times the size of the grid count as 0.
VTK gives its image an extent that begins at words 5-7 and an origin from words 50-52, so its voxels are at the sum.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tests.builders import FIELDS, ITEMS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

Rule = Literal["nstart", "either", "origin", "sum"]
Words = dict[str, Any]

FOLLOWS: dict[str, frozenset[Rule]] = {
    "neither": frozenset({"nstart", "either", "sum"}),
    "nstart": frozenset({"nstart", "either", "sum"}),
    "origin": frozenset({"either", "origin", "sum"}),
    "both": frozenset({"nstart", "either", "origin"}),
}
"""By the words that placed a file: the rules by which a part cut from it at whole voxels is where it was."""

OFF_GRID: frozenset[Rule] = frozenset({"either", "origin"})
"""The rules by which voxels that are not a whole number of voxels from 0 are where they were; words 5-7 are rounded."""


def words_of(path: Path) -> Words:
    """Return the header words of a file, its byte order and its name."""
    raw = path.read_bytes()[:1024]
    order = "<" if raw[212] == 0x44 else ">"
    out: Words = {"byteorder": order, "name": path.name}
    for name, offset, code in FIELDS:
        items = struct.unpack_from(order + code, raw, offset)
        out[name] = items if len(items) > 1 else items[0]
    out["n"] = (out["nx"], out["ny"], out["nz"])
    return out


@dataclass(frozen=True)
class Voxels:
    """Voxels in space.

    Parameters
    ----------
    values : ndarray, shape (z, y, x)
        Their values.
    first : ndarray, shape (3,)
        Cartesian position (x, y, z) of the first one in ångström.
    edges : ndarray, shape (3, 3)
        Cartesian vectors, one a row, from one voxel to the next along x, y and z.
    """

    values: NDArray[Any]
    first: NDArray[np.float64]
    edges: NDArray[np.float64]

    def positions(self) -> NDArray[np.float64]:
        """Return the position of every voxel, in the order of the values."""
        z, y, x = np.indices(self.values.shape).reshape(3, -1)
        return np.asarray(self.first + np.stack([x, y, z], axis=1) @ self.edges)

    def values_at(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the values of the voxels at some positions, NaN where there is none within a fiftieth of a voxel."""
        counts = (positions - self.first) @ np.linalg.inv(self.edges)
        at = np.rint(counts).astype(int)
        size = np.array(self.values.shape[::-1])
        there = ((np.abs(counts - at) < 0.02) & (at >= 0) & (at < size)).all(axis=1)  # as said
        x, y, z = np.where(there[:, None], at, 0).T
        found = np.full(len(at), np.nan)
        found[there] = self.values[z, y, x][there]
        return found

    def cut(self, *ranges: slice) -> Voxels:
        """Return the voxels in slices along x, y and z, with positive steps."""
        bounds = [one.indices(n) for one, n in zip(ranges, self.values.shape[::-1], strict=True)]
        first = self.first + np.array([start for start, _, _ in bounds]) @ self.edges
        steps = np.array([step for _, _, step in bounds])
        return Voxels(self.values[tuple(ranges[::-1])], first, self.edges * steps[:, None])


def edges_of(words: Words) -> NDArray[np.float64]:
    """Return the vectors from voxel to voxel: a along x, b in the plane of x and y (the convention of the PDB)."""
    a, b, c = (length / m for length, m in zip(words["cella"], words["m"], strict=True))
    alpha, beta, gamma = (math.radians(angle) for angle in words["cellb"])
    along = (math.cos(alpha) - math.cos(beta) * math.cos(gamma)) / math.sin(gamma)
    up = math.sqrt(1 - math.cos(beta) ** 2 - along**2)
    edges = [[a, 0, 0], [b * math.cos(gamma), b * math.sin(gamma), 0], [c * math.cos(beta), c * along, c * up]]
    return np.array(edges, dtype=np.float64).round(12)


def _by_nstart(words: Words) -> NDArray[np.float64]:
    xyz = [words["nstart"][words["mapcrs"].index(axis)] for axis in (1, 2, 3)]
    return np.asarray(np.array(xyz, dtype=np.float64) @ edges_of(words), dtype=np.float64)


def _by_origin(words: Words) -> NDArray[np.float64]:
    return np.array(words["origin"], dtype=np.float64)


def _by_either(words: Words) -> NDArray[np.float64]:
    origin = words["origin"]
    ccp4 = words["name"].endswith((".ccp4", ".map"))
    if not ccp4 and words["map"] == b"MAP " and any(origin) and all(map(math.isfinite, origin)):
        return _by_origin(words)
    limit = 10 * max(*words["m"], *words["n"])
    return np.zeros(3) if max(map(abs, words["nstart"])) > limit else _by_nstart(words)


def _by_sum(words: Words) -> NDArray[np.float64]:
    return _by_origin(words) + _by_nstart(words)


FIRST: dict[Rule, Callable[[Words], NDArray[np.float64]]] = {
    "nstart": _by_nstart,
    "either": _by_either,
    "origin": _by_origin,
    "sum": _by_sum,
}
"""The position of the first voxel by each rule."""


def voxels_of(path: Path, rule: Rule) -> Voxels:
    """Return the voxels of a file as a program with a rule sees them."""
    words = words_of(path)
    item = np.dtype(ITEMS[words["mode"]]).newbyteorder(words["byteorder"])
    data = np.frombuffer(path.read_bytes()[1024 + words["nsymbt"] :], item)
    return Voxels(in_zyx(data.reshape(words["n"][::-1]), words["mapcrs"]), FIRST[rule](words), edges_of(words))


def in_zyx(values: NDArray[Any], mapcrs: tuple[int, int, int]) -> NDArray[Any]:
    """Return values (section, row, column) in the order z, y, x."""
    file_order = list(mapcrs[::-1])
    return values.transpose([file_order.index(axis) for axis in (3, 2, 1)])
