"""Dask arrays stream to files: chunks of any shape, from threads and processes, and nothing half done is ever seen."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
import hypothesis.strategies as st
import mrcfile
import numpy as np
import pytest
import xarray as xr
from hypothesis import given

import mrcarray
from mrcarray.dask_io import writing
from mrcarray.dask_io.writing import RECORD, write_dask
from mrcarray.errors import MrcValueError, MrcWarning
from mrcarray.format.builder import draft
from mrcarray.region_writer import create, finalize
from mrcarray.statistics import Stats
from mrcarray.storage.lease import Lease
from mrcarray.writer import Writer
from tests import builders
from tests.memory import PEAK_MEMORY

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ["a.mrc", "a.mrc.gz", "a.mrc.bz2"]
VALUES = np.random.default_rng(0).normal(size=(12, 20, 24)).astype("f4")


def lazy(chunks: Any = (5, 7, 11)) -> da.Array:
    array: da.Array = da.from_array(VALUES, chunks=chunks)
    return array


def check(path: Path | str, values: np.ndarray[Any, Any] = VALUES) -> None:
    """Assert that the file is there, alone, whole, and that its statistics are right."""
    with mrcfile.open(path) as found:
        np.testing.assert_array_equal(found.data, values)
        assert found.header.rms == pytest.approx(values.astype("f8").std(), rel=1e-6)
        assert found.header.dmean == pytest.approx(values.astype("f8").mean(), rel=1e-5, abs=1e-7)
        assert (found.header.dmin, found.header.dmax) == (values.min(), values.max())
    folder = Path(path).parent
    assert not [entry for entry in folder.iterdir() if entry.name.endswith("tmp")]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two processes of one thread each."""
    distributed = pytest.importorskip("distributed")
    with (
        dask.config.set({"distributed.worker.memory.spill": False}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", memory_limit="400MiB"
        ) as local,
        distributed.Client(local) as client,
    ):
        yield client


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scheduler", ["threads", "sync"])
@pytest.mark.parametrize("chunks", [(5, 7, 11), (1, 20, 24), (12, 20, 1), -1, (12, 3, 24)])
def test_chunks_of_any_shape_make_the_file(tmp_path: Path, name: str, scheduler: str, chunks: Any) -> None:
    with dask.config.set(scheduler=scheduler):
        assert write_dask(lazy(chunks), tmp_path / name, draft(VALUES.shape, "f4")) == str(tmp_path / name)
    check(tmp_path / name)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_processes_write_too(tmp_path: Path, name: str) -> None:
    with dask.config.set(scheduler="processes", num_workers=2):
        write_dask(lazy(), tmp_path / name, draft(VALUES.shape, "f4"))
        job: Any = write_dask(lazy(), tmp_path / ("b" + name), draft(VALUES.shape, "f4"), compute=False)
        assert job.compute() == str(tmp_path / ("b" + name))
    check(tmp_path / name)
    check(tmp_path / ("b" + name))


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
def test_one_delayed_writes_when_it_runs_and_can_run_again(tmp_path: Path, name: str) -> None:
    from dask.delayed import Delayed

    job = mrcarray.to_mrc(lazy(), tmp_path / name, compute=False, overwrite=True)
    assert isinstance(job, Delayed)
    assert not list(tmp_path.iterdir())
    for _ in range(2):
        assert job.compute(scheduler="threads") == str(tmp_path / name)
        check(tmp_path / name)


def test_an_existing_file_is_refused_when_the_delayed_is_made(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_bytes(b"old")
    for compute in (True, False):
        with pytest.raises(FileExistsError):
            mrcarray.to_mrc(lazy(), tmp_path / "a.mrc", compute=compute)
    with pytest.raises(FileNotFoundError):
        mrcarray.to_mrc(lazy(), tmp_path / "none/a.mrc", compute=False)


@pytest.mark.parametrize("name", NAMES)
def test_a_task_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, name: str) -> None:
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


def test_a_value_that_does_not_fit_is_refused_from_inside_a_task(tmp_path: Path) -> None:
    with pytest.raises(MrcValueError, match="does not fit mode 0"):
        mrcarray.to_mrc(lazy() * 1000, tmp_path / "a.mrc", mode=0)
    assert not list(tmp_path.iterdir())


