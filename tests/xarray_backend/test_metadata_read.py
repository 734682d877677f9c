"""Metadata that travels: extended headers and sidecars as coordinates, through xarray's operations and back."""

from __future__ import annotations

import pickle
import shutil
import struct
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

import mrcarray
from mrcarray.conversion import convert
from mrcarray.errors import MrcValueError, MrcWarning
from mrcarray.format import extended
from mrcarray.format.quantities import Column
from mrcarray.format.sidecars import Mdoc
from mrcarray.unfinished import MARKER
from mrcarray.xarray_backend import convention, metadata_read, metadata_write, sidecars
from tests.builders import mrc_bytes, sample

if TYPE_CHECKING:
    from pathlib import Path

TILTS = (-3.0, 0.0, 3.0, 6.0)


def serialem(path: Path, tilts: tuple[float, ...] = TILTS, *, order: str = "<", **fields: Any) -> Path:
    """Write a SerialEM stack of 3 x 4 images whose records hold tilt and stage, and return its path."""
    records = b"".join(struct.pack(order + "3h", round(100 * tilt), 25 * at, -25 * at) for at, tilt in enumerate(tilts))
    extra2 = bytearray(84)
    struct.pack_into(order + "2h", extra2, 16, 6, 5)
    pixels = sample((len(tilts), 3, 4), 1)
    fields = {"ispg": 0, "exttyp": b"SERI", "extra2": bytes(extra2), **fields}
    path.write_bytes(mrc_bytes(pixels, 1, order, records.ljust(1024, b"\0"), **fields))
    return path


def mdoc(path: Path, *angles: float, **keys: Any) -> Path:
    """Write an mdoc beside `path` that states these angles, and the same `keys` for each image."""
    body = "".join(f"{key} = {value}\n" for key, value in keys.items())
    text = "".join(f"[ZValue = {at}]\nTiltAngle = {angle}\n{body}\n" for at, angle in enumerate(angles))
    beside = path.with_name(path.name + ".mdoc")
    beside.write_text(text)
    return beside


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """Return a SerialEM stack of four tilts without a sidecar."""
    return serialem(tmp_path / "TS_01.mrc")


def opened(path: Path, **options: Any) -> xr.DataArray:
    """Open the one array of a file."""
    return xr.open_dataarray(path, engine="mrc", **options)


# ------------------------------------------------------------------------------------------------ coordinates


def test_serialem_stack_opens_with_its_tilts_and_stage(series: Path) -> None:
    ts = opened(series)
    assert ts.tilt_angle.dims == ("section",)
    assert ts.tilt_angle.values.tolist() == list(TILTS)
    assert ts.tilt_angle.attrs["units"] == "degree"
    assert ts.stage_x.attrs["units"] == "micrometer"
    assert ts.stage_y.values.tolist() == [0, -1, -2, -3]
    assert "tilt_angle" not in ts.indexes


@pytest.mark.parametrize("order", ["<", ">"])
def test_records_are_read_in_byte_order_of_file(tmp_path: Path, order: str) -> None:
    assert opened(serialem(tmp_path / "a.mrc", order=order)).tilt_angle.values.tolist() == list(TILTS)


def test_sections_are_sorted_and_selected_by_their_tilt(tmp_path: Path) -> None:
    ts = opened(serialem(tmp_path / "a.mrc", (0.0, 30.0, -30.0, 60.0, -60.0)))
    in_order = ts.sortby("tilt_angle")
    chosen = in_order.sel(section=abs(in_order.tilt_angle) < 40)
    assert chosen.tilt_angle.values.tolist() == [-30, 0, 30]
    np.testing.assert_array_equal(chosen.values, ts.values[[2, 0, 1]])
    by_label = in_order.where(abs(ts.tilt_angle) < 40, drop=True)
    np.testing.assert_array_equal(by_label.values, chosen.values)


def test_real_files_have_their_metadata(shared_data: Path) -> None:
    with pytest.warns(MrcWarning, match=r"1 angstrom per voxel.* a pixel size of 33.6 angstrom.*voxel_size=33.6"):
        old = opened(shared_data / "fei_old_header.mrc")
    np.testing.assert_allclose(np.diff(old.x), 33.6, rtol=1e-9)
    np.testing.assert_allclose(old.pixel_size, 33.6, rtol=1e-6)
    np.testing.assert_array_equal(old.tilt_angle, np.arange(-76, 78, 2))
    micrograph = opened(shared_data / "fei-extended.mrc")
    assert micrograph.defocus.dims == ()
    assert micrograph.defocus.item() == pytest.approx(-0.9065800391478006)
    assert micrograph.datetime.values == np.datetime64("2017-10-10T08:37:35.641")
    assert np.isnan(micrograph.tilt_axis_angle), "its bit is not set"
    ts = opened(shared_data / "serialem_tilt.mrc")
    assert ts.defocus.values.tolist() == [-0.015685] * 2, "from the mdoc beside it"
    assert ts.defocus.attrs["from"] == "mdoc (serialem_tilt.mrc.mdoc)"


