"""What is written of a labelled array: the grid it has now, and all that was known of the file it came from."""

from __future__ import annotations

import bz2
import gzip
import itertools
import re
import struct
import sys
import warnings
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import mrcfile
import numpy as np
import pytest
import xarray as xr
from hypothesis import given

import mrcarray
from mrcarray import validation
from mrcarray.errors import MrcValueError, MrcWarning
from mrcarray.format.header import Header
from mrcarray.format.units import LENGTHS
from mrcarray.xarray_backend.coordinates import axis_of, factor_of
from mrcarray.xarray_backend.encode import encode
from mrcarray.xarray_backend.write_options import WriteOptions
from tests import builders

if TYPE_CHECKING:
    from pathlib import Path

REAL = [
    "1jzv.ccp4",
    "5i55_tiny.ccp4",
    "EMD-3197.map",
    "EMD-3197.map.bz2",
    "emd_3197.map.gz",
    "de_movie.mrc",
    "fei-extended.mrc",
    "fei_old_header.mrc",
    "hand.5.mrcs",
    "relion31.mrcs",
    "serialem_tilt.mrc",
]
ROUNDED = pytest.mark.filterwarnings("ignore:.*words 5-7 .nstart. are rounded:mrcarray.errors.MrcWarning")
"""For arrays that do not begin a whole number of voxels from 0; test_placement.py is about these."""
OBLIGED = {"dmin", "dmax", "dmean", "rms", "nlabl", "labels", "map", "machst"}
"""Fields that change although nothing was changed: docs/howto/write-large.md lists them."""


def grid(shape: tuple[int, ...] = (6, 8, 10), step: float = 2.0, start: float = 10.0, **attrs: Any) -> xr.DataArray:
    """Return a volume with coords."""
    rng = np.random.default_rng(0)
    dims = ("z", "y", "x")[-len(shape) :]
    coords = {
        dim: (dim, start + step * np.arange(n), {"units": "angstrom"}) for dim, n in zip(dims, shape, strict=True)
    }
    return xr.DataArray(rng.normal(size=shape).astype("f4"), dims=dims, coords=coords, attrs=attrs)


def back(array: xr.DataArray, path: Path, **options: Any) -> xr.DataArray:
    """Return what is read after writing."""
    array.mrc.to_mrc(path, overwrite=True, sync=False, **options)
    return xr.open_dataarray(path, engine="mrc").load()


def same(found: xr.DataArray, expected: xr.DataArray) -> None:
    assert found.dims == expected.dims
    np.testing.assert_array_equal(found.values, expected.values)
    for axis in set(expected.dims) & {"x", "y", "z"}:
        np.testing.assert_allclose(found[axis].values, expected[axis].values, rtol=1e-6, atol=1e-4)


OPERATIONS = {
    "nothing": lambda a: a,
    "slice": lambda a: a.isel(z=slice(2, 5), x=slice(1, None)),
    "sel": lambda a: a.sel(y=slice(14, 20)),
    "step": lambda a: a.isel(x=slice(1, None, 2), z=slice(None, None, 3)),
    "list": lambda a: a.isel(y=[1, 3, 5]),
    "coarsen": lambda a: a.coarsen(x=2, y=2, z=2).mean(),
    "pad": lambda a: a.pad(x=(2, 3), constant_values=0).assign_coords(x=10 + 2.0 * (np.arange(15) - 2)),
    "transpose": lambda a: a.transpose("x", "z", "y"),
    "concat": lambda a: xr.concat([a.isel(z=slice(0, 2)), a.isel(z=slice(2, None))], "z"),
    "arithmetic": lambda a: a * 2 + 1,
    "astype": lambda a: (a * 10).astype("i2"),
    "image": lambda a: a.isel(z=3),
    "side": lambda a: a.isel(x=3),
    "projection": lambda a: a.mean("z"),
    "one section": lambda a: a.isel(z=slice(3, 4)),
    "shift": lambda a: a.assign_coords(z=a.z - 100, x=a.x + 0.5),
}


@ROUNDED
@pytest.mark.parametrize("name", OPERATIONS)
def test_after_any_operation_the_file_says_what_the_array_is(tmp_path: Path, name: str) -> None:
    first = back(grid(), tmp_path / "a.mrc")
    changed = OPERATIONS[name](first)
    if "x" in changed.coords and "units" not in changed.x.attrs:
        changed.x.attrs["units"] = "angstrom"
    same(back(changed, tmp_path / "b.mrc"), changed)


@pytest.mark.parametrize("order", list(itertools.permutations(("volume", "z", "y", "x"))), ids="-".join)
def test_a_stack_of_volumes_in_any_order_of_its_axes_comes_back_by_name(tmp_path: Path, order: tuple[str, ...]) -> None:
    stack = xr.concat([grid((3, 4, 5)), grid((3, 4, 5)) + 1], "volume")
    found = back(stack.transpose(*order), tmp_path / "a.mrc")
    same(found.transpose(*stack.dims), stack)


@ROUNDED
@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in ("pad", "astype")])
def test_dask_arrays_are_written_alike(tmp_path: Path, name: str) -> None:
    changed = OPERATIONS[name](back(grid(), tmp_path / "a.mrc").chunk(x=3, y=3, z=4))
    same(back(changed, tmp_path / "b.mrc"), changed.compute())


