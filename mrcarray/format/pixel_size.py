"""Use the pixel size of the extended header where the cell has the default of 1 Å per voxel.

Programs that do not know the pixel size write cell lengths equal to the numbers of intervals. If all records of the
extended header have one pixel size, it is used instead (IMOD does so on request, and then sets its flag 2).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from mrcarray.errors import Hint
from mrcarray.format.issues import Issue, Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrcarray.format.extended import Decoded
    from mrcarray.format.geometry import Geometry, Triple
    from mrcarray.format.header import Header

__all__ = ["with_stated_size"]

_SAME = 0.02  # the tolerance of the quantity pixel_size
_SMALLEST, _LARGEST = 0.01, 1e5  # pixel sizes in ångström outside these are not plausible
_XYZ = "xyz"


def with_stated_size(geometry: Geometry, header: Header, decode: Callable[[], Decoded]) -> Geometry:
    """Return the geometry with the pixel size of the extended header, if the cell gives 1 Å on all axes.

    Parameters
    ----------
    geometry : Geometry
        The geometry of the header.
    header : Header
        The main header.
    decode : callable
        Returns the decoded extended header; called only if the cell has the default size.

    Returns
    -------
    Geometry
        `geometry`, or one with another voxel size and a warning (MRC414).
    """
    if not _has_default_size(geometry, header):
        return geometry
    size = _size_of_records(decode())
    if size is None or abs(size - 1) <= _SAME:
        return geometry
    text = f"words 8-13 (m, cella) give 1 angstrom per voxel, but the extended header a pixel size of {size:g} angstrom"
    hint = Hint(
        f"write it with mrcarray.repair.fix(path, voxel_size={size:g})",
        f"write it with mrcarray fix --voxel-size {size:g} FILE",
    )
    warning = Issue("MRC414", Severity.WARNING, f"{text}, which is used", 11, "1", f"{size:g}", hint)
    kept = (issue for issue in geometry.issues if not (issue.code == "MRC111" and issue.found == "1"))
    x, y, z = (size if name in geometry.axes else old for name, old in zip(_XYZ, geometry.voxel_size, strict=True))
    sized = replace(geometry, voxel_size=(x, y, z), issues=(*kept, warning))
    return replace(sized, start=_start(sized))


def _has_default_size(geometry: Geometry, header: Header) -> bool:
    """Return whether the cell lengths equal the numbers of intervals, and IMOD's flag does not explain it."""
    if header.nsymbt <= 0 or header.imod.spacing_from_extended:
        return False
    axes = [_XYZ.index(name) for name in geometry.axes]
    return all(geometry.n[axis] > 0 and geometry.cella[axis] == geometry.n[axis] for axis in axes)


def _size_of_records(found: Decoded) -> float | None:
    """Return the pixel size in ångström if all records have the same, else None."""
    if found.records is None or not len(found.records):
        return None
    column = found.records.columns().get("pixel_size")
    sizes = [] if column is None else [size for size in column.values.tolist() if math.isfinite(size)]
    if not sizes or not all(_SMALLEST < size < _LARGEST for size in sizes):
        return None
    if max(sizes) - min(sizes) > _SAME * min(sizes):
        return None
    return float(f"{sizes[0]:.6g}")


def _start(geometry: Geometry) -> Triple:
    """Return the start with the new voxel size: if words 5-7 gave it, it is a number of voxels."""
    if geometry.source != "nstart":
        return geometry.start
    x, y, z = (n * size if n else 0.0 for n, size in zip(geometry.nstart, geometry.voxel_size, strict=True))
    return x, y, z
