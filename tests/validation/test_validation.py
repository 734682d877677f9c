"""`check`: agreement with mrcfile's validator, tolerances, bounded memory, reports; no file raises."""

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
from mrcarray.validation import Report, check
from tests import builders
from tests.cases import CASES, VOLUME, clean, patched
from tests.storage.compressing import zstd
from tests.storage.servers import Site, serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# ------------------------------------------------------------------------------- mrcfile's validator

#: The start of each line of mrcfile's validator, and our codes for it.
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

#: Errors of ours that mrcfile's validator does not report, each with the reason.
OURS: dict[str, str] = {
    "MRC101": "it accepts one dimension of 0",
    "MRC110": "it divides by zero when mz is 0",
    "MRC111": "it accepts NaN and infinite cells",
    "MRC114": "it does not check angles",
    "MRC124": "it does not check for a negative nsymbt",
    "MRC156": "more than 10 labels are only a wrong count there",
    "MRC162": "it silently overrules a contradicting stamp, or reads garbage",
    "MRC201": "it reports unreadable data without a rule of its own",
    "MRC203": "it reports missing data",
    "MRC204": "it fails to allocate",
    "MRC508": "it accepts NaN statistics",
}


def classic_lines(raw: bytes, path: Path) -> list[str]:
    """Return what mrcfile's validator prints about a file."""
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
def test_errors_agree_with_mrcfile(batch: int, tmp_path: Path) -> None:
    for number in range(batch * 600, batch * 600 + 600):
        raw = generated(number)
        lines = classic_lines(raw, tmp_path / "x.mrc")
        report = check(raw)
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


#: Lines of mrcfile's validator that we need not report, each with the reason.
THEIRS: dict[str, Callable[[str, Report, bytes], bool]] = {
    "for a file of another format we report only that": lambda _, report, __: bool(
        {"MRC162", "MRC901"} & set(report.codes)
    ),
    "it compares statistics of missing pixels with 0 or NaN": lambda line, report, _: (
        line.startswith("Data stat") and "statistics" not in report.facts
    ),
    "complex pixels have no order": lambda line, report, _: (
        line.startswith("Data stat") and report.facts["mode"] == 4 and "RMS" not in line
    ),
    "its squares of float16 overflow": lambda line, report, _: (
        "RMS deviation is inf" in line and report.facts["mode"] == 12
    ),
    "means near zero": lambda line, _, raw: "mean is" in line and near_zero(raw),
    "we do not check the size when the pixels cannot be located": lambda line, report, _: (
        line.startswith("File is larger") and bool({"MRC101", "MRC110"} & set(report.codes))
    ),
}


def comparable(line: str, report: Report, raw: bytes) -> bool:
    """Whether a line of mrcfile's validator must be an issue of ours too."""
    return not any(differs(line, report, raw) for differs in THEIRS.values())


def near_zero(raw: bytes) -> bool:
    """Whether dmean is within a hundredth of the rms, which mrcfile's rule refuses."""
    (dmean,) = struct.unpack_from("<f", raw, 84)
    return bool(abs(dmean - VOLUME.mean()) <= 0.02 * VOLUME.std()) or raw[212] == 0x11


def test_float16_rms_is_compared_without_overflow(tmp_path: Path) -> None:
    values = (VOLUME * 200).astype("f2")
    true, wrong = clean(values, 12), clean(values, 12, rms=250.0)
    for raw in (true, wrong):
        (line,) = classic_lines(raw, tmp_path / "x.mrc")
        assert "RMS deviation is inf" in line
    assert check(true).codes == ()
    assert check(wrong).codes == ("MRC504",)


@pytest.mark.data
def test_real_files_agree_with_mrcfile(shared_data: Path, tmp_path: Path) -> None:
    names = ("1jzv.ccp4", "EMD-3197.map", "de_movie.mrc", "fei-extended.mrc", "hand.5.mrcs", "serialem_tilt.mrc")
    for name in names:
        path = shared_data / name
        lines = classic_lines(path.read_bytes(), tmp_path / name)
        assert check(path, profile="strict").ok == (not lines), (name, lines)


@pytest.mark.data
def test_real_files_are_valid(shared_data: Path) -> None:
    names = [path.name for path in shared_data.iterdir() if path.suffix not in (".md", ".mdoc")]
    broken = {name for name in names if not check(shared_data / name).ok}
    assert broken == {"de_movie.mrc"}, "its cell has negative lengths"
    assert len(names) > 10


