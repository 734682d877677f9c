"""`interpret`: pixel format, kind, shape and offset from a header."""

from __future__ import annotations

import functools
import struct
from typing import TYPE_CHECKING, Any

import mrcfile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcarray.errors import MrcValueError
from mrcarray.format.geometry import ORIGINS, Geometry
from mrcarray.format.header import Header
from mrcarray.format.interpret import Interpretation, interpret
from mrcarray.format.issues import CODES, Severity
from mrcarray.format.kinds import KINDS
from mrcarray.format.layout import Kind
from mrcarray.format.sniff import looks_like_mrc
from mrcarray.kind_facts import interpret_file
from tests import builders

if TYPE_CHECKING:
    from pathlib import Path

    from mrcarray.format.layout import Layout
    from mrcarray.format.modes import ByteOrder

ORDERS: tuple[ByteOrder, ...] = ("<", ">")
IMOD = 1146047817


def read(raw: bytes, size: int | None, **options: Any) -> Interpretation:
    header, _ = Header.parse(raw, size)
    found = interpret(header, size, **options)
    assert all(issue.code in CODES for issue in found.issues)
    return found


def placed(found: Interpretation) -> Layout:
    assert found.layout is not None
    return found.layout


def codes(found: Interpretation, *severities: Severity) -> list[str]:
    wanted = severities or (Severity.ERROR, Severity.WARNING)
    return [issue.code for issue in found.issues if issue.severity in wanted]


def imod_bytes(flags: int, idtype: int = 0, order: str = "<") -> bytes:
    extra = bytearray(84)
    struct.pack_into(order + "2ih", extra, 40, IMOD, flags, idtype)
    return bytes(extra)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("mode", sorted([*builders.ITEMS, 101]))
@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 5), (2, 2, 3, 4)])
def test_valid_file_is_located(shape: tuple[int, ...], mode: int, order: ByteOrder) -> None:
    values = builders.sample(shape, mode)
    raw = builders.mrc_bytes(values, mode, order, extended=b"x" * 48)
    found = read(raw, len(raw))
    layout = placed(found)
    assert codes(found) == []
    assert (layout.shape, layout.offset, layout.stop, layout.byteorder) == (values.shape, 1072, len(raw), order)
    assert layout.dtype == values.dtype
    assert found.extended == (1024, 1072)
    stored = np.frombuffer(raw[layout.offset : layout.stop], np.uint8).reshape(-1, layout.row_nbytes)
    np.testing.assert_array_equal(
        layout.pixel.unpack(stored, layout.columns, order).reshape(layout.shape).astype(layout.dtype), values
    )


RAW = st.binary(min_size=1024, max_size=1024)


def _header(fields: dict[str, Any]) -> bytes:
    return builders.header_bytes(**fields)


SMALL = st.fixed_dictionaries(
    {
        "nx": st.integers(-1, 9),
        "ny": st.integers(-1, 9),
        "nz": st.integers(-1, 9),
        "mode": st.sampled_from([0, 1, 2, 3, 5, 9, 16, 101, 1002]),
        "ispg": st.sampled_from([-1, 0, 1, 300, 401]),
        "nsymbt": st.sampled_from([-5, 0, 80, 10**9]),
        "m": st.tuples(*[st.integers(-1, 5)] * 3),
        "cella": st.tuples(*[st.floats(width=32)] * 3),
        "cellb": st.tuples(*[st.floats(width=32)] * 3),
        "origin": st.tuples(*[st.floats(width=32)] * 3),
        "nstart": st.tuples(*[st.integers(-(2**31), 2**31 - 1)] * 3),
        "dmin": st.floats(width=32),
        "dmax": st.floats(width=32),
        "map": st.sampled_from([b"MAP ", b"MAP\0", b"HKL ", bytes(4), b"abcd"]),
        "machst": st.sampled_from([b"\x44\x44\0\0", b"\x11\x11\0\0", b"\x22\x41\0\0", b"\x91\x02\x03\x04"]),
        "extra2": st.sampled_from([b"", imod_bytes(0), imod_bytes(17, 1)]),
    }
).map(_header)


@given(
    raw=st.one_of(RAW, SMALL),
    size=st.one_of(st.none(), st.integers(1024, 4000)),
    kind=st.sampled_from(sorted(KINDS)),
    mode0=st.sampled_from(["auto", "signed"]),
    origin=st.sampled_from(ORIGINS),
)
def test_layout_of_any_header_is_within_the_file(
    raw: bytes, size: int | None, kind: str, mode0: str, origin: str
) -> None:
    found = read(raw, size, kind=kind, mode0=mode0, name="a.map")
    assert looks_like_mrc(raw, size) in (True, False)
    assert 1024 <= found.extended[0] <= found.extended[1]
    if size is not None:
        assert found.extended[1] <= size
    if found.layout is None:
        header, issues = Header.parse(raw, size)
        assert any(issue.is_error for issue in (*issues, *found.issues)), header
        return
    assert size is None or found.layout.stop <= size
    geometry = Geometry.from_header(Header.parse(raw, size)[0], found.layout, origin)
    assert len(geometry.axes) in (2, 3)
    assert all(issue.code in CODES for issue in geometry.issues)
    geometry.to_header_fields(found.layout)


