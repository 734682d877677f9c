"""Headers and layouts of files to be written agree, and say what was asked for."""

from __future__ import annotations

import datetime as dt
import struct
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from mrcarray.errors import MrcValueError
from mrcarray.format.builder import draft, finished, in_order, unfinished, with_label
from mrcarray.format.header import Header
from mrcarray.format.interpret import interpret
from mrcarray.format.issues import CODES
from mrcarray.format.modes import MODES
from mrcarray.format.regions import box_of, lengths, pieces, tile, touches
from tests import builders


@given(
    shape=st.lists(st.integers(1, 9), min_size=2, max_size=4),
    mode=st.sampled_from([0, 1, 2, 3, 4, 6, 12, 101]),
    order=st.sampled_from("<>"),
    extended=st.binary(max_size=100),
    stack=st.booleans(),
)
def test_draft_header_reads_back_as_its_layout(
    shape: list[int], mode: int, order: str, extended: bytes, stack: bool
) -> None:
    kind = "image_stack" if stack and len(shape) == 3 and shape[0] > 1 else None
    plan = draft(tuple(shape), MODES[mode].pixel.dtype, mode=mode, byteorder=order, extended=extended, kind=kind)
    header, issues = Header.parse(plan.header.raw, plan.layout.stop)
    found = interpret(header, plan.layout.stop)
    assert found.layout == plan.layout
    assert not [one for one in (*issues, *found.issues) if one.severity != "note"]


@pytest.mark.parametrize("mode", list(MODES))
def test_finished_undoes_unfinished(mode: int) -> None:
    header = Header.blank(nx=3, ny=3, nz=3, mode=mode)
    marked = unfinished(header)
    assert finished(marked) == header
    assert finished(header) is header
    (issue,) = (one for one in interpret(marked).issues if one.is_error)
    assert issue.code == "MRC106"
    assert "MRC106" in CODES


def test_draft_keeps_unrelated_fields_of_header() -> None:
    base = Header.blank(nx=9, ny=9, nz=9, mode=2, ispg=19, m=(9, 9, 9), cella=(18, 18, 18), origin=(1, 2, 3))
    plan = draft((4, 5, 6), "i2", header=base.replace(labels=["hello"], nlabl=1))
    assert plan.header.text_labels == ("hello",)
    assert (plan.header.ispg, plan.header.origin, plan.header.cella) == (19, (1, 2, 3), (12, 10, 8))
    assert draft((9, 9, 9), "f4", header=base).header.cella == (18, 18, 18)
    assert draft((2, 4, 5, 6), "f4", header=base).header.ispg == 419
    assert draft((5, 6), "f4", header=base).header.ispg == 0


def test_sections_can_be_added_to_a_draft() -> None:
    volume = draft((0, 5, 6), "i2", voxel_size=2.0).with_sections(7)
    assert (volume.header.nz, volume.header.mz, volume.header.cella) == (7, 7, (12, 10, 14))
    stack = draft((0, 5, 6), "i2", kind="image_stack").with_sections(7)
    assert (stack.header.nz, stack.header.mz) == (7, 1)


def test_a_stack_whose_mz_counts_its_sections_keeps_doing_so() -> None:
    base = Header.blank(nx=6, ny=5, nz=4, ispg=0, m=(6, 5, 4), cella=(12, 10, 20))
    grown = draft((4, 5, 6), "f4", kind="image_stack", header=base).with_sections(7)
    assert (grown.header.nz, grown.header.mz, grown.header.cella) == (7, 7, (12, 10, 35))


def test_exttyp_is_that_of_the_caller_of_the_header_or_none() -> None:
    base = Header.blank(exttyp=b"SERI")
    assert draft((2, 3), "i2", extended=b"x" * 4, exttyp="FEI1").header.exttyp == b"FEI1"
    assert draft((2, 3), "i2", extended=b"x" * 4, header=base).header.exttyp == b"SERI"
    assert draft((2, 3), "i2", header=base).header.exttyp == bytes(4)


