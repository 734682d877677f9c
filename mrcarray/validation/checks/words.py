"""Rules about single header words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mrcarray.format.byteorder import STAMPS, is_vax
from mrcarray.format.fields import LABELS, STACK_GROUPS, VERSIONS
from mrcarray.format.issues import Severity
from mrcarray.format.modes import MODES
from mrcarray.validation.checks.model import Found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mrcarray.validation.checks.model import CheckFacts

__all__ = [
    "EXTTYPS",
    "angles",
    "axes",
    "both_origins",
    "cell_lengths",
    "cell_zero",
    "dimensions",
    "exttyp",
    "exttyp_lies",
    "exttyp_unused",
    "intervals",
    "intervals_zero",
    "label_count",
    "label_gaps",
    "label_number",
    "label_text",
    "map_id",
    "mode",
    "nsymbt",
    "nversion",
    "origin",
    "reported",
    "space_group",
    "stamp",
    "stamp_ccp4",
    "volume_stack",
    "voxel_size",
]

EXTTYPS = (b"CCP4", b"MRCO", b"SERI", b"AGAR", b"FEI1", b"FEI2", b"HDF5")

_XYZ = "xyz"
_TINY = 1e-4
_STRAIGHT = 180.0
_SMALLEST, _LARGEST = 0.01, 1000.0


def reported(code: str) -> Callable[[CheckFacts], Iterator[Found]]:
    """Return the rule whose findings are the issues with this code that reading the file reported."""

    def rule(facts: CheckFacts) -> Iterator[Found]:
        for issue in facts.issues:
            if issue.code == code:
                yield Found(issue.message, issue.found, issue.expected, issue.word, hint=issue.hint)

    return rule


def dimensions(facts: CheckFacts) -> Iterator[Found]:
    """Words 1-3 are positive, or all 0 in a file that declares no data."""
    h = facts.header
    if h.nx == h.ny == h.nz == 0:
        return
    for word, name, n in ((1, "nx", h.nx), (2, "ny", h.ny), (3, "nz", h.nz)):
        if n <= 0:
            yield Found(f"word {word} ({name}) is {n}; expected a positive number", str(n), "> 0", word)


def mode(facts: CheckFacts) -> Iterator[Found]:
    """Word 4 is a mode of the specification, or one the profile accepts."""
    found = facts.header.mode
    if found in facts.modes:
        return
    known = ", ".join(map(str, sorted(facts.modes)))
    row = MODES.get(found)
    about = f", {row.name} ({row.source})" if row is not None else ""
    if row is None and found >= 1000 and found % 1000 in MODES:  # noqa: PLR2004 -- MRCZ adds 1000 x its compressor
        about = ", which means pixels compressed by MRCZ"
    yield Found(f"word 4 (mode) is {found}{about}; expected one of {known}", str(found), known)


def intervals(facts: CheckFacts) -> Iterator[Found]:
    """Words 8-10 are not negative."""
    for axis, n in enumerate(facts.header.m):
        if n < 0:
            text = f"word {8 + axis} (m{_XYZ[axis]}) is {n}; expected the number of cell intervals, > 0"
            yield Found(text, str(n), "> 0", 8 + axis)


def intervals_zero(facts: CheckFacts) -> Iterator[Found]:
    """Words 8-10 are not 0 in a file that has data."""
    h = facts.header
    if h.nx == h.ny == h.nz == 0 or h.ispg in STACK_GROUPS:
        return
    for axis, n in enumerate(h.m):
        if n == 0:
            name = _XYZ[axis]
            text = f"word {8 + axis} (m{name}) is 0; expected > 0: without it the voxel size along {name} is unknown"
            yield Found(text, "0", "> 0", 8 + axis)


def volume_stack(facts: CheckFacts) -> Iterator[Found]:
    """Word 3 is a multiple of word 10 in a stack of volumes."""
    h = facts.header
    if h.ispg in STACK_GROUPS and h.mz >= 0 and (h.nz % h.mz if h.mz else h.nz):
        text = f"word 10 (mz) is {h.mz}; for a stack of volumes expected a positive divisor of word 3 (nz), {h.nz}"
        yield Found(text, str(h.mz), f"divisor of {h.nz}")


def cell_lengths(facts: CheckFacts) -> Iterator[Found]:
    """Words 11-13 are finite and not negative."""
    for axis, length in enumerate(facts.header.cella):
        if length < 0 or not math.isfinite(length):
            text = f"word {11 + axis} ({_XYZ[axis]}len) is {length:g}; expected a length in angstrom, > 0"
            yield Found(text, f"{length:g}", "> 0", 11 + axis)


def cell_zero(facts: CheckFacts) -> Iterator[Found]:
    """Words 11-13 are not 0; a single section needs no third one."""
    h = facts.header
    if h.nx == h.ny == h.nz == 0:
        return
    for axis, length in enumerate(h.cella):
        if length == 0 and not (axis == 2 and h.nz == 1):  # noqa: PLR2004 -- the axis of the sections
            name = _XYZ[axis]
            text = f"word {11 + axis} ({name}len) is 0; expected > 0: without it the voxel size along {name} is unknown"
            yield Found(text, "0", "> 0", 11 + axis)


def voxel_size(facts: CheckFacts) -> Iterator[Found]:
    """Words 8-13 give a voxel size that occurs in microscopy or crystallography."""
    h = facts.header
    if "MRC125" in facts.seen:  # sizes in micrometres
        return
    for axis, (n, length) in enumerate(zip(h.m, h.cella, strict=True)):
        if n > 0 and 0 < length < math.inf and not _SMALLEST <= length / n <= _LARGEST:
            size = length / n
            text = f"the voxel size along {_XYZ[axis]} is {size:g} angstrom; expected {_SMALLEST} to {_LARGEST:g}"
            yield Found(text, f"{size:g}", f"{_SMALLEST} to {_LARGEST:g}", 11 + axis)


def angles(facts: CheckFacts) -> Iterator[Found]:
    """Words 14-16 lie between 0 and 180 degrees; 0 is read as 90."""
    for word, angle in zip((14, 15, 16), facts.header.cellb, strict=True):
        if abs(angle) < _TINY:
            text = f"word {word} (cell angle) is {angle:g} degrees; expected 90; read as 90"
            yield Found(text, f"{angle:g}", "90", word, Severity.WARNING)
        elif not 0 < angle < _STRAIGHT:
            text = f"word {word} (cell angle) is {angle:g}; expected between 0 and 180 degrees"
            yield Found(text, f"{angle:g}", "0 to 180", word)


def axes(facts: CheckFacts) -> Iterator[Found]:
    """Words 17-19 are a permutation of 1, 2, 3."""
    found = facts.header.mapcrs
    if sorted(found) != [1, 2, 3]:
        shown = ", ".join(map(str, found))
        text = f"words 17-19 (mapc, mapr, maps) are {shown}; expected a permutation of 1, 2, 3"
        yield Found(text, shown, "1, 2, 3", severity=None if any(found) else Severity.WARNING)


def space_group(facts: CheckFacts) -> Iterator[Found]:
    """Word 23 is 0, a space group, or 400 more than one; a negative number is an error."""
    group = facts.header.ispg
    if not (0 <= group <= 230 or group in STACK_GROUPS):  # noqa: PLR2004 -- there are 230 space groups
        text = f"word 23 (ispg) is {group}; expected 0 for images, 1-230 for a volume, 401-630 for a stack of volumes"
        severity = Severity.ERROR if group < 0 else Severity.WARNING
        yield Found(text, str(group), "0-230 or 401-630", severity=severity)


def nsymbt(facts: CheckFacts) -> Iterator[Found]:
    """Word 24 is not negative."""
    n = facts.header.nsymbt
    if n < 0:
        yield Found(f"word 24 (nsymbt) is {n}; expected the length of the extended header, 0 or more", str(n), ">= 0")


def exttyp(facts: CheckFacts) -> Iterator[Found]:
    """Word 27 is a registered type where there is an extended header."""
    h = facts.header
    if h.nsymbt > 0 and h.exttyp not in EXTTYPS:
        names = ", ".join(name.decode() for name in EXTTYPS)
        shown = ascii(h.exttyp)[1:]
        yield Found(f"word 27 (exttyp) is {shown}; expected one of {names}", shown, names)


def exttyp_unused(facts: CheckFacts) -> Iterator[Found]:
    """Word 27 is blank where there is no extended header."""
    h = facts.header
    if h.nsymbt == 0 and h.exttyp in EXTTYPS:
        yield Found(f"word 27 (exttyp) is {ascii(h.exttyp)[1:]}, but there is no extended header", ascii(h.exttyp)[1:])


def exttyp_lies(facts: CheckFacts) -> Iterator[Found]:
    """Word 27 names the type the extended header really has; another rule covers unregistered types."""
    return reported("MRC401")(facts) if facts.header.exttyp in EXTTYPS else iter(())


def nversion(facts: CheckFacts) -> Iterator[Found]:
    """Word 28 declares a version of the format."""
    n = facts.header.nversion
    if n not in VERSIONS:
        yield Found(f"word 28 (nversion) is {n}; expected 20140 or 20141", str(n), "20140 or 20141")


def origin(facts: CheckFacts) -> Iterator[Found]:
    """Words 50-52 are finite, and so small that single precision still distinguishes two voxels there."""
    h = facts.header
    steps = 2.0**24
    for axis, position in enumerate(h.origin):
        n, length = h.m[axis], h.cella[axis]
        reach = steps * length / n if n > 0 and 0 < length < math.inf else 1e8
        if not abs(position) < reach:
            name = f"{_XYZ[axis]}org"
            text = f"word {50 + axis} ({name}) is {position:g}; expected a position within {reach:.3g} angstrom of 0"
            yield Found(text, f"{position:g}", f"< {reach:.3g}", 50 + axis)


def both_origins(facts: CheckFacts) -> Iterator[Found]:
    """Words 50-52 and words 5-7 do not give two different positions."""
    geometry, h = facts.geometry, facts.header
    if geometry is None or geometry.source != "origin" or not any(h.origin) or not any(h.nstart):
        return
    pairs = zip(geometry.start, geometry.nstart, geometry.voxel_size, strict=True)
    if any(size == size and abs(start - n * size) > 0.01 * size for start, n, size in pairs):  # noqa: PLR0124 -- NaN
        text = "words 50-52 (origin) and words 5-7 (nstart) give different positions; words 50-52 are used"
        yield Found(text, f"{h.origin} and {h.nstart}")


def map_id(facts: CheckFacts) -> Iterator[Found]:
    """Word 53 is 'MAP ' to the letter."""
    found = facts.header.map
    if found != b"MAP " and "MRC125" not in facts.seen:
        shown = ascii(found)[1:]
        yield Found(f"word 53 (map) is {shown}; expected 'MAP '", shown, "MAP ")


def stamp(facts: CheckFacts) -> Iterator[Found]:
    """Word 54 starts with a valid machine stamp."""
    mark = facts.header.machst
    if mark[:2] in STAMPS or is_vax(facts.header.raw) or "MRC125" in facts.seen:
        return
    order = {"<": "little", ">": "big"}[facts.header.byteorder]
    text = f"word 54 (machine stamp) is {mark.hex(' ')}; expected 44 44, 44 41 or 11 11; read as {order} endian"
    yield Found(text, mark.hex(" "), "44 44, 44 41 or 11 11")


def stamp_ccp4(facts: CheckFacts) -> Iterator[Found]:
    """Word 54 spells little endian as 44 44, not as CCP4 does."""
    if facts.header.machst[:2] == b"\x44\x41":
        yield Found("word 54 (machine stamp) is 44 41, which CCP4 writes for little endian", "44 41", "44 44")


def label_number(facts: CheckFacts) -> Iterator[Found]:
    """Word 56 lies between 0 and 10."""
    n = facts.header.nlabl
    if not 0 <= n <= LABELS:
        yield Found(f"word 56 (nlabl) is {n}; expected 0 to 10", str(n), "0 to 10")


def label_gaps(facts: CheckFacts) -> Iterator[Found]:
    """No empty label comes before one with text."""
    filled = facts.filled
    used = sum(filled)
    if not all(filled[:used]):
        first = filled.index(False) + 1
        yield Found(f"label {first} is empty, but a later label has text", f"label {first}", "no gap")


def label_count(facts: CheckFacts) -> Iterator[Found]:
    """Word 56 is the number of labels with text."""
    n, used = facts.header.nlabl, sum(facts.filled)
    if 0 <= n <= LABELS and n != used:
        yield Found(f"word 56 (nlabl) is {n}, but {used} labels have text", str(n), str(used))


def label_text(facts: CheckFacts) -> Iterator[Found]:
    """Labels are printable ASCII, padded by blanks or zero bytes."""
    for number, label in enumerate(facts.header.labels, 1):
        text = label.split(b"\0", 1)[0]
        if not (text.isascii() and text.decode("ascii").isprintable()):
            yield Found(f"label {number} has characters other than printable ASCII", word=57 + 20 * (number - 1))
