"""``fix``, ``edit`` and ``undo``: header bytes change, pixels never do."""

from __future__ import annotations

import errno
import gzip
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mrcarray import read_header
from mrcarray.errors import ConflictError, MrcFormatError, MrcValueError
from mrcarray.repair import REPAIRS, edit, fix, undo, undo_path
from mrcarray.storage import atomic
from mrcarray.storage.patch import span
from mrcarray.validation import check
from mrcarray.validation.checks import CHECKS
from tests import builders
from tests.cases import CASES, VOLUME, clean, patched
from tests.storage.faults import calls_with, failing

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Done

#: What has to be given for a repair.
GIVEN: dict[str, dict[str, Any]] = {
    "MRC110": {"kind": "volume"},
    "MRC111": {"voxel_size": 2.0},
    "MRC112": {"voxel_size": 2.0},
    "MRC123": {"kind": "volume"},
    "MRC303": {"kind": "image_stack"},
}


def test_fixable_checks_have_a_repair() -> None:
    assert {row.code for row in CHECKS.values() if row.fixable} | {"MRC511"} == set(REPAIRS)


@pytest.mark.parametrize("code", sorted(set(REPAIRS) - {"MRC109"}))
def test_fix_makes_valid_and_undo_restores_every_byte(code: str, tmp_path: Path) -> None:
    path = tmp_path / "x.mrc"
    raw = CASES[code].bad
    path.write_bytes(raw)
    done = fix(path, **GIVEN.get(code, {}))
    assert code in done.done
    assert check(path).codes == ()
    fixed = path.read_bytes()
    assert fixed[1024:] == raw[1024:]
    assert fixed != raw
    undo(path)
    assert path.read_bytes() == raw
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.mrc"]


@pytest.mark.parametrize("code", sorted(GIVEN))
def test_fix_asks_for_unknown_values(code: str, tmp_path: Path) -> None:
    path = tmp_path / "x.mrc"
    path.write_bytes(CASES[code].bad)
    done = fix(path)
    assert done.done == ()
    assert path.read_bytes() == CASES[code].bad
    if code != "MRC303":
        option = "--kind" if "kind" in GIVEN[code] else "--voxel-size"
        assert [(ask.code, option in ask.text(command=True)) for ask in done.asks] == [(code, True)]


def test_repair_shows_changes_and_what_to_pass(tmp_path: Path) -> None:
    path = tmp_path / "x.mrc"
    path.write_bytes(CASES["MRC112"].bad)
    planned = str(fix(path, voxel_size=2.0, dry_run=True)).splitlines()
    assert planned[0] == "x.mrc: would change 1 word"
    assert planned[1].split() == ["word", "13", "zlen:", "0", "->", "8"]
    asked = fix(path)
    assert repr(asked).splitlines()[0] == "x.mrc: nothing to change"
    assert "pass voxel_size= [MRC112]" in repr(asked)
    assert "pass voxel_size= [MRC112]" in asked._repr_html_()


def test_fix_sets_intervals_of_zero(tmp_path: Path) -> None:
    path = tmp_path / "x.mrc"
    path.write_bytes(CASES["MRC109"].bad)
    fix(path)
    assert read_header(path).m == (8, 6, 4)


def test_fix_keeps_the_origin_of_an_old_header(tmp_path: Path) -> None:
    path = tmp_path / "old.mrc"
    place = np.array([30, 10, 20], "<f4").tobytes()
    raw = bytearray(clean(nversion=0))
    raw[208:220] = place
    path.write_bytes(raw)
    fix(path)
    header = read_header(path)
    assert header.origin == (10.0, 20.0, 30.0)
    assert check(path).codes == ()


def test_fix_of_a_misspelt_map_changes_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.mrc"
    path.write_bytes(clean(map=b"XXXX", origin=(4, 0, 0)))
    assert [change.name for change in fix(path).changes] == ["map"]


def test_fix_of_nversion_keeps_the_origin_of_imod(tmp_path: Path) -> None:
    import mrcarray

    path = tmp_path / "imod.mrc"
    stamp = bytes(40) + np.array([1146047817, 1], "<i4").tobytes()
    path.write_bytes(clean(nversion=0, extra2=stamp, origin=(-10, 0, 0)))
    before = mrcarray.open_file(path).geometry().start
    fix(path)
    assert mrcarray.open_file(path).geometry().start == before == (10.0, 0.0, 0.0)


