"""`to_star`: a Dataset of particles back into a STAR file that starfile and `open_particles` read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import xarray as xr

import mrcarray
from mrcarray.errors import MrcValueError, OutputExistsError
from mrcarray.particles import to_star

starfile = pytest.importorskip("starfile", reason="starfile is not installed (extra: star)")

if TYPE_CHECKING:
    from pathlib import Path

    from tests.particles.conftest import Project


def test_columns_and_optics_come_back(project: Project) -> None:
    out = project.folder / "out.star"
    particles = mrcarray.open_particles(project.star)
    assert to_star(particles, out) == str(out)
    blocks, original = (starfile.read(path, always_dict=True) for path in (out, project.star))
    assert list(blocks) == ["optics", "particles"]
    assert blocks["particles"].equals(original["particles"])
    optics = original["optics"].sort_values("rlnOpticsGroup", ignore_index=True)
    assert blocks["optics"][optics.columns].equals(optics)
    xr.testing.assert_identical(mrcarray.open_particles(out), particles)


def test_selection_with_its_images_comes_back(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.folder)
    chosen = mrcarray.open_particles(project.star, chunks={"particle": 2}).isel(particle=[3, 1])
    to_star(chosen, "chosen.star", stack="chosen.mrcs")
    back = mrcarray.open_particles("chosen.star")
    assert back.image_name.values.tolist() == ["000001@chosen.mrcs", "000002@chosen.mrcs"]
    np.testing.assert_array_equal(back.data.values, project.pixels[[3, 1]])
    assert back.defocus_u.values.tolist() == chosen.defocus_u.values.tolist()
    assert mrcarray.read_header("chosen.mrcs").ispg == 0


def test_accessor_writes_the_same_as_the_function(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.folder)
    chosen = mrcarray.open_particles(project.star).isel(particle=[3, 1])
    assert chosen.mrc.to_star("by_accessor.star", stack="a.mrcs") == "by_accessor.star"
    to_star(chosen, "by_function.star", stack="a.mrcs", overwrite=True)
    assert (project.folder / "by_accessor.star").read_text() == (project.folder / "by_function.star").read_text()
    chosen.data.mrc.to_star("of_array.star")
    xr.testing.assert_identical(
        mrcarray.open_particles("of_array.star").drop_vars("particle"), chosen.drop_vars("particle")
    )


def test_changed_optics_value_moves_to_the_particles(project: Project) -> None:
    particles = mrcarray.open_particles(project.star)
    changed = particles.voltage.copy(data=[300.0, 200.0, 300.0, 120.0])
    to_star(particles.assign_coords(voltage=changed), project.folder / "out.star")
    assert mrcarray.open_particles(project.folder / "out.star").voltage.values.tolist() == changed.values.tolist()


def test_new_coordinate_becomes_a_column(project: Project) -> None:
    particles = mrcarray.open_particles(project.star).assign_coords(class_number=("particle", [1, 2, 1, 2]))
    to_star(particles, project.folder / "out.star")
    assert starfile.read(project.folder / "out.star")["particles"]["rlnClassNumber"].tolist() == [1, 2, 1, 2]


def test_existing_file_is_kept_without_overwrite(project: Project) -> None:
    before = project.star.read_text()
    particles = mrcarray.open_particles(project.star)
    with pytest.raises(OutputExistsError, match="file exists; pass overwrite=True"):
        to_star(particles, project.star)
    assert project.star.read_text() == before
    to_star(particles, project.star, overwrite=True)
    assert project.star.read_text() != before


def test_dataset_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MrcValueError, match=r"the dimensions are \['z'\]; expected one named particle"):
        to_star(xr.Dataset({"data": ("z", [1.0])}), tmp_path / "a.star")
    bare = xr.Dataset({"data": (("particle", "y", "x"), np.zeros((1, 2, 2), "f4"))})
    with pytest.raises(MrcValueError, match=r"no coordinate image_name; pass stack=FILE"):
        to_star(bare, tmp_path / "a.star")
