"""The validator has the text and exit status of mrcfile's."""

from __future__ import annotations

import gzip
import importlib
import io
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any

import mrcfile
import numpy as np
import pytest

from mrcarray import classic
from tests.builders import mrc_bytes, sample
from tests.classic.conftest import patched
from tests.recording import recorded

if TYPE_CHECKING:
    from pathlib import Path

VOLUME = sample((5, 3, 4), 2)

#: Changes of a valid header, each with a different verdict.
CHANGES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "map id": {"map": b"map "},
    "short map id": {"map": b"MAP\0"},
    "machine stamp": {"machst": b"    "},
    "other byte order": {"machst": b"\x11\x11\0\0"},
    "CCP4 stamp": {"machst": b"DA\0\0"},
    "mode": {"mode": 8},
    "mode 101": {"mode": 101},
    "mode 3": {"mode": 3},
    "negative grid": {"m": (-1, -2, -3)},
    "negative space group": {"ispg": -7},
    "negative labels": {"nlabl": -1},
    "negative cell": {"cella": (-1.0, 2.0, -3.0)},
    "axes": {"mapcrs": (1, 1, 7)},
    "zero axes": {"mapcrs": (0, 0, 0)},
    "volume stack": {"ispg": 401, "m": (4, 3, 3)},
    "volume stack of one": {"ispg": 401},
    "gap in labels": {"nlabl": 2, "labels": b"a".ljust(160) + b"b"},
    "too few labels": {"nlabl": 1},
    "old version": {"nversion": 20140},
    "no version": {"nversion": 0},
    "unknown extended type": {"exttyp": b"Fake"},
    "no extended type": {"exttyp": b"\0\0\0\0"},
    "rms": {"rms": 9.0},
    "dmin": {"dmin": -99.0, "dmax": 5.0},
    "dmax": {"dmin": -1.0, "dmax": 99.0},
    "dmean": {"dmin": -99.0, "dmax": -98.0, "dmean": 7.0},
    "mean alone": {"dmin": 30.1, "dmax": 30.0, "dmean": 40.0},
    "short": {"nz": 6},
    "long": {"nz": 4},
    "extended header too long": {"nsymbt": 10**6},
}


def verdict(module: Any, path: Path) -> tuple[bool, str, list[str]]:
    """Return the result, the text and the warnings of a validator."""
    out = io.StringIO()
    with recorded() as seen:
        result = module.validate(path, out)
    return result, out.getvalue(), [str(w.message) for w in seen]


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("compressed", [False, True])
def test_every_finding_has_the_text_of_mrcfile(tmp_path: Path, name: str, compressed: bool) -> None:
    content = patched(mrc_bytes(VOLUME, extended=b"e" * 80, exttyp=b"CCP4"), **CHANGES[name])
    path = tmp_path / "a.mrc"
    path.write_bytes(gzip.compress(content) if compressed else content)
    assert verdict(classic, path) == verdict(mrcfile, path)


def test_every_mode_with_true_and_with_wrong_statistics(tmp_path: Path, mode: int, byteorder: Any) -> None:
    values = sample((5, 3, 4), mode)
    path = tmp_path / "a.mrc"
    mrcfile.write(path, values.astype(values.dtype.newbyteorder(byteorder)))
    assert verdict(classic, path) == verdict(mrcfile, path)
    wrong = {"dmin": -70000.0, "dmax": 70000.0, "dmean": 60000.0, "rms": 1e9}
    path.write_bytes(patched(path.read_bytes(), byteorder, **wrong))
    ours, theirs = verdict(classic, path), verdict(mrcfile, path)
    if mode not in (2, 12, 4):
        assert ours == theirs
        return
    # floats may differ in the last digit shown, since mrcfile adds up in the dtype of the data
    assert ours[0] == theirs[0]
    assert [line[:60] for line in ours[1].splitlines()] == [line[:60] for line in theirs[1].splitlines()]


def test_statistics_of_nan_and_infinity(tmp_path: Path) -> None:
    for value in (np.nan, np.inf):
        values = VOLUME.copy()
        values[0, 0, 0] = value
        path = tmp_path / f"{value}.mrc"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mrcfile.write(path, values)
            expected = verdict(mrcfile, path)[:2]
        assert verdict(classic, path)[:2] == expected


def test_what_is_written_is_valid(api: Any, tmp_path: Path, suffix: str) -> None:
    for dtype in ("i1", "i2", "u2", "f2", "f4", "c8"):
        path = tmp_path / f"{dtype}.mrc{suffix}"
        values = np.random.default_rng(0).normal(100, 20, size=(7, 6, 5)).astype(dtype)
        api.write(path, values)
        assert classic.validate(path, io.StringIO())
        # mrcfile computes the rms of float16 in float16, and then reports the right one as inaccurate
        assert mrcfile.validate(path, io.StringIO()) or dtype == "f2"


