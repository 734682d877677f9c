"""Both libraries write the same files and read those of the other."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import gemmi
import mrcfile
import numpy as np
import pytest

from mrcarray import classic
from tests.builders import mrc_bytes, sample
from tests.classic.conftest import COMPRESSION, MODES, SHAPES, SUFFIXES
from tests.recording import recorded

DTYPES = ["i1", "i2", "u1", "u2", "f2", "f4", "c8"]
WRONG_DTYPES = ["?", "i4", "i8", "u4", "u8", "f8", "c16", "S4", "O"]


def write(api: Any, path: Path, values: np.ndarray[Any, Any], kind: str = "volume") -> None:
    compression = COMPRESSION["." + path.suffix.lstrip(".")] if path.suffix != ".mrc" else None
    with api.new(path, compression=compression) as mrc:
        mrc.set_data(values)
        if kind == "image_stack":
            mrc.set_image_stack()
        mrc.voxel_size = 1.5


def without_label(header: Any) -> bytes:
    """Return the header's bytes up to the labels, which contain the time of writing."""
    return bytes(header.tobytes()[:220])


def test_both_libraries_read_the_same_from_each_other(tmp_path: Path, mode: int, byteorder: Any, kind: str) -> None:
    values = sample(SHAPES[kind], mode)
    values = values.astype(values.dtype.newbyteorder(byteorder))
    headers = []
    for module in (mrcfile, classic):
        path = tmp_path / f"{module.__name__}.mrc"
        write(module, path, values, kind)
        for reader in (mrcfile, classic):
            with reader.open(path) as mrc:
                np.testing.assert_array_equal(mrc.data, values)
                assert mrc.data.dtype == values.dtype
                headers.append(without_label(mrc.header))
        assert mrcfile.validate(path, io.StringIO())
    assert headers[0] == headers[1]
    assert headers[2] == headers[3]
    ours, theirs = np.frombuffer(headers[2], "V1"), np.frombuffer(headers[0], "V1")
    np.testing.assert_array_equal(ours[:76], theirs[:76])  # everything but the statistics
    np.testing.assert_array_equal(ours[88:216], theirs[88:216])


@pytest.mark.parametrize("mode", [0, 1, 2, 6])
def test_gemmi_reads_what_is_written(api: Any, tmp_path: Path, mode: int) -> None:
    values = sample((5, 3, 4), mode)
    write(api, tmp_path / "a.mrc", values)
    ccp4 = gemmi.read_ccp4_map(str(tmp_path / "a.mrc"))
    np.testing.assert_allclose(np.array(ccp4.grid, copy=False).T, values, rtol=1e-6)
    assert ccp4.header_i32(4) == mode
    assert ccp4.grid.unit_cell.a == pytest.approx(6.0)


def test_every_compression_is_read_by_both(api: Any, tmp_path: Path, suffix: str) -> None:
    values = sample((5, 3, 4), 2)
    path = tmp_path / ("a.mrc" + suffix)
    with api.new(path, values, compression=COMPRESSION[suffix]) as mrc:
        assert repr(mrc) == f"{SUFFIXES[suffix]}('{path}', mode='w+')"
    for reader in (mrcfile, classic):
        with reader.open(path) as mrc:
            assert type(mrc).__name__ == SUFFIXES[suffix]
            np.testing.assert_array_equal(mrc.data, values)


