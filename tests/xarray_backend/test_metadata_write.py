"""Pixels and records stay together: what is written after selecting, sorting and changing."""

from __future__ import annotations

import io
import re
import stat
import struct
import warnings
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
import xarray as xr

from mrcarray.errors import MrcValueError, MrcWarning
from mrcarray.xarray_backend.convention import RECORD
from tests.builders import mrc_bytes, sample
from tests.xarray_backend.test_metadata_read import TILTS, angles_of, mdoc, opened, serialem, volumes

UNSORTED = (0.0, 30.0, -30.0, 60.0, -60.0)


def extended_of(path: str | Path) -> bytes:
    """Return the extended header of a little-endian file, read by `struct`."""
    raw = Path(path).read_bytes()
    return raw[1024 : 1024 + struct.unpack_from("<i", raw, 92)[0]]


@pytest.mark.parametrize("chunks", [None, {}])
@pytest.mark.parametrize("kind", ["auto", "tilt_series", "movie"])
def test_sorted_series_is_written_with_pixels_and_records_together(tmp_path: Path, kind: str, chunks: Any) -> None:
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


def test_selection_is_written_with_its_records(tmp_path: Path) -> None:
    ts = opened(serialem(tmp_path / "a.mrc", UNSORTED))
    low = ts.sel(section=abs(ts.tilt_angle) < 40)
    again = opened(Path(low.mrc.to_mrc(tmp_path / "low.mrc")))
    assert again.tilt_angle.values.tolist() == [0, 30, -30]
    np.testing.assert_array_equal(again.values, ts.values[:3])
    one = opened(Path(ts.isel(section=3).mrc.to_mrc(tmp_path / "one.mrc")))
    assert (one.dims, one.tilt_angle.item()) == (("y", "x"), 60)


@pytest.mark.filterwarnings(
    "ignore:.*an MRC file cannot store:mrcarray.errors.MrcWarning"
)  # what its mdoc alone states
@pytest.mark.filterwarnings("ignore:.*MRC414:mrcarray.errors.MrcWarning")  # fei_old_header.mrc has a cell of 1 Å
@pytest.mark.parametrize("name", ["serialem_tilt.mrc", "fei_old_header.mrc", "fei-extended.mrc"])
def test_real_file_written_untouched_keeps_bytes_of_its_extended_header(
    shared_data: Path, tmp_path: Path, name: str
) -> None:
    path = opened(shared_data / name).mrc.to_mrc(tmp_path / "copy.mrc")
    assert extended_of(path) == extended_of(shared_data / name)
    before, after = (shared_data / name).read_bytes(), Path(path).read_bytes()
    assert before[104:108] == after[104:108], "type"
    assert before[112:160] == after[112:160], "the two counts"
    version = struct.unpack_from("<i", after, 108)[0]
    assert version == (20141 if name == "fei_old_header.mrc" else struct.unpack_from("<i", before, 108)[0]), "its cell"
    assert before[1024:] == after[1024:]


def test_mrcfile_reads_fei_record_that_was_written(shared_data: Path, tmp_path: Path) -> None:
    image = opened(shared_data / "fei-extended.mrc").assign_coords(defocus=-1.25).isel(x=slice(0, 8), y=slice(0, 8))
    path = image.mrc.to_mrc(tmp_path / "crop.mrc")
    with mrcfile.open(path) as mrc:
        record = mrc.indexed_extended_header[0]
    assert record["Defocus"] == pytest.approx(-1.25e-6)
    assert record["Alpha tilt"] == 0.004274353952111746


def test_changed_angles_are_those_of_written_file(tmp_path: Path) -> None:
    ts = opened(serialem(tmp_path / "a.mrc"))
    refined = ts.assign_coords(tilt_angle=ts.tilt_angle + 0.25)
    again = opened(Path(refined.mrc.to_mrc(tmp_path / "b.mrc")))
    np.testing.assert_allclose(again.tilt_angle, np.array(TILTS) + 0.25)


