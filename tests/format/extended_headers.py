"""Extended headers for tests: those of real files, and blocks made with `struct`."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.format.extended import (
    Decoded,
    RecordFacts,
    Records,
)

if TYPE_CHECKING:
    from pathlib import Path

ORDERS = ("<", ">")


def real(folder: Path, name: str) -> tuple[bytes, RecordFacts]:
    """Return the extended header of a real file and the facts of its main header, read with `struct` alone."""
    with (folder / name).open("rb") as file:
        head = file.read(1024)
        size = struct.unpack_from("<i", head, 92)[0]
        data = file.read(size)
    nint, nreal = struct.unpack_from("<2h", head, 128)
    label = head[224:304].decode("ascii").strip("\0 ")
    return data, RecordFacts("<", struct.unpack_from("<i", head, 8)[0], head[104:108], nint, nreal, label)


def records_of(found: Decoded) -> Records:
    """Return the records, which must be there."""
    assert found.records is not None
    return found.records


def name_of(found: Decoded) -> str:
    """Return the name of the dialect, which must be there."""
    assert found.dialect is not None
    return found.dialect.name


def codes(found: Decoded) -> list[str]:
    """Return the codes of the issues."""
    return [issue.code for issue in found.issues]


def fei_record(size: int, order: str = "<", **values: tuple[int, str, Any]) -> bytearray:
    """Return an FEI record with every bit clear; `values` are (offset, struct code, value), and set no bit."""
    raw = bytearray(size)
    struct.pack_into(order + "2i", raw, 0, size, {768: 0, 888: 2}[size])
    for offset, code, value in values.values():
        struct.pack_into(order + code, raw, offset, value)
    return raw


def old_block(angles: list[float], order: Any = "<", **floats: float) -> bytes:
    """Return 1024 records of 32 floats; `floats` are named by their index, ``f7=-1e-6``."""
    block = np.zeros((1024, 32), dtype=np.dtype("f4").newbyteorder(order))
    block[: len(angles), 0] = angles
    for name, value in floats.items():
        block[: len(angles), int(name[1:])] = value
    return block.tobytes()


def serialem_tilts(count: int, order: Any = "<") -> tuple[bytes, RecordFacts]:
    """Return a SERI block of `count` tilts with two bytes each, reserved to 1024."""
    return struct.pack(f"{order}{count}h", *range(100, 100 + count)).ljust(1024, b"\0"), RecordFacts(
        order, count, b"SERI", 2, 1
    )
