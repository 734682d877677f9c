"""Compressed sources: the right bytes, in one pass, in bounded memory, for every format."""

from __future__ import annotations

import bz2
import gc
import gzip
import os
import pickle
import threading
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mrcarray.errors import (
    CompressionError,
    LimitError,
    StaleFileError,
    TruncatedError,
)
from mrcarray.storage import open_source
from mrcarray.storage.compression import bzip2, seekable, spool
from mrcarray.storage.compression.checkpoints import Checkpoints
from mrcarray.storage.compression.source import CompressedSource, readers
from tests.contracts import CONTENT, ByteSourceContract
from tests.storage.compressing import COMPRESS, MIB, bgzf, noise, opened, read_all, zstd

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("nothing_learnt")


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
    def test_header_read_costs_first_bytes_only(self, codec: str) -> None:
        content = noise(4 * MIB)
        packed = COMPRESS[codec](content)
        source, inner = opened(packed, codec)
        assert bytes(source.read(0, 1024)) == content[:1024]
        assert bytes(source.read(1024, 2048)) == content[1024:2048]
        assert inner.count <= {"gzip": 4096, "xz": 70_000, "zstd": 300_000, "bzip2": 1_200_000}[codec]

    def test_whole_read_after_header_is_one_pass(self, codec: str) -> None:
        content = noise(3 * MIB)
        source, inner = opened(COMPRESS[codec](content), codec, len(content))
        source.read(0, 1024)
        assert source.in_order
        assert read_all(source, len(content), 1024) == content[1024:]
        assert source.verified
        assert inner.passes <= 1.05
        assert source._reader().spool is None

    def test_empty_read_reads_nothing(self, codec: str) -> None:
        source, inner = opened(COMPRESS[codec](b"abc"), codec)
        assert source.read_into(1, np.empty(0, dtype=np.uint8)) == 0
        assert inner.count == 0

    def test_second_whole_read_returns_the_same(self, codec: str) -> None:
        content = noise(2 * MIB)
        source, _ = opened(COMPRESS[codec](content), codec, len(content))
        assert read_all(source, len(content)) == read_all(source, len(content)) == content

    def test_size_is_known_after_a_pass(self, codec: str) -> None:
        content = noise(3 * MIB)
        source, inner = opened(COMPRESS[codec](content), codec)
        assert source.size() is None
        assert inner.count == 0
        read_all(source, len(content) + 1)
        assert source.size() == len(content)

    def test_chunks_in_any_order_cost_few_passes(self, codec: str) -> None:
        content = noise(2 * MIB)
        options = {"head": 1 << 17, "checkpoints": Checkpoints(spacing=64 << 10)}
        source, inner = opened(COMPRESS[codec](content), codec, len(content), reader=options)
        step = MIB // 8
        starts = np.random.default_rng(0).permutation(np.arange(0, len(content), step))
        for start in starts.tolist():
            assert bytes(source.read(start, start + step)) == content[start : start + step]
        # Half a pass more is what it costs to start between the points of gzip and the blocks of bzip2.
        assert inner.passes <= {"gzip": 2.6, "bzip2": 2.6, "xz": 1.05, "zstd": 1.05}[codec]
        assert source._reader().passes <= 2

    def test_threads_share_one_pass(self, codec: str) -> None:
        content = noise(3 * MIB)
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

    @pytest.mark.usefixtures("gzip_library")
    def test_second_slice_reads_little(self) -> None:
        content = noise(4 * MIB)
        for codec in ("gzip", "bzip2"):
            source, inner = opened(COMPRESS[codec](content), codec)
            source.read(4 * MIB - 100, 4 * MIB - 90)
            assert inner.passes <= 1.05
            inner.count = 0
            assert bytes(source.read(2 * MIB, 2 * MIB + 1000)) == content[2 * MIB : 2 * MIB + 1000]
            assert inner.passes < 0.25

    @pytest.mark.parametrize("codec", ["gzip", "bzip2"])
    def test_slices_in_order_are_decoded_once(self, codec: str) -> None:
        content = noise(2 * MIB)
        source, inner = opened(COMPRESS[codec](content), codec, reader={"checkpoints": Checkpoints(spacing=MIB // 2)})
        source.read(0, len(content))
        inner.count = 0
        for start in range(1000, MIB, 50_000):
            assert bytes(source.read(start, start + 40_000)) == content[start : start + 40_000]
        assert inner.passes < 0.8

    def test_idle_passes_are_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        closed: list[Any] = []
        monkeypatch.setattr(bzip2.Bzip2Decoder, "close", lambda self: closed.append(self))  # noqa: PLW0108 -- a method
        content = noise(MIB)
        source, _ = opened(bz2.compress(content, 1), "bzip2")
        source.read(0, len(content))
        for i in range(10):
            source.read(i * 100_000, i * 100_000 + 10)
        assert len(source._reader()._idle) == seekable.IDLE
        assert len(closed) == 10 - seekable.IDLE

    def test_changed_file_is_stale_for_an_idle_pass(self, tmp_path: Path) -> None:
        path = tmp_path / "a.bz2"
        path.write_bytes(bz2.compress(noise(MIB)))
        source = open_source(path)
        source.read(0, MIB)
        source.read(1000, 2000)
        path.write_bytes(bz2.compress(noise(MIB + 2)))
        with pytest.raises(StaleFileError):
            source.read(2000, 3000)

    def test_ranges_are_decoded_once(self, codec: str) -> None:
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

    def test_ranges_before_and_after_the_pass_are_right(self, codec: str) -> None:
        content = noise(4 * MIB)
        source, inner = opened(COMPRESS[codec](content), codec, len(content))
        source.read(2 * MIB, 2 * MIB + 9)
        starts = range(0, 4 * MIB - 100, 50_000)
        outs = [np.empty(100, dtype=np.uint8) for _ in starts]
        source.read_ranges(starts, outs)
        assert [out.tobytes() for out in outs] == [content[start : start + 100] for start in starts]
        assert inner.passes <= 2.1

    def test_ranges_beyond_the_end_or_in_damage_raise(self, codec: str) -> None:
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

    def test_unpickled_copies_share_the_reader(self, tmp_path: Path) -> None:
        content = noise(4 * MIB)
        path = tmp_path / "a.gz"
        path.write_bytes(gzip.compress(content, 1))
        source = open_source(path)
        assert isinstance(source, CompressedSource)
        source.bounded(5).read(3 * MIB, 3 * MIB + 5)
        sent = pickle.dumps(source)
        assert len(sent) - len(str(path)) < 250
        copy = pickle.loads(sent)
        assert copy._reader() is source._reader()
        assert copy == source
        assert pickle.loads(pickle.dumps(source.bounded(7, permissive=True))).permissive

    def test_kept_readers_are_bounded(self) -> None:
        for i in range(readers.max_items + 5):
            opened(gzip.compress(b"%d" % i), "gzip")[0].read(0, 5)
        assert len(readers) == readers.max_items
        heavy = open_source(gzip.compress(bytes(2000)) + bytes(300 * MIB))
        assert isinstance(heavy, CompressedSource)
        heavy.read(0, 2000)
        assert heavy._reader().weigh()[0] > 256 * MIB
        assert len(readers) == 1
        opened(gzip.compress(b"x"), "gzip")[0].read(0, 1)
        assert len(readers) == 1
        assert readers.totals[0] < MIB

    def test_temporary_files_together_are_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(spool.MEMORY, "0")
        monkeypatch.setattr(readers, "max_bytes", (1 << 30, 5 * MIB, 9))
        for i in range(4):
            content = noise(2 * MIB, i)
            assert bytes(opened(zstd(content), "zstd")[0].read(2 * MIB - 9, 2 * MIB)) == content[-9:]
        assert 1 < len(readers) < 4

    def test_open_temporary_files_are_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(spool.MEMORY, "0")
        monkeypatch.setattr(readers, "max_bytes", (1 << 30, 1 << 30, 3))
        before = _descriptors()
        for i in range(6):
            content = noise(2 * MIB, i)
            assert bytes(opened(zstd(content), "zstd")[0].read(2 * MIB - 9, 2 * MIB)) == content[-9:]
        gc.collect()
        assert _descriptors() <= before + 3

    def test_readers_of_300_files_are_kept(self) -> None:
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

    def test_checkpoints_take_bounded_memory(self) -> None:
        content = noise(4 * MIB)
        source, _ = opened(gzip.compress(content, 1), "gzip", reader={"checkpoints": Checkpoints(most=4)})
        source.read(4 * MIB - 5, 4 * MIB)
        kept = source._reader().checkpoints
        assert len(kept.all) <= 5
        assert kept.spacing >= MIB
        assert bytes(source.read(MIB, MIB + 5)) == content[MIB : MIB + 5]

    @pytest.mark.usefixtures("gzip_library")
    def test_checkpoints_hold_no_compressed_bytes(self) -> None:
        content = noise(64) * (MIB // 8) + noise(64, 1) * (MIB // 64)
        source, inner = opened(gzip.compress(content, 1), "gzip")
        source.read(len(content) - 5, len(content))
        kept = source._reader().checkpoints.all
        assert len(kept) > 4
        held = [one.decoder for one in kept if one.decoder is not None]
        assert not any(one.waiting() or one._object.unconsumed_tail for one in held)  # type: ignore[attr-defined]
        for one in kept[1::2]:
            inner.count = 0
            assert bytes(source.read(one.out - 7, one.out + 20)) == content[one.out - 7 : one.out + 20]
            assert inner.passes < 0.7

    def test_whole_read_memory_is_bounded(self, codec: str) -> None:
        content = noise(4 * MIB)
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


def _descriptors() -> int:
    """Return how many files this process has open."""
    return sum(1 for _ in os.scandir("/proc/self/fd"))


def test_forked_child_reads(tmp_path: Path) -> None:
    content = noise(2 * MIB)
    path = tmp_path / "a.bz2"
    path.write_bytes(bz2.compress(content))
    source = open_source(path)
    source.read(MIB, MIB + 9)
    child = os.fork()
    if child == 0:  # pragma: no cover -- another process
        os._exit(0 if bytes(source.read(MIB, 2 * MIB)) == content[MIB:] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
