"""Decide the byte order of a header: by the machine stamp, or by plausibility where the stamp is not valid.

The functions take the raw bytes, since a `Header` needs the byte order first.
"""

from __future__ import annotations

import math
import struct
from typing import NamedTuple

from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.modes import MODES, ByteOrder

__all__ = ["IMOD_STAMP", "STAMPS", "Words", "decide", "is_deltavision", "is_vax", "score", "stamp"]

IMOD_STAMP = 1146047817
_DIM = 1 << 20
_LONG = 1e7
_PERMUTATIONS = frozenset({(1, 2, 3), (1, 3, 2), (2, 1, 3), (2, 3, 1), (3, 1, 2), (3, 2, 1)})
_VAX = frozenset({b"\x22\x41", b"\x22\x21", b"\x22\x22"})
_CLEAR = 4
"""Difference of the two scores from which an inferred byte order counts as unambiguous."""

STAMPS: dict[bytes, ByteOrder] = {b"\x44\x44": "<", b"\x44\x41": "<", b"\x11\x11": ">"}
"""The first two bytes of the valid machine stamps."""


def _note(code: str, message: str, word: int, found: str = "", expected: str = "") -> Issue:
    return Issue(code, Severity.NOTE, message, word, found, expected)


_STAMP_4441 = _note(
    "MRC154", "word 54 (machine stamp) is 44 41, which CCP4 writes for little endian", 54, "44 41", "44 44"
)
_MAP_NUL = _note("MRC153", "word 53 (map) is 'MAP' and a zero byte; expected 'MAP '", 53, "MAP\\0", "MAP ")
_HAPPY: dict[tuple[bytes, bytes], tuple[Issue, ...]] = {
    (map_id, mark): notes + extra
    for map_id, notes in ((b"MAP ", ()), (b"MAP\0", (_MAP_NUL,)))
    for mark, extra in ((b"\x44\x44", ()), (b"\x11\x11", ()), (b"\x44\x41", (_STAMP_4441,)))
}


class Words(NamedTuple):
    """The header words from which a byte order can be inferred."""

    nx: int
    ny: int
    nz: int
    mode: int
    mx: int
    my: int
    mz: int
    xlen: float
    ylen: float
    zlen: float
    mapc: int
    mapr: int
    maps: int
    nsymbt: int
    nlabl: int

    @property
    def dims(self) -> tuple[int, int, int]:
        """The numbers of columns, rows and sections."""
        return self[:3]

    @property
    def mapcrs(self) -> tuple[int, int, int]:
        """The axis numbers of columns, rows and sections."""
        return self[10:13]

    @property
    def data_nbytes(self) -> int:
        """Bytes of the data block; -1 when the words are invalid."""
        if self.mode not in MODES or min(self.dims) < 0:
            return -1
        return MODES[self.mode].pixel.row_nbytes(self.nx) * self.ny * self.nz

    @property
    def plausible(self) -> bool:
        """Whether a file without a map identifier may be read in this order."""
        return (
            self.mode in MODES
            and 0 < self.nx <= _DIM
            and 0 < self.ny <= _DIM
            and self.nz > 0
            and self.nsymbt >= 0
            and (self.mapcrs in _PERMUTATIONS or not any(self.mapcrs))
        )

    def fits(self, file_size: int | None) -> bool:
        """Whether header, extended header and data fill a file of `file_size` bytes exactly."""
        return (
            file_size is not None and self.nsymbt >= 0 and HEADER_NBYTES + self.nsymbt + self.data_nbytes == file_size
        )


_CODE = "4i12x3i3f12x3i16xi124xi"
_WORDS: dict[ByteOrder, struct.Struct] = {"<": struct.Struct("<" + _CODE), ">": struct.Struct(">" + _CODE)}


def words(raw: bytes, order: ByteOrder) -> Words:
    """Decode the words from which a byte order can be inferred."""
    return Words._make(_WORDS[order].unpack_from(raw))


def stamp(order: ByteOrder) -> bytes:
    """Return the machine stamp to write.

    Examples
    --------
    >>> stamp("<").hex(" "), stamp(">").hex(" ")
    ('44 44 00 00', '11 11 00 00')
    """
    return b"\x44\x44\0\0" if order == "<" else b"\x11\x11\0\0"


def is_deltavision(raw: bytes) -> bool:
    """Whether the header is DeltaVision's: its creator number at byte 96, and no map identifier."""
    return raw[96:98] in (b"\xa0\xc0", b"\xc0\xa0") and raw[208:211] != b"MAP"


def is_vax(raw: bytes) -> bool:
    """Whether a machine stamp of a VAX is set in a header that has a map identifier, or nothing else in the word."""
    return raw[212:214] in _VAX and (raw[208:211] == b"MAP" or raw[214:216] == b"\0\0")


