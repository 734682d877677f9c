"""Gzip: whole reads with isal, and what works without it."""

from __future__ import annotations

import gzip
import warnings
import zlib
from typing import TYPE_CHECKING

import pytest

from mrcarray.errors import (
    MrcWarning,
)
from mrcarray.storage.compression import member_decoders
from mrcarray.storage.compression.source import forget
from tests.storage.compressing import MIB, bgzf, bomb, noise, opened, read_all

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("nothing_learnt")


class TestWholeGzip:
    """A whole read of a gzip file, by a library that leaves no way back."""

    @pytest.fixture
    def made(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """Return how many bytes each decoder for whole reads has made."""
        pytest.importorskip("isal")
        made: list[int] = []

        class Watched(member_decoders.GzipDecoder):
            def decode(self, data: bytes, most: int) -> bytes:
                piece = super().decode(data, most)
                made.append(len(piece))
                return piece

        monkeypatch.setattr(member_decoders, "GzipDecoder", Watched)
        return made

    @pytest.mark.parametrize("start", [0, 1024])
    @pytest.mark.parametrize("pack", [lambda data: gzip.compress(data, 1), bgzf])
    def test_whole_read_decodes_once_and_verifies(
        self, start: int, pack: Callable[[bytes], bytes], made: list[int]
    ) -> None:
        content = noise(3 * MIB)
        source, inner = opened(pack(content), "gzip", len(content))
        source.read(0, start)
        assert read_all(source, len(content), start) == content[start:]
        assert sum(made) == len(content)
        assert source.verified
        assert inner.passes < 1.1

    def test_whole_read_decodes_no_more_than_wanted(self, made: list[int]) -> None:
        source, _ = opened(bomb("gzip"), "gzip", 9216)
        with pytest.warns(MrcWarning, match="the gzip stream goes on after the 9216 bytes that are declared"):
            assert read_all(source, 9216) == bytes(9216)
        assert sum(made) == 9217

    def test_slice_after_whole_read_leaves_checkpoints(self, made: list[int]) -> None:
        content = noise(3 * MIB)
        source, _ = opened(gzip.compress(content, 1), "gzip", len(content))
        read_all(source, len(content))
        made.clear()
        assert bytes(source.read(2 * MIB, 2 * MIB + 9)) == content[2 * MIB : 2 * MIB + 9]
        assert len(source._reader().checkpoints.all) > 1
        assert not made

    @pytest.mark.parametrize("at", [3, 1000, MIB, -6, -2])
    def test_damage_is_reported_alike_with_and_without_isal(self, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
        content = noise(3 * MIB)
        packed = bytearray(gzip.compress(content, 1))
        packed[at] ^= 0x10
        reports = []
        for library in (member_decoders.inflate_library(), None):
            monkeypatch.setattr(member_decoders, "inflate_library", lambda library=library: library)
            forget()
            source, _ = opened(bytes(packed), "gzip", len(content), permissive=True)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                reports.append((read_all(source, len(content)), [str(one.message) for one in caught]))
        assert reports[0] == reports[1]
        assert reports[0][1]

    def test_failing_library_is_replaced_by_the_other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Failing(member_decoders.GzipDecoder):
            def decode(self, data: bytes, most: int) -> bytes:
                if len(super().decode(data, most)) < most:
                    raise ValueError("not for me")
                return bytes(most)

        monkeypatch.setattr(member_decoders, "inflate_library", lambda: zlib)
        monkeypatch.setattr(member_decoders, "GzipDecoder", Failing)
        content = noise(MIB)
        source, _ = opened(gzip.compress(content, 1), "gzip", len(content))
        assert read_all(source, len(content)) == content
        assert source.verified


def test_gzip_works_with_zlib(monkeypatch: pytest.MonkeyPatch) -> None:
    member_decoders.deflate_library.cache_clear()
    monkeypatch.setattr(member_decoders, "_import", lambda *_: None)
    try:
        assert member_decoders.deflate_library() is zlib
    finally:
        member_decoders.deflate_library.cache_clear()


def test_missing_library_is_none() -> None:
    assert member_decoders._import("no.such.library", "nor_this_one") is None
