"""Intended differences from mrcfile in compressed files, maps, and what is new.

Where mrcfile can be asked without harm, the test shows what it does.
"""

from __future__ import annotations

import bz2
import gzip
import io
import os
import pickle
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest

from mrcarray import classic
from mrcarray.classic.backing import Backing
from mrcarray.errors import (
    CompressionError,
    MrcFormatError,
    MrcWarning,
    StaleFileError,
    TruncatedError,
)
from tests.builders import mrc_bytes
from tests.classic.conftest import COMPRESSION, VOLUME, long_ago, patched
from tests.recording import recorded

# compression


def test_compressed_files_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    from mrcarray.storage.compression.stream import StreamDecoder

    if not suffix:
        return
    values = np.random.default_rng(0).normal(size=(20, 64, 64)).astype("f4")
    classic.write(tmp_path / ("a.mrc" + suffix), values)
    produced = 0
    real = StreamDecoder._some

    def counting(self: StreamDecoder, most: int) -> bytes:
        nonlocal produced
        piece = real(self, most)
        produced += len(piece)
        return piece

    monkeypatch.setattr(StreamDecoder, "_some", counting)
    np.testing.assert_array_equal(classic.read(tmp_path / ("a.mrc" + suffix)), values)
    assert produced in (0, 1024 + values.nbytes)  # bzip2 may have a way of its own


def test_header_of_a_compressed_file_decodes_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classic.write(tmp_path / "a.mrc.gz", np.zeros((64, 256, 256), "f4"))
    monkeypatch.setattr("mrcarray.storage.compression.sequential.SequentialSource.read_into", _bounded(4096))
    with classic.open(tmp_path / "a.mrc.gz", header_only=True) as mrc:
        assert mrc.header.nx == 256


def _bounded(limit: int) -> Any:
    from mrcarray.storage.compression.sequential import SequentialSource

    real = SequentialSource.read_into

    def read_into(self: SequentialSource, start: int, out: Any) -> int:
        assert start + out.size <= limit
        return real(self, start, out)

    return read_into


