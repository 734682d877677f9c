"""Pixel formats for dtypes, and casting of values."""

from __future__ import annotations

from typing import Any

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from mrcarray.errors import MrcValueError
from mrcarray.format.casting import EXACT, fit, pixel_for
from mrcarray.format.modes import MODES, PIXELS


@pytest.mark.parametrize(
    ("dtype", "mode"),
    [("?", 0), ("i1", 0), ("u1", 6), ("i2", 1), ("u2", 6), ("f2", 12), ("f4", 2), ("c8", 4), (">f4", 2), (">u2", 6)],
)
def test_mode_of_exact_dtypes(dtype: str, mode: int) -> None:
    assert pixel_for(dtype).mode == mode


@pytest.mark.parametrize("dtype", ["i4", "u4", "i8", "u8", "f8", "c16", "S3", "M8[s]", "O", "longdouble"])
def test_other_dtypes_raise_with_choices(dtype: str) -> None:
    with pytest.raises(MrcValueError, match=r"no MRC mode stores dtype .*dtype= one of int8, .*mode= one of 0, 1, 2"):
        pixel_for(dtype)


@pytest.mark.parametrize("dtype", ["S3", "M8[s]", "O"])
def test_dtype_without_numbers_raises(dtype: str) -> None:
    with pytest.raises(MrcValueError, match="is not numeric"):
        pixel_for(dtype, mode=2)


def test_pixel_format_of_the_file_is_kept() -> None:
    assert pixel_for("u1", code="0u").code == "0u"
    assert pixel_for("u1", code="101").mode == 101
    assert pixel_for("u2", code="0u").mode == 6
    assert pixel_for("u1", mode=0, code="0u").code == "0u"
    assert pixel_for("u1", mode=0, code="101").code == "0"


@given(
    hnp.arrays(st.sampled_from(["?", "i1", "u1", "i2", "u2", "f2", "f4", "c8"]), hnp.array_shapes(max_dims=3)),
)
def test_exact_values_round_trip(values: np.ndarray[Any, Any]) -> None:
    pixel = pixel_for(values.dtype)
    found = fit(values, pixel)
    assert found.dtype.newbyteorder("=") == pixel.dtype
    np.testing.assert_array_equal(found, values)


@given(
    hnp.arrays(st.sampled_from(["i4", "i8", "u8", "f8", "f4", "i2"]), hnp.array_shapes(max_dims=2)),
    st.sampled_from([0, 1, 2, 6, 12, 101, 7, 8]),
)
def test_values_do_not_wrap(values: np.ndarray[Any, Any], mode: int) -> None:
    pixel = MODES[mode].pixel
    try:
        found = fit(values, pixel)
    except MrcValueError:
        return
    with np.errstate(over="ignore"):
        if pixel.dtype.kind == "f":
            np.testing.assert_array_equal(found, values.astype(pixel.dtype))
            assert (np.isfinite(found) == np.isfinite(values)).all()
        else:
            np.testing.assert_array_equal(found.astype("f8"), np.rint(values.astype("f8")))


@pytest.mark.parametrize(
    ("value", "mode", "text"),
    [
        (128, 0, "value 128 does not fit mode 0, whose range is -128 to 127"),
        (-1, 6, "value -1 does not fit mode 6, whose range is 0 to 65535"),
        (16, 101, "whose range is 0 to 15"),
        (np.nan, 1, "value nan does not fit mode 1"),
        (np.inf, 6, "value inf does not fit mode 6"),
        (1e5, 12, "value 100000 does not fit mode 12"),
        (1e39, 2, "value 1e\\+39 does not fit mode 2"),
        (10**6, 12, "value 1e\\+06 does not fit mode 12"),
        (4e4 + 1j, 3, "value 40000 does not fit mode 3"),
        (complex(0, np.nan), 3, "NaN does not fit mode 3"),
    ],
)
def test_value_out_of_range_raises(value: Any, mode: int, text: str) -> None:
    with pytest.raises(MrcValueError, match=text):
        fit(np.array([0, value]), MODES[mode].pixel)


def test_complex_to_real_raises() -> None:
    with pytest.raises(MrcValueError, match="complex"):
        fit(np.array([1 + 0j]), PIXELS["2"])
    with pytest.raises(MrcValueError, match=r"pass mode=4, or write \.real or abs\(\)"):
        pixel_for("c8", mode=2)


def test_nan_and_infinity_stay_in_floats() -> None:
    found = fit(np.array([np.nan, np.inf, 1.0]), PIXELS["2"])
    np.testing.assert_array_equal(found, np.array([np.nan, np.inf, 1], dtype="f4"))


def test_real_values_become_complex_pairs() -> None:
    np.testing.assert_array_equal(fit(np.array([1.0, -5.0]), PIXELS["3"]), [1, -5])


def test_exact_rows_are_exact() -> None:
    for dtype, code in EXACT.items():
        assert np.can_cast(np.dtype(dtype), PIXELS[code].dtype, "safe")