@pytest.mark.parametrize("field", ["nx", "ny", "nz"])
@pytest.mark.parametrize("value", [0, -3])
def test_dimension_not_positive_is_an_error(field: str, value: int) -> None:
    fields: dict[str, Any] = {field: value}
    found = read(builders.header_bytes(**fields), 4000)
    assert found.layout is None
    assert codes(found) == ["MRC101"]
    word = ["nx", "ny", "nz"].index(field) + 1
    assert f"word {word} ({field}) is {value}; expected a positive number" in found.issues[0].message


def test_unknown_mode_is_an_error_with_a_hint() -> None:
    found = read(builders.header_bytes(mode=9), 4000)
    assert found.layout is None
    assert "word 4 (mode) is 9; expected one of 0, 1, 2" in found.issues[0].message
    assert "permissive=True" in found.issues[0].text()
    assert "MRCZ" in read(builders.header_bytes(mode=1002), 4000).issues[0].message


@pytest.mark.parametrize(("ispg", "shape"), [(1, (0, 0, 0)), (0, (0, 0, 0)), (401, (0, 0, 0, 0))])
def test_file_without_data_is_valid(ispg: int, shape: tuple[int, ...]) -> None:
    found = read(builders.header_bytes(nx=0, ny=0, nz=0, mode=0, ispg=ispg), 1024)
    assert codes(found) == []
    assert placed(found).shape == shape
    assert codes(read(builders.header_bytes(nx=0, ny=0, nz=0, mode=0), 1025)) == ["MRC202"]


def test_file_without_data_may_be_truncated() -> None:
    found = read(builders.header_bytes(nx=0, ny=0, nz=0, mode=0, nsymbt=800, extra1=b"z"), 1100)
    assert found.layout is None
    assert codes(found) == ["MRC201"]
    assert found.extended == (1024, 1100)


@pytest.mark.parametrize("mz", [0, -1, 3])
def test_volume_stack_must_be_divisible(mz: int) -> None:
    raw = builders.header_bytes(nz=4, ispg=401, m=(4, 3, mz))
    found = read(raw, 4000)
    assert found.layout is None
    assert codes(found) == ["MRC110"]
    assert "pass kind='volume'" in found.issues[-1].text()
    assert placed(read(raw, None, kind="volume")).shape == (4, 3, 4)


def test_trailing_bytes_warn() -> None:
    raw = builders.mrc_bytes(builders.sample((2, 3, 4), 2), extended=b"y" * 10) + b"0123456"
    found = read(raw, len(raw))
    assert codes(found) == ["MRC202"]
    assert placed(found).offset == 1034
    assert f"7 bytes larger than its header declares; the data end at byte {len(raw) - 7}" in str(found.issues[-1])


@pytest.mark.parametrize(
    ("shape", "missing", "left"),
    [
        ((4, 3, 5), 1, (3, 3, 5)),
        ((4, 3, 5), 60 * 3 + 1, None),
        ((3, 5), 1, None),
        ((2, 3, 2, 5), 1, (1, 3, 2, 5)),
        ((2, 3, 2, 5), 40 * 3 + 1, (1, 2, 2, 5)),
    ],
)
def test_truncated_file_keeps_complete_sections(
    shape: tuple[int, ...], missing: int, left: tuple[int, ...] | None
) -> None:
    raw = builders.mrc_bytes(builders.sample(shape, 2))[:-missing]
    found = read(raw, len(raw))
    assert codes(found) == ["MRC201"]
    assert (found.layout and found.layout.shape) == left


def test_extended_header_is_limited_to_the_file() -> None:
    found = read(builders.header_bytes(nsymbt=2**31 - 1), 1024)
    assert found.layout is None
    assert found.extended == (1024, 1024)


def test_stale_nsymbt_is_detected_by_size() -> None:
    raw = builders.mrc_bytes(builders.sample((2, 3, 4), 2), nsymbt=160)
    found = read(raw, len(raw))
    assert codes(found) == ["MRC203"]
    assert (placed(found).offset, found.extended) == (1024, (1024, 1024))


def test_negative_nsymbt_is_an_error() -> None:
    raw = builders.mrc_bytes(builders.sample((2, 3, 4), 2), nsymbt=-4)
    found = read(raw, len(raw))
    assert codes(found) == ["MRC124"]
    assert placed(found).offset == 1024
    assert read(raw, None).layout is None
    assert codes(read(builders.header_bytes(nsymbt=-4, mode=9), None)) == ["MRC104", "MRC124"]


