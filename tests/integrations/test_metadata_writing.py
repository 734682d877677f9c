"""Pixels and records stay together: what is written after selecting, sorting and changing."""

from __future__ import annotations

import io
import stat
import struct
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
import xarray as xr

from mrcarray.errors import MrcValueError, MrcWarning
from tests.builders import mrc_bytes, sample
from tests.integrations.test_metadata import TILTS, angles_of, mdoc, opened, serialem, volumes

UNSORTED = (0.0, 30.0, -30.0, 60.0, -60.0)


def extended_of(path: str | Path) -> bytes:
    """Return the extended header of a little-endian file, read by `struct`."""
    raw = Path(path).read_bytes()
    return raw[1024 : 1024 + struct.unpack_from("<i", raw, 92)[0]]


@pytest.mark.parametrize("chunks", [None, {}])
@pytest.mark.parametrize("kind", ["auto", "tilt_series", "movie"])
def test_a_sorted_series_is_written_with_pixels_and_records_together(tmp_path: Path, kind: str, chunks: Any) -> None:
    ts = opened(serialem(tmp_path / "a.mrc", UNSORTED), kind=kind, chunks=chunks)
    path = ts.sortby("tilt_angle").mrc.to_mrc(tmp_path / "sorted.mrc")
    assert angles_of(extended_of(path), 5) == [-60, -30, 0, 30, 60]
    with mrcfile.open(path) as mrc:
        np.testing.assert_array_equal(mrc.data, ts.values[[4, 2, 0, 1, 3]])
        assert mrc.header.exttyp == b"SERI"
        assert struct.unpack("<2h", mrc.header.extra2.tobytes()[16:20]) == (6, 5)
    again = opened(Path(path))
    in_order = ts.sortby("tilt_angle")
    for name in ("tilt_angle", "stage_x", "stage_y"):
        np.testing.assert_array_equal(again[name].values, in_order[name].values)


def test_a_selection_is_written_with_its_records(tmp_path: Path) -> None:
    ts = opened(serialem(tmp_path / "a.mrc", UNSORTED))
    low = ts.sel(section=abs(ts.tilt_angle) < 40)
    again = opened(Path(low.mrc.to_mrc(tmp_path / "low.mrc")))
    assert again.tilt_angle.values.tolist() == [0, 30, -30]
    np.testing.assert_array_equal(again.values, ts.values[:3])
    one = opened(Path(ts.isel(section=3).mrc.to_mrc(tmp_path / "one.mrc")))
    assert (one.dims, one.tilt_angle.item()) == (("y", "x"), 60)


@pytest.mark.parametrize("name", ["serialem_tilt.mrc", "fei_old_header.mrc", "fei-extended.mrc"])
def test_a_real_file_written_untouched_keeps_the_bytes_of_its_extended_header(
    shared_data: Path, tmp_path: Path, name: str
) -> None:
    path = opened(shared_data / name).mrc.to_mrc(tmp_path / "copy.mrc")
    assert extended_of(path) == extended_of(shared_data / name)
    before, after = (shared_data / name).read_bytes(), Path(path).read_bytes()
    assert before[100:160] == after[100:160], "type, version and the two counts"
    assert before[1024:] == after[1024:]


def test_mrcfile_reads_the_fei_record_that_was_written(shared_data: Path, tmp_path: Path) -> None:
    image = opened(shared_data / "fei-extended.mrc").assign_coords(defocus=-1.25).isel(x=slice(0, 8), y=slice(0, 8))
    path = image.mrc.to_mrc(tmp_path / "crop.mrc")
    with mrcfile.open(path) as mrc:
        record = mrc.indexed_extended_header[0]
    assert record["Defocus"] == pytest.approx(-1.25e-6)
    assert record["Alpha tilt"] == 0.004274353952111746


def test_changed_angles_are_those_of_the_written_file(tmp_path: Path) -> None:
    ts = opened(serialem(tmp_path / "a.mrc"))
    refined = ts.assign_coords(tilt_angle=ts.tilt_angle + 0.25)
    again = opened(Path(refined.mrc.to_mrc(tmp_path / "b.mrc")))
    np.testing.assert_allclose(again.tilt_angle, np.array(TILTS) + 0.25)


def test_an_angle_that_does_not_fit_its_record_is_a_warning_and_the_pixels_are_written(tmp_path: Path) -> None:
    ts = opened(serialem(tmp_path / "a.mrc"))
    with pytest.warns(MrcWarning, match="tilt_angle is not written"):
        path = ts.assign_coords(tilt_angle=ts.tilt_angle + 1000).mrc.to_mrc(tmp_path / "b.mrc")
    assert opened(Path(path)).tilt_angle.values.tolist() == list(TILTS)


