"""Known traps of real files: each is read correctly, and what was not read literally has a code.

1. bytes of mode 0: their sign, and IMOD's shift by 128
2. space group 0 with mz = nz
3. nstart against origin
4. IMOD's sign of the origin
5. a stale length of the extended header
6. wrong types of extended headers
7. 4-bit pixels in two forms
8. a bad machine stamp or map identifier
9. voxel sizes of 0, below 0, of 1 by default, and along z of a stack
10. metres against ångström
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mrcarray.array import MrcArray
from mrcarray.errors import MrcValueError
from mrcarray.format.extended import RecordFacts, decode
from mrcarray.format.fourier import frequencies, real_width
from mrcarray.format.geometry import Geometry
from mrcarray.format.header import Header
from mrcarray.format.interpret import interpret
from mrcarray.format.layout import Kind
from mrcarray.format.modes import PIXELS
from mrcarray.storage.memory import MemorySource
from tests.builders import mrc_bytes, sample

if TYPE_CHECKING:
    from mrcarray.format.layout import Layout
    from mrcarray.format.modes import ByteOrder

STAMP = 1146047817


@dataclass
class Opened:
    """An opened file: header, interpretation, geometry and pixels."""

    header: Header
    layout: Layout
    geometry: Geometry
    pixels: np.ndarray[Any, Any]
    codes: list[str]
    texts: str


def opened(raw: bytes, *, origin: Any = "auto", **options: Any) -> Opened:
    """Open the bytes of a file with `mrcarray.format` alone."""
    header, issues = Header.parse(raw, len(raw))
    found = interpret(header, len(raw), **options)
    assert found.layout is not None
    geometry = Geometry.from_header(header, found.layout, origin)
    start, stop = found.extended
    decoded = decode(raw[start:stop], RecordFacts.of(header))
    every = (*issues, *found.issues, *geometry.issues, *decoded.issues)
    pixels = np.asarray(MrcArray(found.layout, MemorySource(raw)))
    return Opened(header, found.layout, geometry, pixels, [i.code for i in every], "\n".join(map(str, every)))


def imod(flags: int, *, nint: int = 0, nreal: int = 0) -> bytes:
    """Return a free area with IMOD's stamp."""
    extra = bytearray(84)
    struct.pack_into("<2h", extra, 16, nint, nreal)
    struct.pack_into("<2i", extra, 40, STAMP, flags)
    return bytes(extra)


MASK = np.array([[0, 1, 1], [0, 0, 255]], dtype=np.uint8)


def test_trap_1_sign_of_mode_0() -> None:
    signed = opened(mrc_bytes(MASK.view("i1"), 0, extra2=imod(1)))
    unsigned = opened(mrc_bytes(MASK.view("i1"), 0, extra2=imod(0)))
    by_statistics = opened(mrc_bytes(MASK.view("i1"), 0, dmin=0, dmax=255))
    assert (signed.pixels[1, 2], unsigned.pixels[1, 2], by_statistics.pixels[1, 2]) == (-1, 255, 255)
    assert all("MRC304" in one.codes for one in (signed, unsigned, by_statistics))


def test_trap_1_imod_shift_by_128() -> None:
    stored = (MASK.astype(int) - 128).astype("i1")
    raw = mrc_bytes(stored, 0, extra2=imod(1), dmin=-128, dmax=127)
    literal, meant = opened(raw), opened(raw, imod_bytes="shifted")
    assert literal.pixels.tolist() == stored.tolist()
    assert meant.pixels.tolist() == MASK.tolist()
    assert meant.layout.dtype == np.uint8
    assert "MRC306" in literal.codes
    assert "imod_bytes='shifted'" in literal.texts
    assert "MRC306" in meant.codes


def test_trap_1_no_shift_without_imod_stamp() -> None:
    for extra2, mode0 in ((b"", "signed"), (imod(0), "auto")):
        one = opened(mrc_bytes(MASK.view("i1"), 0, extra2=extra2), imod_bytes="shifted", mode0=mode0)
        np.testing.assert_array_equal(one.pixels.view("u1"), MASK)
        assert "MRC306" not in one.codes
    with pytest.raises(MrcValueError, match="imod_bytes is 'both'"):
        opened(mrc_bytes(MASK, 0), imod_bytes="both")


