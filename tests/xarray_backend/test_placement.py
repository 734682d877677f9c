"""A voxel keeps its value at its position in ångström for gemmi and for ChimeraX, whatever was done to the array."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gemmi
import numpy as np
import pytest
import xarray as xr

import mrcarray
from mrcarray.conversion import convert
from mrcarray.errors import MrcValueError, MrcWarning
from tests.xarray_backend.placing import by_chimerax, by_gemmi, map_bytes, words

if TYPE_CHECKING:
    from collections.abc import Callable

# Some of these stacks are opened as such by the argument alone, which their files do not tell.
pytestmark = pytest.mark.filterwarnings("ignore:.*this name the file will be read as volume:mrcarray.errors.MrcWarning")

ROUNDING = 2e-3
"""By how much float32 pixels and words may be off, where a voxel makes a difference of 1.5 and more."""

SKEWED = (80.0, 95.0, 110.0)
BY_NSTART: dict[str, dict[str, Any]] = {
    "at 0": {},
    "nstart": {"nstart": (2, -3, 5)},
    "skewed": {"nstart": (2, -3, 5), "cellb": SKEWED},
    "permuted": {"nstart": (2, -3, 5), "mapcrs": (3, 1, 2)},
    "crystal": {"nstart": (2, -3, 5), "m": (30, 40, 50), "ispg": 19},
    "group 0": {"ispg": 0},
    "far": {"nstart": (70, 80, 90)},
    "both": {"nstart": (2, -3, 5), "origin": (3.0, -6.0, 12.5)},
}
BY_ORIGIN: dict[str, dict[str, Any]] = {
    "origin": {"origin": (10.0, 20.0, 30.0)},
    "between voxels": {"origin": (10.5, -20.25, 33.0)},
    "skewed": {"origin": (10.0, 20.0, 30.0), "cellb": SKEWED},
    "permuted": {"origin": (10.0, 20.0, 30.0), "mapcrs": (2, 1, 3)},
    "group 0": {"origin": (10.0, 20.0, 30.0), "ispg": 0},
}


def _through(array: xr.DataArray, name: str) -> xr.DataArray:
    path = Path(str(array.encoding["source"])).with_name(name)
    if path.suffix == ".nc":
        array.to_dataset(name="data").to_netcdf(path, engine="h5netcdf")
        return xr.load_dataarray(path, engine="h5netcdf")
    array.to_dataset(name="data").to_zarr(path, zarr_format=2)
    return xr.load_dataarray(path, engine="zarr")


def _in_nanometres(array: xr.DataArray) -> xr.DataArray:
    units = {"units": "nm"}
    return array.assign_coords({axis: (axis, array[axis].values / 10, units) for axis in ("x", "y", "z")})


def _joined(array: xr.DataArray) -> xr.DataArray:
    return xr.concat([array.isel(y=slice(0, 4)), array.isel(y=slice(4, None))], "y")


def _padded(array: xr.DataArray) -> xr.DataArray:
    """Pad with the values that belong to the new positions, and with the gaps in the coordinate that xarray leaves."""
    continued = array.pad(x=(2, 1), mode="reflect", reflect_type="odd")
    return continued.assign_coords(x=array.pad(x=(2, 1), constant_values=0).x)


OPERATIONS: dict[str, Callable[[xr.DataArray], xr.DataArray]] = {
    "untouched": lambda a: a,
    "arithmetic": lambda a: a * 1,
    "sel": lambda a: a.sel(y=slice(float(a.y[2]) - 0.1, float(a.y[7]) + 0.1)),
    "isel from 0": lambda a: a.isel(x=slice(0, 5), z=slice(0, 7)),
    "isel from the middle": lambda a: a.isel(x=slice(3, 7), y=slice(2, 9), z=slice(5, 11)),
    "isel and arithmetic": lambda a: a.isel(x=slice(3, 7), z=slice(5, 11)) * 1,
    "transpose": lambda a: a.transpose("x", "z", "y"),
    "rename": lambda a: a.rename("filtered"),
    "rename there and back": lambda a: a.rename(z="depth").rename(depth="z"),
    "concat": _joined,
    "nm": _in_nanometres,
    "pad": _padded,
    "no coordinates": lambda a: a.drop_vars(["x", "y", "z"]),
    "load and copy": lambda a: a.load().copy(deep=True),
    "netCDF": lambda a: _through(a, "there.nc"),
    "Zarr": lambda a: _through(a, "there.zarr"),
    "netCDF of a part": lambda a: _through(a.isel(z=slice(4, None)), "there.nc"),
}
"""What keeps voxels where they were, a whole number of voxels from 0."""

FLIPPED: dict[str, Callable[[xr.DataArray], xr.DataArray]] = {
    "step -1": lambda a: a.isel(z=slice(None, None, -1)),
    "step -1 along all": lambda a: a[::-1, ::-1, ::-1],
    "sortby": lambda a: a.sortby("y", ascending=False),
}
BINNED: dict[str, Callable[[xr.DataArray], xr.DataArray]] = {
    "step 2": lambda a: a.isel(x=slice(1, None, 2), y=slice(None, None, 2)),
    "step 3 from 1": lambda a: a.isel(z=slice(1, None, 3)),
    "coarsen": lambda a: a.coarsen(x=2, y=2, z=2).mean(),
    "coarsen a part": lambda a: a.isel(x=slice(2, None)).coarsen(x=3, z=3).mean(),
}
CONVERTED: dict[str, dict[str, Any]] = {
    "nothing": {},
    "isel": {"isel": {"z": slice(3, 9), "x": slice(0, 5)}},
    "sel": {"sel": {"y": slice(-1000, 1000)}},
    "dtype": {"dtype": "float32"},
    "byteorder": {"byteorder": "<"},
    "both": {"placement": "both"},
    "kind": {"kind": "volume"},
}


def opened(path: Path, **fields: Any) -> xr.DataArray:
    path.write_bytes(map_bytes(**fields))
    return xr.open_dataarray(path, engine="mrc", kind="volume")


@pytest.mark.filterwarnings("ignore:.*undoes a flip:mrcarray.errors.MrcWarning")
@pytest.mark.parametrize("operation", OPERATIONS | FLIPPED)
@pytest.mark.parametrize("source", BY_NSTART)
def test_maps_placed_by_nstart_keep_position_in_both_programs(tmp_path: Path, source: str, operation: str) -> None:
    array = opened(tmp_path / "a.mrc", **BY_NSTART[source])
    path = (OPERATIONS | FLIPPED)[operation](array).mrc.to_mrc(tmp_path / "b.mrc")
    assert by_chimerax(path) < ROUNDING
    assert by_gemmi(path) < ROUNDING


@pytest.mark.filterwarnings("ignore:.*undoes a flip:mrcarray.errors.MrcWarning")
@pytest.mark.parametrize("operation", OPERATIONS | FLIPPED | BINNED)
@pytest.mark.parametrize("source", BY_ORIGIN)
def test_maps_placed_by_origin_get_no_nstart(tmp_path: Path, source: str, operation: str) -> None:
    array = opened(tmp_path / "a.mrc", by="origin", **BY_ORIGIN[source])
    path = (OPERATIONS | FLIPPED | BINNED)[operation](array).mrc.to_mrc(tmp_path / "b.mrc")
    assert by_chimerax(path) < ROUNDING
    assert words(path)["nstart"] == (0, 0, 0)


@pytest.mark.parametrize("operation", BINNED)
@pytest.mark.parametrize("source", [name for name in BY_NSTART if name != "crystal"])
def test_binned_map_is_exact_by_origin_and_within_half_voxel_by_nstart(
    tmp_path: Path, source: str, operation: str
) -> None:
    changed = BINNED[operation](opened(tmp_path / "a.mrc", **BY_NSTART[source]))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        path = changed.mrc.to_mrc(tmp_path / "b.mrc")
    assert by_chimerax(path) < ROUNDING
    head = words(path)
    steps = [length / count for length, count in zip(head["cella"], head["m"], strict=True)]
    off = [0.0, 0.0, 0.0]
    start = dict(zip(head["mapcrs"], head["nstart"], strict=True))
    for at, axis in enumerate("xyz"):
        off[at] = abs(float(changed[axis][0]) - start[at + 1] * steps[at])
    assert max(one / step for one, step in zip(off, steps, strict=True)) <= 0.5 + ROUNDING
    texts = [str(one.message) for one in said]
    shown = [f"{one:.3g} Å along {axis}" for axis, one in zip("xyz", off, strict=True) if one > 0.01]
    assert len(texts) == (1 if shown else 0)
    assert all(one in texts[0] for one in shown)


@pytest.mark.parametrize("name", CONVERTED)
@pytest.mark.parametrize("source", BY_NSTART)
def test_convert_keeps_position_in_both_programs(tmp_path: Path, source: str, name: str) -> None:
    opened(tmp_path / "a.mrc", **BY_NSTART[source])
    path = convert(tmp_path / "a.mrc", tmp_path / "b.mrc", **{"kind": "volume", **CONVERTED[name]})
    assert by_chimerax(path) < ROUNDING
    assert by_gemmi(path) < ROUNDING


@pytest.mark.parametrize("suffix", ["nc", "zarr", "tif"])
@pytest.mark.parametrize("source", BY_NSTART)
def test_convert_through_other_format_keeps_position(tmp_path: Path, source: str, suffix: str) -> None:
    opened(tmp_path / "a.mrc", **BY_NSTART[source])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Zarr")
        there = convert(tmp_path / "a.mrc", tmp_path / f"b.{suffix}", kind="volume", isel={"x": slice(2, None)})
        path = convert(there, tmp_path / "c.mrc")
    assert by_chimerax(path) < ROUNDING
    assert by_gemmi(path) < ROUNDING


@pytest.mark.parametrize("by", ["nstart", "origin"])
def test_convert_bins_about_position_of_averaged_voxels(tmp_path: Path, by: str) -> None:
    fields = BY_NSTART["nstart"] if by == "nstart" else BY_ORIGIN["origin"]
    opened(tmp_path / "a.mrc", by=by, **fields)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        path = convert(tmp_path / "a.mrc", tmp_path / "b.mrc", bin=2)
    assert by_chimerax(path) < ROUNDING
    assert len(said) == (1 if by == "nstart" else 0)


# ------------------------------------------------------------------------------------------ which words


def test_two_positions_that_differ_move_alike(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"nstart": (-4, -5, -6), "origin": (10.0, 20.0, 30.0)}
    for by, judge in (("origin", by_chimerax), ("nstart", by_gemmi)):
        array = opened(tmp_path / "a.mrc", by=by, **fields)
        for part in (array, array.isel(x=slice(3, None), z=slice(2, 9)), array.isel(x=slice(3, None)) * 1):
            path = part.mrc.to_mrc(tmp_path / "b.mrc", overwrite=True)
            assert judge(path) < ROUNDING
    assert words(path)["nstart"] == (-1, -5, -6)
    assert words(path)["origin"] == (14.5, 20.0, 30.0)


def test_two_positions_that_differ_survive_binning_within_half_voxel(tmp_path: Path) -> None:
    array = opened(tmp_path / "a.mrc", by="origin", nstart=(-4, -5, -6), origin=(10.0, 20.0, 30.0))
    with pytest.warns(MrcWarning, match=r"are 0\.75 Å along x, 1 Å along y, 1\.25 Å along z off"):
        path = array.coarsen(x=2, y=2, z=2).mean().mrc.to_mrc(tmp_path / "b.mrc")
    assert by_chimerax(path) < ROUNDING
    assert words(path)["nstart"] == (-2, -2, -3)


def test_origin_cut_to_0_writes_nstart_0(tmp_path: Path) -> None:
    array = opened(tmp_path / "a.mrc", by="origin", nstart=(5, 0, 0), origin=(-3.0, 0.0, 0.0))
    with pytest.warns(MrcWarning, match=r"nstart\) are written as 0.* place the map by \(7, 0, 0\)"):
        path = array.isel(x=slice(2, None)).mrc.to_mrc(tmp_path / "b.mrc")
    assert by_chimerax(path) < ROUNDING


def test_small_cut_far_from_0_writes_both_words(tmp_path: Path) -> None:
    array = opened(tmp_path / "a.mrc", n=(8, 10, 200))
    part = array.isel(x=slice(1, 4), y=slice(2, 5), z=slice(150, 153))
    path = part.mrc.to_mrc(tmp_path / "b.mrc")
    assert (by_chimerax(path), by_gemmi(path)) == pytest.approx((0, 0), abs=10 * ROUNDING)
    assert words(path)["nstart"] == (1, 2, 150)
    assert xr.open_dataarray(path).mrc.origin == (1.5, 4.0, 375.0)
    with pytest.warns(MrcWarning, match=r"more than ten times the size .*placement='both'"):
        part.mrc.to_mrc(tmp_path / "c.mrc", placement="nstart")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("b.map", lambda a: a),
        ("b.ccp4", lambda a: a * 1),
        ("b.mrc", lambda a: a.assign_attrs(space_group=19)),
        ("b.mrc", lambda a: a.assign_attrs(labels=["::::EMDATABANK.org::::EMD-3197::::"])),
    ],
)
def test_maps_of_ccp4_and_emdb_are_placed_by_nstart(tmp_path: Path, name: str, change: Any) -> None:
    array = opened(tmp_path / "a.mrc", by="origin", origin=(3.0, -4.0, 12.5))
    head = words(change(array.isel(x=slice(2, None))).mrc.to_mrc(tmp_path / name))
    assert (head["nstart"], head["origin"]) == ((4, -2, 5), (0, 0, 0))


def test_source_that_is_ccp4_file_by_its_name_is_placed_by_nstart(tmp_path: Path) -> None:
    array = opened(tmp_path / "a.map", by="origin", origin=(3.0, -4.0, 12.5))
    head = words(array.isel(x=slice(2, None)).mrc.to_mrc(tmp_path / "b.mrc"))
    assert (head["nstart"], head["origin"]) == ((4, -2, 5), (0, 0, 0))


@pytest.mark.parametrize(
    ("placement", "nstart", "origin"),
    [
        ("auto", (4, -2, 5), (0, 0, 0)),
        ("nstart", (4, -2, 5), (0, 0, 0)),
        ("origin", (0, 0, 0), (6.0, -4.0, 12.5)),
        ("both", (4, -2, 5), (6.0, -4.0, 12.5)),
    ],
)
def test_placement_option_selects_words(
    tmp_path: Path, placement: str, nstart: tuple[int, ...], origin: tuple[float, ...]
) -> None:
    array = opened(tmp_path / "a.mrc", nstart=(4, -2, 5))
    for whole in (array, array * 1):
        head = words(whole.mrc.to_mrc(tmp_path / "b.mrc", placement=placement, overwrite=True))
        assert (head["nstart"], head["origin"]) == (nstart, origin)


def test_position_between_voxels_is_rounded_only_in_nstart(tmp_path: Path) -> None:
    array = opened(tmp_path / "a.mrc", by="origin", origin=(0.5, 0.0, 0.0))
    with pytest.warns(MrcWarning, match=r"\(0\.5, 0, 0\) Å.* are 0\.5 Å along x off; pass placement='origin'"):
        head = words(array.mrc.to_mrc(tmp_path / "b.mrc", placement="nstart"))
    assert (head["nstart"], head["origin"]) == ((0, 0, 0), (0, 0, 0))
    assert words(array.mrc.to_mrc(tmp_path / "c.mrc", placement="origin"))["origin"] == (0.5, 0, 0)


def test_rounded_nstart_of_images_warns_if_requested(tmp_path: Path) -> None:
    (tmp_path / "a.mrcs").write_bytes(map_bytes(by="origin", ispg=0, origin=(0.5, 0.0, 0.0)))
    stack = xr.open_dataarray(tmp_path / "a.mrcs", engine="mrc").isel(section=slice(0, 3))
    with pytest.warns(MrcWarning, match=r"\(0\.5, 0, .*\) Å.* are 0\.5 Å along x off; pass placement='origin'"):
        stack.mrc.to_mrc(tmp_path / "b.mrcs", placement="nstart", kind="image_stack")
    stack.mrc.to_mrc(tmp_path / "c.mrcs", placement="both", kind="image_stack")  # words 50-52 place it: no warning


def test_invalid_placements_are_refused(tmp_path: Path) -> None:
    with pytest.warns(MrcWarning, match="the voxel size is unknown"):
        array = opened(tmp_path / "a.mrc", nstart=(4, -2, 5), cella=(0.0, 0.0, 0.0))
    with pytest.raises(MrcValueError, match="placement is 'start'; expected one of auto, nstart, origin, both"):
        mrcarray.to_mrc(array.values, tmp_path / "b.mrc", placement="start")
    with pytest.raises(MrcValueError, match=r"along x, y, z is unknown.*voxel_size="):
        array.mrc.to_mrc(tmp_path / "b.mrc", placement="origin")
    with pytest.raises(MrcValueError, match="phase origin; pass placement='nstart'"):
        array.astype("c8").mrc.to_mrc(tmp_path / "b.mrc", placement="both")
    assert words(array.mrc.to_mrc(tmp_path / "b.mrc", placement="nstart"))["nstart"] == (4, -2, 5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mrc", "b.mrc"]


def test_images_get_no_warning_about_programs_that_read_maps(tmp_path: Path) -> None:
    section = opened(tmp_path / "a.mrc").isel(z=3)
    path = section.coarsen(x=2, y=2).mean().mrc.to_mrc(tmp_path / "b.mrc")
    assert words(path)["origin"] == pytest.approx((0.75, 1.0, 7.5))


# ------------------------------------------------------------------------------------------ cells


@pytest.mark.parametrize("computed", [False, True])
@pytest.mark.parametrize("begin", [0, 3])
@pytest.mark.parametrize("kind", ["volume", "image_stack"])
def test_cut_of_map_has_its_own_extent_as_cell(tmp_path: Path, kind: str, begin: int, computed: bool) -> None:
    (tmp_path / "a.mrc").write_bytes(map_bytes((9, 7, 5), (1.5, 2.25, 3.0), ispg=0 if kind == "image_stack" else 1))
    array = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc", kind=kind)
    part = array.isel({"x": slice(begin, begin + 5), array.dims[0]: slice(0, 3)})
    head = words((part * 1 if computed else part).mrc.to_mrc(tmp_path / "b.mrc"))
    assert head["m"] == (5, 7, 3)
    assert head["cella"] == pytest.approx((7.5, 15.75, 9.0))


@pytest.mark.parametrize("computed", [False, True])
@pytest.mark.parametrize("fields", [{"ispg": 19}, {"ispg": 1, "m": (30, 40, 50)}, {"ispg": 1, "m": (8, 10, 50)}])
def test_cell_of_crystal_stays(tmp_path: Path, fields: dict[str, Any], computed: bool) -> None:
    array = opened(tmp_path / "a.mrc", **fields)
    before = words(tmp_path / "a.mrc")
    for part in (array.isel(x=slice(0, 5), z=slice(0, 3)), array.isel(x=slice(2, 5), z=slice(2, 6))):
        head = words((part * 1 if computed else part).mrc.to_mrc(tmp_path / "b.mrc", overwrite=True))
        assert head["m"] == before["m"]
        assert head["cella"] == pytest.approx(before["cella"])


@pytest.mark.parametrize("name", ["cut", "binned"])
def test_stack_without_z_in_its_coordinates_keeps_z_in_its_header(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.mrc").write_bytes(map_bytes(by="origin", origin=(10.0, 20.0, 30.0), ispg=0))
    for kind in ("image_stack", "tilt_series", "movie", "particles"):
        array = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc", kind=kind)
        dim = array.dims[0]
        changed = array.isel({dim: slice(4, 10)}) if name == "cut" else array.coarsen({dim: 2, "x": 2, "y": 2}).mean()
        for one in (changed, changed * 1):
            assert by_chimerax(one.mrc.to_mrc(tmp_path / "b.mrc", overwrite=True)) < ROUNDING


def test_stack_at_0_is_placed_by_nstart_for_gemmi(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_bytes(map_bytes(ispg=0))
    array = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc", kind="image_stack")
    path = array.isel(section=slice(4, 10), x=slice(2, 7)).mrc.to_mrc(tmp_path / "b.mrc")
    assert by_gemmi(path) < ROUNDING
    assert by_chimerax(path) < ROUNDING


@pytest.mark.parametrize(
    ("name", "coords", "warned"),
    [
        ("b.mrc", {}, True),
        ("b.mrcs", {}, False),
        ("b_ali.mrc", {}, False),
        ("b.mrc", {"tilt_angle": ("section", np.arange(12.0))}, False),
    ],
)
def test_binning_warns_of_rounded_nstart_of_maps_only(
    tmp_path: Path, name: str, coords: dict[str, Any], warned: bool
) -> None:
    (tmp_path / "a.mrcs").write_bytes(map_bytes(ispg=0))
    array = xr.open_dataarray(tmp_path / "a.mrcs", engine="mrc").assign_coords(coords)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        path = array.coarsen(x=2, y=2).mean().mrc.to_mrc(tmp_path / name)
    assert any("MRC105" in str(one.message) for one in caught) is warned
    assert words(path)["origin"][:2] == pytest.approx((0.75, 1.0))


def test_sections_renamed_to_z_have_positions_their_header_states(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_bytes(map_bytes(by="origin", origin=(10.0, 20.0, 30.0), ispg=0))
    array = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc", kind="image_stack").isel(section=slice(2, None))
    path = array.rename(section="z").mrc.to_mrc(tmp_path / "b.mrc")
    assert by_chimerax(path) < ROUNDING
    assert by_chimerax(array.mrc.to_mrc(tmp_path / "c.mrc", kind="volume")) < ROUNDING


def test_sections_sorted_otherwise_keep_spacing_of_their_file(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_bytes(map_bytes(ispg=0))
    array = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc", kind="image_stack")
    head = words(array.isel(section=[4, 1, 7]).mrc.to_mrc(tmp_path / "b.mrc"))
    assert (head["m"][2], head["cella"][2]) == (3, 7.5)


def test_images_counted_one_by_one_stay_so_and_unknown_spacing_stays_unknown(tmp_path: Path) -> None:
    (tmp_path / "a.mrcs").write_bytes(map_bytes(ispg=0, m=(8, 10, 1), cella=(12.0, 20.0, 0.0)))
    array = xr.open_dataarray(tmp_path / "a.mrcs", engine="mrc")
    for part in (array * 1, array.isel(section=slice(3, None), x=slice(2, None))):
        head = words(part.mrc.to_mrc(tmp_path / "b.mrcs", overwrite=True))
        assert (head["m"][2], head["cella"][2], head["nstart"][2]) == (1, 0.0, 0)


def test_stack_by_name_is_declared_under_another_name(tmp_path: Path) -> None:
    (tmp_path / "a.mrcs").write_bytes(map_bytes(ispg=0))
    array = xr.open_dataarray(tmp_path / "a.mrcs", engine="mrc")
    assert array.dims == ("section", "y", "x")
    path = array.mrc.to_mrc(tmp_path / "b.map", kind="image_stack")
    assert words(path)["m"][2] == 1


# ------------------------------------------------------------------------------------------ skewed cells


def test_words_50_52_of_skewed_cell_are_cartesian(tmp_path: Path) -> None:
    array = opened(tmp_path / "a.mrc", by="origin", origin=(10.0, 20.0, 30.0), cellb=(90.0, 90.0, 120.0))
    assert array.mrc.origin == pytest.approx((10 + 20 / 3**0.5, 20 * 2 / 3**0.5, 30.0))
    assert "MRC114" in [issue.code for issue in array.mrc.issues]
    assert re.search(r"cell .*angles 90, 90, 120: x, y, z run along the cell's edges", repr(array.mrc))
    assert "cell " not in repr(opened(tmp_path / "b.mrc").mrc).replace("cell centre", "")
    assert by_chimerax(array.mrc.to_mrc(tmp_path / "c.mrc", placement="origin", label="")) < ROUNDING


def test_gemmi_sees_same_values_before_and_after_cut_of_its_own_map(tmp_path: Path) -> None:
    grid = gemmi.FloatGrid(24, 24, 24)
    grid.set_unit_cell(gemmi.UnitCell(36, 36, 36, 90, 90, 90))
    grid.spacegroup = gemmi.SpaceGroup("P1")
    np.array(grid, copy=False)[:] = np.random.default_rng(0).normal(size=(24, 24, 24))
    made = gemmi.Ccp4Map()
    made.grid = grid
    made.update_ccp4_header()
    made.write_ccp4_map(str(tmp_path / "a.ccp4"))
    array = xr.open_dataarray(tmp_path / "a.ccp4", engine="mrc")
    cut = array.isel(x=slice(6, 20), y=slice(4, 20), z=slice(8, 22))
    found = []
    for path in (tmp_path / "a.ccp4", cut.mrc.to_mrc(tmp_path / "b.mrc"), (cut * 1).mrc.to_mrc(tmp_path / "c.mrc")):
        read = gemmi.read_ccp4_map(str(path))
        read.setup(0.0)
        found.append(read.grid.interpolate_value(gemmi.Position(13.5, 9, 18)))
    assert found == pytest.approx([found[0]] * 3, rel=1e-6)


@pytest.mark.data
def test_binned_ccp4_map_keeps_position_in_gemmi(tmp_path: Path, shared_data: Path) -> None:
    array = xr.open_dataarray(shared_data / "1jzv.ccp4", engine="mrc")
    binned = array.coarsen(dict.fromkeys(array.dims, 2), boundary="trim").mean()
    with pytest.warns(MrcWarning, match=r"programs that place a map by them \(gemmi, .*Å along x.* off"):
        path = binned.mrc.to_mrc(tmp_path / "b.ccp4")
    head = words(path)
    start = dict(zip(head["mapcrs"], head["nstart"], strict=True))
    placed = [start[at + 1] * head["cella"][at] / head["m"][at] for at in range(3)]
    assert placed == pytest.approx((-12.3, -1.9, 57.4), abs=0.6)
    assert head["origin"] == pytest.approx(binned.mrc.origin, abs=1e-3)
