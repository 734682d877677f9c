"""Names and units of the columns of particle tables."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

__all__ = ["as_array", "long_name", "snake_case", "star_name", "units_of_star"]

_ANGSTROM = (
    "DefocusU DefocusV OriginXAngst OriginYAngst OriginZAngst ImagePixelSize MicrographPixelSize CtfMaxResolution "
    "MicrographOriginalPixelSize HelicalTrackLengthAngst TomoTiltSeriesPixelSize CenteredCoordinateXAngst "
    "CenteredCoordinateYAngst CenteredCoordinateZAngst TomoSubtomogramPixelSize"
)
_DEGREE = (
    "AngleRot AngleTilt AnglePsi AngleRotPrior AngleTiltPrior AnglePsiPrior DefocusAngle PhaseShift TomoSubtomogramRot "
    "TomoSubtomogramTilt TomoSubtomogramPsi"
)
_PIXEL = "CoordinateX CoordinateY CoordinateZ OriginX OriginY OriginZ ImageSize"
_UNITS = {
    **dict.fromkeys(_ANGSTROM.split(), "angstrom"),
    **dict.fromkeys(_DEGREE.split(), "degree"),
    **dict.fromkeys(_PIXEL.split(), "pixel"),
    "MicrographPreExposure": "1/angstrom^2",
    "MicrographDoseRate": "1/angstrom^2",
    "Voltage": "kV",
    "SphericalAberration": "mm",
    "BeamTiltX": "mrad",
    "BeamTiltY": "mrad",
    "CtfBfactor": "angstrom^2",
    "DetectorPixelSize": "micrometer",
}
"""Units of RELION's columns, without ``rln``, as RELION's own metadata labels give them."""

_PREFIX = "rln"
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def snake_case(name: str) -> str:
    """Return the name of the coordinate of a column of a STAR file.

    Examples
    --------
    >>> snake_case("rlnOriginXAngst"), snake_case("rlnDefocusU"), snake_case("rlnHelicalTubeID"), snake_case("wrpDose")
    ('origin_x_angst', 'defocus_u', 'helical_tube_id', 'wrp_dose')
    """
    return _WORDS.sub("_", name.removeprefix(_PREFIX)).lower()


def star_name(name: str) -> str:
    """Return the column of a STAR file for a coordinate that came from another table.

    Examples
    --------
    >>> star_name("defocus_u"), star_name("origin_x_angst")
    ('rlnDefocusU', 'rlnOriginXAngst')
    """
    return _PREFIX + "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def units_of_star(name: str) -> str:
    """Return the unit of a column of RELION, empty if it has none or is not in the table."""
    return _UNITS.get(name.removeprefix(_PREFIX), "")


def long_name(name: str) -> str:
    """Return the words of a column's name.

    Examples
    --------
    >>> long_name("defocus_u")
    'defocus u'
    """
    return name.replace("_", " ")


def as_array(values: Any) -> np.ndarray[Any, Any]:
    """Return a column as numbers, or as ``str``: xarray cannot store the Arrow strings of pandas 3.

    Missing text becomes an empty string.
    """
    array = np.asarray(values)
    if array.dtype.kind in "iufb":
        return array
    if array.dtype.kind == "S":
        return np.char.decode(array, "utf-8", "replace")
    texts = ["" if one is None or one != one else str(one) for one in array.tolist()]  # noqa: PLR0124 -- NaN differs from itself
    return np.array(texts, dtype=np.str_)
