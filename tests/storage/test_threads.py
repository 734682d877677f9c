"""A system that starts no more threads, or has no more memory: fewer threads, or a MemoryError, and nothing else."""

from __future__ import annotations

import gzip
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

import mrcarray
import mrcarray.classic as mrcfile
from mrcarray.statistics import PARALLEL, Stats
from mrcarray.storage.coalesce import in_threads
from mrcarray.storage.remote import transport
from mrcarray.storage.threads import started
from mrcarray.validation import validate
from tests.builders import mrc_bytes, sample

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (10, 1024, 1024)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(sample(SHAPE, 1), 1))
    return path


@pytest.fixture
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)


@pytest.mark.usefixtures("_no_threads")
class TestNoThreads:
    def test_reading_is_done_by_the_caller(self, path: Path) -> None:
        expected = sample(SHAPE, 1)
        array = mrcarray.open_array(path)
        np.testing.assert_array_equal(array[...], expected)
        np.testing.assert_array_equal(array[:, ::7, ::50], expected[:, ::7, ::50])
        np.testing.assert_array_equal(mrcfile.read(path), expected)

    def test_statistics_are_made_by_the_caller(self, path: Path) -> None:
        values = np.ones(PARALLEL + 1, dtype=np.float32)
        assert Stats.of(values, threads=4).count == values.size
        assert validate(path, threads=4).ok

    def test_an_error_of_the_work_is_raised(self) -> None:
        def fail(task: int) -> None:
            raise ValueError(task)

        with pytest.raises(ValueError, match="1"):
            in_threads(fail, [1, 2], 1 << 30)
        assert started(print, 3) == []

    def test_a_connection_that_needs_one_is_a_memory_error(self) -> None:
        def connect() -> None:
            threading.Thread(target=print).start()

        with pytest.raises(MemoryError, match="s3://b/a: can't start new thread"):
            transport.guarded(connect, "s3://b/a", str)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_classic_reading_without_memory_is_a_memory_error(
    path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = path.read_bytes()
    whole = path.with_name("b.mrc" + suffix)
    whole.write_bytes(gzip.compress(raw, 1) if suffix else raw)
    empty = np.empty

    def limited(shape: object, dtype: object = float) -> object:
        if isinstance(shape, int) and shape > 16 << 20:
            raise MemoryError(f"Unable to allocate {shape} bytes")
        return empty(shape, dtype)  # type: ignore[call-overload]

    monkeypatch.setattr(np, "empty", limited)
    with pytest.raises(MemoryError, match="Unable to allocate"):
        mrcfile.read(whole)
