"""`open_particles`: the Dataset, its coordinates, and the files it reads."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

import mrcarray
from mrcarray.errors import MissingDependencyError, MrcFormatError, MrcValueError, MrcWarning
from mrcarray.particles.columns import snake_case, star_name
from tests.builders import header_bytes, mrc_bytes, sample
from tests.particles.conftest import LINES, STAR

if TYPE_CHECKING:
    from tests.particles.conftest import Project


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return the (offset, bytes) of every positional read that follows."""
    seen: list[tuple[int, int]] = []
    preadv, pread = os.preadv, os.pread

    def watch_many(fd: int, buffers: Any, offset: int, *rest: Any) -> int:
        got = preadv(fd, buffers, offset, *rest)
        seen.append((offset, got))
        return got

    def watch_one(fd: int, count: int, offset: int) -> bytes:
        got = pread(fd, count, offset)
        seen.append((offset, len(got)))
        return got

    monkeypatch.setattr(os, "preadv", watch_many)
    monkeypatch.setattr(os, "pread", watch_one)
    return seen


def pixels_read(reads: list[tuple[int, int]]) -> int:
    return sum(count for offset, count in reads if offset >= 1024)


def test_images_come_in_the_order_of_the_table(project: Project) -> None:
    particles = mrcarray.open_particles(project.star)
    assert particles.data.dims == ("particle", "y", "x")
    assert particles.data.dtype == np.float32
    np.testing.assert_array_equal(particles.data.values, project.pixels)


@pytest.mark.parametrize("chunks", [None, {}, "auto", {"particle": 3}, {"particle": 1, "y": 4}, 2])
@pytest.mark.parametrize(
    "key",
    [
        {"particle": 1},
        {"particle": slice(None, None, -1)},
        {"particle": [3, 0, 3, 1], "y": slice(1, 5, 2)},
        {"particle": [2, 0], "x": [7, 0, 3]},
        {"y": 2, "x": slice(3, 3)},
        {"particle": []},
    ],
    ids=str,
)
def test_selection_gives_what_numpy_gives(project: Project, chunks: Any, key: dict[str, Any]) -> None:
    particles = mrcarray.open_particles(project.star, chunks=chunks)
    expected = xr.DataArray(project.pixels, dims=("particle", "y", "x")).isel(key)
    assert (particles.data.chunks is None) == (chunks is None)
    np.testing.assert_array_equal(particles.data.isel(key).values, expected.values)


@pytest.mark.parametrize("dims", [("particle", "y", "x"), ("y", "x"), ("particle", "x"), ("particle",)])
def test_pointwise_selection_gives_what_numpy_gives(project: Project, dims: tuple[str, ...]) -> None:
    rng = np.random.default_rng(0)
    sizes = dict(zip(("particle", "y", "x"), project.pixels.shape, strict=True))
    key = {dim: xr.DataArray(rng.integers(sizes[dim], size=(2, 5)), dims=("one", "two")) for dim in dims}
    expected = xr.DataArray(project.pixels, dims=("particle", "y", "x")).isel(key)
    found = mrcarray.open_particles(project.star).data.isel(key)
    assert found.dims == expected.dims
    np.testing.assert_array_equal(found.values, expected.values)


def test_columns_are_coordinates_with_units(project: Project) -> None:
    particles = mrcarray.open_particles(project.star)
    assert particles.defocus_u.values.tolist() == [9000.125, 9001.25, 9002.0, 9003.5]
    assert particles.defocus_u.attrs["units"] == "angstrom"
    assert particles.angle_rot.attrs["units"] == "degree"
    assert particles.micrograph_name.dtype.kind == "U"
    assert particles.image_name.values[1] == "000002@Extract/b.mrcs"
    assert [name for name in particles.coords if particles[name].dims == ("particle",)] == [
        "particle",
        "image_name",
        "defocus_u",
        "angle_rot",
        "optics_group",
        "micrograph_name",
        "optics_group_name",
        "voltage",
        "image_pixel_size",
    ]


def test_optics_are_joined_by_group(project: Project) -> None:
    particles = mrcarray.open_particles(project.star)
    assert particles.voltage.values.tolist() == [300.0, 200.0, 300.0, 300.0]
    assert particles.optics_group_name.values.tolist() == ["grid_a", "grid_b", "grid_a", "grid_a"]


