"""Rules about single header words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mrcarray.format.byteorder import STAMPS, is_vax
from mrcarray.format.issues import Severity
from mrcarray.format.modes import MODES
from mrcarray.validation.checks.model import Found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mrcarray.validation.checks.model import Facts

__all__ = [
    "EXTTYPS",
    "VERSIONS",
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
    "noticed",
    "nsymbt",
    "nversion",
    "origin",
    "space_group",
    "stamp",
    "stamp_ccp4",
    "volume_stack",
    "voxel_size",
]

VERSIONS = (20140, 20141)
EXTTYPS = (b"CCP4", b"MRCO", b"SERI", b"AGAR", b"FEI1", b"FEI2", b"HDF5")

_XYZ = "xyz"
_TINY = 1e-4
_STRAIGHT = 180.0
_LABELS = 10
_SMALLEST, _LARGEST = 0.01, 1000.0
_STACKS = range(401, 631)


def noticed(code: str) -> Callable[[Facts], Iterator[Found]]:
    """Return the rule that repeats what reading noticed under `code`."""

    def rule(facts: Facts) -> Iterator[Found]:
        for issue in facts.issues:
            if issue.code == code:
                yield Found(issue.message, issue.found, issue.expected, issue.word, hint=issue.hint)

    return rule


def dimensions(facts: Facts) -> Iterator[Found]:
    """Words 1-3 are positive, or all 0 in a file that declares no data."""
    h = facts.header
    if h.nx == h.ny == h.nz == 0:
        return
    for word, name, n in ((1, "nx", h.nx), (2, "ny", h.ny), (3, "nz", h.nz)):
        if n <= 0:
            yield Found(f"word {word} ({name}) is {n}; expected a positive number", str(n), "> 0", word)


def mode(facts: Facts) -> Iterator[Found]:
    """Word 4 is a mode of the specification, or one the profile accepts."""
    found = facts.header.mode
    if found in facts.modes:
        return
    known = ", ".join(map(str, sorted(facts.modes)))
    row = MODES.get(found)
    about = f", {row.name} ({row.source})" if row is not None else ""
    if row is None and found >= 1000 and found % 1000 in MODES:  # noqa: PLR2004 -- MRCZ adds 1000 x its compressor
        about = ", the mark of pixels compressed by MRCZ"
    yield Found(f"word 4 (mode) is {found}{about}; expected one of {known}", str(found), known)


def intervals(facts: Facts) -> Iterator[Found]:
    """Words 8-10 are not negative."""
    for axis, n in enumerate(facts.header.m):
        if n < 0:
            yield Found(
                f"word {8 + axis} (m{_XYZ[axis]}) is {n}; expected a number of intervals", str(n), "> 0", 8 + axis
            )


def intervals_zero(facts: Facts) -> Iterator[Found]:
    """Words 8-10 are not 0 in a file that has data."""
    h = facts.header
    if h.nx == h.ny == h.nz == 0 or h.ispg in _STACKS:
        return
    for axis, n in enumerate(h.m):
        if n == 0:
            name = _XYZ[axis]
            text = f"word {8 + axis} (m{name}) is 0; programs that divide by it know no voxel size along {name}"
            yield Found(text, "0", "> 0", 8 + axis)


def volume_stack(facts: Facts) -> Iterator[Found]:
    """Word 3 is a multiple of word 10 in a stack of volumes."""
    h = facts.header
    if h.ispg in _STACKS and h.mz >= 0 and (h.nz % h.mz if h.mz else h.nz):
        text = f"word 10 (mz) is {h.mz}; for a stack of volumes expected a positive divisor of word 3 (nz), {h.nz}"
        yield Found(text, str(h.mz), f"divisor of {h.nz}")


def cell_lengths(facts: Facts) -> Iterator[Found]:
    """Words 11-13 are finite and not negative."""
    for axis, length in enumerate(facts.header.cella):
        if length < 0 or not math.isfinite(length):
            text = f"word {11 + axis} ({_XYZ[axis]}len) is {length:g}; expected a length in angstrom"
            yield Found(text, f"{length:g}", "> 0", 11 + axis)


def cell_zero(facts: Facts) -> Iterator[Found]:
    """Words 11-13 are not 0; a single section needs no third one."""
    h = facts.header
    if h.nx == h.ny == h.nz == 0:
        return
    for axis, length in enumerate(h.cella):
        if length == 0 and not (axis == 2 and h.nz == 1):  # noqa: PLR2004 -- the axis of the sections
            text = f"word {11 + axis} ({_XYZ[axis]}len) is 0: the voxel size along {_XYZ[axis]} is unknown"
            yield Found(text, "0", "> 0", 11 + axis)


def voxel_size(facts: Facts) -> Iterator[Found]:
    """Voxels have a size that a microscope or a crystal can have."""
    h = facts.header
    if "MRC125" in facts.seen:  # sizes in micrometres
        return
    for axis, (n, length) in enumerate(zip(h.m, h.cella, strict=True)):
        if n > 0 and 0 < length < math.inf and not _SMALLEST <= length / n <= _LARGEST:
            size = length / n
            text = f"the voxel size along {_XYZ[axis]} is {size:g} angstrom; expected {_SMALLEST} to {_LARGEST:g}"
            yield Found(text, f"{size:g}", f"{_SMALLEST} to {_LARGEST:g}", 11 + axis)


def angles(facts: Facts) -> Iterator[Found]:
    """Words 14-16 lie between 0 and 180 degrees; 0 is read as 90."""
    for word, angle in zip((14, 15, 16), facts.header.cellb, strict=True):
        if abs(angle) < _TINY:
            text = f"word {word} is {angle:g} degrees; read as 90"
            yield Found(text, f"{angle:g}", "90", word, Severity.WARNING)
        elif not 0 < angle < _STRAIGHT:
            text = f"word {word} is {angle:g}; expected an angle between 0 and 180 degrees"
            yield Found(text, f"{angle:g}", "0 to 180", word)


def axes(facts: Facts) -> Iterator[Found]:
    """Words 17-19 are a permutation of 1, 2, 3."""
    found = facts.header.mapcrs
    if sorted(found) != [1, 2, 3]:
        shown = ", ".join(map(str, found))
        text = f"words 17-19 (mapc, mapr, maps) are {shown}; expected a permutation of 1, 2, 3"
        yield Found(text, shown, "1, 2, 3", severity=None if any(found) else Severity.WARNING)


def space_group(facts: Facts) -> Iterator[Found]:
    """Word 23 is 0, a space group, or 400 more than one; a negative number is an error."""
    group = facts.header.ispg
    if not (0 <= group <= 230 or group in _STACKS):  # noqa: PLR2004 -- there are 230 space groups
        text = f"word 23 (ispg) is {group}; expected 0 for images, 1-230 for a volume, 401-630 for a stack of volumes"
        severity = Severity.ERROR if group < 0 else Severity.WARNING
        yield Found(text, str(group), "0-230 or 401-630", severity=severity)


def nsymbt(facts: Facts) -> Iterator[Found]:
    """Word 24 is not negative."""
    n = facts.header.nsymbt
    if n < 0:
        yield Found(f"word 24 (nsymbt) is {n}; expected the length of the extended header, 0 or more", str(n), ">= 0")


def exttyp(facts: Facts) -> Iterator[Found]:
    """Word 27 is a registered type where there is an extended header."""
    h = facts.header
    if h.nsymbt > 0 and h.exttyp not in EXTTYPS:
        names = ", ".join(name.decode() for name in EXTTYPS)
        shown = ascii(h.exttyp)[1:]
        yield Found(f"word 27 (exttyp) is {shown}; expected one of {names}", shown, names)


def exttyp_unused(facts: Facts) -> Iterator[Found]:
    """Word 27 is blank where there is no extended header."""
    h = facts.header
    if h.nsymbt == 0 and h.exttyp in EXTTYPS:
        yield Found(f"word 27 (exttyp) is {ascii(h.exttyp)[1:]}, but there is no extended header", ascii(h.exttyp)[1:])


def exttyp_lies(facts: Facts) -> Iterator[Found]:
    """Word 27 is the type of what the extended header holds; a type that is not registered is another rule's."""
    return noticed("MRC401")(facts) if facts.header.exttyp in EXTTYPS else iter(())


