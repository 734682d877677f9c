"""IMOD's lists of angles: one number a line, in the order of the sections of the stack."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import MrcValueError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ANGLE_LISTS", "format_angles", "parse_angles"]

LINES = 1_000_000
"""Lines that are read: more than there are sections in any stack."""

_LINE = re.compile(r"\S[^\r\n]*")

#: File extension -> the common name of its numbers. ``.rawtlt`` repeats what the microscope said, ``.tlt`` is refined.
ANGLE_LISTS = {".rawtlt": "tilt_angle", ".tlt": "refined_tilt_angle", ".xtilt": "x_tilt_angle"}


def parse_angles(text: str) -> NDArray[np.float64]:
    r"""Return the angles of a list, in degrees; blank lines do not count.

    Raises
    ------
    MrcValueError
        When a line does not hold one finite number, or there are more than `LINES`.

    Examples
    --------
    >>> parse_angles("-60.00\r\n  -57.5\n\n0\n")
    array([-60. , -57.5,   0. ])
    """
    lines = (line[0] for line in islice(_LINE.finditer(text), LINES + 1))
    try:
        angles = np.fromiter(map(float, lines), dtype=np.float64)
    except ValueError as error:
        raise MrcValueError(f"a list of angles holds one number a line: {error}") from None
    if len(angles) > LINES:
        raise MrcValueError(f"a list of angles has more than {LINES} lines")
    if not np.isfinite(angles).all():
        raise MrcValueError("a list of angles holds finite numbers only")
    return angles


def format_angles(angles: NDArray[Any]) -> str:
    r"""Return angles as the text of a list, two decimals as IMOD writes them, more where they are needed.

    Raises
    ------
    MrcValueError
        When an angle is missing or infinite: a list has no way to say so.

    Examples
    --------
    >>> format_angles(np.array([-60, 0.125]))
    ' -60.00\n  0.125\n'
    """
    angles = np.asarray(angles, dtype=np.float64).ravel()
    if not np.isfinite(angles).all():
        raise MrcValueError("a list of angles cannot say that an angle is missing")
    return "".join(f"{_shortest(float(angle)):>7}\n" for angle in angles)


def _shortest(angle: float) -> str:
    """Return the fixed-point text of an angle with at least two decimals and at most six."""
    text = f"{angle:.6f}".rstrip("0")
    return text + "0" * (2 - len(text.partition(".")[2])) if len(text.partition(".")[2]) < 2 else text  # noqa: PLR2004
