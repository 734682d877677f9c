"""Labelled arrays are written with their present grid, kind and units, or refused."""

from __future__ import annotations

import itertools
import re
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
from mrcarray.errors import MrcValueError, MrcWarning
from mrcarray.format.header import Header
from mrcarray.format.units import LENGTHS
from mrcarray.xarray_backend.coordinates import axis_of, factor_of
from mrcarray.xarray_backend.encode import encode
from mrcarray.xarray_backend.write_options import WriteOptions
from tests import builders

if TYPE_CHECKING:
    from pathlib import Path

ROUNDED = pytest.mark.filterwarnings("ignore:.*words 5-7 .nstart. are rounded:mrcarray.errors.MrcWarning")
"""For arrays that do not begin a whole number of voxels from 0; test_placement.py is about these."""


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
def test_file_equals_array_after_any_operation(tmp_path: Path, name: str) -> None:
    first = back(grid(), tmp_path / "a.mrc")
    changed = OPERATIONS[name](first)
    if "x" in changed.coords and "units" not in changed.x.attrs:
        changed.x.attrs["units"] = "angstrom"
    same(back(changed, tmp_path / "b.mrc"), changed)


@pytest.mark.parametrize("order", list(itertools.permutations(("volume", "z", "y", "x"))), ids="-".join)
def test_volume_stack_keeps_axes_by_name(tmp_path: Path, order: tuple[str, ...]) -> None:
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
def test_any_axis_order_and_part_reads_back(tmp_path: Path, order: list[str], data: st.DataObject) -> None:
    array = grid().transpose(*order)
    for dim in order:
        n = array.sizes[dim]
        start = data.draw(st.integers(0, n - 2))
        stop, step = data.draw(st.integers(start + 2, n)), data.draw(st.integers(1, 3))
        if stop - start > step:
            array = array.isel({dim: slice(start, stop, step)})
    same(back(array, tmp_path / "a.mrc"), array)


def test_falling_axes_are_reversed_with_warning_each(tmp_path: Path) -> None:
    array = grid()
    with pytest.warns(MrcWarning) as said:
        found = back(array.isel(z=slice(None, None, -1), x=slice(None, None, -2)), tmp_path / "a.mrc")
    same(found, array.isel(x=slice(1, None, 2)))
    texts = sorted(str(one.message) for one in said)
    assert ["coordinate x falls" in texts[0], "coordinate z falls" in texts[1], len(texts)] == [True, True, 2]


def test_image_keeps_position_of_its_section(tmp_path: Path) -> None:
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


def test_every_spelling_of_unit_is_known_in_any_case() -> None:
    assert all(factor_of(name.upper()) == factor for name, factor in LENGTHS.items() if name.isascii())
    assert factor_of("\u212b") == factor_of("\u00c5") == 1.0
    assert factor_of("voxel") is None
    with pytest.raises(MrcValueError, match="'s' is not a unit of length"):
        factor_of("s")


def test_coords_without_unit_are_angstrom() -> None:
    array = xr.DataArray(np.zeros((2, 3)), dims=("y", "x"), coords={"x": [0.0, 1.5, 3.0]})
    assert axis_of(array, "x").step == 1.5


def test_uneven_coords_are_refused(tmp_path: Path) -> None:
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
def test_unsupported_arrays_are_refused(tmp_path: Path, change: Any, text: str) -> None:
    with pytest.raises(MrcValueError, match=text):
        change(grid()).mrc.to_mrc(tmp_path / "a.mrc")
    assert not list(tmp_path.iterdir())


def test_pixel_coords_keep_position_without_voxel_size(tmp_path: Path) -> None:
    array = grid(start=-3.0, step=1.0)
    for dim in array.dims:
        array[dim].attrs["units"] = "pixel"
    array.mrc.to_mrc(tmp_path / "a.mrc")
    header = mrcarray.read_header(tmp_path / "a.mrc")
    assert (header.cella, header.nstart) == ((0, 0, 0), (-3, -3, -3))
    array.mrc.to_mrc(tmp_path / "b.mrc", voxel_size=1.5)
    assert mrcarray.read_header(tmp_path / "b.mrc").nstart == (-3, -3, -3)
    assert xr.open_dataarray(tmp_path / "b.mrc").mrc.origin == (-4.5, -4.5, -4.5)