def test_tasks_done_twice_do_no_harm(tmp_path: Path) -> None:
    from dask.delayed import delayed

    target = writing.Target(
        str(tmp_path / "temp"), str(tmp_path / "a.mrc"), draft(VALUES.shape, "f4"), overwrite=False, sync=False
    )
    for _ in range(2):
        lease = target.begin()
        held = delayed(lease)
        written = writing._scatter(lazy(), target, held).compute(scheduler="threads")
    target.finish(written, lease)
    check(tmp_path / "a.mrc")


def test_pixels_that_are_missing_are_noticed(tmp_path: Path) -> None:
    target = writing.Target(
        str(tmp_path / "temp"), str(tmp_path / "a.mrc"), draft(VALUES.shape, "f4"), overwrite=False, sync=False
    )
    lease = target.begin()
    with pytest.raises(MrcValueError, match="0 of 5760 pixels"):
        target.finish(writing.Written(Stats(), lease.number), lease)
    assert not list(tmp_path.iterdir())


def test_values_that_are_not_finite_are_counted_over_all_chunks(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[::5, 3, 3] = np.nan
    with pytest.warns(MrcWarning, match="3 pixels are not a number"):
        mrcarray.to_mrc(da.from_array(values, chunks=4), tmp_path / "a.mrc")
    assert mrcarray.read_header(tmp_path / "a.mrc").rms == -1


@given(st.lists(st.floats(-1e6, 1e6), max_size=5), st.booleans())
def test_statistics_survive_the_way_through_an_array(values: list[float], is_complex: bool) -> None:
    array = np.array(values, dtype="c16" if is_complex else "f8")
    found = writing._from_record(writing._record(writing.Written(Stats.of(array)), 3)).stats
    assert repr(found) == repr(Stats.of(array)) or found.count == 0
    assert RECORD.itemsize == 73


def test_shapes_must_be_known_and_agree(tmp_path: Path) -> None:
    unknown = lazy()[da.from_array(np.arange(12)) > 3]
    with pytest.raises(MrcValueError, match="compute_chunk_sizes"):
        write_dask(unknown, tmp_path / "a.mrc", draft(VALUES.shape, "f4"))
    with pytest.raises(MrcValueError, match="has shape"):
        write_dask(lazy(), tmp_path / "a.mrc", draft((1, 2, 3), "f4"))


def test_the_progress_bar_is_shown_when_asked_for_and_otherwise_only_on_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mrcarray.to_mrc(lazy(), tmp_path / "a.mrc")
    assert capsys.readouterr().err == ""
    mrcarray.to_mrc(lazy(), tmp_path / "b.mrc", progress=True)
    assert "100%" in capsys.readouterr().err


@pytest.mark.parametrize("shape", [(3, 5), (40, 6, 7), (2, 30, 6, 7)])
def test_slabs_of_compressed_files_follow_each_other(monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]) -> None:
    for limit in (1, 100, 1000, 1 << 20):
        monkeypatch.setattr(writing, "_SLAB", limit)
        layout = draft(shape, "f4").layout
        chunks = writing._slabs(da.zeros(shape, chunks=2), layout)
        blocks = np.arange(np.prod(shape)).reshape(shape)
        flat = np.concatenate([b.compute().ravel() for b in da.from_array(blocks, chunks=chunks).to_delayed().ravel()])
        assert (np.diff(flat) == 1).all()


def test_a_writer_is_a_target_of_dask_store(tmp_path: Path) -> None:
    with Writer(tmp_path / "a.mrc", VALUES.shape, "f4") as out:
        target: Any = out
        da.store(lazy(), target, lock=False, compute=True, scheduler="threads")
    check(tmp_path / "a.mrc")


# ------------------------------------------------------------------------------------------ regions


def volume() -> xr.DataArray:
    coords = {
        dim: (dim, 4.0 + 2.0 * np.arange(n), {"units": "angstrom"})
        for dim, n in zip(("z", "y", "x"), VALUES.shape, strict=True)
    }
    return xr.DataArray(VALUES, dims=("z", "y", "x"), coords=coords)


def test_regions_by_name_by_coords_and_by_key_fill_a_file(tmp_path: Path) -> None:
    whole = volume()
    whole.mrc.to_mrc(tmp_path / "a.mrc")
    path = tmp_path / "a.mrc"
    (whole * 0).mrc.to_mrc(path, overwrite=True)
    whole.isel(z=slice(0, 3)).mrc.to_mrc(path, region={"z": slice(0, 3)})
    whole.isel(z=slice(3, 6)).transpose("x", "y", "z").mrc.to_mrc(path, region="auto")
    whole.isel(z=6).mrc.to_mrc(path, region={"z": 6})
    whole.isel(z=7).mrc.to_mrc(path, region="auto")
    whole.isel(z=slice(8, 10)).chunk(z=1, y=7).mrc.to_mrc(path, region={"z": "auto"})
    mrcarray.to_mrc(VALUES[10], path, region=(10,))
    job: Any = mrcarray.to_mrc(lazy()[11:], path, region=(slice(11, None), ...), compute=False)
    assert isinstance(job.compute(), Stats)
    assert mrcarray.read_header(path).rms == -1
    finalize(path)
    check(path)