@ROUNDED
@given(order=st.permutations(["x", "y", "z"]), data=st.data())
def test_any_order_and_any_part_of_the_axes_comes_back(tmp_path: Path, order: list[str], data: st.DataObject) -> None:
    array = grid().transpose(*order)
    for dim in order:
        n = array.sizes[dim]
        start = data.draw(st.integers(0, n - 2))
        stop, step = data.draw(st.integers(start + 2, n)), data.draw(st.integers(1, 3))
        if stop - start > step:
            array = array.isel({dim: slice(start, stop, step)})
    same(back(array, tmp_path / "a.mrc"), array)


def test_axes_whose_coords_fall_are_turned_with_a_warning_for_each(tmp_path: Path) -> None:
    array = grid()
    with pytest.warns(MrcWarning) as said:
        found = back(array.isel(z=slice(None, None, -1), x=slice(None, None, -2)), tmp_path / "a.mrc")
    same(found, array.isel(x=slice(1, None, 2)))
    texts = sorted(str(one.message) for one in said)
    assert ["coordinate x falls" in texts[0], "coordinate z falls" in texts[1], len(texts)] == [True, True, 2]


def test_an_image_of_a_section_keeps_the_place_of_the_section(tmp_path: Path) -> None:
    section = grid().isel(z=3)
    section.mrc.to_mrc(tmp_path / "a.mrc")
    header = mrcarray.read_header(tmp_path / "a.mrc")
    assert (header.nstart, header.origin) == ((5, 5, 8), (0, 0, 0))
    assert (header.nz, header.mz, header.ispg) == (1, 1, 0)
    found = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc").mrc.origin
    assert found[:2] == (10.0, 10.0)


@pytest.mark.parametrize(
    ("unit", "factor"), [("nm", 10.0), ("µm", 1e4), ("micrometer", 1e4), ("Å", 1.0), ("nanometre", 10)]
)
def test_other_units_are_converted(tmp_path: Path, unit: str, factor: float) -> None:
    array = grid()
    for dim in array.dims:
        array[dim].attrs["units"] = unit
    found = back(array, tmp_path / "a.mrc")
    assert found.mrc.voxel_size == pytest.approx((2 * factor,) * 3)
    assert found.mrc.origin == pytest.approx((10 * factor,) * 3)


def test_every_spelling_of_a_unit_is_known_in_any_case() -> None:
    assert all(factor_of(name.upper()) == factor for name, factor in LENGTHS.items() if name.isascii())
    assert factor_of("\u212b") == factor_of("\u00c5") == 1.0
    assert factor_of("voxel") is None
    with pytest.raises(MrcValueError, match="'s' is not a unit of length"):
        factor_of("s")


def test_coords_without_a_unit_are_angstrom() -> None:
    array = xr.DataArray(np.zeros((2, 3)), dims=("y", "x"), coords={"x": [0.0, 1.5, 3.0]})
    assert axis_of(array, "x").step == 1.5


def test_uneven_coords_are_refused_with_the_axis_and_the_first_deviation(tmp_path: Path) -> None:
    with pytest.raises(MrcValueError, match=r"spacing along y is not uniform: 2, but 4 from index 2 to 3.*interpolate"):
        grid().isel(y=[0, 1, 2, 4, 5]).mrc.to_mrc(tmp_path / "a.mrc")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda a: a.assign_coords(x=list("abcdefghij")), "dtype"),
        (lambda a: a.assign_coords(x=[0, np.nan, *range(2, 10)]), "nan at index 1"),
        (lambda a: a.assign_coords(x=np.zeros(10)), "repeats 0; expected positions that differ"),
        (lambda a: a.assign_coords(x=("x", np.arange(10.0), {"units": "second"})), "coordinate x: 'second'"),
        (lambda a: a.expand_dims(("time", "channel")), "5 axes"),
        (
            lambda a: (
                a.isel(x=0).expand_dims(("time", "channel")).squeeze("z", drop=True)
                if a.z.size == 1
                else a.isel(x=0, z=0)
            ),
            "1 axes",
        ),
        (lambda a: a.isel(x=slice(0, 0)), "empty"),
        (lambda a: a.isel(x=0, y=0, z=0), "0 axes"),
        (lambda a: a.rename(x="time", y="channel"), "no MRC file"),
        (lambda a: a.astype("f8"), "float64"),
    ],
)
def test_what_the_format_cannot_say_is_refused(tmp_path: Path, change: Any, text: str) -> None:
    with pytest.raises(MrcValueError, match=text):
        change(grid()).mrc.to_mrc(tmp_path / "a.mrc")
    assert not list(tmp_path.iterdir())


def test_pixel_coords_leave_the_voxel_size_unknown_and_keep_the_place(tmp_path: Path) -> None:
    array = grid(start=-3.0, step=1.0)
    for dim in array.dims:
        array[dim].attrs["units"] = "pixel"
    array.mrc.to_mrc(tmp_path / "a.mrc")
    header = mrcarray.read_header(tmp_path / "a.mrc")
    assert (header.cella, header.nstart) == ((0, 0, 0), (-3, -3, -3))
    array.mrc.to_mrc(tmp_path / "b.mrc", voxel_size=1.5)
    assert mrcarray.read_header(tmp_path / "b.mrc").nstart == (-3, -3, -3)
    assert xr.open_dataarray(tmp_path / "b.mrc").mrc.origin == (-4.5, -4.5, -4.5)


def test_a_voxel_size_given_by_the_caller_counts(tmp_path: Path) -> None:
    found = back(grid(start=0.0), tmp_path / "a.mrc", voxel_size=(1, 2, 3))
    assert found.mrc.voxel_size == (1, 2, 3)
    with pytest.raises(MrcValueError, match="voxel_size"):
        grid().mrc.to_mrc(tmp_path / "b.mrc", voxel_size=0)


