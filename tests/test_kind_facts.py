"""Sidecars and records as evidence for the kind of a file, and that every function agrees about it."""

from __future__ import annotations

import bz2
import gzip
import io
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

import mrcarray
from mrcarray.analysis.header_report import header_report
from mrcarray.errors import MrcWarning
from mrcarray.format.header import Header
from mrcarray.format.layout import Kind
from mrcarray.kind_facts import interpret_file
from mrcarray.validation import check
from tests import builders
from tests.cases import fei

if TYPE_CHECKING:
    from pathlib import Path

VALUES = builders.sample((4, 6, 8), 2)
STACK, VOLUME = "image_stack", "volume"
MDOC = "\n".join(f"[ZValue = {at}]\nTiltAngle = {at}\n" for at in range(4))
SERI: dict[str, Any] = {"exttyp": b"SERI", "extra2": bytes(16) + struct.pack("<2h", 2, 1)}
AGAR: dict[str, Any] = {"exttyp": b"AGAR", "extra2": bytes(16) + struct.pack("<2h", 0, 32)}
TILTS = struct.pack("<4h", 100, 200, 300, 400).ljust(1024, b"\0")
OLD_FEI = np.full((1024, 32), 0.5, "<f4").tobytes()


def undecided(extended: bytes = b"", **fields: Any) -> bytes:
    """Return a file whose header and name do not tell its kind."""
    return builders.mrc_bytes(VALUES, extended=extended, **{"ispg": 0, "m": (8, 6, 4), **fields})


def kinds(path: Any) -> set[tuple[str, str]]:
    """Return the kind and its line by every function that opens a file."""
    opened = mrcarray.open_file(path)
    assert opened.layout is not None
    dataset = xr.open_dataset(path, engine="mrc")
    array = mrcarray.open_array(path)
    assert array.layout.kind == opened.layout.kind
    assert mrcarray.from_mrc(path).shape == array.shape
    found = {
        (str(opened.layout.kind), opened.kind_from),
        (dataset.data.encoding["kind"], dataset.data.encoding["kind_from"]),
        (header_report(path).facts()["kind"], header_report(path).kind_from),
    }
    facts = check(path).facts
    return found | {(facts["kind"], facts["kind_from"])}


def only(path: Any) -> tuple[str, str]:
    (found,) = kinds(path)
    return found


@pytest.mark.parametrize(
    ("sidecar", "text"),
    [
        ("a.mrc.mdoc", MDOC),
        ("a.mdoc", MDOC),
        ("a.rawtlt", "-3\n0\n3\n6\n"),
        ("a.tlt", "-3\n0\n3\n6"),
        ("a.mrc.mdoc", "[FrameSet = 0]\nNumSubFrames = 4\n"),
        ("a.mrc.mdoc", "[ZValue = 0]\nFrameTSStartEndFrames = 0 3\n"),
    ],
)
@pytest.mark.parametrize(
    ("name", "compress"), [("a.mrc", bytes), ("a.mrc.gz", gzip.compress), ("a.mrc.bz2", bz2.compress)]
)
def test_sidecar_with_as_many_sections_makes_a_stack(
    tmp_path: Path, name: str, compress: Any, sidecar: str, text: str
) -> None:
    (tmp_path / name).write_bytes(compress(undecided()))
    assert only(tmp_path / name) == (VOLUME, "default")
    (tmp_path / sidecar).write_text(text)
    assert only(tmp_path / name) == (STACK, "sidecar")
    assert sidecar in mrcarray.open_file(tmp_path / name).issues[-1].message


@pytest.mark.parametrize(
    ("sidecar", "data"),
    [
        ("a.mrc.mdoc", (MDOC + "[ZValue = 4]\n").encode()),
        ("a.mrc.mdoc", b"nothing\n"),
        ("a.mrc.mdoc", b""),
        ("a.mrc.mdoc", b"[FrameSet = 0]\nNumSubFrames = many\n"),
        ("a.rawtlt", b"1\n2\n3\n"),
        ("a.rawtlt", b"1\ntwo\n3\n4\n"),
        ("a.rawtlt", bytes(range(256))),
        ("b.rawtlt", b"1\n2\n3\n4\n"),
        ("a.xtilt", b"1\n2\n3\n4\n"),
    ],
)
def test_sidecar_that_does_not_match_is_no_evidence(tmp_path: Path, sidecar: str, data: bytes) -> None:
    (tmp_path / "a.mrc").write_bytes(undecided())
    (tmp_path / sidecar).write_bytes(data)
    assert mrcarray.open_file(tmp_path / "a.mrc").kind_from == "default"