def test_nversion_is_repaired_last(tmp_path: Path) -> None:
    path = tmp_path / "x.mrc"
    path.write_bytes(clean(nversion=0, cella=(-1, 12, 8)))
    done = fix(path)
    assert "word 28 (nversion) is only set once MRC111 is repaired [MRC128]" in map(str, done.asks)
    assert read_header(path).nversion == 0


@pytest.mark.parametrize(
    "raw",
    [
        patched(clean(nversion=0), 212, "4s", b"\x11\x11\0\0"),
        patched(patched(clean(nversion=0), 92, "<i", 4096), 104, "4s", b"MRCO"),
    ],
    ids=["stamp of the other order", "length of an extended header that is not there"],
)
def test_second_fix_changes_nothing(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.mrc"
    path.write_bytes(raw)
    done = fix(path)
    assert (done.left, done.asks) == ((), ())
    assert check(path).ok
    assert fix(path).changes == ()


@pytest.mark.parametrize(
    ("fields", "given"),
    [
        (
            {"ispg": 401, "m": (8, 6, 0), "cella": (16, 12, 8), "rms": 0.0, "machst": b"\x11\x11\0\0"},
            {"kind": "volume"},
        ),
        ({"ispg": 401, "m": (8, 6, 3), "rms": 0.0}, {"kind": "image_stack"}),
        ({"ispg": 401, "m": (8, 6, 3), "nsymbt": 4096, "nversion": 0}, {"kind": "volume"}),
        ({"ispg": 401, "m": (0, 6, 4), "cella": (16, 12, 8)}, {"kind": "image_stack"}),
        ({"map": b"XXXX", "machst": bytes(4), "dmin": 0.0, "dmax": -1.0, "dmean": -2.0}, {}),
    ],
)
def test_fix_repairs_what_another_repair_reveals(fields: dict[str, Any], given: dict[str, Any], tmp_path: Path) -> None:
    path, raw = tmp_path / "x.mrc", clean(**fields)
    path.write_bytes(raw)
    done = fix(path, **given)
    assert (done.left, done.asks, check(path).ok) == ((), (), True)
    assert fix(path, **given).changes == ()
    undo(path)
    assert path.read_bytes() == raw


def test_fix_reports_statistics_left_wrong(run: Callable[..., Done]) -> None:
    Path("x.mrc").write_bytes(clean(rms=0.5, map=b"MAP\0"))
    done = run("fix", "--kind", "image_stack", "--only", "MRC153", "x.mrc")
    assert done.status == 1
    assert "left: error: word 55 (rms) is 0.5" in done.out
    assert [issue.code for issue in check("x.mrc").issues if issue.is_error] == ["MRC504"]


def test_fix_names_the_edit_that_is_needed(run: Callable[..., Done]) -> None:
    Path("x.mrc").write_bytes(clean(nsymbt=-4) + bytes(3))
    (ask,) = fix("x.mrc").asks
    assert "mrcarray edit --set nsymbt=N FILE [MRC124]" in ask.sentence(command=True)
    Path("y.mrc").write_bytes(clean(ispg=401, m=(8, 6, 3)))
    done = run("fix", "--kind", "volume_stack", "y.mrc", "bad.mrc")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "edit --set mz=N FILE" in done.err
    assert done.out.startswith("bad.mrc: changed")


@pytest.mark.parametrize("fault", ["EIO", "torn"])
def test_failed_change_can_be_undone(fault: str, tmp_path: Path) -> None:
    path, raw = tmp_path / "x.mrc", clean(map=b"MAP\0", rms=0.0)
    path.write_bytes(raw)
    with calls_with() as dry:
        fix(path)
    undo(path)
    last = len(dry.seen) - 1 - dry.seen[::-1].index("pwrite" if fault == "torn" else "fsync")
    with (
        calls_with(last, failing(errno.EIO), torn=fault == "torn"),
        pytest.raises(OSError, match=r"x\.mrc"),
    ):
        fix(path)
    assert path.read_bytes()[1024:] == raw[1024:]
    assert path.read_bytes() != raw
    undo(path)
    assert path.read_bytes() == raw


def test_fix_only_some_codes(tmp_path: Path) -> None:
    path = tmp_path / "x.mrc"
    path.write_bytes(clean(map=b"MAP\0", rms=0.0))
    assert fix(path, only=("MRC5",)).done == ("MRC504",)
    assert check(path).codes == ("MRC153",)


def test_dry_run_changes_nothing(run: Callable[..., Done]) -> None:
    raw = Path("bad.mrc").read_bytes()
    done = run("fix", "-n", "--only", "MRC153,MRC504", "bad.mrc")
    assert done.status == 0
    assert "would change 2 words" in done.out
    assert "word 53 (map): 'MAP\\x00' -> 'MAP '" in done.out
    assert "byte 211: " in done.out or "byte 208: 4d 41 50 00 -> 4d 41 50 20" in done.out
    assert Path("bad.mrc").read_bytes() == raw
    assert not Path(undo_path("bad.mrc")).exists()


def test_output_keeps_the_input_unchanged(run: Callable[..., Done]) -> None:
    raw = Path("bad.mrc").read_bytes()
    assert run("fix", "bad.mrc", "-o", "new.mrc").status == 0
    assert Path("bad.mrc").read_bytes() == raw
    assert check("new.mrc").codes == ()
    done = run("fix", "bad.mrc", "-o", "new.mrc")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert run("fix", "bad.mrc", "-o", "new.mrc", "--overwrite").status == 0
    assert run("fix", "bad.mrc", "-o", "bad.mrc", "--overwrite").status == 2
    assert run("fix", "bad.mrc", "good.mrc", "-o", "c.mrc").status == 2


def test_compressed_file_is_refused(run: Callable[..., Done]) -> None:
    Path("z.mrc.gz").write_bytes(gzip.compress(clean(map=b"MAP\0")))
    done = run("fix", "z.mrc.gz")
    assert done.status == 2
    text = "only uncompressed local files can be changed in place; write an uncompressed copy first: "
    assert done.err == f"mrcarray: z.mrc.gz: {text}mrcarray convert FILE NEW.mrc\n"


def test_errors_left_are_shown_and_status_1(run: Callable[..., Done]) -> None:
    Path("x.mrc").write_bytes(clean(cella=(-1, 12, 8)))
    done = run("fix", "x.mrc")
    assert done.status == 1
    assert "not repaired: the header does not contain the voxel size; pass --voxel-size [MRC111]" in done.out
    assert run("fix", "--voxel-size", "1.5,1.5,2", "x.mrc").status == 0
    assert read_header("x.mrc").cella == (12.0, 9.0, 8.0)


def test_warnings_left_are_status_0(run: Callable[..., Done]) -> None:
    Path("x.ccp4").write_bytes(clean(extended=b"X,  Y,  Z".ljust(80), exttyp=bytes(4), nversion=0))
    assert run("validate", "x.ccp4").status == 0
    done = run("fix", "x.ccp4")
    assert done.status == 0
    assert "left: warning: word 27 (exttyp)" in done.out
    assert "left: error" not in done.out + run("edit", "--set", "nstart=1,2,3", "x.ccp4").out


def test_misspelt_field_suggests_the_right_one(run: Callable[..., Done]) -> None:
    Path("x.mrc").write_bytes(clean())
    done = run("edit", "--set", "voxelsize=2", "x.mrc")
    assert (done.status, "; did you mean 'voxel_size'?" in done.err) == (2, True)


def test_fix_of_nan_pixels_sets_undetermined_statistics(tmp_path: Path) -> None:
    path = tmp_path / "x.mrc"
    values = np.zeros((2, 3, 4), "f4")
    values[0, 0, 0] = np.nan
    path.write_bytes(builders.mrc_bytes(values, rms=float("inf"), nlabl=1, labels=b"x"))
    fix(path)
    header = read_header(path)
    assert (header.dmin, header.dmax, header.dmean, header.rms) == (0, -1, -2, -1)


# ------------------------------------------------------------------------------- edit


def test_edit_changes_only_the_given_fields(run: Callable[..., Done]) -> None:
    raw = Path("good.mrc").read_bytes()
    done = run("edit", "--set", "voxel_size=1.08", "--set", "nstart=0,0,-7", "--add-label", "binned", "good.mrc")
    assert done.status == 0
    header = read_header("good.mrc")
    assert header.cella == pytest.approx((8.64, 6.48, 4.32))
    assert header.nstart == (0, 0, -7)
    assert header.text_labels == ("made for tests", "binned")
    assert (
        header.replace(
            **{name: getattr(read_header_of(raw), name) for name in ("cella", "nstart", "labels", "nlabl")}
        ).raw
        == raw[:1024]
    )
    assert run("undo", "good.mrc").status == 0
    assert Path("good.mrc").read_bytes() == raw


def read_header_of(raw: bytes) -> Any:
    from mrcarray.format.header import Header

    return Header.parse(raw)[0]


@pytest.mark.parametrize(
    "setting",
    [
        "frob=1",
        "nstart",
        "nstart=a,b,c",
        "mode=x",
        "labels=x",
        "nx=1e5",
        "voxel_size=0",
        "kind=thing",
        "exttyp=TOOLONG",
        "exttyp=h\xe9",
        "machst=hex:zz",
        "origin=1,2",
    ],
)
def test_wrong_settings_are_refused(setting: str, run: Callable[..., Done]) -> None:
    raw = Path("good.mrc").read_bytes()
    done = run("edit", "--set", setting, "good.mrc")
    assert (done.status, done.err.count("\n")) == (2, 1), done
    assert Path("good.mrc").read_bytes() == raw


def test_edit_that_breaks_the_file_needs_force(run: Callable[..., Done]) -> None:
    done = run("edit", "--set", "nz=7", "good.mrc")
    assert done.status == 2
    assert "the change makes the file invalid" in done.err
    assert run("edit", "--force", "--set", "nz=7", "good.mrc").status == 0
    assert read_header("good.mrc").nz == 7


def test_edit_without_settings_is_refused(run: Callable[..., Done]) -> None:
    assert run("edit", "good.mrc").status == 2


def test_too_many_or_wrong_labels_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.mrc"
    path.write_bytes(clean())
    with pytest.raises(MrcValueError, match="cannot add 10 labels: 1 of 10 are in use"):
        edit(path, {}, add_labels=["x"] * 10)
    with pytest.raises(MrcValueError, match="expected at most 80"):
        edit(path, {}, add_labels=["x" * 81])
    for text in ("two\nlines", "bell\x07", "h\xe9"):
        with pytest.raises(MrcValueError, match="expected printable ASCII"):
            edit(path, {}, add_labels=[text])


@pytest.mark.parametrize("kind", ["image_stack", "volume", "volume_stack"])
def test_edit_kind_keeps_the_voxel_size(kind: str, tmp_path: Path) -> None:
    import mrcarray

    path = tmp_path / "x.mrc"
    path.write_bytes(clean(ispg=0, m=(8, 6, 4), cella=(16, 12, 8)))
    edit(path, {"kind": kind})
    mrc = mrcarray.open_file(path)
    assert mrc.layout is not None
    assert mrc.layout.kind == kind
    assert mrc.geometry().voxel_size == (2.0, 2.0, 2.0)


# ------------------------------------------------------------------------------- undo


def test_undo_reverts_step_by_step(run: Callable[..., Done]) -> None:
    states = [Path("good.mrc").read_bytes()]
    for place in ("1,2,3", "4,5,6"):
        run("edit", "--set", f"origin={place}", "good.mrc")
        states.append(Path("good.mrc").read_bytes())
    assert "would change" in run("undo", "-n", "good.mrc").out
    for state in reversed(states[:-1]):
        assert run("undo", "good.mrc").status == 0
        assert Path("good.mrc").read_bytes() == state
    done = run("undo", "good.mrc")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("mrcarray: good.mrc: nothing to undo")


def test_undo_refuses_a_header_changed_by_others(tmp_path: Path) -> None:
    path = tmp_path / "x.mrc"
    path.write_bytes(clean(map=b"MAP\0"))
    fix(path)
    raw = path.read_bytes()
    path.write_bytes(raw[:211] + b"!" + raw[212:])
    with pytest.raises(ConflictError, match="changed after the recorded change"):
        undo(path)


def test_undo_refuses_another_file_of_the_same_name(tmp_path: Path) -> None:
    path = tmp_path / "x.mrc"
    path.write_bytes(clean(map=b"MAP\0"))
    fix(path)
    other = clean(VOLUME * 2)
    path.write_bytes(other)
    with pytest.raises(ConflictError, match="changed after the recorded change"):
        undo(path)
    assert path.read_bytes() == other


def test_failed_record_keeps_the_others(run: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    raw = Path("good.mrc").read_bytes()
    run("edit", "--set", "ispg=4", "good.mrc")
    record = Path(undo_path("good.mrc")).read_bytes()

    for name, before in (("good.mrc", record), ("bad.mrc", None)):
        with calls_with() as dry:
            run("edit", "--dry-run", "--set", "origin=1,2,3", name)
        assert dry.seen == []
        with monkeypatch.context() as patch:
            patch.setattr(atomic.Calls, "fsync", staticmethod(lambda _: failing(errno.ENOSPC)()))
            done = run("edit", "--set", "origin=1,2,3", name)
        undo_file = Path(undo_path(name))
        assert done.status == 2
        assert done.err.endswith(
            f"{undo_file.name}: No space left on device; pass --no-undo to change the file without an undo record\n"
        )
        assert (undo_file.read_bytes() if undo_file.exists() else None) == before
    undo("good.mrc")
    assert Path("good.mrc").read_bytes() == raw


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"offset": 2000, "before": "00", "after": "01"}'])
def test_damaged_record_is_an_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.mrc"
    path.write_bytes(clean())
    Path(undo_path(path)).write_text(text)
    with pytest.raises(MrcValueError, match="the undo record is damaged"):
        undo(path)


HOSTILE = [
    "[" * 100_000,
    '{"offset": ' + "[" * 50_000,
    '{"offset": "0", "before": "00", "after": "01"}',
    '{"offset": true, "before": "00", "after": "01"}',
    '{"offset": 1.5, "before": "00", "after": "01"}',
    '{"offset": null, "before": "00", "after": "01"}',
    '{"offset": 0, "before": 7, "after": "01"}',
    '{"offset": 0, "before": "00", "after": "01", "rest": [1]}',
    '{"offset": 0, "before": "00", "after": "0102"}',
    '{"offset": -1, "before": "00", "after": "01"}',
    '"text"',
    "\u00e4",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_record_is_an_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.mrc"
    path.write_bytes(clean())
    Path(undo_path(path)).write_bytes(text.encode() + b"\n")
    with pytest.raises(MrcValueError, match="the undo record is damaged"):
        undo(path)
    assert path.read_bytes() == clean()


def test_planted_link_or_pipe_is_refused(tmp_path: Path) -> None:
    path, mine = tmp_path / "x.mrc", tmp_path / "mine"
    path.write_bytes(clean())
    mine.write_bytes(b"mine\n")
    record = Path(undo_path(path))
    for target in ("mine", "nothing"):
        record.symlink_to(target)
        with pytest.raises(OSError, match="is a symbolic link; delete it; pass keep_undo=False"):
            edit(path, {"ispg": 4})
        with pytest.raises(OSError, match="is a symbolic link; delete it"):
            undo(path)
        record.unlink()
    os.mkfifo(record)
    with pytest.raises(OSError, match="not a regular file; delete it"):
        edit(path, {"ispg": 4})
    with pytest.raises(OSError, match="not a regular file; delete it"):
        undo(path)
    assert mine.read_bytes() == b"mine\n"
    assert not (tmp_path / "nothing").exists()
    assert path.read_bytes() == clean()


def test_huge_record_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.mrc"
    path.write_bytes(clean())
    with Path(undo_path(path)).open("wb") as file:
        file.truncate(6 << 30)
    with pytest.raises(OSError, match="expected at most 16777216"):
        undo(path)


@pytest.mark.parametrize("kept", [1, 40, -2, -1])
def test_truncated_record_line_hides_no_other(kept: int, tmp_path: Path) -> None:
    """The record is on the disk before the header changes, so a line cut short is of a change that was never made."""
    path = tmp_path / "x.mrc"
    path.write_bytes(clean())
    edit(path, {"ispg": 4})
    first = path.read_bytes()
    record = Path(undo_path(path))
    line = record.read_bytes()
    edit(path, {"ispg": 5})
    path.write_bytes(first)
    record.write_bytes(line + record.read_bytes()[len(line) :][:kept])
    if kept != -1:  # without its newline alone, the line is whole: its change may have been made
        edit(path, {"nstart": (1, 2, 3)})
        undo(path)
        assert path.read_bytes() == first
        undo(path)
        assert path.read_bytes() == clean()
        assert not record.exists()
    record.write_bytes(line + b'{"offset": 8')
    path.write_bytes(first)
    undo(path)
    assert path.read_bytes() == clean()


def test_record_is_flushed_before_the_header_changes(tmp_path: Path) -> None:
    path = tmp_path / "x.mrc"
    path.write_bytes(clean())
    with calls_with() as calls:
        edit(path, {"ispg": 4})
    order = [name for name in calls.seen if name in ("pwrite", "fsync", "replace")]
    assert order == ["pwrite", "fsync", "replace", "fsync", "pwrite", "fsync"]


def test_no_undo_keeps_no_record(tmp_path: Path) -> None:
    path = tmp_path / "x.mrc"
    path.write_bytes(clean(map=b"MAP\0"))
    fix(path, keep_undo=False)
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.mrc"]


def test_file_changed_meanwhile_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.mrc"
    path.write_bytes(clean(map=b"MAP\0"))
    with pytest.raises(MrcFormatError, match="changed after it was opened"):
        fix(path, progress=lambda _: os.utime(path, ns=(1, 1)))

    def meddle(old: bytes, new: bytes) -> tuple[int, int]:
        os.utime(path, ns=(2, 2))
        return span(old, new)

    monkeypatch.setattr("mrcarray.repair.api.span", meddle)
    with pytest.raises(ConflictError, match="changed the file meanwhile"):
        fix(path)
    assert path.read_bytes()[208:212] == b"MAP\0"
    assert not Path(undo_path(path)).exists()


def test_pixels_are_never_written(tmp_path: Path) -> None:
    path = tmp_path / "x.mrc"
    path.write_bytes(clean(VOLUME, map=b"MAP\0"))
    fix(path)
    assert path.read_bytes()[1024:] == VOLUME.tobytes()


def test_hints_name_existing_options(run: Callable[..., Done]) -> None:
    import re

    advice = {found for row in CHECKS.values() for found in re.findall(r"mrcarray (\w+)((?: --[\w-]+)?)", row.repair)}
    for command, option in advice:
        assert option.strip() in run(command, "--help").out


def test_deltavision_mark_is_removed_as_advised(run: Callable[..., Done]) -> None:
    Path("x.mrc").write_bytes(CASES["MRC646"].bad)
    assert run("edit", "--set", "extra1=hex:", "x.mrc").status == 0
    assert check("x.mrc", profile="imod").codes == ()


@pytest.mark.parametrize("letter", ["x", "\u00fc", "\u96fb"])
def test_longest_name_can_be_fixed_and_undone(letter: str, tmp_path: Path) -> None:
    length = len(letter.encode())
    paths = [tmp_path / f"{letter * (250 // length)}{end}.mrc" for end in ("a", "b")]
    for path in paths:
        path.write_bytes(clean(map=b"MAP\0"))
        assert fix(path).done == ("MRC153",)
    assert len({undo_path(path) for path in paths}) == 2
    for path in paths:
        undo(path)
        assert path.read_bytes() == clean(map=b"MAP\0")
    assert sorted(tmp_path.iterdir()) == sorted(paths)


@pytest.mark.parametrize("args", [("fix",), ("edit", "--set", "ispg=4"), ("undo",), ("fix", "-o", "x.mrc")])
def test_url_is_refused_without_a_request(args: tuple[str, ...], run: Callable[..., Done]) -> None:
    done = run(*args, "http://127.0.0.1:1/x.mrc")
    assert done.status == 2
    text = "only local files can be changed in place; copy it here first: mrcarray convert URL FILE"
    assert done.err == f"mrcarray: http://127.0.0.1:1/x.mrc: {text}\n"