@pytest.mark.parametrize(
    ("dims", "kind", "expected"),
    [
        (("a", "b"), None, "image"),
        (("a", "b", "c"), None, "volume"),
        (("a", "b", "c"), "image_stack", "image_stack"),
        (("a", "b", "c", "d"), None, "volume_stack"),
        (("time", "y", "x"), None, "image_stack"),
        (("tilt", "y", "x"), "tilt_series", "image_stack"),
        (("y", "x", "section"), None, "image_stack"),
        (("volume", "z", "y", "x"), None, "volume_stack"),
        (("z", "y", "x"), "image_stack", "image_stack"),
        (("section", "y", "x"), "volume", "volume"),
        (("y", "x"), "volume", "volume"),
    ],
)
def test_dims_say_the_kind_and_names_without_meaning_go_by_their_places(
    tmp_path: Path, dims: tuple[str, ...], kind: str | None, expected: str
) -> None:
    sizes = (2, 3, 4, 5)[: len(dims)]
    array = xr.DataArray(np.arange(np.prod(sizes), dtype="i2").reshape(sizes), dims=dims)
    path = array.mrc.to_mrc(tmp_path / "a.mrc", kind=kind)
    found = mrcarray.open_array(path)
    assert found.layout.kind == expected
    assert sorted(found.shape) == sorted(sizes) if expected != "volume" or len(dims) > 2 else True


def test_a_kind_that_contradicts_the_dims_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MrcValueError, match="those of a volume"):
        grid().mrc.to_mrc(tmp_path / "a.mrc", kind="image")
    with pytest.raises(MrcValueError, match="expected one of"):
        grid().mrc.to_mrc(tmp_path / "a.mrc", kind="cube")


def test_the_suffix_makes_a_stack_of_an_array_without_names(tmp_path: Path) -> None:
    array = xr.DataArray(np.zeros((2, 3, 4), "i2"))
    array.mrc.to_mrc(tmp_path / "a.mrcs")
    assert mrcarray.read_header(tmp_path / "a.mrcs").ispg == 0


def test_colours_are_the_last_axis_of_mode_16(tmp_path: Path) -> None:
    values = np.arange(2 * 3 * 4 * 3, dtype="u1").reshape(2, 3, 4, 3)
    array = xr.DataArray(values, dims=("section", "y", "x", "rgb")).transpose("rgb", "section", "y", "x")
    path = array.mrc.to_mrc(tmp_path / "a.mrc", voxel_size=2.0)
    found = xr.open_dataarray(path, engine="mrc")
    np.testing.assert_array_equal(found.transpose("section", "y", "x", "rgb").values, values)
    assert mrcarray.read_header(path).nversion == 0


# ------------------------------------------------------------------------------------------ round trips


def _raw(path: Path) -> bytes:
    data = path.read_bytes()
    return {".gz": gzip.decompress, ".bz2": bz2.decompress}.get(path.suffix, bytes)(data)


@pytest.mark.data
@pytest.mark.parametrize("name", REAL)
@pytest.mark.filterwarnings("ignore::mrcarray.errors.MrcWarning")
def test_a_real_file_read_and_written_untouched_keeps_its_bytes(tmp_path: Path, shared_data: Path, name: str) -> None:
    plain = name.removesuffix(".gz").removesuffix(".bz2")
    xr.open_dataset(shared_data / name, engine="mrc").mrc.to_mrc(tmp_path / plain)
    before, after = _raw(shared_data / name), (tmp_path / plain).read_bytes()
    assert before[1024:] == after[1024:]
    changed = {
        field
        for field, offset, code in builders.FIELDS
        if before[offset : offset + struct.calcsize(code)] != after[offset : offset + struct.calcsize(code)]
    }
    stated = {"cella", "m", "nversion"} if name == "fei_old_header.mrc" else set()  # its records state the pixel size
    assert changed <= OBLIGED | stated
    old, new = mrcarray.read_header(shared_data / name), mrcarray.read_header(tmp_path / plain)
    assert new.labels[: old.nlabl] == old.labels[: old.nlabl]
    assert new.text_labels[-1].startswith("Written by mrcarray")
    with mrcfile.open(tmp_path / plain) as found:
        assert new.rms == pytest.approx(found.data.astype("f8").std(), rel=1e-6)


@pytest.mark.data
@pytest.mark.parametrize("name", REAL)
@pytest.mark.filterwarnings("ignore::mrcarray.errors.MrcWarning")
def test_a_real_file_written_after_arithmetic_opens_as_the_same_array(
    tmp_path: Path, shared_data: Path, name: str
) -> None:
    first = xr.open_dataarray(shared_data / name, engine="mrc")
    changed = (first + first.dtype.type(0)).astype(first.dtype)
    changed.encoding.clear()
    plain = name.removesuffix(".gz").removesuffix(".bz2")
    found = back(changed, tmp_path / plain)
    assert found.mrc.same_grid(first)
    np.testing.assert_array_equal(found.values, first.values)
    movie = ("space_group",) if name == "de_movie.mrc" else ()  # its name makes it a stack, against its space group 1
    for key in {"space_group", "symmetry", "cell_angles", "cell_intervals"}.difference(movie):
        np.testing.assert_array_equal(found.attrs.get(key), first.attrs.get(key), err_msg=key)


