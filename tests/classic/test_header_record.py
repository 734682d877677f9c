"""The header record warns of values that a field truncates; otherwise it behaves like NumPy's recarray."""

from __future__ import annotations

from typing import Any

import mrcfile
import numpy as np
import pytest

from mrcarray import classic
from mrcarray.errors import MrcWarning


@pytest.fixture
def header() -> Any:
    """Return the header of a new object."""
    mrc = classic.mrcobject.MrcObject()
    mrc._create_default_attributes()
    return mrc.header


@pytest.mark.filterwarnings("error")
def test_header_record_changes_byte_order_in_place() -> None:
    mrc = classic.mrcobject.MrcObject()
    mrc._create_default_attributes()
    held = mrc.header
    mrc.set_data(np.zeros((2, 3), ">f4"))
    assert held is mrc.header
    assert (held.nx, held.mode.dtype.str, held.machst.tolist()) == (3, ">i4", [17, 17, 0, 0])
    mrc.set_data(np.zeros((4, 5), "<f4"))
    assert (held.nx, held.mode.dtype.str, held.machst.tolist()) == (5, "<i4", [68, 68, 0, 0])


def test_long_text_is_truncated_with_a_warning(header: Any) -> None:
    with pytest.warns(MrcWarning, match="a text of 5 bytes is truncated to 4"):
        header.exttyp = b"SERIA"
    assert header.exttyp == b"SERI"
    with pytest.warns(MrcWarning, match="a text of 81 bytes is truncated to 80"):
        header.label[3] = "x" * 81
    with pytest.warns(MrcWarning, match="a text of 6 bytes is truncated to 4"):
        header["map"] = "MAP123"


def test_fraction_is_dropped_with_a_warning(header: Any) -> None:
    with pytest.warns(MrcWarning, match=r"header.nxstart is set to 1.5; the fraction is dropped"):
        header.nxstart = 1.5
    assert header.nxstart == 1
    header.nxstart = np.float64(3)
    assert header.nxstart == 3


@pytest.mark.parametrize("value", [np.int64(2**31), 3e9, float("nan"), np.uint32(2**32 - 1), np.array(-(2**40))])
def test_number_of_more_than_32_bits_is_refused(header: Any, value: Any) -> None:
    with pytest.raises(ValueError, match=r"header.nz is set to .*; expected a 32-bit integer"):
        header.nz = value
    with pytest.raises(OverflowError):
        header.nz = 2**31  # NumPy checks Python integers
    assert header.nz == 0


@pytest.mark.parametrize("value", ["7", np.array(7), np.array([7]), True, np.bool_(True)])
def test_other_values_are_left_to_numpy(header: Any, value: Any) -> None:
    theirs = mrcfile.mrcobject.MrcObject()
    theirs._create_default_attributes()
    for record in (theirs.header, header):
        record["nz"] = value
    assert header.nz == theirs.header.nz


def test_texts_and_fields_print_like_mrcfile(header: Any) -> None:
    theirs = mrcfile.mrcobject.MrcObject()
    theirs._create_default_attributes()
    assert repr(header.map) == repr(theirs.header.map)
    assert str(header.exttyp) == str(theirs.header.exttyp)
    assert (header.label != b"").tolist() == (theirs.header.label != b"").tolist()
    assert type(np.char.strip(header.label)) is type(np.char.strip(theirs.header.label))
    assert type(header.cella) is type(theirs.header.cella)
    assert header[["nx", "ny"]].dtype.names == ("nx", "ny")


def test_part_of_a_record_has_only_its_fields(header: Any) -> None:
    part = header[["nx", "ny"]].view(type(header))
    assert part.nx == 0
    with pytest.raises(AttributeError, match="nz"):
        part.nz  # noqa: B018 -- the property raises


def test_record_with_another_dtype_has_its_fields(header: Any) -> None:
    header.nx = 7
    other = header.view(np.dtype([("first", "<i4"), ("rest", "V1020")]))
    assert other.first == 7
    with pytest.raises(AttributeError, match="recarray has no attribute nx"):
        other.nx  # noqa: B018 -- the property raises
