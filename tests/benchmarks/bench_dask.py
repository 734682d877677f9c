"""Time of a reduction with dask, compared with NumPy on a memory map of the same file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dask.array as da
import mrcfile
import numpy as np
import pytest
import xarray as xr

import mrcarray
from tests import builders
from tests.benchmarks.harness import compare, size

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """Return the path of a float32 volume of small integers: 4 GiB for measurements."""
    sections, edge = size(1024, 8), size(1024, 32)
    path = tmp_path / "volume.mrc"
    section = (np.arange(edge * edge, dtype="<f4") % 7).reshape(edge, edge)
    with path.open("wb") as file:
        file.write(builders.header_bytes(nx=edge, ny=edge, nz=sections))
        for _ in range(sections):
            file.write(section.tobytes())
    return path


def test_graph_of_a_dask_array(volume: Path) -> None:
    def peer() -> int:
        with mrcfile.mmap(volume) as mrc:
            return int(da.from_array(mrc.data, chunks=(1, -1, -1), name=False).ndim)

    ways = {"mrcarray.from_mrc": lambda: mrcarray.from_mrc(volume).ndim, "da.from_array(mrcfile.mmap)": peer}
    compare("dask array, no value read", ways)


def test_sum(volume: Path) -> None:
    def mapped() -> float:
        with mrcfile.mmap(volume) as mrc:
            return float(mrc.data.sum(dtype="f8"))

    def labelled(*, skipna: bool) -> float:
        with xr.open_dataset(volume, engine="mrc", chunks={}) as ds:
            return float(ds.data.sum(dtype="f8", skipna=skipna).compute())

    # Without skipna=False, xarray looks for NaN in every float array, which takes longer than reading it.
    ways = {
        "mrcarray.from_mrc": lambda: float(mrcarray.from_mrc(volume).sum(dtype="f8").compute()),
        "open_dataset, chunks={}, skipna=False": lambda: labelled(skipna=False),
        "NumPy on mrcfile.mmap": mapped,
        "open_dataset, chunks={}": lambda: labelled(skipna=True),
        "da.nansum of mrcarray.from_mrc": lambda: float(da.nansum(mrcarray.from_mrc(volume), dtype="f8").compute()),
    }
    compare("sum of a volume", ways, repeat=5)
