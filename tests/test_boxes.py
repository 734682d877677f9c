"""`MrcArray.boxes`: boxes around points, borders, the caller's memory, several threads and processes."""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mrcarray
from mrcarray.errors import MrcValueError
from mrcarray.format.boxes import Boxes
from tests.builders import mrc_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from mrcarray.array import MrcArray

VALUES = np.random.default_rng(5).integers(-1000, 1000, (20, 24, 28)).astype("i2")
CENTRES = np.random.default_rng(6).integers(4, 16, (30, 3))


@pytest.fixture
def tomogram(tmp_path: Path) -> MrcArray:
    (tmp_path / "tomo.mrc").write_bytes(mrc_bytes(VALUES, 1))
    return mrcarray.open_array(tmp_path / "tomo.mrc")


def expected(centres: Any, shape: tuple[int, ...], fill: float = 0) -> Any:
    """Return the boxes of an array that is padded on all sides."""
    pad = 60
    padded = np.pad(VALUES.astype("f8"), pad, constant_values=fill)
    starts = [[c - n // 2 + pad for c, n in zip(centre, shape, strict=True)] for centre in centres]
    return np.array([padded[tuple(slice(s, s + n) for s, n in zip(at, shape, strict=True))] for at in starts])


@pytest.mark.parametrize("shape", [(8, 8, 8), (1, 3, 8), (5, 4, 2)])
@pytest.mark.parametrize("threads", [None, 1, 3])
def test_boxes_are_centred_on_the_points(tomogram: MrcArray, shape: tuple[int, ...], threads: int | None) -> None:
    found = tomogram.boxes(CENTRES, shape, threads=threads)
    assert (found.shape, found.dtype) == ((30, *shape), np.int16)
    np.testing.assert_array_equal(found, expected(CENTRES, shape))


def test_one_length_makes_a_cube(tomogram: MrcArray) -> None:
    np.testing.assert_array_equal(tomogram.boxes(CENTRES, 6), tomogram.boxes(CENTRES, (6, 6, 6)))


@given(
    centres=st.lists(st.tuples(*[st.integers(-30, 50)] * 3), max_size=5).map(
        lambda points: np.reshape(points, (-1, 3))
    ),
    shape=st.tuples(*[st.integers(1, 30)] * 3),
)
def test_what_is_outside_is_filled(centres: Any, shape: tuple[int, ...]) -> None:
    array = mrcarray.open_array(mrc_bytes(VALUES, 1))
    found = array.boxes(centres.astype(int), shape, fill=-7)
    np.testing.assert_array_equal(found, expected(centres.astype(int), shape, -7).reshape(found.shape))


def test_box_outside_is_refused_with_its_number(tomogram: MrcArray) -> None:
    with pytest.raises(
        MrcValueError, match=r"box 1 is \[-3:5, 6:14, 6:14\] of an array of shape \(20, 24, 28\); pass fill=0"
    ):
        tomogram.boxes([[10, 10, 10], [1, 10, 10]], 8)


def test_boxes_are_read_into_the_memory_of_the_caller(tomogram: MrcArray) -> None:
    out = np.full((30, 4, 4, 4), np.nan, "f4")
    assert tomogram.boxes(CENTRES, 4, out=out) is out
    np.testing.assert_array_equal(out, expected(CENTRES, (4, 4, 4)))


def test_tensor_of_torch_is_filled(tomogram: MrcArray) -> None:
    torch = pytest.importorskip("torch")
    out = torch.zeros((30, 4, 4, 4), dtype=torch.float32)
    assert tomogram.boxes(CENTRES, 4, out=out) is out
    np.testing.assert_array_equal(out.numpy(), expected(CENTRES, (4, 4, 4)))


@pytest.mark.parametrize(
    ("centres", "shape", "out", "text"),
    [
        ([[1, 2]], 2, None, r"centres has shape \(1, 2\); expected \(box, 3\)"),
        ([[1.5, 2.0, 3.0]], 2, None, "centres are float64; expected integers"),
        ([[5, 5, 5]], (2, 2), None, r"shape is \(2, 2\); expected 3 lengths"),
        ([[5, 5, 5]], 0, None, r"shape is \(0, 0, 0\)"),
        ([[5, 5, 5]], 2, np.empty((1, 2, 2)), r"out has shape \(1, 2, 2\); expected \(1, 2, 2, 2\)"),
    ],
)
def test_wrong_arguments_are_refused(tomogram: MrcArray, centres: Any, shape: Any, out: Any, text: str) -> None:
    with pytest.raises(MrcValueError, match=text):
        tomogram.boxes(centres, shape, out=out)


def test_boxes_of_images_have_two_axes(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(VALUES[0], 1))
    array = mrcarray.open_array(tmp_path / "a.mrc", kind="image")
    np.testing.assert_array_equal(array.boxes([[10, 12]], 6)[0], VALUES[0, 7:13, 9:15])


def test_no_box_covers_more_than_it_has() -> None:
    boxes = Boxes.around(np.array([[-100, 5], [100, 5]]), 4, (10, 10))
    assert [boxes.parts(number)[0][0] for number in (0, 1)] == [slice(0, 0), slice(10, 10)]


def _sample(array: MrcArray, seed: int) -> Any:
    return array.boxes(np.random.default_rng(seed).integers(4, 16, (50, 3)), 8)


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_two_processes_sample_one_file(tomogram: MrcArray, method: str) -> None:
    with multiprocessing.get_context(method).Pool(2) as pool:
        found = pool.starmap(_sample, [(tomogram, 0), (tomogram, 1)])
        pool.close()
        pool.join()
    for seed in (0, 1):
        np.testing.assert_array_equal(found[seed], _sample(tomogram, seed))
