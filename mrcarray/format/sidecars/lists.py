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

MOST_LINES = 1_000_000
"""Lines that are read: more than any stack has sections."""

_LINE = re.compile(r"\S[^\r\n]*")

#: File extension -> the common name of its numbers. ``.rawtlt`` is from the microscope, ``.tlt`` is refined.
ANGLE_LISTS = {".rawtlt": "tilt_angle", ".tlt": "refined_tilt_angle", ".xtilt": "x_tilt_angle"}


def parse_angles(text: str, *, most_lines: int = MOST_LINES) -> NDArray[np.float64]:
    r"""Return the angles of a list, in degrees; blank lines are ignored.

    Parameters
    ----------
    text : str
        The list.
    most_lines : int
        Lines that are read at most.

    Raises
    ------
    MrcValueError
        When a line is not one finite number, or there are more lines.

    Examples
    --------
    >>> parse_angles("-60.00\r\n  -57.5\n\n0\n")
    array([-60. , -57.5,   0. ])
    """
    lines = (line[0] for line in islice(_LINE.finditer(text), most_lines + 1))
    try:
        angles = np.fromiter(map(float, lines), dtype=np.float64)
    except ValueError as error:
        raise MrcValueError(f"invalid list of angles: {error}; expected one number a line") from None
    if len(angles) > most_lines:
        raise MrcValueError(f"the list of angles has more than {most_lines} lines")
    if not np.isfinite(angles).all():
        raise MrcValueError("invalid list of angles: NaN or infinity; expected finite numbers")
    return angles


def format_angles(angles: NDArray[Any]) -> str:
    r"""Return angles as the text of a list, with two decimals as IMOD writes them, or more where needed.

    Raises
    ------
    MrcValueError
        When an angle is missing or infinite, which a list cannot store.

    Examples
    --------
    >>> format_angles(np.array([-60, 0.125]))
    ' -60.00\n  0.125\n'
    """
    angles = np.asarray(angles, dtype=np.float64).ravel()
    if not np.isfinite(angles).all():
        raise MrcValueError("an angle is missing or infinite, which a list of angles cannot store")
    return "".join(f"{_shortest(float(angle)):>7}\n" for angle in angles)


def _shortest(angle: float) -> str:
    """Return the fixed-point text of an angle with at least two decimals and at most six."""
    text = f"{angle:.6f}".rstrip("0")
    return text + "0" * (2 - len(text.partition(".")[2])) if len(text.partition(".")[2]) < 2 else text  # noqa: PLR2004
