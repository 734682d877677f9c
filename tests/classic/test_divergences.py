"""What is done differently from the original library on purpose, each difference by name.

Where the original can be asked without harm, the test shows what it does.
"""

from __future__ import annotations

import bz2
import concurrent.futures
import contextlib
import gc
import gzip
import io
import os
import pickle
import re
import shutil
import struct
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest

from mrcarray import classic
from mrcarray.errors import (
    ClosedError,
    CompressionError,
    ConflictError,
    MrcFormatError,
    MrcValueError,
    MrcWarning,
    StaleFileError,
    TruncatedError,
)
from mrcarray.storage.atomic import Calls
from tests.builders import mrc_bytes, sample
from tests.classic.conftest import COMPRESSION, patched
from tests.processes import without_coverage
from tests.recording import recorded

VOLUME = sample((5, 3, 4), 2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the name of a volume with an extended header."""
    name = tmp_path / "volume.mrc"
    name.write_bytes(mrc_bytes(VOLUME, extended=b"e" * 80, exttyp=b"CCP4"))
    return name


def facts(path: Path) -> tuple[bytes, int, int]:
    """Return bytes, size and time of a file."""
    found = path.stat()
    return path.read_bytes(), found.st_size, found.st_mtime_ns


def long_ago(path: Path) -> None:
    """Set a file's time back, so that any write shows."""
    os.utime(path, ns=(10**18, 10**18))


# the data block is never lost


def test_header_only_session_leaves_data_untouched(path: Path) -> None:
    copy = path.with_name("copy.mrc")
    shutil.copy(path, copy)
    with mrcfile.open(copy, mode="r+", header_only=True):
        pass
    assert copy.stat().st_size < 1200  # the original has cut the data off
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


def test_repairing_a_header_brings_the_rest_of_the_data_back(path: Path) -> None:
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


def test_unwritable_folder_is_written_in_place_with_a_warning(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_options: Any) -> Any:
        raise PermissionError(13, "no", "folder")

    monkeypatch.setattr("mrcarray.classic.backing.AtomicFile", refuse)
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


def test_untouched_session_does_not_mind_another_writer(path: Path) -> None:
    with classic.open(path, mode="r+"):
        classic.write(path, sample((2, 3, 4), 1), overwrite=True)
    np.testing.assert_array_equal(classic.read(path), sample((2, 3, 4), 1))


def test_data_that_were_looked_at_cannot_be_compared_with_another_file(path: Path) -> None:
    mrc = classic.open(path, mode="r+")
    mrc.data[0] = 3
    classic.write(path, sample((2, 3, 4), 1), overwrite=True)
    with pytest.raises(ConflictError, match="cannot be compared"):
        mrc.close()
    mrc._abort()


def test_of_two_new_files_one_wins(tmp_path: Path) -> None:
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
def test_name_that_no_file_can_take_is_refused_before_the_work(path: Path, make: Any) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        make(path.parent / "absent" / "a.mrc")
    assert caught.value.filename == str(path.parent / "absent" / "a.mrc")
    with pytest.raises(IsADirectoryError):
        classic.new(path.parent, overwrite=True)


def test_folder_and_file_that_cannot_be_written_are_refused_before_the_work(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PermissionError, match="its folder takes no new one"):
        classic.new(path, overwrite=True)


def test_map_does_not_revert_the_header_of_another_writer(path: Path) -> None:
    one = classic.mmap(path, mode="r+")
    with classic.mmap(path, mode="r+") as two:
        two.header.nystart = 4
    one.header.nxstart = 1
    with pytest.raises(ConflictError, match="its first 1024 bytes are others"):
        one.close()
    one._abort()
    assert classic.open(path).nstart.item() == (0, 4, 0)


# nothing is written behind the caller's back


def test_interpreter_without_changes_goes_quietly() -> None:
    mrc = classic.mrcinterpreter.MrcInterpreter(io.BytesIO(mrc_bytes(VOLUME)))
    assert mrc.data.shape == VOLUME.shape
    mrc = classic.mrcinterpreter.MrcInterpreter()
    mrc._iostream = io.BytesIO(mrc_bytes(VOLUME))
    mrc._read()
    del mrc
    gc.collect()


def test_exception_leaves_the_stream_alone() -> None:
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
    with pytest.warns(MrcWarning, match="mode 9, nz 5 and mz 5 make no data"):
        mrc.close()


def test_contradiction_does_not_stop_the_writing_where_warnings_are_errors(path: Path) -> None:
    with classic.new(path, VOLUME, overwrite=True) as mrc:  # warnings are errors in these tests
        mrc.header.nz = 9
    assert int.from_bytes(path.read_bytes()[8:12], "little") == 9


# numbers


@pytest.mark.parametrize("scale", [1e30, 1e-30, 1.0])
def test_statistics_have_the_accuracy_of_float64(scale: float) -> None:
    values = (np.random.default_rng(1).normal(size=(50, 64, 64)) * scale + 100 * scale).astype("f4")
    mrc = classic.mrcobject.MrcObject()
    mrc._create_default_attributes()
    mrc.set_data(values)
    wide = values.astype("f8")
    assert float(mrc.header.dmean) == pytest.approx(wide.mean(), rel=1e-6)
    assert float(mrc.header.rms) == pytest.approx(wide.std(), rel=1e-6)
    assert float(mrc.header.dmax) == values.max()


def test_statistics_of_float16_do_not_overflow() -> None:
    values = np.full((64, 64), 60000, np.float16)
    mrc = classic.mrcobject.MrcObject()
    mrc._create_default_attributes()
    mrc.set_data(values)
    assert (float(mrc.header.dmean), float(mrc.header.rms)) == (float(values[0, 0]), 0)


def test_statistics_in_the_file_are_those_of_the_data_in_the_file(tmp_path: Path, suffix: str) -> None:
    values = VOLUME.copy()
    name = tmp_path / ("a.mrc" + suffix)
    with classic.new(name, values, compression=COMPRESSION[suffix]) as mrc:
        values[:] = 5
    with mrcfile.open(name) as mrc:
        assert float(mrc.header.dmean) == 5
        assert float(mrc.data.max()) == float(mrc.header.dmax) == 5
    with classic.new_mmap(tmp_path / "m.mrc", (3, 4), 2) as mapped:
        mapped.set_data(np.ones((3, 4), "f4"))
        mapped.data[:] = 7
    assert mrcfile.open(tmp_path / "m.mrc").header.dmax == 7


def test_statistics_that_were_set_by_hand_are_kept(tmp_path: Path) -> None:
    with classic.new(tmp_path / "a.mrc", VOLUME) as mrc:
        mrc.header.dmax = 99
        mrc.data[:] = 3
    assert mrcfile.open(tmp_path / "a.mrc").header.dmax == 99


def test_write_says_what_new_says_of_nan(tmp_path: Path) -> None:
    values = VOLUME.copy()
    values[0, 0, 0] = np.nan
    with pytest.warns(MrcWarning, match="Data array contains NaN values"):
        classic.write(tmp_path / "a.mrc", values)
    assert np.isnan(classic.open(tmp_path / "a.mrc").header.dmean)
    values[0, 0, 0] = np.inf
    with pytest.warns(MrcWarning, match="Data array contains infinite values"):
        classic.write(tmp_path / "b.mrc", values.astype("c8"))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, (1, 2), "x", (1, 2, -3), 1e39])
