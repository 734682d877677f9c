"""``mrcarray validate`` and what it prints; ``header``, ``info``, ``stats`` and ``diff``."""

from __future__ import annotations

import gzip
import json
import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mrcarray.cli.file_progress import Share, _pixel_nbytes, _size
from mrcarray.cli.json_rows import dump
from mrcarray.validation.checks import CHECKS
from tests import builders
from tests.cases import CASES, VOLUME, clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.conftest import Done


def test_text_names_severity_code_and_repair(run: Callable[..., Done]) -> None:
    strict = run("validate", "--profile", "strict", "bad.mrc")
    title, *lines = strict.out.splitlines()
    assert (title, strict.status) == ("bad.mrc: invalid", 1)
    found = re.findall(r"^  error: word (\d+) \(\w+\) is .* \[(MRC\d+)\]$", strict.out, re.MULTILINE)
    assert found == [("28", "MRC128"), ("53", "MRC153"), ("55", "MRC504")]
    assert all(line.startswith("    repair: mrcarray fix") for line in lines[1::2])
    mild = run("validate", "-q", "bad.mrc")
    assert (mild.out, mild.status) == (strict.out.replace("invalid", "valid").replace("error:", "warning:"), 0)
    assert run("validate", "good.mrc").out == "good.mrc: valid\n"
    assert run("validate", "-q", "good.mrc").out == ""


def test_fail_on_sets_the_exit_status(run: Callable[..., Done]) -> None:
    Path("noted.mrc").write_bytes(clean(dmin=0.0, dmax=-1.0, dmean=-2.0, rms=-1.0))
    assert run("validate", "noted.mrc").status == 0
    assert run("validate", "--fail-on", "note", "noted.mrc").status == 1
    assert run("validate", "--fail-on", "warning", "noted.mrc").status == 0
    assert run("validate", "bad.mrc", "nothing.mrc").status == 2


def test_select_and_ignore_take_codes_and_prefixes(run: Callable[..., Done]) -> None:
    strict = ("validate", "--profile", "strict")
    assert run(*strict, "bad.mrc").status == 1
    assert run(*strict, "--ignore", "MRC128,MRC153", "--ignore", "mrc5", "bad.mrc").status == 0
    assert run(*strict, "--select", "MRC5", "bad.mrc").out.count("error") == 1
    for wrong in ("153", "MRC999", "frob"):
        assert run("validate", "--select", wrong, "bad.mrc").status == 2
        assert run("fix", "--only", wrong, "bad.mrc").status == 2


def test_json_lists_files_in_order(run: Callable[..., Done]) -> None:
    done = run("validate", "--json", "bad.mrc", "nothing.mrc", "good.mrc")
    rows = json.loads(done.out)
    assert [row["path"] for row in rows] == ["bad.mrc", "nothing.mrc", "good.mrc"]
    assert [row["readable"] for row in rows] == [True, False, True]
    assert [issue["code"] for issue in rows[0]["issues"]] == ["MRC128", "MRC153", "MRC504"]
    assert rows[2]["facts"]["voxel_size"] == [2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    "name", ["new\nline.mrc", "back\\slash.mrc", "esc\x1b[31m.mrc", "\udcff.mrc", "\u00fcn\u00ef.mrc"]
)
def test_json_path_is_the_name_of_the_file(name: str, run: Callable[..., Done]) -> None:
    Path(name).write_bytes(clean())
    for line in (("validate", "--json"), ("header", "--json"), ("stats", "--json")):
        out = run(*line, name).out
        assert out.isascii()
        assert "\x1b" not in out
        assert Path(json.loads(out)[0]["path"]).read_bytes() == clean()


def test_json_list_is_printed_as_it_grows(capsys: pytest.CaptureFixture[str]) -> None:
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