def test_unreadable_sidecar_is_no_evidence(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_bytes(undecided())
    (tmp_path / "a.mrc.mdoc").mkdir()
    (tmp_path / "a.rawtlt").symlink_to(tmp_path / "nothing")
    assert mrcarray.open_file(tmp_path / "a.mrc").kind_from == "default"


def test_header_or_name_decides_without_a_sidecar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def isfile(_name: str) -> bool:
        raise AssertionError("a sidecar was searched")

    monkeypatch.setattr("mrcarray.kind_facts.os.path.isfile", isfile)
    files: dict[str, dict[str, Any]] = {"a.mrcs": {}, "a_rec.mrc": {}, "b.mrc": {"ispg": 1}, "c.mrc": {"m": (8, 6, 1)}}
    for name, fields in files.items():
        (tmp_path / name).write_bytes(undecided(**fields))
        assert mrcarray.open_file(tmp_path / name).kind_from in {"name", "ispg", "mz"}
    (tmp_path / "d.mrc").write_bytes(undecided())
    assert mrcarray.open_file(tmp_path / "d.mrc", kind="volume").kind_from == "argument"
    with pytest.raises(AssertionError, match="searched"):
        mrcarray.open_file(tmp_path / "d.mrc")


def test_relative_name_finds_the_sidecar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.mrc").write_bytes(undecided())
    (tmp_path / "a.mrc.mdoc").write_text(MDOC)
    assert only("a.mrc") == (STACK, "sidecar")


@pytest.mark.parametrize("fields", [SERI, {**AGAR, "exttyp": b"AGAR"}, {"exttyp": b"FEI1"}, {"exttyp": b"FEI2"}])
def test_declared_type_without_records_is_no_evidence(tmp_path: Path, fields: dict[str, Any]) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(undecided(**fields))
    assert mrcarray.open_file(path).kind_from == "default"
    path.write_bytes(undecided(bytes(4 * 768), **fields))
    assert mrcarray.open_file(path).kind_from == "default"
    path.write_bytes(undecided(bytes(3 * 768) + b"\1".ljust(768, b"\0"), **fields))
    found = mrcarray.open_file(path)
    assert (found.layout and found.layout.kind, found.kind_from) == (Kind.IMAGE_STACK, "records")


@pytest.mark.parametrize(
    ("extended", "fields"),
    [
        (TILTS, SERI),
        (TILTS, {**SERI, "exttyp": b""}),
        (OLD_FEI, {}),
        (fei() * 4, {}),
        (fei(888) * 4, {"exttyp": b"FEI2"}),
    ],
)
def test_records_make_a_stack(tmp_path: Path, extended: bytes, fields: dict[str, Any]) -> None:
    (tmp_path / "a.mrc").write_bytes(undecided(extended, **fields))
    assert only(tmp_path / "a.mrc") == (STACK, "records")


@pytest.mark.parametrize(
    ("extended", "fields"),
    [
        (b"X, Y, Z".ljust(80), {}),
        (b"X, Y, Z".ljust(80), {"exttyp": b"CCP4"}),
        (b"\x89HDF\r\n\x1a\n" + bytes(500), {}),
        (b'{"a": 1}', {"exttyp": b"json"}),
        (b"no known layout", {}),
        (bytes(1024), {}),
    ],
)
def test_other_extended_headers_are_no_evidence(tmp_path: Path, extended: bytes, fields: dict[str, Any]) -> None:
    (tmp_path / "a.mrc").write_bytes(undecided(extended, **fields))
    assert mrcarray.open_file(tmp_path / "a.mrc").kind_from == "default"


def test_pixels_are_not_read_as_records() -> None:
    """Programs such as cryoCARE copy nsymbt and exttyp of its input without the extended header."""
    raw = undecided(**SERI, nsymbt=96)
    assert not builders.data_bytes(VALUES, 2).startswith(bytes(8))
    found = interpret_file(Header.parse(raw[:1024])[0], len(raw), _no_reading, name="a.mrc")
    assert found.kind_from == "default"
    assert found.extended == (1024, 1024)


def _no_reading(start: int, stop: int) -> bytes:
    raise AssertionError(f"bytes {start} to {stop} were read")


def test_only_the_extended_header_is_read() -> None:
    assert interpret_file(Header.parse(undecided()[:1024])[0], None, _no_reading, name="a.mrc").kind_from == "default"
    raw = undecided(bytes(200_000), **SERI)
    asked: list[tuple[int, int]] = []

    def read(start: int, stop: int) -> bytes:
        asked.append((start, stop))
        return raw[start:stop]

    interpret_file(Header.parse(raw[:1024])[0], len(raw), read, name="a.mrc")
    assert asked[0][0] == 1024
    assert max(stop for _, stop in asked) == 1024 + 200_000
    asked.clear()
    raw = undecided(TILTS + bytes(200_000), **SERI)
    interpret_file(Header.parse(raw[:1024])[0], len(raw), read, name="a.mrc")
    assert len(asked) == 1


def test_unreadable_extended_header_is_no_evidence() -> None:
    def read(_start: int, _stop: int) -> bytes:
        raise OSError("the disk is gone")

    raw = undecided(TILTS, **SERI)
    assert interpret_file(Header.parse(raw[:1024])[0], len(raw), read, name="a.mrc").kind_from == "default"


def test_kind_of_bytes_and_streams() -> None:
    plain, records = undecided(), undecided(TILTS, **SERI)
    assert mrcarray.open_file(plain).kind_from == "default"
    assert mrcarray.open_file(io.BytesIO(records)).kind_from == "records"
    assert only(records) == (STACK, "records")


def test_kind_of_a_truncated_file(tmp_path: Path) -> None:
    for name, compress in (("a.mrc", bytes), ("b.mrc.gz", gzip.compress)):
        (tmp_path / name).write_bytes(compress(undecided(TILTS, **SERI)[:-100]))
        with pytest.warns(MrcWarning, match="3 of 4 sections are complete"):
            found = mrcarray.open_file(tmp_path / name, permissive=True)
        assert found.layout is not None
        assert (found.layout.kind, found.layout.shape, found.kind_from) == (Kind.IMAGE_STACK, (3, 6, 8), "records")


def test_impossible_kind_falls_back_to_the_evidence(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_bytes(undecided(TILTS, **SERI))
    with pytest.warns(MrcWarning, match="kind 'image' was requested"):
        found = mrcarray.open_file(tmp_path / "a.mrc", kind="image", permissive=True)
    assert (found.layout and found.layout.kind, found.kind_from) == (Kind.IMAGE_STACK, "records")


def test_guess_is_reported_as_a_note(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_bytes(undecided())
    array = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc")
    assert array.dims == ("z", "y", "x")
    (note,) = [issue for issue in array.mrc.issues if issue.code == "MRC303"]
    assert "a guess, since neither header nor name says otherwise" in note.message
    assert "pass kind='image_stack'" in note.text()
    asked = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc", kind="movie")
    assert (asked.dims, asked.encoding["kind_from"]) == (("frame", "y", "x"), "argument")


LABELLED: dict[str, Any] = {"cella": (8.8, 6.6, 4.4), "nversion": 20140, "nlabl": 1}


@pytest.mark.parametrize(
    ("name", "fields", "line"),
    [
        ("run_class001.mrc", {"labels": b"Relion 5.0  30-Nov-26  10:00:00"}, "label"),
        ("x.mrc", {"labels": b"ChimeraX 0.1 map", "origin": (10.0, 20.0, 30.0)}, "label"),
        ("J12_map.mrc", {"nlabl": 0, "nversion": 0, "rms": 0.0}, "default"),
        ("ts_Vol.mrc", {"exttyp": b"AGAR"}, "name"),
        ("ts_rec.mrc", {}, "name"),
        ("ts.mrc", {"exttyp": b"AGAR"}, "default"),
    ],
)
def test_volumes_of_common_programs_have_z_in_angstrom(
    tmp_path: Path, name: str, fields: dict[str, Any], line: str
) -> None:
    (tmp_path / name).write_bytes(undecided(**{**LABELLED, **fields}))
    assert only(tmp_path / name) == (VOLUME, line)
    array = xr.open_dataarray(tmp_path / name, engine="mrc")
    assert (array.dims, array.z.attrs["units"]) == (("z", "y", "x"), "angstrom")
    start = fields.get("origin", (0, 0, 0))[2]
    np.testing.assert_allclose(array.z, start + 1.1 * np.arange(4), rtol=1e-6)
    assert array.sel(z=slice(start + 1.0, start + 2.5)).shape == (2, 6, 8)


@pytest.mark.parametrize(
    ("name", "nx", "fields"),
    [("a.mrcs", 8, {}), ("a_ali.mrc", 8, {}), ("a.mrc", 8, {"m": (8, 6, 1)})],
)
def test_stacks_without_a_space_group_stay_stacks(tmp_path: Path, name: str, nx: int, fields: dict[str, Any]) -> None:
    (tmp_path / name).write_bytes(undecided(nx=nx, **fields))
    assert xr.open_dataarray(tmp_path / name, engine="mrc").dims == ("section", "y", "x")


def test_flat_movie_is_a_stack() -> None:
    header = builders.header_bytes(nx=3838, ny=3710, nz=25, m=(3838, 3710, 25), ispg=0)
    found = interpret_file(Header.parse(header)[0], None, _no_reading, name="a.mrc")
    assert (found.layout and found.layout.kind, found.kind_from) == (Kind.IMAGE_STACK, "flat")


def test_sidecar_argument(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_bytes(undecided())
    (tmp_path / "elsewhere").mkdir()
    named = tmp_path / "elsewhere" / "b.mdoc"
    named.write_text(MDOC)
    array = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc", sidecar=named)
    assert (array.dims, array.encoding["kind_from"]) == (("section", "y", "x"), "sidecar")
    assert array.tilt_angle.values.tolist() == [0, 1, 2, 3]
    assert xr.open_dataarray(tmp_path / "a.mrc", engine="mrc", sidecar=False).dims == ("z", "y", "x")
    with pytest.raises(FileNotFoundError):
        xr.open_dataarray(tmp_path / "a.mrc", engine="mrc", sidecar=tmp_path / "nothing.mdoc")


@pytest.mark.parametrize(
    "name", ["a.mrcs", "a_ali.mrc", "a_movie.mrc.gz", "A.Frames.mrc", "a_rec.mrc", "a.map", "a.mrc"]
)
def test_plain_array_is_written_as_the_kind_of_its_name(tmp_path: Path, name: str) -> None:
    for array in (VALUES, xr.DataArray(VALUES)):
        mrcarray.to_mrc(array, tmp_path / name, voxel_size=2.0, overwrite=True)
        expected = VOLUME if name in ("a_rec.mrc", "a.map", "a.mrc") else STACK
        assert only(tmp_path / name)[0] == expected
        header = mrcarray.read_header(tmp_path / name)
        assert (header.ispg, header.mz) == ((1, 4) if expected == VOLUME else (0, 1))


class TestRoundTrip:
    """The writer uses records and sidecars like the readers."""

    def test_volume_with_records_stays_a_volume(self, tmp_path: Path) -> None:
        (tmp_path / "a_rec.mrc").write_bytes(undecided(TILTS, **SERI))
        volume = xr.open_dataarray(tmp_path / "a_rec.mrc", engine="mrc", extended="all")
        assert volume.dims == ("z", "y", "x")
        volume.mrc.to_mrc(tmp_path / "b.mrc")
        assert only(tmp_path / "b.mrc")[0] == VOLUME

    def test_sections_renamed_to_z_are_written_as_a_volume(self, tmp_path: Path) -> None:
        (tmp_path / "a.mrc").write_bytes(undecided(TILTS, **SERI))
        stack = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc")
        stack.rename(section="z").mrc.to_mrc(tmp_path / "b.mrc")
        assert only(tmp_path / "b.mrc")[0] == VOLUME

    def test_name_that_overrides_records_warns(self, tmp_path: Path) -> None:
        (tmp_path / "a.mrc").write_bytes(undecided(TILTS, **SERI))
        stack = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc")
        with pytest.warns(MrcWarning, match="this name the file will be read as volume, not image_stack"):
            stack.mrc.to_mrc(tmp_path / "a_vol.mrc")
        assert only(tmp_path / "a_vol.mrc")[0] == VOLUME

    @pytest.mark.filterwarnings("ignore:.*a sidecar beside the file:mrcarray.errors.MrcWarning")
    @pytest.mark.filterwarnings(
        "ignore:.*(an MRC file cannot store|the existing sidecar does not match):mrcarray.errors.MrcWarning"
    )
    def test_sidecar_of_another_length_warns(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            (tmp_path / f"{name}.mrc.mdoc").write_text(MDOC)
        (tmp_path / "a.mrc").write_bytes(undecided())
        stack = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc")
        assert stack.dims == ("section", "y", "x")
        with pytest.warns(MrcWarning, match="this name the file will be read as volume, not image_stack"):
            stack.isel(section=slice(0, 3)).mrc.to_mrc(tmp_path / "b.mrc")
        assert only(tmp_path / "b.mrc")[0] == VOLUME

    def test_kept_records_make_a_stack_without_the_coordinate(self, tmp_path: Path) -> None:
        (tmp_path / "a.mrc").write_bytes(undecided(TILTS, **SERI))
        stack = xr.open_dataarray(tmp_path / "a.mrc", engine="mrc")
        stack.drop_vars("extended_record").mrc.to_mrc(tmp_path / "b.mrc")  # no warning: readers see the records
        assert only(tmp_path / "b.mrc")[0] == STACK
