"""The first bytes of bzip2 files are cached for the same file, and for no other file of its name."""

from __future__ import annotations

import bz2
import gzip
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

import mrcarray
from mrcarray import classic
from mrcarray.errors import CompressionError, LimitError, StaleFileError
from mrcarray.storage import open_source
from mrcarray.storage.compression import bzip2
from mrcarray.storage.compression.heads import LENGTH, heads, keep_head, known_head
from mrcarray.storage.compression.source import CompressedSource, forget
from mrcarray.storage.memory import MemorySource
from tests import builders
from tests.storage.compressing import noise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SHAPE = (4, 30, 40)


@pytest.fixture(autouse=True)
def _nothing_learnt() -> Iterator[None]:
    forget()
    yield
    forget()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a map in a bzip2 file."""
    found = tmp_path / "map.mrc.bz2"
    found.write_bytes(bz2.compress(builders.mrc_bytes(builders.sample(SHAPE, 2), 2)))
    return found


def width_by_class(path: Path) -> int:
    with classic.open(path, header_only=True) as mrc:
        return int(mrc.header.nx)


WAYS: dict[str, Callable[[Path], int]] = {
    "read_header": lambda path: mrcarray.read_header(path).nx,
    "open_array": lambda path: mrcarray.open_array(path).shape[-1],
    "open_dataset": lambda path: xr.open_dataset(path, engine="mrc").sizes["x"],
    "classic": width_by_class,
}


@pytest.mark.parametrize("first", WAYS)
def test_header_of_known_file_decodes_nothing(first: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert WAYS[first](path) == SHAPE[-1]
    monkeypatch.setattr(bzip2, "_decode", _refuse)
    for second in WAYS.values():
        assert second(path) == SHAPE[-1]
    for second in WAYS.values():
        forget()
        with pytest.raises(CompressionError, match="a block is decoded"):
            second(path)


def _refuse(*_: Any) -> Any:
    raise AssertionError("a block is decoded")


def test_data_after_known_header_are_right(path: Path) -> None:
    expected = builders.sample(SHAPE, 2)
    for _ in range(2):
        np.testing.assert_array_equal(mrcarray.open_array(path)[...], expected)
        np.testing.assert_array_equal(classic.read(path), expected)


@pytest.mark.parametrize("pack", [bz2.compress, gzip.compress])
def test_replaced_file_has_its_own_header(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    for width in (40, 41):
        new = tmp_path / "new"
        new.write_bytes(pack(builders.mrc_bytes(builders.sample((2, 3, width), 2), 2)))
        new.replace(path)
        for way in WAYS.values():
            assert way(path) == width


def test_cached_head_of_changed_file_is_stale(path: Path) -> None:
    source = open_source(path)
    source.read(0, 1024)
    path.write_bytes(bz2.compress(b"other"))
    with pytest.raises(StaleFileError):
        source.read(0, 1024)


@pytest.mark.parametrize("pack", [bz2.compress, gzip.compress])
def test_max_bytes_refuses_cached_head(pack: Callable[[bytes], bytes]) -> None:
    source = open_source(pack(bytes(5000)))
    assert isinstance(source, CompressedSource)
    source.read(0, 1000)
    with pytest.raises(LimitError):
        source.bounded(max_bytes=999).read(0, 1000)


def test_file_of_a_head_is_verified(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(bytes(1000)))
    packed[-8] ^= 1  # the checksum
    (tmp_path / "a.gz").write_bytes(packed)
    source = open_source(tmp_path / "a.gz")
    assert isinstance(source, CompressedSource)
    with pytest.raises(mrcarray.errors.CompressionError):
        source.bounded(1000).read(0, 1000)


class TestHeads:
    def test_adjoining_bytes_are_kept_up_to_length(self) -> None:
        source, content = MemorySource(b"a"), noise(2 * LENGTH)
        keep_head(source, 0, content[:1024])
        keep_head(source, 1000, content[1000:2000])
        keep_head(source, 3000, content[3000:4000])  # between 2000 and 3000 nothing is known
        keep_head(source, 5, content[5:10])
        assert known_head(source) == content[:2000]
        keep_head(source, 2000, content[2000:])
        assert known_head(source) == content[:LENGTH]

    def test_recently_used_heads_are_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(heads, "max_bytes", (25,))
        sources = [MemorySource(name) for name in (b"a", b"b", b"c")]
        for source in sources[:2]:
            keep_head(source, 0, bytes(10))
        assert known_head(sources[0])
        keep_head(sources[2], 0, bytes(10))
        assert [len(known_head(source)) for source in sources] == [10, 0, 10]
