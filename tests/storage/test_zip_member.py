"""Members of zip archives are read where they lie: in ranges, by an index, with few requests, and never as another."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import fsspec
import numpy as np
import pytest
import xarray as xr

import mrcarray
from mrcarray.errors import ClosedError, CompressionError, StaleFileError
from mrcarray.storage import open_source
from mrcarray.storage.compression.source import CompressedSource
from mrcarray.storage.memory import MemorySource
from mrcarray.storage.remote import zip_member as archive_module
from mrcarray.storage.remote.source import RemoteSource
from mrcarray.storage.remote.zip_member import DeflatedMember, StoredMember, find_member
from mrcarray.validation import check
from tests import builders
from tests.contracts import CONTENT, ByteSourceContract
from tests.storage.compressing import COMPRESS, noise

if TYPE_CHECKING:
    from pathlib import Path

    from tests.storage.servers import Site

pytestmark = pytest.mark.usefixtures("nothing_learnt")

MIB = 1 << 20
MEMBER = "inner/a b.mrc"
METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]
every_method = pytest.mark.parametrize("method", METHODS, ids=["stored", "deflated"])
SECRET = "s3cr3t"  # noqa: S105 -- made up


def archived(content: bytes, method: int, *, zip64: bool = False, comment: bytes = b"") -> bytes:
    """Return an archive of three members, of which the second is asked for."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("first.txt", b"first" * 1000)
        with archive.open(MEMBER, "w", force_zip64=zip64) as member:
            member.write(content)
        archive.writestr("inner/zwölf.txt", b"last")
        archive.comment = comment
    return out.getvalue()


def patched(archive: bytes, *, flags: int = 0, method: int | None = None) -> bytes:
    """Return the archive with flags and method of all members changed, in both of their headers."""
    data = bytearray(archive)
    for signature, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        start = data.find(signature)
        while start >= 0:
            data[start + at] |= flags
            if method is not None:
                struct.pack_into("<H", data, start + at + 2, method)
            start = data.find(signature, start + 4)
    return bytes(data)


@pytest.fixture(params=METHODS, ids=["stored", "deflated"])
def method(request: pytest.FixtureRequest) -> int:
    return int(request.param)


class TestLocal(ByteSourceContract):
    @pytest.fixture
    def source(self, tmp_path: Path, method: int) -> Any:
        (tmp_path / "a.zip").write_bytes(archived(CONTENT, method))
        return open_source(f"zip://{MEMBER}::{tmp_path}/a.zip")


class TestZip64(ByteSourceContract):
    @pytest.fixture
    def source(self, tmp_path: Path, method: int) -> Any:
        (tmp_path / "a.zip").write_bytes(archived(CONTENT, method, zip64=True))
        return open_source(f"zip:///{MEMBER}::{tmp_path}/a.zip")


class TestOverHttp(ByteSourceContract):
    reads = 10

    @pytest.fixture
    def source(self, site: Site, method: int) -> Any:
        site.files["/a.zip"] = archived(CONTENT, method)
        return open_source(f"zip://{MEMBER}::{site.url}/a.zip")


class TestOpenMember(ByteSourceContract):
    picklable = False

    @pytest.fixture
    def source(self, method: int) -> Any:
        with zipfile.ZipFile(io.BytesIO(archived(CONTENT, method))) as archive, archive.open(MEMBER) as file:
            yield open_source(file)


class TestLeftToFsspec(ByteSourceContract):
    reads = 10

    @pytest.fixture
    def source(self, tmp_path: Path) -> Any:
        (tmp_path / "a.zip").write_bytes(archived(CONTENT, zipfile.ZIP_LZMA))
        return open_source(f"zip://{MEMBER}::{tmp_path}/a.zip")

    def test_member_is_read_by_fsspec(self, source: Any) -> None:
        assert isinstance(source, RemoteSource)


