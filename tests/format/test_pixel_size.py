"""The pixel size of files with a cell of 1 Å per voxel and another pixel size in their records."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

import mrcarray
from mrcarray.analysis.header_report import header_report
from mrcarray.errors import MrcWarning
from mrcarray.validation import validate
from tests import builders
from tests.cases import fei

if TYPE_CHECKING:
    from pathlib import Path

VALUES = builders.sample((2, 4, 6), 2)


def written(path: Path, *sizes: float, **fields: Any) -> Path:
    """Write two images, or a volume of two sections, whose FEI records have these pixel sizes in metres."""
    records = b"".join(fei(p=(156, "d", size), b=(8, "I", 1 << 14)) for size in sizes)
    fields = {"ispg": 0, "m": (6, 4, 1), "cella": (6, 4, 1), "exttyp": b"FEI1", **fields}
    path.write_bytes(builders.mrc_bytes(VALUES, extended=records, **fields))
    return path


def test_record_size_is_used_with_a_warning(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mrc", 5e-10, 5e-10)
    with pytest.warns(
        MrcWarning,
        match=r"a pixel size of 5 angstrom, which is used; write it with mrcarray\.repair\.fix\(path, voxel_size=5\)",
    ):
        array = xr.open_dataarray(path, engine="mrc")
    np.testing.assert_array_equal(array.x, 5.0 * np.arange(6))
    assert mrcarray.open_file(path).geometry().voxel_size == (5, 5, 1), "z of images stays as it was found"
    assert header_report(path).facts()["voxel_size"] == [5, 5, 1]
    assert "MRC414" in [issue.code for issue in header_report(path).issues]
    report = validate(path)
    assert report.facts["voxel_size"] == [5, 5, 1]
    assert "MRC414" in report.codes
    assert validate(path, level="header").facts["voxel_size"] == [5, 5, 1]


def test_record_size_of_a_volume_scales_nstart(tmp_path: Path) -> None:
    volume: dict[str, Any] = {"ispg": 1, "m": (6, 4, 2), "cella": (6, 4, 2)}
    counted = mrcarray.open_file(written(tmp_path / "a.mrc", 5e-10, 5e-10, **volume, nstart=(-2, 0, 3))).geometry()
    assert (counted.voxel_size, counted.start) == ((5, 5, 5), (-10, 0, 15))
    placed = mrcarray.open_file(written(tmp_path / "b.mrc", 5e-10, 5e-10, **volume, origin=(1, 2, 3))).geometry()
    assert (placed.voxel_size, placed.start) == ((5, 5, 5), (1, 2, 3))
    assert mrcarray.open_file(tmp_path / "a.mrc").geometry("zero").start == (0, 0, 0)


IMOD = bytes(40) + struct.pack("<2i", 1146047817, 2)


@pytest.mark.parametrize(
    ("sizes", "fields"),
    [
        ((5e-10, 5e-10), {"cella": (12, 8, 1)}),
        ((5e-10, 5e-10), {"cella": (6, 8, 1)}),
        ((5e-10, 5e-10), {"cella": (0, 0, 0), "m": (0, 0, 0)}),
        ((5e-10, 5e-10), {"ispg": 1, "m": (6, 4, 2), "cella": (6, 4, 8)}),
        ((5e-10, 5e-10), {"extra2": IMOD}),
        ((1e-10, 1.01e-10), {}),
        ((5e-10, 6e-10), {}),
        ((0.0, 0.0), {}),
        ((-5e-10, -5e-10), {}),
        ((float("nan"), float("nan")), {}),
        ((5e3, 5e3), {}),
        ((), {}),
    ],
)
def test_cell_size_is_used_otherwise(tmp_path: Path, sizes: tuple[float, ...], fields: dict[str, Any]) -> None:
    mrc = mrcarray.open_file(written(tmp_path / "a.mrc", *sizes, **fields))
    assert "MRC414" not in [issue.code for issue in mrc.geometry().issues]
    assert mrc.geometry().voxel_size[0] != 5


def test_one_record_is_enough(tmp_path: Path) -> None:
    assert mrcarray.open_file(written(tmp_path / "a.mrc", 5e-10, 0.0)).geometry().voxel_size == (5, 5, 1)


@pytest.mark.filterwarnings("ignore:.*MRC414:mrcarray.errors.MrcWarning")
def test_written_cell_has_the_record_size(tmp_path: Path) -> None:
    array = xr.open_dataarray(written(tmp_path / "a.mrc", 5e-10, 5e-10), engine="mrc")
    recalibrated = array.assign_coords(pixel_size=("section", [7.0, 7.0], array.pixel_size.attrs))
    for name, changed in {"same": array, "other records": recalibrated}.items():
        path = changed.mrc.to_mrc(tmp_path / f"{name}.mrc")
        assert mrcarray.read_header(path).cella[:2] == (30, 20), name
        assert xr.open_dataarray(path, engine="mrc").mrc.same_grid(array), name


@pytest.mark.filterwarnings("ignore:.*MRC41[14]:mrcarray.errors.MrcWarning")  # the records are lost, and said to be
def test_file_without_its_records_keeps_the_size(tmp_path: Path) -> None:
    array = xr.open_dataarray(written(tmp_path / "a.mrc", 5e-10, 5e-10), engine="mrc")
    path = array.drop_vars("extended_record").mrc.to_mrc(tmp_path / "b.mrc", byteorder="big")
    assert xr.open_dataarray(path, engine="mrc").mrc.same_grid(array)
