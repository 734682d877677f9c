"""What repairs an issue: `REPAIRS`, by code. To repair another one, write one function and add one row.

A repair returns header fields. If it needs a value that the header does not contain, it raises `NotRepairable`;
it never guesses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrcarray.errors import Hint
from mrcarray.format import byteorder as orders
from mrcarray.format.cell_edges import to_cartesian
from mrcarray.format.fields import HEADER_NBYTES, UNDETERMINED, VERSIONS
from mrcarray.format.geometry import Geometry
from mrcarray.format.header import Header
from mrcarray.format.layout import Kind
from mrcarray.kind_facts import interpret_file
from mrcarray.validation.checks import CheckFacts, run_checks

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrcarray.format.layout import Layout
    from mrcarray.kind_facts import Read
    from mrcarray.repair.model import RepairOptions

__all__ = ["REPAIRS", "NotRepairable", "RepairState", "kind_fields", "voxel_size_fields"]

Fields = dict[str, Any]
"""Values by field, for `Header.replace`."""


class NotRepairable(Exception):  # noqa: N818 -- a caller answers it, by passing what is missing
    """A repair lacks something that the file does not contain.

    Parameters
    ----------
    message : str
        What is missing.
    hint : Hint, optional
        What to pass.
    """

    def __init__(self, message: str, hint: Hint | None = None) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


@dataclass(frozen=True, slots=True)
class RepairState:
    """A file under repair.

    Parameters
    ----------
    facts : CheckFacts
        What was read of the file.
    header : Header
        The header with the repairs made so far.
    options : RepairOptions
        What the caller knows.
    size : int
        Bytes of the file.
    path : str
        The file.
    read : callable
        ``read(start, stop)`` returns bytes of the file.
    """

    facts: CheckFacts
    header: Header
    options: RepairOptions
    size: int
    path: str
    read: Read

    def current_facts(self) -> CheckFacts:
        """Return the facts of the file with the header as repaired so far."""
        header, parsed = Header.parse(self.header.raw, self.size)
        found = interpret_file(header, self.size, self.read, name=self.path)
        geometry = Geometry.from_header(header, found.layout) if found.layout is not None else None
        same_pixels = _pixel_block(found.layout) == _pixel_block(self.facts.layout)
        stats, counts = (self.facts.stats, self.facts.counts) if same_pixels else (None, ())
        return CheckFacts(header, (*parsed, *found.issues), found.layout, geometry, stats, counts)


def _pixel_block(layout: Layout | None) -> tuple[Any, ...]:
    """Return what the statistics of the pixels depend on; the kind of the sections is not part of it."""
    return () if layout is None else (layout.offset, layout.stop, layout.pixel, layout.byteorder, layout.columns)


def _size_along_axes(state: RepairState) -> tuple[int, int, int]:
    """Return the voxels along x, y, z: for the sections those of one volume, or 1 for images."""
    header, layout = state.header, state.facts.layout
    sections = header.nz
    if layout is not None and layout.kind in (Kind.IMAGE, Kind.IMAGE_STACK):
        sections = 1
    elif layout is not None and layout.kind is Kind.VOLUME_STACK:
        sections = layout.grid[1]
    mapcrs = header.mapcrs if sorted(header.mapcrs) == [1, 2, 3] else (1, 2, 3)
    size = dict(zip(mapcrs, (header.nx, header.ny, sections), strict=True))
    return size[1], size[2], size[3]


def _intervals(state: RepairState) -> Fields:
    sizes = zip(state.header.m, _size_along_axes(state), strict=True)
    return {"m": tuple(n if n > 0 else size for n, size in sizes)}


def voxel_size_fields(state: RepairState) -> Fields:
    """Return intervals and cell lengths for the voxel size that was given."""
    if state.options.voxel_size is None:
        hint = Hint("pass voxel_size=", "pass --voxel-size")
        raise NotRepairable("the header does not contain the voxel size", hint)
    m = _intervals(state)["m"]
    return {"m": m, "cella": tuple(n * step for n, step in zip(m, state.options.voxel_size, strict=True))}


def _angles(state: RepairState) -> Fields:
    return {"cellb": tuple(a if 1e-4 <= a < 180 else 90.0 for a in state.header.cellb)}  # noqa: PLR2004 -- degrees


def kind_fields(state: RepairState) -> Fields:
    """Return space group and intervals for the kind that was given; the voxel size along z stays."""
    h = state.header
    if state.options.kind is None:
        hint = Hint("pass kind=", "pass --kind")
        raise NotRepairable("the header does not tell what the sections are", hint)
    group = h.ispg % 400 if 1 <= h.ispg % 400 <= 230 else 1  # noqa: PLR2004 -- space groups, plus 400 for stacks
    if state.options.kind == Kind.VOLUME:
        fields: Fields = {"ispg": group, "mz": h.nz}
    elif state.options.kind == Kind.VOLUME_STACK:
        if h.mz <= 0 or h.nz % h.mz:
            text = f"word 10 (mz) is {h.mz}; expected a positive divisor of word 3 (nz), {h.nz}"
            hint = Hint(
                "set it with mrcarray.repair.edit(path, {'mz': N})", "set it with mrcarray edit --set mz=N FILE"
            )
            raise NotRepairable(text, hint)
        return {"ispg": 400 + group}
    else:
        fields = {"ispg": 0, "mz": 1}
    if h.mz > 0 and h.zlen > 0:
        fields["zlen"] = h.zlen / h.mz * fields["mz"]
    return fields


def _no_extended(state: RepairState) -> Fields:
    layout = state.facts.layout
    if layout is None or layout.offset != HEADER_NBYTES or state.size != layout.stop:
        text = "the size of the file does not give the length of the extended header"
        hint = Hint(
            "set it with mrcarray.repair.edit(path, {'nsymbt': N})", "set it with mrcarray edit --set nsymbt=N FILE"
        )
        raise NotRepairable(text, hint)
    return {"nsymbt": 0, "exttyp": bytes(4)}


def _map_id(state: RepairState) -> Fields:
    fields: Fields = {"map": b"MAP "}
    h = state.header
    stamped = h.machst[:2] in orders.STAMPS
    if any(h.map) and h.map[:3].upper() != b"MAP" and not stamped and state.facts.geometry is not None:
        # headers from before 2000 store the origin in words 53-55
        origin = to_cartesian(state.facts.geometry.start, state.facts.geometry.angles)
        fields |= {"origin": origin, "machst": orders.stamp(h.byteorder), "rms": -1.0}
    return fields


def _stamp(state: RepairState) -> Fields:
    return {"machst": orders.stamp(state.header.byteorder)}


def _labels(state: RepairState) -> Fields:
    texts = [label for label in state.header.labels if label.strip(b"\0 \t\r\n\v\f")]
    return {"labels": texts, "nlabl": len(texts)}


def _statistics(state: RepairState) -> Fields:
    from mrcarray.statistics import Stats

    return state.facts.stats.to_header_fields() if isinstance(state.facts.stats, Stats) else dict(UNDETERMINED)


def _statistic(name: str) -> Callable[[RepairState], Fields]:
    """Return the repair of one statistic; the words of the others keep their bytes."""
    return lambda state: {name: _statistics(state)[name]}


def _version(state: RepairState) -> Fields:
    """Declare the version of 2022; MRC2014 has the opposite sign of IMOD's own origin, so that is inverted as well."""
    facts = state.current_facts()
    layout = facts.layout
    others = {issue.code for issue in run_checks(facts, "strict") if issue.is_error} - {"MRC128"}
    if others:
        raise NotRepairable(f"word 28 (nversion) is only set once {', '.join(sorted(others))} is repaired")
    if layout is None or (layout.pixel.mode == 0 and layout.pixel.code != "0"):
        raise NotRepairable("word 28 (nversion) is not set for a file whose pixels do not follow MRC2014")
    fields: Fields = {"nversion": VERSIONS[-1]}
    if state.header.imod.inverted_origin:
        fields["origin"] = tuple(0.0 - position for position in state.header.origin)
    return fields


REPAIRS: dict[str, Callable[[RepairState], Fields]] = {
    "MRC108": _intervals,
    "MRC109": _intervals,
    "MRC110": kind_fields,
    "MRC111": voxel_size_fields,
    "MRC112": voxel_size_fields,
    "MRC114": _angles,
    "MRC117": lambda _: {"mapcrs": (1, 2, 3)},
    "MRC123": kind_fields,
    "MRC124": _no_extended,
    "MRC153": _map_id,
    "MRC161": _stamp,
    "MRC162": _stamp,
    "MRC156": _labels,
    "MRC157": _labels,
    "MRC158": _labels,
    "MRC203": _no_extended,
    "MRC303": kind_fields,
    "MRC501": _statistic("dmin"),
    "MRC502": _statistic("dmax"),
    "MRC503": _statistic("dmean"),
    "MRC504": _statistic("rms"),
    **dict.fromkeys(("MRC507", "MRC508", "MRC509", "MRC511"), _statistics),
    "MRC128": _version,
}
"""The repair of each issue by code, in the order in which `fix` applies them: the version last."""