def test_regions_of_a_file_made_for_many_hands(tmp_path: Path) -> None:
    path = create(tmp_path / "a.mrc", VALUES.shape, "f4", voxel_size=2.0)
    parts: list[Any] = [mrcarray.to_mrc(lazy()[z : z + 4], path, region=(slice(z, z + 4),)) for z in range(0, 12, 4)]
    finalize(path, parts)
    check(path)


@pytest.mark.parametrize(
    ("array", "region", "text"),
    [
        (volume().isel(z=slice(2)), {"z": slice(0, 3)}, "shape"),
        (volume(), {"time": 0}, "names"),
        (volume(), "somewhere", "'auto'"),
        (volume().assign_coords(z=volume().z + 1), "auto", "begins at voxel 0.5"),
        (volume().assign_coords(z=volume().z + 100), "auto", "begins at voxel 50"),
        (volume().assign_coords(z=("z", 5 + 3.0 * np.arange(12), {"units": "angstrom"})), "auto", "voxel size along z"),
        (volume().drop_vars("z").isel(z=slice(3)), "auto", "none along z"),
        (volume().rename(z="section"), "auto", "not those of the file"),
    ],
)
def test_regions_that_do_not_fit_are_refused(tmp_path: Path, array: xr.DataArray, region: Any, text: str) -> None:
    volume().mrc.to_mrc(tmp_path / "a.mrc")
    before = (tmp_path / "a.mrc").read_bytes()
    with pytest.raises(MrcValueError, match=text):
        array.mrc.to_mrc(tmp_path / "a.mrc", region=region)
    assert (tmp_path / "a.mrc").read_bytes() == before


def test_sections_of_a_stack_are_found_by_their_numbers(tmp_path: Path) -> None:
    stack = xr.DataArray(VALUES, dims=("section", "y", "x"), coords={"section": np.arange(12)})
    (stack * 0).mrc.to_mrc(tmp_path / "a.mrc", voxel_size=1.5)
    stack.isel(section=slice(3, 6)).mrc.to_mrc(tmp_path / "a.mrc", region="auto")
    np.testing.assert_array_equal(mrcarray.open_array(tmp_path / "a.mrc")[3:6], VALUES[3:6])
    with pytest.raises(MrcValueError, match="one by one"):
        stack.isel(section=[1, 3]).mrc.to_mrc(tmp_path / "a.mrc", region="auto")


# ------------------------------------------------------------------------------------------ the front function


@pytest.mark.parametrize("name", NAMES)
def test_arrays_without_labels_are_written_by_the_number_of_their_axes(tmp_path: Path, name: str) -> None:
    mrcarray.to_mrc(VALUES, tmp_path / name, voxel_size=1.08)
    check(tmp_path / name)
    mrcarray.to_mrc(mrcarray.open_array(tmp_path / name), tmp_path / ("b" + name))
    check(tmp_path / ("b" + name))
    mrcarray.to_mrc(VALUES.tolist(), tmp_path / ("c" + name), dtype="float32")
    check(tmp_path / ("c" + name))


def test_a_dtype_asks_for_its_mode(tmp_path: Path) -> None:
    mrcarray.to_mrc(VALUES.astype("f8"), tmp_path / "a.mrc", dtype="float32")
    assert mrcarray.read_header(tmp_path / "a.mrc").mode == 2
    for wrong, text in (
        ({"dtype": "f8"}, "hold int8"),
        ({"dtype": "f4", "mode": 1}, "one of the two"),
        ({}, "float64"),
    ):
        with pytest.raises(MrcValueError, match=text):
            mrcarray.to_mrc(VALUES.astype("f8"), tmp_path / "b.mrc", **wrong)