def test_voxel_size_that_is_no_length_is_refused(value: Any) -> None:
    mrc = classic.mrcobject.MrcObject()
    mrc._create_default_attributes()
    mrc.set_data(VOLUME)
    with pytest.raises(ValueError, match=r"voxel_size|could not convert"):
        mrc.voxel_size = value
    assert mrc.header.cella.item() == (0, 0, 0)


@pytest.mark.parametrize("value", [1.5, 2**31, (1, 2), (0, 0, 0.5)])
def test_nstart_is_neither_cut_nor_wrapped(value: Any) -> None:
    mrc = classic.mrcobject.MrcObject()
    mrc._create_default_attributes()
    with pytest.raises(ValueError, match=r"nstart|whole number"):
        mrc.nstart = value
    assert mrc.nstart.item() == (0, 0, 0)


@pytest.mark.parametrize(("fill", "mode"), [(200, 0), (-1, 6), (1e10, 1), (float("nan"), 1)])
def test_fill_is_not_wrapped_around(path: Path, fill: float, mode: int) -> None:
    with pytest.raises(ValueError, match="pixels hold"):
        classic.new_mmap(path, (2, 3), mrc_mode=mode, fill=fill, overwrite=True)
    np.testing.assert_array_equal(classic.read(path), VOLUME)


