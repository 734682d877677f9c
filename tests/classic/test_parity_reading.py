"""Reading gives the same in mrcfile and in the classic API."""

from __future__ import annotations

import bz2
import gzip
import io
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.builders import mrc_bytes, sample
from tests.classic.conftest import SHAPES, SUFFIXES, patched
from tests.recording import recorded

if TYPE_CHECKING:
    from pathlib import Path

PACK: dict[str, Any] = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}


def make(path: Path, content: bytes) -> Path:
    path.write_bytes(PACK[path.suffix if path.suffix in PACK else ""](content))
    return path


def kind_fields(kind: str) -> dict[str, Any]:
    return {"ispg": 0} if kind == "image_stack" else {}


def test_every_mode_byte_order_and_kind_reads_the_same_values(
    api: Any, tmp_path: Path, mode: int, byteorder: Any, kind: str
) -> None:
    values = sample(SHAPES[kind], mode)
    path = make(tmp_path / "a.mrc", mrc_bytes(values, mode, byteorder, **kind_fields(kind)))
    with api.open(path) as mrc:
        np.testing.assert_array_equal(mrc.data, values)
        assert mrc.data.shape == values.shape
        assert mrc.data.dtype == values.dtype.newbyteorder(byteorder)
        assert mrc.header.mode == mode
        assert mrc.header.nx.dtype == np.dtype("i4").newbyteorder(byteorder)
        assert (mrc.is_single_image(), mrc.is_image_stack(), mrc.is_volume(), mrc.is_volume_stack()) == tuple(
            kind == name for name in SHAPES
        )


def test_every_compression_is_recognised_by_its_content(api: Any, tmp_path: Path, suffix: str) -> None:
    values = sample((5, 3, 4), 2)
    path = make(tmp_path / ("a.mrc" + suffix), mrc_bytes(values, extended=b"x" * 80, exttyp=b"CCP4"))
    disguised = tmp_path / "plain_name.mrc"
    shutil.copy(path, disguised)
    with api.open(str(disguised)) as mrc:
        assert type(mrc).__name__ == SUFFIXES[suffix]
        assert repr(mrc) == f"{SUFFIXES[suffix]}('{disguised}', mode='r')"
        np.testing.assert_array_equal(mrc.data, values)
        assert mrc.extended_header.tobytes() == b"x" * 80


def test_read_returns_a_writable_array(api: Any, volume: Path) -> None:
    values = api.read(volume)
    assert isinstance(values, np.ndarray)
    assert values.flags.writeable
    np.testing.assert_array_equal(values, sample((5, 3, 4), 2))


def test_read_only_arrays_cannot_be_written(api: Any, volume: Path) -> None:
    with api.open(volume) as mrc:
        with pytest.raises(ValueError, match="read-only"):
            mrc.data[0, 0, 0] = 1
        with pytest.raises(ValueError, match="read-only"):
            mrc.header.nx = 1
        assert not mrc.extended_header.flags.writeable
        for change in (
            lambda: mrc.set_data(np.zeros((2, 2), np.int8)),
            lambda: mrc.set_extended_header(np.zeros(2, "V1")),
            lambda: setattr(mrc, "voxel_size", 1),
            lambda: setattr(mrc, "nstart", 1),
            mrc.set_image_stack,
            mrc.set_volume,
            mrc.update_header_from_data,
            mrc.update_header_stats,
            mrc.reset_header_stats,
        ):
            with pytest.raises(ValueError, match="MRC object is read-only"):
                change()


def test_attributes_have_no_setter(api: Any, volume: Path) -> None:
    with api.open(volume, mode="r+") as mrc:
        for name in ("header", "extended_header", "data", "indexed_extended_header"):
            with pytest.raises(AttributeError):
                setattr(mrc, name, np.zeros(1))


def test_header_only_reads_no_data(api: Any, tmp_path: Path, suffix: str) -> None:
    path = make(tmp_path / ("a.mrc" + suffix), mrc_bytes(sample((5, 3, 4), 2), extended=b"e" * 160))
    with api.open(path, header_only=True) as mrc:
        assert mrc.data is None
        assert mrc.header.nz == 5
        assert mrc.extended_header.nbytes == 160
        assert mrc.extended_header.dtype == "V1"


def test_voxel_size_without_intervals_is_infinite_with_a_warning(api: Any, tmp_path: Path) -> None:
    fields: dict[str, Any] = {"cella": (8.0, 0.0, 15.0), "m": (0, 0, 5)}
    path = make(tmp_path / "a.mrc", mrc_bytes(sample((5, 3, 4), 2), **fields))
    with api.open(path) as mrc, pytest.warns(RuntimeWarning) as caught:
        assert str(mrc.voxel_size) == "(inf, nan, 3.0)"
    assert len(caught) == 2


