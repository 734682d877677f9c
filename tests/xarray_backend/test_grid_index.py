"""The index of x, y and z: grids that do not match are refused, and all else is as with xarray's own index."""

from __future__ import annotations

import pickle
import re
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from dask.base import compute, tokenize
from hypothesis import given
from hypothesis import strategies as st
from xarray.tests import test_indexes as xarray_index_tests

from mrcarray.errors import MrcError, MrcValueError
from mrcarray.xarray_backend.indexes import GridIndex
from tests.builders import mrc_bytes, sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

SHAPE = (6, 8, 10)
MISMATCH = "the grids do not match along"


def grid(
    shape: tuple[int, int, int] = SHAPE,
    step: float = 1.0,
    start: tuple[float, float, float] = (0, 0, 0),
    *,
    ours: bool = True,
    chunked: bool = False,
) -> xr.DataArray:
    """Return a volume with ascending values, under our index or xarray's own."""
    data: Any = np.arange(np.prod(shape), dtype="f4").reshape(shape)
    data = da.from_array(data, chunks=(2, -1, -1)) if chunked else data
    coords = {
        dim: xr.Variable((dim,), first + step * np.arange(count), {"units": "angstrom"})
        for dim, count, first in zip("zyx", shape, start, strict=True)
    }
    indexes = {dim: GridIndex.from_variables({dim: one}, options={}) for dim, one in coords.items()}
    return xr.DataArray(data, xr.Coordinates(coords, indexes) if ours else coords, list("zyx"), "data")


def line(labels: NDArray[Any]) -> xr.DataArray:
    """Return a line of voxels with labels, under our index."""
    array = xr.DataArray(np.arange(1.0, len(labels) + 1), {"x": labels}, ["x"])
    return array.drop_indexes("x").set_xindex("x", GridIndex)


def plain(*args: Any, **options: Any) -> xr.DataArray:
    """Return such a volume under xarray's own index."""
    return grid(*args, ours=False, **options)


def made(letters: str, **options: list[Any]) -> list[xr.DataArray]:
    """Return a volume for each letter, g under our index and p under xarray's, with the options of its place."""
    rows = [dict(zip(options, values, strict=True)) for values in zip(*options.values(), strict=True)]
    return [grid(ours=letter == "g", **row) for letter, row in zip(letters, rows, strict=True)]


def index_types(array: Any) -> set[str]:
    """Return the names of the types of an array's indexes."""
    return {type(index).__name__ for index in array.xindexes.values()}


def opened(path: Path, shape: tuple[int, int, int], voxel: float) -> xr.DataArray:
    """Write a volume and open it."""
    cell = tuple(voxel * count for count in reversed(shape))
    path.write_bytes(mrc_bytes(sample(shape, 2), 2, cella=cell))
    return xr.open_dataarray(path, engine="mrc")


JOINING: dict[str, Callable[[xr.DataArray, xr.DataArray], Any]] = {
    "product": lambda a, b: a * b,
    "comparison": lambda a, b: a > b,
    "align": lambda a, b: xr.align(a, b, join="inner"),
    "dot": xr.dot,
    "merge": lambda a, b: xr.merge([a.rename("p"), b.rename("q")], join="inner"),
    "where": lambda a, b: a.where(b > 3),
    "corr": xr.corr,
    "datasets": lambda a, b: a.to_dataset(name="q") + b.to_dataset(name="q"),
    "apply_ufunc": lambda a, b: xr.apply_ufunc(np.add, a, b, join="inner"),
    "concat": lambda a, b: xr.concat([a, b], "t", join="inner"),
}
OTHER_GRIDS: dict[str, dict[str, Any]] = {
    "coarser": {"step": 7.84},
    "twice as coarse": {"step": 2.0},
    "slightly coarser": {"step": 1.0002},
    "half a voxel along y": {"start": (0, 0.5, 0)},
    "part of a voxel along x": {"start": (0, 0, 0.3)},
}


