"""OME-Zarr images, checked by other programs that read them: ngff-zarr, ome-zarr-models and zarr alone."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr
import zarr

import mrcarray
from mrcarray.cli import main
from mrcarray.conversion import ome_zarr
from mrcarray.conversion.ome_metadata import grid_of, levels_of
from mrcarray.errors import MissingDependencyError, MrcValueError, MrcWarning
from mrcarray.storage import atomic, orphans
from tests import builders
from tests.memory import PEAK_MEMORY
from tests.processes import without_coverage

if TYPE_CHECKING:
    from collections.abc import Callable

VERSIONS = ["0.4", "0.5"]
EXTENDED = bytes(range(256)) * 3
OWN = "mrcarray"


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """Return a volume of uneven lengths and anisotropic voxels of 2 x 3 x 4 Å at (-30, 12, 6) Å."""
    path = tmp_path / "volume.mrc"
    values = builders.sample((21, 34, 40), 2)
    cella, origin = (80.0, 102.0, 84.0), (-30.0, 12.0, 6.0)
    path.write_bytes(builders.mrc_bytes(values, 2, cella=cella, m=(40, 34, 21), origin=origin, extra2=b"kept" * 21))
    return path


def stack(path: Path) -> Path:
    """Write an int16 tilt series with an extended header of unknown kind, and return its path."""
    values = builders.sample((5, 16, 24), 1)
    path.write_bytes(builders.mrc_bytes(values, 1, ">", EXTENDED, ispg=0, m=(24, 16, 1), exttyp=b""))
    return path


def opened(path: str) -> Any:
    """Return one level, as zarr alone reads it."""
    return zarr.open_array(path, mode="r")


def metadata(path: Path | str) -> dict[str, Any]:
    """Return the attributes that OME-Zarr defines, read as JSON."""
    folder = Path(path)
    if (folder / ".zattrs").exists():
        found: dict[str, Any] = json.loads((folder / ".zattrs").read_text())
        return {**found, **found["multiscales"][0]}
    found = json.loads((folder / "zarr.json").read_text())["attributes"]
    return {**found, **found["ome"], **found["ome"]["multiscales"][0]}


def binned(values: Any, by: tuple[int, ...]) -> Any:
    """Return the mean of blocks, calculated in one step from all values."""
    whole = values[tuple(slice(length // one * one) for length, one in zip(values.shape, by, strict=True))]
    shape = [part for length, one in zip(whole.shape, by, strict=True) for part in (length // one, one)]
    return whole.astype("f8").reshape(shape).mean(axis=tuple(range(1, 2 * values.ndim, 2)))


def quietly(source: Any, target: Any, **options: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MrcWarning)
        mrcarray.convert(source, target, **options)


def without_run(raw: bytes) -> bytes:
    """Return a file without its labels, whose last one states the time at which it was written."""
    return raw[:220] + raw[1024:]


@pytest.mark.parametrize("version", VERSIONS)
def test_ngff_zarr_validates_and_agrees_on_every_level(volume: Path, tmp_path: Path, version: str) -> None:
    ngff_zarr = pytest.importorskip("ngff_zarr", reason="ngff-zarr is missing (extra: neighbours)")
    path = mrcarray.to_ome_zarr(mrcarray.open_dataarray(volume), tmp_path / "a.ome.zarr", version=version, chunks=16)
    read = ngff_zarr.from_ngff_zarr(path, validate=True)
    values = mrcarray.open_dataarray(volume).values
    image = ngff_zarr.to_ngff_image(
        values,
        dims=["z", "y", "x"],
        scale={"z": 4.0, "y": 3.0, "x": 2.0},
        translation={"z": 6.0, "y": 12.0, "x": -30.0},
    )
    made = ngff_zarr.to_multiscales(image, scale_factors=[2, 4], method=ngff_zarr.Methods.DASK_BIN_SHRINK, chunks=40)
    assert len(read.images) == len(made.images) == 3
    for ours, theirs in zip(read.images, made.images, strict=True):
        assert tuple(ours.dims) == tuple(theirs.dims) == ("z", "y", "x")
        assert set(ours.axes_units.values()) == {"angstrom"}
        assert ours.scale == pytest.approx(theirs.scale)
        assert ours.translation == pytest.approx(theirs.translation)
        np.testing.assert_allclose(np.asarray(ours.data), np.asarray(theirs.data), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("version", VERSIONS)
def test_ome_zarr_models_parse_volumes_and_stacks(volume: Path, tmp_path: Path, version: str) -> None:
    models = pytest.importorskip("ome_zarr_models", reason="ome-zarr-models is missing (extra: neighbours)")
    for source in (volume, stack(tmp_path / "s.mrc")):
        target = tmp_path / f"{source.stem}.ome.zarr"
        mrcarray.convert(source, target, ngff=version)
        group = models.open_ome_zarr(str(target), version=version)
        image = group.attributes.multiscales[0] if version == "0.4" else group.attributes.ome.multiscales[0]
        assert len(image.datasets) == 3


@pytest.mark.parametrize("version", VERSIONS)
def test_zarr_alone_reads_levels_with_scale_and_translation(volume: Path, tmp_path: Path, version: str) -> None:
    values = mrcarray.open_dataarray(volume).values
    path = mrcarray.to_ome_zarr(mrcarray.open_dataarray(volume), tmp_path / "a.ome.zarr", version=version, chunks=16)
    found = metadata(path)
    assert found["axes"] == [{"name": name, "type": "space", "unit": "angstrom"} for name in "zyx"]
    for factor, dataset in zip((1, 2, 4), found["datasets"], strict=True):
        level = opened(f"{path}/{dataset['path']}")
        assert level.chunks == tuple(min(16, length) for length in level.shape)
        np.testing.assert_allclose(level[:], binned(values, (factor,) * 3), rtol=1e-5, atol=1e-6)
        scale, translation = dataset["coordinateTransformations"]
        assert scale == {"type": "scale", "scale": [4.0 * factor, 3.0 * factor, 2.0 * factor]}
        starts = [6 + 4 * (factor - 1) / 2, 12 + 3 * (factor - 1) / 2, -30 + 2 * (factor - 1) / 2]
        assert translation == {"type": "translation", "translation": starts}


def test_files_are_those_of_the_version(volume: Path, tmp_path: Path) -> None:
    for version, name in (("0.4", "0/0/0/0"), ("0.5", "0/c/0/0/0")):
        path = tmp_path / f"{version}.ome.zarr"
        mrcarray.convert(volume, path, ngff=version)
        assert (path / name).is_file()
    assert json.loads((path / "0/zarr.json").read_text())["dimension_names"] == ["z", "y", "x"]
    assert not any(orphans.SUFFIX in one.name for one in tmp_path.iterdir())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["volume", "stack"])
def test_way_back_restores_every_byte(volume: Path, tmp_path: Path, version: str, kind: str) -> None:
    source = volume if kind == "volume" else stack(tmp_path / "s.mrc")
    mrcarray.convert(source, tmp_path / "a.ome.zarr", ngff=version)
    mrcarray.convert(tmp_path / "a.ome.zarr", tmp_path / "back.mrc")
    mrcarray.convert(source, tmp_path / "copy.mrc")
    back, copy = ((tmp_path / name).read_bytes() for name in ("back.mrc", "copy.mrc"))
    assert without_run(back) == without_run(copy)
    assert back[112:196] == source.read_bytes()[112:196]
    if kind == "stack":
        assert back[1024 : 1024 + len(EXTENDED)] == EXTENDED
        assert back[212:214] == b"\x11\x11"


def test_axes_in_another_order_are_restored(tmp_path: Path) -> None:
    source = tmp_path / "a.mrc"
    source.write_bytes(builders.mrc_bytes(builders.sample((6, 8, 10), 2), 2, mapcrs=(3, 1, 2), m=(8, 6, 10)))
    mrcarray.convert(source, tmp_path / "a.ome.zarr")
    assert metadata(tmp_path / "a.ome.zarr")["axes"][0]["name"] == "z"
    assert opened(str(tmp_path / "a.ome.zarr/0")).shape == (10, 6, 8)
    mrcarray.convert(tmp_path / "a.ome.zarr", tmp_path / "back.mrc")
    mrcarray.convert(source, tmp_path / "copy.mrc")
    assert without_run((tmp_path / "back.mrc").read_bytes()) == without_run((tmp_path / "copy.mrc").read_bytes())


def test_stack_is_not_reduced_along_sections_and_keeps_its_coordinates(tmp_path: Path) -> None:
    from conftest import write_samples

    write_samples(tmp_path)
    whole = xr.open_dataarray(tmp_path / "TS_01.mrc", engine="mrc")
    path = mrcarray.to_ome_zarr(whole, tmp_path / "a.ome.zarr")
    assert [opened(f"{path}/{at}").shape for at in range(3)] == [(5, 16, 24), (5, 8, 12), (5, 4, 6)]
    assert opened(f"{path}/0").chunks == (1, 16, 24)
    found = metadata(path)
    assert found["axes"][0] == {"name": "t", "type": "time"}
    assert found["datasets"][2]["coordinateTransformations"][0]["scale"] == [1.0, 8.0, 8.0]
    for level, shape in ((0, whole.shape), (1, (5, 8, 12))):
        back = mrcarray.conversion.load(path, level=level)
        assert back.dims == whole.dims
        assert back.shape == shape
        for name in ("tilt_angle", "exposure_dose", "datetime"):
            np.testing.assert_array_equal(back[name], whole[name])
    np.testing.assert_array_equal(back.x, whole.x.coarsen(x=2).mean())
    np.testing.assert_array_equal(back, np.rint(binned(whole.values, (1, 2, 2))))


def test_level_has_the_coordinates_of_its_voxels(volume: Path, tmp_path: Path) -> None:
    whole = mrcarray.open_dataarray(volume)
    path = mrcarray.to_ome_zarr(whole, tmp_path / "a.ome.zarr")
    half = mrcarray.conversion.load(path, level=1)
    expected = whole.coarsen(z=2, y=2, x=2, boundary="trim").mean()
    assert half.shape == expected.shape
    for axis in "xyz":
        np.testing.assert_allclose(half[axis], expected[axis])
    quietly(path, tmp_path / "half.mrc", level=1)
    assert mrcarray.open_dataarray(tmp_path / "half.mrc").mrc.voxel_size == (4.0, 6.0, 8.0)
    with pytest.raises(MrcValueError, match=r"level is 3; .* has the levels 0 to 2"):
        mrcarray.convert(path, tmp_path / "no.mrc", level=3)
    with pytest.raises(MrcValueError, match="only OME-Zarr images have levels"):
        mrcarray.convert(volume, tmp_path / "no.mrc", level=1)


def test_image_of_another_program_gets_coordinates_in_angstrom(tmp_path: Path) -> None:
    ngff_zarr = pytest.importorskip("ngff_zarr", reason="ngff-zarr is missing (extra: neighbours)")
    values = np.arange(2 * 4 * 6, dtype="f4").reshape(2, 4, 6)
    units = dict.fromkeys("zyx", "nanometer")
    image = ngff_zarr.to_ngff_image(
        values,
        dims=["z", "y", "x"],
        scale=dict.fromkeys("zyx", 0.5),
        translation={"z": 1.0, "y": 0.0, "x": 2.0},
        axes_units=units,
    )
    multiscales = ngff_zarr.to_multiscales(image, scale_factors=[2], method=ngff_zarr.Methods.DASK_BIN_SHRINK)
    ngff_zarr.to_ngff_zarr(str(tmp_path / "theirs.zarr"), multiscales, version="0.5")
    array = mrcarray.conversion.load(tmp_path / "theirs.zarr")
    assert array.mrc.voxel_size == (5.0, 5.0, 5.0)
    assert array.mrc.origin == (20.0, 0.0, 10.0)
    np.testing.assert_array_equal(array, values)
    mrcarray.convert(tmp_path / "theirs.zarr", tmp_path / "a.mrc")
    assert mrcarray.open_dataarray(tmp_path / "a.mrc").mrc.voxel_size == (5.0, 5.0, 5.0)


def foreign(path: Path, axes: list[str], shape: tuple[int, ...], **changes: Any) -> Path:
    """Write an image of version 0.4 with zarr alone."""
    group = zarr.create_group(str(path), zarr_format=2)
    group.create_array("s0", shape=shape, dtype="u1", chunks=shape)[...] = 7
    scale = [{"type": "scale", "scale": [1.0] * len(shape)}]
    image: dict[str, Any] = {
        "axes": [{"name": name} for name in axes],
        "datasets": [{"path": "s0", "coordinateTransformations": scale}],
    }
    group.attrs["multiscales"] = [{**image, **changes}]
    return path


def test_single_channels_and_times_are_dropped_and_several_channels_refused(tmp_path: Path) -> None:
    plain = foreign(tmp_path / "a.zarr", list("tczyx"), (1, 1, 2, 4, 4))
    assert mrcarray.conversion.load(plain).dims == ("z", "y", "x")
    movie = foreign(tmp_path / "t.zarr", list("tzyx"), (3, 1, 4, 4))
    assert mrcarray.conversion.load(movie).dims == ("section", "y", "x")
    with pytest.raises(MrcValueError, match="has the axes c, z, y, x; expected z, y, x and at most t"):
        mrcarray.conversion.load(foreign(tmp_path / "c.zarr", list("czyx"), (2, 2, 4, 4)))
    with pytest.raises(MrcValueError, match="metadata are damaged"):
        mrcarray.conversion.load(foreign(tmp_path / "d.zarr", list("yx"), (4, 4), datasets=[{"path": "s0"}]))


def test_changed_grid_is_believed_and_the_header_ignored(volume: Path, tmp_path: Path) -> None:
    path = mrcarray.to_ome_zarr(mrcarray.open_dataarray(volume), tmp_path / "a.ome.zarr")
    group = zarr.open_group(path, mode="r+")
    ome: Any = dict(group.attrs)["ome"]
    ome["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"] = [9.0, 9.0, 9.0]
    group.attrs["ome"] = ome
    with pytest.warns(MrcWarning, match="voxels of 4 angstrom from 6 along z, but the image has 9 from 6"):
        array = mrcarray.conversion.load(path)
    assert array.mrc.voxel_size == (9.0, 9.0, 9.0)
    assert "header" not in array.encoding


def test_window_is_the_range_of_the_values(volume: Path, tmp_path: Path) -> None:
    array = mrcarray.open_dataarray(volume)
    channel = metadata(mrcarray.to_ome_zarr(array, tmp_path / "a.ome.zarr"))["omero"]["channels"][0]
    window, values = channel["window"], array.values.astype("f8")
    assert (window["min"], window["max"]) == (values.min(), values.max())
    assert window["start"] == pytest.approx(max(values.min(), values.mean() - 3 * values.std()))
    assert window["end"] == pytest.approx(min(values.max(), values.mean() + 3 * values.std()))
    for fill in (0.0, np.nan):
        path = mrcarray.to_ome_zarr(xr.full_like(array.load(), fill), tmp_path / f"{fill}.ome.zarr")
        omero: Any = metadata(path).get("omero")
        assert omero is None if np.isnan(fill) else omero["channels"][0]["window"]["end"] == 1.0


@pytest.mark.parametrize("method", ["max", "min", "nearest"])
def test_methods_join_voxels(tmp_path: Path, method: str) -> None:
    labels = xr.DataArray(builders.sample((4, 6, 8), 1), dims=("z", "y", "x"))
    labels = labels.assign_coords(
        {dim: (dim, np.arange(n) * 2.0, {"units": "angstrom"}) for dim, n in labels.sizes.items()}
    )
    path = mrcarray.to_ome_zarr(labels, tmp_path / "a.ome.zarr", scale_factors=[2], method=method)
    blocks = labels.values.reshape(2, 2, 3, 2, 4, 2)
    expected = blocks[:, 0, :, 0, :, 0] if method == "nearest" else getattr(blocks, method)(axis=(1, 3, 5))
    np.testing.assert_array_equal(opened(f"{path}/1")[:], expected)
    start = metadata(path)["datasets"][1]["coordinateTransformations"][1]["translation"]
    assert start == [0.0 if method == "nearest" else 1.0] * 3  # nearest takes the first voxel of a block


def test_integer_means_are_rounded_and_do_not_overflow(tmp_path: Path) -> None:
    values = np.full((2, 2, 2), 32767, "i2")
    values[0, 0, 0] = 32763
    array = xr.DataArray(values, dims=("z", "y", "x"))
    path = mrcarray.to_ome_zarr(array, tmp_path / "a.ome.zarr", scale_factors=[2])
    level = opened(f"{path}/1")
    assert level.dtype == np.int16
    assert level[:].item() == 32766  # of 32766.5, to even
    assert metadata(path)["axes"] == [{"name": name, "type": "space"} for name in "zyx"]


def test_thin_axes_are_kept_and_levels_end_where_nothing_is_reduced(volume: Path) -> None:
    grid = grid_of(mrcarray.open_dataarray(volume))
    assert [level.shape for level in levels_of(grid, (3, 9, 16), (2, 4, 8, 16))] == [
        (3, 9, 16),
        (1, 4, 8),
        (1, 2, 4),
        (1, 1, 2),
        (1, 1, 1),
    ]
    assert levels_of(grid, (3, 9, 16), (2, 4))[2].factors == (2, 4, 4)
    assert len(levels_of(grid, (1, 1, 1), (2, 4))) == 1
    with pytest.raises(MrcValueError, match="scale_factors are 2, 3; expected multiples"):
        levels_of(grid, (8, 8, 8), (2, 3))


def test_falling_coordinates_are_reversed_with_the_data(volume: Path, tmp_path: Path) -> None:
    array = mrcarray.open_dataarray(volume)
    path = mrcarray.to_ome_zarr(array[::-1], tmp_path / "a.ome.zarr")
    np.testing.assert_array_equal(opened(f"{path}/0")[:], array.values)
    with pytest.raises(MrcValueError, match="not evenly spaced"):
        mrcarray.to_ome_zarr(array.isel(z=[0, 1, 5]), tmp_path / "b.ome.zarr")


def test_shards_are_files_of_several_chunks(volume: Path, tmp_path: Path) -> None:
    array = mrcarray.open_dataarray(volume)
    path = mrcarray.to_ome_zarr(array, tmp_path / "a.ome.zarr", chunks=8, shards=(16, 16, 16))
    level = opened(f"{path}/0")
    assert (level.chunks, level.shards) == ((8, 8, 8), (16, 16, 16))
    np.testing.assert_array_equal(level[:], array.values)
    np.testing.assert_allclose(opened(f"{path}/2")[:], binned(array.values, (4, 4, 4)), rtol=1e-5, atol=1e-6)
    with pytest.raises(MrcValueError, match=r"shards need OME-Zarr 0\.5"):
        mrcarray.to_ome_zarr(array, tmp_path / "b.ome.zarr", version="0.4", shards=(16, 16, 16))


def test_portal_preset_has_its_layout(volume: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numcodecs = pytest.importorskip("numcodecs", reason="numcodecs is missing (installed with zarr)")
    assert main(["convert", "--preset", "portal", str(volume), str(tmp_path / "a.ome.zarr")]) == 0
    stored = json.loads((tmp_path / "a.ome.zarr/0/.zarray").read_text())
    assert stored["compressor"]["id"] == numcodecs.Blosc.codec_id
    assert stored["compressor"]["cname"] == "lz4"
    assert stored["dimension_separator"] == "/"
    assert metadata(tmp_path / "a.ome.zarr")["version"] == "0.4"
    assert len(metadata(tmp_path / "a.ome.zarr")["datasets"]) == 3
    assert main(["convert", "--ngff=0.5", "--preset=portal", str(volume), str(tmp_path / "b.ome.zarr")]) == 2
    assert "leave out --ngff" in capsys.readouterr().err


def test_command_converts_there_and_back(volume: Path, tmp_path: Path) -> None:
    for command in (
        ["--ngff", "0.4", str(volume), str(tmp_path / "a.ome.zarr")],
        ["--level", "0", str(tmp_path / "a.ome.zarr"), str(tmp_path / "b.mrc")],
    ):
        assert main(["convert", *command]) == 0
    np.testing.assert_array_equal(mrcarray.open_dataarray(tmp_path / "b.mrc"), mrcarray.open_dataarray(volume))
    wrong: list[dict[str, Any]] = [{"ngff": "0.4"}, {"preset": "portal"}]
    for option in wrong:
        with pytest.raises(MrcValueError, match=r"is for targets with the suffix \.ome\.zarr"):
            mrcarray.convert(volume, tmp_path / "b.zarr", **option)
    with pytest.raises(MrcValueError, match="OME-Zarr files have no option mode"):
        mrcarray.convert(volume, tmp_path / "b.ome.zarr", mode=2)


@pytest.mark.parametrize("as_dataset", [False, True])
def test_accessor_writes_the_same_as_the_function(volume: Path, tmp_path: Path, *, as_dataset: bool) -> None:
    found = xr.open_dataset(volume, engine="mrc") if as_dataset else xr.open_dataarray(volume, engine="mrc")
    options: dict[str, Any] = {"version": "0.4", "scale_factors": [2], "chunks": 16}
    paths = [found.mrc.to_ome_zarr(tmp_path / "a.ome.zarr", **options)]
    paths.append(mrcarray.to_ome_zarr(found, tmp_path / "b.ome.zarr", **options))
    one, two = (
        {p.relative_to(path): p.read_bytes() for p in Path(path).rglob("[0-9]*/*") if p.is_file()} for path in paths
    )
    assert len(one) > 20
    assert one == two
    assert metadata(paths[0])["datasets"] == metadata(paths[1])["datasets"]


def test_delayed_writes_when_computed(volume: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.ome.zarr"
    task = mrcarray.to_ome_zarr(mrcarray.open_dataset(volume), target, compute=False)
    assert not target.exists()
    assert task.compute(scheduler="sync") == str(target)
    assert len(mrcarray.conversion.load(target)) == 21
    with pytest.raises(FileExistsError, match="overwrite=True"):
        mrcarray.to_ome_zarr(mrcarray.open_dataset(volume), target)
    assert mrcarray.to_ome_zarr(mrcarray.open_dataset(volume)["data"][:4], target, overwrite=True) == str(target)
    assert len(mrcarray.conversion.load(target)) == 4


def test_nothing_has_the_name_before_it_is_complete(
    volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, seen = tmp_path / "a.ome.zarr", []
    array = mrcarray.open_dataarray(volume, chunks={})

    def check(block: Any) -> Any:
        seen.append(target.exists())
        return block

    checked = array.copy(data=array.data.map_blocks(check, dtype=array.dtype, meta=np.empty((0, 0, 0), array.dtype)))
    mrcarray.to_ome_zarr(checked, target)
    assert seen
    assert not any(seen)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.Calls, "fsync", staticmethod(full))
    with pytest.raises(OSError, match="No space left"):
        mrcarray.to_ome_zarr(array[:4], target, overwrite=True)
    assert len(mrcarray.conversion.load(target)) == 21
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.ome.zarr", "volume.mrc"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda array: array.rename(z="depth"), "not those of an image"),
        (lambda array: array.astype("c8"), "complex64 values are not written"),
        (lambda array: array[:0], "has no pixels"),
    ],
    ids=["dims", "complex", "empty"],
)
def test_arrays_that_cannot_be_stored_are_refused(
    volume: Path, tmp_path: Path, change: Callable[[Any], Any], message: str
) -> None:
    with pytest.raises(MrcValueError, match=message):
        mrcarray.to_ome_zarr(change(mrcarray.open_dataarray(volume)), tmp_path / "a.ome.zarr")
    assert not (tmp_path / "a.ome.zarr").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"version": "0.3"}, r"version is '0\.3'; expected '0\.4' or '0\.5'"),
        ({"method": "gauss"}, "method is 'gauss'"),
        ({"preset": "idr"}, "preset is 'idr'"),
        ({"chunks": (8, 8)}, "chunks are"),
        ({"chunks": 0}, "chunks are 0"),
    ],
)
def test_wrong_options_are_refused(volume: Path, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(MrcValueError, match=message):
        mrcarray.to_ome_zarr(mrcarray.open_dataarray(volume), tmp_path / "a.ome.zarr", **options)


def test_missing_zarr_is_one_sentence(volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(MissingDependencyError, match=r'^OME-Zarr needs zarr: pip install "mrcarray\[ome-zarr\]"$'):
        mrcarray.convert(volume, tmp_path / "a.ome.zarr")


def test_bytes_of_one_read_do_not_grow_with_the_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts what is read at once from the source and from each level; a box holds at most one chunk or `BOX` bytes."""
    import dask.array as da

    sizes: list[int] = []

    def block(block_info: Any = None) -> Any:
        shape = block_info[None]["chunk-shape"]
        sizes.append(int(np.prod(shape)) * 4)
        return np.ones(shape, "f4")

    real = ome_zarr._joined

    def joined(values: Any, ratio: Any, method: str) -> Any:
        sizes.append(values.nbytes)
        return real(values, ratio, method)

    monkeypatch.setattr(ome_zarr, "_joined", joined)
    for depth in (128, 512):
        pixels = da.map_blocks(
            block, chunks=((16,) * (depth // 16), (64,), (64,)), dtype="f4", meta=np.empty((0,) * 3, "f4")
        )
        array = xr.DataArray(pixels, dims=("z", "y", "x"))
        mrcarray.to_ome_zarr(array, tmp_path / f"{depth}.ome.zarr", chunks=64)
        assert max(sizes) <= 64**3 * 4
    assert [opened(f"{tmp_path}/512.ome.zarr/{at}")[-1].mean() for at in range(3)] == [1.0] * 3


def test_boxes_are_whole_chunks_within_the_limit() -> None:
    stored = SimpleNamespace(shape=(4096,) * 3, chunks=(256,) * 3, shards=None, dtype=np.dtype("f4"))
    assert ome_zarr._step(stored) == (256, 256, 256)
    stored.dtype = np.dtype("i1")
    assert ome_zarr._step(stored) == (256, 256, 1024)
    stored.shape, stored.chunks = (41, 1000, 1000), (1, 256, 256)
    assert ome_zarr._step(stored) == (41, 1024, 1024)


@pytest.mark.slow
def test_four_gibibytes_need_less_than_500_megabytes(tmp_path: Path) -> None:
    source = tmp_path / "big.mrc"
    noise = np.random.default_rng(0).normal(size=(1024, 1024)).astype("f4").tobytes()
    with source.open("wb") as file:
        file.write(builders.header_bytes(nx=1024, ny=1024, nz=1024, m=(1024,) * 3, cella=(1024.0,) * 3))
        for section in (100, 101, 600):
            file.seek(1024 + section * len(noise))
            file.write(noise)
        file.truncate(1024 + 1024 * len(noise))
    code = """
        import sys, mrcarray
        mrcarray.convert(sys.argv[1], sys.argv[2])
        print(peak_memory())
    """
    command = [sys.executable, "-c", PEAK_MEMORY + textwrap.dedent(code), str(source), str(tmp_path / "a.ome.zarr")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=without_coverage())
    assert int(done.stdout) < 500_000_000
    level = opened(f"{tmp_path}/a.ome.zarr/1")
    expected = binned(np.stack([np.frombuffer(noise, "f4").reshape(1024, 1024)] * 2), (2, 2, 2))[0]
    np.testing.assert_allclose(level[50], expected, rtol=1e-4, atol=1e-6)
