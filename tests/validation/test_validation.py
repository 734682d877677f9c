"""Validation: agreement with the classic validator, tolerance, bounded memory, and that nothing is ever raised."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import math
import os
import random
import struct
import subprocess
import sys
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import mrcfile
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import mrcarray
from mrcarray.analysis.blockwise import BLOCK
from mrcarray.errors import MrcValueError
from mrcarray.format.issues import Severity
from mrcarray.validation import Report, validate
from tests import builders
from tests.cases import CASES, VOLUME, clean, patched
from tests.storage.compressing import zstd
from tests.storage.servers import Site, serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# ------------------------------------------------------------------------------- the classic validator

#: The beginning of each line of the classic validator, and our codes for it.
SHARED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Map ID string", ("MRC153", "MRC125", "MRC901", "MRC908")),
    ("Invalid machine stamp", ("MRC161", "MRC160", "MRC125", "MRC901")),
    ("Invalid mode", ("MRC104", "MRC162", "MRC901")),
    ("Header field 'n", ("MRC101", "MRC156")),
    ("Header field 'm", ("MRC108",)),
    ("Header field 'ispg'", ("MRC123",)),
    ("Cell dimension", ("MRC111",)),
    ("Invalid axis mapping", ("MRC117",)),
    ("Error in dimensions for volume stack", ("MRC110",)),
    ("Error in header labels: empty", ("MRC157",)),
    ("Error in header labels: nlabl", ("MRC158", "MRC156")),
    ("File does not declare", ("MRC128",)),
    ("Extended header type", ("MRC127",)),
    ("Data statistics appear to be inaccurate: RMS", ("MRC504", "MRC507")),
    ("Data statistics appear to be inaccurate: minimum", ("MRC501",)),
    ("Data statistics appear to be inaccurate: maximum", ("MRC502",)),
    ("Data statistics appear to be inaccurate: mean", ("MRC503",)),
    ("File is larger", ("MRC202", "MRC201", "MRC203")),
)

#: Errors of ours that the classic validator does not know, each for a reason.
OURS: dict[str, str] = {
    "MRC101": "a dimension of 0 beside others that are not passes there",
    "MRC110": "it dies of a division by zero where mz is 0",
    "MRC111": "NaN and infinite cells pass there",
    "MRC114": "it does not look at angles",
    "MRC124": "it does not look at a negative length of the extended header",
    "MRC156": "more than 10 labels are only a wrong count there",
    "MRC162": "a stamp that contradicts the other words is overruled there without a word, or gives garbage",
    "MRC201": "a file that is too short is one whose data could not be read, which is not counted as a rule there",
    "MRC203": "a stale length of the extended header is a missing data block there",
    "MRC204": "it fails to allocate",
    "MRC508": "NaN statistics pass there",
}


def classic_lines(raw: bytes, path: Path) -> list[str]:
    """Return what the classic validator prints about a file."""
    path.write_bytes(raw)
    out = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        valid = mrcfile.validate(str(path), print_file=out)
    lines = out.getvalue().split("\n")[1:-1]
    return [] if valid else lines


VALUES: dict[str, tuple[Any, ...]] = {
    "nx": (8, 8, -8, 0),
    "nz": (4, -1, 3),
    "mode": (2, 0, 1, 6, 12, 4, 7, 9, -1),
    "m": ((8, 6, 4), (8, 6, -4), (-1, 6, 4), (8, 6, 2), (8, 6, 3)),
    "ispg": (0, 1, 4, 401, 630, 231, -1),
    "cella": ((16, 12, 8), (16, -12, 8), (0, 0, 0), (math.nan, 12, 8)),
    "cellb": ((90, 90, 90), (0, 0, 0), (90, 120, 90)),
    "mapcrs": ((1, 2, 3), (3, 1, 2), (1, 1, 1), (0, 0, 0), (1, 2, 4)),
    "nlabl": (1, 0, 2, 11, -1),
    "labels": (b"a".ljust(80), b"".ljust(80) + b"b".ljust(80), b"a".ljust(80) + b"b".ljust(80), b""),
    "nversion": (20140, 20141, 0, 20150),
    "map": (b"MAP ", b"MAP\0", bytes(4), b"map "),
    "machst": (b"\x44\x44\0\0", b"\x44\x41\0\0", bytes(4), b"\x44\0\0\0", b"\x11\x11\0\0"),
    "rms": (-1.0, 0.0, 1.0, 5.0),
    "dmin": (-99.0, 0.0),
    "dmax": (99.0, -100.0),
    "dmean": (0.0, 3.0, -200.0),
    "exttyp": (b"SERI", b"XXXX", b"MRCO"),
    "origin": ((0, 0, 0), (1, 2, 3)),
}


def generated(number: int) -> bytes:
    """Return a file with up to four words changed at random; half of them have an extended header."""
    draw = random.Random(number)
    names = draw.sample(sorted(VALUES), draw.randrange(5))
    fields = {name: draw.choice(VALUES[name]) for name in names}
    extended = bytes(160) if draw.random() < 0.3 else b""
    if extended:
        fields.setdefault("exttyp", b"MRCO")
    mode = fields.pop("mode", 2)
    known = mode in builders.ITEMS and mode not in (3, 7)
    values = VOLUME.astype(builders.ITEMS[mode]) if known else VOLUME
    if mode == 12 and draw.random() < 0.5:
        values = (VOLUME * 200).astype("f2")
    raw = clean(values, mode if known else 2, extended=extended, **fields)
    if not known:
        raw = patched(raw, 12, "<i", mode)
    return raw + b"\0" * draw.choice((0, 0, 0, 0, 7))


@pytest.mark.parametrize("batch", range(4))
def test_findings_agree_with_the_classic_validator(batch: int, tmp_path: Path) -> None:
    for number in range(batch * 600, batch * 600 + 600):
        raw = generated(number)
        lines = classic_lines(raw, tmp_path / "x.mrc")
        report = validate(raw)
        errors = {issue.code for issue in report.issues if issue.is_error}
        unread = any("not checked" in line or "Traceback" in line for line in lines)
        explained: set[str] = set()
        for line in lines:
            codes = next((codes for start, codes in SHARED if line.startswith(start)), ())
            explained |= set(codes)
            if codes and comparable(line, report, raw):
                assert set(codes) & set(report.codes), (number, line, report.codes)
        if not unread:
            assert errors <= explained | set(OURS), (number, errors - explained, lines)
        if not lines:
            assert errors <= set(OURS), (number, errors)


#: Lines of the classic validator that need not be findings of ours, each for a reason.
THEIRS: dict[str, Callable[[str, Report, bytes], bool]] = {
    "of some files we say only what they are not": lambda _, report, __: bool({"MRC162", "MRC901"} & set(report.codes)),
    "statistics of pixels that are not there are compared with 0 or NaN there": lambda line, report, _: (
        line.startswith("Data stat") and "statistics" not in report.facts
    ),
    "complex pixels have no order": lambda line, report, _: (
        line.startswith("Data stat") and report.facts["mode"] == 4 and "RMS" not in line
    ),
    "the squares of half floats overflow there": lambda line, report, _: (
        "RMS deviation is inf" in line and report.facts["mode"] == 12
    ),
    "means near zero": lambda line, _, raw: "mean is" in line and near_zero(raw),
    "sizes are not judged where the pixels cannot be located": lambda line, report, _: (
        line.startswith("File is larger") and bool({"MRC101", "MRC110"} & set(report.codes))
    ),
}


def comparable(line: str, report: Report, raw: bytes) -> bool:
    """Whether a line of the classic validator must be a finding of ours too."""
    return not any(differs(line, report, raw) for differs in THEIRS.values())


def near_zero(raw: bytes) -> bool:
    """Whether the mean is stated within a hundredth of the spread, which the classic validator's rule refuses."""
    (dmean,) = struct.unpack_from("<f", raw, 84)
    return bool(abs(dmean - VOLUME.mean()) <= 0.02 * VOLUME.std()) or raw[212] == 0x11


