"""``mrcarray diff`` and `mrcarray.diff`: fields, extended headers and pixels."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tests import builders
from tests.cases import IMAGES, VOLUME, clean, fei

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Done


def test_diff_shows_fields_and_pixels(run: Callable[..., Done]) -> None:
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


def test_diff_shows_extended_headers(run: Callable[..., Done]) -> None:
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


def test_diff_shows_sizes_and_dialects(run: Callable[..., Done]) -> None:
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


def test_diff_of_two_byte_orders_compares_values(run: Callable[..., Done]) -> None:
    Path("little.mrc").write_bytes(tilts(30, 33))
    Path("big.mrc").write_bytes(tilts(30, 33, order=">"))
    Path("other.mrc").write_bytes(tilts(30, 34, order=">"))
    assert run("diff", "--ignore", "machst", "little.mrc", "big.mrc").status == 0
    out = run("diff", "--ignore", "machst", "little.mrc", "other.mrc").out
    assert "extended tilt_angle [degree]: 33.0 | 34.0 (record 1)" in out.splitlines()


def test_diff_of_two_dialects_compares_common_fields(run: Callable[..., Done]) -> None:
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


def test_wrong_arguments_are_refused(run: Callable[..., Done]) -> None:
    done = run("diff", "--ignore", "mx", "good.mrc", "bad.mrc")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "unknown header field 'mx' in ignore" in done.err
    assert run("diff", "-", "-").status == 2


def test_nan_equals_nan(run: Callable[..., Done]) -> None:
    raw = builders.mrc_bytes(np.full((2, 3, 4), np.nan, "f4"), cella=(float("nan"), 1, 1))
    Path("n.mrc").write_bytes(raw)
    Path("m.mrc").write_bytes(raw)
    assert run("diff", "n.mrc", "m.mrc").status == 0
