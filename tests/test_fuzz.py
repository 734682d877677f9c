"""Headers with random words changed, through every reading function: the promises R1 to R6 of reading.

Any bytes give data, an `MrcError` or an OSError; an error names the file; strict reading gives an array only if a
reader written from the specification with `struct` reads the same numbers; permissive reading does not raise an
`MrcError` if there is a header; memory is bounded by the size of the file.
"""

from __future__ import annotations

import math
import random
import struct
import tracemalloc
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import mrcarray
from mrcarray import reader
from mrcarray.errors import MrcError, MrcFormatError
from tests.builders import FIELDS, ITEMS, header_bytes, mrc_bytes, sample
from tests.memory import peak_memory
from tests.xarray_backend.helpers import watch_reads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MODES = (0, 1, 2, 3, 4, 6, 12, 16, 101)
NUMBERS = (-(2**31), -80, -1, 0, 1, 2, 3, 5, 7, 12, 100, 400, 401, 631, 1024, 65536, 2**20, 2**31 - 1)
FLOATS = (0.0, -1.0, 1e-30, 1e30, math.inf, -math.inf, math.nan, 90.0)
ROUNDS = 80

STAMPS = {b"\x44\x44": "<", b"\x44\x41": "<", b"\x11\x11": ">"}
VAX = (b"\x22\x41", b"\x22\x21", b"\x22\x22")
TABLE = (*ITEMS, 101)


def _read(array: Any) -> np.ndarray[Any, Any] | None:
    return None if array is None else np.asarray(array)


OPENERS: dict[str, Callable[..., Any]] = {
    "read_header": mrcarray.read_header,
    "open_file": reader.open_file,
    "header_only": lambda path, **options: reader.open_file(path, header_only=True, **options),
    "open_array": lambda path, **options: _read(mrcarray.open_array(path, **options)),
    "open_dataset": lambda path, **options: mrcarray.open_dataset(path, **options).load(),
    "open_dataarray": lambda path, **options: _read(mrcarray.open_dataarray(path, **options)),
    "from_mrc": lambda path, **options: _read(mrcarray.from_mrc(path, **options)),
}
GIVES_ARRAYS = ("open_array", "open_dataarray", "from_mrc")


def _mutated(rng: random.Random, mode: int, byteorder: str) -> bytes:
    """Return a small file with one to four random header words, or another length."""
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


def _readings(raw: bytes) -> list[np.ndarray[Any, Any]]:
    """Return all flat pixels that a strict reader may read from a file, by `struct` and the specification alone.

    In the byte order of a valid stamp, else in both: dimensions above 0, a mode of the table, an extended header of 0
    bytes or more, volumes of equal depth in a stack, and enough bytes after the extended header (or exactly enough
    without one, for files that lost their extended header). All dimensions may be 0. Bytes are signed, unsigned, or two
    pixels, by IMOD's flags.
    """
    if len(raw) < 1024 or raw[212:214] in VAX:
        return []
    return [pixels for order in STAMPS.get(raw[212:214], "<>") for pixels in _in_order(raw, order)]


def _in_order(raw: bytes, order: str) -> list[np.ndarray[Any, Any]]:
    nx, ny, nz, mode = struct.unpack_from(order + "4i", raw, 0)
    (mz,) = struct.unpack_from(order + "i", raw, 36)
    ispg, nsymbt = struct.unpack_from(order + "2i", raw, 88)
    if mode not in TABLE or nsymbt < 0:
        return []
    if nx == ny == nz == 0:
        return _decoded(b"", mode, order, 1)
    if min(nx, ny, nz) <= 0 or (401 <= ispg <= 630 and (mz <= 0 or nz % mz)):
        return []
    modes = (mode, 1) if mode == 5 else (mode,)  # mode 5 is bytes to some programs and 16-bit integers to others
    return [pixels for one in modes for pixels in _located(raw, one, order, nsymbt, (nx, ny, nz))]


def _located(
    raw: bytes, mode: int, order: str, nsymbt: int, lengths: tuple[int, int, int]
) -> list[np.ndarray[Any, Any]]:
    nx, ny, nz = lengths
    size = _row_nbytes(nx, mode) * ny * nz
    start = 1024 if len(raw) == 1024 + size else 1024 + nsymbt
    return _decoded(raw[start : start + size], mode, order, nx) if start + size <= len(raw) else []


def _row_nbytes(nx: int, mode: int) -> int:
    return (nx + 1) // 2 if mode == 101 else nx * np.dtype(ITEMS[mode]).itemsize * {3: 2, 16: 3}.get(mode, 1)


def _decoded(data: bytes, mode: int, order: str, nx: int) -> list[np.ndarray[Any, Any]]:
    """Return the pixels of a data block, in every way in which its mode may be read."""
    if mode in (0, 101):
        nibbles = np.array([half for byte in data for half in (byte & 15, byte >> 4)], dtype=np.uint8)
        if mode == 101:
            return [nibbles.reshape(-1, nx + nx % 2)[:, :nx].reshape(-1)]
        return [np.frombuffer(data, "i1"), np.frombuffer(data, "u1"), nibbles]
    code = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "f2": "e", "f4": "f", "c8": "f"}
    letter = code[ITEMS[mode]]
    numbers = struct.unpack(f"{order}{len(data) // struct.calcsize(letter)}{letter}", data)
    if mode in (3, 4):
        return [np.array(numbers, dtype=np.float32).view(np.complex64)]
    return [np.array(numbers, dtype=ITEMS[mode])]