def test_unknown_optics_group_names_the_line(project: Project) -> None:
    project.star.write_text(STAR.replace("20.5 7", "20.5 8"))
    with pytest.raises(MrcValueError, match=f"line {LINES[1]}: optics group 8 is not in data_optics, which has 7, 3"):
        mrcarray.open_particles(project.star)


def test_columns_chooses_by_either_name(project: Project) -> None:
    particles = mrcarray.open_particles(project.star, columns=["rlnDefocusU", "voltage"])
    assert set(particles.coords) == {"particle", "y", "x", "defocus_u", "voltage"}
    with pytest.raises(MrcValueError, match="no column 'defocus'; the table has angle_rot, defocus_u"):
        mrcarray.open_particles(project.star, columns=["defocus"])


def test_pixel_size_of_the_table_wins_over_the_header(project: Project) -> None:
    assert mrcarray.open_particles(project.star).x.values.tolist() == [2.0 * at for at in range(8)]
    project.star.write_text(STAR.replace("2.000000", "1.500000"))
    with pytest.warns(
        MrcWarning, match=r"the pixel size is 1\.5 Å, but 2 Å in the header of .*a\.mrcs and 1 more files"
    ):
        particles = mrcarray.open_particles(project.star)
    assert particles.x.values[:3].tolist() == [0.0, 1.5, 3.0]
    assert particles.x.attrs["units"] == "angstrom"


def test_pixel_size_of_the_header_is_used_without_one_in_the_table(project: Project) -> None:
    project.star.write_text(STAR.replace("rlnImagePixelSize", "rlnSomething"))
    assert mrcarray.open_particles(project.star).y.values.tolist() == [2.0 * at for at in range(6)]


def test_pixel_size_of_relion_30_is_detector_by_magnification(project: Project) -> None:
    text = STAR.replace("rlnImagePixelSize", "rlnMagnification").replace("rlnVoltage", "rlnDetectorPixelSize")
    text = text.replace("200.000000 2.0", "5 25000.0").replace("300.000000 2.0", "5 25000.0")
    project.star.write_text(text)
    assert mrcarray.open_particles(project.star).x.values[1] == pytest.approx(2.0)


def test_several_pixel_sizes_count_pixels_with_a_warning(project: Project) -> None:
    project.star.write_text(STAR.replace("grid_b 200.000000 2.0", "grid_b 200.000000 3.0"))
    with pytest.warns(MrcWarning, match=r"2 pixel sizes \(2, 3 Å\); x and y count pixels"):
        particles = mrcarray.open_particles(project.star)
    assert particles.x.attrs["units"] == "pixel"
    assert particles.image_pixel_size.values.tolist() == [2.0, 3.0, 2.0, 2.0]


