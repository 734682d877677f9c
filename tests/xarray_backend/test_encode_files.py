"""Files written from arrays that came from a file keep its bytes, cell, records and version."""

from __future__ import annotations

import bz2
import gzip
import struct
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import mrcfile
import numpy as np
import pytest
import xarray as xr
from hypothesis import given

import mrcarray
from mrcarray import validation
from mrcarray.errors import MrcValueError, MrcWarning
from tests import builders

if TYPE_CHECKING:
    from pathlib import Path

from tests.xarray_backend.test_encode import ROUNDED, back, grid, same

REAL = [
    "1jzv.ccp4",
    "5i55_tiny.ccp4",
    "EMD-3197.map",
    "EMD-3197.map.bz2",
    "emd_3197.map.gz",
    "de_movie.mrc",
    "fei-extended.mrc",
    "fei_old_header.mrc",
    "hand.5.mrcs",
    "relion31.mrcs",
    "serialem_tilt.mrc",
]
OBLIGED = {"dmin", "dmax", "dmean", "rms", "nlabl", "labels", "map", "machst"}
"""Fields that change although nothing was changed: docs/howto/write-large.md lists them."""


def _raw(path: Path) -> bytes:
    data = path.read_bytes()
    return {".gz": gzip.decompress, ".bz2": bz2.decompress}.get(path.suffix, bytes)(data)


@pytest.mark.data
@pytest.mark.parametrize("name", REAL)
@pytest.mark.filterwarnings("ignore::mrcarray.errors.MrcWarning")
def test_real_file_read_and_written_untouched_keeps_its_bytes(tmp_path: Path, shared_data: Path, name: str) -> None:
    plain = name.removesuffix(".gz").removesuffix(".bz2")
    xr.open_dataset(shared_data / name, engine="mrc").mrc.to_mrc(tmp_path / plain)
    before, after = _raw(shared_data / name), (tmp_path / plain).read_bytes()
    assert before[1024:] == after[1024:]
    changed = {
        field
        for field, offset, code in builders.FIELDS
        if before[offset : offset + struct.calcsize(code)] != after[offset : offset + struct.calcsize(code)]
    }
    stated = {"cella", "m", "nversion"} if name == "fei_old_header.mrc" else set()  # its records state the pixel size
    assert changed <= OBLIGED | stated
    old, new = mrcarray.read_header(shared_data / name), mrcarray.read_header(tmp_path / plain)
    assert new.labels[: old.nlabl] == old.labels[: old.nlabl]
    assert new.text_labels[-1].startswith("Written by mrcarray")
    with mrcfile.open(tmp_path / plain) as found:
        assert new.rms == pytest.approx(found.data.astype("f8").std(), rel=1e-6)


@pytest.mark.data
@pytest.mark.parametrize("name", REAL)
@pytest.mark.filterwarnings("ignore::mrcarray.errors.MrcWarning")
def test_real_file_written_after_arithmetic_opens_as_same_array(tmp_path: Path, shared_data: Path, name: str) -> None:
    first = xr.open_dataarray(shared_data / name, engine="mrc")
    changed = (first + first.dtype.type(0)).astype(first.dtype)
    changed.encoding.clear()
    plain = name.removesuffix(".gz").removesuffix(".bz2")
    found = back(changed, tmp_path / plain)
    assert found.mrc.same_grid(first)
    np.testing.assert_array_equal(found.values, first.values)
    movie = ("space_group",) if name == "de_movie.mrc" else ()  # its name makes it a stack, against its space group 1
    # The cell of sections is not that of a crystal, and is computed when it is written.
    volume = (
        {"mrc_unit_cell", "mrc_sampling"} if first.mrc.kind == "volume" and "mrc_stored_as" in first.attrs else set()
    )
    for key in ({"space_group", "symmetry"} | volume).difference(movie):
        np.testing.assert_array_equal(found.attrs.get(key), first.attrs.get(key), err_msg=key)


