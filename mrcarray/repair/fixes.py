"""What can be done about a finding: `REPAIRS`, by code. To repair another, write one function and add one row.

What a header cannot tell (a voxel size, what the sections are) is asked for and never guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrcarray.format import byteorder as orders
from mrcarray.format.cell_edges import to_cartesian
from mrcarray.format.geometry import Geometry
from mrcarray.format.header import Header
from mrcarray.format.layout import Kind
from mrcarray.kind_facts import interpret_file
from mrcarray.validation.checks import Facts, judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrcarray.format.layout import Layout
    from mrcarray.kind_facts import Read
    from mrcarray.repair.model import Wishes

__all__ = ["REPAIRS", "Asks", "Patient", "resize", "retype"]

HEADER = 1024
VERSION = 20141


@dataclass(frozen=True, slots=True)
class Patient:
    """A file under repair: its facts, its header so far, the caller's wishes, and how to read the file."""

    facts: Facts
    header: Header
    wishes: Wishes
    size: int
    path: str
    read: Read

    def now(self) -> Facts:
        """Return the facts the file has with the header as it is so far."""
        header, parsed = Header.parse(self.header.raw, self.size)
        found = interpret_file(header, self.size, self.read, name=self.path)
        geometry = Geometry.from_header(header, found.layout) if found.layout is not None else None
        same = _pixels(found.layout) == _pixels(self.facts.layout)
        stats, counts = (self.facts.stats, self.facts.counts) if same else (None, ())
        return Facts(header, (*parsed, *found.issues), found.layout, geometry, stats, counts)


def _pixels(layout: Layout | None) -> tuple[Any, ...]:
    """Return where the pixels lie and how they are stored, whatever the sections are."""
    return () if layout is None else (layout.offset, layout.stop, layout.pixel, layout.byteorder, layout.columns)


class Asks(Exception):  # noqa: N818 -- no error: it carries a question
    """A repair needs something it was not given."""


Fields = dict[str, Any]


def _by_axis(p: Patient) -> tuple[int, int, int]:
    """Return the dimensions along x, y, z, the sections of one volume or 1 for images."""
    h = p.header
    layout = p.facts.layout
    stack = layout is not None and layout.kind in (Kind.IMAGE, Kind.IMAGE_STACK)
    sections = 1 if stack else h.nz
    if layout is not None and layout.kind is Kind.VOLUME_STACK:
        sections = layout.grid[1]
    crs = h.mapcrs if sorted(h.mapcrs) == [1, 2, 3] else (1, 2, 3)
    size = dict(zip(crs, (h.nx, h.ny, sections), strict=True))
    return size[1], size[2], size[3]


def _intervals(p: Patient) -> Fields:
    return {"m": tuple(n if n > 0 else size for n, size in zip(p.header.m, _by_axis(p), strict=True))}


def resize(p: Patient) -> Fields:
    """Return intervals and cell of the voxel size asked for."""
    if p.wishes.voxel_size is None:
        raise Asks("--voxel-size")
    m = [n if n > 0 else size for n, size in zip(p.header.m, _by_axis(p), strict=True)]
    return {"m": tuple(m), "cella": tuple(n * step for n, step in zip(m, p.wishes.voxel_size, strict=True))}


def _angles(p: Patient) -> Fields:
    return {"cellb": tuple(a if 1e-4 <= a < 180 else 90.0 for a in p.header.cellb)}  # noqa: PLR2004 -- degrees


def retype(p: Patient) -> Fields:
    """Return space group and intervals of the kind asked for; the voxel size along z stays."""
    h = p.header
    if p.wishes.kind is None:
        raise Asks("--kind")
    group = h.ispg % 400 if 1 <= h.ispg % 400 <= 230 else 1  # noqa: PLR2004 -- space groups, plus 400 for stacks
    if p.wishes.kind == Kind.VOLUME:
        fields: Fields = {"ispg": group, "mz": h.nz}
    elif p.wishes.kind == Kind.VOLUME_STACK:
        if h.mz <= 0 or h.nz % h.mz:
            raise Asks("edit --set mz=SECTIONS")
        return {"ispg": 400 + group}
    else:
        fields = {"ispg": 0, "mz": 1}
    if h.mz > 0 and h.zlen > 0:
        fields["zlen"] = h.zlen / h.mz * fields["mz"]
    return fields


def _no_extended(p: Patient) -> Fields:
    layout = p.facts.layout
    if layout is None or layout.offset != HEADER or p.size != layout.stop:
        raise Asks("edit --set nsymbt=BYTES")
    return {"nsymbt": 0, "exttyp": bytes(4)}


def _map_id(p: Patient) -> Fields:
    fields: Fields = {"map": b"MAP "}
    h = p.header
    stamped = h.machst[:2] in orders.STAMPS
    if any(h.map) and h.map[:3].upper() != b"MAP" and not stamped and p.facts.geometry is not None:
        # A header from before 2000: the origin stands in words 53-55.
        origin = to_cartesian(p.facts.geometry.start, p.facts.geometry.angles)
        fields |= {"origin": origin, "machst": orders.stamp(h.byteorder), "rms": -1.0}
    return fields


def _stamp(p: Patient) -> Fields:
    return {"machst": orders.stamp(p.header.byteorder)}


def _labels(p: Patient) -> Fields:
    texts = [label for label in p.header.labels if label.strip(b"\0 \t\r\n\v\f")]
    return {"labels": texts, "nlabl": len(texts)}


def _statistics(p: Patient) -> Fields:
    from mrcarray.statistics import UNDETERMINED, Stats

    return p.facts.stats.to_header_fields() if isinstance(p.facts.stats, Stats) else dict(UNDETERMINED)


def _statistic(name: str) -> Callable[[Patient], Fields]:
    """Return the repair of one statistic; those that are right keep their bytes."""
    return lambda p: {name: _statistics(p)[name]}


def _version(p: Patient) -> Fields:
    """Declare the version of 2022, unless something else is wrong; IMOD's own sign of the origin goes with it."""
    facts = p.now()
    layout = facts.layout
    others = {issue.code for issue in judge(facts, "strict") if issue.is_error} - {"MRC128"}
    if others or layout is None or (layout.pixel.mode == 0 and layout.pixel.code != "0"):
        raise Asks("nothing else to be wrong")
    fields: Fields = {"nversion": VERSION}
    if p.header.imod.inverted_origin:
        fields["origin"] = tuple(0.0 - place for place in p.header.origin)
    return fields


REPAIRS: dict[str, Callable[[Patient], Fields]] = {
    "MRC108": _intervals,
    "MRC109": _intervals,
    "MRC110": retype,
    "MRC111": resize,
    "MRC112": resize,
    "MRC114": _angles,
    "MRC117": lambda _: {"mapcrs": (1, 2, 3)},
    "MRC123": retype,
    "MRC124": _no_extended,
    "MRC153": _map_id,
    "MRC161": _stamp,
    "MRC162": _stamp,
    "MRC156": _labels,
    "MRC157": _labels,
    "MRC158": _labels,
    "MRC203": _no_extended,
    "MRC303": retype,
    "MRC501": _statistic("dmin"),
    "MRC502": _statistic("dmax"),
    "MRC503": _statistic("dmean"),
    "MRC504": _statistic("rms"),
    **dict.fromkeys(("MRC507", "MRC508", "MRC509", "MRC511"), _statistics),
    "MRC128": _version,
}
"""What ``fix`` does about a finding, in the order in which it is done."""
