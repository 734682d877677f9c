"""``mrcarray header`` and ``info``: facts, fields and extended headers."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import builders
from tests.cases import PRIISM, clean, fei

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Done


def test_header_shows_facts_and_fields(run: Callable[..., Done]) -> None:
    out = run("header", "good.mrc").out
    for line in (
        "kind          volume",
        "shape         4, 6, 8",
        "voxel size    2, 2, 2 angstrom",
        "data          768 bytes from byte 1024",
        "byteorder     little (by the machine stamp 44 44 00 00)",
        "note: kind: volume, since word 23 (ispg) is in 1-230 [MRC301]",
        "label 1  made for tests",
    ):
        assert line in out.splitlines()
    assert "  28  nversion  20141 " in out


@pytest.mark.parametrize("name", ["good.mrc", "bad.mrc", "notes.txt"])
def test_header_bytes_can_be_pasted_and_read_again(run: Callable[..., Done], name: str) -> None:
    """Also of a file that is refused, since such a file is reported."""
    Path("notes.txt").write_bytes(bytes(range(256)) * 8)
    out = run("header", "--bytes", name).out
    assert bytes.fromhex(out) == Path(name).read_bytes()[:1024]
    assert {len(line) for line in out.splitlines()} == {64}


def test_header_bytes_refuses_other_output(run: Callable[..., Done]) -> None:
    done = run("header", "--bytes", "--json", "good.mrc")
    assert done.status == 2
    assert "leave out --json" in done.err


@pytest.mark.parametrize(
    ("fields", "because"),
    [
        ({"machst": bytes(4)}, "the other words, since the machine stamp is 00 00 00 00"),
        ({"machst": b"\x11\x11\0\0"}, "the other words, against the machine stamp 11 11 00 00"),
        ({"byteorder": ">"}, "the machine stamp 11 11 00 00"),
        ({"extra1": PRIISM, "map": bytes(4), "machst": bytes(4)}, "DeltaVision's mark"),
    ],
)
def test_header_shows_the_evidence_for_the_byte_order(
    fields: dict[str, Any], because: str, run: Callable[..., Done]
) -> None:
    Path("x.mrc").write_bytes(clean(**fields))
    order = "big" if "byteorder" in fields else "little"
    assert f"byteorder     {order} (by {because})" in run("header", "x.mrc").out.splitlines()
    assert json.loads(run("header", "--json", "x.mrc").out)[0]["byteorder_from"] == because


def test_header_as_json_and_raw(run: Callable[..., Done]) -> None:
    (row,) = json.loads(run("header", "--json", "good.mrc").out)
    assert row["header"]["m"] == [8, 6, 4]
    assert row["data_offset"] == 1024
    raw = run("header", "--raw", "good.mrc").out.splitlines()
    assert "map = 4d415020" in raw
    assert "m = 8 6 4" in raw
    assert run("header", "--raw", "good.mrc", "bad.mrc").out.count("==> ") == 2


def test_header_of_other_files_is_an_error(run: Callable[..., Done]) -> None:
    Path("hkl.mrc").write_bytes(clean(map=b"HKL "))
    Path("broken.gz").write_bytes(gzip.compress(clean())[:30])
    done = run("header", "hkl.mrc", "broken.gz")
    assert (done.status, done.out) == (2, "")
    assert [line.split(":")[1] for line in done.err.splitlines()] == [" hkl.mrc", " broken.gz"]


def test_extended_shows_records(run: Callable[..., Done]) -> None:
    mask = struct.pack("<I", 1 << 0 | 1 << 3 | 1 << 7)
    days = 43018 + 1 / 2  # since 30 December 1899: noon of 10 October 2017
    record = fei(b=(8, "4s", mask), t=(12, "d", days), n=(52, "16s", b"EPU\x1b[2J"), a=(100, "d", 30.0))
    images = builders.sample((7, 4, 6), 1)
    Path("e.mrc").write_bytes(builders.mrc_bytes(images, 1, extended=record * 7, exttyp=b"FEI1", ispg=0, m=(6, 4, 1)))
    out = run("header", "--extended", "e.mrc").out
    found = {line.split()[0]: line.split(maxsplit=1)[1] for line in out[out.index("extended header:") :].splitlines()}
    assert found["extended"].endswith("5376 bytes, 7 records")
    assert found["tilt_angle"] == "degree  30, 30, 30, 30, 30 ... 2 more"
    assert found["datetime"].startswith("2017-10-10T12:00:00.000000, 2017")
    assert "\x1b" not in out
    (row,) = json.loads(run("header", "--json", "--extended", "e.mrc").out)
    columns = row["extended"].pop("columns")
    assert columns["tilt_angle"]["values"] == [30.0] * 7
    assert (columns["tilt_angle"]["unit"], columns["datetime"]["values"][6]) == ("degree", "2017-10-10T12:00:00.000000")
    assert "beta_tilt" not in columns
    assert {**row["extended"], "title": ""} == {
        "dialect": "FEI1",
        "title": "",
        "nbytes": 5376,
        "records": 7,
        "operators": [],
    }


def test_extended_shows_symmetry_or_none(run: Callable[..., Done]) -> None:
    text = b"X,  Y,  Z".ljust(80) + b"-X,  Y+1/2,  -Z".ljust(80)
    Path("s.mrc").write_bytes(clean(extended=text, exttyp=b"CCP4"))
    assert run("header", "--raw", "--extended", "s.mrc").out.splitlines()[-2:] == [
        "operator 1   X,  Y,  Z",
        "operator 2   -X,  Y+1/2,  -Z",
    ]
    assert run("header", "--extended", "good.mrc").out.endswith("\nextended header: none\n")
    rows = json.loads(run("header", "--json", "--extended", "s.mrc", "good.mrc").out)
    assert [row["extended"]["dialect"] for row in rows] == ["CCP4", None]
    assert rows[0]["extended"]["operators"] == ["X,  Y,  Z", "-X,  Y+1/2,  -Z"]
    assert rows[0]["extended"].keys() == rows[1]["extended"].keys()


def test_undecodable_extended_header_is_shown(run: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise IndexError("made for this test")

    monkeypatch.setattr("mrcarray.format.extended.decode", broken)
    Path("s.mrc").write_bytes(clean(extended=bytes(80)))
    done = run("header", "--extended", "s.mrc")
    assert (done.status, done.err) == (0, "")
    assert "could not be decoded" in done.out


def test_header_reads_standard_input(process: Callable[..., Done], tmp_path: Path) -> None:
    done = process("header", "-", stdin=gzip.compress((tmp_path / "good.mrc").read_bytes()))
    assert done.out.startswith("kind          volume\n")


def test_info_prints_a_line_per_file(run: Callable[..., Done]) -> None:
    Path("junk.mrc").write_bytes(builders.header_bytes(mode=99))
    lines = run("info", "good.mrc", "junk.mrc").out.splitlines()
    assert lines[1].split() == ["volume", "4", "x", "6", "x", "8", "2", "2", "0.0", "good.mrc"]
    assert lines[2].split() == ["?", "?", "99", "?", "?", "junk.mrc"]
