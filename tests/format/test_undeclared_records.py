"""Extended headers without records, and FEI records whose bitmasks are all 0."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mrcarray.classic.dtypes import get_ext_header_dtype
from mrcarray.format.extended import RecordFacts, decode, from_tokens
from tests.cases import fei

if TYPE_CHECKING:
    from mrcarray.format.extended import Decoded, Records

TILTS = [1.0, 2.0, 3.0, 4.0]
_ALPHA, _BIT = 100, 1 << 7


def written(tilts: list[float], exttyp: bytes = b"FEI1", size: int = 768) -> bytes:
    """Return records as a Python tool writes them: size and values, no bits."""
    records = np.zeros(len(tilts), dtype=get_ext_header_dtype(exttyp))
    records["Metadata size"] = size
    records["Alpha tilt"] = tilts
    return records.tobytes()


def codes(found: Decoded) -> list[str]:
    return [issue.code for issue in found.issues]


def records_of(data: bytes, count: int, exttyp: bytes = b"FEI1") -> Records:
    found = decode(data, RecordFacts(nz=count, exttyp=exttyp)).records
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("exttyp", "numbers", "size"),
    [
        (b"AGAR", {"nint": 0, "nreal": 32}, 12 * 128),
        (b"SERI", {"nint": 2, "nreal": 1}, 1024),
        (b"MRCO", {"nint": 4, "nreal": 4}, 1024),
        (b"", {"nint": 0, "nreal": 32}, 1024 * 128),
    ],
)
def test_block_of_zero_bytes_has_no_records(exttyp: bytes, numbers: dict[str, Any], size: int) -> None:
    found = decode(bytes(size), RecordFacts(nz=12, exttyp=exttyp, **numbers))
    assert found.records is None
    assert codes(found)[-1] == "MRC412"
    assert f"({size} bytes) is all zero bytes" in found.issues[-1].message
    assert found.encode() == bytes(size)
    one = bytes(size - 1) + b"\1"
    assert decode(one, RecordFacts(nz=12, exttyp=exttyp, **numbers)).records is not None


@pytest.mark.parametrize(("exttyp", "size"), [(b"FEI1", 768), (b"FEI2", 888)])
def test_fei_records_without_bits_are_used(exttyp: bytes, size: int) -> None:
    found = decode(written(TILTS, exttyp, size), RecordFacts(nz=4, exttyp=exttyp))
    assert codes(found) == ["MRC413"]
    assert found.records is not None
    np.testing.assert_array_equal(found.records.common("tilt_angle").values, TILTS)
    np.testing.assert_array_equal(found.records.columns(every=True)["Alpha_tilt"].values, TILTS)
    assert found.encode() == written(TILTS, exttyp, size)


def test_tilt_of_zero_is_valid() -> None:
    records = records_of(written([-3.0, 0.0, 3.0]), 3)
    np.testing.assert_array_equal(records.common("tilt_angle").values, [-3, 0, 3])


def test_one_bit_declares() -> None:
    declared = fei(a=(_ALPHA, "d", 6.0), b=(8, "I", _BIT))
    found = decode(declared + written([5.0]), RecordFacts(nz=2, exttyp=b"FEI1"))
    assert codes(found) == []
    assert found.records is not None
    np.testing.assert_array_equal(found.records.common("tilt_angle").values, [6, np.nan])


def test_unused_records_have_no_values() -> None:
    found = decode(fei() * 3, RecordFacts(nz=3, exttyp=b"FEI1"))
    assert codes(found) == []
    assert found.records is not None
    assert np.isnan(found.records.common("tilt_angle").values).all()


def test_change_keeps_other_values() -> None:
    records = records_of(written(TILTS), 4).replaced("tilt_angle", np.array([1.0, 2.0, 30.0, 4.0]))
    again = records_of(records.encode(), 4)
    np.testing.assert_array_equal(again.common("tilt_angle").values, [1, 2, 30, 4])
    assert not again.undeclared


def test_selection_keeps_bytes() -> None:
    records = records_of(written(TILTS), 4)
    assert records.take([3, 0]).encode().startswith(written([4.0, 1.0]))
    grown = records_of(records.take([0, -1, 2]).encode(), 3)
    np.testing.assert_array_equal(grown.common("tilt_angle").values, [1, np.nan, 3])


def test_records_from_text_are_equal() -> None:
    tokens: Any = records_of(written(TILTS), 4).tokens()
    again = from_tokens(tokens)
    assert again is not None
    np.testing.assert_array_equal(again.common("tilt_angle").values, TILTS)


def test_big_endian_records_without_bits_are_used() -> None:
    records = np.zeros(2, dtype=get_ext_header_dtype(b"FEI1", ">"))
    records["Metadata size"], records["Alpha tilt"] = 768, [7.0, 8.0]
    found = decode(records.tobytes(), RecordFacts(byteorder=">", nz=2, exttyp=b"FEI1"))
    assert found.records is not None
    assert struct.unpack_from(">i", found.encode())[0] == 768
    np.testing.assert_array_equal(found.records.common("tilt_angle").values, [7, 8])