def score(raw: bytes, order: ByteOrder, file_size: int | None = None) -> int:
    """Return how plausible the header is in this byte order; a higher score is more plausible.

    Parameters
    ----------
    raw : bytes
        The header.
    order : {"<", ">"}
        Order to try.
    file_size : int, optional
        Size of the whole file.
    """
    w = words(raw, order)
    points = 3 * (w.mode in MODES)
    points += 2 if w.mapcrs in _PERMUTATIONS else int(not any(w.mapcrs))
    points += 2 * sum(1 <= n <= _DIM for n in w.dims)
    points += sum(0 <= n <= _DIM for n in w[4:7])
    points += all(math.isfinite(length) and length < _LONG for length in w[7:10])
    points += 0 <= w.nlabl <= 10  # noqa: PLR2004 - the header has ten labels
    points += 4 * w.fits(file_size)
    if raw[212] == (0x44 if order == "<" else 0x11):
        points += 3
    return points


def decide(raw: bytes, file_size: int | None = None) -> tuple[ByteOrder, tuple[Issue, ...]]:
    """Find the byte order of a header.

    A valid machine stamp decides if the header is plausible in its order; otherwise both orders are scored.

    Parameters
    ----------
    raw : bytes
        1024 bytes.
    file_size : int, optional
        Size of the whole file, as evidence.

    Returns
    -------
    order : {"<", ">"}
    issues : tuple of Issue
    """
    mark = raw[212:214]
    stamped = STAMPS.get(mark)
    if stamped is not None:
        w = words(raw, stamped)
        notes = _HAPPY.get((raw[208:212], mark))
        if notes is not None and w.mapcrs in _PERMUTATIONS and w.mode in MODES and 0 <= w.nx <= _DIM >= w.ny >= 0:
            return stamped, notes
    return _infer(raw, file_size, stamped)


def _infer(raw: bytes, file_size: int | None, stamped: ByteOrder | None) -> tuple[ByteOrder, tuple[Issue, ...]]:
    little, big = score(raw, "<", file_size), score(raw, ">", file_size)
    order: ByteOrder = "<" if little >= big else ">"
    if stamped is not None and words(raw, stamped).fits(file_size):
        order = stamped
    issues = [*_about_map(raw, words(raw, order), file_size)]
    if is_deltavision(raw):
        return ("<" if raw[96] == 0xA0 else ">"), tuple(issues)  # noqa: PLR2004 - first byte of -16224
    if is_vax(raw):
        found = raw[212:214].hex(" ")
        message = f"word 54 (machine stamp) is {found}: numbers of a VAX, which cannot be read; expected 44 44 or 11 11"
        return "<", (*issues, Issue("MRC160", Severity.ERROR, message, 54, found, "44 44, 44 41 or 11 11"))
    issues += _about_stamp(raw, order, stamped, clear=abs(little - big) >= _CLEAR)
    return order, tuple(issues)


def _about_stamp(raw: bytes, order: ByteOrder, stamped: ByteOrder | None, *, clear: bool) -> tuple[Issue, ...]:
    found, name = raw[212:216].hex(" "), _NAMES[order]
    if stamped == order:
        return (_STAMP_4441,) if raw[212:214] == b"\x44\x41" else ()
    if stamped is not None:
        text = f"word 54 (machine stamp) is {found}, but the other words are plausible only as {name} numbers"
        return (Issue("MRC162", Severity.WARNING, text, 54, found, stamp(order).hex(" ")),)
    half = raw[212] == (0x44 if order == "<" else 0x11)
    text = (
        f"word 54 (machine stamp) is {found}; read as {name}, which its "
        + ("first byte" if half else "words")
        + (" confirms" if half else " suggest")
    )
    severity = Severity.NOTE if half or clear else Severity.WARNING
    return (Issue("MRC161", severity, text, 54, found, stamp(order).hex(" ")),)


_NAMES: dict[ByteOrder, str] = {"<": "little-endian", ">": "big-endian"}


def _about_map(raw: bytes, w: Words, file_size: int | None) -> tuple[Issue, ...]:
    found = ascii(raw[208:212])[1:]
    if raw[208:211] == b"MAP":
        return () if raw[208:212] == b"MAP " else (_map_issue(Severity.NOTE, found, ""),)
    if raw[208:211] == b"HKL":
        text = f"word 53 (map) is {found}: reflections, not a map; expected 'MAP '"
        return (Issue("MRC908", Severity.ERROR, text, 53, found, "MAP "),)
    if is_deltavision(raw):
        text = "word 25 (creator) is -16224: a DeltaVision file, read by its rules (sizes in micrometres)"
        return (Issue("MRC125", Severity.WARNING, text, 25, "-16224", "0"),)
    if not w.plausible:
        text = f"not an MRC file: word 53 (map) is {found}, expected 'MAP ', and dimensions and mode are not plausible"
        return (Issue("MRC901", Severity.ERROR, text, 53, found, "MAP "),)
    if not any(raw[208:216]) and w.fits(file_size):
        return (_map_issue(Severity.NOTE, found, "; dimensions and file size agree"),)
    return (_map_issue(Severity.WARNING, found, "; read as an old header, since dimensions and mode are plausible"),)


def _map_issue(severity: Severity, found: str, because: str) -> Issue:
    return Issue("MRC153", severity, f"word 53 (map) is {found}; expected 'MAP '{because}", 53, found, "MAP ")
