"""Seek indexes that are kept: right, at once whole, used by the next session, and never trusted blindly."""

from __future__ import annotations

import bz2
import contextlib
import functools
import gzip
import itertools
import json
import lzma
import os
import shutil
import struct
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

from mrcarray.errors import CompressionError, MrcError, MrcWarning
from mrcarray.storage import atomic, open_source
from mrcarray.storage.compression import bzip2, index_file, seekable, xz
from mrcarray.storage.compression.checkpoints import Point, Points
from mrcarray.storage.compression.source import CompressedSource, forget
from tests.storage.compressing import COMPRESS, Counting, bgzf, noise

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20
CONTENT = noise(6 * MIB)


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
        return bz2.compress(CONTENT)
    if how == "blocked":
        return bgzf(CONTENT)
    half = 5 * MIB + 11
    parts = [CONTENT] if how == "gzip" else [CONTENT[:half], CONTENT[half:]]
    return bytes(5).join(gzip.compress(part, 1) for part in parts)


def opened(path: Path, index: Any) -> CompressedSource:
    """Open with an index."""
    source = open_source(path, index=index)
    assert isinstance(source, CompressedSource)
    return source.bounded(len(CONTENT))


def check(source: CompressedSource) -> None:
    """Read here and there."""
    for start in (5 * MIB, 4 * MIB - 7, 0, 6 * MIB - 1000, 2 * MIB):
        assert bytes(source.read(start, start + 1000)) == CONTENT[start : start + 1000]


def test_it_lies_beside_the_file_and_the_next_session_makes_no_pass(path: Path) -> None:
    check(opened(path, index=True))
    kept = path.with_name("a.bin" + index_file.SUFFIX)
    assert kept.exists()
    forget()
    source = opened(path, index=True)
    source.read(5 * MIB, 5 * MIB + 9)
    front = source._state()._front
    assert front is None or front.position < MIB
    assert len(source._state().points.all) >= 2
    check(source)
    assert bytes(source.read(0, len(CONTENT))) == CONTENT


def test_the_next_session_has_the_header_of_a_bzip2_file_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.bz2"
    path.write_bytes(packed("bzip2"))
    source = opened(path, index=True)
    source.read(0, 1024)
    check(source)
    forget()
    monkeypatch.setattr(bzip2, "_decode", None)  # what decodes fails
    assert bytes(opened(path, index=True).read(0, 1024)) == CONTENT[:1024]
    with pytest.raises(TypeError):
        opened(path, index=False).read(1024, 2048)


def test_it_is_kept_also_when_it_is_wished_after_the_first_slice(path: Path) -> None:
    check(opened(path, index=False))
    check(opened(path, index=True))
    assert path.with_name("a.bin" + index_file.SUFFIX).exists()


def test_a_pipe_or_a_long_line_in_its_place_is_neither_waited_for_nor_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert index_file.load(pipe, (1,)) is None
    line = tmp_path / "line"
    with line.open("wb") as file:
        file.truncate(1 << 40)
    assert index_file.load(line, (1,)) is None


def test_points_that_go_backwards_are_ignored(tmp_path: Path) -> None:
    backwards = [Point(0, 0), Point(90, 9, window=b""), Point(80, 10, window=b"")]
    index_file.save(tmp_path / "a", (1,), index_file.Index(backwards, None))
    assert index_file.load(tmp_path / "a", (1,)) is None


def test_points_within_a_byte_are_among_those_of_gzip() -> None:
    pytest.importorskip("indexed_gzip")
    inner = Counting(packed("gzip"))
    points = index_file.windows(inner, None, spacing=256 << 10)
    assert points is not None
    assert len({point.bits for point in points}) > 4
    assert inner.passes <= 1.1
    few = index_file.windows(inner, 3 * MIB, spacing=256 << 10)
    assert few is not None
    assert few[-1].out <= 5 * MIB


