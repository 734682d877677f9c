"""Each check finds its own fault and nothing else; profiles set the severities."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
from typing import Any

import numpy as np
import pytest

from mrcarray.errors import MrcValueError
from mrcarray.format.header import Header
from mrcarray.format.issues import CODES, Severity
from mrcarray.validation import check
from mrcarray.validation.checks import CHECKS, PROFILES, WRITERS, Check, CheckFacts, run_checks
from tests.cases import CASES, COMPANIONS, UNSIGNED, VOLUME, clean, patched

#: Checks about failures to read, which no content triggers; test_validation.py does.
FAILURES = {"MRC911", "MRC912", "MRC913"}

#: The check of a requested kind; tests/cli/test_program.py triggers it.
REQUESTED = {"MRC302"}

#: Checks of several files; tests/cli/test_validate.py triggers them.
SETS = {"MRC701", "MRC702", "MRC703"}


@pytest.mark.parametrize("code", CASES)
def test_file_with_one_fault_has_one_code(code: str) -> None:
    case = CASES[code]
    found = set(check(case.bad, profile=case.profile).codes)
    assert found == {code} | COMPANIONS.get(code, set())


@pytest.mark.parametrize("code", CASES)
def test_file_without_the_fault_has_no_code(code: str) -> None:
    case = CASES[code]
    assert check(case.good, profile=case.profile).codes == ()


def test_every_check_has_a_case() -> None:
    assert set(CHECKS) - set(CASES) == FAILURES | REQUESTED | SETS


def test_severity_is_that_of_the_table_or_milder() -> None:
    for code, case in CASES.items():
        for profile in (case.profile, "strict") if case.profile == "mrc2014" else (case.profile,):
            (found,) = {issue.severity for issue in check(case.bad, profile=profile).issues if issue.code == code}
            milder = {Severity.WARNING} if code in {"MRC117", "MRC504"} and profile != "strict" else set()
            assert found in {CHECKS[code].severity, PROFILES[profile].severities.get(code)} | milder


@pytest.mark.parametrize("row", CHECKS.values(), ids=lambda row: row.code)
def test_row_is_complete(row: Check) -> None:
    assert re.fullmatch(r"MRC[1-9]\d\d", row.code)
    assert row.doc
    assert row.repair
    assert row.source
    assert row.profile == "" or row.profile in PROFILES
    if row.code.startswith("MRC1") and row.word is not None:
        assert 1 <= row.word <= 57


def test_codes_shared_with_reading_are_in_both_tables() -> None:
    shared = set(CHECKS) & set(CODES)
    assert {"MRC101", "MRC153", "MRC201", "MRC901"} <= shared


def test_unknown_profile_raises() -> None:
    with pytest.raises(MrcValueError, match="expected one of mrc2014, strict, emdb, imod, relion"):
        run_checks(CheckFacts(Header.blank()), "pdb")


def test_habits_of_writers_have_known_codes() -> None:
    assert {code for row in WRITERS for code in row.habits} <= set(CHECKS)


@pytest.mark.parametrize(
    ("fields", "code", "text"),
    [
        ({"map": b"MAP\0"}, "MRC153", "MotionCor"),
        ({"map": b"MAP\0", "rms": 0.0}, "MRC504", "MotionCor"),
        ({"nversion": 0, "labels": b"Relion 3.1 today"}, "MRC128", "RELION"),
        ({"nversion": 0, "labels": b"::::EMDATABANK.org::::EMD-3197::::"}, "MRC128", "EMDB"),
        ({"nlabl": 2, "labels": b"SerialEM: something"}, "MRC158", "SerialEM"),
        ({"machst": b"\x44\x41\0\0", "nstart": (-4, -3, -2), "origin": (9, 9, 9)}, "MRC151", "EMAN2"),
        ({"map": b"\x7c\x94\xf2\xc4", "machst": b"\x90\x42\x4d\xc3", "nversion": 0}, "MRC161", "Amira"),
    ],
)
def test_message_names_the_writer(fields: dict[str, Any], code: str, text: str) -> None:
    (issue,) = (issue for issue in check(clean(**fields)).issues if issue.code == code)
    assert text in issue.message


def test_message_names_no_unknown_writer() -> None:
    (issue,) = check(clean(nversion=0)).issues
    assert issue.message == "word 28 (nversion) is 0; expected 20140 or 20141"


def test_mrcz_mode_is_named() -> None:
    issue = check(patched(clean(), 12, "<i", 2002)).issues[0]
    assert (issue.code, "compressed by MRCZ" in issue.message) == ("MRC104", True)


def test_emdb_profile_warns_of_what_emdb_repairs() -> None:
    raw = clean(map=b"MAP\0", rms=0.0, nversion=0)
    assert not check(raw, profile="strict").ok
    report = check(raw, profile="emdb")
    assert report.ok
    assert {issue.code for issue in report.at_least(Severity.WARNING)} == {"MRC153", "MRC504"}


W, E = Severity.WARNING, Severity.ERROR

#: What EMDB refuses (error) or rewrites (warning): the fault -> file, code and severity.
DEPOSITION: dict[str, tuple[bytes, str, Severity]] = {
    "neither gzip nor bzip2": (lzma.compress(clean()), "MRC608", E),
    "a mode other than 0, 1, 2": (clean(VOLUME.astype("f2"), 12), "MRC601", E),
    "unsigned words": (clean(np.abs(VOLUME * 9).astype("u2"), 6), "MRC601", E),
    "a stamp that contradicts": (clean(machst=b"\x11\x11\0\0"), "MRC162", W),
    "no stamp": (clean(machst=bytes(4)), "MRC161", W),
    "the map identifier": (clean(map=b"MAP\0"), "MRC153", W),
    "more than ten labels": (patched(clean(), 220, "<i", 11), "MRC156", W),
    "a rotation in a label": (clean(labels=b"Chimera rotation: 0 0 1 30"), "MRC602", E),
    "no space group": (clean(ispg=0, m=(8, 6, 1)), "MRC603", W),
    "a negative space group": (clean(ispg=-1, m=(8, 6, 1)), "MRC123", W),
    "a stack of volumes": (clean(ispg=401, m=(8, 6, 2)), "MRC603", W),
    "symmetry records": (clean(extended=bytes(160), exttyp=b"MRCO"), "MRC607", W),
    "more intervals than columns": (clean(m=(9, 6, 4)), "MRC604", W),
    "intervals of other axes": (clean(mapcrs=(3, 1, 2)), "MRC604", W),
    "an angle of 0": (clean(cellb=(0, 90, 90)), "MRC114", W),
    "a straight angle": (clean(cellb=(180, 90, 90)), "MRC114", E),
    "a cell below 1 angstrom": (clean(cella=(0.5, 12, 8)), "MRC605", E),
    "no intervals": (clean(m=(0, 6, 4), cella=(16, 12, 8)), "MRC605", E),
    "an origin": (clean(origin=(4, 0, 0)), "MRC606", W),
    "an origin between voxels": (clean(origin=(3, 0, 0)), "MRC606", W),
    "statistics": (clean(rms=0.0, dmin=-9.0), "MRC504", W),
    "unsigned bytes": (clean(UNSIGNED, 0), "MRC510", W),
    "too short": (clean()[:-40], "MRC201", E),
}


@pytest.mark.parametrize("what", DEPOSITION)
def test_emdb_profile_severity(what: str) -> None:
    raw, code, severity = DEPOSITION[what]
    report = check(raw, profile="emdb")
    assert {issue.severity for issue in report.issues if issue.code == code} == {severity}
    assert report.ok == (severity is W), report


@pytest.mark.parametrize(
    "raw",
    [
        clean(),
        clean(origin=(5e-6, 0, 0)),
        clean(nstart=(-4, 3, 2), nversion=0),
        clean(mapcrs=(3, 1, 2), m=(6, 4, 8), cella=(12, 8, 16)),
        clean(ispg=19, m=(16, 12, 8), extended=b"X,Y,Z".ljust(80), exttyp=b"CCP4"),
        clean(byteorder=">"),
        gzip.compress(clean()),
        bz2.compress(clean()),
    ],
)
def test_emdb_profile_accepts(raw: bytes) -> None:
    assert not check(raw, profile="emdb").at_least(W)


def test_emdb_profile_says_when_the_map_moves() -> None:
    for origin, moves in (((4, 0, 0), False), ((3, 0, 0), True)):
        (issue,) = check(clean(origin=origin), profile="emdb").issues
        assert ("which moves the map" in issue.message) == moves


def test_profile_accepts_more_modes() -> None:
    raw = CASES["MRC104"].bad
    rgb = raw[:12] + b"\x10\0\0\0" + raw[16:1024] + bytes(4 * 6 * 8 * 3)
    assert "MRC104" in check(rgb).codes
    assert "MRC104" not in check(rgb, profile="imod").codes
