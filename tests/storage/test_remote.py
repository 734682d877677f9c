"""Remote files: as many requests and bytes as the plan says, retries, staleness, clear errors, no credentials shown."""

from __future__ import annotations

import asyncio
import bz2
import errno
import gzip
import io
import os
import pickle
import threading
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import fsspec
import numpy as np
import pytest
from fsspec.asyn import get_loop
from fsspec.implementations.memory import MemoryFileSystem

from mrcarray.errors import MissingDependencyError, MrcError, MrcValueError, StaleFileError, TruncatedError
from mrcarray.storage import open_source
from mrcarray.storage.compression.codecs import CODECS
from mrcarray.storage.compression.source import CompressedSource, forget
from mrcarray.storage.remote import source as remote
from mrcarray.storage.remote import transport as transport_module
from mrcarray.storage.remote.filesystem import FsspecTransport
from mrcarray.storage.remote.http_response import Limits
from mrcarray.storage.remote.s3 import S3Transport
from mrcarray.storage.remote.source import RemoteSource, open_remote
from mrcarray.urls import public_name, redactor
from tests.contracts import CONTENT, ByteSourceContract
from tests.storage.compressing import COMPRESS, noise
from tests.storage.servers import Site, cut, elsewhere, redirected, refuse, shorter, silent, stalled, status, whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1 << 20
FILE = "/data/a.mrc"
SECRET = "s3cr3t-t0ken"  # noqa: S105 -- made up

IMPATIENT = {"answer_timeout": 0.05, "attempts": 2}


@pytest.fixture(autouse=True)
def _nothing_learnt() -> Iterator[None]:
    remote.transports.clear()
    remote.heads.clear()
    forget()
    yield
    fsspec.filesystem("memory").store.clear()


class TestHttp(ByteSourceContract):
    reads = 10

    @pytest.fixture
    def source(self, site: Site) -> Any:
        site.files[FILE] = CONTENT
        return open_source(site.url + FILE)


class TestHttpWithoutEtags(ByteSourceContract):
    reads = 10

    @pytest.fixture
    def source(self, site: Site) -> Any:
        site.files[FILE] = CONTENT
        site.etags = False
        return open_source(site.url + FILE)


class TestHttpWithoutSizes(ByteSourceContract):
    reads = 10

    @pytest.fixture
    def source(self, site: Site) -> Any:
        site.files[FILE] = CONTENT
        site.sizes = False
        return open_source(site.url + FILE)


class TestMemory(ByteSourceContract):
    @pytest.fixture
    def source(self) -> Any:
        fsspec.filesystem("memory").pipe(FILE, CONTENT)
        return open_source("memory:/" + FILE)