def test_small_members_are_points_too_but_not_all_of_them() -> None:
    pytest.importorskip("indexed_gzip")
    for content in (CONTENT, bytes(6 * MIB)):
        points = index_file.windows(Counting(bgzf(content)), None)
        assert points is not None
        outs = [point.out for point in points] + [len(content)]
        gaps = [after - before for before, after in itertools.pairwise(outs)]
        assert max(gaps) <= 1.3 * MIB
        assert len(points) <= 30


def test_points_that_lie_far_apart_are_started_from_all_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(opened(path, index=True))
    forget()
    monkeypatch.setattr(seekable, "NEAR", 0)
    kept = index_file.load

    def sparse(*wanted: Any) -> Any:
        found = kept(*wanted)
        assert found is not None
        return found._replace(points=found.points[:1] + found.points[-2:-1])

    monkeypatch.setattr(seekable, "load", sparse)
    source = opened(path, index=True)
    for start in (6 * MIB - 9, 3 * MIB, 2 * MIB, 4 * MIB, 3 * MIB + 5, 5 * MIB, 0, 5 * MIB + 50):
        assert bytes(source.read(start, start + 9)) == CONTENT[start : start + 9]
    outs = [np.empty(9, dtype=np.uint8) for _ in range(3)]
    source.read_ranges([MIB, 3 * MIB, 5 * MIB], outs)
    assert [out.tobytes() for out in outs] == [CONTENT[i * MIB :][:9] for i in (1, 3, 5)]
    assert bytes(source.read(0, len(CONTENT))) == CONTENT
    assert source._state().spool is None


def test_a_path_names_the_file_or_a_folder(path: Path, tmp_path: Path) -> None:
    check(opened(path, tmp_path / "named.idx"))
    assert (tmp_path / "named.idx").exists()
    forget()
    check(opened(path, f"{tmp_path}/many/"))
    assert len(list((tmp_path / "many").iterdir())) == 1


def test_it_goes_to_the_cache_folder_where_it_cannot_lie_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(index_file.FOLDER, str(tmp_path))
    places = [index_file.place(name, (1, "tag"), index=True) for name in ("https://host/a.gz", "/no/such/folder/a.gz")]
    assert [place and place.parent for place in places] == [tmp_path, tmp_path]
    assert len(set(places)) == 2
    monkeypatch.delenv(index_file.FOLDER)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    place = index_file.place("https://host/a.gz", (1, "tag"), index=True)
    assert place is not None
    assert place.parent == tmp_path / "xdg" / "mrcarray"


