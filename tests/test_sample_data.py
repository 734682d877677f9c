"""`mrcarray.example`: files to try things with, made without a download."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import mrcarray
from mrcarray.errors import MrcValueError
from mrcarray.storage.cache_folder import FOLDER

if TYPE_CHECKING:
    from pathlib import Path

KINDS = {
    "tomogram": ("volume", (64, 160, 200), 13.5),
    "tilt_series": ("image_stack", (21, 160, 200), 13.5),
    "micrograph": ("image", (512, 512), 2.8),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("examples")


@pytest.mark.parametrize("name", KINDS)
def test_example_is_a_valid_file_of_its_kind(folder: Path, name: Any) -> None:
    path = mrcarray.example(name, folder)
    kind, shape, size = KINDS[name]
    array = mrcarray.open_dataarray(path)
    assert (array.encoding["kind"], array.shape) == (kind, shape)
    assert array.mrc.voxel_size[:2] == pytest.approx((size, size))
    assert mrcarray.check(path).ok
    assert array.std() > 0


def test_tilt_series_has_angles_and_doses_from_its_mdoc(folder: Path) -> None:
    series = mrcarray.open_dataarray(mrcarray.example("tilt_series", folder))
    assert series.tilt_angle.values.tolist() == list(range(-60, 61, 6))
    assert float(series.exposure_dose[0]) == 3
    assert int(series.prior_dose.values.argmin()) == series.tilt_angle.values.tolist().index(0)


def test_half_maps_have_one_structure_and_different_noise(folder: Path) -> None:
    one, two = (mrcarray.open_array(path)[:] for path in mrcarray.example("half_maps", folder))
    assert one.shape == (64, 64, 64)
    assert 0.7 < np.corrcoef(one.ravel(), two.ravel())[0, 1] < 0.99


def test_particles_are_listed_in_a_star_file(folder: Path) -> None:
    text = mrcarray.example("particles", folder).read_text()
    assert "000064@particles.mrcs" in text
    assert mrcarray.open_array(folder / "particles.mrcs").shape == (64, 48, 48)


def test_example_is_made_once_and_always_the_same(folder: Path, tmp_path: Path) -> None:
    path = mrcarray.example("micrograph", folder)
    before = path.stat().st_mtime_ns
    assert mrcarray.example("micrograph", folder).stat().st_mtime_ns == before
    np.testing.assert_array_equal(
        mrcarray.open_array(mrcarray.example("micrograph", tmp_path))[:], mrcarray.open_array(path)[:]
    )


def test_example_that_was_not_completed_is_made_again(tmp_path: Path) -> None:
    path = mrcarray.example("particles", tmp_path)
    (tmp_path / "particles.mrcs").unlink()
    assert mrcarray.example("particles", tmp_path) == path
    assert (tmp_path / "particles.mrcs").exists()


def test_examples_are_in_the_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    path = mrcarray.example("micrograph")
    assert path.is_relative_to(tmp_path)
    assert [found.name for found in path.parent.iterdir()] == ["micrograph.mrc"]


def test_unknown_example_is_refused_with_the_names() -> None:
    with pytest.raises(MrcValueError, match="no example 'tomo'; expected one of tomogram, tilt_series"):
        mrcarray.example("tomo")  # type: ignore[call-overload]
