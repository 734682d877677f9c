"""The indexes of opened files: `GridIndex` of x, y and z, and `SectionIndex` of sections, frames, tilts and the like.

Both are a `PandasIndex` but for what follows.

`GridIndex` makes an inner join of two grids that do not match an error. xarray joins by equal labels: a tomogram of 40³
voxels of 7.84 Å times a mask of 40³ voxels of 1 Å would have shape (1, 1, 1), since only the labels at 0 are equal. Two
maps that two programs wrote of one grid would lose voxels where their origins differ in the last digit. This index
compares the grids in parts of a voxel (`mrcarray.xarray_backend.even_spacing`): grids of one spacing that are a whole
number of voxels apart are cut to the voxels they share, all others are refused. An outer join (``xr.concat``,
``xr.merge``, Datasets) refuses nothing, but gives one label to a voxel of both grids: two half maps would otherwise
become twice as many voxels, half of them NaN.

`SectionIndex` matches a boolean mask by label. A series is sorted, and the tilts below 40 degrees are selected by a
mask made before it was sorted::

    series.sortby("tilt_angle").sel(section=abs(series.tilt_angle) < 40)

xarray's own index takes a mask by position, whatever coordinate the mask has: it would select other sections without
an error. xarray gives the labels of a selection to the index alone, so this has to be an index. Instances of
`PandasIndex` with another ``sel`` are no alternative: ``join`` and ``concat`` lose them.

Limits:

- A join whose first array has xarray's own index (after ``coarsen``, ``interp``, netCDF, Zarr) is one by equal labels.
  `mrcarray.xarray_backend.alignment` compares the grids of any arrays.
- An array with xarray's own index is joined by exact labels only: xarray asks that index for our labels, and fills what
  differs in the last digit with NaN (479 of 480 voxels, when a tolerant join was tried).
- Where xarray makes a new index, for labels a caller gave (``assign_coords``, ``reindex``) or those of the other
  operand, that one takes masks by position.
- ``identical`` compares the types of indexes; ``equals`` does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import xarray as xr
from xarray.indexes import PandasIndex

from mrcarray.errors import Hint, MrcValueError, printable
from mrcarray.xarray_backend.even_spacing import Comparison, compare, positions, summary

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray
    from xarray.core.indexing import IndexSelResult

__all__ = ["GRID_DIMS", "EqualToPandasIndex", "GridIndex", "SectionIndex", "by_label"]

GRID_DIMS = ("x", "y", "z")
"""Dimensions that are measured, and get a `GridIndex` when a file is opened."""

_WAYS_OUT = Hint(
    "compare two arrays with a.mrc.same_grid(b); cut both to the voxels they share with a.mrc.align(b); resample one "
    "onto the other with b.interp_like(a); or, if only the labels differ, xr.align(a, b, join='override')"
)


class EqualToPandasIndex(type):
    """Type of classes that equal `PandasIndex`, so that xarray joins them with its own index.

    xarray collects the indexes of two objects by coordinate and by type of index, and a subclass is not its parent: an
    array opened here would not match its own copy from netCDF or Zarr, and arithmetic, ``reindex`` and ``align`` would
    refuse both.

    Examples
    --------
    >>> class Mine(PandasIndex, metaclass=EqualToPandasIndex): ...
    >>> Mine == PandasIndex, Mine in {PandasIndex: 1}
    (True, True)
    """

    def __eq__(cls, other: object) -> bool:
        return other is PandasIndex or isinstance(other, EqualToPandasIndex)

    def __hash__(cls) -> int:
        return hash(PandasIndex)


class GridIndex(PandasIndex, metaclass=EqualToPandasIndex):
    """Index of a spatial axis; arrays on another grid are refused where an inner join would pair voxels by accident.

    Examples
    --------
    >>> import xarray as xr
    >>> volume = xr.open_dataarray("tomo.mrc")
    >>> (volume.isel(x=slice(0, 8)) - volume.isel(x=slice(4, 12))).sizes["x"]
    4
    >>> volume * volume.assign_coords(x=volume.x * 3.92)
    Traceback (most recent call last):
    mrcarray.errors.MrcValueError: the grids do not match along x: 40 voxels of 2 from 0, and 40 voxels of 7.84 ...
    """

    _within: float
    """Distance within which a join found these labels in both grids; missing unless a join made the index."""

    __slots__ = ("_within",)

    def join(self, other: Any, how: str = "inner") -> Self:
        """Return the labels of the voxels that both grids have, or in an outer join of those that either has.

        Parameters
        ----------
        other : PandasIndex
            Index of the same dimension in another array.
        how : {"inner", "outer"}
            Labels in both, or in either.

        Returns
        -------
        GridIndex
            With the labels of this index where those of `other` differ by rounding.

        Raises
        ------
        MrcValueError
            In an inner join, when the spacings differ, when the grids are not a whole number of voxels apart, or when
            `other` is an index of xarray and its labels differ by rounding.
        """
        if how != "inner":
            return self._outer(other, how)
        found = Comparison() if self.index.equals(other.index) else compare(self.index, other.index)
        problem = found.problem
        if not problem and not isinstance(other, GridIndex):
            problem = _rounding(self.index, other.index, found.tolerance)
        if problem:
            raise MrcValueError(_refusal(self.index.name, self.index, other.index, problem), hint=_WAYS_OUT)
        within = getattr(self, "_within", 0.0)  # a join of three grids has already joined two
        if not found.tolerance:
            joined = super().join(other, how)
        else:
            there = positions(other.index, self.index, found.tolerance)
            labels = self.index[there >= 0]
            joined = type(self)(labels, self.dim, coord_dtype=np.result_type(self.coord_dtype, other.coord_dtype))
            within = max(within, min(2 * _farthest(labels, other.index[there[there >= 0]]), found.tolerance))
        joined._within = within  # noqa: SLF001 -- of this class
        return joined

    def _outer(self, other: Any, how: str) -> Self:
        """Return the labels in either index: one label for a voxel that both grids have in spite of rounding."""
        found = compare(self.index, other.index) if isinstance(other, GridIndex) else Comparison()
        rising = self.index.is_monotonic_increasing and other.index.is_monotonic_increasing
        if not found.tolerance or not rising or self.index.equals(other.index):
            return super().join(other, how)
        there = positions(self.index, other.index, found.tolerance)
        labels = self.index.union(other.index[there < 0])
        joined = type(self)(labels, self.dim, coord_dtype=np.result_type(self.coord_dtype, other.coord_dtype))
        within = min(2 * _farthest(self.index[there[there >= 0]], other.index[there >= 0]), found.tolerance)
        joined._within = max(getattr(self, "_within", 0.0), within)  # noqa: SLF001 -- of this class
        return joined

    def reindex_like(self, other: Any, method: Any = None, tolerance: Any = None) -> dict[Hashable, Any]:
        """Return the positions of another index's labels in this one, -1 for those that are not here.

        Labels of another `GridIndex` of the same grid are found in spite of rounding; all others must be equal, unless
        `method` is given.

        Parameters
        ----------
        other : PandasIndex
            Index with the wanted labels.
        method, tolerance : object, optional
            As for ``reindex``.

        Returns
        -------
        dict
            Array of positions, by dimension.
        """
        if method is None and tolerance is None and isinstance(other, GridIndex):
            found = compare(self.index, other.index)
            # A join may leave too few labels to measure a spacing, so the distance it measured counts.
            within = getattr(other, "_within", 0.0) or (0.0 if found.problem else found.tolerance)
            if within and self.index.is_monotonic_increasing | self.index.is_monotonic_decreasing:
                method, tolerance = "nearest", within
        return super().reindex_like(other, method, tolerance)

    def __repr__(self) -> str:
        return f"GridIndex({self.index!r})"


def _farthest(labels: Any, others: Any) -> float:
    """Return the largest distance of two labels that belong together."""
    return float(np.abs(labels.to_numpy(np.float64) - others.to_numpy(np.float64)).max(initial=0.0))


def _rounding(ours: Any, plain: Any, tolerance: float) -> str:
    """Return a problem if labels of one voxel differ: xarray's index would not find ours."""
    if not tolerance:
        return ""
    near = int((positions(ours, plain, tolerance) >= 0).sum())
    return "" if near == int(plain.isin(ours).sum()) else "they are one grid, but their labels differ by rounding"