def test_byte_order_of_file_is_kept_until_it_is_asked_to_change(tmp_path: Path) -> None:
    values = builders.sample((2, 3, 4), 1)
    (tmp_path / "a.mrc").write_bytes(
        builders.mrc_bytes(values, 1, ">", origin=(1.0, 2.0, 3.0), extra2=bytes(range(84)))
    )
    first = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc")
    first.mrc.to_mrc(tmp_path / "b.mrc")
    assert mrcarray.read_header(tmp_path / "b.mrc").byteorder == ">"
    assert (tmp_path / "b.mrc").read_bytes()[112:196] == bytes(range(84))
    same(back(first, tmp_path / "c.mrc", byteorder="<"), first.load())
    assert mrcarray.read_header(tmp_path / "c.mrc").byteorder == "<"


def test_labels_are_kept_and_last_of_ten_replaced(tmp_path: Path) -> None:
    labels = b"".join(f"label {i}".encode().ljust(80) for i in range(10))
    (tmp_path / "a.mrc").write_bytes(builders.mrc_bytes(builders.sample((2, 3, 4), 2), nlabl=10, labels=labels))
    first = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc")
    found = back(first, tmp_path / "b.mrc", label="filtered")
    assert found.attrs["labels"].split("\n")[:9] == [f"label {i}" for i in range(9)]
    assert found.attrs["labels"].split("\n")[9].startswith("filtered")
    assert len(back(first, tmp_path / "b.mrc", label="").attrs["labels"].split("\n")) == 10
    for mine in ("mine\nmore", ["mine", "more"]):  # the version before stored lists
        first.attrs["labels"] = mine
        assert back(first, tmp_path / "b.mrc").attrs["labels"].split("\n")[:2] == ["mine", "more"]
    first.attrs["labels"] = ""
    assert "labels" not in back(first, tmp_path / "b.mrc", label="").attrs
    del first.attrs["labels"]
    assert len(back(first, tmp_path / "b.mrc", label="").attrs["labels"].split("\n")) == 10
    first.attrs["labels"] = "x" * 81
    with pytest.raises(MrcValueError, match="81 bytes"):
        first.mrc.to_mrc(tmp_path / "c.mrc")


