"""`Geometry`: axes, voxel size and position from a header, and back."""

from __future__ import annotations

import dataclasses
import itertools
import math
import struct
from typing import TYPE_CHECKING, Any

import gemmi
import hypothesis.strategies as st
import pytest
from hypothesis import given

from mrcarray.errors import MrcValueError
from mrcarray.format.cell_edges import to_cartesian, to_edges
from mrcarray.format.geometry import Geometry, snap
from mrcarray.format.header import Header
from mrcarray.format.interpret import interpret
from mrcarray.format.issues import CODES, Severity
from mrcarray.format.layout import Kind, Layout
from mrcarray.format.modes import PIXELS
from tests import builders

if TYPE_CHECKING:
    from pathlib import Path

    from mrcarray.format.modes import ByteOrder

ORDERS: tuple[ByteOrder, ...] = ("<", ">")
NAN, INF = math.nan, math.inf


def parts(order: ByteOrder = "<", **fields: Any) -> tuple[Header, Layout]:
    header = Header(builders.header_bytes(order, **fields), order)
    layout = interpret(header).layout
    assert layout is not None
    return header, layout


def geometry(order: ByteOrder = "<", origin: str = "auto", **fields: Any) -> Geometry:
    found = Geometry.from_header(*parts(order, **fields), origin)
    assert all(issue.code in CODES for issue in found.issues)
    return found


def warned(found: Geometry) -> list[str]:
    return [issue.code for issue in found.issues if issue.severity is Severity.WARNING]


def same(left: tuple[float, ...], right: tuple[float, ...]) -> bool:
    return all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(left, right, strict=True))


def imod(flags: int, order: str = "<") -> bytes:
    return bytes(40) + struct.pack(order + "2i", 1146047817, flags)


@pytest.mark.parametrize("order", ORDERS)
def test_voxel_size_is_cell_by_intervals(order: ByteOrder) -> None:
    found = geometry(order, m=(10, 20, 40), cella=(15.0, 60.0, 88.0))
    assert (found.voxel_size, found.n, found.known) == ((1.5, 3.0, 2.2), (10, 20, 40), True)


def test_snapped_sizes_of_two_programs_are_equal() -> None:
    one = geometry(m=(200, 200, 200), cella=(212.0, 212.0, 212.0))
    two = geometry(m=(200, 200, 200), cella=(212.00002, 212.0, 211.99998))
    assert one.voxel_size == two.voxel_size == (1.06, 1.06, 1.06)
    assert snap(1.23456789) == 1.23457


@pytest.mark.parametrize(
    ("fields", "voxel", "codes"),
    [
        ({"cella": (0.0, 0.0, 0.0)}, (NAN, NAN, NAN), []),
        ({"m": (0, 3, 2), "cella": (8.0, 6.0, 4.0)}, (2.0, 2.0, 2.0), ["MRC109"]),
        ({"m": (0, 0, 0), "cella": (8.0, 6.0, 4.0)}, (2.0, 2.0, 2.0), ["MRC109"]),
        ({"m": (0, 0, 0), "cella": (8.0, 6.0, 4.0), "ispg": 0, "nz": 1}, (2.0, 2.0, NAN), ["MRC109"]),
        ({"m": (0, 0, 0), "cella": (4.0, 6.0, 8.0), "mapcrs": (3, 2, 1)}, (2.0, 2.0, 2.0), ["MRC109"]),
        ({"m": (0, 3, 2), "cella": (0.0, 6.0, 4.0)}, (NAN, 2.0, 2.0), []),
        ({"m": (4, -3, 2), "cella": (8.0, 6.0, 4.0)}, (2.0, NAN, 2.0), []),
        ({"cella": (-8.0, 6.0, 4.0)}, (NAN, 2.0, 2.0), ["MRC111"]),
        ({"cella": (NAN, 6.0, INF)}, (NAN, 2.0, NAN), ["MRC111", "MRC111"]),
        ({"cella": (8.0, 6.0, 0.0)}, (2.0, 2.0, 2.0), ["MRC111"]),
        ({"cella": (8.0, 6.0, 0.0), "ispg": 0}, (2.0, 2.0, NAN), []),
        ({"cella": (8.0, 6.0, 0.0), "m": (4, 3, 0)}, (2.0, 2.0, NAN), []),
    ],
)
def test_implausible_cell(fields: dict[str, Any], voxel: tuple[float, ...], codes: list[str]) -> None:
    found = geometry(**fields)
    assert same(found.voxel_size, voxel)
    assert warned(found) == codes


