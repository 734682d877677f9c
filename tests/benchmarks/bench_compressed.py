"""Compressed maps: whole reads, first and later slices, kept indexes, headers, and the memory of a whole read."""

from __future__ import annotations

import bz2
import gzip
import itertools
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mrcfile
import numpy as np
import pytest
import xarray as xr

import mrcarray
from mrcarray import classic
from mrcarray.storage.compression.source import forget
from tests import builders
from tests.benchmarks.harness import compare, size
from tests.memory import PEAK_MEMORY

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _forget_all() -> Iterator[None]:
    forget()
    yield
    forget()


@pytest.fixture(params=["gz-float32", "gz-zeros", "gz-int16", "bz2-float32"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return a compressed volume: 64 MiB when measuring in earnest."""
    form, what = request.param.split("-")
    sections = size(64, 2)
    edge = size(512, 48)
    values = builders.sample((sections, edge, edge), 2)
    if what == "zeros":
        values[: sections * 2 // 5] = values[sections * 3 // 5 :] = 0
    mode = 1 if what == "int16" else 2
    if mode == 1:
        values = (values * 300).astype(np.int16)
    found = tmp_path / f"map.{form}"
    raw = builders.mrc_bytes(values, mode)
    found.write_bytes(gzip.compress(raw, 6) if form == "gz" else bz2.compress(raw))
    return str(found)


def ours(path: str) -> Any:
    """Read the whole map, knowing nothing of it."""
    forget()
    return mrcarray.open_array(path)[...]


def engine(path: str) -> Any:
    """Read the whole map through xarray, knowing nothing of it."""
    forget()
    return xr.open_dataset(path, engine="mrc").data.values


def test_whole_read(path: str) -> None:
    ways = {
        "mrcarray.open_array": lambda: ours(path),
        'xr.open_dataset(engine="mrc")': lambda: engine(path),
        "mrcfile.read": lambda: mrcfile.read(path),
    }
    report = compare("whole read of a compressed map", ways, repeat=3)
    assert report.ratio("mrcfile.read") > 0


def test_first_access(path: str) -> None:
    """The pass that leaves the index, against a whole read, which leaves none for gzip."""

    def first() -> Any:
        forget()
        return mrcarray.open_array(path)[-1]

    def through_xarray() -> Any:
        forget()
        return xr.open_dataset(path, engine="mrc").data[-1].values

    ways = {
        "last section, first access": first,
        "last section, first access by xarray": through_xarray,
        "whole read": lambda: ours(path)[-1],
    }
    report = compare("first access to a compressed map", ways, repeat=5)
    passes = report.median("last section, first access") / report.median("whole read")
    print(f"first access: {passes:.2f} passes")  # noqa: T201 -- that is what it is for


@pytest.mark.parametrize("index", [False, True])
def test_slice_after_the_first(path: str, index: bool) -> None:
    """Sections in random order, by the checkpoints of a pass, and by a kept index in a new session."""
    _ = mrcarray.open_array(path, index=index)[-1]
    if index:
        forget()
    array, data = mrcarray.open_array(path, index=index), xr.open_dataset(path, engine="mrc", index=index).data
    order = np.random.default_rng(0).permutation(len(array))
    numbers = itertools.cycle(order.tolist())

    def peer() -> Any:
        with mrcfile.open(path) as mrc:
            return np.array(mrc.data[next(numbers)])

    ways = {
        "mrcarray.open_array": lambda: array[next(numbers)],
        'xr.open_dataset(engine="mrc")': lambda: data[next(numbers)].values,
        "mrcfile.open": peer,
    }
    compare("one section by a kept index" if index else "one section", ways, repeat=5, same=False)


def test_sections_in_order(path: str) -> None:
    """Section after section by the index, each going on where the one before has ended."""
    array = mrcarray.open_array(path)
    _ = array[-1]
    numbers, others = (itertools.cycle(order) for order in (range(len(array)), _apart(len(array))))
    ways = {"one after the other": lambda: array[next(numbers)], "here and there": lambda: array[next(others)]}
    compare("sections of a compressed map", ways, repeat=9, inner=3, same=False)


def _apart(count: int) -> list[int]:
    """Return numbers none of which follows the one before."""
    return [*range(0, count, 2), *range(1, count, 2)]


def peer_header(path: str) -> int:
    """Read the header with the classic library."""
    with mrcfile.open(path, header_only=True) as mrc:
        return int(mrc.header.nx)


def ours_header(path: str) -> int:
    """Read the header with the classic API."""
    with classic.open(path, header_only=True) as mrc:
        return int(mrc.header.nx)


def first_block(path: str) -> int:
    """Decode as much as there must be before any byte of a bzip2 file is known."""
    with Path(path).open("rb") as file:
        decoder = bz2.BZ2Decompressor()
        while not (piece := decoder.decompress(file.read(8192), 1024)):
            pass
        return int.from_bytes(piece[:4], "little")


def test_header_alone(path: str) -> None:
    """Knowing nothing of the file; for bzip2 it is forgotten before, since to free a block takes a while."""
    slow = path.endswith("bz2")

    def fresh() -> None:
        if not slow:
            forget()

    def header() -> int:
        fresh()
        return int(mrcarray.read_header(path).nx)

    def array() -> int:
        fresh()
        return mrcarray.open_array(path).shape[-1]

    def dataset() -> int:
        fresh()
        return xr.open_dataset(path, engine="mrc").sizes["x"]

    ways = {
        "mrcarray.read_header": header,
        "mrcarray.open_array": array,
        'xr.open_dataset(engine="mrc")': dataset,
        "mrcarray.classic header_only": lambda: ours_header(path),
        "mrcfile header_only": lambda: peer_header(path),
    }
    if slow:
        ways["the first block alone"] = lambda: first_block(path)
    compare("header of a compressed map", ways, repeat=15, inner=1 if slow else 100, prepare=forget)


def test_header_of_a_file_that_is_known(path: str) -> None:
    """Opened again in the same process, as notebooks and pipelines do."""
    slow = path.endswith("bz2")
    ways = {
        "mrcarray.read_header": lambda: int(mrcarray.read_header(path).nx),
        "mrcarray.open_array": lambda: mrcarray.open_array(path).shape[-1],
        'xr.open_dataset(engine="mrc")': lambda: xr.open_dataset(path, engine="mrc").sizes["x"],
        "mrcarray.classic header_only": lambda: ours_header(path),
        "mrcfile header_only": lambda: peer_header(path),
    }
    compare("header of a file opened before", ways, repeat=15, inner=1 if slow else 100)


MEMORY = f"""
import sys
import mrcarray
{PEAK_MEMORY}
array = mrcarray.open_array(sys.argv[1])
array.source.read(0, 2048)
with open("/proc/self/clear_refs", "w") as refs:
    refs.write("5")  # the peak begins anew at what is held now
before = peak_memory()
values = array[...]
print(peak_memory() - before, values.nbytes)
"""


def test_memory_of_a_whole_read(path: str) -> None:
    peak, nbytes = map(int, subprocess.check_output([sys.executable, "-c", MEMORY, path], text=True).split())
    print(f"peak of a whole read: {peak / nbytes:.2f} times the array")  # noqa: T201 -- that is what it is for
    assert peak <= 1.1 * nbytes + (16 << 20)
