"""After any failure while a file is written, the old file is unchanged and no other file is left."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mrcarray import classic
from mrcarray.errors import MrcWarning
from mrcarray.storage import atomic
from tests.builders import mrc_bytes, sample
from tests.classic.conftest import COMPRESSION, patched
from tests.storage.faults import calls_with, failing

if TYPE_CHECKING:
    from pathlib import Path

VOLUME = sample((5, 3, 4), 2)


@pytest.fixture
def path(tmp_path: Path, suffix: str) -> Path:
    """Return the name of a file in each compression."""
    name = tmp_path / ("a.mrc" + suffix)
    classic.write(name, VOLUME)
    return name


def overwrite(path: Path) -> None:
    classic.write(path, VOLUME * 2, overwrite=True)


def edit_data(path: Path) -> None:
    with classic.open(path, mode="r+") as mrc:
        mrc.data[0] = 1


def resize(path: Path) -> None:
    with classic.open(path, mode="r+") as mrc:
        mrc.set_data(VOLUME[:2])
        mrc.set_extended_header(np.zeros(80, "V1"))


def resize_unread(path: Path) -> None:
    with classic.open(path, mode="r+", header_only=True) as mrc:
        mrc.set_extended_header(np.zeros(80, "V1"))


def write_new(path: Path) -> None:
    with classic.new(
        path, overwrite=True, compression=COMPRESSION["" if path.suffix == ".mrc" else path.suffix]
    ) as mrc:
        mrc.set_data(VOLUME[:3])


def edit_header(path: Path) -> None:
    with classic.open(path, mode="r+", header_only=True) as mrc:
        mrc.header.nxstart = 3


CALLS = ("open", "pwrite", "fsync", "replace", "fstat", "fchmod", "fallocate")
WRITERS = (overwrite, edit_data, resize, resize_unread, write_new, edit_header)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("work", WRITERS)
def test_failing_call_leaves_the_old_or_the_new_file(
    path: Path, work: Any, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(atomic.Calls, call)
    failing = [0]

    def fail(*args: Any) -> Any:
        failing[0] -= 1
        if failing[0] == 0:
            raise OSError(errno.ENOSPC, "disk full")
        return real(*args)

    monkeypatch.setattr(atomic.Calls, call, staticmethod(fail))
    before = path.read_bytes()
    for which in range(1, 20):
        failing[0] = which
        try:
            work(path)
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017 -- one of many
            # the folder is flushed after the rename: when that fails, the new file is there, whole
            assert path.read_bytes() == before or call in ("open", "fsync")
            classic.open(path).close()
            path.write_bytes(before)
            assert [p.name for p in path.parent.iterdir()] == [path.name]
        else:
            break
        finally:
            failing[0] = 0
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    classic.open(path).close()


def test_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    classic.write(path, VOLUME)
    program = f"""
