"""Units and their spellings, and the factors between them.

Used for the grid of an array (`mrcarray.xarray_backend.coordinates`) and for per-section coordinates, which are stored
in the units of `mrcarray.format.quantities`. To support another spelling, add it to its row.
"""

from __future__ import annotations

import math
import unicodedata
from typing import Any

from mrcarray.errors import MrcValueError, printable

__all__ = ["LENGTHS", "PIXELS", "conversion", "plain"]

PIXELS = frozenset({"pixel", "pixels", "px", "voxel", "voxels", "vx", "index", "dimensionless", "1"})
"""Spellings of numbers of voxels, whose size is then unknown."""

_LENGTHS = {
    1.0: ("angstrom", "angstroms", "ångström", "ångströms", "ångstrom", "angström", "å", "a", "ang"),
    0.01: ("pm", "picometer", "picometers", "picometre", "picometres"),
    10.0: ("nm", "nanometer", "nanometers", "nanometre", "nanometres"),
    1e4: ("μm", "um", "micrometer", "micrometers", "micrometre", "micrometres", "micron", "microns"),
    1e7: ("mm", "millimeter", "millimeters", "millimetre", "millimetres"),
    1e10: ("m", "meter", "meters", "metre", "metres"),
}
_DEGREES_PER_RADIAN = 180 / math.pi
#: One row a kind of quantity: factor to its first unit -> spellings, as `plain` returns them.
_KINDS: tuple[dict[float, tuple[str, ...]], ...] = (
    _LENGTHS,
    {
        1.0: ("degree", "degrees", "deg", "°"),
        _DEGREES_PER_RADIAN: ("radian", "radians", "rad"),
        1e-3 * _DEGREES_PER_RADIAN: ("mrad", "milliradian", "milliradians"),
    },
    {1.0: ("s", "sec", "second", "seconds"), 1e-3: ("ms", "millisecond", "milliseconds"), 60.0: ("min", "minute")},
    {1.0: ("kv", "kilovolt", "kilovolts"), 1e-3: ("v", "volt", "volts")},
    {1.0: ("ev", "electronvolt", "electron_volt"), 1e3: ("kev", "kiloelectronvolt", "kiloelectron_volt")},
    {
        1.0: ("1/angstrom2", "electron/angstrom2", "e/angstrom2", "e-/angstrom2", "e/a2", "e-/a2", "e/å2", "e-/å2"),
        1e-2: ("1/nm2", "1/nanometer2", "electron/nm2", "electron/nanometer2", "e/nm2", "e-/nm2"),
        1e-20: ("1/m2", "1/meter2", "electron/m2", "electron/meter2", "e/m2", "e-/m2"),
    },
    {
        1.0: (
            "1/pixel/s",
            "1/pixel/second",
            "electron/pixel/s",
            "electron/pixel/second",
            "e/pixel/s",
            "e-/pixel/s",
            "e/px/s",
            "e-/px/s",
        )
    },
    {1.0: tuple(PIXELS)},
)

LENGTHS: dict[str, float] = {name: factor for factor, names in _LENGTHS.items() for name in names}
"""Spelling of a unit of length -> its length in ångström."""

_FACTORS = [{name: factor for factor, names in kind.items() for name in names} for kind in _KINDS]


def plain(units: Any) -> str:
    """Return the normalised spelling of a unit, as in the tables.

    Examples
    --------
    >>> plain(" electron / Angstrom ** 2"), plain("e-/Å²")
    ('electron/angstrom2', 'e-/å2')
    """
    text = unicodedata.normalize("NFKC", str(units)).strip().lower()
    return text.replace(" ", "").replace("**", "").replace("^", "").replace("electrons", "electron")


def conversion(units: Any, to: str) -> float:
    """Return the factor that converts values in one unit to another.

    Parameters
    ----------
    units : str or unit object
        Unit of the values, as in attrs.
    to : str
        A unit of `mrcarray.format.quantities`.

    Raises
    ------
    MrcValueError
        When the units measure different quantities, or one is unknown.

    Examples
    --------
    >>> conversion("V", "kV"), conversion("nm", "micrometer")
    (0.001, 0.001)
    """
    given, wanted = plain(units), plain(to)
    if given == wanted:
        return 1.0
    for factors in _FACTORS:
        if given in factors and wanted in factors:
            return factors[given] / factors[wanted]
    raise MrcValueError(f"{printable(units)!r} cannot be converted to {to}")