def test_voxel_size_given_by_caller_counts(tmp_path: Path) -> None:
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
def test_kind_follows_dims_or_axis_positions(
    tmp_path: Path, dims: tuple[str, ...], kind: str | None, expected: str
) -> None:
    sizes = (2, 3, 4, 5)[: len(dims)]
    array = xr.DataArray(np.arange(np.prod(sizes), dtype="i2").reshape(sizes), dims=dims)
    path = array.mrc.to_mrc(tmp_path / "a.mrc", kind=kind)
    found = mrcarray.open_array(path)
    assert found.layout.kind == expected
    assert sorted(found.shape) == sorted(sizes) if expected != "volume" or len(dims) > 2 else True


def test_kind_that_contradicts_dims_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MrcValueError, match="those of a volume"):
        grid().mrc.to_mrc(tmp_path / "a.mrc", kind="image")
    with pytest.raises(MrcValueError, match="expected one of"):
        grid().mrc.to_mrc(tmp_path / "a.mrc", kind="cube")


def test_suffix_makes_stack_of_array_without_names(tmp_path: Path) -> None:
    array = xr.DataArray(np.zeros((2, 3, 4), "i2"))
    array.mrc.to_mrc(tmp_path / "a.mrcs")
    assert mrcarray.read_header(tmp_path / "a.mrcs").ispg == 0


def test_colours_are_last_axis_of_mode_16(tmp_path: Path) -> None:
    values = np.arange(2 * 3 * 4 * 3, dtype="u1").reshape(2, 3, 4, 3)
    array = xr.DataArray(values, dims=("section", "y", "x", "rgb")).transpose("rgb", "section", "y", "x")
    path = array.mrc.to_mrc(tmp_path / "a.mrc", voxel_size=2.0)
    found = xr.open_dataarray(path, engine="mrc")
    np.testing.assert_array_equal(found.transpose("section", "y", "x", "rgb").values, values)
    assert mrcarray.read_header(path).nversion == 0


def test_encoding_is_pure_and_leaves_array_alone() -> None:
    array = grid()
    before = array.copy(deep=True)
    found = encode(array, WriteOptions())
    assert isinstance(found.plan.header, Header)
    xr.testing.assert_identical(array, before)


def test_dataset_is_written_by_its_variable_data(tmp_path: Path) -> None:
    grid().to_dataset(name="data").mrc.to_mrc(tmp_path / "a.mrc")
    assert mrcarray.open_array(tmp_path / "a.mrc").shape == (6, 8, 10)
    with pytest.raises(MrcValueError, match="no variable 'data'"):
        grid().to_dataset(name="other").mrc.to_mrc(tmp_path / "b.mrc")


