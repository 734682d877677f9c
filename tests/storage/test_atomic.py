"""`AtomicFile`: old or new file after any fault, and no temporary files."""

from __future__ import annotations

import errno
import io
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from mrcarray.errors import ClosedError, ConflictError, MrcWarning
from mrcarray.storage import atomic, orphans
from mrcarray.storage.atomic import AtomicFile
from mrcarray.storage.lease import Lease
from mrcarray.storage.orphans import lease_name, temp_names
from mrcarray.storage.sink import write_path
from tests.storage.faults import calls_with, failing, interrupted

ROOT_USER = os.geteuid() == 0


def put(path: Path, data: bytes = b"new", **options: Any) -> None:
    with AtomicFile(path, **options) as file:
        file.reserve(len(data))
        file.write_at(0, data)
        file.commit()


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_commit_leaves_only_the_file(tmp_path: Path) -> None:
    put(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert names(tmp_path) == ["a"]


def test_uncommitted_file_has_only_its_temporary_name(tmp_path: Path) -> None:
    with AtomicFile(tmp_path / "a.mrc"):
        (found,) = names(tmp_path)
        assert found.startswith(".a.mrc.")
        assert found.endswith(".mrcarray-tmp")
    assert names(tmp_path) == []


def test_temporary_name_has_at_most_255_bytes(tmp_path: Path) -> None:
    name = "ä" * 127
    put(tmp_path / name)
    before, after = temp_names(str(tmp_path / name))
    assert len(os.fsencode(before + "12345678" + after)) <= 255
    assert names(tmp_path) == [name]


def test_existing_file_without_overwrite_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        put(tmp_path / "a")
    put(tmp_path / "a", overwrite=True)
    assert (tmp_path / "a").read_bytes() == b"new"


def test_one_of_two_writers_without_overwrite_wins(tmp_path: Path) -> None:
    first, second = AtomicFile(tmp_path / "a"), AtomicFile(tmp_path / "a")
    first.write_at(0, b"1")
    second.write_at(0, b"2")
    second.commit()
    with pytest.raises(FileExistsError, match="another program created the file"):
        first.commit()
    assert (tmp_path / "a").read_bytes() == b"2"
    assert names(tmp_path) == ["a"]


def test_one_of_many_racing_writers_wins(tmp_path: Path) -> None:
    won: list[int] = []
    barrier = threading.Barrier(8)

    def write(number: int) -> None:
        barrier.wait()
        try:
            put(tmp_path / "a", bytes([number]) * 1000)
        except FileExistsError:
            return
        won.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert (tmp_path / "a").read_bytes() == bytes(won) * 1000
    assert names(tmp_path) == ["a"]


def test_target_is_exclusive_without_hard_links(tmp_path: Path) -> None:
    def no_links(*_: Any) -> None:
        raise OSError(errno.EPERM, "no links here")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic.Calls, "link", staticmethod(no_links))
        put(tmp_path / "a")
        racer = AtomicFile(tmp_path / "b")
        (tmp_path / "b").write_bytes(b"first")
        with pytest.raises(FileExistsError):
            racer.commit()
    assert (tmp_path / "a").read_bytes() == b"new"
    assert (tmp_path / "b").read_bytes() == b"first"
    assert names(tmp_path) == ["a", "b"]


def test_failed_exclusive_rename_leaves_no_file(tmp_path: Path) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.EPERM, "not here")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic.Calls, "link", staticmethod(fail))
        patch.setattr(atomic.Calls, "replace", staticmethod(fail))
        with pytest.raises(OSError, match="not here"):
            put(tmp_path / "a")
    assert names(tmp_path) == []


def test_symbolic_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("folder/real")
    put(tmp_path / "link", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder/real").read_bytes() == b"new"
    assert names(tmp_path / "folder") == ["real"]


def test_mode_bits_and_extended_attributes_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o640)
    try:
        os.setxattr(path, "user.note", b"kept")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    put(path, overwrite=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.getxattr(path, "user.note") == b"kept"


@pytest.mark.skipif(not ROOT_USER, reason="only root may give files away")
def test_owner_is_kept_where_permitted(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    os.chown(path, 12345, 12346)
    put(path, overwrite=True)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346)
    os.chown(path, 12345, 12346)

    def forbidden(*_: Any) -> None:
        raise PermissionError(errno.EPERM, "not yours")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic.Calls, "fchown", staticmethod(forbidden))
        put(path, b"newer", overwrite=True)
    assert path.read_bytes() == b"newer"


