"""The label that tells what was done to the pixels of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import mrcarray
from tests.builders import mrc_bytes, sample

if TYPE_CHECKING:
    from pathlib import Path

VERSION = ".".join(mrcarray.__version__.split(".")[:2])


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """Return a volume of another program."""
    path = tmp_path / "volume.mrc"
    path.write_bytes(mrc_bytes(sample((6, 8, 8), 2)))
    return path


def _labels(path: Path) -> list[str]:
    """Return the labels without their times that this package added."""
    return [text[:55].rstrip() for text in mrcarray.read_header(path).text_labels if "by mrcarray" in text]


def test_saving_again_adds_no_second_label(volume: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.mrc", tmp_path / "second.mrc"
    mrcarray.open_dataarray(volume).mrc.to_mrc(first)
    mrcarray.open_dataarray(first).mrc.to_mrc(second)
    assert _labels(first) == _labels(second) == [f"Written by mrcarray {VERSION}"]


def test_label_tells_what_was_done(volume: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.mrc"
    mrcarray.convert(volume, small, isel={"z": slice(2, 6)}, bin=2, flip="z", placement="origin")
    assert _labels(small) == [f"Cropped, binned 2x, mirrored along z by mrcarray {VERSION}"]
    again = tmp_path / "again.mrc"
    mrcarray.open_dataarray(small).mrc.to_mrc(again)
    assert _labels(again) == _labels(small)


def test_part_of_file_is_cropped(volume: Path, tmp_path: Path) -> None:
    part = tmp_path / "part.mrc"
    written = tmp_path / "written.mrc"
    mrcarray.open_dataarray(volume).mrc.to_mrc(written)
    mrcarray.open_dataarray(written).isel(z=slice(2, 6)).mrc.to_mrc(part)
    assert _labels(part) == [f"Cropped by mrcarray {VERSION}"]


def test_own_label_is_always_added(volume: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.mrc"
    mrcarray.open_dataarray(volume).mrc.to_mrc(path, label="filtered at 20 angstrom")
    assert mrcarray.read_header(path).text_labels[-1].startswith("filtered at 20 angstrom")