class TestMismatch:
    @pytest.mark.parametrize("other", OTHER_GRIDS)
    @pytest.mark.parametrize("name", JOINING)
    @pytest.mark.parametrize("second", [True, False], ids=["ours", "plain"])
    def test_another_grid_is_refused(self, name: str, other: str, second: bool) -> None:
        with pytest.raises(MrcValueError, match=MISMATCH):
            JOINING[name](grid(), grid(ours=second, **OTHER_GRIDS[other]))

    def test_of_opened_files_too(self, tmp_path: Path) -> None:
        tomo = opened(tmp_path / "tomo.mrc", (40, 40, 40), 7.84)
        mask = opened(tmp_path / "mask.mrc", (40, 40, 40), 1.0)
        for first, second in ((tomo, mask), (mask, tomo), (tomo.chunk(), mask)):
            with pytest.raises(MrcError, match=MISMATCH):
                first * second

    def test_error_names_both_grids_and_hint(self) -> None:
        with pytest.raises(MrcValueError, match=MISMATCH) as caught:
            grid() * grid(step=7.84)
        for part in (
            "along z: 6 voxels of 1 from 0, and 6 voxels of 7.84 from 0; their spacings differ",
            "a.mrc.same_grid(b)",
            "a.mrc.align(b)",
            "b.interp_like(a)",
            "xr.align(a, b, join='override')",
        ):
            assert part in str(caught.value)

    def test_error_states_grid_distance(self) -> None:
        text = "along x: 10 voxels of 2 from 0, and 10 voxels of 2 from 5; they are 2.5 voxels apart"
        with pytest.raises(MrcValueError, match=re.escape(text)):
            grid(step=2.0) * grid(step=2.0, start=(0, 0, 5))

    def test_in_place_join_is_refused(self) -> None:
        array = grid()
        with pytest.raises((MrcValueError, xr.MergeError)):
            array *= grid(step=2.0)

    def test_every_second_voxel_is_another_grid(self) -> None:
        with pytest.raises(MrcValueError, match="spacings differ"):
            grid() * grid().isel(z=slice(None, None, 2))

    def test_pixels_are_not_angstrom(self, tmp_path: Path) -> None:
        tomo = opened(tmp_path / "tomo.mrc", SHAPE, 2.5)
        with pytest.raises(MrcValueError, match=MISMATCH):
            tomo * xr.open_dataarray(tmp_path / "tomo.mrc", coords="pixel")

    def test_lone_voxel_off_grid_is_refused(self) -> None:
        array = grid()
        with pytest.raises(MrcValueError, match=r"1 voxel at 3\.5"):
            array * array.isel(z=[3]).assign_coords(z=[3.5])

    def test_spacings_that_add_up_to_fifth_of_voxel_differ(self) -> None:
        long = (4096, 1, 1)
        assert (grid(long) * grid(long, step=1.00002)).sizes["z"] == 4096
        with pytest.raises(MrcValueError, match="spacings differ"):
            grid(long) * grid(long, step=1.00009)

    @pytest.mark.parametrize("letters", ["gp", "gpp", "ggp", "gpg"])
    def test_rounding_against_index_of_xarray_is_refused_and_never_nan(self, letters: str) -> None:
        arrays = made(letters, step=[1.35 * (1 + i * 3e-6) for i in range(len(letters))])
        with pytest.raises(MrcValueError, match=r"differ by rounding.*a\.mrc\.align\(b\)"):
            xr.align(*arrays)

    def test_third_one_that_does_not_match_is_refused(self) -> None:
        with pytest.raises(MrcValueError, match=MISMATCH):
            xr.align(grid(), grid(start=(1, 0, 0)), grid(step=3.0))

    def test_two_indexes_of_xarray_are_left_to_xarray(self) -> None:
        assert (plain() * plain(step=7.84)).shape == (1, 1, 1)
        assert (plain() * grid(step=7.84)).shape == (1, 1, 1)  # the page on the convention says so