def test_extended_false_gives_no_metadata_and_all_gives_every_field(series: Path) -> None:
    assert set(opened(series, extended=False).coords) == {"section", "y", "x"}
    every = opened(series, extended="all")
    assert {"tilt_angle", "Tilt_angle", "Stage_X"} <= set(every.coords)
    with pytest.raises(MrcValueError, match="extended is 'some'"):
        opened(series, extended="some")


def test_every_fei_field_is_there_on_request(shared_data: Path) -> None:
    every = opened(shared_data / "fei-extended.mrc", extended="all")
    assert every["Camera_name"].item() == "EF-CCD"
    assert every["HT"].item() == 300000
    assert every["HT"].attrs["units"] == "V"
    assert every["Slit_inserted"].item() is True
    assert every["Microscope_type"].item() == "TITAN52336320"


def test_stack_with_fewer_records_than_sections_has_missing_values_not_zeros(tmp_path: Path) -> None:
    record = bytearray(struct.pack("<2iI", 768, 0, 1 << 30 | 1 << 7 | 1)) + bytes(756)
    struct.pack_into("<2d", record, 92, 0, 30.0)
    record[288] = 1
    struct.pack_into("<d", record, 12, 43018.5)
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(sample((3, 2, 2), 1), 1, "<", bytes(record), ispg=0, exttyp=b"FEI1"))
    with pytest.warns(MrcWarning, match="1 records for 3 sections"):
        ts = opened(path, extended="all")
    np.testing.assert_array_equal(ts.tilt_angle, [30, np.nan, np.nan])
    assert np.isnat(ts.datetime.values).tolist() == [False, True, True]
    np.testing.assert_array_equal(ts["EFTEM_On"], [1, np.nan, np.nan])
    assert ts[convention.RECORD].values.tolist()[1:] == ["", ""]


def test_volume_has_coordinates_of_its_sections_only_on_request_and_no_sidecar_is_looked_for(series: Path) -> None:
    mdoc(series, 10, 20, 30, 40)
    volume = opened(series, kind="volume")
    assert set(volume.coords) == {"z", "y", "x"}
    assert volume.coarsen(z=2, y=2, x=2, boundary="trim").mean().sizes["z"] == len(TILTS) // 2
    every = opened(series, kind="volume", extended="all")
    assert every.tilt_angle.dims == every[convention.RECORD].dims == ("z",)
    assert every.tilt_angle.values.tolist() == list(TILTS)
    named = opened(series, kind="volume", sidecar=series.with_name(series.name + ".mdoc"))
    assert named.tilt_angle.values.tolist() == [10, 20, 30, 40]


def test_extended_header_of_volume_is_not_read(series: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_self: object) -> bytes:
        raise AssertionError("the extended header was read")

    monkeypatch.setattr("mrcarray.reader.Mrc.extended", property(refused))
    assert opened(series, kind="volume").dims == ("z", "y", "x")


def test_reserved_extended_header_has_no_metadata(tmp_path: Path) -> None:
    """AreTomo 1 reserves 128 bytes a section and leaves them zero for volumes."""
    values = np.arange(12 * 10 * 8, dtype="f4").reshape(12, 10, 8)
    extra1, extra2 = struct.pack("<h", -16224), bytes(18) + struct.pack("<h", 32) + bytes(28) + struct.pack("<h", 5)
    fields: dict[str, Any] = {"ispg": 0, "m": (8, 10, 12), "cella": (8.8, 11, 13.2), "map": b"MAP\0"}
    path = tmp_path / "ts.mrc"
    path.write_bytes(mrc_bytes(values, 2, "<", bytes(12 * 128), exttyp=b"AGAR", extra1=extra1, extra2=extra2, **fields))
    array = opened(path)
    assert (array.dims, set(array.coords)) == (("z", "y", "x"), {"z", "y", "x"})
    np.testing.assert_array_equal(array.coarsen(z=2, y=2, x=2).mean()[0, 0, 0], values[:2, :2, :2].mean())
    assert set(opened(path, kind="tilt_series", extended="all").coords) == {"tilt", "y", "x"}


