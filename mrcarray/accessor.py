"""The accessor ``.mrc`` on DataArray and Dataset.

It reads the dims, coords, attrs and encoding that an object has now; only `header` and `issues` read the file.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import xarray as xr

from mrcarray.errors import Hint, MrcValueError, printable
from mrcarray.format.geometry import ORTHOGONAL
from mrcarray.format.header_facts import as_html, as_text, fact_rows, header_facts, in_angstrom
from mrcarray.urls import is_url
from mrcarray.xarray_backend import alignment, convention
from mrcarray.xarray_backend.coordinates import continued, counts_pixels, factor_of, magnitudes, units_of
from mrcarray.xarray_backend.encode.header import stored_header
from mrcarray.xarray_backend.header_attrs import (
    LABELS,
    SPACE_GROUP,
    SYMMETRY,
    label_attrs,
    operators,
    space_group,
    symmetry_attrs,
)
from mrcarray.xarray_backend.opened_header import OpenedHeader, issues_of, issues_of_header
from mrcarray.xarray_backend.storage_facts import float_fact
from mrcarray.xarray_backend.summary_rows import attr_rows, cell_rows

if TYPE_CHECKING:
    from mrcarray.analysis.plotting import Plot
    from mrcarray.format.header import Header
    from mrcarray.format.header_facts import Row
    from mrcarray.format.issues import Issue
    from mrcarray.xarray_backend.write_options import WriteKeywords

__all__ = ["MrcAccessor", "OpenedHeader"]

_AXES = ("x", "y", "z")
_READ_HEADER = Hint("use mrcarray.read_header(path)")


class MrcAccessor:
    """Geometry, header and output of an array from an MRC file, derived from its labels.

    Parameters
    ----------
    obj : xarray.DataArray or xarray.Dataset
        Of a Dataset the variable ``data`` is used; of one with other variables the coordinates they share.

    Examples
    --------
    >>> import xarray as xr
    >>> volume = xr.open_dataarray("tomo.mrc")
    >>> volume.mrc.kind, volume.mrc.voxel_size
    ('volume', (2.0, 2.0, 2.0))
    >>> volume.isel(z=slice(5, None)).mrc.origin
    (0.0, 0.0, 10.0)
    """

    __slots__ = ("_obj",)

    def __init__(self, obj: xr.DataArray | xr.Dataset) -> None:
        self._obj = obj

    @property
    def data(self) -> xr.DataArray:
        """The array itself: the object, or the variable ``data`` of a Dataset."""
        return convention.data_of(self._obj)

    @property
    def kind(self) -> str | None:
        """Kind of file by the dims, such as ``"volume"`` or ``"tilt_series"``; None if they are those of no kind."""
        return convention.kind_of(tuple(self._shared.dims))

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        """Size of a voxel along x, y and z in ångström, from the coords; NaN where unknown."""
        x, y, z = (self._step(axis) for axis in _AXES)
        return x, y, z

    @property
    def origin(self) -> tuple[float, float, float]:
        """Position of the first voxel along x, y and z in ångström, from the coords; NaN where unknown."""
        x, y, z = (self._start(axis) for axis in _AXES)
        return x, y, z

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, from the attributes; those of the file where there is no such attribute.

        Examples
        --------
        >>> import xarray as xr
        >>> (xr.open_dataarray("tomo.mrc") * 2).mrc.space_group
        1
        """
        shared = self._shared
        header = self._stored if LABELS not in shared.attrs else None
        return tuple(label_attrs(shared)) if header is None else header.text_labels

    @property
    def space_group(self) -> int | None:
        """The number of the space group, from the attributes or else the file; None if neither states it."""
        shared = self._shared
        header = self._stored
        value = shared.attrs.get(SPACE_GROUP, None if header is None else space_group(header.ispg))
        return None if value is None else int(value)

    @property
    def symmetry(self) -> tuple[str, ...]:
        """The symmetry operators, such as ``"-X, Y+1/2, -Z"``; none if neither attributes nor file state them."""
        shared = self._shared
        stored = shared.encoding.get(SYMMETRY)
        if SYMMETRY not in shared.attrs and isinstance(stored, bytes):
            return tuple(operators(stored).split("\n"))
        return tuple(symmetry_attrs(shared))

    @property
    def unit_cell(self) -> tuple[float, ...]:
        """Lengths (ångström) and angles (degrees) of the cell: that of a crystal, else the extent of the array."""
        shared = self._shared
        lengths = float_fact(shared, "cell_lengths")
        if len(lengths) != len(_AXES):
            sizes = zip(_AXES, self.voxel_size, strict=True)
            lengths = tuple(float(f"{size * int(shared.sizes.get(axis, 1)):.9g}") for axis, size in sizes)
        angles = float_fact(shared, "cell_angles")
        return (*lengths, *(angles if len(angles) == len(_AXES) else ORTHOGONAL))

    @property
    def nstart(self) -> tuple[int, ...]:
        """Position of the first voxel along x, y and z in voxels, rounded, from the coords; 0 where it is unknown."""
        steps = zip(_AXES, self.origin, self.voxel_size, strict=True)
        return tuple(
            round(start / step) if math.isfinite(start / step) else self._count(axis) for axis, start, step in steps
        )

    @property
    def header(self) -> OpenedHeader:
        """The header of the file the array was opened from, read again; its text includes its `issues`.

        Raises
        ------
        MrcValueError
            When the array does not know its file.
        """
        from mrcarray import reader

        mrc = reader.examine(self._source())
        return OpenedHeader(mrc.header.raw, mrc.header.byteorder, issues_of(mrc))

    @property
    def issues(self) -> tuple[Issue, ...]:
        """Everything about the file the array was opened from that was not taken literally, notes included.

        Examples
        --------
        >>> import xarray as xr
        >>> [issue.code for issue in xr.open_dataarray("tomo.mrc").mrc.issues]
        ['MRC301']

        Raises
        ------
        MrcValueError
            When the array does not know its file.
        """
        from mrcarray import reader

        return issues_of(reader.examine(self._source()))

    @property
    def _shared(self) -> xr.DataArray | xr.Dataset:
        """The array, or a Dataset without ``data``, whose coordinates and attributes speak for its variables."""
        several = isinstance(self._obj, xr.Dataset) and convention.DATA not in self._obj.data_vars
        return self._obj if several else self.data

    @property
    def _stored(self) -> Header | None:
        """The header of the file, if the array still has it."""
        shared = self._shared
        return stored_header(shared) if isinstance(shared, xr.DataArray) else None

    def _count(self, axis: str) -> int:
        """Return the position of the first voxel where the coordinate counts voxels."""
        shared = self._shared
        if axis not in shared.coords or not counts_pixels(shared.coords[axis]):
            return 0
        first = float(np.atleast_1d(shared.coords[axis].values)[0])
        return round(first) if math.isfinite(first) else 0

    def _source(self) -> str:
        source = self.data.encoding.get("source") or self._obj.encoding.get("source")
        if not source:
            text = "the array does not know its file: calculations drop encoding['source']"
            raise MrcValueError(text, hint=_READ_HEADER)
        if stored_header(self.data) is None:
            text = f"the array was read from a file of another format: {printable(source)}"
            raise MrcValueError(text, hint=Hint("use mrcarray.read_header(path) with the MRC file"))
        return str(source)

    def to_mrc(self, path: str | os.PathLike[str], **options: Unpack[WriteKeywords]) -> Any:
        """Write the array to an MRC file, with the geometry it has now.

        Parameters
        ----------
        path : str or path
            The file.
        **options
            As for `mrcarray.to_mrc`: `variable`, `kind`, `dtype`, `mode`, `voxel_size`, `byteorder`, `placement`,
            `region`, `overwrite`, `compute`, `progress` and others.

        Returns
        -------
        str, Delayed or Stats
            The absolute path; with ``compute=False`` a Delayed that returns it; of a region its statistics.

        Examples
        --------
        >>> import xarray as xr
        >>> slab = xr.open_dataarray("tomo.mrc").sel(z=slice(10, 19))
        >>> path = slab.mrc.to_mrc("slab.mrc")
        >>> xr.open_dataarray(path).mrc.origin
        (0.0, 0.0, 10.0)
        """
        from mrcarray.xarray_backend.write import to_mrc

        return to_mrc(self._obj, path, **options)

    def flip(self, dim: str) -> Any:
        """Return the array mirrored along an axis; the coordinate of the axis stays.

        A slice with a negative step (``array[::-1]``) reverses the coordinate with the data, so every voxel keeps its
        position; written to a file, whose coordinates rise, it gives the original data again. This method moves the
        data against the grid instead. Other coordinates along the axis move with the data, and so do all coordinates
        along a numbered axis, such as ``section``.

        Parameters
        ----------
        dim : str
            Name of the axis.

        Returns
        -------
        DataArray or Dataset
            Of the type of the object.

        Raises
        ------
        MrcValueError
            When there is no such axis.

        Examples
        --------
        >>> import xarray as xr
        >>> volume = xr.open_dataarray("tomo.mrc")
        >>> mirrored = volume.mrc.flip("z")
        >>> bool((mirrored.values == volume.values[::-1]).all()), mirrored.mrc.same_grid(volume)
        (True, True)
        """
        from mrcarray.xarray_backend.flip import flipped

        return flipped(self._obj, dim)

    def to_mdoc(self, image: str | os.PathLike[str], *, overwrite: bool = False) -> str:
        """Write the per-section metadata as a SerialEM mdoc next to the file `image`, and return its path.

        Write it before the file, so that `to_mrc` does not warn about coordinates that an MRC file cannot store.

        Parameters
        ----------
        image : str or path
            The file of the pixels; ``.mdoc`` is added to its name.
        overwrite : bool
            Whether an existing mdoc may be replaced.

        Raises
        ------
        FileExistsError
            When it exists and `overwrite` is false.
        MrcValueError
            When an mdoc can store no coordinate of the array.

        Examples
        --------
        >>> import xarray as xr
        >>> low = xr.open_dataarray("TS_01.mrc", engine="mrc").isel(section=[2, 0])
        >>> path = low.mrc.to_mdoc("low.mrc")
        >>> path = low.mrc.to_mrc("low.mrc")
        >>> xr.open_dataarray("low.mrc").exposure_dose.values
        array([2.5, 2.5])
        """
        from mrcarray.xarray_backend import metadata_write, sidecars

        text = metadata_write.mdoc_of(self.data, image).to_text()
        return sidecars.write(f"{os.fspath(image)}.mdoc", text, overwrite=overwrite)

    def to_angles(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> str:
        """Write the angles of the sections, in their order, as an angle list of IMOD, and return its path.

        Parameters
        ----------
        path : str or path
            The list: ``.rawtlt`` of `tilt_angle`, ``.tlt`` of `refined_tilt_angle` or else of `tilt_angle`, ``.xtilt``
            of `x_tilt_angle`.
        overwrite : bool
            Whether an existing list may be replaced.

        Raises
        ------
        FileExistsError
            When it exists and `overwrite` is false.
        MrcValueError
            When the suffix is another, or an angle is missing.

        Examples
        --------
        >>> import pathlib, xarray as xr
        >>> series = xr.open_dataarray("TS_01.mrc", engine="mrc").sortby("tilt_angle")
        >>> pathlib.Path(series.mrc.to_angles("sorted.rawtlt")).read_text().split()
        ['-5.996', '-2.996', '0.004', '3.004', '6.004']
        """
        from mrcarray.xarray_backend import metadata_write, sidecars

        return sidecars.write(os.fspath(path), metadata_write.angles_of(self.data, path), overwrite=overwrite)

    def same_grid(self, other: xr.DataArray | xr.Dataset) -> bool:
        """Return whether `other` has the same voxels: the same dims, lengths, voxel size and position.

        The grids are compared in ångström and in parts of a voxel, because programs round the same grid differently.

        Parameters
        ----------
        other : xarray.DataArray or xarray.Dataset
            Another array.

        Returns
        -------
        bool

        Examples
        --------
        >>> import xarray as xr
        >>> volume = xr.open_dataarray("tomo.mrc")
        >>> volume.mrc.same_grid(volume * 2), volume.mrc.same_grid(volume.isel(x=slice(1, None)))
        (True, False)
        """
        return alignment.same_grid(self.data, convention.data_of(other))

    def align(self, *others: xr.DataArray | xr.Dataset) -> tuple[Any, ...]:
        """Cut this array and others to the voxels they share, with the labels of this one.

        Use it where an array has lost the index that checks grids (after ``coarsen``, ``interp``, netCDF, Zarr), where
        labels differ by rounding, and where one array is in nanometres. No pixel is read or interpolated.

        Parameters
        ----------
        *others : xarray.DataArray or xarray.Dataset
            Arrays on the same grid, or on a part of it.

        Returns
        -------
        tuple
            This object and the others, cut.

        Raises
        ------
        MrcValueError
            When the grids do not match: another spacing, or not a whole number of voxels apart.

        Examples
        --------
        >>> import xarray as xr
        >>> volume = xr.open_dataarray("tomo.mrc")
        >>> slab, part = volume.mrc.align(volume.isel(z=slice(4, 9)) > 0)
        >>> slab.shape == part.shape == (5, 32, 40)
        True
        """
        return alignment.align(self._obj, *others)

    def boxes(self, points: Any, size: Any, *, fill: float | None = None) -> xr.DataArray:
        """Read boxes of one size around points, such as particles of a tomogram.

        Parameters
        ----------
        points : array of float, shape (box, 3) or (box, 2)
            x, y and z of each centre in ångström, as the coordinates of the array count them.
        size : float or (x, y, z)
            Length of a box in ångström; rounded to whole voxels.
        fill : number, optional
            Value of what lies outside of the array; without it such a box is refused.

        Returns
        -------
        DataArray, dims (box, z, y, x)
            In memory. The coordinates x, y and z count from the voxel nearest to the point; `x_centre`, `y_centre` and
            `z_centre` are the points.

        Raises
        ------
        MrcValueError
            When a box lies partly outside and `fill` is None, or the array has other dims than x, y and z.

        Examples
        --------
        >>> import xarray as xr
        >>> tomogram = xr.open_dataarray("tomo.mrc")
        >>> found = tomogram.mrc.boxes([[40, 32, 20], [60, 16, 10]], size=16)
        >>> found.dims, found.shape
        (('box', 'z', 'y', 'x'), (2, 8, 8, 8))
        """
        from mrcarray.xarray_backend.boxes import boxes_around

        grid = {axis: (self._start(axis), self._step(axis)) for axis in _AXES}
        return boxes_around(self.data, points, size, grid, fill=fill)

    def plot(
        self,
        *,
        section: int | None = None,
        ortho: bool | None = None,
        montage: int | None = None,
        contrast: float = 0.5,
        title: str | None = None,
    ) -> Plot:
        """Plot a section, three orthogonal sections of a volume, or a montage, with a scale bar.

        Parameters
        ----------
        section, ortho, montage, contrast, title
            As for `mrcarray.plot`; sections are counted in this array.

        Returns
        -------
        Plot
            Notebooks show it; ``save("a.png")`` writes it, and ``figure`` is that of matplotlib.

        Examples
        --------
        >>> import xarray as xr
        >>> volume = xr.open_dataarray("tomo.mrc")
        >>> plot = volume.sel(z=slice(10, 30)).mrc.plot(montage=4)
        >>> [axes.get_title() for axes in plot.figure.axes][:2]
        ['section 0, z = 10 Å', 'section 3, z = 16 Å']
        """
        from mrcarray.analysis.views import Choice
        from mrcarray.xarray_backend.plot_array import plot_array

        grid = {axis: (self._start(axis), self._step(axis)) for axis in _AXES}
        if title is None:
            source = str(self._obj.encoding.get("source") or self.data.encoding.get("source") or "")
            title = source.rsplit("/", 1)[-1]
        return plot_array(self.data, grid, Choice(section, ortho, montage), contrast=contrast, title=title)

    def to_ome_zarr(self, path: str | os.PathLike[str], **options: Any) -> Any:
        """Write the array as an OME-Zarr image with several resolutions.

        Parameters
        ----------
        path : str or path
            The folder to write, usually ``.ome.zarr``.
        **options
            As for `mrcarray.to_ome_zarr`: `version`, `scale_factors`, `chunks`, `shards`, `method`, `preset`,
            `overwrite`, `compute` and `progress`.

        Returns
        -------
        str or Delayed
            The absolute path; with ``compute=False`` a Delayed that returns it.

        Examples
        --------
        >>> import xarray as xr
        >>> path = xr.open_dataarray("tomo.mrc", engine="mrc").mrc.to_ome_zarr("tomo.ome.zarr", scale_factors=[2])
        >>> import zarr
        >>> zarr.open_group(path, mode="r")["1"].shape
        (10, 16, 20)
        """
        from mrcarray.conversion.ome_zarr import to_ome_zarr

        return to_ome_zarr(self.data, path, **options)

    def to_star(self, path: str | os.PathLike[str], **options: Any) -> str:
        """Write the columns of particles that `mrcarray.open_particles` opened as a STAR file, and return its path.

        Parameters
        ----------
        path : str or path
            The STAR file.
        **options
            As for `mrcarray.particles.to_star`: `stack`, a new stack that the images are written to, and `overwrite`.

        Raises
        ------
        MrcValueError
            When the object has no dim ``particle``, or neither `stack` nor the coordinate ``image_name`` is given.
        FileExistsError
            When a file exists and `overwrite` is false.
        MissingDependencyError
            When starfile is not installed.

        Examples
        --------
        With starfile installed::

            particles = mrcarray.open_particles("particles.star")
            particles.sel(particle=particles.voltage == 300).mrc.to_star("chosen.star", stack="chosen.mrcs")
        """
        from mrcarray.particles import to_star

        return to_star(self._obj, path, **options)

    def napari_kwargs(self) -> dict[str, Any]:
        """Return the arguments of napari's ``viewer.add_image`` for the array: scale, position, contrast limits, ...

        See `mrcarray.napari.napari_kwargs`; the three central sections are read for the contrast limits.

        Examples
        --------
        >>> import xarray as xr
        >>> part = xr.open_dataarray("tomo.mrc", engine="mrc").sel(z=slice(10, 30))
        >>> kwargs = part.mrc.napari_kwargs()
        >>> kwargs["name"], kwargs["translate"]
        ('tomo', (10.0, 0.0, 0.0))
        """
        from mrcarray.napari import napari_kwargs

        return napari_kwargs(self.data)

    def _step(self, axis: str) -> float:
        values = _angstroms(self._shared, axis)
        if values is None or values.ndim != 1 or values.size < 2:  # noqa: PLR2004 -- a step needs two voxels
            return math.nan
        step = float(values[-1] - values[0]) / (values.size - 1)
        return float(f"{step:.9g}") if np.allclose(np.diff(values), step, rtol=1e-3, atol=0) else math.nan

    def _start(self, axis: str) -> float:
        values = _angstroms(self._shared, axis)
        return float(values.flat[0]) if values is not None and values.size else math.nan

    def __repr__(self) -> str:
        return as_text(f"<mrc {self._summary()}>", self._rows())

    def _repr_html_(self) -> str:
        from mrcarray.format.header_table import field_table

        header = self._stored
        fields = "" if header is None else f"<details><summary>header fields</summary>{field_table(header)}</details>"
        return as_html(f"mrc {self._summary()}", self._rows()) + fields

    def _summary(self) -> str:
        sizes = ", ".join(f"{dim} {length}" for dim, length in self._shared.sizes.items())
        return f"{self.kind or 'no MRC kind'} ({sizes}); voxel size (x, y, z) {in_angstrom(self.voxel_size)}"

    def _rows(self) -> tuple[Row, ...]:
        """Return the origin, and the header of the file; of a remote file only its name."""
        from mrcarray import reader

        rows: tuple[Row, ...] = ()
        if any(start == start for start in self.origin):  # noqa: PLR0124 -- NaN
            rows = (("origin", in_angstrom(self.origin)),)
        shared = self._shared
        rows = (*rows, *cell_rows(shared))
        source = str(shared.encoding.get("source") or self._obj.encoding.get("source") or "")
        rows = (*rows, ("file", source)) if source else rows
        if not source or self._stored is None:  # computed, or read from a file of another format
            return (*rows, *attr_rows(shared))
        if is_url(source):
            return rows
        try:
            mrc = reader.examine(source)
            issues = issues_of_header(mrc)
        except Exception as error:  # noqa: BLE001 -- an array can be shown without its file
            why = error.strerror if isinstance(error, OSError) and error.strerror else error
            return (*rows, ("header", f"cannot be read: {why}"))
        return (*rows, *fact_rows(header_facts(mrc.header), issues))


def _angstroms(data: xr.DataArray | xr.Dataset, axis: str) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """Return the coordinate of an axis in ångström, if its unit is one of length."""
    if axis not in data.coords:
        return None
    coord = data.coords[axis]
    units = units_of(coord)
    try:
        factor = None if units is None else factor_of(units)
    except MrcValueError:  # spatial frequencies
        return None
    if factor is None or coord.dtype.kind not in "iuf":
        return None
    values = magnitudes(coord)
    return continued(values) if factor == 1 else continued(values) * factor


xr.register_dataarray_accessor("mrc")(MrcAccessor)
xr.register_dataset_accessor("mrc")(MrcAccessor)
