"""For each check, a file that triggers it alone, made with `struct`, and the same file without the fault."""

from __future__ import annotations

import gzip
import lzma
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests import builders

VOLUME = builders.sample((4, 6, 8), 2)
BYTES = (np.arange(256) % 100 - 50).astype("i1").reshape(4, 8, 8)
IMOD_STAMP = 1146047817


def clean(values: np.ndarray[Any, Any] | None = None, mode: int = 2, **fields: Any) -> bytes:
    """Return a file without a fault: correct statistics, one label, the version of 2022."""
    values = VOLUME if values is None else values
    label = b"made for tests".ljust(80)
    finite = values[np.isfinite(values)]
    stats: dict[str, Any] = {"rms": float(np.sqrt(np.mean(np.abs(finite - finite.mean(dtype="c16")) ** 2)))}
    if values.dtype.kind != "c":
        wide = finite.astype("f8")
        stats |= {"dmin": float(wide.min()), "dmax": float(wide.max()), "dmean": float(wide.mean())}
    return builders.mrc_bytes(values, mode, **{"nlabl": 1, "labels": label, **stats, **fields})


def patched(raw: bytes, offset: int, code: str, *items: Any) -> bytes:
    """Return `raw` with other items at `offset`."""
    out = bytearray(raw)
    struct.pack_into(code, out, offset, *items)
    return bytes(out)


def labels(*texts: bytes) -> bytes:
    """Return the bytes of the ten labels."""
    return b"".join(text.ljust(80, b"\0") for text in texts).ljust(800, b"\0")


def fei(size: int = 768, order: str = "<", **items: tuple[int, str, Any]) -> bytes:
    """Return one FEI record with only its size, version and `items` (offset, code, value)."""
    raw = bytearray(size)
    struct.pack_into(order + "2i", raw, 0, size, {768: 0, 888: 2}[size])
    for offset, code, value in items.values():
        struct.pack_into(order + code, raw, offset, value)
    return bytes(raw)


@dataclass(frozen=True)
class Case:
    """A file with one fault, and the same file without it."""

    bad: bytes
    good: bytes = clean()
    profile: str = "mrc2014"


IMAGES = builders.sample((2, 4, 6), 2)
ODD = builders.sample((1, 4, 5), 101)
HUGE = 2**31 - 1
NANS = VOLUME.copy()
NANS[0, 0, 0] = np.nan
INFS = VOLUME.copy()
INFS[0, 0, 0] = np.inf
UNSIGNED = np.random.default_rng(0).normal(128, 30, (4, 16, 16)).clip(0, 255).astype("u1").view("i1")
STATED: dict[str, Any] = {"dmin": 0.0, "dmax": -1.0, "dmean": -2.0, "rms": -1.0}
PRIISM = struct.pack("<h6x", -16224)
HALF = bytes(40) + struct.pack("<2i", IMOD_STAMP, 16)
SIGNED = bytes(40) + struct.pack("<2i", IMOD_STAMP, 1)


def _images(**fields: Any) -> bytes:
    return clean(IMAGES, ispg=0, m=(6, 4, 1), **fields)


def _with(profile: str, good: dict[str, Any] | None = None, **fields: Any) -> Case:
    return Case(clean(**fields), clean(**(good or {})), profile)