def test_records_follow_the_byte_order_of_the_written_file(tmp_path: Path) -> None:
    ts = opened(serialem(tmp_path / "a.mrc", order=">"))
    little = ts.mrc.to_mrc(tmp_path / "little.mrc", byteorder="<")
    assert angles_of(extended_of(little), 4) == list(TILTS)
    assert opened(Path(ts.mrc.to_mrc(tmp_path / "big.mrc"))).tilt_angle.values.tolist() == list(TILTS)


def test_a_computed_average_has_no_extended_header_and_no_stale_counts(tmp_path: Path) -> None:
    ts = opened(serialem(tmp_path / "a.mrc"))
    raw = Path(ts.astype("f4").mean("section").mrc.to_mrc(tmp_path / "mean.mrc")).read_bytes()
    assert struct.unpack_from("<i4s", raw, 92)[0] == 0
    assert raw[104:108] == bytes(4)
    assert struct.unpack_from("<2h", raw, 128) == (0, 0)


def test_series_are_joined_through_netcdf_and_written(tmp_path: Path) -> None:
    one, two = (opened(serialem(tmp_path / f"{n}.mrc", tilts)) for n, tilts in (("a", (1.0, 2.0)), ("b", (3.0, 4.0))))
    xr.concat([two, one], "section").to_netcdf(tmp_path / "both.nc", engine="h5netcdf")
    both = xr.load_dataarray(tmp_path / "both.nc", engine="h5netcdf")
    again = opened(Path(both.mrc.to_mrc(tmp_path / "both.mrc")))
    assert again.tilt_angle.values.tolist() == [3, 4, 1, 2]


def test_an_unknown_extended_header_of_an_untouched_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(sample((2, 3, 4), 2), 2, "<", b"\xff\x01\x02" * 5))
    assert extended_of(opened(path).mrc.to_mrc(tmp_path / "b.mrc")) == b"\xff\x01\x02" * 5