def test_length_that_is_no_integer_is_a_type_error(path: Path) -> None:
    with pytest.raises(TypeError, match="float"):
        classic.new_mmap(path, (2.7, 3), overwrite=True)  # type: ignore[arg-type]


def test_data_that_do_not_fit_change_nothing() -> None:
    mrc = classic.mrcobject.MrcObject()
    mrc._create_default_attributes()
    mrc.set_data(VOLUME)
    before = mrc.header.tobytes()
    for values in (np.zeros(3, "i2"), np.zeros((1, 1, 1, 1, 1), "i1"), np.zeros((2, 2), "f8")):
        with pytest.raises(ValueError, match=r"dimensional|dtype"):
            mrc.set_data(values)
    assert mrc.data is VOLUME
    assert mrc.header.tobytes() == before


# no raw errors


def test_any_header_gives_a_documented_error_or_a_warning(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    content = mrc_bytes(VOLUME, extended=b"e" * 80, exttyp=b"SERI")
    path = tmp_path / "a.mrc"
    extreme = [0, 1, -1, 2**31 - 1, -(2**31), 401, 0x7FC00000]
    for _ in range(400):
        raw = bytearray(content[: rng.integers(1024, len(content) + 1)])
        for word in rng.choice(56, size=rng.integers(1, 4), replace=False):
            struct.pack_into("<i", raw, 4 * int(word), int(rng.choice(extreme)))
        path.write_bytes(raw)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            for function in (classic.open, classic.mmap):
                try:
                    function(path).close()
                except MrcFormatError as error:
                    assert str(path) in str(error)  # noqa: PT017 -- the error is one of many
                with function(path, permissive=True) as mrc:
                    assert mrc.header is not None
                    for name in ("voxel_size", "nstart", "indexed_extended_header"):
                        getattr(mrc, name)
                    mrc.get_labels()
                    mrc.validate(io.StringIO())
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                assert classic.validate(path, io.StringIO()) in (True, False)
            with contextlib.suppress(MrcFormatError):
                classic.read(path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"nsymbt": -5}, "Extended header size is negative: nsymbt = -5"),
        ({"nx": -4}, "Header field 'nx' is negative: -4"),
        ({"ispg": 401, "m": (4, 3, 0)}, "Volume stack has nz = 5 and mz = 0"),
        ({"ispg": 401, "m": (4, 3, 2)}, "Volume stack has nz = 5 and mz = 2"),
        ({"nx": 2**31 - 1, "ny": 2**31 - 1, "nz": 2**31 - 1}, "in data block but limit is 240"),
    ],
)
def test_impossible_numbers_are_refused_by_name(path: Path, change: dict[str, Any], text: str) -> None:
    path.write_bytes(patched(path.read_bytes(), **change))
    for function in (classic.open, classic.mmap):
        with pytest.raises(MrcFormatError) as caught:
            function(path)
        assert str(path) in str(caught.value)
        if function is classic.open:
            assert text in str(caught.value)
            assert "word" in str(caught.value)


def test_huge_extended_header_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(patched(mrc_bytes(VOLUME)[:1024], nsymbt=2**31 - 1))
    with pytest.raises(TruncatedError, match="Expected 2147483647 bytes in extended header but could only read 0"):
        classic.open(path)


