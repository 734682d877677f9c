"""Read the tilt axis angle from titles: labels of a header, or the ``[T = ...]`` lines of an mdoc.

SerialEM writes ``Tilt axis angle = 85.5, binning = 1  spot = 6  camera = 0``; Tomography 5 writes
``TiltAxisAngle = 4.9  Binning = 1  SpotSize = 5``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["tilt_axis_angle"]

_TILT_AXIS = re.compile(r"\btilt ?axis ?angle\s*=\s*([-+]?\d+(?:[.,]\d+)?)", re.IGNORECASE)


def tilt_axis_angle(titles: Iterable[str]) -> float | None:
    """Return the tilt axis angle in degrees of the last title that has one; None if none has.

    Examples
    --------
    >>> tilt_axis_angle(["TiltAxisAngle = 4.9  Binning = 1  SpotSize = 5"])
    4.9
    >>> tilt_axis_angle(["   Tilt axis angle = -85,5, binning = 1  spot = 6  camera = 1"])
    -85.5
    """
    found = [match[1] for title in titles if (match := _TILT_AXIS.search(title))]
    return float(found[-1].replace(",", ".")) if found else None
