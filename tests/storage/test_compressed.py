"""Compressed sources: the right bytes, in one pass, within bounds, whatever the compression and the damage."""

from __future__ import annotations

import bz2
import errno
import functools
import gc
import gzip
import lzma
import os
import pickle
import threading
import tracemalloc
import warnings
import zlib
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcarray.errors import (
    CompressionError,
    LimitError,
    MissingDependencyError,
    MrcValueError,
    MrcWarning,
    StaleFileError,
    TruncatedError,
)
from mrcarray.storage import open_source
from mrcarray.storage.compression import (
    bzip2,
    bzip2_blocks,
    checkpoints,
    decoders,
    parked,
    seekable,
    spool,
    stream,
)
from mrcarray.storage.compression import source as compressed_source
from mrcarray.storage.compression.codecs import CODECS
from mrcarray.storage.compression.source import KEPT, CompressedSource, _states, forget, open_compressed
from tests.contracts import CONTENT, ByteSourceContract
from tests.storage.compressing import COMPRESS, Counting, bgzf, noise, zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MIB = 1 << 20


@pytest.fixture(autouse=True)
def _nothing_learnt() -> Iterator[None]:
    """Start and end without what other tests have left in the process."""
    forget()
    yield
    forget()


@pytest.fixture(params=["fast", "stdlib"])
def _library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read gzip with the fast libraries, if they are there, and with the one Python brings."""
    if request.param == "stdlib":
        monkeypatch.setattr(decoders, "deflate_library", lambda: zlib)
        monkeypatch.setattr(decoders, "inflate_library", lambda: None)


@pytest.fixture(params=COMPRESS)
def codec(request: pytest.FixtureRequest) -> str:
    """Return the name of each compression in turn."""
    name: str = request.param
    return name


def opened(content: bytes, codec: str, limit: int | None = None, **options: Any) -> tuple[CompressedSource, Counting]:
    """Return a source of compressed `content`, and what counts how it is read."""
    inner = Counting(content)
    source = open_compressed(inner, CODECS[codec]).bounded(limit, **options)
    return source, inner


def read_all(source: CompressedSource, size: int, start: int = 0) -> bytes:
    """Read up to byte `size` in one go."""
    out = np.empty(size - start, dtype=np.uint8)
    count = source.read_into(start, out)
    return out[:count].tobytes()


@pytest.mark.usefixtures("_library")
class TestContract(ByteSourceContract):
    @pytest.fixture(params=[*COMPRESS, "bgzf", "members"])
    def source(self, request: pytest.FixtureRequest, tmp_path: Path) -> Any:
        make: dict[str, Callable[[bytes], bytes]] = {
            **COMPRESS,
            "bgzf": bgzf,
            "members": lambda content: gzip.compress(content[:77_777]) + bytes(9) + gzip.compress(content[77_777:]),
        }
        path = tmp_path / "content.bin"
        path.write_bytes(make[request.param](CONTENT))
        return open_source(path)


class TestOnePass:
    def test_a_header_costs_the_first_bytes_only(self, codec: str) -> None:
        content = noise(4 * MIB)
        packed = COMPRESS[codec](content)
        source, inner = opened(packed, codec)
        assert bytes(source.read(0, 1024)) == content[:1024]
        assert bytes(source.read(1024, 2048)) == content[1024:2048]
        assert inner.count <= {"gzip": 4096, "xz": 70_000, "zstd": 300_000, "bzip2": 1_200_000}[codec]

    @pytest.mark.usefixtures("_library")
    def test_a_whole_read_after_the_header_is_one_pass_into_the_array(self, codec: str) -> None:
        content = noise(6 * MIB)
        source, inner = opened(COMPRESS[codec](content), codec, len(content))
        source.read(0, 1024)
        assert source.in_order
        assert read_all(source, len(content), 1024) == content[1024:]
        assert source.verified
        assert inner.passes <= 1.05
        assert source._state().spool is None

    def test_nothing_is_read_for_nothing(self, codec: str) -> None:
        source, inner = opened(COMPRESS[codec](b"abc"), codec)
        assert source.read_into(1, np.empty(0, dtype=np.uint8)) == 0
        assert inner.count == 0

    def test_a_second_whole_read_gives_the_same(self, codec: str) -> None:
        content = noise(2 * MIB)
        source, _ = opened(COMPRESS[codec](content), codec, len(content))
        assert read_all(source, len(content)) == read_all(source, len(content)) == content

    def test_the_size_is_not_looked_for_but_remembered(self, codec: str) -> None:
        content = noise(3 * MIB)
        source, inner = opened(COMPRESS[codec](content), codec)
        assert source.size() is None
        assert inner.count == 0
        read_all(source, len(content) + 1)
        assert source.size() == len(content)

    @pytest.mark.usefixtures("_library")
    def test_chunks_in_any_order_cost_about_one_pass(self, codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(checkpoints, "SPACING", 256 << 10)
        monkeypatch.setattr(seekable, "NEAR", 512 << 10)
        content = noise(8 * MIB)
        source, inner = opened(COMPRESS[codec](content), codec, len(content))
        step = MIB // 2
        starts = np.random.default_rng(0).permutation(np.arange(0, len(content), step))
        for start in starts.tolist():
            assert bytes(source.read(start, start + step)) == content[start : start + step]
        # Half a pass more is what it costs to start between the points of gzip and the blocks of bzip2.
        assert inner.passes <= {"gzip": 2.6, "bzip2": 2.6, "xz": 1.05, "zstd": 1.05}[codec]
        assert source._state().passes <= 2

    def test_threads_share_one_pass(self, codec: str) -> None:
        content = noise(6 * MIB)
        source, inner = opened(COMPRESS[codec](content), codec, len(content))
        wrong = []

        def work(start: int) -> None:
            if bytes(source.read(start, start + MIB)) != content[start : start + MIB]:
                wrong.append(start)

        threads = [threading.Thread(target=work, args=(start,)) for start in range(0, len(content), MIB)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert inner.passes < 4

    @pytest.mark.usefixtures("_library")
    def test_a_slice_after_the_first_reads_little(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(checkpoints, "SPACING", MIB)
        content = noise(16 * MIB)
        for codec in ("gzip", "bzip2"):
            source, inner = opened(COMPRESS[codec](content), codec)
            source.read(15 * MIB, 15 * MIB + 10)
            assert inner.passes <= 1.05
            inner.count = 0
            assert bytes(source.read(5 * MIB, 5 * MIB + 1000)) == content[5 * MIB : 5 * MIB + 1000]
            assert inner.passes < 0.25

    @pytest.mark.parametrize("codec", ["gzip", "bzip2"])
    def test_pieces_read_in_order_are_decoded_once(self, codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(checkpoints, "SPACING", MIB // 2)
        content = noise(2 * MIB)
        source, inner = opened(COMPRESS[codec](content), codec)
        source.read(0, len(content))
        inner.count = 0
        for start in range(1000, MIB, 50_000):
            assert bytes(source.read(start, start + 40_000)) == content[start : start + 40_000]
        assert inner.passes < 0.8

    def test_passes_that_are_left_to_go_on_from_are_few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        closed: list[Any] = []
        monkeypatch.setattr(bzip2.Bzip2Stream, "close", lambda self: closed.append(self))  # noqa: PLW0108 -- a method
        content = noise(MIB)
        source, _ = opened(bz2.compress(content, 1), "bzip2")
        source.read(0, len(content))
        for i in range(10):
            source.read(i * 100_000, i * 100_000 + 10)
        assert len(parked.parked._all) == parked.MOST
        assert len(closed) == 10 - parked.MOST
        forget()
        assert not parked.parked._all

    def test_a_file_that_changed_is_noticed_by_who_goes_on_from_a_read(self, tmp_path: Path) -> None:
        path = tmp_path / "a.bz2"
        path.write_bytes(bz2.compress(noise(MIB)))
        source = open_source(path)
        source.read(0, MIB)
        source.read(1000, 2000)
        path.write_bytes(bz2.compress(noise(MIB + 2)))
        with pytest.raises(StaleFileError):
            source.read(2000, 3000)

    def test_many_rows_cost_what_lies_between_them_once(self, codec: str) -> None:
        content = noise(3 * MIB)
        source, inner = opened(COMPRESS[codec](content), codec, len(content))
        source.read(3 * MIB - 10, 3 * MIB)
        for first, step in ((0, 5000), (MIB, 9000)):
            starts = range(first, 2 * MIB, step)
            outs = [np.empty(100, dtype=np.uint8) for _ in starts]
            inner.count = 0
            source.read_ranges(starts[::-1], outs)
            assert [out.tobytes() for out in outs] == [content[start : start + 100] for start in starts[::-1]]
            assert inner.passes < 1.05

    def test_rows_on_both_sides_of_where_the_pass_stands_are_read_right(self, codec: str) -> None:
        content = noise(4 * MIB)
        source, inner = opened(COMPRESS[codec](content), codec, len(content))
        source.read(2 * MIB, 2 * MIB + 9)
        starts = range(0, 4 * MIB - 100, 50_000)
        outs = [np.empty(100, dtype=np.uint8) for _ in starts]
        source.read_ranges(starts, outs)
        assert [out.tobytes() for out in outs] == [content[start : start + 100] for start in starts]
        assert inner.passes <= 2.1

    def test_rows_beyond_the_end_or_in_damage_are_errors(self, codec: str) -> None:
        content = noise(2 * MIB)
        packed = COMPRESS[codec](content)
        outs = [np.empty(100, dtype=np.uint8) for _ in range(3)]
        source, _ = opened(packed, codec)
        with pytest.raises(TruncatedError, match=f"bytes {2 * MIB - 50} to {2 * MIB + 50} were asked for"):
            source.read_ranges([0, MIB, 2 * MIB - 50], outs)
        source, _ = opened(packed[: len(packed) // 2], codec)
        with pytest.raises(CompressionError):
            source.read_ranges([0, 5000, 2 * MIB - 100], outs)
        with pytest.raises(LimitError):
            opened(packed, codec, max_bytes=MIB)[0].read_ranges([0, MIB - 50], outs[:2])

    def test_copies_that_come_out_of_a_pickle_share_what_is_known(self, tmp_path: Path) -> None:
        content = noise(4 * MIB)
        path = tmp_path / "a.gz"
        path.write_bytes(gzip.compress(content, 1))
        source = open_source(path)
        assert isinstance(source, CompressedSource)
        source.bounded(5).read(3 * MIB, 3 * MIB + 5)
        sent = pickle.dumps(source)
        assert len(sent) - len(str(path)) < 250
        copy = pickle.loads(sent)
        assert copy._state() is source._state()
        assert copy == source
        assert pickle.loads(pickle.dumps(source.bounded(7, permissive=True))).permissive

    def test_what_is_kept_of_files_is_bounded(self) -> None:
        for i in range(KEPT + 5):
            opened(gzip.compress(b"%d" % i), "gzip")[0].read(0, 5)
        assert len(_states._recent) == KEPT
        heavy = open_source(gzip.compress(bytes(2000)) + bytes(300 * MIB))
        assert isinstance(heavy, CompressedSource)
        heavy.read(0, 2000)
        assert heavy._state().cost > 256 * MIB
        assert len(_states._recent) == 1
        opened(gzip.compress(b"x"), "gzip")[0].read(0, 1)
        assert len(_states._recent) == 1
        assert _states._memory < MIB

    def test_temporary_files_together_are_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(spool.MEMORY, "0")
        monkeypatch.setattr(compressed_source, "KEPT_DISK", 5 * MIB)
        for i in range(4):
            content = noise(2 * MIB, i)
            assert bytes(opened(zstd(content), "zstd")[0].read(2 * MIB - 9, 2 * MIB)) == content[-9:]
        assert 1 < len(_states._recent) < 4

    def test_few_temporary_files_are_open_at_a_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(spool.MEMORY, "0")
        monkeypatch.setattr(compressed_source, "KEPT_FILES", 3)
        before = _descriptors()
        for i in range(6):
            content = noise(2 * MIB, i)
            assert bytes(opened(zstd(content), "zstd")[0].read(2 * MIB - 9, 2 * MIB)) == content[-9:]
        gc.collect()
        assert _descriptors() <= before + 3

    def test_the_states_of_some_hundred_files_survive_each_other(self) -> None:
        contents = [noise(2 * MIB, i) for i in range(3)]
        sources = [opened(gzip.compress(content, 1), "gzip") for content in contents]
        for source, inner in sources:
            source.read(2 * MIB - 9, 2 * MIB)
            inner.count = 0
        for i in range(300):
            opened(gzip.compress(b"%d" % i), "gzip")[0].read(0, 1)
        for source, inner in sources:
            source.read(2 * MIB - 9, 2 * MIB)
            assert inner.passes < 0.7

    def test_points_take_bounded_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(checkpoints, "SPACING", 16 << 10)
        monkeypatch.setattr(checkpoints, "MOST", 8)
        monkeypatch.setattr(stream, "PIECE", 16 << 10)
        content = noise(4 * MIB)
        source, _ = opened(gzip.compress(content, 1), "gzip")
        source.read(4 * MIB - 5, 4 * MIB)
        kept = source._state().points
        assert len(kept.all) <= 9
        assert kept.spacing >= 256 << 10
        assert bytes(source.read(MIB, MIB + 5)) == content[MIB : MIB + 5]

    @pytest.mark.usefixtures("_library")
    def test_points_in_what_packs_well_hold_no_compressed_bytes(self) -> None:
        content = noise(64) * (MIB // 8) + noise(64, 1) * (MIB // 64)
        source, inner = opened(gzip.compress(content, 1), "gzip")
        source.read(len(content) - 5, len(content))
        kept = source._state().points.all
        assert len(kept) > 4
        held = [point.decoder for point in kept if point.decoder is not None]
        assert not any(one.waiting() or one._object.unconsumed_tail for one in held)  # type: ignore[attr-defined]
        for point in kept[1::2]:
            inner.count = 0
            assert bytes(source.read(point.out - 7, point.out + 20)) == content[point.out - 7 : point.out + 20]
            assert inner.passes < 0.7

    def test_whole_reads_peak_at_little_more_than_the_array(self, codec: str) -> None:
        content = noise(8 * MIB)
        source, _ = opened(COMPRESS[codec](content), codec, len(content))
        source.read(0, 1024)
        gc.collect()
        tracemalloc.start()
        read_all_size = len(content) - 1024
        out = np.empty(read_all_size, dtype=np.uint8)
        source.read_into(1024, out)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= 1.2 * out.size + 6 * MIB


class TestSpool:
    @pytest.mark.parametrize("name", ["xz", "zstd"])
    def test_what_has_no_way_back_is_spooled_in_one_pass(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(spool.MEMORY, str(2 * MIB))
        monkeypatch.setenv(spool.FOLDER, str(tmp_path))
        monkeypatch.setattr(seekable, "NEAR", 0)
        monkeypatch.setattr(checkpoints, "SPACING", 0)
        content = noise(6 * MIB)
        source, inner = opened(COMPRESS[name](content), name, len(content))
        for start in (5 * MIB, 0, 3 * MIB, 17, 4 * MIB):
            assert bytes(source.read(start, start + MIB)) == content[start : start + MIB]
        kept = source._state().spool
        assert kept is not None
        assert kept.on_disk
        assert kept.in_memory == 0
        assert inner.passes <= 1.05
        assert not list(tmp_path.iterdir())  # it has no name, so nothing can be left of it

    def test_few_bytes_stay_in_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(seekable, "NEAR", 0)
        content = noise(3 * MIB)
        source, _ = opened(COMPRESS["xz"](content), "xz")
        source.read(2 * MIB, 2 * MIB + 9)
        kept = source._state().spool
        assert kept is not None
        assert not kept.on_disk
        assert source._state().cost >= 2 * MIB

    def test_no_more_is_spooled_than_was_asked_for(self) -> None:
        source, _ = opened(lzma.compress(bytes(200 * MIB), preset=0), "xz")
        source.read(2 * MIB, 2 * MIB + 9)
        kept = source._state().spool
        assert kept is not None
        assert kept.size <= 4 * MIB

    def test_a_file_that_changed_is_noticed_though_its_bytes_are_spooled(self, tmp_path: Path) -> None:
        content = noise(3 * MIB)
        path = tmp_path / "a.xz"
        path.write_bytes(lzma.compress(content, preset=0))
        source = open_source(path)
        source.read(2 * MIB, 2 * MIB + 9)
        os.utime(path, ns=(1, 1))
        with pytest.raises(StaleFileError, match=r"a\.xz: the file changed"):
            source.read(2 * MIB, 2 * MIB + 9)

    def test_frames_after_what_was_spooled_read_right(self, monkeypatch: pytest.MonkeyPatch) -> None:
        content = noise(4 * MIB)
        packed = b"".join(zstd(content[at : at + MIB]) for at in range(0, len(content), MIB))
        source, _ = opened(packed, "zstd", len(content))
        source.read(2 * MIB, 2 * MIB + 9)
        monkeypatch.setattr(seekable, "NEAR", 0)
        monkeypatch.setattr(checkpoints, "SPACING", 0)
        for start in (3 * MIB, 2 * MIB + 99, 3 * MIB + 5, 0):
            assert bytes(source.read(start, start + MIB)) == content[start : start + MIB]
        assert read_all(source, len(content)) == content

    def test_what_lies_behind_the_spooled_reads_right_though_the_end_is_known(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(seekable, "NEAR", 0)
        monkeypatch.setattr(checkpoints, "SPACING", 0)
        content = noise(4 * MIB)
        source, _ = opened(zstd(content), "zstd", len(content))
        assert read_all(source, len(content)) == content
        for start in (2 * MIB, 3 * MIB):
            assert bytes(source.read(start, start + 9)) == content[start : start + 9]

    def test_a_full_disk_is_named_with_the_way_out_and_forgotten(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(spool.MEMORY, str(MIB))
        monkeypatch.setenv(spool.FOLDER, str(tmp_path))
        real, calls = os.pwrite, iter(range(100))

        def full(*args: Any) -> int:
            if next(calls) in {0, 3}:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*args)

        monkeypatch.setattr(os, "pwrite", full)
        content = noise(6 * MIB)
        source, _ = opened(zstd(content), "zstd", len(content))
        for _ in range(2):  # the first write, and one in the middle
            with pytest.raises(OSError, match=f"No space left.*{tmp_path}.*SPOOL_FOLDER.*counting") as caught:
                source.read(3 * MIB, 5 * MIB)
            assert caught.value.errno == errno.ENOSPC
        assert bytes(source.read(3 * MIB, 5 * MIB)) == content[3 * MIB : 5 * MIB]
        assert bytes(source.read(MIB, 2 * MIB)) == content[MIB : 2 * MIB]

    def test_a_strange_number_of_bytes_is_named_with_its_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(spool.MEMORY, "64M")
        with pytest.raises(MrcValueError, match="MRCARRAY_SPOOL_MEMORY is '64M'; expected a number of bytes"):
            spool.Spool("a.xz")

    def test_the_temporary_file_is_closed_with_the_last_source(self, tmp_path: Path) -> None:
        kept = spool.Spool("a.xz", memory=10, folder=str(tmp_path))
        kept.append(memoryview(b"0123456789"))
        kept.append(memoryview(b"abc"))
        out = np.empty(5, dtype=np.uint8)
        assert kept.read_into(8, out) == 5
        assert out.tobytes() == b"89abc"
        descriptor = kept._descriptor
        assert descriptor is not None
        del kept
        gc.collect()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


def broken_off(monkeypatch: pytest.MonkeyPatch, kind: type[BaseException], at: int) -> None:
    """Let decoding end in an exception the `at`-th time, when bytes have been decoded that nobody gets."""
    calls = iter(range(10**6))

    def patch(owner: type, name: str, *, done: bool = True) -> None:
        real = getattr(owner, name)

        def decode(*args: Any) -> Any:
            broken = next(calls) == at
            result = real(*args) if done or not broken else None
            if broken:
                raise kind
            return result

        monkeypatch.setattr(owner, name, decode)

    patch(decoders.GzipDecoder, "decode")
    patch(decoders._LibraryDecoder, "decode")
    patch(bzip2.Bzip2Stream, "_start", done=False)


class TestBrokenOff:
    @pytest.mark.parametrize("kind", [KeyboardInterrupt, MemoryError])
    @pytest.mark.parametrize("at", [2, 3])
    def test_a_pass_that_is_broken_off_is_made_again(
        self, codec: str, at: int, kind: type[BaseException], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        content = noise(2 * MIB)
        source, _ = opened(COMPRESS[codec](content), codec, len(content))
        source.read(0, 1024)
        broken_off(monkeypatch, kind, at)
        with pytest.raises(kind):
            source.read(MIB, 3 * MIB // 2)
        for start in (3 * MIB // 2, MIB, 0):
            assert bytes(source.read(start, start + 9999)) == content[start : start + 9999]
        assert read_all(source, len(content)) == content

    def test_a_pass_goes_on_from_its_last_point_and_is_verified(self) -> None:
        content = noise(8 * MIB)
        source, inner = opened(gzip.compress(content, 1), "gzip", len(content))
        source.read(6 * MIB, 7 * MIB)
        inner.error = OSError("the line is dead")
        with pytest.raises(OSError, match="dead"):
            read_all(source, len(content), 7 * MIB)
        inner.error = None
        before = inner.count
        assert read_all(source, len(content), 7 * MIB) == content[7 * MIB :]
        assert inner.count - before < len(inner.content) // 2
        assert source.verified

    def test_who_no_longer_waits_is_not_waited_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        turn = seekable._Turn()

        def interrupted(_: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(turn._condition, "wait_for", interrupted)
        with pytest.raises(KeyboardInterrupt), turn.of(0):
            pass
        assert not turn._waiting


@pytest.mark.usefixtures("_library")
class TestMembers:
    def joined(self, codec: str) -> tuple[bytes, bytes]:
        parts = [noise(300_000, 1), b"", noise(2 * MIB, 2), b"x"]
        return b"".join(parts), b"".join(COMPRESS[codec](part) for part in parts)

    def test_members_that_follow_each_other_read_as_one(self, codec: str) -> None:
        content, packed = self.joined(codec)
        source, _ = opened(packed, codec)
        assert read_all(source, len(content) + 1) == content
        assert source.verified

    def test_zeros_between_and_after_members_are_padding(self, codec: str) -> None:
        content, packed = self.joined(codec)
        for padding in (4, 8, 5000, 70_000):
            forget()
            more = packed + bytes(padding) + COMPRESS[codec](b"end") + bytes(padding)
            source, _ = opened(more, codec)
            assert read_all(source, len(content) + 4) == content + b"end"
            assert bytes(source.read(len(content) - 5, len(content) + 9)) == content[-5:] + b"end"

    @pytest.mark.parametrize("garbage", [b"garbage", b"\0\0some text that is long enough to be a member's start"])
    def test_what_follows_and_is_no_member_warns_alike(self, codec: str, garbage: bytes) -> None:
        content, packed = self.joined(codec)
        source, _ = opened(packed + garbage, codec)
        count = len(garbage.lstrip(b"\0"))
        at = len(packed) + len(garbage) - count
        match = rf"/counting/file: {count} bytes from byte {at} on, after the {codec} stream, are not part of it"
        with pytest.warns(MrcWarning, match=match):
            assert read_all(source, len(content) + 1) == content
        assert source.verified

    def test_blocked_gzip_reads_right_everywhere(self) -> None:
        content = noise(3 * MIB)
        source, _ = opened(bgzf(content), "gzip")
        for start in (2 * MIB, 5, 59_990, 3 * MIB - 3):
            assert bytes(source.read(start, start + 100)) == content[start : start + 100]

    def test_members_without_content_do_not_go_on_for_ever(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stream, "EMPTY", 10)
        source, _ = opened(gzip.compress(b"") * 12, "gzip")
        with pytest.raises(CompressionError, match="10 gzip members without content follow each other near byte 200"):
            read_all(source, 5)


class TestDamage:
    def cut(self, codec: str) -> tuple[bytes, bytes]:
        content = noise(3 * MIB)
        packed = COMPRESS[codec](content)
        return content, packed[: len(packed) * 2 // 3]

    @pytest.mark.usefixtures("_library")
    def test_a_file_that_ends_too_early_is_named_with_the_position(self, codec: str) -> None:
        content, packed = self.cut(codec)
        source, _ = opened(packed, codec, len(content))
        assert bytes(source.read(0, 1024)) == content[:1024]
        with pytest.raises(CompressionError, match=rf"/counting/file: the {codec} stream ends too early") as caught:
            read_all(source, len(content))
        assert caught.value.position is not None
        assert len(packed) - 1_000_000 < caught.value.position <= len(packed)
        assert "uncompressed bytes before it are whole" in str(caught.value)

    @pytest.mark.usefixtures("_library")
    def test_permissive_reading_gets_what_was_whole(self, codec: str) -> None:
        content, packed = self.cut(codec)
        source, _ = opened(packed, codec, len(content), permissive=True)
        with pytest.warns(MrcWarning, match="ends too early"):
            got = read_all(source, len(content))
        assert content.startswith(got)
        assert len(got) > MIB
        with pytest.warns(MrcWarning, match="ends too early"):
            assert source.available(len(content)) == len(got)
        with pytest.warns(MrcWarning, match="ends too early"):
            assert bytes(source.read(len(got) - 5, len(content))) == got[-5:]

    def test_what_lies_before_the_damage_reads_without_a_word(self, codec: str) -> None:
        content, packed = self.cut(codec)
        source, _ = opened(packed, codec, len(content))
        assert bytes(source.read(MIB, MIB + 500)) == content[MIB : MIB + 500]

    @pytest.mark.usefixtures("_library")
    def test_a_changed_bit_is_noticed_by_the_end(self, codec: str) -> None:
        content = noise(MIB)
        packed = bytearray(zstd(content, checksum=True) if codec == "zstd" else COMPRESS[codec](content))
        for at in (len(packed) // 3, len(packed) // 2, len(packed) - 200_000):
            forget()
            packed[at] ^= 1
            source, _ = opened(bytes(packed), codec, len(content))
            with pytest.raises(CompressionError, match=rf"the {codec} stream"):
                read_all(source, len(content))
            packed[at] ^= 1

    @pytest.mark.parametrize(("codec", "at"), [("gzip", -7), ("gzip", -3), ("bzip2", -2)])
    def test_a_wrong_checksum_at_the_end_is_an_error_though_all_bytes_are_there(self, codec: str, at: int) -> None:
        content = noise(MIB)
        packed = bytearray(COMPRESS[codec](content))
        packed[at] ^= 0x10
        source, _ = opened(bytes(packed), codec, len(content))
        with pytest.raises(CompressionError, match="damaged"):
            read_all(source, len(content))
        assert not source.verified

    @pytest.mark.parametrize("first", [0.0, 0.9])
    def test_what_is_behind_the_content_is_told_by_a_whole_read_after_a_slice(
        self, codec: str, first: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(seekable, "HEAD", 20_000)
        content, size = noise(200_000), 200_000
        faults = {
            "are not part of it": COMPRESS[codec](content) + b"garbage" * 3,
            "stream goes on after": COMPRESS[codec](content + b"abc"),
        }
        for text, packed in faults.items():
            source, _ = opened(packed, codec, len(content))
            begin = int(first * size)
            assert bytes(source.read(begin, begin + 5000)) == content[begin : begin + 5000]
            for _ in range(2):
                with pytest.warns(MrcWarning, match=text):
                    assert read_all(source, size, 1024) == content[1024:]

    @pytest.mark.usefixtures("_library")
    def test_a_cut_end_is_found_by_a_whole_read_after_a_slice(self) -> None:
        content = noise(200_000)
        source, _ = opened(gzip.compress(content, 1)[:-8], "gzip", len(content))
        source.read(5000, 9000)
        for _ in range(2):
            with pytest.raises(CompressionError, match="ends too early"):
                read_all(source, len(content), 1024)

    def test_bytes_behind_what_is_wanted_are_there_for_who_wants_them(
        self, codec: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(seekable, "HEAD", 20_000)
        content = noise(300_000)
        source, _ = opened(COMPRESS[codec](content), codec, 200_000)
        with pytest.warns(MrcWarning, match="goes on"):
            assert bytes(source.read(199_000, 200_000)) == content[199_000:200_000]
        assert bytes(source.bounded(300_000).read(200_001, 300_000)) == content[200_001:]

    def test_a_result_read_in_part_is_not_verified(self, codec: str) -> None:
        content = noise(MIB)
        source, _ = opened(COMPRESS[codec](content), codec)
        source.read(0, 5000)
        assert not source.verified

    def test_errors_of_the_compressed_source_pass_as_they_are(self, codec: str) -> None:
        content = noise(3 * MIB)
        source, inner = opened(COMPRESS[codec](content), codec)
        source.read(0, 10)
        inner.error = OSError(5, "Input/output error", "/counting/file")
        with pytest.raises(OSError, match="Input/output error") as caught:
            source.read(2 * MIB, 3 * MIB)
        assert not isinstance(caught.value, CompressionError)
        inner.error = None
        assert bytes(source.read(2 * MIB, 3 * MIB)) == content[2 * MIB :]

    @given(st.data())
    def test_any_bytes_give_data_or_an_error_of_ours(self, data: st.DataObject) -> None:
        forget()
        name = data.draw(st.sampled_from(sorted(COMPRESS)))
        packed = bytearray(COMPRESS[name](noise(20_000)))
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(packed) - 1))
            packed[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        source, _ = opened(bytes(packed), name, 20_000, permissive=data.draw(st.booleans()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MrcWarning)
            try:
                got = read_all(source, 20_000)
            except CompressionError as error:
                got, text = b"", str(error)
            else:
                text = "/counting/file: "
        assert len(got) <= 20_000
        assert text.startswith("/counting/file: ")


@functools.cache
def bomb(codec: str) -> bytes:
    """Return many zeros in few bytes: twice what a reader of the first of them may take."""
    return COMPRESS[codec](bytes(64 * MIB))


class TestBombs:
    @pytest.mark.usefixtures("_library")
    def test_no_more_is_produced_than_was_wanted(self, codec: str) -> None:
        source, _ = opened(bomb(codec), codec, 9216)
        gc.collect()
        tracemalloc.start()
        with pytest.warns(MrcWarning, match=rf"the {codec} stream goes on after the 9216 bytes that are declared"):
            assert read_all(source, 9216) == bytes(9216)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 32 * MIB
        front = source._state()._front
        assert front is None or front.position <= 9217
        assert not source.verified

    def test_a_header_that_lies_about_its_length_costs_no_memory(self, codec: str) -> None:
        source, _ = opened(COMPRESS[codec](b"short"), codec)
        tracemalloc.start()
        assert bytes(source.read(0, 1 << 40)) == b"short"
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 16 * MIB

    def test_max_bytes_refuses_before_anything_is_read(self, codec: str) -> None:
        source, inner = opened(COMPRESS[codec](noise(MIB)), codec, max_bytes=1000)
        assert len(source.read(0, 1000)) == 1000
        inner.count = 0
        with pytest.raises(
            LimitError, match="/counting/file: 1001 uncompressed bytes are wanted; max_bytes allows 1000"
        ):
            source.read(0, 1001)
        with pytest.raises(LimitError):
            source.available(5000)
        assert inner.count == 0

    @pytest.mark.usefixtures("_library")
    def test_stream_that_a_flipped_bit_made_longer_warns_that_no_checksum_was_reached(self, codec: str) -> None:
        content = noise(3 * MIB)
        packed = COMPRESS[codec](content[: 2 * MIB] + b"\1" + content[2 * MIB :])
        source, _ = opened(packed, codec, len(content))
        with pytest.warns(MrcWarning, match="its checksum was not reached, so damage may have gone unnoticed"):
            read_all(source, len(content))
        assert not source.verified


class TestWholeGzip:
    """A whole read of a gzip file, by a library that leaves no way back."""

    @pytest.fixture
    def made(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """Return how many bytes each decoder for whole reads has made."""
        pytest.importorskip("isal")
        made: list[int] = []

        class Watched(decoders.WholeGzipDecoder):
            def decode(self, data: bytes, most: int) -> bytes:
                piece = super().decode(data, most)
                made.append(len(piece))
                return piece

        monkeypatch.setattr(decoders, "WholeGzipDecoder", Watched)
        return made

    @pytest.mark.parametrize("start", [0, 1024])
    @pytest.mark.parametrize("pack", [lambda data: gzip.compress(data, 1), bgzf])
    def test_it_makes_all_bytes_once_and_verifies_them(
        self, start: int, pack: Callable[[bytes], bytes], made: list[int]
    ) -> None:
        content = noise(3 * MIB)
        source, inner = opened(pack(content), "gzip", len(content))
        source.read(0, start)
        assert read_all(source, len(content), start) == content[start:]
        assert sum(made) == len(content)
        assert source.verified
        assert inner.passes < 1.1

    def test_it_makes_no_more_than_was_wanted(self, made: list[int]) -> None:
        source, _ = opened(bomb("gzip"), "gzip", 9216)
        with pytest.warns(MrcWarning, match="the gzip stream goes on after the 9216 bytes that are declared"):
            assert read_all(source, 9216) == bytes(9216)
        assert sum(made) == 9217

    def test_a_slice_after_it_leaves_points(self, made: list[int]) -> None:
        content = noise(3 * MIB)
        source, _ = opened(gzip.compress(content, 1), "gzip", len(content))
        read_all(source, len(content))
        made.clear()
        assert bytes(source.read(2 * MIB, 2 * MIB + 9)) == content[2 * MIB : 2 * MIB + 9]
        assert len(source._state().points.all) > 1
        assert not made

    @pytest.mark.parametrize("at", [3, 1000, MIB, -6, -2])
    def test_what_is_wrong_is_told_alike_with_and_without_it(self, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
        content = noise(3 * MIB)
        packed = bytearray(gzip.compress(content, 1))
        packed[at] ^= 0x10
        told = []
        for library in (decoders.inflate_library(), None):
            monkeypatch.setattr(decoders, "inflate_library", lambda library=library: library)
            forget()
            source, _ = opened(bytes(packed), "gzip", len(content), permissive=True)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                told.append((read_all(source, len(content)), [str(one.message) for one in caught]))
        assert told[0] == told[1]
        assert told[0][1]

    def test_where_it_fails_the_other_library_has_the_last_word(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Failing(decoders.GzipDecoder):
            def decode(self, data: bytes, most: int) -> bytes:
                if len(super().decode(data, most)) < most:
                    raise ValueError("not for me")
                return bytes(most)

        monkeypatch.setattr(decoders, "inflate_library", lambda: zlib)
        monkeypatch.setattr(decoders, "WholeGzipDecoder", Failing)
        content = noise(MIB)
        source, _ = opened(gzip.compress(content, 1), "gzip", len(content))
        assert read_all(source, len(content)) == content
        assert source.verified


def lengths_made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the length of what is made first of every block from now on."""
    made: list[int] = []
    decode = bzip2._decode

    def watch(unit: bzip2_blocks.Unit, most: int) -> Any:
        result = decode(unit, most)
        made.append(len(result.piece))
        return result

    monkeypatch.setattr(bzip2, "_decode", watch)
    return made


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


