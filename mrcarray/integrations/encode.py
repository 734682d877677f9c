"""The way back: from a labelled array as it is now to the header of a file that says the same.

Sizes, voxel size, place and order of the axes come from dims and coords alone; what the file said beyond them (labels,
space group, cell, extended header) comes from attrs, coords, and, as long as xarray kept it, from the header in
``encoding``. Words of that header which still say what is true are left as they are, so that a file read and written
untouched keeps its bytes.

Pure but for one thing: an extended header that nobody understands is fetched from the file the array came from.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import MrcError, MrcValueError
from mrcarray.format.draft import Draft, draft, with_label
from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.format.geometry import Geometry, snap
from mrcarray.format.header import Header
from mrcarray.format.infer import interpret
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.kinds import KINDS, STACK_SUFFIXES, suffix
from mrcarray.format.layout import Kind
from mrcarray.integrations import axes as grid_axes
from mrcarray.integrations import metadata
from mrcarray.integrations.transforms import in_space

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import xarray as xr

    from mrcarray.integrations.axes import Axis

__all__ = ["Encoded", "Wishes", "encode", "oriented"]

_XYZ = ("x", "y", "z")
_KEPT_CODES = frozenset({"0", "0u", "1", "2", "3", "4", "5", "6", "7", "8", "12", "16", "17", "101"})
_SUCCESSORS = {"0n": "101"}
"""Codes that are written as others: half bytes have a mode of their own now."""
_RGB, _NEW_MODES = 16, (12, 101)
_NEWEST = 20141
_ORTHOGONAL = (90.0, 90.0, 90.0)
_IMOD_STAMP = 1146047817
_CLOSE = 1e-3
"""Part of a voxel by which a place may be off and still count as the same."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the caller asked for beyond the array; None leaves the choice to the array.

    Parameters
    ----------
    kind : str, optional
        A word of `mrcarray.format.kinds.KINDS`.
    mode : int, optional
        Mode to store the values in.
    byteorder : {"<", ">", "little", "big"}, optional
        Byte order; by default that of the file the array came from, else little-endian.
    voxel_size : float or (x, y, z), optional
        In ångström, instead of that of the coords.
    nversion : int, optional
        Version the header declares.
    label : str, optional
        Text of the label that is added; an empty one adds none.
    name : str
        Name of the file to be written, for its suffix.
    signed : bool
        Whether bytes of mode 0 are to be signed although those of the file the array came from are not.
    """

    kind: str | None = None
    mode: int | None = None
    byteorder: str | None = None
    voxel_size: float | Sequence[float] | None = None
    nversion: int | None = None
    label: str | None = None
    name: str = ""
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Encoded:
    """An array ready to be written.

    Parameters
    ----------
    array : DataArray
        The pixels, axes in the order of the file and all coords ascending.
    plan : Draft
        Layout, header and extended header.
    issues : tuple of Issue
        What cannot be said in the file.
    """

    array: xr.DataArray
    plan: Draft
    issues: tuple[Issue, ...] = ()


@dataclass(slots=True)
class _Place:
    """What is known of the grid, and what is to be said about it."""

    kind: Kind
    axes: dict[str, Axis]
    order: tuple[str, ...]
    """Spatial axes of the file, slowest first; always three."""
    issues: list[Issue] = field(default_factory=list)

    @property
    def mapcrs(self) -> tuple[int, int, int]:
        s, r, c = ("xyz".index(axis) + 1 for axis in self.order)
        return c, r, s


def encode(array: xr.DataArray, wishes: Wishes) -> Encoded:
    """Return pixels and header of a labelled array.

    Parameters
    ----------
    array : DataArray
        Dims ``x``, ``y``, ``z`` in any order, and at most one more for a stack; or dims without these names, which are
        taken by their places.
    wishes : Wishes
        What the caller asked for.

    Returns
    -------
    Encoded

    Raises
    ------
    MrcValueError
        When the format cannot say what the array is.

    Examples
    --------
    >>> import xarray as xr
    >>> volume = xr.open_dataarray("tomo.mrc").isel(z=slice(5, None), x=slice(None, None, 2))
    >>> plan = encode(volume, Wishes()).plan
    >>> plan.layout.shape, plan.header.origin, plan.header.cella
    ((15, 32, 20), (0.0, 0.0, 10.0), (80.0, 64.0, 30.0))
    """
    array, cut = in_space(array)
    array = _measured(array)
    array, kind = oriented(array, wishes)
    place = _place(array, kind, wishes)
    base, sized = _base(array, wishes, kind)
    extended, issues = _extended(array, base, sized.header.byteorder)
    header = _header(array, base, sized, place, wishes)
    header, extended = _joined(header.replace(nsymbt=0 if base is None else base.nsymbt), extended)
    layout = replace(sized.layout, offset=HEADER_NBYTES + len(extended.data))
    return Encoded(array, Draft(layout, header, extended.data), (*cut, *place.issues, *issues))


def _measured(array: xr.DataArray) -> xr.DataArray:
    """Return the array with places instead of pixel numbers, where the file it came from knows the voxel size."""
    base = _stored_header(array)
    counted = [axis for axis in _XYZ if axis in array.coords and grid_axes.counts_pixels(array.coords[axis])]
    layout = interpret(base).layout if base is not None and counted else None
    if base is None or layout is None:
        return array
    geometry = Geometry.from_header(base, layout, _placement(array))
    for axis in counted:
        size, start = geometry.voxel_size["xyz".index(axis)], geometry.start["xyz".index(axis)]
        if math.isfinite(size) and math.isfinite(start):
            coord = array.coords[axis]
            places = coord.values * size + (start - round(start / size) * size)
            array = array.assign_coords({axis: (coord.dims, places, {**coord.attrs, "units": "angstrom"})})
    return array


def _placement(array: xr.DataArray) -> str:
    """Return where the file the array came from was said to start."""
    placement = str(array.attrs.get("placement", "auto"))
    return placement if placement in ("nstart", "zero") else "auto"


# ------------------------------------------------------------------------------------------ axes


def oriented(array: xr.DataArray, wishes: Wishes) -> tuple[xr.DataArray, Kind]:
    """Return the array with its axes as a file has them, and what it is.

    The stack axis comes first and colours last; spatial axes keep their order, which the header can say of all but
    stacks of volumes. Axes whose coords fall are turned, since it can say only rising ones.
    """
    colour = ("rgb",) if "rgb" in array.dims else ()
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
    for dim in spatial:
        if grid_axes.falls(array, dim):
            array = array.isel({dim: slice(None, None, -1)})
    return array, kind


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
    stack = asked is Kind.IMAGE_STACK or (asked is None and suffix(wishes.name) in STACK_SUFFIXES)
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
        array = array.drop_vars([rest[0], missing[0]], errors="ignore").rename({rest[0]: missing[0]})
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


def _place(array: xr.DataArray, kind: Kind, wishes: Wishes) -> _Place:
    spatial = [str(dim) for dim in array.dims if dim in _XYZ and not _is_stack(array, kind, dim)]
    missing = [axis for axis in _XYZ if axis not in spatial]
    found = {axis: grid_axes.axis_of(array, axis) for axis in spatial}
    for axis in missing:
        found[axis] = grid_axes.axis_of(array, axis) if axis not in array.dims else grid_axes.Axis(axis, 1)
    asked = grid_axes.asked_sizes(wishes.voxel_size)
    if asked is not None:
        found = {axis: found[axis].resized(asked["xyz".index(axis)]) for axis in found}
    return _Place(kind, found, (*missing, *spatial))


def _is_stack(array: xr.DataArray, kind: Kind, dim: Hashable) -> bool:
    return kind is Kind.IMAGE_STACK and dim == array.dims[0]


# ------------------------------------------------------------------------------------------ header


def _base(array: xr.DataArray, wishes: Wishes, kind: Kind) -> tuple[Header | None, Draft]:
    """Return the header of the file the array came from, if xarray still has it, and a draft with the new sizes."""
    base = _stored_header(array)
    encoding = array.encoding
    code = _SUCCESSORS.get(str(encoding.get("pixel")), encoding.get("pixel"))
    code = code if code in _KEPT_CODES and not wishes.signed else None
    mode = wishes.mode
    if mode is None and "rgb" in array.dims:
        mode = _RGB
    order = wishes.byteorder or (base.byteorder if base is not None else "<")
    start = base if base is not None else _from_attrs(array)
    sized = draft(array.shape, array.dtype, kind=str(kind), mode=mode, byteorder=order, header=start, code=code)
    # The version comes before the place: it decides on the sign of words 50-52.
    return base, replace(sized, header=sized.header.replace(nversion=_version(array, sized, wishes)))


def _stored_header(array: xr.DataArray) -> Header | None:
    raw = array.encoding.get("header")
    if not isinstance(raw, bytes) or len(raw) != HEADER_NBYTES:
        return None
    return Header(raw, ">" if array.encoding.get("byteorder") == "big" else "<")


def _from_attrs(array: xr.DataArray) -> Header:
    """Return a new header with what attrs say that is not about the grid."""
    header = Header.blank()
    attrs = array.attrs
    if "imod_flags" in attrs:
        raw = bytearray(header.raw)
        flags, kind = _whole_attr(array, "imod_flags", 0), _whole_attr(array, "imod_type", 0)
        struct.pack_into("<iih", raw, 152, _IMOD_STAMP, flags, kind)
        header = Header(bytes(raw), "<")
    return header


def _header(array: xr.DataArray, base: Header | None, sized: Draft, place: _Place, wishes: Wishes) -> Header:
    header = _still_true(array, base, sized, place, wishes)
    if header is None:
        sized = _renewed(sized, wishes)
        header = sized.header.replace(**_grid_fields(array, base, sized, place))
    header = _with_attrs(header, array, place)
    label = "Written by mrcarray" if wishes.label is None else wishes.label
    return with_label(header, label) if label else header


def _renewed(sized: Draft, wishes: Wishes) -> Draft:
    """Return the draft of a file on another grid: it is no old one any more, and declares what it follows."""
    stays = sized.header.nversion > 0 or wishes.nversion is not None or sized.layout.pixel.mode == _RGB
    return sized if stays else replace(sized, header=sized.header.replace(nversion=_NEWEST))


def _version(array: xr.DataArray, sized: Draft, wishes: Wishes) -> int:
    if wishes.nversion is not None:
        return int(wishes.nversion)
    if sized.layout.pixel.mode == _RGB:
        return 0
    stated = _whole_attr(array, "nversion", 0 if _stored_header(array) is not None else _NEWEST)
    return _NEWEST if sized.layout.pixel.mode in _NEW_MODES and 0 < stated < _NEWEST else stated


def _with_attrs(header: Header, array: xr.DataArray, place: _Place) -> Header:
    """Put in what attrs say about labels and space group, where the header says otherwise."""
    labels = [str(label) for label in np.atleast_1d(array.attrs.get("labels", []))]
    if list(header.text_labels) != labels:
        header = header.replace(labels=[_as_read(label) for label in labels], nlabl=len(labels))
    group = _whole_attr(array, "space_group", 0)
    if place.kind in (Kind.VOLUME, Kind.VOLUME_STACK) and 1 <= group <= 230:  # noqa: PLR2004 -- space groups
        wanted = group + (400 if place.kind is Kind.VOLUME_STACK else 0)
        if header.ispg != wanted and header.ispg > 0:
            header = header.replace(ispg=wanted)
    return header


def _as_read(label: str) -> bytes | str:
    """Return the bytes a label was read from; other programs use more than ASCII."""
    try:
        return label.encode("latin-1")
    except UnicodeEncodeError:
        return label


def _whole_attr(array: xr.DataArray, name: str, default: int) -> int:
    """Return an attribute that is a whole number."""
    value = array.attrs.get(name, default)
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise MrcValueError(f"attrs[{name!r}] is {value!r}; expected a whole number, or no such attribute") from None


def _float_attrs(array: xr.DataArray, name: str, default: tuple[float, ...] = ()) -> tuple[float, ...]:
    """Return an attribute that is a series of numbers."""
    value = array.attrs.get(name, default)
    try:
        return tuple(float(x) for x in np.atleast_1d(value))
    except (TypeError, ValueError):
        raise MrcValueError(f"attrs[{name!r}] is {value!r}; expected numbers, or no such attribute") from None


def _still_true(array: xr.DataArray, base: Header | None, sized: Draft, place: _Place, wishes: Wishes) -> Header | None:
    """Return the old header with the new sizes, if reading it gives the very kind and grid the array has."""
    if base is None:
        return None
    new = sized.header
    words = ("cella", "cellb", "mapcrs", "nstart", "origin", "m", "ispg")
    as_read = {name: getattr(base, name) for name in words}
    header = new.replace(**as_read)
    found = interpret(header, name=wishes.name).layout
    if found is None or found.kind is not place.kind or found.shape != sized.layout.shape:
        return None
    geometry = Geometry.from_header(header, found, _placement(array))
    spatial = tuple(axis for axis in place.order if axis in geometry.axes)
    if spatial != geometry.axes:
        return None
    same = all(_agrees(place.axes[axis], geometry, "xyz".index(axis)) for axis in geometry.axes)
    return header if same else None


def _agrees(axis: Axis, geometry: Geometry, at: int) -> bool:
    size, start = geometry.voxel_size[at], geometry.start[at]
    if math.isnan(size) or math.isnan(axis.step):
        if not math.isnan(size) or not math.isnan(axis.step):
            return axis.length == 1 and math.isnan(axis.step) and _near(axis.start, start, size)
        return axis.count is None or axis.count == geometry.nstart[at]
    return snap(axis.step) == size and _near(axis.start, start, size)


def _near(one: float, two: float, size: float) -> bool:
    return math.isnan(one) or abs(one - (0.0 if math.isnan(two) else two)) <= _CLOSE * size


def _grid_fields(array: xr.DataArray, base: Header | None, sized: Draft, place: _Place) -> dict[str, Any]:
    """Return the header words that say where the grid of the array is."""
    steps = _steps(base, place)
    lengths = tuple(place.axes[axis].length for axis in _XYZ)
    m, cella = _cell(array, steps, lengths, place)
    origin, nstart = _start(array, sized, steps, place)
    angles = _float_attrs(array, "cell_angles", _ORTHOGONAL)
    c, r, s = (axis - 1 for axis in place.mapcrs)
    return {
        "m": m,
        "cella": cella,
        "cellb": angles if len(angles) == 3 else _ORTHOGONAL,  # noqa: PLR2004 -- alpha, beta, gamma
        "mapcrs": place.mapcrs,
        "nstart": (nstart[c], nstart[r], nstart[s]),
        "origin": origin,
    }


def _steps(base: Header | None, place: _Place) -> tuple[float, ...]:
    """Return the voxel size along x, y, z: with all the digits of the old header where it is the same.

    An axis of one voxel has no step of its own: it takes the old one, or that of another axis.
    """
    known = [axis.step for axis in place.axes.values() if not math.isnan(axis.step)]
    out = []
    for at, name in enumerate(_XYZ):
        step = place.axes[name].step
        old = base.cella[at] / base.m[at] if base is not None and base.m[at] > 0 else math.nan
        usable = math.isfinite(old) and old > 0
        if usable and (math.isnan(step) or snap(step) == snap(old)) and place.axes[name].unknown is False:
            step = old
        elif math.isnan(step) and known and place.axes[name].unknown is False:
            step = known[0]
        out.append(step)
    return tuple(out)


def _cell(
    array: xr.DataArray, steps: tuple[float, ...], lengths: tuple[int, ...], place: _Place
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return intervals and lengths of the cell: that of the crystal as long as the grid divides it, else the box."""
    if place.kind in (Kind.IMAGE, Kind.IMAGE_STACK):
        sections = place.order[0]
        lengths = tuple(1 if axis == sections else n for axis, n in zip(_XYZ, lengths, strict=True))
    box = tuple(0.0 if math.isnan(step) else step * n for step, n in zip(steps, lengths, strict=True))
    old = _float_attrs(array, "cell_lengths")
    if len(old) != 3 or any(math.isnan(step) for step in steps):  # noqa: PLR2004 -- x, y, z
        return lengths, box
    if place.kind in (Kind.IMAGE, Kind.IMAGE_STACK):  # the cell of an image has no depth
        old = tuple(box[at] if axis == place.order[0] else old[at] for at, axis in enumerate(_XYZ))
    counts = [length / step for length, step in zip(old, steps, strict=True)]
    whole = tuple(round(count) for count in counts)
    if all(n > 0 and abs(count - n) < _CLOSE * n for count, n in zip(counts, whole, strict=True)):
        return whole, old
    text = "the unit cell is not a whole number of voxels any more; the file gets the box of the data as its cell"
    place.issues.append(Issue("MRC110", Severity.WARNING, text, 8))
    return lengths, box