def test_progress_share_is_the_size_on_disk(tmp_path: Path) -> None:
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
def test_progress_ends_at_100_percent(level: str, run: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_sarif_has_rules_results_and_locations(run: Callable[..., Done]) -> None:
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
def test_sarif_locations_are_uri_references(name: str, uri: str, run: Callable[..., Done]) -> None:
    log = json.loads(run("validate", "--sarif", name).out)
    place = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == uri


def test_names_may_be_directories_patterns_and_lists(run: Callable[..., Done], process: Callable[..., Done]) -> None:
    Path("sub").mkdir()
    Path("sub/c.mrc.gz").write_bytes(gzip.compress(clean()))
    Path("sub/notes.txt").write_text("no MRC file")
    assert run("validate", "-r", "sub").out == f"sub{os.sep}c.mrc.gz: valid\n"
    assert run("validate", "g*.mrc").out == "good.mrc: valid\n"
    assert run("validate", "x*.mrc").err == "mrcarray: x*.mrc: No such file or directory\n"
    assert process("validate", "-", stdin=b"good.mrc\nsub/c.mrc.gz\n").out.count(": valid") == 2
    assert process("validate", "-", stdin=b"good.mrc\0").out == "good.mrc: valid\n"
    done = process("validate", "-", stdin=clean())
    assert run("validate", "sub").err == "mrcarray: sub: Is a directory; use -r to search it\n"
    assert (done.status, done.err.count("\n"), "standard input is an MRC file" in done.err) == (2, 1, True)
    done = process("validate", "-", stdin=gzip.compress(clean()))
    assert (done.status, done.err.count("\n"), "a file compressed by gzip" in done.err) == (2, 1, True)


def test_repair_names_the_file_quoted_for_a_shell(run: Callable[..., Done]) -> None:
    Path("my map.mrc").write_bytes(CASES["MRC153"].bad)
    assert "    repair: mrcarray fix 'my map.mrc'" in run("validate", "my map.mrc").out.splitlines()
    Path("empty").mkdir()
    assert run("validate", "-r", "empty").status == 2


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_threads_keep_the_order_of_files(jobs: int, run: Callable[..., Done]) -> None:
    names = ["good.mrc", "bad.mrc"] * 20
    out = run("validate", "-j", jobs, "--select", "MRC153", *names).out
    assert [line.split(":")[0] for line in out.splitlines() if not line.startswith(" ")] == names


def test_interrupt_stops_running_checks() -> None:
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


def test_interrupt_stops_the_pass_over_pixels() -> None:
    from mrcarray.validation import check

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    for threads in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            check(clean(np.zeros((2, 1024, 1024), "f4")), threads=threads, progress=interrupt)


def test_same_grid_finds_differing_maps(run: Callable[..., Done]) -> None:
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
def test_same_grid_skips_a_first_file_without_grid(first: str, run: Callable[..., Done]) -> None:
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


def test_grid_issues_compares_two_files() -> None:
    from mrcarray.analysis.compare import grid_issues

    moved, other = clean(origin=(4, 0, 0), cella=(8, 6, 4)), builders.header_bytes(mode=99)
    assert grid_issues(clean(), clean()) == ()
    assert [issue.code for issue in grid_issues(clean(), moved)] == ["MRC702", "MRC703"]
    assert [issue.message for issue in grid_issues(clean(), other)] == [
        "the grid cannot be compared: the pixels cannot be located"
    ]
    (issue,) = grid_issues(other, clean())
    assert issue.message == "the grid cannot be compared: the pixels of <memory> cannot be located"


def test_progress_is_on_standard_error(process: Callable[..., Done]) -> None:
    done = process("validate", "--progress", "--json", "good.mrc")
    assert json.loads(done.out)[0]["ok"]


@pytest.mark.slow
def test_many_files_need_no_memory_or_descriptors(run: Callable[..., Done]) -> None:
    import psutil

    me = psutil.Process()
    run("validate", "-q", "-j", "2", *["good.mrc"] * 200)
    before, opened = me.memory_info().rss, me.num_fds()
    assert run("validate", "-q", "-j", "2", *["good.mrc"] * 5000).status == 0
    assert me.num_fds() == opened
    assert me.memory_info().rss - before < 32 << 20