class TestZipMember(ByteSourceContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Any:
        with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("inner/a.mrc", CONTENT)
        return open_source(f"zip://inner/a.mrc::{tmp_path}/a.zip")


class TestSimplecache(ByteSourceContract):
    @pytest.fixture
    def source(self, site: Site, tmp_path: Path) -> Any:
        site.files[FILE] = CONTENT
        site.ranges = False
        options = {"simplecache": {"cache_storage": str(tmp_path)}}
        return open_source(f"simplecache::{site.url}{FILE}", storage_options=options)


class TestCompressedOverHttp(ByteSourceContract):
    @pytest.fixture
    def source(self, site: Site) -> Any:
        site.files["/a.gz"] = gzip.compress(CONTENT)
        return open_source(site.url + "/a.gz")


class TestRequests:
    def test_opening_costs_one_request_and_serves_the_header(self, site: Site) -> None:
        site.files[FILE] = noise(MIB)
        source = open_source(site.url + FILE)
        assert bytes(source.read(0, 1024)) == site.files[FILE][:1024]
        assert source.size() == MIB
        assert site.requests == ["GET bytes=0-65535"]
        assert site.sent == 65536

    def test_a_range_costs_one_request_and_its_bytes(self, site: Site) -> None:
        site.files[FILE] = noise(4 * MIB)
        source = open_source(site.url + FILE)
        site.reset()
        assert bytes(source.read(MIB, 3 * MIB)) == site.files[FILE][MIB : 3 * MIB]
        assert len(site.requests) == 1
        assert site.sent == 2 * MIB

    def test_ranges_that_lie_close_share_a_request(self, site: Site) -> None:
        content = site.files[FILE] = noise(4 * MIB)
        source = open_remote(site.url + FILE)
        site.reset()
        starts = [3 * MIB, 100, 100_000, 3 * MIB + 50]
        outs = [np.empty(n, dtype=np.uint8) for n in (10, 1000, 5, 20)]
        source.read_ranges(starts, outs)
        assert [out.tobytes() for out in outs] == [content[a : a + o.size] for a, o in zip(starts, outs, strict=True)]
        assert len(site.requests) == 2

    def test_large_ranges_are_cut_and_asked_for_side_by_side(self, site: Site) -> None:
        content = site.files[FILE] = noise(4 * MIB)
        source = replace(open_remote(site.url + FILE), part=MIB)
        site.reset()
        both = threading.Barrier(2, timeout=10)
        site.faults += [lambda _: both.wait() < 0, lambda _: both.wait() < 0]  # neither is answered before the other
        assert bytes(source.read(0, 4 * MIB)) == content
        assert len(site.requests) == 4

    def test_ranges_over_the_end_are_an_error(self, site: Site) -> None:
        site.files[FILE] = noise(1000)
        source = open_remote(site.url + FILE)
        with pytest.raises(TruncatedError, match="bytes up to 1001 were asked for, but there are 1000"):
            source.read_ranges([0, 900], [np.empty(1, dtype=np.uint8), np.empty(101, dtype=np.uint8)])

    def test_an_empty_file_is_empty(self, site: Site) -> None:
        site.files[FILE] = b""
        source = open_source(site.url + FILE)
        assert source.size() == 0
        assert bytes(source.read(0, 10)) == b""

    def test_headers_given_as_options_are_sent(self, site: Site) -> None:
        site.files[FILE] = CONTENT
        open_source(site.url + FILE, storage_options={"headers": {"X-Token": "abcdef"}}).read(100_000, 100_001)
        assert [seen["X-Token"] for seen in site.headers] == ["abcdef", "abcdef"]

    def test_what_is_compressed_is_streamed_once_and_then_sliced(self, site: Site) -> None:
        for name, compress in (("/a.gz", gzip.compress), ("/a.bz2", bz2.compress)):
            content = noise(3 * MIB)
            packed = site.files[name] = compress(content)
            site.reset()
            source = open_source(site.url + name)
            assert isinstance(source, CompressedSource)
            assert bytes(source.read(0, 1024)) == content[:1024]
            assert bytes(source.read(2 * MIB, 2 * MIB + 99)) == content[2 * MIB : 2 * MIB + 99]
            assert site.sent <= 1.2 * len(packed) + 65536
            assert bytes(source.read(MIB, MIB + 99)) == content[MIB : MIB + 99]


@pytest.mark.usefixtures("_at_once")
class TestSizesNobodyTells:
    """Answers say ``bytes 0-99/*``, and come in chunks."""

    @pytest.fixture(autouse=True)
    def _untold(self, site: Site) -> None:
        site.sizes = False

    @pytest.mark.parametrize("size", [0, 1000, 65_536, 65_537, 300_000])
    def test_a_file_ends_where_nothing_more_comes(self, site: Site, size: int) -> None:
        content = site.files[FILE] = noise(size)
        source = open_source(site.url + FILE)
        assert bytes(source.read(0, 10 * MIB)) == content
        assert bytes(source.read(size, size + 10)) == b""

    def test_a_range_costs_one_request(self, site: Site) -> None:
        site.files[FILE] = noise(4 * MIB)
        source = open_source(site.url + FILE)
        assert site.requests == ["GET bytes=0-65535"]
        site.reset()
        assert bytes(source.read(MIB, 3 * MIB)) == site.files[FILE][MIB : 3 * MIB]
        assert len(site.requests) == 1

    def test_the_end_is_found_by_one_request_more(self, site: Site) -> None:
        site.files[FILE] = noise(1000)
        open_source(site.url + FILE)
        assert site.requests == ["GET bytes=0-65535", "GET bytes=1000-65535"]

    def test_a_part_that_is_too_short_is_completed(self, site: Site) -> None:
        content = site.files[FILE] = noise(MIB)
        source = open_source(site.url + FILE)
        site.faults += [shorter, refuse, shorter]
        assert bytes(source.read(100_000, MIB + 5)) == content[100_000:]

    def test_large_ranges_end_in_the_piece_where_the_file_does(self, site: Site) -> None:
        content = site.files[FILE] = noise(250_000)
        assert bytes(replace(open_remote(site.url + FILE), part=100_000).read(5, MIB)) == content[5:]

    def test_ranges_over_the_end_are_an_error(self, site: Site) -> None:
        site.files[FILE] = noise(200_000)
        source = open_remote(site.url + FILE)
        outs = [np.empty(10, dtype=np.uint8), np.empty(10, dtype=np.uint8)]
        source.read_ranges([100_000, 199_990], outs)
        assert outs[1].tobytes() == site.files[FILE][-10:]
        with pytest.raises(TruncatedError, match="bytes 199991 to 200001 were asked for, but the file ends before"):
            source.read_ranges([100_000, 199_991], outs)

    def test_a_server_that_tells_the_size_at_last_serves_the_same_file(self, site: Site) -> None:
        content = site.files[FILE] = noise(200_000)
        source = open_source(site.url + FILE)
        site.sizes = True
        assert bytes(source.read(100_000, 300_000)) == content[100_000:]

    def test_a_file_that_changed_is_stale(self, site: Site) -> None:
        site.files[FILE] = noise(200_000)
        source = open_source(site.url + FILE)
        site.files[FILE] = noise(200_000, seed=1)
        with pytest.raises(StaleFileError, match="tag was"):
            source.read(100_000, 100_009)

    @pytest.mark.parametrize("codec", list(CODECS))
    def test_compressed_files_read_as_others_do(self, site: Site, codec: str) -> None:
        content = noise(300_000)
        site.files[FILE] = COMPRESS[codec](content)
        source = open_source(site.url + FILE)
        assert bytes(source.read(250_000, 400_000)) == content[250_000:]
        assert bytes(source.read(5, 100_000)) == content[5:100_000]

    def test_a_zip_archive_cannot_be_read_from_its_end(self, site: Site) -> None:
        site.files["/a.zip"] = noise(100_000)
        with pytest.raises(io.UnsupportedOperation, match=r"a\.zip: .* size.*simplecache::"):
            open_source(f"zip://b::{site.url}/a.zip")

    def test_what_is_downloaded_whole_needs_no_size(self, site: Site, tmp_path: Path) -> None:
        content = site.files[FILE] = noise(100_000)
        site.ranges = False
        with pytest.raises(io.UnsupportedOperation, match="simplecache::"):
            open_source(site.url + FILE)
        options = {"simplecache": {"cache_storage": str(tmp_path)}}
        source = open_source(f"simplecache::{site.url}{FILE}", storage_options=options)
        assert bytes(source.read(70_000, 200_000)) == content[70_000:]


@pytest.mark.usefixtures("_at_once")
class TestTrouble:
    def test_errors_that_pass_are_tried_again(self, site: Site) -> None:
        content = site.files[FILE] = noise(MIB)
        site.faults += [status(503), refuse, status(429)]
        source = open_source(site.url + FILE)
        assert len(site.requests) == 4
        site.faults += [refuse, cut, status(500)]
        assert bytes(source.read(100_000, 900_000)) == content[100_000:900_000]

    def test_what_has_arrived_is_not_asked_for_again(self, site: Site) -> None:
        content = site.files[FILE] = noise(2 * MIB)
        source = open_source(site.url + FILE)
        site.reset()
        site.faults += [cut]
        assert bytes(source.read(100_000, 2 * MIB)) == content[100_000:]
        assert len(site.requests) == 2
        assert site.requests[1] != site.requests[0]
        assert site.sent <= 2 * MIB

    def test_trouble_that_lasts_is_an_error_with_the_reason(self, site: Site) -> None:
        site.files[FILE] = CONTENT
        site.faults += [status(503)] * 4
        with pytest.raises(OSError, match=r"status 503; given up after 4 attempts.*a\.mrc") as caught:
            open_source(site.url + FILE)
        assert caught.value.filename == site.url + FILE

    def test_a_server_that_is_not_there_is_an_error(self) -> None:
        with pytest.raises(ConnectionRefusedError, match="cannot be reached"):
            open_source("http://127.0.0.1:1/a.mrc")

    def test_a_server_that_says_nothing_is_a_timeout(self, site: Site) -> None:
        until = threading.Event()
        site.files[FILE] = CONTENT
        site.faults += [silent(until)] * 2
        try:
            with pytest.raises(TimeoutError, match="did not answer in time; given up after 2 attempts"):
                open_source(site.url + FILE, storage_options=IMPATIENT)
        finally:
            until.set()

    def test_a_server_that_stops_sending_is_a_timeout(self, site: Site) -> None:
        site.files[FILE] = CONTENT
        source = open_source(site.url + FILE, storage_options=IMPATIENT)
        until = threading.Event()
        site.faults += [stalled(until)] * 2
        try:
            with pytest.raises(TimeoutError, match="the server stopped sending; given up after 2 attempts"):
                source.read(100_000, 200_000)
        finally:
            until.set()

    def test_a_server_that_sends_less_than_asked_is_asked_for_the_rest(self, site: Site) -> None:
        content = site.files[FILE] = noise(MIB)
        source = open_source(site.url + FILE)
        site.reset()
        site.faults += [shorter, shorter]
        assert bytes(source.read(100_000, 900_000)) == content[100_000:900_000]
        assert len(site.requests) == 3

    def test_a_server_that_sends_another_part_is_an_error(self, site: Site) -> None:
        site.files[FILE] = noise(MIB)
        source = open_source(site.url + FILE)
        site.faults += [elsewhere]
        with pytest.raises(OSError, match="bytes from 100000 on were asked for, but the server sent those from 7 on"):
            source.read(100_000, 100_010)

    def test_a_server_that_sends_in_circles_is_an_error(self, site: Site) -> None:
        site.faults += [redirected] * 20
        with pytest.raises(OSError, match=r"the request failed \(TooManyRedirects\)"):
            open_source(site.url + FILE)

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            (404, FileNotFoundError),
            (410, FileNotFoundError),
            (401, PermissionError),
            (403, PermissionError),
            (400, OSError),
        ],
    )
    def test_other_answers_are_errors_at_once(self, site: Site, code: int, kind: type[OSError]) -> None:
        site.files[FILE] = CONTENT
        site.faults += [status(code)]
        with pytest.raises(kind, match=rf"status {code}.*{FILE}") as caught:
            open_source(site.url + FILE)
        assert type(caught.value) is kind
        assert len(site.requests) == 1

    def test_a_server_without_ranges_is_named_and_so_is_the_way_out(self, site: Site) -> None:
        site.files[FILE] = noise(8 * MIB)
        site.ranges = False
        with pytest.raises(io.UnsupportedOperation, match=r'a\.mrc: the server does not serve parts.*"simplecache::"'):
            open_source(site.url + FILE)

    def test_a_server_that_ignores_a_range_once_is_asked_again(self, site: Site) -> None:
        content = site.files[FILE] = noise(MIB)
        source = open_source(site.url + FILE)
        site.faults += [whole, whole]
        assert bytes(source.read(100_000, 200_000)) == content[100_000:200_000]
        site.faults += [whole] * Limits().attempts
        with pytest.raises(io.UnsupportedOperation, match="does not serve parts"):
            source.read(100_000, 200_000)

    @pytest.mark.parametrize("encoding", ["gzip", "br", "x-gzip"])
    def test_what_is_stored_packed_arrives_as_it_is(self, site: Site, encoding: str) -> None:
        content = noise(MIB)
        site.files["/a.map.gz"] = gzip.compress(content, 1)
        site.files[FILE] = content
        site.encodings = {"/a.map.gz": encoding, FILE: encoding}
        assert bytes(open_source(site.url + "/a.map.gz").read(700_000, 900_000)) == content[700_000:900_000]
        assert bytes(open_source(site.url + FILE).read(700_000, 900_000)) == content[700_000:900_000]

    @pytest.mark.parametrize("content", [noise(MIB, 2), noise(MIB + 1), noise(80_000)])
    def test_a_file_that_changed_is_stale(self, site: Site, content: bytes) -> None:
        site.files[FILE] = noise(MIB)
        source = pickle.loads(pickle.dumps(open_source(site.url + FILE)))
        site.files[FILE] = content
        with pytest.raises(StaleFileError, match=r"a\.mrc: the file changed after it was opened: (size|tag) was"):
            source.read(70_000, 90_000)
        with pytest.raises(StaleFileError):
            source.read(500_000, 600_000)

    def test_a_file_of_any_protocol_that_changed_is_stale(self) -> None:
        fs = fsspec.filesystem("memory")
        fs.pipe(FILE, CONTENT)
        source = open_source("memory:/" + FILE)
        fs.pipe(FILE, CONTENT[:-1])
        with pytest.raises(StaleFileError, match="size was 300000, is 299999"):
            source.read(100_000, 100_010)

    def test_one_failing_part_ends_the_others(self, site: Site) -> None:
        site.files[FILE] = noise(MIB)
        source = replace(open_remote(site.url + FILE), part=100_000)
        site.faults += [status(403)]
        with pytest.raises(PermissionError):
            source.read(0, MIB)