def test_validation_of_an_object_without_a_file(api: Any) -> None:
    mrc = api.mrcobject.MrcObject()
    mrc._create_default_attributes()
    assert mrc.validate(io.StringIO())
    mrc.header.ispg = -10
    out = io.StringIO()
    assert not mrc.validate(print_file=out)
    assert out.getvalue() == "Header field 'ispg' is negative\n"


def test_all_names_are_checked(api: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    validator = importlib.import_module(f"{api.__name__}.validator")
    good, bad = tmp_path / "good.mrc", tmp_path / "bad.mrc"
    api.write(good, VOLUME)
    bad.write_bytes(patched(good.read_bytes(), nversion=0))
    assert validator.main([]) == 0
    assert capsys.readouterr().out == ""
    assert validator.main([str(bad), str(good)]) == 1
    assert capsys.readouterr().out == (
        f"Checking if {bad} is a valid MRC2014 file...\n"
        "File does not declare MRC format version 20140 or 20141: nversion = 0\n"
        f"Checking if {good} is a valid MRC2014 file...\n"
        "File appears to be valid.\n"
    )
    assert validator.validate_all([good, good], io.StringIO())


def test_missing_file_is_not_valid(api: Any, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("short")
    out = io.StringIO()
    assert not api.validate(tmp_path / "text.txt", out)
    assert out.getvalue().rstrip().splitlines()[-1].startswith("ValueError: Couldn't read enough bytes for MRC header")
    assert not api.validate(tmp_path / "absent.mrc", out)


@pytest.mark.slow
def test_module_runs_like_that_of_mrcfile(tmp_path: Path) -> None:
    bad = tmp_path / "bad.mrc"
    bad.write_bytes(patched(mrc_bytes(VOLUME), nversion=0, mapcrs=(0, 0, 0)))
    found = [
        subprocess.run([sys.executable, "-m", f"{name}.validator", str(bad)], capture_output=True, check=False)
        for name in ("mrcfile", "mrcarray.classic")
    ]
    assert found[0].stdout == found[1].stdout
    assert found[0].returncode == found[1].returncode == 1
    assert found[1].stderr == b""


def test_large_files_are_read_in_pieces(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / ("a.mrc" + suffix)

    def in_pieces() -> tuple[bool, str, list[str]]:
        out = io.StringIO()
        with recorded() as seen:
            result = classic.validator._validate(path, out, max_in_memory=1000)
        return result, out.getvalue(), [str(w.message) for w in seen]

    for scale in (1, np.inf, np.nan):
        values = sample((40, 64, 64), 2)
        values[3, 4, 5] *= scale
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            classic.write(path, values, overwrite=True)
            with classic.open(path, mode="r+", header_only=True) as mrc:
                mrc.header.dmax += 1
            assert in_pieces() == verdict(mrcfile, path)
    plain = mrc_bytes(sample((40, 64, 64), 2))
    for content in (plain[:-5], plain + b"more"):
        path.write_bytes(gzip.compress(content) if suffix else content)
        assert in_pieces() == verdict(mrcfile, path)


@pytest.mark.data
def test_real_files_have_the_same_verdict(shared_data: Path) -> None:
    for name in ("EMD-3197.map", "emd_3197.map.gz", "EMD-3197.map.bz2", "1jzv.ccp4", "hand.5.mrcs", "relion31.mrcs"):
        ours, theirs = verdict(classic, shared_data / name), verdict(mrcfile, shared_data / name)
        assert ours[0] == theirs[0]
        assert [line[:70] for line in ours[1].splitlines()] == [line[:70] for line in theirs[1].splitlines()], name
        assert ours[2] == theirs[2]


def test_warning_that_is_an_error_is_a_verdict(api: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(VOLUME) + b"more")
    out = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert api.validate(path, out) is False
    assert out.getvalue().endswith("Warning: MRC file is 4 bytes larger than expected\n")


def test_changed_mode_does_not_drop_the_data(api: Any, tmp_path: Path) -> None:
    path, out = tmp_path / "a.mrc", io.StringIO()
    path.write_bytes(mrc_bytes(VOLUME))
    with api.open(path, mode="r+") as mrc:
        mrc.header.mode = 99
        assert not mrc.validate(out)
        mrc.header.mode = 2
    assert out.getvalue() == "Invalid mode: 99\n"
