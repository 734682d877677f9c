"""Sidecars: SerialEM's mdoc and IMOD's angle lists, real files and single features."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcarray.errors import MrcValueError
from mrcarray.format.quantities import COMMON, Column
from mrcarray.format.sidecars import ANGLE_LISTS, KEYS, Mdoc, format_angles, lists, mdoc, parse_angles
from mrcarray.format.sidecars.mdoc_values import parse_time

if TYPE_CHECKING:
    from pathlib import Path

REAL = ("serialem_tilt.mrc.mdoc", "tilt_series.mdoc", "frame_set_single.mdoc", "montage_section.mdoc")


def stack(*bodies: str, top: str = "") -> Mdoc:
    """Return a document of images 0, 1, ... with these entries."""
    return Mdoc.parse(top + "".join(f"\n[ZValue = {at}]\n{body}\n" for at, body in enumerate(bodies)))


@pytest.mark.parametrize("name", REAL)
def test_real_mdoc_round_trip(shared_data: Path, name: str) -> None:
    data = (shared_data / name).read_bytes()
    doc = Mdoc.parse(data)
    assert doc.to_text().encode() == data
    assert Mdoc.parse(doc.to_text()) == doc


def test_real_tilt_series_columns(shared_data: Path) -> None:
    columns = Mdoc.parse((shared_data / "tilt_series.mdoc").read_bytes()).columns(41)
    angles = columns["tilt_angle"].values
    np.testing.assert_allclose(np.sort(angles), np.arange(-60, 61, 3), atol=0.01)
    assert columns["datetime"].values[0] == np.datetime64("2015-11-30T15:21:38")
    assert columns["frames_file"].values[1] == "TS_01_001_3.0.mrc", "the last part of a Windows path"
    assert columns["defocus"].values[0] == 2.68083
    assert columns["target_defocus"].values[0] == -4
    assert columns["rotation_angle"].values[0] == 175.3
    assert not columns["exposure_dose"].known, "0 means not calibrated"


def test_titles_with_and_without_brackets(shared_data: Path) -> None:
    with_brackets = Mdoc.parse((shared_data / "tilt_series.mdoc").read_bytes()).titles
    assert with_brackets[1] == "Tilt axis angle = 85.3, binning = 4  spot = 8  camera = 2"
    without = Mdoc.parse((shared_data / "frame_set_single.mdoc").read_bytes()).titles
    assert without[0].startswith("SerialEM: UMass_Krios Camera -> 0:Ceta")


def test_frame_set_columns(shared_data: Path) -> None:
    doc = Mdoc.parse((shared_data / "frame_set_single.mdoc").read_bytes())
    columns = doc.columns(12)
    assert columns["tilt_angle"].values.shape == ()
    assert columns["tilt_angle"].values == 32.984
    assert columns["voltage"].values == 300, "entries above the first section apply as well"
    np.testing.assert_allclose(columns["exposure_dose"].values, 0.63824)
    np.testing.assert_allclose(columns["prior_dose"].values, 0.63824 * np.arange(12))
    other = doc.columns(7)
    assert other["exposure_dose"].values == 7.65892, "12 doses do not match 7 frames"


def test_montage_columns(shared_data: Path) -> None:
    doc = Mdoc.parse((shared_data / "montage_section.mdoc").read_bytes())
    columns = doc.columns(62)
    assert (columns["piece_x"].values[61], columns["piece_y"].values[61]) == (26928, 27200)
    assert [section.numbers("FullMontNumFrames") for section in doc.of_kind("MontSection")] == [[7, 9]]
    assert doc.extent == 62


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("08-Oct-21  07:39:08", "2021-10-08T07:39:08"),
        ("08-Oct-2021  07:39:08", "2021-10-08T07:39:08"),
        ("1-jan-99 0:00:01", "1999-01-01T00:00:01"),
        ("31-Dec-69  23:59:59", "2069-12-31T23:59:59"),
        ("31-Feb-21  07:39:08", "NaT"),
        ("08-Okt-21  07:39:08", "NaT"),
        ("08-Oct-9999  07:39:08", "NaT"),
        ("", "NaT"),
        ("yesterday", "NaT"),
    ],
)
def test_time_with_two_or_four_digit_year(text: str, time: str) -> None:
    assert str(parse_time(text)) == time


def test_sections_are_matched_by_number() -> None:
    doc = Mdoc.parse("[ZValue = 3]\nTiltAngle = 6\n[ZValue = 1]\nTiltAngle = -6\n[ZValue = 9]\nTiltAngle = 60\n")
    values = doc.columns(4)["tilt_angle"].values
    np.testing.assert_array_equal(values, [np.nan, -6, np.nan, 6])
    assert doc.extent == 10


def test_section_without_number_matches_no_image() -> None:
    doc = Mdoc.parse("[ZValue = first]\nTiltAngle = 6\n[ZValue = 0]\nTiltAngle = 3\n")
    assert doc.columns(2)["tilt_angle"].values[0] == 3
    assert [section.number for section in doc.images] == [-1, 0]
    assert doc.extent == 1


def test_top_applies_to_all_sections() -> None:
    columns = stack("Voltage = 200", "TiltAngle = 1", top="Voltage = 300\nPixelSpacing = 2\n").columns(2)
    assert columns["pixel_size"].values.tolist() == [2, 2]
    assert columns["voltage"].values[0] == 200


def test_last_value_of_a_repeated_key() -> None:
    doc = stack("TiltAngle = 1\nTiltAngle = 2")
    assert doc.columns(1)["tilt_angle"].values.tolist() == [2]
    assert doc.images[0].all("TiltAngle") == ["1", "2"]
    assert doc.to_text().count("TiltAngle") == 2


def test_unknown_lines_are_kept() -> None:
    text = "# made by hand\nsomething odd\n\n[ZValue = 0]\nDE12-Something = 4.5 a\nNewKey = 7\n = x\n"
    doc = Mdoc.parse(text)
    assert doc.to_text() == text
    columns = doc.columns(1, every=True)
    assert columns["mdoc_DE12_Something"].values.tolist() == ["4.5 a"]
    assert columns["mdoc_NewKey"].values.tolist() == [7]


def test_line_endings_and_encodings() -> None:
    doc = Mdoc.parse(b"\xef\xbb\xbf[ZValue = 0]\r\nTiltAngle = 5\r\n")
    assert doc.columns(1)["tilt_angle"].values.tolist() == [5]
    assert doc.to_text() == "[ZValue = 0]\r\nTiltAngle = 5\r\n"
    latin = Mdoc.parse(b"[ZValue = 0]\nNavigatorLabel = \xc5\n")
    assert latin.images[0].text("NavigatorLabel") == "Å"


def test_pixel_spacing_in_diffraction() -> None:
    columns = stack("CameraLength = 850\nPixelSpacing = 0.02").columns(1)
    assert columns["camera_length"].values.tolist() == [850]
    assert not columns["pixel_size"].known


def test_frames_of_a_tilt_share_its_values() -> None:
    text = (
        "[FrameSet = 0]\nNumSubFrames = 6\nVoltage = 300\n"
        "[ZValue = 0]\nTiltAngle = -3\nFrameTSStartEndFrames = 0 2\n"
        "[ZValue = 1]\nTiltAngle = 3\nFrameTSStartEndFrames = 3 4\n"
    )
    columns = Mdoc.parse(text).columns(6)
    np.testing.assert_array_equal(columns["tilt_angle"].values, [-3, -3, -3, 3, 3, np.nan])
    assert columns["voltage"].values.tolist() == [300] * 6


def test_idoc_is_matched_by_file_name() -> None:
    doc = Mdoc.parse("ImageSeries = 1\n[Image = a.mrc]\nDefocus = -1\n[Image = D:\\x\\b.mrc]\nDefocus = -2\n")
    assert doc.columns(1, "b.mrc")["defocus"].values.tolist() == [-2]
    assert "defocus" not in doc.columns(1, "c.mrc")


def test_frame_doses_in_both_spellings() -> None:
    for spelling in ("FrameDosesAndNumber", "FrameDosesAndNumbers"):
        doc = Mdoc.parse(f"[FrameSet = 0]\nPriorRecordDose = 10\n{spelling} = 1.5 2 0.5 1\n")
        columns = doc.columns(3)
        assert columns["exposure_dose"].values.tolist() == [1.5, 1.5, 0.5]
        assert columns["prior_dose"].values.tolist() == [10, 11.5, 13]


def test_invalid_numbers_are_missing() -> None:
    doc = stack("TiltAngle = abc\nDefocus = nan\nStagePosition = 5", "TiltAngle = 3\nDefocus = -1\nStagePosition = 6 7")
    columns = doc.columns(2)
    np.testing.assert_array_equal(columns["tilt_angle"].values, [np.nan, 3])
    np.testing.assert_array_equal(columns["defocus"].values, [np.nan, -1])
    np.testing.assert_array_equal(columns["stage_y"].values, [np.nan, 7])


def test_take_renumbers_images() -> None:
    doc = Mdoc.parse(
        "Voltage = 300\n[T = title]\n[ZValue = 0]\nTiltAngle = 0\n[ZValue = 1]\nTiltAngle = 3\n"
        "[MontSection = 0]\nX = 1\n"
    )
    taken = doc.take([1, 5, 0])
    assert taken.titles == ("title",)
    assert [section.kind for section in taken.sections] == ["T", "ZValue", "ZValue", "ZValue", "MontSection"]
    np.testing.assert_array_equal(taken.columns(3)["tilt_angle"].values, [3, np.nan, 0])
    assert taken.top.text("Voltage") == "300"
    assert Mdoc.parse("[T = x]\n").take([0]).images[0].name == "0"


def test_document_from_columns() -> None:
    columns = {
        "tilt_angle": np.array([-3.0, 0.001, np.nan]),
        "stage_x": np.array([1.0, 2.0, 3.0]),
        "stage_y": np.array([4.0, np.nan, 6.0]),
        "datetime": np.array(["2022-07-16T01:02:03", "NaT", "1999-12-31T00:00:00"], dtype="M8[ns]"),
        "frames_file": np.array(["a.tif", "", "b.tif"], dtype=object),
        "refined_tilt_angle": np.array([1.0, 2.0, 3.0]),
    }
    doc = Mdoc.from_columns(columns, {"ImageFile": "x.mrc"})
    again = Mdoc.parse(doc.to_text()).columns(3)
    for name in ("tilt_angle", "datetime", "frames_file"):
        assert again[name].values.tolist() == columns[name].tolist() or name == "tilt_angle"
    np.testing.assert_array_equal(again["tilt_angle"].values, columns["tilt_angle"])
    np.testing.assert_array_equal(again["stage_x"].values, [1, np.nan, 3])
    assert "refined_tilt_angle" not in again
    assert "16-Jul-2022  01:02:03" in doc.to_text()


def test_common_names_of_keys_are_known() -> None:
    names = [name for key in KEYS.values() for name in key.common]
    assert set(names) <= set(COMMON)
    assert len(names) == len(set(names)), "two keys for one name would fight"
    assert set(ANGLE_LISTS.values()) <= set(COMMON)
    assert all(key.kind in "fispt" and key.meaning for key in KEYS.values())


@given(st.text(max_size=300) | st.binary(max_size=300))
def test_any_text_parses(text: str | bytes) -> None:
    doc = Mdoc.parse(text)
    doc.columns(3, every=True)
    doc.take([0, 1])
    assert Mdoc.parse(doc.to_text()).to_text() == doc.to_text()


LINES = st.sampled_from(
    [
        "[ZValue = 0]",
        "[ZValue = 2]",
        "[FrameSet = 0]",
        "[Image = x]",
        "TiltAngle = 3",
        "TiltAngle = 1e400",
        "DateTime = 1",
        "FrameTSStartEndFrames = 0 999999999999",
        "FrameTSStartEndFrames = -9 1e300",
        "FrameDosesAndNumber = 1 1e18",
        "FrameDosesAndNumber = 1 -3 1 6",
        "PieceCoordinates = 1 2",
        "SubFramePath = ",
        "StagePosition = a b",
        "[",
        "=",
    ]
)


@given(st.lists(LINES, max_size=12))
def test_any_document_has_columns(lines: list[str]) -> None:
    columns = Mdoc.parse("\n".join(lines)).columns(3, "x", every=True)
    assert all(column.values.shape in ((), (3,)) for column in columns.values())


# ------------------------------------------------------------------------------------------------ lists of angles


def test_angle_list_round_trip() -> None:
    angles = parse_angles("  -60.00\r\n\r\n-57.123456\n  0.5\n")
    assert angles.tolist() == [-60, -57.123456, 0.5]
    assert parse_angles(format_angles(angles)).tolist() == angles.tolist()
    assert format_angles(np.array([3.0])) == "   3.00\n"
    assert parse_angles("").size == 0


@pytest.mark.parametrize("text", ["1 2\n", "abc\n", "nan\n", "1\ninf\n"])
def test_invalid_angle_list_raises(text: str) -> None:
    with pytest.raises(MrcValueError, match="list of angles"):
        parse_angles(text)


def test_missing_angle_cannot_be_formatted() -> None:
    with pytest.raises(MrcValueError, match="missing"):
        format_angles(np.array([1.0, np.nan]))


# ------------------------------------------------------------------------------------------------ the vocabulary


def test_agreement_within_tolerance() -> None:
    mag, when = COMMON["magnification"], COMMON["datetime"]
    assert mag.agree(np.array([115000.0]), np.array([115400.0]))
    assert not mag.agree(np.array([115000.0]), np.array([130000.0]))
    times = np.array(["2021-01-01T00:00:00", "NaT"], dtype="M8[ns]")
    assert when.agree(times, times + np.timedelta64(59, "s"))
    assert not when.agree(times, times + np.timedelta64(61, "s"))
    assert COMMON["frames_file"].agree(np.array(["a"], dtype=object), np.array(["b"], dtype=object))


def test_column_of_missing_values_is_not_known() -> None:
    for values in (np.array([np.nan]), np.array(["NaT"], dtype="M8[ns]"), np.array([""], dtype=object)):
        assert not Column("x", values, "", "", "").known
    assert Column("x", np.array([False]), "", "", "").known
    assert Column("x", np.array([0.0]), "degree", "what", "who").attrs == {
        "long_name": "what",
        "from": "who",
        "units": "degree",
    }


@pytest.mark.parametrize(
    ("text", "stage"),
    [("1,5 2,5", [1.5, 2.5]), ("1.5, 2.5", [1.5, 2.5]), ("1.5,2.5", [1.5, 2.5]), ("-3,25e-1 0", [-0.325, 0])],
)
def test_decimal_and_separating_commas(text: str, stage: list[float]) -> None:
    columns = Mdoc.parse(f"[ZValue = 0]\nStagePosition = {text}\nExposureDose = 2,5\n").columns(1)
    assert [columns["stage_x"].values[0], columns["stage_y"].values[0]] == stage
    assert columns["exposure_dose"].values.tolist() == [2.5]


def test_commas_separate_whole_numbers() -> None:
    columns = Mdoc.parse("[ZValue = 0]\nPieceCoordinates = 3,0,1\n[ZValue = 1]\nPieceCoordinates = 4,5 0\n").columns(2)
    assert [columns[name].values.tolist() for name in ("piece_x", "piece_y", "piece_z")] == [[3, 4], [0, 5], [1, 0]]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_indented_lines(encoding: str, newline: str) -> None:
    text = "  [ZValue = 0]\n\tTiltAngle = 3\n  [ZValue = 1]\n\tTiltAngle = -3\n\tSubFramePath = C:\\Größe.tif\n"
    columns = Mdoc.parse(text.replace("\n", newline).encode(encoding)).columns(2)
    assert columns["tilt_angle"].values.tolist() == [3, -3]
    assert columns["frames_file"].values[1] == "Größe.tif"


def test_control_character_does_not_end_a_line() -> None:
    doc = Mdoc.parse(b"[ZValue = 0]\nSubFramePath = C:\\a\x85b.tif\nTiltAngle = 3\n")
    assert len(doc.images[0].entries) == 2
    assert doc.columns(1)["frames_file"].values[0] == "a\x85b.tif"


class TestBoundedWork:
    """Documents made to waste time and memory: the limits and the work are bounded by the text."""

    def peak(self, text: str, **limits: int) -> int:
        """Return the largest memory while a text that exceeds the limits is refused."""
        tracemalloc.start()
        try:
            with pytest.raises(MrcValueError, match=f"more than {min(limits.values())}"):
                Mdoc.parse(text, **limits)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    def test_default_limits(self) -> None:
        assert (mdoc.MOST_LINES, mdoc.MOST_SECTIONS, lists.MOST_LINES) == (500_000, 100_000, 1_000_000)

    def test_memory_of_sections_is_bounded_by_the_limit(self) -> None:
        text = "".join(f"[ZValue = {i}]\nTiltAngle = {i}\n" for i in range(10_000))
        assert self.peak(text, most_sections=1000) <= (64 << 20) // 100

    def test_memory_of_lines_is_bounded_by_the_limit(self) -> None:
        assert self.peak("[ZValue = 0]\n" + "TiltAngle = 1\n" * 10_000, most_lines=5000) <= (64 << 20) // 100

    def test_too_many_angles_raise(self) -> None:
        with pytest.raises(MrcValueError, match="more than 1000 lines"):
            parse_angles("1\n" * 1001, most_lines=1000)
        assert parse_angles("1\n" * 1000, most_lines=1000).size == 1000

    def test_blank_lines_do_not_count(self) -> None:
        blank = "\n\r\n\r" * 1000 + " " * 1000
        assert Mdoc.parse(f"{blank}[ZValue = 0]\n\nTiltAngle = 3\n", most_lines=2).images[0].text("TiltAngle") == "3"
        assert parse_angles(f"{blank}3", most_lines=1) == 3

    def test_overlapping_tilts_take_linear_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        steps = []
        free = mdoc._free

        def counted(following: list[int], number: int) -> int:
            steps.append(number)
            return free(following, number)

        monkeypatch.setattr(mdoc, "_free", counted)
        doc = Mdoc.parse("".join(f"[ZValue = {i}]\nFrameTSStartEndFrames = 0 1000000000\n" for i in range(2000)))
        rows = doc.rows(2000)
        assert {row.name for row in rows if row} == {"1999"}
        assert len(steps) <= 3 * 2000

    def test_last_tilt_of_a_frame_is_used(self) -> None:
        spans = [(0, 9), (5, 6), (2, 3), (-3, 0), (8, 90)]
        text = "".join(f"[ZValue = {i}]\nFrameTSStartEndFrames = {a} {b}\n" for i, (a, b) in enumerate(spans))
        rows = Mdoc.parse(text).rows(12)
        expected = [max((i for i, (a, b) in enumerate(spans) if a <= frame <= b), default=None) for frame in range(12)]
        assert [None if row is None else row.number for row in rows] == expected

    def test_too_many_keys_raise(self) -> None:
        doc = Mdoc.parse("".join(f"[ZValue = {i}]\nk{i} = 1\n" for i in range(5000)))
        with pytest.raises(MrcValueError, match="has 5000 different keys, most of which are in few sections"):
            doc.columns(5000, every=True)
        assert doc.columns(5000) == {}

    def test_very_long_value_is_text(self) -> None:
        section = Mdoc.parse("[ZValue = 0]\nTiltAngle = " + "1 " * 1_000_000).images[0]
        assert section.numbers("TiltAngle") == []

    def test_fractional_frame_numbers_are_ignored(self) -> None:
        doc = Mdoc.parse("[FrameSet = 0]\nFrameDosesAndNumber = 1 0.5 1 0.5\n")
        assert "exposure_dose" not in {name for name, column in doc.columns(1).items() if column.values.size != 1}
        assert all(column.values.ndim == 0 for column in doc.columns(1).values())