def test_images_need_no_zlen() -> None:
    assert geometry(cella=(8.0, 6.0, 0.0), ispg=0).known
    assert not geometry(cella=(8.0, 6.0, 0.0), m=(4, 3, 0)).known


@pytest.mark.parametrize("size", [1.0, 0.001, 5000.0])
def test_unusual_voxel_size_is_noted(size: float) -> None:
    found = geometry(cella=(4 * size, 6.0, 4.0))
    assert found.voxel_size[0] == size
    assert [(issue.code, issue.severity) for issue in found.issues] == [("MRC111", Severity.NOTE)]


@pytest.mark.parametrize("mapcrs", list(itertools.permutations((1, 2, 3))))
@pytest.mark.parametrize("order", ORDERS)
def test_permuted_axes(mapcrs: tuple[int, int, int], order: ByteOrder) -> None:
    found = geometry(order, mapcrs=mapcrs, nstart=(1, 2, 3), cella=(4.0, 6.0, 8.0), m=(2, 2, 2))
    assert found.axes == tuple("xyz"[axis - 1] for axis in reversed(mapcrs))
    for name, start in zip(mapcrs, (1, 2, 3), strict=True):
        assert found.nstart[name - 1] == start
        assert found.start[name - 1] == start * found.voxel_size[name - 1]


@pytest.mark.parametrize("mapcrs", [(0, 0, 0), (1, 1, 2), (1, -2, 3)])
def test_impossible_axis_numbers_warn(mapcrs: tuple[int, int, int]) -> None:
    found = geometry(mapcrs=mapcrs)
    assert (found.axes, found.mapcrs, warned(found)) == (("z", "y", "x"), (1, 2, 3), ["MRC117"])


@pytest.mark.parametrize(("ispg", "m", "axes"), [(0, (4, 3, 1), "yx"), (1, (4, 3, 2), "zyx"), (401, (4, 3, 1), "zyx")])
def test_image_stack_has_two_spatial_axes(ispg: int, m: tuple[int, int, int], axes: str) -> None:
    assert geometry(ispg=ispg, m=m).axes == tuple(axes)


@pytest.mark.parametrize(
    ("angles", "expected", "codes"),
    [
        ((90.0, 94.5, 90.0), (90.0, 94.5, 90.0), []),
        ((0.0, 0.0, 0.0), (90.0, 90.0, 90.0), []),
        ((NAN, 90.0, -90.0), (90.0, 90.0, 90.0), ["MRC114", "MRC114"]),
        ((180.0, 90.0, 90.0), (90.0, 90.0, 90.0), ["MRC114"]),
    ],
)
def test_cell_angles(angles: tuple[float, ...], expected: tuple[float, ...], codes: list[str]) -> None:
    found = geometry(cellb=angles)
    assert (found.angles, warned(found)) == (expected, codes)


BOTH: dict[str, Any] = {"nstart": (1, 0, -1), "origin": (10.0, 0.0, 5.5)}


@pytest.mark.parametrize(
    ("asked", "start", "source"),
    [
        ("auto", (10.0, 0.0, 5.5), "origin"),
        ("origin", (10.0, 0.0, 5.5), "origin"),
        ("nstart", (2.0, 0.0, -2.0), "nstart"),
        ("zero", (0.0, 0.0, 0.0), "zero"),
    ],
)
def test_origin_and_nstart_are_not_added(asked: str, start: tuple[float, ...], source: str) -> None:
    header, layout = parts(**BOTH)
    found = Geometry.from_header(header, layout, asked)
    assert (found.start, found.source) == (start, source)