class TestChecksumOfAStoredMember:
    """Verified when all of the member is read, however it is read in order; what is read in part is not verified."""

    SIZE = 20 * MIB

    def damaged(self, folder: Path, nsymbt: int = 0, *, flip: bool = True) -> str:
        """Return the URL of an MRC file in an archive, one bit of a pixel flipped."""
        pixels = noise(self.SIZE)
        content = builders.header_bytes(nx=1024, ny=1024, nz=10, mode=1, nsymbt=nsymbt) + bytes(nsymbt) + pixels
        raw = bytearray(archived(content, zipfile.ZIP_STORED))
        raw[len(raw) // 2] ^= 4 * int(flip)
        (folder / "a.zip").write_bytes(raw)
        return f"zip://{MEMBER}::{folder}/a.zip"

    @pytest.mark.parametrize("nsymbt", [0, 5000])
    def test_wrong_checksum_raises_on_whole_read(self, tmp_path: Path, nsymbt: int) -> None:
        url = self.damaged(tmp_path, nsymbt)
        with pytest.raises(CompressionError, match=r"a b\.mrc::.*the checksum \(CRC-32\) of the member is not the one"):
            mrcarray.open_array(url)[...]
        assert mrcarray.open_array(url)[0].shape == (1024, 1024)

    def test_wrong_checksum_raises_in_another_process(self, tmp_path: Path) -> None:
        sent = pickle.dumps(mrcarray.open_array(self.damaged(tmp_path)))
        archive_module.sums.clear()  # as in a process that starts
        with pytest.raises(CompressionError, match="checksum"):
            pickle.loads(sent)[...]

    def test_wrong_checksum_makes_a_file_invalid(self, tmp_path: Path) -> None:
        found = check(self.damaged(tmp_path))
        assert not found.ok
        assert any("checksum (CRC-32) of the member" in str(issue) for issue in found.at_least("error"))

    def test_permissive_read_warns_and_returns_bytes(self, tmp_path: Path) -> None:
        array = mrcarray.open_array(self.damaged(tmp_path), permissive=True)
        with pytest.warns(mrcarray.MrcWarning, match="its bytes are damaged"):
            assert np.asarray(array).nbytes == self.SIZE

    def test_right_checksum_is_silent(self, tmp_path: Path) -> None:
        url = self.damaged(tmp_path, 5000, flip=False)
        array = mrcarray.open_array(url)
        for _ in range(2):
            assert array[...].tobytes() == noise(self.SIZE)
        assert array[9].tobytes() == noise(self.SIZE)[-2 * MIB :]


class TestWhatIsFound:
    def test_members_are_ranges_or_gzip_files(self) -> None:
        archive = MemorySource(archived(CONTENT, zipfile.ZIP_STORED))
        assert type(find_member(archive, MEMBER)) is StoredMember
        archive = MemorySource(archived(CONTENT, zipfile.ZIP_DEFLATED))
        assert type(find_member(archive, MEMBER)) is DeflatedMember

    def test_deflated_member_is_a_gzip_file(self) -> None:
        import gzip

        found = find_member(MemorySource(archived(CONTENT, zipfile.ZIP_DEFLATED)), MEMBER)
        assert found is not None
        size = found.size()
        whole = bytes(found.read(0, size))
        assert gzip.decompress(whole) == CONTENT
        places = [*range(12), *range(size - 11, size + 2)]
        for start in places:
            for stop in [stop for stop in places if stop >= start]:
                assert bytes(found.read(start, stop)) == whole[start:stop]

    @pytest.mark.parametrize("name", ["bzip2", "zstd", "xz"])
    def test_bzip2_xz_and_zstd_members_are_read(self, name: str) -> None:
        number = {"bzip2": 12, "zstd": 93, "xz": 95}[name]
        found = find_member(
            MemorySource(patched(archived(COMPRESS[name](CONTENT), zipfile.ZIP_STORED), method=number)), MEMBER
        )
        assert found is not None
        source = open_source(bytes(found.read(0, found.size())))
        assert isinstance(source, CompressedSource)
        assert source.codec == name
        assert bytes(source.read(0, len(CONTENT))) == CONTENT

    @every_method
    def test_comment_and_prefix_are_skipped(self, method: int, tmp_path: Path) -> None:
        (tmp_path / "a.zip").write_bytes(b"#!program" * 99 + archived(CONTENT, method, comment=b"x" * 65_535))
        assert bytes(open_source(f"zip://{MEMBER}::{tmp_path}/a.zip").read(0, len(CONTENT))) == CONTENT

    def test_long_directory_is_read_whole(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for i in range(900):
                archive.writestr(f"{'long' * 25}/{i}", b"%d" % i)
        for i in (0, 899):
            assert bytes(open_source(f"zip://{'long' * 25}/{i}::{tmp_path}/a.zip").read(0, 9)) == b"%d" % i

    @every_method
    def test_archive_written_to_a_pipe_is_read(self, method: int, tmp_path: Path) -> None:
        class Pipe(io.BytesIO):
            def seekable(self) -> bool:
                return False

            def tell(self) -> int:
                raise OSError

        pipe = Pipe()
        with zipfile.ZipFile(pipe, "w", method) as archive, archive.open(MEMBER, "w") as member:
            member.write(CONTENT)
        (tmp_path / "a.zip").write_bytes(pipe.getvalue())
        assert bytes(open_source(f"zip://{MEMBER}::{tmp_path}/a.zip").read(0, len(CONTENT))) == CONTENT

    @every_method
    def test_archive_in_archive_is_read(self, method: int, tmp_path: Path) -> None:
        inner = archived(CONTENT, method)
        (tmp_path / "outer.zip").write_bytes(archived(inner, method))
        source = open_source(f"zip://{MEMBER}::zip://{MEMBER}::{tmp_path}/outer.zip")
        assert bytes(source.read(1000, 250_000)) == CONTENT[1000:250_000]

    @every_method
    def test_compressed_member_is_decompressed(self, method: int, tmp_path: Path) -> None:
        (tmp_path / "a.zip").write_bytes(archived(COMPRESS["gzip"](CONTENT), method))
        source = open_source(f"zip://{MEMBER}::{tmp_path}/a.zip")
        assert bytes(source.read(100_000, 400_000)) == CONTENT[100_000:]

    def test_members_have_different_fingerprints(self, tmp_path: Path) -> None:
        contents = {f"{i}.mrc": noise(50_000, i) for i in range(3)}
        with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in contents.items():
                archive.writestr(name, content)
        sources = [open_source(f"zip://{name}::{tmp_path}/a.zip") for name in contents]
        for source, content in zip(sources, contents.values(), strict=True):
            assert bytes(source.read(40_000, 50_000)) == content[40_000:]
        assert len({source.fingerprint for source in sources}) == 3

    def test_relative_path_is_made_absolute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "a.zip").write_bytes(archived(CONTENT, zipfile.ZIP_STORED))
        monkeypatch.chdir(tmp_path)
        source = open_source(f"zip://{MEMBER}::a.zip")
        assert source.name == f"zip://{MEMBER}::{tmp_path}/a.zip"
        monkeypatch.chdir(os.sep)
        assert bytes(source.read(0, 10_000)) == CONTENT[:10_000]

    def test_suffix_of_the_member_counts(self, tmp_path: Path) -> None:
        stack = builders.mrc_bytes(builders.sample((3, 8, 8), 2), ispg=1)
        (tmp_path / "a.zip").write_bytes(archived(stack, zipfile.ZIP_STORED).replace(b"a b.mrc", b"ab.mrcs"))
        url = f"zip://inner/ab.mrcs::{tmp_path}/a.zip"
        assert xr.open_dataset(url, engine="mrc").data.dims[0] == "section"


class TestTrouble:
    def opened(self, tmp_path: Path, archive: bytes, member: str = MEMBER, **options: Any) -> Any:
        (tmp_path / "a.zip").write_bytes(archive)
        return open_source(f"zip://{member}::{tmp_path}/a.zip", **options)

    def test_missing_member_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"no such member: 'zip://inner/b\.mrc::.*a\.zip'"):
            self.opened(tmp_path, archived(CONTENT, 0), "inner/b.mrc")

    def test_folder_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(IsADirectoryError, match="zip://inner::"):
            self.opened(tmp_path, archived(CONTENT, 0), "inner")

    @pytest.mark.parametrize("archive", [b"", b"no archive" * 5000], ids=["empty", "text"])
    def test_other_file_is_no_archive(self, tmp_path: Path, archive: bytes) -> None:
        with pytest.raises(OSError, match=r"damaged zip archive: File is not a zip file.*a\.zip"):
            self.opened(tmp_path, archive)

    def test_header_contradicting_directory_is_damage(self, tmp_path: Path) -> None:
        sound = archived(CONTENT, 0)
        at = sound.index(b"PK\3\4", 4)
        for place, text in ((at, "no member header at byte"), (at + 32, "expected 'inner/a b.mrc'")):
            damaged = bytearray(sound)
            damaged[place] ^= 1
            with pytest.raises(OSError, match=text):
                self.opened(tmp_path, bytes(damaged))

    def test_truncated_member_is_damage(self, tmp_path: Path) -> None:
        damaged = bytearray(archived(CONTENT, 0))
        entry = damaged.index(b"PK\1\2", damaged.index(b"PK\1\2") + 4)
        struct.pack_into("<I", damaged, entry + 20, 400_000)
        with pytest.raises(OSError, match=r"it ends inside its member 'inner/a b\.mrc'"):
            self.opened(tmp_path, bytes(damaged))

    def test_encrypted_member_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match="is encrypted, password required"):
            self.opened(tmp_path, patched(archived(CONTENT, 0), flags=1))

    @pytest.mark.parametrize("at", [-5, 100_000], ids=["checksum", "bytes"])
    def test_damaged_deflated_member_raises_on_whole_read(self, tmp_path: Path, at: int) -> None:
        content = builders.mrc_bytes(builders.sample((4, 300, 100), 2))
        damaged = bytearray(archived(content, zipfile.ZIP_DEFLATED))
        entry = damaged.index(b"PK\1\2", damaged.index(b"PK\1\2") + 4)
        damaged[entry + 16 if at < 0 else at] ^= 1
        (tmp_path / "a.zip").write_bytes(damaged)
        with pytest.raises(CompressionError, match=r"zip://inner/a b\.mrc::.*a\.zip.* is damaged"):
            mrcarray.open_array(f"zip://{MEMBER}::{tmp_path}/a.zip")[...]

    @every_method
    def test_changed_archive_is_stale(self, tmp_path: Path, method: int) -> None:
        source = self.opened(tmp_path, archived(CONTENT, method))
        (tmp_path / "a.zip").write_bytes(archived(CONTENT[::-1], method) + b"\0")
        with pytest.raises(StaleFileError, match=r"a\.zip: the file changed"):
            source.read(5, 100_000)

    @every_method
    def test_closed_member_raises(self, method: int) -> None:
        with zipfile.ZipFile(io.BytesIO(archived(CONTENT, method))) as archive:
            with archive.open(MEMBER) as file:
                source = open_source(file)
            with pytest.raises(ClosedError, match=r"ZipExtFile.* was closed"):
                source.read(5, 100_000)

    def test_archive_options_are_left_to_fsspec(self, tmp_path: Path) -> None:
        source = self.opened(tmp_path, archived(CONTENT, 0), storage_options={"zip": {"allowZip64": True}})
        assert isinstance(source, RemoteSource)
        assert bytes(source.read(0, 9)) == CONTENT[:9]


