"""`vectored.gather`: the bytes of the file, or False."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mrcarray.array import MrcArray, ReadSizes, execute
from mrcarray.errors import StaleFileError, TruncatedError
from mrcarray.format.layout import Layout
from mrcarray.format.selection import plan
from mrcarray.storage import local, open_source, vectored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="runs are gathered on Linux only")

SHAPE = (3, 128, 4096)
COLUMN = np.s_[:, :, 1000:1003]


@pytest.fixture
def pixels() -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 1 << 16, SHAPE).astype("<u4")


@pytest.fixture
def path(tmp_path: Path, pixels: np.ndarray[Any, Any]) -> Path:
    path = tmp_path / "pixels.bin"
    path.write_bytes(bytes(1024) + pixels.tobytes())
    return path


@pytest.fixture
def descriptor(path: Path) -> Iterator[int]:
    found = os.open(path, os.O_RDONLY)
    yield found
    os.close(found)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Collect what `gather` answers."""
    answers: list[bool] = []

    def spy(*arguments: Any) -> bool:
        answers.append(vectored.gather(*arguments))
        return answers[-1]

    monkeypatch.setattr(local, "gather", spy)
    return answers


def lazy(path: Path, dtype: str = "<u4") -> MrcArray:
    return MrcArray(Layout.raw(SHAPE, dtype, offset=1024), open_source(path))


def evict(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@pytest.mark.parametrize("length", [1, 3, 4096, 65536])
def test_rows_are_the_bytes_of_the_file(descriptor: int, path: Path, length: int) -> None:
    content = path.read_bytes()
    starts = np.random.default_rng(1).integers(0, len(content) - length, 3000 if length < 5000 else 20)
    out = np.empty((starts.size, length), dtype=np.uint8)
    assert vectored.gather(descriptor, starts, out)
    assert all(bytes(row) == content[start : start + length] for row, start in zip(out, starts.tolist(), strict=True))


@pytest.mark.parametrize("key", [COLUMN, np.s_[::-1, ::-1, 7], np.s_[:, (np.arange(90) * 7) % 128, 5:9]])
@pytest.mark.parametrize("dtype", ["<u4", ">u4"])
def test_scattered_pixels_are_gathered(
    path: Path, pixels: np.ndarray[Any, Any], answers: list[bool], key: Any, dtype: str
) -> None:
    np.testing.assert_array_equal(lazy(path, dtype)[key], pixels.view(dtype)[key])
    assert set(answers) == {True}


def test_packed_pixels_are_gathered(path: Path, answers: list[bool]) -> None:
    whole = MrcArray(Layout.raw((96, 16384), "<f2", offset=1024), open_source(path))
    expected = whole[...][:, 100:120:3]
    np.testing.assert_array_equal(whole[:, 100:120:3].view("u2"), expected.copy().view("u2"))
    assert answers == [True]


def test_distant_points_are_not_gathered(path: Path, pixels: np.ndarray[Any, Any], answers: list[bool]) -> None:
    places = np.s_[np.arange(60) % 3, np.arange(60) * 2, np.arange(60)]
    np.testing.assert_array_equal(lazy(path).vindex[places], pixels[places])
    assert answers == []


def test_uncached_file_is_not_mapped(
    path: Path, pixels: np.ndarray[Any, Any], answers: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local.LocalSession, "_cached", lambda *_: None)
    np.testing.assert_array_equal(lazy(path)[COLUMN], pixels[COLUMN])
    assert answers == []


def test_evicted_pages_read_right(path: Path, pixels: np.ndarray[Any, Any]) -> None:
    evict(path)
    np.testing.assert_array_equal(lazy(path)[COLUMN], pixels[COLUMN])


def test_truncation_under_the_map_returns_false(descriptor: int, path: Path) -> None:
    size = path.stat().st_size
    write = vectored._writev()
    assert write is not None
    out = np.empty((100, 8), dtype=np.uint8)
    with vectored._mapping(descriptor, 0, size) as address, vectored._pipe() as pipe:
        starts = address + np.linspace(0, size - 8, 100).astype(np.int64)
        assert vectored._copy(write, pipe, starts, out)
        os.truncate(path, 5000)
        assert not vectored._copy(write, pipe, starts, out)
        assert not vectored._copy(write, pipe, starts[50:], out[50:])


def test_short_file_is_not_gathered(descriptor: int, path: Path) -> None:
    starts = np.array([path.stat().st_size - 7])
    assert not vectored.gather(descriptor, starts, np.empty((1, 8), dtype=np.uint8))


def test_run_longer_than_the_pipe_is_not_gathered(descriptor: int) -> None:
    assert not vectored.gather(descriptor, np.array([0]), np.empty((1, 2 << 20), dtype=np.uint8))
    assert vectored.gather(descriptor, np.arange(99) * 99, np.empty((99, 3000), dtype=np.uint8))


def test_gather_without_descriptors_returns_false(descriptor: int, path: Path, pixels: np.ndarray[Any, Any]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208 -- names are all that is wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1, hard))
    try:
        fillers = []
        with contextlib.suppress(OSError):
            while True:
                fillers.append(os.dup(descriptor))
        assert not vectored.gather(descriptor, np.array([0]), np.empty((1, 8), dtype=np.uint8))
        os.close(fillers.pop())
        np.testing.assert_array_equal(lazy(path)[COLUMN], pixels[COLUMN])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for filler in fillers:
            os.close(filler)