def test_without_a_home_folder_reading_goes_on_with_a_warning(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv(index_file.FOLDER, raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.warns(MrcWarning, match="no index is kept: there is no home folder; set MRCARRAY_CACHE_FOLDER"):
        source = opened(path, index=True)
    check(source)
    assert os.listdir(tmp_path) == ["a.bin"]  # noqa: PTH208 -- names are enough


@pytest.mark.parametrize("change", ["chmod", "link", "copy"])
def test_index_of_a_file_with_the_same_bytes_is_kept(path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
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
    monkeypatch.setattr(seekable.State, "_build", None)  # what makes an index anew fails
    check(opened(path, index=True))
    forget()
    monkeypatch.setattr(index_file, "checksum", None)  # the second time its fingerprint is the right one
    check(opened(path, index=True))


def test_index_of_a_file_with_other_bytes_of_the_same_size_and_time_is_not_used(path: Path) -> None:
    check(opened(path, index=True))
    before = path.stat()
    raw = bytearray(path.read_bytes())
    raw[-100] ^= 0xFF
    with path.open("r+b") as file:
        file.write(raw)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    kept = path.with_name("a.bin" + index_file.SUFFIX)
    assert index_file.load(kept, open_source(path).inner.fingerprint, open_source(path).inner) is None  # type: ignore[attr-defined]


def test_index_of_an_earlier_version_is_made_anew(path: Path) -> None:
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
    body = (facts if isinstance(facts, bytes) else json.dumps(facts).encode()) + b"\n" + packed
    path.write_bytes(index_file.MAGIC + b"%d\n" % zlib.crc32(body) + body)
    return path


SHORT = {name: COMPRESS[name](CONTENT[:5000]) for name in ("gzip", "bzip2")}
SOUND = {"content": "(1,)", "end": 100, "points": [[0, 0, 0, -1], [50, 9, 3, 0]], "head": 0, "checksum": None}


@pytest.mark.parametrize(
    "changed",
    [
        {"end": "x"},
        {"end": -1},
        {"end": 49},
        {"end": 1e3},
        {"end": True},
        {"head": "x"},
        {"head": 5},
        {"head": -1},
        {"points": []},
        {"points": [[0, 0, 0, -1], [50, 9, 8, 0]]},
        {"points": [[0, 0, 0, -1], [50, -9, 0, 0]]},
        {"points": [[0, 0, 0, -1], [1 << 80, 9, 0, 0]]},
        {"points": [[0, 0, 0, -1], [50, 9, 0, "x"]]},
        {"points": [[0, 0, 0, -1], [50, 9, 0, -5]]},
        {"points": [[0, 0, 0, -1], [50, 9, 0, 10**9]]},
        {"points": [[0, 0, 0, -1], [50, 9, 0]]},
        {"points": {"a": 1}},
        {"points": 7},
        {"checksum": "x"},
        {"checksum": [1, None]},
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
            "end": st.none() | st.integers(-5, 1 << 70) | st.text(max_size=3),
            "head": st.integers(-5, 50) | st.floats(),
            "points": st.lists(st.lists(st.integers(-3, 40) | st.none() | st.text(max_size=2), max_size=5), max_size=4)
            | st.lists(st.tuples(*[st.integers(0, 9)] * 3, st.integers(-1, 30)), max_size=4).map(
                lambda rows: [[0, 0, 0, -1], *map(list, rows)]
            ),
        }
    ),
    packed=st.binary(max_size=60),
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_index_gives_the_bytes_or_an_error_of_the_file(
    tmp_path: Path, facts: dict[str, Any], packed: bytes
) -> None:
    found = index_file.load(forged(tmp_path / "a", facts, packed), (1,))
    if found is None:
        return
    for name in ("gzip", "bzip2"):
        source = CompressedSource(Counting(SHORT[name]), name)
        source._state().points = Points(found.points)
        with warnings.catch_warnings(), contextlib.suppress(MrcError):
            warnings.simplefilter("ignore", MrcWarning)
            assert len(source.read(45, 4000)) <= 3955


def test_window_that_cannot_be_unpacked_is_not_started_from() -> None:
    source = CompressedSource(Counting(packed("gzip")), "gzip")
    source._state().points = Points([Point(0, 0), Point(MIB, 500_000, 0, b"no window")])
    source._state()._prepared = True
    assert bytes(source.read(2 * MIB, 2 * MIB + 9)) == CONTENT[2 * MIB : 2 * MIB + 9]


def test_index_as_large_as_a_disk_is_not_read(tmp_path: Path) -> None:
    sparse = forged(tmp_path / "a", SOUND)
    with sparse.open("r+b") as file:
        file.truncate(6 << 30)
    tracemalloc.start()
    assert index_file.load(sparse, (1,)) is None
    assert tracemalloc.get_traced_memory()[1] < MIB
    tracemalloc.stop()


def test_longest_line_of_an_index_takes_little_memory(tmp_path: Path) -> None:
    path = forged(tmp_path / "a", b"[" + b"1," * (index_file.LINE // 2 - 10) + b"1]")
    tracemalloc.start()
    assert index_file.load(path, (1,)) is None
    assert tracemalloc.get_traced_memory()[1] < 32 * MIB
    tracemalloc.stop()


def test_many_points_are_thinned_so_that_they_can_be_read_again(tmp_path: Path) -> None:
    points = [Point(i * 900_000, i * 300_000, i % 8, b"" if i else None) for i in range(100_000)]
    index_file.save(tmp_path / "a", (1,), index_file.Index([Point(0, 0), *points[1:]], None))
    found = index_file.load(tmp_path / "a", (1,))
    assert found is not None
    assert 25_000 <= len(found.points) <= index_file.POINTS + 1
    assert found.points[0] == Point(0, 0)


@pytest.mark.parametrize("damage", ["other", "magic", "number", "point", "window", "empty"])
def test_one_that_is_damaged_or_of_another_file_is_ignored(tmp_path: Path, damage: str) -> None:
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
    elif damage == "point":
        raw[raw.index(b"], [") + 4] ^= 1  # still a digit
    else:
        raw[{"magic": 0, "number": 14, "window": -1}[damage]] ^= 0x55
    kept.write_bytes(raw)
    forget()
    check(opened(path, index=True))
    assert kept.read_bytes() != raw


def test_where_it_cannot_be_written_reading_goes_on_with_a_warning(path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    source = opened(path, tmp_path / "file" / "a.idx")
    with pytest.warns(MrcWarning, match="its index cannot be kept"):
        check(source)


def test_without_the_library_gzip_reading_goes_on_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "indexed_gzip", None)
    path = tmp_path / "a.bin"
    path.write_bytes(packed("gzip"))
    with pytest.warns(MrcWarning, match=r"cannot be kept without indexed_gzip: pip install 'mrcarray\[fast\]'"):
        check(opened(path, index=True))


def test_a_damaged_file_gets_no_index_and_the_error_it_deserves(tmp_path: Path) -> None:
    pytest.importorskip("indexed_gzip")
    path = tmp_path / "a.bin"
    half = len(packed("gzip")) // 2
    path.write_bytes(packed("gzip")[:half])
    source = opened(path, index=True)
    with pytest.raises(CompressionError, match=f"near byte {half} of the compressed file"):
        source.read(5 * MIB, 6 * MIB)


def test_a_file_damaged_in_the_middle_gets_no_index(tmp_path: Path) -> None:
    pytest.importorskip("indexed_gzip")
    path = tmp_path / "a.bin"
    raw = bytearray(packed("members"))
    raw[raw.index(bytes(5) + b"\x1f\x8b\x08") + 15] = 0xFF  # there is no such kind of block
    path.write_bytes(raw)
    with pytest.raises(CompressionError, match="the gzip stream is damaged"):
        opened(path, index=True).read(5 * MIB, 6 * MIB)
    assert not path.with_name("a.bin" + index_file.SUFFIX).exists()


@pytest.mark.parametrize("cut", [2 * MIB, 4 * MIB])
def test_a_file_cut_short_is_reported_alike_with_an_index_and_without(tmp_path: Path, cut: int) -> None:
    pytest.importorskip("indexed_gzip")
    path = tmp_path / "a.bin"
    path.write_bytes(packed("gzip")[:cut])
    assert index_file.windows(open_source(path).inner, len(CONTENT)) is None  # type: ignore[attr-defined]
    texts = []
    for index in (True, False):
        forget()
        source = opened(path, index)
        for start in (6 * MIB - 9000, 6 * MIB - 1000):
            with pytest.raises(CompressionError, match=f"ends too early.* near byte {cut} of") as caught:
                source.read(start, start + 1000)
            texts.append(str(caught.value))
    assert len(set(texts)) == 1
    assert not path.with_name("a.bin" + index_file.SUFFIX).exists()


def test_a_whole_read_of_blocks_keeps_their_index_too(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(packed("bzip2"))
    source = opened(path, index=True)
    out = np.empty(len(CONTENT), dtype=np.uint8)
    assert source.read_into(0, out) == len(CONTENT)
    assert path.with_name("a.bin" + index_file.SUFFIX).exists()


class TestXzBlocks:
    def blocks(self, sizes: list[int]) -> bytes:
        """Return an xz file of one stream for each size; the streams are points like blocks."""
        parts, at = [], 0
        for size in sizes:
            parts.append(lzma.compress(CONTENT[at : at + size], preset=0))
            at += size
        return b"".join(part + bytes(4 * (i % 3)) for i, part in enumerate(parts))

    def test_the_lists_at_the_ends_give_the_points(self) -> None:
        inner = Counting(self.blocks([MIB, 5, 2 * MIB, 0, MIB]))
        points = xz.outline(inner)
        assert points is not None
        assert [point.out for point in points] == [0, MIB, MIB + 5, 3 * MIB + 5]
        assert inner.count < 2000

    def test_a_slice_costs_its_block(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(seekable, "NEAR", 2 * MIB)
        inner = Counting(self.blocks([MIB // 2] * 12))
        source = CompressedSource(inner, "xz")
        for start in (5 * MIB, 2 * MIB + 5, 5 * MIB + 900_000):
            assert bytes(source.read(start, start + 1000)) == CONTENT[start : start + 1000]
        assert inner.passes < 0.6
        assert source._state().spool is None
        assert bytes(source.read(2 * MIB, 7 * MIB)) == CONTENT[2 * MIB :]

    @pytest.mark.parametrize("at", [-1, -6, -10, -14, -20, 3])
    def test_lists_that_are_wrong_are_not_followed(self, at: int) -> None:
        packed = bytearray(self.blocks([MIB]))
        packed[at] ^= 1
        assert xz.outline(Counting(bytes(packed))) is None
        assert xz.outline(Counting(b"\xfd7zXZ\0 too short")) is None

    def test_a_file_whose_size_is_unknown_has_no_list(self) -> None:
        inner = Counting(b"")
        inner.size = lambda: None  # type: ignore[assignment, return-value, method-assign]
        assert xz.outline(inner) is None

    def test_damage_in_a_block_is_named_with_its_position(self) -> None:
        packed = bytearray(self.blocks([MIB] * 3))
        points = xz.outline(Counting(bytes(packed)))
        assert points is not None
        at = points[1].inner + 5000
        packed[at] ^= 0xFF
        source = CompressedSource(Counting(bytes(packed)), "xz")
        with pytest.raises(CompressionError, match="damaged") as caught:
            source.read(MIB + 5, 2 * MIB)
        assert caught.value.position is not None
        assert points[1].inner <= caught.value.position <= points[2].inner
        assert bytes(source.read(2 * MIB, 2 * MIB + 9)) == CONTENT[2 * MIB : 2 * MIB + 9]

    def test_a_list_that_claims_to_be_longer_than_the_file_is_not_looked_for(self) -> None:
        facts = struct.pack("<I", (1 << 32) - 1) + b"\0\4"
        inner = Counting(self.blocks([1000]) + struct.pack("<I", zlib.crc32(facts)) + facts + b"YZ")
        assert xz.outline(inner) is None
        assert inner.count < 100


def test_a_file_of_points_holds_what_was_put_in(tmp_path: Path) -> None:
    points = [Point(0, 0), Point(10, 5, 3, b"window"), Point(20, 9, 0, b"")]
    index = index_file.Index(points, 30, b"first bytes")
    index_file.save(tmp_path / "i", (1, 2), index)
    assert index_file.load(tmp_path / "i", (1, 2)) == index
    assert index_file.load(tmp_path / "i", (1, 3)) is None
    assert [entry.name for entry in tmp_path.iterdir()] == ["i"]


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.Calls, "replace", staticmethod(full))
    with pytest.raises(OSError, match="No space"):
        index_file.save(tmp_path / "i", (1,), index_file.Index([Point(0, 0)], None))
    assert not list(tmp_path.iterdir())


def test_an_index_is_readable_by_its_owner_alone_and_follows_no_link(tmp_path: Path) -> None:
    index = index_file.Index([Point(0, 0)], None)
    index_file.save(tmp_path / "i", (1,), index)
    assert (tmp_path / "i").stat().st_mode & 0o777 == 0o600
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "link").symlink_to("mine")
    with pytest.raises(OSError, match="not a regular file"):
        index_file.save(tmp_path / "link", (1,), index)
    assert (tmp_path / "mine").read_bytes() == b"mine"
