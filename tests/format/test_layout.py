"""`Layout`: sizes, grid and checks."""

from __future__ import annotations

import pytest

from mrcarray.errors import MrcValueError
from mrcarray.format.layout import Kind, Layout
from mrcarray.format.modes import PIXELS


def test_sizes() -> None:
    layout = Layout(Kind.VOLUME_STACK, (2, 3, 4, 5), PIXELS["101"], "<", 1100)
    assert (layout.row_nbytes, layout.section_nbytes, layout.nbytes, layout.stop) == (3, 12, 72, 1172)
    assert (layout.ndim, layout.columns, layout.grid) == (4, 5, (2, 3, 4, 5))


def test_grid_has_no_colour_axis() -> None:
    layout = Layout(Kind.IMAGE, (4, 5, 3), PIXELS["16"], "<", 1024)
    assert (layout.grid, layout.nbytes) == ((4, 5), 60)


@pytest.mark.parametrize(("shape", "offset"), [((2, -1), 0), ((2, 2), -1)])
def test_negative_length_or_offset_raises(shape: tuple[int, ...], offset: int) -> None:
    with pytest.raises(MrcValueError, match="expected lengths and an offset of 0 or more"):
        Layout(Kind.IMAGE, shape, PIXELS["2"], "<", offset)


def test_wrong_number_of_axes_raises() -> None:
    with pytest.raises(MrcValueError, match="expected 3 axes for volume, mode 2"):
        Layout(Kind.VOLUME, (2, 2), PIXELS["2"], "<", 0)


def test_raw_layout_takes_any_dtype_and_shape() -> None:
    layout = Layout.raw((2, 1, 3, 1, 2), ">f8", 7)
    assert (layout.byteorder, layout.nbytes, layout.offset) == (">", 96, 7)
    assert Layout.raw((), "i2").columns == 1
