"""The way back: from a labelled array as it is now to the header of a file that says the same.

Sizes, voxel size, place and order of the axes come from dims and coords alone; what the file said beyond them (labels,
space group, cell, extended header) comes from attrs, coords, and, as long as xarray kept it, from the header in
``encoding``. Words of that header which still say what is true are left as they are, so that a file read and written
untouched keeps its bytes.

Pure but for two things: an extended header that nobody understands is fetched from the file the array came from, and
sidecars are looked for under the new name where one told the kind.
"""

from __future__ import annotations

import math
import operator
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mrcarray.errors import MrcValueError
from mrcarray.format.builder import Draft, draft, with_label
from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.format.geometry import Geometry
from mrcarray.format.header import Header
from mrcarray.format.interpret import interpret
from mrcarray.format.kinds import KINDS
from mrcarray.format.layout import Kind
from mrcarray.xarray_backend import coordinates as grid_axes
from mrcarray.xarray_backend.encode.declared_kind import keeps_kind, misread, open_group, settled, tells_stack
from mrcarray.xarray_backend.encode.grid import grid_fields, place_of, still_true
from mrcarray.xarray_backend.encode.header import (
    label_attrs,
    opened_geometry,
    placement_of,
    stored_header,
    whole_attr,
)
from mrcarray.xarray_backend.encode.orientation import oriented
from mrcarray.xarray_backend.encode.records import extended_of, joined
from mrcarray.xarray_backend.encode.skew import with_skew
from mrcarray.xarray_backend.fourier_coordinates import in_space
from mrcarray.xarray_backend.pixel_metadata import with_followed_pixels
from mrcarray.xarray_backend.placements import check_placement
from mrcarray.xarray_backend.units import in_common_units

if TYPE_CHECKING:
    import xarray as xr

    from mrcarray.format.issues import Issue
    from mrcarray.xarray_backend.encode.options import Wishes
    from mrcarray.xarray_backend.encode.positioned import Place
    from mrcarray.xarray_backend.metadata_write import Written

__all__ = ["Encoded", "encode"]