def test_the_deviation_of_half_floats_is_judged_by_its_true_value(tmp_path: Path) -> None:
    values = (VOLUME * 200).astype("f2")
    true, wrong = clean(values, 12), clean(values, 12, rms=250.0)
    for raw in (true, wrong):
        (line,) = classic_lines(raw, tmp_path / "x.mrc")
        assert "RMS deviation is inf" in line
    assert validate(true).codes == ()
    assert validate(wrong).codes == ("MRC504",)


@pytest.mark.data
def test_verdicts_on_real_files_agree_with_the_classic_validator(shared_data: Path, tmp_path: Path) -> None:
    names = ("1jzv.ccp4", "EMD-3197.map", "de_movie.mrc", "fei-extended.mrc", "hand.5.mrcs", "serialem_tilt.mrc")
    for name in names:
        path = shared_data / name
        lines = classic_lines(path.read_bytes(), tmp_path / name)
        assert validate(path, profile="strict").ok == (not lines), (name, lines)


@pytest.mark.data
def test_real_files_are_valid_but_for_what_is_broken(shared_data: Path) -> None:
    names = [path.name for path in shared_data.iterdir() if path.suffix not in (".md", ".mdoc")]
    broken = {name for name in names if not validate(shared_data / name).ok}
    assert broken == {"de_movie.mrc"}, "its cell has negative lengths"
    assert len(names) > 10


