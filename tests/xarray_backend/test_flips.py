"""Flips: what a file cannot store is named, and `.mrc.flip` mirrors the data."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

from mrcarray.errors import MrcValueError, MrcWarning
from tests.builders import mrc_bytes, sample
from tests.xarray_backend.test_metadata_read import opened, serialem

if TYPE_CHECKING:
    from collections.abc import Callable

VALUES = sample((4, 5, 6), 2)
FALLING: dict[str, tuple[Callable[[xr.DataArray], xr.DataArray], list[str]]] = {
    "first axis": (lambda a: a[::-1], ["z"]),
    "isel": (lambda a: a.isel(y=slice(None, None, -1)), ["y"]),
    "isel by 2": (lambda a: a.isel(x=slice(None, None, -2)), ["x"]),
    "sortby": (lambda a: a.sortby("z", ascending=False), ["z"]),
    "all": (lambda a: a[::-1, ::-1, ::-1], ["z", "y", "x"]),
    "computed": (lambda a: a[::-1] * 2, ["z"]),
    "transposed": (lambda a: a.transpose("x", "y", "z")[..., ::-1], ["z"]),
    "reindex": (lambda a: a.reindex(x=a.x.values[::-1]), ["x"]),
}


@pytest.fixture
def volume(tmp_path: Path) -> xr.DataArray:
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(VALUES, nstart=(1, 2, 3)))
    return xr.open_dataarray(tmp_path / "a.mrc", engine="mrc")


@pytest.mark.parametrize("name", FALLING)
def test_falling_axis_warns_with_hint(tmp_path: Path, volume: xr.DataArray, name: str) -> None:
    change, dims = FALLING[name]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        change(volume).mrc.to_mrc(tmp_path / "f.mrc", placement="origin")
    texts = [str(one.message) for one in said]
    assert len(texts) == len(dims)
    for dim, text in zip(dims, texts, strict=True):
        assert f"the coordinate {dim} falls" in text
        assert f".mrc.flip('{dim}')" in text
        assert "[MRC308]" in text
    commands = [one.message.command_text for one in said if isinstance(one.message, MrcWarning)]
    assert all(f"--flip {dim}" in command for dim, command in zip(dims, commands, strict=True))


def test_every_voxel_of_falling_axis_is_written_at_its_position(tmp_path: Path, volume: xr.DataArray) -> None:
    with pytest.warns(MrcWarning, match="undoes a flip along z"):
        path = volume[::-1].mrc.to_mrc(tmp_path / "f.mrc")
    xr.testing.assert_equal(xr.open_dataarray(path, engine="mrc"), volume)


@pytest.mark.parametrize("chunks", [None, {}])
@pytest.mark.parametrize("dim", ["x", "y", "z"])
def test_flip_mirrors_data_and_keeps_grid(tmp_path: Path, dim: str, chunks: Any) -> None:
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(VALUES, nstart=(1, 2, 3)))
    array = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc", chunks=chunks)
    mirrored = array.mrc.flip(dim)
    assert mirrored.mrc.same_grid(array)
    assert type(mirrored.xindexes[dim]) is type(array.xindexes[dim])
    expected = np.flip(VALUES, "zyx".index(dim))
    np.testing.assert_array_equal(mirrored.values, expected)
    for one in (mirrored, mirrored * 1, mirrored.isel(x=slice(2, None))):
        found = xr.open_dataarray(one.mrc.to_mrc(tmp_path / "b.mrc", overwrite=True), engine="mrc")
        xr.testing.assert_equal(found, one)
    xr.testing.assert_equal(mirrored.mrc.flip(dim), array)


def test_flip_of_dataset_is_dataset(volume: xr.DataArray) -> None:
    found = volume.to_dataset(name="data").mrc.flip("y")
    assert isinstance(found, xr.Dataset)
    np.testing.assert_array_equal(found.data.values, VALUES[:, ::-1])


def test_flip_along_axis_that_is_not_there_is_refused(volume: xr.DataArray) -> None:
    with pytest.raises(MrcValueError, match="there is no dim 'section' to flip; the dims are z, y, x"):
        volume.mrc.flip("section")


def test_flipped_sections_take_their_records_along(tmp_path: Path) -> None:
    stack = opened(serialem(tmp_path / "a.mrc"))
    found = opened(Path(stack.mrc.flip("section").mrc.to_mrc(tmp_path / "b.mrc")))
    np.testing.assert_array_equal(found.values, stack.values[::-1])
    np.testing.assert_array_equal(found.tilt_angle, stack.tilt_angle[::-1])


def test_records_of_unknown_kind_do_not_stay_with_sections_that_are_reordered(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(VALUES, extended=b"\xff\x01\x02" * 5))
    array = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc")
    with pytest.warns(MrcWarning, match="extended header .* is not written: .*sorted with the sections"):
        array.mrc.flip("z").mrc.to_mrc(tmp_path / "b.mrc")
    for kept in (array.mrc.flip("x"), array.mrc.flip("z").mrc.flip("z")):
        kept.mrc.to_mrc(tmp_path / "c.mrc", overwrite=True)
        assert (tmp_path / "c.mrc").read_bytes()[1024:1039] == b"\xff\x01\x02" * 5


@pytest.mark.parametrize("how", ["opened without", "dropped"])
def test_array_without_coordinates_is_written_unchanged(tmp_path: Path, how: str) -> None:
    raw = mrc_bytes(VALUES, origin=(10.0, 20.0, 30.0))
    (tmp_path / "a.mrc").write_bytes(raw)
    array = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc", coords=None if how == "opened without" else "physical")
    array = array if how == "opened without" else array.drop_vars(["x", "y", "z"])
    path = Path(array[::-1].mrc.to_mrc(tmp_path / "b.mrc"))
    found = xr.open_dataarray(path, engine="mrc")
    np.testing.assert_array_equal(found.values, VALUES[::-1])
    assert found.mrc.origin == (10.0, 20.0, 30.0)
    same = Path(array.mrc.to_mrc(tmp_path / "c.mrc", label="")).read_bytes()
    assert same[:76] == raw[:76]
    assert same[196:216] == raw[196:216]


def test_transform_whose_frequencies_fall_is_named_too(tmp_path: Path) -> None:
    half = sample((4, 5, 4), 4)
    raw = mrc_bytes(half, 4, m=(6, 5, 4), cella=(12.0, 10.0, 8.0))
    array = xr.open_dataarray(io.BytesIO(raw), engine="mrc")
    assert array.x.attrs["units"] == "1/angstrom"
    with pytest.warns(MrcWarning, match="the coordinate z falls"):
        array[::-1].mrc.to_mrc(tmp_path / "b.mrc")
