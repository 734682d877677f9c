"""Files that other programs write open with the right kind and place, and programs agree on what we cut."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
import xarray as xr

import mrcarray
from mrcarray.conversion import convert
from mrcarray.errors import MrcWarning
from tests.oracles.files import SOME, Case
from tests.oracles.placement import voxels_of, words_of
from tests.oracles.programs import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SHAPE = (10, 8, 6)
STEP = (1.5, 2.25, 3.0)
START = (3.0, -4.5, 12.0)
VALUES = np.random.default_rng(3).normal(size=SHAPE).astype(np.float32)


def _by_gemmi(path: Path, values: NDArray[Any]) -> None:
    gemmi = pytest.importorskip("gemmi")
    grid = gemmi.FloatGrid(np.ascontiguousarray(values.transpose()))
    grid.set_unit_cell(gemmi.UnitCell(*(step * n for step, n in zip(STEP, SHAPE[::-1], strict=True)), 90, 90, 90))
    grid.spacegroup = gemmi.SpaceGroup("P1")
    made = gemmi.Ccp4Map()
    made.grid = grid
    made.update_ccp4_header(2, update_stats=True)
    made.write_ccp4_map(str(path))


def _by_mrcfile(path: Path, values: NDArray[Any]) -> None:
    mrcfile = pytest.importorskip("mrcfile")
    with mrcfile.new(path) as mrc:
        mrc.set_data(values)
        mrc.voxel_size = STEP
        mrc.nstart = tuple(round(start / step) for start, step in zip(START, STEP, strict=True))


def _by_simpleitk(path: Path, values: NDArray[Any]) -> None:
    sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not installed; the extra `oracles` brings it")
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(STEP)
    image.SetOrigin(START)
    sitk.WriteImage(image, str(path))


def _by_griddata(path: Path, values: NDArray[Any]) -> None:
    grid_data = pytest.importorskip("gridData", reason="gridData is not installed; the extra `oracles` brings it")
    grid_data.Grid(values.transpose(), origin=np.array(START), delta=np.array(STEP)).export(str(path))


WRITERS: dict[str, tuple[Callable[[Path, NDArray[Any]], None], tuple[float, ...]]] = {
    "gemmi": (_by_gemmi, (0.0, 0.0, 0.0)),
    "mrcfile": (_by_mrcfile, START),
    "SimpleITK": (_by_simpleitk, START),
    "GridDataFormats": (_by_griddata, START),
}
"""The programs that write volumes, and where each says that the first voxel is."""


class TestFilesOfOtherPrograms:
    @pytest.mark.parametrize("program", WRITERS)
    def test_volume_opens_at_its_position(self, program: str, tmp_path: Path) -> None:
        write, start = WRITERS[program]
        write(tmp_path / "volume.mrc", VALUES)
        array = mrcarray.open_dataarray(tmp_path / "volume.mrc")
        assert array.dims == ("z", "y", "x")
        assert array.mrc.kind == "volume"
        np.testing.assert_allclose(array.mrc.voxel_size, STEP)
        np.testing.assert_allclose(array.mrc.origin, start)
        np.testing.assert_array_equal(array, VALUES)

    @pytest.mark.parametrize("program", WRITERS)
    def test_calculated_volume_keeps_its_position(self, program: str, tmp_path: Path) -> None:
        WRITERS[program][0](tmp_path / "volume.mrc", VALUES)
        (2 * mrcarray.open_dataarray(tmp_path / "volume.mrc")).mrc.to_mrc(tmp_path / "double.mrc")
        rule = PROGRAMS[program].rule or "either"
        positions = voxels_of(tmp_path / "volume.mrc", rule).positions()
        for name, factor in (("volume.mrc", 1), ("double.mrc", 2)):
            found = PROGRAMS[program].values_at(tmp_path / name, positions)
            np.testing.assert_array_equal(found, factor * VALUES.ravel())

    def test_simpleitk_origin_and_spacing_survive_a_calculation(self, tmp_path: Path) -> None:
        sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not installed; the extra `oracles` brings it")
        image = sitk.GetImageFromArray(VALUES)
        image.SetSpacing((1.5, 1.5, 4.0))
        image.SetOrigin((10.5, -20.25, 33))
        sitk.WriteImage(image, str(tmp_path / "itk.mrc"))
        (2 * mrcarray.open_dataarray(tmp_path / "itk.mrc")).mrc.to_mrc(tmp_path / "double.mrc")
        double = sitk.ReadImage(str(tmp_path / "double.mrc"))
        assert double.GetSpacing() == (1.5, 1.5, 4.0)
        assert double.GetOrigin() == (10.5, -20.25, 33)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(double), 2 * VALUES)

    def test_mrcz_volume_has_the_voxel_size_of_its_cell(self, tmp_path: Path) -> None:
        mrcz = pytest.importorskip("mrcz", reason="mrcz is not installed; the extra `oracles` brings it")
        mrcz.writeMRC(VALUES, str(tmp_path / "a.mrc"), pixelsize=STEP[::-1], pixelunits="\\AA")
        assert words_of(tmp_path / "a.mrc")["m"] == (0, 0, 0)
        with pytest.warns(MrcWarning, match=r"words 8, 9, 10 \(mx, my, mz\) are 0; .* the number of voxels is used"):
            array = mrcarray.open_dataarray(tmp_path / "a.mrc")
        assert array.dims == ("z", "y", "x")
        assert array.mrc.voxel_size == STEP
        np.testing.assert_array_equal(array, VALUES)
        (2 * array).mrc.to_mrc(tmp_path / "double.mrc")
        assert words_of(tmp_path / "double.mrc")["m"] == SHAPE[::-1]
        assert mrcarray.open_dataarray(tmp_path / "double.mrc").mrc.voxel_size == STEP

    def test_mrcfile_stacks_and_images_keep_their_kind(self, tmp_path: Path) -> None:
        mrcfile = pytest.importorskip("mrcfile")
        with mrcfile.new(tmp_path / "stack.mrc") as mrc:
            mrc.set_data(VALUES)
            mrc.set_image_stack()
        with mrcfile.new(tmp_path / "image.mrc") as mrc:
            mrc.set_data(VALUES[0])
        with pytest.warns(MrcWarning, match="voxel size is unknown"):
            assert mrcarray.open_dataarray(tmp_path / "stack.mrc").dims == ("section", "y", "x")
        with pytest.warns(MrcWarning, match="voxel size is unknown"):
            assert mrcarray.open_dataarray(tmp_path / "image.mrc").dims == ("y", "x")


class TestGemmi:
    def test_slice_of_a_map_at_0_keeps_its_position(self, tmp_path: Path) -> None:
        gemmi = pytest.importorskip("gemmi")
        values = np.random.default_rng(0).normal(size=(24, 24, 24)).astype(np.float32)
        grid = gemmi.FloatGrid(values)
        grid.set_unit_cell(gemmi.UnitCell(36, 36, 36, 90, 90, 90))
        grid.spacegroup = gemmi.SpaceGroup("P1")
        made = gemmi.Ccp4Map()
        made.grid = grid
        made.update_ccp4_header(2, update_stats=True)
        made.write_ccp4_map(str(tmp_path / "whole.ccp4"))
        volume = xr.open_dataarray(tmp_path / "whole.ccp4", engine="mrc")
        volume.isel(x=slice(6, 20), y=slice(4, 20), z=slice(8, 22)).mrc.to_mrc(tmp_path / "cut.ccp4")
        cut = gemmi.read_ccp4_map(str(tmp_path / "cut.ccp4"))
        cut.setup(float("nan"))
        for position in ((13.5, 9.0, 18.0), (14.2, 9.9, 17.1), (20.0, 20.0, 20.0)):
            at = gemmi.Position(*position)
            assert cut.grid.interpolate_value(at) == pytest.approx(grid.interpolate_value(at), abs=1e-5)


class TestThePage:
    ROWS: ClassVar = {
        "nstart": "| `nstart` only |",
        "either": "| `origin` unless all three words are 0, else `nstart` |",
        "origin": "| `origin` only |",
        "sum": "| `nstart` and `origin` added |",
    }

    @pytest.mark.parametrize("program", [name for name, program in PROGRAMS.items() if program.rule])
    def test_documented_rule_of_a_program_is_the_measured_one(self, program: str) -> None:
        page = Path(__file__).resolve().parents[2] / "docs/explanation/placement.md"
        lines = page.read_text(encoding="utf-8").splitlines()
        rows = {rule: line for rule, row in self.ROWS.items() for line in lines if line.startswith(row)}
        named = [rule for rule, line in rows.items() if re.search(rf"\b{program}(?! for)\b", line)]
        assert named == [PROGRAMS[program].rule]


class TestTiff:
    @pytest.mark.parametrize("case", [case for case in SOME if case.mode in (2, 6)], ids=str)
    def test_tiff_has_pages_and_voxel_size(self, case: Case, tmp_path: Path) -> None:
        tifffile = pytest.importorskip("tifffile")
        source = case.write(tmp_path)
        convert(source, tmp_path / "a.tif")
        words = words_of(source)
        item = np.dtype({2: "f4", 6: "u2"}[case.mode]).newbyteorder(words["byteorder"])
        pixels = np.frombuffer(source.read_bytes()[1024 + words["nsymbt"] :], item)
        with tifffile.TiffFile(tmp_path / "a.tif") as file:
            np.testing.assert_array_equal(file.asarray(), pixels.reshape(words["n"][::-1]))
            assert file.imagej_metadata["unit"] == "angstrom"
            numerator, denominator = file.pages[0].tags["XResolution"].value
        columns = words["mapcrs"][0] - 1
        step = words["cella"][columns] / words["m"][columns]
        assert denominator / numerator == pytest.approx(step)