@pytest.mark.data
def test_files_written_from_real_maps_are_valid(shared_data: Path, tmp_path: Path) -> None:
    for name in ("EMD-3197.map", "1jzv.ccp4", "relion31.mrcs"):
        array = xr.open_dataarray(shared_data / name, engine="mrc")
        array.mrc.to_mrc(tmp_path / name)
        (array * 2).astype(array.dtype).mrc.to_mrc(tmp_path / f"twice_{name}")
        assert validate(tmp_path / name).ok
        assert validate(tmp_path / f"twice_{name}").ok


FORMALITIES: dict[str, dict[str, Any]] = {
    "MRC117": {"mapcrs": (0, 0, 0)},
    "MRC127": {"extended": bytes(160)},
    "MRC128": {"nversion": 0},
    "MRC153": {"map": bytes(4)},
    "MRC156": {"nlabl": 11},
    "MRC157": {"nlabl": 2, "labels": b"one".ljust(160) + b"three"},
    "MRC158": {"nlabl": 3},
    "MRC161": {"machst": bytes(4)},
    "MRC504": {"rms": 0.0},
}


@pytest.mark.parametrize("code", FORMALITIES)
@pytest.mark.parametrize("profile", ["mrc2014", "imod", "relion", "emdb"])
def test_formalities_of_old_files_are_errors_under_strict_only(code: str, profile: str) -> None:
    raw = clean(**FORMALITIES[code])
    (strict,) = (issue for issue in validate(raw, profile="strict").issues if issue.code == code)
    assert strict.severity is Severity.ERROR
    found = [issue for issue in validate(raw, profile=profile).issues if issue.code == code]
    assert all(not issue.is_error for issue in found)
    assert validate(raw, profile=profile).ok


@pytest.mark.parametrize(
    "fields", [{"rms": 0.5}, {"dmin": -9.0}, {"mapcrs": (1, 1, 3)}, {"cella": (-16, 12, 8)}, {"map": b"HKL "}]
)
def test_what_is_wrong_is_an_error_under_every_profile(fields: dict[str, Any]) -> None:
    assert not validate(clean(**fields)).ok
    assert not validate(clean(**fields), profile="strict").ok


@pytest.mark.parametrize("kind", ["image", "image_stack", "volume", "volume_stack"])
@pytest.mark.parametrize("mode", [0, 1, 2, 4, 6, 12, 101])
def test_what_the_library_writes_is_valid(mode: int, kind: str, tmp_path: Path) -> None:
    shape = {"image": (5, 8), "volume_stack": (2, 3, 5, 8)}.get(kind, (3, 5, 8))
    values = builders.sample(shape, mode)
    for order in ("little", "big"):
        for name in ("a.mrc", "a.mrc.gz"):
            options: dict[str, Any] = {
                "kind": kind,
                "mode": mode,
                "byteorder": {"little": "<", "big": ">"}[order],
                "overwrite": True,
            }
            mrcarray.to_mrc(values, tmp_path / name, voxel_size=1.5, **options)
            report = validate(tmp_path / name)
            assert report.ok, report
            assert set(report.codes) <= {"MRC154", "MRC510", "MRC511"}


