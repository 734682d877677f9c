"""Compare the extended headers of two files: their bytes and, where both contain records, their values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mrcarray.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mrcarray.format.extended import Decoded, Records
    from mrcarray.reader import Mrc

__all__ = ["ColumnDifference", "ExtendedDifference", "extended_difference"]

STEP = 8 << 20
"""Bytes compared at a time."""


@dataclass(frozen=True, slots=True)
class ColumnDifference:
    """One field of the records that differs.

    Parameters
    ----------
    unit : str
        Unit of the values.
    sections : tuple of int
        Numbers of the records that differ, from 0.
    a, b : tuple
        Their values in the two files; None where a file declares no value.
    """

    unit: str
    sections: tuple[int, ...]
    a: tuple[Any, ...]
    b: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class ExtendedDifference:
    """The differences of two extended headers.

    Parameters
    ----------
    nbytes : tuple of int
        Their sizes.
    dialects : tuple
        Names of their dialects; None without an extended header.
    differ : int
        Number of bytes that differ in the part that both have.
    records : tuple of int
        Their numbers of records.
    columns : dict
        The fields that differ in the records that both have, by name.
    """

    nbytes: tuple[int, int]
    dialects: tuple[str | None, str | None]
    differ: int
    records: tuple[int, int] = (0, 0)
    columns: dict[str, ColumnDifference] = field(default_factory=dict, hash=False)

    def lines(self) -> Iterator[str]:
        """Yield a line for each difference."""
        if self.nbytes[0] != self.nbytes[1] or self.dialects[0] != self.dialects[1]:
            sizes = zip(self.dialects, self.nbytes, strict=True)
            both = (f"{name}, {size} bytes" if name is not None else "none" for name, size in sizes)
            yield f"extended header: {' | '.join(both)}"
        if self.differ:
            yield f"extended header: {self.differ} of {min(self.nbytes)} bytes differ"
        if self.records[0] != self.records[1]:
            yield f"extended records: {self.records[0]} | {self.records[1]}"
        for name, column in self.columns.items():
            unit = f" [{column.unit}]" if column.unit else ""
            more = f" and {len(column.sections) - 1} more" if len(column.sections) > 1 else ""
            values = " | ".join("none" if value is None else printable(value) for value in (column.a[0], column.b[0]))
            yield f"extended {name}{unit}: {values} (record {column.sections[0]}{more})"


def extended_difference(one: Mrc, two: Mrc) -> ExtendedDifference | None:
    """Return the differences of two extended headers; None if there are none.

    Bytes are compared; records in different byte orders are compared by their values.
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
    """Return how many of the first `size` bytes differ."""
    import numpy as np

    count, (a, b) = 0, (one.extended_range[0], two.extended_range[0])
    for start in range(0, size, STEP):
        stop = min(start + STEP, size)
        x, y = (np.frombuffer(mrc.source.read(at + start, at + stop), np.uint8) for mrc, at in ((one, a), (two, b)))
        count += int(np.count_nonzero(x[: y.size] != y[: x.size]))
    return count


def _in_two_orders(a: Records | None, b: Records | None) -> bool:
    """Return whether both contain the same number of records of one dialect, in different byte orders."""
    if a is None or b is None or a.dialect is not b.dialect or len(a) != len(b):
        return False
    return a.facts.byteorder != b.facts.byteorder


def _columns(a: Records, b: Records) -> dict[str, ColumnDifference]:
    """Return the fields whose values differ in the records that both have; a missing field has no values.

    Only common names are compared between two dialects, because the other names of a dialect have their own meaning.
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
