"""The type of our indexes: as a key it equals `PandasIndex`, so that xarray joins them with its own.

xarray collects the indexes of two objects by coordinate and by type of index, and a subclass is not its parent: an
array opened here would not match its own copy from netCDF or Zarr, and arithmetic, ``reindex`` and ``align``
would refuse both. So the classes say that they equal `PandasIndex`, and every operation continues as if they were.
"""

from __future__ import annotations

from xarray.indexes import PandasIndex

__all__ = ["EqualToPandasIndex"]


class EqualToPandasIndex(type):
    """Type of classes that are equal to `PandasIndex`, as the key under which xarray collects indexes to align.

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
