"""Encode a labelled array as an MRC file: pixels in file order, header and extended header.

The inverse of `mrcarray.xarray_backend.convention`. Sizes, voxel size, position and order of the axes come from dims
and coords. Labels, space group and symmetry come from attrs, the records of the extended header from coords; all else,
as long as xarray keeps it, from the header in ``encoding``. Words of that header that are still right are kept, so
that a file that is read and written without a change keeps its bytes.

Each step returns header fields; `mrcarray.format.builder.build` applies all of them at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mrcarray.format import builder
from mrcarray.format.fields import VOLUME_GROUPS
from mrcarray.format.layout import Kind
from mrcarray.xarray_backend.coordinates import without_frequencies
from mrcarray.xarray_backend.encode import header as sources
from mrcarray.xarray_backend.encode.grid import cell_fields, grid_of, is_unchanged, with_positions
from mrcarray.xarray_backend.encode.header import RGB, group_of
from mrcarray.xarray_backend.encode.kind import in_file_order, misread, read_as, sections_are_declared
from mrcarray.xarray_backend.encode.placement import start_fields
from mrcarray.xarray_backend.header_attrs import states_symmetry
from mrcarray.xarray_backend.metadata_update import in_common_units, with_followed_pixels
from mrcarray.xarray_backend.write_options import provenance

if TYPE_CHECKING:
    import xarray as xr

    from mrcarray.format.builder import Draft
    from mrcarray.format.header import Header
    from mrcarray.format.issues import Issue
    from mrcarray.format.layout import Layout
    from mrcarray.xarray_backend.encode.grid import Grid
    from mrcarray.xarray_backend.metadata_write import Written
    from mrcarray.xarray_backend.write_options import WriteOptions

__all__ = ["Encoded", "encode"]

_KEPT_CODES = frozenset({"0", "0u", "1", "2", "3", "4", "5", "6", "7", "8", "12", "16", "17", "101"})
_SUCCESSORS = {"0n": "101"}
"""Codes that are written as others: half bytes have a mode of their own now."""


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
        What the file cannot store.
    """

    array: xr.DataArray
    plan: Draft
    issues: tuple[Issue, ...] = ()


def encode(array: xr.DataArray, options: WriteOptions) -> Encoded:
    """Return pixels and header of a labelled array.

    Parameters
    ----------
    array : DataArray
        Dims ``x``, ``y``, ``z`` in any order, and at most one more for a stack; or other dims, which are taken by
        position.
    options : WriteOptions
        What the caller asked for.

    Returns
    -------
    Encoded

    Raises
    ------
    MrcValueError
        When the format cannot store the array.

    Examples
    --------
    >>> import xarray as xr
    >>> from mrcarray.xarray_backend.write_options import WriteOptions
    >>> volume = xr.open_dataarray("tomo.mrc").isel(z=slice(5, None), x=slice(None, None, 2))
    >>> plan = encode(volume, WriteOptions()).plan
    >>> plan.layout.shape, plan.header.nstart, plan.header.cella
    ((15, 32, 20), (0, 0, 5), (80.0, 64.0, 30.0))
    """
    array, foreign = in_common_units(array)
    array, cut = without_frequencies(array)
    array, kind, turned = in_file_order(with_positions(array), options)
    grid = grid_of(array, kind, options)
    array, binned = with_followed_pixels(array, options.voxel_size)
    plan, issues = _Plan.of(array, grid, options).made()
    return Encoded(array, plan, (*foreign, *cut, *turned, *binned, *issues))