def test_angle_that_does_not_fit_its_record_is_warning_and_pixels_are_written(tmp_path: Path) -> None:
    ts = opened(serialem(tmp_path / "a.mrc"))
    with pytest.warns(MrcWarning, match="tilt_angle is not written"):
        path = ts.assign_coords(tilt_angle=ts.tilt_angle + 1000).mrc.to_mrc(tmp_path / "b.mrc")
    assert opened(Path(path)).tilt_angle.values.tolist() == list(TILTS)


def test_records_follow_byte_order_of_written_file(tmp_path: Path) -> None:
    ts = opened(serialem(tmp_path / "a.mrc", order=">"))
    little = ts.mrc.to_mrc(tmp_path / "little.mrc", byteorder="<")
    assert angles_of(extended_of(little), 4) == list(TILTS)
    assert opened(Path(ts.mrc.to_mrc(tmp_path / "big.mrc"))).tilt_angle.values.tolist() == list(TILTS)


def test_computed_average_has_no_extended_header_and_no_stale_counts(tmp_path: Path) -> None:
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


def test_unknown_extended_header_of_untouched_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(sample((2, 3, 4), 2), 2, "<", b"\xff\x01\x02" * 5))
    assert extended_of(opened(path).mrc.to_mrc(tmp_path / "b.mrc")) == b"\xff\x01\x02" * 5


