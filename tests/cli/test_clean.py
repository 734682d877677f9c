"""``mrcarray clean``: what killed writers left is listed, and removed on request; what is in use stays."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mrcarray.storage import orphans
from mrcarray.storage.atomic import AtomicFile
from mrcarray.storage.atomic_folder import SET_ASIDE, AtomicFolder, WorkFolder
from mrcarray.storage.orphans import lease_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Done


def orphan(target: str, size: int = 3) -> Path:
    left = Path(orphans.new_name(str(Path(target).absolute())))
    left.write_bytes(bytes(size))
    return left


def leased(target: str, age: float) -> Path:
    left = Path(lease_name(str(Path(target).absolute()), "1234567"))
    left.write_bytes(b"some")
    os.utime(left, (time.time() - age,) * 2)
    return left


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def test_clean_lists_orphans(work: Path, run: Callable[..., Done]) -> None:
    left = orphan(f"{work}/a.mrc", 250_000)
    done = run("clean", str(work))
    assert done.status == 0
    first, last = done.out.splitlines()
    assert first.endswith(f"{left.name}: 0.2 MB, orphan: its writer is gone")
    assert last == f"{work}: 1 can be removed with --remove"
    assert left.exists()


def test_remove_keeps_files_in_use(work: Path, run: Callable[..., Done]) -> None:
    (work / "data.mrc").write_bytes(b"data")
    with AtomicFile(work / "live.mrc") as live, AtomicFolder(work / "live.zarr") as folder:
        gone = [orphan(f"{work}/a.mrc"), leased(f"{work}/b.mrc", 7200)]
        fresh = leased(f"{work}/c.mrc", 60)
        done = run("clean", "--remove", str(work))
        assert Path(live.temp).exists()
        assert Path(folder.path).exists()
    assert done.out.count("in use: its writer holds the lock") == 2
    assert done.out.count("in use: leased, changed in the last 1 h") == 1
    assert done.out.endswith(f"{work}: removed 2; 3 kept\n")
    assert not any(path.exists() for path in gone)
    assert sorted(path.name for path in work.iterdir()) == sorted([fresh.name, "data.mrc"])


def test_recursive_removes_whole_directories(work: Path, run: Callable[..., Done]) -> None:
    (work / "deep").mkdir()
    left = Path(orphans.new_name(str(work / "deep/a.zarr")))
    left.mkdir()
    (left / orphans.LOCK).touch()
    (left / "content").mkdir()
    (left / "content/chunk").write_bytes(bytes(10))
    assert "nothing to remove" in run("clean", "--remove", str(work)).out
    assert "10 bytes, removed" in run("clean", "-r", "--remove", str(work)).out
    assert not list((work / "deep").iterdir())


def test_interrupted_replacement_is_restored(work: Path, run: Callable[..., Done]) -> None:
    aside = Path(orphans.new_name(str(work / "a.zarr")).removesuffix(orphans.SUFFIX) + SET_ASIDE)
    aside.mkdir()
    assert "a.zarr was being replaced when its writer was killed" in run("clean", str(work)).out
    assert aside.exists()
    run("clean", "--remove", str(work))
    assert [path.name for path in work.iterdir()] == ["a.zarr"]
    aside.mkdir()
    assert "kept: a.zarr is there again" in run("clean", "--remove", str(work)).out
    assert aside.exists()


def test_json_list_and_errors(work: Path, run: Callable[..., Done]) -> None:
    left = orphan(f"{work}/a.mrc")
    done = run("clean", "--json", str(work))
    (row,) = json.loads(done.out)
    assert row["leftovers"] == [{"path": str(left), "size": 3, "state": "orphan", "reason": "its writer is gone"}]
    done = run("clean", str(left), f"{work}/none")
    assert done.status == 2
    assert done.err.count("not a directory\n") == 2


def test_running_writer_is_kept_with_a_wrong_server_clock(
    work: Path, run: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = leased(f"{work}/a.mrc", 60)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3 * orphans.LEASE_SECONDS)
    assert run("clean", "--remove", str(work)).status == 0
    assert fresh.exists()
    AtomicFile.begin(lease_name(str(work / "b.mrc"), "7654321"), str(work / "b.mrc")).release()
    assert fresh.exists()
    WorkFolder(work / "c.zarr").close()
    assert fresh.exists()