def test_the_byte_order_of_the_file_is_kept_until_it_is_asked_to_change(tmp_path: Path) -> None:
    values = builders.sample((2, 3, 4), 1)
    (tmp_path / "a.mrc").write_bytes(
        builders.mrc_bytes(values, 1, ">", origin=(1.0, 2.0, 3.0), extra2=bytes(range(84)))
    )
    first = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc")
    first.mrc.to_mrc(tmp_path / "b.mrc")
    assert mrcarray.read_header(tmp_path / "b.mrc").byteorder == ">"
    assert (tmp_path / "b.mrc").read_bytes()[112:196] == bytes(range(84))
    same(back(first, tmp_path / "c.mrc", byteorder="<"), first.load())
    assert mrcarray.read_header(tmp_path / "c.mrc").byteorder == "<"


def test_labels_are_kept_and_when_all_ten_are_used_the_last_is_replaced(tmp_path: Path) -> None:
    labels = b"".join(f"label {i}".encode().ljust(80) for i in range(10))
    (tmp_path / "a.mrc").write_bytes(builders.mrc_bytes(builders.sample((2, 3, 4), 2), nlabl=10, labels=labels))
    first = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc")
    found = back(first, tmp_path / "b.mrc", label="filtered")
    assert found.attrs["labels"][:9] == [f"label {i}" for i in range(9)]
    assert found.attrs["labels"][9].startswith("filtered")
    assert len(back(first, tmp_path / "b.mrc", label="").attrs["labels"]) == 10
    first.attrs["labels"] = ["mine"]
    assert back(first, tmp_path / "b.mrc").attrs["labels"][0] == "mine"
    first.attrs["labels"] = ["x" * 81]
    with pytest.raises(MrcValueError, match="81 bytes"):
        first.mrc.to_mrc(tmp_path / "c.mrc")


