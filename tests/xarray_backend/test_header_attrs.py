"""The attributes of an opened file: their types, what keeps them, and what the writer makes of them."""

from __future__ import annotations

import copy
import json
import pickle
from typing import TYPE_CHECKING, Any

import gemmi
import numpy as np
import pytest
import xarray as xr

import mrcarray
from mrcarray.errors import MrcValueError, MrcWarning
from mrcarray.xarray_backend.header_bytes import HeaderBytes
from tests.builders import mrc_bytes, sample
from tests.xarray_backend.test_encode import back

if TYPE_CHECKING:
    from pathlib import Path

_RECORDS = b"X,  Y,  Z".ljust(80) + b"-X,  Y+1/2,  -Z".ljust(80)


@pytest.fixture
def crystal(tmp_path: Path) -> Path:
    """Write a map with a skewed cell that is larger than it, symmetry, two labels and a start."""
    path = tmp_path / "a.ccp4"
    fields: dict[str, Any] = {"ispg": 4, "m": (8, 6, 4), "cella": (16.0, 12.0, 8.0), "cellb": (90.0, 100.0, 90.0)}
    labels = b"one".ljust(80) + "zwei \xc5".encode("latin-1").ljust(80)
    path.write_bytes(
        mrc_bytes(sample((2, 3, 4), 2), nstart=(1, 2, 3), nlabl=2, labels=labels, extended=_RECORDS, **fields)
    )
    return path


def test_attributes_have_types_of_table(crystal: Path) -> None:
    opened = xr.open_dataset(crystal, engine="mrc")
    attrs = opened.data.attrs
    assert (attrs["labels"], attrs["space_group"]) == ("one\nzwei \xc5", 4)
    assert attrs["symmetry"] == "X,  Y,  Z\n-X,  Y+1/2,  -Z"
    assert (attrs["mrc_kind"], attrs["mrc_mode"], attrs["mrc_placement"]) == ("volume", 2, "nstart")
    for name, expected in {
        "mrc_voxel_size": [2.0, 2.0, 2.0],
        "mrc_origin": [0.0, 0.0, 0.0],
        "mrc_unit_cell": [16.0, 12.0, 8.0, 90.0, 100.0, 90.0],
    }.items():
        assert attrs[name].dtype == np.float64
        assert attrs[name].tolist() == expected
    assert attrs["mrc_nstart"].tolist() == [1, 2, 3]
    assert attrs["mrc_sampling"].tolist() == [8, 6, 4]
    assert attrs["mrc_sampling"].dtype == np.int64
    assert set(opened.attrs) == set(attrs)
    json.dumps(opened.data.to_dict(data=False), allow_nan=False)
    json.dumps(opened.to_dict(data=False), allow_nan=False)


@pytest.mark.parametrize("format_", ["netcdf", "zarr"])
@pytest.mark.parametrize("option", [True, "all", False])
def test_netcdf_and_zarr_give_identical_arrays(crystal: Path, tmp_path: Path, format_: str, option: Any) -> None:
    opened = xr.open_dataset(crystal, engine="mrc", header_attrs=option).load()
    if format_ == "netcdf":
        opened.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
        found = xr.load_dataset(tmp_path / "a.nc", engine="h5netcdf")
    else:
        opened.to_zarr(tmp_path / "a.zarr", consolidated=False)
        found = xr.open_zarr(tmp_path / "a.zarr", consolidated=False).load()
    plain = opened.drop_indexes(list(opened.xindexes)), found.drop_indexes(list(found.xindexes))
    assert plain[0].identical(plain[1])  # but for the classes of the indexes


def test_symmetry_is_that_of_gemmi(crystal: Path) -> None:
    operators = xr.open_dataarray(crystal, engine="mrc").mrc.symmetry
    assert {gemmi.Op(one) for one in operators} == set(gemmi.SpaceGroup(4).operations())
    assert gemmi.read_ccp4_map(str(crystal)).grid.spacegroup.number == 4