class TestOpenMembers:
    @every_method
    def test_member_opened_by_fsspec_is_read_in_the_archive(self, tmp_path: Path, method: int) -> None:
        (tmp_path / "a.zip").write_bytes(archived(CONTENT, method))
        with fsspec.open(f"zip://{MEMBER}::{tmp_path}/a.zip") as file:
            file.read(5)
            source = open_source(file)
            assert bytes(source.read(200_000, 200_009)) == CONTENT[200_000:200_009]
            assert file.read(5) == CONTENT[5:10]
            assert source.fingerprint == open_source(file).fingerprint
            member = source.inner if isinstance(source, CompressedSource) else source
            assert isinstance(member, StoredMember)

    def test_two_open_members_are_read_in_threads(self) -> None:
        def right(source: Any) -> bool:
            return all(bytes(source.read(i, i + 4000)) == CONTENT[i : i + 4000] for i in range(200))

        archive = zipfile.ZipFile(io.BytesIO(archived(CONTENT, 0)))
        with archive, archive.open(MEMBER) as one, archive.open(MEMBER) as other, ThreadPoolExecutor(2) as pool:
            assert all(pool.map(right, [open_source(one), open_source(other)]))

    def test_other_member_is_read_through_zipfile(self) -> None:
        archive = zipfile.ZipFile(io.BytesIO(archived(CONTENT, zipfile.ZIP_LZMA)))
        with archive, archive.open(MEMBER) as file:
            assert bytes(open_source(file).read(1000, 2000)) == CONTENT[1000:2000]


