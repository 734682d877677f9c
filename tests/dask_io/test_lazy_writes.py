"""Deferred writes whose temporary file is removed, replaced, or left by a failure."""

from __future__ import annotations

import errno
import gc
import os
import pickle
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
import numpy as np
import pytest

import mrcarray
from mrcarray.dask_io import graph
from mrcarray.errors import ConflictError, MrcValueError
from mrcarray.format.builder import draft
from mrcarray.region_writer import Part
from mrcarray.statistics import Stats
from mrcarray.storage import lease, orphans
from mrcarray.storage.compression.writer import compressor_for
from mrcarray.storage.lease import Lease
from mrcarray.writer import DeferredWriter
from mrcarray.xarray_backend.write import to_mrc
from tests.storage.faults import calls_with, failing
from tests.writing import left, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAMES = ["a.mrc", "a.mrc.gz", "a.mrc.bz2"]
PLANES = np.arange(1, 8 * 6 * 5 + 1, dtype="f4").reshape(8, 6, 5)


def temporary(folder: Path) -> Path:
    (found,) = folder.glob(".*.mrcarray-tmp")
    return found


def planes(meanwhile: Callable[[], Any] = lambda: None, at: int = 4) -> da.Array:
    """Return planes one chunk each; `meanwhile` is called when plane `at` is computed."""

    def look(block: Any) -> Any:
        if block.size and (block == PLANES[at]).all():
            meanwhile()
        return block

    array: da.Array = da.from_array(PLANES, chunks=(1, -1, -1)).map_blocks(
        look, dtype="f4", meta=np.empty((0, 0, 0), "f4")
    )
    return array


def deferred(path: Path) -> DeferredWriter:
    """Return a write of `PLANES` that has not begun."""
    plan = draft(PLANES.shape, "f4")
    return DeferredWriter.of(path, plan, compressor_for(str(path)), overwrite=False, sync=False)


def one_thread() -> Any:
    return dask.config.set(scheduler="synchronous")


@pytest.mark.parametrize("name", NAMES)
def test_removed_temporary_file_is_an_error(tmp_path: Path, name: str) -> None:
    job = to_mrc(planes(lambda: temporary(tmp_path).unlink()), tmp_path / name, compute=False)
    with (
        one_thread(),
        pytest.raises(FileNotFoundError, match="removed while it was written; run the computation again"),
    ):
        job.compute()  # type: ignore[union-attr]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("compute", [True, False])
def test_replaced_temporary_file_is_refused_and_kept(tmp_path: Path, name: str, compute: bool) -> None:
    other = b"another program's file".ljust(9000)

    def replace() -> None:
        temp = temporary(tmp_path)
        temp.unlink()
        temp.write_bytes(other)

    def work() -> None:
        written: Any = to_mrc(planes(replace), tmp_path / name, compute=compute)
        written.compute()

    with one_thread(), pytest.raises(ConflictError, match="another file has the name"):
        work()
    assert not (tmp_path / name).exists()
    if not compute:
        assert temporary(tmp_path).read_bytes() == other


def test_parts_in_two_temporary_files_are_refused(tmp_path: Path) -> None:
    """A cluster that lost the worker with the lease runs the first task again, after a purge of the folder."""
    later = deferred(tmp_path / "a.mrc")
    first = pickle.loads(pickle.dumps(later.begin()))
    one = first.write(slice(0, 4), PLANES[:4])
    Path(later.temp).unlink()
    second = later.begin()
    two = second.write(slice(4, 8), PLANES[4:])
    records = np.concatenate([graph._record(part, 3) for part in (one, two)])
    with pytest.raises(ConflictError, match="some pixels are lost; run the computation again"):
        graph._merge_records(records)
    with pytest.raises(ConflictError, match=r"a\.mrc: the temporary file was removed"):
        later.finish(Part.at(one.merge(two), (), one.file), second)
    with pytest.raises(ConflictError, match="another file has the name"):
        first.write(slice(0, 4), PLANES[:4])
    assert not (tmp_path / "a.mrc").exists()


def test_slabs_in_two_compressed_files_are_refused(tmp_path: Path) -> None:
    later = deferred(tmp_path / "a.mrc.gz")
    first = pickle.loads(pickle.dumps(later.begin()))
    one = graph._append(graph._Appended(2000, Part()), (b"slab", Stats()), first)
    Path(later.temp).unlink()
    with pytest.raises(ConflictError, match="some pixels are lost"):
        graph._append(one, (b"slab", Stats()), later.begin())


def test_first_task_that_runs_again_uses_the_same_file(tmp_path: Path) -> None:
    temp = orphans.lease_name(str(tmp_path / "a.mrc"), "1234567")
    first = pickle.loads(pickle.dumps(Lease.begin(temp, str(tmp_path / "a.mrc"), bytes(1024), 2000)))
    again = Lease.begin(temp, str(tmp_path / "a.mrc"), bytes(1024), 2000)
    assert again.number == first.number
    Path(temp).write_bytes(bytes(2000))
    with pytest.raises(ConflictError, match="incomplete and is removed"):
        Lease.begin(temp, str(tmp_path / "a.mrc"), bytes(1024), 2000)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("error", [MrcValueError("user code"), OSError(errno.EIO, "user code")])
def test_failed_computation_leaves_nothing(tmp_path: Path, name: str, error: Exception) -> None:
    def fail() -> None:
        raise error

    job = to_mrc(planes(fail), tmp_path / name, compute=False)
    with one_thread(), pytest.raises(type(error), match="user code"):
        job.compute()  # type: ignore[union-attr]
    error.__traceback__ = None
    gc.collect()
    assert not list(tmp_path.iterdir())


