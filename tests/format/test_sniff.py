"""What a file is when it is not MRC."""

from __future__ import annotations

import bz2
import gzip
import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcarray.format.issues import CODES, Severity
from mrcarray.format.sniff import identify, looks_like_mrc
from tests import builders

FILL = bytes(2000)
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


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
    ],
)
def test_a_wrong_file_gets_its_own_sentence(content: bytes, code: str, text: str) -> None:
    issue = identify(content[:1024], len(content))
    assert issue is not None
    assert (issue.code, issue.severity) == (code, Severity.ERROR)
    assert text in issue.message
    assert code in CODES
    assert not looks_like_mrc(content, len(content))


@pytest.mark.parametrize("raw", [builders.header_bytes(), builders.header_bytes(map=bytes(4)), bytes(1024)])
def test_what_may_be_mrc_is_not_judged_here(raw: bytes) -> None:
    assert identify(raw) is None


def test_a_header_whose_width_looks_like_a_magic_number_is_still_mrc() -> None:
    assert identify(builders.header_bytes(nx=int.from_bytes(b"II*\0", "little"))) is None


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_header_with_map_identifier_is_recognised(order: str) -> None:
    assert looks_like_mrc(builders.header_bytes(order))
    assert looks_like_mrc(builders.header_bytes(order, nx=0, ny=0, nz=0, mode=0))
    assert not looks_like_mrc(builders.header_bytes(order, mode=55))
    assert not looks_like_mrc(builders.header_bytes(order, nx=-5))
    assert not looks_like_mrc(builders.header_bytes(order, nsymbt=-5))


@pytest.mark.parametrize("order", ["<", ">"])
def test_without_map_identifier_everything_must_fit(order: str) -> None:
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
