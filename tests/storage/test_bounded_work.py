"""Files made to waste the reader's time and memory: work and memory are bounded by what the file holds."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from mrcarray.errors import CompressionError
from mrcarray.storage import open_source
from mrcarray.storage.compression import bzip2_blocks, codecs, stream, xz
from mrcarray.storage.compression.checkpoints import Point
from mrcarray.storage.compression.source import CompressedSource
from tests.storage.compressing import COMPRESS, Counting, noise, zstd

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("nothing_learnt")

MIB = 1 << 20
CONTENT = noise(5000)

EMPTIES: dict[str, bytes] = {
    "gzip": gzip.compress(b""),
    "bzip2": bz2.compress(b""),
    "xz": lzma.compress(b""),
    "zstd": zstd(b""),
    "zstd, skipped": b"\x50\x2a\x4d\x18" + bytes(4),
}


@pytest.mark.parametrize("kind", EMPTIES)
def test_200_000_empty_members_are_refused_after_a_few(kind: str) -> None:
    inner = Counting(EMPTIES[kind] * 200_000 + COMPRESS[kind.partition(",")[0]](CONTENT))
    source = CompressedSource(inner, kind.partition(",")[0])
    with pytest.raises(CompressionError, match=r"4096 .*without content"):
        source.read(0, 1000)
    assert inner.count <= 4096 * len(EMPTIES[kind]) + 2 * MIB


@pytest.mark.parametrize("kind", EMPTIES)
def test_some_empty_members_are_nothing(kind: str) -> None:
    codec = kind.partition(",")[0]
    content = COMPRESS[codec](CONTENT[:2000]) + EMPTIES[kind] * 1000 + COMPRESS[codec](CONTENT[2000:])
    assert bytes(CompressedSource(Counting(EMPTIES[kind] * 1000 + content), codec).read(0, 9000)) == CONTENT


@pytest.mark.parametrize("codec", ["gzip", "xz", "zstd"])
def test_each_of_many_small_members_is_given_to_its_decoder_alone(codec: str) -> None:
    given: list[int] = []
    row = codecs.by_name(codec)
    make: Callable[[], Any] = row.decoder  # type: ignore[assignment] # these have one

    def watched() -> Any:
        decoder = make()
        decode = decoder.decode

        class Watched:
            def __getattr__(self, name: str) -> Any:
                return getattr(decoder, name)

            def decode(self, data: bytes, most: int) -> bytes:
                given.append(len(data))
                result: bytes = decode(data, most)
                return result

        return Watched()

    packed = COMPRESS[codec](b"a") * 2000
    passing = stream.Stream(Counting(packed), replace(row, decoder=watched), Point(0, 0))
    passing.skip(2000)
    assert passing.position == 2000
    assert sum(given) <= 2000 * stream.SMALL + stream.CHUNK


def test_zeros_between_bzip2_streams_are_looked_at_once() -> None:
    copied: list[int] = []

    class Watched(bzip2_blocks.Scanner):
        def _bytes(self, start: int, stop: int) -> bytes:
            found = super()._bytes(start, stop)
            copied.append(len(found))
            return found

    packed = (bz2.compress(b"a") + bytes(3)) * 2000
    scanner = Watched(Counting(packed), codecs.by_name("bzip2"), Point(0, 0))
    while scanner.next().kind != "stop":
        pass
    assert sum(copied) <= 10 * len(packed)


def test_zeros_at_the_end_of_an_xz_file_are_read_once() -> None:
    inner = Counting(lzma.compress(CONTENT[:2000]) + lzma.compress(CONTENT[2000:]) + bytes(4 * MIB))
    points = xz.outline(inner)
    assert points is not None
    assert [point.out for point in points] == [0, 2000]
    assert inner.count <= 4 * MIB + 4 * xz.TAIL


@pytest.mark.parametrize("zeros", [1, 2, 3, 5])
def test_xz_padding_that_is_no_multiple_of_four_gives_no_outline(zeros: int) -> None:
    assert xz.outline(Counting(lzma.compress(CONTENT) + bytes(zeros))) is None


def test_xz_lists_of_very_many_blocks_are_not_kept() -> None:
    inner = Counting(lzma.compress(b"a") * 60_000)
    tracemalloc.start()
    assert xz.outline(inner) is None
    assert tracemalloc.get_traced_memory()[1] <= 32 * MIB
    tracemalloc.stop()
    assert inner.count <= 2 * len(inner.content)


def test_small_members_after_each_other_read_right() -> None:
    parts = [noise(size, size) for size in (1, 5, 1023, 1024, 1025, 3000, 0, 70_000, 17)]
    for codec, compress in COMPRESS.items():
        for zeros in (0, 1, 15, 16, 17, 5000):
            packed = bytes(zeros).join(map(compress, parts))
            source = open_source(packed)
            assert bytes(source.read(0, 100_000)) == b"".join(parts), (codec, zeros)
