"""Headers with any word changed, through every reading function: the promises R1 to R6 of reading.

Any bytes give data, an error of our own tree, or an OSError; an error names the file; strict reading gives an array
only if a reader written from the specification with `struct` alone agrees; permissive reading never raises an error of
ours once there is a header; memory grows by no more than what the file holds.
"""

from __future__ import annotations

import math
import random
import resource
import struct
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import mrcarray
from mrcarray import reader
from mrcarray.errors import MrcError, MrcFormatError
from tests.builders import FIELDS, ITEMS, mrc_bytes, sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MODES = (0, 1, 2, 3, 4, 6, 12, 16, 101)
NUMBERS = (-(2**31), -80, -1, 0, 1, 2, 3, 5, 7, 12, 100, 400, 401, 631, 1024, 65536, 2**20, 2**31 - 1)
FLOATS = (0.0, -1.0, 1e-30, 1e30, math.inf, -math.inf, math.nan, 90.0)
ROUNDS = 120

OPENERS: dict[str, Callable[..., Any]] = {
    "read_header": mrcarray.read_header,
    "open_file": reader.open_file,
    "header_only": lambda path, **options: reader.open_file(path, header_only=True, **options),
    "open_array": lambda path, **options: mrcarray.open_array(path, **options)[...],
    "open_dataset": lambda path, **options: mrcarray.open_dataset(path, **options).load(),
    "from_mrc": lambda path, **options: mrcarray.from_mrc(path, **options).compute(scheduler="synchronous"),
}
GIVES_ARRAYS = ("open_array", "from_mrc")


def _mutated(rng: random.Random, mode: int, byteorder: str) -> bytes:
    """Return a small file of which one to four words of the header, or the length, are something else."""
    shape = (2, 3, 4)
    raw = bytearray(mrc_bytes(sample(shape, mode), mode, byteorder, extended=bytes(rng.choice((0, 80, 160)))))
    for _ in range(rng.randint(1, 4)):
        _, offset, code = rng.choice(FIELDS)
        count = int(code[:-1] or 1) if code[-1] in "if" else 1
        at = offset + 4 * rng.randrange(count)
        if code[-1] == "s" or rng.random() < 0.1:
            raw[at : at + 4] = rng.randbytes(4)
        elif code[-1] == "f":
            struct.pack_into(byteorder + "f", raw, at, rng.choice(FLOATS))
        else:
            struct.pack_into(byteorder + "i", raw, at, rng.choice((*NUMBERS, rng.randint(-9, 30))))
    if rng.random() < 0.3:
        del raw[rng.randrange(len(raw)) :]
    elif rng.random() < 0.1:
        raw += rng.randbytes(rng.randint(1, 3000))
    return bytes(raw)


def _oracle(raw: bytes) -> tuple[tuple[int, ...], str] | None:
    """Return the shape and the words of a file that keeps the letter of the specification, or None."""
    if len(raw) < 1024 or raw[208:212] != b"MAP " or raw[212:214] not in (b"\x44\x44", b"\x44\x41", b"\x11\x11"):
        return None
    order = ">" if raw[212] == 0x11 else "<"
    nx, ny, nz, mode = struct.unpack_from(order + "4i", raw, 0)
    mz = struct.unpack_from(order + "i", raw, 36)[0]
    ispg, nsymbt = struct.unpack_from(order + "2i", raw, 88)
    if min(nx, ny, nz) <= 0 or mode not in MODES or nsymbt < 0:
        return None
    row = (nx + 1) // 2 if mode == 101 else nx * np.dtype(ITEMS[mode]).itemsize * {3: 2, 16: 3}.get(mode, 1)
    if len(raw) != 1024 + nsymbt + row * ny * nz:
        return None
    if 401 <= ispg <= 630:
        if mz <= 0 or nz % mz:
            return None
        return (nz // mz, mz, ny, nx), order
    return ((ny, nx) if ispg == 0 and nz == 1 else (nz, ny, nx)), order


def _tried(name: str, path: Path, *, permissive: bool) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mrcarray.MrcWarning)
        try:
            return OPENERS[name](path, permissive=permissive)
        except (MrcError, OSError) as error:
            return error


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("mode", MODES)
def test_any_header_gives_data_or_an_error_of_ours(tmp_path: Path, mode: int, byteorder: str) -> None:
    rng = random.Random(mode * 2 + (byteorder == ">"))
    path = tmp_path / "fuzzed.mrc"
    for name in OPENERS:  # so that what is imported or cached once is not counted as growth
        path.write_bytes(mrc_bytes(sample((2, 3, 4), mode), mode, byteorder))
        _tried(name, path, permissive=True)
    before = _peak()
    for _ in range(ROUNDS):
        raw = _mutated(rng, mode, byteorder)
        path.write_bytes(raw)
        for name in OPENERS:
            _check_strict(name, path, raw)
            _check_permissive(name, path, raw)
    assert _peak() - before <= 16 << 20