@pytest.fixture
def frozen_heap() -> Iterator[None]:
    """Make `gc.collect` look only at objects made by the test: the others take 0.1 s each time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("frozen_heap")
@pytest.mark.parametrize("name", NAMES)
def test_full_disk_at_any_call_leaves_the_old_or_the_new_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    array = da.from_array(PLANES, chunks=(4, -1, -1))

    def write() -> None:
        with one_thread():
            to_mrc(array, path, compute=False, overwrite=True, label="").compute()  # type: ignore[union-attr]

    with calls_with() as dry:
        write()
    new = path.read_bytes()
    assert dry.seen.count("pwrite") == 4  # header, two chunks, header
    for at, call in enumerate(dry.seen):
        path.write_bytes(b"old")
        failed = False
        with calls_with(at, failing(errno.ENOSPC)):
            try:
                write()
            except OSError:
                failed = True
        gc.collect()
        content = path.read_bytes()
        assert content == new or (failed and content == b"old"), (at, call)
        assert not left(tmp_path), (at, call)


def test_task_that_misses_the_file_raises_the_first_failure(tmp_path: Path) -> None:
    region = deferred(tmp_path / "a.mrc").begin()
    with calls_with(1, failing(errno.EIO)), pytest.raises(OSError, match="Input/output error"):
        region.write(slice(0, 4), PLANES[:4])
    with pytest.raises(OSError, match="Input/output error"):
        region.write(slice(0, 4), PLANES[:4])
    assert not list(tmp_path.iterdir())


def test_pickled_lease_keeps_the_file(tmp_path: Path) -> None:
    temp = orphans.lease_name(str(tmp_path / "a.mrc"), "1234567")
    held = Lease.begin(temp, str(tmp_path / "a.mrc"), bytes(1024), 2000)
    alone = [held.is_alone]
    copy = pickle.loads(pickle.dumps(held))
    assert [*alone, held.is_alone] == [True, False]
    assert len(pickle.dumps(copy)) < 300
    del held
    gc.collect()
    os.close(copy.open())
    copy.remove()
    assert not list(tmp_path.iterdir())


def test_lease_is_renewed(tmp_path: Path) -> None:
    temp = orphans.lease_name(str(tmp_path / "a.mrc"), "1234567")
    held = Lease.begin(temp, str(tmp_path / "a.mrc"), bytes(1024), 2000)
    os.utime(temp, (time.time() - 7200,) * 2)
    assert lease._renewed.renew()
    to_mrc(PLANES, tmp_path / "b.mrc")
    assert Path(temp).exists()
    assert not orphans.remove(temp)
    assert orphans.remove(temp, now=time.time() + orphans.LEASE_SECONDS + 1)
    del held


def test_next_write_removes_a_file_with_an_expired_lease(tmp_path: Path) -> None:
    abandoned = Path(orphans.lease_name(str(tmp_path / "a.mrc"), "1234567"))
    abandoned.write_bytes(b"some")
    to_mrc(PLANES, tmp_path / "b.mrc")
    assert abandoned.exists()
    os.utime(abandoned, (time.time() - 7200,) * 2)
    to_mrc(PLANES, tmp_path / "c.mrc")
    assert not abandoned.exists()


def test_job_runs_again_after_a_failure(tmp_path: Path) -> None:
    broken, kept = [True], list[Exception]()

    def fail() -> None:
        if broken:
            broken.clear()
            raise ZeroDivisionError
        kept.clear()  # a notebook forgets the last error
        gc.collect()

    job: Any = to_mrc(planes(fail), tmp_path / "a.mrc", compute=False)
    with one_thread():
        try:
            job.compute()
        except ZeroDivisionError as error:
            kept.append(error)
        assert temporary(tmp_path).exists()
        assert job.compute() == str(tmp_path / "a.mrc")
    np.testing.assert_array_equal(read(tmp_path / "a.mrc"), PLANES)
    assert mrcarray.read_header(tmp_path / "a.mrc").dmin == 1
    assert not left(tmp_path)


def test_collecting_a_lease_waits_for_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temp = orphans.lease_name(str(tmp_path / "a.mrc"), "0123456")
    cycle: list[Any] = [Lease.begin(temp, str(tmp_path / "a.mrc"), bytes(1024), 2048)]
    cycle.append(cycle)

    class Collecting(weakref.WeakSet[Lease]):
        def add(self, item: Lease) -> None:
            gc.collect()
            super().add(item)

    monkeypatch.setattr(lease._renewed, "_leases", Collecting(lease._renewed._leases))
    del cycle
    work = threading.Thread(target=Lease, args=(str(tmp_path / "b"), bytes(lease.MARK_NBYTES)), daemon=True)
    work.start()
    work.join(8)
    if work.is_alive():
        monkeypatch.setattr(lease, "_renewed", lease._Renewed())  # or every later test hangs
        pytest.fail("the lease waits for a lock that its own thread holds")
    assert left(tmp_path) == []


def test_forked_child_has_a_new_lock(tmp_path: Path) -> None:
    program = f"""
import os, signal, warnings
from mrcarray.storage import lease
warnings.simplefilter("ignore")
with lease._renewed._lock:
    child = os.fork()
    if not child:
        signal.alarm(8)
        lease.Lease({str(tmp_path / "a")!r}, bytes(32))
        os._exit(0)
print(os.waitpid(child, 0)[1])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "0\n", done


def test_write_without_more_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(lease, "_renewed", lease._Renewed())
    with one_thread(), monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        to_mrc(planes(), tmp_path / "a.mrc")
    np.testing.assert_array_equal(read(tmp_path / "a.mrc"), PLANES)