def test_suffix_label_version_and_compute_are_heard(tmp_path: Path) -> None:
    mrcarray.to_mrc(VALUES, tmp_path / "a.mrcs", label="picked", nversion=20140)
    header = mrcarray.read_header(tmp_path / "a.mrcs")
    assert (header.ispg, header.mz, header.nversion) == (0, 1, 20140)
    assert header.text_labels[0].startswith("picked")
    with pytest.raises(MrcValueError, match="dask array"):
        mrcarray.to_mrc(VALUES, tmp_path / "b.mrc", compute=False)
    with pytest.raises(MrcValueError, match="empty"):
        mrcarray.to_mrc(VALUES[:0], tmp_path / "b.mrc")


@pytest.mark.parametrize("lazily", [False, True])
def test_values_behind_a_mask_are_refused_and_the_target_stays_as_it_was(tmp_path: Path, lazily: bool) -> None:
    masked = np.ma.masked_greater(VALUES, 2)
    target = tmp_path / "a.mrc"
    target.write_bytes(b"old")
    with pytest.raises(MrcValueError, match=r"masked.*array\.filled\(0\)"):
        mrcarray.to_mrc(da.from_array(masked, chunks=5) if lazily else masked, target, overwrite=True)
    assert target.read_bytes() == b"old"
    mrcarray.to_mrc(np.ma.masked_greater(VALUES, 1e9), target, overwrite=True)
    np.testing.assert_array_equal(mrcarray.open_array(target)[:], VALUES)


def test_writing_dask_arrays_holds_only_the_chunks_in_work(tmp_path: Path) -> None:
    code = """
        import sys
        import dask, dask.array as da
        import mrcarray
        array = da.ones((256, 512, 512), chunks=(4, 512, 512), dtype="f4")
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
    assert int(done.stdout) < 96 << 20  # the array has 256 MiB
    (tmp_path / "a.mrc").unlink()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.mrc", "a.mrc.gz"])
def test_a_cluster_writes_a_file_larger_than_the_memory_of_a_worker(tmp_path: Path, cluster: Any, name: str) -> None:  # noqa: ARG001 -- its being there matters
    shape = (120, 1024, 1024)
    array = da.random.default_rng(0).integers(0, 100, size=shape, dtype="i2", chunks=(4, 1024, 1024)) + da.zeros(
        shape, dtype="f4", chunks=(4, 1024, 1024)
    )
    path = str(mrcarray.to_mrc(array, tmp_path / name, sync=False))
    found = mrcarray.read_header(path)
    assert (found.dmin, found.dmax) == (0, 99)
    if name == "a.mrc":
        job: Any = mrcarray.to_mrc(array, path, compute=False, overwrite=True, sync=False)
        assert job.compute() == path
        assert Path(path).stat().st_size == 1024 + 4 * 120 * 1024 * 1024 > 400 << 20
        np.testing.assert_array_equal(mrcarray.open_array(path)[70], array[70].compute())
    Path(path).unlink()
    assert not list(tmp_path.iterdir())


def _divided(block: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return block * (1 // int(block[0, 0, 0] > 1))


def test_a_worker_that_does_not_see_the_folder_says_so(tmp_path: Path) -> None:
    target = writing.Target(
        str(tmp_path / "none/temp"), str(tmp_path / "a.mrc"), draft((2, 3), "f4"), overwrite=False, sync=False
    )
    with pytest.raises(FileNotFoundError, match=r"on host .*every worker must see"):
        target.write((slice(0, 2), slice(0, 3)), np.zeros((2, 3), "f4"), Lease(target.temp, b"mark"))


@pytest.mark.slow
def test_a_failed_task_of_a_cluster_leaves_nothing(tmp_path: Path, cluster: Any) -> None:  # noqa: ARG001 -- its being there matters
    with pytest.raises(ZeroDivisionError):
        mrcarray.to_mrc(da.map_blocks(_divided, lazy(), dtype="f4", meta=np.empty(0, "f4")), tmp_path / "a.mrc")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_cluster_shows_its_progress(tmp_path: Path, cluster: Any, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: ARG001 -- as above
    mrcarray.to_mrc(lazy(), tmp_path / "a.mrc", progress=True)
    assert "100%" in capsys.readouterr().err
    check(tmp_path / "a.mrc")


@pytest.mark.slow
def test_a_writer_is_a_target_of_dask_store_on_a_cluster(tmp_path: Path, cluster: Any) -> None:  # noqa: ARG001 -- its being there matters
    with Writer(tmp_path / "a.mrc", VALUES.shape, "f4") as out:
        target: Any = out
        da.store(lazy(), target, lock=False)
    check(tmp_path / "a.mrc")