def test_header_attrs_chooses_none_or_every_word(crystal: Path) -> None:
    without = xr.open_dataset(crystal, engine="mrc", header_attrs=False)
    assert (without.attrs, without.data.attrs) == ({}, {})
    every = mrcarray.open_dataarray(crystal, header_attrs="all").attrs
    assert (every["mrc_nx"], every["mrc_nsymbt"], every["mrc_map"]) == (4, 160, b"MAP ".hex())
    assert {"mrc_dmin", "mrc_dmax", "mrc_dmean", "mrc_rms"} <= set(every)
    with pytest.raises(MrcValueError, match="header_attrs is 'some'; expected True, False or 'all'"):
        xr.open_dataset(crystal, engine="mrc", header_attrs="some")


@pytest.mark.parametrize("option", [True, "all", False])
def test_unchanged_array_is_written_byte_by_byte(crystal: Path, tmp_path: Path, option: Any) -> None:
    opened = xr.open_dataarray(crystal, engine="mrc", header_attrs=option)
    opened.attrs["mrc_origin"] = opened.attrs["mrc_placement"] = "elsewhere"  # the writer ignores these
    opened.mrc.to_mrc(tmp_path / "b.ccp4", label="")
    old, new = crystal.read_bytes(), (tmp_path / "b.ccp4").read_bytes()
    statistics = {*range(76, 88), *range(216, 220), *range(208, 216), *range(104, 112)}
    assert [at for at in range(len(old)) if old[at] != new[at] and at not in statistics] == []


def test_labels_group_and_symmetry_of_attrs_are_written(crystal: Path, tmp_path: Path) -> None:
    opened = xr.open_dataarray(crystal, engine="mrc")
    changed = opened.assign_attrs(labels="mine", space_group=5, symmetry="X,Y,Z\nX+1/2,Y+1/2,Z")
    found = back(changed, tmp_path / "b.ccp4")
    assert found.mrc.labels[0] == "mine"
    assert (found.mrc.space_group, found.mrc.symmetry) == (5, ("X,Y,Z", "X+1/2,Y+1/2,Z"))
    assert "symmetry" not in back(opened.assign_attrs(symmetry=""), tmp_path / "c.ccp4").attrs


@pytest.mark.parametrize("keep", [True, False])
def test_calculated_array_keeps_its_cell(crystal: Path, tmp_path: Path, keep: bool) -> None:
    opened = xr.open_dataarray(crystal, engine="mrc")
    calculated = (opened * 2).assign_attrs(opened.attrs)
    calculated.encoding.clear()
    if keep:
        calculated.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
        calculated = xr.load_dataarray(tmp_path / "a.nc", engine="h5netcdf")
    found = back(calculated, tmp_path / "b.ccp4")
    for name in ("mrc_unit_cell", "mrc_sampling", "mrc_nstart", "mrc_placement", "space_group", "symmetry"):
        np.testing.assert_array_equal(found.attrs[name], opened.attrs[name], err_msg=name)
    assert calculated.mrc.unit_cell == opened.mrc.unit_cell == (16.0, 12.0, 8.0, 90.0, 100.0, 90.0)
    assert calculated.mrc.nstart == opened.mrc.nstart == (1, 2, 3)
    assert (calculated.mrc.labels, calculated.mrc.symmetry) == (opened.mrc.labels, opened.mrc.symmetry)


def test_cut_array_speaks_for_itself(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(sample((2, 3, 4), 2), nstart=(1, 0, 0)))
    part = xr.open_dataarray(tmp_path / "a.mrc").isel(x=slice(2, None)) + 1
    assert part.mrc.nstart == (3, 0, 0)
    assert part.mrc.unit_cell == (4.0, 6.0, 4.0, 90.0, 90.0, 90.0)
    counted = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc", coords="pixel")
    assert counted.mrc.nstart == (1, 0, 0)