class FewFacts(MemoryFileSystem):  # type: ignore[misc] # fsspec has no types
    """Files in memory of which less is known, or something wrong."""

    protocol = "fewfacts"
    cachable = False
    claimed: int | None = None

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        return {**super().info(path, **kwargs), "size": self.claimed}


class TestOtherProtocols:
    def test_a_size_that_is_not_known_is_looked_for(self) -> None:
        fs = FewFacts()
        fs.pipe(FILE, CONTENT)
        view = bytearray(10)
        count, found = FsspecTransport(lambda: (fs, FILE), "a").open(memoryview(view))
        assert (count, found[0], bytes(view)) == (10, len(CONTENT), CONTENT[:10])

    def test_a_file_shorter_than_it_says_is_an_error(self) -> None:
        fs = FewFacts()
        fs.pipe(FILE, b"1234567")
        fs.claimed = 10
        with pytest.raises(OSError, match="10 bytes were asked for, 7 arrived"):
            FsspecTransport(lambda: (fs, FILE), "a").open(memoryview(bytearray(20)))

    def test_an_archive_that_is_not_there_is_an_error_without_credentials(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"zip://a\.mrc::") as caught:
            open_remote(f"zip://a.mrc::{tmp_path}/none.zip", {"file": {"x": SECRET}})
        assert SECRET not in f"{caught.value}"

    @pytest.mark.usefixtures("_at_once")
    def test_an_s3_answer_that_breaks_off_is_asked_for_again(self) -> None:
        transport = S3Transport(BrokenBucket(breaks=2), "bucket/key", "s3://bucket/key")
        view = bytearray(5)
        assert transport.open(memoryview(view)) == (5, (5, "tag"))
        assert view == b"abcde"

    @pytest.mark.usefixtures("_at_once")
    def test_an_s3_answer_that_always_breaks_off_is_an_error(self) -> None:
        transport = S3Transport(BrokenBucket(breaks=9), "bucket/key", "s3://bucket/key")
        with pytest.raises(ConnectionResetError, match=r"the connection was cut \(RuntimeError\); given up after 4"):
            transport.open(memoryview(bytearray(5)))