@pytest.mark.parametrize(
    ("fields", "asked", "codes"),
    [
        (BOTH, "auto", ["MRC105"]),
        (BOTH, "nstart", []),
        (BOTH, "origin", []),
        ({"nstart": (5, 0, -1), "origin": (10.0, 0.0, -2.0)}, "auto", []),
        ({"origin": (10.0, 0.0, -2.0)}, "auto", []),
    ],
)
def test_other_nstart_is_noted(fields: dict[str, Any], asked: str, codes: list[str]) -> None:
    found = Geometry.from_header(*parts(**fields), asked)
    assert [issue.code for issue in found.issues] == codes
    assert not warned(found)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"cella": (0.0, 0.0, 0.0)}, [11, 12, 13]),
        ({"cella": (0.0, 0.0, 0.0), "ispg": 0}, [11, 12]),
        ({"m": (0, 3, 2), "cella": (0.0, 6.0, 4.0)}, [11]),
    ],
)
def test_unknown_voxel_size_is_noted(fields: dict[str, Any], words: list[int]) -> None:
    found = geometry(**fields)
    assert [issue.word for issue in found.issues] == words
    assert {issue.code for issue in found.issues} == {"MRC111"}


def test_unknown_origin_parameter_raises() -> None:
    with pytest.raises(MrcValueError, match="expected one of auto, origin, nstart, zero"):
        geometry(origin="both")


@pytest.mark.parametrize("origin", [(NAN, 0.0, 0.0), (0.0, INF, 0.0), (1e30, 1.0, 1.0)])
def test_implausible_origin_warns(origin: tuple[float, ...]) -> None:
    header, layout = parts(origin=origin, nstart=(1, 0, 0))
    found = Geometry.from_header(header, layout)
    assert (found.start, warned(found)) == ((2.0, 0.0, 0.0), ["MRC150"])
    assert Geometry.from_header(header, layout, "origin").start == (0.0, 0.0, 0.0)


def test_origin_without_voxel_size() -> None:
    header, layout = parts(origin=(5.0, 0.0, 0.0), cella=(0.0, 0.0, 0.0))
    assert Geometry.from_header(header, layout).start == (5.0, 0.0, 0.0)


def test_tiny_origin_is_zero() -> None:
    header, layout = parts(origin=(1e-40, 0.0, 0.0), nstart=(1, 0, 0))
    assert Geometry.from_header(header, layout).start == (2.0, 0.0, 0.0)


def test_implausible_nstart_warns() -> None:
    found = geometry(nstart=(41, 0, 0))
    assert (found.start, warned(found)) == ((0.0, 0.0, 0.0), ["MRC105"])
    assert geometry(nstart=(40, 0, 0)).start == (80.0, 0.0, 0.0)


def test_nstart_without_voxel_size_is_nan() -> None:
    found = geometry(nstart=(1, 0, 0), cella=(0.0, 6.0, 4.0))
    assert same(found.start, (NAN, 0.0, 0.0))


@pytest.mark.parametrize(
    ("flags", "nversion", "sign"), [(0, 0, -1), (4, 0, 1), (0, 20140, 1), (0, 20260, 1), (1, 0, -1)]
)
@pytest.mark.parametrize("order", ORDERS)
def test_sign_of_imod_origin_is_inverted(flags: int, nversion: int, sign: int, order: ByteOrder) -> None:
    header, layout = parts(order, extra2=imod(flags, order), nversion=nversion, origin=(3.0, 0.0, -4.0))
    assert Geometry.from_header(header, layout).start == (3.0 * sign, 0.0, -4.0 * sign)


def test_sign_of_origin_without_imod_stamp() -> None:
    header, layout = parts(nversion=0, origin=(3.0, 0.0, 0.0))
    assert Geometry.from_header(header, layout).start == (3.0, 0.0, 0.0)


def test_origin_of_transforms_is_ignored() -> None:
    header, layout = parts(mode=4, origin=(3.0, 0.0, 0.0))
    assert Geometry.from_header(header, layout).start == (0.0, 0.0, 0.0)


