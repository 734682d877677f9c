"""`Geometry`: axes, voxel size and position of the voxels in space.

`Geometry.from_header` contains all rules for implausible cells, the two origins and their signs;
`Geometry.to_header_fields` is the inverse.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mrcarray.errors import Hint, MrcValueError
from mrcarray.format.byteorder import STAMPS, is_deltavision
from mrcarray.format.cell_edges import is_skewed, to_cartesian, to_edges
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.layout import Kind, Layout
from mrcarray.format.modes import Packing

if TYPE_CHECKING:
    from mrcarray.format.header import Header

__all__ = ["ORIGINS", "ORTHOGONAL", "TINY_ORIGIN", "ZERO", "Geometry", "Ints", "Triple", "farthest_nstart", "snap"]

Triple = tuple[float, float, float]
Ints = tuple[int, int, int]

ORIGINS = ("auto", "origin", "nstart", "zero")
"""Values of the parameter `origin`: the documented rule, words 50-52, words 5-7, or no start."""

_NAMES = "xyz"
_WRITE_INTERVALS = Hint("write it with mrcarray.fix(path)", "write it with mrcarray fix FILE")
ZERO: Triple = (0.0, 0.0, 0.0)
"""The position of a map that is not placed."""
ORTHOGONAL: Triple = (90.0, 90.0, 90.0)
"""The angles of a cell whose edges are Cartesian axes."""
TINY_ORIGIN = 1e-5
"""Words 50-52 count as 0 when all of them are smaller, in ångström."""
_TINY, _STEPS, _FAR = TINY_ORIGIN, 2.0**24, 1e8
_SMALLEST, _LARGEST = 0.01, 1000.0
_ANGSTROM_PER_MICROMETRE = 1e4
_STRAIGHT = 180.0
_CELL = {order: struct.Struct(order + "3i3f3f3i") for order in "<>"}
_NSTART = {order: struct.Struct(order + "3i") for order in "<>"}
_PERMUTATIONS = {
    (1, 2, 3): ("z", "y", "x"),
    (1, 3, 2): ("y", "z", "x"),
    (2, 1, 3): ("z", "x", "y"),
    (2, 3, 1): ("x", "z", "y"),
    (3, 1, 2): ("y", "x", "z"),
    (3, 2, 1): ("x", "y", "z"),
}


def snap(value: float, digits: int = 6) -> float:
    """Round to significant digits, so that sizes written by two programs are equal.

    Examples
    --------
    >>> snap(89.65000152587891 / 160)
    0.560313
    """
    return float(f"{value:.{digits}g}")


@dataclass(frozen=True, slots=True)
class Geometry:
    """Voxel size, start and order of the spatial axes.

    Parameters
    ----------
    axes : tuple of str
        Names of the spatial axes of the grid, slowest first: the last three of a volume or stack of volumes, the last
        two of an image or stack of images, whose section axis is not spatial.
    voxel_size : tuple of float
        Along x, y, z in ångström, rounded to 6 significant digits; NaN where unknown.
    start : tuple of float
        Position of the first voxel in ångström along the cell edges x, y, z, which are Cartesian axes if all angles
        are 90; NaN where it depends on an unknown voxel size.
    nstart : tuple of int
        Words 5-7, reordered to x, y, z.
    angles : tuple of float
        Cell angles in degrees.
    n : tuple of int
        Intervals of the cell along x, y, z (words 8-10); 0 where the layout gives them.
    source : {"origin", "nstart", "zero"}
        Which words gave `start`.
    mapcrs : tuple of int
        Axis numbers of columns, rows, sections.
    cella : tuple of float
        Cell lengths as stored in the header, in ångström; NaN where unknown.
    origin : tuple of float
        Words 50-52 as stored in the header.
    issues : tuple of Issue
        What was not read literally.
    """

    axes: tuple[str, ...]
    voxel_size: Triple
    start: Triple = (0.0, 0.0, 0.0)
    nstart: Ints = (0, 0, 0)
    angles: Triple = ORTHOGONAL
    n: Ints = (0, 0, 0)
    source: str = "origin"
    mapcrs: Ints = (1, 2, 3)
    cella: Triple = (math.nan, math.nan, math.nan)
    origin: Triple = (0.0, 0.0, 0.0)
    issues: tuple[Issue, ...] = ()

    @property
    def known(self) -> bool:
        """Whether the voxel size is known along every spatial axis of the grid."""
        return all(size == size for size, name in zip(self.voxel_size, _NAMES, strict=True) if name in self.axes)  # noqa: PLR0124 - NaN differs from itself

    @classmethod
    def from_header(cls, header: Header, layout: Layout, origin: str = "auto") -> Geometry:
        """Return the geometry of a header by the documented rules.

        Parameters
        ----------
        header : Header
            The header.
        layout : Layout
            Its interpretation.
        origin : {"auto", "origin", "nstart", "zero"}
            Which words give the start: words 50-52 if they are usable and else words 5-7 ("auto"), one of the two, or
            neither. They are never added.

        Returns
        -------
        Geometry

        Raises
        ------
        MrcValueError
            When `origin` has another value.

        Examples
        --------
        >>> from mrcarray.format.header import Header
        >>> from mrcarray.format.interpret import interpret
        >>> header = Header.blank(nx=4, ny=3, nz=2, mode=2, m=(4, 3, 2), cella=(8, 6, 4), nstart=(-2, 0, 0))
        >>> geometry = Geometry.from_header(header, interpret(header).layout)
        >>> geometry.axes, geometry.voxel_size, geometry.start
        (('z', 'y', 'x'), (2.0, 2.0, 2.0), (-4.0, 0.0, 0.0))
        """
        if origin not in ORIGINS:
            raise MrcValueError(f"origin is {origin!r}; expected one of {', '.join(ORIGINS)}")
        values = _CELL[header.byteorder].unpack_from(header.raw, 28)
        issues: list[Issue] = []
        mapcrs, names = _axes(values[9:12], issues)
        n, cella = values[0:3], values[3:6]
        if layout.pixel.mode == 0 and layout.pixel.packing is Packing.NIBBLE and 2 * n[0] == layout.columns:
            n, cella = (2 * n[0], *n[1:]), (2 * cella[0], *cella[1:])
        volume = layout.kind in (Kind.VOLUME, Kind.VOLUME_STACK)
        counts = _intervals(n, cella, _xyz(_grid(layout), mapcrs), issues, axes=names if volume else names[1:])
        voxel = _voxel_size(header, counts, cella, issues, volume=volume)
        nstart = _xyz(_NSTART[header.byteorder].unpack_from(header.raw, 16), mapcrs)
        angles = ORTHOGONAL if values[6:9] == ORTHOGONAL else _angles(values[6:9], issues)
        source, start = _start(_StartEvidence(header, layout, voxel, nstart, angles), origin, issues)
        return cls(
            axes=names if volume else names[1:],
            voxel_size=voxel,
            start=start,
            nstart=nstart,
            angles=angles,
            n=n,
            source=source,
            mapcrs=mapcrs,
            cella=cella,
            origin=header.origin,
            issues=tuple(issues),
        )

    def to_header_fields(self, layout: Layout) -> dict[str, tuple[float, ...]]:
        """Return the header fields of this geometry, for data of `layout`.

        The start is stored in words 50-52, or in words 5-7 if it was read from there. Cell lengths that agree with the
        voxel size keep the value they were read with; an unknown voxel size gives length 0.

        Parameters
        ----------
        layout : Layout
            The data to be written.

        Returns
        -------
        dict
            Values for `Header.replace`: m, cella, cellb, mapcrs, nstart, origin.
        """
        grid = _xyz(_grid(layout), self.mapcrs)
        n = tuple(have or length for have, length in zip(self.n, grid, strict=True))
        cella = tuple(_length(self, axis, n[axis]) for axis in range(3))
        x, y, z = (0.0 if self.source != "origin" or math.isnan(x) else x for x in self.start)
        origin = to_cartesian((x, y, z), self.angles)
        crs = tuple(self.nstart[axis - 1] for axis in self.mapcrs)
        if self.source == "zero":
            crs = (0, 0, 0)
        return {"m": n, "cella": cella, "cellb": self.angles, "mapcrs": self.mapcrs, "nstart": crs, "origin": origin}


def _grid(layout: Layout) -> Ints:
    """Return columns, rows and the sections of one cell: 1 for images."""
    sections = layout.grid[-3] if layout.kind in (Kind.VOLUME, Kind.VOLUME_STACK) else 1
    return (layout.grid[-1], layout.grid[-2], sections)


def _length(geometry: Geometry, axis: int, n: int) -> float:
    voxel, read = geometry.voxel_size[axis], geometry.cella[axis]
    if math.isnan(voxel):
        return 0.0
    return read if read > 0 and n > 0 and snap(read / n) == voxel else voxel * n


def _xyz(crs: tuple[int, ...], mapcrs: Ints) -> Ints:
    """Reorder columns, rows, sections to x, y, z."""
    if mapcrs == (1, 2, 3):
        return (crs[0], crs[1], crs[2])
    by_axis = dict(zip(mapcrs, crs, strict=True))
    return (by_axis[1], by_axis[2], by_axis[3])


def _axes(mapcrs: Ints, issues: list[Issue]) -> tuple[Ints, tuple[str, ...]]:
    names = _PERMUTATIONS.get(mapcrs)
    if names is not None:
        return mapcrs, names
    found = ", ".join(map(str, mapcrs))
    text = f"words 17-19 (mapc, mapr, maps) are {found}; expected a permutation of 1, 2, 3; read as 1, 2, 3"
    issues.append(Issue("MRC117", Severity.WARNING, text, 17, found, "1, 2, 3"))
    return (1, 2, 3), ("z", "y", "x")


def _intervals(m: Ints, cella: Triple, sizes: Ints, issues: list[Issue], *, axes: tuple[str, ...]) -> Ints:
    """Return the intervals of the cell; where a word is 0 and the cell has a length, the number of voxels.

    mrcz (seen in 0.6.0) writes a correct cell and 0 for all three words.
    """
    zero = [at for at in range(3) if m[at] == 0 and 0 < cella[at] < math.inf and _NAMES[at] in axes]
    if not zero:
        return m
    names = ", ".join(f"m{_NAMES[at]}" for at in zero)
    numbers = ", ".join(str(8 + at) for at in zero)
    words = f"words {numbers} ({names}) are" if len(zero) > 1 else f"word {numbers} ({names}) is"
    used = ", ".join(f"{sizes[at]} along {_NAMES[at]}" for at in zero)
    text = f"{words} 0; expected the number of cell intervals; the number of voxels is used: {used}"
    issues.append(Issue("MRC109", Severity.WARNING, text, 8 + zero[0], "0", "> 0", _WRITE_INTERVALS))
    x, y, z = (sizes[at] if at in zero else m[at] for at in range(3))
    return x, y, z


def _voxel_size(header: Header, n: Ints, cella: Triple, issues: list[Issue], *, volume: bool) -> Triple:
    if is_deltavision(header.raw):
        sizes = [_ANGSTROM_PER_MICROMETRE * length if 0 < length < math.inf else math.nan for length in cella]
    else:
        sizes = [_step(axis, n[axis], cella[axis], issues) for axis in range(3)]
        if volume and math.isnan(sizes[2]) and 0 <= cella[2] < _TINY and n[2] > 0 and sizes[0] > 0:
            sizes[2] = sizes[0]
            text = f"word 13 (zlen) is {cella[2]:g}; expected > 0; the spacing of columns is used for sections"
            issues.append(Issue("MRC111", Severity.WARNING, text, 13, f"{cella[2]:g}", "> 0"))
    for axis, size in enumerate(sizes):
        if math.isnan(size) and (volume or axis < 2) and cella[axis] >= 0:  # noqa: PLR2004 -- images have no z
            _note_unknown(axis, n[axis], cella[axis], issues)
        if size > _LARGEST or size < _SMALLEST or size == 1.0:
            text = f"voxel size along {_NAMES[axis]} is {size:g} angstrom, an unusual value"
            issues.append(Issue("MRC111", Severity.NOTE, text, 11 + axis, f"{size:g}"))
    return (sizes[0], sizes[1], sizes[2])


def _note_unknown(axis: int, n: int, length: float, issues: list[Issue]) -> None:
    """Add the note that the voxel size of an axis is unknown because a length or a number of intervals is 0."""
    name = _NAMES[axis]
    text = f"words {8 + axis} and {11 + axis} (m{name}, {name}len) are {n} and {length:g}"
    text += f"; voxel size along {name} is unknown"
    issues.append(Issue("MRC111", Severity.NOTE, text, 11 + axis, f"{length:g}", "> 0"))


def _step(axis: int, n: int, length: float, issues: list[Issue]) -> float:
    if 0 < length < math.inf and n > 0:
        step = float(f"{length / n:.6g}")
        return step if step > 0 else math.nan
    if length < 0 or not math.isfinite(length):
        name = _NAMES[axis]
        text = f"word {11 + axis} ({name}len) is {length:g}; expected > 0; voxel size along {name} is unknown"
        issues.append(Issue("MRC111", Severity.WARNING, text, 11 + axis, f"{length:g}", "> 0"))
    return math.nan


def _angles(angles: Triple, issues: list[Issue]) -> Triple:
    alpha, beta, gamma = (_angle(word, angle, issues) for word, angle in zip((14, 15, 16), angles, strict=True))
    if is_skewed((alpha, beta, gamma)):
        found = f"{alpha:g}, {beta:g}, {gamma:g}"
        text = f"words 14-16 (cell angles) are {found}; coordinates follow the cell edges and are not Cartesian"
        issues.append(Issue("MRC114", Severity.NOTE, text, 14, found))
    return (alpha, beta, gamma)


def _angle(word: int, angle: float, issues: list[Issue]) -> float:
    if abs(angle) < 1e-4:  # noqa: PLR2004 - the limit archives use
        text = f"word {word} (cell angle) is {angle:g}; read as 90 degrees"
        issues.append(Issue("MRC114", Severity.NOTE, text, word, f"{angle:g}"))
        return 90.0
    if not 0 < angle < _STRAIGHT:
        text = f"word {word} (cell angle) is {angle:g}; expected between 0 and 180 degrees; read as 90"
        issues.append(Issue("MRC114", Severity.WARNING, text, word, f"{angle:g}", "0 to 180"))
        return 90.0
    return snap(angle, 7)


class _StartEvidence(NamedTuple):
    """What decides the start."""

    header: Header
    layout: Layout
    voxel: Triple
    nstart: Ints
    angles: Triple


def farthest_nstart(m: tuple[int, ...], sizes: tuple[int, ...]) -> int:
    """Return the largest plausible nstart, in voxels: ten times the longest axis (ChimeraX's rule).

    Parameters
    ----------
    m, sizes : tuple of int
        Intervals of the cell (words 8-10) and voxels stored (words 1-3).
    """
    return 10 * max(*m, *sizes)


def _start(evidence: _StartEvidence, requested: str, issues: list[Issue]) -> tuple[str, Triple]:
    if requested == "zero":
        return "zero", ZERO
    found = None if requested == "nstart" else _from_origin(evidence, issues)
    if requested == "auto" and found is not None:
        _note_other_nstart(evidence, found, issues)
    if requested == "origin" or found is not None:
        return "origin", found or ZERO
    if not any(evidence.nstart):
        return ("nstart" if requested == "nstart" else "origin"), ZERO
    return _from_nstart(evidence, issues)


def _note_other_nstart(evidence: _StartEvidence, found: Triple, issues: list[Issue]) -> None:
    """Add a note when words 5-7 give another position than words 50-52, which are used."""
    counted = [n * size for n, size in zip(evidence.nstart, evidence.voxel, strict=True)]
    if any(evidence.nstart) and any(abs(one - two) > _TINY for one, two in zip(counted, found, strict=True)):
        nstart = evidence.header.nstart
        text = f"words 5-7 (nxstart, nystart, nzstart) are {nstart}, another position than words 50-52 (origin)"
        hint = Hint("pass origin='nstart' to use words 5-7")
        issues.append(Issue("MRC105", Severity.NOTE, f"{text}, which are used", 5, str(nstart), hint=hint))


def _from_nstart(evidence: _StartEvidence, issues: list[Issue]) -> tuple[str, Triple]:
    """Return words 5-7 times the voxel size, unless they are implausible."""
    header = evidence.header
    limit = farthest_nstart(header.m, (*evidence.layout.grid[-2:], header.nz))
    if max(map(abs, evidence.nstart)) > limit:
        text = f"words 5-7 (nxstart, nystart, nzstart) are {header.nstart}, far outside the grid; ignored"
        issues.append(Issue("MRC105", Severity.WARNING, text, 5, str(header.nstart), f"-{limit} to {limit}"))
        return "zero", ZERO
    x, y, z = (0.0 if not n else snap(n * size, 12) for n, size in zip(evidence.nstart, evidence.voxel, strict=True))
    return "nstart", (x, y, z)


def _from_origin(evidence: _StartEvidence, issues: list[Issue]) -> Triple | None:
    """Return words 50-52 as a position along the cell edges; None when they are 0 or implausible."""
    if evidence.layout.pixel.memory.startswith("c"):
        return None  # a phase origin in pixels
    found = _stored_origin(evidence.header, issues)
    if not any(found):
        return None
    if not all(_within_reach(o, size) for o, size in zip(found, evidence.voxel, strict=True)):
        shown = ", ".join(f"{o:g}" for o in found)
        text = f"words 50-52 (origin) are {shown}; expected a finite position near the data; ignored"
        issues.append(Issue("MRC150", Severity.WARNING, text, 50, shown, "finite, within reach of the voxel size"))
        return None
    if max(map(abs, found)) < _TINY:
        return None
    if evidence.header.imod.inverted_origin:
        text = "words 50-52 (origin) have IMOD's sign; it is inverted"
        issues.append(Issue("MRC150", Severity.NOTE, text, 50))
        found = (0.0 - found[0], 0.0 - found[1], 0.0 - found[2])
    x, y, z = map(_tidy, found)
    if not is_skewed(evidence.angles):
        return (x, y, z)
    a, b, c = (snap(along, 12) for along in to_edges((x, y, z), evidence.angles))  # the words are Cartesian
    return (a, b, c)


def _stored_origin(header: Header, issues: list[Issue]) -> Triple:
    raw = header.raw
    if raw[208:211].upper() == b"MAP" or not any(raw[208:212]) or raw[212:214] in STAMPS:
        return header.origin
    z, x, y = struct.unpack_from(header.byteorder + "3f", raw, 208)
    scale = _ANGSTROM_PER_MICROMETRE if is_deltavision(raw) else 1.0
    text = "origin read from bytes 208-219, where headers without a map identifier store it"
    issues.append(Issue("MRC150", Severity.NOTE, text, 53))
    return (x * scale, y * scale, z * scale)


def _within_reach(position: float, size: float) -> bool:
    """Whether adding one voxel changes the position in single precision."""
    return abs(position) < (size * _STEPS if size > 0 else _FAR)


def _tidy(position: float) -> float:
    """Return the decimal of 7 digits that is the same number in single precision, if there is one."""
    short = snap(position, 7)
    try:
        same = struct.pack("<f", short) == struct.pack("<f", position)
    except OverflowError:
        return position
    return short if same else position
