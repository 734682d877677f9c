"""Time of writing, compared with mrcfile and with the plainest way to write the same bytes.

MRCARRAY_BENCH=1 pytest tests/benchmarks/bench_write.py -s
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import dask.array as da
import mrcfile
import numpy as np
import pytest

import mrcarray
from mrcarray.format.builder import draft
from mrcarray.statistics import Stats
from mrcarray.writer import write
from tests.benchmarks.harness import compare, size

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

MIB = 1 << 20


def pixels(nbytes: int, dtype: str) -> np.ndarray[Any, Any]:
    section = np.random.default_rng(0).normal(100, 30, size=(256, 256))
    count = max(1, nbytes // (section.size * np.dtype(dtype).itemsize))
    numbers = np.arange(count, dtype=dtype)[:, None, None] % 7
    values: np.ndarray[Any, Any] = np.repeat(section[np.newaxis].astype(dtype), count, axis=0)
    values += numbers
    return values


@pytest.mark.parametrize("dtype", ["f4", "i2"])
def test_statistics(dtype: str) -> None:
    values = pixels(size(512 * MIB, MIB), dtype)
    exact = Stats.of(values.astype("f8"), threads=1)

    def theirs() -> None:
        values.min(), values.max()
        values.mean(dtype=np.float32), values.std(dtype=np.float32)

    ways: dict[str, Any] = {
        "mrcarray": lambda: Stats.of(values),
        "formula of mrcfile": theirs,
        "min() alone": values.min,
    }
    compare(f"statistics of {values.nbytes // MIB} MiB {dtype}", ways, repeat=3, same=False)
    found = Stats.of(values)
    assert found.mean == pytest.approx(exact.mean, rel=1e-7)
    assert found.rms == pytest.approx(exact.rms, rel=1e-7)


def limit(path: Path, values: np.ndarray[Any, Any]) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        os.posix_fallocate(descriptor, 0, values.nbytes)
        flat = values.reshape(-1).view(np.uint8)
        for start in range(0, flat.size, 8 * MIB):
            os.pwrite(descriptor, flat[start : start + 8 * MIB].data, start)
    finally:
        os.close(descriptor)
    path.unlink()


def test_large_array(tmp_path: Path) -> None:
    values = pixels(size(2048 * MIB, MIB), "f4")
    path = tmp_path / "a.mrc"
    plan = draft(values.shape, "f4")

    def ours() -> None:
        write(path, plan, values, sync=False)
        path.unlink()

    def theirs() -> None:
        mrcfile.write(path, values)
        path.unlink()

    ways = {"mrcarray": ours, "mrcfile": theirs, "fallocate and pwrite": lambda: limit(tmp_path / "b", values)}
    compare(f"writing {values.nbytes // MIB} MiB with statistics", ways, repeat=3, same=False)


def test_dask_array(tmp_path: Path) -> None:
    values = pixels(size(2048 * MIB, MIB), "f4")
    array = da.from_array(values, chunks=(64, 256, 256), name=False)
    path = tmp_path / "a.mrc"

    def ours() -> None:
        mrcarray.to_mrc(array, path, sync=False)
        path.unlink()

    def theirs() -> None:
        with mrcfile.new_mmap(path, values.shape, mrc_mode=2) as mapped:
            da.store(array, mapped.data, lock=False)
            mapped.update_header_stats()
        path.unlink()

    compare(f"dask array of {values.nbytes // MIB} MiB", {"mrcarray": ours, "mrcfile": theirs}, repeat=3, same=False)


def test_gzip(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(size(128, 2), 512, 512)).astype("f4")
    path = tmp_path / "a.mrc.gz"
    sizes = {}

    def ours() -> None:
        write(path, draft(values.shape, "f4"), values, sync=False)
        sizes["mrcarray"] = path.stat().st_size / values.nbytes
        path.unlink()

    def theirs() -> None:
        with mrcfile.new(path, values, compression="gzip"):
            pass
        sizes["mrcfile"] = path.stat().st_size / values.nbytes
        path.unlink()

    compare(f"gzip of {values.nbytes // MIB} MiB", {"mrcarray": ours, "mrcfile": theirs}, repeat=2, same=False)
    print(sizes)  # noqa: T201 -- a benchmark prints
    assert sizes["mrcarray"] <= 1.01 * sizes["mrcfile"]
