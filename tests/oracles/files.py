"""The matrix of files, made with `struct` alone: each pair of properties, and for slow runs each geometry."""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.builders import ITEMS, mrc_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SIZE = (6, 8, 10)
"""Voxels along x, y and z: even, so that they can be binned, and unlike, so that no two axes are mixed up."""

NSTART = (2, -3, 4)
ORIGIN = (10.5, -7.25, 33.0)
"""Words 50-52; off the grid of words 5-7, so that a reader of one is not mistaken for a reader of the other."""

VALUES: dict[str, tuple[Any, ...]] = {
    "placed": ("neither", "nstart", "origin", "both"),
    "order": tuple(itertools.permutations((1, 2, 3))),
    "mode": (2, 0, 1, 6, 12),
    "byteorder": ("<", ">"),
    "kind": ("volume", "unmarked", "stack", "open stack", "crystal"),
    "cell": ("anisotropic", "cubic", "skewed"),
    "extended": ("none", "symmetry", "records"),
}
STEPS = {"cubic": (1.5, 1.5, 1.5), "anisotropic": (1.5, 2.25, 3.0), "skewed": (1.5, 2.25, 3.0)}
ANGLES = {"skewed": (90.0, 105.0, 100.0)}
NAMES = {
    "volume": "volume.mrc",
    "unmarked": "unmarked.mrc",
    "stack": "stack.mrcs",
    "open stack": "open.mrcs",
    "crystal": "crystal.ccp4",
}


@dataclass(frozen=True)
class Case:
    """A file: which words place it, in which order its axes are (mapc, mapr, maps), and what it is.

    The kinds are a volume (space group 1), an unmarked volume (space group 0 and mz = nz, as RELION and cryoSPARC
    write it), a stack of images (space group 0, mz = 1, suffix .mrcs), one whose header does not tell it from a volume
    (mz = nz) and a part of a crystal (mx, my, mz larger than nx, ny, nz, suffix .ccp4).
    """

    placed: str = "neither"
    order: tuple[int, int, int] = (1, 2, 3)
    mode: int = 2
    byteorder: str = "<"
    kind: str = "volume"
    cell: str = "anisotropic"
    extended: str = "none"

    def __str__(self) -> str:
        order = "".join(map(str, self.order))
        return f"{self.kind}-{self.placed}-{order}-mode{self.mode}{self.byteorder}-{self.cell}-{self.extended}"

    @property
    def is_stack(self) -> bool:
        """Whether it is a stack of images."""
        return self.kind in ("stack", "open stack")

    @property
    def possible(self) -> bool:
        """Whether such files exist."""
        stack = self.is_stack
        return (
            (not stack or self.order[2] == 3)  # sections run along z
            and (self.extended != "records" or (stack and self.mode == 1))
            and (self.extended != "symmetry" or (self.kind in ("volume", "crystal") and self.placed != "both"))
            and (self.kind != "crystal" or self.placed in ("neither", "nstart"))  # CCP4 reserves words 50-52
            and (self.cell != "skewed" or self.kind in ("volume", "crystal"))
        )

    def write(self, folder: Path) -> Path:
        """Write the file into a folder, and return its path."""
        sizes = [SIZE[axis - 1] for axis in self.order]
        values = np.random.default_rng(1).integers(0, 60, sizes[::-1]).astype(ITEMS[self.mode])
        steps = STEPS[self.cell]
        m = {"stack": (*SIZE[:2], 1), "crystal": tuple(2 * n for n in SIZE)}.get(self.kind, SIZE)
        words: dict[str, Any] = {
            "mapcrs": self.order,
            "m": m,
            "cella": tuple(step * n for step, n in zip(steps, m, strict=True)),
            "cellb": ANGLES.get(self.cell, (90.0, 90.0, 90.0)),
            "ispg": 1 if self.kind in ("volume", "crystal") else 0,
        }
        if self.placed in ("nstart", "both"):
            words["nstart"] = tuple(NSTART[axis - 1] for axis in self.order)
        if self.placed in ("origin", "both"):
            words["origin"] = ORIGIN
        path = folder / NAMES[self.kind]
        path.write_bytes(mrc_bytes(values, self.mode, self.byteorder, **words, **self._extended()))
        return path

    def _extended(self) -> dict[str, Any]:
        if self.extended == "symmetry":
            return {"extended": b"X,  Y,  Z".ljust(80)}
        if self.extended == "records":  # SerialEM's: 2 bytes a section, which are the tilt angle
            tilts = struct.pack(f"{self.byteorder}{SIZE[2]}h", *range(-1000, 1000, 200))
            extra = bytes(16) + struct.pack(f"{self.byteorder}2h", 2, 1)
            return {"extended": tilts.ljust(1024, b"\0"), "exttyp": b"SERI", "extra2": extra}
        return {}


def all_cases() -> list[Case]:
    """Return every file that is possible."""
    product = itertools.product(*VALUES.values())
    return [case for values in product if (case := Case(**dict(zip(VALUES, values, strict=True)))).possible]


def pairwise(cases: Iterable[Case]) -> list[Case]:
    """Return some of the cases such that each pair of properties that occurs in them occurs in one of these."""
    pairs = {case: _pairs(case) for case in cases}
    wanted = set().union(*pairs.values())
    chosen = []
    while wanted:
        best = max(pairs, key=lambda case: len(pairs[case] & wanted))
        chosen.append(best)
        wanted -= pairs[best]
    return chosen


def _pairs(case: Case) -> set[tuple[Any, ...]]:
    items = [(field.name, getattr(case, field.name)) for field in fields(case)]
    return set(itertools.combinations(items, 2))


def each_geometry(cases: Iterable[Case]) -> list[Case]:
    """Return one case of each kind, cell, order of axes and placement, with pixels and records in turn."""
    groups: dict[tuple[Any, ...], list[Case]] = {}
    for case in cases:
        groups.setdefault((case.placed, case.order, case.kind, case.cell), []).append(case)
    return [group[number % len(group)] for number, group in enumerate(groups.values())]


POSSIBLE = all_cases()
SOME = pairwise(POSSIBLE)
MANY = each_geometry(POSSIBLE)