import os, signal, numpy as np
from mrcarray import classic
from mrcarray.storage import atomic
atomic.Calls.replace = staticmethod(lambda *names: os.kill(os.getpid(), signal.SIGKILL))
classic.write({str(path)!r}, np.zeros((9, 9), "f4"), overwrite=True)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    np.testing.assert_array_equal(classic.read(path), VOLUME)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert len(names) == 2
    assert names[0].startswith(".a.mrc.")
    assert names[0].endswith(".mrcarray-tmp")
    classic.write(path, VOLUME * 2, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mrc"]


def test_close_can_be_repeated_after_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mrc = classic.open(path, mode="r+")
    mrc.data[0] = 4

    def full(*_args: Any) -> Any:
        raise OSError(errno.ENOSPC, "disk full")

    with monkeypatch.context() as patch:
        patch.setattr(atomic.Calls, "pwrite", staticmethod(full))
        with pytest.raises(OSError, match="disk full"):
            mrc.close()
    mrc.close()
    assert (classic.read(path)[0] == 4).all()


def test_without_syncing_the_result_is_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_args: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(classic.mrcfile.MrcFile, "sync", False)
    monkeypatch.setattr(atomic.Calls, "fsync", staticmethod(never))
    edit_data(path)
    with classic.open(path, mode="r+", header_only=True) as mrc:
        mrc.header.nxstart = 3
    with classic.open(path) as mrc:
        assert mrc.header.nxstart == 3
        assert (mrc.data[0] == 1).all()


def test_write_protected_file_is_refused_when_opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def protected(name: Any, flags: int, *rest: Any, **options: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR) and str(name) == str(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
        return real(name, flags, *rest, **options)

    monkeypatch.setattr(os, "open", protected)
    with pytest.raises(PermissionError, match="Permission denied") as caught:
        classic.open(path, mode="r+")
    assert caught.value.filename == str(path)
    if path.suffix == ".mrc":
        with pytest.raises(PermissionError, match="Permission denied"):
            classic.mmap(path, mode="r+")
    classic.open(path).close()


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
@pytest.mark.parametrize("write", [overwrite, write_new])
def test_refusing_folder_allows_overwriting_in_place(path: Path, write: Any, number: int, refusing_folder: Any) -> None:
    refusing_folder(number)
    with pytest.warns(MrcWarning, match="overwritten in place; when that is interrupted, the file is damaged"):
        write(path)
    np.testing.assert_array_equal(classic.read(path), VOLUME * 2 if write is overwrite else VOLUME[:3])
    with pytest.raises(OSError, match=str(path.parent)):
        classic.write(path.with_name("new.mrc"), VOLUME, overwrite=True)


def test_interrupted_overwriting_in_place_leaves_no_mixed_file(path: Path, refusing_folder: Any) -> None:
    refusing_folder(errno.EACCES)
    before, at, unfinished = path.read_bytes(), 1, 0  # call 0 is the one that the folder refuses
    while True:
        path.write_bytes(before)
        with (
            calls_with(at, failing(errno.EIO), torn=True) as faulty,
            pytest.warns(MrcWarning, match="in place"),
            contextlib.suppress(OSError),
        ):
            edit_data(path)
        if at >= len(faulty.seen):
            break
        try:
            with classic.open(path) as mrc:
                values = mrc.data
        except (ValueError, OSError):
            unfinished += 1
        else:
            rest = np.concatenate([values[:1] * 0 + 1, VOLUME[1:]])
            assert any(np.array_equal(values, whole) for whole in (VOLUME, rest))
        at += 1
    assert unfinished > 2
    assert (classic.read(path)[0] == 1).all()


def test_refusing_folder_allows_editing_but_no_new_map(path: Path, refusing_folder: Any) -> None:
    refusing_folder(errno.EACCES)
    mrc = classic.open(path, mode="r+")
    mrc.data[0] = 1
    with pytest.warns(MrcWarning, match="overwritten in place"):
        mrc.close()
    assert (classic.read(path)[0] == 1).all()
    if path.suffix == ".mrc":
        with classic.mmap(path, mode="r+") as mapped, pytest.raises(PermissionError, match="folder"):
            mapped.set_data(VOLUME[:1])


def test_file_that_appears_before_the_write_is_not_replaced(tmp_path: Path) -> None:
    for cls in (classic.mrcfile.MrcFile, classic.mrcmemmap.MrcMemmap):
        mrc: Any = cls(tmp_path / "new.mrc", mode="w+")
        mrc.set_data(VOLUME)
        (tmp_path / "new.mrc").write_text("mine")
        with pytest.raises(ValueError, match="already exists; set overwrite=True to overwrite it"):
            mrc.close()
        mrc._abort()
        assert (tmp_path / "new.mrc").read_text() == "mine"
        (tmp_path / "new.mrc").unlink()
        assert list(tmp_path.iterdir()) == []


def test_symbolic_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    path, link = tmp_path / "real" / "a.mrc", tmp_path / "link.mrc"
    classic.write(path, VOLUME)
    link.symlink_to(path)
    edit_data(link)
    assert link.is_symlink()
    assert (classic.read(path)[0] == 1).all()


def test_new_file_has_an_empty_stream_until_it_is_flushed(tmp_path: Path) -> None:
    with classic.new(tmp_path / "a.mrc") as mrc:
        assert mrc._iostream.read() == b""
        mrc.set_data(VOLUME)
        mrc.flush()
        assert mrc._iostream.tell() == 1024 + VOLUME.nbytes


class Raw(classic.mrcfile.MrcFile):
    """Writes to the stream itself."""

    def flush(self) -> None:
        self._iostream.write(self.header.tobytes())


def test_new_file_written_through_its_stream_appears_when_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    with Raw(path, mode="w+") as mrc:
        mrc.flush()
        assert not path.exists()
    assert path.stat().st_size == 2048
    mrc = Raw(path, mode="w+", overwrite=True)
    mrc.flush()
    mrc._abort()
    assert path.stat().st_size == 2048
    mrc = Raw(tmp_path / "b.mrc", mode="w+")
    (tmp_path / "b.mrc").write_text("mine")
    with pytest.raises(ValueError, match="already exists; set overwrite=True"):
        mrc.close()
    mrc._abort()
    assert (tmp_path / "b.mrc").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mrc", "b.mrc"]


def test_own_stream_writes_are_no_conflict(path: Path) -> None:
    if path.suffix != ".mrc":
        return
    with classic.open(path, mode="r+") as mrc:
        mrc._iostream.seek(1024)
        mrc._iostream.write(b"\0" * 48)
        mrc.header.nxstart = 3
    with classic.open(path) as mrc:
        assert not mrc.data[0].any()
        assert mrc.header.nxstart == 3


class Pipe(io.RawIOBase):
    """A stream that returns a few bytes at a time and cannot seek."""

    def __init__(self, content: bytes) -> None:
        self._rest = content

    def readable(self) -> bool:
        return True

    def readinto(self, out: Any) -> int:
        count = min(len(out), len(self._rest), 7)
        out[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def test_short_reads_are_completed() -> None:
    content = mrc_bytes(VOLUME, extended=b"abc")
    mrc = classic.mrcinterpreter.MrcInterpreter(Pipe(content))
    np.testing.assert_array_equal(mrc.data, VOLUME)
    mrc._abort()
    for cut, text in ((500, "Couldn't read enough bytes"), (1026, "could only read 2"), (1100, "could only read 73")):
        with pytest.raises(ValueError, match=text):
            classic.mrcinterpreter.MrcInterpreter(Pipe(content[:cut]))


def test_interpreter_takes_a_limit_and_odd_headers() -> None:
    mrc = classic.mrcinterpreter.MrcInterpreter(io.BytesIO(mrc_bytes(VOLUME)), header_only=True)
    with pytest.raises(ValueError, match="Expected 240 bytes in data block but limit is 100"):
        mrc._read_data(max_bytes=100)
    stream = io.BytesIO(patched(mrc_bytes(VOLUME), nsymbt=-1))
    with pytest.warns(RuntimeWarning, match="Extended header size is negative"):
        mrc = classic.mrcinterpreter.MrcInterpreter(stream, permissive=True)
    np.testing.assert_array_equal(mrc.data, VOLUME)
    assert mrc.extended_header is None
    mrc.header.nsymbt = 0
    mrc.close()
    assert stream.getvalue() == mrc_bytes(VOLUME)
    mrc.close()


def test_objects_without_data_raise() -> None:
    mrc = classic.mrcobject.MrcObject()
    mrc._create_default_attributes()
    mrc._close_data()
    with pytest.raises(ValueError, match="there are no data to update the header from"):
        mrc.update_header_from_data()
    mrc.update_header_stats()
    assert float(mrc.header.rms) == -1
    with pytest.raises(TypeError, match="an extended header must be an array, not list"):
        mrc.set_extended_header([1, 2])
    mrc.set_data(np.ones((2, 2), "i1"))
    assert classic.dtypes.get_ext_header_dtype(b"CCP4") is None
    mrc.header.ispg, mrc.header.mz = 401, 0
    with pytest.raises(ValueError, match=r"word 10 \(mz\) is 0"):
        classic.utils.data_shape_from_header(mrc.header)


def test_file_that_appears_before_close_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "new.mrc"
    mrc = classic.new(path, VOLUME)
    path.write_bytes(b"theirs")
    with pytest.raises(ValueError, match="already exists; set overwrite=True"):
        mrc.close()
    mrc._abort()
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"theirs"]


def test_file_that_appears_before_the_rename_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = atomic.Calls.link

    def late(source: Any, target: Any, **options: Any) -> None:
        (tmp_path / "new.mrc").write_bytes(b"theirs")
        real(source, target, **options)

    monkeypatch.setattr(atomic.Calls, "link", staticmethod(late))
    for work in (lambda p: classic.write(p, VOLUME), lambda p: classic.new_mmap(p, (3, 4))):
        with pytest.raises(ValueError, match="already exists; set overwrite=True"):
            work(tmp_path / "new.mrc")
        assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"theirs"]
        (tmp_path / "new.mrc").unlink()


def test_removed_folder_is_reported_with_the_given_name(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    mrc = classic.new(folder / "a.mrc", VOLUME)
    folder.rmdir()
    with pytest.raises(FileNotFoundError) as caught:
        mrc.close()
    assert caught.value.filename == str(folder / "a.mrc")
    mrc._abort()


def test_map_on_a_full_disk_or_in_a_refusing_folder_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusing_folder: Any
) -> None:
    path = tmp_path / "a.mrc"
    classic.write(path, VOLUME)
    before = path.read_bytes()

    def full(*_args: Any) -> Any:
        raise OSError(errno.ENOSPC, "disk full")

    with monkeypatch.context() as patch:
        patch.setattr(atomic.Calls, "fallocate", staticmethod(full))
        with pytest.raises(OSError, match="disk full"):
            classic.new_mmap(path, (3, 4), overwrite=True)
    with monkeypatch.context() as patch:
        patch.setattr(atomic.Calls, "fallocate", staticmethod(full))
        with classic.mmap(path, mode="r+") as mapped:
            with pytest.raises(OSError, match="disk full"):
                mapped.set_extended_header(np.zeros(8, "V1"))
            np.testing.assert_array_equal(mapped.data, VOLUME)
            assert (mapped.extended_header.size, int(mapped.header.nsymbt)) == (0, 0)
    refusing_folder(errno.EACCES)
    mrc = classic.mmap(path, mode="r+")
    with pytest.raises(PermissionError, match="which a new map or stream needs") as caught:
        mrc.set_data(VOLUME[:2])
    assert caught.value.errno == errno.EACCES
    mrc._abort()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_file_written_in_place_without_sync_calls_no_fsync(
    path: Path, monkeypatch: pytest.MonkeyPatch, refusing_folder: Any
) -> None:
    def never(*_args: Any) -> Any:
        raise AssertionError

    refusing_folder(errno.EACCES)
    monkeypatch.setattr(classic.mrcfile.MrcFile, "sync", False)
    monkeypatch.setattr(atomic.Calls, "fsync", staticmethod(never))
    with pytest.warns(MrcWarning, match="overwritten in place"):
        edit_data(path)
    assert (classic.read(path)[0] == 1).all()
