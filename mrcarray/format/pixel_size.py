"""The pixel size of a file whose cell states 1 Å a voxel while its extended header states another size.

Programs that do not know the pixel size write a cell equal to the number of intervals. If the records of the extended
header state a pixel size, that one counts (IMOD does the same on request, and sets flag 2 when it has done so).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from mrcarray.format.issues import Issue, Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrcarray.format.extended import Decoded
    from mrcarray.format.geometry import Geometry, Triple
    from mrcarray.format.header import Header

__all__ = ["with_stated_size"]

_SAME = 0.02  # as the tolerance of the quantity pixel_size
_SMALLEST, _LARGEST = 0.01, 1e5  # a record beyond these holds no pixel size in ångström
_XYZ = "xyz"


def with_stated_size(geometry: Geometry, header: Header, decode: Callable[[], Decoded]) -> Geometry:
    """Return the geometry with the pixel size of the extended header, where the cell states 1 Å on all axes.

    Parameters
    ----------
    geometry : Geometry
        The geometry of the header.
    header : Header
        The main header.
    decode : callable
        Returns the decoded extended header; it is called only where the cell leaves the size open.

    Returns
    -------
    Geometry
        The same one, or one with another voxel size, and a warning (MRC414).
    """
    if not _leaves_size_open(geometry, header):
        return geometry
    size = _stated(decode())
    if size is None or abs(size - 1) <= _SAME:
        return geometry
    text = (
        f"words 8-13 (m, cella) give 1 angstrom a voxel, but the extended header states a pixel size of {size:g}"
        f" angstrom, which counts; mrcarray fix --voxel-size {size:g} writes it into the header"
    )
    warning = Issue("MRC414", Severity.WARNING, text, 11, "1", f"{size:g}")
    kept = (issue for issue in geometry.issues if not (issue.code == "MRC111" and issue.found == "1"))
    x, y, z = (size if name in geometry.axes else old for name, old in zip(_XYZ, geometry.voxel_size, strict=True))
    sized = replace(geometry, voxel_size=(x, y, z), issues=(*kept, warning))
    return replace(sized, start=_start(sized))


def _leaves_size_open(geometry: Geometry, header: Header) -> bool:
    """Return whether the cell is as long as its number of intervals on all axes, and nothing explains it."""
    if header.nsymbt <= 0 or header.imod.spacing_from_extended:
        return False
    axes = [_XYZ.index(name) for name in geometry.axes]
    return all(geometry.n[axis] > 0 and geometry.cella[axis] == geometry.n[axis] for axis in axes)


def _stated(found: Decoded) -> float | None:
    """Return the pixel size in ångström that all records state alike, None when there is none."""
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
    """Return the position of the first voxel, which words 5-7 count in voxels."""
    if geometry.source != "nstart":
        return geometry.start
    x, y, z = (n * size if n else 0.0 for n, size in zip(geometry.nstart, geometry.voxel_size, strict=True))
    return x, y, z