# ------------------------------------------------------------------------------- tolerance


def test_statistics_summed_in_single_precision_are_no_error() -> None:
    values = np.full((4, 512, 512), 1000.1, "f4")
    values[::2] += 3
    mean = np.float32(0)
    for row in values.reshape(-1, 1024):
        mean += row.sum(dtype="f4")
    mean /= values.size
    assert float(mean) != float(values.mean(dtype="f8"))
    assert validate(clean(values, dmean=float(mean))).codes == ()


def test_the_deviation_of_the_sample_is_no_error() -> None:
    values = builders.sample((1, 2, 3), 2)
    assert validate(clean(values, rms=float(values.std(ddof=1)))).codes == ()
    assert validate(clean(values, rms=float(values.std(ddof=1)) * 1.05)).codes == ("MRC504",)


def test_a_mean_near_zero_may_be_wrong_by_a_hundredth_of_the_spread() -> None:
    values = VOLUME - VOLUME.mean(dtype="f8").astype("f4")
    assert validate(clean(values, dmean=0.005)).codes == ()
    assert validate(clean(values, dmean=0.05)).codes == ("MRC503",)


@pytest.mark.parametrize("mode", [0, 1, 2, 3, 4, 6, 12, 101])
@pytest.mark.parametrize("order", ["<", ">"])
def test_true_statistics_of_every_mode_and_byte_order_are_found_true(mode: int, order: str) -> None:
    values = builders.sample((2, 5, 7), mode)
    statistics = {"dmin": 0.0, "dmax": -1.0, "dmean": -2.0} if mode in (3, 4) else {}
    assert set(validate(clean(values, mode, byteorder=order, **statistics)).codes) <= {"MRC510"}


def test_undetermined_statistics_are_only_a_note() -> None:
    report = validate(clean(dmin=0.0, dmax=-1.0, dmean=-2.0, rms=-1.0))
    assert report.ok
    assert [issue.severity for issue in report.issues] == [Severity.NOTE]


# ------------------------------------------------------------------------------- how files are read


def test_the_header_level_does_not_look_at_pixels() -> None:
    raw = clean(rms=0.0)
    assert validate(raw).codes == ("MRC504",)
    assert validate(raw, level="header").codes == ()
    assert "statistics" not in validate(raw, level="header").facts


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_threads_changes_nothing(threads: int, tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=(9, 256, 512)).astype("f4")
    assert values.nbytes > 2 * BLOCK
    path = tmp_path / "a.mrc"
    path.write_bytes(clean(values))
    seen: list[int] = []
    report = validate(path, threads=threads, progress=seen.append)
    assert report == validate(path, threads=1)
    assert report.codes == ()
    assert sum(seen) == values.nbytes


def test_four_bit_rows_of_odd_length_are_seen_pixel_by_pixel() -> None:
    values = builders.sample((3, 400, 4001), 101)
    report = validate(clean(values, 101))
    assert report.codes == ()
    assert report.facts["statistics"]["count"] == values.size


