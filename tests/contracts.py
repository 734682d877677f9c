"""Tests of every implementation of a protocol, as classes to inherit."""

from __future__ import annotations

import pickle
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mrcarray.storage.source import ByteSource, SupportsRanges, SupportsSession, SupportsView

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = np.random.default_rng(20141).integers(0, 256, size=300_000, dtype=np.uint8).tobytes()


class ByteSourceContract:
    """Inherit this, and define a fixture ``source`` with the bytes `CONTENT`."""

    picklable = True
    reads = 50
    """Ranges each of eight threads reads; fewer where a read takes long."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Any:
        raise NotImplementedError

    def test_implements_the_protocol(self, source: ByteSource) -> None:
        assert isinstance(source, ByteSource)
        assert source.name
        assert str(source.name) in repr(source)

    def test_size_is_right_or_unknown(self, source: ByteSource) -> None:
        assert source.size() in (None, len(CONTENT))

    @pytest.mark.parametrize(("start", "stop"), [(0, 0), (0, 1), (0, 1024), (5, 100_005), (299_999, 300_000)])
    def test_range_reads_right(self, source: ByteSource, start: int, stop: int) -> None:
        assert bytes(source.read(start, stop)) == CONTENT[start:stop]

    def test_range_over_the_end_is_cut(self, source: ByteSource) -> None:
        assert bytes(source.read(299_990, 300_010)) == CONTENT[299_990:]
        assert bytes(source.read(300_000, 300_010)) == b""

    def test_result_is_read_only(self, source: ByteSource) -> None:
        assert source.read(0, 10).readonly
        assert source.read(2000, 2010).readonly

    def test_read_into_fills_the_array(self, source: ByteSource) -> None:
        out = np.zeros(1000, dtype=np.uint8)
        assert source.read_into(77, out) == 1000
        assert out.tobytes() == CONTENT[77:1077]

    def test_read_into_over_the_end_returns_the_count(self, source: ByteSource) -> None:
        out = np.zeros(1000, dtype=np.uint8)
        assert source.read_into(299_900, out) == 100
        assert out[:100].tobytes() == CONTENT[299_900:]
        assert source.read_into(400_000, out) == 0

    def test_read_ranges_reads_right(self, source: ByteSource) -> None:
        if isinstance(source, SupportsRanges):
            outs = [np.zeros(n, dtype=np.uint8) for n in (3, 5000, 1)]
            source.read_ranges([9, 70_000, 0], outs)
            assert [out.tobytes() for out in outs] == [CONTENT[9:12], CONTENT[70_000:75_000], CONTENT[:1]]

    def test_session_reads_right(self, source: ByteSource) -> None:
        if isinstance(source, SupportsSession):
            out = np.zeros(50, dtype=np.uint8)
            with source.session() as session:
                assert session.read_into(1, out) == 50
            assert out.tobytes() == CONTENT[1:51]

    def test_view_reads_right(self, source: ByteSource) -> None:
        if isinstance(source, SupportsView):
            with source.view(5000, 90_000) as view:
                assert view is None or view.tobytes() == CONTENT[5000:90_000]

    def test_threads_read_right(self, source: ByteSource) -> None:
        wrong: list[int] = []

        def work(seed: int) -> None:
            rng = np.random.default_rng(seed)
            starts = rng.integers(0, 299_000, size=self.reads).tolist()
            wrong.extend(i for i in starts if bytes(source.read(i, i + 1000)) != CONTENT[i : i + 1000])

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong

    def test_equal_to_itself_and_hashable(self, source: ByteSource) -> None:
        assert source == source  # noqa: PLR0124 -- equality is what is tested
        assert len({source, source}) == 1
        other: object = "a source"
        assert source != other
        assert source.fingerprint == source.fingerprint
        hash(source.fingerprint)

    def test_pickled_copy_reads_right(self, source: ByteSource) -> None:
        if not self.picklable:
            with pytest.raises(TypeError, match="cannot be sent to another process"):
                pickle.dumps(source)
            return
        copy = pickle.loads(pickle.dumps(source))
        assert copy == source
        assert hash(copy) == hash(source)
        assert copy.fingerprint == source.fingerprint
        assert bytes(copy.read(10, 5000)) == CONTENT[10:5000]