def test_version_is_kept_raised_for_new_modes_and_given(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_bytes(builders.mrc_bytes(builders.sample((2, 3, 4), 2), nversion=20140))
    first = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc")
    assert back(first, tmp_path / "b.mrc").attrs["mrc_nversion"] == 20140
    assert back(first, tmp_path / "b.mrc", dtype="f2").attrs["mrc_nversion"] == 20141
    assert back(first, tmp_path / "b.mrc", nversion=20141).attrs["mrc_nversion"] == 20141


@pytest.mark.parametrize("nversion", [0, 20140])
def test_file_whose_pixels_changed_declares_current_version(tmp_path: Path, nversion: int) -> None:
    raw = builders.mrc_bytes(builders.sample((2, 3, 4), 2), nversion=nversion)
    (tmp_path / "a.mrc").write_bytes(raw)
    first = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc")
    changed = (first * 2, first.isel(x=slice(0, 3)), first.isel(x=slice(1, 3)), first.transpose("x", "z", "y"))
    for array in (*changed, first.round().clip(-9, 9).astype("i2")):
        array.mrc.to_mrc(tmp_path / "b.mrc", overwrite=True)
        assert mrcarray.read_header(tmp_path / "b.mrc").nversion == 20141
        assert validation.check(tmp_path / "b.mrc").ok
    first.mrc.to_mrc(tmp_path / "b.mrc", overwrite=True)
    assert mrcarray.read_header(tmp_path / "b.mrc").nversion == nversion


CRYSTAL: dict[str, Any] = {
    "ispg": 4,
    "m": (40, 12, 72),
    "cella": (18.0, 4.8, 36.0),
    "cellb": (90.0, 94.0, 90.0),
    "mapcrs": (3, 1, 2),
    "nstart": (0, -4, -2),
    "exttyp": b"CCP4",
}
SYMMETRY = b"X,  Y,  Z".ljust(80) + b"-X,  Y+1/2,  -Z".ljust(80)


def crystal(path: Path) -> xr.DataArray:
    path.write_bytes(builders.mrc_bytes(builders.sample((5, 8, 10), 2), extended=SYMMETRY, **CRYSTAL))
    return xr.open_dataarray(path, engine="mrc")


def test_part_of_crystal_keeps_cell_space_group_and_symmetry(tmp_path: Path) -> None:
    part = crystal(tmp_path / "a.map").isel(x=slice(2, None), z=slice(1, 7))
    for array in (part, part * 2):
        array.mrc.to_mrc(tmp_path / "b.map", overwrite=True)
        header = mrcarray.read_header(tmp_path / "b.map")
        assert (header.m, header.cellb, header.ispg, header.mapcrs) == ((40, 12, 72), (90, 94, 90), 4, (3, 1, 2))
        assert header.cella == pytest.approx((18, 4.8, 36))
        assert (header.nstart, header.origin) == ((1, -2, -2), (0, 0, 0))
        assert (tmp_path / "b.map").read_bytes()[1024:1184] == SYMMETRY


def test_coarser_crystal_has_fewer_intervals_in_same_cell(tmp_path: Path) -> None:
    coarse = crystal(tmp_path / "a.map").isel(x=slice(0, None, 2), z=slice(0, None, 2))
    coarse.mrc.to_mrc(tmp_path / "b.map")
    header = mrcarray.read_header(tmp_path / "b.map")
    assert header.m == (20, 12, 36)
    assert header.nstart[1] == -2


@ROUNDED
def test_indivisible_cell_becomes_extent_with_warning(tmp_path: Path) -> None:
    array = crystal(tmp_path / "a.map").isel(x=slice(0, None, 3))
    with pytest.warns(MrcWarning, match="unit cell"):
        found = back(array, tmp_path / "b.map")
    same(found, array.load())


def test_fractional_nstart_is_rounded_and_exact_in_origin(tmp_path: Path) -> None:
    array = crystal(tmp_path / "a.map")
    moved = array.assign_coords(y=array.y + 0.1)
    with pytest.warns(MrcWarning, match=r"0\.1 Å along y off"):
        moved.mrc.to_mrc(tmp_path / "b.map")
    header = mrcarray.read_header(tmp_path / "b.map")
    assert header.origin[1] == pytest.approx(float(moved.y[0]))
    assert header.nstart == mrcarray.read_header(tmp_path / "a.map").nstart


def test_new_grid_of_old_imod_file_has_standard_origin_sign(tmp_path: Path) -> None:
    extra2 = bytearray(84)
    struct.pack_into("<ii", extra2, 40, 1146047817, 1)
    raw = builders.mrc_bytes(
        builders.sample((2, 3, 4), 2), nversion=0, extra2=bytes(extra2), origin=(-20.0, -30.0, -40.0)
    )
    (tmp_path / "a.mrc").write_bytes(raw)
    first = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc")
    assert first.mrc.origin == (20.0, 30.0, 40.0)
    moved = first.isel(x=slice(1, None))
    same(back(moved, tmp_path / "b.mrc"), moved.load())
    header = mrcarray.read_header(tmp_path / "b.mrc")
    assert (header.nversion, header.origin) == (20141, (22.0, 30.0, 40.0))
    assert back(first, tmp_path / "c.mrc").mrc.origin == (20.0, 30.0, 40.0)
    assert mrcarray.read_header(tmp_path / "c.mrc").origin == (-20.0, -30.0, -40.0)


def test_records_follow_their_sections(tmp_path: Path) -> None:
    tilts = [60, 0, -60, 30]
    extended = b"".join(struct.pack("<hh", 100 * tilt, i) for i, tilt in enumerate(tilts))
    extra2 = bytearray(84)
    struct.pack_into("<hh", extra2, 16, 4, 1 | 8)
    raw = builders.mrc_bytes(
        builders.sample((4, 3, 4), 1), 1, extended=extended, ispg=0, m=(4, 3, 1), exttyp=b"SERI", extra2=bytes(extra2)
    )
    (tmp_path / "a.mrc").write_bytes(raw)
    first = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc")
    found = back(first.isel(section=[2, 1, 0]), tmp_path / "b.mrc")
    assert found.tilt_angle.values.tolist() == [-60, 0, 60]
    assert mrcarray.read_header(tmp_path / "b.mrc").exttyp == b"SERI"
    found = back(first.isel(section=[2, 1, 0]) + np.int16(0), tmp_path / "c.mrc")
    assert found.tilt_angle.values.tolist() == [-60, 0, 60]


def test_unknown_extended_header_of_part_warns(
    tmp_path: Path,
) -> None:
    block = bytes(range(256))
    (tmp_path / "a.mrc").write_bytes(builders.mrc_bytes(builders.sample((2, 3, 4), 2), extended=block))
    first = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc")
    first.mrc.to_mrc(tmp_path / "b.mrc")
    assert (tmp_path / "b.mrc").read_bytes()[1024:1280] == block
    for array, order, text in (
        (first.isel(z=slice(1)), None, "cannot be selected with the sections"),
        (first, ">", "byte order cannot be changed"),
    ):
        with pytest.warns(MrcWarning, match=text):
            array.mrc.to_mrc(tmp_path / "c.mrc", overwrite=True, byteorder=order)
        assert mrcarray.read_header(tmp_path / "c.mrc").nsymbt == 0
        assert mrcarray.read_header(tmp_path / "c.mrc").exttyp == bytes(4)
    (tmp_path / "a.mrc").write_bytes(builders.mrc_bytes(builders.sample((2, 3, 4), 2), extended=block))
    loaded = xr.open_dataarray(tmp_path / "b.mrc", engine="mrc").load()
    (tmp_path / "b.mrc").unlink()
    with pytest.warns(MrcWarning, match="its file does not exist any more"):
        loaded.mrc.to_mrc(tmp_path / "c.mrc", overwrite=True)


@pytest.mark.parametrize("code", [0, 5, 7, 8, 17])
@pytest.mark.filterwarnings("ignore::mrcarray.errors.MrcWarning")
def test_historic_modes_are_kept_when_nothing_was_changed(tmp_path: Path, code: int) -> None:
    values = builders.sample((2, 3, 4), code)
    (tmp_path / "a.mrc").write_bytes(builders.mrc_bytes(values, code))
    found = back(xr.open_dataarray(tmp_path / "a.mrc", engine="mrc"), tmp_path / "b.mrc")
    assert found.encoding["mode"] == code
    np.testing.assert_array_equal(found.values, values)


def test_unsigned_bytes_stay_unsigned_bytes(tmp_path: Path) -> None:
    values = np.arange(24, dtype="u1").reshape(2, 3, 4) * 10
    raw = bytearray(builders.mrc_bytes(values.view("i1"), 0, dmin=0.0, dmax=230.0, dmean=115.0))
    (tmp_path / "a.mrc").write_bytes(raw)
    found = back(xr.open_dataarray(tmp_path / "a.mrc", engine="mrc"), tmp_path / "b.mrc")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found.values, values)


