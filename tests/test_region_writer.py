"""Files written by several processes: `create`, `write_region`, `finalize`."""

from __future__ import annotations

import io
import itertools
import pickle
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mrcarray
from mrcarray import region_writer
from mrcarray.errors import ConflictError, MrcFormatError, MrcValueError, MrcWarning, TruncatedError
from mrcarray.format import regions
from mrcarray.format.builder import unfinished
from mrcarray.format.header import Header
from mrcarray.region_writer import create, finalize, write_region
from mrcarray.statistics import Stats
from mrcarray.storage.patch import patch_bytes
from mrcarray.writer import Writer
from tests.storage.faults import calls_with
from tests.writing import put, read, sample


def test_unfinished_file_is_refused_by_readers(tmp_path: Path) -> None:
    path = create(tmp_path / "a.mrc", (3, 4, 5), "f4")
    with pytest.raises(MrcFormatError, match=r"unfinished.*finalize"):
        mrcarray.open_array(path)
    with pytest.raises(ValueError, match="mode"):
        mrcfile.open(path)
    with pytest.warns(MrcWarning, match="unfinished"):
        assert mrcarray.open_file(path, permissive=True).array is None


def test_regions_and_statistics(tmp_path: Path) -> None:
    values = sample((6, 7, 9))
    path = create(tmp_path / "a.mrc", values.shape, "f4", voxel_size=3.0, extended=b"e" * 80)
    parts = [write_region(path, np.s_[:, a : a + 3], values[:, a : a + 3]) for a in range(0, 7, 3)]
    with pytest.raises(MrcValueError, match="no part covers"):
        finalize(path, parts[:1])
    found = finalize(path, parts)
    assert found.rms == pytest.approx(values.std(dtype="f8"), rel=1e-9)
    np.testing.assert_array_equal(read(Path(path)), values)
    assert mrcarray.read_header(path).dmax == values.max()
    first = Path(path).read_bytes()
    finalize(path)
    assert Path(path).read_bytes()[224:] == first[224:]
    assert mrcarray.read_header(path).rms == pytest.approx(found.rms, rel=1e-6)


def halves(path: Path, values: Any) -> list[Any]:
    mrcarray.create(path, values.shape, "f4", overwrite=True)
    middle = len(values) // 2
    return [write_region(path, key, values[key]) for key in (slice(0, middle), slice(middle, None))]


