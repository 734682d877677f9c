"""`in_place`: empty targets, and targets that the system does not let another file replace."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import mrcarray
from mrcarray.errors import MrcFormatError, MrcWarning
from mrcarray.storage import atomic
from mrcarray.storage.atomic import AtomicFile
from mrcarray.storage.orphans import lease_name
from tests.builders import sample
from tests.storage.faults import calls_with, failing, interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = bytes(range(256)) * 20
REFUSALS = (errno.EBUSY, errno.EXDEV, errno.EPERM)


def put(path: Path, data: bytes = CONTENT, **options: Any) -> None:
    with AtomicFile(path, overwrite=True, **options) as file:
        file.reserve(len(data))
        file.write_at(0, data)
        file.commit()


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@contextmanager
def refused(number: int) -> Iterator[None]:
    """Let every rename fail, as one onto a mount point does."""

    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic.Calls, "replace", staticmethod(refuse))
        yield


@pytest.fixture(params=[0, 3, 1024, 1025, 5120])
def content(request: pytest.FixtureRequest) -> bytes:
    """Return contents around the length of a header."""
    return CONTENT[: request.param]


def test_empty_target_keeps_its_inode(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a"
    with path.open("w+b") as held:
        path.chmod(0o640)
        before = path.stat()
        put(path, content)
        assert held.read() == content
    after = path.stat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert path.read_bytes() == content
    assert names(tmp_path) == ["a"]


def test_named_temporary_file_is_written_by_every_writer() -> None:
    values = sample((5, 3, 4), 2)

    def by_writer(name: str) -> None:
        with mrcarray.Writer(name, (5, 3, 4), "f4", overwrite=True) as writer:
            writer[:] = values

    def by_dask(name: str) -> None:
        import dask.array as da

        mrcarray.to_mrc(da.from_array(values, chunks=(2, 3, 4)), name, overwrite=True)

    def later(name: str) -> None:
        import dask.array as da

        job: Any = mrcarray.to_mrc(da.from_array(values, chunks=(2, 3, 4)), name, overwrite=True, compute=False)
        job.compute()

    def region_by_region(name: str) -> None:
        mrcarray.create(name, (5, 3, 4), "f4", overwrite=True)
        mrcarray.write_region(name, slice(None), values)
        mrcarray.finalize(name)

    def by_array(name: str) -> None:
        mrcarray.to_mrc(values, name, overwrite=True)

    for write in (by_writer, by_dask, later, region_by_region, by_array):
        with tempfile.NamedTemporaryFile(suffix=".mrc") as file:
            write(file.name)
            file.seek(1024)
            np.testing.assert_array_equal(np.frombuffer(file.read(), "f4").reshape(values.shape), values)


def test_filled_target_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.touch()
    with AtomicFile(path, overwrite=True) as first, AtomicFile(path, overwrite=True) as second:
        first.write_at(0, b"first")
        second.write_at(0, b"second")
        first.commit()
        second.commit()
        assert (first.copied, second.copied) == (True, False)
    assert path.read_bytes() == b"second"
    assert names(tmp_path) == ["a"]


def test_locked_empty_target_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with path.open("w+b") as other:
        assert atomic.calls.lock(other.fileno())
        put(path)
    assert path.read_bytes() == CONTENT
    assert names(tmp_path) == ["a"]


def test_write_protected_empty_target_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.touch()
    inode, real = path.stat().st_ino, atomic.Calls.open

    def protected(name: str, *rest: Any) -> int:
        if name == str(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
        return int(real(name, *rest))

    monkeypatch.setattr(atomic.Calls, "open", staticmethod(protected))
    put(path)
    assert path.stat().st_ino != inode
    assert path.read_bytes() == CONTENT


def test_empty_file_keeps_both_hard_links(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    put(tmp_path / "a")
    assert (tmp_path / "b").read_bytes() == CONTENT


def test_empty_file_without_overwrite_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        AtomicFile(tmp_path / "a")


def test_holes_are_not_copied_into_an_empty_target(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.touch()
    with AtomicFile(path, overwrite=True, sync=False) as file:
        file.write_at(64 << 20, b"end")
        with calls_with() as seen:
            file.commit()
    assert path.stat().st_size == (64 << 20) + 3
    assert seen.seen.count("pwrite") < 5
    assert path.read_bytes().strip(b"\0") == b"end"


@pytest.mark.parametrize("number", REFUSALS)
@pytest.mark.parametrize("old", [b"old", CONTENT * 2])
def test_irreplaceable_target_is_copied_over_with_a_warning(
    tmp_path: Path, number: int, old: bytes, content: bytes
) -> None:
    path = tmp_path / "a"
    path.write_bytes(old)
    path.chmod(0o640)
    before = path.stat()
    with (
        refused(number),
        pytest.warns(MrcWarning, match="copied over the file; if the copy is interrupted") as caught,
    ):
        put(path, content)
    assert len(caught) == 1
    assert os.strerror(number) in str(caught[0].message)
    assert path.read_bytes() == content
    assert (path.stat().st_ino, path.stat().st_mode) == (before.st_ino, before.st_mode)
    assert names(tmp_path) == ["a"]


def test_other_rename_errors_raise(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with refused(errno.EIO), pytest.raises(OSError, match="Input/output") as caught:
        put(path)
    assert caught.value.errno == errno.EIO
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_warning_as_error_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with refused(errno.EBUSY), warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(MrcWarning):
            put(path)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_locked_target_is_not_copied_over(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with path.open("r+b") as other, refused(errno.EBUSY):
        assert atomic.calls.lock(other.fileno())
        with pytest.raises(OSError, match="busy"):
            put(path)
    assert path.read_bytes() == b"old"


def test_leased_file_is_copied_over_too(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    temp = lease_name(str(path), "1234")
    Path(temp).write_bytes(CONTENT)
    with refused(errno.EBUSY), pytest.warns(MrcWarning, match="copied over"):
        AtomicFile.adopt(os.open(temp, os.O_RDWR), temp, str(path), overwrite=True, sync=True).commit()
    assert path.read_bytes() == CONTENT
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("fault", [failing(errno.ENOSPC), failing(errno.EIO), interrupted])
@pytest.mark.parametrize("old", [b"", b"old", CONTENT * 2])
def test_any_failing_call_loses_no_content(tmp_path: Path, fault: Any, old: bytes) -> None:
    path = tmp_path / "a"
    at = 0
    while True:
        path.write_bytes(old)
        with refused(errno.EBUSY), warnings.catch_warnings(), calls_with(at, fault) as faulty:
            warnings.simplefilter("ignore", MrcWarning)
            try:
                put(path)
            except (OSError, KeyboardInterrupt) as error:
                found, others = path.read_bytes(), [p for p in tmp_path.iterdir() if p != path]
                if found not in (old, CONTENT):
                    (rescued,) = others
                    assert rescued.read_bytes() == CONTENT
                    assert rescued.name.endswith(".rescued")
                    assert old
                    said = f"{error} {getattr(error, '__notes__', '')}"
                    assert rescued.name in said
                    rescued.unlink()
                else:
                    for left in others:  # a temporary file whose removal failed, or the content before its last flush
                        assert left.name.endswith(".mrcarray-tmp") or left.read_bytes() == CONTENT == found
                        left.unlink()
        if at >= len(faulty.seen):
            break
        at += 1
    assert at > 15
    assert path.read_bytes() == CONTENT


def kill_while_writing(path: Path, kill_at: int, *, refusing: bool = False) -> None:
    """Write a file in another process, which is killed at one of its writes to the target."""
    program = f"""
