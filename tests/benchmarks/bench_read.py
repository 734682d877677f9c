"""Time of reading, compared with mrcfile and with the limit of the machine, in turn in one process.

The figures are printed, not asserted, because other work on the machine changes them. Set ``MRCARRAY_BENCH=1`` for a
map of 1 GiB; without it a tiny map shows that the code runs.

    MRCARRAY_BENCH=1 pytest tests/benchmarks/bench_read.py -s
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mrcfile
import numpy as np
import pytest

from mrcarray.array import MrcArray
from mrcarray.format.layout import Kind, Layout
from mrcarray.format.modes import PIXELS
from mrcarray.storage import open_source
from mrcarray.storage.coalesce import fill_all
from tests.benchmarks.harness import compare, drop_cache, size
from tests.builders import header_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow

SIDE = size(640, 48)
HALF = SIDE // 2

CUTS: dict[str, Any] = {
    "XY section": np.s_[HALF],
    "XZ section": np.s_[:, HALF],
    "YZ section": np.s_[:, :, HALF],
    "cube of 128": (slice(HALF, HALF + 128),) * 3,
    "one pixel": np.s_[3, 4, 5],
    "every second pixel": np.s_[::2, ::2, ::2],
}

WIDE = (size(16, 2), size(4096, 128), 4096)
ROWS = slice(0, 256)

BOXES: dict[str, Any] = {
    "box of 256": (1, ROWS, slice(2000, 2256)),
    "128 columns of all": (slice(None), ROWS, slice(2000, 2128)),
    "YZ section": np.s_[:, :, 2000],
}
"""Parts of wide images, whose rows are so far apart that the gaps are not read."""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Write a cubic float32 map; it is in the page cache when the benchmarks start."""
    path = tmp_path_factory.mktemp("bench") / "map.mrc"
    section = np.random.default_rng(0).random((SIDE, SIDE), dtype=np.float32)
    with path.open("wb") as file:
        file.write(header_bytes(nx=SIDE, ny=SIDE, nz=SIDE, mode=2))
        for z in range(SIDE):
            file.write((section + z).data)
    yield path
    path.unlink()


def lazy(path: Path) -> MrcArray:
    return MrcArray(Layout(Kind.VOLUME, (SIDE,) * 3, PIXELS["2"], "<", 1024), open_source(path))


def mapped_by_mrcfile(path: Path, key: Any) -> np.ndarray[Any, Any]:
    with mrcfile.mmap(path, permissive=True) as mrc:
        return np.array(mrc.data[key])


@pytest.mark.parametrize("cache", ["warm", "cold"])
@pytest.mark.parametrize("cut", CUTS)
def test_part_of_a_map(path: Path, cut: str, cache: str) -> None:
    key, pixels = CUTS[cut], lazy(path)
    still_open = np.memmap(path, "<f4", "r", 1024, (SIDE,) * 3)
    np.testing.assert_array_equal(pixels[key], still_open[key])
    runners: dict[str, Callable[[], Any]] = {
        "mrcarray": lambda: pixels[key],
        "mrcarray opening": lambda: lazy(path)[key],
        "mrcfile.mmap": lambda: mapped_by_mrcfile(path, key),
    }
    if cache == "warm":
        runners["a memory map left open"] = lambda: np.array(still_open[key])
    else:
        del still_open
    compare(f"{cut}, {cache}", runners, repeat=5, prepare=(lambda: drop_cache(path)) if cache == "cold" else None)


@pytest.mark.parametrize("cache", ["warm", "cold"])
def test_whole_map(path: Path, cache: str) -> None:
    pixels = lazy(path)
    ready = np.ones(SIDE**3 * 4, dtype=np.uint8)
    source = open_source(path)

    def limit() -> None:
        fill_all(source, 1024, ready, "limit", None)

    np.testing.assert_array_equal(pixels[...], mrcfile.read(path))
    compare(
        f"whole map, {cache}",
        {
            "mrcarray": lambda: pixels[...],
            "mrcfile.read": lambda: mrcfile.read(path),
            "np.fromfile": lambda: np.fromfile(path, "<f4", offset=1024).reshape((SIDE,) * 3),
            "into allocated memory": limit,
        },
        repeat=5,
        prepare=(lambda: drop_cache(path)) if cache == "cold" else None,
        same=False,
    )


@pytest.mark.parametrize("cut", BOXES)
def test_part_of_wide_images(tmp_path: Path, cut: str) -> None:
    key, path = BOXES[cut], tmp_path / "wide.mrc"
    nz, ny, nx = WIDE
    section = np.random.default_rng(0).random((ny, nx), dtype=np.float32)
    with path.open("wb") as file:
        file.write(header_bytes(nx=nx, ny=ny, nz=nz, mode=2))
        for z in range(nz):
            file.write((section + z).data)
    pixels = MrcArray(Layout(Kind.VOLUME, WIDE, PIXELS["2"], "<", 1024), open_source(path))
    still_open = np.memmap(path, "<f4", "r", 1024, WIDE)
    np.testing.assert_array_equal(pixels[key], still_open[key])
    compare(
        f"{cut} of wide images, warm",
        {
            "mrcarray": lambda: pixels[key],
            "mrcfile.mmap": lambda: mapped_by_mrcfile(path, key),
            "a memory map left open": lambda: np.array(still_open[key]),
        },
    )
    path.unlink()