def test_read_of_a_truncated_file_says_so(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])
    with (
        pytest.warns(RuntimeWarning, match="Expected 240 bytes"),
        pytest.raises(MrcFormatError, match="the data could not be read"),
    ):
        classic.read(path)


def test_unknown_extended_header_type_warns_and_gives_none(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(VOLUME, extended=b"x" * 80, exttyp=b"WHAT"))
    with mrcfile.open(path) as mrc, pytest.raises(AttributeError):
        mrc.indexed_extended_header  # noqa: B018 -- the property raises
    with classic.open(path) as mrc, pytest.warns(RuntimeWarning, match="exttyp 'b'WHAT''"):
        assert mrc.indexed_extended_header is None


def test_closed_objects_say_that_they_are_closed(path: Path) -> None:
    mrc = classic.open(path, mode="r+")
    mrc.close()
    for use in (
        lambda: mrc.voxel_size,
        lambda: mrc.nstart,
        lambda: setattr(mrc, "voxel_size", 1),
        lambda: mrc.set_data(VOLUME),
        lambda: mrc.set_extended_header(np.zeros(1, "V1")),
        lambda: mrc.indexed_extended_header,
        mrc.is_volume,
        mrc.print_header,
        mrc.get_labels,
        mrc.update_header_stats,
        mrc.flush,
        mrc.validate,
        mrc.to_xarray,
    ):
        with pytest.raises(ClosedError, match="closed"):
            use()


def test_header_only_objects_know_what_they_are(path: Path) -> None:
    with classic.open(path, header_only=True) as mrc:
        assert mrc.is_volume()
        assert not mrc.is_image_stack()


def test_names_that_are_no_names_are_type_errors() -> None:
    for name in (None, 3, io.BytesIO()):
        with pytest.raises(TypeError, match="a file name is"):
            classic.open(name)  # type: ignore[arg-type]


def test_empty_name_is_no_file() -> None:
    for function in (classic.open, classic.new, classic.mmap, classic.read):
        with pytest.raises(FileNotFoundError):
            function("")


def test_pipe_without_a_writer_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="pipe"):
        classic.open(tmp_path / "pipe")


def test_no_label_is_written_outside_the_ten(path: Path) -> None:
    with classic.open(path, mode="r+") as mrc:
        mrc.header.nlabl = -1
        with pytest.raises(IndexError, match="nlabl is -1"):
            mrc.add_label("text")
        mrc.header.nlabl = 0


# modes, extended headers, futures


@pytest.mark.parametrize("mode", [3, 101])
def test_modes_3_and_101_are_read_and_edited(tmp_path: Path, mode: int, byteorder: Any) -> None:
    values = sample((2, 3, 5), mode)
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(values, mode, byteorder))
    with pytest.raises(ValueError, match="Unrecognised mode"):
        mrcfile.open(path)
    with classic.open(path, mode="r+") as mrc:
        np.testing.assert_array_equal(mrc.data, values)
        mrc.data[0, 0, 0] = values[0, 0, 0] = 7
    assert path.read_bytes() == mrc_bytes(values, mode, byteorder)
    with pytest.raises(ValueError, match=f"Unrecognised mode '{mode}'"):
        classic.mmap(path)
    with pytest.warns(RuntimeWarning, match=f"Unrecognised mode '{mode}' - data block not read"):
        mapped = classic.mmap(path, permissive=True)
    assert mapped.data is None