def test_lost_unknown_extended_header_warns(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    raw = mrc_bytes(sample((2, 3, 4), 2), 2, "<", b"\xff\x01\x02" * 5)
    path.write_bytes(raw)
    stack = opened(path).load()
    path.write_bytes(raw[:76] + b"\1" + raw[77:])
    with pytest.warns(MrcWarning, match="its file has changed"):
        stack.mrc.to_mrc(tmp_path / "b.mrc")
    nameless = xr.open_dataarray(io.BytesIO(raw), engine="mrc")
    with pytest.warns(MrcWarning, match="does not know its file"):
        target = nameless.mrc.to_mrc(tmp_path / "c.mrc")
    assert extended_of(target) == b""


def test_image_repeated_into_stack_repeats_its_record(tmp_path: Path) -> None:
    image = opened(serialem(tmp_path / "a.mrc")).isel(section=0).drop_vars("section")
    stack = image.expand_dims(section=3).assign_coords(tilt_angle=("section", [1.0, 2.0, 3.0]))
    target = stack.mrc.to_mrc(tmp_path / "b.mrc")
    assert angles_of(extended_of(target), 3) == [1, 2, 3]


def test_gain_reference_is_read_from_its_file_or_warns(tmp_path: Path) -> None:
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
def test_unread_records_are_not_written_with_other_sections(tmp_path: Path, kind: str) -> None:
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
def test_lists_of_angles_are_written_in_order_of_sections_and_found_again(
    tmp_path: Path, suffix: str, expected: list[float]
) -> None:
    ts = opened(serialem(tmp_path / "a.mrc", UNSORTED))
    ts = ts.assign_coords(refined_tilt_angle=("section", [1.0, 31, -31, 61, -61]), x_tilt_angle=0.5)
    ts = ts.sortby("tilt_angle")
    with pytest.warns(MrcWarning, match=r"cannot store the coordinate refined_tilt_angle; .*\.mrc\.to_angles"):
        target = ts.mrc.to_mrc(tmp_path / "sorted.mrc")
    path = ts.mrc.to_angles(tmp_path / f"sorted.{suffix}")
    assert [float(line) for line in Path(path).read_text().split()] == expected
    name = {"rawtlt": "tilt_angle", "tlt": "refined_tilt_angle", "xtilt": "x_tilt_angle"}[suffix]
    assert opened(Path(target))[name].values.tolist() == expected
    with pytest.raises(FileExistsError, match="overwrite=True"):
        ts.mrc.to_angles(path)


def test_missing_angles_are_refused(tmp_path: Path) -> None:
    ts = opened(serialem(tmp_path / "a.mrc"))
    assert Path(ts.mrc.to_angles(tmp_path / "b.tlt")).read_text().split()[0] == "-3.00"
    with pytest.raises(MrcValueError, match=r"no coordinate x_tilt_angle, which a \.xtilt file contains"):
        ts.mrc.to_angles(tmp_path / "b.xtilt")
    with pytest.raises(MrcValueError, match=r"'.txt' is not a suffix of an angle list; .* .rawtlt, .tlt, .xtilt"):
        ts.mrc.to_angles(tmp_path / "b.txt")
    with pytest.raises(MrcValueError, match="which a list of angles cannot store"):
        ts.assign_coords(tilt_angle=("section", [1, 2, 3, np.nan])).mrc.to_angles(tmp_path / "b.rawtlt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mrc", "b.tlt"]


def test_mdoc_is_written_and_found_again(tmp_path: Path) -> None:
    path = serialem(tmp_path / "a.mrc", UNSORTED)
    mdoc(path, *UNSORTED, ExposureDose=2.5, DateTime="08-Oct-2021  07:39:08")
    ts = opened(path).sortby("tilt_angle")
    target = tmp_path / "sorted.mrc"
    beside = ts.mrc.to_mdoc(target)
    ts.mrc.to_mrc(target)
    assert beside == f"{target}.mdoc"
    again = opened(target)
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
def test_records_of_stack_of_volumes_stay_with_their_sections(tmp_path: Path, part: Any, expected: list[int]) -> None:
    written = part(opened(volumes(tmp_path / "v.mrc"), extended="all")).mrc.to_mrc(tmp_path / "part.mrc")
    assert list(struct.unpack(f"<{len(expected)}f", extended_of(written))) == expected


def test_records_along_columns_warn(tmp_path: Path) -> None:
    volume = opened(serialem(tmp_path / "a.mrc"), kind="volume", extended="all")
    with pytest.warns(MrcWarning, match="records lie along z, the sections of the file along x"):
        written = volume.transpose("x", "y", "z").mrc.to_mrc(tmp_path / "turned.mrc")
    assert extended_of(written) == b""
    assert Path(written).read_bytes()[104:108] == bytes(4)


class TestSidecarsBesideTheTarget:
    """What stands beside a file is read with it when it is opened again."""

    def test_series_that_is_written_over_its_file_in_another_order_does_not_fit_its_mdoc(self, tmp_path: Path) -> None:
        path = serialem(tmp_path / "a.mrc", UNSORTED)
        mdoc(path, *UNSORTED)
        ts = opened(path).load().sortby("tilt_angle")
        with pytest.warns(
            MrcWarning, match=r"does not match the data being written: tilt_angle of section 0 .* in .*a\.mrc\.mdoc"
        ):
            ts.mrc.to_mrc(path, overwrite=True)
        ts.mrc.to_mdoc(path, overwrite=True)
        assert opened(path).tilt_angle.values.tolist() == sorted(UNSORTED)

    def test_part_does_not_fit_mdoc_of_whole(self, tmp_path: Path) -> None:
        path = serialem(tmp_path / "a.mrc", UNSORTED)
        mdoc(path, *UNSORTED)
        (tmp_path / "a.tlt").write_text("1\n2\n3\n4\n5\n")
        with pytest.warns(
            MrcWarning,
            match=r"describes 5 sections, but the file has 2.*a\.tlt has 5 angles; expected one for each of 2 sections",
        ):
            opened(path).load()[:2].drop_vars("refined_tilt_angle").mrc.to_mrc(path, overwrite=True)

    def test_matching_or_unrelated_sidecars_do_not_warn(self, tmp_path: Path) -> None:
        path = serialem(tmp_path / "a.mrc", UNSORTED)
        mdoc(path, *UNSORTED, DateTime="08-Oct-21  07:39:08", SubFramePath="D:\\x\\f.tif")
        ts = opened(path).load()
        (ts + 1).mrc.to_mrc(path, overwrite=True)
        ts.assign_coords(tilt_angle=ts.tilt_angle.astype(int)).mrc.to_mrc(path, overwrite=True)
        opened(path, extended=False, sidecar=False).load().mrc.to_mrc(path, overwrite=True)
        mdoc(tmp_path / "v.mrc", *UNSORTED)
        ts[::-1].drop_vars(["datetime", "frames_file"]).mrc.to_mrc(tmp_path / "v.mrc", kind="volume")


# ------------------------------------------------------------------------------------------------ missing values


def short(path: Path, tilts: tuple[float, ...], sections: int) -> xr.DataArray:
    """Open a SerialEM stack that has records for its first sections alone, and no room for more."""
    records = b"".join(struct.pack("<h", round(100 * tilt)) for tilt in tilts)
    extra2 = bytes(16) + struct.pack("<2h", 2, 1) + bytes(64)
    pixels = sample((sections, 3, 4), 1)
    path.write_bytes(mrc_bytes(pixels, 1, "<", records, ispg=0, exttyp=b"SERI", extra2=extra2))
    with pytest.warns(MrcWarning, match="MRC403"):
        return opened(path)


def reopened(path: str) -> np.ndarray:
    """Return the tilts of a file that has too few records."""
    with pytest.warns(MrcWarning, match="MRC403"):
        return np.asarray(opened(Path(path)).tilt_angle)


def test_stack_with_too_few_records_is_written_untouched_with_same_ones(tmp_path: Path) -> None:
    ts = short(tmp_path / "a.mrc", (3.0, 6.0, 9.0), 5)
    path = ts.mrc.to_mrc(tmp_path / "b.mrc")
    assert extended_of(path) == extended_of(tmp_path / "a.mrc")
    np.testing.assert_array_equal(reopened(path), [3, 6, 9, np.nan, np.nan])


def test_selection_of_it_ends_its_records_where_they_end(tmp_path: Path) -> None:
    ts = short(tmp_path / "a.mrc", (3.0, 6.0, 9.0), 5)
    np.testing.assert_array_equal(reopened(ts.isel(section=[2, 0, 4]).mrc.to_mrc(tmp_path / "b.mrc")), [9, 3, np.nan])
    np.testing.assert_array_equal(reopened(ts.isel(section=slice(2, None)).mrc.to_mrc(tmp_path / "c.mrc"))[0], 9)
    given = ts.assign_coords(tilt_angle=("section", [3.0, 6.0, 9.0, 12.0, np.nan]))
    np.testing.assert_array_equal(reopened(given.mrc.to_mrc(tmp_path / "d.mrc")), [3, 6, 9, 12, np.nan])


def test_gap_between_records_warns(tmp_path: Path) -> None:
    ts = short(tmp_path / "a.mrc", (3.0, 6.0, 9.0), 5)
    with pytest.warns(MrcWarning, match=r"SERI .* tilt_angle of sections 0, 1 .*MRC411"):
        path = ts.isel(section=slice(None, None, -1)).mrc.to_mrc(tmp_path / "b.mrc")
    assert opened(Path(path)).tilt_angle.values.tolist() == [0, 0, 9, 6, 3]
    with pytest.warns(MrcWarning, match=r"tilt_angle of section 0 .*MRC411"):
        ts.drop_vars("tilt_angle").isel(section=[4, 0]).mrc.to_mrc(tmp_path / "c.mrc")


def test_sections_that_reindexing_added_have_no_record(tmp_path: Path) -> None:
    ts = opened(serialem(tmp_path / "a.mrc")).drop_vars(["stage_x", "stage_y"]).astype("f4")
    with pytest.warns(MrcWarning, match="tilt_angle of section 4 .*MRC411"):
        path = ts.reindex(section=[0, 1, 2, 3, 7, 0]).fillna(0).mrc.to_mrc(tmp_path / "b.mrc")
    assert opened(Path(path)).tilt_angle.values.tolist() == [*TILTS, 0, TILTS[0]]


def test_removed_value_that_stays_in_file_warns(tmp_path: Path) -> None:
    ts = opened(serialem(tmp_path / "a.mrc"))
    with pytest.warns(MrcWarning, match=r"SERI .* tilt_angle of section 1 .*MRC411"):
        path = ts.assign_coords(tilt_angle=("section", [-3, np.nan, 3, 6.5])).mrc.to_mrc(tmp_path / "b.mrc")
    assert opened(Path(path)).tilt_angle.values.tolist() == [-3, 0, 3, 6.5]


def test_removed_value_clears_fei_bit(tmp_path: Path) -> None:
    record = bytearray(struct.pack("<2iI", 768, 0, 1 << 7 | 1 << 8)) + bytes(756)
    struct.pack_into("<2d", record, 100, 30.0, 2.0)
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(sample((2, 2, 2), 1), 1, "<", bytes(record) * 2, ispg=0, exttyp=b"FEI1"))
    ts = opened(tmp_path / "a.mrc").assign_coords(tilt_angle=("section", [30, np.nan]))
    again = opened(Path(ts.mrc.to_mrc(tmp_path / "b.mrc")))
    np.testing.assert_array_equal(again.tilt_angle, [30, np.nan])
    np.testing.assert_array_equal(again.beta_tilt, [2, 2])


