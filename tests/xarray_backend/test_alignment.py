"""Grids are compared, and arrays cut to the voxels they share, whatever the indexes and units are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

from mrcarray.errors import MrcValueError
from mrcarray.xarray_backend.indexes import GridIndex
from tests.builders import mrc_bytes, sample

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (6, 8, 10)


@pytest.fixture
def volume(tmp_path: Path) -> xr.DataArray:
    """Return a volume of 1.1 Å voxels, opened."""
    return xr.open_dataarray(_written(tmp_path / "a.mrc", 1.1))


def _written(path: Path, voxel: float, **fields: Any) -> Path:
    path.write_bytes(mrc_bytes(sample(SHAPE, 2), 2, cella=tuple(voxel * n for n in reversed(SHAPE)), **fields))
    return path


def plain(array: xr.DataArray) -> xr.DataArray:
    """Return an array with xarray's own indexes."""
    return array.drop_indexes(["x", "y", "z"]).set_xindex("x").set_xindex("y").set_xindex("z")


def in_nm(array: xr.DataArray) -> xr.DataArray:
    """Return an array with coordinates in nanometres."""
    return array.assign_coords({dim: (dim, array[dim].values / 10, {"units": "nm"}) for dim in "xyz"})


class TestAlign:
    def test_it_returns_voxels_in_common(self, volume: xr.DataArray) -> None:
        first, second = volume.mrc.align(volume.isel(z=slice(2, 5)) * 2)
        assert first.shape == second.shape == (3, 8, 10)
        np.testing.assert_array_equal(second, 2 * volume.values[2:5])
        np.testing.assert_array_equal(first, volume.values[2:5])
        assert all(isinstance(index, GridIndex) for one in (first, second) for index in one.xindexes.values())

    @pytest.mark.parametrize("first_is_plain", [True, False])
    def test_another_grid_is_refused_whatever_indexes_are(self, volume: xr.DataArray, first_is_plain: bool) -> None:
        other = volume.assign_coords(z=volume.z * 2)
        with pytest.raises(MrcValueError, match=r"along z: 6 voxels of 1\.1 from 0, and 6 voxels of 2\.2"):
            (plain(volume) if first_is_plain else volume).mrc.align(plain(other))

    def test_rounding_does_not_matter_whatever_indexes_are(self, volume: xr.DataArray) -> None:
        rounded = volume.assign_coords(z=volume.z * (1 + 1e-6) + 2e-5)
        for first, second in ((plain(volume), plain(rounded)), (volume, plain(rounded)), (plain(volume), rounded)):
            one, other = first.mrc.align(second)
            assert one.shape == other.shape == SHAPE
            assert (one - other).shape == SHAPE
            np.testing.assert_array_equal(other.z, volume.z)

    def test_units_of_length_are_converted(self, volume: xr.DataArray) -> None:
        one, other = volume.mrc.align(in_nm(volume).isel(x=slice(3, None)))
        assert other.x.attrs["units"] == "angstrom"
        assert not (one - other).any()
        assert one.sizes["x"] == 7
        nm, _ = in_nm(volume).mrc.align(volume)
        assert nm.x.attrs["units"] == "nm"

    def test_pixels_are_not_converted(self, volume: xr.DataArray) -> None:
        counted = volume.assign_coords({dim: volume[dim].copy(data=np.arange(volume.sizes[dim])) for dim in "xyz"})
        for dim in "xyz":
            counted[dim].attrs["units"] = "pixel"
        with pytest.raises(MrcValueError, match=r"x is in pixel in one array and in angstrom.*attrs\['units'\]"):
            volume.mrc.align(counted)

    def test_datasets_and_many_arrays_are_aligned(self, volume: xr.DataArray) -> None:
        found = volume.to_dataset().mrc.align(volume.isel(y=slice(1, None)), volume.isel(y=slice(None, 5)))
        assert [one.sizes["y"] for one in found] == [4, 4, 4]
        assert isinstance(found[0], xr.Dataset)

    def test_no_pixel_is_read_and_header_stays_known(self, tmp_path: Path) -> None:
        array = xr.open_dataarray(_written(tmp_path / "b.mrc", 2.0), cache=False)
        one, other = array.mrc.align(array.isel(z=slice(1, 3)))
        assert not one.variable._in_memory
        assert other.mrc.header.nz == 6
        assert one.attrs == array.attrs

    def test_binned_map_meets_its_mask(self, volume: xr.DataArray) -> None:
        binned = volume.coarsen(z=2, y=2, x=2).mean()
        mask = binned.isel(z=slice(1, None)) > 0
        one, other = binned.mrc.align(mask)
        assert one.shape == other.shape == (2, 4, 5)
        with pytest.raises(MrcValueError, match="spacings differ"):
            binned.mrc.align(volume)

    def test_sections_are_joined_by_label(self, tmp_path: Path) -> None:
        path = _written(tmp_path / "c.mrcs", 2.0, ispg=0)
        stack = xr.open_dataarray(path, engine="mrc", kind="image_stack")
        one, other = stack.mrc.align(stack.isel(section=[4, 2], x=slice(0, 5)))
        assert one.section.values.tolist() == other.section.values.tolist() == [2, 4]
        assert one.shape == (2, 8, 5)

    def test_axis_without_coordinate_is_matched_by_length(self, volume: xr.DataArray) -> None:
        one, other = volume.mrc.align(volume.drop_vars("x"))
        assert one.shape == other.shape == SHAPE

    def test_align_refuses_other_types(self, volume: xr.DataArray) -> None:
        with pytest.raises(MrcValueError, match=r"cannot align ndarray; expected xarray\.DataArray"):
            volume.mrc.align(volume.values)


class TestSameGrid:
    def test_it_is_same_whatever_index_is(self, volume: xr.DataArray) -> None:
        assert volume.mrc.same_grid(plain(volume))
        assert plain(volume).mrc.same_grid(volume)

    def test_32_bits_do_not_matter_far_from_origin(self, volume: xr.DataArray) -> None:
        far = volume.assign_coords(x=volume.x + 5000.3)
        assert far.mrc.same_grid(far.assign_coords(x=far.x.astype("f4").astype("f8").assign_attrs(far.x.attrs)))

    def test_it_is_true_where_join_keeps_every_voxel(self, volume: xr.DataArray) -> None:
        for shift, same in ((0.001, True), (0.1, False), (1.1, False)):
            other = volume.assign_coords(x=("x", volume.x.values + shift, volume.x.attrs))
            assert volume.mrc.same_grid(other) is same

    def test_flipped_array_is_on_another_grid(self, volume: xr.DataArray) -> None:
        assert not volume.mrc.same_grid(volume.isel(z=slice(None, None, -1)))

    def test_units_of_length_are_converted(self, volume: xr.DataArray) -> None:
        assert volume.mrc.same_grid(in_nm(volume))
        assert not volume.mrc.same_grid(in_nm(volume).assign_coords(x=("x", volume.x.values, {"units": "nm"})))

    def test_uneven_labels_must_be_equal(self, volume: xr.DataArray) -> None:
        uneven = volume.isel(z=[0, 1, 4])
        assert uneven.mrc.same_grid(uneven + 1)
        assert not uneven.mrc.same_grid(volume.isel(z=[0, 1, 5]))

    def test_empty_axis_is_same_as_itself(self, volume: xr.DataArray) -> None:
        empty = volume.isel(z=slice(0, 0))
        assert empty.mrc.same_grid(empty)
