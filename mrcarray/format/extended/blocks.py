"""Extended headers without records: CCP4 symmetry text, embedded HDF5 or JSON, unknown bytes.

CCP4 blocks are lines of 80 characters with symmetry operators. HDF5 and JSON blocks are identified, not decoded.
"""

from __future__ import annotations

from mrcarray.format.extended.records import Dialect, RecordFacts

__all__ = ["CCP4", "HDF5", "JSON", "RAW", "operators"]

_LINE = 80
_SIGNATURE = b"\x89HDF"


def operators(data: bytes) -> tuple[str, ...]:
    """Return the symmetry operators of a CCP4 block, in order; several may share a line, separated by ``*``.

    Examples
    --------
    >>> operators(b"X,  Y,  Z".ljust(80) + b"-X,  Y+1/2,  -Z".ljust(80))
    ('X,  Y,  Z', '-X,  Y+1/2,  -Z')
    """
    lines = (data[start : start + _LINE] for start in range(0, len(data), _LINE))
    parts = (part.strip(b" \0") for line in lines for part in line.split(b"*"))
    return tuple(part.decode("ascii", "backslashreplace") for part in parts if part)


def _printable(data: bytes) -> bool:
    """Whether the block is ASCII text that is not blank."""
    return bool(data.strip(b"\0 ")) and all(32 <= byte < 127 or byte in b"\0\t\r\n" for byte in data)  # noqa: PLR2004


def _is_text(data: bytes, _facts: RecordFacts) -> str:
    """Return the evidence that the block is text, else an empty string."""
    return "it is printable text" if _printable(data) else ""


def _is_operators(data: bytes, _facts: RecordFacts) -> str:
    """Return the evidence that the block is lines of 80 characters that look like operators."""
    if len(data) % _LINE or not _printable(data):
        return ""
    looks = all(set(line.upper()) & set("XYZ") and "," in line for line in operators(data))
    return "it is lines of 80 characters with symmetry operators" if looks else ""


def _is_hdf5(data: bytes, _facts: RecordFacts) -> str:
    """Return the evidence that the block begins with the HDF5 signature."""
    return "it begins with the HDF5 signature" if data.startswith(_SIGNATURE) else ""


def _is_json(data: bytes, _facts: RecordFacts) -> str:
    """Return the evidence that the block begins and ends like JSON."""
    text = data.strip(b"\0 \t\r\n")
    whole = text[:1] + text[-1:] in (b"{}", b"[]")
    return "it begins and ends with the brackets of JSON" if whole else ""


def _always(_data: bytes, _facts: RecordFacts) -> str:
    """Accept any bytes; the last dialect of the table."""
    return "nothing known matches it"


CCP4 = Dialect("CCP4", b"CCP4", "crystallography: symmetry operators, lines of 80 characters", _is_text, _is_operators)
HDF5 = Dialect("HDF5", b"HDF5", "an embedded HDF5 file, not decoded", _is_hdf5, _is_hdf5)
JSON = Dialect("json", b"json", "MRCZ: JSON text, not decoded", _is_json, _is_json)
RAW = Dialect("unknown", b"", "bytes of no known layout", _always, _always)
