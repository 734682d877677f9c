"""A guess about the kind of a file is never written down as a fact: small headers as other programs write them."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mrcfile
import numpy as np
import pytest
import xarray as xr

import mrcarray
from mrcarray.conversion import convert
from mrcarray.errors import MrcWarning
from mrcarray.validation import check
from tests.xarray_backend.placing import words

if TYPE_CHECKING:
    from collections.abc import Callable

# Some of these stacks are opened as such by the argument alone, which their files do not tell.
pytestmark = pytest.mark.filterwarnings("ignore:.*this name the file will be read as volume:mrcarray.errors.MrcWarning")

VALUES = np.arange(12 * 10 * 8, dtype="f4").reshape(12, 10, 8)
CELL = (8.8, 11.0, 13.2)
CHIMERAX = b"ChimeraX 0.1 Thu Jan  1 00:00:00 2026"
DIMS = {"volume": "z", "image_stack": "section", "tilt_series": "tilt", "movie": "frame", "particles": "particle"}


def head(
    *,
    nstart: tuple[int, int, int] = (0, 0, 0),
    m: tuple[int, int, int] = (8, 10, 12),
    cella: tuple[float, float, float] = CELL,
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
    label: bytes = b"",
    nsymbt: int = 0,
    exttyp: bytes = bytes(4),
) -> bytes:
    """Return the header of 12 sections of 10 rows and 8 columns with space group 0, which can be images or a volume."""
    raw = struct.pack("<10i6f3i3f2i", 8, 10, 12, 2, *nstart, *m, *cella, 90, 90, 90, 1, 2, 3, 0, -1, -2, 0, nsymbt)
    raw += bytes(8) + exttyp + struct.pack("<i", 20140) + bytes(84) + struct.pack("<3f", *origin)
    raw += b"MAP DD\0\0" + struct.pack("<fi", -1, 1 if label else 0) + label.ljust(80)
    return raw.ljust(1024, b"\0")


def opened(path: Path, kind: str, **fields: Any) -> xr.DataArray:
    path.write_bytes(head(**fields) + VALUES.tobytes())
    return xr.open_dataarray(path, engine="mrc", kind=kind)


def through(array: xr.DataArray, name: str) -> xr.DataArray:
    path = Path(str(array.encoding["source"])).with_name(name)
    if name.endswith(".nc"):
        array.to_netcdf(path, engine="h5netcdf")
        return xr.load_dataarray(path, engine="h5netcdf")
    array.to_zarr(path, zarr_format=2)
    return xr.load_dataarray(path, engine="zarr")


WHOLE: dict[str, Callable[[xr.DataArray, str], xr.DataArray]] = {
    "untouched": lambda a, _: a,
    "times 2": lambda a, _: a * 2,
    "of another dtype": lambda a, _: a.astype("i2"),
    "renamed": lambda a, d: a.rename({d: "z"}) if d != "z" else a,
    "loaded and copied": lambda a, _: a.load().copy(deep=True),
    "through netCDF": lambda a, _: through(a, "t.nc"),
    "through Zarr": lambda a, _: through(a, "t.zarr"),
    "less itself": lambda a, _: a - a,
}


@pytest.mark.parametrize("operation", WHOLE)
@pytest.mark.parametrize("kind", DIMS)
def test_map_of_chimerax_keeps_its_cell_and_its_position(tmp_path: Path, kind: str, operation: str) -> None:
    array = opened(tmp_path / "a.mrc", kind, origin=(10.0, 20.0, 30.0), label=CHIMERAX)
    assert array.dims[0] == DIMS[kind]
    found = words(WHOLE[operation](array, DIMS[kind]).mrc.to_mrc(tmp_path / "b.mrc"))
    assert (found["origin"], found["nstart"], found["m"]) == ((10.0, 20.0, 30.0), (0, 0, 0), (8, 10, 12))
    assert found["cella"] == pytest.approx(CELL)


@pytest.mark.parametrize("computed", [False, True])
@pytest.mark.parametrize("kind", DIMS)
@pytest.mark.parametrize(
    ("fields", "first"),
    [({"origin": (10.0, 20.0, 30.0)}, (12.2, 20.0, 33.3)), ({"nstart": (1, 2, 3)}, (3, 2, 6)), ({}, (2, 0, 3))],
)
def test_cut_moves_along_all_axes(
    tmp_path: Path, fields: dict[str, Any], first: tuple[float, ...], kind: str, computed: bool
) -> None:
    cut = opened(tmp_path / "a.mrc", kind, **fields).isel({"x": slice(2, 6), DIMS[kind]: slice(3, 9)})
    found = words((cut * 1 if computed else cut).mrc.to_mrc(tmp_path / "b.mrc"))
    assert found["origin" if "origin" in fields else "nstart"] == pytest.approx(first)
    assert found["m"] == (4, 10, 6)
    assert found["cella"] == pytest.approx((4.4, 11.0, 6.6))


@pytest.mark.parametrize("kind", DIMS)
@pytest.mark.parametrize("how", ["coarsen", "every second"])
def test_binning_scales_all_axes(tmp_path: Path, how: str, kind: str) -> None:
    array = opened(tmp_path / "a.mrc", kind, origin=(10.0, 20.0, 30.0))
    dims = dict.fromkeys(array.dims, 2)
    every = dict.fromkeys(array.dims, slice(None, None, 2))
    binned = array.coarsen(dims).mean() if how == "coarsen" else array.isel(every)
    found = words(binned.mrc.to_mrc(tmp_path / "b.mrc"))
    off = 0.55 if how == "coarsen" else 0.0
    assert found["origin"] == pytest.approx((10 + off, 20 + off, 30 + off))
    assert found["m"] == (4, 5, 6)
    assert found["cella"] == pytest.approx(CELL)


@pytest.mark.parametrize("kind", ["volume", "image_stack"])
def test_single_section_keeps_position(tmp_path: Path, kind: str) -> None:
    array = opened(tmp_path / "a.mrc", kind, origin=(10.0, 20.0, 30.0))
    for section in (array[4], array[4] * 2):
        found = words(section.mrc.to_mrc(tmp_path / "b.mrc", overwrite=True))
        assert found["origin"] == pytest.approx((10.0, 20.0, 34.4))
        image = xr.open_dataarray(tmp_path / "b.mrc", engine="mrc")
        for part in (image * 2, image.isel(x=slice(2, None))):
            assert words(part.mrc.to_mrc(tmp_path / "c.mrc", overwrite=True))["origin"][2] == pytest.approx(34.4)


@pytest.mark.parametrize("m", [(0, 0, 0), (8, 10, 0)])
def test_header_without_intervals_gets_no_mark_of_stack(tmp_path: Path, m: tuple[int, int, int]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MrcWarning)
        array = opened(tmp_path / "a.mrc", "image_stack", m=m, cella=(8.8, 11.0, 0.0))
        found = words((array * 2).mrc.to_mrc(tmp_path / "b.mrc"))
    assert found["m"] == (8, 10, 12)
    assert found["cella"][2] == 0


def test_intervals_that_count_something_else_stay_as_long_as_they_divide(tmp_path: Path) -> None:
    array = opened(tmp_path / "a.mrc", "image_stack", m=(8, 10, 40), cella=(8.8, 11.0, 44.0))
    for part, m, length in (
        (array * 2, 40, 44.0),
        (array[3:], 40, 44.0),
        (array[::2], 20, 44.0),
        (array[::3], 4, 13.2),
    ):
        found = words(part.mrc.to_mrc(tmp_path / "b.mrc", overwrite=True))
        assert (found["m"][2], found["cella"][2]) == (m, pytest.approx(length))


def test_start_that_is_counted_in_unknown_voxels_is_kept_as_count(tmp_path: Path) -> None:
    array = opened(tmp_path / "a.mrc", "image_stack", nstart=(1, 2, 7), m=(8, 10, 1), cella=(8.8, 11.0, 0.0))
    assert words((array * 2).mrc.to_mrc(tmp_path / "b.mrc"))["nstart"] == (1, 2, 7)


def test_another_voxel_size_keeps_count_of_voxels_and_position_in_angstrom(tmp_path: Path) -> None:
    counted = opened(tmp_path / "a.mrc", "volume", nstart=(1, 2, 3))
    assert words(counted.mrc.to_mrc(tmp_path / "b.mrc", voxel_size=1.3))["nstart"] == (1, 2, 3)
    placed = opened(tmp_path / "a.mrc", "volume", origin=(10.0, 20.0, 30.0))
    assert words(placed.mrc.to_mrc(tmp_path / "c.mrc", voxel_size=1.3))["origin"] == (10.0, 20.0, 30.0)


def test_sections_that_become_volume_or_stack_when_written_keep_their_positions(tmp_path: Path) -> None:
    stack = opened(tmp_path / "a.mrc", "image_stack", origin=(10.0, 20.0, 30.0))[3:]
    found = words(stack.mrc.to_mrc(tmp_path / "b.mrc", kind="volume"))
    assert (found["ispg"], found["origin"]) == (1, pytest.approx((10.0, 20.0, 33.3)))
    assert found["cella"] == pytest.approx((8.8, 11.0, 9.9))
    volume = opened(tmp_path / "a.mrc", "volume", origin=(10.0, 20.0, 30.0))[3:]
    found = words(volume.mrc.to_mrc(tmp_path / "b.mrc", kind="image_stack", overwrite=True))
    assert (found["ispg"], found["m"][2], found["origin"]) == (0, 1, pytest.approx((10.0, 20.0, 33.3)))
    assert found["cella"] == pytest.approx((8.8, 11.0, 1.1))
    uneven = volume.isel(z=[0, 1, 5])
    assert words(uneven.mrc.to_mrc(tmp_path / "c.mrc", kind="image_stack"))["m"][2] == 1


def test_map_of_relion_is_binned_along_all_axes(tmp_path: Path) -> None:
    opened(tmp_path / "run_class001.mrc", "volume", label=b"Relion 5.0")
    path = convert(tmp_path / "run_class001.mrc", tmp_path / "b.mrc", bin=2, kind="volume", placement="origin")
    found = words(path)
    assert (found["nx"], found["ny"], found["nz"], found["m"]) == (4, 5, 6, (4, 5, 6))
    assert found["cella"] == pytest.approx(CELL)
    assert mrcarray.open_dataarray(path).mrc.voxel_size == pytest.approx((2.2, 2.2, 2.2))


def test_mrcfile_reads_file_written_from_guess(tmp_path: Path) -> None:
    array = opened(tmp_path / "a.mrc", "image_stack", origin=(10.0, 20.0, 30.0))
    with mrcfile.open((array * 2)[2:].mrc.to_mrc(tmp_path / "b.mrc")) as mrc:
        assert mrc.voxel_size.tolist() == pytest.approx((1.1, 1.1, 1.1))
        np.testing.assert_array_equal(mrc.data, VALUES[2:] * 2)


def test_reserved_block_of_zeros_is_left_behind_in_silence(tmp_path: Path) -> None:
    block = bytes(12 * 128)
    raw = head(nsymbt=len(block)) + block + VALUES.tobytes()
    (tmp_path / "a.mrc").write_bytes(raw)
    array = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc", kind="volume")
    assert words(array[2:].mrc.to_mrc(tmp_path / "b.mrc"))["nsymbt"] == 0
    assert words(array.mrc.to_mrc(tmp_path / "c.mrc"))["nsymbt"] == len(block)


@pytest.mark.data
@pytest.mark.parametrize("name", ["EMD-3197.map", "1jzv.ccp4", "5i55_tiny.ccp4"])
def test_part_of_archived_map_is_valid(tmp_path: Path, shared_data: Path, name: str) -> None:
    array = xr.open_dataarray(shared_data / name, engine="mrc")
    for part in (array.isel(x=slice(2, 12)), array * 2):
        path = part.mrc.to_mrc(tmp_path / name, overwrite=True)
        assert words(path)["nversion"] == 20141
        assert check(path).ok
        assert mrcfile.validate(path)


@pytest.mark.parametrize("computed", [False, True])
def test_stack_by_its_name_under_another_name_is_named_and_left_open(tmp_path: Path, computed: bool) -> None:
    (tmp_path / "a.mrcs").write_bytes(head() + VALUES.tobytes())
    array = xr.open_dataarray(tmp_path / "a.mrcs", engine="mrc")
    array = array * 1 if computed else array
    with pytest.warns(MrcWarning, match=r"b\.map: under this name .* read as volume, not image_stack; .*kind="):
        path = array.mrc.to_mrc(tmp_path / "b.map")
    assert words(path)["m"] == (8, 10, 12)
    marked = words(array.mrc.to_mrc(tmp_path / "c.mrc", kind="image_stack"))
    assert (marked["m"], marked["ispg"]) == ((8, 10, 1), 0)
    assert xr.open_dataarray(tmp_path / "c.mrc", engine="mrc").dims == ("section", "y", "x")


@pytest.mark.parametrize("computed", [False, True])
def test_volume_that_is_opened_as_stack_is_written_as_one(tmp_path: Path, computed: bool) -> None:
    raw = bytearray(head() + VALUES.tobytes())
    struct.pack_into("<i", raw, 88, 1)
    (tmp_path / "a.mrc").write_bytes(raw)
    array = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc", kind="image_stack")
    path = (array * 1 if computed else array).mrc.to_mrc(tmp_path / "b.mrc")
    assert xr.open_dataarray(path, engine="mrc").dims == ("section", "y", "x")
