"""Extended headers of SerialEM, AGAR, MRCO, CCP4 and others: detection, decoding, tables."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcarray.errors import MrcValueError
from mrcarray.format.extended import (
    DIALECTS,
    Field,
    RecordFacts,
    Records,
    decode,
    detect,
    odd_float,
    odd_shorts,
    operators,
)
from mrcarray.format.header import Header
from mrcarray.format.issues import CODES
from mrcarray.format.quantities import COMMON
from mrcarray.format.sidecars import Mdoc
from tests.format.extended_headers import (
    ORDERS,
    codes,
    name_of,
    old_block,
    real,
    records_of,
)

if TYPE_CHECKING:
    from pathlib import Path

# ------------------------------------------------------------------------------------------------ SERI


def test_odd_float_published_values() -> None:
    vectors = {
        (16384, -5632): 1.0,
        (20480, -5376): 2.5,
        (20152, -5713): 1.22999978,
        (31370, -5359): 7.65891933,
        (16742, -4198): 65.3999939,
        (-16384, -5376): -2.0,
        (1, 0): 256.0,
        (0, 0): 0.0,
    }
    shorts = np.array(list(vectors), dtype="<i2")
    np.testing.assert_allclose(odd_float(shorts), list(vectors.values()), rtol=3e-8)
    again = odd_float(odd_shorts(np.array(list(vectors.values()))))
    np.testing.assert_allclose(again, list(vectors.values()), rtol=2**-22)
    exact = [0, 1, 5, 7]
    np.testing.assert_array_equal(odd_shorts(odd_float(shorts))[exact[:2]], shorts[exact[:2]])


@given(st.floats(1e-30, 1e30) | st.floats(-1e30, -1e-30) | st.just(0.0))
def test_odd_float_keeps_23_bits(value: float) -> None:
    assert odd_float(odd_shorts(np.array([value])))[0] == pytest.approx(value, rel=2**-22)


@pytest.mark.parametrize("value", [1e60, 1e-50, np.nan, np.inf])
def test_odd_float_out_of_range_raises(value: float) -> None:
    with pytest.raises(MrcValueError, match="SerialEM record"):
        odd_shorts(np.array([value]))


@pytest.mark.parametrize("order", ORDERS)
def test_seri_items_in_order_of_bits(order: Any) -> None:
    record = struct.pack(
        order + "hHHHhhhhhhhihih", -5999, 10, 60000, 40000, -400, 25, 1150, 2250, 20480, -5376, 1, 2, 3, 4, 5
    )
    found = decode(record, RecordFacts(order, 1, b"SERI", 34, 2047))
    records = records_of(found)
    assert found.issues == ()
    expected = {
        "tilt_angle": -59.99,
        "piece_x": 10,
        "piece_y": 60000,
        "piece_z": 40000,
        "stage_x": -16.0,
        "stage_y": 1.0,
        "magnification": 115000,
        "intensity": 0.09,
        "exposure_dose": 2.5,
    }
    assert {name: column.values[0] for name, column in records.columns().items()} == expected
    assert {column.unit for column in records.columns(every=True).values()} >= {"degree", "micrometer", "pixel"}
    assert [records.column(f"Reserved {bit}").values[0] for bit in (64, 128, 256, 512, 1024)] == [1, 2, 3, 4, 5]


def test_real_seri_agrees_with_its_mdoc(shared_data: Path) -> None:
    data, facts = real(shared_data, "serialem_tilt.mrc")
    columns = records_of(decode(data, facts)).columns()
    stated = Mdoc.parse((shared_data / "serialem_tilt.mrc.mdoc").read_bytes()).columns(facts.nz)
    assert set(columns) <= set(stated)
    for name, column in columns.items():
        assert COMMON[name].agree(column.values, stated[name].values), name
    np.testing.assert_allclose(columns["stage_x"].values, stated["stage_x"].values, atol=0.02)
    assert not columns["exposure_dose"].known, "an uncalibrated dose of 0 is missing, not zero"


@pytest.mark.parametrize(
    ("nint", "nreal", "name"),
    [(2, 1, "SERI"), (14, 61, "SERI"), (20, 63, "SERI"), (13, 61, "AGAR"), (2, 2049, "unknown"), (-2, 1, "unknown")],
)
def test_blank_type_is_seri_if_flags_fit(nint: int, nreal: int, name: str) -> None:
    assert name_of(decode(bytes(1024), RecordFacts("<", 1, b"", nint, nreal))) == name


def test_short_seri_block() -> None:
    found = decode(struct.pack("<2h", 100, 200), RecordFacts("<", 5, b"SERI", 2, 1))
    assert codes(found) == ["MRC403"]
    assert records_of(found).common("tilt_angle").values.tolist() == [1.0, 2.0]


# ------------------------------------------------------------------------------------------------ AGAR, MRCO


@pytest.mark.parametrize("order", ORDERS)
def test_agar_fields(order: Any) -> None:
    block = b"".join(struct.pack(order + "2i3f", 7, 8, tilt, 1.5, 2.5) for tilt in (-3.0, 0.0, 3.0))
    for exttyp in (b"AGAR", b""):
        records = records_of(decode(block, RecordFacts(order, 3, exttyp, 2, 3)))
        assert records.dialect.name == "AGAR"
        assert records.common("tilt_angle").values.tolist() == [-3.0, 0.0, 3.0]
        assert records.column("Integer 1").values.tolist() == [8, 8, 8]
        assert records.column("Float 2").values.tolist() == [2.5, 2.5, 2.5]


def test_agar_of_32_floats_keeps_gain_reference() -> None:
    gain = b"gain" * 100
    block = old_block([1.0, 2.0], f11=1.25)[: 2 * 128] + gain
    found = decode(block, RecordFacts("<", 2, b"AGAR", 0, 32))
    records = records_of(found)
    assert name_of(found) == "AGAR"
    assert records.common("pixel_size").values.tolist() == [1.25, 1.25]
    assert records.reserved == gain
    assert records.take([1]).encode() == block[128:256] + gain
    assert found.encode() == block


def test_text_and_deltavision_are_not_agar() -> None:
    assert name_of(decode(b"X,Y,Z".ljust(80), RecordFacts("<", 1, b"", 2, 3))) == "CCP4"
    assert name_of(decode(bytes(80), RecordFacts("<", 1, b"", 2, 3))) == "AGAR"
    header = Header.blank(nx=1, ny=1, nz=1, map=bytes(4), extra1=struct.pack("<h6x", -16224))
    facts = replace(RecordFacts.of(header), nint=2, nreal=3)
    assert facts.deltavision
    assert name_of(decode(bytes(80), facts)) == "unknown"


def test_records_of_many_numbers() -> None:
    found = decode(b"\1" * (4 * 65534), RecordFacts("<", 1, b"AGAR", 32767, 32767))
    assert len(records_of(found).columns()) == 13


def test_columns_do_not_search_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    found = decode(b"\1" * (4 * 4000), RecordFacts("<", 1, b"AGAR", 2000, 2000))
    sought: list[str] = []
    field = Records.field

    def seek(self: Records, name: str) -> Field:
        sought.append(name)
        return field(self, name)

    monkeypatch.setattr(Records, "field", seek)
    assert len(records_of(found).columns(every=True)) == 4013
    assert len(sought) < 100


def test_mrco_fields() -> None:
    block = struct.pack("<if", 5, 2.5)
    records = records_of(decode(block, RecordFacts("<", 1, b"MRCO", 1, 1)))
    assert records.columns() == {}
    assert {name: c.values[0] for name, c in records.columns(every=True).items()} == {"Integer_0": 5, "Float_0": 2.5}
    assert codes(decode(block, RecordFacts("<", 1, b"MRCO"))) == ["MRC404"]


# ------------------------------------------------------------------------------------------------ blocks


@pytest.mark.parametrize(("name", "count"), [("1jzv.ccp4", 8), ("5i55_tiny.ccp4", 2)])
def test_symmetry_operators_of_real_maps(shared_data: Path, name: str, count: int) -> None:
    data, facts = real(shared_data, name)
    found = decode(data, facts)
    assert (name_of(found), codes(found), found.records) == ("CCP4", ["MRC402"], None)
    assert len(operators(data)) == count
    assert operators(data)[0] == "X,  Y,  Z"
    assert found.encode() == data


def test_operators_on_one_line() -> None:
    data = b"X,Y,Z * -X,-Y,Z".ljust(80) + b"Y,X,-Z".ljust(80)
    assert operators(data) == ("X,Y,Z", "-X,-Y,Z", "Y,X,-Z")
    assert detect(data, RecordFacts(exttyp=b"CCP4")).issues == ()


@pytest.mark.parametrize(
    ("data", "name"), [(b"\x89HDF\r\n\x1a\n" + bytes(90), "HDF5"), (b'{"voltage": 300}\n', "json"), (b"[1, 2]", "json")]
)
@pytest.mark.parametrize("typed", [True, False])
def test_embedded_documents_are_bytes(data: bytes, name: str, typed: bool) -> None:
    found = decode(data, RecordFacts(exttyp=name.encode() if typed else b""))
    assert (name_of(found), found.records, found.encode()) == (name, None, data)
    assert codes(found) == (["MRC405"] if typed else ["MRC402", "MRC405"])


@pytest.mark.parametrize("exttyp", [b"FEI1", b"FEI2", b"SERI", b"AGAR", b"HDF5", b"CCP4", b"json", b"WHAT"])
def test_zero_bytes_fit_any_type(exttyp: bytes) -> None:
    found = decode(bytes(100), RecordFacts(exttyp=exttyp, nz=5))
    assert (found.records, found.encode(), codes(found)) == (None, bytes(100), ["MRC412"])
    assert found.issues[0].severity.name == "NOTE"


@pytest.mark.parametrize("exttyp", [b"FEI1", b"FEI2", b"SERI", b"AGAR", b"HDF5", b"CCP4", b"json", b"WHAT"])
def test_unknown_bytes_warn(exttyp: bytes) -> None:
    data = b"\xff\xfe\xfd" * 7
    found = decode(data, RecordFacts(exttyp=exttyp))
    assert (name_of(found), found.encode(), codes(found)) == ("unknown", data, ["MRC401"])
    assert exttyp.decode() in found.issues[0].message


def test_no_extended_header() -> None:
    found = decode(b"", RecordFacts(exttyp=b"SERI", nint=2, nreal=1))
    assert (found.dialect, found.records, found.issues, found.encode()) == (None, None, (), b"")


# ------------------------------------------------------------------------------------------------ the tables


def test_common_names_of_dialects_are_known() -> None:
    every = RecordFacts(nint=1, nreal=2047)
    for dialect in DIALECTS.values():
        for field in dialect.layout(every):
            assert field.meaning, (dialect.name, field.name)
            assert not field.common or field.common in COMMON, (dialect.name, field.name)


@given(
    st.binary(max_size=2000),
    st.sampled_from([b"", *(d.exttyp for d in DIALECTS.values())]),
    st.integers(-2, 40),
    st.integers(-2, 70),
    st.sampled_from(ORDERS),
)
def test_any_bytes_round_trip(data: bytes, exttyp: bytes, nint: int, nreal: int, order: Any) -> None:
    found = decode(data, RecordFacts(order, 3, exttyp, nint, nreal))
    assert found.encode() == data
    assert {issue.code for issue in found.issues} <= set(CODES)
    if found.records is not None:
        found.records.columns(every=True)
