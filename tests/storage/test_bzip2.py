"""bzip2: blocks are found at any bit and decoded in threads, each once."""

from __future__ import annotations

import bz2
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcarray.errors import (
    CompressionError,
    MrcWarning,
)
from mrcarray.storage import threads
from mrcarray.storage.compression import bzip2
from mrcarray.storage.compression.checkpoints import Checkpoint
from mrcarray.storage.compression.codecs import CODECS
from tests.storage.compressing import MIB, Counting, bomb, noise, opened, read_all

pytestmark = pytest.mark.usefixtures("nothing_learnt")


def lengths_made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the length of what is made first of every block from now on."""
    made: list[int] = []
    decode = bzip2._decode

    def watch(unit: bzip2.Unit, most: int) -> Any:
        result = decode(unit, most)
        made.append(len(result[0]))
        return result

    monkeypatch.setattr(bzip2, "_decode", watch)
    return made


class TestBzip2Blocks:
    def test_blocks_are_found_at_every_bit(self) -> None:
        for magic in (bzip2.BLOCK, bzip2.END):
            for bit in range(40, 56):
                value = magic << (160 - 48 - bit)
                assert bzip2.borders(value.to_bytes(20, "big")) == [bit]
        assert bzip2.borders(b"short") == []

    @given(st.binary(max_size=60), st.lists(st.tuples(st.booleans(), st.integers(0, 400)), max_size=3))
    def test_borders_are_found_exactly(self, part: bytes, numbers: list[tuple[bool, int]]) -> None:
        bits = "".join(f"{byte:08b}" for byte in part)
        for is_end, at in numbers:
            if at + 48 <= len(bits):
                bits = bits[:at] + f"{bzip2.END if is_end else bzip2.BLOCK:048b}" + bits[at + 48 :]
        magics = {f"{number:048b}" for number in (bzip2.BLOCK, bzip2.END)}
        last = len(bits) - 56  # a border lies in seven bytes
        expected = [bit for bit in range(len(bits)) if bits[bit : bit + 48] in magics and bit // 8 * 8 <= last]
        found = bzip2.borders(bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)))
        assert found == expected

    def test_every_block_is_a_checkpoint(self) -> None:
        content = noise(MIB)
        source, _ = opened(bz2.compress(content, 1), "bzip2")
        read_all(source, len(content) + 1)
        assert [one.out % 99_900 // 1000 for one in source._reader().checkpoints.all][:3] == [0, 0, 0]
        assert len(source._reader().checkpoints.all) > 8

    def test_block_number_inside_a_block_is_ignored(self, monkeypatch: pytest.MonkeyPatch) -> None:
        content = noise(MIB)
        packed = bz2.compress(content, 1)
        chance = bzip2.borders(packed)[2] + 5001
        search = bzip2.Scanner._search

        def by_chance(scanner: Any) -> None:
            before = scanner._scanned * 8
            search(scanner)
            if before <= chance < scanner._scanned * 8:
                scanner._borders = type(scanner._borders)(sorted([*scanner._borders, chance]))

        monkeypatch.setattr(bzip2.Scanner, "_search", by_chance)
        source, _ = opened(packed, "bzip2")
        assert read_all(source, len(content) + 1) == content
        assert source.verified

    def test_blocks_of_zeros_are_read_in_pieces(self) -> None:
        source, _ = opened(bomb("bzip2"), "bzip2")
        assert bytes(source.read(63 * MIB, 65 * MIB)) == bytes(MIB)

    def test_wrong_checksum_of_long_block_names_its_position(self) -> None:
        packed = bytearray(bz2.compress(bytes(8 * MIB)))
        packed[10] ^= 1
        source, _ = opened(bytes(packed), "bzip2")
        with pytest.raises(CompressionError, match=r"the bzip2 stream is damaged.* near byte 4 of"):
            read_all(source, 8 * MIB + 1)

    def test_header_decodes_no_more_than_it_needs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made = lengths_made(monkeypatch)
        content = noise(500_000)
        source, _ = opened(bz2.compress(content), "bzip2")
        assert bytes(source.read(0, 1024)) == content[:1024]
        assert made == [1024]
        assert bytes(source.read(1024, 400_000)) == content[1024:400_000]
        assert made == [1024]

    @pytest.mark.parametrize("cores", [1, 2, 64])
    def test_blocks_under_way_are_bounded(self, cores: int) -> None:
        assert bzip2._ahead(1, cores) == 1
        for wanted in (10 * MIB, 100 * MIB, 1000 * MIB):
            under_way = bzip2._ahead(wanted, cores)
            assert 2 <= under_way <= cores + 1
            busy = min(cores, under_way)  # another one is packed, or decoded and not fetched yet
            assert busy * bzip2.BUSY <= max(2 * bzip2.BUSY, bzip2.BUSY + wanted / 10)

    @pytest.mark.parametrize("cores", [1, 2, 4])
    def test_blocks_are_decoded_once(self, cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bzip2, "processors", lambda: cores)
        monkeypatch.setattr(threads, "processors", lambda: cores)
        made = lengths_made(monkeypatch)
        content = noise(2 * MIB)
        source, _ = opened(bz2.compress(content, 1), "bzip2")
        assert read_all(source, len(content)) == content
        assert sum(made) == len(content)

    def test_blocks_are_decoded_without_threads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: Any) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(bzip2, "processors", lambda: 4)
        monkeypatch.setattr(threads, "processors", lambda: 4)
        monkeypatch.setattr("concurrent.futures.ThreadPoolExecutor.submit", refuse)
        content = noise(MIB)
        source, _ = opened(bz2.compress(content, 1), "bzip2")
        assert read_all(source, len(content)) == content

    def test_slice_decodes_blocks_ahead(self, monkeypatch: pytest.MonkeyPatch) -> None:
        wanted: list[int] = []
        ahead = bzip2._ahead

        def watch(count: int, cores: int) -> int:
            wanted.append(count)
            return ahead(count, cores)

        monkeypatch.setattr(bzip2, "_ahead", watch)
        size = MIB + MIB // 4
        source, _ = opened(bz2.compress(noise(size), 1), "bzip2")
        source.read(0, 1024)
        source.read(size - 10, size)
        assert max(wanted) == size - 1024

    def test_last_block_of_a_slice_is_decoded_partly(self, monkeypatch: pytest.MonkeyPatch) -> None:
        content = noise(4 * MIB)
        source, _ = opened(bz2.compress(content), "bzip2")
        source.read(0, 4 * MIB)
        made = lengths_made(monkeypatch)
        for third in source._reader().checkpoints.all[2:5:2]:
            made.clear()
            start, stop = third.out - 150_000, third.out + 1000
            assert bytes(source.read(start, stop)) == content[start:stop]
            assert min(made) == 1000  # the threads may be done in any order
            assert len(made) == 2

    def test_close_drops_blocks_ahead(self) -> None:
        pass_ = CODECS["bzip2"].start(Counting(bomb("bzip2")), CODECS["bzip2"], Checkpoint(0, 0))
        assert isinstance(pass_, bzip2.Bzip2Decoder)
        pass_.readinto(memoryview(bytearray(3_000_000)))
        assert pass_._results
        pass_.close()
        assert not pass_._results

    @pytest.mark.parametrize("missing", [1, 3, 5, 9])
    def test_missing_last_bytes_raise(self, missing: int) -> None:
        content = noise(5000)
        source, _ = opened(bz2.compress(content)[:-missing], "bzip2", len(content))
        with pytest.raises(CompressionError, match="ends too early"):
            read_all(source, len(content))

    def test_checkpoint_without_a_block_is_damage(self) -> None:
        packed = bz2.compress(noise(5000))
        for inner, what in ((100, "is damaged"), (len(packed), "ends too early")):
            pass_ = CODECS["bzip2"].start(Counting(packed), CODECS["bzip2"], Checkpoint(9, inner, inside=True))
            assert pass_.readinto(memoryview(bytearray(5))) == 0
            assert what in str(pass_.damage)

    def test_block_without_end_is_damage(self) -> None:
        packed = bz2.compress(noise(5000))
        unit = bzip2.Scanner(Counting(packed), CODECS["bzip2"], Checkpoint(0, 0)).next()
        with pytest.raises(EOFError):
            bzip2._decode(replace(unit, stop=unit.stop - 24))

    def test_search_for_blocks_is_bounded(self) -> None:
        packed = bz2.compress(noise(100_000))
        source, _ = opened(packed[:2000] + np.random.default_rng(0).bytes(4 * MIB), "bzip2")
        with pytest.raises(CompressionError, match=r"the bzip2 stream is damaged near byte 4 of"):
            source.read(0, 10)

    def test_wrong_stream_checksum_warns(self) -> None:
        first, second = bz2.compress(noise(5000, 1)), bz2.compress(noise(5000, 2))
        packed = first[:-4] + second[-4:]
        source, _ = opened(packed, "bzip2", permissive=True)
        with pytest.warns(MrcWarning, match="its checksum is wrong|damaged"):
            assert len(source.read(0, 10_000)) == 5000
