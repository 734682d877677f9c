"""Coordinates of the sections are in memory: the representation shows them, and they are never chunked."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

import mrcarray
from tests.builders import mrc_bytes, sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """Write a stack of three images with a list of angles."""
    path = tmp_path / "a.st"
    path.write_bytes(mrc_bytes(sample((3, 4, 5), 2), ispg=0, m=(5, 4, 1)))
    (tmp_path / "a.rawtlt").write_text("-12.5\n0\n12.5\n")
    return path


def _by_xarray(path: Path, **options: Any) -> xr.Dataset:
    return xr.open_dataset(path, engine="mrc", **options)


@pytest.mark.parametrize("opened_by", [_by_xarray, mrcarray.open_dataset])
@pytest.mark.parametrize("chunks", [None, {}, "auto", {"section": 1}])
@pytest.mark.parametrize("kind", ["auto", "tilt_series"])
def test_section_coordinates_are_shown_and_not_chunked(
    series: Path, opened_by: Callable[..., xr.Dataset], chunks: Any, kind: str
) -> None:
    opened = opened_by(series, chunks=chunks, kind=kind)
    line = next(line for line in repr(opened).splitlines() if "tilt_angle" in line)
    assert "-12.5 0.0 12.5" in line
    assert all(coord.chunks is None for coord in opened.coords.values())
    assert "..." not in "".join(repr(coord.variable) for coord in opened.coords.values())
    assert (opened.data.chunks is None) == (chunks is None)


@pytest.mark.parametrize("chunks", [None, {}])
def test_section_coordinates_are_ordinary_variables(series: Path, chunks: Any) -> None:
    opened = xr.open_dataset(series, engine="mrc", chunks=chunks)
    assert type(opened.variables["tilt_angle"]) is xr.Variable
    for twin in (copy.copy(opened), copy.deepcopy(opened), pickle.loads(pickle.dumps(opened))):
        assert twin.tilt_angle.values.tolist() == [-12.5, 0.0, 12.5]
        assert type(twin.variables["tilt_angle"]) is xr.Variable
    changed = opened.assign_coords(tilt_angle=opened.tilt_angle * 2)
    assert changed.tilt_angle.values.tolist() == [-25.0, 0.0, 25.0]


def test_section_coordinates_of_two_opened_files_are_independent(series: Path) -> None:
    one, two = (xr.open_dataset(series, engine="mrc") for _ in range(2))
    one.tilt_angle[0] = 60.0
    np.testing.assert_array_equal(two.tilt_angle, [-12.5, 0.0, 12.5])
