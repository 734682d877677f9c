"""OME-TIFF: what tifffile finds in our files, and what is read of those of other programs."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

import mrcarray
from mrcarray.conversion import load
from mrcarray.errors import MrcValueError, MrcWarning
from tests.builders import mrc_bytes, sample

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr


def pixels_element(path: Path) -> dict[str, Any]:
    """Return the attributes of the first image, as tifffile reads them."""
    with tifffile.TiffFile(path) as file:
        assert file.is_ome
        found: dict[str, Any] = tifffile.xml2dict(file.ome_metadata or "")["OME"]["Image"]["Pixels"]
    return found


def written(path: Path, values: Any, mode: int, **fields: Any) -> Path:
    """Write an MRC file, convert it to OME-TIFF and return the path of that."""
    path.write_bytes(mrc_bytes(values, mode, **fields))
    return path.parent / str(mrcarray.convert(path, path.with_suffix(".ome.tif"))).rpartition("/")[2]


def test_volume_has_axes_and_voxel_size(tmp_path: Path) -> None:
    values = sample((5, 6, 8), 1)
    path = written(tmp_path / "map.mrc", values, 1, cella=(16, 18, 5), m=(8, 6, 5))
    found = pixels_element(path)
    sizes = {letter: (found[f"PhysicalSize{letter}"], found[f"PhysicalSize{letter}Unit"]) for letter in "XYZ"}
    assert sizes == {"X": (2.0, "Å"), "Y": (3.0, "Å"), "Z": (1.0, "Å")}
    assert (found["SizeX"], found["SizeY"], found["SizeZ"], found["SizeT"], found["Type"]) == (8, 6, 5, 1, "int16")
    with tifffile.TiffFile(path) as file:
        assert tifffile.xml2dict(file.ome_metadata or "")["OME"]["Image"]["Name"] == "map"
        (series,) = file.series
        assert series.axes == "ZYX"
        np.testing.assert_array_equal(series.asarray(), values)


def test_sections_of_a_stack_are_times(tmp_path: Path) -> None:
    records = struct.pack("<3h", 0, 300, -300).ljust(1024, b"\0")
    fields: dict[str, Any] = {"ispg": 0, "exttyp": b"SERI", "extra2": bytes(16) + struct.pack("<2h", 2, 1)}
    path = tmp_path / "ts.mrc"
    path.write_bytes(mrc_bytes(sample((3, 6, 8), 1), 1, "<", records, m=(8, 6, 1), **fields))
    mrcarray.convert(path, tmp_path / "ts.ome.tif")
    found = pixels_element(tmp_path / "ts.ome.tif")
    assert (found["SizeT"], found["SizeZ"]) == (3, 1)
    assert "PhysicalSizeZ" not in found
    with load(tmp_path / "ts.ome.tif") as again:
        assert again.tilt_angle.values.tolist() == [0, 3, -3]


def test_volumes_of_a_stack_have_both_axes(tmp_path: Path) -> None:
    path = written(tmp_path / "many.mrc", sample((6, 6, 8), 2), 2, ispg=401, m=(8, 6, 3))
    with tifffile.TiffFile(path) as file:
        assert (file.series[0].axes, file.series[0].shape) == ("TZYX", (2, 3, 6, 8))
    with load(path) as found:
        assert found.dims == ("volume", "z", "y", "x")


def test_half_floats_become_floats_with_a_warning(tmp_path: Path) -> None:
    with pytest.warns(MrcWarning, match=r"a\.ome\.tif: OME-TIFF has no 16-bit floats: .* float32"):
        path = written(tmp_path / "a.mrc", sample((2, 6, 8), 12), 12)
    assert pixels_element(path)["Type"] == "float"


def change(path: Path, old: str, new: str) -> None:
    """Replace a part of the XML, as another program does."""
    text = str(tifffile.tiffcomment(path))
    assert old in text
    tifffile.tiffcomment(path, text.replace(old, new).encode())


def opened(path: Path, values: Any, **metadata: Any) -> xr.DataArray:
    """Write a file as another program does, and return what is read of it."""
    tifffile.imwrite(path, values, ome=True, metadata=metadata, photometric="minisblack")
    with load(path) as found:
        return found.load()


def test_file_of_another_program_has_its_voxel_size(tmp_path: Path) -> None:
    values = sample((3, 6, 8), 2)
    size = {"PhysicalSizeX": 0.2, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.0003, "PhysicalSizeZ": 0.5}
    found = opened(tmp_path / "a.ome.tif", values, axes="ZYX", **size, PhysicalSizeZUnit="nm")
    np.testing.assert_array_equal(found, values)
    assert found.mrc.voxel_size == (2.0, 3.0, 5.0)
    assert found.dims == ("z", "y", "x")
    plain = opened(tmp_path / "b.ome.tif", values, axes="ZYX", PhysicalSizeX=1.0, PhysicalSizeXUnit="furlong")
    assert "x" not in plain.coords


def test_changed_voxel_size_is_believed(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mrc", sample((2, 6, 8), 2), 2)
    change(path, 'PhysicalSizeX="2.0"', 'PhysicalSizeX="3.0"')
    with pytest.warns(MrcWarning, match="tag 65300, .* is ignored"), load(path) as found:
        assert found.mrc.voxel_size == (3.0, 2.0, 2.0)


def test_planes_in_another_order_are_read_by_the_xml(tmp_path: Path) -> None:
    values = sample((3, 6, 8), 2)
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, values, ome=True, metadata={"axes": "ZYX"}, photometric="minisblack")
    planes = "".join(f'<TiffData FirstZ="{at}" IFD="{2 - at}" PlaneCount="1"/>' for at in range(3))
    change(path, '<TiffData IFD="0" PlaneCount="3"/>', planes)
    with load(path) as found:
        np.testing.assert_array_equal(found, values[::-1])


def test_channels_and_missing_planes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MrcValueError, match="has the axes CYX; expected Z, Y, X and at most T"):
        opened(tmp_path / "a.ome.tif", sample((3, 6, 8), 2), axes="CYX")
    path = tmp_path / "b.ome.tif"
    tifffile.imwrite(path, sample((3, 6, 8), 2), ome=True, metadata={"axes": "ZYX"}, photometric="minisblack")
    planes = '<TiffData IFD="0" PlaneCount="1"/>'
    change(path, '<TiffData IFD="0" PlaneCount="3"/>', planes)
    with pytest.raises(MrcValueError, match="2 of 3 planes are not in the OME-TIFF file"):
        load(path)