def of_imod(path: Path, mode: int, flags: int, **words: Any) -> xr.DataArray:
    """Return a file that carries IMOD's stamp, opened."""
    extra2 = bytearray(84)
    struct.pack_into("<ii", extra2, 40, 1146047817, flags)
    values = builders.sample((3, 4, 5), mode)
    path.write_bytes(builders.mrc_bytes(values, mode, extra2=bytes(extra2), **words))
    return xr.open_dataarray(path, engine="mrc").load()


@pytest.mark.parametrize("flags", [0, 1, 4, 16])
@pytest.mark.parametrize("mode", [None, 0])
def test_signed_bytes_stay_signed_whatever_file_before_held(tmp_path: Path, flags: int, mode: int | None) -> None:
    array = of_imod(tmp_path / "a.mrc", 0, flags)
    values = np.linspace(-118, 118, array.size).reshape(array.shape).astype("i1")
    found = back(array.copy(data=values.astype(array.dtype)).astype("i1"), tmp_path / "b.mrc", mode=mode)
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found.values, values)


@pytest.mark.parametrize("flags", [0, 1, 4])
@pytest.mark.parametrize("before", [0, 20140, 20141])
@pytest.mark.parametrize("after", [None, 0, 20140, 20141])
def test_position_is_kept_with_any_version(tmp_path: Path, flags: int, before: int, after: int | None) -> None:
    array = of_imod(tmp_path / "a.mrc", 2, flags, nversion=before, origin=(10.0, 20.0, 30.0))
    for moved in (array, array.isel(x=slice(2, None)), array * 2):
        assert back(moved, tmp_path / "b.mrc", nversion=after).mrc.origin == moved.mrc.origin


