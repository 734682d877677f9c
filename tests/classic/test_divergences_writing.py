"""Intended differences from mrcfile in what is written, and when.

Where mrcfile can be asked without harm, the test shows what it does.
"""

from __future__ import annotations

import errno
import gc
import io
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import mrcfile
import numpy as np
import pytest

from mrcarray import classic
from mrcarray.errors import (
    ConflictError,
    MrcWarning,
)
from mrcarray.storage.atomic import Calls
from tests.builders import mrc_bytes, sample
from tests.classic.conftest import COMPRESSION, VOLUME, facts, long_ago, patched
from tests.processes import without_coverage

if TYPE_CHECKING:
    from pathlib import Path

# the data block is never lost


def test_header_only_session_leaves_data_untouched(path: Path) -> None:
    copy = path.with_name("copy.mrc")
    shutil.copy(path, copy)
    with mrcfile.open(copy, mode="r+", header_only=True):
        pass
    assert copy.stat().st_size < 1200  # mrcfile removed the data
    before = path.read_bytes()
    with classic.open(path, mode="r+", header_only=True) as mrc:
        mrc.header.nzstart = 7
    assert path.read_bytes() == patched(before, nstart=(0, 0, 7))


def test_header_only_session_can_resize_the_extended_header(path: Path) -> None:
    with classic.open(path, mode="r+", header_only=True) as mrc:
        mrc.set_extended_header(np.zeros(240, "V1"))
    with mrcfile.open(path) as mrc:
        np.testing.assert_array_equal(mrc.data, VOLUME)
        assert mrc.extended_header.nbytes == 240