def test_the_version_is_kept_raised_for_new_modes_and_given(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_bytes(builders.mrc_bytes(builders.sample((2, 3, 4), 2), nversion=20140))
    first = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc")
    assert back(first, tmp_path / "b.mrc").attrs["nversion"] == 20140
    assert back(first, tmp_path / "b.mrc", dtype="f2").attrs["nversion"] == 20141
    assert back(first, tmp_path / "b.mrc", nversion=20141).attrs["nversion"] == 20141


@pytest.mark.parametrize("nversion", [0, 20140])
def test_a_file_whose_pixels_changed_declares_the_current_version(tmp_path: Path, nversion: int) -> None:
    raw = builders.mrc_bytes(builders.sample((2, 3, 4), 2), nversion=nversion)
    (tmp_path / "a.mrc").write_bytes(raw)
    first = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc")
    changed = (first * 2, first.isel(x=slice(0, 3)), first.isel(x=slice(1, 3)), first.transpose("x", "z", "y"))
    for array in (*changed, first.round().clip(-9, 9).astype("i2")):
        array.mrc.to_mrc(tmp_path / "b.mrc", overwrite=True)
        assert mrcarray.read_header(tmp_path / "b.mrc").nversion == 20141
        assert validation.validate(tmp_path / "b.mrc").ok
    first.mrc.to_mrc(tmp_path / "b.mrc", overwrite=True)
    assert mrcarray.read_header(tmp_path / "b.mrc").nversion == nversion


CRYSTAL: dict[str, Any] = {
    "ispg": 4,
    "m": (40, 12, 72),
    "cella": (18.0, 4.8, 36.0),
    "cellb": (90.0, 94.0, 90.0),
    "mapcrs": (3, 1, 2),
    "nstart": (0, -4, -2),
    "exttyp": b"CCP4",
}
SYMMETRY = b"X,  Y,  Z".ljust(80) + b"-X,  Y+1/2,  -Z".ljust(80)


def crystal(path: Path) -> xr.DataArray:
    path.write_bytes(builders.mrc_bytes(builders.sample((5, 8, 10), 2), extended=SYMMETRY, **CRYSTAL))
    return xr.open_dataarray(path, engine="mrc")


def test_a_part_of_a_crystal_keeps_cell_space_group_and_symmetry(tmp_path: Path) -> None:
    part = crystal(tmp_path / "a.map").isel(x=slice(2, None), z=slice(1, 7))
    for array in (part, part * 2):
        array.mrc.to_mrc(tmp_path / "b.map", overwrite=True)
        header = mrcarray.read_header(tmp_path / "b.map")
        assert (header.m, header.cellb, header.ispg, header.mapcrs) == ((40, 12, 72), (90, 94, 90), 4, (3, 1, 2))
        assert header.cella == pytest.approx((18, 4.8, 36))
        assert (header.nstart, header.origin) == ((1, -2, -2), (0, 0, 0))
        assert (tmp_path / "b.map").read_bytes()[1024:1184] == SYMMETRY


def test_a_coarser_crystal_has_fewer_intervals_in_the_same_cell(tmp_path: Path) -> None:
    coarse = crystal(tmp_path / "a.map").isel(x=slice(0, None, 2), z=slice(0, None, 2))
    coarse.mrc.to_mrc(tmp_path / "b.map")
    header = mrcarray.read_header(tmp_path / "b.map")
    assert header.m == (20, 12, 36)
    assert header.nstart[1] == -2


@ROUNDED
def test_a_cell_that_the_voxels_do_not_divide_any_more_becomes_the_box_with_a_warning(tmp_path: Path) -> None:
    array = crystal(tmp_path / "a.map").isel(x=slice(0, None, 3))
    with pytest.warns(MrcWarning, match="unit cell"):
        found = back(array, tmp_path / "b.map")
    same(found, array.load())


def test_a_place_given_by_nstart_that_is_no_whole_voxel_goes_to_the_origin_and_is_rounded(tmp_path: Path) -> None:
    array = crystal(tmp_path / "a.map")
    moved = array.assign_coords(y=array.y + 0.1)
    with pytest.warns(MrcWarning, match=r"0\.1 Å along y off"):
        moved.mrc.to_mrc(tmp_path / "b.map")
    header = mrcarray.read_header(tmp_path / "b.map")
    assert header.origin[1] == pytest.approx(float(moved.y[0]))
    assert header.nstart == mrcarray.read_header(tmp_path / "a.map").nstart


def test_the_sign_of_an_old_imod_origin_is_that_of_the_standard_when_the_grid_is_new(tmp_path: Path) -> None:
    extra2 = bytearray(84)
    struct.pack_into("<ii", extra2, 40, 1146047817, 1)
    raw = builders.mrc_bytes(
        builders.sample((2, 3, 4), 2), nversion=0, extra2=bytes(extra2), origin=(-20.0, -30.0, -40.0)
    )
    (tmp_path / "a.mrc").write_bytes(raw)
    first = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc")
    assert first.mrc.origin == (20.0, 30.0, 40.0)
    moved = first.isel(x=slice(1, None))
    same(back(moved, tmp_path / "b.mrc"), moved.load())
    header = mrcarray.read_header(tmp_path / "b.mrc")
    assert (header.nversion, header.origin) == (20141, (22.0, 30.0, 40.0))
    assert back(first, tmp_path / "c.mrc").mrc.origin == (20.0, 30.0, 40.0)
    assert mrcarray.read_header(tmp_path / "c.mrc").origin == (-20.0, -30.0, -40.0)


def test_records_follow_their_sections(tmp_path: Path) -> None:
    tilts = [60, 0, -60, 30]
    extended = b"".join(struct.pack("<hh", 100 * tilt, i) for i, tilt in enumerate(tilts))
    extra2 = bytearray(84)
    struct.pack_into("<hh", extra2, 16, 4, 1 | 8)
    raw = builders.mrc_bytes(
        builders.sample((4, 3, 4), 1), 1, extended=extended, ispg=0, m=(4, 3, 1), exttyp=b"SERI", extra2=bytes(extra2)
    )
    (tmp_path / "a.mrc").write_bytes(raw)
    first = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc")
    found = back(first.isel(section=[2, 1, 0]), tmp_path / "b.mrc")
    assert found.tilt_angle.values.tolist() == [-60, 0, 60]
    assert mrcarray.read_header(tmp_path / "b.mrc").exttyp == b"SERI"
    found = back(first.isel(section=[2, 1, 0]) + np.int16(0), tmp_path / "c.mrc")
    assert found.tilt_angle.values.tolist() == [-60, 0, 60]


def test_an_unknown_extended_header_stays_with_the_whole_file_and_is_dropped_from_a_part_with_a_warning(
    tmp_path: Path,
) -> None:
    block = bytes(range(256))
    (tmp_path / "a.mrc").write_bytes(builders.mrc_bytes(builders.sample((2, 3, 4), 2), extended=block))
    first = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc")
    first.mrc.to_mrc(tmp_path / "b.mrc")
    assert (tmp_path / "b.mrc").read_bytes()[1024:1280] == block
    for array, order, text in (
        (first.isel(z=slice(1)), None, "cannot be selected with the sections"),
        (first, ">", "byte order cannot be changed"),
    ):
        with pytest.warns(MrcWarning, match=text):
            array.mrc.to_mrc(tmp_path / "c.mrc", overwrite=True, byteorder=order)
        assert mrcarray.read_header(tmp_path / "c.mrc").nsymbt == 0
        assert mrcarray.read_header(tmp_path / "c.mrc").exttyp == bytes(4)
    (tmp_path / "a.mrc").write_bytes(builders.mrc_bytes(builders.sample((2, 3, 4), 2), extended=block))
    loaded = xr.open_dataarray(tmp_path / "b.mrc", engine="mrc").load()
    (tmp_path / "b.mrc").unlink()
    with pytest.warns(MrcWarning, match="its file does not exist any more"):
        loaded.mrc.to_mrc(tmp_path / "c.mrc", overwrite=True)


@pytest.mark.parametrize("code", [0, 5, 7, 8, 17])
@pytest.mark.filterwarnings("ignore::mrcarray.errors.MrcWarning")
def test_historic_modes_are_kept_when_nothing_was_changed(tmp_path: Path, code: int) -> None:
    values = builders.sample((2, 3, 4), code)
    (tmp_path / "a.mrc").write_bytes(builders.mrc_bytes(values, code))
    found = back(xr.open_dataarray(tmp_path / "a.mrc", engine="mrc"), tmp_path / "b.mrc")
    assert found.encoding["mode"] == code
    np.testing.assert_array_equal(found.values, values)


def test_unsigned_bytes_stay_unsigned_bytes(tmp_path: Path) -> None:
    values = np.arange(24, dtype="u1").reshape(2, 3, 4) * 10
    raw = bytearray(builders.mrc_bytes(values.view("i1"), 0, dmin=0.0, dmax=230.0, dmean=115.0))
    (tmp_path / "a.mrc").write_bytes(raw)
    found = back(xr.open_dataarray(tmp_path / "a.mrc", engine="mrc"), tmp_path / "b.mrc")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found.values, values)


