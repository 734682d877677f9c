"""Identifying files that are not MRC."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mrcarray
from mrcarray.analysis.header_report import header_report
from mrcarray.errors import NotMrcError
from mrcarray.format.issues import CODES, Severity
from mrcarray.format.sniff import identify, looks_like_mrc
from mrcarray.validation import validate
from tests import builders

FILL = bytes(2000)
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


def em(
    machine: int = 6, code: int = 5, dims: tuple[int, int, int] = (16, 12, 4), order: str = "<", more: int = 0
) -> bytes:
    """Return an EM file: machine, two bytes, type code, three dimensions in a header of 512 bytes."""
    size = {1: 1, 2: 2, 4: 4, 5: 4, 8: 8, 9: 8}[code] * dims[0] * dims[1] * dims[2]
    head = bytes([machine, 0, 0, code]) + struct.pack(order + "3i", *dims) + bytes(496)
    return head + b"\x07" * size + bytes(more)


def dm(version: int, order: int = 1, first: int = 0x15) -> bytes:
    """Return the first bytes of a DigitalMicrograph file: version, length, byte order, and a group of two tags."""
    length, count = (">I", ">I") if version == 3 else (">Q", ">Q")
    head = struct.pack(">I", version) + struct.pack(length, 5000) + struct.pack(">I", order)
    return head + b"\1\0" + struct.pack(count, 2) + bytes([first]) + bytes(3000)


@pytest.mark.parametrize(
    ("content", "code", "text"),
    [
        (b"", "MRC902", "the file is empty"),
        (b"abc", "MRC903", "the file has 3 bytes; expected at least the 1024"),
        (builders.header_bytes()[:100], "MRC903", "the file has 100 bytes"),
        (LFS, "MRC904", "git-LFS pointer"),
        (b"\n <!DOCTYPE html><title>404", "MRC905", "web page"),
        (b"<HTML>" + FILL, "MRC905", "web page"),
        (gzip.compress(FILL, mtime=0), "MRC906", "compressed with gzip"),
        (bz2.compress(FILL), "MRC906", "compressed with bzip2"),
        (lzma.compress(FILL), "MRC906", "compressed with xz"),
        (b"\x28\xb5\x2f\xfd" + FILL, "MRC906", "compressed with zstd"),
        (b"\x89HDF\r\n\x1a\n" + FILL, "MRC907", "an HDF5 file"),
        (b"CDF\x01" + FILL, "MRC907", "a netCDF file"),
        (b"II*\0" + FILL, "MRC907", "a TIFF image"),
        (b"\x89PNG\r\n\x1a\n" + FILL, "MRC907", "a PNG image"),
        (b"PK\x03\x04" + FILL, "MRC907", "a ZIP archive"),
        (b"NRRD0004\n# text" + FILL, "MRC907", "an NRRD image"),
        (FILL, "MRC909", "the header is 1024 zero bytes"),
        (dm(3), "MRC907", "DigitalMicrograph file (DM3)"),
        (dm(4), "MRC907", "DigitalMicrograph file (DM4)"),
        (dm(3, order=0), "MRC907", "DM3"),
        (em(), "MRC907", "an EM image"),
        (em(machine=3, code=2, order=">"), "MRC907", "an EM image"),
        (em(machine=0, code=9, order=">"), "MRC907", "an EM image"),
        (em(dims=(4, 3, 1), code=1), "MRC907", "an EM image"),
    ],
)
def test_foreign_file_is_named(content: bytes, code: str, text: str) -> None:
    issue = identify(content[:1024], len(content))
    assert issue is not None
    assert (issue.code, issue.severity) == (code, Severity.ERROR)
    assert text in issue.message
    assert code in CODES
    assert not looks_like_mrc(content, len(content))


@pytest.mark.parametrize("raw", [builders.header_bytes(), builders.header_bytes(map=bytes(4)), em()[:1024]])
def test_possible_mrc_is_not_identified(raw: bytes) -> None:
    assert identify(raw) is None


def test_width_like_a_magic_number_is_mrc() -> None:
    assert identify(builders.header_bytes(nx=int.from_bytes(b"II*\0", "little"))) is None


@pytest.mark.parametrize("order", ["<", ">"])
def test_header_with_map_identifier_looks_like_mrc(order: str) -> None:
    assert looks_like_mrc(builders.header_bytes(order))
    assert looks_like_mrc(builders.header_bytes(order, nx=0, ny=0, nz=0, mode=0))
    assert not looks_like_mrc(builders.header_bytes(order, mode=55))
    assert not looks_like_mrc(builders.header_bytes(order, nx=-5))
    assert not looks_like_mrc(builders.header_bytes(order, nsymbt=-5))


@pytest.mark.parametrize("order", ["<", ">"])
def test_header_without_map_identifier_must_fit(order: str) -> None:
    old = builders.header_bytes(order, map=bytes(4), machst=bytes(4))
    assert looks_like_mrc(old)
    assert looks_like_mrc(old, 1024 + 96)
    assert not looks_like_mrc(old, 1024 + 97)
    assert not looks_like_mrc(builders.header_bytes(order, map=bytes(4), mapcrs=(0, 0, 0)))
    assert not looks_like_mrc(builders.header_bytes(order, map=b"HKL "))
    assert not looks_like_mrc(builders.header_bytes(order, map=bytes(4), nlabl=11))
    assert not looks_like_mrc(bytes(1024), 1024)


@given(content=st.binary(max_size=1500))
def test_no_bytes_raise(content: bytes) -> None:
    identify(content, len(content))
    looks_like_mrc(content, len(content))


@pytest.mark.parametrize(
    "content",
    [
        em(more=1),
        em(machine=7),
        em(dims=(-16, -12, 4)),
        bytes([6, 0, 0, 3]) + em()[4:],
        dm(3, order=2),
        dm(4, first=0x13),
        dm(3)[:3] + b"\5" + dm(3)[4:],
        struct.pack(">4i", 3, 2, 1, 2) + bytes(3000),
        bytes(1023) + b"\1" + bytes(900),
    ],
)
def test_similar_bytes_are_not_identified(content: bytes) -> None:
    assert identify(content[:1024], len(content)) is None


@pytest.mark.parametrize("order", ["<", ">"])
def test_old_mrc_file_of_fitting_size_is_not_em(order: str) -> None:
    """Five big-endian columns look like machine 0 and type 5."""
    fields = {"nx": 5, "ny": 4, "nz": 3, "mode": 2, "map": bytes(4), "machst": bytes(4)}
    raw = builders.header_bytes(order, **fields)
    assert identify(raw, 1024 + 5 * 4 * 3 * 4) is None
    assert identify(raw, 512 + 4 * 3 * 2 * 4) is None or order == ">"


@pytest.mark.parametrize("content", [em(), em(machine=0, dims=(64, 64, 1), order=">"), dm(3), dm(4), FILL])
@pytest.mark.parametrize("open_it", [mrcarray.open_file, mrcarray.read_header, header_report])
def test_every_opener_names_the_format(content: bytes, open_it: Any) -> None:
    with pytest.raises(NotMrcError, match=r"EM image|DigitalMicrograph|1024 zero bytes"):
        open_it(content)
    report = validate(content)
    assert report.codes in (("MRC907",), ("MRC909",))
