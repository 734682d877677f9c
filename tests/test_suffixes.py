"""Names of files: suffixes, sidecars and URLs follow one rule in every module."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import mrcarray
from mrcarray import urls
from mrcarray.cli.names import expand
from mrcarray.errors import MrcValueError
from mrcarray.format.kinds import suffix
from mrcarray.region_writer import create
from mrcarray.storage.atomic import real_target
from mrcarray.storage.compression.codecs import CODECS
from mrcarray.storage.compression.writer import COMPRESSORS, compressor_for
from mrcarray.urls import COMPRESSED, sidecars_of, unpacked
from mrcarray.xarray_backend.engine import MrcBackendEntrypoint
from mrcarray.xarray_backend.sidecars import existing

if TYPE_CHECKING:
    from pathlib import Path

every_suffix = pytest.mark.parametrize("ending", [*COMPRESSED, ".ZSTD"])


def test_suffixes_cover_every_codec() -> None:
    assert {row.suffix for row in CODECS.values()} <= set(COMPRESSED)
    assert {row.suffix for row in COMPRESSORS.values()} <= set(COMPRESSED)


@every_suffix
def test_suffix_is_known_to_every_module(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"TS_01.mrc{ending}"
    path.touch()
    mdoc = tmp_path / "TS_01.mrc.mdoc"
    mdoc.touch()
    assert suffix(str(path)) == ".mrc"
    assert MrcBackendEntrypoint().guess_can_open(f"https://host/TS_01.mrc{ending}?token=1")
    assert existing(str(path)) == [str(mdoc)]
    assert list(expand([str(tmp_path)], recursive=True)) == [str(path)]
    with pytest.raises(MrcValueError, match="compressed"):
        create(tmp_path / f"new.mrc{ending}", (1, 1, 1), "int8")


@pytest.mark.parametrize("ending", [ending for ending in COMPRESSED if ending not in {".gz", ".bz2"}])
def test_read_only_suffix_is_not_written(ending: str) -> None:
    with pytest.raises(MrcValueError, match="read-only formats"):
        compressor_for(f"a.mrc{ending}")


def test_unpacked_removes_one_suffix() -> None:
    assert unpacked("a.mrc.gz.bz2") == "a.mrc.gz"
    assert unpacked(".gz") == ""


def test_names_load_no_decoder() -> None:
    code = "import sys, mrcarray.urls, mrcarray.cli.names; print([m for m in sys.modules if 'storage' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "is_url"),
    [
        ("https://host/a.mrc", True),
        ("zip://inner/a.mrc::/data/all.zip", True),
        ("simplecache::s3://bucket/a.mrc", True),
        ("simplecache::/data/a.mrc", True),
        ("a.mrc", False),
        ("a::b.mrc", False),
        ("/data/a::b.mrc", False),
        ("/data/a://b.mrc", False),
        ("https:/host/a.mrc", False),
        ("", False),
    ],
)
def test_is_url_decides_what_is_written(name: str, is_url: bool) -> None:
    assert urls.is_url(name) is is_url
    with pytest.raises(OSError, match="URL") if is_url else contextlib.nullcontext():
        assert real_target(name) == os.path.realpath(name)
    if is_url:
        assert not any(sidecars_of(name))


def test_path_with_double_colon_is_written_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert create("a::b.mrc", (1, 2, 3), "int8") == str(tmp_path / "a::b.mrc")
    assert mrcarray.read_header("a::b.mrc", permissive=True).nx == 3
