"""Dask arrays written to new files: chunks of any shape, statistics, failures, memory."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import mrcarray
from mrcarray.dask_io import graph
from mrcarray.dask_io.writing import write_dask
from mrcarray.errors import MrcValueError, MrcWarning
from mrcarray.format.builder import draft
from mrcarray.region_writer import Part, Region
from mrcarray.statistics import Stats
from mrcarray.storage.lease import Lease
from mrcarray.writer import Writer
from tests import builders
from tests.dask_io.arrays import NAMES, VALUES, check, deferred, lazy
from tests.memory import PEAK_MEMORY

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scheduler", ["threads", "sync"])
@pytest.mark.parametrize("chunks", [(5, 7, 11), (1, 20, 24), (12, 20, 1), -1, (12, 3, 24)])
def test_chunks_of_any_shape(tmp_path: Path, name: str, scheduler: str, chunks: Any) -> None:
    with dask.config.set(scheduler=scheduler):
        assert write_dask(lazy(chunks), tmp_path / name, draft(VALUES.shape, "f4")) == str(tmp_path / name)
    check(tmp_path / name)


@given(
    shape=st.lists(st.integers(1, 7), min_size=2, max_size=4),
    mode=st.sampled_from([0, 1, 2, 3, 4, 6, 12, 101]),
    order=st.sampled_from("<>"),
    data=st.data(),
)
def test_any_shape_mode_byte_order_and_chunks(
    tmp_path: Path, shape: list[int], mode: int, order: str, data: st.DataObject
) -> None:
    values = builders.sample(tuple(shape), mode)
    chunks = tuple(data.draw(st.integers(1, n)) for n in shape)
    name = data.draw(st.sampled_from(["a.mrc", "a.mrc.gz"]))
    plan = draft(values.shape, values.dtype, mode=mode, byteorder=order, extended=b"x" * 80)
    with dask.config.set(scheduler="sync"):
        write_dask(da.from_array(values, chunks=chunks), tmp_path / name, plan, overwrite=True, sync=False)
    np.testing.assert_array_equal(mrcarray.open_array(tmp_path / name)[...], values)
    if mode not in (3, 4):
        header = mrcarray.read_header(tmp_path / name)
        assert header.rms == pytest.approx(values.astype("f8").std(), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_delayed_writes_each_time_it_runs(tmp_path: Path, name: str) -> None:
    from dask.delayed import Delayed

    job = mrcarray.to_mrc(lazy(), tmp_path / name, compute=False, overwrite=True)
    assert isinstance(job, Delayed)
    assert not list(tmp_path.iterdir())
    for _ in range(2):
        assert job.compute(scheduler="threads") == str(tmp_path / name)
        check(tmp_path / name)


def test_existing_file_is_refused_before_the_delayed_runs(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_bytes(b"old")
    for compute in (True, False):
        with pytest.raises(FileExistsError):
            mrcarray.to_mrc(lazy(), tmp_path / "a.mrc", compute=compute)
    with pytest.raises(FileNotFoundError):
        mrcarray.to_mrc(lazy(), tmp_path / "none/a.mrc", compute=False)


@pytest.mark.parametrize("name", NAMES)
def test_failed_task_leaves_the_old_file(tmp_path: Path, name: str) -> None:
    def fails(block: Any, block_info: Any = None) -> Any:
        if block_info and block_info[0]["chunk-location"] == (2, 0, 0):
            raise ZeroDivisionError
        return block

    (tmp_path / name).write_bytes(b"old")
    array = da.map_blocks(fails, lazy((5, 20, 24)), dtype="f4")
    with pytest.raises(ZeroDivisionError):
        mrcarray.to_mrc(array, tmp_path / name, overwrite=True)
    assert (tmp_path / name).read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_value_out_of_range_is_refused_in_a_task(tmp_path: Path) -> None:
    with pytest.raises(MrcValueError, match="does not fit mode 0"):
        mrcarray.to_mrc(lazy() * 1000, tmp_path / "a.mrc", mode=0)
    assert not list(tmp_path.iterdir())


def test_tasks_that_run_twice_change_nothing(tmp_path: Path) -> None:
    from dask.delayed import delayed

    later = deferred(tmp_path / "a.mrc")
    for _ in range(2):
        region = later.begin()
        part = graph.write_chunks(lazy(), later.plan.layout, delayed(region)).compute(scheduler="threads")
    later.finish(part, region)
    check(tmp_path / "a.mrc")


def test_missing_pixels_are_refused(tmp_path: Path) -> None:
    later = deferred(tmp_path / "a.mrc")
    region = later.begin()
    with pytest.raises(MrcValueError, match="0 of 5760 pixels"):
        later.finish(Part(file=region.file), region)
    assert not list(tmp_path.iterdir())


def test_nan_in_several_chunks_warns_once(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[::5, 3, 3] = np.nan
    with pytest.warns(MrcWarning, match="3 pixels are not a number"):
        mrcarray.to_mrc(da.from_array(values, chunks=4), tmp_path / "a.mrc")
    assert mrcarray.read_header(tmp_path / "a.mrc").rms == -1


@given(st.lists(st.floats(-1e6, 1e6), max_size=5), st.booleans())
def test_statistics_as_an_array_element(values: list[float], is_complex: bool) -> None:
    array = np.array(values, dtype="c16" if is_complex else "f8")
    part = Part.at(Stats.of(array), (), 7)
    found = graph._from_record(graph._record(part, 3))
    assert repr(found) == repr(part) or found.count == 0
    assert graph.RECORD.itemsize == 73


def test_unknown_and_different_shapes_are_refused(tmp_path: Path) -> None:
    unknown = lazy()[da.from_array(np.arange(12)) > 3]
    with pytest.raises(MrcValueError, match="compute_chunk_sizes"):
        write_dask(unknown, tmp_path / "a.mrc", draft(VALUES.shape, "f4"))
    with pytest.raises(MrcValueError, match="has shape"):
        write_dask(lazy(), tmp_path / "a.mrc", draft((1, 2, 3), "f4"))


def test_progress_bar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mrcarray.to_mrc(lazy(), tmp_path / "a.mrc")
    assert capsys.readouterr().err == ""
    mrcarray.to_mrc(lazy(), tmp_path / "b.mrc", progress=True)
    assert "100%" in capsys.readouterr().err


@pytest.mark.parametrize("shape", [(3, 5), (40, 6, 7), (2, 30, 6, 7)])
def test_slabs_of_compressed_files_are_in_order(shape: tuple[int, ...]) -> None:
    for limit in (1, 100, 1000, 1 << 20):
        layout = draft(shape, "f4").layout
        chunks = graph._slabs(da.zeros(shape, chunks=2), layout, limit)
        blocks = np.arange(np.prod(shape)).reshape(shape)
        flat = np.concatenate([b.compute().ravel() for b in da.from_array(blocks, chunks=chunks).to_delayed().ravel()])
        assert (np.diff(flat) == 1).all()


def test_store_to_a_writer(tmp_path: Path) -> None:
    with Writer(tmp_path / "a.mrc", VALUES.shape, "f4") as out:
        target: Any = out
        da.store(lazy(), target, lock=False, compute=True, scheduler="threads")
    check(tmp_path / "a.mrc")


# ------------------------------------------------------------------------------------------ to_mrc


@pytest.mark.parametrize("name", NAMES)
def test_arrays_without_labels(tmp_path: Path, name: str) -> None:
    mrcarray.to_mrc(VALUES, tmp_path / name, voxel_size=1.08)
    check(tmp_path / name)
    mrcarray.to_mrc(mrcarray.open_array(tmp_path / name), tmp_path / ("b" + name))
    check(tmp_path / ("b" + name))
    mrcarray.to_mrc(VALUES.tolist(), tmp_path / ("c" + name), dtype="float32")
    check(tmp_path / ("c" + name))


def test_dtype_selects_the_mode(tmp_path: Path) -> None:
    mrcarray.to_mrc(VALUES.astype("f8"), tmp_path / "a.mrc", dtype="float32")
    assert mrcarray.read_header(tmp_path / "a.mrc").mode == 2
    for wrong, text in (
        ({"dtype": "f8"}, "expected int8"),
        ({"dtype": "f4", "mode": 1}, "pass one of them"),
        ({}, "float64"),
    ):
        with pytest.raises(MrcValueError, match=text):
            mrcarray.to_mrc(VALUES.astype("f8"), tmp_path / "b.mrc", **wrong)


def test_suffix_label_version_and_compute(tmp_path: Path) -> None:
    mrcarray.to_mrc(VALUES, tmp_path / "a.mrcs", label="picked", nversion=20140)
    header = mrcarray.read_header(tmp_path / "a.mrcs")
    assert (header.ispg, header.mz, header.nversion) == (0, 1, 20140)
    assert header.text_labels[0].startswith("picked")
    with pytest.raises(MrcValueError, match="dask array"):
        mrcarray.to_mrc(VALUES, tmp_path / "b.mrc", compute=False)
    with pytest.raises(MrcValueError, match="empty"):
        mrcarray.to_mrc(VALUES[:0], tmp_path / "b.mrc")


@pytest.mark.parametrize("lazily", [False, True])
def test_masked_values_are_refused(tmp_path: Path, lazily: bool) -> None:
    masked = np.ma.masked_greater(VALUES, 2)
    target = tmp_path / "a.mrc"
    target.write_bytes(b"old")
    with pytest.raises(MrcValueError, match=r"masked.*array\.filled\(0\)"):
        mrcarray.to_mrc(da.from_array(masked, chunks=5) if lazily else masked, target, overwrite=True)
    assert target.read_bytes() == b"old"
    mrcarray.to_mrc(np.ma.masked_greater(VALUES, 1e9), target, overwrite=True)
    np.testing.assert_array_equal(mrcarray.open_array(target)[:], VALUES)


def test_memory_is_bounded_by_the_chunks(tmp_path: Path) -> None:
    code = """
        import sys
        import dask, dask.array as da
        import mrcarray
        array = da.ones((160, 512, 512), chunks=(4, 512, 512), dtype="f4")
        with dask.config.set(scheduler="threads", num_workers=2):
            mrcarray.to_mrc(array[:4], sys.argv[1], overwrite=True)
            before = peak_memory()
            mrcarray.to_mrc(array, sys.argv[1], overwrite=True, sync=False)
            print(peak_memory() - before)
    """
    command = [sys.executable, "-c", PEAK_MEMORY + textwrap.dedent(code), str(tmp_path / "a.mrc")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert int(done.stdout) < 96 << 20  # the array has 160 MiB
    (tmp_path / "a.mrc").unlink()


def test_worker_without_the_folder_is_explained(tmp_path: Path) -> None:
    region = Region.of(Lease(str(tmp_path / "none/temp"), b"mark"), draft(VALUES.shape, "f4").layout)
    with pytest.raises(FileNotFoundError, match=r"on host .*every worker must see"):
        region.write(0, VALUES[0])