def of_imod(path: Path, mode: int, flags: int, **words: Any) -> xr.DataArray:
    """Return a file that carries IMOD's stamp, opened."""
    extra2 = bytearray(84)
    struct.pack_into("<ii", extra2, 40, 1146047817, flags)
    values = builders.sample((3, 4, 5), mode)
    path.write_bytes(builders.mrc_bytes(values, mode, extra2=bytes(extra2), **words))
    return xr.open_dataarray(path, engine="mrc").load()


@pytest.mark.parametrize("flags", [0, 1, 4, 16])
@pytest.mark.parametrize("mode", [None, 0])
def test_signed_bytes_stay_signed_whatever_the_file_before_held(tmp_path: Path, flags: int, mode: int | None) -> None:
    array = of_imod(tmp_path / "a.mrc", 0, flags)
    values = np.linspace(-118, 118, array.size).reshape(array.shape).astype("i1")
    found = back(array.copy(data=values.astype(array.dtype)).astype("i1"), tmp_path / "b.mrc", mode=mode)
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found.values, values)


@pytest.mark.parametrize("flags", [0, 1, 4])
@pytest.mark.parametrize("before", [0, 20140, 20141])
@pytest.mark.parametrize("after", [None, 0, 20140, 20141])
def test_the_place_is_kept_whatever_version_the_file_declares(
    tmp_path: Path, flags: int, before: int, after: int | None
) -> None:
    array = of_imod(tmp_path / "a.mrc", 2, flags, nversion=before, origin=(10.0, 20.0, 30.0))
    for moved in (array, array.isel(x=slice(2, None)), array * 2):
        assert back(moved, tmp_path / "b.mrc", nversion=after).mrc.origin == moved.mrc.origin


@ROUNDED
@pytest.mark.parametrize("start", [0.0, -32.0, 0.5])
@pytest.mark.parametrize("step", [1.07, 0.8317, 13.48, 0.560313, 2.0])
def test_a_map_less_a_part_written_of_it_keeps_every_voxel_of_the_part(
    tmp_path: Path, step: float, start: float
) -> None:
    whole = back(grid((4, 4, 64), step=step, start=start * step), tmp_path / "a.mrc")
    for begin in (3, 10, 30):
        part = whole.isel(x=slice(begin, begin + 24))
        found = back(part, tmp_path / "b.mrc")
        assert (whole - found).sizes["x"] == 24
        xr.testing.assert_identical(found.x, part.x)


@given(step=st.floats(0.1, 50), count=st.integers(-300, 300))
def test_maps_placed_by_words_of_either_kind_align(
    tmp_path_factory: pytest.TempPathFactory, step: float, count: int
) -> None:
    folder = tmp_path_factory.mktemp("placed")
    values = builders.sample((4, 4, 40), 2)
    cell: dict[str, Any] = {"cella": (40 * step, 4 * step, 4 * step), "m": (40, 4, 4)}
    found = []
    words: dict[str, Any]
    for name, words in (("nstart", {"nstart": (count, 0, 0)}), ("origin", {"origin": (count * step, 0.0, 0.0)})):
        (folder / name).write_bytes(builders.mrc_bytes(values, 2, **cell, **words))
        found.append(xr.open_dataarray(folder / name, engine="mrc").load())
    xr.testing.assert_identical(found[0].x, found[1].x)


def test_a_part_of_an_old_map_is_a_valid_new_one_and_the_whole_stays_old(tmp_path: Path) -> None:
    raw = builders.mrc_bytes(builders.sample((4, 6, 8), 2), 2, nversion=0, machst=b"DA\0\0", nstart=(-2, 0, 0))
    (tmp_path / "a.map").write_bytes(raw)
    array = xr.open_dataarray(tmp_path / "a.map", engine="mrc")
    back(array.isel(x=slice(1, None)), tmp_path / "b.map")
    assert mrcfile.validate(tmp_path / "b.map")
    assert validation.validate(tmp_path / "b.map").ok
    back(array, tmp_path / "c.map")
    assert mrcarray.read_header(tmp_path / "c.map").nversion == 0


@ROUNDED
def test_an_array_opened_with_pixel_numbers_is_written_with_its_voxel_size(tmp_path: Path) -> None:
    back(grid(start=11.0, step=2.0), tmp_path / "a.mrc")
    places = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc").load()
    counted = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc", coords="pixel").load()
    assert counted.x.attrs["units"] == "pixel"
    same(back(counted, tmp_path / "b.mrc"), places)
    same(back(counted.isel(x=slice(2, 8, 2)), tmp_path / "b.mrc"), places.isel(x=slice(2, 8, 2)))


@pytest.mark.parametrize("label", [b"pixel 1.2 \xc5", "café".encode()])
def test_a_label_of_another_alphabet_is_written_as_it_was_read(tmp_path: Path, label: bytes) -> None:
    raw = builders.mrc_bytes(builders.sample((2, 3, 4), 2), 2, nlabl=1, labels=label.ljust(80))
    (tmp_path / "a.mrc").write_bytes(raw)
    back(xr.open_dataarray(tmp_path / "a.mrc", engine="mrc") * 2, tmp_path / "b.mrc")
    assert mrcarray.read_header(tmp_path / "b.mrc").labels[0].rstrip(b" \0") == label


