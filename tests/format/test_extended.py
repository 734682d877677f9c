"""Extended headers: every dialect against bytes made by `struct`, real files, their sidecars, and mrcfile."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import mrcfile
import mrcfile.dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcarray.errors import MrcValueError
from mrcarray.format.extended import (
    CODECS,
    DIALECTS,
    Codec,
    Decoded,
    Dialect,
    Field,
    RecordFacts,
    Records,
    decode,
    detect,
    from_tokens,
    odd_float,
    odd_shorts,
    operators,
)
from mrcarray.format.header import Header
from mrcarray.format.issues import CODES
from mrcarray.format.quantities import COMMON
from mrcarray.format.sidecars import Mdoc

if TYPE_CHECKING:
    from pathlib import Path

ORDERS = ("<", ">")


def real(folder: Path, name: str) -> tuple[bytes, RecordFacts]:
    """Return the extended header of a real file and the facts of its main header, read with `struct` alone."""
    with (folder / name).open("rb") as file:
        head = file.read(1024)
        size = struct.unpack_from("<i", head, 92)[0]
        data = file.read(size)
    nint, nreal = struct.unpack_from("<2h", head, 128)
    label = head[224:304].decode("ascii").strip("\0 ")
    return data, RecordFacts("<", struct.unpack_from("<i", head, 8)[0], head[104:108], nint, nreal, label)


def records_of(found: Decoded) -> Records:
    """Return the records, which must be there."""
    assert found.records is not None
    return found.records


def name_of(found: Decoded) -> str:
    """Return the name of the dialect, which must be there."""
    assert found.dialect is not None
    return found.dialect.name


def codes(found: Decoded) -> list[str]:
    """Return the codes of the issues."""
    return [issue.code for issue in found.issues]


def fei_record(size: int, order: str = "<", **values: tuple[int, str, Any]) -> bytearray:
    """Return an FEI record with every bit clear; `values` are (offset, struct code, value), and set no bit."""
    raw = bytearray(size)
    struct.pack_into(order + "2i", raw, 0, size, {768: 0, 888: 2}[size])
    for offset, code, value in values.values():
        struct.pack_into(order + code, raw, offset, value)
    return raw


def old_block(angles: list[float], order: Any = "<", **floats: float) -> bytes:
    """Return 1024 records of 32 floats; `floats` are named by their index, ``f7=-1e-6``."""
    block = np.zeros((1024, 32), dtype=np.dtype("f4").newbyteorder(order))
    block[: len(angles), 0] = angles
    for name, value in floats.items():
        block[: len(angles), int(name[1:])] = value
    return block.tobytes()


# ------------------------------------------------------------------------------------------------ SERI


def test_the_odd_float_matches_the_published_vectors_both_ways() -> None:
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
def test_the_odd_float_keeps_23_bits_of_any_dose(value: float) -> None:
    assert odd_float(odd_shorts(np.array([value])))[0] == pytest.approx(value, rel=2**-22)


@pytest.mark.parametrize("value", [1e60, 1e-50, np.nan, np.inf])
def test_the_odd_float_refuses_what_it_cannot_hold(value: float) -> None:
    with pytest.raises(MrcValueError, match="SerialEM record"):
        odd_shorts(np.array([value]))


@pytest.mark.parametrize("order", ORDERS)
def test_every_item_of_a_serialem_record_is_decoded_in_the_order_of_its_bit(order: Any) -> None:
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


def test_the_serialem_file_agrees_with_its_mdoc(shared_data: Path) -> None:
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
def test_a_blank_type_is_serialem_only_if_the_flags_add_up(nint: int, nreal: int, name: str) -> None:
    assert name_of(decode(bytes(1024), RecordFacts("<", 1, b"", nint, nreal))) == name


def test_a_serialem_block_too_short_for_its_sections_gives_what_it_has() -> None:
    found = decode(struct.pack("<2h", 100, 200), RecordFacts("<", 5, b"SERI", 2, 1))
    assert codes(found) == ["MRC403"]
    assert records_of(found).common("tilt_angle").values.tolist() == [1.0, 2.0]


# ------------------------------------------------------------------------------------------------ FEI1, FEI2


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", ["FEI1", "FEI2"])
def test_fei_dtypes_are_those_of_mrcfile(name: str, order: Any) -> None:
    expected = mrcfile.dtypes.get_ext_header_dtype(name.encode(), order)
    assert DIALECTS[name].dtype(RecordFacts(order)) == expected
    assert expected.itemsize == {"FEI1": 768, "FEI2": 888}[name]


def test_the_bit_of_every_fei_field_is_set_in_the_mask_before_it() -> None:
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


def test_the_epu_file_decodes_as_mrcfile_decodes_it(shared_data: Path) -> None:
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


def test_an_fei_field_whose_bit_is_clear_is_missing_even_if_bytes_are_there(shared_data: Path) -> None:
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


def test_fei_bitmasks_are_little_endian_in_a_big_endian_file() -> None:
    raw = fei_record(888, ">", tilt=(100, "d", 30.0), stamp=(796, "q", 1_604_425_000_000_000))
    struct.pack_into("<I", raw, 8, 1 << 7)
    struct.pack_into("<I", raw, 748, 1 << 6)
    records = records_of(decode(bytes(raw), RecordFacts(">", 1, b"FEI2")))
    assert records.common("tilt_angle").values.tolist() == [30.0]
    assert records.column("Acquisition time stamp").values[0] == np.datetime64("2020-11-03T17:36:40")
    assert [name for name, column in records.columns().items() if column.known] == ["tilt_angle"]


@pytest.mark.parametrize("size", [768, 888])
def test_a_blank_or_lying_type_over_fei_records_is_seen_through(size: int) -> None:
    for exttyp, code in ((b"\0\0\0\0", "MRC402"), (b"SERI", "MRC401"), (b"XYZ ", "MRC401")):
        found = decode(bytes(fei_record(size)), RecordFacts("<", 1, exttyp))
        assert (name_of(found), codes(found)) == ({768: "FEI1", 888: "FEI2"}[size], [code])


def test_fei2_records_under_the_type_fei1_are_read_as_fei2() -> None:
    found = decode(bytes(fei_record(888)), RecordFacts("<", 1, b"FEI1"))
    assert (name_of(found), codes(found)) == ("FEI2", ["MRC401"])


def test_records_in_the_other_byte_order_than_the_header_are_read_in_their_own() -> None:
    raw = fei_record(768, ">", tilt=(100, "d", 30.0))
    struct.pack_into("<I", raw, 8, 1 << 7)
    found = decode(bytes(raw), RecordFacts("<", 1, b"FEI1"))
    assert codes(found) == ["MRC410"]
    assert records_of(found).common("tilt_angle").values.tolist() == [30.0]
    assert found.encode() == raw


def test_a_reserved_block_that_is_no_multiple_of_the_record_is_read_and_given_back() -> None:
    block = bytes(fei_record(888)) * 13 + bytes(15360 - 13 * 888)
    found = decode(block, RecordFacts("<", 13, b"FEI2"))
    assert len(records_of(found)) == 13
    assert found.encode() == block


def test_fei_records_after_one_of_another_length_are_not_guessed() -> None:
    found = decode(bytes(fei_record(768)) + bytes(768 * 9), RecordFacts("<", 4, b"FEI1"))
    assert len(records_of(found)) == 1
    assert "MRC403" in codes(found)


@pytest.mark.parametrize(("version", "factor"), [(b"4.4.0.4981", np.pi / 180), (b"4.4.0.4982", 1.0)])
def test_angles_of_fei_tomography_4_4_0_4981_are_corrected(version: bytes, factor: float) -> None:
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


def test_an_impossible_clock_is_missing() -> None:
    for days in (0.0, -1.0, 1e9, np.nan, np.inf):
        raw = fei_record(768, clock=(12, "d", days))
        struct.pack_into("<I", raw, 8, 1)
        assert np.isnat(records_of(decode(bytes(raw), RecordFacts("<", 1, b"FEI1"))).common("datetime").values[0])


# ------------------------------------------------------------------------------------------------ the old FEI block


def test_the_old_fei_file_gives_its_77_tilts(shared_data: Path) -> None:
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
def test_the_old_fei_block_is_known_by_size_and_content_whatever_its_type_says(
    nint: int, nreal: int, exttyp: bytes, order: Any
) -> None:
    found = decode(old_block([-60.0, -57.0], order), RecordFacts(order, 2, exttyp, nint, nreal))
    assert name_of(found) == "FEI0"
    assert records_of(found).common("tilt_angle").values.tolist() == [-60.0, -57.0]
    assert codes(found)[0] == ("MRC401" if exttyp else "MRC402")
    assert ("MRC406" in codes(found)) == (nint == 128)


def test_a_shorter_old_block_is_known_by_the_label_of_its_writer() -> None:
    block = old_block([3.0])[: 128 * 4]
    assert name_of(decode(block, RecordFacts("<", 4, b"", 0, 0, "Fei Company (c) 2003"))) == "FEI0"
    assert name_of(decode(block, RecordFacts("<", 4, b"", 0, 0, "somebody"))) == "unknown"


def test_131072_bytes_that_are_no_plausible_floats_are_not_the_old_block() -> None:
    noise = np.full(131072 // 4, 1e20, dtype="<f4").tobytes()
    assert name_of(decode(noise, RecordFacts("<", 2, b"", 0, 32))) == "AGAR"
    assert name_of(decode(noise, RecordFacts("<", 2, b"", 0, 0))) == "unknown"


def test_old_records_in_angstrom_and_micrometres_are_told_from_metres() -> None:
    metres = records_of(decode(old_block([0.0], f2=1.5e-4, f7=-2e-6, f11=2.5e-10), RecordFacts("<", 1, b"", 0, 32)))
    other = decode(old_block([0.0], f2=150.0, f7=-2e-6, f11=2.5), RecordFacts("<", 1, b"", 0, 32))
    for records in (metres, records_of(other)):
        assert records.common("stage_x").values[0] == pytest.approx(150)
        assert records.common("pixel_size").values[0] == pytest.approx(2.5)
        assert records.common("defocus").values[0] == pytest.approx(-2)
        assert np.isnan(records.common("magnification").values[0]), "zero magnification is unknown"
    assert "MRC409" in codes(other)


def test_all_stage_positions_of_a_file_are_in_one_unit_also_those_near_zero() -> None:
    facts = RecordFacts("<", 4, b"AGAR", 0, 32)
    x = np.array([50.0, 0.5, -20.0, 1.0])
    for unit in (1.0, 1e-6):
        data = b"".join(old_block([0.0], f2=at * unit, f3=0.3 * unit)[:128] for at in x)
        records = records_of(decode(data, facts))
        np.testing.assert_allclose(records.common("stage_x").values, x, rtol=1e-6)
        np.testing.assert_allclose(records.common("stage_y").values, 0.3, rtol=1e-6)


@pytest.mark.parametrize("unit", [1.0, 1e-6])
@pytest.mark.parametrize("new", [[-20.0, -10.0, 0.9, 0.2], [0.004, 0.002, 0.0, 0.001], [2e4, 0.001, 3.0, 4.0]])
def test_stage_positions_that_were_written_read_back_whatever_the_unit_of_the_file(
    unit: float, new: list[float]
) -> None:
    facts = RecordFacts("<", 4, b"AGAR", 0, 32)
    data = b"".join(old_block([0.0], f2=at * unit, f3=0.006 * unit)[:128] for at in (50.0, 0.5, -20.0, 1.0))
    records = records_of(decode(data, facts)).replaced("stage_x", np.array(new))
    again = records_of(decode(records.encode(), facts))
    np.testing.assert_allclose(again.common("stage_x").values, new, rtol=1e-6)
    np.testing.assert_allclose(again.common("stage_y").values, 0.006, rtol=1e-6)


# ------------------------------------------------------------------------------------------------ AGAR, MRCO


@pytest.mark.parametrize("order", ORDERS)
def test_agar_integers_come_first_and_the_first_float_is_the_tilt(order: Any) -> None:
    block = b"".join(struct.pack(order + "2i3f", 7, 8, tilt, 1.5, 2.5) for tilt in (-3.0, 0.0, 3.0))
    for exttyp in (b"AGAR", b""):
        records = records_of(decode(block, RecordFacts(order, 3, exttyp, 2, 3)))
        assert records.dialect.name == "AGAR"
        assert records.common("tilt_angle").values.tolist() == [-3.0, 0.0, 3.0]
        assert records.column("Integer 1").values.tolist() == [8, 8, 8]
        assert records.column("Float 2").values.tolist() == [2.5, 2.5, 2.5]


def test_an_agar_block_of_32_floats_has_the_names_of_the_old_fei_record_and_keeps_a_gain_reference() -> None:
    gain = b"gain" * 100
    block = old_block([1.0, 2.0], f11=1.25)[: 2 * 128] + gain
    found = decode(block, RecordFacts("<", 2, b"AGAR", 0, 32))
    records = records_of(found)
    assert name_of(found) == "AGAR"
    assert records.common("pixel_size").values.tolist() == [1.25, 1.25]
    assert records.reserved == gain
    assert records.take([1]).encode() == block[128:256] + gain
    assert found.encode() == block


def test_symmetry_text_and_light_microscopes_are_not_taken_for_records_though_the_counts_fit() -> None:
    assert name_of(decode(b"X,Y,Z".ljust(80), RecordFacts("<", 1, b"", 2, 3))) == "CCP4"
    assert name_of(decode(bytes(80), RecordFacts("<", 1, b"", 2, 3))) == "AGAR"
    header = Header.blank(nx=1, ny=1, nz=1, map=bytes(4), extra1=struct.pack("<h6x", -16224))
    facts = replace(RecordFacts.of(header), nint=2, nreal=3)
    assert facts.deltavision
    assert name_of(decode(bytes(80), facts)) == "unknown"


def test_records_of_absurdly_many_numbers_are_read_in_reasonable_time() -> None:
    found = decode(b"\1" * (4 * 65534), RecordFacts("<", 1, b"AGAR", 32767, 32767))
    assert len(records_of(found).columns()) == 13


def test_all_columns_are_read_without_looking_for_each_field(monkeypatch: pytest.MonkeyPatch) -> None:
    found = decode(b"\1" * (4 * 4000), RecordFacts("<", 1, b"AGAR", 2000, 2000))
    sought: list[str] = []
    field = Records.field

    def seek(self: Records, name: str) -> Field:
        sought.append(name)
        return field(self, name)

    monkeypatch.setattr(Records, "field", seek)
    assert len(records_of(found).columns(every=True)) == 4013
    assert len(sought) < 100


def test_mrco_numbers_keep_neutral_names() -> None:
    block = struct.pack("<if", 5, 2.5)
    records = records_of(decode(block, RecordFacts("<", 1, b"MRCO", 1, 1)))
    assert records.columns() == {}
    assert {name: c.values[0] for name, c in records.columns(every=True).items()} == {"Integer_0": 5, "Float_0": 2.5}
    assert codes(decode(block, RecordFacts("<", 1, b"MRCO"))) == ["MRC404"]


# ------------------------------------------------------------------------------------------------ blocks


@pytest.mark.parametrize(("name", "count"), [("1jzv.ccp4", 8), ("5i55_tiny.ccp4", 2)])
def test_symmetry_operators_of_real_maps_are_read(shared_data: Path, name: str, count: int) -> None:
    data, facts = real(shared_data, name)
    found = decode(data, facts)
    assert (name_of(found), codes(found), found.records) == ("CCP4", ["MRC402"], None)
    assert len(operators(data)) == count
    assert operators(data)[0] == "X,  Y,  Z"
    assert found.encode() == data


def test_several_operators_on_a_line_are_split() -> None:
    data = b"X,Y,Z * -X,-Y,Z".ljust(80) + b"Y,X,-Z".ljust(80)
    assert operators(data) == ("X,Y,Z", "-X,-Y,Z", "Y,X,-Z")
    assert detect(data, RecordFacts(exttyp=b"CCP4")).issues == ()


@pytest.mark.parametrize(
    ("data", "name"), [(b"\x89HDF\r\n\x1a\n" + bytes(90), "HDF5"), (b'{"voltage": 300}\n', "json"), (b"[1, 2]", "json")]
)
@pytest.mark.parametrize("typed", [True, False])
def test_embedded_documents_are_named_and_left_alone(data: bytes, name: str, typed: bool) -> None:
    found = decode(data, RecordFacts(exttyp=name.encode() if typed else b""))
    assert (name_of(found), found.records, found.encode()) == (name, None, data)
    assert codes(found) == (["MRC405"] if typed else ["MRC402", "MRC405"])


@pytest.mark.parametrize("exttyp", [b"FEI1", b"FEI2", b"SERI", b"AGAR", b"HDF5", b"CCP4", b"json", b"WHAT"])
def test_reserved_bytes_contradict_no_declared_type(exttyp: bytes) -> None:
    found = decode(bytes(100), RecordFacts(exttyp=exttyp, nz=5))
    assert (found.records, found.encode(), codes(found)) == (None, bytes(100), ["MRC412"])
    assert found.issues[0].severity.name == "NOTE"


@pytest.mark.parametrize("exttyp", [b"FEI1", b"FEI2", b"SERI", b"AGAR", b"HDF5", b"CCP4", b"json", b"WHAT"])
def test_bytes_that_are_nothing_known_are_kept_with_a_warning_that_names_the_type(exttyp: bytes) -> None:
    data = b"\xff\xfe\xfd" * 7
    found = decode(data, RecordFacts(exttyp=exttyp))
    assert (name_of(found), found.encode(), codes(found)) == ("unknown", data, ["MRC401"])
    assert exttyp.decode() in found.issues[0].message


def test_no_extended_header_is_no_dialect() -> None:
    found = decode(b"", RecordFacts(exttyp=b"SERI", nint=2, nreal=1))
    assert (found.dialect, found.records, found.issues, found.encode()) == (None, None, (), b"")


# ------------------------------------------------------------------------------------------------ writing


def _serialem_tilts(count: int, order: Any = "<") -> tuple[bytes, RecordFacts]:
    """Return a SERI block of `count` tilts with two bytes each, reserved to 1024."""
    return struct.pack(f"{order}{count}h", *range(100, 100 + count)).ljust(1024, b"\0"), RecordFacts(
        order, count, b"SERI", 2, 1
    )


@pytest.mark.parametrize("name", ["serialem_tilt.mrc", "fei_old_header.mrc", "fei-extended.mrc"])
def test_real_extended_headers_come_back_to_the_byte_also_through_text(shared_data: Path, name: str) -> None:
    data, facts = real(shared_data, name)
    records = records_of(decode(data, facts))
    assert records.encode() == data
    assert records.take(range(len(records))).encode() == data
    again = from_tokens(records.tokens(), reserved=records.reserve_token(), sections=len(records))
    assert again is not None
    assert again.encode() == data


def test_selected_and_reordered_sections_keep_their_records_and_the_room(shared_data: Path) -> None:
    data, facts = real(shared_data, "fei_old_header.mrc")
    records = records_of(decode(data, facts))
    chosen = [70, 3, 3, 41]
    taken = records.take(chosen)
    assert len(taken.encode()) == len(data)
    for at, old in enumerate(chosen):
        assert taken.encode()[at * 128 : at * 128 + 128] == data[old * 128 : old * 128 + 128]
    assert not any(taken.encode()[4 * 128 :])
    through_text = [records.tokens()[old] for old in chosen]
    again = from_tokens(through_text, reserved=records.reserve_token(), sections=77)
    assert again is not None
    assert again.encode() == taken.encode()


def test_a_freed_fei_record_becomes_an_unused_one_of_the_same_writer(shared_data: Path) -> None:
    data, _ = real(shared_data, "fei-extended.mrc")
    two = data[:768] * 2 + data[1536:]
    records = records_of(decode(two, RecordFacts("<", 2, b"FEI1")))
    assert records.take([1]).encode() == data


def test_sections_without_a_record_get_an_unused_one() -> None:
    record = bytes(fei_record(768, tilt=(100, "d", 30.0), mask=(8, "I", 1 << 7)))
    records = records_of(decode(record, RecordFacts("<", 1, b"FEI1")))
    taken = records.take([0, 5, -1])
    assert taken.encode() == record + bytes(fei_record(768)) * 2
    again = from_tokens([records.tokens()[0], "", ""])
    assert again is not None
    assert again.array["Alpha tilt"].tolist() == [30.0, 0.0, 0.0]


def test_a_block_that_must_grow_grows_to_the_granule_of_its_dialect() -> None:
    data, facts = _serialem_tilts(500)
    records = records_of(decode(data, facts))
    grown = records.take(list(range(500)) * 2)
    assert len(grown.encode()) == 2048
    assert len(records.take(range(512)).encode()) == 1024


@given(st.lists(st.integers(0, 19), min_size=1, max_size=30), st.sampled_from(ORDERS))
def test_any_selection_survives_as_bytes_and_as_text(chosen: list[int], order: str) -> None:
    data, facts = _serialem_tilts(20, order)
    records = records_of(decode(data, facts))
    taken = records.take(chosen)
    assert taken.encode()[: 2 * len(chosen)] == b"".join(data[2 * old : 2 * old + 2] for old in chosen)
    assert taken.common("tilt_angle").values.tolist() == [(100 + old) / 100 for old in chosen]
    again = from_tokens([records.tokens()[at] for at in chosen], reserved=records.reserve_token(), sections=20)
    assert again is not None
    assert again.encode() == taken.encode()


def test_records_follow_to_another_byte_order_and_back(shared_data: Path) -> None:
    for name in ("serialem_tilt.mrc", "fei_old_header.mrc", "fei-extended.mrc"):
        data, facts = real(shared_data, name)
        records = records_of(decode(data, facts))
        swapped = records.in_order(">")
        assert swapped.encode() != data
        assert swapped.in_order("<").encode() == data
        for key, column in records.columns().items():
            np.testing.assert_array_equal(swapped.common(key).values, column.values)


def test_records_of_two_byte_orders_are_joined_in_the_first_one() -> None:
    tokens = [records_of(decode(*_serialem_tilts(2, order))).tokens()[0] for order in ORDERS]
    both = from_tokens(tokens)
    assert both is not None
    assert both.facts.byteorder == "<"
    assert both.common("tilt_angle").values.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("order", ORDERS)
def test_unused_records_are_made_in_the_byte_order_of_the_block(order: Any) -> None:
    records = records_of(decode(bytes(fei_record(768, order)) * 3, RecordFacts(order, 3, b"FEI1")))
    again = from_tokens(records.tokens()[:1], sections=3)
    assert again is not None
    assert again.encode() == bytes(fei_record(768, order)) * 3
    assert records.take([0]).encode() == again.encode()


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["SERI<2,1:LAE=", "SERI<6,2:"], "different kinds"),
        (["nonsense"], "damaged"),
        (["CCP4<0,0:"], "no dialect with records"),
        (["WHAT<0,0:"], "no dialect with records"),
    ],
)
def test_text_that_is_no_set_of_records_is_refused(tokens: list[str], message: str) -> None:
    with pytest.raises(MrcValueError, match=message):
        from_tokens(tokens)


def test_no_records_at_all_and_damaged_reserves_are_no_error() -> None:
    assert from_tokens(["", ""]) is None
    for damaged in ("!!!", "1*A+AAAA", "1*AAAA+AAAA", "999999999*AAAA+AAAA"):
        one = from_tokens(["SERI<2,1:LAE="], reserved=damaged, sections=1)
        assert one is not None
        assert one.encode() == bytes([0x2C, 1])


def test_a_changed_value_is_written_and_unchanged_ones_keep_their_bytes(shared_data: Path) -> None:
    data, facts = real(shared_data, "serialem_tilt.mrc")
    records = records_of(decode(data, facts))
    same = records.replaced("stage_x", records.common("stage_x").values)
    assert same is records
    finer = records.replaced("stage_x", np.array([-15.99, -16.0095]))
    assert finer.encode() == data, "a finer statement of the same value rounds to the same bytes"
    tilted = records.replaced("tilt_angle", np.array([np.nan, -59.994]))
    assert tilted.common("tilt_angle").values.tolist() == [0.0, -59.99]
    dosed = records.replaced("exposure_dose", np.array([1.5, 3.0]))
    assert dosed.common("exposure_dose").values.tolist() == [1.5, 3.0]


def test_a_value_set_in_an_fei_record_sets_its_bit() -> None:
    records = records_of(decode(bytes(fei_record(768)), RecordFacts("<", 1, b"FEI1")))
    when = np.array(["2021-02-03T04:05:06"], dtype="M8[ns]")
    records = records.replaced("tilt_angle", np.array([12.5])).replaced("datetime", when)
    assert records.common("tilt_angle").values.tolist() == [12.5]
    assert abs(records.common("datetime").values[0] - when[0]) < np.timedelta64(1, "us")
    assert {name for name, column in records.columns().items() if column.known} == {"tilt_angle", "datetime"}


def test_texts_are_replaced_where_they_differ_and_are_known() -> None:
    field = Field("File", "S4", common="frames_file", codec=Codec.TEXT)
    dialect = Dialect("TEXT", b"TEXT", "", lambda *_: "", lambda *_: "", lambda _: (field,))
    records = Records(
        dialect, RecordFacts(nz=3), np.array([(b"a",), (b"b",), (b"c",)], dtype=dialect.dtype(RecordFacts()))
    )
    changed = records.replaced("frames_file", np.array(["a", "", "x.y"], dtype=object))
    assert changed.encode() == b"a\0\0\0b\0\0\0x.y\0"
    absent = records.replaced("frames_file", np.array([None, float("nan"), "x.y"], dtype=object))
    assert absent.encode() == changed.encode()


def test_a_field_of_whole_numbers_refuses_others() -> None:
    records = records_of(decode(bytes(fei_record(768)), RecordFacts("<", 1, b"FEI1")))
    assert records.replaced("binning", np.array([2.0000001])).common("binning").values.tolist() == [2.0]
    with pytest.raises(MrcValueError, match=r"whole numbers fit the field, not \[2\.5\]"):
        records.replaced("binning", np.array([2.5]))


def test_infinite_values_are_replaced_and_compared_like_others() -> None:
    records = records_of(decode(bytes(fei_record(768)), RecordFacts("<", 1, b"FEI1")))
    infinite = records.replaced("tilt_angle", np.array([np.inf]))
    assert infinite.common("tilt_angle").values.tolist() == [np.inf]
    assert infinite.replaced("tilt_angle", np.array([np.inf]), relative=1e-5) is infinite
    assert infinite.replaced("tilt_angle", np.array([3.0])).common("tilt_angle").values.tolist() == [3.0]


def test_a_value_its_field_cannot_hold_is_refused(shared_data: Path) -> None:
    records = records_of(decode(*real(shared_data, "serialem_tilt.mrc")))
    with pytest.raises(MrcValueError, match="fit the field"):
        records.replaced("tilt_angle", np.array([0.0, 400.0]))
    with pytest.raises(MrcValueError, match="no field 'voltage'"):
        records.field("voltage")


# ------------------------------------------------------------------------------------------------ codecs


@pytest.mark.parametrize(
    ("codec", "values", "item"),
    [
        (Codec.NUMBER, np.array([1.5, -2.0]), "f8"),
        (Codec.TEXT, np.array(["EPU", ""], dtype=object), "S16"),
        (Codec.HEX, np.array(["00ff00", "000000"], dtype=object), "S3"),
        (Codec.FLAG, np.array([True, False]), "?"),
        (Codec.OLE_DAYS, np.array(["2021-02-03T04:05:06", "1999-12-31T12:00:00"], dtype="M8[ns]"), "f8"),
        (Codec.UNIX_US, np.array(["2021-02-03T04:05:06", "1999-12-31T12:00:00"], dtype="M8[ns]"), "i8"),
        (Codec.ODD_FLOAT, np.array([2.5, -1.0]), "2i2"),
    ],
)
@pytest.mark.parametrize("order", ORDERS)
def test_every_codec_gives_back_what_it_encoded(codec: Codec, values: Any, item: str, order: Any) -> None:
    stored = CODECS[codec].encode(values, np.dtype(item).newbyteorder(order), 1.0)
    assert CODECS[codec].decode(stored, 1.0).tolist() == values.tolist()


def test_every_codec_is_in_the_table() -> None:
    assert set(CODECS) == set(Codec)


def test_text_that_is_too_long_is_refused_and_bytes_that_are_no_text_are_escaped() -> None:
    with pytest.raises(MrcValueError, match="more than 3 bytes"):
        CODECS[Codec.TEXT].encode(np.array(["EPUX"]), np.dtype("S3"), 1.0)
    stored = np.array([b"a\xff \0junk"], dtype="S9")
    assert CODECS[Codec.TEXT].decode(stored, 1.0).tolist() == ["a\\xff"]


def test_records_know_the_units_of_their_fields_and_nothing_is_no_dialect() -> None:
    records = records_of(decode(bytes(fei_record(768)), RecordFacts("<", 1, b"FEI1")))
    assert (records.units["HT"], records.units["Application"]) == ("V", "")
    assert detect(b"", RecordFacts()).dialect is None


# ------------------------------------------------------------------------------------------------ the tables


def test_every_common_name_of_a_dialect_is_in_the_vocabulary() -> None:
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
def test_no_bytes_make_decoding_fail_and_encoding_gives_them_back(
    data: bytes, exttyp: bytes, nint: int, nreal: int, order: Any
) -> None:
    found = decode(data, RecordFacts(order, 3, exttyp, nint, nreal))
    assert found.encode() == data
    assert {issue.code for issue in found.issues} <= set(CODES)
    if found.records is not None:
        found.records.columns(every=True)