@given(st.binary(min_size=84, max_size=84), st.binary(min_size=8, max_size=8), st.booleans())
def test_in_order_twice_restores_header(extra2: bytes, extra1: bytes, stamped: bool) -> None:
    if stamped:
        extra2 = extra2[:40] + struct.pack("<i", 1146047817) + extra2[44:]
    header = Header(builders.header_bytes("<", extra1=extra1, extra2=extra2, nlabl=1, labels=b"kept"))
    turned = in_order(header, ">")
    assert in_order(header, "<") is header
    assert (turned.nx, turned.labels, turned.origin) == (header.nx, header.labels, header.origin)
    assert turned.imod.stamped == header.imod.stamped
    assert turned.imod.nint == header.imod.nint or not (stamped or any(extra2[16:20]))
    assert in_order(turned, "<").replace(machst=header.machst) == header


def test_labels_have_the_form_of_imod() -> None:
    when = dt.datetime(2026, 3, 1, 9, 5, 7, tzinfo=dt.UTC)
    header = Header.blank()
    for i in range(12):
        header = with_label(header, f"step {i} " + "x" * 100, when)
    assert header.nlabl == 10
    assert header.labels[8].startswith(b"step 8 ")
    assert header.labels[9].startswith(b"step 11 ")
    assert header.labels[9][55:] == b" 01-Mar-26  09:05:07     "


# ------------------------------------------------------------------------------------------ boxes


@given(shape=st.lists(st.integers(0, 6), min_size=1, max_size=4), most=st.integers(1, 50))
def test_pieces_cover_an_array_in_order(shape: list[int], most: int) -> None:
    values = np.arange(np.prod(shape)).reshape(shape)
    found = [values[touches(box, 0)].ravel() for box in pieces(tuple(shape), most)]
    np.testing.assert_array_equal(np.concatenate([np.zeros(0), *found]), values.ravel())
    assert all(part.size <= max(most, shape[-1]) for part in found)


@given(data=st.data())
def test_a_key_names_the_box_numpy_would_take(data: st.DataObject) -> None:
    shape = (4, 5, 6)
    values = np.arange(120).reshape(shape)
    items: list[Any] = [
        data.draw(st.integers(-n, n - 1) | st.slices(n).map(lambda s: slice(s.start, s.stop))) for n in shape
    ]
    items = items[: data.draw(st.integers(0, 3))]
    if data.draw(st.booleans()):
        items.insert(data.draw(st.integers(0, len(items))), Ellipsis)
    box, kept = box_of(shape, tuple(items))
    assert values[tuple(items)].shape == kept
    np.testing.assert_array_equal(values[touches(box, 0)].ravel(), values[tuple(items)].ravel())


@given(data=st.data())
def test_boxes_tile_when_every_element_is_in_one_of_them(data: st.DataObject) -> None:
    shape = (3, 4)
    sides = [
        data.draw(st.lists(st.tuples(st.integers(0, n), st.integers(0, n)).map(sorted), max_size=4)) for n in shape
    ]
    boxes = [((a, b), (c, d)) for (a, b), (c, d) in zip(*sides, strict=False)]
    count = np.zeros(shape)
    for box in boxes:
        count[touches(box, 0)] += 1
    assert tile(boxes, shape) == bool((count == 1).all())
    assert [lengths(box) for box in boxes] == [(b[0][1] - b[0][0], b[1][1] - b[1][0]) for b in boxes]


def test_tile_of_too_many_cells_is_false() -> None:
    boxes = [((0, 1), (0, 1)), ((0, 1), (1, 2)), ((1, 2), (0, 2))]
    assert (tile(boxes, (2, 2)), tile(boxes, (2, 2), most_cells=3)) == (True, False)


def test_wrong_byte_orders_are_refused() -> None:
    with pytest.raises(MrcValueError, match="byteorder"):
        draft((2, 3), "i2", byteorder="native")
