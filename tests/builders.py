"""MRC bytes made with `struct` alone: an oracle that shares no code with the package."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

#: (name, byte offset, struct code) of every header field, transcribed from the MRC2014 page.
FIELDS: tuple[tuple[str, int, str], ...] = (
    ("nx", 0, "i"),
    ("ny", 4, "i"),
    ("nz", 8, "i"),
    ("mode", 12, "i"),
    ("nstart", 16, "3i"),
    ("m", 28, "3i"),
    ("cella", 40, "3f"),
    ("cellb", 52, "3f"),
    ("mapcrs", 64, "3i"),
    ("dmin", 76, "f"),
    ("dmax", 80, "f"),
    ("dmean", 84, "f"),
    ("ispg", 88, "i"),
    ("nsymbt", 92, "i"),
    ("extra1", 96, "8s"),
    ("exttyp", 104, "4s"),
    ("nversion", 108, "i"),
    ("extra2", 112, "84s"),
    ("origin", 196, "3f"),
    ("map", 208, "4s"),
    ("machst", 212, "4s"),
    ("rms", 216, "f"),
    ("nlabl", 220, "i"),
    ("labels", 224, "800s"),
)

#: mode -> (struct/numpy item without order, items per pixel); 101 is handled by hand.
ITEMS = {0: "i1", 1: "i2", 2: "f4", 3: "i2", 4: "c8", 5: "u1", 6: "u2", 7: "i4", 8: "u4", 12: "f2", 16: "u1", 17: "i1"}


def header_bytes(byteorder: str = "<", **values: Any) -> bytes:
    """Return 1024 header bytes; unnamed fields hold what a well-formed 2x3x4 float map would."""
    fields: dict[str, Any] = {
        "nx": 4,
        "ny": 3,
        "nz": 2,
        "mode": 2,
        "nstart": (0, 0, 0),
        "cellb": (90.0, 90.0, 90.0),
        "mapcrs": (1, 2, 3),
        "dmin": 0.0,
        "dmax": -1.0,
        "dmean": -2.0,
        "ispg": 1,
        "nsymbt": 0,
        "extra1": b"",
        "exttyp": b"",
        "nversion": 20141,
        "extra2": b"",
        "origin": (0.0, 0.0, 0.0),
        "map": b"MAP ",
        "machst": b"\x44\x44\0\0" if byteorder == "<" else b"\x11\x11\0\0",
        "rms": -1.0,
        "nlabl": 0,
        "labels": b"",
    }
    fields.update(values)
    fields.setdefault("m", (fields["nx"], fields["ny"], 1 if fields["ispg"] == 0 else fields["nz"]))
    fields.setdefault("cella", tuple(2.0 * n for n in fields["m"]))
    raw = bytearray(1024)
    for name, offset, code in FIELDS:
        value = fields.pop(name)
        items = value if isinstance(value, tuple | list) else (value,)
        struct.pack_into(byteorder + code, raw, offset, *items)
    assert not fields, f"unknown header fields {sorted(fields)}"
    return bytes(raw)


def data_bytes(values: np.ndarray[Any, Any], mode: int, byteorder: str = "<") -> bytes:
    """Return `values` (..., row, column) as the data block of `mode`."""
    if mode == 101:
        return nibble_bytes(values)
    item = np.dtype(ITEMS[mode]).newbyteorder("<" if byteorder == "<" else ">")
    if mode == 3:
        values = np.stack([values.real, values.imag], axis=-1)
    return np.ascontiguousarray(values).astype(item).tobytes()


def nibble_bytes(values: np.ndarray[Any, Any]) -> bytes:
    """Return 4-bit pixels two in a byte, first in the low nibble, each row padded to a byte."""
    out = bytearray()
    for row in values.reshape(-1, values.shape[-1]):
        pixels = [int(v) for v in row] + [0] * (len(row) % 2)
        out += bytes(low | high << 4 for low, high in zip(pixels[::2], pixels[1::2], strict=True))
    return bytes(out)


def sample(shape: tuple[int, ...], mode: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """Return random pixels of `shape` in the memory dtype of `mode`."""
    rng = np.random.default_rng(seed)
    if mode in (2, 12):
        return rng.normal(size=shape).astype(ITEMS[mode])
    if mode == 4:
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)
    if mode == 3:
        parts = rng.integers(-32768, 32767, size=(2, *shape))
        pairs: np.ndarray[Any, Any] = parts[0] + 1j * parts[1]
        return pairs.astype(np.complex64)
    if mode == 101:
        return rng.integers(0, 16, size=shape, dtype=np.uint8)
    if mode == 16:
        shape = (*shape, 3)
    info = np.iinfo(ITEMS[mode])
    return rng.integers(info.min, info.max, size=shape, dtype=ITEMS[mode], endpoint=True)


def mrc_bytes(
    values: np.ndarray[Any, Any], mode: int = 2, byteorder: str = "<", extended: bytes = b"", **fields: Any
) -> bytes:
    """Return a whole file holding `values`; the kind follows from the number of axes unless `fields` say otherwise.

    2 axes: an image (ispg 0); 3: a volume (ispg 1); 4: a volume stack (ispg 401). RGB values bring one axis more.
    """
    grid = values.shape[:-1] if mode == 16 else values.shape
    if len(grid) == 2:
        fields = {"ispg": 0, **fields}
        sections = 1
    else:
        sections = int(np.prod(grid[:-2]))
    if len(grid) == 4:
        fields = {"ispg": 401, "m": (grid[-1], grid[-2], grid[-3]), **fields}
    fields = {"nx": grid[-1], "ny": grid[-2], "nz": sections, "mode": mode, "nsymbt": len(extended), **fields}
    return header_bytes(byteorder, **fields) + extended + data_bytes(values, mode, byteorder)