CASES: dict[str, Case] = {
    "MRC101": Case(patched(clean(), 0, "<i", -8)),
    "MRC104": Case(clean(VOLUME.astype("i4"), 7)),
    "MRC108": _with("mrc2014", m=(-8, 6, 4), cella=(0.5, 12, 8), good={"cella": (16, 12, 8)}),
    "MRC109": _with("mrc2014", m=(0, 6, 4), cella=(16, 12, 8)),
    "MRC110": Case(clean(ispg=401, m=(8, 6, 3)), clean(ispg=401, m=(8, 6, 2))),
    "MRC111": _with("mrc2014", cella=(-16, 12, 8)),
    "MRC112": _with("mrc2014", cella=(16, 12, 0)),
    "MRC113": _with("mrc2014", cella=(16, 12, 8000)),
    "MRC114": _with("mrc2014", cellb=(90, 200, 90)),
    "MRC117": _with("mrc2014", mapcrs=(1, 1, 3)),
    "MRC123": _with("mrc2014", ispg=300, m=(8, 6, 1)),
    "MRC124": Case(clean(nsymbt=-4)),
    "MRC125": Case(clean(extra1=PRIISM, map=bytes(4), machst=bytes(4), cella=(8e-4, 6e-4, 4e-4))),
    "MRC126": _with("mrc2014", exttyp=b"SERI"),
    "MRC127": Case(clean(extended=bytes(160), exttyp=b"MRCo"), clean(extended=bytes(160), exttyp=b"MRCO")),
    "MRC128": _with("mrc2014", nversion=0),
    "MRC150": _with("mrc2014", origin=(0, 0, float("nan"))),
    "MRC151": _with("mrc2014", origin=(10, 0, 0), nstart=(-4, 0, 0), good={"origin": (10, 0, 0), "nstart": (5, 0, 0)}),
    "MRC153": _with("mrc2014", map=b"MAP\0"),
    "MRC154": _with("mrc2014", machst=b"\x44\x41\0\0"),
    "MRC156": Case(patched(clean(), 220, "<i", 11)),
    "MRC157": Case(clean(nlabl=2, labels=labels(b"one", b"", b"three")), clean(nlabl=2, labels=labels(b"one", b"two"))),
    "MRC158": _with("mrc2014", nlabl=2),
    "MRC159": _with("mrc2014", labels=labels(b"bell \x07")),
    "MRC160": _with("mrc2014", machst=b"\x22\x41\0\0"),
    "MRC161": _with("mrc2014", machst=bytes(4)),
    "MRC162": _with("mrc2014", machst=b"\x11\x11\0\0"),
    "MRC201": Case(clean()[:-40]),
    "MRC202": Case(clean() + bytes(17)),
    "MRC203": Case(patched(clean(), 92, "<i8x4s", 160, b"CCP4")),
    "MRC204": Case(builders.header_bytes(nx=HUGE, ny=HUGE, nz=HUGE, nlabl=1, labels=labels(b"x"), rms=0.0)),
    "MRC205": Case(
        clean(np.zeros((2, 6, 4), "i1"), 0, extra2=HALF), clean(np.zeros((2, 6, 4), "i1"), 0, extra2=SIGNED)
    ),
    "MRC206": Case(clean(ODD, 101)[:-2], clean(ODD, 101)),
    "MRC208": Case(builders.header_bytes(nx=0, ny=0, nz=0, nlabl=1, labels=labels(b"x"), rms=0.0)),
    "MRC303": Case(clean(ispg=0, m=(8, 6, 4)), clean(ispg=0, m=(8, 6, 1))),
    "MRC305": Case(clean(BYTES, 0, dmax=170.0), clean(BYTES, 0)),
    "MRC401": Case(_images(extended=fei() * 2, exttyp=b"SERI"), _images(extended=fei() * 2, exttyp=b"FEI1")),
    "MRC403": Case(_images(extended=fei(), exttyp=b"FEI1"), _images(extended=fei() * 2, exttyp=b"FEI1")),
    "MRC408": Case(
        _images(
            extended=fei(v=(68, "16s", b"4.4.0.4981"), a=(100, "d", 6.0), b=(8, "I", 1 << 4 | 1 << 7)) * 2,
            exttyp=b"FEI1",
        ),
        _images(
            extended=fei(v=(68, "16s", b"4.4.0.4982"), a=(100, "d", 6.0), b=(8, "I", 1 << 4 | 1 << 7)) * 2,
            exttyp=b"FEI1",
        ),
    ),
    "MRC410": Case(_images(extended=fei(order=">") * 2, exttyp=b"FEI1"), _images(extended=fei() * 2, exttyp=b"FEI1")),
    "MRC414": Case(
        _images(extended=fei(p=(156, "d", 5e-10), b=(8, "I", 1 << 14)) * 2, exttyp=b"FEI1", cella=(6, 4, 2)),
        _images(extended=fei(p=(156, "d", 5e-10), b=(8, "I", 1 << 14)) * 2, exttyp=b"FEI1", cella=(12, 8, 2)),
    ),
    "MRC501": _with("mrc2014", dmin=-9.0),
    "MRC502": _with("mrc2014", dmax=9.0),
    "MRC503": _with("mrc2014", dmean=0.5),
    "MRC504": _with("mrc2014", rms=0.0),
    "MRC505": Case(clean(NANS, **STATED | {"rms": 1.0})),
    "MRC506": Case(clean(INFS, **STATED | {"rms": 1.0})),
    "MRC507": _with("mrc2014", dmin=0.0, dmax=0.0, dmean=0.0),
    "MRC508": _with("mrc2014", rms=float("inf")),
    "MRC509": Case(clean(dmin=-3.0, dmax=-1.0, dmean=9.0), clean()),
    "MRC510": Case(clean(UNSIGNED, 0), clean(BYTES, 0)),
    "MRC511": _with("mrc2014", **STATED),
    "MRC601": Case(clean(VOLUME.astype("f2"), 12), clean(), "emdb"),
    "MRC602": _with("emdb", labels=labels(b"Chimera rotation: 0 0 1 30")),
    "MRC603": _with("emdb", ispg=0, m=(8, 6, 1)),
    "MRC604": _with("emdb", m=(9, 6, 4)),
    "MRC605": _with("emdb", cella=(0.5, 12, 8)),
    "MRC606": _with("emdb", origin=(3, 0, 0)),
    "MRC607": Case(clean(extended=bytes(160), exttyp=b"MRCO"), clean(), "emdb"),
    "MRC608": Case(lzma.compress(clean()), gzip.compress(clean()), "emdb"),
    "MRC641": Case(clean(VOLUME.astype("f2"), 12), clean(), "imod"),
    "MRC646": _with("imod", extra1=PRIISM),
    "MRC647": Case(clean(mapcrs=(1, -2, 3)), clean(), "imod"),
    "MRC661": Case(clean(np.zeros((4, 6, 8), "c8"), 4, **STATED | {"rms": 0.0}), clean(), "relion"),
    "MRC662": Case(clean(ODD, 101), clean(builders.sample((1, 4, 6), 101), 101), "relion"),
    "MRC663": _with("relion", cella=(16, 18, 8)),
    "MRC901": Case(bytes(range(256)) * 8),
    "MRC902": Case(b""),
    "MRC903": Case(clean()[:1000]),
    "MRC904": Case(b"version https://git-lfs.github.com/spec/v1\n".ljust(2000, b"x")),
    "MRC905": Case(b"<!DOCTYPE html><html>".ljust(2000, b" ")),
    "MRC906": Case(gzip.compress(gzip.compress(gzip.compress(np.random.default_rng(0).bytes(2000))))),
    "MRC907": Case(b"\x89PNG\r\n\x1a\n".ljust(2000, b"x")),
    "MRC909": Case(bytes(2000)),
    "MRC908": _with("mrc2014", map=b"HKL "),
}

#: Codes whose fault always causes other codes as well.
COMPANIONS: dict[str, set[str]] = {
    "MRC305": {"MRC502"},
    "MRC509": {"MRC501", "MRC502", "MRC503"},
    "MRC647": {"MRC117"},
}