def volumes(path: Path, tilts: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)) -> Path:
    """Write a stack of two volumes of three sections, with a tilt for each section."""
    extra2 = bytes(16) + struct.pack("<2h", 0, 1) + bytes(64)
    records = struct.pack("<6f", *tilts)
    path.write_bytes(mrc_bytes(sample((2, 3, 2, 2), 1), 1, "<", records, exttyp=b"AGAR", extra2=extra2))
    return path


def test_metadata_of_volume_stack_has_both_dims(tmp_path: Path) -> None:
    path = volumes(tmp_path / "v.mrc")
    (tmp_path / "v.tlt").write_text("7\n" * 6)
    assert set(opened(path).coords) == {"volume", "z", "y", "x"}
    stack = opened(path, extended="all")
    assert stack.tilt_angle.dims == ("volume", "z")
    assert stack.tilt_angle.values.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert "refined_tilt_angle" not in stack.coords, "no sidecar is looked for"
    assert opened(path, sidecar=tmp_path / "v.tlt").refined_tilt_angle.shape == (2, 3)
    assert set(opened(path, extended=False).coords) == {"volume", "z", "y", "x"}


def test_wrong_exttyp_warns_and_records_are_read(tmp_path: Path) -> None:
    block = np.zeros((1024, 32), "<f4")
    block[:2, 0] = [-60, 60]
    path = tmp_path / "warp.mrc"
    extra2 = bytes(16) + struct.pack("<2h", 128, 32) + bytes(64)
    path.write_bytes(mrc_bytes(sample((2, 3, 4), 1), 1, "<", block.tobytes(), ispg=0, exttyp=b"FEI1", extra2=extra2))
    with pytest.warns(MrcWarning, match=r"'FEI1', but .* read as FEI0.*MRC401"):
        ts = opened(path)
    assert ts.tilt_angle.values.tolist() == [-60, 60]


