"""Statistics are those of NumPy in float64, however the pixels are cut."""

from __future__ import annotations

import math
from typing import Any

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from mrcarray import statistics
from mrcarray.format.fields import UNDETERMINED
from mrcarray.statistics import BLOCK, Stats

REAL = ["i1", "u1", "i2", "u2", "i4", "f2", "f4", "f8"]


def expected(values: np.ndarray[Any, Any]) -> tuple[float, float, float, float]:
    wide = values.astype("f8")
    return float(values.min()), float(values.max()), float(wide.mean()), float(wide.std())


def close(found: Stats, values: np.ndarray[Any, Any], rel: float = 1e-6) -> None:
    low, high, mean, rms = expected(values)
    assert (found.minimum, found.maximum, found.count) == (low, high, values.size)
    spread = max(abs(low), abs(high))
    assert found.mean == pytest.approx(mean, rel=rel, abs=1e-7 * spread)
    assert found.rms == pytest.approx(rms, rel=rel, abs=1e-7 * spread)


@given(
    st.sampled_from(REAL)
    .flatmap(
        lambda dtype: hnp.arrays(
            dtype,
            hnp.array_shapes(max_dims=4, max_side=9),
            elements={"allow_nan": False, "allow_infinity": False} if dtype[0] == "f" else None,
        )
    )
    .filter(lambda a: a.dtype.kind != "f" or float(np.abs(a.astype("f8")).max()) < 1e150)
)
def test_any_small_array(values: np.ndarray[Any, Any]) -> None:
    close(Stats.of(values), values)


@pytest.fixture(scope="module")
def several_blocks() -> np.ndarray[Any, Any]:
    """Return pixels of 0 to 100, in three blocks and some."""
    values = np.random.default_rng(0).normal(20, 20, size=(31, 129, 400)).clip(0, 100)
    assert values.size > 3 * BLOCK
    return values


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize(
    "change", [lambda a: a, lambda a: a.T, lambda a: a[::2, ::-1, 1:], lambda a: a.astype(a.dtype.newbyteorder())]
)
def test_blocks_strides_and_byte_orders(several_blocks: np.ndarray[Any, Any], dtype: str, change: Any) -> None:
    values = change(several_blocks.astype(dtype))
    close(Stats.of(values), values)


LAYOUTS = {
    "cropped": lambda volume: volume[:, 3:-3, 3:-3],
    "turned": lambda volume: volume.transpose(2, 0, 1),
    "flipped": lambda volume: volume[:, ::-1, ::-1],
    "repeated": lambda volume: np.broadcast_to(volume[0, 0], volume.shape),
    "flat": lambda volume: volume.reshape(-1)[::2],
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_strided_pixels_are_copied_into_blocks(layout: Any) -> None:
    values = layout(np.random.default_rng(0).normal(size=(4, 512, 512)).astype("f4"))
    pieces = list(statistics._pieces(values))
    assert len(pieces) <= 2 * values.size / BLOCK + 1
    assert all(piece.ndim == 1 for piece in pieces)
    assert np.array_equal(np.sort(np.concatenate(pieces)), np.sort(values, axis=None))


@pytest.mark.parametrize("scale", [1e30, 1e-30, 3e37, 1e-44, 1.0])
def test_floats_of_any_size(scale: float) -> None:
    values = (np.random.default_rng(0).normal(size=300_000) * scale).astype("f4")
    close(Stats.of(values), values)


def test_large_offset_keeps_precision() -> None:
    values = (1e4 + np.random.default_rng(0).normal(size=1 << 20)).astype("f4")
    wide = values.astype("f8")
    found = Stats.of(values)
    assert found.mean == pytest.approx(wide.mean(), rel=1e-9)
    assert found.rms == pytest.approx(wide.std(), rel=1e-6)


@pytest.mark.parametrize("value", [0.0, 7.25, -1e30, 65504.0])
def test_constant_array_has_rms_0(value: float) -> None:
    found = Stats.of(np.full(200_000, value, dtype="f4"))
    assert (found.minimum, found.maximum, found.rms) == (float(np.float32(value)), float(np.float32(value)), 0)
    assert found.mean == pytest.approx(float(np.float32(value)), rel=1e-12)


def test_result_is_the_same_for_any_number_of_threads() -> None:
    values = np.random.default_rng(0).normal(size=(1 << 22) + 17).astype("f4")
    one, two = Stats.of(values, threads=1), Stats.of(values, threads=2)
    assert (one.minimum, one.maximum, one.count) == (two.minimum, two.maximum, two.count)
    assert one.mean == pytest.approx(two.mean, abs=1e-12)
    assert one.rms == pytest.approx(two.rms, rel=1e-12)
    assert Stats.of(values) == two or Stats.of(values) == one


@given(
    hnp.arrays(
        "f4", st.integers(0, 40), elements=st.floats(-1e6, 1e6, width=32) | st.sampled_from([np.nan, np.inf, -np.inf])
    ),
    st.lists(st.integers(0, 40), max_size=4),
)
def test_merged_parts_equal_the_whole(values: np.ndarray[Any, Any], cuts: list[int]) -> None:
    whole = Stats.of(values)
    merged = Stats.merged(Stats.of(part) for part in np.split(values, sorted(min(cut, values.size) for cut in cuts)))
    assert (merged.count, merged.nans, merged.infs, merged.total) == (whole.count, whole.nans, whole.infs, values.size)
    assert whole.nans == np.isnan(values).sum()
    assert whole.infs == np.isinf(values).sum()
    if whole.count:
        finite = values[np.isfinite(values)]
        close(merged, finite)
        close(Stats(whole.count, whole.minimum, whole.maximum, whole.mean, whole.m2), finite)


@given(hnp.arrays("c8", st.integers(1, 30), elements=st.complex_numbers(max_magnitude=1e6, width=64)))
def test_complex_values_have_mean_and_rms_only(values: np.ndarray[Any, Any]) -> None:
    found = Stats.of(values[:10]).merge(Stats.of(values[10:]))
    wide = values.astype("c16")
    assert found.mean == pytest.approx(wide.mean(), abs=1e-6 * np.abs(wide).max())
    assert found.rms == pytest.approx(wide.std(), rel=1e-6, abs=1e-6 * np.abs(wide).max())
    assert math.isnan(found.minimum)
    assert found.to_header_fields() == {**UNDETERMINED, "rms": found.rms}


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1.0, np.nan], "1 pixels are not a number"),
        ([np.inf, -np.inf], "2 pixels are infinite"),
        ([1e39, 2.0], "range"),
    ],
)
def test_statistics_that_a_header_cannot_store_are_undetermined(values: list[float], text: str) -> None:
    found = Stats.of(np.array(values))
    assert found.problem is not None
    assert text in found.problem
    assert found.to_header_fields() == UNDETERMINED


def test_empty_and_boolean_arrays() -> None:
    assert Stats.of(np.zeros((0, 3))).to_header_fields() == UNDETERMINED
    assert Stats().problem is None
    assert Stats.of(np.array([True, False])).mean == 0.5
    assert Stats.of(np.array(3, dtype="f4")).maximum == 3


def test_merging_huge_doubles_does_not_raise() -> None:
    found = Stats.of(np.array([1e200])).merge(Stats.of(np.array([-1e200])))
    assert found.problem is not None
