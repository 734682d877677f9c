"""`.mrc.boxes`: points and sizes in ångström."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

from mrcarray.errors import MrcValueError
from tests.builders import mrc_bytes

if TYPE_CHECKING:
    from pathlib import Path

VALUES = np.random.default_rng(3).normal(size=(10, 12, 14)).astype("f4")


@pytest.fixture(params=[None, {}])
def volume(tmp_path: Path, request: pytest.FixtureRequest) -> xr.DataArray:
    """Return a volume with voxels of 2 x 2 x 4 Å and its first voxel at (10, 20, 30), plain and from dask."""
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(VALUES, cella=(28.0, 24.0, 40.0), m=(14, 12, 10), origin=(10.0, 20.0, 30.0)))
    return xr.open_dataarray(path, engine="mrc", chunks=request.param)


def test_points_and_sizes_are_in_angstrom_from_x_to_z(volume: xr.DataArray) -> None:
    found = volume.mrc.boxes([[22, 32, 50]], size=(8, 4, 16))
    assert (found.dims, found.shape) == (("box", "z", "y", "x"), (1, 4, 2, 4))
    np.testing.assert_array_equal(found[0], VALUES[3:7, 5:7, 4:8])
    assert (found.z.values.tolist(), found.x.values.tolist()) == ([-8, -4, 0, 4], [-4, -2, 0, 2])
    assert [float(found[f"{axis}_centre"][0]) for axis in "xyz"] == [22, 32, 50]


def test_crop_keeps_positions(volume: xr.DataArray) -> None:
    cropped = volume.isel(z=slice(2, None), y=slice(3, None), x=slice(1, None))
    xr.testing.assert_identical(cropped.mrc.boxes([[24, 34, 54]], 8), volume.mrc.boxes([[24, 34, 54]], 8))


def test_outside_is_filled_or_refused(volume: xr.DataArray) -> None:
    with pytest.raises(MrcValueError, match=r"box 0 is \[-1:1, .*fill=0"):
        volume.mrc.boxes([[22, 32, 30]], 8)
    found = volume.mrc.boxes([[22, 32, 30]], 8, fill=-5)
    assert (found[0, 0] == -5).all()
    np.testing.assert_array_equal(found[0, 1], VALUES[0, 4:8, 4:8])


@pytest.mark.parametrize(
    ("points", "text"), [([[1, 2]], r"points has shape \(1, 2\); expected \(box, 3\), x, y, z in Å")]
)
def test_wrong_points_are_refused(volume: xr.DataArray, points: Any, text: str) -> None:
    with pytest.raises(MrcValueError, match=text):
        volume.mrc.boxes(points, 8)


def test_stack_has_no_boxes(tmp_path: Path) -> None:
    path = tmp_path / "a.mrcs"
    path.write_bytes(mrc_bytes(VALUES, ispg=0))
    stack = xr.open_dataarray(path, engine="mrc")
    with pytest.raises(MrcValueError, match=r"dims are section, y, x.*isel\(section=0\)"):
        stack.mrc.boxes([[5, 5]], 4)
    assert stack.isel(section=0, drop=True).mrc.boxes([[5, 5]], 2).shape[0] == 1