@ROUNDED
@pytest.mark.parametrize("start", [0.0, -32.0, 0.5])
@pytest.mark.parametrize("step", [1.07, 0.8317, 13.48, 0.560313, 2.0])
def test_map_less_part_written_of_it_keeps_every_voxel_of_part(tmp_path: Path, step: float, start: float) -> None:
    whole = back(grid((4, 4, 64), step=step, start=start * step), tmp_path / "a.mrc")
    for begin in (3, 10, 30):
        part = whole.isel(x=slice(begin, begin + 24))
        found = back(part, tmp_path / "b.mrc")
        assert (whole - found).sizes["x"] == 24
        xr.testing.assert_identical(found.x, part.x)


# Voxel sizes are rounded to 6 digits, by at most 5 parts in a million: beyond 190 voxels that can exceed the thousandth
# of a voxel within which a start counts as a whole number of voxels.
@given(step=st.floats(0.1, 50), count=st.integers(-190, 190))
def test_maps_placed_by_nstart_and_origin_align(
    tmp_path_factory: pytest.TempPathFactory, step: float, count: int
) -> None:
    folder = tmp_path_factory.mktemp("placed")
    values = builders.sample((4, 4, 40), 2)
    cell: dict[str, Any] = {"cella": (40 * step, 4 * step, 4 * step), "m": (40, 4, 4)}
    found = []
    words: dict[str, Any]
    for name, words in (("nstart", {"nstart": (count, 0, 0)}), ("origin", {"origin": (count * step, 0.0, 0.0)})):
        (folder / name).write_bytes(builders.mrc_bytes(values, 2, **cell, **words))
        found.append(xr.open_dataarray(folder / name, engine="mrc").load())
    xr.testing.assert_identical(found[0].x, found[1].x)


def test_part_of_old_map_is_valid_new_one_and_whole_stays_old(tmp_path: Path) -> None:
    raw = builders.mrc_bytes(builders.sample((4, 6, 8), 2), 2, nversion=0, machst=b"DA\0\0", nstart=(-2, 0, 0))
    (tmp_path / "a.map").write_bytes(raw)
    array = xr.open_dataarray(tmp_path / "a.map", engine="mrc")
    back(array.isel(x=slice(1, None)), tmp_path / "b.map")
    assert mrcfile.validate(tmp_path / "b.map")
    assert validation.check(tmp_path / "b.map").ok
    back(array, tmp_path / "c.map")
    assert mrcarray.read_header(tmp_path / "c.map").nversion == 0


@ROUNDED
def test_array_opened_with_pixel_numbers_is_written_with_its_voxel_size(tmp_path: Path) -> None:
    back(grid(start=11.0, step=2.0), tmp_path / "a.mrc")
    places = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc").load()
    counted = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc", coords="pixel").load()
    assert counted.x.attrs["units"] == "pixel"
    same(back(counted, tmp_path / "b.mrc"), places)
    same(back(counted.isel(x=slice(2, 8, 2)), tmp_path / "b.mrc"), places.isel(x=slice(2, 8, 2)))


@pytest.mark.parametrize("label", [b"pixel 1.2 \xc5", "café".encode()])
def test_label_of_another_alphabet_is_written_as_it_was_read(tmp_path: Path, label: bytes) -> None:
    raw = builders.mrc_bytes(builders.sample((2, 3, 4), 2), 2, nlabl=1, labels=label.ljust(80))
    (tmp_path / "a.mrc").write_bytes(raw)
    back(xr.open_dataarray(tmp_path / "a.mrc", engine="mrc") * 2, tmp_path / "b.mrc")
    assert mrcarray.read_header(tmp_path / "b.mrc").labels[0].rstrip(b" \0") == label


def test_non_numeric_space_group_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(MrcValueError, match=r"attrs\['space_group'\] is 'P1'; expected"):
        grid().assign_attrs(space_group="P1").mrc.to_mrc(tmp_path / "a.mrc")


