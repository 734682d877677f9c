"""Subclasses written for mrcfile work: the documented hooks are called and may be overridden."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest

from mrcarray import classic
from tests.classic.conftest import VOLUME


def test_reading_calls_the_hooks_in_turn(api: Any, path: Path) -> None:
    calls: list[str] = []

    class Traced(api.mrcfile.MrcFile):  # type: ignore[misc]
        def _read(self, header_only: bool = False) -> None:
            calls.append("_read")
            super()._read(header_only)

        def _read_header(self) -> None:
            calls.append("_read_header")
            super()._read_header()

        def _read_extended_header(self) -> None:
            calls.append("_read_extended_header")
            super()._read_extended_header()

        def _read_data(self) -> None:
            calls.append("_read_data")
            super()._read_data()

        def _close_data(self) -> None:
            calls.append("_close_data")
            super()._close_data()

    with Traced(path) as mrc:
        np.testing.assert_array_equal(mrc.data, VOLUME)
    assert calls[:5] == ["_read", "_read_header", "_read_extended_header", "_read_data", "_close_data"]


def test_writing_calls_the_hooks(api: Any, tmp_path: Path) -> None:
    calls: list[str] = []

    class Traced(api.mrcfile.MrcFile):  # type: ignore[misc]
        def _create_default_attributes(self) -> None:
            calls.append("_create_default_attributes")
            super()._create_default_attributes()
            self.add_label("made by a subclass")

        def _check_writeable(self) -> None:
            calls.append("_check_writeable")
            super()._check_writeable()

        def _set_new_data(self, data: Any) -> None:
            calls.append("_set_new_data")
            super()._set_new_data(data)

        def update_header_stats(self) -> None:
            calls.append("update_header_stats")
            super().update_header_stats()

    with Traced(tmp_path / "a.mrc", mode="w+") as mrc:
        del calls[1:]
        mrc.set_data(VOLUME)
    assert calls[0] == "_create_default_attributes"
    assert {"_check_writeable", "_set_new_data", "update_header_stats"} <= set(calls)
    with api.open(tmp_path / "a.mrc") as mrc:
        assert mrc.get_labels()[1] == "made by a subclass"
        np.testing.assert_array_equal(mrc.data, VOLUME)


def test_subclass_may_set_its_own_stream(api: Any, path: Path) -> None:
    streams: list[io.BytesIO] = []

    class InMemory(api.mrcfile.MrcFile):  # type: ignore[misc]
        def _open_file(self, name: str) -> None:
            self._iostream = io.BytesIO(Path(name).read_bytes() if self._mode != "w+" else b"")
            self._iostream.name = name
            streams.append(self._iostream)

        def _close_file(self) -> None:
            self._kept = self._iostream.getvalue()
            self._iostream.close()

    before = path.read_bytes()
    with InMemory(path, mode="r+") as mrc:
        np.testing.assert_array_equal(mrc.data, VOLUME)
        mrc.set_data(VOLUME[:2])
        assert repr(mrc) in (f"MrcFile('{path}', mode='r+')", f"InMemory('{path}', mode='r+')")
        assert not mrc.validate(io.StringIO()) or mrc.header.nz == 2
    assert path.read_bytes() == before
    assert len(mrc._kept) == 1024 + 80 + VOLUME[:2].nbytes
    assert streams[0].closed
    with InMemory(path.with_name("new.mrc"), mode="w+") as mrc:
        mrc.set_data(VOLUME)
    assert len(mrc._kept) == 1024 + VOLUME.nbytes
    assert not path.with_name("new.mrc").exists()


def test_subclass_may_replace_the_reading_of_bytes(api: Any, path: Path) -> None:
    class Zeroed(api.mrcfile.MrcFile):  # type: ignore[misc]
        def _read_bytearray_from_stream(self, number_of_bytes: int) -> tuple[bytearray, int]:
            result, count = super()._read_bytearray_from_stream(number_of_bytes)
            assert isinstance(result, bytearray)
            return (result if count == 1024 else bytearray(count)), count

    with Zeroed(path) as mrc:
        assert not mrc.data.any()
        assert mrc.extended_header.tobytes() == bytes(80)


def test_subclass_may_correct_the_header_before_the_data_are_read(api: Any, path: Path) -> None:
    class Fixing(api.mrcfile.MrcFile):  # type: ignore[misc]
        def _read_header(self) -> None:
            super()._read_header()
            self._header.flags.writeable = True
            self._header.ispg = 0

    with Fixing(path) as mrc:
        assert mrc.is_image_stack()


def test_stream_of_a_file_is_available(api: Any, path: Path, suffix: str) -> None:
    name = path.with_name("a.mrc" + suffix)
    api.write(name, VOLUME)
    with api.open(name) as mrc:
        stream = mrc._iostream
        stream.seek(0)
        assert stream.read(4) == b"\x04\0\0\0"
        assert not stream.closed
    assert stream.closed


def test_open_memmap_of_a_new_file_reserves_space(api: Any, tmp_path: Path) -> None:
    with api.mrcmemmap.MrcMemmap(tmp_path / "a.mrc", mode="w+") as mrc:
        mrc._open_memmap(np.dtype("f4"), (2, 3, 4))
        mrc.data[:] = 5
        mrc.update_header_from_data()
        mrc.update_header_stats()
        mrc.flush()
        mrc._iostream.seek(0, os.SEEK_END)
        assert mrc._iostream.tell() == 1024 + 96
    np.testing.assert_array_equal(api.read(tmp_path / "a.mrc"), np.full((2, 3, 4), 5, "f4"))


def test_keyword_arguments_reach_other_bases(api: Any, path: Path) -> None:
    class Tagged:
        def __init__(self, tag: str = "", **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.tag = tag

    class TaggedMrc(api.mrcfile.MrcFile, Tagged):  # type: ignore[misc]
        pass

    cls: Any = TaggedMrc
    with cls(path, tag="mine") as mrc:
        assert mrc.tag == "mine"


def test_subclass_may_change_the_private_data(api: Any, path: Path, suffix: str) -> None:
    name = path.with_name("a.mrc" + suffix)
    api.write(name, VOLUME)
    with api.open(name) as mrc:
        base: Any = type(mrc)

    class Inverting(base):  # type: ignore[misc]
        def invert(self) -> None:
            self._data[...] = -self._data

    with Inverting(name, mode="r+") as mrc:
        mrc.invert()
    np.testing.assert_array_equal(mrcfile.read(name), -VOLUME)


def test_subclass_may_override_data(api: Any, path: Path) -> None:
    class Own(api.mrcfile.MrcFile):  # type: ignore[misc]
        @property
        def data(self) -> Any:
            return self._data[:]

    with Own(path, mode="r+") as mrc:
        mrc.data[0, 0] = 9
    assert (mrcfile.read(path)[0, 0] == 9).all()


def test_subclass_may_replace_the_private_data(api: Any, path: Path) -> None:
    class Doubling(api.mrcfile.MrcFile):  # type: ignore[misc]
        def _read_data(self) -> None:
            super()._read_data()
            twice: Any = self._data * 2  # type: ignore[has-type]
            self._data = twice

    Doubling(path, mode="r+").close()
    np.testing.assert_array_equal(mrcfile.read(path), VOLUME * 2)
    with api.open(path, mode="r+") as mrc:
        mrc._data = VOLUME[0, :2].copy()  # begins as the data in the file do, but is shorter
        mrc.update_header_from_data()
        mrc.update_header_stats()
    with mrcfile.open(path) as mrc:
        np.testing.assert_array_equal(mrc.data, VOLUME[0, :2])
        assert mrc.header.dmax == VOLUME[0, :2].max()
    assert path.stat().st_size == 1024 + 80 + VOLUME[0, :2].nbytes


def test_subclass_may_write_to_the_stream_itself(api: Any, tmp_path: Path) -> None:
    class Raw(api.mrcfile.MrcFile):  # type: ignore[misc]
        def flush(self) -> None:
            self._iostream.seek(0)
            self._iostream.write(self.header.tobytes())
            self._iostream.write(self.data.tobytes() + b"tail")
            self._iostream.truncate()

    path = tmp_path / "a.mrc"
    with Raw(path, mode="w+") as mrc:
        mrc.set_data(VOLUME)
        assert mrc._iostream.name == str(path)
    assert path.read_bytes()[1024:] == VOLUME.tobytes() + b"tail"
    with pytest.warns(RuntimeWarning, match="4 bytes larger"):
        mrc = Raw(path, mode="r+")
    with mrc:
        mrc.data[0] = 0
    assert path.read_bytes()[1024:1084] == bytes(48) + VOLUME.tobytes()[48:60]
    assert [p.name for p in tmp_path.iterdir()] == ["a.mrc"]


def test_subclass_may_add_to_what_was_written(api: Any, tmp_path: Path) -> None:
    class Footer(api.mrcfile.MrcFile):  # type: ignore[misc]
        def flush(self) -> None:
            super().flush()
            self._iostream.seek(1024 + self.data.nbytes)
            self._iostream.write(b"foot")

    path = tmp_path / "a.mrc"
    with Footer(path, mode="w+") as mrc:
        mrc.set_data(VOLUME)
        mrc.flush()
        mrc.header.nxstart = 3
        mrc.flush()
        mrc.data[0] = 0
    assert path.read_bytes()[-4:] == b"foot"
    assert path.stat().st_size == 1024 + VOLUME.nbytes + 4
    with pytest.warns(RuntimeWarning, match="4 bytes larger"):
        mrc = api.open(path)
    with mrc:
        assert int(mrc.header.nxstart) == 3
        assert not mrc.data[0].any()


@pytest.mark.parametrize("function", ["open", "mmap"])
def test_stream_position_is_after_the_last_read(api: Any, path: Path, function: str) -> None:
    with getattr(api, function)(path) as mrc:
        assert mrc._iostream.tell() == path.stat().st_size
    assert mrc._iostream.closed
    with api.open(path, mode="r+", header_only=True) as mrc:
        assert mrc._iostream.tell() == 1024 + 80
        np.testing.assert_array_equal(np.frombuffer(mrc._iostream.read(), "f4").reshape(VOLUME.shape), VOLUME)
        mrc._iostream.seek(1024 + 80)
        mrc._read_data()
        np.testing.assert_array_equal(mrc.data, VOLUME)
        assert mrc._iostream.tell() == path.stat().st_size


def test_data_are_read_from_the_stream_position(api: Any, path: Path, suffix: str) -> None:
    name = path.with_name("a.mrc" + suffix)
    api.write(name, VOLUME)
    with api.open(name) as mrc:
        mrc.header.flags.writeable = True
        mrc.header.nz = mrc.header.mz = 1
        mrc._iostream.seek(1024 + VOLUME[0].nbytes)
        with pytest.warns(RuntimeWarning, match="larger than expected"):
            mrc._read_data()
        np.testing.assert_array_equal(mrc.data, VOLUME[1:2])


@pytest.mark.parametrize("function", ["open", "mmap"])
def test_extended_header_may_be_replaced_privately(path: Path, function: str) -> None:
    with getattr(classic, function)(path, mode="r+") as mrc:  # mrcfile damages mapped data
        mrc.data[0] = 0
        mrc._extended_header = np.zeros(7, "V1")
        mrc.header.nsymbt = 7
    with mrcfile.open(path) as mrc:
        assert mrc.extended_header.nbytes == 7
        np.testing.assert_array_equal(mrc.data[1:], VOLUME[1:])
        assert not mrc.data[0].any()