def nversion(facts: Facts) -> Iterator[Found]:
    """Word 28 declares a version of the format."""
    n = facts.header.nversion
    if n not in VERSIONS:
        yield Found(f"word 28 (nversion) is {n}; expected 20140 or 20141", str(n), "20140 or 20141")


def origin(facts: Facts) -> Iterator[Found]:
    """Words 50-52 are finite, and no further away than single precision can tell voxels apart."""
    h = facts.header
    steps = 2.0**24
    for axis, place in enumerate(h.origin):
        n, length = h.m[axis], h.cella[axis]
        reach = steps * length / n if n > 0 and 0 < length < math.inf else 1e8
        if not abs(place) < reach:
            name = f"{_XYZ[axis]}org"
            text = f"word {50 + axis} ({name}) is {place:g}, no sensible place; expected less than {reach:.3g}"
            yield Found(text, f"{place:g}", f"< {reach:.3g}", 50 + axis)


def both_origins(facts: Facts) -> Iterator[Found]:
    """Words 50-52 and words 5-7 do not name two different places."""
    geometry, h = facts.geometry, facts.header
    if geometry is None or geometry.source != "origin" or not any(h.origin) or not any(h.nstart):
        return
    pairs = zip(geometry.start, geometry.nstart, geometry.voxel_size, strict=True)
    if any(size == size and abs(place - n * size) > 0.01 * size for place, n, size in pairs):  # noqa: PLR0124 -- NaN
        text = "words 50-52 (origin) and words 5-7 (nstart) name two different places; words 50-52 are taken"
        yield Found(text, f"{h.origin} and {h.nstart}")


