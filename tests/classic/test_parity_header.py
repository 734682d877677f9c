"""Header fields, dtypes, labels and text are the same in mrcfile and in the classic API."""

from __future__ import annotations

import importlib
import io
from typing import TYPE_CHECKING, Any

import mrcfile
import numpy as np
import pytest

from mrcarray import classic

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def mrc(api: Any) -> Any:
    """Return an object with default attributes, without a file."""
    obj = api.mrcobject.MrcObject()
    obj._create_default_attributes()
    return obj


def test_new_object_is_empty(api: Any) -> None:
    obj = api.mrcobject.MrcObject()
    assert (obj.header, obj.extended_header, obj.data, obj._read_only) == (None, None, None, False)


def test_record_dtype_is_that_of_mrcfile() -> None:
    assert classic.dtypes.HEADER_DTYPE == mrcfile.dtypes.HEADER_DTYPE
    assert classic.dtypes.VOXEL_SIZE_DTYPE == mrcfile.dtypes.VOXEL_SIZE_DTYPE
    assert classic.dtypes.NSTART_DTYPE == mrcfile.dtypes.NSTART_DTYPE
    assert classic.dtypes.fei1_dtype_big_endian == mrcfile.dtypes.fei1_dtype_big_endian
    assert classic.dtypes.fei2_dtype_big_endian == mrcfile.dtypes.fei2_dtype_big_endian
    for exttyp in (b"FEI1", b"FEI2"):
        for order in "<>=":
            ours = classic.dtypes.get_ext_header_dtype(exttyp, order)
            assert ours == mrcfile.dtypes.get_ext_header_dtype(exttyp, order)


def test_fields_are_zero_dimensional_arrays_and_records(mrc: Any) -> None:
    assert isinstance(mrc.header, np.recarray)
    assert mrc.header.shape == ()
    assert mrc.header.nbytes == 1024
    assert mrc.header.nx.shape == ()
    assert mrc.header["nx"] == 0
    assert mrc.header.cella.x == 0
    assert mrc.header.machst.shape == (4,)
    assert mrc.header.label.shape == (10,)
    assert mrc.header.map == b"MAP "
    assert mrc.header.exttyp == b""
    assert mrc.header.nversion == 20141


def test_print_header_prints_the_same_lines(mrc: Any) -> None:
    out = io.StringIO()
    mrc.print_header(out)
    other = mrcfile.mrcobject.MrcObject()
    other._create_default_attributes()
    other.header.label[0] = mrc.header.label[0]
    expected = io.StringIO()
    other.print_header(print_file=expected)
    assert out.getvalue() == expected.getvalue()
    assert out.getvalue().startswith("nx              : 0\nny              : 0\n")


def test_labels_are_added_in_turn(mrc: Any) -> None:
    mrc.header.nlabl = 0
    for i in range(10):
        mrc.add_label(f"label {i}")
    assert mrc.get_labels() == [f"label {i}" for i in range(10)]
    with pytest.raises(IndexError):
        mrc.add_label("too many")
    assert mrc.header.nlabl == 10


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("a" * 81, "Label value has more than 80 bytes"),
        ("bell\a", "Label contains non-printable or non-ASCII characters"),
        ("Ångström", "Label contains non-printable or non-ASCII characters"),
    ],
)
def test_invalid_labels_are_refused(mrc: Any, label: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        mrc.add_label(label)
    assert mrc.header.nlabl == 1


def test_labels_are_read_without_unprintable_characters(mrc: Any) -> None:
    mrc.header.label[0] = b"Test \nlabel\x01\xff"
    assert mrc.get_labels() == ["Test label"]


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.array(2.0), (2, 2, 2), [2, 2, 2]])
def test_voxel_size_takes_a_number_or_three(mrc: Any, value: Any) -> None:
    mrc.set_data(np.zeros((5, 3, 4), np.int8))
    mrc.voxel_size = value
    assert mrc.voxel_size.item() == (2, 2, 2)
    assert mrc.header.cella.item() == (8, 6, 10)


def test_voxel_size_takes_its_own_record(api: Any, mrc: Any) -> None:
    mrc.set_data(np.zeros((5, 3, 4), np.int8))
    sizes = mrc.voxel_size.copy()
    sizes.x, sizes.y, sizes.z = 1, 2, 3
    mrc.voxel_size = sizes
    assert mrc.voxel_size.item() == (1, 2, 3)
    mrc.voxel_size = np.rec.array((4, 5, 6), api.dtypes.VOXEL_SIZE_DTYPE)
    assert mrc.voxel_size.item() == (4, 5, 6)


