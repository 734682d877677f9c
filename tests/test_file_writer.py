"""`FileWriter`: bytes and arrays of a new file, plain and compressed, whose header is written last."""

from __future__ import annotations

import bz2
import errno
import gzip
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mrcarray.errors import ClosedError, ConflictError, MrcValueError
from mrcarray.file_writer import FileWriter
from mrcarray.region_writer import Part, merged
from mrcarray.statistics import Stats
from mrcarray.writer import Writer
from tests.storage.faults import calls_with, failing
from tests.writing import left, sample

DECOMPRESS: dict[str | None, Any] = {None: bytes, "gzip": gzip.decompress, "bzip2": bz2.decompress}
HEADER = b"header".ljust(1024)


@pytest.mark.parametrize("compression", DECOMPRESS)
@pytest.mark.parametrize("dtype", ["<f4", ">f4", ">i2", "u1", "<c8"])
def test_bytes_and_arrays_are_written_in_order(tmp_path: Path, compression: str | None, dtype: str) -> None:
    values = sample((6, 7, 9), dtype[1:] if dtype[0] in "<>" else dtype).astype(dtype).transpose(1, 0, 2)
    with FileWriter(tmp_path / "a", size=2000, compression=compression, sync=False) as file:
        file.write_at(1024, b"extended")
        stats = file.write_array(1032, values)
        file.write_at(1032 + values.nbytes, b"rest")
        assert not (tmp_path / "a").exists()
        file.commit(HEADER)
    raw = DECOMPRESS[compression]((tmp_path / "a").read_bytes())
    assert raw.rstrip(b"\0") == HEADER + b"extended" + values.tobytes() + b"rest"
    assert stats.count == values.size
    assert stats.rms == pytest.approx(values.astype("c16").std(), rel=1e-6)
    assert file.closed
    assert not file.copied


def test_statistics_are_optional(tmp_path: Path) -> None:
    with FileWriter(tmp_path / "a") as file:
        assert file.write_array(1024, np.arange(5), count=False) == Stats()
        file.commit(HEADER)


def test_large_array_is_written_by_threads(tmp_path: Path) -> None:
    values = np.arange(5 << 20, dtype="<u4")
    with FileWriter(tmp_path / "a", sync=False) as file:
        assert file.write_array(1024, values).maximum == values[-1]
        file.commit(HEADER)
    np.testing.assert_array_equal(np.fromfile(tmp_path / "a", "<u4", offset=1024), values)


@pytest.mark.parametrize("compression", DECOMPRESS)
def test_file_without_commit_is_removed(tmp_path: Path, compression: str | None) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with FileWriter(tmp_path / "a", overwrite=True, compression=compression) as file:
        file.write_at(1024, b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert not left(tmp_path)
    with pytest.raises(ClosedError):
        file.write_at(1027, bytes(8 << 20))


def test_compressed_bytes_out_of_order_are_refused(tmp_path: Path) -> None:
    with FileWriter(tmp_path / "a", compression="gzip") as file, pytest.raises(MrcValueError, match="due"):
        file.write_at(2000, b"too far")


def test_full_disk_is_reported_before_anything_is_written(tmp_path: Path) -> None:
    with calls_with() as dry:
        FileWriter(tmp_path / "a", size=2000).abort()
    with calls_with(dry.seen.index("fallocate"), failing(errno.ENOSPC)), pytest.raises(OSError, match="No space"):
        FileWriter(tmp_path / "a", size=2000)
    assert not list(tmp_path.iterdir())


def test_pickled_writer_refuses_a_replaced_temporary_file(tmp_path: Path) -> None:
    with Writer(tmp_path / "a.mrc", (2, 3, 4), "f4") as out:
        there = pickle.loads(pickle.dumps(out))
        there[0] = 1.0
        temp = Path(there.path)
        temp.rename(tmp_path / "moved")
        temp.write_bytes(bytes(2000))
        with pytest.raises(ConflictError, match="another file has the name"):
            there[1] = 2.0
        assert temp.read_bytes() == bytes(2000)
        (tmp_path / "moved").replace(temp)
        there[1] = 2.0


def test_parts_of_two_files_cannot_be_merged() -> None:
    one, two = Part.at(Stats(count=3), (), 5), Part.at(Stats(count=4), (), 6)
    assert merged((one, one, Part())).file == 5
    assert merged((one, one)).total == 6
    with pytest.raises(ConflictError, match="removed while it was written"):
        merged((one, two), "a.mrc")