def test_voxel_size_and_nstart_are_read_only_records(api: Any, tmp_path: Path) -> None:
    fields: dict[str, Any] = {"cella": (8.0, 6.0, 15.0), "m": (4, 3, 5), "nstart": (-2, 3, 0)}
    path = make(tmp_path / "a.mrc", mrc_bytes(sample((5, 3, 4), 2), **fields))
    with api.open(path) as mrc:
        assert mrc.voxel_size.item() == (2.0, 2.0, 3.0)
        assert mrc.voxel_size.dtype == api.dtypes.VOXEL_SIZE_DTYPE
        assert mrc.nstart.item() == (-2, 3, 0)
        assert isinstance(mrc.voxel_size, np.recarray)
        assert isinstance(mrc.nstart, np.recarray)
        with pytest.raises(ValueError, match="read-only"):
            mrc.voxel_size.x = 2
        with pytest.raises(ValueError, match="read-only"):
            mrc.nstart.x = 2


def test_machine_stamp_of_44_41_is_little_endian(api: Any, tmp_path: Path) -> None:
    path = make(tmp_path / "a.mrc", mrc_bytes(sample((5, 3, 4), 1), 1, machst=b"DA\0\0"))
    with api.open(path) as mrc:
        np.testing.assert_array_equal(mrc.data, sample((5, 3, 4), 1))


def test_map_id_of_motioncor_is_accepted(api: Any, tmp_path: Path) -> None:
    path = make(tmp_path / "a.mrc", mrc_bytes(sample((5, 3, 4), 1), 1, map=b"MAP\0"))
    with api.open(path) as mrc:
        assert mrc.data.shape == (5, 3, 4)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"map": b"map "}, "Map ID string not found - not an MRC file, or file is corrupt"),
        ({"machst": b"\0\0\0\0"}, "Unrecognised machine stamp: 0x00 0x00 0x00 0x00"),
        ({"mode": 10}, "Unrecognised mode '10'"),
        ({"machst": b"\x11\x11\0\0"}, "Unrecognised mode '16777216'"),
        ({"nsymbt": 100000}, "Expected 100000 bytes in extended header but could only read 120"),
        ({"nz": 50}, "Expected 1200 bytes in data block but limit is 120"),
    ],
)
def test_wrong_header_raises_in_strict_mode(
    api: Any, tmp_path: Path, suffix: str, change: dict[str, Any], text: str
) -> None:
    path = make(tmp_path / ("a.mrc" + suffix), patched(mrc_bytes(sample((5, 3, 4), 1), 1), **change))
    with pytest.raises(ValueError, match=text.replace("(", r"\(")):
        api.open(path)


@pytest.mark.parametrize(
    ("change", "texts", "readable"),
    [
        ({"map": b"map "}, ["Map ID string not found - not an MRC file, or file is corrupt"], True),
        ({"machst": b"\0\0\0\0"}, ["Unrecognised machine stamp: 0x00 0x00 0x00 0x00"], True),
        ({"mode": 10}, ["Unrecognised mode '10' - data block cannot be read"], False),
        (
            {"machst": b"\x11\x11\0\0"},
            ["Machine stamp '0x11 0x11 0x00 0x00' does not match the apparent byte order '<'"],
            True,
        ),
        ({"nz": 50}, ["Expected 1200 bytes in data block but limit is 120"], False),
        (
            {"nsymbt": 100000},
            [
                "Expected 100000 bytes in extended header but could only read 120",
                "Expected 120 bytes in data block but could only read 0",
            ],
            False,
        ),
    ],
)
def test_wrong_header_warns_in_permissive_mode(  # noqa: PLR0917 -- fixtures and a table
    api: Any, tmp_path: Path, suffix: str, change: dict[str, Any], texts: list[str], readable: bool
) -> None:
    path = make(tmp_path / ("a.mrc" + suffix), patched(mrc_bytes(sample((5, 3, 4), 1), 1), **change))
    with recorded() as seen:
        mrc = api.open(path, permissive=True)
    with mrc:
        assert [str(w.message) for w in seen] == texts
        assert all(issubclass(w.category, RuntimeWarning) for w in seen)
        assert (mrc.data is not None) == readable
        assert mrc.header is not None