class BrokenBucket:
    """What `S3Transport` needs of s3fs; the first answers break off."""

    def __init__(self, breaks: int) -> None:
        self.loop = get_loop()
        self.breaks = breaks

    def split_path(self, path: str) -> tuple[str, str, None]:
        bucket, key = path.split("/")
        return bucket, key, None

    async def _call_s3(self, method: str, **_: Any) -> dict[str, Any]:
        assert method == "get_object"
        return {"Body": self, "ContentRange": "bytes 0-4/5", "ETag": "tag"}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def read(self, amount: int) -> bytes:
        self.breaks -= 1
        if self.breaks >= 0:
            raise RuntimeError("broken")
        return b"abcdefghi"[:amount]


class TestNames:
    def test_an_unknown_protocol_is_refused(self) -> None:
        with pytest.raises(MrcValueError, match="nosuch://host/a: Protocol not known: nosuch"):
            open_source("nosuch://host/a")

    def test_a_missing_package_is_named_with_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def missing(*_: object, **__: object) -> None:
            raise ImportError("Install s3fs to access S3")

        monkeypatch.setattr("fsspec.core.url_to_fs", missing)
        with pytest.raises(MissingDependencyError, match=r'^reading S3 needs s3fs: pip install "mrcarray\[remote\]"$'):
            open_source("s3://bucket/a.mrc")

    @pytest.mark.parametrize("protocol", ["tar", "zip"])
    def test_what_is_no_archive_is_an_error_of_the_system(self, protocol: str, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(CONTENT)
        with pytest.raises(OSError, match=rf"{protocol}://b::.*/a|/a'") as caught:
            open_source(f"{protocol}://b::{tmp_path}/a")
        assert caught.value.errno == errno.EIO

    def test_a_folder_is_refused(self) -> None:
        fsspec.filesystem("memory").pipe("/folder/a", b"1")
        with pytest.raises(IsADirectoryError, match="memory://folder"):
            open_source("memory://folder")

    def test_a_missing_file_of_any_protocol_is_not_found(self) -> None:
        with pytest.raises(FileNotFoundError, match="memory://none/a"):
            open_source("memory://none/a")

    def test_a_source_is_small_in_a_pickle_and_equal_to_its_copy(self, site: Site) -> None:
        site.files[FILE] = CONTENT
        source = open_source(site.url + FILE)
        assert len(pickle.dumps(source)) < 250
        assert source != open_source(site.url + FILE, storage_options={"headers": {"a": "b"}})
        assert repr(source) == f"RemoteSource('{site.url}{FILE}', 300000 bytes)"


class TestErrorsTravel:
    """An error crosses to another process as it is, and takes nothing along that stood behind it."""

    def raised(self, url: str) -> BaseException:
        with pytest.raises(OSError) as caught:  # noqa: PT011 -- each test says which
            open_source(url)
        return caught.value

    def test_what_another_library_raised_stays_behind(self, site: Site) -> None:
        error = self.raised(f"simplecache::{site.url}/none?token={SECRET}")
        assert isinstance(error, FileNotFoundError)
        assert error.__context__ is None
        assert SECRET.encode() not in pickle.dumps(error)

    def test_a_server_that_sends_one_elsewhere_without_end_shows_no_url(self, site: Site) -> None:
        site.files[FILE] = CONTENT
        site.faults += [redirected] * 20
        error = self.raised(f"{site.url}{FILE}?token={SECRET}")
        assert error.__context__ is None
        assert SECRET not in repr(error)

    def test_a_protocol_that_cannot_be_reached_says_no_more_than_that(self) -> None:
        error = self.raised(f"ftp://me:{SECRET}@127.0.0.1:1/a.mrc")
        assert isinstance(error, ConnectionRefusedError)
        assert error.__context__ is None


class TestCredentials:
    URL = "http://me:" + SECRET + "@{host}/data/a.mrc?X-Signature=" + SECRET

    def shown(self, source: Any) -> str:
        from dask.base import tokenize

        return " ".join(
            [repr(source), str(source), source.name, str(source.fingerprint), tokenize(source), f"{source!r:>200}"]
        )

    def opened(self, site: Site) -> RemoteSource:
        site.files[FILE] = CONTENT
        url = self.URL.format(host=site.url.removeprefix("http://"))
        return open_remote(url, {"headers": {"Authorization2": SECRET}})

    def test_they_are_in_no_name_text_or_token(self, site: Site) -> None:
        assert SECRET not in self.shown(self.opened(site))

    def test_they_are_sent_and_needed_by_workers(self, site: Site) -> None:
        copy = pickle.loads(pickle.dumps(self.opened(site)))
        copy.read(100_000, 100_001)
        assert site.headers[-1]["Authorization2"] == SECRET

    def test_files_that_differ_in_the_query_alone_have_different_fingerprints(self, site: Site) -> None:
        site.files[FILE] = CONTENT
        one, two = (open_source(f"{site.url}{FILE}?id={i}") for i in (1, 2))
        assert one.name == two.name
        assert one.fingerprint != two.fingerprint

    @pytest.mark.usefixtures("_at_once")
    @pytest.mark.parametrize("code", [404, 403, 503, 400])
    def test_they_are_in_no_error(self, site: Site, code: int) -> None:
        source = self.opened(site)
        site.faults += [status(code)] * 4
        with pytest.raises(OSError, match="status") as caught:
            source.read(100_000, 200_000)
        assert SECRET not in f"{caught.value} {caught.value!r}"

    def test_texts_of_other_libraries_are_cleaned(self) -> None:
        redact = redactor(
            "ftp://me:pw1234@host/x?sig=zzz999", {"secret": "abcd", "more": {"list": ["efgh", 1]}, "t": ()}
        )
        text = redact("failed ftp://me:pw1234@host/x?sig=zzz999 with abcd, efgh and pw1234")
        assert text == "failed ftp://host/x with ***, *** and ***"

    def test_a_password_may_hold_the_sign_that_ends_it(self) -> None:
        redact = redactor("ftp://me:pass@word@host/x", {})
        assert redact("failed ftp://me:pass@word@host/x, pass@word") == "failed ftp://host/x, ***"

    def test_a_password_with_a_slash_is_in_no_text_as_it_is_or_decoded(self) -> None:
        redact = redactor("https://me:pa/ss%40word@host/x;token=abcde", {})
        text = redact("https://me:pa/ss%40word@host/x;token=abcde: wrong password pa/ss@word of me, abcde")
        assert text == "https://host/x wrong password *** of me, ***"

    def test_an_error_of_another_library_is_an_oserror_without_them(self) -> None:
        def fail() -> None:
            raise RuntimeError(f"cannot sign with {SECRET}")

        with pytest.raises(OSError, match=r"RuntimeError: cannot sign with \*\*\*"):
            transport_module.guarded(fail, "s3://b/a", redactor("s3://b/a", {"secret": SECRET}))

    def test_errors_of_ours_pass_as_they_are(self) -> None:
        def fail() -> None:
            raise StaleFileError("x")

        with pytest.raises(MrcError, match="x"):
            transport_module.guarded(fail, "a", str)

    @pytest.mark.parametrize(
        ("url", "name"),
        [
            ("https://u:p@h/a.mrc#frag", "https://h/a.mrc"),
            ("https://u:p@ss@h/a.mrc", "https://h/a.mrc"),
            ("zip://a.mrc::https://h/b.zip?sig=1", "zip://a.mrc::https://h/b.zip"),
            ("s3://b/a@2.mrc", "s3://b/a@2.mrc"),
            ("https://u:p/q@h/a.mrc", "https://h/a.mrc"),
            ("https://u:p?q#r@h/a.mrc", "https://h/a.mrc"),
            ("https://u:p::q@h/a.mrc", "https://h/a.mrc"),
            ("zip://a.mrc::https://u:p/q@h/b.zip;token=1", "zip://a.mrc::https://h/b.zip"),
            ("simplecache::https://u:p/q@h/b", "simplecache::https://h/b"),
            ("https://h/a;jsessionid=1/b.mrc;token=2?c", "https://h/a/b.mrc"),
            ("https://h:8080/a@2;b.mrc", "https://h:8080/a@2;b.mrc"),
            ("http://[::1]:80/a@2", "http://[::1]:80/a@2"),
            ("zip://a::b.zip", "zip://a::b.zip"),
            ("memory://a", "memory://a"),
            ("https://@h/a", "https://h/a"),
        ],
    )
    def test_a_name_is_the_url_without_them(self, url: str, name: str) -> None:
        assert public_name(url) == name


class TestOpenObjects:
    def test_a_file_of_fsspec_reads_as_its_bytes(self, site: Site) -> None:
        site.files[FILE] = CONTENT
        with fsspec.open(site.url + FILE) as file:
            assert bytes(open_source(file).read(70_000, 70_010)) == CONTENT[70_000:70_010]

    def test_a_reader_of_obstore_reads_as_its_bytes(self) -> None:
        import obstore
        from obstore.store import MemoryStore

        store = MemoryStore()
        obstore.put(store, "a.gz", gzip.compress(CONTENT))
        source = open_source(obstore.open_reader(store, "a.gz"))
        assert bytes(source.read(70_000, 70_010)) == CONTENT[70_000:70_010]

    def test_compressed_bytes_in_an_object_read_as_what_they_hold(self) -> None:
        file = io.BytesIO(gzip.compress(CONTENT))
        assert bytes(open_source(file).read(5, 10)) == CONTENT[5:10]


class TestProcesses:
    def test_a_forked_child_reads(self, site: Site) -> None:
        site.files[FILE] = CONTENT
        source = open_source(site.url + FILE)
        child = os.fork()
        if child == 0:  # pragma: no cover -- another process
            os._exit(0 if bytes(source.read(100_000, 100_005)) == CONTENT[100_000:100_005] else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    def test_an_event_loop_may_be_running(self, site: Site) -> None:
        site.files[FILE] = CONTENT

        async def read() -> bytes:
            return bytes(open_source(site.url + FILE).read(100_000, 100_005))

        assert asyncio.run(read()) == CONTENT[100_000:100_005]

    def test_few_connections_and_heads_are_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(remote.heads, "max_items", 3)
        monkeypatch.setattr(remote.transports, "max_items", 3)
        fs = fsspec.filesystem("memory")
        for i in range(6):
            fs.pipe(f"/{i}", CONTENT)
            open_source(f"memory://{i}")
        assert len(remote.heads) == 3
        assert len(remote.transports) == 3

    def test_options_that_cannot_be_pickled_are_known_by_identity(self) -> None:
        assert remote._digest({"a": lambda: 0}).isdigit()
        assert remote._digest({"a": 1}) != remote._digest({"a": 2})