def test_undecodable_extended_header_warns(series: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no idea")

    monkeypatch.setattr(extended, "decode", broken)
    with pytest.warns(MrcWarning, match="could not be decoded.*no idea"):
        ts = opened(series)
    assert ts.shape == (4, 3, 4)


def test_huge_extended_header_is_not_read(series: Path) -> None:
    """The file is sparse: its extended header takes no space on the disk."""
    header, nbytes = mrcarray.read_header(series), 257 << 20
    with series.open("r+b") as file:
        file.write(header.replace(nsymbt=nbytes).raw)
        file.truncate(1024 + nbytes + 4 * 3 * 4 * 2)
    with pytest.warns(MrcWarning, match=f"has {nbytes} bytes; more than 268435456 are not read"):
        assert opened(series).shape == (4, 3, 4)


def test_extended_header_is_read_once(series: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mrcarray.storage.local import LocalSource

    ranges = []
    original = LocalSource.read

    def counted(self: LocalSource, start: int, stop: int) -> Any:
        ranges.append((start, stop))
        return original(self, start, stop)

    monkeypatch.setattr(LocalSource, "read", counted)
    ts = opened(series)
    ts.tilt_angle.load()
    assert ranges.count((1024, 2048)) == 1
    assert all(stop <= 2048 for _, stop in ranges), "no pixel is read"


# ------------------------------------------------------------------------------------------------ kinds


def test_tilt_series_is_indexed_by_its_angle(tmp_path: Path) -> None:
    ts = opened(serialem(tmp_path / "a.mrc", (60.0, -30.0, 0.0, -60.0)), kind="tilt_series")
    assert ts.dims == ("tilt", "y", "x")
    assert set(ts.indexes) == {"tilt_angle", "y", "x"}
    assert ts.sel(tilt_angle=-60).section.values.tolist() == 3
    in_order = ts.sortby("tilt_angle")
    assert in_order.sel(tilt_angle=-31, method="nearest").section.item() == 1
    assert in_order.sel(tilt_angle=slice(-40, 40)).section.values.tolist() == [1, 2]


def test_files_of_one_dialect_have_same_coordinates_whatever_is_missing(tmp_path: Path) -> None:
    paths = [tmp_path / "a.mrc", tmp_path / "b.mrc"]
    for bits, path in enumerate(paths):
        record = bytearray(struct.pack("<2iI", 768, 0, 1 << 31 | bits << 7)) + bytes(756)
        struct.pack_into("<d", record, 100, 30.0)
        path.write_bytes(mrc_bytes(sample((2, 2), 1), 1, "<", bytes(record), exttyp=b"FEI1"))
    both = xr.open_mfdataset(paths, engine="mrc", combine="nested", concat_dim="micrograph", coords="all")
    np.testing.assert_array_equal(both.tilt_angle, [np.nan, 30])


@pytest.mark.parametrize("text", ["", "[ZValue = 0]\nTiltAngle = unknown\n"])
def test_tilt_series_without_angles_is_counted(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.mdoc").write_text(text)
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(sample((3, 2, 2), 1), 1, ispg=0))
    assert set(opened(path, kind="tilt_series").indexes) == {"tilt", "y", "x"}


@pytest.mark.parametrize(("kind", "dim"), [("movie", "frame"), ("particles", "particle")])
def test_movies_and_particles_name_their_dim(series: Path, kind: str, dim: str) -> None:
    stack = opened(series, kind=kind)
    assert stack.tilt_angle.dims == (dim,)
    assert stack.indexes[dim].tolist() == [0, 1, 2, 3]


# ------------------------------------------------------------------------------------------------ sidecars


def test_mdoc_adds_to_header(series: Path) -> None:
    mdoc(series, *TILTS, Defocus=-3.5, DateTime="08-Oct-21  07:39:08", SubFramePath="D:\\x\\f.tif", ExposureDose=2.5)
    ts = opened(series)
    assert ts.defocus.values.tolist() == [-3.5] * 4
    assert ts.exposure_dose.attrs["units"] == "1/angstrom^2"
    assert ts.frames_file.values.tolist() == ["f.tif"] * 4
    assert ts.datetime.values[0] == np.datetime64("2021-10-08T07:39:08")
    assert "defocus" not in opened(series, sidecar=False).coords


@pytest.mark.parametrize("name", ["TS_01.mrc.mdoc", "TS_01.mdoc", "TS_01.idoc"])
def test_every_mdoc_name_is_found(series: Path, name: str) -> None:
    text = "[Image = TS_01.mrc]\nDefocus = -1\n[ZValue = 0]\nDefocus = -1\n"
    (series.parent / name).write_text(text)
    assert opened(series).defocus.values[0] == -1


def test_suffix_of_compressed_file_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "a.mrc.mdoc").write_text("")
    (tmp_path / "a.tlt").write_text("")
    assert [name.rpartition("/")[2] for name in sidecars.existing(str(tmp_path / "a.mrc.gz"))] == [
        "a.mrc.mdoc",
        "a.tlt",
    ]
    assert sidecars.existing("https://example.org/a.mrc") == sidecars.existing("a.mrc") == []


def test_finer_numbers_of_mdoc_count_where_both_agree(series: Path) -> None:
    mdoc(series, -2.996, 0.004, 3.001, 6.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert opened(series).tilt_angle.values.tolist() == [-2.996, 0.004, 3.001, 6.0]


def test_contradiction_is_one_warning_that_names_both_sources(series: Path) -> None:
    mdoc(series, -3, 0, 30, 6, StagePosition="500 600")
    with pytest.warns(MrcWarning) as caught:
        ts = opened(series)
    assert len(caught) == 1
    text = str(caught[0].message)
    assert "tilt_angle of section 2 is 30.0 in the mdoc (TS_01.mrc.mdoc) and 3.0 in the extended header (SERI)" in text
    assert "stage_x" in text
    assert ts.tilt_angle.values.tolist() == [-3, 0, 30, 6]


def test_gaps_of_one_source_are_filled_from_next(series: Path) -> None:
    (series.parent / "TS_01.mdoc").write_text("[ZValue = 2]\nTiltAngle = 3.01\n")
    ts = opened(series)
    assert ts.tilt_angle.values.tolist() == [-3, 0, 3.01, 6]
    assert ts.tilt_angle.attrs["from"] == "mdoc (TS_01.mdoc), extended header (SERI)"


def test_refined_angles_are_quantity_of_their_own(series: Path) -> None:
    (series.parent / "TS_01.tlt").write_text("-2.5\n0.5\n3.5\n6.5\n")
    (series.parent / "TS_01.rawtlt").write_text("-3\n0\n3\n6\n")
    (series.parent / "TS_01.xtilt").write_text("0\n0\n0\n0\n")
    ts = opened(series)
    assert ts.refined_tilt_angle.values.tolist() == [-2.5, 0.5, 3.5, 6.5]
    assert ts.tilt_angle.values.tolist() == list(TILTS)
    assert ts.x_tilt_angle.values.tolist() == [0] * 4


def test_lists_serve_files_without_any_metadata(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(sample((2, 3, 4), 1), 1, ispg=0))
    (tmp_path / "a.tlt").write_text("5\n10\n")
    assert opened(path, kind="tilt_series").sel(tilt_angle=10).section.item() == 1
    (tmp_path / "a.rawtlt").write_text("-1\n1\n")
    assert opened(path).tilt_angle.values.tolist() == [-1, 1]


@pytest.mark.parametrize("text", ["1\n2\n", "a\n", "1\n2\n3\n4\n5\n"])
def test_found_list_that_does_not_fit_is_left_out_with_warning(series: Path, text: str) -> None:
    (series.parent / "TS_01.tlt").write_text(text)
    with pytest.warns(MrcWarning, match=r"TS_01\.tlt is ignored.*MRC423"):
        assert "refined_tilt_angle" not in opened(series).coords


def test_named_sidecar_counts_first_and_must_fit(series: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere.rawtlt"
    other.write_text("-3.05\n0\n3\n6\n")
    mdoc(series, *TILTS)
    ts = opened(series, sidecar=other)
    assert ts.tilt_angle.values[0] == -3.05
    assert ts.tilt_angle.attrs["from"] == "elsewhere.rawtlt"
    other.write_text("1\n")
    with pytest.raises(MrcValueError, match="1 angles; expected one for each of 4 sections"):
        opened(series, sidecar=other)
    with pytest.raises(FileNotFoundError):
        opened(series, sidecar=tmp_path / "missing.mdoc")
    named = mdoc(tmp_path / "other.mrc", -3, 0, 3, 6, Defocus=-9)
    assert opened(series, sidecar=str(named), extended=False).defocus.values[0] == -9


def test_sidecar_beyond_limit_is_ignored(series: Path) -> None:
    mdoc(series, *TILTS)
    found = sidecars.load(str(series), "auto", len(TILTS), limit=10)
    assert found.columns == ()
    assert [issue.code for issue in found.issues] == ["MRC423"]
    assert "more than 10 bytes" in found.issues[0].message


def test_mdoc_with_too_many_sections_warns(series: Path) -> None:
    mdoc(series, *TILTS, 9, 12)
    with pytest.warns(MrcWarning, match=r"describes 6 sections, but the file has 4.*MRC422"):
        assert opened(series).tilt_angle.values.tolist() == list(TILTS)


def test_frame_set_of_movie_gives_scalars_and_dose_for_each_frame(tmp_path: Path, shared_data: Path) -> None:
    path = tmp_path / "m.mrc"
    path.write_bytes(mrc_bytes(sample((12, 3, 4), 1), 1, ispg=0))
    shutil.copy(shared_data / "frame_set_single.mdoc", tmp_path / "m.mrc.mdoc")
    movie = opened(path, kind="movie")
    assert movie.tilt_angle.dims == ()
    assert movie.exposure_dose.dims == ("frame",)
    np.testing.assert_allclose(movie.prior_dose, 0.63824 * np.arange(12))
    image = tmp_path / "i.mrc"
    image.write_bytes(mrc_bytes(sample((3, 4), 1), 1))
    shutil.copy(shared_data / "frame_set_single.mdoc", tmp_path / "i.mrc.mdoc")
    assert opened(image).tilt_angle.item() == 32.984


def test_montage_has_its_piece_coordinates(tmp_path: Path, shared_data: Path) -> None:
    path = tmp_path / "LMM.mrc"
    path.write_bytes(mrc_bytes(sample((62, 2, 2), 1), 1, ispg=0))
    shutil.copy(shared_data / "montage_section.mdoc", tmp_path / "LMM.mrc.mdoc")
    pieces = opened(path, extended="all")
    assert (pieces.piece_x.values[61], pieces.piece_y.values[61]) == (26928, 27200)
    assert pieces.mdoc_StagePosition.values[0] == "919.141 849.945"


def test_sources_of_different_kinds_are_merged_without_mixing() -> None:
    flags = Column("x", np.array([True, False]), "", "", "one")
    others = Column("x", np.array([np.nan, 1.0]), "", "", "two")
    merged, issues = metadata_read.merge([{"x": flags}, {"x": others}])
    assert merged["x"] is flags
    assert issues == ()


# ------------------------------------------------------------------------------------------------ travelling


def block(array: xr.DataArray, **options: Any) -> bytes:
    """Return the extended header that would be written."""
    written = metadata_write.extended_header(array, **options)
    assert written is not None
    assert written.issues == ()
    return written.data


def angles_of(data: bytes, count: int) -> list[float]:
    """Return the tilts of SERI records of six bytes."""
    return [struct.unpack_from("<h", data, 6 * at)[0] / 100 for at in range(count)]


@pytest.mark.filterwarnings("ignore:.*MRC414:mrcarray.errors.MrcWarning")  # fei_old_header.mrc has a cell of 1 Å
@pytest.mark.parametrize("name", ["serialem_tilt.mrc", "fei_old_header.mrc", "fei-extended.mrc"])
def test_untouched_real_file_gives_its_extended_header_back_to_byte(shared_data: Path, name: str) -> None:
    raw = (shared_data / name).read_bytes()
    size = struct.unpack_from("<i", raw, 92)[0]
    written = metadata_write.extended_header(opened(shared_data / name))
    assert written is not None
    assert written.data == raw[1024 : 1024 + size]
    assert written.exttyp == raw[104:108]
    assert (written.nint, written.nreal) == struct.unpack_from("<2h", raw, 128) or name.startswith("fei")


def test_selected_and_sorted_sections_keep_their_records(tmp_path: Path) -> None:
    ts = opened(serialem(tmp_path / "a.mrc", (60.0, -30.0, 0.0, -60.0)))
    data = block(ts.sortby("tilt_angle").isel(section=slice(0, 3)))
    assert angles_of(data, 4) == [-60, -30, 0, 0]
    assert len(data) == 1024
    written = metadata_write.extended_header(ts.isel(section=1))
    assert written is not None
    assert (written.nint, written.nreal, written.exttyp) == (6, 5, b"SERI")
    assert angles_of(written.data, 1) == [-30]


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a * 2.0,
        lambda a: a.astype("f4") + 1,
        lambda a: a.mean("x"),
        lambda a: a.coarsen(x=2).mean(),
        lambda a: a.transpose("x", "section", "y"),
        lambda a: a.where(a > 0),
        lambda a: a.chunk({"section": 1}).map_blocks(lambda b: b + 1),
        lambda a: xr.concat([a.isel(section=[0, 1]), a.isel(section=[2, 3])], "section"),
        lambda a: a.to_dataset().to_dataarray().isel(variable=0, drop=True),
        lambda a: pickle.loads(pickle.dumps(a)),
        lambda a: a.swap_dims(section="tilt_angle").swap_dims(tilt_angle="section"),
    ],
)
def test_records_survive_xarray_operations(series: Path, change: Any) -> None:
    assert angles_of(block(change(opened(series))), 4) == list(TILTS)


@pytest.mark.filterwarnings("ignore:.*MRC414:mrcarray.errors.MrcWarning")  # fei_old_header.mrc has a cell of 1 Å
@pytest.mark.parametrize("engine", ["h5netcdf", "zarr"])
def test_records_and_coordinates_survive_netcdf_and_zarr(tmp_path: Path, shared_data: Path, engine: Any) -> None:
    for name in ("serialem_tilt.mrc", "fei_old_header.mrc", "fei-extended.mrc"):
        source = opened(shared_data / name).isel(x=slice(0, 2), y=slice(0, 2))
        target = tmp_path / f"{name}.{engine}"
        if engine == "zarr":
            source.to_dataset().to_zarr(target, consolidated=False)
            again = xr.open_zarr(target, consolidated=False)["data"].load()
        else:
            source.to_netcdf(target, engine=engine)
            again = xr.load_dataarray(target, engine=engine)
        assert block(again) == block(source)
        for key in source.coords:
            np.testing.assert_array_equal(again[key].values, source[key].values)


@pytest.mark.parametrize("engine", ["h5netcdf", "zarr"])
def test_dataset_in_chunks_with_texts_is_saved_without_warning(series: Path, tmp_path: Path, engine: str) -> None:
    mdoc(series, *TILTS, SubFramePath="D:\\frames\\a.tif")
    dataset = xr.open_dataset(series, engine="mrc", chunks={})
    if engine == "zarr":
        dataset.to_zarr(tmp_path / "a.zarr", consolidated=False)
        again = xr.load_dataset(tmp_path / "a.zarr", engine="zarr", consolidated=False)
    else:
        pickle.loads(pickle.dumps(dataset)).to_netcdf(tmp_path / "a.nc", engine=engine)
        again = xr.load_dataset(tmp_path / "a.nc", engine=engine)
    assert again.frames_file.values.tolist() == ["a.tif"] * 4
    assert block(again["data"]) == block(dataset["data"])


def test_every_field_survives_netcdf(tmp_path: Path, shared_data: Path) -> None:
    source = opened(shared_data / "fei-extended.mrc", extended="all").isel(x=0, y=0)
    source.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    again = xr.load_dataarray(tmp_path / "a.nc", engine="h5netcdf")
    assert set(again.coords) == set(source.coords)


def test_two_series_concatenated_make_one_extended_header(tmp_path: Path) -> None:
    one = opened(serialem(tmp_path / "a.mrc", (1.0, 2.0)))
    two = opened(serialem(tmp_path / "b.mrc", (3.0, 4.0), order=">"))
    assert angles_of(block(xr.concat([one, two], "section")), 4) == [1, 2, 3, 4]
    assert angles_of(block(xr.concat([two, one], "section")), 4) == [3, 4, 1, 2]


def test_records_of_two_kinds_are_not_mixed(series: Path) -> None:
    ts = opened(series)
    lines = [*ts[convention.RECORD].values[:3], "AGAR<0,1:AAAA"]
    written = metadata_write.extended_header(ts.assign_coords({convention.RECORD: ("section", lines)}))
    assert written is not None
    assert (written.data, written.exttyp, written.nint, written.nreal) == (b"", bytes(4), 0, 0)
    assert "different kinds" in written.issues[0].message


def test_changed_coordinate_is_written_into_records(series: Path) -> None:
    ts = opened(series)
    refined = ts.assign_coords(tilt_angle=("section", [-2.9, 0.1, 3.1, 6]))
    assert angles_of(block(refined), 4) == [-2.9, 0.1, 3.1, 6]
    wrong = ts.assign_coords(tilt_angle=("section", [1.0, 2.0, 3.0, 1e6]), stage_x=("section", list("abcd")))
    written = metadata_write.extended_header(wrong)
    assert written is not None
    assert [issue.code for issue in written.issues] == ["MRC411", "MRC411"]
    assert angles_of(written.data, 4) == list(TILTS)


def test_mdoc_that_agrees_leaves_bytes_of_records_alone(tmp_path: Path) -> None:
    path = tmp_path / "d.mrc"
    extra2 = bytes(16) + struct.pack("<2h", 4, 32) + bytes(64)
    records = struct.pack("<2h", 31370, -5359).ljust(1024, b"\0")
    path.write_bytes(mrc_bytes(sample((3, 4), 1), 1, "<", records, exttyp=b"SERI", extra2=extra2))
    mdoc(path, 0, ExposureDose=7.65892)
    image = opened(path)
    assert image.exposure_dose.item() == 7.65892
    assert block(image) == records


def test_file_to_be_written_big_endian_gets_big_endian_records(series: Path) -> None:
    data = block(opened(series), byteorder=">")
    assert struct.unpack_from(">3h", data, 6) == (0, 25, -25)


def test_arrays_without_records_have_no_extended_header(series: Path) -> None:
    ts = opened(series)
    assert metadata_write.extended_header(ts.drop_vars(convention.RECORD)) is None
    assert metadata_write.extended_header(ts.mean("section")) is None
    assert metadata_write.extended_header(ts.assign_coords({convention.RECORD: ("section", [""] * 4)})) is None


def test_records_along_rows_and_columns_are_left_out_with_reason(series: Path) -> None:
    tables = opened(series).assign_coords({convention.RECORD: (("y", "x"), np.full((3, 4), ""))})
    written = metadata_write.extended_header(tables)
    assert written is not None
    assert written.data == b""
    assert "lie along y and x, the sections of the file along section" in written.issues[0].message


def test_damaged_records_are_left_out_with_reason(series: Path) -> None:
    ts = opened(series)
    ts[convention.RECORD].attrs["records"] = "many"
    written = metadata_write.extended_header(ts)
    assert written is not None
    assert written.issues[0].code == "MRC411"


# ------------------------------------------------------------------------------------------------ writing sidecars


def test_mdoc_of_coordinates_reads_back(shared_data: Path, tmp_path: Path) -> None:
    ts = opened(shared_data / "serialem_tilt.mrc").isel(section=[1, 0])
    doc = metadata_write.mdoc_of(ts, tmp_path / "sorted.mrc")
    assert doc.top.text("ImageFile") == "sorted.mrc"
    again = Mdoc.parse(doc.to_text()).columns(2)
    for name in ("tilt_angle", "stage_x", "defocus", "datetime", "voltage"):
        np.testing.assert_array_equal(again[name].values, ts[name].values)
    single = metadata_write.mdoc_of(ts.isel(section=0))
    assert len(single.images) == 1
    with pytest.raises(MrcValueError, match="no per-section coordinate"):
        metadata_write.mdoc_of(xr.DataArray(np.zeros((2, 2)), dims=("y", "x")))


# ------------------------------------------------------------------------------------------------ said aloud


def test_accessor_lists_issues(tmp_path: Path) -> None:
    block = np.zeros((1024, 32), "<f4")
    block[1, 0] = 3.0
    path = tmp_path / "warp.mrc"
    pixels = sample((2, 3, 4), 1)
    path.write_bytes(mrc_bytes(pixels, 1, "<", block.tobytes(), ispg=0, exttyp=b"FEI1", machst=bytes(4)))
    with pytest.warns(MrcWarning, match="MRC401"):
        ts = opened(path)
    found = {issue.code: str(issue) for issue in ts.mrc.issues}
    assert {"MRC161", "MRC401", "MRC407"} <= set(found)
    assert "read as FEI0, because it is 1024 records of 128 bytes" in found["MRC401"]
    assert "word 54" in found["MRC161"]


def test_shifted_bytes_and_half_transforms_open_in_xarray(tmp_path: Path) -> None:
    path = tmp_path / "mask.mrc"
    extra2 = bytes(40) + struct.pack("<2i", 1146047817, 1) + bytes(36)
    path.write_bytes(mrc_bytes(np.array([[-128, -127], [127, 0]], "i1"), 0, extra2=extra2))
    assert opened(path).values.tolist() == [[-128, -127], [127, 0]]
    shifted = opened(path, imod_bytes="shifted")
    assert shifted.values.tolist() == [[0, 1], [255, 128]]
    assert shifted.dtype == np.uint8
    transform = tmp_path / "fft.mrc"
    transform.write_bytes(mrc_bytes(sample((6, 5), 4), 4, m=(8, 6, 1), cella=(16.0, 12.0, 1.0)))
    half = opened(transform)
    assert half.x.attrs["units"] == half.y.attrs["units"] == "1/angstrom"
    np.testing.assert_allclose(half.x, np.fft.rfftfreq(8, 2.0))
    assert opened(transform, coords="pixel").x.attrs["units"] == "pixel"


def test_arrays_and_dask_arrays_are_shifted_too(tmp_path: Path) -> None:
    path = tmp_path / "mask.mrc"
    extra2 = bytes(40) + struct.pack("<2i", 1146047817, 1) + bytes(36)
    path.write_bytes(mrc_bytes(np.array([[-128, -127], [127, 0]], "i1"), 0, extra2=extra2))
    lazy = mrcarray.open_array(path, imod_bytes="shifted")
    assert lazy[...].tolist() == [[0, 1], [255, 128]]
    shifted, raw = mrcarray.from_mrc(path, imod_bytes="shifted"), mrcarray.from_mrc(path)
    assert shifted.compute().tolist() == [[0, 1], [255, 128]]
    assert shifted.name != raw.name


def test_text_that_is_not_mdoc_warns(tmp_path: Path) -> None:
    path = serialem(tmp_path / "a.mrc")
    beside = path.with_name("a.mrc.mdoc")
    beside.write_text("TiltAngle: 3\nsome other = text\n")
    with pytest.raises(MrcValueError, match=r"a.mrc.mdoc has no mdoc section, such as \[ZValue = 0\]"):
        opened(path, sidecar=beside)
    with pytest.warns(MrcWarning, match="ignored: a.mrc.mdoc has no mdoc section"):
        assert opened(path).tilt_angle.values.tolist() == list(TILTS)


def test_duplicate_mdoc_section_warns_if_entries_differ(tmp_path: Path) -> None:
    path = serialem(tmp_path / "a.mrc", (0.0, 2.0))
    beside = mdoc(path, 0, 2)
    beside.write_text(beside.read_text() + "[ZValue = 1]\nTiltAngle = 2\n\n")
    assert opened(path).tilt_angle.values.tolist() == [0, 2]
    beside.write_text(beside.read_text() + "[ZValue = 1]\nTiltAngle = 2.02\n")
    with pytest.warns(MrcWarning, match=r"several entries for section 1, which differ; the last one is used"):
        assert opened(path).tilt_angle.values.tolist() == [0, 2.02]


def test_unfinished_mdoc_is_ignored(series: Path, tmp_path: Path) -> None:
    mdoc = series.with_name(f"{series.name}.mdoc")
    text = "".join(f"[ZValue = {z}]\nTiltAngle = {10 * z}\nMagnification = 42000\n\n" for z in range(40)).encode()
    mdoc.write_bytes(MARKER + text[len(MARKER) :])
    with pytest.warns(MrcWarning, match=r"mdoc is ignored: the document is unfinished.*MRC423"):
        mrcarray.open_dataarray(series)
    with pytest.warns(MrcWarning, match="the document is unfinished"):
        convert(series, tmp_path / "copy.mrc", mdoc=True)
    assert not (tmp_path / "copy.mrc.mdoc").exists()