def test_lazy_array_overwrites_its_own_file(tmp_path: Path) -> None:
    first = back(grid(), tmp_path / "a.mrc")
    lazy = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc").isel(z=slice(1, None))
    lazy.mrc.to_mrc(tmp_path / "a.mrc", overwrite=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(xr.open_dataarray(tmp_path / "a.mrc", engine="mrc").load(), first.isel(z=slice(1, None)))


def test_plain_array_is_written_without_xarray_and_dask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(6, dtype="i2").reshape(2, 3)
    for name in ("xarray", "dask"):
        monkeypatch.delitem(sys.modules, name)
    path = mrcarray.to_mrc(values, tmp_path / "a.mrc")
    with mrcfile.open(path) as mrc:
        np.testing.assert_array_equal(mrc.data, values)


def test_guessed_voxel_size_warns(tmp_path: Path) -> None:
    slabs = xr.DataArray(np.zeros((3, 4, 5), "f4"), {"y": np.arange(4) * 1.5, "x": np.arange(5) * 1.5}, ("z", "y", "x"))
    with pytest.warns(MrcWarning, match=r"no coordinate z; its voxel size is taken from y: 1\.5 Å; pass voxel_size="):
        slabs.mrc.to_mrc(tmp_path / "a.mrc")
    with mrcfile.open(slabs.mrc.to_mrc(tmp_path / "b.mrc", voxel_size=(1.5, 1.5, 20))) as mrc:
        assert mrc.voxel_size.tolist() == (1.5, 1.5, 20)
    slabs[0].mrc.to_mrc(tmp_path / "c.mrc")


@pytest.mark.parametrize("computed", [False, True])
def test_volumes_of_stack_are_cut_whatever_their_cell(tmp_path: Path, computed: bool) -> None:
    values = builders.sample((2, 4, 3, 5), 2)
    path = tmp_path / "vs.mrc"
    path.write_bytes(builders.mrc_bytes(values, 2, m=(10, 3, 4), cella=(20.0, 6.0, 8.0)))
    part = xr.open_dataarray(path).isel(z=slice(1, 3))
    again = xr.open_dataarray((part * 2 if computed else part).mrc.to_mrc(tmp_path / "cut.mrc"))
    assert mrcarray.read_header(tmp_path / "cut.mrc").m == (10, 3, 2)
    xr.testing.assert_equal(again, part * 2 if computed else part)


def test_cell_that_is_no_number_is_none(tmp_path: Path) -> None:
    array = xr.DataArray(np.zeros((3, 4), "f4"), {"x": np.arange(4) * 2.0}, ("y", "x"))
    array.attrs["cell_lengths"] = [np.nan, np.inf, 1.0]
    path = array.mrc.to_mrc(tmp_path / "a.mrc", voxel_size=2)
    assert mrcarray.read_header(path).cella[:2] == (8, 6)


@pytest.mark.parametrize(
    "thinned",
    [lambda a: a.isel(x=slice(None, None, 9)), lambda a: a.isel(x=slice(2)), lambda a: a.isel(x=slice(1, 3))],
)
def test_missing_coordinates_of_padding_are_refused_with_hint(tmp_path: Path, thinned: Any) -> None:
    array = thinned(grid().pad(x=(2, 3), constant_values=0))
    typed = re.escape(f".assign_coords(x=start + step * np.arange({array.x.size}))")
    with pytest.raises(MrcValueError, match=rf"x is nan at index 0; .* before \.pad\(\), .* {typed}"):
        array.mrc.to_mrc(tmp_path / "a.mrc")
    array.assign_coords(x=6 + 2 * np.arange(array.x.size)).mrc.to_mrc(tmp_path / "a.mrc")
    assert xr.open_dataarray(tmp_path / "a.mrc", engine="mrc").mrc.origin[0] == 6


@pytest.mark.filterwarnings("ignore:.*undoes a flip:mrcarray.errors.MrcWarning")
@pytest.mark.parametrize("step", [2.0, -2.0])
def test_padded_coordinates_continue_grid(tmp_path: Path, step: float) -> None:
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
        ({"symmetry": "X" * 81}, r"attrs\['symmetry'\] has the line 'X+'; expected at most 80"),
        ({"symmetry": "X,Y,ζ"}, r"attrs\['symmetry'\] has the line .* ASCII"),
        ({"symmetry": 1.5}, r"attrs\['symmetry'\] is 1.5; expected text"),
        ({"symmetry": [300]}, r"attrs\['symmetry'\] is \[300\]; expected one operator a line"),
        ({"space_group": 2**40}, r"attrs\['space_group'\] is 1099511627776; expected a whole number"),
        ({"labels": None}, r"attrs\['labels'\] is None; expected text"),
        ({"labels": ["a", 3]}, r"attrs\['labels'\] .*; expected text"),
    ],
)
def test_unstorable_attribute_is_refused_by_name(tmp_path: Path, attrs: dict[str, Any], text: str) -> None:
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
def test_invalid_option_is_refused_by_name(tmp_path: Path, options: Any, text: str, labelled: bool) -> None:
    with pytest.raises(MrcValueError, match=text):
        mrcarray.to_mrc(grid() if labelled else grid().values, tmp_path / "a.mrc", **options)
    assert not list(tmp_path.iterdir())
