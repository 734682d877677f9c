"""Mapped files behave the same in mrcfile and in the classic API."""

from __future__ import annotations

import io
import mmap
from typing import TYPE_CHECKING, Any

import mrcfile
import numpy as np
import pytest

from tests.builders import mrc_bytes, sample
from tests.classic.conftest import SHAPES

if TYPE_CHECKING:
    from pathlib import Path

VOLUME = sample((5, 3, 4), 2)


def test_every_mode_and_kind_is_mapped(api: Any, tmp_path: Path, mode: int, byteorder: Any, kind: str) -> None:
    values = sample(SHAPES[kind], mode)
    fields: dict[str, Any] = {"ispg": 0} if kind == "image_stack" else {}
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(values, mode, byteorder, extended=b"x" * 7, **fields))
    with api.mmap(path) as mrc:
        assert isinstance(mrc.data, np.memmap)
        assert repr(mrc) == f"MrcMemmap('{path}', mode='r')"
        np.testing.assert_array_equal(mrc.data, values)
        assert mrc.data.dtype == values.dtype.newbyteorder(byteorder)
        with pytest.raises(ValueError, match="read-only"):
            mrc.data[0] = 1


def test_edits_reach_the_file(api: Any, volume: Path) -> None:
    with api.mmap(volume, mode="r+") as mrc:
        mrc.data[1, 2] = 9
        mrc.header.nxstart = 4
        mrc.update_header_stats()
    with mrcfile.open(volume) as mrc:
        assert (mrc.data[1, 2] == 9).all()
        assert mrc.header.nxstart == 4
        assert mrc.header.dmax == 9


def test_closed_map_can_no_longer_be_changed(api: Any, volume: Path) -> None:
    mrc = api.mmap(volume, mode="r+")
    data = mrc.data
    data[0, 0] = 1
    mrc.close()
    assert not data.flags.writeable
    assert mrc.data is None


def test_new_data_replace_the_map(api: Any, volume: Path) -> None:
    with api.mmap(volume, mode="r+") as mrc:
        values = sample((2, 6, 7), 1)
        mrc.set_data(values)
        assert mrc.data is not values
        assert isinstance(mrc.data, np.memmap)
        mrc.set_extended_header(np.frombuffer(b"12345", "V1"))
        np.testing.assert_array_equal(mrc.data, values)
        mrc.data[0, 0, 0] = 77
    values[0, 0, 0] = 77
    with mrcfile.open(volume) as mrc:
        np.testing.assert_array_equal(mrc.data, values)
        assert mrc.extended_header.tobytes() == b"12345"


def test_new_map_takes_a_copied_header_and_extended_header(api: Any, tmp_path: Path) -> None:
    extended = np.frombuffer(b"e" * 80, "V1")
    with (
        api.new_mmap(tmp_path / "a.mrc", VOLUME.shape, 2, extended_header=extended) as old,
        api.new_mmap(tmp_path / "b.mrc", VOLUME.shape, 2) as new,
    ):
        new.data[:] = VOLUME
        for name in old.header.dtype.names:  # also the size of the extended header
            new.header[name] = old.header[name]
        new.set_extended_header(old.extended_header)
        new.data[0] = 5
    with mrcfile.open(tmp_path / "b.mrc") as written:
        assert written.extended_header.tobytes() == b"e" * 80
        assert (written.data[0] == 5).all()
        np.testing.assert_array_equal(written.data[1:], VOLUME[1:])


def test_data_can_be_replaced_by_none_after_an_edit(api: Any, volume: Path) -> None:
    with api.mmap(volume, mode="r+") as mrc:
        mrc.data[0] = 1
        mrc.data.flush()
        mrc.set_data(np.zeros((0, 4), "i1"))
        mrc.header.nystart = 3
    with mrcfile.open(volume) as mrc:
        assert mrc.data.shape == (0, 4)
        assert mrc.header.nystart == 3
    assert volume.stat().st_size == 1024


def test_unflushed_map_has_its_full_size(api: Any, volume: Path) -> None:
    out = io.StringIO()
    with api.mmap(volume, mode="r+") as mrc:
        mrc.set_data(sample((2, 6, 7), 1))
        assert mrc.validate(out), out.getvalue()
        mrc.set_extended_header(np.zeros(0, "V1"))
        assert mrc.validate(out), out.getvalue()


def test_subclass_may_replace_the_mapping(api: Any, volume: Path) -> None:
    mapped: list[tuple[int, ...]] = []

    class Traced(api.mrcmemmap.MrcMemmap):  # type: ignore[misc]
        def _open_memmap(self, dtype: Any, shape: tuple[int, ...]) -> None:
            super()._open_memmap(dtype, shape)
            mapped.append(self._data.shape)

    with Traced(volume, mode="r+") as mrc:
        mrc.set_data(sample((2, 6, 7), 1))
        mrc.set_extended_header(np.zeros(8, "V1"))
    assert mapped == [(5, 3, 4), (2, 6, 7), (2, 6, 7)]
    np.testing.assert_array_equal(mrcfile.read(volume), sample((2, 6, 7), 1))