def test_new_file_has_the_mode_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        put(tmp_path / "a")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_hard_links_are_split_with_one_warning(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    with pytest.warns(MrcWarning, match="2 hard links") as caught:
        put(tmp_path / "a", overwrite=True)
    assert len(caught) == 1
    assert (tmp_path / "b").read_bytes() == b"old"


@pytest.mark.parametrize("check", [AtomicFile, lambda url: AtomicFile.check(url, overwrite=True)])
def test_url_is_refused_without_credentials(check: Any) -> None:
    with pytest.raises(io.UnsupportedOperation, match=r"^https://host/a\.mrc: URLs are read-only; write a local file"):
        check("https://me:secret@host/a.mrc?token=secret")


def test_folders_and_devices_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        AtomicFile(tmp_path, overwrite=True)
    with pytest.raises(OSError, match="not a regular file"):
        AtomicFile("/dev/null", overwrite=True)
    with pytest.raises(FileNotFoundError):
        AtomicFile(tmp_path / "none/a")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_unwritable_folder_is_named(tmp_path: Path, number: int) -> None:
    with calls_with(0, failing(number)), pytest.raises(OSError, match=r"no permission|read-only") as caught:
        AtomicFile(tmp_path / "a")
    assert caught.value.errno == number
    assert caught.value.filename == str(tmp_path)


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        AtomicFile(tmp_path / "none/a.mrc")
    assert caught.value.filename == str(tmp_path / "none")


def test_check_creates_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert AtomicFile.check(tmp_path / "a", overwrite=False) == str(tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        AtomicFile.check(tmp_path / "none" / "a", overwrite=False)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PermissionError, match="no permission to create files in this directory"):
        AtomicFile.check(tmp_path / "a", overwrite=False)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "free"), [(errno.EWOULDBLOCK, False), (errno.EACCES, False), (errno.ENOLCK, None), (errno.ENOSYS, None)]
)
def test_lock_is_none_where_there_are_no_locks(monkeypatch: pytest.MonkeyPatch, number: int, free: bool | None) -> None:
    def fail(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", fail)
    assert atomic.Calls.lock(0) is free


def test_failing_lock_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr("fcntl.flock", fail)
    with pytest.raises(OSError, match="broken"):
        AtomicFile(tmp_path / "a")
    assert names(tmp_path) == []


def test_unreadable_folder_is_not_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, flags: int, *mode: int) -> int:
        if flags & os.O_DIRECTORY:
            raise PermissionError(errno.EACCES, "no", path)
        return os.open(path, flags, *mode)

    monkeypatch.setattr(atomic.Calls, "open", staticmethod(refuse))
    put(tmp_path / "a")
    assert names(tmp_path) == ["a"]


def orphan(path: Path, age: float = 0) -> Path:
    """Make what a killed writer of `path` on this host leaves."""
    left = Path(orphans.new_name(str(path)))
    left.write_bytes(b"orphan")
    os.utime(left, (time.time() - age,) * 2)
    return left


def test_orphan_is_removed_by_the_next_write_in_the_folder(tmp_path: Path) -> None:
    before, after = temp_names(str(tmp_path / "a"))
    left = [orphan(tmp_path / "a"), orphan(tmp_path / "b.mrc"), orphan(tmp_path / "c.mrc.mdoc")]
    unrelated = [
        tmp_path / name for name in (f"{before}toolongtoken{after}", f"x.12345678{after}", f".12345678{after}")
    ]
    for path in unrelated:
        path.write_bytes(b"unrelated")
    put(tmp_path / "a")
    assert not any(path.exists() for path in left)
    assert sorted(names(tmp_path)) == sorted([*(path.name for path in unrelated), "a"])


