"""Rules of single archives and programs, which hold only under their profile."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mrcarray.validation.checks.model import Found

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mrcarray.validation.checks.model import Facts

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
_PRIISM = -16224


def emdb_mode(facts: Facts) -> Iterator[Found]:
    """Word 4 is 0, 1 or 2."""
    mode = facts.header.mode
    if mode not in _EMDB_MODES:
        yield Found(f"word 4 (mode) is {mode}; deposition takes 0, 1 and 2 only", str(mode), "0, 1 or 2")


def emdb_rotated(facts: Facts) -> Iterator[Found]:
    """No label holds a rotation by ChimeraX."""
    if b"Chimera rotation" in facts.text:
        yield Found("a label holds 'Chimera rotation': the map was rotated without being resampled", "Chimera rotation")


def emdb_group(facts: Facts) -> Iterator[Found]:
    """Word 23 is a space group."""
    h = facts.header
    if (h.ispg <= 0 and h.nz > 1) or h.ispg > 230:  # noqa: PLR2004 -- there are 230 space groups
        yield Found(f"word 23 (ispg) is {h.ispg}; deposition sets it to 1", str(h.ispg), "1-230")


def emdb_grid(facts: Facts) -> Iterator[Found]:
    """Words 8-10 are the dimensions of the axes they belong to, in space group 1."""
    h = facts.header
    if h.ispg != 1 or sorted(h.mapcrs) != [1, 2, 3]:
        return
    size = dict(zip(h.mapcrs, (h.nx, h.ny, h.nz), strict=True))
    for axis, n in enumerate(h.m):
        if n != size[axis + 1]:
            text = f"word {8 + axis} (m{_XYZ[axis]}) is {n}; deposition sets it to {size[axis + 1]}"
            yield Found(text, str(n), str(size[axis + 1]), 8 + axis)


def emdb_cell(facts: Facts) -> Iterator[Found]:
    """Every edge of the cell is 1 angstrom or more, and every number of intervals 1 or more."""
    h = facts.header
    for axis, (n, length) in enumerate(zip(h.m, h.cella, strict=True)):
        if n < 1 or not 1 <= length < math.inf:
            text = f"the cell along {_XYZ[axis]} is {length:g} angstrom in {n} intervals; deposition needs 1 of each"
            yield Found(text, f"{length:g}, {n}", ">= 1, >= 1", 11 + axis)


def emdb_origin(facts: Facts) -> Iterator[Found]:
    """Words 50-52 are 0, and the start is a whole number of voxels."""
    h = facts.header
    if not any(abs(place) > 1e-5 for place in h.origin):  # noqa: PLR2004 -- the limit of the deposition software
        return
    steps = [p * n / a if a > 0 and n > 0 else math.nan for p, n, a in zip(h.origin, h.m, h.cella, strict=True)]
    moved = any(not math.isfinite(step) or abs(step - round(step)) > 0.01 for step in steps)  # noqa: PLR2004 -- voxels
    text = "words 50-52 (origin) are not 0; deposition turns them into words 5-7 (nstart)"
    if moved:
        text += ", and the map moves, since they are no whole number of voxels"
    yield Found(text, str(h.origin), "(0, 0, 0)")


def emdb_symmetry(facts: Facts) -> Iterator[Found]:
    """There is no extended header in space group 1."""
    h = facts.header
    if h.ispg == 1 and h.nsymbt > 0:
        yield Found(f"word 24 (nsymbt) is {h.nsymbt}; deposition removes the extended header", str(h.nsymbt), "0")


def imod_half_floats(facts: Facts) -> Iterator[Found]:
    """Word 4 is not 12."""
    if facts.header.mode == 12:  # noqa: PLR2004 -- the mode
        yield Found("word 4 (mode) is 12, which IMOD reads from version 4.11.25 on", "12")


def imod_creator(facts: Facts) -> Iterator[Found]:
    """Word 25 does not hold the mark of DeltaVision beside a map identifier."""
    h = facts.header
    if h.imod.creatid == _PRIISM and h.map[:3] == b"MAP":
        yield Found("word 25 (creator) is -16224, the mark of DeltaVision, beside 'MAP'", "-16224", "0")


def imod_axes(facts: Facts) -> Iterator[Found]:
    """Words 17-19 are not the mark of a file that is turned upside down."""
    if any(axis < 0 for axis in facts.header.mapcrs):
        yield Found(
            "words 17-19 hold a negative axis, IMOD's tentative mark of inverted rows", str(facts.header.mapcrs)
        )


def relion_mode(facts: Facts) -> Iterator[Found]:
    """Word 4 is a mode RELION reads."""
    mode = facts.header.mode
    if mode in facts.modes and mode not in _RELION_MODES:
        shown = ", ".join(map(str, sorted(_RELION_MODES)))
        yield Found(f"word 4 (mode) is {mode}; RELION reads {shown}", str(mode), shown)


def relion_nibbles(facts: Facts) -> Iterator[Found]:
    """Frames of 4-bit pixels have an even number of columns."""
    h = facts.header
    if h.mode == 101 and h.nx % 2:  # noqa: PLR2004 -- the mode of 4-bit pixels
        yield Found(f"word 1 (nx) is {h.nx}; RELION cannot read 4-bit rows of odd length", str(h.nx), "even")


def relion_voxels(facts: Facts) -> Iterator[Found]:
    """Voxels are as wide as they are high."""
    h = facts.header
    if min(h.m[:2]) > 0 and min(h.cella[:2]) > 0:
        x, y = h.cella[0] / h.m[0], h.cella[1] / h.m[1]
        if abs(x - y) > 1e-3 * x:
            yield Found(f"the voxel size is {x:g} along x and {y:g} along y; RELION takes that of x", f"{x:g}, {y:g}")
