"""Rules of one archive or program, used only in its profile."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mrcarray.format.fields import DELTAVISION
from mrcarray.validation.checks.model import Found

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mrcarray.validation.checks.model import CheckFacts

__all__ = [
    "emdb_cell",
    "emdb_grid",
    "emdb_group",
    "emdb_mode",
    "emdb_origin",
    "emdb_rotated",
    "emdb_symmetry",
    "imod_axes",
    "imod_creator",
    "imod_half_floats",
    "relion_mode",
    "relion_nibbles",
    "relion_voxels",
]

_XYZ = "xyz"
_EMDB_MODES = frozenset({0, 1, 2})
_RELION_MODES = frozenset({0, 1, 2, 6, 12, 101})


def emdb_mode(facts: CheckFacts) -> Iterator[Found]:
    """Word 4 is 0, 1 or 2."""
    mode = facts.header.mode
    if mode not in _EMDB_MODES:
        yield Found(f"word 4 (mode) is {mode}; EMDB accepts 0, 1 and 2 only", str(mode), "0, 1 or 2")


def emdb_rotated(facts: CheckFacts) -> Iterator[Found]:
    """No label records a rotation by ChimeraX."""
    if b"Chimera rotation" in facts.text:
        yield Found(
            "a label contains 'Chimera rotation': the map was rotated without being resampled", "Chimera rotation"
        )


def emdb_group(facts: CheckFacts) -> Iterator[Found]:
    """Word 23 is a space group."""
    h = facts.header
    if (h.ispg <= 0 and h.nz > 1) or h.ispg > 230:  # noqa: PLR2004 -- there are 230 space groups
        yield Found(f"word 23 (ispg) is {h.ispg}; EMDB replaces it by 1", str(h.ispg), "1-230")


def emdb_grid(facts: CheckFacts) -> Iterator[Found]:
    """Words 8-10 are the dimensions along X, Y and Z, in space group 1."""
    h = facts.header
    if h.ispg != 1 or sorted(h.mapcrs) != [1, 2, 3]:
        return
    size = dict(zip(h.mapcrs, (h.nx, h.ny, h.nz), strict=True))
    for axis, n in enumerate(h.m):
        if n != size[axis + 1]:
            text = f"word {8 + axis} (m{_XYZ[axis]}) is {n}; EMDB replaces it by {size[axis + 1]}"
            yield Found(text, str(n), str(size[axis + 1]), 8 + axis)


def emdb_cell(facts: CheckFacts) -> Iterator[Found]:
    """Every edge of the cell is 1 angstrom or more, and every number of intervals 1 or more."""
    h = facts.header
    for axis, (n, length) in enumerate(zip(h.m, h.cella, strict=True)):
        if n < 1 or not 1 <= length < math.inf:
            text = f"the cell along {_XYZ[axis]} is {length:g} angstrom in {n} intervals; EMDB needs at least 1 of each"
            yield Found(text, f"{length:g}, {n}", ">= 1, >= 1", 11 + axis)


def emdb_origin(facts: CheckFacts) -> Iterator[Found]:
    """Words 50-52 are 0, and the start is a whole number of voxels."""
    h = facts.header
    if not any(abs(position) > 1e-5 for position in h.origin):  # noqa: PLR2004 -- the limit of the deposition software
        return
    steps = [p * n / a if a > 0 and n > 0 else math.nan for p, n, a in zip(h.origin, h.m, h.cella, strict=True)]
    moved = any(not math.isfinite(step) or abs(step - round(step)) > 0.01 for step in steps)  # noqa: PLR2004 -- voxels
    text = "words 50-52 (origin) are not 0; EMDB converts them to words 5-7 (nstart)"
    if moved:
        text += ", which moves the map, since they are not a whole number of voxels"
    yield Found(text, str(h.origin), "(0, 0, 0)")


def emdb_symmetry(facts: CheckFacts) -> Iterator[Found]:
    """There is no extended header in space group 1."""
    h = facts.header
    if h.ispg == 1 and h.nsymbt > 0:
        yield Found(f"word 24 (nsymbt) is {h.nsymbt}; EMDB removes the extended header", str(h.nsymbt), "0")


def imod_half_floats(facts: CheckFacts) -> Iterator[Found]:
    """Word 4 is not 12."""
    if facts.header.mode == 12:  # noqa: PLR2004 -- the mode
        yield Found("word 4 (mode) is 12, which IMOD reads since version 4.11.25 only", "12")


def imod_creator(facts: CheckFacts) -> Iterator[Found]:
    """Word 25 is not DeltaVision's number in a file with a map identifier."""
    h = facts.header
    if h.imod.creatid == DELTAVISION and h.map[:3] == b"MAP":
        yield Found(
            "word 25 (creator) is -16224, the number of DeltaVision files, but word 53 (map) is 'MAP'", "-16224", "0"
        )


def imod_axes(facts: CheckFacts) -> Iterator[Found]:
    """Words 17-19 do not mark a file with inverted rows."""
    if any(axis < 0 for axis in facts.header.mapcrs):
        text = "words 17-19 (mapc, mapr, maps) contain a negative number, which IMOD uses tentatively for inverted rows"
        yield Found(text, str(facts.header.mapcrs))


def relion_mode(facts: CheckFacts) -> Iterator[Found]:
    """Word 4 is a mode RELION reads."""
    mode = facts.header.mode
    if mode in facts.modes and mode not in _RELION_MODES:
        shown = ", ".join(map(str, sorted(_RELION_MODES)))
        yield Found(f"word 4 (mode) is {mode}; RELION reads {shown} only", str(mode), shown)


def relion_nibbles(facts: CheckFacts) -> Iterator[Found]:
    """Images of 4-bit pixels have an even number of columns."""
    h = facts.header
    if h.mode == 101 and h.nx % 2:  # noqa: PLR2004 -- the mode of 4-bit pixels
        yield Found(f"word 1 (nx) is {h.nx}; RELION cannot read 4-bit rows of odd length", str(h.nx), "even")


def relion_voxels(facts: CheckFacts) -> Iterator[Found]:
    """Voxels are as wide as they are high."""
    h = facts.header
    if min(h.m[:2]) > 0 and min(h.cella[:2]) > 0:
        x, y = h.cella[0] / h.m[0], h.cella[1] / h.m[1]
        if abs(x - y) > 1e-3 * x:
            yield Found(f"the voxel size is {x:g} along x and {y:g} along y; RELION uses x for both", f"{x:g}, {y:g}")
