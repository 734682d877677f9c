"""Pixel formats: packing and unpacking, and the table of modes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcarray.format.modes import MODES, PIXELS, Packing, raw_pixel
from tests import builders

if TYPE_CHECKING:
    from mrcarray.format.modes import ByteOrder

ORDERS: tuple[ByteOrder, ...] = ("<", ">")


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("mode", sorted(MODES))
@pytest.mark.parametrize("columns", [1, 4, 7])
def test_pack_and_unpack_agree_with_struct(mode: int, columns: int, order: ByteOrder) -> None:
    pixel = MODES[mode].pixel
    values = builders.sample((3, columns), mode)
    stored = builders.data_bytes(values, mode, order)
    raw = np.frombuffer(stored, np.uint8).reshape(3, pixel.row_nbytes(columns))
    seen = pixel.unpack(raw, columns, order)
    np.testing.assert_array_equal(seen, values)
    assert seen.shape == (3, columns, *pixel.trailing)
    assert seen.astype(pixel.dtype).dtype == values.dtype
    packed = pixel.pack(values, order)
    assert packed.tobytes() == stored


@given(columns=st.integers(1, 9), rows=st.integers(1, 4), seed=st.integers(0, 99))
def test_4_bit_rows_start_in_the_low_nibble(columns: int, rows: int, seed: int) -> None:
    pixel = PIXELS["101"]
    values = builders.sample((rows, columns), 101, seed)
    packed = pixel.pack(values, "<")
    assert packed.shape == (rows, (columns + 1) // 2)
    assert packed[0, 0] & 15 == values[0, 0]
    np.testing.assert_array_equal(pixel.unpack(packed, columns, ">"), values)


def test_modes_are_consistent() -> None:
    assert {mode for mode, row in MODES.items() if row.standard} == {0, 1, 2, 3, 4, 6, 12, 101}
    assert sorted(MODES) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 17, 101]
    for number, row in MODES.items():
        assert all(PIXELS[code].mode == number for code in row.formats)
    assert sorted(code for row in MODES.values() for code in row.formats) == sorted(PIXELS)


@pytest.mark.parametrize(
    ("code", "bits"), [("0", 8), ("0n", 4), ("1", 16), ("3", 32), ("4", 64), ("16", 24), ("101", 4)]
)
def test_bits_of_a_pixel(code: str, bits: int) -> None:
    assert PIXELS[code].bits == bits


def test_plain_pixels_are_a_view() -> None:
    raw = np.arange(16, dtype=np.uint8).reshape(2, 8)
    assert np.shares_memory(PIXELS["1"].unpack(raw, 4, ">"), raw)


def test_complex_integers_are_rounded() -> None:
    packed = PIXELS["3"].pack(np.array([[1.6 - 2.4j]], np.complex64), "<")
    assert packed.view("<i2").tolist() == [[2, -2]]


def test_raw_pixel_takes_any_dtype() -> None:
    assert raw_pixel(">f8").bits == 64
    assert raw_pixel("|u1").packing is Packing.PLAIN
