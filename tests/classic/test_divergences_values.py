"""Intended differences from mrcfile in numbers, errors, modes and extended headers.

Where mrcfile can be asked without harm, the test shows what it does.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import gzip
import io
import os
import re
import struct
import warnings
from typing import TYPE_CHECKING, Any

import mrcfile
import numpy as np
import pytest

from mrcarray import classic
from mrcarray.errors import (
    ClosedError,
    MrcFormatError,
    MrcValueError,
    MrcWarning,
    TruncatedError,
)
from tests.builders import mrc_bytes, sample
from tests.classic.conftest import COMPRESSION, VOLUME, facts, patched

if TYPE_CHECKING:
    from pathlib import Path

# numbers


@pytest.mark.parametrize("scale", [1e30, 1e-30, 1.0])
def test_statistics_have_the_accuracy_of_float64(scale: float) -> None:
    values = (np.random.default_rng(1).normal(size=(50, 64, 64)) * scale + 100 * scale).astype("f4")
    mrc = classic.mrcobject.MrcObject()
    mrc._create_default_attributes()
    mrc.set_data(values)
    wide = values.astype("f8")
    assert float(mrc.header.dmean) == pytest.approx(wide.mean(), rel=1e-6)
    assert float(mrc.header.rms) == pytest.approx(wide.std(), rel=1e-6)
    assert float(mrc.header.dmax) == values.max()


def test_statistics_of_float16_do_not_overflow() -> None:
    values = np.full((64, 64), 60000, np.float16)
    mrc = classic.mrcobject.MrcObject()
    mrc._create_default_attributes()
    mrc.set_data(values)
    assert (float(mrc.header.dmean), float(mrc.header.rms)) == (float(values[0, 0]), 0)


def test_statistics_in_the_file_match_its_data(tmp_path: Path, suffix: str) -> None:
    values = VOLUME.copy()
    name = tmp_path / ("a.mrc" + suffix)
    with classic.new(name, values, compression=COMPRESSION[suffix]) as mrc:
        values[:] = 5
    with mrcfile.open(name) as mrc:
        assert float(mrc.header.dmean) == 5
        assert float(mrc.data.max()) == float(mrc.header.dmax) == 5
    with classic.new_mmap(tmp_path / "m.mrc", (3, 4), 2) as mapped:
        mapped.set_data(np.ones((3, 4), "f4"))
        mapped.data[:] = 7
    assert mrcfile.open(tmp_path / "m.mrc").header.dmax == 7


def test_statistics_that_were_set_by_hand_are_kept(tmp_path: Path) -> None:
    with classic.new(tmp_path / "a.mrc", VOLUME) as mrc:
        mrc.header.dmax = 99
        mrc.data[:] = 3
    assert mrcfile.open(tmp_path / "a.mrc").header.dmax == 99


def test_write_warns_of_nan_and_infinity(tmp_path: Path) -> None:
    values = VOLUME.copy()
    values[0, 0, 0] = np.nan
    with pytest.warns(MrcWarning, match="Data array contains NaN values"):
        classic.write(tmp_path / "a.mrc", values)
    assert np.isnan(classic.open(tmp_path / "a.mrc").header.dmean)
    values[0, 0, 0] = np.inf
    with pytest.warns(MrcWarning, match="Data array contains infinite values"):
        classic.write(tmp_path / "b.mrc", values.astype("c8"))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, (1, 2), "x", (1, 2, -3), 1e39])
def test_invalid_voxel_size_is_refused(value: Any) -> None:
    mrc = classic.mrcobject.MrcObject()
    mrc._create_default_attributes()
    mrc.set_data(VOLUME)
    with pytest.raises(ValueError, match=r"voxel_size|could not convert"):
        mrc.voxel_size = value
    assert mrc.header.cella.item() == (0, 0, 0)


@pytest.mark.parametrize("value", [1.5, 2**31, (1, 2), (0, 0, 0.5)])
def test_invalid_nstart_is_refused(value: Any) -> None:
    mrc = classic.mrcobject.MrcObject()
    mrc._create_default_attributes()
    with pytest.raises(ValueError, match=r"nstart is"):
        mrc.nstart = value
    assert mrc.nstart.item() == (0, 0, 0)


@pytest.mark.parametrize(("fill", "mode"), [(200, 0), (-1, 6), (1e10, 1), (float("nan"), 1)])
def test_fill_outside_the_range_is_refused(path: Path, fill: float, mode: int) -> None:
    with pytest.raises(ValueError, match=r"fill is .*; expected .* pixels"):
        classic.new_mmap(path, (2, 3), mrc_mode=mode, fill=fill, overwrite=True)
    np.testing.assert_array_equal(classic.read(path), VOLUME)


def test_fractional_length_is_a_type_error(path: Path) -> None:
    with pytest.raises(TypeError, match="float"):
        classic.new_mmap(path, (2.7, 3), overwrite=True)  # type: ignore[arg-type]


def test_refused_data_change_nothing() -> None:
    mrc = classic.mrcobject.MrcObject()
    mrc._create_default_attributes()
    mrc.set_data(VOLUME)
    before = mrc.header.tobytes()
    for values in (np.zeros(3, "i2"), np.zeros((1, 1, 1, 1, 1), "i1"), np.zeros((2, 2), "f8")):
        with pytest.raises(ValueError, match=r"dimensional|dtype"):
            mrc.set_data(values)
    assert mrc.data is VOLUME
    assert mrc.header.tobytes() == before


# no raw errors


def test_any_header_gives_a_documented_error_or_a_warning(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    content = mrc_bytes(VOLUME, extended=b"e" * 80, exttyp=b"SERI")
    path = tmp_path / "a.mrc"
    extreme = [0, 1, -1, 2**31 - 1, -(2**31), 401, 0x7FC00000]
    for _ in range(400):
        raw = bytearray(content[: rng.integers(1024, len(content) + 1)])
        for word in rng.choice(56, size=rng.integers(1, 4), replace=False):
            struct.pack_into("<i", raw, 4 * int(word), int(rng.choice(extreme)))
        path.write_bytes(raw)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            for function in (classic.open, classic.mmap):
                try:
                    function(path).close()
                except MrcFormatError as error:
                    assert str(path) in str(error)  # noqa: PT017 -- the error is one of many
                with function(path, permissive=True) as mrc:
                    assert mrc.header is not None
                    for name in ("voxel_size", "nstart", "indexed_extended_header"):
                        getattr(mrc, name)
                    mrc.get_labels()
                    mrc.validate(io.StringIO())
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                assert classic.validate(path, io.StringIO()) in (True, False)
            with contextlib.suppress(MrcFormatError):
                classic.read(path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"nsymbt": -5}, "Extended header size is negative: nsymbt = -5"),
        ({"nx": -4}, "Header field 'nx' is negative: -4"),
        ({"ispg": 401, "m": (4, 3, 0)}, "Volume stack has nz = 5 and mz = 0"),
        ({"ispg": 401, "m": (4, 3, 2)}, "Volume stack has nz = 5 and mz = 2"),
        ({"nx": 2**31 - 1, "ny": 2**31 - 1, "nz": 2**31 - 1}, "in data block but limit is 240"),
    ],
)
def test_impossible_numbers_are_refused_by_name(path: Path, change: dict[str, Any], text: str) -> None:
    path.write_bytes(patched(path.read_bytes(), **change))
    for function in (classic.open, classic.mmap):
        with pytest.raises(MrcFormatError) as caught:
            function(path)
        assert str(path) in str(caught.value)
        if function is classic.open:
            assert text in str(caught.value)
            assert "word" in str(caught.value)


def test_huge_declared_extended_header_is_not_allocated(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(patched(mrc_bytes(VOLUME)[:1024], nsymbt=2**31 - 1))
    with pytest.raises(TruncatedError, match="Expected 2147483647 bytes in extended header but could only read 0"):
        classic.open(path)


def test_read_of_a_truncated_file_raises(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])
    with (
        pytest.warns(RuntimeWarning, match="Expected 240 bytes"),
        pytest.raises(MrcFormatError, match="the data could not be read"),
    ):
        classic.read(path)


def test_unknown_extended_header_type_warns_and_gives_none(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(VOLUME, extended=b"x" * 80, exttyp=b"WHAT"))
    with mrcfile.open(path) as mrc, pytest.raises(AttributeError):
        mrc.indexed_extended_header  # noqa: B018 -- the property raises
    with classic.open(path) as mrc, pytest.warns(RuntimeWarning, match="exttyp 'b'WHAT''"):
        assert mrc.indexed_extended_header is None


def test_closed_objects_raise_closed_error(path: Path) -> None:
    mrc = classic.open(path, mode="r+")
    mrc.close()
    for use in (
        lambda: mrc.voxel_size,
        lambda: mrc.nstart,
        lambda: setattr(mrc, "voxel_size", 1),
        lambda: mrc.set_data(VOLUME),
        lambda: mrc.set_extended_header(np.zeros(1, "V1")),
        lambda: mrc.indexed_extended_header,
        mrc.is_volume,
        mrc.print_header,
        mrc.get_labels,
        mrc.update_header_stats,
        mrc.flush,
        mrc.validate,
        mrc.to_xarray,
    ):
        with pytest.raises(ClosedError, match="closed"):
            use()


def test_header_only_objects_know_their_kind(path: Path) -> None:
    with classic.open(path, header_only=True) as mrc:
        assert mrc.is_volume()
        assert not mrc.is_image_stack()


def test_invalid_names_are_type_errors() -> None:
    for name in (None, 3, io.BytesIO()):
        with pytest.raises(TypeError, match="a file name must be"):
            classic.open(name)  # type: ignore[arg-type]


def test_empty_name_is_not_found() -> None:
    for function in (classic.open, classic.new, classic.mmap, classic.read):
        with pytest.raises(FileNotFoundError):
            function("")


def test_pipe_without_a_writer_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="pipe"):
        classic.open(tmp_path / "pipe")


def test_eleventh_label_is_refused(path: Path) -> None:
    with classic.open(path, mode="r+") as mrc:
        mrc.header.nlabl = -1
        with pytest.raises(IndexError, match="nlabl is -1"):
            mrc.add_label("text")
        mrc.header.nlabl = 0


# modes, extended headers, futures


@pytest.mark.parametrize("mode", [3, 101])
def test_modes_3_and_101_are_read_and_edited(tmp_path: Path, mode: int, byteorder: Any) -> None:
    values = sample((2, 3, 5), mode)
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(values, mode, byteorder))
    with pytest.raises(ValueError, match="Unrecognised mode"):
        mrcfile.open(path)
    with classic.open(path, mode="r+") as mrc:
        np.testing.assert_array_equal(mrc.data, values)
        mrc.data[0, 0, 0] = values[0, 0, 0] = 7
    assert path.read_bytes() == mrc_bytes(values, mode, byteorder)
    with pytest.raises(ValueError, match=f"Unrecognised mode '{mode}'"):
        classic.mmap(path)
    with pytest.warns(RuntimeWarning, match=f"Unrecognised mode '{mode}' - data block not read"):
        mapped = classic.mmap(path, permissive=True)
    assert mapped.data is None


def test_unused_half_bytes_of_mode_101_are_no_edit(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    content = bytearray(mrc_bytes(sample((2, 3, 5), 101), 101))
    content[1026] |= 0xF0  # the row has five pixels, so that half of its third byte is unused
    path.write_bytes(content)
    with classic.open(path, mode="r+") as mrc:
        assert mrc.data.shape == (2, 3, 5)
    assert path.read_bytes() == content


@pytest.mark.parametrize("compression", [None, "gzip"])
@pytest.mark.parametrize(
    ("mode", "value", "said"),
    [
        (101, 16, "value 16 does not fit mode 101, whose range is 0 to 15"),
        (3, 1e6 + 0.4j, "value 1e+06 does not fit mode 3, whose range is -32768 to 32767"),
        (3, complex(0, float("nan")), "NaN does not fit mode 3"),
    ],
)
def test_values_outside_modes_3_and_101_leave_the_file_unchanged(
    tmp_path: Path, mode: int, value: complex, said: str, compression: str | None
) -> None:
    path = tmp_path / "a.mrc"
    content = mrc_bytes(sample((2, 3, 5), mode), mode)
    path.write_bytes(content if compression is None else gzip.compress(content))
    before = facts(path)
    mrc = classic.open(path, mode="r+")
    mrc.data[1, 2, 3] = value
    mrc.header.nlabl = 0
    for write in (mrc.flush, mrc.close):
        with pytest.raises(MrcValueError, match=rf"a\.mrc: {re.escape(said)}.*nothing was written"):
            write()
        assert facts(path) == before
    mrc.data[1, 2, 3] = 7
    mrc.close()
    assert classic.read(path)[1, 2, 3] == 7
    assert [p.name for p in tmp_path.iterdir()] == ["a.mrc"]


def test_values_outside_mode_101_leave_the_stream_unchanged() -> None:
    stream = io.BytesIO(mrc_bytes(sample((2, 3, 5), 101), 101))
    before = stream.getvalue()
    mrc = classic.mrcinterpreter.MrcInterpreter(stream)
    mrc.data.flags.writeable = True
    mrc.data[0, 0, 0] = 20
    mrc.header.nlabl = 3
    with pytest.raises(MrcValueError, match="value 20 does not fit mode 101"):
        mrc.flush()
    assert stream.getvalue() == before
    mrc.data[0, 0, 0] = 2
    mrc.close()


def test_serialem_and_agard_headers_are_indexed(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    tilts = struct.pack("<5h", 100, 200, -300, 400, 500)
    extra = bytearray(84)
    struct.pack_into("<hh", extra, 16, 2, 1)
    path.write_bytes(mrc_bytes(VOLUME, extended=tilts, exttyp=b"SERI", extra2=bytes(extra)))
    with classic.open(path) as mrc:
        records = mrc.indexed_extended_header
        assert records.shape == (5,)
        assert records[records.dtype.names[0]].tolist() == [100, 200, -300, 400, 500]
        assert not records.flags.writeable
    extra[16:20] = struct.pack("<hh", 0, 16)  # integers and reals in a record
    reals = struct.pack("<80f", *range(80))
    path.write_bytes(mrc_bytes(VOLUME, extended=reals, exttyp=b"AGAR", extra2=bytes(extra)))
    with classic.open(path) as mrc:
        records = mrc.indexed_extended_header
        assert records["Alpha tilt"].tolist() == [0, 16, 32, 48, 64]
        assert records["Pixel size"].tolist() == [11, 27, 43, 59, 75]


@pytest.mark.parametrize(
    ("exttyp", "counts", "block", "field"),
    [
        (b"", (0, 0), np.full((1024, 32), 45, "f4").tobytes(), "Alpha tilt"),
        (b"", (2, 1), struct.pack("<5h", 4500, 4500, 4500, 4500, 4500), "Tilt angle"),
        (b"AGAR", (0, 1), struct.pack("<5f", 45, 45, 45, 45, 45), "Float 0"),
        (b"MRCO", (0, 1), struct.pack("<5f", 45, 45, 45, 45, 45), "Float 0"),
    ],
)
def test_records_of_all_dialects_are_indexed(
    tmp_path: Path, exttyp: bytes, counts: tuple[int, int], block: bytes, field: str
) -> None:
    path = tmp_path / "a.mrc"
    extra2 = bytes(16) + struct.pack("<2h", *counts) + bytes(64)
    path.write_bytes(mrc_bytes(VOLUME, extended=block, exttyp=exttyp, extra2=extra2))
    with mrcfile.open(path) as mrc, pytest.raises(AttributeError):
        mrc.indexed_extended_header  # noqa: B018 -- the property raises
    with classic.open(path) as mrc:
        assert set(mrc.indexed_extended_header[field].tolist()) <= {45, 4500}
        assert len(mrc.indexed_extended_header) == 5


@pytest.mark.data
def test_real_extended_headers_are_indexed(shared_data: Path) -> None:
    with classic.open(shared_data / "serialem_tilt.mrc", header_only=True) as mrc:
        assert len(mrc.indexed_extended_header) == mrc.header.nz
    with classic.open(shared_data / "fei-extended.mrc", header_only=True) as mrc:
        assert mrc.indexed_extended_header["HT"][0] == 300000
    with (
        pytest.warns(RuntimeWarning),
        classic.open(shared_data / "fei_old_header.mrc", header_only=True, permissive=True) as mrc,
    ):
        assert mrc.indexed_extended_header["Alpha tilt"].tolist() == list(range(-76, 78, 2))


def test_futures_are_real_futures(path: Path) -> None:
    future = classic.open_async(path)
    assert isinstance(future, concurrent.futures.Future)
    seen: list[Any] = []
    future.add_done_callback(seen.append)
    assert concurrent.futures.wait([future], timeout=10).done == {future}
    with future.result() as mrc:
        assert mrc.is_volume()
    assert seen == [future]
    with pytest.raises(TimeoutError, match="Timed out waiting for result"):
        classic.future_mrcfile.FutureMrcFile(__import__("time").sleep, (0.2,)).result(0.001)