def test_links_and_pipes_are_not_orphans(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    Path(orphans.new_name(str(tmp_path / "a"))).symlink_to("mine")
    os.mkfifo(orphans.new_name(str(tmp_path / "a")))
    put(tmp_path / "a")
    assert len(names(tmp_path)) == 4


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP])
def test_live_file_stays_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def no_locks(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", no_locks)
    with AtomicFile(tmp_path / "a") as alive:
        alive.write_at(0, b"first")
        put(tmp_path / "b")
        alive.commit()
    assert (tmp_path / "a").read_bytes() == b"first"
    old = orphan(tmp_path / "c", age=2 * 86400)
    put(tmp_path / "d")
    assert not old.exists()


def test_file_of_another_host_is_an_orphan_after_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(orphans, "host_mark", lambda: "zzz")
        fresh, old = orphan(tmp_path / "a", age=3600 * 23), orphan(tmp_path / "a", age=3600 * 25)
    put(tmp_path / "a")
    assert fresh.exists()
    assert not old.exists()


def test_replaced_temporary_file_is_not_committed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    for meanwhile in (lambda temp: temp.unlink(), lambda temp: (temp.unlink(), temp.write_bytes(b"other"))):
        file = AtomicFile(tmp_path / "a", overwrite=True)
        file.write_at(0, b"new")
        meanwhile(Path(file.temp))
        with pytest.raises(ConflictError, match="removed or replaced"):
            file.commit()
        assert (tmp_path / "a").read_bytes() == b"old"


def test_link_without_follow_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "a").symlink_to("mine")
    with pytest.raises(OSError, match="not a regular file"):
        put(tmp_path / "a", overwrite=True, follow=False)
    racer = AtomicFile(tmp_path / "b", overwrite=True, follow=False)
    (tmp_path / "b").symlink_to("mine")
    racer.write_at(0, b"new")
    racer.commit()
    assert (tmp_path / "mine").read_bytes() == b"mine"
    assert not (tmp_path / "b").is_symlink()


def test_new_content_of_a_private_file_is_private(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    for mode in (0o600, 0o640, 0o444):
        (tmp_path / "a").chmod(mode)
        with AtomicFile(tmp_path / "a", overwrite=True) as file:
            assert stat.S_IMODE(Path(file.temp).stat().st_mode) == 0o600
            file.write_at(0, b"new")
            file.commit()
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


def test_macos_flush_reaches_the_medium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("fcntl.F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr("fcntl.fcntl", lambda _, command: asked.append(command))
    monkeypatch.setattr(os, "fsync", lambda _: asked.append("fsync"))
    put(tmp_path / "a")
    assert asked == [51, 51]

    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOTSUP, "a network share")

    monkeypatch.setattr("fcntl.fcntl", refuse)
    put(tmp_path / "b")
    assert asked == [51, 51, "fsync", "fsync"]


def test_live_temporary_file_stays(tmp_path: Path) -> None:
    with AtomicFile(tmp_path / "a") as alive:
        put(tmp_path / "a", overwrite=True)
        assert Path(alive.temp).exists()


def test_leased_file_is_an_orphan_after_an_hour(tmp_path: Path) -> None:
    leased = Path(lease_name(str(tmp_path / "a"), "1234567"))
    leased.write_bytes(b"some")
    put(tmp_path / "a")
    assert leased.exists()
    os.utime(leased, (1, 1))
    put(tmp_path / "a", overwrite=True)
    assert not leased.exists()


def test_unfinished_file_is_removed_at_exit(tmp_path: Path) -> None:
    code = "import sys; from mrcarray.storage.atomic import AtomicFile; file = AtomicFile(sys.argv[1]); sys.exit(3)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.mrc")], check=False)
    assert done.returncode == 3
    assert not list(tmp_path.iterdir())


def test_forked_child_neither_writes_nor_removes(tmp_path: Path) -> None:
    with AtomicFile(tmp_path / "a") as file:
        file._pid += 1
        with pytest.raises(ClosedError, match="forked"):
            file.write_at(0, b"x")
        file.abort()
        assert Path(file.temp).exists()
    with pytest.raises(ClosedError, match="already committed or aborted"):
        file.write_at(0, b"x")