def test_quantity_that_zero_means_unknown_of_becomes_unknown(tmp_path: Path) -> None:
    extra2 = bytes(16) + struct.pack("<2h", 2, 8) + bytes(64)
    raw = mrc_bytes(sample((2, 3, 4), 1), 1, "<", struct.pack("<2h", 10, 20), ispg=0, exttyp=b"SERI", extra2=extra2)
    (tmp_path / "a.mrc").write_bytes(raw)
    ts = opened(tmp_path / "a.mrc").assign_coords(magnification=("section", [1000.0, np.nan]))
    again = opened(Path(ts.mrc.to_mrc(tmp_path / "b.mrc")))
    np.testing.assert_array_equal(again.magnification, [1000, np.nan])


# ------------------------------------------------------------------------------------------------ beside the target


def bare(path: Path, *angles: float, **keys: Any) -> xr.DataArray:
    """Open a stack without an extended header whose mdoc states these angles."""
    path.write_bytes(mrc_bytes(sample((len(angles), 3, 4), 1), 1, "<", ispg=0))
    mdoc(path, *angles, **keys)
    return opened(path)


def test_unchanged_series_with_its_mdoc_does_not_warn(tmp_path: Path) -> None:
    bare(tmp_path / "a.mrc", *UNSORTED, ExposureDose=2.5).mrc.to_mrc(tmp_path / "a.mrc", overwrite=True)
    serialem(tmp_path / "b.mrc")
    mdoc(tmp_path / "b.mrc", *(angle + 0.004 for angle in TILTS), DateTime="08-Oct-2021  07:39:08")
    for sidecar in ("auto", False):
        opened(tmp_path / "b.mrc", sidecar=sidecar).mrc.to_mrc(tmp_path / "b.mrc", overwrite=True)