class TestIntersection:
    @pytest.mark.parametrize("letters", ["gg", "gp", "pg"])
    def test_grids_some_voxels_apart_give_voxels_they_share(self, letters: str) -> None:
        a, b = made(letters, start=[(0, 0, 0), (2, -3, 4)])
        found = a * b
        assert found.shape == (4, 5, 6)
        np.testing.assert_array_equal(found, a.values[2:, :5, 4:] * b.values[:4, 3:, :6])

    @pytest.mark.parametrize("letters", ["gg", "ggg", "gp", "pg", "gpp", "pgp", "ppg", "ggp", "gpg", "pgg"])
    def test_so_do_many_in_any_order(self, letters: str) -> None:
        arrays = made(letters, start=[(i, 0, -i) for i in range(len(letters))])
        z, x = 7 - len(letters), 11 - len(letters)
        for i, (found, source) in enumerate(zip(xr.align(*arrays), arrays, strict=True)):
            assert found.shape == (z, 8, x)
            np.testing.assert_array_equal(found, source.values[len(letters) - 1 - i :][:z, :, i : i + x])

    def test_cut_of_volume_minus_volume_is_cut(self, tmp_path: Path) -> None:
        volume = opened(tmp_path / "a.mrc", (12, 10, 8), 1.1)
        cut = volume.isel(z=slice(3, 9), x=slice(2, 5))
        for found in (cut - volume, volume - cut):
            assert found.shape == cut.shape
            assert not found.any()
            assert index_types(found) == {"GridIndex"}

    def test_joined_index_can_be_copied_and_joined(self) -> None:
        joined = grid() * grid(start=(2, 0, 0.005))
        for again in (pickle.loads(pickle.dumps(joined)), joined.copy(deep=True)):
            assert index_types(again) == {"GridIndex"}
            assert (again * joined).equals(joined**2)

    def test_grids_without_voxel_in_common_give_empty_array(self) -> None:
        assert (grid() * grid(start=(100, 0, 0))).shape == (0, 8, 10)

    def test_labels_that_differ_by_rounding_match_and_those_of_first_are_kept(self) -> None:
        step = 1.35
        a = grid(step=step, start=(0, 0, 100))
        b = grid(step=step * (1 + 3e-6), start=(0, 1e-5, 100 + 2 * step))
        found = a * b
        np.testing.assert_array_equal(found, a.values[:, :, 2:] * b.values[:, :, :8])
        np.testing.assert_array_equal(found.x, a.x[2:])
        assert [one.shape for one in xr.align(*(grid(step=step * (1 + i * 3e-6)) for i in range(3)))] == [SHAPE] * 3

    def test_32_bit_words_of_far_origin_match(self) -> None:
        start = 5000.3
        a, b = grid(step=0.53, start=(0, 0, start)), grid(step=0.53, start=(0, 0, float(np.float32(start))))
        assert (a * b).shape == SHAPE
        for join in ("left", "right"):
            assert not np.isnan(xr.align(a, b, join=join)[1]).any()

    def test_cut_far_from_start_matches_as_whole_does(self) -> None:
        a, b = grid((4096, 1, 1)), grid((4096, 1, 1), step=1.00002)
        np.testing.assert_array_equal(a * b.isel(z=slice(4000, None)), a.values[4000:] * b.values[4000:])
        with pytest.raises(MrcValueError, match=r"4000\.3 voxels apart"):
            a * grid((96, 1, 1), start=(4000.3, 0, 0))

    def test_third_array_keeps_match_of_two(self) -> None:
        a, b = line(np.arange(10.0)), line(np.arange(10.0) + 0.005)
        for third in (a, a[3:4], a[[0, 1, 4]], a.roll(x=3, roll_coords=True), b[2:4]):
            for found in xr.align(a, b, third):
                assert found.notnull().all()
                assert found.sizes["x"] == third.sizes["x"]

    @given(step=st.floats(0.3, 20), start=st.floats(-5000, 5000), count=st.integers(2, 500), shift=st.integers(-3, 3))
    def test_grids_rounded_by_two_programs_match(self, step: float, start: float, count: int, shift: int) -> None:
        """One computes with 64 bits, the other stores the cell and the origin in 32."""
        cell, origin = float(np.float32(step * count)), float(np.float32(start + shift * step))
        steps = np.arange(count)
        a, b = line(start + step * steps), line(origin + cell / count * steps)
        first, second = (slice(max(side, 0), count + min(side, 0)) for side in (shift, -shift))
        np.testing.assert_array_equal(a * b, a.values[first] * b.values[second])

    @given(
        unlike=st.sampled_from([0, 1e-7, 3e-6, 1e-5, 4e-5, 9e-5]),
        off=st.sampled_from([0, 0.001, 0.009, 0.03, 0.1, 0.19, 0.4]),
        start=st.sampled_from([0, 100.3, 4000.7]),
        cuts=st.lists(st.integers(0, 2000), min_size=2, max_size=2, unique=True),
        dtype=st.sampled_from(["f8", "f4"]),
    )
    def test_no_join_fills_in_nan(self, unlike: float, off: float, start: float, cuts: list[int], dtype: str) -> None:
        """Whatever is not refused gives the voxels whose labels are within a quarter of a voxel of each other."""
        a = line(start + 1.1 * np.arange(2001.0))
        b = line((start + off * 1.1 + 1.1 * (1 + unlike) * np.arange(2001.0))[slice(*sorted(cuts))].astype(dtype))
        try:
            found = a * b
        except MrcValueError:
            return
        assert found.notnull().all()
        assert found.size == b.size
        np.testing.assert_allclose(xr.align(b, a)[0].x, b.x)
        np.testing.assert_array_equal(b * a, found)

    def test_flipped_array_matches_voxel_by_voxel(self) -> None:
        array = grid()
        np.testing.assert_array_equal(array * array.isel(z=slice(None, None, -1)), array.values**2)

    def test_lone_voxels_match_where_they_are(self) -> None:
        array = grid(step=1.1)
        assert (array * array.isel(z=[3])).sizes["z"] == 1
        assert (array.isel(z=[3]) * array.isel(z=[3])).sizes["z"] == 1
        assert (array.isel(z=[3]) * array.isel(z=[4])).sizes["z"] == 0
        rounded = grid((1, 8, 10), 1.1, (float(np.float32(3.3)), 0, 0))
        assert (array.isel(z=[3]) * rounded).sizes["z"] == 1

    def test_uneven_labels_match_by_equality(self) -> None:
        array = grid()
        for some in (array.isel(z=[0, 1, 4]), plain().isel(z=[0, 1, 4])):
            assert (array * some).sizes["z"] == 3
            assert (some * array).sizes["z"] == 3
        padded = array.pad(z=(0, 1))
        assert (padded * array).sizes["z"] == (array * padded).sizes["z"] == 6

    def test_array_without_coordinates_matches_by_length(self) -> None:
        assert (grid() * xr.DataArray(np.ones(SHAPE), dims=list("zyx"))).shape == SHAPE
        with pytest.raises(ValueError, match="conflicting dimension sizes"):
            grid() * xr.DataArray(np.ones((5, 8, 10)), dims=list("zyx"))


