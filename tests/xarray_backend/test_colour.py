"""Colour images: all three colours, one of them, and in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mrcfile
import numpy as np
import pytest
import xarray as xr

from mrcarray.errors import MrcValueError
from tests.builders import mrc_bytes, sample
from tests.xarray_backend.test_metadata_read import opened

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def colours(tmp_path: Path) -> xr.DataArray:
    """Open a stack of two colour images."""
    path = tmp_path / "rgb.mrc"
    path.write_bytes(mrc_bytes(sample((2, 3, 4), 16), 16, ispg=0, nversion=0))
    return opened(path)


@pytest.mark.parametrize("select", [{"rgb": 0}, {"rgb": 2, "section": 1}])
def test_one_colour_is_written_as_image_of_its_own(
    tmp_path: Path, colours: xr.DataArray, select: dict[str, Any]
) -> None:
    one = colours.isel(select)
    path = one.mrc.to_mrc(tmp_path / "one.mrc")
    with mrcfile.open(path) as mrc:
        assert (int(mrc.header.mode), int(mrc.header.nversion)) == (6, 20141)
        np.testing.assert_array_equal(mrc.data, one.values)
        assert mrc.voxel_size.x == 2.0


def test_colours_in_another_order_are_written_by_their_names(tmp_path: Path, colours: xr.DataArray) -> None:
    turned = colours.isel(rgb=[2, 0, 1]).transpose("rgb", ...)
    again = opened(turned.mrc.to_mrc(tmp_path / "turned.mrc"))
    xr.testing.assert_equal(again, colours)


def test_unnamed_colours_keep_their_order(tmp_path: Path, colours: xr.DataArray) -> None:
    again = opened(colours.drop_vars("rgb").mrc.to_mrc(tmp_path / "plain.mrc"))
    np.testing.assert_array_equal(again.values, colours.values)


def test_two_colours_are_refused_with_hint(tmp_path: Path, colours: xr.DataArray) -> None:
    with pytest.raises(MrcValueError, match=r"dim rgb has 2 colours.*isel\(rgb=0\)"):
        colours.isel(rgb=[0, 1]).mrc.to_mrc(tmp_path / "two.mrc")