@pytest.mark.parametrize("name", ["origin", "nversion", "imod_flags", "cell_angles", "cell_lengths", "mrc_origin"])
def test_other_attributes_of_caller_are_ignored(tmp_path: Path, name: str) -> None:
    same(back(grid().assign_attrs({name: "EMDB"}), tmp_path / "a.mrc"), grid())
    same(back(grid().assign_attrs({name: "EMDB", "space_group": 1}), tmp_path / "b.mrc"), grid())


def test_signed_bytes_asked_for_are_signed_or_refused(tmp_path: Path) -> None:
    array = of_imod(tmp_path / "a.mrc", 0, 0)
    with pytest.raises(MrcValueError, match="does not fit mode 0"):
        array.copy(data=np.full(array.shape, 200, "u1")).mrc.to_mrc(tmp_path / "b.mrc", dtype="int8")
    found = back(array.copy(data=np.full(array.shape, 100, "u1")), tmp_path / "b.mrc", dtype="int8")
    assert found.dtype == np.int8


def test_bytes_of_two_pixels_become_mode_made_for_them(tmp_path: Path) -> None:
    extra2 = bytearray(84)
    struct.pack_into("<ii", extra2, 40, 1146047817, 16)
    raw = builders.mrc_bytes(builders.sample((3, 4, 5), 0), 0, extra2=bytes(extra2))
    (tmp_path / "a.mrc").write_bytes(raw)
    array = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc").load()
    assert array.shape == (3, 4, 10)
    found = back(array, tmp_path / "b.mrc")
    assert found.encoding["mode"] == 101
    np.testing.assert_array_equal(found.values, array.values)
    assert not mrcarray.read_header(tmp_path / "b.mrc").imod.half_bytes


def test_misleading_file_name_warns(tmp_path: Path) -> None:
    with pytest.warns(MrcWarning, match=r"b\.mrcs: .*read as image_stack, not volume; .*kind='volume'"):
        grid().mrc.to_mrc(tmp_path / "b.mrcs")
    stack = grid().rename(z="section").drop_vars("section")
    stack.mrc.to_mrc(tmp_path / "c.mrcs")
    assert xr.open_dataarray(tmp_path / "c.mrcs", engine="mrc").dims == ("section", "y", "x")


def test_bytes_that_are_unsigned_by_their_statistics_alone_stay_so_when_region_is_written(tmp_path: Path) -> None:
    values = np.arange(24, dtype="u1").reshape(2, 3, 4) * 10
    path = tmp_path / "a.mrc"
    path.write_bytes(builders.mrc_bytes(values.view("i1"), 0, dmin=0.0, dmax=230.0, dmean=115.0, rms=69.0))
    mrcarray.to_mrc(values[0], path, region={"z": 0})
    header = mrcarray.read_header(path)
    assert header.dmean < header.dmin
    assert header.rms < 0
    np.testing.assert_array_equal(mrcarray.open_array(path)[:], values)
    mrcarray.finalize(path)
    assert mrcarray.read_header(path).dmax == 230
    np.testing.assert_array_equal(mrcarray.open_array(path)[:], values)


def test_complex_pixels_have_whole_nstart(tmp_path: Path) -> None:
    array = grid().astype("c8").assign_attrs(space_group=1, origin=np.array([5.0, 6.0, 0.0]))
    array.mrc.to_mrc(tmp_path / "a.mrc")
    header = mrcarray.read_header(tmp_path / "a.mrc")
    assert (header.nstart, header.origin) == ((5, 5, 5), (5, 6, 0))
    with pytest.warns(MrcWarning, match="whole voxels"):
        array.assign_coords(x=array.x + 0.5).mrc.to_mrc(tmp_path / "b.mrc")


def test_volume_of_stack_gets_new_header(tmp_path: Path) -> None:
    stack = np.arange(32, dtype="f4").reshape(1, 4, 4, 2)
    mrcarray.to_mrc(stack, tmp_path / "stack.mrc", voxel_size=1.5, nversion=20140)
    volume = mrcarray.open_dataarray(tmp_path / "stack.mrc").isel(volume=0)
    mrcarray.to_mrc(volume, tmp_path / "volume.mrc")
    header = mrcarray.read_header(tmp_path / "volume.mrc")
    assert (header.ispg, header.mapcrs, header.nversion) == (1, (1, 2, 3), 20141)
