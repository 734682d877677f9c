"""Pixel sizes and binning in records follow the grid of the array that is written."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mrcfile
import numpy as np
import pytest
import xarray as xr
from mrcfile.dtypes import get_ext_header_dtype

from mrcarray.conversion import convert
from mrcarray.errors import MrcWarning
from tests.builders import mrc_bytes, sample

if TYPE_CHECKING:
    from collections.abc import Callable

STEP = 0.85
FIELDS = ("Pixel size X", "Pixel size Y", "Binning Width", "Binning Height")
BITS = {"Pixel size X": (1, 14), "Pixel size Y": (1, 15), "Binning Width": (2, 17), "Binning Height": (2, 18)}


def fei(path: Path, exttyp: bytes = b"FEI2", sections: int = 1, binning: int = 1) -> xr.DataArray:
    """Write images as EPU does, with a record each made by mrcfile's dtype, and open them."""
    dtype = get_ext_header_dtype(exttyp)
    records = np.zeros(sections, dtype)
    records["Metadata size"], records["Metadata version"] = dtype.itemsize, 2
    for name, (mask, bit) in BITS.items():
        records[f"Bitmask {mask}"] |= np.uint32(1 << bit)
        records[name] = STEP * 1e-10 if name.startswith("Pixel") else binning
    records["Bitmask 1"] |= np.uint32(1 << 7)
    records["Alpha tilt"] = np.arange(sections)
    shape = (sections, 8, 12)
    cell = (12 * STEP, 8 * STEP, STEP)
    raw = mrc_bytes(
        sample(shape, 2), 2, "<", records.tobytes(), ispg=0, m=(12, 8, 1), cella=cell, exttyp=exttyp, nversion=20140
    )
    path.write_bytes(raw)
    return xr.open_dataarray(path, engine="mrc")


def record_of(path: str | Path, section: int = 0) -> dict[str, float]:
    """Return the fields of a record as mrcfile reads them, pixel sizes in ångström; None where the bit is unset."""
    with mrcfile.open(path) as mrc:
        one = mrc.indexed_extended_header[section]
        found = {}
        for name in FIELDS:
            mask, bit = BITS[name]
            scale = 1e10 if name.startswith("Pixel") else 1
            found[name] = float(one[name]) * scale if int(one[f"Bitmask {mask}"]) >> bit & 1 else float("nan")
        return found


@pytest.mark.parametrize("exttyp", [b"FEI1", b"FEI2"])
@pytest.mark.parametrize(
    ("change", "x", "y"),
    [
        (lambda a: a, 1, 1),
        (lambda a: a * 2, 1, 1),
        (lambda a: a.isel(x=slice(2, 9)), 1, 1),
        (lambda a: a.coarsen(y=4, x=4).mean(), 4, 4),
        (lambda a: a.coarsen(y=4, x=4).mean() * 2, 4, 4),
        (lambda a: a.coarsen(y=2, x=3).mean(), 3, 2),
        (lambda a: a.coarsen(y=2).mean(), 1, 2),
        (lambda a: a.isel(x=slice(None, None, 2), y=slice(1, None, 2)), 2, 2),
        (lambda a: a.isel(x=slice(None, None, -1), y=slice(None, None, -1)).coarsen(y=2, x=2).mean(), 2, 2),
        (lambda a: a.coarsen(y=2, x=2).mean().coarsen(y=2, x=2).mean(), 4, 4),
        (lambda a: a.transpose("x", "y").coarsen(y=2, x=4).mean().transpose("y", "x"), 4, 2),
    ],
)
@pytest.mark.filterwarnings("ignore:.*undoes a flip:mrcarray.errors.MrcWarning")
def test_records_of_image_follow_its_grid(
    tmp_path: Path, exttyp: bytes, change: Callable[[xr.DataArray], xr.DataArray], x: int, y: int
) -> None:
    image = fei(tmp_path / "a.mrc", exttyp)
    found = record_of(change(image).mrc.to_mrc(tmp_path / "b.mrc"))
    assert list(found.values()) == pytest.approx([STEP * x, STEP * y, x, y])
    again = xr.open_dataarray(tmp_path / "b.mrc", engine="mrc")
    assert float(again.pixel_size) == pytest.approx(again.mrc.voxel_size[0])