def test_unpadded_4_bit_rows_are_an_error() -> None:
    found = read(builders.header_bytes(nx=5, ny=4, nz=3, mode=101), 1024 + 30)
    assert found.layout is None
    assert codes(found) == ["MRC206"]


def test_data_larger_than_any_file_are_an_error() -> None:
    top = 2**31 - 1
    found = read(builders.header_bytes(nx=top, ny=top, nz=top, mode=4), None)
    assert found.layout is None
    assert codes(found) == ["MRC204"]


def test_sizes_beyond_32_bits_are_exact() -> None:
    layout = placed(read(builders.header_bytes(nx=40000, ny=40000, nz=300), 1024 + 40000 * 40000 * 300 * 4))
    assert layout.nbytes == 1_920_000_000_000


@pytest.mark.parametrize("ispg", [-7, 231, 400, 631])
def test_invalid_space_group_warns(ispg: int) -> None:
    found = read(builders.header_bytes(ispg=ispg, nz=1), None)
    assert codes(found) == ["MRC123"]
    assert (placed(found).kind, placed(found).shape) == (Kind.IMAGE_STACK, (1, 3, 4))


@pytest.mark.parametrize("word", ["image_stack", "tilt_series", "movie", "particles", "volume", "volume_stack"])
def test_parameters_overrule_the_header(word: str) -> None:
    found = read(builders.header_bytes(), None, kind=word)
    assert placed(found).kind is KINDS[word]


def test_impossible_kind_is_an_error() -> None:
    found = read(builders.header_bytes(), None, kind="image")
    assert codes(found) == ["MRC302"]
    assert "pass kind='image_stack' or kind='volume'" in found.issues[0].text()
    assert placed(found).kind is Kind.VOLUME


@pytest.mark.parametrize("options", [{"kind": "film"}, {"mode0": "maybe"}])
def test_unknown_parameter_value_raises(options: dict[str, str]) -> None:
    with pytest.raises(MrcValueError, match="expected one of"):
        interpret(Header.blank(), **options)  # type: ignore[arg-type]  # only names of words


@pytest.mark.parametrize(
    ("fields", "dtype", "warned"),
    [
        ({"dmin": -3.0, "dmax": 100.0}, "int8", []),
        ({"dmin": 0.0, "dmax": 200.0}, "uint8", []),
        ({"dmin": -10.0, "dmax": 200.0}, "uint8", ["MRC305"]),
        ({"dmin": -100.0, "dmax": 130.0}, "int8", ["MRC305"]),
        ({"dmin": 0.0, "dmax": 100.0}, "int8", []),
        ({"dmin": 0.0, "dmax": -1.0}, "int8", []),
        ({"dmin": float("nan"), "dmax": float("nan")}, "int8", []),
        ({"extra2": imod_bytes(1), "dmin": 0.0, "dmax": 200.0}, "int8", []),
        ({"extra2": imod_bytes(0), "dmin": -5.0, "dmax": 5.0}, "uint8", []),
    ],
)
def test_sign_of_mode_0(fields: dict[str, Any], dtype: str, warned: list[str]) -> None:
    raw = builders.header_bytes(mode=0, **fields)
    found = read(raw, None)
    assert placed(found).dtype == dtype
    assert codes(found) == warned
    assert placed(read(raw, None, mode0="signed")).dtype == "int8"
    assert placed(read(raw, None, mode0="unsigned")).dtype == "uint8"


@pytest.mark.parametrize("order", ORDERS)
def test_imod_4_bit_flag_doubles_the_width(order: ByteOrder) -> None:
    raw = builders.header_bytes(order, mode=0, extra2=imod_bytes(16, order=order))
    layout = placed(read(raw, 1024 + 24))
    assert (layout.shape, layout.nbytes, layout.pixel.code) == ((2, 3, 8), 24, "0n")
    geometry = Geometry.from_header(Header(raw, order), layout)
    assert (geometry.n, geometry.voxel_size) == ((8, 3, 2), (2.0, 2.0, 2.0))


@pytest.mark.parametrize(("nx", "ny"), [(3838, 7420), (3710, 7676), (3840, 7424), (5760, 8184), (4092, 11520)])
def test_label_and_camera_size_mean_4_bit(nx: int, ny: int) -> None:
    labelled: dict[str, Any] = {"mode": 0, "nx": nx, "ny": ny, "nlabl": 1, "labels": b"SerialEM: 4 bits packed"}
    assert placed(read(builders.header_bytes(**labelled), None)).columns == 2 * nx
    assert placed(read(builders.header_bytes(**{**labelled, "nlabl": 2}), None)).columns == nx
    assert placed(read(builders.header_bytes(**{**labelled, "nx": nx + 3}), None)).columns == nx + 3


