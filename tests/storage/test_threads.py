"""Thread fan-outs, and systems that start no more threads or have no more memory."""

from __future__ import annotations

import gzip
import os
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

import mrcarray
import mrcarray.classic as mrcfile
from mrcarray.statistics import PARALLEL, Stats
from mrcarray.storage.coalesce import in_threads
from mrcarray.storage.remote import transport
from mrcarray.storage.threads import Ordered, allowed, each, ordered, processors, started, without
from mrcarray.validation import check
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
    def test_caller_reads(self, path: Path) -> None:
        expected = sample(SHAPE, 1)
        array = mrcarray.open_array(path)
        np.testing.assert_array_equal(array[...], expected)
        np.testing.assert_array_equal(array[:, ::7, ::50], expected[:, ::7, ::50])
        np.testing.assert_array_equal(mrcfile.read(path), expected)

    def test_caller_computes_statistics(self, path: Path) -> None:
        values = np.ones(PARALLEL + 1, dtype=np.float32)
        assert Stats.of(values, threads=4).count == values.size
        assert check(path, threads=4).ok

    def test_error_of_the_work_is_raised(self) -> None:
        def fail(task: int) -> None:
            raise ValueError(task)

        with pytest.raises(ValueError, match="1"):
            in_threads(fail, [1, 2], 1 << 30)
        assert started(print, 3) == []

    def test_connection_without_thread_is_memory_error(self) -> None:
        def connect() -> None:
            threading.Thread(target=print).start()

        with pytest.raises(MemoryError, match="s3://b/a: can't start new thread"):
            transport.guarded(connect, "s3://b/a", str)


class TestFanOut:
    def test_each_calls_every_task_once(self) -> None:
        done: list[int] = []
        each(done.append, range(100), 4)
        assert sorted(done) == list(range(100))

    def test_each_raises_the_first_error_and_stops(self) -> None:
        done: list[int] = []

        def work(task: int) -> None:
            done.append(task)
            if task == 3:
                raise KeyError(task)

        with pytest.raises(KeyError):
            each(work, range(10_000), 1)
        assert done == [0, 1, 2, 3]

    @pytest.mark.parametrize("count", [1, 4])
    def test_ordered_keeps_the_order(self, count: int) -> None:
        assert list(ordered(lambda task: task * 2, range(50), count)) == list(range(0, 100, 2))

    def test_pop_raises_the_error_of_its_work(self) -> None:
        results: Ordered[int] = Ordered()
        results.submit(int, "7")
        results.submit(int, "x")
        assert results.pop() == 7
        with pytest.raises(ValueError, match="invalid literal"):
            results.pop()

    def test_forked_child_does_the_work_itself(self) -> None:
        results: Ordered[int] = Ordered()
        begun, go = threading.Event(), threading.Event()

        def work() -> int:
            begun.set()
            go.wait(20)
            return 7

        results.submit(work)
        if processors() > 1:
            assert begun.wait(20)
        child = os.fork()
        if child == 0:  # pragma: no cover -- another process
            go.set()
            os._exit(0 if results.pop() == 7 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        go.set()
        assert results.pop() == 7

    def test_without_starts_no_thread(self) -> None:
        seen: list[threading.Thread] = []

        def work(_: int) -> None:
            seen.append(threading.current_thread())

        with without():
            assert not allowed()
            each(work, range(4), 4)
            list(ordered(work, range(4), 4))
        assert set(seen) == {threading.current_thread()}


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_classic_read_without_memory_is_memory_error(path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
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
