"""Byte sources of local files, memory and file objects."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import os
import pickle
import resource
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from dask.base import tokenize

from mrcarray.errors import ClosedError, MissingDependencyError, StaleFileError, TruncatedError
from mrcarray.storage import OpenedFingerprint, open_source
from mrcarray.storage.fileobj import FileObjectSource
from mrcarray.storage.local import LocalSource
from mrcarray.storage.memory import MemorySource
from tests.contracts import CONTENT, ByteSourceContract

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "bytes.bin"
    path.write_bytes(CONTENT)
    return path


class TestLocalSource(ByteSourceContract):
    @pytest.fixture
    def source(self, path: Path) -> Any:
        return open_source(path)

    def test_path_is_absolute(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(path.parent)
        assert open_source("bytes.bin").name == str(path)

    def test_parent_of_a_link_is_resolved(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for folder in ("here", "there/deep"):
            (tmp_path / folder).mkdir(parents=True)
        (tmp_path / "here/a.bin").write_bytes(b"here")
        (tmp_path / "there/a.bin").write_bytes(b"there")
        (tmp_path / "here/link").symlink_to(tmp_path / "there/deep")
        monkeypatch.chdir(tmp_path / "here")
        assert bytes(open_source("link/../a.bin").read(0, 9)) == b"there"

    def test_pickle_is_small(self, source: LocalSource) -> None:
        assert len(pickle.dumps(source)) <= 100 + len(source.path)

    def test_header_is_read_once(self, source: LocalSource, path: Path) -> None:
        path.unlink()
        assert bytes(source.read(0, 1024)) == CONTENT[:1024]

    def test_replaced_file_is_stale(self, source: LocalSource, path: Path) -> None:
        other = path.with_suffix(".new")
        other.write_bytes(CONTENT)
        os.utime(other, ns=(source.fingerprint[1],) * 2)
        other.replace(path)
        with pytest.raises(StaleFileError, match=r"bytes\.bin: the file changed after it was opened: inode was"):
            source.read(2000, 3000)

    def test_changed_file_is_stale_after_unpickling(self, source: LocalSource, path: Path) -> None:
        sent = pickle.dumps(source)
        os.utime(path, ns=(0, 0))
        with pytest.raises(StaleFileError, match=r"modification time in nanoseconds was .*, is 0"):
            pickle.loads(sent).read(2000, 3000)

    def test_overwritten_file_with_old_size_and_time_is_stale(self, source: LocalSource, path: Path) -> None:
        with path.open("r+b") as file:  # as `cp -p` does: the same inode
            file.write(CONTENT[::-1])
        while path.stat().st_ctime_ns == source.fingerprint[3]:  # the clock of a file system has steps
            os.utime(path, ns=(source.fingerprint[1],) * 2)
        os.utime(path, ns=(source.fingerprint[1],) * 2)
        with pytest.raises(StaleFileError, match=r"opened: change time in nanoseconds was .*its content, or only its"):
            source.read(2000, 3000)

    def test_pickle_without_change_time_reads(self, source: LocalSource, path: Path) -> None:
        function, (name, size, modified, inode, _) = source.__reduce__()
        older = pickle.loads(pickle.dumps((function, (name, size, modified, inode))))
        copy = older[0](*older[1])
        path.chmod(0o640)
        assert bytes(copy.read(2000, 3000)) == CONTENT[2000:3000]
        os.utime(path, ns=(0, 0))
        with pytest.raises(StaleFileError, match="modification time"):
            copy.read(2000, 3000)

    def test_file_truncated_during_a_read_is_stale(self, source: LocalSource, path: Path) -> None:
        out = np.empty(10, dtype=np.uint8)
        with source.session() as session:
            os.truncate(path, 5)
            with pytest.raises(StaleFileError, match="size was 300000, is 5"):
                session.read_ranges([100_000], [out])
            session.source = LocalSource.open(path)  # or the end of the session would say it once more

    def test_file_changed_during_a_read_is_stale(self, source: LocalSource, path: Path) -> None:
        session = source.session()
        session.__enter__()
        path.write_bytes(CONTENT[::-1])
        os.utime(path, ns=(0, 0))
        with pytest.raises(StaleFileError, match="modification time"):
            session.__exit__(None, None, None)

    def test_missing_file_is_named_with_the_host(self, source: LocalSource, path: Path) -> None:
        path.unlink()
        with pytest.raises(FileNotFoundError, match=r"on host .*bytes\.bin"):
            source.read(2000, 3000)

    def test_short_reads_are_completed(self, source: LocalSource, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = os.preadv
        monkeypatch.setattr(os, "preadv", lambda fd, bufs, at: whole(fd, [memoryview(bufs[0])[:7]], at))
        assert bytes(source.read(2000, 2100)) == CONTENT[2000:2100]
        out = np.empty(100, dtype=np.uint8)
        source.read_ranges([3000], [out])
        assert out.tobytes() == CONTENT[3000:3100]

    def test_missing_range_is_refused(self, source: LocalSource) -> None:
        with pytest.raises(TruncatedError, match=r"bytes\.bin: bytes 299990 to 300010 were asked for"):
            source.read_ranges([299_990], [np.empty(20, dtype=np.uint8)])

    def test_input_error_keeps_its_number_and_gets_the_path(
        self, source: LocalSource, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> int:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(os, "preadv", broken)
        monkeypatch.setattr(os, "pread", broken)
        out = np.empty(20, dtype=np.uint8)
        for read in (
            lambda: source.read(2000, 2100),
            lambda: source.read_ranges([2000], [out]),
            lambda: open_source(path),
        ):
            with pytest.raises(OSError, match="Input/output error") as caught:
                read()
            assert (caught.value.errno, caught.value.filename) == (errno.EIO, str(path))

    def test_sources_hold_no_descriptor(self, path: Path) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
        try:
            sources = [open_source(path) for _ in range(5000)]
            assert all(len(source.read(2000, 2010)) == 10 for source in sources[:300])
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def test_threads_over_many_files_never_mix_them(self, tmp_path: Path) -> None:
        sources = []
        for i in range(200):
            (tmp_path / f"{i}").write_bytes(i.to_bytes(2, "little") * 1000)
            sources.append(LocalSource.open(str(tmp_path / f"{i}")))
        wrong: list[int] = []

        def work(seed: int) -> None:
            order = np.random.default_rng(seed).permutation(200).tolist()
            wrong.extend(i for i in order if bytes(sources[i].read(1100, 1200)) != i.to_bytes(2, "little") * 50)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong


class TestMemorySource(ByteSourceContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Any:  # noqa: ARG002 -- the contract's signature
        return open_source(CONTENT)

    def test_equal_bytes_have_equal_fingerprints(self) -> None:
        assert MemorySource(b"abc").fingerprint == MemorySource(bytearray(b"abc")).fingerprint
        assert MemorySource(b"abc").fingerprint != MemorySource(b"abd").fingerprint


class TestFileObjectSource(ByteSourceContract):
    picklable = False

    @pytest.fixture
    def source(self, path: Path) -> Any:
        with path.open("rb") as file:
            yield open_source(file)

    def test_object_keeps_its_position(self) -> None:
        file = io.BytesIO(CONTENT)
        file.seek(17)
        source = open_source(file)
        assert source.name == "<BytesIO>"
        source.read(100, 200)
        assert (file.tell(), file.closed) == (17, False)

    def test_short_reads_are_completed(self) -> None:
        class Stuttering(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                return super().read(min(7, size or 0))

        assert bytes(FileObjectSource(Stuttering(CONTENT)).read(500, 700)) == CONTENT[500:700]

    def test_input_error_keeps_the_position(self) -> None:
        class Broken(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                raise OSError(errno.EIO, os.strerror(errno.EIO)) if size else OSError("odd")

        file = Broken(CONTENT)
        source = FileObjectSource(file, "broken")
        with pytest.raises(OSError, match="Input/output error: 'broken'") as caught:
            source.read(5, 10)
        assert (caught.value.errno, file.tell()) == (errno.EIO, 0)

    def test_sources_of_one_object_share_lock_and_name(self) -> None:
        file = io.BytesIO(CONTENT)
        first, second = FileObjectSource(file), FileObjectSource(file)
        assert first == second
        assert first._lock is second._lock
        assert first.fingerprint == second.fingerprint
        assert first.fingerprint != FileObjectSource(io.BytesIO(CONTENT)).fingerprint

    def test_unhashable_object_is_read(self) -> None:
        class Odd(io.BytesIO):
            __hash__ = None  # type: ignore[assignment] # what is tested

        assert bytes(FileObjectSource(Odd(b"abc")).read(1, 3)) == b"bc"


def test_stream_is_read_to_its_end() -> None:
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as stream:
        writer = threading.Thread(target=_write_and_close, args=(write_end,))
        writer.start()
        source = open_source(stream)
        writer.join()
        assert bytes(source.read(0, 400_000)) == CONTENT
        assert not stream.closed


def test_named_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(CONTENT,))
    writer.start()
    source = open_source(pipe)
    writer.join()
    assert source.name == str(pipe)
    assert bytes(source.read(0, 400_000)) == CONTENT


def _write_and_close(descriptor: int) -> None:
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(CONTENT)


@pytest.mark.parametrize("thing", [None, 5, 1.5, ["a.mrc"], object()])
def test_other_objects_are_refused(thing: object) -> None:
    with pytest.raises(TypeError, match="expected a path, a URL, bytes or a binary file object"):
        open_source(thing)


@pytest.mark.parametrize("text", [io.StringIO("abc"), io.TextIOWrapper(io.BytesIO(b"abc"))])
def test_text_is_refused(text: Any) -> None:
    with pytest.raises(TypeError, match="binary mode"):
        open_source(text)


def test_text_stream_is_refused() -> None:
    class Stream:
        def read(self, _: int) -> str:
            return "abc"

    with pytest.raises(TypeError, match="binary mode"):
        open_source(Stream())


def test_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError) as caught:
        open_source(tmp_path)
    assert caught.value.filename == str(tmp_path)


@pytest.mark.parametrize("name", ["", "not/there.mrc"])
def test_missing_path_is_refused(name: str) -> None:
    with pytest.raises(FileNotFoundError):
        open_source(name)


def test_device_is_refused() -> None:
    with pytest.raises(OSError, match="neither a regular file nor a stream"):
        open_source("/dev/zero")


def test_a_url_asks_for_what_opens_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(MissingDependencyError, match=r'^opening a URL needs .*: pip install "mrcarray\[remote\]"$'):
        open_source("s3://bucket/a.mrc")


def test_existing_file_named_like_a_url_chain_opens(tmp_path: Path) -> None:
    odd = tmp_path / "a::b.mrc"
    odd.write_bytes(b"abc")
    assert open_source(str(odd)).size() == 3


@pytest.mark.parametrize("content", [CONTENT, gzip.compress(CONTENT), gzip.compress(gzip.compress(CONTENT))])
def test_source_is_returned_unchanged(content: bytes) -> None:
    source = open_source(content)
    assert open_source(source) is source


class Equal(io.BytesIO):
    """A file that is equal to every other of its kind, as those of fsspec are."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Equal)

    def __hash__(self) -> int:
        return 1