def test_trailing_bytes_give_one_warning_with_their_number(api: Any, tmp_path: Path, suffix: str) -> None:
    path = make(tmp_path / ("a.mrc" + suffix), mrc_bytes(sample((5, 3, 4), 1), 1) + b"12345")
    with recorded() as seen:
        api.open(path).close()
    assert [str(w.message) for w in seen] == ["MRC file is 5 bytes larger than expected"]
    assert issubclass(seen[0].category, RuntimeWarning)


def test_other_file_gives_four_warnings_in_permissive_mode(api: Any, tmp_path: Path) -> None:
    png = b"\x89PNG\r\n\x1a\n" + bytes(range(1, 200)) * 50
    path = make(tmp_path / "a.png", png)
    with recorded() as seen:
        mrc = api.open(path, permissive=True)
    with mrc:
        assert mrc.extended_header is None
        assert mrc.data is None
        starts = ["Map ID string", "Unrecognised machine stamp", "Expected ", "Unrecognised mode"]
        assert [str(w.message).startswith(s) for w, s in zip(seen, starts, strict=True)] == [True] * 4


def test_file_shorter_than_a_header_is_refused_even_permissively(api: Any, tmp_path: Path, suffix: str) -> None:
    path = make(tmp_path / ("a.mrc" + suffix), b"\0" * 1023)
    for permissive in (False, True):
        with pytest.raises(ValueError, match="Couldn't read enough bytes for MRC header"):
            api.open(path, permissive=permissive)


def test_names_that_do_not_exist_raise_oserror(api: Any, tmp_path: Path) -> None:
    for function in (api.open, api.read, api.mmap):
        with pytest.raises(OSError, match="No such file"):
            function(tmp_path / "absent.mrc")
    with pytest.raises(OSError, match="No such file"):
        api.gzipmrcfile.GzipMrcFile(tmp_path / "absent.mrc")
    with pytest.raises(OSError, match="No such file"):
        api.bzip2mrcfile.Bzip2MrcFile(tmp_path / "absent.mrc")


def test_wrong_compression_class_raises_oserror(api: Any, volume: Path) -> None:
    for permissive in (False, True):
        with pytest.raises(OSError, match="Not a gzipped file"):
            api.gzipmrcfile.GzipMrcFile(volume, permissive=permissive)
        with pytest.raises(OSError, match=r"[Ii]nvalid data stream"):
            api.bzip2mrcfile.Bzip2MrcFile(volume, permissive=permissive)


@pytest.mark.parametrize("bad", ["z", "w", "a", "a+", "rb", "x"])
def test_other_file_modes_are_refused(api: Any, tmp_path: Path, bad: str) -> None:
    with pytest.raises(ValueError, match=f"Mode '{bad}' not supported".replace("+", r"\+")):
        api.mrcfile.MrcFile(tmp_path / "new.mrc", mode=bad)
    with pytest.raises(ValueError, match=f"Mode '{bad}' not supported".replace("+", r"\+")):
        api.mmap(tmp_path / "new.mrc", mode=bad)
    assert not (tmp_path / "new.mrc").exists()


def test_read_again_gives_the_same_data(api: Any, volume: Path) -> None:
    with api.open(volume) as mrc:
        before = mrc.data.copy()
        mrc._read()
        np.testing.assert_array_equal(mrc.data, before)


def test_extended_header_is_raw_bytes_and_can_be_seen_as_text(api: Any, tmp_path: Path) -> None:
    text = b"X,  Y,  Z".ljust(80) + b"-X,  Y+1/2,  -Z".ljust(80)
    path = make(tmp_path / "a.mrc", mrc_bytes(sample((5, 3, 4), 2), extended=text, ispg=4))
    with api.open(path) as mrc:
        assert mrc.extended_header.dtype == "V1"
        assert mrc.extended_header.size == 160
        assert list(mrc.extended_header.view("S80")) == [text[:80], text[80:]]


def test_wrong_extended_header_type_warns_and_gives_none(api: Any, tmp_path: Path) -> None:
    path = make(tmp_path / "a.mrc", mrc_bytes(sample((5, 3, 4), 2), extended=b"short", exttyp=b"FEI1"))
    with (
        api.open(path) as mrc,
        pytest.warns(RuntimeWarning, match="The header has exttyp 'b'FEI1'' but the extended header cannot"),
    ):
        assert mrc.indexed_extended_header is None


