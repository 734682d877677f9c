"""``mrcarray validate`` and what it prints; ``header``, ``info``, ``stats`` and ``diff``."""

from __future__ import annotations

import gzip
import json
import os
import struct
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mrcarray.cli.common import dump
from mrcarray.cli.progress import Share, _pixel_nbytes, _size
from mrcarray.validation.checks import CHECKS
from tests import builders
from tests.cases import IMAGES, PRIISM, VOLUME, clean, fei

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.conftest import Done

BAD = """\
bad.mrc: invalid
  error: word 28 (nversion) is 0; expected 20140 or 20141 [MRC128]
    repair: mrcarray fix FILE, once nothing else is wrong
  error: word 53 (map) is 'MAP\\x00'; expected 'MAP ' (MotionCor2 and MotionCor3 write 'MAP' and a zero byte) [MRC153]
    repair: mrcarray fix FILE
  error: word 55 (rms) is 0, but the standard deviation of the pixels is 0.963581 (MotionCor2 and MotionCor3 write \
rms 0 whatever the pixels are) [MRC504]
    repair: mrcarray fix FILE
"""


def test_a_person_can_act_on_the_text(run: Callable[..., Done]) -> None:
    strict = run("validate", "--profile", "strict", "bad.mrc")
    assert (strict.out, strict.status) == (BAD, 1)
    mild = run("validate", "-q", "bad.mrc")
    assert (mild.out, mild.status) == (BAD.replace("invalid", "valid").replace("error", "warning"), 0)
    assert run("validate", "good.mrc").out == "good.mrc: valid\n"
    assert run("validate", "-q", "good.mrc").out == ""


def test_the_status_follows_what_a_file_fails_on(run: Callable[..., Done]) -> None:
    Path("noted.mrc").write_bytes(clean(dmin=0.0, dmax=-1.0, dmean=-2.0, rms=-1.0))
    assert run("validate", "noted.mrc").status == 0
    assert run("validate", "--fail-on", "note", "noted.mrc").status == 1
    assert run("validate", "--fail-on", "warning", "noted.mrc").status == 0
    assert run("validate", "bad.mrc", "nothing.mrc").status == 2


def test_findings_are_selected_and_ignored_by_code(run: Callable[..., Done]) -> None:
    strict = ("validate", "--profile", "strict")
    assert run(*strict, "bad.mrc").status == 1
    assert run(*strict, "--ignore", "MRC128,MRC153", "--ignore", "mrc5", "bad.mrc").status == 0
    assert run(*strict, "--select", "MRC5", "bad.mrc").out.count("error") == 1
    for wrong in ("153", "MRC999", "frob"):
        assert run("validate", "--select", wrong, "bad.mrc").status == 2
        assert run("fix", "--only", wrong, "bad.mrc").status == 2


def test_json_holds_every_file_in_the_order_given(run: Callable[..., Done]) -> None:
    done = run("validate", "--json", "bad.mrc", "nothing.mrc", "good.mrc")
    rows = json.loads(done.out)
    assert [row["path"] for row in rows] == ["bad.mrc", "nothing.mrc", "good.mrc"]
    assert [row["readable"] for row in rows] == [True, False, True]
    assert [issue["code"] for issue in rows[0]["issues"]] == ["MRC128", "MRC153", "MRC504"]
    assert rows[2]["facts"]["voxel_size"] == [2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    "name", ["new\nline.mrc", "back\\slash.mrc", "esc\x1b[31m.mrc", "\udcff.mrc", "\u00fcn\u00ef.mrc"]
)
def test_a_file_is_found_again_by_its_path_in_json(name: str, run: Callable[..., Done]) -> None:
    Path(name).write_bytes(clean())
    for line in (("validate", "--json"), ("header", "--json"), ("stats", "--json")):
        out = run(*line, name).out
        assert out.isascii()
        assert "\x1b" not in out
        assert Path(json.loads(out)[0]["path"]).read_bytes() == clean()


def test_lists_are_printed_while_they_are_made(capsys: pytest.CaptureFixture[str]) -> None:
    seen = []

    def values() -> Iterator[Any]:
        for value in (1, {"b": float("inf")}):
            yield value
            seen.append(capsys.readouterr().out)

    dump(values())
    seen.append(capsys.readouterr().out)
    assert seen == ["[\n  1", ',\n  {\n    "b": null\n  }', "\n]\n"]
    dump([])
    assert capsys.readouterr().out == "[]\n"


