"""What `convert` accepts as names, and which problem it reports first."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import mrcarray
from mrcarray.errors import OutputExistsError
from tests.builders import mrc_bytes, sample

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("target", ["a.mrc", "a.tif", "a.nc"])
def test_missing_source_is_reported_before_an_existing_target(tmp_path: Path, target: str) -> None:
    (tmp_path / target).write_bytes(b"kept")
    with pytest.raises(FileNotFoundError, match=r"No such file or directory: '.*nosuch\.mrc'"):
        mrcarray.convert(tmp_path / "nosuch.mrc", tmp_path / target)
    (tmp_path / "in.mrc").write_bytes(mrc_bytes(sample((2, 6, 8), 2)))
    with pytest.raises(OutputExistsError, match=target):
        mrcarray.convert(tmp_path / "in.mrc", tmp_path / target)
    assert (tmp_path / target).read_bytes() == b"kept"


@pytest.mark.parametrize("name", ["a.mrc", "a\u00e5.mrc.gz", "a.tif"])
def test_name_in_bytes_is_a_target(tmp_path: Path, name: str) -> None:
    (tmp_path / "in.mrc").write_bytes(mrc_bytes(sample((2, 6, 8), 2)))
    assert mrcarray.convert(tmp_path / "in.mrc", os.fsencode(tmp_path / name)) == str(tmp_path / name)
    with mrcarray.conversion.load(tmp_path / name) as found:
        assert found.shape == (2, 6, 8)


def test_target_of_another_type_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in.mrc").write_bytes(mrc_bytes(sample((2, 6, 8), 2)))
    with pytest.raises(TypeError, match=r"expected str, bytes or os\.PathLike object, not float"):
        mrcarray.convert(tmp_path / "in.mrc", 1.5)  # type: ignore[arg-type]