def test_other_systems_do_not_gather(
    path: Path, pixels: np.ndarray[Any, Any], answers: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    vectored._writev.cache_clear()
    monkeypatch.setattr(sys, "platform", "darwin")
    np.testing.assert_array_equal(lazy(path)[COLUMN], pixels[COLUMN])
    monkeypatch.undo()
    vectored._writev.cache_clear()
    assert answers == [False]


def test_truncated_or_replaced_file_raises(path: Path, tmp_path: Path) -> None:
    cut = lazy(path)
    os.truncate(path, 100_000)
    with pytest.raises(StaleFileError):
        cut[COLUMN]
    other = tmp_path / "other"
    other.write_bytes(bytes(cut.layout.stop))
    other.replace(path)
    with pytest.raises(StaleFileError):
        cut[COLUMN]


def test_no_descriptor_is_left_open(path: Path) -> None:
    array = lazy(path)
    before = os.listdir("/proc/self/fd")  # noqa: PTH208 -- names are all that is wanted
    array[COLUMN]
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208


def test_threads_read_the_same(path: Path, pixels: np.ndarray[Any, Any]) -> None:
    array, results = lazy(path), list[bool]()

    def read() -> None:
        results.extend(np.array_equal(array[COLUMN], pixels[COLUMN]) for _ in range(20))

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 120


def test_many_runs_are_gathered_in_parts(path: Path, answers: list[bool]) -> None:
    layout = Layout.raw((1500, 1030), "<u4", offset=1024)
    expected = np.frombuffer(path.read_bytes(), "<u4", offset=1024)[: 1500 * 1030].reshape(1500, 1030)
    key = np.s_[::5, 1:3]
    found = execute(plan(layout, key), open_source(path), ReadSizes(scattered=512))
    np.testing.assert_array_equal(found, expected[key])
    assert len(answers) > 1
    assert all(answers)


def test_forked_child_reads_the_same(path: Path) -> None:
    array = lazy(path)
    expected = array[COLUMN]
    with multiprocessing.get_context("fork").Pool(1) as pool:
        np.testing.assert_array_equal(pool.apply(array.__getitem__, (COLUMN,)), expected)


CUTTER = """
import os, sys
with open(sys.argv[1], "r+b") as file:
    size = os.fstat(file.fileno()).st_size
    print("ready", flush=True)
    while not os.path.exists(sys.argv[1] + ".stop"):
        os.ftruncate(file.fileno(), 9000)
        os.ftruncate(file.fileno(), size)
"""


def test_repeated_truncation_never_kills(tmp_path: Path) -> None:
    path, stop = tmp_path / "zeros", tmp_path / "zeros.stop"
    size = Layout.raw(SHAPE, "<u4", offset=1024).stop
    path.write_bytes(bytes(size))
    descriptor = os.open(path, os.O_RDONLY)
    with subprocess.Popen([sys.executable, "-c", CUTTER, str(path)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        try:
            starts = 1024 + np.arange(300) * 4096
            out = np.empty((300, 12), dtype=np.uint8)
            for _ in range(300):
                if vectored.gather(descriptor, starts, out):
                    assert not out.any()
                with contextlib.suppress(StaleFileError, TruncatedError):
                    assert not lazy(path)[COLUMN].any()
        finally:
            stop.touch()
            os.close(descriptor)
    assert other.returncode == 0