def test_parts_must_cover_the_file_once(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    first, second = halves(path, sample())
    with pytest.raises(MrcValueError, match=re.escape("parts 0 [0:3, 0:7, 0:9] and 1 [0:3, 0:7, 0:9] overlap")):
        finalize(path, [first, first])
    with pytest.raises(MrcValueError, match=re.escape("no part covers [3:6, 0:7, 0:9] of shape (6, 7, 9)")):
        finalize(path, [first])
    with pytest.raises(MrcValueError, match="part 0 has no region of this file"):
        finalize(path, [Stats.merged([first, second])])
    with pytest.raises(MrcFormatError, match="unfinished"):
        mrcarray.open_array(path)
    finalize(path, pickle.loads(pickle.dumps([second, first])))
    np.testing.assert_array_equal(read(path), sample())


def test_part_of_an_earlier_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    first, _ = halves(path, sample())
    _, second = halves(path, sample())
    with pytest.raises(ConflictError, match=re.escape("part 0 ([0:3, 0:7, 0:9]) was written to an earlier file")):
        finalize(path, [first, second])


@given(st.data())
def test_overlaps_and_gaps_are_found(data: st.DataObject) -> None:
    shape = (4, 3, 5)
    edges = [sorted(data.draw(st.sets(st.integers(1, n - 1), max_size=2)) | {0, n}) for n in shape]
    cut = [tuple(box) for box in itertools.product(*(list(itertools.pairwise(edge)) for edge in edges))]
    assert regions.overlap(cut) is None
    assert regions.gap(cut, shape) is None
    at = data.draw(st.integers(0, len(cut) - 1))
    assert regions.gap(cut[:at] + cut[at + 1 :], shape) == cut[at]
    assert regions.overlap([*cut, cut[at]]) == (at, len(cut))


def test_region_of_a_finished_file_makes_statistics_undetermined(tmp_path: Path) -> None:
    path, values = tmp_path / "a.mrc", sample((6, 7, 9))
    put(path, values)
    write_region(path, 2, 100.0)
    assert mrcarray.read_header(path).rms == -1
    values[2] = 100
    np.testing.assert_array_equal(read(path), values)
    finalize(path)
    assert mrcarray.read_header(path).dmax == 100


def test_many_processes_write_one_file(tmp_path: Path) -> None:
    values = sample((8, 16, 16), "i2")
    np.save(tmp_path / "values.npy", values)
    path = create(tmp_path / "a.mrc", values.shape, "i2")
    code = """
        import sys
        import numpy as np
        from mrcarray import write_region
        values = np.load(sys.argv[2])
        first = int(sys.argv[3])
        write_region(sys.argv[1], slice(first, first + 2), values[first : first + 2])
    """
    command = [sys.executable, "-c", textwrap.dedent(code), path, str(tmp_path / "values.npy")]
    processes = [subprocess.Popen([*command, str(first)]) for first in range(0, 8, 2)]
    assert [process.wait() for process in processes] == [0] * 4
    finalize(path)
    np.testing.assert_array_equal(read(Path(path)), values)


def test_header_changed_by_another_program_is_a_conflict(tmp_path: Path) -> None:
    path = create(tmp_path / "a.mrc", (3, 4, 5), "f4")
    _, header, _ = region_writer.existing(path)
    write_region(path, ..., 0)
    finalize(path)
    with pytest.raises(ConflictError):
        patch_bytes(path, header.raw, header.replace(nlabl=0).raw)


def test_header_edit_is_one_write(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    put(path, sample())
    with calls_with() as seen:
        write_region(path, (0, 0, 0), 1.0)
    assert seen.seen == ["open", "fstat", "pwrite", "close", "open", "fstat", "pwrite", "close"]


def test_files_without_regions_are_refused(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"x" * 100)
    with pytest.raises(TruncatedError):
        write_region(tmp_path / "short", 0, 0)
    (tmp_path / "zeros").write_bytes(bytes(2000))
    with pytest.raises(MrcFormatError):
        write_region(tmp_path / "zeros", 0, 0)
    put(tmp_path / "a.mrc.gz", sample())
    for change in (
        lambda name: write_region(name, 0, 0),
        finalize,
        lambda name: mrcarray.to_mrc(np.zeros((4, 5), "f4"), name, region={"z": 0}),
    ):
        with pytest.raises(MrcValueError, match=r"a\.mrc\.gz: the file is compressed with gzip, and compressed files"):
            change(tmp_path / "a.mrc.gz")


@pytest.mark.parametrize("suffix", [".gz", ".BZ2", ".xz", ".zst"])
def test_create_refuses_compressed_suffixes(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(MrcValueError, match=r"compressed files cannot be written region by region.*to_mrc"):
        create(tmp_path / f"a.mrc{suffix}", (3, 4, 5), "f4")
    assert not list(tmp_path.iterdir())


def test_values_of_another_shape_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    put(path, sample())
    before = path.read_bytes()
    text = r"the values have shape \(2, 2\); the region to be written has "
    with pytest.raises(MrcValueError, match=text):
        write_region(path, 0, np.zeros((2, 2)))
    assert path.read_bytes() == before
    with Writer(tmp_path / "b.mrc", (3, 4, 5), "f4") as out:
        with pytest.raises(MrcValueError, match=text + r"\(4, 5\)"):
            out[0] = np.zeros((2, 2))
        out[...] = 1


@pytest.mark.parametrize(
    "write",
    [
        lambda url, values: write_region(url, 0, values[0]),
        lambda url, _: finalize(url),
        lambda url, values: create(url, values.shape, "f4"),
        lambda url, values: Writer(url, values.shape, "f4"),
        lambda url, values: mrcarray.to_mrc(values, url),
        lambda url, values: mrcarray.to_mrc(values, url, region=(0,)),
    ],
)
def test_urls_are_refused(write: Any) -> None:
    with pytest.raises(io.UnsupportedOperation, match=r"s3://bucket/a\.mrc: URLs are read-only"):
        write("s3://bucket/a.mrc", sample())


def test_mode_of_an_unfinished_file() -> None:
    assert unfinished(Header.blank(mode=101)).mode == -1101
