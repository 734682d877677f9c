"""Metadata that programs state outside the usual fields: titles, labels, records without bitmasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mrcarray.classic.dtypes import get_ext_header_dtype
from mrcarray.errors import MrcWarning
from tests.builders import mrc_bytes, sample
from tests.xarray_backend.test_metadata_read import opened

if TYPE_CHECKING:
    from pathlib import Path


def test_tilts_of_records_without_bitmasks_are_coordinates(tmp_path: Path) -> None:
    records = np.zeros(4, dtype=get_ext_header_dtype(b"FEI1"))
    records["Metadata size"], records["Alpha tilt"] = 768, [1, 2, 3, 4]
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(sample((4, 3, 5), 2), 2, "<", records.tobytes(), ispg=0, exttyp=b"FEI1"))
    stack = opened(path)
    assert stack.tilt_angle.values.tolist() == [1, 2, 3, 4]
    assert "MRC413" in [issue.code for issue in stack.mrc.issues]
    again = opened(tmp_path / stack.isel(section=[3, 0]).mrc.to_mrc(tmp_path / "b.mrc"))
    assert again.tilt_angle.values.tolist() == [4, 1]
    changed = stack.assign_coords(tilt_angle=("section", [1.0, 2.0, 30.0, 4.0]))
    again = opened(tmp_path / changed.mrc.to_mrc(tmp_path / "c.mrc"))
    assert again.tilt_angle.values.tolist() == [1, 2, 30, 4]


TITLES = [
    "TiltAxisAngle = 4.9  Binning = 1  SpotSize = 5",
    "    Tilt axis angle = 4.9, binning = 1  spot = 6  camera = 1",
]


@pytest.mark.parametrize(
    "text",
    [
        *[f"[T = {title}]\n\n[ZValue = 0]\n\n[ZValue = 1]\n\n[ZValue = 2]\n" for title in TITLES],
        *[f"T = {title}\n\n[ZValue = 0]\n\n[ZValue = 1]\n\n[ZValue = 2]\n" for title in TITLES],
        "[ZValue = 0]\nTiltAxisAngle = 4.9\n[ZValue = 1]\nTiltAxisAngle = 4.9\n[ZValue = 2]\nTiltAxisAngle = 4.9\n",
        "TiltAxisAngle = 4.9\n\n[ZValue = 0]\n\n[ZValue = 1]\n\n[ZValue = 2]\n",
    ],
)
def test_tilt_axis_of_mdoc_is_coordinate(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(sample((3, 2, 2), 1), 1, ispg=0))
    (tmp_path / "a.mrc.mdoc").write_text(text)
    assert opened(path).tilt_axis_angle.values.tolist() == [4.9, 4.9, 4.9]


def test_tilt_axis_of_all_frames_is_one_number(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(sample((3, 2, 2), 1), 1, ispg=0))
    (tmp_path / "a.mrc.mdoc").write_text(f"[T = {TITLES[1]}]\n\n[FrameSet = 0]\nTiltAngle = 3\n")
    assert opened(path).tilt_axis_angle.values.tolist() == 4.9


def test_key_of_section_counts_more_than_title(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(sample((2, 2, 2), 1), 1, ispg=0))
    (tmp_path / "a.mrc.mdoc").write_text(f"[T = {TITLES[0]}]\n[ZValue = 0]\nTiltAxisAngle = 5.1\n[ZValue = 1]\n")
    assert opened(path).tilt_axis_angle.values.tolist()[0] == 5.1


@pytest.mark.parametrize("title", TITLES)
def test_tilt_axis_of_label_is_coordinate_of_images_only(tmp_path: Path, title: str) -> None:
    path = tmp_path / "a.mrc"
    labels = b"SerialEM: Acquired".ljust(80) + title.encode().ljust(80)
    path.write_bytes(mrc_bytes(sample((3, 2, 2), 1), 1, ispg=0, nlabl=2, labels=labels))
    assert opened(path).tilt_axis_angle.values.tolist() == [4.9, 4.9, 4.9]
    assert "tilt_axis_angle" not in opened(path, kind="volume").coords
    assert "tilt_axis_angle" not in opened(path, extended=False).coords
    (tmp_path / "a.mrc.mdoc").write_text("".join(f"[ZValue = {at}]\nTiltAxisAngle = 5\n" for at in range(3)))
    assert opened(path).tilt_axis_angle.values.tolist() == [5, 5, 5]


def test_tilt_axis_that_its_label_keeps_is_not_reported_as_lost(tmp_path: Path) -> None:
    path = tmp_path / "a.mrcs"
    labels = TITLES[1].encode().ljust(80)
    path.write_bytes(mrc_bytes(sample((3, 2, 2), 1), 1, ispg=0, nlabl=1, labels=labels))
    array = opened(path)
    (array + array.dtype.type(1)).mrc.to_mrc(tmp_path / "b.mrcs")
    assert opened(tmp_path / "b.mrcs").tilt_axis_angle.values.tolist() == [4.9, 4.9, 4.9]
    with pytest.warns(MrcWarning, match="tilt_axis_angle"):
        array.assign_coords(tilt_axis_angle=array.tilt_axis_angle + 1).mrc.to_mrc(tmp_path / "c.mrcs")