class TestBudgets:
    """Requests and bytes, counted by the server."""

    @pytest.fixture
    def stack(self) -> np.ndarray[Any, Any]:
        return builders.sample((12, 256, 640), 2)

    def url(self, site: Site, stack: np.ndarray[Any, Any], method: int) -> str:
        site.files["/all.zip"] = archived(builders.mrc_bytes(stack, ispg=0), method)
        return f"zip://{MEMBER}::{site.url}/all.zip"

    @every_method
    def test_opening_costs_three_requests(self, site: Site, stack: np.ndarray[Any, Any], method: int) -> None:
        ds = xr.open_dataset(self.url(site, stack, method), engine="mrc")
        assert ds.data.shape == stack.shape
        assert len(site.requests) == 3  # the archive's first bytes, its directory, the member's header
        assert site.sent <= 4 * 65_536

    @pytest.mark.parametrize("chunks", [None, {}, {"section": 1}])
    def test_section_of_stored_member_is_one_request(
        self, site: Site, stack: np.ndarray[Any, Any], chunks: Any
    ) -> None:
        ds = xr.open_dataset(self.url(site, stack, zipfile.ZIP_STORED), engine="mrc", chunks=chunks)
        for number in (7, 3):
            site.reset()
            np.testing.assert_array_equal(ds.data[number].values, stack[number])
            assert len(site.requests) == 1
            assert site.sent == stack[number].nbytes

    def test_sections_of_deflated_member_cost_one_pass(self, site: Site, stack: np.ndarray[Any, Any]) -> None:
        array = mrcarray.open_array(self.url(site, stack, zipfile.ZIP_DEFLATED))
        site.reset()
        for number, section in enumerate(stack):
            np.testing.assert_array_equal(array[number], section)
        assert site.sent <= 1.02 * len(site.files["/all.zip"])
        site.reset()
        np.testing.assert_array_equal(array[2], stack[2])
        assert len(site.requests) == 1
        assert site.sent <= 3 * MIB  # from the point before it to the one behind it

    def test_storage_options_reach_the_server(self, site: Site, stack: np.ndarray[Any, Any]) -> None:
        options = {"http": {"headers": {"X-Token": SECRET}}}
        url = self.url(site, stack, zipfile.ZIP_STORED)
        array = mrcarray.open_array(url, storage_options=options)
        np.testing.assert_array_equal(array[3], stack[3])
        assert {seen["X-Token"] for seen in site.headers} == {SECRET}
        assert SECRET not in f"{array!r}{array.source!r}{array.__dask_tokenize__()!r}"
        copy = pickle.loads(pickle.dumps(array))
        np.testing.assert_array_equal(copy[2], stack[2])
        assert len(pickle.dumps(array)) < 4096

    def test_credentials_of_the_archive_are_hidden(self, site: Site, stack: np.ndarray[Any, Any]) -> None:
        url = self.url(site, stack, zipfile.ZIP_STORED).replace("http://", f"http://me:{SECRET}@") + f"?token={SECRET}"
        array = mrcarray.open_array(url)
        np.testing.assert_array_equal(array[3], stack[3])
        assert SECRET not in f"{array!r}{array.source!r}{array.__dask_tokenize__()!r}"
        with pytest.raises(FileNotFoundError) as caught:
            mrcarray.open_array(url.replace(MEMBER, "none"))
        assert SECRET not in repr(caught.value)
        site.files["/all.zip"] += b"\0"
        with pytest.raises(StaleFileError) as stale:
            array[4]
        assert SECRET not in repr(stale.value)

    def test_server_without_ranges_names_the_solution(
        self, site: Site, stack: np.ndarray[Any, Any], tmp_path: Path
    ) -> None:
        site.ranges = False
        url = self.url(site, stack, zipfile.ZIP_STORED)
        with pytest.raises(io.UnsupportedOperation, match="simplecache::"):
            mrcarray.open_array(url)
        options = {"simplecache": {"cache_storage": str(tmp_path)}}
        array = mrcarray.open_array(url.replace("::", "::simplecache::"), storage_options=options)
        np.testing.assert_array_equal(array[3], stack[3])
