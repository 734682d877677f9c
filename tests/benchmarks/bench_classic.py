"""The classic API against mrcfile: header, whole read, write, statistics, gzip, bzip2, validation."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import mrcfile
import numpy as np
import pytest

from mrcarray import classic
from tests.benchmarks.harness import compare, size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Omit flushing to the disk, which mrcfile does not do."""
    monkeypatch.setattr(classic.mrcfile.MrcFile, "sync", False)


def pixels(full_mib: int, dtype: str = "f4") -> np.ndarray[Any, Any]:
    """Return noise of so many MiB."""
    sections = size(full_mib * (1 << 20) // (512 * 512 * np.dtype(dtype).itemsize), 1)
    rows = size(512, 16)
    return (np.random.default_rng(0).normal(size=(sections, rows, rows)) * 100).astype(dtype)


def both(work: Callable[[Any], Any]) -> dict[str, Callable[[], Any]]:
    """Return the same call on each library."""
    return {"mrcarray.classic": lambda: work(classic), "mrcfile": lambda: work(mrcfile)}


@pytest.fixture
def small(tmp_path: Path) -> str:
    """Return the path of a map of 64 KiB."""
    path = tmp_path / "small.mrc"
    mrcfile.write(path, np.zeros((16, 32, 32), "f4"))
    return str(path)


def _shape(module: Any, small: str, **options: Any) -> tuple[int, ...]:
    with module.open(small, **options) as mrc:
        return tuple(int(mrc.header[name]) for name in ("nx", "ny", "nz"))


def test_header_of_one_file(small: str) -> None:
    report = compare(
        "open(header_only=True), three fields", both(lambda m: _shape(m, small, header_only=True)), inner=200
    )
    assert report.ratio("mrcfile") > 0

    def opened(module: Any) -> None:
        module.open(small, header_only=True).close()

    compare("open(header_only=True).close()", both(opened), inner=200)


def test_opening_a_map(small: str) -> None:
    def opened(module: Any) -> None:
        module.mmap(small).close()

    compare("mmap().close()", both(opened), inner=200)

    def looked_at(module: Any) -> float:
        with module.mmap(small) as mrc:
            return float(mrc.data[3, 4, 5])

    compare("mmap(), one voxel", both(looked_at), inner=200)


def test_whole_read(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    mrcfile.write(path, pixels(1024))
    compare("read 1 GiB float32", both(lambda m: m.read(path)), repeat=5)


def test_many_whole_files(tmp_path: Path) -> None:
    values = pixels(1)
    paths = [tmp_path / f"{i}.mrc" for i in range(size(200, 2))]
    for path in paths:
        mrcfile.write(path, values)

    def one_by_one(module: Any) -> float:
        return max(float(module.read(path)[0, 0, 0]) for path in paths)

    compare("200 files of 1 MiB, one by one", both(one_by_one), repeat=5)
    # allocating memory for all files dominates in both libraries
    compare("200 files of 1 MiB, kept", both(lambda m: [m.read(path) for path in paths]), repeat=5)


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    """Return the name of a file that is deleted afterwards."""
    path = tmp_path / "out.mrc"
    yield path
    path.unlink(missing_ok=True)


def test_write(target: Path) -> None:
    values = pixels(1024)

    def away() -> None:
        target.unlink(missing_ok=True)

    def fresh(module: Any) -> None:
        module.write(target, values)

    compare("write 1 GiB float32", both(fresh), repeat=5, prepare=away, same=False)


def test_overwrite(target: Path) -> None:
    values = pixels(1024)
    both_ways = both(lambda m: m.write(target, values, overwrite=True))
    compare("overwrite 1 GiB float32", both_ways, repeat=5, same=False)


@pytest.mark.parametrize("dtype", ["f4", "i2"])
def test_statistics(dtype: str) -> None:
    values = pixels(512, dtype)

    def statistics(module: Any) -> None:
        mrc = module.mrcobject.MrcObject()
        mrc._create_default_attributes()
        mrc._set_new_data(values)
        mrc.update_header_stats()

    compare(f"statistics of 512 MiB {dtype}", both(statistics), repeat=5)


@pytest.mark.parametrize(("suffix", "mib"), [(".gz", 128), (".bz2", 32)])
def test_compressed(tmp_path: Path, suffix: str, mib: int) -> None:
    path = tmp_path / ("a.mrc" + suffix)
    values = pixels(mib)

    def write(module: Any) -> None:
        module.write(path, values, overwrite=True)

    compare(f"write {mib} MiB as {suffix}", both(write), repeat=3)
    sizes = []
    for module in (mrcfile, classic):
        module.write(path, values, overwrite=True)
        sizes.append(path.stat().st_size)
    print(f"size, mrcarray to mrcfile: {sizes[1] / sizes[0]:.3f}")  # noqa: T201 -- the report of a benchmark
    for writer in (mrcfile, classic):
        writer.write(path, values, overwrite=True)
        compare(f"read {mib} MiB of {suffix} written by {writer.__name__}", both(lambda m: m.read(path)), repeat=3)


def test_validate(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    classic.write(path, pixels(1024))
    compare("validate 1 GiB", both(lambda m: m.validate(path, io.StringIO())), repeat=3)