def test_a_bar_counts_each_file_by_its_bytes_on_the_disk_and_ends_full(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.mrc", tmp_path / "b.mrc.gz"
    plain.write_bytes(clean())
    packed.write_bytes(gzip.compress(clean()))
    for path in (plain, packed, tmp_path / "missing.mrc", tmp_path, "http://127.0.0.1:1/a.mrc"):
        moved: list[float] = []
        share = Share(_size(str(path)), _pixel_nbytes(str(path)), moved.append)
        for _ in range(4):
            share.add(192)
        before = sum(moved)
        share.end()
        share.add(192)
        expected = path.stat().st_size if isinstance(path, Path) and path.is_file() else 1
        assert sum(moved) == pytest.approx(expected)
        assert before == pytest.approx(768 if path == plain else expected)


@pytest.mark.parametrize("level", ["header", "full"])
def test_the_bar_of_all_files_ends_full(level: str, run: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.progress import Progress

    found: list[tuple[float, float | None]] = []
    stop = Progress.stop

    def note(bar: Progress) -> None:
        found.extend((task.completed, task.total) for task in bar.tasks)
        stop(bar)

    monkeypatch.setattr(Progress, "stop", note)
    Path("b.mrc.gz").write_bytes(gzip.compress(clean()))
    run("validate", "--progress", "--level", level, "-j", "2", "good.mrc", "bad.mrc", "b.mrc.gz", "missing.mrc")
    assert found[0][0] == pytest.approx(found[0][1])


def test_sarif_names_rules_results_and_places(run: Callable[..., Done]) -> None:
    Path("b d.mrc").write_bytes(Path("bad.mrc").read_bytes())
    assert json.loads(run("validate", "--sarif", "good.mrc").out)["runs"][0]["results"] == []
    log = json.loads(run("validate", "--profile", "strict", "--sarif", "good.mrc", "b d.mrc").out)
    assert log["version"] == "2.1.0"
    (one,) = log["runs"]
    assert {rule["id"] for rule in one["tool"]["driver"]["rules"]} == set(CHECKS)
    assert {result["level"] for result in one["results"]} == {"error"}
    uri = one["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "b%20d.mrc"


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("a b%\u00b5?.mrc", "a%20b%25%C2%B5%3F.mrc"),
        ("x:y.mrc", "x%3Ay.mrc"),
        ("/no/such.mrc", "/no/such.mrc"),
        ("http://127.0.0.1:1/a b%20c.mrc?x", "http://127.0.0.1:1/a%20b%20c.mrc"),
    ],
)
def test_sarif_names_places_as_references(name: str, uri: str, run: Callable[..., Done]) -> None:
    log = json.loads(run("validate", "--sarif", name).out)
    place = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == uri


def test_folders_patterns_and_lists_are_expanded(run: Callable[..., Done], process: Callable[..., Done]) -> None:
    Path("sub").mkdir()
    Path("sub/c.mrc.gz").write_bytes(gzip.compress(clean()))
    Path("sub/notes.txt").write_text("no MRC file")
    assert run("validate", "-r", "sub").out == f"sub{os.sep}c.mrc.gz: valid\n"
    assert run("validate", "g*.mrc").out == "good.mrc: valid\n"
    assert run("validate", "x*.mrc").err == "mrcarray: x*.mrc: No such file or directory\n"
    assert process("validate", "-", stdin=b"good.mrc\nsub/c.mrc.gz\n").out.count(": valid") == 2
    assert process("validate", "-", stdin=b"good.mrc\0").out == "good.mrc: valid\n"
    assert run("validate", "sub").err == "mrcarray: sub: Is a directory; -r looks for files in it\n"
    Path("empty").mkdir()
    assert run("validate", "-r", "empty").status == 2


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_results_come_in_the_order_of_the_input(jobs: int, run: Callable[..., Done]) -> None:
    names = ["good.mrc", "bad.mrc"] * 20
    out = run("validate", "-j", jobs, "--select", "MRC153", *names).out
    assert [line.split(":")[0] for line in out.splitlines() if not line.startswith(" ")] == names


def test_an_interruption_stops_the_files_that_are_being_looked_at() -> None:
    from mrcarray.cli.validate import _in_order

    stop, woken = threading.Event(), []

    def work(path: str) -> Any:
        if path == "large":
            woken.append(stop.wait(20))
        return path

    found = _in_order(work, ["small", "large", *["small"] * 5], 2, stop)
    assert str(next(found)) == "small"
    found.close()
    assert woken == [True]


def test_a_pass_over_the_pixels_can_be_interrupted() -> None:
    from mrcarray.validation import validate

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    for threads in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            validate(clean(np.zeros((2, 1024, 1024), "f4")), threads=threads, progress=interrupt)


def test_maps_of_one_set_must_have_one_grid(run: Callable[..., Done]) -> None:
    Path("half.mrc").write_bytes(clean(VOLUME * 2))
    Path("moved.mrc").write_bytes(clean(origin=(4, 0, 0)))
    Path("fine.mrc").write_bytes(clean(cella=(8, 6, 4)))
    Path("small.mrc").write_bytes(clean(VOLUME[1:]))
    assert run("validate", "--same-grid", "good.mrc", "half.mrc").status == 0
    done = run("validate", "--same-grid", "good.mrc", "moved.mrc", "fine.mrc", "small.mrc")
    assert done.status == 1
    assert [code for code in ("MRC701", "MRC702", "MRC703") if done.out.count(code) == 1] == [
        "MRC701",
        "MRC702",
        "MRC703",
    ]


@pytest.mark.parametrize("first", ["nothing.mrc", "text.mrc", "odd.mrc", "short"])
def test_a_first_file_without_a_grid_is_not_held_against_the_others(first: str, run: Callable[..., Done]) -> None:
    Path("text.mrc").write_bytes(b"<html>" * 300)
    Path("short").write_bytes(clean()[:1000])
    Path("odd.mrc").write_bytes(builders.header_bytes(mode=99))
    Path("moved.mrc").write_bytes(clean(origin=(4, 0, 0)))
    done = run("validate", "--same-grid", "--json", first, "good.mrc", "moved.mrc", first)
    codes = [
        {issue["code"] for issue in row["issues"]} & {"MRC701", "MRC702", "MRC703"} for row in json.loads(done.out)
    ]
    own = {"MRC701"} if first == "odd.mrc" else set()
    assert codes == [own, set(), {"MRC703"}, own]


def test_grids_of_files_are_compared_from_python() -> None:
    from mrcarray.analysis.compare import grid_issues

    moved, other = clean(origin=(4, 0, 0), cella=(8, 6, 4)), builders.header_bytes(mode=99)
    assert grid_issues(clean(), clean()) == ()
    assert [issue.code for issue in grid_issues(clean(), moved)] == ["MRC702", "MRC703"]
    assert [issue.message for issue in grid_issues(clean(), other)] == [
        "the grid cannot be compared: pixels cannot be located"
    ]
    (issue,) = grid_issues(other, clean())
    assert issue.message == "the grid cannot be compared: those of <memory> cannot be located"


def test_progress_goes_to_standard_error_only(process: Callable[..., Done]) -> None:
    done = process("validate", "--progress", "--json", "good.mrc")
    assert json.loads(done.out)[0]["ok"]


@pytest.mark.slow
def test_many_files_cost_neither_memory_nor_descriptors(run: Callable[..., Done]) -> None:
    import psutil

    me = psutil.Process()
    run("validate", "-q", "-j", "2", *["good.mrc"] * 200)
    before, opened = me.memory_info().rss, me.num_fds()
    assert run("validate", "-q", "-j", "2", *["good.mrc"] * 5000).status == 0
    assert me.num_fds() == opened
    assert me.memory_info().rss - before < 32 << 20


# ------------------------------------------------------------------------------- header and info


def test_header_explains_fields_and_facts(run: Callable[..., Done]) -> None:
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


@pytest.mark.parametrize(
    ("fields", "because"),
    [
        ({"machst": bytes(4)}, "the other words, since the machine stamp is 00 00 00 00"),
        ({"machst": b"\x11\x11\0\0"}, "the other words, against the machine stamp 11 11 00 00"),
        ({"byteorder": ">"}, "the machine stamp 11 11 00 00"),
        ({"extra1": PRIISM, "map": bytes(4), "machst": bytes(4)}, "DeltaVision's mark"),
    ],
)
def test_header_tells_how_the_byte_order_was_decided(
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


def test_header_tells_of_what_has_none(run: Callable[..., Done]) -> None:
    Path("hkl.mrc").write_bytes(clean(map=b"HKL "))
    Path("broken.gz").write_bytes(gzip.compress(clean())[:30])
    done = run("header", "hkl.mrc", "broken.gz")
    assert (done.status, done.out) == (2, "")
    assert [line.split(":")[1] for line in done.err.splitlines()] == [" hkl.mrc", " broken.gz"]


def test_header_shows_extended_headers(run: Callable[..., Done]) -> None:
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


def test_header_shows_symmetry_and_that_there_is_no_extended_header(run: Callable[..., Done]) -> None:
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


def test_an_extended_header_that_cannot_be_decoded_is_no_reason_to_fail(
    run: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_info_is_a_line_a_file(run: Callable[..., Done]) -> None:
    Path("junk.mrc").write_bytes(builders.header_bytes(mode=99))
    lines = run("info", "good.mrc", "junk.mrc").out.splitlines()
    assert lines[1].split() == ["volume", "4", "x", "6", "x", "8", "2", "2", "0.0", "good.mrc"]
    assert lines[2].split() == ["?", "?", "99", "?", "?", "junk.mrc"]


# ------------------------------------------------------------------------------- stats and diff


@pytest.mark.parametrize("mode", [0, 1, 2, 6, 12, 101])
def test_statistics_are_those_of_numpy(mode: int, run: Callable[..., Done]) -> None:
    values = builders.sample((5, 60, 70), mode)
    Path("v.mrc").write_bytes(clean(values, mode))
    (row,) = json.loads(run("stats", "--json", "--percentiles", "2,50,98", "--bins", "7", "v.mrc").out)
    wide = values.astype("f8")
    assert (row["min"], row["max"], row["count"]) == (wide.min(), wide.max(), wide.size)
    assert row["mean"] == pytest.approx(wide.mean(), abs=1e-7 * wide.std())
    assert row["rms"] == pytest.approx(wide.std(), rel=1e-6)
    for percent, value in row["percentiles"].items():
        near = np.percentile(wide, [float(percent) - 0.05, float(percent) + 0.05])
        assert near[0] - 1e-3 <= value <= near[1] + 1e-3
    assert sum(row["histogram"]["counts"]) == wide.size
    assert len(row["histogram"]["counts"]) == 7


def test_statistics_count_what_is_no_number(run: Callable[..., Done]) -> None:
    values = np.zeros((2, 3, 4), "f4")
    values[0, 0] = (np.nan, np.inf, 5, 1)
    Path("n.mrc").write_bytes(builders.mrc_bytes(values))
    (row,) = json.loads(run("stats", "--json", "n.mrc").out)
    assert (row["nan"], row["inf"], row["max"], sum(row["histogram"]["counts"])) == (1, 1, 5.0, 22)


def test_statistics_of_complex_pixels_have_no_percentiles(run: Callable[..., Done]) -> None:
    Path("c.mrc").write_bytes(builders.mrc_bytes(builders.sample((2, 3, 4), 4), 4))
    done = run("stats", "c.mrc")
    assert done.status == 0
    assert "  50%    nan" in done.out


def test_statistics_of_many_blocks_are_those_of_the_whole(run: Callable[..., Done]) -> None:
    values = np.random.default_rng(0).normal(size=(3, 512, 512)).astype("f4")
    Path("v.mrc").write_bytes(clean(values))
    (row,) = json.loads(run("stats", "--json", "-j", "2", "v.mrc").out)
    assert (row["count"], row["min"], row["max"]) == (values.size, values.min(), values.max())
    assert sum(row["histogram"]["counts"]) == values.size
    assert row["percentiles"]["50"] == pytest.approx(np.median(values), abs=1e-3)


def test_statistics_need_pixels(run: Callable[..., Done]) -> None:
    Path("x.mrc").write_bytes(builders.header_bytes(mode=99))
    done = run("stats", "--permissive", "x.mrc")
    assert (done.status, done.err.splitlines()[-1]) == (2, "mrcarray: x.mrc: the pixels cannot be located")


def test_statistics_are_printed_with_a_histogram(run: Callable[..., Done]) -> None:
    out = run("stats", "good.mrc").out
    assert "  count  192" in out
    assert out.count("#") > 40


def test_statistics_of_pixels_that_are_all_no_numbers_are_no_numbers(run: Callable[..., Done]) -> None:
    Path("v.mrc").write_bytes(clean(np.zeros((2, 3, 4), "f4"))[:1024] + np.full(24, np.nan, "f4").tobytes())
    lines = dict(line.split(maxsplit=1) for line in run("stats", "v.mrc").out.splitlines()[1:])
    assert {name: lines[name] for name in ("min", "max", "mean", "rms", "50%")} == dict.fromkeys(
        ("min", "max", "mean", "rms", "50%"), "nan"
    )
    assert (lines["count"], lines["nan"]) == ("24", "24")


def test_percentiles_must_be_percentiles(run: Callable[..., Done]) -> None:
    assert run("stats", "--percentiles", "x", "good.mrc").status == 2
    assert run("stats", "--percentiles", "101", "good.mrc").status == 2


def test_diff_tells_words_and_pixels(run: Callable[..., Done]) -> None:
    values = VOLUME.copy()
    values[0, 0, 0] += 0.5
    Path("other.mrc").write_bytes(clean(values))
    Path("small.mrc").write_bytes(clean(VOLUME[1:]))
    assert (run("diff", "good.mrc", "good.mrc").status, run("diff", "good.mrc", "good.mrc").out) == (0, "")
    done = run("diff", "good.mrc", "other.mrc")
    assert done.status == 1
    assert "pixels: 1 of 192 differ, by up to 0.5" in done.out
    assert "dmean: " in done.out
    ignored = ("--ignore", "dmin,dmax,dmean", "--ignore", "rms")
    assert run("diff", *ignored, "--atol", "0.6", "good.mrc", "other.mrc").status == 0
    assert run("diff", "-q", *ignored, "good.mrc", "other.mrc").out == ""
    assert run("diff", *ignored, "--header", "good.mrc", "other.mrc").status == 0
    assert "shape: (4, 6, 8) | (3, 6, 8)" in run("diff", "good.mrc", "small.mrc").out


def tilts(*angles: float, order: str = "<", spare: bytes = b"") -> bytes:
    """Return a stack of two images with FEI records of these angles; their bitmasks are little-endian in any file."""
    mask = struct.pack("<I", 1 << 7)
    extended = b"".join(fei(order=order, b=(8, "4s", mask), a=(100, "d", angle)) for angle in angles) + spare
    return clean(IMAGES, ispg=0, m=(6, 4, 1), extended=extended, exttyp=b"FEI1", byteorder=order)


def test_diff_tells_of_extended_headers(run: Callable[..., Done]) -> None:
    Path("a.mrc").write_bytes(tilts(30, 33))
    Path("b.mrc").write_bytes(tilts(30, 31.5))
    done = run("diff", "a.mrc", "b.mrc")
    assert done.status == 1
    assert done.out.splitlines() == [
        "extended header: 1 of 1536 bytes differ",
        "extended tilt_angle [degree]: 33.0 | 31.5 (record 1)",
    ]
    assert run("diff", "--header", "a.mrc", "b.mrc").out == done.out
    assert run("diff", "-q", "a.mrc", "b.mrc").status == 1
    assert (run("diff", "a.mrc", "a.mrc").status, run("diff", "--ignore", "extended", "a.mrc", "b.mrc").status) == (
        0,
        0,
    )


def test_diff_as_json(run: Callable[..., Done]) -> None:
    Path("a.mrc").write_bytes(tilts(30, 33))
    Path("b.mrc").write_bytes(tilts(30, float("nan")))
    done = run("diff", "--json", "a.mrc", "b.mrc")
    row = json.loads(done.out)
    assert (done.status, row["same"], row["a"], row["b"], row["header"], row["shape"]) == (
        (1, False, "a.mrc", "b.mrc", {}, None)
    )
    assert row["extended"]["columns"] == {
        "tilt_angle": {"unit": "degree", "sections": [1], "a": [33.0], "b": [None]},
    }
    assert row["pixels"] == {"compared": 48, "differ": 0, "largest": 0.0}
    same = json.loads(run("diff", "--json", "--header", "a.mrc", "a.mrc").out)
    assert same == {
        "a": "a.mrc",
        "b": "a.mrc",
        "same": True,
        **dict.fromkeys(("extended", "shape", "pixels")),
        "header": {},
    }
    header = json.loads(run("diff", "--json", "good.mrc", "bad.mrc").out)["header"]
    assert header["map"] == {"a": "MAP ", "b": "MAP\0"}


def test_diff_of_extended_headers_that_are_not_alike(run: Callable[..., Done]) -> None:
    Path("a.mrc").write_bytes(tilts(30, 33))
    Path("longer.mrc").write_bytes(tilts(30, 33, spare=fei()))
    Path("none.mrc").write_bytes(clean(IMAGES, ispg=0, m=(6, 4, 1)))
    Path("raw.mrc").write_bytes(clean(IMAGES, ispg=0, m=(6, 4, 1), extended=b"\1" * 1536))
    ignored = ("diff", "--ignore", "nsymbt,exttyp", "a.mrc")
    assert run(*ignored, "longer.mrc").out == "extended header: FEI1, 1536 bytes | FEI1, 2304 bytes\n"
    assert run(*ignored, "none.mrc").out.splitlines() == [
        "extended header: FEI1, 1536 bytes | none",
        "extended records: 2 | 0",
    ]
    out = run(*ignored, "raw.mrc").out.splitlines()
    assert out[0] == "extended header: FEI1, 1536 bytes | unknown, 1536 bytes"
    assert out[1:] == ["extended header: 1536 of 1536 bytes differ", "extended records: 2 | 0"]


def test_diff_of_records_in_two_byte_orders_is_that_of_their_values(run: Callable[..., Done]) -> None:
    Path("little.mrc").write_bytes(tilts(30, 33))
    Path("big.mrc").write_bytes(tilts(30, 33, order=">"))
    Path("other.mrc").write_bytes(tilts(30, 34, order=">"))
    assert run("diff", "--ignore", "machst", "little.mrc", "big.mrc").status == 0
    out = run("diff", "--ignore", "machst", "little.mrc", "other.mrc").out
    assert "extended tilt_angle [degree]: 33.0 | 34.0 (record 1)" in out.splitlines()


def test_diff_of_two_dialects_is_that_of_what_both_can_state(run: Callable[..., Done]) -> None:
    Path("fei.mrc").write_bytes(tilts(30, 33))
    extra2 = bytes(16) + struct.pack("<2h", 2, 1) + bytes(64)
    seri: dict[str, Any] = {"extended": struct.pack("<2h", 3000, 3400), "exttyp": b"SERI", "extra2": extra2}
    Path("seri.mrc").write_bytes(clean(IMAGES, ispg=0, m=(6, 4, 1), **seri))
    out = run("diff", "--ignore", "nsymbt,exttyp,extra2", "fei.mrc", "seri.mrc").out.splitlines()
    assert out == [
        "extended header: FEI1, 1536 bytes | SERI, 4 bytes",
        "extended header: 4 of 4 bytes differ",
        "extended tilt_angle [degree]: 33.0 | 34.0 (record 1)",
    ]


def test_diff_refuses_what_has_no_meaning(run: Callable[..., Done]) -> None:
    done = run("diff", "--ignore", "mx", "good.mrc", "bad.mrc")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "there is no header field 'mx'" in done.err
    assert run("diff", "-", "-").status == 2


def test_diff_takes_nan_for_nan(run: Callable[..., Done]) -> None:
    raw = builders.mrc_bytes(np.full((2, 3, 4), np.nan, "f4"), cella=(float("nan"), 1, 1))
    Path("n.mrc").write_bytes(raw)
    Path("m.mrc").write_bytes(raw)
    assert run("diff", "n.mrc", "m.mrc").status == 0
