"""Opening files as layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mrcarray.dask_io.reading import open_dataarray
from mrcarray.napari.layers import central_sections, is_labels, napari_kwargs
from mrcarray.xarray_backend.engine import MrcBackendEntrypoint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["get_reader", "read"]

Layer = tuple[Any, dict[str, Any], str]


def get_reader(path: str | Sequence[str]) -> Callable[[str | Sequence[str]], list[Layer]] | None:
    """Return the function that reads a path, or None for files of another format.

    Parameters
    ----------
    path : str or sequence of str
        What the user opened.
    """
    paths = [path] if isinstance(path, str) else list(path)
    guess = MrcBackendEntrypoint().guess_can_open
    return read if paths and all(guess(one) for one in paths) else None


def read(path: str | Sequence[str]) -> list[Layer]:
    """Return one layer for each file: the lazy pixels, the layer's arguments, and ``"image"`` or ``"labels"``.

    Complex pixels are shown by their magnitude, which is all that napari shows.
    """
    return [_layer(one) for one in ([path] if isinstance(path, str) else path)]


def _layer(path: str) -> Layer:
    array = open_dataarray(path, chunks={}, permissive=False)
    sample = central_sections(array)
    kwargs = napari_kwargs(array, sample=sample)
    if is_labels(array, sample):
        kwargs.pop("contrast_limits")
        return array.data, kwargs, "labels"
    return (abs(array.data) if array.dtype.kind == "c" else array.data), kwargs, "image"
