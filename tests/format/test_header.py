"""`Header`: fields, replace, views of the free area."""

from __future__ import annotations

import dataclasses
import pickle
import struct
from typing import TYPE_CHECKING, Any

import mrcfile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcarray.errors import MrcValueError
from mrcarray.format.fields import ALIASES, FIELDS
from mrcarray.format.header import Header
from tests import builders

if TYPE_CHECKING:
    from pathlib import Path

    from mrcarray.format.modes import ByteOrder

ORDERS: tuple[ByteOrder, ...] = ("<", ">")
RAW = st.binary(min_size=1024, max_size=1024)

VALUES: dict[str, Any] = {
    "nx": 11,
    "ny": -12,
    "nz": 13,
    "mode": 6,
    "nstart": (-1, 2, 3),
    "m": (4, 5, 6),
    "cella": (1.5, 2.5, 3.5),
    "cellb": (80.0, 90.0, 100.0),
    "mapcrs": (3, 1, 2),
    "dmin": -1.25,
    "dmax": 7.5,
    "dmean": 0.5,
    "ispg": 401,
    "nsymbt": 160,
    "extra1": b"ABCDEFGH",
    "exttyp": b"SERI",
    "nversion": 20140,
    "extra2": bytes(range(84)),
    "origin": (-8.0, 16.0, 0.25),
    "map": b"MAP\0",
    "machst": b"\x44\x41\0\0",
    "rms": 2.25,
    "nlabl": 3,
}


def test_fields_cover_1024_bytes() -> None:
    position = 0
    for field in FIELDS.values():
        assert field.offset == position, field.name
        position += field.nbytes
    assert position == 1024


def test_fields_agree_with_the_specification() -> None:
    expected = {name: (offset, struct.calcsize("<" + code)) for name, offset, code in builders.FIELDS}
    assert {name: (field.offset, field.nbytes) for name, field in FIELDS.items()} == expected


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", sorted(VALUES))
def test_attribute_decodes_its_bytes(name: str, order: ByteOrder) -> None:
    raw = builders.header_bytes(order, **{name: VALUES[name]})
    assert getattr(Header(raw, order), name) == VALUES[name]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", sorted(VALUES))
def test_replace_writes_the_bytes(name: str, order: ByteOrder) -> None:
    before = builders.header_bytes(order, labels=b"\xff\x00\x07" * 20)
    start, stop = FIELDS[name].offset, FIELDS[name].offset + FIELDS[name].nbytes
    after = Header(before, order).replace(**{name: VALUES[name]}).raw
    assert after[start:stop] == builders.header_bytes(order, **{name: VALUES[name]})[start:stop]
    assert after[:start] + after[stop:] == before[:start] + before[stop:]


@pytest.mark.parametrize("alias", sorted(ALIASES))
def test_alias_is_one_item(alias: str) -> None:
    row, index = ALIASES[alias]
    header = Header(builders.header_bytes(">")).replace(**{alias: 7})
    assert getattr(header, alias) == 7
    assert getattr(header, row)[index] == 7


@given(raw=RAW, order=st.sampled_from(ORDERS))
def test_replace_by_own_value_changes_nothing(raw: bytes, order: ByteOrder) -> None:
    header = Header(raw, order)
    for name, field in FIELDS.items():
        value = getattr(header, name)
        if "f" not in field.code:  # a signalling NaN may change on its way through a double
            assert header.replace(**{name: value}) == header
    assert all(label.isprintable() for label in header.text_labels)
    assert isinstance(header.ccp4.skewed, bool)
    assert isinstance(header.imod.inverted_origin, bool)


def test_equality_hash_and_pickle() -> None:
    raw = builders.header_bytes()
    header = Header(raw)
    assert header == Header(bytearray(raw))  # type: ignore[arg-type]  # any buffer becomes bytes
    assert hash(header) == hash(Header(raw))
    assert header != Header(raw, ">")
    assert pickle.loads(pickle.dumps(header)) == header
    with pytest.raises(dataclasses.FrozenInstanceError):
        header.raw = b""  # type: ignore[misc]  # what is being tested


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"nxx": 1}, "unknown header field 'nxx'"),
        ({"nx": 2**31}, "nx is 2147483648; expected 32-bit integers"),
        ({"nx": 1.5}, "expected 32-bit integers"),
        ({"dmin": 1e39}, "dmin is 1e\\+39; expected 32-bit floats"),
        ({"origin": (1, 2)}, "origin has 2 values; expected 3"),
        ({"origin": 5}, "origin is 5; expected 3 values"),
        ({"exttyp": b"SER"}, "exttyp has 3 bytes; expected exactly 4"),
        ({"exttyp": 5}, "exttyp is 5; expected bytes or text"),
        ({"labels": ["x" * 81]}, "a label has 81 bytes; expected at most 80"),
        ({"labels": ["x"] * 11}, "labels has 11 entries; expected at most 10"),
        ({"labels": ["Å"]}, "expected ASCII"),
    ],
)
def test_replace_with_invalid_value_raises(fields: dict[str, Any], match: str) -> None:
    with pytest.raises(MrcValueError, match=match):
        Header.blank().replace(**fields)