def test_mode_5_has_two_widths() -> None:
    raw = builders.header_bytes(mode=5)
    assert placed(read(raw, 1024 + 24)).dtype == "uint8"
    assert placed(read(raw, 1024 + 48)).dtype == "int16"
    priism = builders.header_bytes(mode=5, extra1=b"\xa0\xc0", map=bytes(4), machst=bytes(4))
    assert placed(read(priism, None)).dtype == "int16"


REAL = {
    "1jzv.ccp4": (Kind.VOLUME, (70, 76, 96), 1664),
    "5i55_tiny.ccp4": (Kind.VOLUME, (10, 6, 8), 1184),
    "EMD-3197.map": (Kind.VOLUME, (20, 20, 20), 1024),
    "de_movie.mrc": (Kind.IMAGE_STACK, (30, 16, 16), 1024),
    "fei-extended.mrc": (Kind.IMAGE, (3838, 3710), 1024 + 786432),
    "fei_old_header.mrc": (Kind.IMAGE_STACK, (77, 256, 256), 1024 + 131072),
    "hand.5.mrcs": (Kind.IMAGE_STACK, (5, 64, 64), 1024),
    "relion31.mrcs": (Kind.IMAGE_STACK, (5, 256, 256), 1024),
    "serialem_tilt.mrc": (Kind.IMAGE_STACK, (2, 1024, 1024), 6144),
}


def _part(path: Path, start: int, stop: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(stop - start)


@pytest.mark.data
@pytest.mark.parametrize("name", sorted(REAL))
def test_real_files_are_located(shared_data: Path, name: str) -> None:
    path = shared_data / name
    size = path.stat().st_size
    with path.open("rb") as file:
        raw = file.read(1024)
    header, issues = Header.parse(raw, size)
    found = interpret_file(header, size, functools.partial(_part, path), name=str(path))
    layout = placed(found)
    assert (layout.kind, layout.shape, layout.offset) == REAL[name]
    assert layout.stop == size
    assert all(issue.severity is Severity.NOTE for issue in (*issues, *found.issues))
    assert looks_like_mrc(raw, size)


@pytest.mark.data
@pytest.mark.parametrize("name", ["EMD-3197.map", "5i55_tiny.ccp4", "de_movie.mrc"])
def test_pixels_of_real_files_agree_with_mrcfile(shared_data: Path, name: str) -> None:
    raw = (shared_data / name).read_bytes()
    layout = placed(read(raw[:1024], len(raw), name=name))
    ours = np.frombuffer(raw, layout.pixel.stored_dtype(layout.byteorder), offset=layout.offset).reshape(layout.shape)
    np.testing.assert_array_equal(ours, mrcfile.read(shared_data / name))


@pytest.mark.data
def test_emd_3197_has_the_published_values(shared_data: Path) -> None:
    raw = (shared_data / "EMD-3197.map").read_bytes()
    layout = placed(read(raw[:1024], len(raw)))
    values = np.frombuffer(raw, "<f4", offset=layout.offset).reshape(layout.shape)
    assert values[0, 0, 0] == pytest.approx(-1.8013091)
    assert values[9, 6, 13] == pytest.approx(4.6207790)
    assert values[-1, -1, -1] == pytest.approx(1.3078574)


@given(
    shape=st.lists(st.integers(1, 4), min_size=2, max_size=4).map(tuple),
    mode=st.sampled_from([0, 1, 2, 4, 6, 12]),
    order=st.sampled_from(ORDERS),
    fields=st.fixed_dictionaries(
        {},
        optional={
            "map": st.sampled_from([b"MAP\0", b"MAPS"]),
            "mapcrs": st.sampled_from([(0, 0, 0), (2, 1, 3), (1, 1, 7)]),
            "nlabl": st.integers(-1, 99),
            "nversion": st.integers(0, 20141),
            "cella": st.tuples(*[st.floats(width=32)] * 3),
            "origin": st.tuples(*[st.floats(width=32)] * 3),
            "extra2": st.binary(min_size=84, max_size=84),
            "extra1": st.just(b"\xa0\xc0"),
        },
    ),
)
def test_file_valid_for_mrcfile_has_its_shape(
    tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, ...], mode: int, order: str, fields: dict[str, Any]
) -> None:
    raw = builders.mrc_bytes(builders.sample(shape, mode), mode, order, **fields)
    path = tmp_path_factory.mktemp("parity") / "a.mrc"
    path.write_bytes(raw)
    with mrcfile.open(path) as other:
        expected = other.data.shape
    header, issues = Header.parse(raw[:1024], len(raw))
    found = interpret(header, len(raw), name=path.name)
    assert not any(issue.is_error for issue in (*issues, *found.issues))
    layout = placed(found)
    if layout.pixel.code != "0n":
        assert layout.shape == expected
