"""Detect and decode an extended header: by its declared type if the bytes are consistent with it, else by the bytes.

Without a consistent type, the first dialect of the table that recognises the block is used; a wrong type gives a
warning, a blank one a note.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.format.extended.blocks import RAW
from mrcarray.format.extended.fei import FEI1, FEI2, in_angstrom
from mrcarray.format.extended.records import Dialect, RecordFacts, Records
from mrcarray.format.extended.table import DIALECTS
from mrcarray.format.issues import Issue, Severity

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Decoded", "Detection", "decode", "detect", "is_blank"]


@dataclass(frozen=True, slots=True)
class Detection:
    """The dialect of an extended header, with corrected facts.

    Parameters
    ----------
    dialect : Dialect or None
        None without an extended header.
    facts : RecordFacts
        The facts, with known errors of writers corrected.
    issues : tuple of Issue
        What was not read literally.
    """

    dialect: Dialect | None
    facts: RecordFacts
    issues: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A decoded extended header.

    Parameters
    ----------
    dialect : Dialect or None
        None without an extended header.
    records : Records or None
        The records, for a dialect that has them.
    data : bytes
        The whole block.
    issues : tuple of Issue
        What was not read literally.
    """

    dialect: Dialect | None
    records: Records | None
    data: bytes
    issues: tuple[Issue, ...] = ()

    def encode(self) -> bytes:
        """Return the bytes of the block."""
        return self.records.encode() if self.records is not None else self.data


def detect(data: bytes, facts: RecordFacts) -> Detection:
    """Return the dialect of an extended header.

    Parameters
    ----------
    data : bytes
        The extended header.
    facts : RecordFacts
        Facts from the main header.

    Examples
    --------
    >>> detect(bytes([44, 1, 0, 0]), RecordFacts(nz=2, nint=2, nreal=1)).dialect.name
    'SERI'
    >>> detect(b"", RecordFacts()).dialect is None
    True
    """
    if not data:
        return Detection(None, facts)
    declared = DIALECTS.get(facts.declared)
    if declared is not None and declared.accepts(data, facts):
        return _found(declared, data, facts, ())
    reasons = ((dialect, dialect.recognises(data, facts)) for dialect in DIALECTS.values())
    dialect, reason = next(
        (dialect, reason) for dialect, reason in reasons if reason
    )  # the last dialect accepts all bytes
    return _found(dialect, data, facts, _why(dialect, data, facts, reason))


def is_blank(data: bytes) -> bool:
    """Return whether a block is all zero bytes, so that no record was written to it.

    Examples
    --------
    >>> is_blank(bytes(1024)), is_blank(bytes(8) + b"x")
    (True, False)
    """
    return data.count(0) == len(data)


def _blank(data: bytes, name: str) -> Issue:
    """Return the note that a block was reserved for records of a type and contains none."""
    message = f"the extended header ({len(data)} bytes) is all zero bytes: {name} records were never written"
    return Issue("MRC412", Severity.NOTE, message, word=24)


def _why(dialect: Dialect, data: bytes, facts: RecordFacts, reason: str) -> tuple[Issue, ...]:
    """Return the issue that explains why the declared type did not decide."""
    if dialect is RAW and facts.declared and is_blank(data):  # reserved space does not contradict the type
        return (_blank(data, facts.declared),)
    if dialect is RAW and facts.declared in ("", "MRCO"):
        message = (
            f"the layout of the extended header (type {facts.declared or 'blank'}) is unknown; it is kept as bytes"
        )
        return (Issue("MRC404", Severity.NOTE, message, word=27),)
    if facts.declared:
        verdict = (
            "it matches no known type and is kept as bytes"
            if dialect is RAW
            else f"read as {dialect.name}, because {reason}"
        )
        message = f"word 27 (exttyp) is {facts.declared!r}, but the extended header is not: {verdict}"
        return (Issue("MRC401", Severity.WARNING, message, 27, facts.declared, dialect.name),)
    message = f"word 27 (exttyp) is blank; the extended header is read as {dialect.name}, because {reason}"
    return (Issue("MRC402", Severity.NOTE, message, 27, "", dialect.name),)


