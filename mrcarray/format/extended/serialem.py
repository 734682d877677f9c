"""SerialEM (SERI): a few 16-bit integers for each section, selected by bit flags.

Byte 130 of the main header (nreal) has the flags, byte 128 (nint) the number of bytes for each section. The items are
in the order of their bits. To add an item, add a row.
"""

from __future__ import annotations

from typing import NamedTuple

from mrcarray.format.extended.codecs import Codec
from mrcarray.format.extended.records import Dialect, Field, RecordFacts

__all__ = ["FLAGS", "SERI", "record_size"]


class _Flag(NamedTuple):
    """One bit, and the fields it announces."""

    value: int
    fields: tuple[Field, ...]

    @property
    def size(self) -> int:
        """Bytes of the item."""
        return sum(field.dtype("<").itemsize for field in self.fields)


def _reserved(bit: int, shorts: int) -> _Flag:
    """Return a flag with an item of known size and without a published meaning."""
    return _Flag(bit, (Field(f"Reserved {bit}", f"i{2 * shorts}", meaning="reserved"),))


#: All flags; piece coordinates are unsigned, since large montages exceed 32767.
FLAGS: tuple[_Flag, ...] = (
    _Flag(1, (Field("Tilt angle", "i2", "degree", "tilt of the stage", "tilt_angle", scale=0.01),)),
    _Flag(
        2,
        (
            Field("Piece X", "u2", "pixel", "montage piece coordinate x", "piece_x"),
            Field("Piece Y", "u2", "pixel", "montage piece coordinate y", "piece_y"),
            Field("Piece Z", "u2", "", "montage section number", "piece_z"),
        ),
    ),
    _Flag(
        4,
        (
            Field("Stage X", "i2", "micrometer", "stage position x", "stage_x", scale=0.04),
            Field("Stage Y", "i2", "micrometer", "stage position y", "stage_y", scale=0.04),
        ),
    ),
    _Flag(8, (Field("Magnification", "i2", "", "nominal magnification", "magnification", scale=100.0),)),
    _Flag(16, (Field("Intensity", "i2", "", "condenser (C2) setting, as a fraction", "intensity", scale=4e-5),)),
    _Flag(
        32,
        (
            Field(
                "Exposure dose",
                "2i2",
                "1/angstrom^2",
                "electron dose",
                "exposure_dose",
                codec=Codec.ODD_FLOAT,
            ),
        ),
    ),
    _reserved(64, 1),
    _reserved(128, 2),
    _reserved(256, 1),
    _reserved(512, 2),
    _reserved(1024, 1),
)


def record_size(flags: int) -> int:
    """Return the bytes of a record with these flags.

    Examples
    --------
    >>> record_size(61), record_size(63)
    (14, 20)
    """
    return sum(flag.size for flag in FLAGS if flags & flag.value)


def _fields(facts: RecordFacts) -> tuple[Field, ...]:
    """Return the fields the flags announce, in the order of their bits."""
    return tuple(field for flag in FLAGS if facts.nreal & flag.value for field in flag.fields)


def _flags_add_up(_data: bytes, facts: RecordFacts) -> str:
    """Return the evidence that nint is the size the flags announce, which is IMOD's test."""
    limit = 2 * FLAGS[-1].value
    if not (facts.nint > 0 and 0 < facts.nreal < limit and record_size(facts.nreal) == facts.nint):
        return ""
    return f"flags {facts.nreal} announce {facts.nint} bytes for each section, as the header says"


def _flags_fit(data: bytes, facts: RecordFacts) -> str:
    """Return the same if the records of all sections fit the block as well."""
    return _flags_add_up(data, facts) if facts.nint * facts.nz <= len(data) else ""


SERI = Dialect(
    "SERI",
    b"SERI",
    "SerialEM: items of 16-bit integers for each section",
    _flags_add_up,
    _flags_fit,
    _fields,
    slots=True,
    granule=1024,
    open_ended=True,
)
