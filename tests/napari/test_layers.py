"""What the reader gives and the writers take, without napari."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

import mrcarray
from mrcarray.errors import MrcValueError
from mrcarray.napari.layers import central_sections, napari_kwargs
from mrcarray.napari.reader import get_reader, read
from mrcarray.napari.writers import write_image, write_labels
from tests.builders import ITEMS, mrc_bytes, sample

if TYPE_CHECKING:
    from pathlib import Path


def layer(path: Path) -> tuple[Any, dict[str, Any], str]:
    """Return the one layer of a file."""
    ((data, kwargs, kind),) = read(str(path))
    return data, kwargs, kind


def tilt_series(path: Path) -> Path:
    records = struct.pack("<3h", 0, 300, -300).ljust(1024, b"\0")
    fields = {"ispg": 0, "exttyp": b"SERI", "extra2": bytes(16) + struct.pack("<2h", 2, 1), "m": (8, 6, 1)}
    path.write_bytes(mrc_bytes(sample((3, 6, 8), 1), 1, "<", records, **fields))
    return path


class TestReader:
    def test_volume_is_a_lazy_layer_in_angstrom(self, tmp_path: Path) -> None:
        path = tmp_path / "half.1.mrc"
        values = sample((5, 6, 7), 2)
        path.write_bytes(mrc_bytes(values, 2, cella=(14, 18, 5), origin=(7, -3, 10), m=(7, 6, 5)))
        data, kwargs, kind = layer(path)
        assert kind == "image"
        assert type(data).__module__.startswith("dask")
        np.testing.assert_array_equal(data.compute(), values)
        expected = {
            "name": "half.1",
            "scale": (1.0, 3.0, 2.0),
            "translate": (10.0, -3.0, 7.0),
            "units": ("angstrom",) * 3,
            "axis_labels": ("z", "y", "x"),
            "contrast_limits": tuple(np.percentile(values[1:4].astype("f8"), (1, 99))),
        }
        assert {name: kwargs[name] for name in expected} == expected
        assert set(kwargs) - set(expected) == {"metadata"}

    def test_sections_are_counted_and_have_metadata(self, tmp_path: Path) -> None:
        _, kwargs, kind = layer(tilt_series(tmp_path / "a.mrc"))
        assert kind == "image"
        assert (kwargs["scale"], kwargs["units"]) == ((1.0, 2.0, 2.0), ("pixel", "angstrom", "angstrom"))
        dims, angles, attrs = kwargs["metadata"]["coords"]["tilt_angle"]
        assert (dims, angles.tolist(), attrs["units"]) == (("section",), [0, 3, -3], "degree")
        assert kwargs["metadata"]["header"] == (tmp_path / "a.mrc").read_bytes()[:1024]

    def test_unknown_voxel_size_is_in_pixels(self, tmp_path: Path) -> None:
        (tmp_path / "a.mrc").write_bytes(mrc_bytes(sample((2, 6, 8), 2), 2, cella=(0, 0, 0)))
        with pytest.warns(mrcarray.MrcWarning, match="voxel size is unknown"):
            _, kwargs, _ = layer(tmp_path / "a.mrc")
        assert (kwargs["scale"], kwargs["units"]) == ((1.0,) * 3, ("pixel",) * 3)

    def test_single_section_keeps_its_voxel_size(self, tmp_path: Path) -> None:
        (tmp_path / "a.mrc").write_bytes(mrc_bytes(sample((4, 6, 8), 2), 2))
        part = mrcarray.open_dataarray(tmp_path / "a.mrc").isel(z=[2])
        kwargs = napari_kwargs(part)
        assert (kwargs["scale"], kwargs["translate"]) == ((2.0, 2.0, 2.0), (4.0, 0.0, 0.0))

    def test_accessor_gives_the_arguments_of_what_is_selected(self, tmp_path: Path) -> None:
        (tmp_path / "a.mrc").write_bytes(mrc_bytes(sample((4, 6, 8), 2), 2))
        found = xr.open_dataset(tmp_path / "a.mrc", engine="mrc").isel(z=slice(1, None))
        kwargs = found.mrc.napari_kwargs()
        assert (kwargs["name"], kwargs["translate"]) == ("a", (2.0, 0.0, 0.0))
        assert {**kwargs, "metadata": None} == {**napari_kwargs(found.data), "metadata": None}

    def test_colour_has_no_contrast_limits(self, tmp_path: Path) -> None:
        (tmp_path / "a.mrc").write_bytes(mrc_bytes(sample((2, 6, 8), 16), 16, ispg=0, m=(8, 6, 1)))
        data, kwargs, _ = layer(tmp_path / "a.mrc")
        assert data.shape == (2, 6, 8, 3)
        assert kwargs["rgb"] is True
        assert "contrast_limits" not in kwargs
        assert len(kwargs["scale"]) == len(kwargs["axis_labels"]) == 3

    @pytest.mark.parametrize("mode", [3, 4])
    def test_complex_pixels_are_magnitudes(self, tmp_path: Path, mode: int) -> None:
        values = sample((2, 6, 8), mode)
        (tmp_path / "a.mrc").write_bytes(mrc_bytes(values, mode))
        data, kwargs, _ = layer(tmp_path / "a.mrc")
        np.testing.assert_array_equal(data.compute(), np.abs(values))
        assert kwargs["contrast_limits"][0] >= 0

    @pytest.mark.parametrize("mode", ITEMS)
    def test_every_mode_opens(self, tmp_path: Path, mode: int) -> None:
        (tmp_path / "a.mrc").write_bytes(mrc_bytes(sample((2, 6, 8), mode), mode))
        data, _, kind = layer(tmp_path / "a.mrc")
        assert data.compute().shape[:3] == (2, 6, 8)
        assert kind == "image"

    def test_constant_and_unknown_pixels_have_limits(self, tmp_path: Path) -> None:
        for value, expected in ((0.0, (0.0, 1.0)), (-5.0, (-5.0, -4.0)), (np.nan, (0.0, 1.0))):
            (tmp_path / "a.mrc").write_bytes(mrc_bytes(np.full((2, 6, 8), value, "f4"), 2))
            assert layer(tmp_path / "a.mrc")[1]["contrast_limits"] == expected

    def test_few_spots_on_a_constant_background_are_seen(self, tmp_path: Path) -> None:
        values = np.zeros((3, 40, 40), "f4")
        values[1, 3, 3] = 7
        (tmp_path / "a.mrc").write_bytes(mrc_bytes(values, 2))
        assert layer(tmp_path / "a.mrc")[1]["contrast_limits"] == (0.0, 7.0)


class TestLabels:
    def kind(self, path: Path, values: np.ndarray[Any, Any], mode: int, **fields: Any) -> str:
        path.write_bytes(mrc_bytes(values, mode, **fields))
        data, kwargs, kind = layer(path)
        assert ("contrast_limits" in kwargs) == (kind == "image")
        np.testing.assert_array_equal(data.compute(), values)
        return kind

    @pytest.mark.parametrize("mode", [0, 1, 6])
    def test_small_integers_of_a_volume_are_labels(self, tmp_path: Path, mode: int) -> None:
        values = np.arange(4 * 6 * 8).reshape(4, 6, 8) % 12
        assert self.kind(tmp_path / "a.mrc", values.astype(ITEMS[mode]), mode) == "labels"

    def test_other_volumes_are_images(self, tmp_path: Path) -> None:
        few = (np.arange(4 * 6 * 8).reshape(4, 6, 8) % 12).astype("i2")
        assert self.kind(tmp_path / "a.mrc", few - 1, 1) == "image"
        assert self.kind(tmp_path / "a.mrc", few + 1, 1) == "image"
        assert self.kind(tmp_path / "a.mrc", few * 0, 1) == "image"
        assert self.kind(tmp_path / "a.mrc", few.astype("f4"), 2) == "image"
        assert self.kind(tmp_path / "a.mrc", np.arange(4 * 6 * 8, dtype="i2").reshape(4, 6, 8), 1) == "image"
        assert self.kind(tmp_path / "a.mrc", few, 1, ispg=0, m=(8, 6, 1)) == "image"


def test_central_sections_of_large_ones_are_rows() -> None:
    class Recorded:
        ndim, dims, shape = 3, ("z", "y", "x"), (100, 6000, 6000)

        def __getitem__(self, key: Any) -> Any:
            self.key = key
            return xr.DataArray(np.zeros(1))

    array = Recorded()
    central_sections(array)  # type: ignore[arg-type]
    assert array.key == (slice(49, 52), slice(None, None, 9))


def test_get_reader_leaves_other_files_alone(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(sample((2, 6, 8), 2), 2))
    (tmp_path / "colours.map").write_text("0 0 0\n")
    good, other = str(tmp_path / "a.mrc"), str(tmp_path / "colours.map")
    assert get_reader(good) is read
    assert get_reader([good, good]) is read
    assert get_reader(other) is None
    assert get_reader([good, other]) is None
    assert get_reader([]) is None
    assert len(read([good, good])) == 2


def test_compressed_file_opens(tmp_path: Path) -> None:
    import bz2

    values = sample((2, 6, 8), 2)
    (tmp_path / "a.mrc.bz2").write_bytes(bz2.compress(mrc_bytes(values, 2)))
    assert get_reader(str(tmp_path / "a.mrc.bz2")) is read
    data, kwargs, _ = layer(tmp_path / "a.mrc.bz2")
    np.testing.assert_array_equal(data.compute(), values)
    assert kwargs["name"] == "a"


class TestWriters:
    def test_layer_is_saved_as_it_was_opened(self, tmp_path: Path) -> None:
        path = tilt_series(tmp_path / "a.mrc")
        data, kwargs, _ = layer(path)
        assert write_image(str(tmp_path / "b.mrc"), data, kwargs) == [str(tmp_path / "b.mrc")]
        one, two = (xr.open_dataset(tmp_path / name, engine="mrc") for name in ("a.mrc", "b.mrc"))
        xr.testing.assert_equal(one, two)
        headers = [mrcarray.read_header(tmp_path / name) for name in ("a.mrc", "b.mrc")]
        for word in ("mode", "nstart", "m", "cella", "cellb", "mapcrs", "ispg", "exttyp", "origin", "extra2"):
            assert getattr(headers[0], word) == getattr(headers[1], word), word

    def test_moved_layer_is_saved_where_it_is(self, tmp_path: Path) -> None:
        (tmp_path / "a.mrc").write_bytes(mrc_bytes(sample((4, 6, 8), 2), 2))
        data, kwargs, _ = layer(tmp_path / "a.mrc")
        moved = {**kwargs, "scale": np.array([3.0, 2.0, 2.0]), "translate": np.array([30.0, 0.0, -4.0])}
        write_image(str(tmp_path / "b.mrc"), data, moved)
        found = mrcarray.open_dataarray(tmp_path / "b.mrc")
        assert [float(found[dim][0]) for dim in "zyx"] == [30.0, 0.0, -4.0]
        assert found.mrc.voxel_size == (2.0, 2.0, 3.0)

    def test_new_image_takes_scale_and_units_of_the_layer(self, tmp_path: Path) -> None:
        attributes = {"scale": (0.2, 0.1, 0.1), "translate": (0, 1, 0), "units": ("nm",) * 3, "metadata": {}}
        values = sample((4, 6, 8), 2).astype("f8")
        write_image(str(tmp_path / "a.mrc"), values, attributes)
        found = mrcarray.open_dataarray(tmp_path / "a.mrc")
        np.testing.assert_array_equal(found.values, values.astype("f4"))
        assert found.mrc.voxel_size == (1.0, 1.0, 2.0)
        assert float(found.y[0]) == 10.0

    def test_new_image_in_pixels_has_no_voxel_size(self, tmp_path: Path) -> None:
        write_image(str(tmp_path / "a.mrc"), sample((6, 8), 2), {"scale": (1, 1), "units": ("pixel", "pixel")})
        with pytest.warns(mrcarray.MrcWarning, match="voxel size is unknown"):
            found = mrcarray.open_dataarray(tmp_path / "a.mrc")
        assert found.dims == ("y", "x")

    def test_colour_and_several_resolutions(self, tmp_path: Path) -> None:
        colour = sample((6, 8), 16)
        write_image(str(tmp_path / "a.mrc"), colour, {"rgb": True})
        np.testing.assert_array_equal(mrcarray.open_array(tmp_path / "a.mrc")[...], colour)
        values = sample((4, 6, 8), 2)
        write_image(str(tmp_path / "b.mrc"), [values, values[::2, ::2, ::2]], {"multiscale": True})
        np.testing.assert_array_equal(mrcarray.open_array(tmp_path / "b.mrc")[...], values)

    @pytest.mark.parametrize(
        ("highest", "dtype"), [(1, "i1"), (127, "i1"), (128, "i2"), (40000, "u2"), (70000, "f4"), (1 << 24, "f4")]
    )
    @pytest.mark.parametrize("lazy", [False, True])
    def test_labels_take_the_smallest_type(self, tmp_path: Path, highest: int, dtype: str, *, lazy: bool) -> None:
        labels = np.zeros((2, 3, 4), "i4")
        labels[1, 2, 3] = highest
        data: Any = labels
        if lazy:
            import dask.array as da

            data = da.from_array(labels, chunks=1)
        write_labels(str(tmp_path / "a.mrc"), data, {})
        found = mrcarray.open_array(tmp_path / "a.mrc")
        assert found.dtype == dtype
        np.testing.assert_array_equal(found[...], labels)

    def test_labels_that_no_mode_holds_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(MrcValueError, match="values from 0 to 16777217, which no mode"):
            write_labels(str(tmp_path / "a.mrc"), np.array([[0, (1 << 24) + 1]]), {})
        assert not list(tmp_path.iterdir())

    def test_wrong_number_of_axes_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(MrcValueError, match="the layer has 5 axes; an MRC file has 2 to 4"):
            write_image(str(tmp_path / "a.mrc"), np.zeros((1,) * 5, "f4"), {})

    def test_existing_file_is_replaced(self, tmp_path: Path) -> None:
        for value in (1, 2):
            write_image(str(tmp_path / "a.mrc"), np.full((2, 3), value, "f4"), {})
        assert (mrcarray.open_array(tmp_path / "a.mrc")[...] == 2).all()

    @pytest.mark.parametrize("mode", [0, 1, 2, 4, 6, 12])
    def test_bool_and_every_stored_type_are_saved(self, tmp_path: Path, mode: int) -> None:
        values = sample((2, 3, 4), mode)
        write_image(str(tmp_path / "a.mrc"), values, {})
        np.testing.assert_array_equal(mrcarray.open_array(tmp_path / "a.mrc")[...], values)
        write_labels(str(tmp_path / "b.mrc"), values.real > 0, {})
        np.testing.assert_array_equal(mrcarray.open_array(tmp_path / "b.mrc")[...], values.real > 0)


def test_manifest_names_every_suffix_and_functions_that_exist(project_root: Path) -> None:
    import importlib
    from importlib.metadata import entry_points

    import yaml  # type: ignore[import-untyped]  # comes with dask

    from mrcarray.urls import COMPRESSED, MRC

    (found,) = (entry for entry in entry_points(group="napari.manifest") if entry.name == "mrcarray")
    assert found.value == "mrcarray.napari:napari.yaml"
    manifest = yaml.safe_load((project_root / "mrcarray/napari/napari.yaml").read_text())
    contributions = manifest["contributions"]
    patterns = set(contributions["readers"][0]["filename_patterns"])
    assert patterns == {f"*{suffix}{packed}" for suffix in MRC for packed in ("", *COMPRESSED)}
    commands = {command["id"]: command["python_name"] for command in contributions["commands"]}
    for name in commands.values():
        module, _, function = name.partition(":")
        assert callable(getattr(importlib.import_module(module), function))
    used = {part["command"] for kind in ("readers", "writers", "sample_data") for part in contributions[kind]}
    assert used == set(commands)
