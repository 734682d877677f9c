"""Compressions are recognised by content, and nothing else is taken for one."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random

import pytest

from mrcarray.storage import open_source
from mrcarray.storage.compression import codecs
from mrcarray.storage.compression.source import CompressedSource
from tests.storage.compressing import COMPRESS


@pytest.mark.parametrize("name", COMPRESS)
def test_detect_recognises_first_bytes(name: str) -> None:
    for content in (b"", b"abc", bytes(5000)):
        found = codecs.detect(COMPRESS[name](content))
        assert found is not None
        assert found.name == name


def test_tests_cover_every_codec() -> None:
    assert set(COMPRESS) == set(codecs.CODECS)


@pytest.mark.parametrize("name", COMPRESS)
def test_map_stamp_takes_precedence(name: str) -> None:
    plain = COMPRESS[name](random.Random(1).randbytes(400))[:208] + b"MAP " + bytes(812)
    assert codecs.detect(plain) is None
    assert bytes(open_source(plain).read(0, 1024)) == plain


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"\x1f",
        b"\x1f\x8b",
        b"\x1f\x8b\x07\x00",
        b"\x1f\x8b\x08\xe0",
        b"BZh0",
        b"BZh9 is how this text starts",
        b"\xfd7zXZ\x01",
        bytes(1024),
    ],
)
def test_detect_rejects_similar_bytes(first: bytes) -> None:
    assert codecs.detect(first) is None


@pytest.mark.parametrize("name", COMPRESS)
def test_peek_returns_first_bytes(name: str) -> None:
    content = bytes(range(256)) * 40
    expected = b"" if name == "bzip2" else content[:1024]  # which gives nothing before a block is decoded whole
    assert codecs.peek(COMPRESS[name](content), 1024) == expected
    assert codecs.peek(content, 1024) == content[:1024]


def test_peek_at_damage_returns_bytes_before() -> None:
    content = random.Random(2).randbytes(40_000)
    assert 0 < len(codecs.peek(gzip.compress(content)[:800], 1024)) < 1024
    assert codecs.peek(bz2.compress(content)[:800], 1024) == b""


def test_name_does_not_matter() -> None:
    source = open_source(lzma.compress(b"abc"))
    assert isinstance(source, CompressedSource)
    assert bytes(source.read(0, 9)) == b"abc"
