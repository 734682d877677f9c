"""Time before the first voxel is read: imports, headers, `open_dataset`."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import mrcfile
import numpy as np
import pytest

import mrcarray
from tests import builders
from tests.benchmarks.harness import compare, size

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def small(tmp_path: Path) -> str:
    """Return the path of a map of 64 KiB."""
    path = tmp_path / "small.mrc"
    path.write_bytes(builders.mrc_bytes(builders.sample((16, 32, 32), 2)))
    return str(path)


def raw_header(path: str) -> int:
    """Read 1024 bytes and view them as a NumPy record, as directly as possible."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return int(np.frombuffer(os.pread(descriptor, 1024, 0), "<i4")[0])
    finally:
        os.close(descriptor)


def classic_header(path: str) -> int:
    """Read the header with the classic library."""
    with mrcfile.open(path, header_only=True) as mrc:
        return int(mrc.header.nx)


def test_header_of_one_file(small: str) -> None:
    ways = {
        "mrcarray.read_header": lambda: mrcarray.read_header(small).nx,
        "mrcfile header_only": lambda: classic_header(small),
        "raw": lambda: raw_header(small),
    }
    report = compare("header of one file", ways, inner=200)
    assert report.ratio("mrcfile header_only") > 0


def test_import() -> None:
    def importing(module: str) -> Callable[[], int]:
        return lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True).returncode

    compare("import", {f"import {module}": importing(module) for module in ("mrcarray", "numpy", "mrcfile")}, repeat=15)


def test_open_dataset(small: str) -> None:
    import xarray as xr

    def opened(chunks: dict[str, int] | None) -> int:
        with xr.open_dataset(small, engine="mrc", chunks=chunks) as ds:
            return ds.sizes["x"]

    def mapped() -> int:
        with mrcfile.mmap(small) as mrc:
            return int(mrc.data.shape[2])

    ways = {"open_dataset": lambda: opened(None), "open_dataset, chunks={}": lambda: opened({}), "mrcfile.mmap": mapped}
    compare("open_dataset", ways, inner=20)


@pytest.fixture
def many(tmp_path: Path) -> list[str]:
    """Return the paths of many maps of 1 MiB."""
    names = [str(tmp_path / f"{number:04d}.mrc") for number in range(size(1000, 5))]
    content = builders.mrc_bytes(builders.sample((size(16, 2), 128, 128), 2))
    for name in names:
        with open(name, "wb") as file:  # noqa: PTH123 -- strings, as the other libraries take them
            file.write(content)
    return names


def test_headers_of_many_files(many: list[str]) -> None:
    ways = {
        "mrcarray.read_header": lambda: sum(mrcarray.read_header(path).nx for path in many),
        "mrcfile header_only": lambda: sum(classic_header(path) for path in many),
        "raw": lambda: sum(raw_header(path) for path in many),
    }
    compare(f"headers of {len(many)} files", ways, repeat=5)


def test_whole_small_files(many: list[str]) -> None:
    def ours() -> float:
        return sum(float(np.asarray(mrcarray.open_array(path))[-1, -1, -1]) for path in many)

    def classic() -> float:
        return sum(float(mrcfile.read(path)[-1, -1, -1]) for path in many)

    def raw() -> float:
        return sum(float(np.fromfile(path, "<f4", offset=1024)[-1]) for path in many)

    compare(f"all of {len(many)} files", {"mrcarray": ours, "mrcfile.read": classic, "np.fromfile": raw}, repeat=5)
