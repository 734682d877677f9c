"""Dask and labelled arrays written to parts of existing files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

import mrcarray
from mrcarray.errors import MrcValueError
from mrcarray.region_writer import create, finalize
from mrcarray.statistics import Stats
from tests.dask_io.arrays import VALUES, check, lazy

if TYPE_CHECKING:
    from pathlib import Path


def volume() -> xr.DataArray:
    coords = {
        dim: (dim, 4.0 + 2.0 * np.arange(n), {"units": "angstrom"})
        for dim, n in zip(("z", "y", "x"), VALUES.shape, strict=True)
    }
    return xr.DataArray(VALUES, dims=("z", "y", "x"), coords=coords)


def test_regions_by_name_coordinates_and_key(tmp_path: Path) -> None:
    whole = volume()
    whole.mrc.to_mrc(tmp_path / "a.mrc")
    path = tmp_path / "a.mrc"
    (whole * 0).mrc.to_mrc(path, overwrite=True)
    whole.isel(z=slice(0, 3)).mrc.to_mrc(path, region={"z": slice(0, 3)})
    whole.isel(z=slice(3, 6)).transpose("x", "y", "z").mrc.to_mrc(path, region="auto")
    whole.isel(z=6).mrc.to_mrc(path, region={"z": 6})
    whole.isel(z=7).mrc.to_mrc(path, region="auto")
    whole.isel(z=slice(8, 10)).chunk(z=1, y=7).mrc.to_mrc(path, region={"z": "auto"})
    mrcarray.to_mrc(VALUES[10], path, region=(10,))
    job: Any = mrcarray.to_mrc(lazy()[11:], path, region=(slice(11, None), ...), compute=False)
    assert isinstance(job.compute(), Stats)
    assert mrcarray.read_header(path).rms == -1
    finalize(path)
    check(path)


def test_regions_of_a_created_file(tmp_path: Path) -> None:
    path = create(tmp_path / "a.mrc", VALUES.shape, "f4", voxel_size=2.0)
    parts: list[Any] = [mrcarray.to_mrc(lazy()[z : z + 4], path, region=(slice(z, z + 4),)) for z in range(0, 12, 4)]
    finalize(path, parts)
    check(path)


@pytest.mark.parametrize(
    ("array", "region", "text"),
    [
        (volume().isel(z=slice(2)), {"z": slice(0, 3)}, "shape"),
        (volume(), {"time": 0}, "names"),
        (volume(), "somewhere", "'auto'"),
        (volume().assign_coords(z=volume().z + 1), "auto", "starts at voxel 0.5"),
        (volume().assign_coords(z=volume().z + 100), "auto", "starts at voxel 50"),
        (volume().assign_coords(z=("z", 5 + 3.0 * np.arange(12), {"units": "angstrom"})), "auto", "voxel size along z"),
        (volume().drop_vars("z").isel(z=slice(3)), "auto", "none along z"),
        (volume().rename(z="section"), "auto", "not those of the file"),
    ],
)
def test_region_that_does_not_match_is_refused(tmp_path: Path, array: xr.DataArray, region: Any, text: str) -> None:
    volume().mrc.to_mrc(tmp_path / "a.mrc")
    before = (tmp_path / "a.mrc").read_bytes()
    with pytest.raises(MrcValueError, match=text):
        array.mrc.to_mrc(tmp_path / "a.mrc", region=region)
    assert (tmp_path / "a.mrc").read_bytes() == before


def test_region_of_a_stack_by_section_number(tmp_path: Path) -> None:
    stack = xr.DataArray(VALUES, dims=("section", "y", "x"), coords={"section": np.arange(12)})
    (stack * 0).mrc.to_mrc(tmp_path / "a.mrc", voxel_size=1.5)
    stack.isel(section=slice(3, 6)).mrc.to_mrc(tmp_path / "a.mrc", region="auto")
    np.testing.assert_array_equal(mrcarray.open_array(tmp_path / "a.mrc")[3:6], VALUES[3:6])
    with pytest.raises(MrcValueError, match="one by one"):
        stack.isel(section=[1, 3]).mrc.to_mrc(tmp_path / "a.mrc", region="auto")
