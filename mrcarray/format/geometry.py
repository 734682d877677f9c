"""Where the voxels lie in space: axes, voxel size, start.

`Geometry.from_header` applies the rules for silly cells, the two kinds of origin and their signs, once and for all, and
`Geometry.to_header_fields` goes the way back.
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

__all__ = ["ORIGINS", "TINY_ORIGIN", "Geometry", "Ints", "Triple", "farthest_nstart", "snap"]

Triple = tuple[float, float, float]
Ints = tuple[int, int, int]

ORIGINS = ("auto", "origin", "nstart", "zero")
"""Words a caller may use for the start: the documented rule, words 50-52, words 5-7, or nothing."""

_NAMES = "xyz"
_ZERO: Triple = (0.0, 0.0, 0.0)
_ORTHOGONAL: Triple = (90.0, 90.0, 90.0)
TINY_ORIGIN = 1e-5
"""Words 50-52 that are all smaller, in angstrom, hold no position."""
_TINY, _STEPS, _FAR = TINY_ORIGIN, 2.0**24, 1e8
_SMALLEST, _LARGEST = 0.01, 1000.0
_ANGSTROM_PER_MICROMETRE = 1e4
_STRAIGHT = 180.0
_CELL = {order: struct.Struct(order + "3i3f3f3i") for order in "<>"}
_PLACE = {order: struct.Struct(order + "3i") for order in "<>"}
_PERMUTATIONS = {
    (1, 2, 3): ("z", "y", "x"),
    (1, 3, 2): ("y", "z", "x"),
    (2, 1, 3): ("z", "x", "y"),
    (2, 3, 1): ("x", "z", "y"),
    (3, 1, 2): ("y", "x", "z"),
    (3, 2, 1): ("x", "y", "z"),
}


def snap(value: float, digits: int = 6) -> float:
    """Round to significant digits, so that sizes written by two programs agree.

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
        Along x, y, z in angstrom, rounded to 6 significant digits; NaN where unknown.
    start : tuple of float
        Position of the first voxel in angstrom along the edges x, y, z of the cell, which are Cartesian where the
        angles are 90; NaN where it is counted in unknown voxels.
    nstart : tuple of int
        Words 5-7, reordered to x, y, z.
    angles : tuple of float
        Cell angles in degrees.
    n : tuple of int
        Intervals of the cell along x, y, z (words 8-10); 0 where they follow from the layout.
    source : {"origin", "nstart", "zero"}
        Which words gave the start.
    mapcrs : tuple of int
        Axis numbers of columns, rows, sections.
    cella : tuple of float
        Cell lengths as they stand in the header, in angstrom; NaN where unknown.
    origin : tuple of float
        Words 50-52 as they stand in the header.
    issues : tuple of Issue
        What was not taken literally.
    """

    axes: tuple[str, ...]
    voxel_size: Triple
    start: Triple = (0.0, 0.0, 0.0)
    nstart: Ints = (0, 0, 0)
    angles: Triple = _ORTHOGONAL
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
        """Read the geometry of a header by the documented rules.

        Parameters
        ----------
        header : Header
            The header.
        layout : Layout
            Its interpretation.
        origin : {"auto", "origin", "nstart", "zero"}
            What gives the start: words 50-52 when they hold a sensible place and else words 5-7, one of the two, or
            neither. They are never added.

        Returns
        -------
        Geometry

        Raises
        ------
        MrcValueError
            When `origin` is none of its words.

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
        nstart = _xyz(_PLACE[header.byteorder].unpack_from(header.raw, 16), mapcrs)
        angles = _ORTHOGONAL if values[6:9] == _ORTHOGONAL else _angles(values[6:9], issues)
        source, start = _start(_Place(header, layout, voxel, nstart, angles), origin, issues)
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
        """Return the header fields that say this geometry, for data of `layout`.

        The start goes to words 50-52, or stays in words 5-7 when it came from there. Cell lengths that agree with the
        voxel size are handed back as they were read; an unknown voxel size gives length 0.

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
    """Return the intervals of the cell: the number of voxels where a word is 0 and the cell has a length.

    mrcz (seen in 0.6.0) writes a correct cell and 0 for all three words.
    """
    lacking = [at for at in range(3) if m[at] == 0 and 0 < cella[at] < math.inf and _NAMES[at] in axes]
    if not lacking:
        return m
    names = ", ".join(f"m{_NAMES[at]}" for at in lacking)
    numbers = ", ".join(str(8 + at) for at in lacking)
    words = f"words {numbers} ({names}) are" if len(lacking) > 1 else f"word {numbers} ({names}) is"
    used = ", ".join(f"{sizes[at]} along {_NAMES[at]}" for at in lacking)
    text = f"{words} 0, expected the number of intervals of the cell; the number of voxels is used, {used};"
    text += " mrcarray fix writes it into the header"
    issues.append(Issue("MRC109", Severity.WARNING, text, 8 + lacking[0], "0", "> 0"))
    x, y, z = (sizes[at] if at in lacking else m[at] for at in range(3))
    return x, y, z


def _voxel_size(header: Header, n: Ints, cella: Triple, issues: list[Issue], *, volume: bool) -> Triple:
    if is_deltavision(header.raw):
        sizes = [_ANGSTROM_PER_MICROMETRE * length if 0 < length < math.inf else math.nan for length in cella]
    else:
        sizes = [_step(axis, n[axis], cella[axis], issues) for axis in range(3)]
        if volume and math.isnan(sizes[2]) and 0 <= cella[2] < _TINY and n[2] > 0 and sizes[0] > 0:
            sizes[2] = sizes[0]
            text = f"word 13 (zlen) is {cella[2]:g}; sections are taken to be as far apart as columns"
            issues.append(Issue("MRC111", Severity.WARNING, text, 13, f"{cella[2]:g}", "> 0"))
    for axis, size in enumerate(sizes):
        if math.isnan(size) and (volume or axis < 2) and cella[axis] >= 0:  # noqa: PLR2004 -- images have no z
            _note_unknown(axis, n[axis], cella[axis], issues)
        if size > _LARGEST or size < _SMALLEST or size == 1.0:
            text = f"voxel size along {_NAMES[axis]} is {size:g} angstrom, which is suspicious"
            issues.append(Issue("MRC111", Severity.NOTE, text, 11 + axis, f"{size:g}"))
    return (sizes[0], sizes[1], sizes[2])


def _note_unknown(axis: int, n: int, length: float, issues: list[Issue]) -> None:
    """Add the note that an axis has no voxel size because a length or a number of intervals is 0."""
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
        text = f"word {11 + axis} ({name}len) is {length:g}; expected a length; voxel size along {name} is unknown"
        issues.append(Issue("MRC111", Severity.WARNING, text, 11 + axis, f"{length:g}", "> 0"))
    return math.nan


def _angles(angles: Triple, issues: list[Issue]) -> Triple:
    alpha, beta, gamma = (_angle(word, angle, issues) for word, angle in zip((14, 15, 16), angles, strict=True))
    if is_skewed((alpha, beta, gamma)):
        found = f"{alpha:g}, {beta:g}, {gamma:g}"
        text = f"words 14-16 (cell angles) are {found}; coordinates run along the cell's edges and are not Cartesian"
        issues.append(Issue("MRC114", Severity.NOTE, text, 14, found))
    return (alpha, beta, gamma)


def _angle(word: int, angle: float, issues: list[Issue]) -> float:
    if abs(angle) < 1e-4:  # noqa: PLR2004 - the limit archives use
        issues.append(
            Issue("MRC114", Severity.NOTE, f"word {word} is {angle:g}; read as 90 degrees", word, f"{angle:g}")
        )
        return 90.0
    if not 0 < angle < _STRAIGHT:
        text = f"word {word} is {angle:g}; expected an angle between 0 and 180 degrees; read as 90"
        issues.append(Issue("MRC114", Severity.WARNING, text, word, f"{angle:g}", "0 to 180"))
        return 90.0
    return snap(angle, 7)


class _Place(NamedTuple):
    """What a start is worked out from."""

    header: Header
    layout: Layout
    voxel: Triple
    nstart: Ints
    angles: Triple


def farthest_nstart(m: tuple[int, ...], sizes: tuple[int, ...]) -> int:
    """Return the largest start, in voxels, that readers believe: ten times the longest axis (ChimeraX's rule).

    Parameters
    ----------
    m, sizes : tuple of int
        Intervals of the cell (words 8-10) and voxels stored (words 1-3).
    """
    return 10 * max(*m, *sizes)


def _start(place: _Place, asked: str, issues: list[Issue]) -> tuple[str, Triple]:
    if asked == "zero":
        return "zero", _ZERO
    found = None if asked == "nstart" else _origin(place, issues)
    if asked == "auto" and found is not None:
        _compare(place, found, issues)
    if asked == "origin" or found is not None:
        return "origin", found or _ZERO
    if not any(place.nstart):
        return ("nstart" if asked == "nstart" else "origin"), _ZERO
    return _counted(place, issues)


def _compare(place: _Place, found: Triple, issues: list[Issue]) -> None:
    """Add a note when words 5-7 hold another place than words 50-52, which count."""
    counted = [n * size for n, size in zip(place.nstart, place.voxel, strict=True)]
    if any(place.nstart) and any(abs(one - two) > _TINY for one, two in zip(counted, found, strict=True)):
        text = (
            f"words 5-7 (nxstart, nystart, nzstart) are {place.header.nstart}, another place than words 50-52 (origin)"
        )
        hint = Hint("pass origin='nstart' to use words 5-7")
        issues.append(Issue("MRC105", Severity.NOTE, f"{text}, which count", 5, str(place.header.nstart), hint=hint))


def _counted(place: _Place, issues: list[Issue]) -> tuple[str, Triple]:
    """Return words 5-7 times the voxel size, unless they are absurd."""
    header = place.header
    limit = farthest_nstart(header.m, (*place.layout.grid[-2:], header.nz))
    if max(map(abs, place.nstart)) > limit:
        text = f"words 5-7 (nxstart, nystart, nzstart) are {header.nstart}, far outside the grid; ignored"
        issues.append(Issue("MRC105", Severity.WARNING, text, 5, str(header.nstart), f"-{limit} to {limit}"))
        return "zero", _ZERO
    x, y, z = (0.0 if not n else snap(n * size, 12) for n, size in zip(place.nstart, place.voxel, strict=True))
    return "nstart", (x, y, z)


def _origin(place: _Place, issues: list[Issue]) -> Triple | None:
    """Return words 50-52 as a position along the edges of the cell, None when they hold none."""
    if place.layout.pixel.memory.startswith("c"):
        return None  # a phase origin in pixels
    found = _stored_origin(place.header, issues)
    if not any(found):
        return None
    if not all(_sensible(o, size) for o, size in zip(found, place.voxel, strict=True)):
        shown = ", ".join(f"{o:g}" for o in found)
        text = f"words 50-52 (origin) are {shown}, no sensible place; ignored"
        issues.append(Issue("MRC150", Severity.WARNING, text, 50, shown, "finite, within reach of the voxel size"))
        return None
    if max(map(abs, found)) < _TINY:
        return None
    if place.header.imod.inverted_origin:
        text = "words 50-52 (origin) have IMOD's own sign, which is turned"
        issues.append(Issue("MRC150", Severity.NOTE, text, 50))
        found = (0.0 - found[0], 0.0 - found[1], 0.0 - found[2])
    x, y, z = map(_tidy, found)
    if not is_skewed(place.angles):
        return (x, y, z)
    a, b, c = (snap(along, 12) for along in to_edges((x, y, z), place.angles))  # the words are Cartesian
    return (a, b, c)


def _stored_origin(header: Header, issues: list[Issue]) -> Triple:
    raw = header.raw
    if raw[208:211].upper() == b"MAP" or not any(raw[208:212]) or raw[212:214] in STAMPS:
        return header.origin
    z, x, y = struct.unpack_from(header.byteorder + "3f", raw, 208)
    scale = _ANGSTROM_PER_MICROMETRE if is_deltavision(raw) else 1.0
    text = "origin read from bytes 208-219, where headers without a map identifier keep it"
    issues.append(Issue("MRC150", Severity.NOTE, text, 53))
    return (x * scale, y * scale, z * scale)


def _sensible(place: float, size: float) -> bool:
    """Whether adding one voxel in single precision still moves the place."""
    return abs(place) < (size * _STEPS if size > 0 else _FAR)


def _tidy(place: float) -> float:
    """Return the shortest decimal that is the same number in single precision, if 7 digits do."""
    short = snap(place, 7)
    try:
        same = struct.pack("<f", short) == struct.pack("<f", place)
    except OverflowError:
        return place
    return short if same else place