@pytest.mark.parametrize("compression", [None, "gzip"])
@pytest.mark.parametrize(
    ("mode", "value", "said"),
    [
        (101, 16, "value 16 does not fit mode 101, whose range is 0 to 15"),
        (3, 1e6 + 0.4j, "value 1e+06 does not fit mode 3, whose range is -32768 to 32767"),
        (3, complex(0, float("nan")), "NaN does not fit mode 3"),
    ],
)
def test_edits_of_modes_3_and_101_beyond_their_range_are_refused_and_the_file_stays(
    tmp_path: Path, mode: int, value: complex, said: str, compression: str | None
) -> None:
    path = tmp_path / "a.mrc"
    content = mrc_bytes(sample((2, 3, 5), mode), mode)
    path.write_bytes(content if compression is None else gzip.compress(content))
    before = facts(path)
    mrc = classic.open(path, mode="r+")
    mrc.data[1, 2, 3] = value
    mrc.header.nlabl = 0
    for write in (mrc.flush, mrc.close):
        with pytest.raises(MrcValueError, match=rf"a\.mrc: {re.escape(said)}.*nothing was written"):
            write()
        assert facts(path) == before
    mrc.data[1, 2, 3] = 7
    mrc.close()
    assert classic.read(path)[1, 2, 3] == 7
    assert [p.name for p in tmp_path.iterdir()] == ["a.mrc"]


def test_a_stream_is_not_touched_by_values_beyond_the_range() -> None:
    stream = io.BytesIO(mrc_bytes(sample((2, 3, 5), 101), 101))
    before = stream.getvalue()
    mrc = classic.mrcinterpreter.MrcInterpreter(stream)
    mrc.data.flags.writeable = True
    mrc.data[0, 0, 0] = 20
    mrc.header.nlabl = 3
    with pytest.raises(MrcValueError, match="value 20 does not fit mode 101"):
        mrc.flush()
    assert stream.getvalue() == before
    mrc.data[0, 0, 0] = 2
    mrc.close()