class TestOtherJoins:
    @pytest.mark.parametrize("join", ["outer", "left", "right", "override"])
    def test_they_are_as_with_index_of_xarray(self, join: Any) -> None:
        ours = xr.align(grid(), grid(step=2.0), join=join)
        theirs = xr.align(plain(), plain(step=2.0), join=join)
        for one, other in zip(ours, theirs, strict=True):
            xr.testing.assert_equal(one, other)

    @pytest.mark.parametrize("part", [slice(None), slice(3, 8), slice(5, 6)])
    def test_outer_join_has_one_label_for_voxel_of_two_files(self, part: slice) -> None:
        one, other = grid(step=1.07), grid(step=1.07 * (1 + 1e-7), start=(1e-6, 2e-6, 0)).isel(x=part)
        labels = {dim: one[dim].values for dim in "zyx"}
        numbers = np.arange(10)[part]
        for first, second in (xr.align(one, other, join="outer"), xr.concat([one, other], "half", join="outer")):
            assert first.shape == second.shape == SHAPE
            np.testing.assert_array_equal(first, one)
            np.testing.assert_array_equal(second.isel(x=numbers), other)
            assert int(second.notnull().sum()) == other.size
            for dim, expected in labels.items():
                np.testing.assert_array_equal(second[dim], expected)

    def test_outer_join_of_tiles_adds_voxels_of_both(self) -> None:
        whole = grid(step=1.07)
        moved = grid(step=1.07 * (1 + 1e-7)).isel(x=slice(4, None))
        first, second = xr.align(whole.isel(x=slice(0, 6)), moved, join="outer")
        assert first.shape == second.shape == SHAPE
        assert first.mrc.same_grid(whole)
        assert int(first.notnull().sum()) == 6 * 48
        assert int(second.notnull().sum()) == 6 * 48

    def test_exact_join_refuses_differences(self) -> None:
        with pytest.raises(ValueError, match="exact"):
            xr.align(grid(), grid(step=2.0), join="exact")
        with xr.set_options(arithmetic_join="exact"), pytest.raises(ValueError, match="exact"):
            grid() + grid(step=2.0)

    def test_arithmetic_with_another_join_is_as_ever(self) -> None:
        with xr.set_options(arithmetic_join="outer"):
            xr.testing.assert_equal(grid() + grid(step=2.0), plain() + plain(step=2.0))

    @pytest.mark.parametrize("name", ["combine_first", "fillna", "reindex_like", "broadcast_like"])
    def test_methods_that_take_labels_of_another_grid_are_as_ever(self, name: str) -> None:
        found = getattr(grid(), name)(grid(step=2.0))
        xr.testing.assert_equal(found, getattr(plain(), name)(plain(step=2.0)))

    def test_dataset_takes_variable_on_another_grid_as_ever(self) -> None:
        ours, theirs = grid().to_dataset(), plain().to_dataset()
        ours["other"], theirs["other"] = grid(step=2.0), plain(step=2.0)
        xr.testing.assert_equal(ours, theirs)


