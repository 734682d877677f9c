"""How the extended headers of two files differ: in bytes, and, where both are made of records, in values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mrcarray.format.extended import Decoded, Records
    from mrcarray.reader import Mrc

__all__ = ["ColumnDifference", "ExtendedDifference", "extended_difference"]

PIECE = 8 << 20
"""Bytes compared at a time."""


@dataclass(frozen=True, slots=True)
class ColumnDifference:
    """One field of the records that differs.

    Parameters
    ----------
    unit : str
        Unit of the values.
    sections : tuple of int
        Records that differ, counted from 0.
    a, b : tuple
        Their values in the two files, None where a file states none.
    """

    unit: str
    sections: tuple[int, ...]
    a: tuple[Any, ...]
    b: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class ExtendedDifference:
    """How two extended headers differ.

    Parameters
    ----------
    nbytes : tuple of int
        Their sizes.
    dialects : tuple
        What they are; None where there is none.
    differ : int
        Bytes that differ, as far as both have some.
    records : tuple of int
        How many records they have.
    columns : dict
        By name, the fields that differ in the records both have.
    """

    nbytes: tuple[int, int]
    dialects: tuple[str | None, str | None]
    differ: int
    records: tuple[int, int] = (0, 0)
    columns: dict[str, ColumnDifference] = field(default_factory=dict, hash=False)


def extended_difference(one: Mrc, two: Mrc) -> ExtendedDifference | None:
    """Return how two extended headers differ, or None when they do not.

    Bytes decide, but for records in two byte orders, whose values do.
    """
    sizes = (_size(one), _size(two))
    differ = _bytes(one, two, min(sizes))
    if sizes[0] == sizes[1] and not differ:
        return None
    a, b = one.decoded, two.decoded
    columns = _columns(a.records, b.records) if a.records is not None and b.records is not None else {}
    if not columns and sizes[0] == sizes[1] and _in_two_orders(a.records, b.records):
        return None
    names = tuple(found.dialect.name if found.dialect is not None else None for found in (a, b))
    return ExtendedDifference(sizes, (names[0], names[1]), differ, (_count(a), _count(b)), columns)


def _size(mrc: Mrc) -> int:
    return mrc.extended_range[1] - mrc.extended_range[0]


def _count(found: Decoded) -> int:
    return len(found.records) if found.records is not None else 0


def _bytes(one: Mrc, two: Mrc, size: int) -> int:
    """Return how many of the first bytes differ."""
    import numpy as np

    count, (a, b) = 0, (one.extended_range[0], two.extended_range[0])
    for start in range(0, size, PIECE):
        stop = min(start + PIECE, size)
        x, y = (np.frombuffer(mrc.source.read(at + start, at + stop), np.uint8) for mrc, at in ((one, a), (two, b)))
        count += int(np.count_nonzero(x[: y.size] != y[: x.size]))
    return count


def _in_two_orders(a: Records | None, b: Records | None) -> bool:
    """Whether both are records of one dialect, as many, in different byte orders."""
    if a is None or b is None or a.dialect is not b.dialect or len(a) != len(b):
        return False
    return a.facts.byteorder != b.facts.byteorder


def _columns(a: Records, b: Records) -> dict[str, ColumnDifference]:
    """Return the fields whose values differ in the records both have; a field one has not states nothing there.

    Own names of two dialects mean different things.
    """
    from mrcarray.format.extended import plain, stated
    from mrcarray.format.quantities import COMMON

    shared, columns = min(len(a), len(b)), (stated(a), stated(b))
    out = {}
    for name in (name for name in {**columns[0], **columns[1]} if a.dialect is b.dialect or name in COMMON):
        x, y = (plain(found[name].values)[:shared] if name in found else [None] * shared for found in columns)
        sections = tuple(i for i in range(shared) if x[i] != y[i])
        if sections:
            unit = (columns[0].get(name) or columns[1][name]).unit
            out[name] = ColumnDifference(unit, sections, *(tuple(v[i] for i in sections) for v in (x, y)))
    return out
