"""`from_mrc` and `open_dataset`: chunks, task names and sizes, schedulers."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
import hypothesis.strategies as st
import numpy as np
import pytest
import xarray as xr
from hypothesis import given

import mrcarray
from mrcarray.errors import MrcFormatError
from tests.builders import header_bytes, mrc_bytes, sample
from tests.xarray_backend.helpers import sparse, watch_reads

if TYPE_CHECKING:
    from pathlib import Path


def test_from_mrc_returns_the_pixels(volume_path: Path) -> None:
    array = mrcarray.from_mrc(volume_path, chunks=(4, -1, 3))
    assert array.chunks == ((4, 2), (5,), (3, 3, 1))
    np.testing.assert_array_equal(array.compute(), mrcarray.open_array(volume_path)[...])


@pytest.mark.parametrize("mode", [0, 1, 2, 3, 4, 6, 12, 16, 101])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_every_mode_and_byte_order(tmp_path: Path, mode: int, byteorder: str) -> None:
    values = sample((3, 4, 5), mode)
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(values, mode, byteorder))
    array = mrcarray.from_mrc(tmp_path / "a.mrc", chunks=2)
    assert array.dtype == values.dtype
    assert array.dtype.isnative
    np.testing.assert_array_equal(array.compute(), values)


def test_building_the_graph_reads_only_the_header(volume_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ranges = watch_reads(monkeypatch)
    (mrcarray.from_mrc(volume_path, chunks=1)[2:5] * 2).sum(axis=0).__dask_graph__()
    assert ranges == [(0, 1024)]


@pytest.mark.parametrize("inline", [True, False])
def test_tasks_are_small(tmp_path: Path, inline: bool) -> None:
    path = sparse(tmp_path / "a.mrc", (200, 64, 64), 2)
    array = mrcarray.from_mrc(path, chunks=(1, -1, -1), inline_array=inline)
    graph = dict(array.__dask_graph__())
    assert len(graph) == (200 if inline else 201)
    assert max(len(pickle.dumps(task)) for task in graph.values()) <= 400 + len(str(path))


def test_tasks_of_a_dataset_are_small(tmp_path: Path) -> None:
    path = sparse(tmp_path / "a.mrc", (50, 64, 64), 2)
    opened = mrcarray.open_dataset(path, chunks={"z": 1})
    sizes = sorted(len(pickle.dumps(task)) for task in opened.data.data.__dask_graph__().values())
    assert len(sizes) == 51
    assert sizes[-2] <= 400
    assert sizes[-1] <= 600 + len(str(path)), "the one task that holds the array, wrapped by xarray"


def test_name_depends_on_path_fingerprint_and_chunks(volume_path: Path) -> None:
    one, two = mrcarray.from_mrc(volume_path), mrcarray.from_mrc(str(volume_path))
    assert one.name == two.name
    assert mrcarray.from_mrc(volume_path, chunks=2).name != one.name
    assert mrcarray.from_mrc(volume_path, name="mine").name == "mine"
    code = f"import mrcarray; print(mrcarray.from_mrc({str(volume_path)!r}).name)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == one.name


class TestAutomaticChunks:
    @pytest.mark.parametrize(
        ("shape", "expected"),
        [
            ((300, 1023, 1440), (4, 1023, 1440)),
            ((20, 30, 40), (20, 30, 40)),
            ((3, 8184, 11520), (1, 2728, 11520)),
            ((8184, 11520), (2728, 11520)),
        ],
    )
    def test_chunks_are_whole_sections_or_whole_rows(
        self, tmp_path: Path, shape: tuple[int, ...], expected: tuple[int, ...]
    ) -> None:
        path = sparse(tmp_path / "a.mrc", shape, 2)
        with dask.config.set({"array.chunk-size": "128MiB"}):
            array = mrcarray.from_mrc(path, kind="volume" if len(shape) == 3 else "image")
        assert array.chunksize == expected

    def test_none_is_one_chunk(self, volume_path: Path) -> None:
        assert mrcarray.from_mrc(volume_path, chunks=None).npartitions == 1

    def test_volume_stack_is_cut_between_volumes(self, tmp_path: Path) -> None:
        (tmp_path / "a.mrc").write_bytes(mrc_bytes(sample((5, 2, 3, 4), 2)))
        with dask.config.set({"array.chunk-size": "200B"}):
            assert mrcarray.from_mrc(tmp_path / "a.mrc").chunks == ((2, 2, 1), (2,), (3,), (4,))

    def test_long_rows_stay_whole(self, tmp_path: Path) -> None:
        (tmp_path / "a.mrc").write_bytes(mrc_bytes(sample((2, 3, 40), 2)))
        with dask.config.set({"array.chunk-size": "64B"}):
            assert mrcarray.from_mrc(tmp_path / "a.mrc").chunksize == (1, 1, 40)


def test_truncated_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_bytes(header_bytes(nz=10**9))
    with pytest.raises(MrcFormatError, match=r"a\.mrc"):
        mrcarray.from_mrc(tmp_path / "a.mrc")


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_every_scheduler(volume_path: Path, scheduler: str) -> None:
    with dask.config.set(scheduler=scheduler):
        got = mrcarray.from_mrc(volume_path, chunks=(2, -1, -1)).sum(axis=0).compute()
    np.testing.assert_allclose(got, mrcarray.open_array(volume_path)[...].sum(axis=0), rtol=1e-5)


def test_slices_are_passed_on_to_the_file(volume_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = mrcarray.from_mrc(volume_path, chunks=(1, -1, -1))[3, 1:4]
    ranges = watch_reads(monkeypatch)
    array.compute(scheduler="synchronous")
    plane = 5 * 7 * 4
    assert ranges == [(1024 + 3 * plane + 7 * 4, 1024 + 3 * plane + 4 * 7 * 4)]


@given(data=st.data())
def test_chained_keys_equal_numpy(data: st.DataObject) -> None:
    values = sample((6, 5, 7), 2)
    array = mrcarray.from_mrc(mrc_bytes(values), chunks=(4, 2, 7))
    for _ in range(data.draw(st.integers(1, 3))):
        axis = data.draw(st.integers(0, values.ndim - 1)) if values.ndim else 0
        if not values.ndim or not values.shape[axis]:
            break
        n = values.shape[axis]
        one: Any = st.one_of(
            st.integers(-n, n - 1), st.slices(n), st.lists(st.integers(-n, n - 1), min_size=1, max_size=4)
        )
        key = (slice(None),) * axis + (data.draw(one),)
        values, array = values[key], array[key]
    np.testing.assert_array_equal(array.compute(scheduler="synchronous"), values)


def test_to_zarr(volume_path: Path, tmp_path: Path) -> None:
    array = mrcarray.from_mrc(volume_path, chunks=(2, -1, -1))
    array.to_zarr(str(tmp_path / "a.zarr"))
    np.testing.assert_array_equal(da.from_zarr(str(tmp_path / "a.zarr")).compute(), array.compute())


class TestOpenDataset:
    def test_relative_paths_and_home_become_absolute(self, volume_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(volume_path.parent)
        monkeypatch.setenv("HOME", str(volume_path.parent))
        for name in ("volume.mrc", "~/volume.mrc"):
            assert mrcarray.open_dataset(name).data.encoding["source"] == str(volume_path)

    @pytest.mark.parametrize("chunks", [None, {}])
    def test_bytes_with_and_without_dask(self, volume_path: Path, chunks: Any) -> None:
        opened = mrcarray.open_dataarray(volume_path.read_bytes(), chunks=chunks)
        np.testing.assert_array_equal(opened.values, xr.open_dataarray(volume_path).values)

    def test_named_pipe_and_file_object(self, volume_path: Path, tmp_path: Path) -> None:
        raw = volume_path.read_bytes()
        os.mkfifo(tmp_path / "pipe")
        writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(raw,))
        writer.start()
        piped = mrcarray.open_dataarray(tmp_path / "pipe")
        writer.join()
        for opened in (piped, mrcarray.open_dataarray(io.BytesIO(raw))):
            np.testing.assert_array_equal(opened.values, xr.open_dataarray(volume_path).values)

    def test_options_of_xarray_and_the_engine(self, volume_path: Path) -> None:
        opened = mrcarray.open_dataset(volume_path, chunks={"z": 2}, kind="movie", drop_variables="x")
        assert opened.data.dims == ("frame", "y", "x")
        assert "x" not in opened.coords