@dataclass(frozen=True, slots=True)
class _Plan:
    """All that a header is made from."""

    array: xr.DataArray
    grid: Grid
    options: WriteOptions
    source: Header | None
    """Header of the file the array came from."""
    start: Header | None
    """Header to start from: `source`, or a new one with what attrs know of IMOD's stamp."""
    layout: Layout
    extended: Written
    skew: sources.Skew

    @classmethod
    def of(cls, array: xr.DataArray, grid: Grid, options: WriteOptions) -> _Plan:
        source, encoding = sources.stored_header(array), array.encoding
        code, colour = _SUCCESSORS.get(str(encoding.get("pixel")), encoding.get("pixel")), "rgb" in array.dims
        kept = code in _KEPT_CODES and not options.signed and colour == (code == str(RGB))
        layout = builder.layout_for(
            array.shape,
            array.dtype,
            kind=str(grid.kind),
            mode=RGB if options.mode is None and colour else options.mode,
            byteorder=options.byteorder or (source.byteorder if source is not None else "<"),
            code=code if kept else None,
        )
        extended = sources.extended_of(array, source, layout.byteorder)
        skew = sources.skew_fields(source, layout.byteorder, options)
        return cls(array, grid, options, source, sources.start_header(array, source), layout, extended, skew)

    def made(self) -> tuple[Draft, tuple[Issue, ...]]:
        """Return the header and what it cannot state: that of the source if it is still right, else a new one.

        A trial header is read as its readers will read it, so where the grid of a file has changed two are built.
        """
        plan, issues = self._kept() or self._renewed()
        found = misread(self._read_as(plan, plan.header), self.grid.kind)
        return plan, (*issues, *self.skew.issues, *self.extended.issues, *found)

    def _read_as(self, plan: Draft, header: Header) -> Kind:
        """Return the kind that readers get from a header."""
        return read_as(header, self.options.name, lambda: sections_are_declared(plan, self.options.name))

    def _kept(self) -> tuple[Draft, tuple[Issue, ...]] | None:
        """Return the header with cell, position and space group of the source, None if the array differs from it."""
        source, grid, options = self.source, self.grid, self.options
        if source is None or (grid.kind is Kind.VOLUME_STACK and source.mz != self.layout.grid[1]):
            return None
        version = sources.stored_version(source, self.layout, options)
        changed = source.mode != self.layout.pixel.mode
        if changed:
            version = sources.renewed_version(version, self.layout, options)
        plan = self._built({"ispg": self._space_group(source.ispg)}, version, changed=changed)
        if not is_unchanged(self.array, source, plan.header, self.layout, grid):
            return None
        if grid.kind is Kind.IMAGE_STACK and plan.header.ispg == 0:  # a header that leaves the kind open may stay so
            right = options.kind is None or plan.header.m["xyz".index(grid.order[0])] == 1
        else:
            # By the space group of the source: a volume cut from a stack has a new one, and needs a new header.
            header = plan.header if plan.header.ispg == source.ispg else plan.header.replace(ispg=source.ispg)
            right = self._read_as(plan, header) is grid.kind
        if not right or options.placement == "auto":
            return (plan, ()) if right else None
        fields, issues = self._grid_fields(grid, plan.header)
        header = plan.header.replace(nstart=fields["nstart"], origin=fields["origin"])
        return replace(plan, header=header), issues

    def _renewed(self) -> tuple[Draft, tuple[Issue, ...]]:
        """Return a header for the grid of the array, and what it cannot state."""
        plan, issues = self._for_grid(self.grid)
        group = group_of(self.array, -1)
        if self.grid.kind is Kind.IMAGE_STACK and self.grid.intervals != 1 and group not in (0, -1):
            # The source declared a volume. Unless readers see a stack otherwise, it gets the mark of one: mz is 1.
            if self.options.kind is not None or self._read_as(plan, plan.header) is not Kind.IMAGE_STACK:
                return self._for_grid(replace(self.grid, intervals=1))
        elif self.grid.kind is Kind.VOLUME and self.options.kind is None and group == 0:
            # A guess does not become a fact: space group 0 is kept if readers take the file for a volume with it.
            unmarked = plan.header.replace(ispg=0)
            if self._read_as(plan, unmarked) is Kind.VOLUME:
                plan = replace(plan, header=unmarked)
        return plan, issues

    def _for_grid(self, grid: Grid) -> tuple[Draft, tuple[Issue, ...]]:
        version = sources.stored_version(self.source, self.layout, self.options)
        version = sources.renewed_version(version, self.layout, self.options)
        start = self.start if self.start is not None and self.start.imod.stamped else None
        if start is not None:
            start = start.replace(nversion=version)  # which decides on the sign of the origin
        fields, issues = self._grid_fields(grid, start)
        group = builder.space_group(grid.kind, self.start.ispg if self.start is not None else 1)
        return self._built({**fields, "ispg": self._space_group(group)}, version, changed=True), issues

    def _grid_fields(self, grid: Grid, header: Header | None) -> tuple[dict[str, Any], tuple[Issue, ...]]:
        inverted = header is not None and header.imod.inverted_origin
        cell, fields, issues = cell_fields(self.array, self.source, grid)
        start, moved = start_fields(self.array, grid, cell, self.options, inverted_origin=inverted)
        return {**fields, **start}, (*issues, *moved)

    def _space_group(self, group: int) -> int:
        """Return word 23 with the space group of attrs where the kind of file has one."""
        wanted = group_of(self.array, 0)
        if not self.grid.is_spatial or wanted not in VOLUME_GROUPS or group <= 0:
            return group
        return builder.space_group(self.grid.kind, wanted)

    def _label(self) -> str:
        """Return the text of the label to add: a part of the file the array came from was cropped."""
        source = self.source
        if self.options.label is None and source is not None:
            whole = source.nx * source.ny * source.nz * self.array.sizes.get("rgb", 1)
            if self.array.size < whole:
                return provenance("cropped")
        return self.options.label_text

    def _built(self, fields: dict[str, Any], version: int, *, changed: bool) -> Draft:
        """Build the header from `fields` and those that do not depend on the grid."""
        order = self.layout.byteorder
        symmetry = changed and version > 0 and states_symmetry(self.array)
        exttyp, words = sources.extended_fields(self.extended, self.source, order, symmetry=symmetry)
        labels = sources.label_fields(self.array, self.start, self._label())
        fields = {**fields, **labels, "nversion": version, "exttyp": exttyp, **self.skew.fields}
        data, words = self.extended.data, {**words, **self.skew.words}
        return builder.build(self.layout, fields, header=self.start, words=words, extended=data)
