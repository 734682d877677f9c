"""Values and options that a format can hold, and those it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import MrcValueError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

__all__ = ["bare", "in_range", "refuse"]


def in_range(array: xr.DataArray, dtype: Any) -> xr.DataArray:
    """Return the array as another dtype; a value outside its range is refused when it is written."""
    if dtype is None or np.dtype(dtype) == array.dtype:
        return array
    wanted = np.dtype(dtype)

    def cast(values: Any) -> Any:
        if wanted.kind in "iu" and values.dtype.kind == "f":
            values = np.rint(values)
        if values.size and wanted.kind in "iuf":
            info: Any = np.iinfo(wanted) if wanted.kind in "iu" else np.finfo(wanted)
            finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
            whole = finite.size == values.size or wanted.kind == "f"
            if not whole or (finite.size and not (info.min <= finite.min() and finite.max() <= info.max)):
                raise MrcValueError(f"a value does not fit {wanted}, which holds {info.min} to {info.max}")
        return values.astype(wanted)

    return array.copy(data=array.data.map_blocks(cast, dtype=wanted))


def bare(array: xr.DataArray) -> xr.DataArray:
    """Return the array without the encoding of the file it came from, which is no other format's business."""
    out = array.drop_encoding()
    for name in out.coords:
        out.coords[name].encoding = {}
    return out


def refuse(options: Mapping[str, Any], name: str) -> None:
    """Raise for an option that only MRC files have."""
    given = [key for key, value in options.items() if value is not None]
    if given:
        raise MrcValueError(f"{given[0]} is for MRC files; {name} files have none")