checked_zstd = partial(zstd, checksum=True)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, checked_zstd])
def test_compressed_files_are_checked_like_plain_ones(pack: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.mrc.x"
    for raw in (clean(), clean(rms=0.0), clean() + bytes(9), clean()[:-40], clean(map=b"MAP\0")):
        path.write_bytes(pack(raw))
        assert validate(path).codes == validate(raw).codes
        assert validate(path).facts["compressed"]


def test_a_stale_length_of_the_extended_header_is_found_in_compressed_files(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc.gz"
    path.write_bytes(gzip.compress(CASES["MRC203"].bad))
    report = validate(path)
    assert report.codes == ("MRC203",)
    assert report.facts["statistics"]["count"] == VOLUME.size


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, checked_zstd])
def test_a_damaged_stream_is_a_finding(pack: Any, tmp_path: Path) -> None:
    packed = bytearray(pack(clean()))
    packed[len(packed) - 6 if pack is gzip.compress else len(packed) // 2] ^= 0xFF
    path = tmp_path / "a.mrc.x"
    path.write_bytes(packed)
    report = validate(path)
    assert not report.ok
    assert "MRC912" in report.codes


def test_remote_files_are_checked_like_local_ones_and_cross_the_wire_once() -> None:
    bad = clean(rms=0.0)
    values = np.random.default_rng(1).normal(size=(3, 512, 512)).astype("f4")
    rows = {
        "a.mrc": clean(),
        "b.mrc": bad,
        "c.mrc.gz": gzip.compress(bad),
        "d.mrc": clean()[:-40],
        "e.mrc": clean(values),
    }
    with serving(Site({f"/{name}": raw for name, raw in rows.items()})) as site:
        for name, raw in rows.items():
            site.reset()
            report = validate(f"{site.url}/{name}")
            assert (report.codes, report.readable) == (validate(raw).codes, True)
            assert site.sent <= len(raw) + (1 << 16)
        site.reset()
        assert validate(f"{site.url}/e.mrc", level="header").codes == ()
        assert site.sent <= 1 << 16


def test_a_remote_file_that_is_not_there_is_a_finding() -> None:
    with serving(Site()) as site:
        report = validate(f"{site.url}/nothing.mrc")
    assert (report.readable, report.codes) == (False, ("MRC911",))
    assert report.issues[0].message == "the server has no such file (status 404)"
    assert validate("nosuch://a/b").issues[0].message == "Protocol not known: nosuch"


def test_a_file_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    report = validate(tmp_path / "nothing.mrc")
    assert (report.ok, report.readable, report.codes) == (False, False, ("MRC911",))
    assert report.issues[0].message == "No such file or directory"


def test_a_folder_is_a_finding(tmp_path: Path) -> None:
    assert validate(tmp_path).issues[0].message == "Is a directory"


def test_a_file_that_changes_while_it_is_read_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    values = np.zeros((3, 1024, 1024), "f4")
    path.write_bytes(clean(values))
    report = validate(path, threads=1, progress=lambda _: os.utime(path, ns=(1, 1)))
    assert "MRC913" in report.codes


def test_a_source_that_fails_is_a_finding() -> None:
    class Broken(io.BytesIO):
        def read(self, _size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

        readinto = None  # type: ignore[assignment]

    report = validate(Broken(clean()))
    assert report.codes == ("MRC911",)


def test_an_object_that_has_less_than_it_says_is_a_finding() -> None:
    class Short(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(size) if self.tell() < 1024 else b""

        readinto = None  # type: ignore[assignment]

    assert validate(Short(clean())).codes == ("MRC201",)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MemoryError(), "not enough memory"),
        (RuntimeError("made for\nthis test"), "RuntimeError: made for\\nthis test"),
        (MrcValueError("no such thing"), "no such thing"),
    ],
)
def test_whatever_goes_wrong_is_a_finding(error: Exception, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("mrcarray.validation.gather", fails)
    report = validate(clean())
    assert (report.readable, report.codes, report.issues[0].message) == (False, ("MRC911",), text)


def test_wrong_arguments_raise() -> None:
    with pytest.raises(MrcValueError, match="profile is 'pdb'"):
        validate(clean(), profile="pdb")
    with pytest.raises(MrcValueError, match="level is 'deep'"):
        validate(clean(), level="deep")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not None"):
        validate(None)


@given(st.data())
def test_nothing_a_file_holds_raises(data: st.DataObject) -> None:
    raw = bytearray(clean(extended=bytes(48)))
    for _ in range(data.draw(st.integers(0, 6))):
        offset = data.draw(st.integers(0, 255)) * 4
        raw[offset : offset + 4] = data.draw(st.binary(min_size=4, max_size=4))
    cut = data.draw(st.integers(0, len(raw)))
    report = validate(bytes(raw[:cut] if data.draw(st.booleans()) else raw))
    assert isinstance(report, Report)
    json.dumps(report.to_dict(), allow_nan=False)
    assert str(report).isprintable() or "\n" in str(report)


MEMORY = """
import re, sys
from pathlib import Path
import mrcarray.analysis.blockwise, mrcarray.statistics, mrcarray.format.extended, mrcarray.storage
from mrcarray.validation import validate
validate(sys.argv[2])
def peak():  # of this program; ru_maxrss would be that of the process that started it, where that is larger
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
before = peak()
report = validate(sys.argv[1])
print(peak() - before, *report.codes)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")  # noqa: PTH110 -- before the test
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    big, small = tmp_path / "big.mrc", tmp_path / "small.mrc"
    small.write_bytes(clean())
    big.write_bytes(builders.header_bytes(nx=1024, ny=1024, nz=256, m=(1024, 1024, 256), cella=(2048, 2048, 512)))
    os.truncate(big, 1024 + 4 * 1024 * 1024 * 256)
    done = subprocess.run([sys.executable, "-c", MEMORY, big, small], capture_output=True, text=True, check=True)
    grown, *codes = done.stdout.split()
    assert codes == ["MRC511"]
    assert float(grown) < 64


# ------------------------------------------------------------------------------- comparing


def test_large_arrays_are_compared_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    from mrcarray.analysis.compare import diff, differences

    values = np.zeros((3, 4, 50), "f4")
    other = values.copy()
    other[2, 3, 49], other[0, 0, 0] = 2, np.nan
    for step in (10_000, 200, 60, 7):
        monkeypatch.setattr(differences, "STEP", step)
        found = diff(builders.mrc_bytes(values), builders.mrc_bytes(other))
        assert (found.pixels, found.largest) == (2, 2.0)


# ------------------------------------------------------------------------------- reports


def test_a_report_tells_what_the_file_is() -> None:
    facts = validate(clean(extended=bytes(160), exttyp=b"MRCO")).facts
    assert (facts["kind"], facts["shape"], facts["mode"], facts["dtype"]) == ("volume", [4, 6, 8], 2, "f4")
    assert (facts["offset"], facts["nsymbt"], facts["exttyp"], facts["byteorder"]) == (1184, 160, "MRCO", "little")
    assert facts["voxel_size"] == [2.0, 2.0, 2.0]
    assert facts["statistics"]["maximum"] == float(VOLUME.max())


def test_findings_are_selected_by_the_beginning_of_their_codes() -> None:
    report = validate(clean(map=b"MAP\0", nversion=0, rms=0.0))
    assert report.codes == ("MRC128", "MRC153", "MRC504")
    assert report.select(("MRC1",)).codes == ("MRC128", "MRC153")
    assert report.select(ignore=("MRC128", "MRC5")).codes == ("MRC153",)


def test_a_report_reads_as_text_and_as_plain_values() -> None:
    report = validate(clean(nversion=0), profile="strict")
    assert str(report).splitlines()[1] == "  error: word 28 (nversion) is 0; expected 20140 or 20141 [MRC128]"
    plain = report.to_dict()
    assert plain["issues"][0]["repair"].startswith("mrcarray fix")
    assert plain["issues"][0]["fixable"]
    assert json.loads(json.dumps(plain))["facts"]["shape"] == [4, 6, 8]


def test_numbers_json_has_not_are_plain_values() -> None:
    values = np.full((2, 3, 4), 1 + 2j, "c8")
    plain = validate(clean(values, 4, cella=(math.nan, 1, 1), dmin=0.0, dmax=-1.0, dmean=-2.0)).to_dict()
    assert plain["facts"]["statistics"]["mean"] == [1.0, 2.0]
    assert plain["facts"]["voxel_size"][0] is None
    json.dumps(plain, allow_nan=False)


def test_control_characters_of_a_file_never_reach_the_text() -> None:
    report = validate(clean(map=b"\x1b[2J", labels=b"\x1b]0;evil\x07"))
    text = str(report) + json.dumps(report.to_dict(), ensure_ascii=False)
    assert "\x1b" not in text
    assert "\x07" not in text
