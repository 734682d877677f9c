"""Kept indexes: right, complete or absent, used by the next session, and never trusted blindly."""

from __future__ import annotations

import bz2
import contextlib
import functools
import gzip
import json
import os
import shutil
import sys
import time
import tracemalloc
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mrcarray.errors import CompressionError, MrcError, MrcWarning, StaleFileError
from mrcarray.storage import atomic, cache_folder, open_source
from mrcarray.storage.compression import bzip2, index_file
from mrcarray.storage.compression.checkpoints import Checkpoint
from mrcarray.storage.compression.codecs import CODECS
from mrcarray.storage.compression.gzip_index import GzipIndex
from mrcarray.storage.compression.seekable import SeekableReader
from mrcarray.storage.compression.source import CompressedSource, forget
from mrcarray.storage.threads import each
from tests.storage.compressing import COMPRESS, Counting, bgzf, noise

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20
UNIT = 400_000
"""Bytes by which the reads are apart: small, for compressing takes most of the time."""
CONTENT = noise(6 * UNIT)


@pytest.fixture(autouse=True)
def _nothing_learnt() -> Iterator[None]:
    forget()
    yield
    forget()


@pytest.fixture(params=["gzip", "members", "blocked", "bzip2"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a compressed file whose index can be kept."""
    if request.param != "bzip2":
        pytest.importorskip("indexed_gzip")
    found = tmp_path / "a.bin"
    found.write_bytes(packed(request.param))
    return found


@functools.cache
def packed(how: str) -> bytes:
    """Return the content, compressed."""
    if how == "bzip2":
        return bz2.compress(CONTENT, 1)
    if how == "blocked":
        return bgzf(CONTENT)
    half = 5 * UNIT + 11
    parts = [CONTENT] if how == "gzip" else [CONTENT[:half], CONTENT[half:]]
    return bytes(5).join(gzip.compress(part, 1) for part in parts)


def opened(path: Path, index: Any) -> CompressedSource:
    """Open with an index."""
    source = open_source(path, index=index)
    assert isinstance(source, CompressedSource)
    return source.bounded(len(CONTENT))


def check(source: CompressedSource) -> None:
    """Read here and there."""
    for start in (5 * UNIT, 4 * UNIT - 7, 0, 6 * UNIT - 1000, 2 * UNIT):
        assert bytes(source.read(start, start + 1000)) == CONTENT[start : start + 1000]


def test_next_session_makes_no_pass(path: Path) -> None:
    check(opened(path, index=True))
    kept = path.with_name("a.bin" + index_file.SUFFIX)
    assert kept.exists()
    forget()
    source = opened(path, index=True)
    source.read(5 * UNIT, 5 * UNIT + 9)
    reader = source._reader()
    assert reader._front is None or reader._front.position < UNIT
    assert reader.index is not None or len(reader.checkpoints.all) >= 2
    check(source)
    assert bytes(source.read(0, len(CONTENT))) == CONTENT


def test_next_session_decodes_no_bzip2_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bz2"
    path.write_bytes(packed("bzip2"))
    source = opened(path, index=True)
    source.read(0, 1024)
    check(source)
    forget()
    monkeypatch.setattr(bzip2, "_decode", None)  # what decodes fails
    assert bytes(opened(path, index=True).read(0, 1024)) == CONTENT[:1024]
    with pytest.raises(CompressionError, match="not callable"):
        opened(path, index=False).read(1024, 2048)


def test_index_is_kept_after_slices_without(path: Path) -> None:
    check(opened(path, index=False))
    check(opened(path, index=True))
    assert path.with_name("a.bin" + index_file.SUFFIX).exists()


def test_pipe_or_sparse_file_is_no_index(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert index_file.load(pipe, (1,)) is None
    line = tmp_path / "line"
    with line.open("wb") as file:
        file.truncate(1 << 40)
    assert index_file.load(line, (1,)) is None


def test_checkpoints_that_go_backwards_are_ignored(tmp_path: Path) -> None:
    backwards = [Checkpoint(0, 0), Checkpoint(90, 9, inside=True), Checkpoint(80, 10, inside=True)]
    index_file.save(tmp_path / "a", (1,), index_file.Index(backwards))
    assert index_file.load(tmp_path / "a", (1,)) is None


class TestGzipIndex:
    @pytest.fixture(autouse=True)
    def _library(self) -> None:
        pytest.importorskip("indexed_gzip")

    @pytest.mark.parametrize("how", ["gzip", "members", "blocked"])
    def test_build_is_one_pass_and_slices_read_little(self, how: str) -> None:
        inner = Counting(packed(how))
        index = GzipIndex.build(inner, len(CONTENT), spacing=256 << 10)
        assert index is not None
        assert index.end == len(CONTENT)
        assert inner.passes <= 1.1
        inner.count = 0
        for start in (0, 5 * UNIT, 2 * UNIT - 7, 6 * UNIT - 1000, 3 * UNIT + 11):
            out = np.empty(1000, dtype=np.uint8)
            assert index.read_into(start, out)
            assert out.tobytes() == CONTENT[start : start + 1000]
        assert inner.passes < 0.7

    def test_build_reaches_as_far_as_it_is_wanted(self) -> None:
        inner = Counting(packed("gzip"))
        index = GzipIndex.build(inner, 3 * UNIT, spacing=128 << 10)
        assert index is not None
        assert (index.reach, index.end) == (3 * UNIT, None)
        assert inner.passes < 0.8
        assert index.read_into(3 * UNIT - 100, np.empty(100, dtype=np.uint8))
        assert not index.read_into(3 * UNIT, np.empty(100, dtype=np.uint8))

    def test_threads_read_the_right_bytes(self) -> None:
        index = GzipIndex.build(Counting(packed("gzip")), len(CONTENT))
        assert index is not None

        def work(start: int) -> None:
            out = np.empty(50_000, dtype=np.uint8)
            for at in range(start, 5 * UNIT, UNIT):
                assert index.read_into(at, out)
                assert out.tobytes() == CONTENT[at : at + 50_000]

        each(work, range(0, 240_000, 30_000), 8)
        assert len(index._idle) <= 8

    def test_errors_of_the_source_pass_unchanged(self) -> None:
        inner = Counting(packed("gzip"))
        index = GzipIndex.build(inner, len(CONTENT))
        assert index is not None
        inner.error = StaleFileError("it changed")
        with pytest.raises(StaleFileError, match="it changed"):
            index.read_into(UNIT, np.empty(9, dtype=np.uint8))
        with pytest.raises(StaleFileError, match="it changed"):
            GzipIndex.build(inner, len(CONTENT))

    def test_very_many_members_get_no_index(self) -> None:
        inner = Counting(gzip.compress(b"") * 400_000 + gzip.compress(b"a"))
        assert GzipIndex.build(inner, 1) is None
        assert inner.passes < 0.9

    def test_index_of_a_file_of_another_size_is_refused(self) -> None:
        index = GzipIndex.build(Counting(packed("gzip")), len(CONTENT))
        assert index is not None
        for data in (index.data, index.data[:100], b"GZIDX", b""):
            with pytest.raises(ValueError, match="import"):
                GzipIndex(Counting(packed("gzip")[:-9]), data)


def test_path_names_file_or_folder(path: Path, tmp_path: Path) -> None:
    check(opened(path, tmp_path / "named.idx"))
    assert (tmp_path / "named.idx").exists()
    forget()
    check(opened(path, f"{tmp_path}/many/"))
    assert len(list((tmp_path / "many").iterdir())) == 1


def test_index_goes_to_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache_folder.FOLDER, str(tmp_path))
    found = [index_file.locate(name, (1, "tag"), index=True) for name in ("https://host/a.gz", "/no/such/folder/a.gz")]
    assert [path and path.parent for path in found] == [tmp_path, tmp_path]
    assert len(set(found)) == 2
    monkeypatch.delenv(cache_folder.FOLDER)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    path = index_file.locate("https://host/a.gz", (1, "tag"), index=True)
    assert path is not None
    assert path.parent == tmp_path / "xdg" / "mrcarray"


def test_missing_home_folder_warns(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv(cache_folder.FOLDER, raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.warns(MrcWarning, match="no index is kept: there is no home folder; set MRCARRAY_CACHE_FOLDER"):
        source = opened(path, index=True)
    check(source)
    assert os.listdir(tmp_path) == ["a.bin"]  # noqa: PTH208 -- names are enough


@pytest.mark.parametrize("change", ["chmod", "link", "copy"])
def test_index_of_same_bytes_is_used(path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    check(opened(path, index=True))
    before = path.stat().st_ctime_ns
    if change == "copy":
        shutil.copy(path, path.with_name("copy"))
        path.with_name("copy").replace(path)
    while path.stat().st_ctime_ns == before:  # the clock of a file system has steps
        if change == "link":
            os.link(path, path.with_name(f"link{time.monotonic_ns()}"))
        path.chmod(0o600)
    forget()
    monkeypatch.setattr(SeekableReader, "_build", None)  # building another index fails
    check(opened(path, index=True))
    forget()
    monkeypatch.setattr(index_file, "checksum", None)  # the second time its fingerprint is the right one
    check(opened(path, index=True))


def test_index_of_other_bytes_is_not_used(path: Path) -> None:
    check(opened(path, index=True))
    before = path.stat()
    raw = bytearray(path.read_bytes())
    raw[-100] ^= 0xFF
    with path.open("r+b") as file:
        file.write(raw)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    kept = path.with_name("a.bin" + index_file.SUFFIX)
    assert index_file.load(kept, open_source(path).inner.fingerprint, open_source(path).inner) is None  # type: ignore[attr-defined]


def test_index_with_old_fingerprint_is_rebuilt(path: Path) -> None:
    check(opened(path, index=True))
    kept = path.with_name("a.bin" + index_file.SUFFIX)
    index = index_file.load(kept, open_source(path).inner.fingerprint)  # type: ignore[attr-defined]
    assert index is not None
    status = path.stat()
    index_file.save(kept, (status.st_size, status.st_mtime_ns, status.st_ino), index._replace(checksum=None))
    old = kept.read_bytes()
    forget()
    check(opened(path, index=True))
    assert kept.read_bytes() != old


def forged(path: Path, facts: Any, packed: bytes = b"") -> Path:
    """Write an index with a right checksum around any facts."""
    line = facts if isinstance(facts, bytes) else json.dumps(facts).encode()
    body = packed + line
    path.write_bytes(body + index_file.FOOTER.pack(zlib.crc32(body), len(line), index_file.MAGIC))
    return path


SHORT = {name: COMPRESS[name](CONTENT[:5000]) for name in ("gzip", "bzip2")}
SOUND = {
    "content": "(1,)",
    "checksum": None,
    "reach": None,
    "end": 100,
    "head": 0,
    "checkpoints": [[0, 0, 0, False], [50, 9, 3, True]],
}


@pytest.mark.parametrize(
    "changed",
    [
        *[{"end": wrong} for wrong in ("x", -1, 49, 1e3, True)],
        *[{"head": wrong} for wrong in ("x", 5, -1)],
        *[{"reach": wrong} for wrong in ("x", -1, 1e3)],
        *[
            {"checkpoints": [[0, 0, 0, False], wrong]}
            for wrong in ([50, 9, 8, True], [50, -9, 0, True], [1 << 80, 9, 0, True], [50, 9, 0], "x", [0, 9, 0, True])
        ],
        {"checkpoints": []},
        {"checkpoints": {"a": 1}},
        {"checkpoints": 7},
        *[{"checksum": wrong} for wrong in ("x", [1, None])],
        {"content": None},
    ],
    ids=str,
)
def test_forged_facts_are_ignored(tmp_path: Path, changed: dict[str, Any]) -> None:
    assert index_file.load(forged(tmp_path / "a", SOUND), (1,)) is not None
    assert index_file.load(forged(tmp_path / "a", SOUND | changed), (1,)) is None


@pytest.mark.parametrize("line", [b"", b"[" * 100_000, b"null", b"[1]", b'{"content": "(1,)"}', b"1" * 10_000, b"\xff"])
def test_forged_line_is_ignored(tmp_path: Path, line: bytes) -> None:
    assert index_file.load(forged(tmp_path / "a", line), (1,)) is None


@given(
    facts=st.fixed_dictionaries(
        {
            "content": st.just("(1,)"),
            "checksum": st.none(),
            "reach": st.none() | st.integers(-5, 1 << 70),
            "end": st.none() | st.integers(-5, 1 << 70) | st.text(max_size=3),
            "head": st.integers(-5, 50) | st.floats(),
            "checkpoints": st.lists(
                st.lists(st.integers(-3, 40) | st.none() | st.text(max_size=2), max_size=5), max_size=4
            )
            | st.lists(st.tuples(*[st.integers(0, 9)] * 3, st.booleans()), max_size=4).map(
                lambda rows: [[0, 0, 0, False], *map(list, rows)]
            ),
        }
    ),
    data=st.binary(max_size=60),
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_index_gives_the_bytes_or_an_error_of_the_file(tmp_path: Path, facts: dict[str, Any], data: bytes) -> None:
    forged(tmp_path / "a", facts, data)
    for name in ("gzip", "bzip2"):
        forget()
        inner = Counting(SHORT[name])
        inner.fingerprint = (1,)  # type: ignore[assignment] # as the forged index says
        reader = SeekableReader(inner, CODECS[name], head=10)
        with warnings.catch_warnings(), contextlib.suppress(MrcError):
            warnings.simplefilter("ignore", MrcWarning)
            reader.read_into(45, np.empty(3955, dtype=np.uint8), target=index_file.IndexTarget(tmp_path / "a", 5000))


def test_huge_index_is_not_read(tmp_path: Path) -> None:
    sparse = forged(tmp_path / "a", SOUND)
    with sparse.open("r+b") as file:
        file.truncate(6 << 30)
    tracemalloc.start()
    assert index_file.load(sparse, (1,)) is None
    assert tracemalloc.get_traced_memory()[1] < MIB
    tracemalloc.stop()


def test_longest_line_takes_little_memory(tmp_path: Path) -> None:
    path = forged(tmp_path / "a", b"[" + b"1," * (index_file.LINE // 2 - 10) + b"1]")
    tracemalloc.start()
    assert index_file.load(path, (1,)) is None
    assert tracemalloc.get_traced_memory()[1] < 32 * MIB
    tracemalloc.stop()


def test_many_checkpoints_are_thinned(tmp_path: Path) -> None:
    points = [Checkpoint(i * 900_000, i * 300_000, i % 8, inside=True) for i in range(1, 100_000)]
    index_file.save(tmp_path / "a", (1,), index_file.Index([Checkpoint(0, 0), *points]))
    found = index_file.load(tmp_path / "a", (1,))
    assert found is not None
    assert 25_000 <= len(found.checkpoints) <= index_file.POINTS + 1
    assert found.checkpoints[0] == Checkpoint(0, 0)


@pytest.mark.parametrize("damage", ["other", "magic", "length", "window", "version 3", "empty"])
def test_damaged_or_old_index_is_rebuilt(tmp_path: Path, damage: str) -> None:
    pytest.importorskip("indexed_gzip")
    path = tmp_path / "a.bin"
    path.write_bytes(packed("gzip"))
    check(opened(path, index=True))
    kept = path.with_name("a.bin" + index_file.SUFFIX)
    raw = bytearray(kept.read_bytes())
    if damage == "other":
        os.utime(path, ns=(5, 5))
    elif damage == "empty":
        raw.clear()
    elif damage == "version 3":
        raw = bytearray(b'seek index 3\n123\n{"content": "(1,)"}\n')
    else:
        raw[{"magic": -1, "length": -12, "window": 5000}[damage]] ^= 0x55
    kept.write_bytes(raw)
    forget()
    check(opened(path, index=True))
    assert kept.read_bytes() != raw


def test_unwritable_index_warns(path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    source = opened(path, tmp_path / "file" / "a.idx")
    with pytest.warns(MrcWarning, match="its index cannot be kept"):
        check(source)


def test_missing_indexed_gzip_warns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "indexed_gzip", None)
    path = tmp_path / "a.bin"
    path.write_bytes(packed("gzip"))
    with pytest.warns(MrcWarning, match=r'keeping its index needs indexed_gzip: pip install "mrcarray\[fast\]"'):
        check(opened(path, index=True))


def test_truncated_file_gets_no_index(tmp_path: Path) -> None:
    pytest.importorskip("indexed_gzip")
    path = tmp_path / "a.bin"
    half = len(packed("gzip")) // 2
    path.write_bytes(packed("gzip")[:half])
    source = opened(path, index=True)
    with pytest.raises(CompressionError, match=f"near byte {half} of the compressed file"):
        source.read(5 * UNIT, 6 * UNIT)


def test_damaged_file_gets_no_index(tmp_path: Path) -> None:
    pytest.importorskip("indexed_gzip")
    path = tmp_path / "a.bin"
    raw = bytearray(packed("members"))
    raw[raw.index(bytes(5) + b"\x1f\x8b\x08") + 15] = 0xFF  # there is no such kind of block
    path.write_bytes(raw)
    with pytest.raises(CompressionError, match="the gzip stream is damaged"):
        opened(path, index=True).read(5 * UNIT, 6 * UNIT)
    assert not path.with_name("a.bin" + index_file.SUFFIX).exists()


@pytest.mark.parametrize("cut", [2 * UNIT, 4 * UNIT])
def test_truncation_is_reported_alike_with_index(tmp_path: Path, cut: int) -> None:
    pytest.importorskip("indexed_gzip")
    path = tmp_path / "a.bin"
    path.write_bytes(packed("gzip")[:cut])
    assert GzipIndex.build(open_source(path).inner, len(CONTENT)) is None  # type: ignore[attr-defined]
    texts = []
    for index in (True, False):
        forget()
        source = opened(path, index)
        for start in (6 * UNIT - 9000, 6 * UNIT - 1000):
            with pytest.raises(CompressionError, match=f"ends too early.* near byte {cut} of") as caught:
                source.read(start, start + 1000)
            texts.append(str(caught.value))
    assert len(set(texts)) == 1
    assert not path.with_name("a.bin" + index_file.SUFFIX).exists()


def test_whole_bzip2_read_keeps_the_index(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(packed("bzip2"))
    source = opened(path, index=True)
    out = np.empty(len(CONTENT), dtype=np.uint8)
    assert source.read_into(0, out) == len(CONTENT)
    assert path.with_name("a.bin" + index_file.SUFFIX).exists()


def test_index_round_trips(tmp_path: Path) -> None:
    points = [Checkpoint(0, 0), Checkpoint(10, 5, 3, inside=True), Checkpoint(20, 9)]
    index = index_file.Index(points, b"index of gzip", 25, 30, b"first bytes", (5, 6))
    index_file.save(tmp_path / "i", (1, 2), index)
    assert index_file.load(tmp_path / "i", (1, 2)) == index
    assert index_file.load(tmp_path / "i", (1, 3)) is None
    assert [entry.name for entry in tmp_path.iterdir()] == ["i"]


def test_failed_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.Calls, "replace", staticmethod(full))
    with pytest.raises(OSError, match="No space"):
        index_file.save(tmp_path / "i", (1,), index_file.Index([Checkpoint(0, 0)]))
    assert not list(tmp_path.iterdir())


def test_index_is_private_and_follows_no_link(tmp_path: Path) -> None:
    index = index_file.Index([Checkpoint(0, 0)])
    index_file.save(tmp_path / "i", (1,), index)
    assert (tmp_path / "i").stat().st_mode & 0o777 == 0o600
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "link").symlink_to("mine")
    with pytest.raises(OSError, match="not a regular file"):
        index_file.save(tmp_path / "link", (1,), index)
    assert (tmp_path / "mine").read_bytes() == b"mine"