def _refusal(name: Hashable, one: Any, other: Any, problem: str) -> str:
    text = f"the grids do not match along {printable(name)}: {summary(one)}, and {summary(other)}; {problem}"
    return f"{text}, so a join by equal labels would pair voxels by accident or none"


class SectionIndex(PandasIndex, metaclass=EqualToPandasIndex):
    """Index of numbered items or of tilt angles, which sorts a boolean mask by its labels.

    Examples
    --------
    >>> array = xr.DataArray([10, 20, 30], {"section": ("section", [2, 0, 1])}, ["section"])
    >>> array = array.drop_indexes("section").set_xindex("section", SectionIndex)
    >>> mask = xr.DataArray([True, False, False], {"section": [0, 1, 2]}, ["section"])
    >>> array.sel(section=mask).values
    array([20])
    """

    __slots__ = ()

    def sel(self, labels: dict[Any, Any], method: Any = None, tolerance: Any = None) -> IndexSelResult:
        """Return the positions of labels, as `PandasIndex` does, and of masks by label.

        Raises
        ------
        MrcValueError
            When a mask lacks a label, or has conflicting values for one.
        """
        return super().sel(
            {name: by_label(label, name, self.index) for name, label in labels.items()}, method, tolerance
        )

    def __repr__(self) -> str:
        return f"SectionIndex({self.index!r})"


def by_label(label: Any, name: Hashable, index: Any) -> Any:
    """Return a boolean mask in the order of an index, and anything else unchanged.

    Parameters
    ----------
    label : object
        What the caller selects by.
    name : str
        Name of the coordinate that is indexed.
    index : pandas.Index
        Its labels.

    Raises
    ------
    MrcValueError
        When the mask lacks one of them, or has conflicting values.
    """
    if not (isinstance(label, xr.DataArray) and label.dtype.kind == "b" and label.ndim == 1 and name in label.coords):
        return label
    if label.coords[name].dims != label.dims:
        return label
    given = label.coords[name].to_index()
    if given.equals(index):
        return label
    return label.isel({label.dims[0]: _positions(given, label.values, name, index)})


def _positions(given: Any, mask: NDArray[np.bool_], name: Hashable, index: Any) -> NDArray[np.intp]:
    """Return the position of each label of an index in a mask with the labels `given`."""
    firsts = np.flatnonzero(~given.duplicated())
    labels = given[firsts]
    hint = Hint("build it from the array you index")
    if (odd := mask != mask[firsts][labels.get_indexer(given)]).any():
        text = f"boolean mask has conflicting values for the duplicate label {name}={given[odd][0]}"
        raise MrcValueError(text, hint=hint)
    found = np.asarray(labels.get_indexer(index))
    if (absent := found < 0).any():
        count = f"{absent.sum()} of {len(index)} {name!r} labels (first missing: {index[absent][0]})"
        raise MrcValueError(f"boolean mask lacks {count}", hint=hint)
    return np.asarray(firsts[found], dtype=np.intp)