@pytest.mark.parametrize("suffix", ["mrc", "nc", "zarr", "tif"])
def test_binned_stack_states_its_pixels_whatever_it_went_through(tmp_path: Path, suffix: str) -> None:
    fei(tmp_path / "a.mrc", sections=3, binning=2)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Zarr")
        there = convert(tmp_path / "a.mrc", tmp_path / f"b.{suffix}", bin=2)
        path = convert(there, tmp_path / "c.mrc")
    for section in range(3):
        assert list(record_of(path, section).values()) == pytest.approx([2 * STEP, 2 * STEP, 4, 4])
    assert xr.open_dataarray(path, engine="mrc").tilt_angle.values.tolist() == [0, 1, 2]


def test_untouched_file_keeps_bytes_of_its_records(tmp_path: Path) -> None:
    array = fei(tmp_path / "a.mrc", sections=3, binning=2)
    path = Path(array.mrc.to_mrc(tmp_path / "b.mrc"))
    assert path.read_bytes()[1024:] == (tmp_path / "a.mrc").read_bytes()[1024:]


def test_fractional_binning_warns(tmp_path: Path) -> None:
    image = fei(tmp_path / "a.mrc")
    scaled = image.assign_coords({dim: image[dim] * 1.37 for dim in ("x", "y")})
    scaled = scaled.assign_coords({dim: (dim, scaled[dim].values, image[dim].attrs) for dim in ("x", "y")})
    with pytest.warns(MrcWarning, match=r"binning is not written: pixels are 1\.37 times as large"):
        path = scaled.mrc.to_mrc(tmp_path / "b.mrc")
    found = list(record_of(path).values())
    assert found[:2] == pytest.approx([1.37 * STEP] * 2)
    assert np.isnan(found[2:]).all()


@pytest.mark.parametrize("by", ["voxel_size", "coords"])
def test_another_calibration_is_no_other_binning(tmp_path: Path, by: str) -> None:
    image = fei(tmp_path / "a.mrc")
    if by == "voxel_size":
        path = image.mrc.to_mrc(tmp_path / "b.mrc", voxel_size=0.87)
    else:
        axes = {dim: (dim, image[dim].values / STEP * 0.87, image[dim].attrs) for dim in ("x", "y")}
        path = image.assign_coords(axes).mrc.to_mrc(tmp_path / "b.mrc")
    found = list(record_of(path).values())
    assert found[0] == pytest.approx(0.87)
    assert found[2:] == [1, 1]


def test_pixel_size_that_caller_gives_is_written(tmp_path: Path) -> None:
    image = fei(tmp_path / "a.mrc").assign_coords(pixel_size=0.9)
    assert record_of(image.mrc.to_mrc(tmp_path / "b.mrc"))["Pixel size X"] == pytest.approx(0.9)


def test_mdoc_states_pixels_of_array(tmp_path: Path) -> None:
    stack = fei(tmp_path / "a.mrc", sections=2).coarsen(x=2, y=2).mean()
    text = Path(stack.mrc.to_mdoc(tmp_path / "b.mrc")).read_text()
    assert text.count("PixelSpacing = 1.7\n") == 2


@pytest.mark.data
def test_image_of_epu_is_coarsened_with_its_record(tmp_path: Path, shared_data: Path) -> None:
    image = xr.open_dataarray(shared_data / "fei-extended.mrc", engine="mrc")
    before = record_of(shared_data / "fei-extended.mrc")
    small = image.isel(x=slice(0, 256), y=slice(0, 256)).coarsen(y=4, x=4).mean().astype("f4")
    found: dict[str, Any] = record_of(small.mrc.to_mrc(tmp_path / "b.mrc"))
    assert list(found.values()) == pytest.approx([4 * value for value in before.values()], rel=1e-5)


@pytest.mark.parametrize("name", ["every second", "binned"])
def test_records_follow_grid_that_is_counted_in_pixels(tmp_path: Path, name: str) -> None:
    fei(tmp_path / "a.mrc")
    counted = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc", coords="pixel")
    assert counted.x.attrs["units"] == "pixel"
    binned = counted.coarsen(x=2, y=2).mean().astype("f4")
    changed = {"every second": counted.isel(x=slice(None, None, 2), y=slice(None, None, 2)), "binned": binned}[name]
    record = record_of(changed.mrc.to_mrc(tmp_path / "b.mrc"))
    assert [record[field] for field in FIELDS] == pytest.approx([2 * STEP, 2 * STEP, 2, 2])
    untouched = record_of(counted.mrc.to_mrc(tmp_path / "c.mrc"))
    assert [untouched[field] for field in FIELDS] == pytest.approx([STEP, STEP, 1, 1])