def test_sync_false_skips_only_the_flushes(tmp_path: Path) -> None:
    with calls_with() as synced:
        put(tmp_path / "a")
    with calls_with() as quick:
        put(tmp_path / "b", sync=False)
    assert synced.seen.count("fsync") == 2
    order = [name for name in synced.seen if name in ("pwrite", "fsync", "link")]
    assert order == ["pwrite", "fsync", "link", "fsync"]
    assert "fsync" not in quick.seen


def test_full_disk_fails_at_reserve(tmp_path: Path) -> None:
    with (
        AtomicFile(tmp_path / "a") as file,
        calls_with(0, failing(errno.ENOSPC)),
        pytest.raises(OSError, match="space"),
    ):
        file.reserve(10)
    assert names(tmp_path) == []


def test_reserve_without_fallocate_sets_the_size(tmp_path: Path) -> None:
    with AtomicFile(tmp_path / "a") as file:
        with calls_with(0, failing(errno.EOPNOTSUPP)):
            file.reserve(10)
        assert Path(file.temp).stat().st_size == 10


def test_short_writes_are_completed(tmp_path: Path) -> None:
    real = os.pwrite
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic.Calls, "pwrite", staticmethod(lambda fd, data, at: real(fd, data[:2], at)))
        put(tmp_path / "a", b"0123456789")
        write_path(str(tmp_path / "a"), [6, 0], 3, b"abcdef")
    assert (tmp_path / "a").read_bytes() == b"def345abc9"


def test_write_path_needs_a_file_of_the_size(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_path(str(tmp_path / "a"), [0], 1, b"x")
    (tmp_path / "a").write_bytes(b"0123456789")
    write_path(str(tmp_path / "a"), [1, 5], 2, b"abcd")
    assert (tmp_path / "a").read_bytes() == b"0ab34cd789"
    with pytest.raises(OSError, match="10 bytes; expected 11"):
        write_path(str(tmp_path / "a"), [0], 1, b"x", size=11)


def test_write_path_with_a_lease_is_idempotent(tmp_path: Path) -> None:
    temp = lease_name(str(tmp_path / "a"), "1234567")
    lease = Lease.begin(temp, str(tmp_path / "a"), bytes(1024), 0)
    for _ in range(2):
        write_path(lease.temp, [1024], len(b"abc"), b"abc", lease=lease)
        write_path(lease.temp, [1027], len(b"de"), b"de", lease=lease)
    assert Path(temp).read_bytes()[1024:] == b"abcde"
    with pytest.raises(ConflictError, match="another file has the name"):
        write_path(temp, [0], 1, b"x", lease=Lease(temp, bytes(32)))
    Path(temp).unlink()
    with pytest.raises(FileNotFoundError):
        write_path(lease.temp, [0], len(b"x"), b"x", lease=lease)
    with pytest.raises(FileNotFoundError):
        write_path(temp, [0], 1, b"x", lease=lease)
    assert names(tmp_path) == []


@pytest.mark.parametrize("fault", [failing(errno.EIO), failing(errno.ENOSPC), interrupted], ids=["EIO", "ENOSPC", "^C"])
@pytest.mark.parametrize("overwrite", [True, False])
def test_any_failing_call_leaves_old_or_new_file(tmp_path: Path, fault: Any, overwrite: bool) -> None:
    path = tmp_path / "a"

    def prepare() -> None:
        path.unlink(missing_ok=True)
        if overwrite:
            path.write_bytes(b"old")
            path.chmod(0o600)

    prepare()
    with calls_with() as dry:
        put(path, overwrite=overwrite)
    for at, name in enumerate(dry.seen):
        prepare()
        with calls_with(at, fault):
            try:
                put(path, overwrite=overwrite)
            except (OSError, KeyboardInterrupt):
                failed = True
            else:
                failed = False
        content = path.read_bytes() if path.exists() else None
        assert content in ((b"old" if overwrite else None), b"new"), (at, name)
        assert failed or content == b"new", (at, name)
        left = [other for other in names(tmp_path) if other != "a"]
        assert not left, (at, name)
