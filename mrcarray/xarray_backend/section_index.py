"""The index of sections, tilts, frames, particles and volumes: a mask selects by label, not by position.

A series is opened and sorted, and the tilts below 40 degrees are chosen by a mask made before it was sorted::

    series.sortby("tilt_angle").sel(section=abs(series.tilt_angle) < 40)

xarray's own index takes a mask by position, whatever coordinate the mask carries: it would choose other sections, and
say nothing. `SectionIndex` sees the mask with its coordinate and brings it into the order of the array first.

xarray hands what one selects by to the index alone, so this has to be an index, and it is a `PandasIndex` in all but
``sel``; `mrcarray.xarray_backend.index_types` says how the two meet. Instances of `PandasIndex` with another ``sel``
would not need that, but ``join`` and ``concat`` lose them, and with them the right selection.

What remains: ``identical`` (unlike ``equals``) tells the two types apart, and where xarray makes a new index, for
labels a caller gave (``assign_coords``, ``reindex``) or those of the other operand, that one takes masks by position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from xarray.indexes import PandasIndex

from mrcarray.errors import MrcValueError
from mrcarray.xarray_backend.index_types import EqualToPandasIndex

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray
    from xarray.core.indexing import IndexSelResult

__all__ = ["SectionIndex", "by_label"]


class SectionIndex(PandasIndex, metaclass=EqualToPandasIndex):
    """Index of an axis that counts or of tilt angles; a mask with the same coordinate is brought into its order.

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
            When a mask says nothing of a label, or two things.
        """
        return super().sel(
            {name: by_label(label, name, self.index) for name, label in labels.items()}, method, tolerance
        )

    def __repr__(self) -> str:
        return f"SectionIndex({self.index!r})"


def by_label(label: Any, name: Hashable, index: Any) -> Any:
    """Return a mask in the order of an index, and anything else as it is.

    Parameters
    ----------
    label : object
        What the caller selects by.
    name : str
        Of the coordinate that is indexed.
    index : pandas.Index
        Its labels.

    Raises
    ------
    MrcValueError
        When the mask does not say whether to take one of them.
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
    """Return where in a mask with the labels `given` the word on each label of an index stands."""
    firsts = np.flatnonzero(~given.duplicated())
    labels = given[firsts]
    if (odd := mask != mask[firsts][labels.get_indexer(given)]).any():
        text = f"the mask says both yes and no of {name} {given[odd][0]}, which occurs more than once"
        raise MrcValueError(f"{text}; make it from the array it selects from")
    found = np.asarray(labels.get_indexer(index))
    if (absent := found < 0).any():
        count = f"{absent.sum()} of {len(index)} labels of {name} ({index[absent][0]} is the first)"
        raise MrcValueError(f"the mask says nothing of {count}; make it from the array it selects from")
    return np.asarray(firsts[found], dtype=np.intp)