def test_shifted_bytes_select_and_pack() -> None:
    pixels = sample((3, 4, 5), 5)
    stored = PIXELS["0s"].pack(pixels, "<")
    np.testing.assert_array_equal(stored.view("i1"), pixels.astype(int) - 128)
    raw = mrc_bytes(stored.view("i1"), 0, extra2=imod(1))
    header, _ = Header.parse(raw, len(raw))
    layout = interpret(header, len(raw), imod_bytes="shifted").layout
    assert layout is not None
    lazy = MrcArray(layout, MemorySource(raw))
    np.testing.assert_array_equal(lazy[1, ::-2, [0, 3]], pixels[1, ::-2, [0, 3]])
    np.testing.assert_array_equal(lazy.oindex[[2, 0], :, [True, False, True, False, True]], pixels[[2, 0]][:, :, ::2])


@pytest.mark.parametrize(
    ("name", "kind", "code"), [("a.mrc", Kind.VOLUME, "MRC303"), ("a.mrcs", Kind.IMAGE_STACK, "MRC301")]
)
def test_trap_2_space_group_0_with_mz_equal_to_nz(name: str, kind: Kind, code: str) -> None:
    one = opened(mrc_bytes(sample((5, 3, 4), 1), 1, ispg=0, m=(4, 3, 5)), name=name)
    assert (one.layout.kind, one.codes) == (kind, [code])


def test_trap_3_nstart_and_origin_are_not_added() -> None:
    both = mrc_bytes(sample((2, 3, 4), 2), nstart=(1, 2, 3), origin=(10.0, 20.0, 30.0))
    assert opened(both).geometry.start == (10.0, 20.0, 30.0)
    assert opened(both, origin="nstart").geometry.start == (2.0, 4.0, 6.0)
    assert opened(mrc_bytes(sample((2, 3, 4), 2), nstart=(1, 2, 3))).geometry.start == (2.0, 4.0, 6.0)


def test_trap_4_sign_of_imod_origin() -> None:
    raw = mrc_bytes(sample((2, 3, 4), 2), origin=(-10.0, 0.0, 5.0), nversion=0, extra2=imod(0))
    one = opened(raw)
    assert one.geometry.start == (10.0, 0.0, -5.0)
    assert "MRC150" in one.codes
    modern = opened(mrc_bytes(sample((2, 3, 4), 2), origin=(-10.0, 0.0, 5.0), nversion=20140, extra2=imod(4)))
    assert modern.geometry.start == (-10.0, 0.0, 5.0)


def test_trap_5_stale_nsymbt() -> None:
    values = sample((2, 3, 4), 2)
    one = opened(mrc_bytes(values, nsymbt=160))
    np.testing.assert_array_equal(one.pixels, values)
    assert "MRC203" in one.codes


def test_trap_6_old_fei_block_with_another_type() -> None:
    block = np.zeros((1024, 32), "<f4")
    block[:2, 0] = [-60, 57]
    extra2 = imod(0, nint=128, nreal=32)
    raw = mrc_bytes(sample((2, 3, 4), 1), 1, extended=block.tobytes(), ispg=0, exttyp=b"FEI1", extra2=extra2)
    one = opened(raw)
    assert {"MRC401", "MRC406"} <= set(one.codes)
    records = decode(raw[1024 : 1024 + 131072], RecordFacts.of(one.header)).records
    assert records is not None
    assert records.common("tilt_angle").values.tolist() == [-60, 57]


def test_trap_7_4_bit_pixels() -> None:
    values = sample((3, 6), 101)
    modern = opened(mrc_bytes(values, 101))
    packed = mrc_bytes(values, 101)[1024:]
    half = np.frombuffer(packed, "i1").reshape(3, 3)
    older = opened(mrc_bytes(half, 0, extra2=imod(16)))
    np.testing.assert_array_equal(modern.pixels, values)
    np.testing.assert_array_equal(older.pixels, values)
    assert "MRC205" in older.codes


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("fields", "code"),
    [({"machst": bytes(4)}, "MRC161"), ({"map": b"\0\0\0\0"}, "MRC153"), ({"map": b"MAP\0"}, "MRC153")],
)
def test_trap_8_bad_stamp_or_identifier(order: ByteOrder, fields: dict[str, Any], code: str) -> None:
    values = sample((2, 3, 4), 2)
    one = opened(mrc_bytes(values, 2, order, **fields))
    np.testing.assert_array_equal(one.pixels, values)
    assert one.layout.byteorder == order
    assert code in one.codes


