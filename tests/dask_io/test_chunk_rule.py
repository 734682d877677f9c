"""The default chunks: runs of bytes, large enough for a task, few enough for a graph."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import dask
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import mrcarray
from mrcarray.dask_io.chunk_rule import LIMIT, chunk_shape
from tests.xarray_backend.helpers import sparse

if TYPE_CHECKING:
    from pathlib import Path

MiB = 1 << 20

grids = st.lists(st.integers(1, 12_000), min_size=2, max_size=4).filter(lambda grid: math.prod(grid[-2:]) < 10**9)


def counts(grid: tuple[int, ...], shape: tuple[int, ...]) -> list[int]:
    """Return the number of chunks along each axis."""
    return [-(-length // size) for length, size in zip(grid, shape, strict=True)]


@pytest.mark.parametrize(
    ("grid", "itemsize", "expected"),
    [
        ((512, 512, 512), 4, (16, 512, 512)),
        ((300, 1024, 1024), 4, (6, 1024, 1024)),
        ((41, 3838, 3710), 4, (1, 3838, 3710)),
        ((300, 511, 512), 4, (20, 511, 512)),
        ((20, 20, 20), 4, (20, 20, 20)),
        ((8184, 11520), 4, (2728, 11520)),
        ((10, 8184, 11520), 4, (1, 2728, 11520)),
        ((1000, 64, 64, 64), 4, (20, 64, 64, 64)),
        ((1000, 5000, 32, 32), 4, (1, 5000, 32, 32)),
        ((3, 2, 0), 4, (3, 2, 0)),
        ((0, 3, 4), 4, (0, 3, 4)),
    ],
)
def test_chunks_are_volumes_sections_or_rows(grid: tuple[int, ...], itemsize: int, expected: tuple[int, ...]) -> None:
    assert chunk_shape(grid, itemsize) == expected


@given(grid=grids.map(tuple), itemsize=st.sampled_from([1, 2, 4, 8]), limit=st.sampled_from([MiB, LIMIT]))
def test_a_chunk_is_one_run_of_bytes_within_the_limit(grid: tuple[int, ...], itemsize: int, limit: int) -> None:
    shape = chunk_shape(grid, itemsize, limit)
    cut = [axis for axis, number in enumerate(counts(grid, shape)) if number > 1]
    if cut:
        assert all(size == 1 for size in shape[: cut[-1]])
        assert shape[cut[-1] + 1 :] == grid[cut[-1] + 1 :]
    nbytes, row = math.prod(shape) * itemsize, grid[-1] * itemsize
    assert nbytes <= max(2 * limit, row)
    if math.prod(counts(grid, chunk_shape(grid, itemsize, limit))) < 1000:
        assert nbytes <= max(limit, row)


@given(grid=grids.map(tuple))
def test_chunks_along_an_axis_are_even(grid: tuple[int, ...]) -> None:
    for length, size in zip(grid, chunk_shape(grid, 4), strict=True):
        last = (length - 1) % size + 1
        assert last == size or 3 * last >= size or size < 8 or length < 3 * size


@pytest.mark.parametrize(
    ("section", "itemsize"),
    [((4092, 5760), 1), ((4092, 5760), 2), ((5760, 4092), 4), ((8184, 11520), 2), ((11520, 8184), 4), ((64, 64), 4)],
)
def test_a_movie_of_a_tebibyte_has_at_most_ten_thousand_chunks(section: tuple[int, int], itemsize: int) -> None:
    frames = (1 << 40) // (math.prod(section) * itemsize)
    grid = (frames, *section)
    assert math.prod(counts(grid, chunk_shape(grid, itemsize))) <= 10_000


@pytest.mark.parametrize("shape", [(40, 1000, 1100), (3, 8184, 11520), (20, 30, 40)])
def test_every_function_has_the_same_chunks(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = sparse(tmp_path / "a.mrc", shape, 2)
    with dask.config.set({"array.chunk-size": "128MiB"}):
        expected = mrcarray.from_mrc(path, kind="volume").chunks
        assert xr.open_dataarray(path, engine="mrc", kind="volume", chunks={}).chunks == expected
        assert mrcarray.open_dataarray(path, kind="volume", chunks={}).chunks == expected


def test_limit_is_the_chunk_size_of_dask(tmp_path: Path) -> None:
    path = sparse(tmp_path / "a.mrc", (8, 100, 100), 2)
    with dask.config.set({"array.chunk-size": "80kB"}):
        assert mrcarray.from_mrc(path, kind="volume").chunksize == (2, 100, 100)
        assert xr.open_dataarray(path, engine="mrc", kind="volume", chunks={}).data.chunksize == (2, 100, 100)