@pytest.mark.parametrize("chunks", [None, {}])
def test_metadata_of_mdoc_alone_warns_under_another_name(tmp_path: Path, chunks: Any) -> None:
    bare(tmp_path / "a.mrc", *UNSORTED, ExposureDose=2.5)
    ts = opened(tmp_path / "a.mrc", chunks=chunks)
    with pytest.warns(MrcWarning, match=r"cannot store the coordinates tilt_angle, exposure_dose; .*to_mdoc.*MRC411"):
        ts.mrc.to_mrc(tmp_path / "b.mrc")
    serialem(tmp_path / "c.mrc")
    mdoc(tmp_path / "c.mrc", *TILTS, ExposureDose=2.5)
    with pytest.warns(MrcWarning, match=r"cannot store the coordinate exposure_dose; .*MRC411"):
        opened(tmp_path / "c.mrc").mrc.to_mrc(tmp_path / "d.mrc")
    with pytest.warns(MrcWarning, match="cannot store the coordinates tilt_angle, exposure_dose"):
        ts.isel(section=1).mrc.to_mrc(tmp_path / "e.mrc")


def test_writing_mdoc_first_leaves_nothing_to_be_warned_of(tmp_path: Path) -> None:
    ts = bare(tmp_path / "a.mrc", *UNSORTED, ExposureDose=2.5).sortby("tilt_angle")
    ts.mrc.to_mdoc(tmp_path / "b.mrc")
    again = opened(Path(ts.mrc.to_mrc(tmp_path / "b.mrc")))
    assert again.tilt_angle.values.tolist() == sorted(UNSORTED)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda ts: ts.sortby("tilt_angle"), r"tilt_angle of section 0 is -60\.0, but 0\.0 in mdoc \(a.mrc.mdoc\)"),
        (lambda ts: ts.isel(section=slice(0, 3)), "describes 5 sections, but the file has 3"),
        (lambda ts: ts.isel(section=[1]), "tilt_angle of section 0 is 30.0, but 0.0"),
        (lambda ts: ts.assign_coords(tilt_angle=ts.tilt_angle + 0.05), "section 0 is 0.05, but 0.0"),
        (lambda ts: ts.assign_coords(tilt_angle=ts.tilt_angle.where(ts.section != 2)), "section 2 is nan, but -30.0"),
        (lambda ts: ts[::-1].drop_vars("tilt_angle"), "sections are numbers 4, 3, 2, 1"),
    ],
)
@pytest.mark.parametrize("records", [False, True])
def test_stale_mdoc_warns(tmp_path: Path, change: Any, reason: str, records: bool) -> None:
    bare(tmp_path / "a.mrc", *UNSORTED)
    if records:
        serialem(tmp_path / "a.mrc", UNSORTED)
    ts = change(opened(tmp_path / "a.mrc"))
    with pytest.warns() as caught:
        ts.mrc.to_mrc(tmp_path / "a.mrc", overwrite=True)
    assert [one for one in caught if re.search(reason + r".*to_mdoc.*MRC424", str(one.message))]