class TestBzip2Blocks:
    def test_blocks_are_found_at_every_bit(self) -> None:
        for magic in (bzip2_blocks.BLOCK, bzip2_blocks.END):
            for bit in range(40, 56):
                value = magic << (160 - 48 - bit)
                assert bzip2_blocks.borders(value.to_bytes(20, "big")) == [bit]
        assert bzip2_blocks.borders(b"short") == []

    @given(st.binary(max_size=60), st.lists(st.tuples(st.booleans(), st.integers(0, 400)), max_size=3))
    def test_no_border_is_missed_and_none_is_made_up(self, part: bytes, numbers: list[tuple[bool, int]]) -> None:
        bits = "".join(f"{byte:08b}" for byte in part)
        for is_end, at in numbers:
            if at + 48 <= len(bits):
                bits = bits[:at] + f"{bzip2_blocks.END if is_end else bzip2_blocks.BLOCK:048b}" + bits[at + 48 :]
        magics = {f"{number:048b}" for number in (bzip2_blocks.BLOCK, bzip2_blocks.END)}
        last = len(bits) - 56  # a border lies in seven bytes
        expected = [bit for bit in range(len(bits)) if bits[bit : bit + 48] in magics and bit // 8 * 8 <= last]
        found = bzip2_blocks.borders(bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)))
        assert found == expected

    def test_every_block_is_a_point(self) -> None:
        content = noise(MIB)
        source, _ = opened(bz2.compress(content, 1), "bzip2")
        read_all(source, len(content) + 1)
        assert [point.out % 99_900 // 1000 for point in source._state().points.all][:3] == [0, 0, 0]
        assert len(source._state().points.all) > 8

    def test_a_number_that_stands_in_a_block_by_chance_is_seen_through(self, monkeypatch: pytest.MonkeyPatch) -> None:
        content = noise(MIB)
        packed = bz2.compress(content, 1)
        chance = bzip2_blocks.borders(packed)[2] + 5001
        search = bzip2_blocks.Scanner._search

        def by_chance(scanner: Any) -> None:
            before = scanner._scanned * 8
            search(scanner)
            if before <= chance < scanner._scanned * 8:
                scanner._borders = type(scanner._borders)(sorted([*scanner._borders, chance]))

        monkeypatch.setattr(bzip2_blocks.Scanner, "_search", by_chance)
        source, _ = opened(packed, "bzip2")
        assert read_all(source, len(content) + 1) == content
        assert source.verified

    def test_blocks_of_zeros_come_in_pieces(self) -> None:
        source, _ = opened(bomb("bzip2"), "bzip2")
        assert bytes(source.read(63 * MIB, 65 * MIB)) == bytes(MIB)

    def test_a_checksum_at_the_end_of_many_pieces_is_named_with_its_block(self) -> None:
        packed = bytearray(bz2.compress(bytes(8 * MIB)))
        packed[10] ^= 1
        source, _ = opened(bytes(packed), "bzip2")
        with pytest.raises(CompressionError, match=r"the bzip2 stream is damaged.* near byte 4 of"):
            read_all(source, 8 * MIB + 1)

    def test_a_header_makes_no_more_of_its_block_than_it_needs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made = lengths_made(monkeypatch)
        content = noise(500_000)
        source, _ = opened(bz2.compress(content), "bzip2")
        assert bytes(source.read(0, 1024)) == content[:1024]
        assert made == [1024]
        assert bytes(source.read(1024, 400_000)) == content[1024:400_000]
        assert made == [1024]

    @pytest.mark.parametrize("cores", [1, 2, 64])
    def test_blocks_under_way_take_a_tenth_of_what_is_wanted(self, cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bzip2._workers, "cores", cores)
        assert bzip2._ahead(1) == 1
        for wanted in (10 * MIB, 100 * MIB, 1000 * MIB):
            under_way = bzip2._ahead(wanted)
            assert 2 <= under_way <= cores + 1
            busy = min(cores, under_way)  # another one is packed, or decoded and not fetched yet
            assert busy * bzip2.BUSY <= max(2 * bzip2.BUSY, bzip2.BUSY + wanted / 10)

    @pytest.mark.parametrize("cores", [1, 2, 4])
    def test_blocks_are_decoded_once_each_by_threads_and_who_needs_them(
        self, cores: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bzip2, "_workers", bzip2._Workers())
        monkeypatch.setattr(bzip2._workers, "cores", cores)
        made = lengths_made(monkeypatch)
        content = noise(2 * MIB)
        source, _ = opened(bz2.compress(content, 1), "bzip2")
        assert read_all(source, len(content)) == content
        assert sum(made) == len(content)

    def test_where_no_thread_can_be_had_who_needs_the_blocks_decodes_them(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: Any) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(bzip2, "_workers", bzip2._Workers())
        monkeypatch.setattr(bzip2._workers, "cores", 4)
        monkeypatch.setattr("concurrent.futures.ThreadPoolExecutor.submit", refuse)
        content = noise(MIB)
        source, _ = opened(bz2.compress(content, 1), "bzip2")
        assert read_all(source, len(content)) == content

    def test_what_ends_a_thread_of_the_decoder_reaches_who_waits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        job = bzip2._Job(bzip2_blocks.Unit("block", 0), 1)
        monkeypatch.setattr(bzip2, "_decode", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            job.work()
        job.work()  # it has been tried
        with pytest.raises(KeyboardInterrupt):
            job.result()

    def test_on_the_way_to_a_slice_as_many_blocks_are_under_way_as_in_a_whole_read(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wanted: list[int] = []
        ahead = bzip2._ahead

        def watch(count: int) -> int:
            wanted.append(count)
            return ahead(count)

        monkeypatch.setattr(bzip2, "_ahead", watch)
        size = MIB + MIB // 4
        source, _ = opened(bz2.compress(noise(size), 1), "bzip2")
        source.read(0, 1024)
        source.read(size - 10, size)
        assert max(wanted) == size - 1024

    def test_of_the_last_block_of_a_slice_no_more_is_made_than_needed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        content = noise(MIB)
        source, _ = opened(bz2.compress(content, 1), "bzip2")
        source.read(0, MIB)
        made = lengths_made(monkeypatch)
        monkeypatch.setattr(bzip2, "TYPICAL", 99_900)
        for third in source._state().points.all[2:8:3]:
            made.clear()
            start, stop = third.out - 150_000, third.out + 1000
            assert bytes(source.read(start, stop)) == content[start:stop]
            assert min(made) == 1000  # the threads may be done in any order
            assert len(made) == 3

    def test_what_was_decoded_ahead_is_dropped_at_the_end(self) -> None:
        pass_ = CODECS["bzip2"].stream(Counting(bomb("bzip2")), CODECS["bzip2"], checkpoints.Point(0, 0))
        assert isinstance(pass_, bzip2.Bzip2Stream)
        pass_.readinto(memoryview(bytearray(3_000_000)))
        assert pass_._queue
        pass_.close()
        assert not pass_._queue

    @pytest.mark.parametrize("missing", [1, 3, 5, 9])
    def test_a_file_without_its_last_bytes_is_not_complete(self, missing: int) -> None:
        content = noise(5000)
        source, _ = opened(bz2.compress(content)[:-missing], "bzip2", len(content))
        with pytest.raises(CompressionError, match="ends too early"):
            read_all(source, len(content))

    def test_a_point_where_no_block_starts_is_damage(self) -> None:
        packed = bz2.compress(noise(5000))
        for inner, what in ((100, "is damaged"), (len(packed), "ends too early")):
            pass_ = CODECS["bzip2"].stream(Counting(packed), CODECS["bzip2"], checkpoints.Point(9, inner, window=b""))
            assert pass_.readinto(memoryview(bytearray(5))) == 0
            assert what in str(pass_.damage)

    def test_a_block_that_lacks_its_end_is_damage(self) -> None:
        packed = bz2.compress(noise(5000))
        unit = bzip2_blocks.Scanner(Counting(packed), CODECS["bzip2"], checkpoints.Point(0, 0)).next()
        assert isinstance(bzip2._decode(replace(unit, stop=unit.stop - 24)).error, EOFError)

    def test_what_is_no_block_ends_the_search(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bzip2_blocks, "LONGEST", MIB)
        packed = bz2.compress(noise(100_000))
        source, _ = opened(packed[:2000] + np.random.default_rng(0).bytes(4 * MIB), "bzip2")
        with pytest.raises(CompressionError, match=r"the bzip2 stream is damaged near byte 4 of"):
            source.read(0, 10)

    def test_a_stream_is_judged_by_its_blocks_checksums(self) -> None:
        first, second = bz2.compress(noise(5000, 1)), bz2.compress(noise(5000, 2))
        packed = first[:-4] + second[-4:]
        source, _ = opened(packed, "bzip2", permissive=True)
        with pytest.warns(MrcWarning, match="its checksum is wrong|damaged"):
            assert len(source.read(0, 10_000)) == 5000


def _descriptors() -> int:
    """Return how many files this process has open."""
    return sum(1 for _ in os.scandir("/proc/self/fd"))


class TestZstdFrames:
    def frame(self, content: bytes, **wishes: int) -> bytes:
        library: Any = decoders.zstd_library()
        options = {getattr(library.CompressionParameter, name): value for name, value in wishes.items()}
        compressor = library.ZstdCompressor(options=options)
        packed: bytes = compressor.compress(content)
        return packed + bytes(compressor.flush())

    @pytest.mark.parametrize("log", [27, 28, 31])
    def test_frames_that_may_refer_back_far_are_read(self, log: int) -> None:
        content = noise(MIB)
        source, _ = opened(self.frame(content, window_log=log, content_size_flag=0), "zstd", len(content))
        assert read_all(source, len(content)) == content

    def test_a_frame_that_refers_back_further_than_the_library_can_is_no_damage(self) -> None:
        packed = bytearray(self.frame(bytes(5000), window_log=31, content_size_flag=0))
        packed[5] += 8  # the exponent of the window, in the frame's header
        with pytest.raises(CompressionError, match=r"cannot be read; it refers back further.*--long=31"):
            opened(bytes(packed), "zstd")[0].read(0, 10)

    def test_a_frame_that_needs_a_dictionary_is_no_damage(self) -> None:
        library: Any = decoders.zstd_library()
        words = library.train_dict([b"%d of many words" % i * 9 for i in range(2000)], 1000)
        with pytest.raises(CompressionError, match=r"cannot be read; it was made with a dictionary.*zstd -D"):
            opened(library.compress(noise(5000), zstd_dict=words), "zstd")[0].read(0, 10)

    def test_too_little_memory_says_nothing_of_the_file(self, monkeypatch: pytest.MonkeyPatch) -> None:
        library: Any = decoders.zstd_library()

        def refuse(*_: object) -> None:
            raise library.ZstdError("Allocation error : not enough memory")

        decoder = decoders.ZstdDecoder()
        monkeypatch.setattr(decoder, "_object", SimpleNamespace(decompress=refuse))
        with pytest.raises(MemoryError, match="not enough memory"):
            decoder.decode(b"", 1)


def test_zstd_names_the_extra_where_there_is_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = COMPRESS["zstd"](b"abc")
    decoders.zstd_library.cache_clear()
    monkeypatch.setattr(decoders, "_import", lambda *_: None)
    try:
        with pytest.raises(MissingDependencyError, match=r"pip install 'mrcarray\[zstd\]'"):
            open_source(packed).read(0, 3)
    finally:
        decoders.zstd_library.cache_clear()


def test_gzip_works_with_what_python_brings(monkeypatch: pytest.MonkeyPatch) -> None:
    decoders.deflate_library.cache_clear()
    monkeypatch.setattr(decoders, "_import", lambda *_: None)
    try:
        assert decoders.deflate_library() is zlib
    finally:
        decoders.deflate_library.cache_clear()


def test_a_library_that_is_nowhere_is_none() -> None:
    assert decoders._import("no.such.library", "nor_this_one") is None


def test_the_trailer_of_a_member_may_come_byte_by_byte() -> None:
    content = noise(70_000)
    packed = gzip.compress(content, 1)
    decoder = decoders.RawDeflateDecoder(b"")
    got = b""
    for i in range(10, len(packed)):  # the header of a member without a name has ten bytes
        assert decoder.rest() is None
        got += decoder.decode(packed[i : i + 1], MIB)
    assert got == content
    assert decoder.rest() == b""


@pytest.mark.parametrize("bits", range(1, 8))
def test_a_decoder_can_start_at_any_bit(bits: int) -> None:
    value, length = decoders.empty_blocks(bits)
    assert length % 8 == bits
    value |= 0b0000000_01_1 << length  # the last block, empty
    decoder = zlib.decompressobj(-15)
    assert decoder.decompress(value.to_bytes(-(-(length + 10) // 8), "little")) == b""
    assert decoder.eof


def test_a_forked_child_begins_anew(tmp_path: Path) -> None:
    content = noise(2 * MIB)
    path = tmp_path / "a.bz2"
    path.write_bytes(bz2.compress(content))
    source = open_source(path)
    source.read(MIB, MIB + 9)
    child = os.fork()
    if child == 0:  # pragma: no cover -- another process
        os._exit(0 if bytes(source.read(MIB, 2 * MIB)) == content[MIB:] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
