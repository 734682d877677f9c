"""Datasets of particles back into STAR files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import MrcValueError
from mrcarray.particles.columns import star_name
from mrcarray.particles.star import IMAGE, OPTICS, import_starfile
from mrcarray.storage.atomic import AtomicFile

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["to_star"]


def to_star(
    dataset: xr.Dataset | xr.DataArray,
    path: str | os.PathLike[str],
    *,
    stack: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> str:
    """Write the columns of a Dataset of particles as a STAR file of RELION 3.1 or later.

    Parameters
    ----------
    dataset : Dataset or DataArray
        As `open_particles` returns it, or a selection of it. Each coordinate along ``particle`` becomes a column.
    path : str or path
        The STAR file, which appears under its name only when it is complete.
    stack : str or path, optional
        Also write the images into this new stack, and name them in the STAR file, relative to the current directory as
        RELION has it. Without it the coordinate ``image_name`` is used.
    overwrite : bool
        Whether existing files may be replaced.

    Returns
    -------
    str
        The path of the STAR file.

    Raises
    ------
    MrcValueError
        When there is no dimension ``particle``, or neither `stack` nor ``image_name``.
    OutputExistsError
        When a file exists and `overwrite` is not set.
    MissingDependencyError
        When starfile is not installed.
    """
    starfile = import_starfile("writing")
    if "particle" not in dataset.dims:
        raise MrcValueError(f"the dimensions are {list(map(str, dataset.dims))}; expected one named particle")
    optics, particles = _tables(dataset)
    if stack is not None:
        from mrcarray.xarray_backend.write import to_mrc

        name = os.fspath(stack)
        columns = [key for key, coord in dataset.coords.items() if coord.dims and key not in dataset.dims]
        to_mrc(dataset.drop_vars(columns), name, kind="particles", overwrite=overwrite)
        particles[IMAGE] = np.array([f"{at + 1:06d}@{name}" for at in range(dataset.sizes["particle"])], dtype=object)
    if IMAGE not in particles:
        raise MrcValueError("there is no coordinate image_name; pass stack=FILE to write the images too")
    blocks = {"particles": _frame(particles)}
    if optics:
        blocks = {"optics": _frame(optics), **blocks}
    text = starfile.to_string(blocks)
    with AtomicFile(path, overwrite=overwrite) as file:
        file.write_at(0, text.encode())
        file.commit()
    return os.fspath(path)


def _tables(dataset: xr.Dataset | xr.DataArray) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the columns of the optics table, one row a group, and those of the particles."""
    optics: dict[str, Any] = {}
    particles: dict[str, Any] = {}
    for name, coord in dataset.coords.items():
        if coord.dims == ("particle",) and name != "particle":
            column = str(coord.attrs.get("star_name") or star_name(str(name)))
            values = np.asarray(coord.values)
            if values.dtype.kind in "fU":  # numbers as text of all their digits: starfile would write six decimals
                values = values.astype(np.str_).astype(object)
            (optics if coord.attrs.get("star_block") == "optics" else particles)[column] = values
    if not optics or OPTICS not in particles:
        return {}, {**particles, **optics}
    groups, first, group = np.unique(particles[OPTICS], return_index=True, return_inverse=True)
    table = {OPTICS: groups}
    for column, values in optics.items():
        if (values == values[first][group]).all():
            table[column] = values[first]
        else:  # it was changed for some particles of a group
            particles[column] = values
    return table, particles


def _frame(columns: dict[str, Any]) -> Any:
    import pandas as pd

    return pd.DataFrame(columns)