def test_stale_angle_list_warns_except_for_volumes(tmp_path: Path) -> None:
    ts = opened(serialem(tmp_path / "a.mrc"))
    (tmp_path / "b.rawtlt").write_text("1\n2\n")
    with pytest.warns(MrcWarning, match=r"b.rawtlt has 2 angles; expected one for each of 4 sections.*MRC424"):
        ts.mrc.to_mrc(tmp_path / "b.mrc")
    ts.mrc.to_mrc(tmp_path / "b.mrc", overwrite=True, kind="volume")


@pytest.mark.parametrize("chunks", [None, {}])
def test_averaged_sections_keep_one_record_with_averaged_values(tmp_path: Path, chunks: Any) -> None:
    kinds: dict[str, Any] = {"section": {}, "z": {"ispg": 1, "m": (4, 3, 4), "cella": (4.0, 3.0, 4.0)}}
    for dim, fields in kinds.items():
        ts = opened(serialem(tmp_path / "a.mrc", **fields), chunks=chunks, extended="all")
        with pytest.raises(TypeError):
            ts.coarsen({dim: 2}).mean()
        pairs = ts.coarsen({dim: 2}, coord_func={RECORD: "min"}).mean().astype("f4")
        path = pairs.mrc.to_mrc(tmp_path / "b.mrc", overwrite=True, placement="origin")
        again = opened(Path(path), extended="all")
        assert again.tilt_angle.values.tolist() == [-1.5, 4.5]
        np.testing.assert_allclose(again.stage_x, [0.5, 2.5], atol=0.02)
        bare = ts.drop_vars(RECORD).coarsen({dim: 2}).mean()
        np.testing.assert_array_equal(bare.values, pairs.values)


def test_texts_of_sidecar_are_compared(tmp_path: Path) -> None:
    ts = bare(tmp_path / "a.mrc", *UNSORTED, SubFramePath="a.tif")
    ts.mrc.to_mrc(tmp_path / "a.mrc", overwrite=True)
    ts = opened(tmp_path / "a.mrc").drop_vars("section")
    for files in ("b.tif", 1.0):
        with pytest.warns(MrcWarning, match=r"frames_file of section 0 is .*, but a.tif in mdoc .*MRC424"):
            ts.assign_coords(frames_file=("section", [files] * 5)).mrc.to_mrc(tmp_path / "a.mrc", overwrite=True)
        ts = opened(tmp_path / "a.mrc").drop_vars("section")
    ts.drop_vars("tilt_angle").mrc.to_mrc(tmp_path / "a.mrc", overwrite=True)


