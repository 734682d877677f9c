"""Variables that stay in memory when `xarray.open_dataset` prepares a dataset.

xarray wraps every variable of a dataset that a backend returns, as if its values were still in the file: the
representation shows ``...`` for them, and ``chunks=`` makes a dask array of each. Tilt angles and doses are in memory
already.
"""

from __future__ import annotations

from typing import Any

import xarray as xr

__all__ = ["InMemoryVariable"]


class InMemoryVariable(xr.Variable):
    """A variable that unwraps the values when xarray wraps them, and is a plain `Variable` from then on."""

    __slots__ = ()

    @property
    def data(self) -> Any:
        """The values."""
        return super().data

    @data.setter
    def data(self, values: Any) -> None:
        """Keep the values without xarray's wrapper."""
        self.__class__ = xr.Variable  # type: ignore[assignment]  # the wrapper is set once
        self.data = values.get_duck_array() if hasattr(values, "get_duck_array") else values
