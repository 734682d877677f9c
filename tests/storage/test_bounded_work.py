"""Files made to waste the reader's time and memory: work and memory are bounded by what the file holds."""

from __future__ import annotations

import bz2
import gzip
import lzma
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from mrcarray.errors import CompressionError
from mrcarray.storage import open_source
from mrcarray.storage.compression import bzip2, stream
from mrcarray.storage.compression.checkpoints import Checkpoint
from mrcarray.storage.compression.codecs import CODECS
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
def test_200_000_empty_members_are_refused(kind: str) -> None:
    inner = Counting(EMPTIES[kind] * 200_000 + COMPRESS[kind.partition(",")[0]](CONTENT))
    source = CompressedSource(inner, kind.partition(",")[0])
    with pytest.raises(CompressionError, match=r"4096 .*without content"):
        source.read(0, 1000)
    assert inner.count <= 4096 * len(EMPTIES[kind]) + 2 * MIB


@pytest.mark.parametrize("kind", EMPTIES)
def test_1000_empty_members_are_skipped(kind: str) -> None:
    codec = kind.partition(",")[0]
    content = COMPRESS[codec](CONTENT[:2000]) + EMPTIES[kind] * 1000 + COMPRESS[codec](CONTENT[2000:])
    assert bytes(CompressedSource(Counting(EMPTIES[kind] * 1000 + content), codec).read(0, 9000)) == CONTENT


@pytest.mark.parametrize("codec", ["gzip", "xz", "zstd"])
def test_small_members_are_decoded_separately(codec: str) -> None:
    given: list[int] = []
    row = CODECS[codec]
    make: Callable[[], Any] = row.member  # type: ignore[assignment] # these have one

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
    passing = stream.StreamDecoder(Counting(packed), replace(row, member=watched), Checkpoint(0, 0))
    passing.skip(2000)
    assert passing.position == 2000
    assert sum(given) <= 2000 * stream.SMALL + stream.CHUNK


def test_zeros_between_bzip2_streams_are_copied_once() -> None:
    copied: list[int] = []

    class Watched(bzip2.Scanner):
        def _bytes(self, start: int, stop: int) -> bytes:
            found = super()._bytes(start, stop)
            copied.append(len(found))
            return found

    packed = (bz2.compress(b"a") + bytes(3)) * 2000
    scanner = Watched(Counting(packed), CODECS["bzip2"], Checkpoint(0, 0))
    while scanner.next().kind != "stop":
        pass
    assert sum(copied) <= 10 * len(packed)


def test_small_members_are_right() -> None:
    parts = [noise(size, size) for size in (1, 5, 1023, 1024, 1025, 3000, 0, 70_000, 17)]
    for codec, compress in COMPRESS.items():
        for zeros in (0, 1, 15, 16, 17, 5000):
            packed = bytes(zeros).join(map(compress, parts))
            source = open_source(packed)
            assert bytes(source.read(0, 100_000)) == b"".join(parts), (codec, zeros)