def movie(path: Path) -> xr.DataArray:
    """Open a movie of three frames of whose exposure an mdoc states voltage, time and defocus."""
    path.write_bytes(mrc_bytes(sample((3, 3, 4), 1), 1, ispg=0))
    beside = path.with_name(path.name + ".mdoc")
    beside.write_text("Voltage = 300\n\n[FrameSet = 0]\nDefocus = -2\nExposureTime = 1.5\nNumSubFrames = 3\n")
    return opened(path, kind="movie", extended="all")


def test_mdoc_value_of_all_frames_is_written_for_each(tmp_path: Path) -> None:
    frames = movie(tmp_path / "a.mrc")
    assert frames.voltage.dims == ()
    frames.mrc.to_mdoc(tmp_path / "b.mrc")
    again = opened(Path(frames.mrc.to_mrc(tmp_path / "b.mrc")), kind="movie")
    for name in ("voltage", "defocus", "exposure_time"):
        np.testing.assert_array_equal(again[name].values, [frames[name].item()] * 3)


def test_lost_mdoc_value_of_all_frames_warns(tmp_path: Path) -> None:
    with pytest.warns(MrcWarning, match=r"cannot store the coordinates defocus, exposure_time, voltage.*MRC411"):
        movie(tmp_path / "a.mrc").mrc.to_mrc(tmp_path / "b.mrc")


def test_keys_of_mdoc_without_common_name_are_written_back(tmp_path: Path) -> None:
    path = serialem(tmp_path / "a.mrc")
    mdoc(path, *TILTS, NumSubFrames=12, ImageShift="0.1 -0.2", GainReference=r"X:\gain.dm4")
    ts = opened(path, extended="all").isel(section=[3, 1])
    text = Path(ts.mrc.to_mdoc(tmp_path / "b.mrc")).read_text()
    section = text.partition("[ZValue = 1]\n")[2].splitlines()
    assert section[0] == f"TiltAngle = {TILTS[1]:g}"
    assert {"NumSubFrames = 12", "ImageShift = 0.1 -0.2", r"GainReference = X:\gain.dm4"} <= set(section)
    assert sum(line.startswith("TiltAngle") for line in section) == 1


def test_coordinates_along_other_axes_are_none_of_mdoc(tmp_path: Path) -> None:
    ts = opened(serialem(tmp_path / "a.mrc")).assign_coords(defocus=("x", [1.0, 2.0, 3.0, 4.0]))
    text = Path(ts.isel(section=[0]).mrc.to_mdoc(tmp_path / "b.mrc")).read_text()
    assert text.count("ZValue") == 1
    assert "Defocus" not in text


def test_mdoc_of_stack_of_volumes_counts_through_all_sections(tmp_path: Path) -> None:
    stack = xr.DataArray(np.zeros((2, 3, 4, 5), "f4"), dims=("volume", "z", "y", "x"))
    stack = stack.assign_coords(tilt_angle=(("volume", "z"), np.arange(6.0).reshape(2, 3)))
    text = Path(stack.mrc.to_mdoc(tmp_path / "b.mrc")).read_text()
    assert text.endswith("[ZValue = 5]\nTiltAngle = 5\n")


@pytest.mark.parametrize("fill", [{}, {"fill_value": 0}])
def test_added_sections_have_no_record(tmp_path: Path, fill: dict[str, Any]) -> None:
    ts = opened(serialem(tmp_path / "a.mrc")).astype("f4")
    grown = ts.reindex(section=[3, 9, 0], **fill)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*SERI records cannot mark a value as missing", MrcWarning)
        warnings.filterwarnings("ignore", ".*not a number", MrcWarning)
        path = grown.mrc.to_mrc(tmp_path / "b.mrc")
    assert angles_of(extended_of(path), 3)[::2] == [TILTS[3], TILTS[0]]