def test_write_chooses_the_compression_by_the_name(api: Any, tmp_path: Path, suffix: str) -> None:
    values = sample((3, 4), 2)
    path = tmp_path / ("a.mrc" + suffix)
    api.write(path, values, voxel_size=1.25)
    with mrcfile.open(path) as mrc:
        assert type(mrc).__name__ == SUFFIXES[suffix]
        assert mrc.voxel_size.item() == (1.25, 1.25, 1.25)
    with pytest.raises(ValueError, match="already exists; set overwrite=True to overwrite it"):
        api.write(path, values)
    api.write(path, values * 2, overwrite=True, voxel_size=(1, 2, 3))
    np.testing.assert_array_equal(api.read(path), values * 2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes_are_kept_or_widened(api: Any, tmp_path: Path, dtype: str) -> None:
    values = np.arange(12).reshape(3, 4).astype(dtype)
    with api.new(tmp_path / "a.mrc") as mrc:
        mrc.set_data(values)
        expected = np.dtype("u2") if dtype == "u1" else np.dtype(dtype)
        assert mrc.data.dtype == expected
        assert mrc.header.mode == {"i1": 0, "i2": 1, "f4": 2, "c8": 4, "u1": 6, "u2": 6, "f2": 12}[dtype]
        np.testing.assert_array_equal(mrc.data, values)


@pytest.mark.parametrize("dtype", WRONG_DTYPES)
def test_other_dtypes_are_refused(api: Any, tmp_path: Path, dtype: str) -> None:
    with api.new(tmp_path / "a.mrc") as mrc:
        with pytest.raises(ValueError, match=r"dtype '.*' cannot be converted to an MRC file mode"):
            mrc.set_data(np.zeros((3, 4), dtype))
        assert mrc.data.size == 0


def test_contiguous_data_is_kept_and_other_data_is_copied(api: Any, data: Any) -> None:
    mrc = api.mrcobject.MrcObject()
    mrc._create_default_attributes()
    mrc.set_data(data)
    assert mrc.data is data
    mrc.set_data(data.transpose())
    assert mrc.data.flags.c_contiguous
    np.testing.assert_array_equal(mrc.data, data.transpose())


@pytest.mark.parametrize("shape", [(), (3,), (1, 1, 1, 2, 2)])
def test_other_numbers_of_dimensions_are_refused(api: Any, shape: tuple[int, ...]) -> None:
    mrc = api.mrcobject.MrcObject()
    mrc._create_default_attributes()
    with pytest.raises(ValueError, match="Data must be 2-, 3- or 4-dimensional"):
        mrc.set_data(np.zeros(shape, np.int8).reshape(shape) if shape else np.int8(3).reshape(1))


def test_dimensions_beyond_int32_are_refused(api: Any) -> None:
    mrc = api.mrcobject.MrcObject()
    mrc._create_default_attributes()
    values = np.broadcast_to(np.int8(0), (2**31, 1))
    with pytest.raises(ValueError, match="New data array is too large! Found a dimension of size 2147483648"):
        mrc.set_data(values)
    with pytest.raises(ValueError, match="New extended header is too large! It has 2147483648 bytes"):
        mrc.set_extended_header(values)


def test_header_follows_the_data(api: Any, kind: str) -> None:
    mrc = api.mrcobject.MrcObject()
    mrc._create_default_attributes()
    shape = SHAPES[kind]
    mrc.set_data(np.zeros(shape, np.int16))
    if kind == "image_stack":
        mrc.set_image_stack()
    h = mrc.header
    expected = {
        "image": (4, 3, 1, 4, 3, 1, 0),
        "image_stack": (4, 3, 5, 4, 3, 1, 0),
        "volume": (4, 3, 5, 4, 3, 5, 1),
        "volume_stack": (4, 3, 10, 4, 3, 5, 401),
    }[kind]
    assert tuple(int(v) for v in (h.nx, h.ny, h.nz, h.mx, h.my, h.mz, h.ispg)) == expected


def test_three_dimensional_data_keep_the_kind(api: Any) -> None:
    mrc = api.mrcobject.MrcObject()
    mrc._create_default_attributes()
    stack = np.zeros((2, 3, 4), np.int8)
    mrc.set_data(np.zeros((3, 4), np.int8))
    mrc.set_data(stack)
    assert mrc.is_image_stack()
    mrc.set_volume()
    assert (int(mrc.header.ispg), int(mrc.header.mz)) == (1, 2)
    mrc.header.ispg = 19
    mrc.set_volume()
    assert int(mrc.header.ispg) == 19
    mrc.set_data(np.zeros((2, 2, 3, 4), np.int8))
    assert int(mrc.header.ispg) == 401
    for change, text in ((mrc.set_image_stack, "an image stack"), (mrc.set_volume, "a volume")):
        with pytest.raises(ValueError, match=f"Only 3D data can be changed into {text}"):
            change()
    mrc.header.ispg = 602
    mrc.set_data(np.zeros((2, 2, 3, 4), np.int8))
    assert int(mrc.header.ispg) == 602


def test_header_takes_the_byte_order_of_the_data(api: Any) -> None:
    mrc = api.mrcobject.MrcObject()
    mrc._create_default_attributes()
    header = mrc.header
    mrc.set_data(np.zeros((3, 4), ">f4"))
    assert header.nx.dtype == np.dtype(">i4")
    assert bytes(header.machst) == b"\x11\x11\0\0"
    mrc.set_data(np.zeros((3, 4), np.int8))
    assert header.nx.dtype == np.dtype(">i4")
    mrc.set_data(np.zeros((3, 4), "<f4"))
    assert bytes(header.machst) == b"\x44\x44\0\0"
    assert (int(header.nx), int(header.mapc)) == (4, 1)


def test_new_file_is_empty_and_holds_the_default_header(api: Any, tmp_path: Path) -> None:
    with api.open(tmp_path / "a.mrc", mode="w+") as mrc:
        assert mrc.data.dtype == np.int8
        assert mrc.data.shape == (0,)
        assert mrc.extended_header.dtype == "V1"
        assert mrc.extended_header.size == 0
    assert (tmp_path / "a.mrc").stat().st_size == 1024
    headers = []
    for module in (mrcfile, classic):
        mrc = module.mrcobject.MrcObject()
        mrc._create_default_attributes()
        headers.append(mrc.header)
    assert headers[0].dtype == headers[1].dtype
    assert without_label(headers[0]) == without_label(headers[1])
    assert headers[1].label[0][:40].decode().startswith("Created by mrcfile.py   ")
    assert len(headers[0].label[0]) == len(headers[1].label[0])


def test_header_edit_is_saved(api: Any, volume: Path) -> None:
    with api.open(volume, mode="r+") as mrc:
        mrc.header.origin = (1, 2, 3)
        mrc.header.cella.x = 40
        mrc.header.label[3] = "hello"
        mrc.voxel_size = (1, 2, 3)
        mrc.nstart = -7
    with mrcfile.open(volume) as mrc:
        assert mrc.header.origin.item() == (1, 2, 3)
        assert mrc.voxel_size.item() == (1, 2, 3)
        assert mrc.nstart.item() == (-7, -7, -7)
        assert mrc.header.label[3] == b"hello"
        np.testing.assert_array_equal(mrc.data, sample((5, 3, 4), 2))


def test_data_edit_is_saved(api: Any, tmp_path: Path, suffix: str, byteorder: Any) -> None:
    path = tmp_path / ("a.mrc" + suffix)
    values = sample((5, 3, 4), 1).astype(np.dtype("i2").newbyteorder(byteorder))
    api.write(path, values)
    with api.open(path, mode="r+") as mrc:
        mrc.data[1, 1] = 7
        mrc.flush()
        mrc.data[2, 2] = 8
    values[1, 1], values[2, 2] = 7, 8
    for reader in (mrcfile, classic):
        with reader.open(path) as mrc:
            np.testing.assert_array_equal(mrc.data, values)
            assert mrc.data.dtype == values.dtype


def test_new_data_and_extended_header_replace_the_old(api: Any, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / ("a.mrc" + suffix)
    api.write(path, sample((5, 3, 4), 1))
    with api.open(path, mode="r+") as mrc:
        mrc.set_data(sample((2, 7, 6), 2))
        extended = np.array("example extended header", dtype="S")
        mrc.set_extended_header(extended)
        assert mrc.extended_header is extended
        assert mrc.header.nsymbt == 23
    with mrcfile.open(path) as mrc:
        np.testing.assert_array_equal(mrc.data, sample((2, 7, 6), 2))
        assert mrc.extended_header.tobytes() == b"example extended header"
    with api.open(path, mode="r+") as mrc:
        mrc.set_extended_header(np.array(()))
        mrc.flush()
        assert mrc.header.nsymbt == 0
    with mrcfile.open(path) as mrc:
        np.testing.assert_array_equal(mrc.data, sample((2, 7, 6), 2))


def test_flush_leaves_the_stream_at_the_end(api: Any, volume: Path) -> None:
    with api.open(volume, mode="r+") as mrc:
        mrc.set_data(sample((2, 3, 4), 1))
        mrc.flush()
        assert mrc._iostream.tell() == 1024 + 48


def test_reading_and_flushing_in_turn(api: Any, tmp_path: Path, suffix: str) -> None:
    values = sample((3, 4), 1)
    with api.new(tmp_path / "a.mrc", compression=COMPRESSION[suffix]) as mrc:
        mrc.set_data(values.copy())
        mrc.flush()
        mrc._read()
        np.testing.assert_array_equal(mrc.data, values)
        mrc._read()
        mrc.flush()
        mrc.flush()
        mrc._read()
        np.testing.assert_array_equal(mrc.data, values)


def test_statistics_are_of_the_data(api: Any, mode: int) -> None:
    values = sample((5, 3, 4), mode)
    mrc = api.mrcobject.MrcObject()
    mrc._create_default_attributes()
    mrc.set_data(values)
    h = mrc.header
    if mode == 4:
        assert (float(h.dmin), float(h.dmax), float(h.dmean)) == (0, -1, -2)
        assert float(h.rms) == pytest.approx(values.astype("c16").std(), rel=1e-5)
        return
    wide = values.astype("f8")
    assert float(h.dmin) == np.float32(wide.min())
    assert float(h.dmax) == np.float32(wide.max())
    assert float(h.dmean) == pytest.approx(wide.mean(), rel=1e-3, abs=1e-6)
    assert float(h.rms) == pytest.approx(wide.std(), rel=1e-3)


def test_empty_data_have_undetermined_statistics(api: Any) -> None:
    mrc = api.mrcobject.MrcObject()
    mrc._create_default_attributes()
    for dtype in (np.float32, np.complex64):
        mrc.set_data(np.zeros((0, 0, 0), dtype))
        h = mrc.header
        assert (float(h.dmin), float(h.dmax), float(h.dmean), float(h.rms)) == (0, -1, -2, -1)


def test_nan_and_infinity_warn_and_reach_the_header(api: Any) -> None:
    mrc = api.mrcobject.MrcObject()
    mrc._create_default_attributes()
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    values[1, 1] = np.nan
    with recorded() as seen:
        mrc.set_data(values)
    assert "Data array contains NaN values" in [str(w.message) for w in seen]
    assert np.isnan([mrc.header.dmin, mrc.header.dmax, mrc.header.dmean, mrc.header.rms]).all()
    values = np.array([[1, np.inf], [-np.inf, 2]], np.float32)
    with recorded() as seen:
        mrc.set_data(values)
    assert "Data array contains infinite values" in [str(w.message) for w in seen]
    assert (float(mrc.header.dmin), float(mrc.header.dmax)) == (-np.inf, np.inf)
    assert np.isnan([mrc.header.dmean, mrc.header.rms]).all()


def test_existing_file_is_not_overwritten_by_default(api: Any, volume: Path) -> None:
    before = volume.read_bytes()
    with pytest.raises(ValueError, match=r"already exists; set overwrite=True to overwrite it"):
        api.new(volume)
    with pytest.raises(ValueError, match=r"use a different name, or delete it first or call 'mrcfile\.new\(\)'"):
        api.open(volume, mode="w+")
    with pytest.raises(ValueError, match=r"already exists; set overwrite=True to overwrite it"):
        api.new_mmap(volume, (2, 3))
    with pytest.raises(ValueError, match="Unknown compression format 'zip'"):
        api.new(volume, compression="zip")
    assert volume.read_bytes() == before
    with api.new(volume, sample((2, 2), 0), overwrite=True):
        pass
    assert volume.stat().st_size == 1028


def test_contradicting_header_is_written_unchanged(api: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    with warnings.catch_warnings(record=True), api.new(path, sample((2, 3, 4), 1)) as mrc:
        mrc.header.nz = 5
    raw = path.read_bytes()
    assert len(raw) == 1024 + 48
    assert int.from_bytes(raw[8:12], "little") == 5
    with pytest.raises(ValueError, match="Expected 120 bytes in data block but limit is 48"):
        api.open(path)


def test_hooks_set_data_without_the_header(api: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    with warnings.catch_warnings(record=True), api.mrcfile.MrcFile(path, mode="w+") as mrc:
        mrc.set_data(np.arange(12, dtype=np.int16).reshape(3, 4))
        mrc._set_new_data(np.arange(16, dtype=np.int16).reshape(4, 4))
    with pytest.warns(RuntimeWarning, match="file is 8 bytes larger than expected"):
        api.mrcfile.MrcFile(path).close()


def test_interpreter_writes_to_its_stream(api: Any) -> None:
    stream = io.BytesIO()
    values = sample((5, 6), 1)
    with api.mrcinterpreter.MrcInterpreter() as mrc:
        mrc._iostream = stream
        mrc._create_default_attributes()
        mrc.set_data(values)
    stream.seek(0)
    with api.mrcinterpreter.MrcInterpreter(iostream=stream) as mrc:
        np.testing.assert_array_equal(mrc.data, values)
        mrc.set_data(values[:2] * 2)
    assert len(stream.getvalue()) == 1024 + 24
    stream.seek(0)
    with api.mrcinterpreter.MrcInterpreter(iostream=stream) as mrc:
        np.testing.assert_array_equal(mrc.data, values[:2] * 2)


def test_transposed_data_are_written_in_c_order(api: Any, tmp_path: Path, suffix: str) -> None:
    values = sample((5, 3, 4), 1)
    path = tmp_path / ("a.mrc" + suffix)
    api.write(path, values.transpose())
    np.testing.assert_array_equal(mrcfile.read(path), values.transpose())


def test_permissive_read_and_write_repairs_a_map_id(api: Any, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / ("a.mrc" + suffix)
    values = sample((5, 3, 4), 1)
    with api.new(path, values, compression=COMPRESSION[suffix]) as mrc:
        mrc.header.map = b"map "
    with pytest.warns(RuntimeWarning, match="Map ID"), api.open(path, mode="r+", permissive=True) as mrc:
        mrc.header.map = api.constants.MAP_ID
    with mrcfile.open(path) as mrc:
        np.testing.assert_array_equal(mrc.data, values)


def test_every_mode_is_in_the_tests() -> None:
    assert set(MODES) == set(mrcfile.utils._mode_to_dtype)


def test_files_of_ours_are_closed(api: Any, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / ("a.mrc" + suffix)
    api.write(path, sample((3, 4), 1))
    before = len(list(Path("/proc/self/fd").iterdir()))
    with api.open(path, mode="r+") as mrc:
        mrc.data[0, 0] = 3
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert mrc.header is None
    assert mrc.extended_header is None
    assert mrc.data is None
    mrc.close()


def test_builders_and_mrcfile_agree(tmp_path: Path) -> None:
    values = sample((5, 3, 4), 2)
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(values))
    np.testing.assert_array_equal(mrcfile.read(tmp_path / "a.mrc"), values)


# the program goes to another folder while a file is open


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a new folder, and return another one with a file of the same name."""
    (tmp_path / "here").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    mrcfile.write(tmp_path / "elsewhere" / "a.mrc", sample((2, 2), 0))
    return tmp_path / "elsewhere"


@pytest.mark.parametrize("suffix", ["", ".gz"])  # with bzip2, mrcfile opens the name once more
def test_new_file_appears_in_the_folder_where_it_was_created(
    api: Any, elsewhere: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "new.mrc" + suffix
    mrc = api.new(name, compression=COMPRESSION[suffix])
    monkeypatch.chdir(elsewhere)
    mrc.set_data(sample((3, 4), 1))
    mrc.close()
    assert [p.name for p in elsewhere.iterdir()] == ["a.mrc"]
    np.testing.assert_array_equal(mrcfile.read(elsewhere.parent / "here" / name), sample((3, 4), 1))


@pytest.mark.parametrize("function", ["open", "mmap"])
def test_file_is_changed_in_the_folder_where_it_was_opened(
    api: Any, elsewhere: Path, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mrcfile.write("a.mrc", sample((3, 4), 1))
    before = (elsewhere / "a.mrc").read_bytes()
    mrc = getattr(api, function)("a.mrc", mode="r+")
    monkeypatch.chdir(elsewhere)
    mrc.header.nxstart = 7
    mrc.data[0] = 3
    mrc.flush()
    mrc.set_extended_header(np.zeros(8, "V1"))
    assert repr(mrc).endswith("('a.mrc', mode='r+')")
    mrc.close()
    assert (elsewhere / "a.mrc").read_bytes() == before
    with mrcfile.open(elsewhere.parent / "here" / "a.mrc") as written:
        assert (int(written.header.nxstart), int(written.header.nsymbt)) == (7, 8)
        assert (written.data[0] == 3).all()


def test_parent_of_a_link_is_that_of_its_target(api: Any, elsewhere: Path) -> None:
    (elsewhere / "deep").mkdir()
    Path("link").symlink_to(elsewhere / "deep")
    mrcfile.write("a.mrc", sample((3, 4), 1))
    with api.open("link/../a.mrc", mode="r+") as mrc:
        assert mrc.data.shape == (2, 2)
        mrc.header.nxstart = 7
    assert mrcfile.open(elsewhere / "a.mrc").header.nxstart == 7
    assert mrcfile.open("a.mrc").header.nxstart == 0


def test_map_belongs_to_the_file_after_a_change_of_folder(
    api: Any, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mrcfile.write("a.mrc", sample((3, 4), 1))
    with api.mmap("a.mrc") as mrc:
        monkeypatch.chdir(elsewhere)
        np.testing.assert_array_equal(mrc.data, sample((3, 4), 1))