def test_serialem_and_agard_headers_are_indexed(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    tilts = struct.pack("<5h", 100, 200, -300, 400, 500)
    extra = bytearray(84)
    struct.pack_into("<hh", extra, 16, 2, 1)
    path.write_bytes(mrc_bytes(VOLUME, extended=tilts, exttyp=b"SERI", extra2=bytes(extra)))
    with classic.open(path) as mrc:
        records = mrc.indexed_extended_header
        assert records.shape == (5,)
        assert records[records.dtype.names[0]].tolist() == [100, 200, -300, 400, 500]
        assert not records.flags.writeable
    extra[16:20] = struct.pack("<hh", 0, 16)  # integers and reals in a record
    reals = struct.pack("<80f", *range(80))
    path.write_bytes(mrc_bytes(VOLUME, extended=reals, exttyp=b"AGAR", extra2=bytes(extra)))
    with classic.open(path) as mrc:
        records = mrc.indexed_extended_header
        assert records["Alpha tilt"].tolist() == [0, 16, 32, 48, 64]
        assert records["Pixel size"].tolist() == [11, 27, 43, 59, 75]


@pytest.mark.parametrize(
    ("exttyp", "counts", "block", "field"),
    [
        (b"", (0, 0), np.full((1024, 32), 45, "f4").tobytes(), "Alpha tilt"),
        (b"", (2, 1), struct.pack("<5h", 4500, 4500, 4500, 4500, 4500), "Tilt angle"),
        (b"AGAR", (0, 1), struct.pack("<5f", 45, 45, 45, 45, 45), "Float 0"),
        (b"MRCO", (0, 1), struct.pack("<5f", 45, 45, 45, 45, 45), "Float 0"),
    ],
)
def test_records_of_every_dialect_are_indexed_also_without_a_type(
    tmp_path: Path, exttyp: bytes, counts: tuple[int, int], block: bytes, field: str
) -> None:
    path = tmp_path / "a.mrc"
    extra2 = bytes(16) + struct.pack("<2h", *counts) + bytes(64)
    path.write_bytes(mrc_bytes(VOLUME, extended=block, exttyp=exttyp, extra2=extra2))
    with mrcfile.open(path) as mrc, pytest.raises(AttributeError):
        mrc.indexed_extended_header  # noqa: B018 -- the property raises
    with classic.open(path) as mrc:
        assert set(mrc.indexed_extended_header[field].tolist()) <= {45, 4500}
        assert len(mrc.indexed_extended_header) == 5


@pytest.mark.data
def test_real_extended_headers_are_indexed(shared_data: Path) -> None:
    with classic.open(shared_data / "serialem_tilt.mrc", header_only=True) as mrc:
        assert len(mrc.indexed_extended_header) == mrc.header.nz
    with classic.open(shared_data / "fei-extended.mrc", header_only=True) as mrc:
        assert mrc.indexed_extended_header["HT"][0] == 300000
    with (
        pytest.warns(RuntimeWarning),
        classic.open(shared_data / "fei_old_header.mrc", header_only=True, permissive=True) as mrc,
    ):
        assert mrc.indexed_extended_header["Alpha tilt"].tolist() == list(range(-76, 78, 2))


def test_futures_are_real_futures(path: Path) -> None:
    future = classic.open_async(path)
    assert isinstance(future, concurrent.futures.Future)
    seen: list[Any] = []
    future.add_done_callback(seen.append)
    assert concurrent.futures.wait([future], timeout=10).done == {future}
    with future.result() as mrc:
        assert mrc.is_volume()
    assert seen == [future]
    with pytest.raises(TimeoutError, match="Timed out waiting for result"):
        classic.future_mrcfile.FutureMrcFile(__import__("time").sleep, (0.2,)).result(0.001)


# compression


def test_compressed_files_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    from mrcarray.storage.compression.stream import Stream

    if not suffix:
        return
    values = np.random.default_rng(0).normal(size=(20, 64, 64)).astype("f4")
    classic.write(tmp_path / ("a.mrc" + suffix), values)
    produced = 0
    real = Stream._some

    def counting(self: Stream, most: int) -> bytes:
        nonlocal produced
        piece = real(self, most)
        produced += len(piece)
        return piece

    monkeypatch.setattr(Stream, "_some", counting)
    np.testing.assert_array_equal(classic.read(tmp_path / ("a.mrc" + suffix)), values)
    assert produced in (0, 1024 + values.nbytes)  # bzip2 may have a way of its own


def test_header_of_a_compressed_file_costs_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classic.write(tmp_path / "a.mrc.gz", np.zeros((64, 256, 256), "f4"))
    monkeypatch.setattr("mrcarray.classic.onepass.Pass.read_into", _bounded(4096))
    with classic.open(tmp_path / "a.mrc.gz", header_only=True) as mrc:
        assert mrc.header.nx == 256


def _bounded(limit: int) -> Any:
    from mrcarray.classic.onepass import Pass

    real = Pass.read_into

    def read_into(self: Pass, start: int, out: Any) -> int:
        assert start + out.size <= limit
        return real(self, start, out)

    return read_into


@pytest.mark.parametrize("suffix", [".gz", ".bz2"])
def test_damaged_compressed_files_are_compression_errors(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / ("a.mrc" + suffix)
    classic.write(path, np.random.default_rng(0).normal(size=(20, 64, 64)).astype("f4"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-2000])
    with pytest.raises(CompressionError, match="near byte"):
        classic.open(path)
    with pytest.warns(RuntimeWarning, match="near byte"):
        mrc = classic.open(path, permissive=True)
    with mrc:
        assert mrc.header.nz == 20
        assert mrc.data is None


def test_stream_that_is_damaged_in_the_extended_header_still_gives_the_header(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "a.mrc"
    noise = np.random.default_rng(0).integers(0, 256, 300_000, np.uint8)
    with classic.new(path, VOLUME, compression=COMPRESSION[suffix]) as mrc:
        mrc.set_extended_header(noise)
    path.write_bytes(path.read_bytes()[:290_000])
    with recorded() as seen:
        mrc = classic.open(path, permissive=True)
    with mrc:
        assert mrc.header.nsymbt == noise.nbytes
        assert mrc.extended_header is None
    assert seen


@pytest.mark.parametrize("suffix", [".gz", ".bz2"])
@pytest.mark.parametrize("plain", [classic.mmap, classic.mrcfile.MrcFile])
def test_compressed_file_opened_as_a_plain_one_says_what_to_do(tmp_path: Path, suffix: str, plain: Any) -> None:
    path = tmp_path / ("a.mrc" + suffix)
    classic.write(path, np.random.default_rng(0).normal(size=(20, 64, 64)).astype("f4"))
    with pytest.raises(MrcFormatError, match=r"is compressed with (gzip|bzip2), use open\(\)"):
        plain(path)


@pytest.mark.parametrize("name", ["open", "mmap", "read", "new", "new_mmap", "write", "validate"])
def test_url_is_refused_without_showing_its_credentials(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments: dict[str, tuple[Any, ...]] = {"write": (VOLUME,), "new_mmap": ((2, 3),)}
    text = ""
    try:
        getattr(classic, name)("https://me:secret@host.example/a.mrc?key=hidden", *arguments.get(name, ()))
    except FileNotFoundError as error:
        text = str(error)
    text += capsys.readouterr().out
    assert "A URL is no local file; mrcarray.open_array" in text
    assert "https://host.example/a.mrc" in text
    assert not re.search("me:|secret|hidden", text)


def test_checksum_of_gzip_is_verified(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc.gz"
    classic.write(path, VOLUME)
    raw = bytearray(path.read_bytes())
    raw[-6] ^= 1
    path.write_bytes(raw)
    with pytest.raises(CompressionError):
        classic.open(path)


def test_lying_header_of_a_compressed_file_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc.gz"
    path.write_bytes(gzip.compress(patched(mrc_bytes(VOLUME), nx=2**31 - 1, ny=2**31 - 1, nz=100)))
    with pytest.raises(TruncatedError, match="in data block but limit is 240"):
        classic.open(path)


def test_bomb_behind_a_small_header_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mrc.gz"
    path.write_bytes(gzip.compress(mrc_bytes(VOLUME) + bytes(200_000)))
    with pytest.warns(MrcWarning, match="MRC file is 200000 bytes larger than expected"):
        classic.open(path).close()
    monkeypatch.setattr("mrcarray.classic.backing.MOST", 1000)
    monkeypatch.setattr("mrcarray.classic.backing.SKIPPED", 1000)
    with pytest.warns(MrcWarning, match="MRC file is at least 1000 bytes larger than expected"):
        classic.open(path).close()


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
def test_bomb_behind_a_small_header_costs_little_memory(tmp_path: Path, compress: Any) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(compress(mrc_bytes(VOLUME)) + compress(bytes(24 << 20)) * 8)
    program = f"""
import io, warnings
from pathlib import Path
from mrcarray import classic
def peak():
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024
before = peak()
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    classic.read({str(path)!r})
    classic.validate({str(path)!r}, io.StringIO())
print(peak() - before <= 32, "at least" in str(seen[0].message))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"


# maps


def test_map_holds_one_descriptor_and_none_after_close(path: Path) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = descriptors()
    mrc = classic.mmap(path)
    assert isinstance(mrc.data, np.memmap)
    assert descriptors() <= before + 1
    mrc.close()
    assert descriptors() == before


def test_map_of_a_short_file_does_not_lengthen_it(path: Path) -> None:
    short = path.read_bytes()[:-100]
    path.write_bytes(short)
    for mode in ("r", "r+"):
        with pytest.raises(TruncatedError, match="mmap length is greater than file size"):
            classic.mmap(path, mode=mode)
    with pytest.warns(RuntimeWarning, match="Error opening memmap"):
        classic.mmap(path, mode="r+", permissive=True).close()
    assert path.read_bytes() == short


def test_map_is_made_of_the_file_that_was_opened(path: Path) -> None:
    with classic.mmap(path) as mrc:
        classic.write(path, VOLUME[:2], overwrite=True)
        np.testing.assert_array_equal(mrc.data, VOLUME)


def test_map_of_a_file_that_was_cut_meanwhile_is_refused(path: Path) -> None:
    with classic.mmap(path) as mrc:
        os.truncate(path, 1050)
        with pytest.raises(StaleFileError, match="the file changed after it was opened"):
            mrc.data  # noqa: B018 -- the property raises


def test_new_map_reserves_its_room(tmp_path: Path) -> None:
    with classic.new_mmap(tmp_path / "a.mrc", (10, 64, 64), 2):
        assert (tmp_path / "a.mrc").stat().st_blocks * 512 >= 10 * 64 * 64 * 4


# more than the original


@pytest.mark.parametrize("function", [classic.open, classic.mmap])
def test_read_only_objects_can_be_pickled(path: Path, function: Any) -> None:
    with mrcfile.open(path) as theirs, pytest.raises(TypeError, match="pickle"):
        pickle.dumps(theirs)
    with function(path) as mrc:
        text = pickle.dumps(mrc)
        assert len(text) < 1000
    with pickle.loads(text) as again:
        assert type(again) is type(mrc)
        np.testing.assert_array_equal(again.data, VOLUME)
    long_ago(path)
    with pytest.raises(StaleFileError, match="changed after the object was pickled"):
        pickle.loads(text)


def test_other_objects_cannot_be_pickled(path: Path) -> None:
    with classic.open(path, mode="r+") as mrc, pytest.raises(TypeError, match="only an open file in mode 'r'"):
        pickle.dumps(mrc)
    with pytest.raises(TypeError, match="only an open file"):
        pickle.dumps(mrc)


def test_to_xarray_gives_a_labelled_array(path: Path) -> None:
    with classic.open(path) as mrc:
        lazy = mrc.to_xarray()
        chunked = mrc.to_xarray(chunks={})
    assert lazy.dims == ("z", "y", "x")
    assert lazy.chunks is None
    assert chunked.chunks is not None
    np.testing.assert_array_equal(lazy.values, VOLUME)
    np.testing.assert_array_equal(chunked.values, VOLUME)


def test_to_xarray_wants_changes_flushed(path: Path) -> None:
    with classic.open(path, mode="r+") as mrc:
        mrc.data[0] = 1
        with pytest.raises(ValueError, match="call flush"):
            mrc.to_xarray()
        mrc.flush()
        assert float(mrc.to_xarray()[0].max()) == 1


def test_validate_says_why_in_one_line(tmp_path: Path) -> None:
    out = io.StringIO()
    assert not classic.validate(tmp_path / "absent.mrc", out)
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("FileNotFoundError: [Errno 2] No such file or directory")


def test_validate_escapes_what_would_reach_a_terminal(path: Path) -> None:
    name = path.with_name("a\x1b[31m.mrc")
    name.write_bytes(patched(path.read_bytes(), exttyp=b"\x1b[1m"))
    out = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classic.validate(name, out)
    assert "\x1b" not in out.getvalue()
    assert "\\x1b" in out.getvalue()


def test_volume_stack_without_sections_per_volume_is_a_finding(path: Path) -> None:
    path.write_bytes(patched(path.read_bytes(), ispg=401, m=(4, 3, 0)))
    out = io.StringIO()
    with pytest.warns(RuntimeWarning, match="Volume stack has"):
        assert not classic.validate(path, out)
    assert "nz should be divisible by mz. Found nz = 5, mz = 0)" in out.getvalue()
    assert "Traceback" not in out.getvalue()


def test_warnings_name_the_line_of_the_caller(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")
    for function in (classic.open, classic.mmap, classic.mrcfile.MrcFile):
        with recorded() as seen:
            function(path).close()
        assert seen[0].filename == __file__
    classic.write(path, VOLUME, overwrite=True)
    with recorded() as seen, classic.open(path, mode="r+") as mrc:
        mrc.header.nz = 9
    assert seen[0].filename == __file__


def test_repr_escapes_control_characters_of_the_name(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m\n.mrc"
    with classic.new(path, VOLUME) as mrc:
        assert repr(mrc) == f"MrcFile('{tmp_path}/a\\x1b[31m\\n.mrc', mode='w+')"