def test_equal_file_objects_are_different_sources() -> None:
    content = gzip.compress(bytes(1 << 20) + CONTENT)
    first = Equal(content)
    bytes(open_source(first).read(1 << 20, (1 << 20) + 4))
    first.close()
    second = open_source(Equal(content))
    assert bytes(second.read(1 << 20, (1 << 20) + len(CONTENT))) == CONTENT


@pytest.mark.parametrize("again", [gzip.compress, bz2.compress])
def test_doubly_compressed_file_is_decompressed_twice(again: Any, tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(again(CONTENT)))
    source = open_source(tmp_path / "a.gz")
    assert bytes(source.read(1000, 400_000)) == CONTENT[1000:]
    assert bytes(pickle.loads(pickle.dumps(source)).read(5, 10)) == CONTENT[5:10]


def test_endless_compression_is_not_followed() -> None:
    packed = CONTENT
    for _ in range(9):
        packed = gzip.compress(packed)
    assert bytes(open_source(packed).read(0, 3)) == b"\x1f\x8b\x08"


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_closed_file_object_raises(pack: Any) -> None:
    file = io.BytesIO(pack(CONTENT))
    source = open_source(file)
    file.close()
    with pytest.raises(ClosedError, match="<BytesIO>: the file object was closed; keep it open"):
        source.read(5, 100_000)


def test_file_object_has_one_identity() -> None:
    file = io.BytesIO(CONTENT)
    assert FileObjectSource(file).fingerprint == FileObjectSource(file).fingerprint
    assert FileObjectSource(file).fingerprint != FileObjectSource(io.BytesIO(CONTENT)).fingerprint


def test_opened_fingerprint_equals_the_plain_one() -> None:
    source = open_source(CONTENT)
    brought = OpenedFingerprint.of(source)
    assert brought == source.fingerprint
    assert brought.source is source
    assert tokenize(brought) == tokenize(OpenedFingerprint.of(open_source(CONTENT)))
