"""What OME-TIFF states of an image in its XML: axes and the size of a voxel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mrcarray.errors import Hint, MrcValueError
from mrcarray.format.units import LENGTHS, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["axes_of", "check_series", "metadata", "stated_sizes"]

_SPACE = ("z", "y", "x")
_DEFAULT_UNIT = "\u00b5m"
"""Unit of a length without one (OME model, attribute PhysicalSizeXUnit)."""


def axes_of(dims: Sequence[str]) -> str:
    """Return the letters of the axes: counted sections and volumes are T, colours are S.

    Examples
    --------
    >>> axes_of(("section", "y", "x")), axes_of(("volume", "z", "y", "x")), axes_of(("y", "x", "rgb"))
    ('TYX', 'TZYX', 'YXS')
    """
    colour = "S" if dims[-1] == "rgb" else ""
    leading = dims[: len(dims) - 2 - len(colour)]
    letters = "".join("Z" if len(leading) > 1 or dim in _SPACE else "T" for dim in leading[-1:])
    return "T" * (len(leading) - 1) + letters + "YX" + colour


def metadata(dims: Sequence[str], sizes: Sequence[float], name: str) -> dict[str, Any]:
    """Return what tifffile's writer of OME-TIFF takes.

    Parameters
    ----------
    dims : sequence of str
        Dims of the array.
    sizes : sequence of float
        Size of a voxel from page to page, row to row and column to column in ångström; zeros if unknown.
    name : str
        Name of the image.
    """
    axes = axes_of(dims)
    out: dict[str, Any] = {"axes": axes, "Name": name}
    for letter, size in zip("ZYX", sizes, strict=True):
        if size and letter in axes:
            out |= {f"PhysicalSize{letter}": size, f"PhysicalSize{letter}Unit": "\u00c5"}
    return out


def stated_sizes(described: Any) -> tuple[float, float, float]:
    """Return the voxel size along z, y, x of the first image in ångström; zeros if unknown.

    Parameters
    ----------
    described : dict
        The XML, as ``tifffile.xml2dict`` returns it.

    Examples
    --------
    >>> pixels = {"PhysicalSizeX": 0.2, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.0002}
    >>> stated_sizes({"OME": {"Image": {"Pixels": pixels}}})
    (2.0, 2.0, 2.0)
    """
    image = described["OME"].get("Image", {})
    pixels = (image[0] if isinstance(image, list) else image).get("Pixels", {})
    z, y, x = (_length(pixels, letter) for letter in "ZYX")
    if not (x and y):
        return 0.0, 0.0, 0.0
    return z or x, y, x


def _length(pixels: dict[str, Any], letter: str) -> float:
    factor = LENGTHS.get(plain(pixels.get(f"PhysicalSize{letter}Unit", _DEFAULT_UNIT)))
    try:
        size = float(pixels.get(f"PhysicalSize{letter}", 0.0)) * (factor or 0.0)
    except (TypeError, ValueError):
        return 0.0
    return float(f"{size:.9g}") if math.isfinite(size) and size > 0 else 0.0


def check_series(axes: str, shape: tuple[int, ...], pages: Sequence[Any]) -> None:
    """Refuse an image of several channels, and one with planes that the file does not contain.

    Raises
    ------
    MrcValueError
        When it is one.
    """
    several = [letter for letter, length in zip(axes, shape, strict=True) if letter not in "TZYXS" and length > 1]
    if several:
        text = f"the OME-TIFF image has the axes {axes}; expected Z, Y, X and at most T"
        raise MrcValueError(text, hint=Hint("select one channel with another program first"))
    if any(page is None for page in pages):
        raise MrcValueError(
            f"{sum(page is None for page in pages)} of {len(pages)} planes are not in the OME-TIFF file"
        )
