"""The axes of an array in the order of a file, and what kind of file they make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrcarray.errors import MrcValueError
from mrcarray.format.kinds import KINDS, kind_of_name
from mrcarray.format.layout import Kind
from mrcarray.xarray_backend import coordinates as grid_axes
from mrcarray.xarray_backend.section_spacing import positions_of

if TYPE_CHECKING:
    from collections.abc import Hashable

    import xarray as xr

    from mrcarray.format.issues import Issue
    from mrcarray.xarray_backend.encode.options import Wishes

__all__ = ["oriented"]

_XYZ = ("x", "y", "z")
_COLOUR = "rgb"
_COLOURS = ("red", "green", "blue")


def oriented(array: xr.DataArray, wishes: Wishes) -> tuple[xr.DataArray, Kind, tuple[Issue, ...]]:
    """Return the array with its axes as a file has them, what it is, and a warning about the axes that were turned.

    The stack axis comes first and colours last; spatial axes keep their order, which the header can say of all but
    stacks of volumes. Axes whose coords fall are turned, since it can say only rising ones; colours in
    another order are put into that of a file.
    """
    array, colour = _coloured(array)
    dims = [dim for dim in array.dims if dim not in colour]
    if not 2 <= len(dims) <= 4:  # noqa: PLR2004 -- image to stack of volumes
        raise MrcValueError(f"the array has {len(dims)} axes {tuple(dims)}; MRC files hold 2 (image), 3 or 4")
    if 0 in array.shape:
        raise MrcValueError(f"the array is empty: its shape is {array.shape}; MRC files hold at least one pixel")
    asked = _asked(wishes)
    if not set(dims) & set(_XYZ):
        array, dims = _by_place(array, dims, asked, wishes)
    rest = [dim for dim in dims if dim not in _XYZ]
    spatial = [str(dim) for dim in dims if dim in _XYZ]
    array, rest, spatial = _as_asked(array, rest, spatial, asked)
    kind = _kind(tuple(array.dims), rest, spatial)
    if asked is not None and asked is not kind:
        raise MrcValueError(f"kind is {wishes.kind!r}, but dims {tuple(array.dims)} are those of a {kind}")
    array = array.transpose(*rest, *_sayable(array, kind, spatial), *colour)
    fallen = [dim for dim in spatial if grid_axes.falls(array, dim)]
    array = array.isel(dict.fromkeys(fallen, slice(None, None, -1)))
    return array, kind, tuple(map(grid_axes.turned_issue, fallen))


def _coloured(array: xr.DataArray) -> tuple[xr.DataArray, tuple[str, ...]]:
    """Return the array with its colours in the order of a file, and the name of their axis where there is one."""
    if _COLOUR not in array.dims:
        return array, ()
    if array.sizes[_COLOUR] != len(_COLOURS):
        text = f"dim rgb has {array.sizes[_COLOUR]} colours; a pixel of mode 16 holds red, green and blue"
        raise MrcValueError(f"{text}: write one of them without the dim (isel(rgb=0)), or all three")
    names = [str(name) for name in array.coords[_COLOUR].values] if _COLOUR in array.coords else []
    if sorted(names) == sorted(_COLOURS) and tuple(names) != _COLOURS:
        array = array.isel({_COLOUR: [names.index(name) for name in _COLOURS]})
    return array, (_COLOUR,)


def _sayable(array: xr.DataArray, kind: Kind, spatial: list[str]) -> list[str]:
    """Return the spatial axes in an order the header can say.

    In a stack of volumes mz is both the sections of a volume and the intervals along z, so that z has to be slowest
    unless the two are equal.
    """
    if kind is not Kind.VOLUME_STACK or array.sizes[spatial[0]] == array.sizes["z"]:
        return spatial
    return ["z", *(axis for axis in spatial if axis != "z")]


def _asked(wishes: Wishes) -> Kind | None:
    if wishes.kind is not None and wishes.kind not in KINDS:
        raise MrcValueError(f"kind is {wishes.kind!r}; expected one of {', '.join(KINDS)}")
    return KINDS[wishes.kind] if wishes.kind is not None else None


def _by_place(
    array: xr.DataArray, dims: list[Hashable], asked: Kind | None, wishes: Wishes
) -> tuple[xr.DataArray, list[Hashable]]:
    """Name the axes of an array without names of ours, by their places."""
    stack = asked is Kind.IMAGE_STACK or (asked is None and kind_of_name(wishes.name) is Kind.IMAGE_STACK)
    places = dims[1:] if len(dims) == 3 and stack else dims  # noqa: PLR2004 -- section, row, column
    names = dict(zip(places[::-1], _XYZ, strict=False))
    array = array.rename({old: new for old, new in names.items() if old != new})
    return array, [names.get(dim, dim) for dim in dims]


def _as_asked(
    array: xr.DataArray, rest: list[Hashable], spatial: list[str], asked: Kind | None
) -> tuple[xr.DataArray, list[Hashable], list[str]]:
    """Read the axes as the caller wants them: sections as z, z as sections, or a plane as a volume of one section."""
    missing = [axis for axis in _XYZ if axis not in spatial]
    if asked is Kind.IMAGE_STACK and not rest and len(spatial) == 3:  # noqa: PLR2004 -- a volume's axes
        return array, [spatial[0]], spatial[1:]
    if asked is Kind.VOLUME and len(rest) == 1 and len(missing) == 1:
        places = positions_of(array, rest[0])
        array = array.drop_vars([rest[0], missing[0]], errors="ignore").rename({rest[0]: missing[0]})
        if places is not None:
            array = array.assign_coords({missing[0]: (missing[0], places, {"units": "angstrom"})})
        return array, [], [missing[0], *spatial]
    if asked is Kind.VOLUME and not rest and len(missing) == 1:
        return array.expand_dims(missing[0]), [], [missing[0], *spatial]
    return array, rest, spatial


def _kind(dims: tuple[Hashable, ...], rest: list[Hashable], spatial: list[str]) -> Kind:
    kinds = {(0, 2): Kind.IMAGE, (0, 3): Kind.VOLUME, (1, 2): Kind.IMAGE_STACK, (1, 3): Kind.VOLUME_STACK}
    kind = kinds.get((len(rest), len(spatial)))
    if kind is None:
        text = f"dims {dims} make no MRC file; expected x and y, or x, y and z, and at most one more axis for a stack"
        raise MrcValueError(f"{text}; select from the others, or stack them")
    return kind
