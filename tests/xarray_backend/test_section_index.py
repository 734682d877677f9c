"""Masks select by label along the axes that count, and all else is as with xarray's own index."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from conftest import write_samples
from mrcarray.errors import MrcValueError
from mrcarray.xarray_backend.indexes import SectionIndex, by_label
from tests.builders import mrc_bytes, sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def labelled(labels: Any, *, ours: bool = True) -> xr.DataArray:
    """Return a little array of sections with these labels, under our index or xarray's own."""
    labels = np.asarray(labels)
    values = 10.0 * labels[:, None] + np.arange(2)
    coords = {"section": labels, "tilt_angle": ("section", 3.0 * labels - 6), "name": ("section", labels.astype(str))}
    array = xr.DataArray(values, coords, ("section", "x"), "data")
    return array.drop_indexes("section").set_xindex("section", SectionIndex) if ours else array


@pytest.fixture
def series(tmp_path: Path) -> xr.DataArray:
    """Return a tilt series of five sections, opened."""
    write_samples(tmp_path)
    return xr.open_dataarray(tmp_path / "TS_01.mrc", engine="mrc")


class TestMasks:
    def test_mask_of_unsorted_series_selects_same_sections_of_sorted_one(self, series: xr.DataArray) -> None:
        low = series.sortby("tilt_angle").sel(section=abs(series.tilt_angle) < 5)
        assert low.section.values.tolist() == [2, 0, 1]
        assert (abs(low.tilt_angle) < 5).all()
        np.testing.assert_array_equal(low, series.isel(section=[2, 0, 1]))

    @pytest.mark.parametrize("chunks", [None, {"section": 2}])
    def test_so_it_is_in_every_way_of_selecting_by_label(
        self, series: xr.DataArray, chunks: dict[str, int] | None
    ) -> None:
        mask, turned = abs(series.tilt_angle) < 5, series[::-1]
        turned, mask = (turned.chunk(chunks), mask.chunk(chunks)) if chunks else (turned, mask)
        for low in (
            turned.sel(section=mask),
            turned.sel({"section": mask}),
            turned.loc[{"section": mask}],
            turned.loc[mask],
            turned.to_dataset().sel(section=mask).data,
        ):
            assert low.section.values.tolist() == [2, 1, 0]
            np.testing.assert_array_equal(low, series.values[[2, 1, 0]])

    def test_values_are_assigned_by_label_too(self, series: xr.DataArray) -> None:
        turned = series.load()[::-1].copy()
        turned.loc[{"section": series.tilt_angle > 5}] = -1
        assert turned.section.values[(turned == -1).all(("y", "x"))].tolist() == [3]

    @pytest.mark.parametrize(
        ("kind", "dim"), [("image_stack", "section"), ("movie", "frame"), ("particles", "particle")]
    )
    def test_every_axis_that_counts_does_so(self, tmp_path: Path, kind: str, dim: str) -> None:
        path = tmp_path / "a.mrc"
        path.write_bytes(mrc_bytes(sample((4, 3, 5), 1), 1))
        array = xr.open_dataarray(path, engine="mrc", kind=kind)
        assert array[::-1].sel({dim: array[dim] < 1})[dim].values.tolist() == [0]

    def test_volumes_do_so(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mrc"
        path.write_bytes(mrc_bytes(sample((6, 3, 5), 1), 1, ispg=401, m=(5, 3, 2)))
        array = xr.open_dataarray(path, engine="mrc")
        assert array[::-1].sel(volume=array.volume < 1).volume.values.tolist() == [0]

    def test_tilt_series_does_so_by_its_angles(self, tmp_path: Path) -> None:
        write_samples(tmp_path)
        tilts = xr.open_dataarray(tmp_path / "TS_01.mrc", engine="mrc", kind="tilt_series")
        low = tilts.sortby("tilt_angle").sel(tilt_angle=tilts.prior_dose < 5)
        assert low.section.values.tolist() == [0, 1]

    def test_mask_of_more_sections_than_are_left_is_cut(self, series: xr.DataArray) -> None:
        assert series[[3, 1]].sel(section=series.tilt_angle > 0).section.values.tolist() == [3, 1]

    def test_mask_lacking_section_is_refused(self, series: xr.DataArray) -> None:
        with pytest.raises(MrcValueError, match=r"boolean mask lacks 2 of 5 'section' labels \(first missing: 2\)"):
            series.sel(section=series[[4, 0, 1]].tilt_angle > 0)

    def test_mask_of_two_files_end_to_end_is_taken_by_position_where_its_labels_are_same(
        self, series: xr.DataArray
    ) -> None:
        both = xr.concat([series, series + 1], "section")
        assert both.sel(section=np.arange(10) > 7).section.values.tolist() == [3, 4]
        assert both.sel(section=both.mean(("y", "x")) > -1).sizes["section"] == 10
        mask = xr.zeros_like(both.section, dtype=bool)
        mask[7] = True
        np.testing.assert_array_equal(both.sel(section=mask), (series + 1)[2:3])

    def test_duplicate_labels_need_unambiguous_mask(self, series: xr.DataArray) -> None:
        both = xr.concat([series, series], "section")
        low = both.sortby("tilt_angle").sel(section=abs(both.tilt_angle) < 1)
        assert low.section.values.tolist() == [0, 0]
        mask = xr.DataArray(np.arange(10) > 7, both.section.coords)
        with pytest.raises(MrcValueError, match="conflicting values for the duplicate label section=3"):
            both.sortby("tilt_angle").sel(section=mask)

    def test_mask_without_labels_is_taken_by_position_as_ever(self, series: xr.DataArray) -> None:
        mask = [False, True, False, False, True]
        for one in (mask, np.array(mask), xr.DataArray(mask, dims="section"), xr.Variable("section", mask)):
            assert series[::-1].sel(section=one).section.values.tolist() == [3, 0]

    def test_mask_whose_number_is_one_for_all_is_taken_by_position(self) -> None:
        mask = xr.DataArray([True, False], {"section": 5}, ["other"])
        assert by_label(mask, "section", labelled([1, 0]).indexes["section"]) is mask

    def test_it_is_named_where_array_shows_its_indexes(self, series: xr.DataArray) -> None:
        assert repr(series.xindexes["section"]).startswith("SectionIndex(Index([0, 1, 2, 3, 4]")

    def test_coordinates_of_mask_go_with_their_sections(self, series: xr.DataArray) -> None:
        mask = (series.section < 2).assign_coords(score=("section", [0.5, 0.4, 0.3, 0.2, 0.1]))
        assert series[::-1].sel(section=mask).score.values.tolist() == [0.4, 0.5]

    @given(st.permutations(range(6)), st.permutations(range(6)), st.lists(st.booleans(), min_size=6, max_size=6))
    def test_whatever_orders_are(self, here: list[int], there: list[int], wanted: list[bool]) -> None:
        array = labelled(here)
        mask = xr.DataArray([wanted[at] for at in there], {"section": there}, ["section"])
        assert array.sel(section=mask).section.values.tolist() == [at for at in here if wanted[at]]


OPERATIONS: dict[str, Callable[[xr.DataArray, xr.DataArray], Any]] = {
    "reindex": lambda a, _: a.reindex(section=[1, 0, 7]),
    "reindex nearest": lambda a, _: a.reindex(section=[1, 9], method="nearest"),
    "reindex_like": lambda a, b: a.reindex_like(b),
    "arithmetic": lambda a, b: a + b,
    "align": xr.align,
    "align outer": lambda a, b: xr.align(a, b, join="outer"),
    "align left": lambda a, b: xr.align(a, b, join="left"),
    "concat": lambda a, b: xr.concat([a, b], "section"),
    "concat new": lambda a, b: xr.concat([a, b], "series", join="inner"),
    "merge": lambda a, b: xr.merge([a.rename("p"), b.rename("q")], join="outer", compat="override"),
    "assign": lambda a, b: a.to_dataset().assign(other=b),
    "combine_first": lambda a, b: a.combine_first(b),
    "combine_nested": lambda a, b: xr.combine_nested([a, b], "section"),
    "where": lambda a, b: a.where(b > 1),
    "where drop": lambda a, b: a.where(b.tilt_angle > 0, drop=True),
    "fillna": lambda a, b: a.where(a > 20).fillna(b),
    "groupby": lambda a, b: a.groupby("section") - b.groupby("section").mean(),
    "groupby_bins": lambda a, _: a.groupby_bins("section", [-1, 1, 10]).mean(),
    "apply_ufunc": lambda a, b: xr.apply_ufunc(np.add, a, b, join="inner"),
    "dot": lambda a, b: a.drop_vars("name") @ b.drop_vars("name"),
    "dask": lambda a, b: (a.chunk(section=2) + b).compute(),
    "map_blocks": lambda a, _: a.chunk(section=1).map_blocks(lambda one: one + 1).compute(),
    "coarsen": lambda a, _: a.drop_vars("name").coarsen(section=2, boundary="trim").mean(),
    "stack": lambda a, _: a.stack(both=("section", "x")).unstack("both"),
    "roll": lambda a, _: a.roll(section=1, roll_coords=True),
    "rename": lambda a, _: a.rename(section="tilt"),
    "swap_dims": lambda a, _: a.swap_dims(section="tilt_angle"),
    "assign_coords": lambda a, _: a.assign_coords(section=a.section.values + 1),
    "sel": lambda a, _: a.sel(section=[2, 1]),
    "sel slice": lambda a, _: a.sel(section=slice(1, 2)),
    "sel nearest": lambda a, _: a.sel(section=1.2, method="nearest"),
    "sel pointwise": lambda a, _: a.sel(section=xr.DataArray([1, 2], dims="point")),
    "sel mask": lambda a, _: a.sel(section=a.tilt_angle > 0),
    "drop_sel": lambda a, _: a.drop_sel(section=[1]),
    "copy": lambda a, _: copy.copy(a),
    "deepcopy": lambda a, _: copy.deepcopy(a),
    "pickle": lambda a, _: pickle.loads(pickle.dumps(a)),
    "duplicates": lambda a, b: xr.concat([a, b], "section") * xr.concat([a, b], "section"),
}

COUNTED = xr.DataArray(np.arange(5.0), {"section": np.arange(5)}, ["section"])
BY_HAND = {
    "counted": COUNTED,
    "backwards": COUNTED[::-1],
    "fewer": COUNTED[1:3],
    "short integers": COUNTED.assign_coords(section=COUNTED.section.astype("i4")),
    "floats": COUNTED.assign_coords(section=COUNTED.section.astype("f8")),
    "names": COUNTED.assign_coords(section=list("abcde")),
    "no index": COUNTED.drop_indexes("section"),
    "no labels": COUNTED.drop_vars("section"),
}
WITH_HAND_MADE: dict[str, Callable[[xr.DataArray, xr.DataArray], Any]] = {
    "times": lambda a, b: a * b,
    "times, other way": lambda a, b: b * a,
    "comparison": lambda a, b: a.where(b > 2, 0),
    "align": lambda a, b: xr.align(a, b, join="outer"),
    "align exact": lambda a, b: xr.align(b, a, join="exact"),
    "coordinate": lambda a, b: a.assign_coords(dose=b),
    "variable": lambda a, b: a.to_dataset().assign(weight=b),
    "merge": lambda a, b: xr.merge([b.rename("weight"), a], join="outer", compat="override"),
    "reindex_like": lambda a, b: b.reindex_like(a),
    "weighted": lambda a, b: a.weighted(b).mean("section"),
    "groupby": lambda a, b: a.groupby(b.rename("group")).mean(),
    "tree": lambda a, b: xr.DataTree.from_dict({"/": a.to_dataset(), "/w": b.to_dataset(name="w")}).to_dataset(),
}


@pytest.mark.parametrize("made", BY_HAND)
@pytest.mark.parametrize("name", WITH_HAND_MADE)
def test_arrays_made_by_hand_meet_ours_as_they_meet_each_other(name: str, made: str) -> None:
    operation, by_hand = WITH_HAND_MADE[name], BY_HAND[made]
    try:
        expected = operation(labelled(range(5), ours=False), by_hand)
    except (ValueError, TypeError, KeyError) as error:
        with pytest.raises(type(error)):
            operation(labelled(range(5)), by_hand)
        return
    found = operation(labelled(range(5)), by_hand)
    for one, other in zip(*(x if isinstance(x, tuple) else (x,) for x in (found, expected)), strict=True):
        xr.testing.assert_equal(one, other)


@pytest.mark.parametrize("labels", [[0, 1, 2, 3, 4], [3, 1, 2]], ids=["same", "other"])
@pytest.mark.parametrize("which", [(True, True), (True, False), (False, True)], ids=["both", "first", "second"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_equal_those_with_xarrays_index(name: str, which: tuple[bool, bool], labels: list[int]) -> None:
    operation = OPERATIONS[name]
    found = operation(labelled(range(5), ours=which[0]), labelled(labels, ours=which[1]))
    expected = operation(labelled(range(5), ours=False), labelled(labels, ours=False))
    for one, other in zip(*(x if isinstance(x, tuple) else (x,) for x in (found, expected)), strict=True):
        xr.testing.assert_equal(one, other)


KEEPING = ["sel", "sel slice", "sel mask", "drop_sel", "roll", "copy", "deepcopy", "pickle", "where", "arithmetic"]


@pytest.mark.parametrize("name", [*KEEPING, "concat", "align outer", "dask"])
def test_array_keeps_its_index_through(name: str) -> None:
    found = OPERATIONS[name](labelled(range(5)), labelled([3, 1, 2]))
    for one in found if isinstance(found, tuple) else (found,):
        assert isinstance(one.xindexes["section"], SectionIndex)


@pytest.mark.parametrize("form", ["netcdf", "zarr"])
def test_series_and_its_copy_in_another_format_are_equal_and_can_be_calculated_with(
    series: xr.DataArray, tmp_path: Path, form: str
) -> None:
    target = tmp_path / f"copy.{form}"
    if form == "netcdf":
        series.to_netcdf(target, engine="h5netcdf")
    else:
        series.to_zarr(target, zarr_format=2)
    with xr.open_dataarray(target, engine={"netcdf": "h5netcdf"}.get(form, form)) as again:
        xr.testing.assert_equal(again, series)
        np.testing.assert_array_equal(series - again[::-1], 0 * series.values)
        np.testing.assert_array_equal(again - series, 0 * series.values)
        mask = abs(again.tilt_angle) < 5
        assert series[::-1].sel(section=mask).section.values.tolist() == [2, 1, 0]