_XYZ = ("x", "y", "z")
_KEPT_CODES = frozenset({"0", "0u", "1", "2", "3", "4", "5", "6", "7", "8", "12", "16", "17", "101"})
_SUCCESSORS = {"0n": "101"}
"""Codes that are written as others: half bytes have a mode of their own now."""
_RGB, _NEW_MODES = 16, (12, 101)
_NEWEST = 20141
_IMOD_STAMP = 1146047817


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
    >>> from mrcarray.xarray_backend.encode.options import Wishes
    >>> volume = xr.open_dataarray("tomo.mrc").isel(z=slice(5, None), x=slice(None, None, 2))
    >>> plan = encode(volume, Wishes()).plan
    >>> plan.layout.shape, plan.header.nstart, plan.header.cella
    ((15, 32, 20), (0, 0, 5), (80.0, 64.0, 30.0))
    """
    array, strange = in_common_units(array)
    array, cut = in_space(array)
    array = _measured(array)
    check_placement(wishes.placement)
    array, kind, turned = oriented(array, wishes)
    place = place_of(array, kind, wishes)
    array, outrun = with_followed_pixels(array, wishes.voxel_size)
    base, sized = _base(array, wishes, kind)
    extended, issues = extended_of(array, base, sized.header.byteorder)
    told = tells_stack(sized, extended, wishes.name)
    header, changed = _header(array, base, sized, place, wishes, stack_told=told)
    extended = _typed(extended, array, header, changed=changed)
    header, extended = joined(header.replace(nsymbt=0 if base is None else base.nsymbt), extended)
    header, unskewed = with_skew(header, base, wishes)
    layout = replace(sized.layout, offset=HEADER_NBYTES + len(extended.data))
    found = (*strange, *cut, *turned, *outrun, *place.issues, *unskewed, *issues)
    found = (*found, *misread(header, kind, wishes.name, stack_told=told))
    return Encoded(array, Draft(layout, header, extended.data), found)


def _typed(written: Written, array: xr.DataArray, header: Header, *, changed: bool) -> Written:
    """Return the extended header of a new file with its type: symmetry records are ``CCP4`` (MRC2014 word 27)."""
    wanted = changed and "symmetry" in array.attrs and header.nversion > 0 and not written.exttyp.strip(b"\0 ")
    return replace(written, exttyp=b"CCP4") if wanted else written


def _measured(array: xr.DataArray) -> xr.DataArray:
    """Return the array with positions along each axis of the grid that the file it came from can place.

    These are the axes whose coordinate counts pixels, and those without one that are as long as in the file.
    """
    base = stored_header(array)
    kind = str(array.encoding.get("kind", "auto"))
    layout = interpret(base, kind=kind if kind in KINDS else "auto").layout if base is not None else None
    if base is None or layout is None:
        return array
    geometry = opened_geometry(array, Geometry.from_header(base, layout, placement_of(array)))
    lengths = dict(zip(geometry.axes, layout.grid[-len(geometry.axes) :], strict=True))
    for axis in _XYZ:
        size, start = geometry.voxel_size["xyz".index(axis)], geometry.start["xyz".index(axis)]
        if not (math.isfinite(size) and math.isfinite(start)):
            continue
        if axis in array.coords and grid_axes.counts_pixels(array.coords[axis]):
            coord = array.coords[axis]
            numbers, shift, attrs = coord.values, start - round(start / size) * size, coord.attrs
        elif axis in array.dims and axis not in array.coords and array.sizes[axis] == lengths.get(axis):
            coord, numbers, shift, attrs = array[axis], np.arange(lengths[axis]), start, {}
        else:
            continue
        array = array.assign_coords({axis: (coord.dims, numbers * size + shift, {**attrs, "units": "angstrom"})})
    return array


def _base(array: xr.DataArray, wishes: Wishes, kind: Kind) -> tuple[Header | None, Draft]:
    """Return the header of the file the array came from, if xarray still has it, and a draft with the new sizes."""
    base = stored_header(array)
    encoding = array.encoding
    code = _SUCCESSORS.get(str(encoding.get("pixel")), encoding.get("pixel"))
    colour = "rgb" in array.dims
    code = code if code in _KEPT_CODES and not wishes.signed and colour == (code == str(_RGB)) else None
    mode = _RGB if wishes.mode is None and colour else wishes.mode
    order = wishes.byteorder or (base.byteorder if base is not None else "<")
    start = base if base is not None else _from_attrs(array)
    sized = draft(array.shape, array.dtype, kind=str(kind), mode=mode, byteorder=order, header=start, code=code)
    # The version comes before the place: it decides on the sign of words 50-52.
    return base, replace(sized, header=sized.header.replace(nversion=_version(array, sized, wishes)))


def _from_attrs(array: xr.DataArray) -> Header:
    """Return a new header with what attrs say that is not about the grid."""
    header = Header.blank()
    attrs = array.attrs
    if "imod_flags" in attrs:
        raw = bytearray(header.raw)
        flags, kind = whole_attr(array, "imod_flags", 0), whole_attr(array, "imod_type", 0, bits=16)
        struct.pack_into("<iih", raw, 152, _IMOD_STAMP, flags, kind)
        header = Header(bytes(raw), "<")
    return header


def _header(  # noqa: PLR0913 -- what is written, and what its readers will know of it
    array: xr.DataArray, base: Header | None, sized: Draft, place: Place, wishes: Wishes, *, stack_told: bool
) -> tuple[Header, bool]:
    """Return the header without what belongs to the extended header, and whether the pixels are other ones."""
    header = still_true(array, base, sized, place)
    if base is not None and header is not None and keeps_kind(header, place, wishes, stack_told=stack_told):
        changed = base.mode != header.mode
        header = _renewed(header, sized, wishes) if changed else header
        if wishes.placement != "auto":
            fields = grid_fields(array, base, sized, place, wishes)
            header = header.replace(nstart=fields["nstart"], origin=fields["origin"])
    else:
        changed = True
        place = settled(array, sized, place, wishes, stack_told=stack_told)
        renewed = replace(sized, header=_renewed(sized.header, sized, wishes))
        header = renewed.header.replace(**grid_fields(array, base, renewed, place, wishes))
        header = open_group(header, array, place, wishes, stack_told=stack_told)
    header = _with_attrs(header, array, place)
    label = "Written by mrcarray" if wishes.label is None else wishes.label
    return (with_label(header, label) if label else header), changed


def _renewed(header: Header, sized: Draft, wishes: Wishes) -> Header:
    """Return the header of a file whose pixels changed, which declares the version it follows."""
    stays = wishes.nversion is not None or sized.layout.pixel.mode == _RGB
    return header if stays else header.replace(nversion=_NEWEST)


def _version(array: xr.DataArray, sized: Draft, wishes: Wishes) -> int:
    if wishes.nversion is not None:
        return _whole(wishes.nversion, "nversion")
    if sized.layout.pixel.mode == _RGB:
        return 0
    base, stated = stored_header(array), whole_attr(array, "nversion", 0)
    if base is None or base.mode == _RGB:
        return _NEWEST  # computed; or one colour of a colour file, which has to declare 0
    return _NEWEST if sized.layout.pixel.mode in _NEW_MODES and 0 < stated < _NEWEST else stated


def _whole(value: object, name: str) -> int:
    """Return what a caller gave as a whole number."""
    try:
        return operator.index(value)  # type: ignore[arg-type]  # this is what tells
    except TypeError:
        raise MrcValueError(f"{name} is {value!r}; expected a whole number") from None


def _with_attrs(header: Header, array: xr.DataArray, place: Place) -> Header:
    """Put in what attrs say about labels and space group, where the header says otherwise."""
    labels = label_attrs(array)
    if list(header.text_labels) != labels:
        header = header.replace(labels=[_as_read(label) for label in labels], nlabl=len(labels))
    group = whole_attr(array, "space_group", 0)
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
