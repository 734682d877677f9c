"""Compressed targets: parts packed side by side come out in order, and what cannot be done is refused."""

from __future__ import annotations

import bz2
import gzip
import struct
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from mrcarray.errors import MrcValueError
from mrcarray.storage.atomic import AtomicFile
from mrcarray.storage.compression import writer
from tests import builders
from tests.storage.compressing import noise

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

UNPACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "bzip2": bz2.decompress}


@pytest.mark.parametrize("name", UNPACK)
def test_parts_are_written_in_order_and_few_wait(tmp_path: Path, name: str) -> None:
    head, content = noise(1024), noise(30_000, 1)
    sink = writer.StreamSink(AtomicFile(tmp_path / "a"), writer.COMPRESSORS[name], len(head), part=500)
    waiting = []
    for start in range(0, len(content), 700):
        part = content[start : start + 700]
        sink.write_runs([len(head) + start], len(part), part)
        waiting.append(len(sink._pending))
    sink.commit(head)
    assert UNPACK[name]((tmp_path / "a").read_bytes()) == head + content
    assert max(waiting) <= sink._most


def test_parts_out_of_order_are_refused(tmp_path: Path) -> None:
    sink = writer.StreamSink(AtomicFile(tmp_path / "a"), writer.COMPRESSORS["gzip"], 10)
    with pytest.raises(MrcValueError, match="byte 20 was to be written where byte 10 is due"):
        sink.write_runs([20], 1, b"x")
    sink.abort()
    assert not list(tmp_path.iterdir())


def test_incompressible_head_raises() -> None:
    with pytest.raises(MrcValueError, match="pass compression='gzip'"):
        writer.COMPRESSORS["bzip2"].head(noise(4000))


@pytest.mark.parametrize("name", UNPACK)
def test_head_has_fixed_length(name: str) -> None:
    heads = [bytes(1024), noise(1024), *(builders.header_bytes(nx=n, ny=n * n, mode=2) for n in range(1, 40))]
    members = [writer.COMPRESSORS[name].head(head) for head in heads]
    assert len({len(member) for member in members}) == 1
    assert [UNPACK[name](member) for member in members] == heads


def test_bzip2_head_has_fixed_length() -> None:
    plain = struct.pack("<10i6f3i", 4, 3, 1, 6, 0, 0, 0, 4, 3, 1, 4, 6, 3, 90, 90, 90, 1, 2, 3)
    heads = [plain + bytes(i) + b"A" * 12 + struct.pack("<2i", i, 20 * i) for i in range(40)]
    for head in (*heads, b"", b"ab" * 512, b"\xff" * 1024, noise(1024)):
        packed_head = writer.COMPRESSORS["bzip2"].head(head.ljust(1024, b"\0"))
        assert len(packed_head) == len(writer.COMPRESSORS["bzip2"].head(bytes(1024)))
        assert bz2.decompress(packed_head) == head.ljust(1024, b"\0")


def test_gzip_is_written_with_zlib(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", missing)
    assert zlib.decompress(writer.COMPRESSORS["gzip"].compress(b"abc"), 31) == b"abc"
