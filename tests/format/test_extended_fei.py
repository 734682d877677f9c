"""Extended headers of FEI: FEI1, FEI2 and the older block, against `struct`, real files and mrcfile."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import mrcfile
import mrcfile.dtypes
import numpy as np
import pytest

from mrcarray.format.extended import (
    DIALECTS,
    RecordFacts,
    decode,
)
from tests.format.extended_headers import (
    ORDERS,
    codes,
    fei_record,
    name_of,
    old_block,
    real,
    records_of,
)

if TYPE_CHECKING:
    from pathlib import Path

# ------------------------------------------------------------------------------------------------ FEI1, FEI2


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", ["FEI1", "FEI2"])
def test_fei_dtypes_agree_with_mrcfile(name: str, order: Any) -> None:
    expected = mrcfile.dtypes.get_ext_header_dtype(name.encode(), order)
    assert DIALECTS[name].dtype(RecordFacts(order)) == expected
    assert expected.itemsize == {"FEI1": 768, "FEI2": 888}[name]


def test_fei_bits_are_in_the_preceding_mask() -> None:
    fields = DIALECTS["FEI2"].layout(RecordFacts())
    mask, used = "", set()
    for field in fields:
        if field.is_mask:
            mask = field.name
        elif mask:
            assert field.mask == mask, field.name
            assert (mask, field.bit) not in used, field.name
            used.add((mask, field.bit))
    assert len(used) == 32 - 5 + 32 + 32 + 17, "the six unused numbers of the first mask are one field"


def test_real_epu_file_agrees_with_mrcfile(shared_data: Path) -> None:
    data, facts = real(shared_data, "fei-extended.mrc")
    found = decode(data, facts)
    records = records_of(found)
    with mrcfile.open(shared_data / "fei-extended.mrc", header_only=True) as mrc:
        indexed = mrc.indexed_extended_header
    assert records.array.tobytes() == indexed.tobytes()
    assert len(records) == 1, "the 1023 reserved records are trimmed"
    assert codes(found) == ["MRC407"]
    common = {name: column.values[0] for name, column in records.columns().items()}
    assert common["datetime"] == np.datetime64("2017-10-10T08:37:35.641000000")
    assert common["voltage"] == 300
    assert common["exposure_dose"] == pytest.approx(47.62483899112247)
    assert common["tilt_angle"] == 0.004274353952111746
    assert common["stage_x"] == pytest.approx(817.2905743999999)
    assert common["pixel_size"] == pytest.approx(0.8537755225024313)
    assert common["defocus"] == pytest.approx(-0.9065800391478006)
    assert common["target_defocus"] == pytest.approx(-0.8)
    assert common["magnification"] == 165000
    assert common["exposure_time"] == 10
    assert common["slit_width"] == 20


def test_field_without_bit_is_missing(shared_data: Path) -> None:
    data, facts = real(shared_data, "fei-extended.mrc")
    records = records_of(decode(data, facts))
    assert not records.valid("Tilt axis angle")[0]
    assert not records.columns()["tilt_axis_angle"].known
    raw = fei_record(
        768,
        tilt=(100, "d", 30.0),
        clock=(12, "d", 43018.5),
        name=(52, "5s", b"EPU x"),
        flag=(288, "?", True),
        reserved=(748, "I", 1 << 31),  # no field's bit, but a sign that bits are used
    )
    records = records_of(decode(bytes(raw), RecordFacts("<", 1, b"FEI1")))
    assert np.isnan(records.common("tilt_angle").values[0])
    assert np.isnat(records.common("datetime").values[0])
    assert records.column("Application").values[0] == ""
    assert np.isnan(records.column("EFTEM On").values[0])
    assert not any(column.known for column in records.columns(every=True).values() if column.name[:8] != "Metadata")


def test_bitmasks_are_little_endian() -> None:
    raw = fei_record(888, ">", tilt=(100, "d", 30.0), stamp=(796, "q", 1_604_425_000_000_000))
    struct.pack_into("<I", raw, 8, 1 << 7)
    struct.pack_into("<I", raw, 748, 1 << 6)
    records = records_of(decode(bytes(raw), RecordFacts(">", 1, b"FEI2")))
    assert records.common("tilt_angle").values.tolist() == [30.0]
    assert records.column("Acquisition time stamp").values[0] == np.datetime64("2020-11-03T17:36:40")
    assert [name for name, column in records.columns().items() if column.known] == ["tilt_angle"]


@pytest.mark.parametrize("size", [768, 888])
def test_wrong_type_of_fei_records(size: int) -> None:
    for exttyp, code in ((b"\0\0\0\0", "MRC402"), (b"SERI", "MRC401"), (b"XYZ ", "MRC401")):
        found = decode(bytes(fei_record(size)), RecordFacts("<", 1, exttyp))
        assert (name_of(found), codes(found)) == ({768: "FEI1", 888: "FEI2"}[size], [code])


def test_fei2_records_with_type_fei1() -> None:
    found = decode(bytes(fei_record(888)), RecordFacts("<", 1, b"FEI1"))
    assert (name_of(found), codes(found)) == ("FEI2", ["MRC401"])


def test_records_in_other_byte_order() -> None:
    raw = fei_record(768, ">", tilt=(100, "d", 30.0))
    struct.pack_into("<I", raw, 8, 1 << 7)
    found = decode(bytes(raw), RecordFacts("<", 1, b"FEI1"))
    assert codes(found) == ["MRC410"]
    assert records_of(found).common("tilt_angle").values.tolist() == [30.0]
    assert found.encode() == raw


def test_block_with_partial_record_round_trip() -> None:
    block = bytes(fei_record(888)) * 13 + bytes(15360 - 13 * 888)
    found = decode(block, RecordFacts("<", 13, b"FEI2"))
    assert len(records_of(found)) == 13
    assert found.encode() == block


def test_records_after_a_wrong_length_are_ignored() -> None:
    found = decode(bytes(fei_record(768)) + bytes(768 * 9), RecordFacts("<", 4, b"FEI1"))
    assert len(records_of(found)) == 1
    assert "MRC403" in codes(found)


@pytest.mark.parametrize(("version", "factor"), [(b"4.4.0.4981", np.pi / 180), (b"4.4.0.4982", 1.0)])
def test_wrong_angles_are_corrected(version: bytes, factor: float) -> None:
    raw = fei_record(768, v=(68, "16s", version), tilt=(100, "d", 60.0), beta=(108, "d", 2.0), axis=(140, "d", 90.0))
    struct.pack_into("<I", raw, 8, 1 << 4 | 1 << 7 | 1 << 8 | 1 << 12)
    found = decode(bytes(raw), RecordFacts("<", 1, b"FEI1"))
    records = records_of(found)
    assert records.common("tilt_angle").values[0] == pytest.approx(60 * factor)
    assert records.common("tilt_axis_angle").values[0] == pytest.approx(90 * factor)
    assert records.common("beta_tilt").values[0] == 2.0
    assert records.column("Alpha tilt").values[0] == 60.0, "under its own name the field stays as stored"
    assert ("MRC408" in codes(found)) == (factor != 1)
    again = records.replaced("tilt_angle", np.array([1.25]))
    assert again.common("tilt_angle").values[0] == pytest.approx(1.25)


def test_impossible_time_is_missing() -> None:
    for days in (0.0, -1.0, 1e9, np.nan, np.inf):
        raw = fei_record(768, clock=(12, "d", days))
        struct.pack_into("<I", raw, 8, 1)
        assert np.isnat(records_of(decode(bytes(raw), RecordFacts("<", 1, b"FEI1"))).common("datetime").values[0])


# ------------------------------------------------------------------------------------------------ the old FEI block


def test_real_old_fei_file(shared_data: Path) -> None:
    data, facts = real(shared_data, "fei_old_header.mrc")
    found = decode(data, facts)
    assert name_of(found) == "FEI0"
    assert codes(found) == ["MRC402", "MRC407"]
    columns = records_of(found).columns()
    np.testing.assert_array_equal(columns["tilt_angle"].values, np.arange(-76, 78, 2))
    assert columns["pixel_size"].values[0] == pytest.approx(33.6)
    assert set(columns["magnification"].values) == {115000}
    assert set(columns["exposure_time"].values) == {1.0}
    assert set(columns["voltage"].values) == {300.0}
    assert found.encode() == data


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("nint", "nreal", "exttyp"), [(0, 32, b""), (128, 32, b""), (0, 0, b""), (128, 32, b"FEI1"), (0, 0, b"FEI1")]
)
def test_old_block_is_known_by_size_and_content(nint: int, nreal: int, exttyp: bytes, order: Any) -> None:
    found = decode(old_block([-60.0, -57.0], order), RecordFacts(order, 2, exttyp, nint, nreal))
    assert name_of(found) == "FEI0"
    assert records_of(found).common("tilt_angle").values.tolist() == [-60.0, -57.0]
    assert codes(found)[0] == ("MRC401" if exttyp else "MRC402")
    assert ("MRC406" in codes(found)) == (nint == 128)


def test_short_old_block_is_known_by_label() -> None:
    block = old_block([3.0])[: 128 * 4]
    assert name_of(decode(block, RecordFacts("<", 4, b"", 0, 0, "Fei Company (c) 2003"))) == "FEI0"
    assert name_of(decode(block, RecordFacts("<", 4, b"", 0, 0, "somebody"))) == "unknown"


def test_implausible_floats_are_not_the_old_block() -> None:
    noise = np.full(131072 // 4, 1e20, dtype="<f4").tobytes()
    assert name_of(decode(noise, RecordFacts("<", 2, b"", 0, 32))) == "AGAR"
    assert name_of(decode(noise, RecordFacts("<", 2, b"", 0, 0))) == "unknown"


def test_units_of_old_records() -> None:
    metres = records_of(decode(old_block([0.0], f2=1.5e-4, f7=-2e-6, f11=2.5e-10), RecordFacts("<", 1, b"", 0, 32)))
    other = decode(old_block([0.0], f2=150.0, f7=-2e-6, f11=2.5), RecordFacts("<", 1, b"", 0, 32))
    for records in (metres, records_of(other)):
        assert records.common("stage_x").values[0] == pytest.approx(150)
        assert records.common("pixel_size").values[0] == pytest.approx(2.5)
        assert records.common("defocus").values[0] == pytest.approx(-2)
        assert np.isnan(records.common("magnification").values[0]), "zero magnification is unknown"
    assert "MRC409" in codes(other)


def test_stage_positions_have_one_unit() -> None:
    facts = RecordFacts("<", 4, b"AGAR", 0, 32)
    x = np.array([50.0, 0.5, -20.0, 1.0])
    for unit in (1.0, 1e-6):
        data = b"".join(old_block([0.0], f2=at * unit, f3=0.3 * unit)[:128] for at in x)
        records = records_of(decode(data, facts))
        np.testing.assert_allclose(records.common("stage_x").values, x, rtol=1e-6)
        np.testing.assert_allclose(records.common("stage_y").values, 0.3, rtol=1e-6)


@pytest.mark.parametrize("unit", [1.0, 1e-6])
@pytest.mark.parametrize("new", [[-20.0, -10.0, 0.9, 0.2], [0.004, 0.002, 0.0, 0.001], [2e4, 0.001, 3.0, 4.0]])
def test_stage_positions_round_trip(unit: float, new: list[float]) -> None:
    facts = RecordFacts("<", 4, b"AGAR", 0, 32)
    data = b"".join(old_block([0.0], f2=at * unit, f3=0.006 * unit)[:128] for at in (50.0, 0.5, -20.0, 1.0))
    records = records_of(decode(data, facts)).replaced("stage_x", np.array(new))
    again = records_of(decode(records.encode(), facts))
    np.testing.assert_allclose(again.common("stage_x").values, new, rtol=1e-6)
    np.testing.assert_allclose(again.common("stage_y").values, 0.006, rtol=1e-6)
