"""What every implementation of a protocol must do, as test classes to inherit."""

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
    """Inherit, and give a fixture ``source`` that serves `CONTENT`."""

    picklable = True
    reads = 50
    """Ranges each of eight threads reads; fewer where a read takes long."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Any:
        raise NotImplementedError

    def test_it_is_a_byte_source(self, source: ByteSource) -> None:
        assert isinstance(source, ByteSource)
        assert source.name
        assert str(source.name) in repr(source)

    def test_its_size_is_right_or_unknown(self, source: ByteSource) -> None:
        assert source.size() in (None, len(CONTENT))

    @pytest.mark.parametrize(("start", "stop"), [(0, 0), (0, 1), (0, 1024), (5, 100_005), (299_999, 300_000)])
    def test_a_range_reads_as_its_bytes(self, source: ByteSource, start: int, stop: int) -> None:
        assert bytes(source.read(start, stop)) == CONTENT[start:stop]

    def test_a_range_over_the_end_is_cut(self, source: ByteSource) -> None:
        assert bytes(source.read(299_990, 300_010)) == CONTENT[299_990:]
        assert bytes(source.read(300_000, 300_010)) == b""

    def test_what_is_read_cannot_be_changed(self, source: ByteSource) -> None:
        assert source.read(0, 10).readonly
        assert source.read(2000, 2010).readonly

    def test_reading_into_an_array_fills_it(self, source: ByteSource) -> None:
        out = np.zeros(1000, dtype=np.uint8)
        assert source.read_into(77, out) == 1000
        assert out.tobytes() == CONTENT[77:1077]

    def test_reading_into_an_array_over_the_end_says_how_much_there_was(self, source: ByteSource) -> None:
        out = np.zeros(1000, dtype=np.uint8)
        assert source.read_into(299_900, out) == 100
        assert out[:100].tobytes() == CONTENT[299_900:]
        assert source.read_into(400_000, out) == 0

    def test_many_ranges_read_as_their_bytes(self, source: ByteSource) -> None:
        if isinstance(source, SupportsRanges):
            outs = [np.zeros(n, dtype=np.uint8) for n in (3, 5000, 1)]
            source.read_ranges([9, 70_000, 0], outs)
            assert [out.tobytes() for out in outs] == [CONTENT[9:12], CONTENT[70_000:75_000], CONTENT[:1]]

    def test_a_session_reads_the_same_bytes(self, source: ByteSource) -> None:
        if isinstance(source, SupportsSession):
            out = np.zeros(50, dtype=np.uint8)
            with source.session() as session:
                assert session.read_into(1, out) == 50
            assert out.tobytes() == CONTENT[1:51]

    def test_a_view_shows_the_same_bytes(self, source: ByteSource) -> None:
        if isinstance(source, SupportsView):
            with source.view(5000, 90_000) as view:
                assert view is None or view.tobytes() == CONTENT[5000:90_000]

    def test_threads_read_the_right_bytes(self, source: ByteSource) -> None:
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

    def test_it_is_equal_to_itself_and_hashable(self, source: ByteSource) -> None:
        assert source == source  # noqa: PLR0124 -- equality is what is tested
        assert len({source, source}) == 1
        other: object = "a source"
        assert source != other
        assert source.fingerprint == source.fingerprint
        hash(source.fingerprint)

    def test_a_pickled_copy_reads_the_same_bytes(self, source: ByteSource) -> None:
        if not self.picklable:
            with pytest.raises(TypeError, match="cannot be sent to another process"):
                pickle.dumps(source)
            return
        copy = pickle.loads(pickle.dumps(source))
        assert copy == source
        assert hash(copy) == hash(source)
        assert copy.fingerprint == source.fingerprint
        assert bytes(copy.read(10, 5000)) == CONTENT[10:5000]
