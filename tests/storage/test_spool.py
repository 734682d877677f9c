"""Formats without checkpoints: their output is spooled, once, in memory or a temporary file."""

from __future__ import annotations

import errno
import gc
import lzma
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mrcarray.errors import (
    MrcValueError,
    StaleFileError,
)
from mrcarray.storage import open_source
from mrcarray.storage.compression import spool
from tests.storage.compressing import COMPRESS, MIB, noise, opened, read_all, zstd

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("nothing_learnt")


class TestSpool:
    @pytest.mark.parametrize("name", ["xz", "zstd"])
    def test_slices_are_spooled_in_one_pass(self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(spool.MEMORY, str(2 * MIB))
        monkeypatch.setenv(spool.FOLDER, str(tmp_path))
        content = noise(6 * MIB)
        source, inner = opened(COMPRESS[name](content), name, len(content))
        for start in (5 * MIB, 0, 3 * MIB, 17, 4 * MIB):
            assert bytes(source.read(start, start + MIB)) == content[start : start + MIB]
        kept = source._reader().spool
        assert kept is not None
        assert kept.on_disk
        assert kept.in_memory == 0
        assert inner.passes <= 1.05
        assert not list(tmp_path.iterdir())  # it has no name, so nothing can be left of it

    def test_small_spool_stays_in_memory(self) -> None:
        content = noise(3 * MIB)
        source, _ = opened(COMPRESS["xz"](content), "xz")
        source.read(2 * MIB, 2 * MIB + 9)
        kept = source._reader().spool
        assert kept is not None
        assert not kept.on_disk
        assert source._reader().weigh()[0] >= 2 * MIB

    def test_spool_is_no_longer_than_wanted(self) -> None:
        source, _ = opened(lzma.compress(bytes(200 * MIB), preset=0), "xz")
        source.read(2 * MIB, 2 * MIB + 9)
        kept = source._reader().spool
        assert kept is not None
        assert kept.size <= 4 * MIB

    def test_changed_file_is_stale_when_spooled(self, tmp_path: Path) -> None:
        content = noise(3 * MIB)
        path = tmp_path / "a.xz"
        path.write_bytes(lzma.compress(content, preset=0))
        source = open_source(path)
        source.read(2 * MIB, 2 * MIB + 9)
        os.utime(path, ns=(1, 1))
        with pytest.raises(StaleFileError, match=r"a\.xz: the file changed"):
            source.read(2 * MIB, 2 * MIB + 9)

    def test_frames_after_the_spool_are_right(self) -> None:
        content = noise(4 * MIB)
        packed = b"".join(zstd(content[at : at + MIB]) for at in range(0, len(content), MIB))
        source, _ = opened(packed, "zstd", len(content))
        source.read(2 * MIB, 2 * MIB + 9)
        for start in (3 * MIB, 2 * MIB + 99, 3 * MIB + 5, 0):
            assert bytes(source.read(start, start + MIB)) == content[start : start + MIB]
        assert read_all(source, len(content)) == content

    def test_slices_after_whole_read_are_right(self) -> None:
        content = noise(4 * MIB)
        source, _ = opened(zstd(content), "zstd", len(content))
        assert read_all(source, len(content)) == content
        for start in (2 * MIB, 3 * MIB):
            assert bytes(source.read(start, start + 9)) == content[start : start + 9]

    def test_full_disk_names_folder_and_variable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(spool.MEMORY, str(MIB))
        monkeypatch.setenv(spool.FOLDER, str(tmp_path))
        real, calls = os.pwrite, iter(range(100))

        def full(*args: Any) -> int:
            if next(calls) in {0, 3}:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*args)

        monkeypatch.setattr(spool, "pwrite", full)
        content = noise(6 * MIB)
        source, _ = opened(zstd(content), "zstd", len(content))
        for _ in range(2):  # the first write, and one in the middle
            with pytest.raises(OSError, match=f"No space left.*{tmp_path}.*SPOOL_FOLDER.*counting") as caught:
                source.read(3 * MIB, 5 * MIB)
            assert caught.value.errno == errno.ENOSPC
        assert bytes(source.read(3 * MIB, 5 * MIB)) == content[3 * MIB : 5 * MIB]
        assert bytes(source.read(MIB, 2 * MIB)) == content[MIB : 2 * MIB]

    def test_invalid_memory_variable_raises(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(spool.MEMORY, "64M")
        with pytest.raises(MrcValueError, match="MRCARRAY_SPOOL_MEMORY is '64M'; expected a number of bytes"):
            spool.Spool("a.xz")

    def test_temporary_file_is_closed_with_the_spool(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(spool.MEMORY, "10")
        kept = spool.Spool("a.xz")
        kept.append(memoryview(b"0123456789"))
        kept.append(memoryview(b"abc"))
        out = np.empty(5, dtype=np.uint8)
        assert kept.read_into(8, out) == 5
        assert out.tobytes() == b"89abc"
        descriptor = kept._descriptor
        assert descriptor is not None
        del kept
        gc.collect()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
