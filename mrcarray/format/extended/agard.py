"""AGAR and MRCO: integers and then floats for each section; word 33 has their numbers, nint and nreal.

UCSF programs and MotionCor3 write AGAR. The first float is the tilt angle; 14 or more floats begin with those of FEI's
old block. A gain reference may follow the records. MRCO ("MRC format") has no published layout, so its numbers have
neutral names.
"""

from __future__ import annotations

import functools

from mrcarray.format.extended.fei import FLOAT_FIELDS, shifting_units
from mrcarray.format.extended.records import Dialect, Field, RecordFacts

__all__ = ["AGAR", "MRCO"]

_TILT = Field("Float 0", "f4", "degree", "tilt angle, by IMOD's convention", "tilt_angle")


@functools.lru_cache(maxsize=8)
def _integers(count: int) -> tuple[Field, ...]:
    """Return `count` integer fields without a meaning."""
    return tuple(
        Field(f"Integer {index}", "i4", meaning="integer without a published meaning") for index in range(count)
    )


@functools.lru_cache(maxsize=8)
def _floats(start: int, stop: int) -> tuple[Field, ...]:
    """Return float fields without a meaning."""
    return tuple(
        Field(f"Float {index}", "f4", meaning="float without a published meaning") for index in range(start, stop)
    )


def _agar_fields(facts: RecordFacts) -> tuple[Field, ...]:
    """Return the fields of an AGAR record."""
    return _agar(facts.nint, facts.nreal)


@functools.lru_cache(maxsize=8)
def _agar(nint: int, nreal: int) -> tuple[Field, ...]:
    """Return the fields of a record of `nint` integers and `nreal` floats."""
    known = FLOAT_FIELDS if nreal >= len(FLOAT_FIELDS) else (_TILT,)[:nreal]
    return _integers(nint) + known + _floats(len(known), nreal)


def _mrco_fields(facts: RecordFacts) -> tuple[Field, ...]:
    """Return the fields of an MRCO record."""
    return _integers(facts.nint) + _floats(0, facts.nreal)


def _counts_fit(data: bytes, facts: RecordFacts) -> str:
    """Return the evidence that records of these counts fit the block; there is no other evidence."""
    known_error = (facts.nint, facts.nreal) == (128, 32) and len(data) == 1024 * 128
    size = 4 * (facts.nint + facts.nreal)
    if min(facts.nint, facts.nreal) < 0 or size <= 0 or size * facts.nz > len(data) or known_error:
        return ""
    return f"{facts.nint} integers and {facts.nreal} floats for each of {facts.nz} sections fit the block"


def _counts_fit_untyped(data: bytes, facts: RecordFacts) -> str:
    """Return the same for a block without a type, unless the file is from a light microscope."""
    return "" if facts.deltavision else _counts_fit(data, facts)


def _never(_data: bytes, _facts: RecordFacts) -> str:
    """Return no evidence: this dialect cannot be recognised without its type."""
    return ""


AGAR = Dialect(
    "AGAR",
    b"AGAR",
    "UCSF programs and MotionCor3: integers and floats for each section",
    _counts_fit,
    _counts_fit_untyped,
    _agar_fields,
    adjust=shifting_units,
)

MRCO = Dialect(
    "MRCO",
    b"MRCO",
    "older MRC programs: integers and floats for each section, without a published layout",
    _counts_fit,
    _never,
    _mrco_fields,
)