@pytest.mark.data
def test_rewritten_real_maps_are_valid(shared_data: Path, tmp_path: Path) -> None:
    for name in ("EMD-3197.map", "1jzv.ccp4", "relion31.mrcs"):
        array = xr.open_dataarray(shared_data / name, engine="mrc")
        array.mrc.to_mrc(tmp_path / name)
        (array * 2).astype(array.dtype).mrc.to_mrc(tmp_path / f"twice_{name}")
        assert check(tmp_path / name).ok
        assert check(tmp_path / f"twice_{name}").ok


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
def test_formal_fault_is_an_error_under_strict_only(code: str, profile: str) -> None:
    raw = clean(**FORMALITIES[code])
    (strict,) = (issue for issue in check(raw, profile="strict").issues if issue.code == code)
    assert strict.severity is Severity.ERROR
    found = [issue for issue in check(raw, profile=profile).issues if issue.code == code]
    assert all(not issue.is_error for issue in found)
    assert check(raw, profile=profile).ok


@pytest.mark.parametrize(
    "fields", [{"rms": 0.5}, {"dmin": -9.0}, {"mapcrs": (1, 1, 3)}, {"cella": (-16, 12, 8)}, {"map": b"HKL "}]
)
def test_fault_is_an_error_under_every_profile(fields: dict[str, Any]) -> None:
    assert not check(clean(**fields)).ok
    assert not check(clean(**fields), profile="strict").ok


@pytest.mark.parametrize("kind", ["image", "image_stack", "volume", "volume_stack"])
@pytest.mark.parametrize("mode", [0, 1, 2, 4, 6, 12, 101])
def test_written_file_is_valid(mode: int, kind: str, tmp_path: Path) -> None:
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
            report = check(tmp_path / name)
            assert report.ok, report
            assert set(report.codes) <= {"MRC154", "MRC510", "MRC511"}


# ------------------------------------------------------------------------------- tolerance


def test_single_precision_mean_is_accepted() -> None:
    values = np.full((4, 512, 512), 1000.1, "f4")
    values[::2] += 3
    mean = np.float32(0)
    for row in values.reshape(-1, 1024):
        mean += row.sum(dtype="f4")
    mean /= values.size
    assert float(mean) != float(values.mean(dtype="f8"))
    assert check(clean(values, dmean=float(mean))).codes == ()


def test_sample_deviation_is_accepted() -> None:
    values = builders.sample((1, 2, 3), 2)
    assert check(clean(values, rms=float(values.std(ddof=1)))).codes == ()
    assert check(clean(values, rms=float(values.std(ddof=1)) * 1.05)).codes == ("MRC504",)


def test_mean_near_zero_has_the_tolerance_of_rms() -> None:
    values = VOLUME - VOLUME.mean(dtype="f8").astype("f4")
    assert check(clean(values, dmean=0.005)).codes == ()
    assert check(clean(values, dmean=0.05)).codes == ("MRC503",)


@pytest.mark.parametrize("mode", [0, 1, 2, 3, 4, 6, 12, 101])
@pytest.mark.parametrize("order", ["<", ">"])
def test_true_statistics_are_accepted(mode: int, order: str) -> None:
    values = builders.sample((2, 5, 7), mode)
    statistics = {"dmin": 0.0, "dmax": -1.0, "dmean": -2.0} if mode in (3, 4) else {}
    assert set(check(clean(values, mode, byteorder=order, **statistics)).codes) <= {"MRC510"}


def test_undetermined_statistics_are_a_note() -> None:
    report = check(clean(dmin=0.0, dmax=-1.0, dmean=-2.0, rms=-1.0))
    assert report.ok
    assert [issue.severity for issue in report.issues] == [Severity.NOTE]


# ------------------------------------------------------------------------------- reading


def test_header_level_does_not_read_pixels() -> None:
    raw = clean(rms=0.0)
    assert check(raw).codes == ("MRC504",)
    assert check(raw, level="header").codes == ()
    assert "statistics" not in check(raw, level="header").facts


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_number_of_threads_does_not_change_the_report(threads: int, tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=(9, 256, 512)).astype("f4")
    assert values.nbytes > 2 * BLOCK
    path = tmp_path / "a.mrc"
    path.write_bytes(clean(values))
    seen: list[int] = []
    report = check(path, threads=threads, progress=seen.append)
    assert report == check(path, threads=1)
    assert report.codes == ()
    assert sum(seen) == values.nbytes