def test_origin_of_headers_without_map_identifier() -> None:
    raw = bytearray(builders.header_bytes(origin=(0.0, 0.0, 0.0)))
    raw[208:216] = bytes.fromhex("7c94f2c490424dc3")
    struct.pack_into("<f", raw, 216, 195.93)
    header, _ = Header.parse(bytes(raw), 1024 + 96)
    layout = interpret(header, 1024 + 96).layout
    assert layout is not None
    found = Geometry.from_header(header, layout)
    assert found.start == pytest.approx((-205.26, 195.93, -1940.64))


def test_deltavision_is_in_micrometres() -> None:
    raw = bytearray(builders.header_bytes(extra1=b"\xa0\xc0", cella=(0.25, 0.25, 0.5), ispg=1))
    struct.pack_into("<3f", raw, 208, 3.0, 1.0, 2.0)
    header, _ = Header.parse(bytes(raw), 1024 + 96)
    layout = interpret(header, 1024 + 96).layout
    assert layout is not None
    found = Geometry.from_header(header, layout)
    assert found.voxel_size == (2500.0, 2500.0, 5000.0)
    assert found.start == (10000.0, 20000.0, 30000.0)


@pytest.mark.parametrize("mapcrs", [(1, 2, 3), (3, 1, 2), (2, 1, 3)])
@pytest.mark.parametrize("origin", [(0.0, 0.0, 0.0), (12.3, -4.56, 789.1)])
def test_header_fields_are_those_read(mapcrs: tuple[int, int, int], origin: tuple[float, ...]) -> None:
    fields: dict[str, Any] = {
        "mapcrs": mapcrs,
        "m": (7, 8, 9),
        "cella": (1.1, 2.2, 3.3),
        "nstart": (1, -2, 3),
        "origin": origin,
    }
    header, layout = parts(**fields)
    found = Geometry.from_header(header, layout)
    assert header.replace(**found.to_header_fields(layout)) == header


def test_changed_voxel_size_changes_the_cell() -> None:
    header, layout = parts()
    changed = dataclasses.replace(Geometry.from_header(header, layout), voxel_size=(3.0, 2.0, NAN))
    assert changed.to_header_fields(layout)["cella"] == (12.0, 6.0, 0.0)


@pytest.mark.parametrize(
    ("kind", "shape", "m"), [("volume", (5, 6, 7), (7, 6, 5)), ("image_stack", (5, 6, 7), (7, 6, 1))]
)
def test_missing_intervals_are_the_shape(kind: str, shape: tuple[int, ...], m: tuple[int, ...]) -> None:
    layout = Layout(Kind(kind), shape, PIXELS["2"], "<", 1024)
    fields = Geometry(("z", "y", "x"), (2.0, 2.0, 2.0), start=(4.0, NAN, 0.0)).to_header_fields(layout)
    assert fields["m"] == m
    assert fields["cella"] == tuple(2.0 * n for n in m)
    assert fields["origin"] == (4.0, 0.0, 0.0)


def test_zero_start_writes_zeros() -> None:
    header, layout = parts(**BOTH)
    fields = Geometry.from_header(header, layout, "zero").to_header_fields(layout)
    assert (fields["origin"], fields["nstart"]) == ((0.0, 0.0, 0.0), (0, 0, 0))


REAL = {
    "EMD-3197.map": (("z", "y", "x"), (11.4, 11.4, 11.4), (-2, 0, 0), (-22.8, 0.0, 0.0)),
    "1jzv.ccp4": (("z", "x", "y"), (0.545238, 0.545238, 0.560313), (-23, -4, 102), None),
    "fei-extended.mrc": (("y", "x"), (0.853775, 0.853775, NAN), (0, 0, 0), (0.0, 0.0, 0.0)),
    "serialem_tilt.mrc": (("y", "x"), (7.88, 7.88, 7.88), (0, 0, 0), (0.0, 0.0, 0.0)),
}


