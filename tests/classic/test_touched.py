"""A file that was only touched is written; one that another program changed is not."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mrcarray import classic
from mrcarray.classic.backing import SMALL
from mrcarray.errors import ConflictError
from tests.builders import mrc_bytes, sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VOLUME = sample((5, 3, 4), 2)
LARGE = np.zeros((3, 700, 700), "f4")
ELSEWHERE = r"to keep them, call write\('OTHER.mrc', mrc.data, voxel_size=mrc.voxel_size\) before the object is closed"


def later(path: Path) -> None:
    """Set another modification time."""
    os.utime(path, ns=(10**18, 10**18))


def change_data(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(1060)
        file.write(b"\1\2\3\4")
    later(path)


def change_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(16)
        file.write(b"\1")
    later(path)


def remove(path: Path) -> None:
    path.unlink()


def lengthen(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def edit_header(mrc: Any) -> None:
    mrc.header.nystart = 9


def edit_data(mrc: Any) -> None:
    mrc.data[1] = 9


def set_data(mrc: Any) -> None:
    mrc.set_data(VOLUME[:2])


@pytest.mark.parametrize("other", [change_data, change_header, remove, lengthen])
@pytest.mark.parametrize("edit", [edit_header, edit_data, set_data])
def test_change_by_another_program_is_not_reverted(
    tmp_path: Path, edit: Callable[[Any], None], other: Callable[[Path], None]
) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(VOLUME))
    mrc = classic.open(path, "r+")
    edit(mrc)
    other(path)
    after = path.read_bytes() if path.exists() else b""
    for _ in range(2):  # it can be tried again
        with pytest.raises(ConflictError, match=ELSEWHERE):
            mrc.close()
    assert (path.read_bytes() if path.exists() else b"") == after
    classic.write(tmp_path / "OTHER.mrc", mrc.data, voxel_size=mrc.voxel_size)  # the advice in the error
    np.testing.assert_array_equal(classic.read(tmp_path / "OTHER.mrc"), mrc.data)
    mrc._abort()


def test_change_after_data_access_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(VOLUME))
    mrc = classic.open(path, "r+")
    mrc.data[0] = 1
    mrc.flush()
    mrc.data[1] = 2
    change_data(path)
    with pytest.raises(ConflictError, match=r"another program changed the file|cannot be compared"):
        mrc.close()
    mrc._abort()


@pytest.mark.parametrize("edit", [edit_header, edit_data, set_data])
def test_small_file_with_the_same_content_is_written(tmp_path: Path, edit: Any) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(VOLUME))
    with classic.open(path, "r+") as mrc:
        edit(mrc)
        shutil.copy(path, tmp_path / "copy")
        (tmp_path / "copy").replace(path)
    with classic.open(path) as mrc:
        assert mrc.header.nystart == 9 or len(mrc.data) == 2 or (mrc.data[1] == 9).all()


def test_large_file_in_another_inode_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    classic.write(path, LARGE)
    assert LARGE.nbytes > SMALL
    mrc = classic.open(path, "r+")
    mrc.header.nystart = 9
    shutil.copy(path, tmp_path / "copy")
    (tmp_path / "copy").replace(path)
    with pytest.raises(ConflictError):
        mrc.close()
    mrc._abort()


def test_file_that_is_no_longer_compressed_is_a_conflict(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc.gz"
    classic.write(path, VOLUME)
    mrc = classic.open(path, "r+")
    mrc.data[0] = 1
    path.write_bytes(bytes(path.stat().st_size))
    later(path)
    with pytest.raises(ConflictError):
        mrc.close()
    mrc._abort()


def test_only_small_data_are_copied(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    classic.write(path, LARGE)
    with classic.open(path, "r+") as mrc:
        assert mrc.data is not None
        assert mrc._saved_data is None
    path.write_bytes(mrc_bytes(VOLUME))
    with classic.open(path, "r+") as mrc:
        assert mrc._saved_data is None
        assert mrc.data is not None
        assert mrc._saved_data == VOLUME.tobytes()
