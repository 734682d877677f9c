"""Keep per-section coordinates in memory when `xarray.open_dataset` prepares a dataset.

xarray wraps every variable of a dataset that a backend returns, as if its values were still in the file: the
representation shows ``...`` for them, and ``chunks=`` makes a dask array of each. Tilt angles and doses are in memory
already, so their variables take the values out of that wrapper.
"""

from __future__ import annotations

from typing import Any

import xarray as xr

__all__ = ["keep_in_memory"]


class _InMemoryVariable(xr.Variable):
    """A variable that unwraps the values when xarray wraps them, and is a plain `Variable` from then on."""

    __slots__ = ()

    @property
    def data(self) -> Any:
        """The values."""
        return super().data

    @data.setter
    def data(self, values: Any) -> None:
        self.__class__ = xr.Variable  # type: ignore[assignment]  # the wrapper is set once
        self.data = values.get_duck_array() if hasattr(values, "get_duck_array") else values


def keep_in_memory(dataset: xr.Dataset) -> None:
    """Let the coordinates without an index stay in memory.

    Parameters
    ----------
    dataset : Dataset
        Not yet returned to xarray. Its constructor makes plain variables of all classes, so theirs is changed after it.
    """
    for name in dataset.coords:
        if name not in dataset.xindexes:
            dataset.variables[name].__class__ = _InMemoryVariable
