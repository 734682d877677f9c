"""Sidecars are written like every other file: links, mode bits and the files of others stay, and races do no harm."""

from __future__ import annotations

import errno
import os
import stat
import threading
from typing import TYPE_CHECKING

import pytest

from mrcarray.xarray_backend import sidecars
from tests.storage.faults import calls_with, failing

if TYPE_CHECKING:
    from pathlib import Path


def test_link_is_followed_and_mode_bits_are_kept(tmp_path: Path) -> None:
    (tmp_path / "real.mdoc").write_text("old")
    (tmp_path / "real.mdoc").chmod(0o640)
    (tmp_path / "a.mdoc").symlink_to("real.mdoc")
    assert sidecars.write(str(tmp_path / "a.mdoc"), "new", overwrite=True) == str(tmp_path / "a.mdoc")
    assert (tmp_path / "a.mdoc").is_symlink()
    assert (tmp_path / "real.mdoc").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "real.mdoc").stat().st_mode) == 0o640


def test_file_of_another_program_stays(tmp_path: Path) -> None:
    other = tmp_path / f".a.mdoc.{os.getpid()}"
    other.write_text("of another program")
    sidecars.write(str(tmp_path / "a.mdoc"), "new")
    assert other.read_text() == "of another program"
    assert (tmp_path / "a.mdoc").read_text() == "new"


def test_of_two_threads_that_write_one_name_each_succeeds_and_one_content_is_there(tmp_path: Path) -> None:
    errors: list[BaseException] = []
    barrier = threading.Barrier(4)

    def write(text: str) -> None:
        barrier.wait()
        try:
            for _ in range(20):
                sidecars.write(str(tmp_path / "a.mdoc"), text * 1000, overwrite=True)
        except BaseException as error:  # noqa: BLE001 -- shown below
            errors.append(error)

    threads = [threading.Thread(target=write, args=(text,)) for text in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    content = (tmp_path / "a.mdoc").read_text()
    assert content in {text * 1000 for text in "abcd"}
    assert [path.name for path in tmp_path.iterdir()] == ["a.mdoc"]


def test_without_overwrite_one_of_two_writers_wins(tmp_path: Path) -> None:
    with sidecars.prepared(str(tmp_path / "a.mdoc"), "first", overwrite=False) as first:
        sidecars.write(str(tmp_path / "a.mdoc"), "second")
        with pytest.raises(FileExistsError):
            first.commit()
    assert (tmp_path / "a.mdoc").read_text() == "second"


def test_sidecar_and_its_folder_are_flushed_and_full_disk_leaves_old_one(tmp_path: Path) -> None:
    path = str(tmp_path / "a.mdoc")
    with calls_with() as calls:
        sidecars.write(path, "old")
    assert calls.seen.count("fsync") >= 2
    for at, _ in enumerate(calls.seen):
        with calls_with(at, failing(errno.ENOSPC), stays=True):
            try:
                sidecars.write(path, "new", overwrite=True)
            except OSError:
                pass
            else:
                continue
        assert (tmp_path / "a.mdoc").read_text() in ("old", "new")
        assert [entry.name for entry in tmp_path.iterdir()] == ["a.mdoc"]
