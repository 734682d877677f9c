"""The accessor ``.mrc`` on DataArray and Dataset.

It looks at the dims, coords, attrs and encoding an object has now, not at the file it came from; only `header` goes
back to the file.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from mrcarray.errors import MrcValueError, printable
from mrcarray.format.header_facts import as_html, as_text, fact_rows, header_facts, in_angstrom
from mrcarray.urls import is_url
from mrcarray.xarray_backend import alignment, convention
from mrcarray.xarray_backend.coordinates import continued
from mrcarray.xarray_backend.encode.header import label_attrs, stored_header
from mrcarray.xarray_backend.source_header import OpenedHeader

if TYPE_CHECKING:
    from mrcarray import reader
    from mrcarray.format.header_facts import Row
    from mrcarray.format.issues import Issue

__all__ = ["MrcAccessor"]

_AXES = ("x", "y", "z")


class MrcAccessor:
    """What an MRC file knows about an array, derived from its labels.

    Parameters
    ----------
    obj : xarray.DataArray or xarray.Dataset
        A Dataset speaks through its variable ``data``.

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
        """What the dims speak of, such as ``"volume"`` or ``"tilt_series"``; None when of no MRC file."""
        return convention.kind_of(self.data.dims)

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        """Size of a voxel along x, y and z in ångström, from the coords; NaN where it cannot be told."""
        x, y, z = (self._step(axis) for axis in _AXES)
        return x, y, z

    @property
    def origin(self) -> tuple[float, float, float]:
        """Position of the first voxel along x, y and z in ångström, from the coords; NaN where it cannot be told."""
        x, y, z = (self._start(axis) for axis in _AXES)
        return x, y, z

    @property
    def header(self) -> OpenedHeader:
        """The header of the file the array was opened from, read again; it shows its `issues` as well.

        Raises
        ------
        MrcValueError
            When the array does not say where it came from.
        """
        from mrcarray import reader

        mrc = reader.examine(self._source())
        return OpenedHeader(mrc.header.raw, mrc.header.byteorder, _issues(mrc))

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
            When the array does not say where it came from.
        """
        from mrcarray import reader

        return _issues(reader.examine(self._source()))

    def _source(self) -> str:
        source = self.data.encoding.get("source") or self._obj.encoding.get("source")
        if not source:
            text = "the array does not say from which file it came: arithmetic drops its encoding['source']"
            raise MrcValueError(f"{text}; use mrcarray.read_header(path)")
        if stored_header(self.data) is None:
            text = f"the array was read from a file of another format, {printable(source)}"
            raise MrcValueError(f"{text}; use mrcarray.read_header(path) with the MRC file")
        return str(source)

    def to_mrc(self, path: str | os.PathLike[str], **options: Any) -> Any:
        """Write the array to an MRC file, with the geometry it has now.

        Parameters
        ----------
        path : str or path
            The file.
        **options
            As for `mrcarray.to_mrc`: `kind`, `dtype`, `mode`, `voxel_size`, `byteorder`, `placement`, `region`,
            `overwrite`, `compute`, `progress` and others.

        Returns
        -------
        str, Delayed or Stats
            The absolute path; with ``compute=False`` what gives it; of a region its statistics.

        Examples
        --------
        >>> import xarray as xr
        >>> slab = xr.open_dataarray("tomo.mrc").sel(z=slice(10, 19))
        >>> path = slab.mrc.to_mrc("slab.mrc")
        >>> xr.open_dataarray(path).mrc.origin
        (0.0, 0.0, 10.0)
        """
        from mrcarray.xarray_backend.write import to_mrc

        return to_mrc(self.data, path, **options)

    def flip(self, dim: str) -> Any:
        """Return the array mirrored along an axis, with the coordinate of the axis as it is.

        A slice with a negative step (``array[::-1]``) reverses the coordinate with the data, so every voxel keeps its
        position; written to a file, whose coordinates rise, it gives the original data again. This method moves the
        data against the grid instead. Other coordinates along the axis move with the data; so do all of them along an
        axis that counts, such as ``section``.

        Parameters
        ----------
        dim : str
            Name of the axis.

        Returns
        -------
        DataArray or Dataset
            As the object itself.

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
        from mrcarray.xarray_backend.flip import mirrored

        return mirrored(self._obj, dim)

    def to_mdoc(self, image: str | os.PathLike[str], *, overwrite: bool = False) -> str:
        """Write what is known of each section as a SerialEM mdoc beside the file `image`, and return its path.

        Write it before the file, and `to_mrc` knows that the coordinates have a place.

        Parameters
        ----------
        image : str or path
            The file of the pixels; ``.mdoc`` is added to its name.
        overwrite : bool
            Whether an existing mdoc may be replaced.

        Raises
        ------
        FileExistsError
            When there is one and `overwrite` is false.
        MrcValueError
            When no coordinate has a place in an mdoc.

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
        """Write the angles of the sections, in their order, as a list of IMOD, and return its path.

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
            When there is one and `overwrite` is false.
        MrcValueError
            When the suffix is another, or an angle is not known.

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

        The grids are compared in ångström and in parts of a voxel, as rounding in two programs makes them differ,
        whatever index the arrays have.

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

    def _step(self, axis: str) -> float:
        values = _angstroms(self.data, axis)
        if values is None or values.ndim != 1 or values.size < 2:  # noqa: PLR2004 -- a step needs two voxels
            return math.nan
        step = float(values[-1] - values[0]) / (values.size - 1)
        return _rounded(step) if np.allclose(np.diff(values), step, rtol=1e-3, atol=0) else math.nan

    def _start(self, axis: str) -> float:
        values = _angstroms(self.data, axis)
        return float(values.flat[0]) if values is not None and values.size else math.nan

    def __repr__(self) -> str:
        return as_text(f"<mrc {self._summary()}>", self._rows())

    def _repr_html_(self) -> str:
        return as_html(f"mrc {self._summary()}", self._rows())

    def _summary(self) -> str:
        data = self.data
        sizes = ", ".join(f"{dim} {length}" for dim, length in data.sizes.items())
        return f"{self.kind or 'no MRC kind'} ({sizes}); voxel size (x, y, z) {in_angstrom(self.voxel_size)}"

    def _rows(self) -> tuple[Row, ...]:
        """Return where the array starts, and what the header of its file says; a remote file is not asked again."""
        from mrcarray import reader

        rows: tuple[Row, ...] = ()
        if any(start == start for start in self.origin):  # noqa: PLR0124 -- NaN
            rows = (("origin", in_angstrom(self.origin)),)
        rows = (*rows, *_cell_rows(self.data))
        source = str(self.data.encoding.get("source") or self._obj.encoding.get("source") or "")
        rows = (*rows, ("file", source)) if source else rows
        if not source or stored_header(self.data) is None:  # computed, or read from a file of another format
            return (*rows, *_attr_rows(self.data))
        if is_url(source):
            return rows
        try:
            mrc = reader.examine(source)
            issues = _of_header(mrc)
        except Exception as error:  # noqa: BLE001 -- an array can be shown, whatever became of its file
            why = error.strerror if isinstance(error, OSError) and error.strerror else error
            return (*rows, ("header", f"cannot be read: {why}"))
        return (*rows, *fact_rows(header_facts(mrc.header), issues))


