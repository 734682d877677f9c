"""Workers in other processes read and write files themselves."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
import numpy as np
import pytest

import mrcarray
from mrcarray.dask_io.writing import write_dask
from mrcarray.format.builder import draft
from mrcarray.writer import Writer
from tests.builders import mrc_bytes, sample
from tests.dask_io.arrays import NAMES, VALUES, check, lazy

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow


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


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    """Two processes for dask's own scheduler, which would start new ones for each computation."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize("name", NAMES)
def test_processes_scheduler(tmp_path: Path, processes: ProcessPoolExecutor, name: str) -> None:
    with dask.config.set(scheduler="processes", pool=processes):
        write_dask(lazy(), tmp_path / name, draft(VALUES.shape, "f4"))
        job: Any = write_dask(lazy(), tmp_path / ("b" + name), draft(VALUES.shape, "f4"), compute=False)
        assert job.compute() == str(tmp_path / ("b" + name))
        np.testing.assert_array_equal(mrcarray.from_mrc(tmp_path / name, chunks=(5, -1, -1)).compute(), VALUES)
    check(tmp_path / name)
    check(tmp_path / ("b" + name))


def test_workers_read_the_file(tmp_path: Path, cluster: Any) -> None:
    values = sample((12, 40, 50), 2)
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(values))
    array = mrcarray.from_mrc(path, chunks=(1, -1, -1))
    np.testing.assert_array_equal(cluster.compute(array).result(), values)
    opened = mrcarray.open_dataset(path, chunks={"z": 3})
    np.testing.assert_allclose(opened.data.mean("z").values, values.mean(axis=0), rtol=1e-4)
    path.rename(tmp_path / "gone.mrc")
    with pytest.raises(FileNotFoundError, match=r"on host .*a\.mrc"):
        cluster.compute(array[0]).result()
    with pytest.raises(FileNotFoundError, match=r"on host .*a\.mrc"):
        opened.data[0].compute()


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("name", ["a.mrc", "a.mrc.gz"])
def test_cluster_writes_a_file_larger_than_a_workers_memory(tmp_path: Path, name: str) -> None:
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


@pytest.mark.usefixtures("cluster")
def test_failed_task_of_a_cluster_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        mrcarray.to_mrc(da.map_blocks(_divided, lazy(), dtype="f4", meta=np.empty(0, "f4")), tmp_path / "a.mrc")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("cluster")
def test_progress_bar_of_a_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mrcarray.to_mrc(lazy(), tmp_path / "a.mrc", progress=True)
    assert "100%" in capsys.readouterr().err
    check(tmp_path / "a.mrc")


@pytest.mark.usefixtures("cluster")
def test_store_to_a_writer_on_a_cluster(tmp_path: Path) -> None:
    with Writer(tmp_path / "a.mrc", VALUES.shape, "f4") as out:
        target: Any = out
        da.store(lazy(), target, lock=False)
    check(tmp_path / "a.mrc")
