"""Convert positions between the edges of a unit cell and Cartesian axes.

The convention is that of the PDB and CCP4: x is parallel to edge a, y is in the plane of a and b.
"""

from __future__ import annotations

import math

__all__ = ["is_skewed", "to_cartesian", "to_edges"]

Triple = tuple[float, float, float]

_RIGHT = 90.0
_FLAT = 1e-6
"""Height of a cell with edges of length 1 below which its angles are impossible."""


def is_skewed(angles: Triple) -> bool:
    """Return whether an angle of the cell is not 90 degrees.

    Examples
    --------
    >>> is_skewed((90.0, 90.0, 90.0)), is_skewed((90.0, 94.5, 90.0))
    (False, True)
    """
    return angles != (_RIGHT,) * 3


def to_cartesian(position: Triple, angles: Triple) -> Triple:
    """Return the Cartesian position of a point given along the edges of the cell.

    Parameters
    ----------
    position : tuple of float
        Along the edges a, b, c, in any unit of length.
    angles : tuple of float
        Alpha, beta, gamma in degrees (MRC2014 words 14-16). Impossible angles count as 90.

    Examples
    --------
    >>> [round(x, 6) for x in to_cartesian((1.0, 2.0, 0.0), (90.0, 90.0, 60.0))]
    [2.0, 1.732051, 0.0]
    """
    edges = _edges(angles)
    if edges is None:
        return position
    (bx, by), (cx, cy, cz) = edges
    a, b, c = position
    return a + b * bx + c * cx, b * by + c * cy, c * cz


def to_edges(position: Triple, angles: Triple) -> Triple:
    """Return the position along the cell edges of a Cartesian point; the inverse of `to_cartesian`.

    Examples
    --------
    >>> [round(x, 6) for x in to_edges((2.0, 3**0.5, 0.0), (90.0, 90.0, 60.0))]
    [1.0, 2.0, 0.0]
    """
    edges = _edges(angles)
    if edges is None:
        return position
    (bx, by), (cx, cy, cz) = edges
    x, y, z = position
    c = z / cz
    b = (y - c * cy) / by
    return x - b * bx - c * cx, b, c


def _edges(angles: Triple) -> tuple[tuple[float, float], Triple] | None:
    """Return the directions of b and c; None for right and for impossible angles."""
    if not is_skewed(angles):
        return None
    cos_a, cos_b, cos_g = (0.0 if angle == _RIGHT else math.cos(math.radians(angle)) for angle in angles)
    sin_g = math.sqrt(1 - cos_g**2)
    if sin_g < _FLAT:
        return None
    along_y = (cos_a - cos_b * cos_g) / sin_g
    height = 1 - cos_b**2 - along_y**2
    if height < _FLAT**2:
        return None
    return (cos_g, sin_g), (cos_b, along_y, math.sqrt(height))