@pytest.mark.data
@pytest.mark.parametrize("name", sorted(REAL))
def test_positions_of_real_files(shared_data: Path, name: str) -> None:
    with (shared_data / name).open("rb") as file:
        header, _ = Header.parse(file.read(1024))
    layout = interpret(header, name=name).layout
    assert layout is not None
    found = Geometry.from_header(header, layout)
    axes, voxel, nstart, start = REAL[name]
    assert (found.axes, found.nstart, warned(found)) == (axes, nstart, [])
    assert same(found.voxel_size, voxel)
    assert start is None or found.start == start


@pytest.mark.data
def test_negative_cell_lengths_warn(shared_data: Path) -> None:
    header, _ = Header.parse((shared_data / "de_movie.mrc").read_bytes()[:1024])
    layout = interpret(header).layout
    assert layout is not None
    found = Geometry.from_header(header, layout)
    assert (found.known, warned(found)) == (False, ["MRC111", "MRC111"])
    assert found.issues[0].message.startswith("word 11 (xlen) is -160; expected > 0")


def test_position_beyond_single_precision_is_kept() -> None:
    raw = bytearray(builders.header_bytes(extra1=b"\xa0\xc0", cella=(3e38, 0.5, 0.5)))
    struct.pack_into("<3f", raw, 208, 3.0, 1e38, 2.0)
    header, _ = Header.parse(bytes(raw))
    layout = interpret(header).layout
    assert layout is not None
    assert Geometry.from_header(header, layout).start[0] == pytest.approx(1e42)


SKEWED = (80.0, 95.0, 110.0)


def test_origin_of_a_skewed_cell_is_cartesian() -> None:
    found = Geometry.from_header(*parts(origin=(10.0, 20.0, 30.0), cellb=(90.0, 90.0, 120.0)))
    assert found.start == pytest.approx((10 + 20 / 3**0.5, 40 / 3**0.5, 30.0))
    assert [(issue.code, issue.severity) for issue in found.issues] == [("MRC114", Severity.NOTE)]
    assert "follow the cell edges and are not Cartesian" in found.issues[0].message


@pytest.mark.parametrize("angles", [SKEWED, (90.0, 90.0, 120.0), (100.0, 90.0, 90.0)])
def test_header_fields_of_a_skewed_cell(angles: tuple[float, float, float]) -> None:
    header, layout = parts(origin=(10.0, -20.0, 30.0), cellb=angles)
    assert header.replace(**Geometry.from_header(header, layout).to_header_fields(layout)) == header


def test_nstart_of_a_skewed_cell_is_along_edges() -> None:
    assert geometry(nstart=(1, -2, 3), cellb=SKEWED).start == (2.0, -4.0, 6.0)


def test_starts_of_a_skewed_cell_are_compared() -> None:
    position = to_cartesian((2.0, -4.0, 6.0), SKEWED)
    found = Geometry.from_header(*parts(nstart=(1, -2, 3), origin=position, cellb=SKEWED))
    assert found.start == pytest.approx((2.0, -4.0, 6.0), abs=1e-5)
    assert [issue.code for issue in found.issues] == ["MRC114"]


@pytest.mark.parametrize("angles", [(30.0, 30.0, 170.0), (90.0, 90.0, 1e-5), (10.0, 90.0, 110.0)])
def test_impossible_angles_do_not_convert(angles: tuple[float, float, float]) -> None:
    assert to_cartesian((1.0, 2.0, 3.0), angles) == (1.0, 2.0, 3.0)
    assert to_edges((1.0, 2.0, 3.0), angles) == (1.0, 2.0, 3.0)


@given(st.tuples(*[st.floats(60, 115)] * 3), st.tuples(*[st.floats(-1e4, 1e4)] * 3))
def test_conversion_agrees_with_gemmi(angles: tuple[float, float, float], position: tuple[float, float, float]) -> None:
    cell = gemmi.UnitCell(1, 1, 1, *angles)
    expected = cell.orthogonalize(gemmi.Fractional(*position)).tolist()
    there = to_cartesian(position, angles)
    assert there == pytest.approx(expected, rel=1e-9, abs=1e-6)
    assert to_edges(there, angles) == pytest.approx(position, rel=1e-6, abs=1e-3)