@pytest.mark.parametrize("suffix", [".gz", ".bz2"])
def test_damaged_compressed_files_are_compression_errors(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / ("a.mrc" + suffix)
    classic.write(path, np.random.default_rng(0).normal(size=(20, 64, 64)).astype("f4"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-2000])
    with pytest.raises(CompressionError, match="near byte"):
        classic.open(path)
    with pytest.warns(RuntimeWarning, match="near byte"):
        mrc = classic.open(path, permissive=True)
    with mrc:
        assert mrc.header.nz == 20
        assert mrc.data is None


def test_damage_in_the_extended_header_keeps_the_header(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "a.mrc"
    noise = np.random.default_rng(0).integers(0, 256, 300_000, np.uint8)
    with classic.new(path, VOLUME, compression=COMPRESSION[suffix]) as mrc:
        mrc.set_extended_header(noise)
    path.write_bytes(path.read_bytes()[:290_000])
    with recorded() as seen:
        mrc = classic.open(path, permissive=True)
    with mrc:
        assert mrc.header.nsymbt == noise.nbytes
        assert mrc.extended_header is None
    assert seen


@pytest.mark.parametrize("suffix", [".gz", ".bz2"])
@pytest.mark.parametrize("plain", [classic.mmap, classic.mrcfile.MrcFile])
def test_compressed_file_opened_as_plain_names_open(tmp_path: Path, suffix: str, plain: Any) -> None:
    path = tmp_path / ("a.mrc" + suffix)
    classic.write(path, np.random.default_rng(0).normal(size=(20, 64, 64)).astype("f4"))
    with pytest.raises(MrcFormatError, match=r"is compressed with (gzip|bzip2), use open\(\)"):
        plain(path)


@pytest.mark.parametrize("name", ["open", "mmap", "read", "new", "new_mmap", "write", "validate"])
def test_url_is_refused_without_showing_its_credentials(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments: dict[str, tuple[Any, ...]] = {"write": (VOLUME,), "new_mmap": ((2, 3),)}
    text = ""
    try:
        getattr(classic, name)("https://me:secret@host.example/a.mrc?key=hidden", *arguments.get(name, ()))
    except FileNotFoundError as error:
        text = str(error)
    text += capsys.readouterr().out
    assert "a URL is not a local file; read it with mrcarray.open_array" in text
    assert "https://host.example/a.mrc" in text
    assert not re.search("me:|secret|hidden", text)


def test_checksum_of_gzip_is_verified(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc.gz"
    classic.write(path, VOLUME)
    raw = bytearray(path.read_bytes())
    raw[-6] ^= 1
    path.write_bytes(raw)
    with pytest.raises(CompressionError):
        classic.open(path)


def test_wrong_size_in_a_compressed_header_is_not_allocated(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc.gz"
    path.write_bytes(gzip.compress(patched(mrc_bytes(VOLUME), nx=2**31 - 1, ny=2**31 - 1, nz=100)))
    with pytest.raises(TruncatedError, match="in data block but limit is 240"):
        classic.open(path)


def test_bomb_behind_a_small_header_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc.gz"
    path.write_bytes(gzip.compress(mrc_bytes(VOLUME) + bytes(200_000)))
    with pytest.warns(MrcWarning, match="MRC file is 200000 bytes larger than expected"):
        classic.open(path).close()
    backing = Backing(str(path), "gzip")
    backing.open()
    assert backing.bytes_after(1264, limit=1000, piece=1000) == 1000
    assert backing.bytes_after(1264) == 200_000
    backing.end_reading()


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
def test_bomb_behind_a_small_header_costs_little_memory(tmp_path: Path, compress: Any) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(compress(mrc_bytes(VOLUME)) + compress(bytes(24 << 20)) * 8)
    program = f"""
import io, warnings
from pathlib import Path
from mrcarray import classic
def peak():
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024
before = peak()
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    classic.read({str(path)!r})
    classic.validate({str(path)!r}, io.StringIO())
print(peak() - before <= 32, "at least" in str(seen[0].message))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"


# maps


def test_map_holds_one_descriptor_and_none_after_close(path: Path) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = descriptors()
    mrc = classic.mmap(path)
    assert isinstance(mrc.data, np.memmap)
    assert descriptors() <= before + 1
    mrc.close()
    assert descriptors() == before


def test_map_of_a_short_file_does_not_lengthen_it(path: Path) -> None:
    short = path.read_bytes()[:-100]
    path.write_bytes(short)
    for mode in ("r", "r+"):
        with pytest.raises(TruncatedError, match="mmap length is greater than file size"):
            classic.mmap(path, mode=mode)
    with pytest.warns(RuntimeWarning, match="Error opening memmap"):
        classic.mmap(path, mode="r+", permissive=True).close()
    assert path.read_bytes() == short


def test_map_belongs_to_the_opened_file(path: Path) -> None:
    with classic.mmap(path) as mrc:
        classic.write(path, VOLUME[:2], overwrite=True)
        np.testing.assert_array_equal(mrc.data, VOLUME)


def test_map_of_a_truncated_file_is_refused(path: Path) -> None:
    with classic.mmap(path) as mrc:
        os.truncate(path, 1050)
        with pytest.raises(StaleFileError, match="the file changed after it was opened"):
            mrc.data  # noqa: B018 -- the property raises


def test_new_map_reserves_disk_space(tmp_path: Path) -> None:
    with classic.new_mmap(tmp_path / "a.mrc", (10, 64, 64), 2):
        assert (tmp_path / "a.mrc").stat().st_blocks * 512 >= 10 * 64 * 64 * 4


# additions


@pytest.mark.parametrize("function", [classic.open, classic.mmap])
def test_read_only_objects_can_be_pickled(path: Path, function: Any) -> None:
    with mrcfile.open(path) as theirs, pytest.raises(TypeError, match="pickle"):
        pickle.dumps(theirs)
    with function(path) as mrc:
        text = pickle.dumps(mrc)
        assert len(text) < 1000
    with pickle.loads(text) as again:
        assert type(again) is type(mrc)
        np.testing.assert_array_equal(again.data, VOLUME)
    long_ago(path)
    with pytest.raises(StaleFileError, match="changed after the object was pickled"):
        pickle.loads(text)


def test_other_objects_cannot_be_pickled(path: Path) -> None:
    with classic.open(path, mode="r+") as mrc, pytest.raises(TypeError, match="only an open file in mode 'r'"):
        pickle.dumps(mrc)
    with pytest.raises(TypeError, match="only an open file"):
        pickle.dumps(mrc)


def test_to_xarray_gives_a_labelled_array(path: Path) -> None:
    with classic.open(path) as mrc:
        lazy = mrc.to_xarray()
        chunked = mrc.to_xarray(chunks={})
    assert lazy.dims == ("z", "y", "x")
    assert lazy.chunks is None
    assert chunked.chunks is not None
    np.testing.assert_array_equal(lazy.values, VOLUME)
    np.testing.assert_array_equal(chunked.values, VOLUME)


def test_to_xarray_refuses_unflushed_changes(path: Path) -> None:
    with classic.open(path, mode="r+") as mrc:
        mrc.data[0] = 1
        with pytest.raises(ValueError, match="call flush"):
            mrc.to_xarray()
        mrc.flush()
        assert float(mrc.to_xarray()[0].max()) == 1


def test_validate_prints_the_reason_in_one_line(tmp_path: Path) -> None:
    out = io.StringIO()
    assert not classic.validate(tmp_path / "absent.mrc", out)
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("FileNotFoundError: [Errno 2] No such file or directory")


def test_validate_escapes_control_characters(path: Path) -> None:
    name = path.with_name("a\x1b[31m.mrc")
    name.write_bytes(patched(path.read_bytes(), exttyp=b"\x1b[1m"))
    out = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classic.validate(name, out)
    assert "\x1b" not in out.getvalue()
    assert "\\x1b" in out.getvalue()


def test_volume_stack_with_mz_0_is_a_finding(path: Path) -> None:
    path.write_bytes(patched(path.read_bytes(), ispg=401, m=(4, 3, 0)))
    out = io.StringIO()
    with pytest.warns(RuntimeWarning, match="Volume stack has"):
        assert not classic.validate(path, out)
    assert "nz should be divisible by mz. Found nz = 5, mz = 0)" in out.getvalue()
    assert "Traceback" not in out.getvalue()


def test_warnings_name_the_line_of_the_caller(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")
    for function in (classic.open, classic.mmap, classic.mrcfile.MrcFile):
        with recorded() as seen:
            function(path).close()
        assert seen[0].filename == __file__
    classic.write(path, VOLUME, overwrite=True)
    with recorded() as seen, classic.open(path, mode="r+") as mrc:
        mrc.header.nz = 9
    assert seen[0].filename == __file__


def test_repr_escapes_control_characters_of_the_name(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m\n.mrc"
    with classic.new(path, VOLUME) as mrc:
        assert repr(mrc) == f"MrcFile('{tmp_path}/a\\x1b[31m\\n.mrc', mode='w+')"
