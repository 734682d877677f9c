"""Sample data: small files, made when they are first opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mrcarray.napari.reader import read

if TYPE_CHECKING:
    from mrcarray.napari.reader import Layer

__all__ = ["half_maps", "micrograph", "tilt_series", "tomogram"]


def tomogram() -> list[Layer]:
    """Return the layer of a tomogram."""
    return _layers("tomogram")


def tilt_series() -> list[Layer]:
    """Return the layer of a tilt series, with the tilt angles in its metadata."""
    return _layers("tilt_series")


def micrograph() -> list[Layer]:
    """Return the layer of a micrograph."""
    return _layers("micrograph")


def half_maps() -> list[Layer]:
    """Return the layers of two half maps."""
    from mrcarray.sample_data import example

    return read([str(path) for path in example("half_maps")])


def _layers(name: Literal["tomogram", "tilt_series", "micrograph"]) -> list[Layer]:
    from mrcarray.sample_data import example

    return read(str(example(name)))
