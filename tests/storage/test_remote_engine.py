"""Remote and compressed files through xarray, dask and its workers, with budgets of requests and bytes."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import io
import os
import re
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import dask
import fsspec
import numpy as np
import pytest
import xarray as xr

import mrcarray
from mrcarray.errors import CompressionError, LimitError, MrcWarning, TruncatedError
from mrcarray.storage.compression import index_file
from mrcarray.storage.compression.codecs import CODECS
from mrcarray.storage.compression.source import forget
from mrcarray.storage.remote import source as remote
from mrcarray.storage.remote import transport
from tests import builders
from tests.storage.compressing import COMPRESS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.storage.servers import Site

pytestmark = pytest.mark.usefixtures("nothing_learnt")

FILE = "/data/tomo.mrc"
STACK = (12, 512, 640)
"""Sections of 1.25 MiB."""


@pytest.fixture(scope="module")
def stack() -> np.ndarray[Any, Any]:
    return builders.sample(STACK, 2)


@pytest.fixture
def url(site: Site, stack: np.ndarray[Any, Any]) -> str:
    """Return the URL of a stack of images."""
    site.files[FILE] = builders.mrc_bytes(stack, ispg=0)
    return site.url + FILE


def test_opening_through_the_engine_costs_one_request(site: Site, url: str) -> None:
    ds = xr.open_dataset(url, engine="mrc")
    assert ds.data.shape == STACK
    assert site.requests == ["GET bytes=0-65535"]
    assert ds.encoding["source"] == url


@pytest.mark.parametrize("name", ["open_array", "open_dataset", "open_dataarray", "from_mrc", "read_header"])
def test_every_way_of_opening_costs_one_request(site: Site, url: str, name: str) -> None:
    getattr(mrcarray, name)(url)
    assert site.requests == ["GET bytes=0-65535"]


def test_names_of_tasks_change_with_the_file_and_not_with_its_opening(site: Site, url: str) -> None:
    names = [mrcarray.open_dataset(url, chunks={}).data.data.name for _ in range(2)]
    site.files[FILE] += b"\0"
    with pytest.warns(MrcWarning, match="1 byte"):
        names.append(mrcarray.open_dataset(url, chunks={}).data.data.name)
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize("chunks", [None, {}, {"section": 4}])
def test_a_section_costs_two_requests_at_most_and_its_bytes(
    site: Site, url: str, stack: np.ndarray[Any, Any], chunks: Any
) -> None:
    with xr.open_dataset(url, engine="mrc", chunks=None if chunks is None else dict(chunks)) as ds:
        site.reset()
        got = ds.data[7].values
    np.testing.assert_array_equal(got, stack[7])
    assert len(site.requests) <= 2
    assert site.sent <= 1.1 * stack[7].nbytes


@pytest.mark.parametrize("chunks", [None, {}])
@pytest.mark.parametrize("mode", [0, 2])
def test_a_cube_costs_three_requests_and_at_most_the_sections_it_is_in(
    site: Site, mode: int, chunks: dict[str, int] | None
) -> None:
    volume = builders.sample((130, 160, 200), mode)
    site.files[FILE] = builders.mrc_bytes(volume, mode)
    ds = xr.open_dataset(site.url + FILE, engine="mrc", mode0="signed", chunks=chunks)
    site.reset()
    cube = ds.data[1:129, 16:144, 64:192].values
    np.testing.assert_array_equal(cube, volume[1:129, 16:144, 64:192])
    assert len(site.requests) <= 3  # one for each 8 MiB of rows; with dask, one more for each chunk
    assert site.sent <= volume.nbytes


def test_a_section_across_all_others_asks_for_its_rows_side_by_side(site: Site) -> None:
    volume = builders.sample((9, 400, 200), 2)  # sections so large that what lies between two rows is not read
    site.files[FILE] = builders.mrc_bytes(volume, 2)
    ds = xr.open_dataset(site.url + FILE, engine="mrc")
    site.reset()
    together = threading.Barrier(transport.CONCURRENT, timeout=20)
    site.faults += [lambda _: together.wait() < 0] * transport.CONCURRENT  # no answer before so many have asked
    np.testing.assert_array_equal(ds.data[:, 100].values, volume[:, 100])
    assert len(site.requests) == 9
    assert site.sent == 9 * 800


def test_a_dask_sum_reads_every_byte_once(site: Site, url: str, stack: np.ndarray[Any, Any]) -> None:
    ds = xr.open_dataset(url, engine="mrc", chunks={"section": 3})
    site.reset()
    assert float(ds.data.sum(dtype="f8")) == pytest.approx(stack.sum(dtype="f8"))
    assert site.sent <= 1.02 * stack.nbytes
    assert len(site.requests) <= 4


def test_a_server_that_tells_no_sizes_serves_what_there_is(site: Site, url: str, stack: np.ndarray[Any, Any]) -> None:
    site.sizes = False
    site.files["/short.mrc"] = site.files[FILE][:-1]
    np.testing.assert_array_equal(xr.open_dataset(url, engine="mrc").data.values, stack)
    short = mrcarray.open_array(site.url + "/short.mrc")
    np.testing.assert_array_equal(short[-2], stack[-2])
    for key in (-1, ...):
        with pytest.raises(TruncatedError, match="were asked for, but the file ends"):
            short[key]


async def test_variables_and_files_load_side_by_side(site: Site, url: str, stack: np.ndarray[Any, Any]) -> None:
    site.files["/other.mrc"] = site.files[FILE]
    both = [xr.open_dataset(name, engine="mrc").isel(section=slice(2, 4)) for name in (url, site.url + "/other.mrc")]
    together = threading.Barrier(2, timeout=20)
    site.faults += [lambda _: together.wait() < 0] * 2  # no answer before both have asked
    loaded = await asyncio.gather(*(ds.load_async() for ds in both))
    for ds in loaded:
        np.testing.assert_array_equal(ds.data.values, stack[2:4])


def test_graphs_and_tokens_show_no_credentials(url: str) -> None:
    secret = "s3cr3t-t0ken"  # noqa: S105 -- made up
    signed = url.replace("http://", f"http://me:{secret}@") + f"?sig={secret}"
    ds = xr.open_dataset(signed, engine="mrc", chunks={}, storage_options={"headers": {"X-Token": secret}})
    shown = [repr(ds), repr(ds.encoding), repr(ds.data.encoding), repr(ds.attrs), str(dask.base.tokenize(ds.data.data))]
    shown += [f"{key!r} {task!r}" for key, task in dict(ds.data.data.__dask_graph__()).items()]
    shown.append(repr(mrcarray.open_array(signed, storage_options={"headers": {"X-Token": secret}})))
    assert not [text for text in shown if secret in text]


@pytest.mark.parametrize("codec", COMPRESS)
def test_compressed_files_open_like_plain_ones(codec: str, tmp_path: Path, stack: np.ndarray[Any, Any]) -> None:
    small = stack[:5]
    path = tmp_path / f"a.mrc{CODECS[codec].suffix}"
    path.write_bytes(COMPRESS[codec](builders.mrc_bytes(small, ispg=0)))
    assert xr.backends.plugins.guess_engine(path) == "mrc"
    for chunks in (None, {"section": 2}):
        with xr.open_dataset(path, engine="mrc", chunks=chunks) as ds:
            np.testing.assert_array_equal(ds.data[1:4].values, small[1:4])
            np.testing.assert_array_equal(ds.data.values, small)
    np.testing.assert_array_equal(mrcarray.open_array(path)[3, ::2, 5:9], small[3, ::2, 5:9])
    np.testing.assert_array_equal(mrcarray.from_mrc(path, chunks=(2, -1, -1)).compute(), small)
    assert mrcarray.read_header(path).nz == 5


@pytest.mark.parametrize("codec", COMPRESS)
def test_a_chunked_computation_does_not_cost_a_pass_a_chunk(
    codec: str, site: Site, stack: np.ndarray[Any, Any]
) -> None:
    small = stack[:, ::2, ::2]
    packed = site.files["/a.gz"] = COMPRESS[codec](builders.mrc_bytes(small, ispg=0))
    ds = xr.open_dataset(site.url + "/a.gz", engine="mrc", chunks={"section": 1})
    assert float(ds.data.sum(dtype="f8")) == pytest.approx(small.sum(dtype="f8"))
    assert site.sent <= 2.5 * len(packed)  # 12 chunks


def test_a_real_emdb_map_reads_over_http_as_from_the_disk(site: Site, shared_data: Path) -> None:
    path = shared_data / "emd_3197.map.gz"
    site.files["/emd_3197.map.gz"] = path.read_bytes()
    there = xr.open_dataset(site.url + "/emd_3197.map.gz", engine="mrc")
    here = xr.open_dataset(path, engine="mrc")
    plain = xr.open_dataset(shared_data / "EMD-3197.map", engine="mrc")
    xr.testing.assert_equal(there, here)
    np.testing.assert_array_equal(here.data.values, plain.data.values)
    packed = xr.open_dataset(shared_data / "EMD-3197.map.bz2", engine="mrc")
    np.testing.assert_array_equal(packed.data.values, plain.data.values)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
class TestDamage:
    def test_a_truncated_file_is_an_error_of_ours(self, compress: Any, tmp_path: Path) -> None:
        packed = compress(builders.mrc_bytes(builders.sample((6, 300, 400), 2)))
        path = tmp_path / "cut.map.gz"
        path.write_bytes(packed[: len(packed) // 2])
        with pytest.raises(CompressionError, match=r"cut\.map\.gz: .* ends too early.* near byte \d+"):
            mrcarray.open_array(path)[...]

    def test_permissive_reading_keeps_whole_sections(self, compress: Any, tmp_path: Path) -> None:
        values = builders.sample((9, 500, 400), 2)
        packed = compress(builders.mrc_bytes(values))
        path = tmp_path / "cut.map.gz"
        path.write_bytes(packed[: len(packed) * 3 // 4])
        with pytest.warns(MrcWarning, match="ends too early|section"):
            array = mrcarray.open_array(path, permissive=True)
        assert array is not None
        assert 3 <= array.shape[0] <= 7
        np.testing.assert_array_equal(array[...], values[: array.shape[0]])

    def test_a_sound_file_reads_permissively_without_a_word(self, compress: Any) -> None:
        values = builders.sample((3, 20, 30), 1)
        array = mrcarray.open_array(compress(builders.mrc_bytes(values, 1)), permissive=True)
        np.testing.assert_array_equal(array, values)

    def test_what_follows_the_declared_data_warns_once(self, compress: Any) -> None:
        values = builders.sample((3, 20, 30), 1)
        array = mrcarray.open_array(compress(builders.mrc_bytes(values, 1) + bytes(77)))
        with pytest.warns(MrcWarning, match="goes on after the") as said:
            array[...]
        assert len(said) == 1

    def test_a_limit_refuses_before_anything_is_allocated(self, compress: Any) -> None:
        lying = compress(builders.header_bytes(nx=30_000, ny=30_000, nz=30_000))
        for open_it in (
            mrcarray.open_array,
            mrcarray.from_mrc,
            mrcarray.open_dataset,
            mrcarray.open_dataarray,
            lambda file, **more: xr.open_dataset(io.BytesIO(file), engine="mrc", **more),
        ):
            with pytest.raises(LimitError, match=r"the data block has 108000000000000 bytes; max_bytes allows 1000"):
                open_it(lying, max_bytes=1000)


def test_an_index_is_kept_beside_the_file_and_used_by_the_next_session(
    tmp_path: Path, stack: np.ndarray[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.mrc.bz2"
    path.write_bytes(bz2.compress(builders.mrc_bytes(stack, ispg=0)))
    with xr.open_dataset(path, engine="mrc", index=True, chunks={}) as ds:
        np.testing.assert_array_equal(ds.data[9].values, stack[9])
    assert (tmp_path / ("a.mrc.bz2" + index_file.SUFFIX)).exists()
    forget()
    spans: list[int] = []
    preadv = os.preadv

    def watch(descriptor: int, views: Any, at: int) -> int:
        spans.append(at)
        return preadv(descriptor, views, at)

    monkeypatch.setattr(os, "preadv", watch)
    np.testing.assert_array_equal(mrcarray.open_array(path, index=True)[9], stack[9])
    behind = [at for at in spans if at > 2 << 20]
    assert behind
    assert not [at for at in spans if 2 << 20 < at < path.stat().st_size // 2]


def test_workers_of_distributed_read_what_is_remote_and_compressed(
    site: Site, url: str, stack: np.ndarray[Any, Any]
) -> None:
    distributed = pytest.importorskip("distributed")
    site.files["/a.gz"] = gzip.compress(site.files[FILE], 1)
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=True, dashboard_address=":0", worker_dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
    ):
        for name in (url, site.url + "/a.gz"):
            ds = xr.open_dataset(name, engine="mrc", chunks={"section": 4})
            np.testing.assert_array_equal(ds.data[:, ::64, ::64].compute().values, stack[:, ::64, ::64])


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Start an S3 server on this machine, in a process of its own, for it keeps temporary files open."""
    pytest.importorskip("moto.server")
    command = [sys.executable, "-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        assert server.stdout is not None
        found = next(filter(None, (re.search(r"Running on (http://\S+)", line) for line in server.stdout)))
        threading.Thread(target=server.stdout.read, daemon=True).start()  # what it logs must go somewhere
        yield found[1]
        server.terminate()


class TestS3:
    @pytest.fixture
    def options(self, endpoint: str, stack: np.ndarray[Any, Any]) -> dict[str, Any]:
        """Fill a bucket and return how to get at it."""
        options = {"key": "nobody", "secret": "quite-a-secret", "endpoint_url": endpoint}
        content = builders.mrc_bytes(stack, ispg=0)
        fs = fsspec.filesystem("s3", **options)
        if not fs.exists("bucket"):
            fs.mkdir("bucket")
        fs.pipe({"bucket/tomo.mrc": content, "bucket/tomo.mrc.gz": gzip.compress(content, 1), "bucket/empty": b""})
        return options

    def test_a_section_is_one_request_with_its_bytes(
        self, options: dict[str, Any], stack: np.ndarray[Any, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import s3fs

        calls: list[tuple[str, str]] = []
        call = s3fs.S3FileSystem._call_s3

        async def watch(self: Any, method: str, *args: Any, **kwargs: Any) -> Any:
            calls.append((method, kwargs.get("Range", "")))
            return await call(self, method, *args, **kwargs)

        monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", watch)
        ds = xr.open_dataset("s3://bucket/tomo.mrc", engine="mrc", storage_options=options, chunks={})
        assert calls == [("get_object", "bytes=0-65535")]
        calls.clear()
        np.testing.assert_array_equal(ds.data[5].values, stack[5])
        start = 1024 + 5 * stack[5].nbytes
        assert calls == [("get_object", f"bytes={start}-{start + stack[5].nbytes - 1}")]

    def test_what_is_compressed_reads_too(self, options: dict[str, Any], stack: np.ndarray[Any, Any]) -> None:
        with xr.open_dataset("s3://bucket/tomo.mrc.gz", engine="mrc", storage_options=options) as ds:
            np.testing.assert_array_equal(ds.data[5].values, stack[5])

    def test_errors_are_clear_and_show_no_secret(self, options: dict[str, Any]) -> None:
        for name in ("s3://bucket/none.mrc", "s3://no-such-bucket/a.mrc"):
            with pytest.raises(FileNotFoundError, match=name) as caught:
                xr.open_dataset(name, engine="mrc", storage_options=options)
            assert "quite-a-secret" not in f"{caught.value!r}"

    def test_an_empty_object_is_empty(self, options: dict[str, Any]) -> None:
        assert remote.open_remote("s3://bucket/empty", options).size() == 0

    def test_an_object_that_changed_is_stale(self, options: dict[str, Any], stack: np.ndarray[Any, Any]) -> None:
        ds = xr.open_dataset("s3://bucket/tomo.mrc", engine="mrc", storage_options=options)
        changed = builders.mrc_bytes(stack + 1, ispg=0)
        fs = fsspec.filesystem("s3", **options)
        fs.pipe("bucket/tomo.mrc", changed)
        with pytest.raises(mrcarray.StaleFileError, match="tag was"):
            ds.data[5].values  # noqa: B018 -- reading is what fails