def test_odd_4_bit_rows_are_counted_by_pixel() -> None:
    values = builders.sample((3, 400, 4001), 101)
    report = check(clean(values, 101))
    assert report.codes == ()
    assert report.facts["statistics"]["count"] == values.size


checked_zstd = partial(zstd, checksum=True)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, checked_zstd])
def test_compressed_file_has_the_codes_of_the_plain_one(pack: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.mrc.x"
    for raw in (clean(), clean(rms=0.0), clean() + bytes(9), clean()[:-40], clean(map=b"MAP\0")):
        path.write_bytes(pack(raw))
        assert check(path).codes == check(raw).codes
        assert check(path).facts["compressed"]


def test_stale_nsymbt_is_found_in_a_compressed_file(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc.gz"
    path.write_bytes(gzip.compress(CASES["MRC203"].bad))
    report = check(path)
    assert report.codes == ("MRC203",)
    assert report.facts["statistics"]["count"] == VOLUME.size


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, checked_zstd])
def test_damaged_compression_is_an_issue(pack: Any, tmp_path: Path) -> None:
    packed = bytearray(pack(clean()))
    packed[len(packed) - 6 if pack is gzip.compress else len(packed) // 2] ^= 0xFF
    path = tmp_path / "a.mrc.x"
    path.write_bytes(packed)
    report = check(path)
    assert not report.ok
    assert "MRC912" in report.codes


def test_remote_file_is_checked_and_transferred_once() -> None:
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
            report = check(f"{site.url}/{name}")
            assert (report.codes, report.readable) == (check(raw).codes, True)
            assert site.sent <= len(raw) + (1 << 16)
        site.reset()
        assert check(f"{site.url}/e.mrc", level="header").codes == ()
        assert site.sent <= 1 << 16


def test_missing_remote_file_is_an_issue() -> None:
    with serving(Site()) as site:
        report = check(f"{site.url}/nothing.mrc")
    assert (report.readable, report.codes) == (False, ("MRC911",))
    assert report.issues[0].message == "the server has no such file (status 404)"
    assert check("nosuch://a/b").issues[0].message == "Protocol not known: nosuch"


def test_missing_file_is_an_issue(tmp_path: Path) -> None:
    report = check(tmp_path / "nothing.mrc")
    assert (report.ok, report.readable, report.codes) == (False, False, ("MRC911",))
    assert report.issues[0].message == "No such file or directory"


def test_folder_is_an_issue(tmp_path: Path) -> None:
    assert check(tmp_path).issues[0].message == "Is a directory"


def test_file_that_changes_while_read_is_an_issue(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    values = np.zeros((3, 1024, 1024), "f4")
    path.write_bytes(clean(values))
    report = check(path, threads=1, progress=lambda _: os.utime(path, ns=(1, 1)))
    assert "MRC913" in report.codes


def test_failing_source_is_an_issue() -> None:
    class Broken(io.BytesIO):
        def read(self, _size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

        readinto = None  # type: ignore[assignment]

    report = check(Broken(clean()))
    assert report.codes == ("MRC911",)


def test_source_with_fewer_bytes_is_truncated() -> None:
    class Short(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(size) if self.tell() < 1024 else b""

        readinto = None  # type: ignore[assignment]

    assert check(Short(clean())).codes == ("MRC201",)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MemoryError(), "not enough memory"),
        (RuntimeError("made for\nthis test"), "RuntimeError: made for\\nthis test"),
        (MrcValueError("no such thing"), "no such thing"),
    ],
)
def test_any_exception_is_an_issue(error: Exception, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("mrcarray.validation.collect_facts", fails)
    report = check(clean())
    assert (report.readable, report.codes, report.issues[0].message) == (False, ("MRC911",), text)


def test_wrong_argument_raises() -> None:
    with pytest.raises(MrcValueError, match="profile is 'pdb'"):
        check(clean(), profile="pdb")
    with pytest.raises(MrcValueError, match="level is 'deep'"):
        check(clean(), level="deep")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not None"):
        check(None)


@given(st.data())
def test_random_bytes_do_not_raise(data: st.DataObject) -> None:
    raw = bytearray(clean(extended=bytes(48)))
    for _ in range(data.draw(st.integers(0, 6))):
        offset = data.draw(st.integers(0, 255)) * 4
        raw[offset : offset + 4] = data.draw(st.binary(min_size=4, max_size=4))
    cut = data.draw(st.integers(0, len(raw)))
    report = check(bytes(raw[:cut] if data.draw(st.booleans()) else raw))
    assert isinstance(report, Report)
    json.dumps(report.to_dict(), allow_nan=False)
    assert str(report).isprintable() or "\n" in str(report)


MEMORY = """
import re, sys
from pathlib import Path
import mrcarray.analysis.blockwise, mrcarray.statistics, mrcarray.format.extended, mrcarray.storage
from mrcarray.validation import check
check(sys.argv[2])
def peak():  # of this program; ru_maxrss would be that of the process that started it, where that is larger
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
before = peak()
report = check(sys.argv[1])
print(peak() - before, *report.codes)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")  # noqa: PTH110 -- before the test
def test_memory_is_bounded(tmp_path: Path) -> None:
    big, small = tmp_path / "big.mrc", tmp_path / "small.mrc"
    small.write_bytes(clean())
    big.write_bytes(builders.header_bytes(nx=1024, ny=1024, nz=256, m=(1024, 1024, 256), cella=(2048, 2048, 512)))
    os.truncate(big, 1024 + 4 * 1024 * 1024 * 256)
    done = subprocess.run([sys.executable, "-c", MEMORY, big, small], capture_output=True, text=True, check=True)
    grown, *codes = done.stdout.split()
    assert codes == ["MRC511"]
    assert float(grown) < 64


# ------------------------------------------------------------------------------- comparing


@pytest.mark.parametrize("shape", [(3, 4, 50), (7, 2, 100_000), (2, 2, 600_000)], ids=["one", "sections", "rows"])
def test_arrays_are_compared_block_by_block(shape: tuple[int, ...]) -> None:
    from mrcarray.analysis.compare import diff

    values = np.zeros(shape, "i1")
    other = values.copy()
    other[-1, -1, -1], other[0, 0, 0] = 2, -1
    found = diff(builders.mrc_bytes(values, 0), builders.mrc_bytes(other, 0))
    assert (found.pixels, found.largest) == (2, 2.0)


# ------------------------------------------------------------------------------- reports


def test_report_facts() -> None:
    facts = check(clean(extended=bytes(160), exttyp=b"MRCO")).facts
    assert (facts["kind"], facts["shape"], facts["mode"], facts["dtype"]) == ("volume", [4, 6, 8], 2, "f4")
    assert (facts["offset"], facts["nsymbt"], facts["exttyp"], facts["byteorder"]) == (1184, 160, "MRCO", "little")
    assert facts["voxel_size"] == [2.0, 2.0, 2.0]
    assert facts["statistics"]["maximum"] == float(VOLUME.max())


def test_select_by_prefix_of_code() -> None:
    report = check(clean(map=b"MAP\0", nversion=0, rms=0.0))
    assert report.codes == ("MRC128", "MRC153", "MRC504")
    assert report.select(("MRC1",)).codes == ("MRC128", "MRC153")
    assert report.select(ignore=("MRC128", "MRC5")).codes == ("MRC153",)


def test_report_as_text_and_dict() -> None:
    report = check(clean(nversion=0), profile="strict")
    assert str(report).splitlines()[1] == "  error: word 28 (nversion) is 0; expected 20140 or 20141 [MRC128]"
    plain = report.to_dict()
    assert plain["issues"][0]["repair"].startswith("mrcarray fix")
    assert plain["issues"][0]["fixable"]
    assert json.loads(json.dumps(plain))["facts"]["shape"] == [4, 6, 8]


def test_report_dict_is_json() -> None:
    values = np.full((2, 3, 4), 1 + 2j, "c8")
    plain = check(clean(values, 4, cella=(math.nan, 1, 1), dmin=0.0, dmax=-1.0, dmean=-2.0)).to_dict()
    assert plain["facts"]["statistics"]["mean"] == [1.0, 2.0]
    assert plain["facts"]["voxel_size"][0] is None
    json.dumps(plain, allow_nan=False)


def test_report_escapes_control_characters() -> None:
    report = check(clean(map=b"\x1b[2J", labels=b"\x1b]0;evil\x07"))
    text = str(report) + json.dumps(report.to_dict(), ensure_ascii=False)
    assert "\x1b" not in text
    assert "\x07" not in text