def _start(
    array: xr.DataArray, sized: Draft, steps: tuple[float, ...], place: _Place
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Return words 50-52, and words 5-7 in the order x, y, z, that place the first voxel where the coords say.

    Files that were placed by words 5-7 are again, if the place is a whole number of voxels; all others by words 50-52.
    """
    starts = tuple(0.0 if math.isnan(place.axes[axis].start) else place.axes[axis].start for axis in _XYZ)
    counts = _counts(starts, steps, place)
    stored = _float_attrs(array, "origin", (0.0, 0.0, 0.0))
    if array.dtype.kind == "c":
        return stored, _whole(counts, place, must=True) or (0, 0, 0)
    by_count = array.attrs.get("placement") == "nstart" or all(math.isnan(step) for step in steps)
    whole = _whole(counts, place, must=False) if by_count else None
    if whole is not None:
        return (0.0, 0.0, 0.0), whole
    inverted = sized.header.imod.inverted_origin
    return tuple(-x if inverted and x else x for x in starts), (0, 0, 0)


def _counts(starts: tuple[float, ...], steps: tuple[float, ...], place: _Place) -> tuple[float, ...]:
    out = []
    for name, start, step in zip(_XYZ, starts, steps, strict=True):
        count = place.axes[name].count
        out.append(float(count or 0) if math.isnan(step) else start / step)
    return tuple(out)


def _whole(counts: tuple[float, ...], place: _Place, *, must: bool) -> tuple[int, ...] | None:
    """Return the counts if they are whole numbers of voxels."""
    whole = tuple(round(count) for count in counts)
    if all(abs(count - n) < _CLOSE for count, n in zip(counts, whole, strict=True)):
        return whole
    if must:
        text = "complex pixels are placed by whole voxels (words 5-7); the place of this array is not, and is lost"
        place.issues.append(Issue("MRC105", Severity.WARNING, text, 5))
    return None


# ------------------------------------------------------------------------------------------ extended header


def _extended(array: xr.DataArray, base: Header | None, byteorder: Any) -> tuple[metadata.Written, tuple[Issue, ...]]:
    """Return the extended header: records with their sections, symmetry, or the unknown bytes of an untouched file."""
    written = metadata.extended_header(array, byteorder)
    if written is not None:
        return written, written.issues
    if "symmetry" in array.attrs:
        data = np.asarray(array.attrs["symmetry"], dtype=np.uint8).tobytes()
        tag = str(array.attrs.get("exttyp", "")).encode("ascii").ljust(4, b"\0")[:4]
        nint, nreal = (base.imod.nint, base.imod.nreal) if base is not None else (0, 0)
        return metadata.Written(data, tag, nint, nreal), ()
    if base is None or base.nsymbt <= 0:
        return metadata.Written(b"", bytes(4), 0, 0), ()
    return _unknown_block(array, base, byteorder)


def _unknown_block(array: xr.DataArray, base: Header, byteorder: Any) -> tuple[metadata.Written, tuple[Issue, ...]]:
    reason = _why_not(array, base, byteorder)
    if not reason:
        from mrcarray.reader import open_file

        try:
            mrc = open_file(str(array.encoding["source"]), permissive=False, header_only=True)
        except (OSError, MrcError):
            reason = "the file it stood in is not there any more"
        else:
            if mrc.header.raw == base.raw and len(mrc.extended) == base.nsymbt:
                return metadata.Written(mrc.extended, base.exttyp, base.imod.nint, base.imod.nreal), ()
            reason = "the file it stood in has changed"
    text = f"the extended header ({base.nsymbt} bytes) is not written: {reason}"
    return metadata.Written(b"", bytes(4), 0, 0), (Issue("MRC411", Severity.WARNING, text, 24),)


def _why_not(array: xr.DataArray, base: Header, byteorder: Any) -> str:
    if "source" not in array.encoding:
        return "the array does not say from which file it came"
    if byteorder != base.byteorder:
        return "nothing is known of its numbers, so their byte order cannot be changed"
    if array.size != base.nx * base.ny * base.nz:
        return "nothing is known of its records, so they cannot follow the sections that were selected"
    if not _in_file_order(array):
        return "nothing is known of its records, so they cannot follow the new order of the sections"
    return ""


def _in_file_order(array: xr.DataArray) -> bool:
    """Whether the numbers of the sections, where there are any, still count from 0."""
    names = [name for name in ("section", *array.dims[:1]) if name in array.coords and name not in _XYZ]
    return all(np.array_equal(array.coords[name].values, np.arange(array.shape[0])) for name in names[:1])


def _joined(header: Header, extended: metadata.Written) -> tuple[Header, metadata.Written]:
    """Return the header with the words that belong to the extended header."""
    if not extended.data and header.nsymbt == 0:
        return header, extended
    raw = bytearray(header.replace(nsymbt=len(extended.data), exttyp=extended.exttyp).raw)
    struct.pack_into(header.byteorder + "2h", raw, 128, extended.nint, extended.nreal)
    return Header(bytes(raw), header.byteorder), extended