def test_an_unknown_extended_header_that_cannot_be_had_any_more_is_missed_aloud(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    raw = mrc_bytes(sample((2, 3, 4), 2), 2, "<", b"\xff\x01\x02" * 5)
    path.write_bytes(raw)
    stack = opened(path).load()
    path.write_bytes(raw[:76] + b"\1" + raw[77:])
    with pytest.warns(MrcWarning, match="the file it stood in has changed"):
        stack.mrc.to_mrc(tmp_path / "b.mrc")
    nameless = xr.open_dataarray(io.BytesIO(raw), engine="mrc")
    with pytest.warns(MrcWarning, match="does not say from which file it came"):
        target = nameless.mrc.to_mrc(tmp_path / "c.mrc")
    assert extended_of(target) == b""


def test_an_image_repeated_into_a_stack_repeats_its_record(tmp_path: Path) -> None:
    image = opened(serialem(tmp_path / "a.mrc")).isel(section=0).drop_vars("section")
    stack = image.expand_dims(section=3).assign_coords(tilt_angle=("section", [1.0, 2.0, 3.0]))
    target = stack.mrc.to_mrc(tmp_path / "b.mrc")
    assert angles_of(extended_of(target), 3) == [1, 2, 3]


def test_a_gain_reference_after_the_records_is_fetched_from_its_file_or_missed_aloud(tmp_path: Path) -> None:
    gain = np.random.default_rng(0).bytes(60000)
    extra2 = bytes(16) + struct.pack("<2h", 0, 1) + bytes(64)
    path = tmp_path / "movie.mrc"
    records = struct.pack("<3f", 1, 2, 3)
    raw = mrc_bytes(sample((3, 4, 5), 1), 1, "<", records + gain, ispg=0, exttyp=b"AGAR", extra2=extra2)
    path.write_bytes(raw)
    movie = opened(path)
    assert movie.extended_record.attrs["reserved"] == ""
    picked = movie.isel(section=[2, 0])
    assert extended_of(picked.mrc.to_mrc(tmp_path / "b.mrc")) == struct.pack("<2f", 3, 1) + gain
    picked.load()
    path.unlink()
    with pytest.warns(MrcWarning, match="60000 bytes after the records"):
        target = picked.mrc.to_mrc(tmp_path / "c.mrc")
    assert extended_of(target) == struct.pack("<2f", 3, 1)


@pytest.mark.parametrize("kind", ["image_stack", "tilt_series", "movie"])
def test_records_that_were_not_read_are_not_put_beside_other_sections(tmp_path: Path, kind: str) -> None:
    path = serialem(tmp_path / "a.mrc")
    ts = opened(path, extended=False, kind=kind)
    assert extended_of(ts.mrc.to_mrc(tmp_path / "same.mrc")) == extended_of(path)
    for at, part in enumerate((ts[::-1], ts[:2])):
        with pytest.warns(MrcWarning, match="extended header .* is not written"):
            target = part.mrc.to_mrc(tmp_path / f"{at}.mrc")
        assert extended_of(target) == b""


@pytest.mark.parametrize(
    ("suffix", "expected"), [("rawtlt", [-60, -30, 0, 30, 60]), ("tlt", [-61, -31, 1, 31, 61]), ("xtilt", [0.5] * 5)]
)
def test_lists_of_angles_are_written_in_the_order_of_the_sections_and_found_again(
    tmp_path: Path, suffix: str, expected: list[float]
) -> None:
    ts = opened(serialem(tmp_path / "a.mrc", UNSORTED))
    ts = ts.assign_coords(refined_tilt_angle=("section", [1.0, 31, -31, 61, -61]), x_tilt_angle=0.5)
    ts = ts.sortby("tilt_angle")
    target = ts.mrc.to_mrc(tmp_path / "sorted.mrc")
    path = ts.mrc.to_angles(tmp_path / f"sorted.{suffix}")
    assert [float(line) for line in Path(path).read_text().split()] == expected
    name = {"rawtlt": "tilt_angle", "tlt": "refined_tilt_angle", "xtilt": "x_tilt_angle"}[suffix]
    assert opened(Path(target))[name].values.tolist() == expected
    with pytest.raises(FileExistsError, match="overwrite=True"):
        ts.mrc.to_angles(path)


def test_angles_that_are_not_known_make_no_list(tmp_path: Path) -> None:
    ts = opened(serialem(tmp_path / "a.mrc"))
    assert Path(ts.mrc.to_angles(tmp_path / "b.tlt")).read_text().split()[0] == "-3.00"
    with pytest.raises(MrcValueError, match=r"no coordinate x_tilt_angle to write a \.xtilt of"):
        ts.mrc.to_angles(tmp_path / "b.xtilt")
    with pytest.raises(MrcValueError, match=r"'.txt' is the suffix of no list .* .rawtlt, .tlt, .xtilt"):
        ts.mrc.to_angles(tmp_path / "b.txt")
    with pytest.raises(MrcValueError, match="cannot say that an angle is missing"):
        ts.assign_coords(tilt_angle=("section", [1, 2, 3, np.nan])).mrc.to_angles(tmp_path / "b.rawtlt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mrc", "b.tlt"]


def test_an_mdoc_is_written_beside_the_pixels_and_found_again(tmp_path: Path) -> None:
    path = serialem(tmp_path / "a.mrc", UNSORTED)
    mdoc(path, *UNSORTED, ExposureDose=2.5, DateTime="08-Oct-2021  07:39:08")
    ts = opened(path).sortby("tilt_angle")
    target = ts.mrc.to_mrc(tmp_path / "sorted.mrc")
    beside = ts.mrc.to_mdoc(target)
    assert beside == f"{target}.mdoc"
    again = opened(Path(target))
    assert again.exposure_dose.attrs["from"] == "mdoc (sorted.mrc.mdoc)"
    for name in ("tilt_angle", "stage_x", "exposure_dose", "datetime"):
        np.testing.assert_array_equal(again[name].values, ts[name].values)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        ts.mrc.to_mdoc(target)
    assert ts.to_dataset().mrc.to_mdoc(target, overwrite=True) == beside
    assert stat.S_IMODE(Path(beside).stat().st_mode) == stat.S_IMODE(path.stat().st_mode)
    assert not [one.name for one in tmp_path.iterdir() if one.name.startswith(".")]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (lambda stack: stack, [1, 2, 3, 4, 5, 6]),
        (lambda stack: stack[::-1], [4, 5, 6, 1, 2, 3]),
        (lambda stack: stack[:, 1:], [2, 3, 5, 6]),
        (lambda stack: stack[1], [4, 5, 6]),
        (lambda stack: stack[:, 2], [3, 6]),
        (lambda stack: stack[1, 0], [4]),
        (lambda stack: stack.transpose("z", "volume", "y", "x"), [1, 2, 3, 4, 5, 6]),
        (lambda stack: stack.assign_coords(tilt_angle=("z", [7.0, 8.0, 9.0])), [7, 8, 9, 7, 8, 9]),
        (lambda stack: xr.concat([stack, stack[:1]], "volume"), [1, 2, 3, 4, 5, 6, 1, 2, 3]),
    ],
)
def test_records_of_a_stack_of_volumes_stay_with_their_sections(tmp_path: Path, part: Any, expected: list[int]) -> None:
    written = part(opened(volumes(tmp_path / "v.mrc"))).mrc.to_mrc(tmp_path / "part.mrc")
    assert list(struct.unpack(f"<{len(expected)}f", extended_of(written))) == expected


def test_records_whose_sections_became_columns_are_not_written_and_that_is_said(tmp_path: Path) -> None:
    volume = opened(serialem(tmp_path / "a.mrc"), kind="volume")
    with pytest.warns(MrcWarning, match="records lie along z, the sections of the file along x"):
        written = volume.transpose("x", "y", "z").mrc.to_mrc(tmp_path / "turned.mrc")
    assert extended_of(written) == b""
    assert Path(written).read_bytes()[104:108] == bytes(4)
