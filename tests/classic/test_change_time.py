"""Sessions whose file has a new change time (ctime) only."""

from __future__ import annotations

import os
import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest

import mrcarray.classic as mrcfile
from mrcarray.errors import ConflictError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.mrc"
    with mrcfile.new(path) as mrc:
        mrc.set_data(np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    return path


def test_session_is_saved_after_chmod_and_hard_link(path: Path) -> None:
    with mrcfile.open(path, "r+") as mrc:
        mrc.voxel_size = 2.5
        path.chmod(0o600)
        os.link(path, path.with_name("backup.mrc"))
    with mrcfile.open(path) as mrc:
        assert mrc.voxel_size.x == 2.5


@pytest.mark.parametrize("edit", ["in place", "replaced"])
def test_session_that_changed_its_data_is_saved_after_chmod(path: Path, edit: str) -> None:
    before = path.stat()
    with mrcfile.open(path, "r+") as mrc:
        if edit == "in place":
            mrc.data[0] = 7
        else:
            mrc.set_data(mrc.data + 7)
        while path.stat().st_ctime_ns == before.st_ctime_ns:  # the clock of a file system has steps
            path.chmod(0o600)
    assert mrcfile.read(path)[0, 0, 0] == 7


def test_session_is_refused_after_an_overwrite_that_keeps_size_and_time(path: Path) -> None:
    before = path.stat()
    mrc = mrcfile.open(path, "r+")
    mrc.voxel_size = 2.5
    with path.open("r+b") as file:
        file.seek(224)
        file.write(b"another program wrote this")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # the clock of a file system has steps
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ConflictError, match="its first bytes were overwritten"):
        mrc.flush()
    with pytest.raises(ConflictError), mrc:
        pass


def test_pickle_of_an_earlier_version_opens(path: Path) -> None:
    with mrcfile.open(path) as mrc:
        function, (kind, name, permissive, header_only, fingerprint) = mrc.__reduce__()
        older = pickle.dumps((kind, name, permissive, header_only, fingerprint[:3]))
    with function(*pickle.loads(older)) as copy:
        assert copy.data.sum() == 276