import errno, os, signal, warnings, numpy as np, mrcarray
from mrcarray.storage import atomic
left = [{kill_at}]
def dying(descriptor, data, start, real=os.pwrite):
    if os.readlink(f"/proc/self/fd/{{descriptor}}").endswith("a.mrc"):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
    return real(descriptor, data, start)
def refusing(*names):
    raise OSError(errno.EBUSY, "busy")
atomic.Calls.pwrite = staticmethod(dying)
if {refusing}:
    atomic.Calls.replace = staticmethod(refusing)
    warnings.simplefilter("ignore")
mrcarray.to_mrc(np.ones((4, 5), "f4"), {str(path)!r}, overwrite=True)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize("kill_at", range(1, 4))
def test_killed_copy_is_unfinished(tmp_path: Path, kill_at: int) -> None:
    path = tmp_path / "a.mrc"
    path.touch()
    kill_while_writing(path, kill_at)
    if kill_at == 1:
        assert path.read_bytes() == b""
        return
    with pytest.raises(MrcFormatError, match="the file is unfinished"):
        mrcarray.open_array(path)
    with pytest.raises(ValueError, match="Map ID string not found"):
        mrcarray.open(path)
    mrcarray.to_mrc(np.ones((4, 5), "f4"), path, overwrite=True)
    assert names(tmp_path) == ["a.mrc"]


@pytest.mark.parametrize("kill_at", range(1, 4))
def test_killed_copy_leaves_a_rescued_file(tmp_path: Path, kill_at: int) -> None:
    path, other = tmp_path / "a.mrc", tmp_path / "b.mrc"
    mrcarray.to_mrc(np.zeros((4, 5), "f4"), path)
    kill_while_writing(path, kill_at, refusing=True)
    mrcarray.to_mrc(np.zeros((4, 5), "f4"), other)  # removes what killed writers left
    (rescued,) = tmp_path.glob("a.mrc.*.rescued")
    np.testing.assert_array_equal(mrcarray.open_array(rescued)[...], np.ones((4, 5)))
    assert names(tmp_path) == ["a.mrc", rescued.name, "b.mrc"]


MOUNT, UMOUNT = shutil.which("mount"), shutil.which("umount")


@pytest.mark.skipif(os.geteuid() != 0 or None in (MOUNT, UMOUNT), reason="only root can mount a file")
def test_bind_mounted_file_is_written(tmp_path: Path) -> None:
    source, target = tmp_path / "source.mrc", tmp_path / "target.mrc"
    mrcarray.to_mrc(np.zeros((4, 5), "f4"), source)
    target.touch()
    if subprocess.run([str(MOUNT), "--bind", source, target], capture_output=True, check=False).returncode:
        pytest.skip("this system does not let root mount")
    try:
        with pytest.warns(MrcWarning, match=r"target\.mrc: the system refuses to rename a new file to this name"):
            mrcarray.to_mrc(np.ones((6, 7), "f4"), target, overwrite=True)
        np.testing.assert_array_equal(mrcarray.open_array(target)[...], np.ones((6, 7)))
        with pytest.warns(MrcWarning, match="copied over"):
            mrcarray.write(target, np.ones((2, 3), "f4"), overwrite=True)
    finally:
        subprocess.run([str(UMOUNT), target], check=True)
    np.testing.assert_array_equal(mrcarray.read(source), np.ones((2, 3)))
    assert names(tmp_path) == ["source.mrc", "target.mrc"]