def _found(dialect: Dialect, data: bytes, facts: RecordFacts, issues: tuple[Issue, ...]) -> Detection:
    """Return the detection, with an issue for each corrected fact."""
    true = dialect.effective(data, facts)
    if true.byteorder != facts.byteorder:
        message = (
            f"the {dialect.name} records are {_endian(true)}, the header is {_endian(facts)}; both are read correctly"
        )
        issues += (Issue("MRC410", Severity.WARNING, message),)
    if true.nint != facts.nint and facts.nint == 128:  # noqa: PLR2004 - the known wrong count
        message = "word 33 is nint = 128 and nreal = 32, a known error of a writer; nint is read as 0"
        issues += (Issue("MRC406", Severity.NOTE, message, 33, "128", "0"),)
    if dialect.name in ("HDF5", "json"):
        message = f"the extended header is an embedded {dialect.name} document; it is kept as bytes"
        issues += (Issue("MRC405", Severity.NOTE, message),)
    return Detection(dialect, true, issues)


def _endian(facts: RecordFacts) -> str:
    """Return the byte order in words."""
    return "little-endian" if facts.byteorder == "<" else "big-endian"


def decode(data: bytes, facts: RecordFacts) -> Decoded:
    """Decode an extended header to records, one for each section that has one.

    Parameters
    ----------
    data : bytes
        The extended header.
    facts : RecordFacts
        Facts from the main header.

    Examples
    --------
    >>> found = decode(bytes([44, 1, 212, 254]), RecordFacts(nz=2, exttyp=b"SERI", nint=2, nreal=1))
    >>> found.records.common("tilt_angle").values
    array([ 3., -3.])
    >>> found.encode() == bytes([44, 1, 212, 254])
    True
    """
    detection = detect(data, facts)
    dialect, facts, issues = detection.dialect, detection.facts, detection.issues
    if dialect is None or not dialect.has_records:
        return Decoded(dialect, None, data, issues)
    if is_blank(data):
        return Decoded(dialect, None, data, (*issues, _blank(data, dialect.name)))
    dtype = dialect.dtype(facts)
    count = max(0, min(facts.nz, len(data) // dtype.itemsize))
    array = _filled(np.frombuffer(data, dtype=dtype, count=count))
    records = Records(dialect, facts, array, data[array.nbytes :])
    return Decoded(dialect, records, data, issues + _remarks(records))


def _filled(array: NDArray[Any]) -> NDArray[Any]:
    """Return the records before the first with a wrong length; those after it cannot be located."""
    if not array.size or "Metadata size" not in (array.dtype.names or ()):
        return array
    wrong = np.flatnonzero(array["Metadata size"] != array.dtype.itemsize)
    return array[: wrong[0]] if wrong.size else array


def _remarks(records: Records) -> tuple[Issue, ...]:
    """Return the issues of decoded records."""
    name, found, nz = records.dialect.name, len(records), records.facts.nz
    issues = []
    if found < nz:
        message = (
            f"the {name} extended header has {found} records for {nz} sections; the other sections have no metadata"
        )
        issues.append(Issue("MRC403", Severity.WARNING, message, 24, str(found), str(nz)))
    spare = len(records.reserved) // records.array.dtype.itemsize
    if spare and records.dialect.slots and found == nz and records.dialect.name != "SERI":
        message = (
            f"the {name} extended header reserves {found + spare} records; {spare} after the last section are unused"
        )
        issues.append(Issue("MRC407", Severity.NOTE, message))
    if records.undeclared:
        message = f"the {name} records declare no field set (all bitmasks are 0); the values are used"
        issues.append(Issue("MRC413", Severity.NOTE, message))
    if records.dialect in (FEI1, FEI2) and np.any(records.dialect.adjust(records, records.field("Alpha tilt")) != 1):
        message = f"this application version stored angles in the wrong unit; they are multiplied by {np.pi / 180:.7f}"
        issues.append(Issue("MRC408", Severity.NOTE, message))
    if "Pixel size" in (records.array.dtype.names or ()) and np.any(in_angstrom(records.array["Pixel size"])):
        message = "the pixel size of the records is above 0.05, so in ångström; other programs write metres"
        issues.append(Issue("MRC409", Severity.NOTE, message))
    return tuple(issues)
