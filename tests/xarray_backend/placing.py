"""Where other programs place the voxels of a file: ChimeraX's rule as a function, gemmi by gemmi itself.

The pixels are a linear function of the Cartesian position, so a voxel tells where it belongs, even after averaging.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import gemmi
import numpy as np

from tests import builders

SLOPES = np.array([1.0, 10.0, 100.0])


def value_at(positions: Any) -> Any:
    """Return the pixel value that belongs to Cartesian positions (..., 3)."""
    return np.asarray(positions) @ SLOPES


def edges(angles: tuple[float, ...]) -> Any:
    """Return the matrix from positions along the edges of a cell to Cartesian ones, written by the CCP4 convention."""
    cos_a, cos_b, cos_g = (math.cos(math.radians(angle)) for angle in angles)
    sin_g = math.sin(math.radians(angles[2]))
    along_y = (cos_a - cos_b * cos_g) / sin_g
    height = math.sqrt(1 - cos_b**2 - along_y**2)
    return np.array([[1, cos_g, cos_b], [0, sin_g, along_y], [0, 0, height]])


def map_bytes(
    n: tuple[int, int, int] = (8, 10, 12),
    steps: tuple[float, float, float] = (1.5, 2.0, 2.5),
    *,
    by: str = "nstart",
    **fields: Any,
) -> bytes:
    """Return a file of n voxels along x, y, z whose values say where the rule `by` places them.

    Parameters
    ----------
    n, steps : tuple
        Along x, y, z.
    by : {"nstart", "origin"}
        Whether words 5-7 or 50-52 place the voxels truly.
    **fields
        Of the header.
    """
    mapcrs = fields.setdefault("mapcrs", (1, 2, 3))
    angles = fields.setdefault("cellb", (90.0, 90.0, 90.0))
    m = fields.setdefault("m", n)
    fields.setdefault("cella", tuple(step * count for step, count in zip(steps, m, strict=True)))
    fields.setdefault("ispg", 1)
    order = [axis - 1 for axis in reversed(mapcrs)]  # slowest first
    grid = np.stack(np.meshgrid(*(np.arange(count) for count in n), indexing="ij"), axis=-1).astype(float)
    if by == "nstart":
        start = dict(zip(mapcrs, fields.get("nstart", (0, 0, 0)), strict=True))
        grid += np.array([start[1], start[2], start[3]])
    positions = grid * np.array(steps) @ edges(angles).T
    if by == "origin":
        positions += np.array(fields["origin"])
    values = value_at(positions).transpose(order).astype("f4")
    return builders.mrc_bytes(values, 2, **fields)


def words(path: Path | str) -> dict[str, Any]:
    """Return header fields of a little-endian file, read by `struct`."""
    raw = Path(path).read_bytes()
    found = {name: struct.unpack_from("<" + code, raw, at) for name, at, code in builders.FIELDS}
    return {name: value if len(value) > 1 else value[0] for name, value in found.items()}


def pixels(path: Path | str) -> Any:
    """Return the pixels of a float32 file by sections, rows and columns."""
    head, raw = words(path), Path(path).read_bytes()
    return np.frombuffer(raw, "<f4", offset=1024 + head["nsymbt"]).reshape(head["nz"], head["ny"], head["nx"])


def by_chimerax(path: Path | str) -> float:
    """Return by how much pixels differ from what belongs where ChimeraX places them, at most.

    The rule of ChimeraX's `map_data/mrc/mrc_format.py`: a step is cella / m; words 50-52 are the Cartesian position of
    the first voxel unless all are 0; else words 5-7 count the steps along the cell, unless one is beyond ten times the
    longest axis.
    """
    head = words(path)
    mapcrs, n_crs = head["mapcrs"], (head["nx"], head["ny"], head["nz"])
    step = np.array([length / count for length, count in zip(head["cella"], head["m"], strict=True)])
    matrix = edges(head["cellb"])
    sections, rows, columns = np.indices(n_crs[::-1])
    along: list[Any] = [None, None, None]
    starts = [0, 0, 0]
    for axis, index, start in zip(mapcrs, (columns, rows, sections), head["nstart"], strict=True):
        along[axis - 1], starts[axis - 1] = index, start
    if any(head["origin"]):
        first = np.array(head["origin"])
    elif max(map(abs, starts)) > 10 * max(*head["m"], *n_crs):
        first = np.zeros(3)
    else:
        first = matrix @ (np.array(starts) * step)
    positions = first + (np.stack(along, axis=-1) * step) @ matrix.T
    return float(np.abs(value_at(positions) - pixels(path)).max())


def by_gemmi(path: Path | str) -> float:
    """Return by how much gemmi's values differ from what belongs at their positions, at most: at points in the map."""
    found = gemmi.read_ccp4_map(str(path))
    head = words(path)
    start = dict(zip(head["mapcrs"], head["nstart"], strict=True))
    count = dict(zip(head["mapcrs"], (head["nx"], head["ny"], head["nz"]), strict=True))
    found.setup(float("nan"))
    worst = 0.0
    for at in (0.0, 0.3, 0.5, 1.0):
        point = [(start[axis] + at * (count[axis] - 1)) / head["m"][axis - 1] for axis in (1, 2, 3)]
        position = found.grid.unit_cell.orthogonalize(gemmi.Fractional(*point))
        value = found.grid.interpolate_value(position)
        worst = max(worst, abs(value - float(value_at(position.tolist()))))
    return worst
