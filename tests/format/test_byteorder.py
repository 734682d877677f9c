"""Byte order from machine stamps and map identifiers, and inferred byte order."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest

from mrcarray.format.header import Header
from mrcarray.format.interpret import interpret
from mrcarray.format.issues import CODES, Severity
from tests import builders

if TYPE_CHECKING:
    from mrcarray.format.modes import ByteOrder

SIZE = 1024 + 4 * 3 * 2 * 4


def found(raw: bytes, size: int | None = SIZE) -> tuple[str, list[tuple[str, Severity]]]:
    header, issues = Header.parse(raw, size)
    assert all(issue.code in CODES for issue in issues)
    return header.byteorder, [(issue.code, issue.severity) for issue in issues]


@pytest.mark.parametrize(
    ("stamp", "order", "codes"),
    [
        ("44440000", "<", []),
        ("44410000", "<", [("MRC154", Severity.NOTE)]),
        ("11110000", ">", []),
        ("44000000", "<", [("MRC161", Severity.NOTE)]),
        ("44202020", "<", [("MRC161", Severity.NOTE)]),
        ("00000000", "<", [("MRC161", Severity.NOTE)]),
        ("00000000", ">", [("MRC161", Severity.NOTE)]),
        ("00004444", "<", [("MRC161", Severity.NOTE)]),
        ("00004144", ">", [("MRC161", Severity.NOTE)]),
        ("22410000", "<", [("MRC160", Severity.ERROR)]),
        ("22210000", "<", [("MRC160", Severity.ERROR)]),
        ("90424dc3", "<", [("MRC161", Severity.NOTE)]),
        ("44440000", ">", [("MRC162", Severity.WARNING)]),
        ("11110000", "<", [("MRC162", Severity.WARNING)]),
    ],
)
def test_stamps(stamp: str, order: ByteOrder, codes: list[tuple[str, Severity]]) -> None:
    raw = builders.header_bytes(order, machst=bytes.fromhex(stamp))
    assert found(raw) == (order, codes)


def test_vax_floats_are_not_read() -> None:
    header, _ = Header.parse(builders.header_bytes(machst=b"\x22\x41\0\0"), SIZE)
    assert interpret(header, SIZE).layout is None
    assert interpret(header.replace(mode=1, nz=4), SIZE).layout is not None


@pytest.mark.parametrize(
    ("map_id", "stamp", "size", "codes"),
    [
        (b"MAP ", b"\x44\x44\0\0", SIZE, []),
        (b"MAP\0", b"\x44\x44\0\0", SIZE, [("MRC153", Severity.NOTE)]),
        (b"MAPX", b"\x44\x41\0\0", SIZE, [("MRC153", Severity.NOTE), ("MRC154", Severity.NOTE)]),
        (b"map ", b"\x44\x44\0\0", SIZE, [("MRC153", Severity.WARNING)]),
        (bytes(4), bytes(4), SIZE, [("MRC153", Severity.NOTE), ("MRC161", Severity.NOTE)]),
        (bytes(4), bytes(4), None, [("MRC153", Severity.WARNING), ("MRC161", Severity.NOTE)]),
        (b"HKL ", b"\x44\x44\0\0", SIZE, [("MRC908", Severity.ERROR)]),
    ],
)
def test_map_identifiers(map_id: bytes, stamp: bytes, size: int | None, codes: list[tuple[str, Severity]]) -> None:
    assert found(builders.header_bytes(map=map_id, machst=stamp), size) == ("<", codes)


@pytest.mark.parametrize("fields", [{"mode": 77}, {"nx": 0}, {"ny": 2**30}, {"nsymbt": -1}, {"mapcrs": (9, 9, 9)}])
def test_implausible_header_without_map_is_not_mrc(fields: dict[str, Any]) -> None:
    _, codes = found(builders.header_bytes(map=b"text", machst=b"more", **fields), None)
    assert codes[0] == ("MRC901", Severity.ERROR)


def test_zeros_are_not_mrc() -> None:
    assert ("MRC901", Severity.ERROR) in found(bytes(1024), 1024)[1]


@pytest.mark.parametrize(("mark", "order"), [(b"\xa0\xc0", "<"), (b"\xc0\xa0", ">")])
def test_deltavision_needs_no_map_identifier(mark: bytes, order: ByteOrder) -> None:
    extra = mark + bytes(6)
    raw = builders.header_bytes(order, extra1=extra, map=bytes(4), machst=bytes(4))
    assert found(raw) == (order, [("MRC125", Severity.WARNING)])
    assert found(builders.header_bytes(order, extra1=extra))[1] == []


def test_file_size_decides() -> None:
    fields = {"nx": 256, "ny": 65536, "nz": 1, "mode": 0, "mapcrs": (0, 0, 0), "m": (0, 0, 0), "cella": (0.0, 0.0, 0.0)}
    raw = builders.header_bytes("<", machst=bytes(4), **fields)
    assert found(raw, 1024 + 256 * 65536)[0] == "<"
    swapped = struct.unpack(">3i", raw[:12])
    assert found(raw, 1024 + swapped[0] * swapped[1] * swapped[2])[0] == ">"


def test_valid_stamp_with_fitting_size_decides() -> None:
    raw = builders.header_bytes(mapcrs=(0, 0, 7), nlabl=99)
    assert found(raw) == ("<", [])
    raw = builders.header_bytes(mapcrs=(0, 0, 7), machst=b"\x44\x41\0\0")
    assert found(raw) == ("<", [("MRC154", Severity.NOTE)])
