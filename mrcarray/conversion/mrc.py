"""MRC files as source and target of a conversion."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.conversion.output import COPIED, Target, named_in_warnings
from mrcarray.errors import Hint, MrcValueError, missing_package
from mrcarray.progress import task_bar
from mrcarray.storage.atomic import AtomicFile
from mrcarray.storage.atomic_folder import WorkFolder
from mrcarray.urls import unpacked
from mrcarray.xarray_backend import convention, sidecars
from mrcarray.xarray_backend.encode.header import RGB

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ZSTD", "open_mrc", "write_mrc"]

ZSTD = (".zst", ".zstd")
"""Suffixes of files that are compressed after they are written."""


def open_mrc(path: Any, kind: str | None) -> xr.DataArray:
    """Open an MRC file as a labelled dask array."""
    import xarray as xr

    return xr.open_dataset(path, engine="mrc", chunks={}, kind=kind or "auto")[convention.DATA]


def write_mrc(array: xr.DataArray, to: Target, dtype: Any, options: dict[str, Any]) -> None:
    """Write an MRC file, compressed according to its suffix."""
    from mrcarray.xarray_backend.write import to_mrc

    if array.dtype == np.float64 and dtype is None and options.get("mode") is None:
        dtype = "float32"
    if array.dims[-1] == "rgb":
        _check_colours(dtype, options.get("mode"))
        dtype = None
    target = to.name
    if not target.lower().endswith(ZSTD):
        with task_bar("converting", shown=to.progress):
            to_mrc(array, target, dtype=dtype, overwrite=to.overwrite, progress=False, **options)
        return
    with WorkFolder(target) as folder:
        plain = f"{folder.path}/{os.path.basename(unpacked(target))}"  # noqa: PTH119 -- names need not be text
        with (
            named_in_warnings(plain, target),
            sidecars.announced_as(target, plain),
            task_bar("converting", shown=to.progress),
        ):
            to_mrc(array, plain, dtype=dtype, progress=False, sync=False, **options)
        _compress(plain, target, overwrite=to.overwrite)


def _check_colours(dtype: Any, mode: int | None) -> None:
    """Refuse a dtype or mode other than those of colours in MRC files."""
    wanted = f"mode {mode}" if mode not in (None, RGB) else ""
    wanted = f"dtype {np.dtype(dtype)}" if dtype is not None and np.dtype(dtype) != np.uint8 else wanted
    if wanted:
        text = f"the pixels are red, green and blue bytes, which need mode {RGB}; {wanted} has one value a pixel"
        raise MrcValueError(text, hint=Hint("select one colour, or take their mean, first"))


def _compress(plain: str, target: str, *, overwrite: bool) -> None:
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        try:
            from backports import zstd  # type: ignore[no-redef, unused-ignore]
        except ImportError as error:
            raise missing_package("writing .zst", "backports.zstd", "zstd") from error
    compressor, at = zstd.ZstdCompressor(), 0
    with AtomicFile(target, overwrite=overwrite) as out, open(plain, "rb") as file:  # noqa: PTH123 -- names need not be text
        while piece := file.read(COPIED):
            data = compressor.compress(piece)
            out.write_at(at, data)
            at += len(data)
        out.write_at(at, compressor.flush())
        out.commit()