def _attr_rows(array: xr.DataArray) -> tuple[Row, ...]:
    """Return the labels that an array carries."""
    try:
        labels = label_attrs(array)
    except MrcValueError:  # somebody else's attribute
        return ()
    return tuple((f"label {number}", text.rstrip()) for number, text in enumerate(labels, 1))


def _cell_rows(array: xr.DataArray) -> tuple[Row, ...]:
    """Return a row about a skewed cell, whose coordinates are not Cartesian."""
    angles = np.atleast_1d(array.attrs.get("cell_angles", ()))
    if angles.shape != (3,) or angles.dtype.kind not in "iuf" or (angles == 90).all():  # noqa: PLR2004 -- alpha, beta, gamma
        return ()
    shown = ", ".join(f"{angle:g}" for angle in angles)
    return (("cell", f"angles {shown}: x, y, z run along the cell's edges and are not Cartesian"),)


def _issues(mrc: reader.Mrc) -> tuple[Issue, ...]:
    """Return what was not literal in main header, geometry and extended header."""
    return (*_of_header(mrc), *mrc.decoded.issues)


def _of_header(mrc: reader.Mrc) -> tuple[Issue, ...]:
    """Return what was not literal in main header and geometry."""
    return (*mrc.issues, *(mrc.geometry().issues if mrc.layout is not None else ()))


def _angstroms(data: xr.DataArray, axis: str) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """Return the coordinate of an axis if it counts ångström."""
    if axis not in data.coords:
        return None
    coord = data.coords[axis]
    if coord.attrs.get("units") != "angstrom":
        return None
    return continued(coord.values)


def _rounded(step: float) -> float:
    """Return a step as its float64 coordinates mean it: to 9 significant digits."""
    return float(f"{step:.9g}")


xr.register_dataarray_accessor("mrc")(MrcAccessor)
xr.register_dataset_accessor("mrc")(MrcAccessor)