def halves(array: xr.DataArray) -> list[xr.DataArray]:
    """Return an array in two parts."""
    return [array.isel(z=slice(0, 3)), array.isel(z=slice(3, None))]


OPERATIONS: dict[str, Callable[[xr.DataArray], Any]] = {
    "isel": lambda a: a.isel(z=slice(1, 4)),
    "isel backwards": lambda a: a.isel(z=slice(None, None, -1)),
    "isel fancy": lambda a: a.isel(z=[0, 2, 3]),
    "isel none": lambda a: a.isel(z=[]),
    "isel number": lambda a: a.isel(z=2),
    "sel": lambda a: a.sel(z=slice(1, 3)),
    "sel nearest": lambda a: a.sel(x=2.2, method="nearest"),
    "sel list": lambda a: a.sel(x=[1.0, 2.0]),
    "sel mask": lambda a: a.sel(x=a.x > 2),
    "sel pointwise": lambda a: a.sel(x=xr.DataArray([1.0, 2.0], dims="p"), y=xr.DataArray([1.0, 2.0], dims="p")),
    "loc": lambda a: a.loc[{"z": 2.0}],
    "drop_sel": lambda a: a.drop_sel(z=[2.0]),
    "head": lambda a: a.head(z=2),
    "thin": lambda a: a.thin(z=2),
    "squeeze": lambda a: a.isel(z=[1]).squeeze(),
    "scalars": lambda a: 2 * a + 1,
    "with its coordinate": lambda a: a * a.z,
    "transpose": lambda a: a.transpose("x", "z", "y"),
    "copy": lambda a: a.copy(),
    "deep copy": lambda a: a.copy(deep=True),
    "pickle": lambda a: pickle.loads(pickle.dumps(a)),
    "sortby": lambda a: a.sortby("z", ascending=False),
    "roll": lambda a: a.roll(z=2, roll_coords=True),
    "roll nothing": lambda a: a.roll(z=0, roll_coords=True),
    "shift": lambda a: a.shift(z=1),
    "rename": lambda a: a.rename(z="depth"),
    "rename variables": lambda a: a.to_dataset().rename_vars(z="depth")["data"],
    "rename dims": lambda a: a.to_dataset().rename_dims(z="depth")["data"],
    "swap_dims": lambda a: a.assign_coords(k=("z", np.arange(6))).swap_dims(z="k"),
    "set_index": lambda a: a.assign_coords(k=("z", np.arange(6))).set_index(z="k"),
    "reset_index": lambda a: a.reset_index("z"),
    "drop_indexes": lambda a: a.drop_indexes("z"),
    "drop_vars": lambda a: a.drop_vars("z"),
    "assign_coords": lambda a: a.assign_coords(x=a.x * 2),
    "assign_coords same": lambda a: a.assign_coords(z=a.z),
    "coarsen": lambda a: a.coarsen(z=2).mean(),
    "coarsen construct": lambda a: a.coarsen(z=2).construct(z=("block", "inside")),
    "rolling": lambda a: a.rolling(z=3, center=True).mean(),
    "rolling construct": lambda a: a.rolling(z=3).construct("window"),
    "pad": lambda a: a.pad(z=1),
    "stack": lambda a: a.stack(p=("z", "y")),
    "unstack": lambda a: a.stack(p=("z", "y")).unstack("p"),
    "groupby": lambda a: a.groupby("z").mean(),
    "groupby_bins": lambda a: a.groupby_bins("z", 3).mean(),
    "interp": lambda a: pytest.importorskip("scipy") and a.interp(z=[0.5, 1.5]),
    "interp_like": lambda a: pytest.importorskip("scipy") and a.interp_like(plain(step=0.5)),
    "interpolate_na": lambda a: a.where(a.z != 2).interpolate_na("z"),
    "reindex": lambda a: a.reindex(z=[0.0, 3.0, 77.0]),
    "reindex one": lambda a: a.reindex(z=[3.0]),
    "reindex every second": lambda a: a.reindex(z=[0.0, 2.0, 4.0]),
    "reindex none": lambda a: a.reindex(z=[]),
    "reindex near": lambda a: a.reindex(z=[0.0000001]),
    "reindex nearest": lambda a: a.reindex(z=[0.2], method="nearest"),
    "reindex_like": lambda a: a.reindex_like(plain(step=2.0)),
    "concat": lambda a: xr.concat(halves(a), "z"),
    "concat new": lambda a: xr.concat([a, a], "t"),
    "combine_nested": lambda a: xr.combine_nested(halves(a), "z"),
    "combine_by_coords": lambda a: xr.combine_by_coords([half.to_dataset() for half in halves(a)[::-1]]),
    "merge": lambda a: xr.merge([a, a.rename("b")]),
    "expand_dims": lambda a: a.expand_dims(t=3),
    "broadcast": lambda a: xr.broadcast(a, a.isel(z=0))[1],
    "where": lambda a: a.where(a > 3),
    "where drop": lambda a: a.where(a.z > 2, drop=True),
    "fillna": lambda a: a.fillna(0),
    "mean": lambda a: a.mean("z"),
    "cumsum": lambda a: a.cumsum("z"),
    "diff": lambda a: a.diff("z"),
    "differentiate": lambda a: a.differentiate("z"),
    "integrate": lambda a: a.integrate("z"),
    "quantile": lambda a: a.quantile(0.5, "z"),
    "polyfit": lambda a: a.polyfit("z", 1).polyfit_coefficients,
    "idxmax": lambda a: a.idxmax("z"),
    "weighted": lambda a: a.weighted(a.z).mean("z"),
    "astype": lambda a: a.astype("f8"),
    "apply_ufunc": lambda a: xr.apply_ufunc(np.sqrt, a),
    "chunk": lambda a: a.chunk(z=2) + 1,
    "map_blocks": lambda a: a.chunk(z=2).map_blocks(lambda block: block * 2, template=a.chunk(z=2)),
    "to_dataset": lambda a: a.to_dataset(),
    "to_array": lambda a: a.to_dataset().to_array("variable"),
    "to_series": lambda a: a.to_series().to_xarray(),
    "from_dict": lambda a: xr.DataArray.from_dict(a.to_dict()),
    "datatree": lambda a: xr.DataTree.from_dict({"/": a.to_dataset(), "/child": a.to_dataset()})["child/data"],
}
KEEPING = """isel|isel backwards|isel fancy|sel|sel list|drop_sel|head|thin|scalars|with its coordinate|transpose|copy|
deep copy|pickle|sortby|roll|roll nothing|shift|rename|rolling|concat|concat new|combine_nested|where|where drop|mean|
cumsum|diff|astype|apply_ufunc|chunk|map_blocks|to_dataset|datatree|merge""".replace("\n", "").split("|")


