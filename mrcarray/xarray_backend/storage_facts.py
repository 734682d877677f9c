"""How a file stored its position and cell, kept with the array so that a calculation does not lose it.

Coordinates say where voxels are. A header can say the same in several ways: by words 5-7 or 50-52, in a cell that is
larger than the map or skewed, with IMOD's sign. When an array is written, `mrcarray.xarray_backend.encode` uses the way
of its file. xarray drops ``encoding`` in calculations, so the facts that differ from the defaults are one line of JSON
among the attributes as well (`KEPT`). The position itself always comes from the coordinates.

The version before kept the same facts as attributes of the array. Files that were saved from such arrays still have
them, and are still written right.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.format.geometry import ORTHOGONAL
from mrcarray.xarray_backend.header_attrs import SPACE_GROUP, space_group

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from mrcarray.format.geometry import Geometry
    from mrcarray.format.header import Header

__all__ = ["KEPT", "as_text", "facts_of", "float_fact", "storage_facts", "whole_fact"]

KEPT = "mrc_stored_as"
"""Attribute and encoding of the array: the facts, as JSON."""

_SAME_POSITION = 1e-3
"""Part of a voxel by which two positions may differ and still be the same."""
_OPENED_BY_THIS_VERSION = "mrc_mode"
_NAMES = (
    "origin",
    "nstart",
    "placement",
    "nstart_offset",
    "cell_angles",
    "cell_intervals",
    "cell_lengths",
    "imod_flags",
    "imod_type",
)
"""Names of the facts, which were attributes in the version before."""


def storage_facts(geometry: Geometry, lengths: Mapping[str, int], header: Header) -> dict[str, Any]:
    """Return position, cell and stamp where they differ from the defaults.

    Parameters
    ----------
    geometry : Geometry
        Of the opened file.
    lengths : mapping of str to int
        Voxels along each dim.
    header : Header
        Of the file.

    Returns
    -------
    dict
        ``origin`` (words 50-52) and ``nstart`` (words 5-7) where not 0; ``placement`` where other words than 50-52
        placed the file, ``nstart_offset`` where words 5-7 contradict these; ``cell_angles`` where not 90 degrees;
        ``cell_intervals`` and ``cell_lengths`` of a crystal; ``imod_flags`` and ``imod_type`` of one with IMOD's stamp.
    """
    out: dict[str, Any] = {}
    if any(geometry.origin) and all(map(math.isfinite, geometry.origin)):
        out["origin"] = list(geometry.origin)
    if any(geometry.nstart):
        out["nstart"] = list(geometry.nstart)
    if geometry.source != "origin":
        out["placement"] = geometry.source
    elif any(geometry.nstart) and any(geometry.origin):
        out.update(_contradiction(geometry))
    if geometry.angles != ORTHOGONAL:
        out["cell_angles"] = list(geometry.angles)
    cell = {axis: n for axis, n in zip("xyz", geometry.n, strict=True) if n > 0}
    if cell.get(geometry.axes[0]) == 1:  # stacks count sections one by one, which is not a cell
        del cell[geometry.axes[0]]
    if cell and (space_group(header.ispg) > 1 or any(n != lengths.get(axis, n) for axis, n in cell.items())):
        out["cell_intervals"] = list(geometry.n)
        out["cell_lengths"] = list(geometry.cella)
    if header.imod.stamped:
        out["imod_flags"], out["imod_type"] = int(header.imod.flags), int(header.imod.idtype)
    return out


def _contradiction(geometry: Geometry) -> dict[str, Any]:
    """Return the distance of the position by words 5-7 from that by words 50-52, in ångström along x, y, z."""
    counted = zip(geometry.nstart, geometry.voxel_size, geometry.start, strict=True)
    off = [n * size - start for n, size, start in counted]
    differ = any(abs(one) > _SAME_POSITION * size for one, size in zip(off, geometry.voxel_size, strict=True))
    return {"nstart_offset": np.nan_to_num(np.array(off, dtype=np.float64)).tolist()} if differ else {}


def as_text(facts: Mapping[str, Any]) -> str:
    """Return facts as one line of JSON, which netCDF and Zarr keep."""
    return json.dumps(facts)


def facts_of(array: xr.DataArray | xr.Dataset) -> Mapping[str, Any]:
    """Return how the file of an array stored it; empty for a new array.

    Parameters
    ----------
    array : DataArray or Dataset
        Opened from a file, however it was calculated since, or read from netCDF or Zarr.

    Returns
    -------
    mapping of str to object
        See `storage_facts`.
    """
    for text in (array.encoding.get(KEPT), array.attrs.get(KEPT)):
        if isinstance(text, str):
            return _parsed(text)
    # Arrays of the version before have its attributes, and the space group among them.
    if SPACE_GROUP in array.attrs and _OPENED_BY_THIS_VERSION not in array.attrs:
        return {name: array.attrs[name] for name in _NAMES if name in array.attrs}
    return {}


def _parsed(text: str) -> dict[str, Any]:
    """Return the facts of a line of JSON; none for a damaged one, which is no more than a lost preference."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def float_fact(array: xr.DataArray | xr.Dataset, name: str, default: tuple[float, ...] = ()) -> tuple[float, ...]:
    """Return a fact that is a series of numbers; the default where it is something else."""
    try:
        return tuple(float(x) for x in np.atleast_1d(facts_of(array).get(name, default)))
    except (TypeError, ValueError):
        return default


def whole_fact(array: xr.DataArray | xr.Dataset, name: str, bits: int = 32) -> int:
    """Return a fact that is a whole number of so many bits; 0 where it is something else."""
    try:
        number = int(facts_of(array).get(name, 0))
    except (TypeError, ValueError, OverflowError):
        return 0
    return number if -(1 << bits - 1) <= number < 1 << bits - 1 else 0
