"""Records of extended headers: selecting, reordering, changing, encoding, and as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcarray.errors import MrcValueError
from mrcarray.format.extended import (
    CODECS,
    Codec,
    Dialect,
    Field,
    RecordFacts,
    Records,
    decode,
    detect,
    from_tokens,
)
from tests.format.extended_headers import (
    ORDERS,
    fei_record,
    real,
    records_of,
    serialem_tilts,
)

if TYPE_CHECKING:
    from pathlib import Path

# ------------------------------------------------------------------------------------------------ writing


@pytest.mark.parametrize("name", ["serialem_tilt.mrc", "fei_old_header.mrc", "fei-extended.mrc"])
def test_real_extended_headers_round_trip(shared_data: Path, name: str) -> None:
    data, facts = real(shared_data, name)
    records = records_of(decode(data, facts))
    assert records.encode() == data
    assert records.take(range(len(records))).encode() == data
    again = from_tokens(records.tokens(), reserved=records.reserve_token(), sections=len(records))
    assert again is not None
    assert again.encode() == data


def test_take_keeps_records_and_reserved_space(shared_data: Path) -> None:
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


def test_removed_record_becomes_unused(shared_data: Path) -> None:
    data, _ = real(shared_data, "fei-extended.mrc")
    two = data[:768] * 2 + data[1536:]
    records = records_of(decode(two, RecordFacts("<", 2, b"FEI1")))
    assert records.take([1]).encode() == data


def test_section_without_record_gets_unused_one() -> None:
    record = bytes(fei_record(768, tilt=(100, "d", 30.0), mask=(8, "I", 1 << 7)))
    records = records_of(decode(record, RecordFacts("<", 1, b"FEI1")))
    taken = records.take([0, 5, -1])
    assert taken.encode() == record + bytes(fei_record(768)) * 2
    again = from_tokens([records.tokens()[0], "", ""])
    assert again is not None
    assert again.array["Alpha tilt"].tolist() == [30.0, 0.0, 0.0]


def test_block_grows_by_granule() -> None:
    data, facts = serialem_tilts(500)
    records = records_of(decode(data, facts))
    grown = records.take(list(range(500)) * 2)
    assert len(grown.encode()) == 2048
    assert len(records.take(range(512)).encode()) == 1024


@given(st.lists(st.integers(0, 19), min_size=1, max_size=30), st.sampled_from(ORDERS))
def test_any_selection_round_trip(chosen: list[int], order: str) -> None:
    data, facts = serialem_tilts(20, order)
    records = records_of(decode(data, facts))
    taken = records.take(chosen)
    assert taken.encode()[: 2 * len(chosen)] == b"".join(data[2 * old : 2 * old + 2] for old in chosen)
    assert taken.common("tilt_angle").values.tolist() == [(100 + old) / 100 for old in chosen]
    again = from_tokens([records.tokens()[at] for at in chosen], reserved=records.reserve_token(), sections=20)
    assert again is not None
    assert again.encode() == taken.encode()


def test_byte_order_round_trip(shared_data: Path) -> None:
    for name in ("serialem_tilt.mrc", "fei_old_header.mrc", "fei-extended.mrc"):
        data, facts = real(shared_data, name)
        records = records_of(decode(data, facts))
        swapped = records.in_order(">")
        assert swapped.encode() != data
        assert swapped.in_order("<").encode() == data
        for key, column in records.columns().items():
            np.testing.assert_array_equal(swapped.common(key).values, column.values)


def test_records_of_two_byte_orders_are_joined() -> None:
    tokens = [records_of(decode(*serialem_tilts(2, order))).tokens()[0] for order in ORDERS]
    both = from_tokens(tokens)
    assert both is not None
    assert both.facts.byteorder == "<"
    assert both.common("tilt_angle").values.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("order", ORDERS)
def test_unused_records_have_the_byte_order_of_the_block(order: Any) -> None:
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
        (["CCP4<0,0:"], "unknown dialect .*; expected one with records"),
        (["WHAT<0,0:"], "unknown dialect .*; expected one with records"),
    ],
)
def test_invalid_tokens_raise(tokens: list[str], message: str) -> None:
    with pytest.raises(MrcValueError, match=message):
        from_tokens(tokens)


def test_no_tokens_and_damaged_reserve() -> None:
    assert from_tokens(["", ""]) is None
    for damaged in ("!!!", "1*A+AAAA", "1*AAAA+AAAA", "999999999*AAAA+AAAA"):
        one = from_tokens(["SERI<2,1:LAE="], reserved=damaged, sections=1)
        assert one is not None
        assert one.encode() == bytes([0x2C, 1])


def test_replaced_keeps_unchanged_bytes(shared_data: Path) -> None:
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


def test_replaced_sets_the_bit() -> None:
    records = records_of(decode(bytes(fei_record(768)), RecordFacts("<", 1, b"FEI1")))
    when = np.array(["2021-02-03T04:05:06"], dtype="M8[ns]")
    records = records.replaced("tilt_angle", np.array([12.5])).replaced("datetime", when)
    assert records.common("tilt_angle").values.tolist() == [12.5]
    assert abs(records.common("datetime").values[0] - when[0]) < np.timedelta64(1, "us")
    assert {name for name, column in records.columns().items() if column.known} == {"tilt_angle", "datetime"}


def test_replaced_texts() -> None:
    field = Field("File", "S4", common="frames_file", codec=Codec.TEXT)
    dialect = Dialect("TEXT", b"TEXT", "", lambda *_: "", lambda *_: "", lambda _: (field,))
    records = Records(
        dialect, RecordFacts(nz=3), np.array([(b"a",), (b"b",), (b"c",)], dtype=dialect.dtype(RecordFacts()))
    )
    changed = records.replaced("frames_file", np.array(["a", "", "x.y"], dtype=object))
    assert changed.encode() == b"a\0\0\0b\0\0\0x.y\0"
    absent = records.replaced("frames_file", np.array([None, float("nan"), "x.y"], dtype=object))
    assert absent.encode() == changed.encode()


def test_replaced_integer_field_needs_whole_numbers() -> None:
    records = records_of(decode(bytes(fei_record(768)), RecordFacts("<", 1, b"FEI1")))
    assert records.replaced("binning", np.array([2.0000001])).common("binning").values.tolist() == [2.0]
    with pytest.raises(MrcValueError, match=r"the values are \[2\.5\]; expected whole numbers"):
        records.replaced("binning", np.array([2.5]))


def test_replaced_infinite_values() -> None:
    records = records_of(decode(bytes(fei_record(768)), RecordFacts("<", 1, b"FEI1")))
    infinite = records.replaced("tilt_angle", np.array([np.inf]))
    assert infinite.common("tilt_angle").values.tolist() == [np.inf]
    assert infinite.replaced("tilt_angle", np.array([np.inf]), relative=1e-5) is infinite
    assert infinite.replaced("tilt_angle", np.array([3.0])).common("tilt_angle").values.tolist() == [3.0]


def test_replaced_value_out_of_range_raises(shared_data: Path) -> None:
    records = records_of(decode(*real(shared_data, "serialem_tilt.mrc")))
    with pytest.raises(MrcValueError, match=r"the values are .*; expected -327\.68 to 327\.67"):
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
def test_codec_round_trip(codec: Codec, values: Any, item: str, order: Any) -> None:
    stored = CODECS[codec].encode(values, np.dtype(item).newbyteorder(order), 1.0)
    assert CODECS[codec].decode(stored, 1.0).tolist() == values.tolist()


def test_every_codec_is_in_the_table() -> None:
    assert set(CODECS) == set(Codec)


def test_long_text_raises_and_bytes_are_escaped() -> None:
    with pytest.raises(MrcValueError, match="expected at most 3 bytes"):
        CODECS[Codec.TEXT].encode(np.array(["EPUX"]), np.dtype("S3"), 1.0)
    stored = np.array([b"a\xff \0junk"], dtype="S9")
    assert CODECS[Codec.TEXT].decode(stored, 1.0).tolist() == ["a\\xff"]


def test_units_of_records() -> None:
    records = records_of(decode(bytes(fei_record(768)), RecordFacts("<", 1, b"FEI1")))
    assert (records.units["HT"], records.units["Application"]) == ("V", "")
    assert detect(b"", RecordFacts()).dialect is None