@pytest.mark.parametrize(("exttyp", "size"), [(b"FEI1", 768), (b"FEI2", 888)])
def test_fei_extended_headers_are_indexed(api: Any, tmp_path: Path, byteorder: str, exttyp: bytes, size: int) -> None:
    dtype = api.dtypes.get_ext_header_dtype(exttyp, byteorder)
    assert dtype.itemsize == size
    records = np.zeros(8, dtype)
    records["Metadata size"] = size
    records["HT"] = 300000.0
    records["Bitmask 1"] = 5
    path = make(
        tmp_path / "a.mrc",
        mrc_bytes(sample((5, 3, 4), 2), 2, byteorder, extended=records.tobytes(), exttyp=exttyp),
    )
    with api.open(path) as mrc:
        seen = mrc.indexed_extended_header
        assert seen.dtype == dtype
        assert seen.shape == (5,)
        assert seen["HT"][4] == 300000.0
        assert seen["Bitmask 1"][0] == 5


def test_interpreter_reads_any_stream(api: Any) -> None:
    values = sample((5, 3, 4), 1)
    stream = io.BytesIO(mrc_bytes(values, 1, extended=b"abcd"))
    with api.mrcinterpreter.MrcInterpreter(iostream=stream) as mrc:
        np.testing.assert_array_equal(mrc.data, values)
        assert mrc.extended_header.tobytes() == b"abcd"
    assert not stream.closed


def test_interpreter_reports_a_short_stream(api: Any) -> None:
    content = mrc_bytes(sample((1, 3, 4), 1), 1)[:-1]
    with pytest.raises(ValueError, match="Expected 24 bytes in data block but could only read 23"):
        api.mrcinterpreter.MrcInterpreter(iostream=io.BytesIO(content))
    with pytest.warns(RuntimeWarning, match="Expected 24 bytes in data block but could only read 23"):
        mrc = api.mrcinterpreter.MrcInterpreter(iostream=io.BytesIO(content), permissive=True)
    assert mrc.data is None


@pytest.mark.data
@pytest.mark.parametrize(
    "name",
    [
        "1jzv.ccp4",
        "5i55_tiny.ccp4",
        "EMD-3197.map",
        "EMD-3197.map.bz2",
        "emd_3197.map.gz",
        "de_movie.mrc",
        "fei_old_header.mrc",
        "hand.5.mrcs",
        "relion31.mrcs",
        "serialem_tilt.mrc",
    ],
)
def test_real_files_read_the_same_as_in_mrcfile(shared_data: Path, name: str) -> None:
    import mrcfile

    from mrcarray import classic

    texts: list[list[str]] = []
    arrays: list[Any] = []
    for module in (mrcfile, classic):
        with recorded() as seen:
            mrc = module.open(shared_data / name, permissive=True)
        with mrc:
            texts.append([str(w.message) for w in seen])
            arrays.append((mrc.header.tobytes(), mrc.extended_header, mrc.data, mrc.header.dtype))
    assert texts[0] == texts[1]
    assert arrays[0][0] == arrays[1][0]
    assert arrays[0][1].tobytes() == arrays[1][1].tobytes()
    np.testing.assert_array_equal(arrays[0][2], arrays[1][2])
    assert arrays[0][2].dtype == arrays[1][2].dtype
    assert arrays[0][3] == arrays[1][3]


def test_data_longer_than_a_limit_are_refused(api: Any) -> None:
    mrc = api.mrcinterpreter.MrcInterpreter()
    mrc._iostream = io.BytesIO(mrc_bytes(sample((5, 3, 4), 2)))
    mrc._read_header()
    mrc._read_extended_header()
    with pytest.raises(ValueError, match="Expected 240 bytes in data block but limit is 100"):
        mrc._read_data(max_bytes=100)


def test_closed_and_read_only_interpreters_write_nothing(api: Any) -> None:
    stream = io.BytesIO(mrc_bytes(sample((5, 3, 4), 2)))
    mrc = api.mrcinterpreter.MrcInterpreter(stream)
    mrc.header.nxstart = 3
    mrc._read_only = True
    mrc.flush()
    mrc.close()
    assert stream.getvalue() == mrc_bytes(sample((5, 3, 4), 2))


def test_fei_header_of_too_few_records_gives_none(api: Any, tmp_path: Path) -> None:
    import struct

    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(sample((5, 3, 4), 2), extended=struct.pack("<i", 768) + bytes(764), exttyp=b"FEI1"))
    with api.open(path) as mrc, pytest.warns(RuntimeWarning, match="cannot be interpreted as that type"):
        assert mrc.indexed_extended_header is None


def test_files_do_not_share_an_extended_header(api: Any, volume: Path) -> None:
    with api.open(volume) as one, api.open(volume) as other:
        one.extended_header.dtype = "f4"
        assert other.extended_header.dtype == "V1"
    with api.open(volume) as third:
        assert third.extended_header.dtype == "V1"
        assert not third.extended_header.flags.writeable