@pytest.mark.parametrize("value", [-3, (-3, -3, -3), [-3, -3, -3], np.int32(-3)])
def test_nstart_takes_a_number_or_three(mrc: Any, value: Any) -> None:
    mrc.nstart = value
    assert mrc.nstart.item() == (-3, -3, -3)
    starts = mrc.nstart.copy()
    starts.y = 9
    mrc.nstart = starts
    assert (int(mrc.header.nxstart), int(mrc.header.nystart), int(mrc.header.nzstart)) == (-3, 9, -3)


def test_voxel_size_leaves_the_grid_unchanged(mrc: Any) -> None:
    mrc.set_data(np.zeros((6, 3, 4), np.int8))
    mrc.voxel_size = 2
    mrc.set_image_stack()
    assert float(mrc.voxel_size.z) == 12
    mrc.set_data(np.zeros((2, 3, 8), np.int8))
    assert float(mrc.voxel_size.x) == 1


def test_reset_marks_the_statistics_as_unknown(mrc: Any) -> None:
    mrc.set_data(np.arange(12, dtype=np.float32).reshape(3, 4))
    assert mrc.header.dmax == 11
    mrc.data[0, 0] = 99
    assert mrc.header.dmax == 11
    mrc.update_header_stats()
    assert mrc.header.dmax == 99
    mrc.reset_header_stats()
    h = mrc.header
    assert (float(h.dmin), float(h.dmax), float(h.dmean), float(h.rms)) == (0, -1, -2, -1)


def test_command_line_prints_the_headers(api: Any, volume: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command_line = importlib.import_module(f"{api.__name__}.command_line")
    command_line.print_headers([str(volume)])
    text = capsys.readouterr().out
    assert text.startswith(f"MRC header for {volume}:\nnx              : 4\n")
    out = io.StringIO()
    command_line.print_headers([str(volume)], print_file=out)
    assert out.getvalue() == text
    command_line.print_headers([])
    assert capsys.readouterr().out == ""


def test_command_line_takes_names_from_the_arguments(
    api: Any, volume: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["mrcfile-header", str(volume)])
    importlib.import_module(f"{api.__name__}.command_line").print_headers()
    assert "MRC header for" in capsys.readouterr().out


UTILS_CALLS: list[tuple[str, tuple[Any, ...]]] = [
    *(("dtype_from_mode", (m,)) for m in (*range(-33, 34), 101, np.float32(1), np.array(1), np.array([2]))),
    *(("dtype_from_mode", (m,)) for m in (np.array([]), np.array([1, 2]), 1.5)),
    *(("mode_from_dtype", (np.dtype(d),)) for d in ("?", "i1", "u1", "i2", ">u2", "i4", "f2", ">f4", "f8", "c8", "S4")),
    *(("pretty_machine_stamp", (s,)) for s in (b"DD\0\0", bytearray(4), np.array([17, 17, 0, 255], "u1"))),
    *(("byte_order_from_machine_stamp", (s,)) for s in (b"DD\0\0", b"DA\0\0", b"\x11\x11\0\0", b"DB\0\0", b"\0\0\0\0")),
    *(("machine_stamp_from_byte_order", (o,)) for o in ("<", ">", "=", "|", "x")),
    ("machine_stamp_from_byte_order", ()),
    *(("byte_orders_equal", pair) for pair in (("<", ">"), ("=", "<"), ("=", "="), ("a", "<"))),
    *(("normalise_byte_order", (o,)) for o in ("<", ">", "=", "|", "")),
    *(("spacegroup_is_volume_stack", (n,)) for n in (0, 1, 400, 401, 630, 631, np.int32(500))),
    *(("is_printable_ascii", (t,)) for t in ("abc", "", "a\n", "ä", "~ !")),
    *(("printable_string_from_bytes", (t,)) for t in (b"abc", b"a\0b\xff\x1b[", b"")),
    *(("bytes_from_string", (t,)) for t in ("abc", "", "ä")),
]


@pytest.mark.parametrize(("name", "args"), UTILS_CALLS)
def test_utilities_return_or_raise_the_same(name: str, args: tuple[Any, ...]) -> None:
    def outcome(module: Any) -> Any:
        try:
            return getattr(module.utils, name)(*args)
        except ValueError as error:
            return str(error).partition("; ")[0]  # ours goes on with what to type

    assert outcome(classic) == outcome(mrcfile)


def test_shape_and_dtype_follow_the_header(api: Any, mrc: Any) -> None:
    for shape in ((3, 4), (5, 3, 4), (2, 5, 3, 4)):
        mrc.header.ispg = 1
        mrc.set_data(np.zeros(shape, ">i2"))
        assert api.utils.data_shape_from_header(mrc.header) == shape
        assert api.utils.data_dtype_from_header(mrc.header) == np.dtype(">i2")


def test_constants_are_those_of_mrcfile() -> None:
    names = [n for n in vars(mrcfile.constants) if n.isupper()]
    assert {n: getattr(classic.constants, n) for n in names} == {n: getattr(mrcfile.constants, n) for n in names}