def test_trap_8_contradicting_stamp() -> None:
    values = sample((2, 3, 4), 2)
    one = opened(mrc_bytes(values, 2, ">", machst=b"\x44\x44\0\0"))
    np.testing.assert_array_equal(one.pixels, values)
    assert "MRC162" in one.codes
    assert "word 54" in one.texts


def test_trap_9_cell_of_zeros() -> None:
    zero = opened(mrc_bytes(sample((16, 16, 16), 1), 1, cella=(0.0, 0.0, 0.0)))
    assert np.isnan(zero.geometry.voxel_size).all()
    negative = opened(mrc_bytes(sample((16, 16, 16), 1), 1, cella=(-160.0, -160.0, 32.0)))
    assert min(negative.geometry.voxel_size) > 0 or np.isnan(negative.geometry.voxel_size[:2]).all()
    assert negative.codes.count("MRC111") == 2


def test_trap_9_voxel_size_1_is_noted() -> None:
    one = opened(mrc_bytes(sample((16, 16, 16), 1), 1, cella=(16.0, 16.0, 16.0)))
    assert one.geometry.voxel_size == (1.0, 1.0, 1.0)
    assert "MRC111" in one.codes


def test_trap_9_stack_has_no_voxel_size_along_z() -> None:
    one = opened(mrc_bytes(sample((5, 16, 16), 1), 1, ispg=0, cella=(32.0, 32.0, 0.0)))
    assert one.geometry.voxel_size[:2] == (2.0, 2.0)
    assert "MRC111" not in one.codes


@pytest.mark.parametrize("stored", [2.5e-10, 2.5])
def test_trap_10_units_of_pixel_sizes(stored: float) -> None:
    block = np.zeros((1024, 32), "<f4")
    block[0, 11] = stored
    records = decode(block.tobytes(), RecordFacts("<", 1, b"", 0, 32))
    assert records.records is not None
    assert records.records.common("pixel_size").values[0] == pytest.approx(2.5)
    assert ("MRC409" in [issue.code for issue in records.issues]) == (stored > 1)


# ------------------------------------------------------------------------------------------------ half transforms


def half(shape: tuple[int, ...], real: int, **fields: Any) -> tuple[Layout, Geometry]:
    """Return layout and geometry of a half transform with this real width and 2 Å voxels."""
    m = (real, shape[-2], shape[-3] if len(shape) == 3 else 1)
    cella = tuple(2.0 * n for n in m)
    one = opened(mrc_bytes(sample(shape, 4), 4, **{"m": m, "cella": cella, **fields}))
    return one.layout, one.geometry


@pytest.mark.parametrize("real", [7, 8])
def test_frequencies_of_a_half_transform(real: int) -> None:
    layout, geometry = half((6, real // 2 + 1), real)
    assert real_width(layout, geometry) == real
    found = frequencies(layout, geometry)
    np.testing.assert_allclose(found["x"], np.fft.rfftfreq(real, 2.0))
    np.testing.assert_allclose(found["y"], np.fft.fftshift(np.fft.fftfreq(6, 2.0)))
    assert set(found) == {"x", "y"}


def test_frequencies_along_sections() -> None:
    volume = frequencies(*half((4, 6, 5), 8))
    np.testing.assert_allclose(volume["z"], np.fft.fftshift(np.fft.fftfreq(4, 2.0)))
    assert set(frequencies(*half((4, 6, 5), 8, ispg=0, m=(8, 6, 1)))) == {"x", "y"}


def test_frequencies_need_width_and_size() -> None:
    assert frequencies(*half((6, 5), 5)) == {}
    assert frequencies(*half((6, 2), 2)) == {}
    assert set(frequencies(*half((6, 5), 8, cella=(16.0, 0.0, 1.0)))) == {"x"}
    real = opened(mrc_bytes(sample((6, 5), 2), 2, m=(8, 6, 1)))
    assert frequencies(real.layout, real.geometry) == {}