def map_id(facts: Facts) -> Iterator[Found]:
    """Word 53 is 'MAP ' to the letter."""
    found = facts.header.map
    if found != b"MAP " and "MRC125" not in facts.seen:
        shown = ascii(found)[1:]
        yield Found(f"word 53 (map) is {shown}; expected 'MAP '", shown, "MAP ")


def stamp(facts: Facts) -> Iterator[Found]:
    """Word 54 starts with a valid machine stamp."""
    mark = facts.header.machst
    if mark[:2] in STAMPS or is_vax(facts.header.raw) or "MRC125" in facts.seen:
        return
    said = {"<": "little", ">": "big"}[facts.header.byteorder]
    text = f"word 54 (machine stamp) is {mark.hex(' ')}; expected 44 44, 44 41 or 11 11; read as {said} endian"
    yield Found(text, mark.hex(" "), "44 44, 44 41 or 11 11")


def stamp_ccp4(facts: Facts) -> Iterator[Found]:
    """Word 54 has the first of the two spellings of little endian."""
    if facts.header.machst[:2] == b"\x44\x41":
        yield Found("word 54 (machine stamp) is 44 41, the CCP4 form of little endian", "44 41", "44 44")


def label_number(facts: Facts) -> Iterator[Found]:
    """Word 56 lies between 0 and 10."""
    n = facts.header.nlabl
    if not 0 <= n <= _LABELS:
        yield Found(f"word 56 (nlabl) is {n}; expected 0 to 10", str(n), "0 to 10")


def label_gaps(facts: Facts) -> Iterator[Found]:
    """No empty label stands before one that has text."""
    filled = facts.filled
    used = sum(filled)
    if not all(filled[:used]):
        first = filled.index(False) + 1
        yield Found(f"label {first} is empty, but a later one holds text", f"label {first}", "no gap")


def label_count(facts: Facts) -> Iterator[Found]:
    """Word 56 is the number of labels that hold text."""
    n, used = facts.header.nlabl, sum(facts.filled)
    if 0 <= n <= _LABELS and n != used:
        yield Found(f"word 56 (nlabl) is {n}, but {used} labels hold text", str(n), str(used))


def label_text(facts: Facts) -> Iterator[Found]:
    """Labels hold printable ASCII, padded by blanks or zero bytes."""
    for number, label in enumerate(facts.header.labels, 1):
        text = label.split(b"\0", 1)[0]
        if not (text.isascii() and text.decode("ascii").isprintable()):
            yield Found(f"label {number} holds characters that are not printable ASCII", word=57 + 20 * (number - 1))