class TestRoot:
    def test_parents_of_the_table_are_searched(self, project: Project) -> None:
        assert Path.cwd() != project.folder
        assert mrcarray.open_particles(project.star).sizes["particle"] == 4

    def test_current_directory_comes_first(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        other = project.folder / "other"
        (other / "Extract").mkdir(parents=True)
        for name in "ab":
            (other / "Extract" / f"{name}.mrcs").write_bytes(mrc_bytes(np.zeros((3, 6, 8), "f4"), ispg=0, m=(8, 6, 1)))
        monkeypatch.chdir(other)
        assert not mrcarray.open_particles(project.star).data.values.any()
        assert mrcarray.open_particles(project.star, root=project.folder).data.values.any()

    @pytest.mark.parametrize("check", ["headers", "none"])
    def test_missing_file_names_the_line(self, project: Project, check: Any) -> None:
        (project.folder / "Extract/b.mrcs").unlink()
        with pytest.raises(FileNotFoundError, match=rf"particles\.star, line {LINES[1]}: no file .*b\.mrcs"):
            mrcarray.open_particles(project.star, check=check, root=project.folder).data.load()

    def test_missing_file_of_a_selection_names_the_line(self, project: Project) -> None:
        (project.folder / "Extract/b.mrcs").unlink()
        particles = mrcarray.open_particles(project.star, check="none", chunks={"particle": 1})
        assert particles.data[[0, 2]].values.shape == (2, 6, 8)
        with pytest.raises(FileNotFoundError, match=f"line {LINES[1]}"):
            particles.data[1].compute(scheduler="synchronous")


class TestWrongTables:
    @pytest.mark.parametrize("check", ["headers", "none"])
    def test_section_beyond_the_file_names_the_line(self, project: Project, check: Any) -> None:
        project.star.write_text(STAR.replace("000002@Extract/b", "000009@Extract/b"))
        with pytest.raises(MrcFormatError, match=rf"line {LINES[1]}: image 9 of .*b\.mrcs, which has 2"):
            mrcarray.open_particles(project.star, check=check).data.load()

    @pytest.mark.parametrize("check", ["headers", "none"])
    def test_other_image_size_names_the_line(self, project: Project, check: Any) -> None:
        (project.folder / "Extract/b.mrcs").write_bytes(mrc_bytes(sample((2, 6, 9), 2), ispg=0, m=(9, 6, 1)))
        with pytest.raises(MrcFormatError, match=rf"line {LINES[1]}: .*b\.mrcs have 6 x 9 pixels; expected 6 x 8"):
            mrcarray.open_particles(project.star, check=check).data.load()

    @pytest.mark.parametrize("check", ["headers", "none"])
    def test_name_without_section_needs_a_single_image(self, project: Project, check: Any) -> None:
        project.star.write_text(STAR.replace("000002@Extract/b", "Extract/b"))
        with pytest.raises(MrcFormatError, match=rf"line {LINES[1]}: .*b\.mrcs has 2 images; expected NUMBER@FILE"):
            mrcarray.open_particles(project.star, check=check).data.load()
        image = sample((6, 8), 2)
        (project.folder / "Extract/b.mrcs").write_bytes(mrc_bytes(image))
        np.testing.assert_array_equal(mrcarray.open_particles(project.star, check=check).data[1], image)

    @pytest.mark.parametrize("name", ["0@Extract/a.mrcs", "x@Extract/a.mrcs", "-1@Extract/a.mrcs"])
    def test_wrong_image_number_names_the_line(self, project: Project, name: str) -> None:
        project.star.write_text(STAR.replace("000001@Extract/a.mrcs", name))
        with pytest.raises(MrcValueError, match=f"line {LINES[2]}: the image is '{name}'; expected NUMBER@FILE"):
            mrcarray.open_particles(project.star)

    def test_damaged_file_names_the_line(self, project: Project) -> None:
        path = project.folder / "Extract/b.mrcs"
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(MrcFormatError, match=f"line {LINES[1]}: .*MRC201"):
            mrcarray.open_particles(project.star)

    def test_star_file_without_images_lists_its_blocks(self, project: Project) -> None:
        project.star.write_text(STAR.replace("rlnImageName", "rlnTomoName"))
        with pytest.raises(MrcValueError, match="found data_optics, data_particles; expected a loop with"):
            mrcarray.open_particles(project.star)

    def test_other_suffix_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(MrcValueError, match=r"expected a file ending in \.star or \.cs"):
            mrcarray.open_particles(tmp_path / "a.csv")

    def test_unknown_check_is_refused(self, project: Project) -> None:
        with pytest.raises(MrcValueError, match="check is 'all'; expected 'headers' or 'none'"):
            mrcarray.open_particles(project.star, check="all")  # type: ignore[arg-type]


def test_types_of_the_files_are_joined(project: Project) -> None:
    values = sample((2, 6, 8), 1)
    (project.folder / "Extract/b.mrcs").write_bytes(mrc_bytes(values, 1, ">", ispg=0, m=(8, 6, 1)))
    particles = mrcarray.open_particles(project.star)
    np.testing.assert_array_equal(particles.data[1].values, values[1].astype(np.float32))


def test_dataframe_and_dict_are_tables_too(project: Project) -> None:
    import starfile

    blocks = starfile.read(project.star, always_dict=True)
    same = mrcarray.open_particles(project.star)
    xr.testing.assert_equal(mrcarray.open_particles(blocks, root=project.folder), same)
    frame = blocks["particles"].drop(index=[0])
    found = mrcarray.open_particles(frame, root=project.folder)
    np.testing.assert_array_equal(found.data.values, project.pixels[1:])
    with pytest.raises(FileNotFoundError, match=r"row 0 of the table: no file Extract/[ab]"):
        mrcarray.open_particles(frame.iloc[[1, 0]], root=project.folder / "Extract")


def test_missing_starfile_is_one_sentence(project: Project) -> None:
    code = (
        f"import sys; sys.modules['starfile'] = None; import mrcarray; mrcarray.open_particles({str(project.star)!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    expected = 'reading STAR files needs starfile: pip install "mrcarray[star]"'
    assert done.stderr.splitlines()[-1] == f"{MissingDependencyError.__module__}.MissingDependencyError: {expected}"


class TestReads:
    def test_opening_reads_no_pixel(self, project: Project, reads: list[tuple[int, int]]) -> None:
        particles = mrcarray.open_particles(project.star)
        assert sorted(reads) == [(0, 1024), (0, 1024)]
        repr(particles)
        particles.sel(particle=particles.defocus_u > 9001)
        assert pixels_read(reads) == 0

    def test_no_check_reads_one_header(self, project: Project, reads: list[tuple[int, int]]) -> None:
        mrcarray.open_particles(project.star, check="none")
        assert reads == [(0, 1024)]

    def test_selection_reads_its_bytes(self, project: Project, reads: list[tuple[int, int]]) -> None:
        image = 6 * 8 * 4
        particles = mrcarray.open_particles(project.star)
        particles.data[[2, 1]].values  # noqa: B018 -- reading is the test
        assert pixels_read(reads) == 2 * image
        reads.clear()
        particles.data[1, 2:4].values  # noqa: B018 -- as above
        assert pixels_read(reads) == 2 * 8 * 4

    def test_chunks_read_their_bytes(self, project: Project, reads: list[tuple[int, int]]) -> None:
        particles = mrcarray.open_particles(project.star, chunks={"particle": 2})
        particles.data[0].compute(scheduler="synchronous")
        assert pixels_read(reads) == 6 * 8 * 4

    def test_hundred_thousand_rows_read_headers_only(self, tmp_path: Path, reads: list[tuple[int, int]]) -> None:
        files, each = 20, 5000
        for number in range(files):
            with (tmp_path / f"{number}.mrcs").open("wb") as file:
                file.write(header_bytes(nx=64, ny=64, nz=each, ispg=0, m=(64, 64, 1)))
                file.truncate(1024 + each * 64 * 64 * 4)
        rows = (f"{at % each + 1:06d}@{at // each}.mrcs {at}.5 {at % 360}.25" for at in range(files * each))
        pytest.importorskip("starfile", reason="starfile is not installed (extra: star)")
        columns = "loop_\n_rlnImageName #1\n_rlnDefocusU #2\n_rlnAngleRot #3\n"
        (tmp_path / "p.star").write_text(f"data_particles\n\n{columns}" + "\n".join(rows) + "\n")
        particles = mrcarray.open_particles(tmp_path / "p.star")
        assert particles.sizes["particle"] == files * each
        assert len(reads) == files
        assert pixels_read(reads) == 0
        particles.data[[99_999, 3]].load()
        assert pixels_read(reads) == 2 * 64 * 64 * 4


def _mean(job: tuple[xr.Dataset, int]) -> float:
    particles, at = job
    return float(particles.data[at].mean())


@pytest.mark.parametrize("form", ["nc", "zarr"])
def test_dataset_is_saved_with_its_columns(project: Project, form: str) -> None:
    particles = mrcarray.open_particles(project.star)
    path = project.folder / f"saved.{form}"
    if form == "nc":
        particles.to_netcdf(path, engine="h5netcdf")
        with xr.open_dataset(path, engine="h5netcdf") as saved:
            back = saved.load()
    else:
        particles.to_zarr(path, consolidated=False)
        back = xr.open_zarr(path, consolidated=False).load()
    xr.testing.assert_equal(back, particles)
    assert back.defocus_u.attrs == particles.defocus_u.attrs


def test_accessor_knows_the_grid(project: Project) -> None:
    image = mrcarray.open_particles(project.star).data
    assert image.mrc.kind == "particles"
    assert image.mrc.voxel_size[:2] == (2.0, 2.0)


class TestOtherProcesses:
    @pytest.mark.parametrize("check", ["headers", "none"])
    def test_dataset_travels_to_spawned_processes(self, project: Project, check: Any) -> None:
        particles = mrcarray.open_particles(project.star, check=check)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            means = pool.map(_mean, [(particles, at) for at in range(4)])
        np.testing.assert_allclose(means, project.pixels.mean(axis=(1, 2)), rtol=1e-5)

    def test_pickle_holds_no_pixels(self, project: Project) -> None:
        stack = mrcarray.open_particles(project.star).data.variable._data
        assert len(pickle.dumps(stack)) < 3000

    def test_torch_dataloader_spawns(self, project: Project) -> None:
        data = pytest.importorskip("torch.utils.data", reason="torch is not installed: its wheels are large")
        loader = data.DataLoader(
            _Images(mrcarray.open_particles(project.star)), num_workers=1, multiprocessing_context="spawn"
        )
        np.testing.assert_array_equal(np.concatenate([batch.numpy() for batch in loader]), project.pixels)

    def test_graph_holds_the_table_once(self, project: Project) -> None:
        particles = mrcarray.open_particles(project.star, chunks={"particle": 1})
        assert pickle.dumps(particles.data.data.dask).count(b"a.mrcs") <= 2

    def test_tasks_are_named_by_content(self, project: Project) -> None:
        first, second = (mrcarray.open_particles(project.star, chunks={}).data.data.name for _ in range(2))
        assert first == second
        (project.folder / "Extract/b.mrcs").write_bytes(mrc_bytes(sample((3, 6, 8), 2), ispg=0, m=(8, 6, 1)))
        assert mrcarray.open_particles(project.star, chunks={}).data.data.name != first


class _Images:
    """A map-style data set, as PyTorch asks for one."""

    def __init__(self, particles: xr.Dataset) -> None:
        self.data = particles.data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, at: int) -> np.ndarray:
        return np.asarray(self.data[at])


@pytest.mark.data
def test_real_stack_opens_as_particles(shared_data: Path) -> None:
    import pandas as pd

    table = pd.DataFrame({"rlnImageName": [f"{at}@relion31.mrcs" for at in (5, 1)], "rlnImagePixelSize": 1.0})
    particles = mrcarray.open_particles(table, root=shared_data)
    whole = mrcarray.open_array(shared_data / "relion31.mrcs")
    np.testing.assert_array_equal(particles.data.values, whole[[4, 0]])


@pytest.mark.parametrize("name", ["rlnOriginXAngst", "rlnDefocusU", "rlnCtfMaxResolution", "rlnNrOfFrames"])
def test_names_go_there_and_back(name: str) -> None:
    assert star_name(snake_case(name)) == name


def test_columns_of_cs_files(tmp_path: Path) -> None:
    values = sample((3, 6, 8), 2)
    (tmp_path / "J1").mkdir()
    (tmp_path / "J1/stack.mrc").write_bytes(mrc_bytes(values, ispg=0, m=(8, 6, 1)))
    table = np.zeros(
        2,
        dtype=[
            ("uid", "<u8"),
            ("blob/path", "S20"),
            ("blob/idx", "<u4"),
            ("blob/psize_A", "<f4"),
            ("ctf/df1_A", "<f4"),
            ("ctf/df_angle_rad", "<f4"),
            ("ctf/accel_kv", "<f4"),
            ("alignments3D/pose", "<f4", (3,)),
            ("location/micrograph_path", "S20"),
        ],
    )
    table["uid"] = 11, 2**63
    table["blob/path"], table["blob/idx"], table["blob/psize_A"] = b">J1/stack.mrc", (2, 0), 2
    table["alignments3D/pose"][1] = 1, 2, 3
    table["location/micrograph_path"] = b"J0/mic.mrc"
    with (tmp_path / "J1/particles.cs").open("wb") as file:
        np.save(file, table)
    particles = mrcarray.open_particles(tmp_path / "J1/particles.cs")
    np.testing.assert_array_equal(particles.data.values, values[[2, 0]])
    assert particles.uid.to_numpy().tolist() == [11, 2**63]
    assert particles.alignments3d_pose.dims == ("particle", "alignments3d_pose_0")
    assert particles.alignments3d_pose.to_numpy()[1].tolist() == [1, 2, 3]
    assert particles.micrograph_name.to_numpy().tolist() == ["J0/mic.mrc"] * 2
    units = {name: particles[name].attrs.get("units") for name in ("defocus_u", "defocus_angle", "voltage", "uid")}
    assert units == {"defocus_u": "angstrom", "defocus_angle": "radian", "voltage": "kV", "uid": None}
    assert particles.x.to_numpy()[1] == 2.0
    (tmp_path / "J1/stack.mrc").unlink()
    with pytest.raises(FileNotFoundError, match=r"particles\.cs, row 0: no file J1/stack\.mrc"):
        mrcarray.open_particles(tmp_path / "J1/particles.cs")


@pytest.mark.parametrize("content", ["array", "text"])
def test_other_cs_files_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.cs"
    with path.open("wb") as file:
        if content == "array":
            np.save(file, np.zeros(3))
        else:
            file.write(b"no array")
    with pytest.raises(MrcValueError, match=r"has no field blob/path|not a \.cs file of cryoSPARC"):
        mrcarray.open_particles(path)