def test_wrong_length_or_byteorder_raises() -> None:
    with pytest.raises(MrcValueError, match="raw has 3 bytes; expected"):
        Header(b"abc")
    with pytest.raises(MrcValueError, match="raw has 3 bytes; expected"):
        Header.parse(b"abc")
    with pytest.raises(MrcValueError, match="expected '<' or '>'"):
        Header(bytes(1024), "=")  # type: ignore[arg-type]  # what is being tested


def test_text_labels_are_printable() -> None:
    header = Header.blank(labels=["first  ", b"\x1b[31mred\0junk", "third"], nlabl=2)
    assert header.text_labels == ("first", "\\x1b[31mred")
    assert header.replace(nlabl=-3).text_labels == ()
    assert len(header.replace(nlabl=99).text_labels) == 10


@pytest.mark.parametrize("order", ORDERS)
def test_blank_header_follows_the_specification(order: ByteOrder) -> None:
    header = Header.blank(order, nx=3)
    assert (header.nx, header.map, header.nversion, header.cellb, header.mapcrs) == (
        3,
        b"MAP ",
        20141,
        (90.0, 90.0, 90.0),
        (1, 2, 3),
    )
    assert header.machst == (b"\x44\x44\0\0" if order == "<" else b"\x11\x11\0\0")
    assert (header.dmin, header.dmax, header.dmean, header.rms) == (0, -1, -2, -1)
    assert Header.parse(header.raw, 1024) == (header, ())


@pytest.mark.parametrize("order", ORDERS)
def test_imod_view(order: ByteOrder) -> None:
    extra = bytearray(84)
    struct.pack_into(order + "2h", extra, 16, 9, -2)
    struct.pack_into(order + "2i6h6f", extra, 40, 1146047817, 63, 1, 0, 2, 0, 300, -6000, *range(6))
    imod = Header(builders.header_bytes(order, extra2=bytes(extra)), order).imod
    assert (imod.nint, imod.nreal, imod.idtype, imod.nd, imod.vd) == (9, -2, 1, (2, 0), (300, -6000))
    assert list(imod.tiltangles) == [0, 1, 2, 3, 4, 5]
    flags = (imod.signed_bytes, imod.spacing_from_extended, imod.standard_origin)
    assert all((imod.stamped, *flags, imod.negative_rms, imod.half_bytes, imod.ctf_corrected))
    blank = Header.blank().imod
    assert not any((blank.stamped, blank.signed_bytes, blank.half_bytes, blank.ctf_corrected, blank.inverted_origin))


def test_skew_needs_no_version_and_type() -> None:
    extra = struct.pack("<i", 1) + bytes(4)
    header = Header(builders.header_bytes(extra1=extra, nversion=0))
    assert header.ccp4.skewed
    assert not header.replace(nversion=20141).ccp4.skewed
    assert not header.replace(exttyp=b"CCP4").ccp4.skewed
    assert len(header.ccp4.skwmat) == 9
    assert header.ccp4.skwtrn == (0, 0, 0)


def test_descriptors_have_docstrings() -> None:
    assert "columns" in str(Header.nx.__doc__)
    assert "angstrom" in str(Header.cella.__doc__)


@pytest.mark.data
@pytest.mark.parametrize("name", ["1jzv.ccp4", "EMD-3197.map", "fei-extended.mrc", "serialem_tilt.mrc", "de_movie.mrc"])
def test_real_headers_agree_with_mrcfile(shared_data: Path, name: str) -> None:
    path = shared_data / name
    header, _ = Header.parse(path.read_bytes()[:1024], path.stat().st_size)
    with mrcfile.open(path, permissive=True, header_only=True) as other:
        theirs = other.header
        for field in ("nx", "ny", "nz", "mode", "mapc", "mapr", "maps", "dmin", "dmax", "dmean", "ispg", "nsymbt"):
            assert getattr(header, field) == theirs[field], field
        for field in ("nxstart", "nystart", "nzstart", "mx", "my", "mz", "nversion", "rms", "nlabl"):
            assert getattr(header, field) == theirs[field], field
        for field in ("cella", "cellb", "origin"):
            assert getattr(header, field) == tuple(theirs[field].item()), field
        assert [label.rstrip(b"\0") for label in header.labels] == [
            bytes(label) for label in np.atleast_1d(theirs.label)
        ]
