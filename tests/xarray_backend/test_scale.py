"""Many files and huge files, each in a process of its own whose memory or descriptors are limited or measured."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.builders import header_bytes, mrc_bytes, sample
from tests.memory import PEAK_MEMORY

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

PREAMBLE = f"""
import resource, sys
import dask.array, numpy as np, xarray as xr
import mrcarray, mrcarray.array, mrcarray.dask_io.reading
{PEAK_MEMORY}
before = peak_memory()
"""


def _run(code: str) -> str:
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", PREAMBLE + code]
    out = subprocess.run(command, capture_output=True, text=True, check=False, timeout=250)
    assert out.returncode == 0, out.stderr
    return out.stdout


def _sparse(path: Path, nx: int, ny: int, nz: int) -> Path:
    """Make a float32 volume of zeros that takes no space on the disk, with a mark at the start of the last section."""
    path.write_bytes(header_bytes(nx=nx, ny=ny, nz=nz))
    os.truncate(path, 1024 + 4 * nx * ny * nz)
    with path.open("r+b") as file:
        file.seek(1024 + 4 * nx * ny * (nz - 1))
        file.write(b"\0\0\x80\x3f")
    return path


def test_file_of_one_tebibyte_opens_and_reports_section_in_second_and_200_mib(tmp_path: Path) -> None:
    path = _sparse(tmp_path / "huge.mrc", 4096, 4096, 16384)
    assert path.stat().st_size > 1 << 40
    _run(f"""
import time
start = time.process_time()
opened = xr.open_dataset({str(path)!r}, engine="mrc", chunks={{}})
repr(opened); opened._repr_html_()
section = opened.data.isel(z=-1)
assert section.nbytes == 64 << 20
assert section.max().compute(scheduler="synchronous") == 1
lazy = xr.open_dataarray({str(path)!r}, engine="mrc", cache=False)
assert lazy.sel(z=lazy.z[-1]).values.sum() == 1
assert lazy.isel(z=slice(4000, 4064), y=slice(8, 72), x=slice(8, 72)).values.shape == (64, 64, 64)
assert lazy.isel(x=5, y=slice(0, 64), z=slice(0, 64)).values.shape == (64, 64)
repr(lazy)
assert time.process_time() - start < 1, "seconds of this process, whatever else the machine does"
assert peak_memory() - before < 200 << 20, (peak_memory() - before) >> 20
""")


def test_opening_huge_file_takes_no_memory(tmp_path: Path) -> None:
    path = _sparse(tmp_path / "huge.mrc", 8192, 8192, 4096)
    _run(f"""
mrcarray.from_mrc({str(path)!r}).sum()
xr.open_dataset({str(path)!r})
mrcarray.read_header({str(path)!r})
assert peak_memory() - before < 40 << 20, (peak_memory() - before) >> 20
""")


def test_map_of_24_gib_is_reduced_section_by_section_within_1_gib(tmp_path: Path) -> None:
    path = _sparse(tmp_path / "map.mrc", 2048, 2048, 1536)
    assert path.stat().st_size > 24 << 30
    _run(f"""
opened = mrcarray.open_dataset({str(path)!r}, chunks={{}})
assert opened.data.max().compute(scheduler="threads", num_workers=2) == 1
assert peak_memory() < 1 << 30, peak_memory() >> 20
""")


def test_five_thousand_files_are_open_at_once_with_256_descriptors(tmp_path: Path) -> None:
    raw = mrc_bytes(sample((2, 3, 4), 2))
    for number in range(5000):
        (tmp_path / f"{number}.mrc").write_bytes(raw)
    _run(f"""
import pathlib
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
opened = [xr.open_dataset(path, engine="mrc") for path in sorted(pathlib.Path({str(tmp_path)!r}).glob("*.mrc"))]
assert len(opened) == 5000
total = {{float(one.data.values.sum()) for one in opened}}
assert len(total) == 1
arrays = [mrcarray.from_mrc(path.encoding["source"]) for path in opened[:500]]
assert dask.array.stack(arrays).sum(axis=0).compute().shape == (2, 3, 4)
""")


def test_threads_share_array_without_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(sample((40, 16, 16), 2)))
    _run(f"""
from concurrent.futures import ThreadPoolExecutor
lazy = xr.open_dataarray({str(path)!r}, cache=False)
expected = lazy.values
with ThreadPoolExecutor(8) as pool:
    got = list(pool.map(lambda n: (n % 40, lazy.isel(z=n % 40).values), range(800)))
assert all((values == expected[z]).all() for z, values in got)
""")


def test_eight_threads_read_two_hundred_files_while_xarray_keeps_one_file_open(tmp_path: Path) -> None:
    for number in range(200):
        (tmp_path / f"{number:03d}.mrc").write_bytes(mrc_bytes(sample((2, 8, 8), 2, seed=number)))
    _run(f"""
import pathlib
from concurrent.futures import ThreadPoolExecutor
xr.set_options(file_cache_maxsize=1)
paths = sorted(pathlib.Path({str(tmp_path)!r}).glob("*.mrc"))
opened = [xr.open_dataarray(path, engine="mrc", cache=False) for path in paths]
expected = [np.frombuffer(path.read_bytes()[1024:], "<f4").reshape(2, 8, 8) for path in paths]
def check(n):
    return (opened[n % 200].isel(z=n % 2).values == expected[n % 200][n % 2]).all()
with ThreadPoolExecutor(8) as pool:
    assert all(pool.map(check, range(8000)))
""")