def test_unreadable_data_stay_in_the_file(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(patched(whole[:-10], nstart=(1, 1, 1)))
    with (
        pytest.warns(RuntimeWarning, match="Expected 240 bytes in data block but limit is 230"),
        classic.open(path, mode="r+", permissive=True) as mrc,
    ):
        mrc.header.nxstart = 9
    assert path.read_bytes() == patched(whole[:-10], nstart=(9, 1, 1))


def test_unreadable_extended_header_stays_in_the_file(path: Path) -> None:
    content = patched(path.read_bytes(), nsymbt=10**6)
    path.write_bytes(content)
    with (
        pytest.warns(RuntimeWarning, match="Expected"),
        classic.open(path, mode="r+", permissive=True) as mrc,
    ):
        mrc.header.nsymbt = 80
    assert path.read_bytes() == patched(content, nsymbt=80)
    np.testing.assert_array_equal(mrcfile.read(path), VOLUME)


def test_repaired_header_gives_access_to_all_data(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(patched(content, nz=2, m=(4, 3, 2)))
    with pytest.warns(RuntimeWarning, match="larger"):
        mrc = classic.open(path, mode="r+")
    with mrc:
        assert mrc.data.shape == (2, 3, 4)
        mrc.header.nz = mrc.header.mz = 5
    np.testing.assert_array_equal(mrcfile.read(path), VOLUME)


@pytest.mark.parametrize("how", ["open", "mmap", "header_only", "data"])
def test_untouched_session_changes_nothing(path: Path, suffix: str, how: str) -> None:
    if suffix and how == "mmap":
        return
    name = path.with_name("a.mrc" + suffix)
    classic.write(name, VOLUME)
    long_ago(name)
    before = facts(name)
    if how == "mmap":
        with classic.mmap(name, mode="r+") as mrc:
            assert float(mrc.data.max()) == VOLUME.max()
    else:
        with classic.open(name, mode="r+", header_only=how == "header_only") as mrc:
            if how == "data":
                assert float(mrc.data.max()) == VOLUME.max()
            mrc.flush()
    assert facts(name) == before
    original = path.with_name("b.mrc" + suffix)
    shutil.copy(name, original)
    long_ago(original)
    mrcfile.open(original, mode="r+").close()
    assert original.stat().st_mtime_ns != before[2]


def test_header_edit_writes_the_header_only(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[tuple[int, int]] = []

    def spy(descriptor: int, data: Any, offset: int) -> int:
        writes.append((offset, len(data)))
        return os.pwrite(descriptor, data, offset)

    monkeypatch.setattr(Calls, "pwrite", staticmethod(spy))
    inode = path.stat().st_ino
    with classic.open(path, mode="r+") as mrc:
        mrc.header.nystart = -3
        float(mrc.data.sum())
    assert writes == [(20, 4)]
    assert path.stat().st_ino == inode
    with classic.open(path, mode="r+") as mrc:
        mrc.extended_header[3] = b"x"
    assert writes[1:] == [(1027, 1)]
    assert mrcfile.open(path, header_only=True).extended_header.tobytes() == b"eeex" + b"e" * 76


def test_bytes_after_the_data_are_kept(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"tail")
    with pytest.warns(RuntimeWarning, match="4 bytes larger"), classic.open(path, mode="r+") as mrc:
        mrc.set_extended_header(np.zeros(8, "V1"))
    assert path.read_bytes()[-4:] == b"tail"
    assert path.stat().st_size == 1024 + 8 + VOLUME.nbytes + 4


# what fails leaves the old file, or none


@pytest.mark.parametrize("compression", [None, "gzip", "bzip2"])
def test_exception_in_a_new_file_leaves_no_file(tmp_path: Path, compression: str | None) -> None:
    def work() -> None:
        with classic.new(tmp_path / "new.mrc", VOLUME, compression=compression) as mrc:
            mrc.header.nxstart = 1
            raise KeyError

    with pytest.raises(KeyError):
        work()
    with pytest.raises(KeyError):
        work()
    assert list(tmp_path.iterdir()) == []


def test_exception_in_a_session_discards_what_was_not_flushed(path: Path) -> None:
    def work() -> None:
        with classic.open(path, mode="r+") as mrc:
            mrc.header.nxstart = 1
            mrc.flush()
            mrc.header.nystart = 2
            mrc.data[:] = 0
            raise KeyError

    with pytest.raises(KeyError):
        work()
    with classic.open(path) as mrc:
        assert mrc.nstart.item() == (1, 0, 0)
        np.testing.assert_array_equal(mrc.data, VOLUME)


def test_exception_in_an_overwrite_keeps_the_old_file(path: Path, suffix: str) -> None:
    before = path.read_bytes()
    with pytest.raises(ValueError, match="dtype 'float64' cannot"):
        classic.write(path, VOLUME.astype("f8"), overwrite=True)
    with pytest.raises(ValueError, match="voxel_size"):
        classic.write(path, VOLUME, overwrite=True, voxel_size=float("nan"))
    with pytest.raises(ValueError, match="dtype 'float64' cannot"):
        classic.new(path, VOLUME.astype("f8"), overwrite=True, compression=COMPRESSION[suffix])
    with pytest.raises(ValueError, match="Unrecognised mode '3'"):
        classic.new_mmap(path, (2, 3), mrc_mode=3, overwrite=True)
    with pytest.raises(ValueError, match="exttyp"):
        classic.new_mmap(path, (2, 3), exttyp="LONGER", overwrite=True)
    with pytest.raises(ValueError, match="invalid literal"):
        classic.new_mmap(path, (2, 3), fill="text", overwrite=True)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_full_disk_keeps_the_old_file(path: Path) -> None:
    program = f"""
import resource, signal, numpy as np
from mrcarray import classic
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
for function in (
    lambda: classic.write({str(path)!r}, np.zeros((100, 100), "f4"), overwrite=True),
    lambda: classic.new_mmap({str(path)!r}, (100, 100), 2, overwrite=True),
):
    try:
        function()
    except OSError as error:
        print(error.errno)
"""
    before = path.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=without_coverage()
    )
    assert done.stdout == "27\n27\n"
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_whole_rewrite_takes_a_new_inode_and_keeps_the_mode_bits(path: Path) -> None:
    path.chmod(0o640)
    inode = path.stat().st_ino
    with classic.open(path, mode="r+") as mrc:
        mrc.data[0] = 1
    assert path.stat().st_ino != inode
    assert path.stat().st_mode & 0o777 == 0o640


def test_unwritable_folder_is_written_in_place_with_a_warning(path: Path, refusing_folder: Any) -> None:
    refusing_folder(errno.EACCES)
    with (
        pytest.warns(MrcWarning, match="the folder cannot be written to, so the file is overwritten in place"),
        classic.open(path, mode="r+") as mrc,
    ):
        mrc.set_data(sample((2, 3, 4), 1))
    np.testing.assert_array_equal(mrcfile.read(path), sample((2, 3, 4), 1))
    with pytest.raises(PermissionError):
        classic.write(path.with_name("other.mrc"), VOLUME)


def test_second_writer_does_not_revert_the_first(path: Path) -> None:
    one = classic.open(path, mode="r+")
    with classic.open(path, mode="r+") as two:
        two.set_data(sample((2, 3, 4), 1))
    one.header.nxstart = 1
    with pytest.raises(ConflictError, match="another program changed the file since it was opened"):
        one.close()
    one._abort()
    np.testing.assert_array_equal(classic.read(path), sample((2, 3, 4), 1))


def test_untouched_session_ignores_another_writer(path: Path) -> None:
    with classic.open(path, mode="r+"):
        classic.write(path, sample((2, 3, 4), 1), overwrite=True)
    np.testing.assert_array_equal(classic.read(path), sample((2, 3, 4), 1))


def test_edited_data_of_a_replaced_file_are_a_conflict(path: Path) -> None:
    mrc = classic.open(path, mode="r+")
    mrc.data[0] = 3
    classic.write(path, sample((2, 3, 4), 1), overwrite=True)
    with pytest.raises(ConflictError, match="cannot be compared"):
        mrc.close()
    mrc._abort()


def test_second_of_two_new_files_is_refused(tmp_path: Path) -> None:
    one, two = (classic.new(tmp_path / "new.mrc", VOLUME * i) for i in (1, 2))
    one.close()
    with pytest.raises(ValueError, match="already exists; set overwrite=True"):
        two.close()
    two._abort()
    np.testing.assert_array_equal(classic.read(tmp_path / "new.mrc"), VOLUME)
    assert len(list(tmp_path.iterdir())) == 1


def test_source_may_overlap_the_target(path: Path) -> None:
    with classic.mmap(path, mode="r+") as mrc:
        mrc.set_data(mrc.data[1:])
    with classic.mmap(path) as mapped:
        classic.write(path, mapped.data[1:] * 2, overwrite=True)
        np.testing.assert_array_equal(mapped.data, VOLUME[1:])
    np.testing.assert_array_equal(classic.read(path), VOLUME[2:] * 2)


@pytest.mark.parametrize("make", [classic.new, lambda p: classic.open(p, "w+"), lambda p: classic.new_mmap(p, (2, 3))])
def test_impossible_name_is_refused_when_opened(path: Path, make: Any) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        make(path.parent / "absent" / "a.mrc")
    assert caught.value.filename == str(path.parent / "absent" / "a.mrc")
    with pytest.raises(IsADirectoryError):
        classic.new(path.parent, overwrite=True)


def test_unwritable_folder_and_file_are_refused_when_opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PermissionError, match="no permission to write the file or to create files in its folder"):
        classic.new(path, overwrite=True)


def test_map_does_not_revert_the_header_of_another_writer(path: Path) -> None:
    one = classic.mmap(path, mode="r+")
    with classic.mmap(path, mode="r+") as two:
        two.header.nystart = 4
    one.header.nxstart = 1
    with pytest.raises(ConflictError, match="the first 1024 bytes changed"):
        one.close()
    one._abort()
    assert classic.open(path).nstart.item() == (0, 4, 0)


# nothing is written unasked


def test_interpreter_without_changes_does_not_warn() -> None:
    mrc = classic.mrcinterpreter.MrcInterpreter(io.BytesIO(mrc_bytes(VOLUME)))
    assert mrc.data.shape == VOLUME.shape
    mrc = classic.mrcinterpreter.MrcInterpreter()
    mrc._iostream = io.BytesIO(mrc_bytes(VOLUME))
    mrc._read()
    del mrc
    gc.collect()


def test_exception_leaves_the_stream_unchanged() -> None:
    stream = io.BytesIO(mrc_bytes(VOLUME))

    def work() -> None:
        with classic.mrcinterpreter.MrcInterpreter(stream) as mrc:
            mrc.data[:] = 0
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert stream.getvalue() == mrc_bytes(VOLUME)


def test_forked_child_does_not_write(path: Path) -> None:
    program = f"""
import os, sys
from mrcarray import classic
mrc = classic.open({str(path)!r}, "r+")
mrc.header.nxstart = 5
new = classic.new({str(path.with_name("new.mrc"))!r}, mrc.data * 2)
if os.fork() == 0:
    for obj in (mrc, new):
        try:
            obj.close()
        except ValueError as error:
            print("another process" in str(error), flush=True)
        obj._abort()
    os._exit(0)
os.wait()
mrc.close()
new.close()
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True\nTrue\n"
    with classic.open(path) as mrc:
        assert mrc.header.nxstart == 5
    np.testing.assert_array_equal(classic.read(path.with_name("new.mrc")), VOLUME * 2)


def test_header_that_contradicts_the_data_is_written_with_a_warning(path: Path) -> None:
    for change, text in (
        ({"nz": 9}, "declares"),
        ({"mode": 6}, "mode 6"),
        ({"nsymbt": 3}, "nsymbt is 3"),
        ({"machst": [17, 17, 0, 0]}, "machine stamp"),
        ({"ispg": 401, "mz": 3}, "mz 3"),
    ):
        mrc = classic.new(path, VOLUME, overwrite=True)
        for name, value in change.items():
            mrc.header[name] = value
        with pytest.warns(MrcWarning, match=f"the header contradicts the data: .*{text}"):
            mrc.close()


def test_header_that_contradicts_the_file_is_written_with_a_warning(path: Path) -> None:
    mrc = classic.open(path, mode="r+")
    mrc.header.nz = 9
    with pytest.warns(MrcWarning, match="the header contradicts the file: its data end at byte"):
        mrc.close()
    assert int.from_bytes(path.read_bytes()[8:12], "little") == 9
    classic.write(path, VOLUME, overwrite=True)
    mrc = classic.open(path, mode="r+", header_only=True)
    mrc.header.mode = 9
    with pytest.warns(MrcWarning, match="mode 9, nz 5 and mz 5 describe no data"):
        mrc.close()


def test_contradicting_header_is_written_when_warnings_are_errors(path: Path) -> None:
    with classic.new(path, VOLUME, overwrite=True) as mrc:  # warnings are errors in these tests
        mrc.header.nz = 9
    assert int.from_bytes(path.read_bytes()[8:12], "little") == 9
