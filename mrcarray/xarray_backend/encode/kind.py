"""The kind of file an array makes: its axes in file order, and header marks from which readers get the same kind."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mrcarray.errors import Hint, MrcValueError
from mrcarray.format.interpret import interpret
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.kinds import KINDS, kind_of_name
from mrcarray.format.layout import Kind
from mrcarray.kind_facts import has_records, sections_in, telling_sidecars
from mrcarray.xarray_backend import coordinates as grid_axes
from mrcarray.xarray_backend import sidecars

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    import xarray as xr

    from mrcarray.format.builder import Draft
    from mrcarray.format.header import Header
    from mrcarray.xarray_backend.write_options import WriteOptions

__all__ = ["in_file_order", "misread", "read_as", "sections_are_declared"]

_XYZ = ("x", "y", "z")
_COLOUR = "rgb"
_COLOURS = ("red", "green", "blue")


def in_file_order(array: xr.DataArray, options: WriteOptions) -> tuple[xr.DataArray, Kind, tuple[Issue, ...]]:
    """Return the array with its axes in the order of a file, the kind of file, and a warning for each reversed axis.

    The stack axis comes first and colours last. Spatial axes keep their order, which the header can state for all but
    stacks of volumes. An axis with a falling coordinate is reversed, since a header can only state rising ones.
    """
    array, colour = _with_sorted_colours(array)
    dims = [dim for dim in array.dims if dim not in colour]
    if not 2 <= len(dims) <= 4:  # noqa: PLR2004 -- image to stack of volumes
        raise MrcValueError(f"the array has {len(dims)} axes {tuple(dims)}; an MRC file has 2 (image), 3 or 4")
    if 0 in array.shape:
        raise MrcValueError(f"the array is empty: its shape is {array.shape}; an MRC file has at least one pixel")
    if options.kind is not None and options.kind not in KINDS:
        raise MrcValueError(f"kind is {options.kind!r}; expected one of {', '.join(KINDS)}")
    asked = KINDS[options.kind] if options.kind is not None else None
    if not set(dims) & set(_XYZ):
        array, dims = _named_by_position(array, dims, asked, options)
    rest = [dim for dim in dims if dim not in _XYZ]
    spatial = [str(dim) for dim in dims if dim in _XYZ]
    array, rest, spatial = _as_asked(array, rest, spatial, asked)
    kind = _kind(tuple(array.dims), rest, spatial)
    if asked is not None and asked is not kind:
        raise MrcValueError(f"kind is {options.kind!r}, but dims {tuple(array.dims)} are those of a {kind}")
    if kind is Kind.VOLUME_STACK and array.sizes[spatial[0]] != array.sizes["z"]:
        # mz is both the sections of a volume and the intervals along z, so z has to be slowest unless they are equal.
        spatial = ["z", *(axis for axis in spatial if axis != "z")]
    array = array.transpose(*rest, *spatial, *colour)
    falling = [dim for dim in spatial if grid_axes.falls(array, dim)]
    array = array.isel(dict.fromkeys(falling, slice(None, None, -1)))
    return array, kind, tuple(map(grid_axes.reversed_issue, falling))


def _with_sorted_colours(array: xr.DataArray) -> tuple[xr.DataArray, tuple[str, ...]]:
    """Return the array with its colours in the order of a file, and the name of their axis if there is one."""
    if _COLOUR not in array.dims:
        return array, ()
    if array.sizes[_COLOUR] != len(_COLOURS):
        text = f"dim rgb has {array.sizes[_COLOUR]} colours; a pixel of mode 16 has red, green and blue"
        raise MrcValueError(f"{text}; write all three, or one without the dim: isel(rgb=0)")
    names = [str(name) for name in array.coords[_COLOUR].values] if _COLOUR in array.coords else []
    if sorted(names) == sorted(_COLOURS) and tuple(names) != _COLOURS:
        array = array.isel({_COLOUR: [names.index(name) for name in _COLOURS]})
    return array, (_COLOUR,)


def _named_by_position(
    array: xr.DataArray, dims: list[Hashable], asked: Kind | None, options: WriteOptions
) -> tuple[xr.DataArray, list[Hashable]]:
    """Rename the dims of an array without x, y and z by their positions."""
    stack = asked is Kind.IMAGE_STACK or (asked is None and kind_of_name(options.name) is Kind.IMAGE_STACK)
    spatial = dims[1:] if len(dims) == 3 and stack else dims  # noqa: PLR2004 -- section, row, column
    names = dict(zip(spatial[::-1], _XYZ, strict=False))
    array = array.rename({old: new for old, new in names.items() if old != new})
    return array, [names.get(dim, dim) for dim in dims]


def _as_asked(
    array: xr.DataArray, rest: list[Hashable], spatial: list[str], asked: Kind | None
) -> tuple[xr.DataArray, list[Hashable], list[str]]:
    """Read the axes as the caller asks: z as sections, sections as z, or an image as a volume of one section."""
    missing = [axis for axis in _XYZ if axis not in spatial]
    if asked is Kind.IMAGE_STACK and not rest and len(spatial) == 3:  # noqa: PLR2004 -- a volume's axes
        return array, [spatial[0]], spatial[1:]
    if asked is Kind.VOLUME and len(rest) == 1 and len(missing) == 1:
        positions = grid_axes.section_positions(array, rest[0])
        array = array.drop_vars([rest[0], missing[0]], errors="ignore").rename({rest[0]: missing[0]})
        if positions is not None:
            array = array.assign_coords({missing[0]: (missing[0], positions, {"units": "angstrom"})})
        return array, [], [missing[0], *spatial]
    if asked is Kind.VOLUME and not rest and len(missing) == 1:
        return array.expand_dims(missing[0]), [], [missing[0], *spatial]
    return array, rest, spatial


def _kind(dims: tuple[Hashable, ...], rest: list[Hashable], spatial: list[str]) -> Kind:
    kinds = {(0, 2): Kind.IMAGE, (0, 3): Kind.VOLUME, (1, 2): Kind.IMAGE_STACK, (1, 3): Kind.VOLUME_STACK}
    kind = kinds.get((len(rest), len(spatial)))
    if kind is None:
        text = f"dims {dims} make no MRC file; expected x and y, or x, y and z, and at most one more for a stack"
        raise MrcValueError(f"{text}; select along the others with isel, or combine them with stack")
    return kind


# ------------------------------------------------------------------------------------------ what readers see


def sections_are_declared(plan: Draft, name: str) -> bool:
    """Return whether records or a sidecar show readers a stack where header and name leave the kind open.

    Parameters
    ----------
    plan : Draft
        Header and extended header.
    name : str
        The file; sidecars are looked for next to it.
    """
    if has_records(plan.header, plan.extended):
        return True
    path, sections = os.path.abspath(name), plan.header.nz  # noqa: PTH100 -- names need not be text
    found = (one for one in telling_sidecars(path) if name and sidecars.exists(one))
    return any(_described(one) == sections for one in found)


def _described(name: str) -> int:
    """Return how many sections a sidecar describes; 0 when it cannot be read, which is reported with its metadata."""
    try:
        return sections_in(name, sidecars.content(name))
    except OSError:
        return 0


def read_as(header: Header, name: str, declared: Callable[[], bool]) -> Kind:
    """Return the kind that a reader gets from a file.

    Parameters
    ----------
    header : Header
        Of the file.
    name : str
        Name of the file, which is evidence.
    declared : callable
        Tells whether metadata declare a stack, as `sections_are_declared`; called where the kind would be a guess.
    """
    found = interpret(header, name=name)
    if found.layout is None:
        return Kind.IMAGE
    return Kind.IMAGE_STACK if found.guessed and declared() else found.layout.kind


def misread(read: Kind, kind: Kind) -> tuple[Issue, ...]:
    """Return a warning when readers take the file for another kind because of its name."""
    if read is kind or Kind.IMAGE in (read, kind):
        return ()
    text = f"under this name the file will be read as {read.value}, not {kind.value}"
    declare = f"write it with kind={kind.value!r} to declare it, " if kind is Kind.IMAGE_STACK else ""
    command = f"write it with --kind {kind.value} to declare it, " if kind is Kind.IMAGE_STACK else ""
    hint = Hint(
        f"{declare}choose another suffix, or open it with kind={kind.value!r}",
        f"{command}choose another suffix, or open it with --kind {kind.value}",
    )
    return (Issue("MRC301", Severity.WARNING, text, hint=hint),)
