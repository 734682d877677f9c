"""Plans: for any layout and key the same pixels as indexing an array, and no byte outside the data block."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcarray.errors import MrcValueError
from mrcarray.format.layout import Kind, Layout
from mrcarray.format.modes import PIXELS, ByteOrder
from mrcarray.format.selection import BATCH, ReadPlan, plan, runs
from tests.builders import data_bytes, sample

OFFSET = 13
MODES = {"0": 0, "1": 1, "2": 2, "3": 3, "4": 4, "6": 6, "12": 12, "16": 16, "101": 101}


ORDERS: list[ByteOrder] = ["<", ">"]


def run(wanted: ReadPlan, data: bytes) -> Any:
    """Execute a plan one run after the other."""
    raw = np.frombuffer(bytes(OFFSET) + data, dtype=np.uint8)
    rows = np.zeros((wanted.count, wanted.run_nbytes), dtype=np.uint8)
    starts = np.concatenate([np.zeros(0, dtype=np.int64), *wanted.starts()])
    assert starts.size == wanted.count
    for row, start in zip(rows, starts.tolist(), strict=True):
        assert start >= OFFSET
        assert start + wanted.run_nbytes <= wanted.layout.stop
        assert wanted.extent[0] <= start
        assert start + wanted.run_nbytes <= wanted.extent[1]
        row[:] = raw[start : start + wanted.run_nbytes]
    if wanted.count == 0:
        return wanted.finish(np.empty((0, *wanted.kept), dtype=wanted.layout.dtype))
    values = wanted.unpack(rows)
    assert values.shape == (wanted.count, *wanted.kept)
    return wanted.finish(values.astype(wanted.layout.dtype))


def integers(n: int) -> st.SearchStrategy[int]:
    return st.integers(-n, n - 1)


def slices(n: int) -> st.SearchStrategy[slice]:
    bound = st.none() | st.integers(-n - 2, n + 2)
    return st.builds(slice, bound, bound, st.none() | st.integers(-4, 4).filter(bool))


def one_axis(n: int) -> st.SearchStrategy[Any]:
    choices: list[st.SearchStrategy[Any]] = [slices(n), st.lists(st.booleans(), min_size=n, max_size=n).map(mask)]
    if n:
        choices += [integers(n), st.lists(integers(n), max_size=5)]
    return st.one_of(choices)


def mask(flags: list[bool]) -> np.ndarray[Any, Any]:
    return np.array(flags, dtype=bool)


@st.composite
def pixels(draw: st.DrawFn) -> tuple[Layout, np.ndarray[Any, Any], bytes]:
    code, order = draw(st.sampled_from(sorted(MODES))), draw(st.sampled_from(ORDERS))
    kind = draw(st.sampled_from(list(Kind)))
    shape = tuple(draw(st.lists(st.integers(0, 6), min_size=kind.ndim, max_size=kind.ndim)))
    full = sample(shape, MODES[code], seed=draw(st.integers(0, 3)))
    layout = Layout(kind, full.shape, PIXELS[code], order, OFFSET)
    data = data_bytes(full, MODES[code], order) if full.size else b""
    return layout, full, data


@given(pixels(), st.data())
def test_basic_key_agrees_with_numpy(made: tuple[Layout, Any, bytes], data: st.DataObject) -> None:
    layout, full, raw = made
    key: list[Any] = [data.draw(slices(n) | integers(n) if n else slices(n)) for n in full.shape]
    del key[data.draw(st.integers(0, len(key))) :]
    if data.draw(st.booleans()):
        key[data.draw(st.integers(0, len(key))) :] = [...]
    if data.draw(st.booleans()):
        key.insert(0, None)
    np.testing.assert_array_equal(run(plan(layout, tuple(key)), raw), full[tuple(key)], strict=True)


@given(pixels(), st.data())
def test_outer_key_selects_each_axis(made: tuple[Layout, Any, bytes], data: st.DataObject) -> None:
    layout, full, raw = made
    key = tuple(data.draw(one_axis(n)) for n in full.shape)
    want = full
    for axis in reversed(range(full.ndim)):
        part = key[axis] if not isinstance(key[axis], list) else np.array(key[axis], dtype=np.int64)
        want = want[(slice(None),) * axis + (part,)]
    np.testing.assert_array_equal(run(plan(layout, key, "outer"), raw), want, strict=True)


@given(pixels(), st.data())
def test_array_key_agrees_with_numpy(made: tuple[Layout, Any, bytes], data: st.DataObject) -> None:
    layout, full, raw = made
    points = tuple(data.draw(st.lists(st.integers(1, 3), max_size=2)))
    key: list[Any] = []
    for n in full.shape:
        choices: list[st.SearchStrategy[Any]] = [slices(n)]
        if n:
            count = int(np.prod(points))
            arrays = st.lists(integers(n), min_size=count, max_size=count)
            choices += [integers(n), arrays.map(lambda x: np.reshape(np.array(x, dtype=np.int32), points))]
        key.append(data.draw(st.one_of(choices)))
    np.testing.assert_array_equal(run(plan(layout, tuple(key)), raw), full[tuple(key)], strict=True)
    arrays_first = run(plan(layout, tuple(key), "pointwise"), raw)
    moved = any(isinstance(part, np.ndarray) and part.ndim for part in key)
    if moved:
        named = [i for i, part in enumerate(key) if not isinstance(part, slice)]
        want = full[tuple(key)]
        if named[-1] - named[0] + 1 == len(named):
            places = [named[0] + i for i in range(len(points))]
            want = np.moveaxis(want, places, range(len(points)))
        np.testing.assert_array_equal(arrays_first, want, strict=True)


@given(pixels(), st.data())
def test_runs_are_the_positions_of_a_box(made: tuple[Layout, Any, bytes], data: st.DataObject) -> None:
    layout, full, raw = made
    box = []
    for n in full.shape:
        start = data.draw(st.integers(0, n))
        box.append(slice(start, data.draw(st.integers(start, n))))
    if layout.pixel.mode == 101:
        box[-1] = slice(box[-1].start // 2 * 2, full.shape[-1])
    starts, nbytes = runs(layout, tuple(box))
    found = b"".join((bytes(OFFSET) + raw)[start : start + nbytes] for start in starts.tolist())
    chosen = full[tuple(box)]
    assert found == (layout.pixel.pack(chosen, layout.byteorder).tobytes() if chosen.size else b"")


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ((0, 0, 0, 0), "too many indices: the array has 3 axes, but 4 were indexed"),
        ((..., ...), "a single ellipsis"),
        (4, "index 4 is out of bounds for axis 0 with length 4"),
        ((0, -6), "index -6 is out of bounds for axis 1"),
        ([0, 9], "indices 0 to 9 are out of bounds for axis 0"),
        (np.ones(3, dtype=bool), "the mask has length 3, but axis 0 has length 4"),
        (1.5, "invalid index 1.5"),
        ("z", "invalid index 'z'"),
        (True, "a single boolean"),
        (np.array(1.5), "invalid index array"),
        ([0.5], "has dtype float64; expected integers or booleans"),
        (([0, 1], [0, 1, 2]), "cannot be broadcast together"),
    ],
)
def test_invalid_key_raises_as_in_numpy(key: Any, message: str) -> None:
    layout = Layout.raw((4, 5, 6), "f4")
    with pytest.raises(IndexError, match=message):
        plan(layout, key)
    if key is not True:
        with pytest.raises(IndexError):
            np.zeros((4, 5, 6))[key]


@pytest.mark.parametrize("key", [([[0, 1]],), (np.ones((4, 5), dtype=bool),)])
def test_outer_key_needs_1d_arrays(key: Any) -> None:
    with pytest.raises(IndexError, match="exactly one dimension"):
        plan(Layout.raw((4, 5, 6), "f4"), key, "outer")


def test_mask_of_several_axes_selects_points() -> None:
    full = np.arange(24, dtype="<i2").reshape(2, 3, 4)
    layout = Layout.raw(full.shape, "<i2", OFFSET)
    chosen = full > 7
    np.testing.assert_array_equal(run(plan(layout, chosen), full.tobytes()), full[chosen], strict=True)


@pytest.mark.parametrize("box", [(slice(0, 4, 2),), ([0, 1],), (slice(None, None, -1),)])
def test_runs_of_other_keys_raise(box: Any) -> None:
    with pytest.raises(MrcValueError, match="is not a box"):
        runs(Layout.raw((4, 5), "f4"), box)


@pytest.mark.parametrize("columns", [slice(1, 4), slice(0, 3), 2])
def test_runs_that_split_a_byte_raise(columns: Any) -> None:
    with pytest.raises(MrcValueError, match="split a byte of two 4-bit pixels"):
        runs(Layout(Kind.IMAGE, (4, 6), PIXELS["101"], "<", 0), (slice(None), columns))


def test_whole_sections_are_one_run() -> None:
    starts, nbytes = runs(Layout.raw((100, 50, 60), "f4", 1024), (slice(10, 20),))
    assert (starts.tolist(), nbytes) == ([1024 + 10 * 12_000], 120_000)


def test_starts_are_blocks_of_bounded_length() -> None:
    wanted = plan(Layout.raw((3, 1401, 900, 5000), "u1"), np.s_[:, ::2, ::2, 4])
    assert len(wanted.lead) == 3, "no two axes are one range"
    blocks = list(wanted.starts())
    assert sum(block.size for block in blocks) == wanted.count == 3 * 701 * 450
    assert max(block.size for block in blocks) <= BATCH
    assert (np.diff(np.concatenate(blocks)) > 0).all()


def test_empty_selection_has_no_runs() -> None:
    layout = Layout.raw((3, 4, 5), "u1", 1024)
    wanted = plan(layout, np.s_[2:2])
    assert (wanted.count, wanted.extent) == (0, (1024, 1024))
    assert plan(layout, ([],)).shape == plan(layout, (np.array([]),)).shape == (0, 4, 5)


def test_adjacent_axes_are_merged() -> None:
    wanted = plan(Layout.raw((30, 40, 50), "u1"), np.s_[3:, :, 4])
    assert wanted.lead == (range(3 * 40 * 50, 30 * 40 * 50, 50),)


def test_packed_pixels_are_read_in_small_spans() -> None:
    wanted = plan(Layout(Kind.VOLUME, (600, 500, 400), PIXELS["3"], "<", 0), ...)
    assert wanted.run_nbytes <= 1 << 20
    wanted = plan(Layout(Kind.VOLUME, (600, 500, 400), PIXELS["2"], "<", 0), ...)
    assert (wanted.count, wanted.direct) == (1, True)
