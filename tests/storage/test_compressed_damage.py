"""Compressed sources that are damaged, cut, hostile or followed by other bytes, and passes that break off."""

from __future__ import annotations

import gc
import gzip
import tracemalloc
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcarray.errors import (
    CompressionError,
    LimitError,
    MrcWarning,
)
from mrcarray.storage.compression import bzip2, member_decoders, seekable
from mrcarray.storage.compression.source import forget
from tests.storage.compressing import COMPRESS, MIB, bgzf, bomb, noise, opened, read_all, zstd

pytestmark = pytest.mark.usefixtures("nothing_learnt")


def broken_off(monkeypatch: pytest.MonkeyPatch, kind: type[BaseException], at: int) -> None:
    """Raise an exception in the `at`-th call that decodes, after it has decoded bytes."""
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

    patch(member_decoders.GzipDecoder, "decode")
    patch(member_decoders._LibraryDecoder, "decode")
    patch(bzip2.Bzip2Decoder, "_start", done=False)


class TestBrokenOff:
    @pytest.mark.parametrize("kind", [KeyboardInterrupt, MemoryError])
    @pytest.mark.parametrize("at", [2, 3])
    def test_interrupted_pass_is_repeated(
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

    def test_interrupted_pass_goes_on_from_last_checkpoint(self) -> None:
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

    def test_interrupted_wait_blocks_no_other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        turn = seekable._Turn()

        def interrupted(_: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(turn._condition, "wait_for", interrupted)
        with pytest.raises(KeyboardInterrupt), turn.of(0):
            pass
        assert not turn._waiting


class TestMembers:
    def joined(self, codec: str) -> tuple[bytes, bytes]:
        parts = [noise(300_000, 1), b"", noise(2 * MIB, 2), b"x"]
        return b"".join(parts), b"".join(COMPRESS[codec](part) for part in parts)

    def test_members_read_as_one_content(self, codec: str) -> None:
        content, packed = self.joined(codec)
        source, _ = opened(packed, codec)
        assert read_all(source, len(content) + 1) == content
        assert source.verified

    def test_zeros_between_members_are_skipped(self, codec: str) -> None:
        content, packed = self.joined(codec)
        for padding in (4, 8, 5000, 70_000):
            forget()
            more = packed + bytes(padding) + COMPRESS[codec](b"end") + bytes(padding)
            source, _ = opened(more, codec)
            assert read_all(source, len(content) + 4) == content + b"end"
            assert bytes(source.read(len(content) - 5, len(content) + 9)) == content[-5:] + b"end"

    @pytest.mark.parametrize("garbage", [b"garbage", b"\0\0some text that is long enough to be a member's start"])
    def test_garbage_after_members_warns(self, codec: str, garbage: bytes) -> None:
        content, packed = self.joined(codec)
        source, _ = opened(packed + garbage, codec)
        count = len(garbage.lstrip(b"\0"))
        at = len(packed) + len(garbage) - count
        match = rf"/counting/file: {count} bytes from byte {at} on, after the {codec} stream, are not part of it"
        with pytest.warns(MrcWarning, match=match):
            assert read_all(source, len(content) + 1) == content
        assert source.verified

    def test_bgzf_slices_are_right(self) -> None:
        content = noise(3 * MIB)
        source, _ = opened(bgzf(content), "gzip")
        for start in (2 * MIB, 5, 59_990, 3 * MIB - 3):
            assert bytes(source.read(start, start + 100)) == content[start : start + 100]

    def test_empty_members_are_bounded(self) -> None:
        source, _ = opened(gzip.compress(b"") * 5000, "gzip")
        with pytest.raises(CompressionError, match="4096 members without content one after the other near byte 81920"):
            read_all(source, 5)


class TestDamage:
    def cut(self, codec: str) -> tuple[bytes, bytes]:
        content = noise(3 * MIB)
        packed = COMPRESS[codec](content)
        return content, packed[: len(packed) * 2 // 3]

    def test_truncated_file_raises_with_position(self, codec: str) -> None:
        content, packed = self.cut(codec)
        source, _ = opened(packed, codec, len(content))
        assert bytes(source.read(0, 1024)) == content[:1024]
        with pytest.raises(CompressionError, match=rf"/counting/file: the {codec} stream ends too early") as caught:
            read_all(source, len(content))
        assert caught.value.position is not None
        assert len(packed) - 1_000_000 < caught.value.position <= len(packed)
        assert "uncompressed bytes before it are whole" in str(caught.value)

    def test_permissive_read_returns_whole_bytes(self, codec: str) -> None:
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

    def test_slice_before_damage_is_silent(self, codec: str) -> None:
        content, packed = self.cut(codec)
        source, _ = opened(packed, codec, len(content))
        assert bytes(source.read(MIB, MIB + 500)) == content[MIB : MIB + 500]

    def test_flipped_bit_raises(self, codec: str) -> None:
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
    def test_wrong_checksum_raises(self, codec: str, at: int) -> None:
        content = noise(MIB)
        packed = bytearray(COMPRESS[codec](content))
        packed[at] ^= 0x10
        source, _ = opened(bytes(packed), codec, len(content))
        with pytest.raises(CompressionError, match="damaged"):
            read_all(source, len(content))
        assert not source.verified

    @pytest.mark.parametrize("first", [0.0, 0.9])
    def test_whole_read_after_slice_warns_of_trailing_bytes(self, codec: str, first: float) -> None:
        content, size = noise(200_000), 200_000
        faults = {
            "are not part of it": COMPRESS[codec](content) + b"garbage" * 3,
            "stream goes on after": COMPRESS[codec](content + b"abc"),
        }
        for text, packed in faults.items():
            source, _ = opened(packed, codec, len(content), reader={"head": 20_000})
            begin = int(first * size)
            assert bytes(source.read(begin, begin + 5000)) == content[begin : begin + 5000]
            for _ in range(2):
                with pytest.warns(MrcWarning, match=text):
                    assert read_all(source, size, 1024) == content[1024:]

    @pytest.mark.usefixtures("gzip_library")
    def test_whole_read_after_slice_finds_missing_trailer(self) -> None:
        content = noise(200_000)
        source, _ = opened(gzip.compress(content, 1)[:-8], "gzip", len(content))
        source.read(5000, 9000)
        for _ in range(2):
            with pytest.raises(CompressionError, match="ends too early"):
                read_all(source, len(content), 1024)

    def test_bytes_after_the_limit_can_be_read(self, codec: str) -> None:
        content = noise(300_000)
        source, _ = opened(COMPRESS[codec](content), codec, 200_000, reader={"head": 20_000})
        with pytest.warns(MrcWarning, match="goes on"):
            assert bytes(source.read(199_000, 200_000)) == content[199_000:200_000]
        assert bytes(source.bounded(300_000).read(200_001, 300_000)) == content[200_001:]

    def test_partial_read_is_not_verified(self, codec: str) -> None:
        content = noise(MIB)
        source, _ = opened(COMPRESS[codec](content), codec)
        source.read(0, 5000)
        assert not source.verified

    def test_errors_of_the_inner_source_pass_unchanged(self, codec: str) -> None:
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
    def test_any_bytes_give_data_or_compression_error(self, data: st.DataObject) -> None:
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


class TestBombs:
    def test_bomb_produces_no_more_than_wanted(self, codec: str) -> None:
        source, _ = opened(bomb(codec), codec, 9216)
        gc.collect()
        tracemalloc.start()
        with pytest.warns(MrcWarning, match=rf"the {codec} stream goes on after the 9216 bytes that are declared"):
            assert read_all(source, 9216) == bytes(9216)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 32 * MIB
        front = source._reader()._front
        assert front is None or front.position <= 9217
        assert not source.verified

    def test_read_beyond_the_end_costs_no_memory(self, codec: str) -> None:
        source, _ = opened(COMPRESS[codec](b"short"), codec)
        tracemalloc.start()
        assert bytes(source.read(0, 1 << 40)) == b"short"
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 16 * MIB

    def test_max_bytes_refuses_before_reading(self, codec: str) -> None:
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

    def test_longer_stream_warns_of_unreached_checksum(self, codec: str) -> None:
        content = noise(3 * MIB)
        packed = COMPRESS[codec](content[: 2 * MIB] + b"\1" + content[2 * MIB :])
        source, _ = opened(packed, codec, len(content))
        with pytest.warns(MrcWarning, match="its checksum was not reached, so damage may have gone unnoticed"):
            read_all(source, len(content))
        assert not source.verified