@pytest.mark.parametrize("mrc_mode", [0, 1, 2, 4, 6, 12])
def test_new_maps_have_the_mode_and_shape_asked_for(api: Any, tmp_path: Path, mrc_mode: int) -> None:
    for shape in ((3, 4), (2, 3, 4), (2, 2, 3, 4)):
        path = tmp_path / f"{len(shape)}.mrc"
        with api.new_mmap(path, shape, mrc_mode, fill=1) as mrc:
            assert mrc.data.shape == shape
            assert mrc.header.mode == mrc_mode
            assert repr(mrc) == f"MrcMemmap('{path}', mode='w+')"
            assert path.stat().st_size == 1024 + mrc.data.nbytes  # the file is there
        with mrcfile.open(path) as mrc:
            assert (mrc.data == 1).all()
            assert mrc.data.shape == shape


def test_new_map_takes_an_extended_header(api: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    extended = np.arange(8, dtype="i2")
    with api.new_mmap(path, (3, 4), 2, 1.5, extended_header=extended, exttyp="TYPE") as mrc:
        assert mrc.header.exttyp == b"TYPE"
        assert mrc.header.nsymbt == 16
    with mrcfile.open(path) as mrc:
        assert mrc.extended_header.tobytes() == extended.tobytes()
        assert (mrc.data == 1.5).all()


@pytest.mark.parametrize(("exttyp", "stored"), [(5, b"5"), (b"FE", b"FE"), (np.array(b"SERI"), b"SERI"), ("", b"")])
def test_type_of_extended_header_is_given_in_many_ways(api: Any, tmp_path: Path, exttyp: Any, stored: bytes) -> None:
    with api.new_mmap(tmp_path / "a.mrc", (3, 4), exttyp=exttyp) as mrc:
        assert mrc.header.exttyp == stored


def test_headers_that_end_at_a_page_border_are_mapped(api: Any, tmp_path: Path) -> None:
    extended = np.zeros(mmap.ALLOCATIONGRANULARITY - 1024, "V1")
    with api.new_mmap(tmp_path / "a.mrc", (3, 4), 1, extended_header=extended) as mrc:
        assert mrc.data.shape == (3, 4)
    with api.mmap(tmp_path / "b.mrc", mode="w+") as mrc:
        mrc.set_extended_header(extended)
    with api.mmap(tmp_path / "b.mrc") as mrc:
        assert mrc.data.size == 0


def test_new_maps_refuse_invalid_arguments(api: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="New shape is too large! Found a dimension of size 2147483648"):
        api.new_mmap(tmp_path / "a.mrc", (2**31, 1))
    with pytest.raises(ValueError, match="Unrecognised mode '7'"):
        api.new_mmap(tmp_path / "b.mrc", (3, 4), mrc_mode=7)
    with pytest.raises(ValueError, match="New extended header is too large!"):
        api.new_mmap(tmp_path / "c.mrc", (3, 4), extended_header=np.broadcast_to(np.int8(0), (2**31,)))


def test_unreadable_maps_warn_in_permissive_mode(api: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(VOLUME)[:-5])
    with pytest.raises(ValueError, match="mmap length is greater than file size"):
        api.mmap(path)
    with pytest.warns(RuntimeWarning, match="Error opening memmap"), api.mmap(path, permissive=True) as mrc:
        assert mrc.data is None
    raw = bytearray(mrc_bytes(VOLUME))
    raw[12] = 9
    path.write_bytes(raw)
    with (
        pytest.warns(RuntimeWarning, match="Unrecognised mode '9' - data block not read"),
        api.mmap(path, permissive=True) as mrc,
    ):
        assert mrc.data is None


def test_bytes_after_mapped_data_give_a_warning(api: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(VOLUME) + b"123")
    with pytest.warns(RuntimeWarning, match="MRC file is 3 bytes larger than expected"):
        api.mmap(path).close()


def test_futures_give_the_open_file(api: Any, volume: Path) -> None:
    future = api.open_async(volume)
    with future.result() as mrc:
        np.testing.assert_array_equal(mrc.data, VOLUME)
    assert future.done()
    assert not future.running()
    assert future.exception() is None
    assert future.cancel() is False
    assert future.cancelled() is False
    missing = api.open_async(volume.with_name("absent.mrc"), mode="r+", permissive=True)
    assert isinstance(missing.exception(), FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        missing.result()
    slow = api.future_mrcfile.FutureMrcFile(__import__("time").sleep, args=(0.2,))
    with pytest.raises(RuntimeError, match="Timed out waiting for result"):
        slow.result(timeout=0.001)
    with pytest.raises(RuntimeError, match="Timed out waiting for result"):
        slow.exception(timeout=0.001)
    assert slow.result() is None
    assert api.future_mrcfile.FutureMrcFile(dict, (), {"a": 1}).result() == {"a": 1}
