"""The lines of evidence for the kind of a file: each alone, their order, their notes and documentation."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import gemmi
import pytest

from mrcarray.format import kinds
from mrcarray.format.issues import Severity
from mrcarray.format.kinds import (
    GUESSES,
    LINES,
    STACK_SUFFIXES,
    VOLUME_SUFFIXES,
    KindEvidence,
    KindFacts,
    choose_kind,
    kind_of_name,
    suffix,
)
from mrcarray.format.layout import Kind

if TYPE_CHECKING:
    from pathlib import Path

STACK, VOLUME = Kind.IMAGE_STACK, Kind.VOLUME
OPEN = KindEvidence(nx=40, ny=30, nz=20, mz=20, ispg=0, name="a.mrc")
"""Evidence to which only the last line applies."""

ALONE = {
    "ispg_401": (OPEN._replace(ispg=401, mz=10), Kind.VOLUME_STACK),
    "ispg": (OPEN._replace(ispg=1), VOLUME),
    "nz": (OPEN._replace(nz=1), Kind.IMAGE),
    "mz": (OPEN._replace(mz=1), STACK),
    "name": (OPEN._replace(name="a.mrcs"), STACK),
    "sidecar": (OPEN._replace(facts=KindFacts(sidecar="a.mrc.mdoc")), STACK),
    "records": (OPEN._replace(facts=KindFacts(records=True)), STACK),
    "label": (OPEN._replace(label=b"Relion 5.0  20-Nov-26"), VOLUME),
    "cube": (OPEN._replace(ny=40, nz=40), VOLUME),
    "flat": (OPEN._replace(nx=3838, ny=3710, nz=25, mz=25), STACK),
    "default": (OPEN, VOLUME),
}


def test_lines_in_order() -> None:
    assert [line.name for line in LINES] == ["argument", *ALONE]
    assert [line.name for line in LINES if line.guess] == ["label", "cube", "flat", "default"]
    assert {line.name for line in LINES[-4:]} == GUESSES


@pytest.mark.parametrize("line", ALONE)
def test_single_line_decides(line: str) -> None:
    evidence, kind = ALONE[line]
    found = choose_kind(evidence)
    assert (found.kind, found.line) == (kind, line)
    (note,) = found.issues
    assert note.severity is Severity.NOTE
    assert note.code == ("MRC303" if line in GUESSES else "MRC301")


@pytest.mark.parametrize("line", ALONE)
def test_only_guesses_have_a_hint(line: str) -> None:
    found = choose_kind(ALONE[line][0])
    other = STACK if found.kind is VOLUME else VOLUME
    asks = f"pass kind='{other}'" in found.issues[0].text()
    assert asks is (line in GUESSES)


@pytest.mark.parametrize(
    ("first", "second"), [pair for pair in pairwise(ALONE) if pair not in {("ispg_401", "ispg"), ("cube", "flat")}]
)
def test_earlier_line_decides(first: str, second: str) -> None:
    """Combine the evidence of two adjacent lines in one file."""
    one, other = ALONE[first][0], ALONE[second][0]
    both = one._replace(
        **{
            field: value
            for field, value in other._asdict().items()
            if value != getattr(OPEN, field) and getattr(one, field) == getattr(OPEN, field)
        }
    )
    found = choose_kind(both)
    assert (found.kind, found.line) == (ALONE[first][1], first)


def test_large_cube_is_a_volume() -> None:
    assert choose_kind(OPEN._replace(nx=1000, ny=1000, nz=1000, mz=1000)).line == "cube"


@pytest.mark.parametrize("word", ["image_stack", "tilt_series", "movie", "particles", "volume", "volume_stack"])
@pytest.mark.parametrize("line", ALONE)
def test_argument_decides_first(line: str, word: str) -> None:
    found = choose_kind(ALONE[line][0], word)
    assert found.line == "argument"
    assert found.kind == {"tilt_series": STACK, "movie": STACK, "particles": STACK}.get(word, word)


def test_impossible_kind_is_an_error() -> None:
    found = choose_kind(OPEN, "image")
    assert (found.kind, found.line) == (VOLUME, "default")
    assert [issue.code for issue in found.issues] == ["MRC302", "MRC303"]
    assert choose_kind(OPEN._replace(nz=1), "image").line == "argument"


@pytest.mark.parametrize(
    ("changed", "kind", "line"),
    [
        ({"nz": 1}, VOLUME, "ispg"),
        ({"name": "emd_1234.map"}, VOLUME, "ispg"),
        ({"name": "a_rec.mrc"}, VOLUME, "ispg"),
        ({"name": "a.st"}, STACK, "name"),
        ({"name": "a_fractions.mrc"}, STACK, "name"),
        ({"name": "a.mrcs", "nz": 1, "mz": 20}, STACK, "name"),
        ({"mz": 1}, VOLUME, "ispg"),
        ({"nx": 4096, "ny": 4096, "nz": 4, "mz": 1}, STACK, "mz"),
        ({"nx": 4096, "ny": 4096, "nz": 4, "mz": 4}, VOLUME, "ispg"),
        ({"nx": 4096, "ny": 4096, "nz": 1, "mz": 1}, VOLUME, "ispg"),
        ({"nx": 4096, "ny": 4096, "nz": 200, "mz": 1}, VOLUME, "ispg"),
        ({"ispg": 230}, VOLUME, "ispg"),
    ],
)
def test_name_or_movie_overrules_space_group(changed: dict[str, object], kind: Kind, line: str) -> None:
    found = choose_kind(OPEN._replace(**{"ispg": 1, **changed}))  # type: ignore[arg-type]  # fields by name
    assert (found.kind, found.line) == (kind, line)


@pytest.mark.parametrize("ispg", [-7, 231, 400, 631])
@pytest.mark.parametrize(
    ("changed", "kind", "line"), [({"nz": 1}, STACK, "nz"), ({"mz": 1}, STACK, "mz"), ({}, VOLUME, "default")]
)
def test_invalid_space_group_warns(ispg: int, changed: dict[str, object], kind: Kind, line: str) -> None:
    found = choose_kind(OPEN._replace(**{"ispg": ispg, **changed}))  # type: ignore[arg-type]  # fields by name
    assert (found.kind, found.line) == (kind, line)
    assert found.issues[0].code == "MRC123"


def test_imod_tilt_series_is_an_image_stack() -> None:
    found = choose_kind(OPEN._replace(tilt_series=True, name="a.rec"))
    assert (found.kind, found.line) == (STACK, "mz")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *[(name, STACK) for name in ("a.mrcs", "a.st", "a.ali", "a.preali", "a_st.mrc", "a_ali.mrc", "a_preali.mrc")],
        *[(name, STACK) for name in ("a_frames.mrc", "a.frames.mrc", "a_fractions.mrc", "a_movie.mrc")],
        *[(name, STACK) for name in ("a_particles.mrc", "A_ST.MRC", "a_ALI.mrc.gz", "run.v2.x_Fractions.mrc.bz2")],
        *[(name, VOLUME) for name in ("a.map", "a.ccp4", "a.rec", "A.REC", "a.map.gz", "a_rec.mrc", "a_full_rec.mrc")],
        *[(name, VOLUME) for name in ("ts_Vol.mrc", "TS_1.2_REC.mrc.zst", "dir_st/x_vol.mrc", "x_rec.mrc.gz", "x_rec")],
        *[(name, VOLUME) for name in ("https://host/a_vol.mrc?sig=x.mrcs", "zip://in/a_rec.mrc::/data/all_st.zip")],
        *[(name, VOLUME) for name in ("a_particles.map", "a_ali.rec", "c:\\data\\a_rec.mrc", "s3://bucket/x.rec#a")],
        *[(name, STACK) for name in ("a_vol.mrcs", "a_rec.st")],
        *[(name, None) for name in ("", "a.mrc", "rec.mrc", "a_recs.mrc", "vol.mrc", "frames.mrc", "<memory>")],
        *[(name, None) for name in ("a.mrc.gz", "st/a.mrc", "a_st/b.mrc", "first.mrc", "a.rec.mrc", ".mrcs", ".rec")],
    ],
)
def test_suffix_decides_before_stem(name: str, kind: Kind | None) -> None:
    assert kind_of_name(name) is kind


def test_suffix_of_a_url_has_no_query() -> None:
    assert suffix("https://host/a.mrcs?token=b.map") == ".mrcs"
    assert suffix("what?.mrcs") == ".mrcs"


@pytest.mark.parametrize(
    "label",
    [
        *["ChimeraX 0.1 2026-11-30", "UCSF Chimera", "Relion 5.0 20-Nov-26", "RELION 3.1", "EMAN 11/30/26", "EMAN2 x"],
        *["written by GEMMI", "PHENIX 1.21", "  phenix.resolve"],
    ],
)
def test_label_of_a_volume_program(label: str) -> None:
    flat = ALONE["flat"][0]._replace(label=label.encode().ljust(80))
    assert (choose_kind(flat).kind, choose_kind(flat).line) == (VOLUME, "label")


@pytest.mark.parametrize(
    "label", ["", "SerialEM: Acquired on Krios", "Created by mrcfile.py", "chameleon", "gemmified"]
)
def test_other_labels_are_no_evidence(label: str) -> None:
    assert choose_kind(OPEN._replace(label=label.encode().ljust(80))).line == "default"


def test_gemmi_writes_its_label() -> None:
    grid = gemmi.Ccp4Map()
    grid.grid = gemmi.FloatGrid(4, 4, 4)
    grid.update_ccp4_header(2, update_stats=True)
    assert choose_kind(OPEN._replace(label=grid.header_str(57, 80).encode())).line == "label"


@pytest.mark.parametrize(
    ("nx", "ny", "nz", "line"),
    [
        (900, 900, 56, "flat"),
        (900, 900, 57, "default"),
        (899, 3000, 2, "default"),
        (5760, 4092, 255, "flat"),
        (5760, 4092, 256, "default"),
        (2048, 2048, 300, "default"),
        (3838, 7420, 40, "flat"),
    ],
)
def test_flatness_uses_the_shorter_side(nx: int, ny: int, nz: int, line: str) -> None:
    assert choose_kind(OPEN._replace(nx=nx, ny=ny, nz=nz, mz=nz)).line == line


@pytest.mark.parametrize(("mz", "nz"), [(0, 20), (-1, 20), (7, 20), (0, 0), (20, 0)])
def test_other_intervals_are_no_evidence(mz: int, nz: int) -> None:
    found = choose_kind(OPEN._replace(mz=mz, nz=nz))
    assert (found.kind, found.line) == (VOLUME, "default")


def test_docs_page_agrees_with_the_tables(project_root: Path) -> None:
    page = (project_root / "docs/explanation/kinds.md").read_text(encoding="utf-8")
    table = page.partition("<!-- lines -->\n")[2].partition("\n\n")[0].splitlines()[2:]
    assert table == [
        f"| {number} | `{line.name}` | {line.evidence} | {line.gives}{' (guess)' if line.guess else ''} |"
        for number, line in enumerate(LINES, 1)
    ]
    names = page.partition("- Names (line 6)")[2].partition("\n- ")[0]
    stack, _, volume = names.partition("stack of\n  images;")
    assert set(re.findall(r"`([._]\w+)`", stack)) == {*STACK_SUFFIXES, *kinds._STACK_STEMS}
    assert set(re.findall(r"`([._]\w+)`", volume)) == {*VOLUME_SUFFIXES, *kinds._VOLUME_STEMS}
    programs = page.partition("- Programs (line 9) are ")[2].partition(".")[0]
    for program in re.split(r", | and ", programs):
        assert choose_kind(OPEN._replace(label=program.encode())).line == "label", program
    assert f"fewer than {kinds._MANY} sections of more than {kinds._MICROGRAPH} pixels" in page
    assert f"{kinds._WIDE} and {kinds._FLAT} nz" in page
