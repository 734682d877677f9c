"""The real files, read through every door, against two other readers."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import gemmi
import mrcfile
import numpy as np
import pytest
import xarray as xr

import mrcarray

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

pytestmark = [
    pytest.mark.data,
    pytest.mark.filterwarnings("ignore:.*MRC414:mrcarray.errors.MrcWarning"),  # fei_old_header.mrc has a cell of 1 Å
]

FILES = (
    "1jzv.ccp4",
    "5i55_tiny.ccp4",
    "EMD-3197.map",
    "EMD-3197.map.bz2",
    "de_movie.mrc",
    "emd_3197.map.gz",
    "fei-extended.mrc",
    "fei_old_header.mrc",
    "hand.5.mrcs",
    "relion31.mrcs",
    "serialem_tilt.mrc",
)
MAPS = ("1jzv.ccp4", "5i55_tiny.ccp4", "EMD-3197.map")


def _peer(path: Path) -> NDArray[Any] | None:
    """Return what mrcfile reads, or None where it reads nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with mrcfile.open(path, permissive=True) as mrc:
            data: NDArray[Any] | None = None if mrc.data is None else np.array(mrc.data)
    return data


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("ignore::mrcarray.MrcWarning")
class TestEveryFile:
    def test_all_doors_give_pixels_that_mrcfile_gives(self, shared_data: Path, name: str) -> None:
        path = shared_data / name
        expected = _peer(path)
        assert expected is not None
        doors = [
            mrcarray.open_array(path)[...],
            mrcarray.from_mrc(path).compute(),
            xr.open_dataarray(path, engine="mrc").values,
            xr.open_dataarray(path, engine="mrc", chunks={}).values,
            mrcarray.open_dataset(path, chunks="auto").data.values,
        ]
        for values in doors:
            assert values.dtype == expected.dtype.newbyteorder("=")
            np.testing.assert_array_equal(values.reshape(expected.shape), expected)

    def test_xarray_finds_engine(self, shared_data: Path, name: str) -> None:
        assert xr.open_dataset(shared_data / name).data.size > 0

    def test_voxel_size_agrees_with_mrcfiles(self, shared_data: Path, name: str) -> None:
        path = shared_data / name
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with mrcfile.open(path, permissive=True) as mrc:
                expected = np.array([mrc.voxel_size[axis] for axis in "xyz"], dtype=float)
        opened = xr.open_dataarray(path)
        if name == "fei_old_header.mrc":
            expected *= 33.6  # what its records state, which mrcfile does not read
        for axis, theirs in zip("xyz", expected, strict=True):
            ours = opened.mrc.voxel_size["xyz".index(axis)]
            if axis in opened.dims and theirs > 0:
                assert ours == pytest.approx(theirs, rel=1e-5)
            else:
                assert np.isnan(ours)

    def test_netcdf_and_zarr_take_it_with_its_attrs(self, shared_data: Path, name: str, tmp_path: Path) -> None:
        opened = xr.open_dataset(shared_data / name).isel({"x": slice(0, 8), "y": slice(0, 8)})
        opened.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
        opened.to_zarr(tmp_path / "a.zarr", consolidated=False)
        with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as back:
            np.testing.assert_array_equal(back.data.values, opened.data.values)
            assert set(back.data.attrs) == set(opened.data.attrs)
        again = xr.open_zarr(tmp_path / "a.zarr", consolidated=False)
        np.testing.assert_array_equal(again.data.values, opened.data.values)
        assert set(again.data.attrs) == set(opened.data.attrs)


@pytest.mark.parametrize("name", MAPS)
def test_maps_have_pixels_and_cell_that_gemmi_reads(shared_data: Path, name: str) -> None:
    theirs = gemmi.read_ccp4_map(str(shared_data / name), setup=False)
    opened = xr.open_dataarray(shared_data / name)
    np.testing.assert_array_equal(opened.values.T, np.array(theirs.grid.array))
    cell = theirs.grid.unit_cell
    intervals = opened.attrs["mrc_sampling"]
    lengths = np.array(opened.mrc.voxel_size) * intervals
    np.testing.assert_allclose(lengths, [cell.a, cell.b, cell.c], rtol=1e-5)
    assert opened.attrs["space_group"] == theirs.header_i32(23)


@pytest.mark.parametrize("name", ["emd_3197.map.gz", "EMD-3197.map.bz2"])
def test_compressed_maps_equal_plain_one(shared_data: Path, name: str) -> None:
    from mrcarray.storage.compression.codecs import CODECS

    if not CODECS:
        pytest.skip("no compression is in the table yet")
    plain = xr.open_dataarray(shared_data / "EMD-3197.map")
    opened = xr.open_dataarray(shared_data / name)
    np.testing.assert_array_equal(opened.values, plain.values)
    assert opened.mrc.same_grid(plain)


def test_sidecar_or_note_is_no_mrc_file(shared_data: Path) -> None:
    for name in ("SOURCES.md", "tilt_series.mdoc"):
        with pytest.raises(mrcarray.MrcFormatError, match=name):
            mrcarray.open_array(shared_data / name)