class TestOperations:
    @pytest.mark.parametrize("name", OPERATIONS)
    def test_operation_equals_that_with_xarrays_index(self, name: str) -> None:
        found, expected = OPERATIONS[name](grid()), OPERATIONS[name](plain())
        xr.testing.assert_equal(found, expected)
        xr.testing.assert_allclose(found, expected)
        assert found.xindexes.keys() == expected.xindexes.keys()

    @pytest.mark.parametrize("name", KEEPING)
    def test_index_is_kept_through(self, name: str) -> None:
        assert index_types(OPERATIONS[name](grid())) == {"GridIndex"}

    @pytest.mark.parametrize("name", ["coarsen", "interp", "assign_coords", "reindex"])
    def test_new_labels_get_xarrays_index(self, name: str) -> None:
        assert "PandasIndex" in index_types(OPERATIONS[name](grid()))

    def test_equals_is_true_of_both_indexes_and_identical_is_not(self) -> None:
        ours, theirs = grid(), plain()
        assert ours.equals(theirs)
        assert theirs.equals(ours)
        assert ours.identical(grid())
        assert not ours.identical(theirs)

    def test_arrays_under_both_indexes_meet_where_their_labels_are_equal(self) -> None:
        ours, theirs = grid(), plain()
        for found in (ours * theirs, theirs * ours, ours + ours.coarsen(z=1).mean()):
            assert found.shape == SHAPE
        assert xr.concat([ours, theirs], "t").shape == (2, *SHAPE)
        assert xr.merge([ours, theirs.rename("q")]).sizes["z"] == 6
        for first, second in ((ours, theirs), (theirs, ours)):
            assert xr.concat([first, second.assign_coords(z=second.z + 6)], "z").sizes["z"] == 12

    def test_it_can_be_set_and_taken_away(self) -> None:
        array = plain().drop_indexes("z").set_xindex("z", GridIndex)
        assert isinstance(array.xindexes["z"], GridIndex)
        assert not isinstance(array.drop_indexes("z").set_xindex("z").xindexes["z"], GridIndex)
        assert array.xindexes["z"].to_pandas_index().tolist() == [0, 1, 2, 3, 4, 5]

    def test_it_is_named_where_array_shows_its_indexes(self) -> None:
        assert repr(grid().xindexes["z"]).startswith("GridIndex(Index([0.0, 1.0")
        assert "GridIndex" in repr(grid().xindexes)


