"""The words that place the first voxel: words 5-7 (nstart), words 50-52 (origin), or both.

gemmi, CCP4, Coot and Phenix place a map by words 5-7 alone; ITK and RosettaSciIO by words 50-52 alone; ChimeraX and
Mol* by words 50-52 unless all of them are 0, and else by words 5-7; VTK and GridDataFormats by the sum of both. So a
map keeps the words it was placed by, and one that was at 0 gets words 5-7, which all but the second group read.
``docs/explanation/placement.md`` has the table.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mrcarray.errors import Hint, MrcValueError
from mrcarray.format.cell_edges import to_cartesian
from mrcarray.format.geometry import TINY_ORIGIN, farthest_nstart
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.kinds import kind_of_name, suffix
from mrcarray.format.layout import Kind
from mrcarray.xarray_backend.encode.header import float_attrs, label_attrs, placement_of, whole_attr
from mrcarray.xarray_backend.metadata_read import RECORD

if TYPE_CHECKING:
    import xarray as xr

    from mrcarray.format.builder import Draft
    from mrcarray.xarray_backend.coordinates import Axis
    from mrcarray.xarray_backend.encode.options import Wishes
    from mrcarray.xarray_backend.encode.positioned import Cell, Place

__all__ = ["by_origin", "start_words"]

_XYZ = ("x", "y", "z")
_ZERO = (0.0, 0.0, 0.0)
_ORTHOGONAL = (90.0, 90.0, 90.0)
_CCP4_SUFFIXES = frozenset({".map", ".ccp4"})
_EMDB_LABEL = "EMDATABANK.org"
_CLOSE = 1e-3
"""Part of a voxel by which a position may be off and still count as a whole number of voxels."""
_WORD = 2**31

Words = tuple[tuple[float, ...], tuple[int, ...]]
"""Words 50-52, and words 5-7 in the order x, y, z."""


def start_words(array: xr.DataArray, sized: Draft, place: Place, cell: Cell, wishes: Wishes) -> Words:
    """Return words 50-52, and words 5-7 in the order x, y, z, that place the first voxel where the coords say.

    Parameters
    ----------
    array : DataArray
        What is written.
    sized : Draft
        With its sizes and version, which decides on the sign of words 50-52.
    place : Place
        The grid of the array; issues are added to it.
    cell : Cell
        Voxel size and intervals the file will state.
    wishes : Wishes
        What the caller asked for: the placement, and the name of the file, whose suffix is evidence.

    Raises
    ------
    MrcValueError
        When words 50-52 are asked for and cannot state the position.
    """
    x, y, z = map(_along, (place.axes[axis] for axis in _XYZ), cell.steps)
    start = (x, y, z)
    counts = tuple(map(_count, (place.axes[axis] for axis in _XYZ), cell.steps))
    if array.dtype.kind == "c":
        return _of_transform(array, counts, place, wishes.placement)
    _check_known(counts, cell.steps, wishes.placement)
    by = wishes.placement if wishes.placement != "auto" else _as_before(array, wishes.name)
    offset = float_attrs(array, "nstart_offset", _ZERO) if (wishes.placement, by) == ("auto", "both") else _ZERO
    counts, reach = _moved(counts, offset, cell.steps), _reach(place, cell)
    nstart = _whole(counts)
    if (wishes.placement, by) == ("auto", "nstart") and (nstart is None or max(map(abs, nstart)) > reach):
        by = "both" if any(math.isfinite(step) for step in cell.steps) else by
    if by == "origin":
        return _origin(array, sized, start), (0, 0, 0)
    nstart = nstart if nstart is not None else _rounded(counts)
    if by == "nstart" or _is_placed(array, place, wishes.name):  # else words 50-52 are exact, and they count
        _warn_rounded(place, start, counts, nstart, cell.steps)
    if by == "nstart":
        _warn_far(place, nstart, reach)
        return _ZERO, nstart
    origin = _origin(array, sized, start)
    if any(nstart) and any(offset) and max(map(abs, origin)) < TINY_ORIGIN:
        _warn_dropped(place, nstart)
        return _ZERO, (0, 0, 0)
    return origin, nstart


def _is_placed(array: xr.DataArray, place: Place, name: str) -> bool:
    """Return whether programs place the file in space: a volume, or a stack that could be taken for one.

    A stack could where its header counts sections as a volume does, unless its name or its metadata tell what it is.
    """
    if place.kind in (Kind.VOLUME, Kind.VOLUME_STACK):
        return True
    tells = kind_of_name(name) is Kind.IMAGE_STACK or {RECORD, "tilt_angle"} & set(array.coords)
    return place.intervals != 1 and not tells


def _along(axis: Axis, step: float) -> float:
    """Return the position of the first voxel in ångström, 0 where it is not known."""
    start = axis.start if axis.count is None else axis.count * step
    return 0.0 if math.isnan(start) else start


def _count(axis: Axis, step: float) -> float:
    """Return the position of the first voxel in voxels, 0 where it is not known."""
    if axis.count is not None:
        return float(axis.count)
    return 0.0 if math.isnan(axis.start) or math.isnan(step) else axis.start / step


def _as_before(array: xr.DataArray, name: str) -> str:
    """Return the words that placed the file the array came from; words 5-7 for one at 0, and for a new array."""
    if not by_origin(array):
        return "nstart"
    if any(float_attrs(array, "nstart", _ZERO)):
        return "both"
    return "nstart" if _is_ccp4(array, name) else "origin"


def by_origin(array: xr.DataArray) -> bool:
    """Return whether words 50-52 placed the file the array came from."""
    return placement_of(array) == "auto" and any(float_attrs(array, "origin", _ZERO))


def _is_ccp4(array: xr.DataArray, name: str) -> bool:
    """Whether this is a map of CCP4 or EMDB, where words 50-52 are reserved."""
    names = (name, str(array.encoding.get("source", "")))
    return (
        any(suffix(name) in _CCP4_SUFFIXES for name in names)
        or "symmetry" in array.attrs
        or "cell_intervals" in array.attrs
        or whole_attr(array, "space_group", 0) > 1
        or any(_EMDB_LABEL in label for label in label_attrs(array))
    )


def _of_transform(array: xr.DataArray, counts: tuple[float, ...], place: Place, placement: str) -> Words:
    """Return the words of a transform, whose words 50-52 are its phase origin in pixels."""
    if placement in ("origin", "both"):
        raise MrcValueError(
            f"placement is {placement!r}, but words 50-52 of complex pixels are their phase origin; use 'nstart'"
        )
    whole = _whole(counts)
    if whole is None:
        text = "complex pixels are placed by whole voxels (words 5-7); the place of this array is not, and is lost"
        place.issues.append(Issue("MRC105", Severity.WARNING, text, 5))
    return float_attrs(array, "origin", _ZERO), whole or (0, 0, 0)


def _check_known(counts: tuple[float, ...], steps: tuple[float, ...], placement: str) -> None:
    lost = [axis for axis, count, step in zip(_XYZ, counts, steps, strict=True) if count and math.isnan(step)]
    if lost and placement in ("origin", "both"):
        raise MrcValueError(
            f"placement is {placement!r}, but the voxel size along {', '.join(lost)} is unknown, so the position in "
            "ångström is, too; give voxel_size=, or use placement='nstart'"
        )


def _moved(counts: tuple[float, ...], offset: tuple[float, ...], steps: tuple[float, ...]) -> tuple[float, ...]:
    """Return the counts by words 5-7 of a file that had another position there than in words 50-52."""
    if len(offset) != len(_XYZ):
        return counts
    known = zip(counts, offset, steps, strict=True)
    return tuple(count if math.isnan(step) else count + off / step for count, off, step in known)


def _whole(counts: tuple[float, ...]) -> tuple[int, ...] | None:
    """Return the counts if they are whole numbers of voxels that a word holds."""
    if not all(abs(count) < _WORD for count in counts):
        return None
    whole = _rounded(counts)
    return whole if all(abs(count - n) < _CLOSE for count, n in zip(counts, whole, strict=True)) else None


def _rounded(counts: tuple[float, ...]) -> tuple[int, ...]:
    return tuple(round(max(min(count, _WORD - 1), 1 - _WORD)) if math.isfinite(count) else 0 for count in counts)


def _origin(array: xr.DataArray, sized: Draft, start: tuple[float, float, float]) -> tuple[float, ...]:
    """Return words 50-52 for a position along the edges of the cell: Cartesian, with the sign the header declares."""
    angles = float_attrs(array, "cell_angles", _ORTHOGONAL)
    alpha, beta, gamma = angles if len(angles) == len(_XYZ) else _ORTHOGONAL
    inverted = sized.header.imod.inverted_origin
    return tuple(-x if inverted and x else x for x in to_cartesian(start, (alpha, beta, gamma)))


def _reach(place: Place, cell: Cell) -> int:
    """Return the largest start that readers believe."""
    return farthest_nstart(cell.m, tuple(place.axes[axis].length for axis in _XYZ))


def _warn_rounded(
    place: Place,
    start: tuple[float, ...],
    counts: tuple[float, ...],
    nstart: tuple[int, ...],
    steps: tuple[float, ...],
) -> None:
    """Warn of words 5-7 that are rounded."""
    off = {
        axis: abs(count - n) * (1.0 if math.isnan(step) else step)
        for axis, count, n, step in zip(_XYZ, counts, nstart, steps, strict=True)
        if abs(count - n) >= _CLOSE
    }
    if not off:
        return
    shown = ", ".join(f"{distance:.3g} Å along {axis}" for axis, distance in off.items())
    position = ", ".join(f"{along:.6g}" for along in start)
    text = f"the first voxel lies at ({position}) Å, not a whole number of voxels from 0, so words 5-7 (nstart) are"
    text += f" rounded: programs that place a map by them (gemmi, CCP4, Coot, Phenix) are {shown} off"
    hint = Hint("pass placement='origin' to leave these words 0", "pass --placement origin to leave these words 0")
    place.issues.append(Issue("MRC105", Severity.WARNING, text, 5, hint=hint))


def _warn_far(place: Place, nstart: tuple[int, ...], limit: int) -> None:
    """Warn of words 5-7 that ChimeraX and this package take for nonsense."""
    if max(map(abs, nstart)) > limit:
        text = f"words 5-7 (nstart) are {nstart}, more than ten times the size of the map, which ChimeraX and mrcarray"
        text += " ignore"
        advice = "to store the position in words 50-52 as well"
        hint = Hint(f"pass placement='both' {advice}", f"pass --placement both {advice}")
        place.issues.append(Issue("MRC105", Severity.WARNING, text, 5, str(nstart), f"-{limit} to {limit}", hint))


def _warn_dropped(place: Place, nstart: tuple[int, ...]) -> None:
    """Warn that a second position is lost, since words 50-52 that are all 0 would leave it as the only one."""
    text = f"words 5-7 (nstart) would be {nstart}, another position than words 50-52, which are now all 0 and would not"
    text += " count; words 5-7 are written as 0"
    place.issues.append(Issue("MRC105", Severity.WARNING, text, 5))