def _check_strict(name: str, path: Path, raw: bytes) -> None:
    got = _tried(name, path, permissive=False)
    if isinstance(got, MrcFormatError):
        assert "fuzzed.mrc" in str(got), raw[:256]
        assert got.issues, raw[:256]
    if name not in GIVES_ARRAYS:
        return
    if isinstance(got, np.ndarray):
        assert _possible(raw), raw[:256]
    if (expected := _oracle(raw)) is not None:
        assert isinstance(got, np.ndarray), (got, raw[:256])
        _check_values(got, raw, *expected)


def _possible(raw: bytes) -> bool:
    """Return whether in one of the byte orders the words make sense and their data are no larger than the file."""
    for order in "<>":
        nx, ny, nz, mode = struct.unpack_from(order + "4i", raw, 0)
        (nsymbt,) = struct.unpack_from(order + "i", raw, 92)
        if (nx, ny, nz) == (0, 0, 0) and nsymbt >= 0:
            return True
        if min(nx, ny, nz) > 0 and mode in (*MODES, 5, 7, 8, 17) and nsymbt >= 0 and nx * ny * nz // 2 <= len(raw):
            return True
    return False


def _check_values(got: Any, raw: bytes, shape: tuple[int, ...], order: str) -> None:
    """Compare the bytes of an array in the order of the file; pixels that are unpacked by their number only."""
    (mode,) = struct.unpack_from(order + "i", raw, 12)
    if mode in (0, 3, 16, 101):  # mode 0 may hide two pixels in a byte
        assert got.size % math.prod(shape) == 0
        return
    assert math.prod(shape) == got.size
    start = len(raw) - got.nbytes
    assert got.astype(got.dtype.newbyteorder("<" if order == "<" else ">")).tobytes() == raw[start:]


def _check_permissive(name: str, path: Path, raw: bytes) -> None:
    got = _tried(name, path, permissive=True)
    if len(raw) >= 1024 and name not in GIVES_ARRAYS:
        assert not isinstance(got, Exception), (got, raw[:256])
    if name == "open_file" and not isinstance(got, Exception):
        assert got.header.raw == raw[:1024]
        assert got.layout is None or got.layout.stop <= len(raw)


@pytest.mark.parametrize("mode", MODES)
def test_strict_reading_gives_an_array_only_if_enough_bytes_are_there(tmp_path: Path, mode: int) -> None:
    raw = mrc_bytes(sample((2, 3, 4), mode), mode)
    path = tmp_path / "fuzzed.mrc"
    for length in range(0, len(raw), 7):
        path.write_bytes(raw[:length])
        for name in OPENERS:
            got = _tried(name, path, permissive=False)
            if name not in ("read_header", "header_only") or length < 1024:
                assert isinstance(got, MrcError), (name, length)


@pytest.mark.parametrize(
    "noise", [b"", b"\0" * 1024, b"\xff" * 5000, b"\x44" * 3000, b"MAP " * 600, bytes(range(256)) * 9]
)
@pytest.mark.parametrize("name", OPENERS)
def test_noise_is_an_error_of_ours(tmp_path: Path, name: str, noise: bytes) -> None:
    path = tmp_path / "fuzzed.mrc"
    path.write_bytes(noise)
    got = _tried(name, path, permissive=False)
    assert not isinstance(got, np.ndarray) or got.size == 0
    _tried(name, path, permissive=True)