class TestOpenedFiles:
    @pytest.mark.parametrize("options", [{}, {"create_default_indexes": False}, {"coords": "pixel"}, {"chunks": {}}])
    def test_grid_has_this_index(self, tmp_path: Path, options: dict[str, Any]) -> None:
        opened(tmp_path / "a.mrc", SHAPE, 2.0)
        dataset = xr.open_dataset(tmp_path / "a.mrc", engine="mrc", **options)
        assert {name: type(index) for name, index in dataset.xindexes.items()} == dict.fromkeys("zyx", GridIndex)
        assert dataset.x.attrs["axis"] == "X"
        assert not dataset.drop_indexes(["x", "y", "z"]).xindexes

    def test_without_coordinates_there_is_none(self, tmp_path: Path) -> None:
        opened(tmp_path / "a.mrc", SHAPE, 2.0)
        assert not xr.open_dataset(tmp_path / "a.mrc", coords=None).xindexes

    @pytest.mark.parametrize("form", ["zarr", "h5netcdf"])
    def test_copy_in_another_format_is_equal_and_can_be_calculated_with(self, tmp_path: Path, form: Any) -> None:
        array = opened(tmp_path / "a.mrc", SHAPE, 1.1)
        if form == "zarr":
            array.to_zarr(tmp_path / "copy", zarr_format=2)
        else:
            array.to_netcdf(tmp_path / "copy", engine=form)
        with xr.open_dataarray(tmp_path / "copy", engine=form) as again:
            assert index_types(again) == {"PandasIndex"}
            assert again.equals(array)
            assert array.equals(again)
            for found in (array * again, again * array):
                np.testing.assert_array_equal(found, array.values**2)
            assert (again.isel(z=slice(1, None)) * array).shape == (5, 8, 10)
            with pytest.raises(MrcValueError, match=MISMATCH):
                array * again.assign_coords(z=again.z * 2)

    def test_many_files_become_one(self, tmp_path: Path) -> None:
        for at in range(3):
            values = sample(SHAPE, 2, at)
            (tmp_path / f"{at}.mrc").write_bytes(mrc_bytes(values, 2, nstart=(0, 0, 6 * at)))
        names = sorted(tmp_path.glob("*.mrc"))
        along = xr.open_mfdataset(names, engine="mrc", combine="by_coords")
        assert along.sizes["z"] == 18
        assert index_types(along) == {"GridIndex"}
        runs = xr.open_mfdataset(names, engine="mrc", combine="nested", concat_dim="run", join="override")
        assert runs.sizes["z"] == 6

    def test_dask_carries_it_to_workers_and_back(self, tmp_path: Path) -> None:
        opened(tmp_path / "a.mrc", SHAPE, 2.0)
        array = xr.open_dataarray(tmp_path / "a.mrc", chunks={"z": 2})
        again = pickle.loads(pickle.dumps(array))
        for one in (array.compute(), array.persist(), again.compute(), *compute(array, scheduler="threads")):
            assert index_types(one) == {"GridIndex"}
        assert tokenize(array) == tokenize(again)
        np.testing.assert_array_equal(xr.map_blocks(lambda a, b: a * b, array, args=[array * 2]), 2 * array.values**2)
        with pytest.raises(MrcValueError, match=MISMATCH):
            array * grid(step=3.0, chunked=True)

    def test_plots_are_drawn(self, tmp_path: Path) -> None:
        matplotlib = pytest.importorskip("matplotlib")
        matplotlib.use("Agg")
        from matplotlib import pyplot as plt

        array = opened(tmp_path / "a.mrc", SHAPE, 2.0)
        section: Any = array.isel(z=0).plot
        volume: Any = array.isel(z=slice(0, 4)).plot
        line: Any = array.isel(z=0, y=0).plot
        for draw in (section, section.imshow, section.contourf, line.line, line.hist):
            assert draw() is not None
        assert volume(col="z", col_wrap=2) is not None
        plt.close("all")


class TestXarraysOwnTests(xarray_index_tests.TestPandasIndex):
    """What xarray asks of its `PandasIndex`, asked of `GridIndex`."""

    @pytest.fixture(autouse=True)
    def _of_ours(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(xarray_index_tests, "PandasIndex", GridIndex)

    def test_ours_is_one_they_look_at(self) -> None:
        assert vars(xarray_index_tests)["PandasIndex"] is GridIndex