@pytest.mark.parametrize("name", ["space_group", "nversion", "imod_flags", "cell_angles", "cell_lengths"])
def test_an_attribute_that_is_no_number_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(MrcValueError, match=rf"attrs\['{name}'\] is 'P1'; expected"):
        grid().assign_attrs({name: "P1"}).mrc.to_mrc(tmp_path / "a.mrc")


def test_signed_bytes_asked_for_are_signed_or_refused(tmp_path: Path) -> None:
    array = of_imod(tmp_path / "a.mrc", 0, 0)
    with pytest.raises(MrcValueError, match="does not fit mode 0"):
        array.copy(data=np.full(array.shape, 200, "u1")).mrc.to_mrc(tmp_path / "b.mrc", dtype="int8")
    found = back(array.copy(data=np.full(array.shape, 100, "u1")), tmp_path / "b.mrc", dtype="int8")
    assert found.dtype == np.int8


def test_bytes_of_two_pixels_become_the_mode_made_for_them(tmp_path: Path) -> None:
    extra2 = bytearray(84)
    struct.pack_into("<ii", extra2, 40, 1146047817, 16)
    raw = builders.mrc_bytes(builders.sample((3, 4, 5), 0), 0, extra2=bytes(extra2))
    (tmp_path / "a.mrc").write_bytes(raw)
    array = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc").load()
    assert array.shape == (3, 4, 10)
    found = back(array, tmp_path / "b.mrc")
    assert found.encoding["mode"] == 101
    np.testing.assert_array_equal(found.values, array.values)
    assert not mrcarray.read_header(tmp_path / "b.mrc").imod.half_bytes


def test_a_name_that_makes_a_volume_a_stack_is_said(tmp_path: Path) -> None:
    with pytest.warns(MrcWarning, match=r"b\.mrcs: .*read as image_stack, not volume; .*kind='volume'"):
        grid().mrc.to_mrc(tmp_path / "b.mrcs")
    stack = grid().rename(z="section").drop_vars("section")
    stack.mrc.to_mrc(tmp_path / "c.mrcs")
    assert xr.open_dataarray(tmp_path / "c.mrcs", engine="mrc").dims == ("section", "y", "x")


def test_bytes_that_are_unsigned_by_their_statistics_alone_stay_so_when_a_region_is_written(tmp_path: Path) -> None:
    values = np.arange(24, dtype="u1").reshape(2, 3, 4) * 10
    path = tmp_path / "a.mrc"
    path.write_bytes(builders.mrc_bytes(values.view("i1"), 0, dmin=0.0, dmax=230.0, dmean=115.0, rms=69.0))
    mrcarray.to_mrc(values[0], path, region={"z": 0})
    header = mrcarray.read_header(path)
    assert header.dmean < header.dmin
    assert header.rms < 0
    np.testing.assert_array_equal(mrcarray.open_array(path)[:], values)
    mrcarray.finalize(path)
    assert mrcarray.read_header(path).dmax == 230
    np.testing.assert_array_equal(mrcarray.open_array(path)[:], values)


def test_complex_pixels_are_placed_by_whole_voxels(tmp_path: Path) -> None:
    array = grid().astype("c8").assign_attrs(origin=np.array([5.0, 6.0, 0.0]))
    array.mrc.to_mrc(tmp_path / "a.mrc")
    header = mrcarray.read_header(tmp_path / "a.mrc")
    assert (header.nstart, header.origin) == ((5, 5, 5), (5, 6, 0))
    with pytest.warns(MrcWarning, match="whole voxels"):
        array.assign_coords(x=array.x + 0.5).mrc.to_mrc(tmp_path / "b.mrc")


def test_encoding_is_pure_and_leaves_the_array_alone() -> None:
    array = grid()
    before = array.copy(deep=True)
    found = encode(array, WriteOptions())
    assert isinstance(found.plan.header, Header)
    xr.testing.assert_identical(array, before)


def test_a_dataset_is_written_by_its_variable_data(tmp_path: Path) -> None:
    grid().to_dataset(name="data").mrc.to_mrc(tmp_path / "a.mrc")
    assert mrcarray.open_array(tmp_path / "a.mrc").shape == (6, 8, 10)
    with pytest.raises(MrcValueError, match="no variable 'data'"):
        grid().to_dataset(name="other").mrc.to_mrc(tmp_path / "b.mrc")