def _agrees(got: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> bool:
    same_nan = got.dtype.kind in "fc"
    return got.dtype == expected.dtype and np.array_equal(got.reshape(-1), expected, equal_nan=same_nan)


def _is_plain(raw: bytes) -> bool:
    """Return whether a file follows the specification in every word that locates its pixels."""
    if raw[208:212] != b"MAP " or raw[212:214] not in STAMPS:
        return False
    order = STAMPS[raw[212:214]]
    nx, ny, nz, mode = struct.unpack_from(order + "4i", raw, 0)
    (nsymbt,) = struct.unpack_from(order + "i", raw, 92)
    return min(nx, ny, nz) > 0 and mode in MODES and len(raw) == 1024 + nsymbt + _row_nbytes(nx, mode) * ny * nz


def _tried(name: str, path: Path, *, permissive: bool) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mrcarray.MrcWarning)
        try:
            return OPENERS[name](path, permissive=permissive)
        except (MrcError, OSError) as error:
            return error


@pytest.mark.timeout(120)
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("mode", MODES)
def test_any_header_gives_data_or_an_mrc_error(tmp_path: Path, mode: int, byteorder: str) -> None:
    rng = random.Random(mode * 2 + (byteorder == ">"))
    path = tmp_path / "fuzzed.mrc"
    for name in OPENERS:  # so that what is imported or cached once is not counted as growth
        path.write_bytes(mrc_bytes(sample((2, 3, 4), mode), mode, byteorder))
        _tried(name, path, permissive=True)
    before = peak_memory()
    for _ in range(ROUNDS):
        raw = _mutated(rng, mode, byteorder)
        path.write_bytes(raw)
        for name in OPENERS:
            _check_strict(name, path, raw)
            _check_permissive(name, path, raw)
    assert peak_memory() - before <= 16 << 20


def _check_strict(name: str, path: Path, raw: bytes) -> None:
    got = _tried(name, path, permissive=False)
    if isinstance(got, MrcFormatError):
        assert "fuzzed.mrc" in str(got), raw[:256]
        assert got.issues, raw[:256]
    if name not in GIVES_ARRAYS:
        return
    readings = _readings(raw)
    if isinstance(got, np.ndarray):
        assert any(_agrees(got, expected) for expected in readings), (got, readings, raw[:256])
    else:
        assert not (readings and _is_plain(raw)), (got, raw[:256])


def _check_permissive(name: str, path: Path, raw: bytes) -> None:
    got = _tried(name, path, permissive=True)
    if len(raw) >= 1024:
        assert not isinstance(got, Exception), (got, raw[:256])
        assert name not in GIVES_ARRAYS or got is None or isinstance(got, np.ndarray)
    if name == "open_file" and not isinstance(got, Exception):
        assert got.header.raw == raw[:1024]
        assert got.layout is None or got.layout.stop <= len(raw)


@pytest.mark.parametrize("mode", MODES)
def test_strict_reading_needs_all_bytes(tmp_path: Path, mode: int) -> None:
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
def test_noise_raises_an_mrc_error(tmp_path: Path, name: str, noise: bytes) -> None:
    path = tmp_path / "fuzzed.mrc"
    path.write_bytes(noise)
    got = _tried(name, path, permissive=False)
    assert not isinstance(got, np.ndarray) or got.size == 0
    _tried(name, path, permissive=True)


LIES: dict[str, dict[str, Any]] = {
    "dimensions": {"nx": 2**31 - 1, "ny": 2**31 - 1, "nz": 2**31 - 1},
    "one dimension": {"nz": 2**31 - 1},
    "extended header": {"nsymbt": 2**31 - 1},
    "both": {"nx": 2**20, "ny": 2**20, "nsymbt": 2**31 - 1},
    "volumes": {"nz": 2**31 - 2, "ispg": 401, "m": (4, 3, 1)},
    "records": {"nsymbt": 2**31 - 1, "exttyp": b"FEI1"},
    "SerialEM records": {"nsymbt": 2**31 - 1, "exttyp": b"SERI", "extra2": bytes(16) + struct.pack("<2h", 32767, 63)},
    "labels": {"nlabl": 2**31 - 1},
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("permissive", [False, True])
@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("name", OPENERS)
def test_memory_is_bounded_by_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, lie: str, permissive: bool
) -> None:
    path = tmp_path / "fuzzed.mrc"
    path.write_bytes(header_bytes(**LIES[lie]) + bytes(5000))
    _tried(name, path, permissive=permissive)  # what is imported or cached once does not count
    ranges = watch_reads(monkeypatch)
    tracemalloc.start()
    try:
        got = _tried(name, path, permissive=permissive)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert not isinstance(got, OSError)
    assert peak <= 1 << 20, "bytes, for a file of 6 KiB"
    assert len(ranges) <= 8, "a refusal is one look at the header"
    assert max(stop for _, stop in ranges) <= 1024 + 5000 or isinstance(got, MrcError)