def test_arrays_saved_by_version_before_are_written_right(crystal: Path, tmp_path: Path) -> None:
    opened = xr.open_dataarray(crystal, engine="mrc", header_attrs=False).load()
    opened.encoding.clear()
    opened.attrs = {
        "space_group": 4,
        "labels": ["one", "two"],
        "nversion": 20141,
        "nstart": np.array([1, 2, 3]),
        "placement": "nstart",
        "cell_angles": np.array([90.0, 100.0, 90.0]),
        "cell_intervals": np.array([8, 6, 4]),
        "cell_lengths": np.array([16.0, 12.0, 8.0]),
        "symmetry": np.frombuffer(_RECORDS, np.uint8),
    }
    opened.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    header = mrcarray.read_header(
        xr.load_dataarray(tmp_path / "a.nc", engine="h5netcdf").mrc.to_mrc(tmp_path / "b.ccp4", label="")
    )
    assert (header.ispg, header.m, header.cella, header.cellb) == (4, (8, 6, 4), (16.0, 12.0, 8.0), (90.0, 100.0, 90.0))
    assert (header.nstart, header.origin, header.text_labels) == ((1, 2, 3), (0.0, 0.0, 0.0), ("one", "two"))
    assert (tmp_path / "b.ccp4").read_bytes()[1024:1184] == _RECORDS


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_conversions_there_and_back_keep_every_header_word(crystal: Path, tmp_path: Path, suffix: str) -> None:
    mrcarray.convert(crystal, tmp_path / f"b{suffix}")
    mrcarray.convert(tmp_path / f"b{suffix}", tmp_path / "c.ccp4", label="")
    old, new = crystal.read_bytes(), (tmp_path / "c.ccp4").read_bytes()
    statistics = {*range(76, 88), *range(216, 220)}
    assert [at for at in range(1184) if old[at] != new[at] and at not in statistics] == []


def test_header_in_encoding_prints_short_and_is_bytes(crystal: Path) -> None:
    opened = xr.open_dataarray(crystal, engine="mrc")
    header = opened.encoding["header"]
    assert repr(header) == str(header) == f"{header}" == "<MRC header, 1024 bytes>"
    raw = crystal.read_bytes()[:1024]
    for twin in (header, copy.copy(header), copy.deepcopy(header), pickle.loads(pickle.dumps(header))):
        assert isinstance(twin, HeaderBytes)
        assert twin == raw
        assert hash(twin) == hash(raw)
    assert opened.encoding["data_offset"] == 1024 + 160
    assert "offset" not in opened.encoding


class TestDatasetOfTwoMaps:
    """A Dataset without ``data``: coordinates and attributes speak for its variables."""

    def test_coordinates_give_size_origin_and_kind(self, crystal: Path) -> None:
        opened = xr.open_dataarray(crystal, engine="mrc")
        both = xr.Dataset({"one": opened, "two": opened * 2}).isel(x=slice(1, None))
        assert both.mrc.voxel_size == (2.0, 2.0, 2.0)
        assert both.mrc.origin == (4.0, 4.0, 6.0)
        assert both.mrc.kind == "volume"
        assert both.mrc.nstart == (2, 2, 3)
        assert "volume (" in repr(both.mrc)

    def test_one_variable_is_written(self, crystal: Path, tmp_path: Path) -> None:
        opened = xr.open_dataarray(crystal, engine="mrc")
        both = xr.Dataset({"one": opened, "two": opened * 2})
        for path in (
            both.mrc.to_mrc(tmp_path / "two.ccp4", variable="two"),
            mrcarray.to_mrc(both, tmp_path / "b.ccp4", variable="two"),
        ):
            np.testing.assert_array_equal(xr.open_dataarray(str(path), engine="mrc"), opened * 2)
        with pytest.raises(MrcValueError, match=r"no variable 'data'; it has \['one', 'two'\]; pass variable='one'"):
            both.mrc.to_mrc(tmp_path / "c.ccp4")
        with pytest.raises(MrcValueError, match="variable is 'two', but the array is not a Dataset"):
            mrcarray.to_mrc(opened.values, tmp_path / "c.ccp4", variable="two")


def test_coordinates_of_caller_that_are_lost_are_named(crystal: Path, tmp_path: Path) -> None:
    opened = xr.open_dataarray(crystal, engine="mrc").assign_coords(foo=("z", [1.0, 2.0]))
    with pytest.warns(MrcWarning, match="an MRC file cannot store the coordinate foo"):
        opened.mrc.to_mrc(tmp_path / "b.ccp4")


def test_existing_output_is_refused_before_anything_is_warned_about(crystal: Path, tmp_path: Path) -> None:
    opened = xr.open_dataarray(crystal, engine="mrc").assign_coords(foo=("z", [1.0, 2.0]))
    (tmp_path / "b.ccp4").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        opened.mrc.to_mrc(tmp_path / "b.ccp4")
    assert (tmp_path / "b.ccp4").read_bytes() == b"mine"