def test_a_lazy_array_overwrites_its_own_file(tmp_path: Path) -> None:
    first = back(grid(), tmp_path / "a.mrc")
    lazy = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc").isel(z=slice(1, None))
    lazy.mrc.to_mrc(tmp_path / "a.mrc", overwrite=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(xr.open_dataarray(tmp_path / "a.mrc", engine="mrc").load(), first.isel(z=slice(1, None)))


def test_arrays_are_told_apart_without_xarray_and_dask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(6, dtype="i2").reshape(2, 3)
    for name in ("xarray", "dask"):
        monkeypatch.delitem(sys.modules, name)
    path = mrcarray.to_mrc(values, tmp_path / "a.mrc")
    with mrcfile.open(path) as mrc:
        np.testing.assert_array_equal(mrc.data, values)


def test_a_voxel_size_that_nobody_gave_is_a_guess_that_is_said(tmp_path: Path) -> None:
    slabs = xr.DataArray(np.zeros((3, 4, 5), "f4"), {"y": np.arange(4) * 1.5, "x": np.arange(5) * 1.5}, ("z", "y", "x"))
    with pytest.warns(MrcWarning, match=r"no coordinate z; its voxel size is taken from y: 1\.5 Å; pass voxel_size="):
        slabs.mrc.to_mrc(tmp_path / "a.mrc")
    with mrcfile.open(slabs.mrc.to_mrc(tmp_path / "b.mrc", voxel_size=(1.5, 1.5, 20))) as mrc:
        assert mrc.voxel_size.tolist() == (1.5, 1.5, 20)
    slabs[0].mrc.to_mrc(tmp_path / "c.mrc")


@pytest.mark.parametrize("computed", [False, True])
def test_volumes_of_a_stack_are_cut_whatever_their_cell(tmp_path: Path, computed: bool) -> None:
    values = builders.sample((2, 4, 3, 5), 2)
    path = tmp_path / "vs.mrc"
    path.write_bytes(builders.mrc_bytes(values, 2, m=(10, 3, 4), cella=(20.0, 6.0, 8.0)))
    part = xr.open_dataarray(path).isel(z=slice(1, 3))
    again = xr.open_dataarray((part * 2 if computed else part).mrc.to_mrc(tmp_path / "cut.mrc"))
    assert mrcarray.read_header(tmp_path / "cut.mrc").m == (10, 3, 2)
    xr.testing.assert_equal(again, part * 2 if computed else part)


def test_a_cell_that_is_no_number_is_none(tmp_path: Path) -> None:
    array = xr.DataArray(np.zeros((3, 4), "f4"), {"x": np.arange(4) * 2.0}, ("y", "x"))
    array.attrs["cell_lengths"] = [np.nan, np.inf, 1.0]
    path = array.mrc.to_mrc(tmp_path / "a.mrc", voxel_size=2)
    assert mrcarray.read_header(path).cella[:2] == (8, 6)


@pytest.mark.parametrize(
    "thinned",
    [lambda a: a.isel(x=slice(None, None, 9)), lambda a: a.isel(x=slice(2)), lambda a: a.isel(x=slice(1, 3))],
)
def test_open_coordinates_of_padded_voxels_are_refused_with_what_to_type(tmp_path: Path, thinned: Any) -> None:
    array = thinned(grid().pad(x=(2, 3), constant_values=0))
    typed = re.escape(f".assign_coords(x=start + step * np.arange({array.x.size}))")
    with pytest.raises(MrcValueError, match=rf"x is nan at index 0; .* before \.pad\(\), .* {typed}"):
        array.mrc.to_mrc(tmp_path / "a.mrc")
    array.assign_coords(x=6 + 2 * np.arange(array.x.size)).mrc.to_mrc(tmp_path / "a.mrc")
    assert xr.open_dataarray(tmp_path / "a.mrc", engine="mrc").mrc.origin[0] == 6


@pytest.mark.filterwarnings("ignore:.*undoes a flip:mrcarray.errors.MrcWarning")
@pytest.mark.parametrize("step", [2.0, -2.0])
def test_padded_voxels_lie_on_the_grid_of_the_others(tmp_path: Path, step: float) -> None:
    array = xr.DataArray(np.ones((3, 4), "f4"), {"y": np.arange(3) * 2.0, "x": 10 + np.arange(4) * step}, ("y", "x"))
    array.x.attrs["units"] = "angstrom"
    padded = array.pad(x=(2, 1), constant_values=0)
    again = xr.open_dataarray(padded.mrc.to_mrc(tmp_path / "a.mrc"))
    first, last = sorted((10 - 2 * step, 10 + 4 * step))
    np.testing.assert_array_equal(again.x, np.arange(first, last + 1, 2))
    np.testing.assert_array_equal(again.sel(x=array.x[::-1] if step < 0 else array.x), array)
    assert padded.mrc.voxel_size[0] == step


@pytest.mark.parametrize(
    ("attrs", "text"),
    [
        ({"symmetry": "X,Y,Z"}, r"attrs\['symmetry'\] is 'X,Y,Z'; expected bytes"),
        ({"symmetry": [300]}, r"attrs\['symmetry'\] is \[300\]; expected bytes"),
        ({"imod_flags": 2**40}, r"attrs\['imod_flags'\] .* of 32 bits"),
        ({"imod_flags": 1, "imod_type": 2**20}, r"attrs\['imod_type'\] .* of 16 bits"),
        ({"labels": None}, r"attrs\['labels'\] is None; expected text"),
        ({"labels": ["a", 3]}, r"attrs\['labels'\] .*; expected text"),
    ],
)
def test_an_attribute_that_no_header_can_say_is_named(tmp_path: Path, attrs: dict[str, Any], text: str) -> None:
    with pytest.raises(MrcValueError, match=text):
        grid().assign_attrs(attrs).mrc.to_mrc(tmp_path / "a.mrc")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"voxel_size": "2 A"}, "voxel_size is '2 A'"),
        ({"voxel_size": {"x": 1}}, "voxel_size is {'x': 1}"),
        ({"voxel_size": (1, 2)}, r"voxel_size is \(1, 2\)"),
        ({"voxel_size": [[1, 2, 3]]}, "voxel_size is"),
        ({"nversion": 3.7}, "nversion is 3.7"),
        ({"nversion": "new"}, "nversion is 'new'"),
        ({"label": 3}, "label is 3"),
    ],
)
def test_an_option_that_means_nothing_is_named(tmp_path: Path, options: Any, text: str, labelled: bool) -> None:
    with pytest.raises(MrcValueError, match=text):
        mrcarray.to_mrc(grid() if labelled else grid().values, tmp_path / "a.mrc", **options)
    assert not list(tmp_path.iterdir())
