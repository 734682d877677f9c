"""Helpers of the tests that write files: arrays, `put`, `read`, and the temporary files left in a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import mrcarray
from mrcarray import writer
from mrcarray.format.builder import draft

if TYPE_CHECKING:
    from pathlib import Path


def sample(shape: tuple[int, ...] = (6, 7, 9), dtype: str = "f4", seed: int = 0) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype).kind
    if kind == "c":
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)
    if kind == "f":
        return rng.normal(size=shape).astype(dtype)
    if kind == "b":
        return rng.random(shape) < 0.5
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, size=shape, dtype=dtype, endpoint=True)


def put(path: Path, values: np.ndarray[Any, Any], **options: Any) -> None:
    io = {name: options.pop(name) for name in ("overwrite", "sync", "compression", "level") if name in options}
    writer.write(path, draft(values.shape, values.dtype, **options), values, **io)


def read(path: Path) -> np.ndarray[Any, Any]:
    values: np.ndarray[Any, Any] = mrcarray.open_array(path)[...]
    return values


def left(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.name.endswith("tmp"))
