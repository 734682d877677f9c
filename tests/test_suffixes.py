"""One list says which names promise a compressed file, and all who go by a name go by it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mrcarray.cli.common import expand
from mrcarray.errors import MrcValueError
from mrcarray.format.kinds import suffix
from mrcarray.region_writer import create
from mrcarray.storage.compression.codecs import CODECS
from mrcarray.storage.compression.writer import PACKERS, packer_for
from mrcarray.suffixes import COMPRESSED, unpacked
from mrcarray.xarray_backend.engine import MrcBackendEntrypoint
from mrcarray.xarray_backend.sidecars import existing

if TYPE_CHECKING:
    from pathlib import Path

every_ending = pytest.mark.parametrize("ending", [*COMPRESSED, ".ZSTD"])


def test_every_compression_that_is_read_has_its_ending_in_the_list() -> None:
    assert {row.suffix for row in CODECS.values()} <= set(COMPRESSED)
    assert {row.suffix for row in PACKERS.values()} <= set(COMPRESSED)


@every_ending
def test_everybody_who_goes_by_a_name_knows_every_ending(ending: str, tmp_path: Path) -> None:
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
def test_no_plain_file_is_written_under_a_name_that_promises_compression(ending: str) -> None:
    with pytest.raises(MrcValueError, match="only read"):
        packer_for(f"a.mrc{ending}")


def test_only_one_ending_is_taken_off() -> None:
    assert unpacked("a.mrc.gz.bz2") == "a.mrc.gz"
    assert unpacked(".gz") == ""


def test_names_load_no_decoder() -> None:
    code = "import sys, mrcarray.suffixes, mrcarray.cli.common; print([m for m in sys.modules if 'storage' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
