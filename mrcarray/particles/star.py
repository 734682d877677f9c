"""STAR files of RELION, read by the package starfile, and tables that are DataFrames already."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import MrcValueError, missing_package, printable
from mrcarray.particles import columns as names
from mrcarray.particles.table import Column, Images, ParticleTable, Rows, sections_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["IMAGE", "OPTICS", "from_frames", "import_starfile", "read_star"]

IMAGE = "rlnImageName"
OPTICS = "rlnOpticsGroup"
_PIXEL = "rlnImagePixelSize"
_MICROMETRE = 1e4


def import_starfile(what: str) -> Any:
    """Return the package starfile.

    Raises
    ------
    MissingDependencyError
        When it is not installed.
    """
    try:
        import starfile
    except ModuleNotFoundError as error:
        raise missing_package(f"{what} STAR files", str(error.name), "star") from error
    return starfile


def read_star(path: str) -> ParticleTable:
    """Read the particles of a STAR file, with the optics group of each joined.

    Raises
    ------
    MissingDependencyError
        When starfile is not installed.
    MrcValueError
        When no block has the column ``rlnImageName``.
    """
    starfile = import_starfile("reading")
    # an image name or a micrograph name may look like a number
    blocks = starfile.read(path, always_dict=True, parse_as_string=[IMAGE, "rlnMicrographName"])
    return from_frames(blocks, path)


def from_frames(blocks: Mapping[str, Any], path: str = "") -> ParticleTable:
    """Return the table of particles in the blocks of a STAR file.

    Parameters
    ----------
    blocks : mapping of str to DataFrame or dict
        As starfile returns them.
    path : str
        The STAR file; empty for tables in memory.
    """
    listed = {name: block for name, block in blocks.items() if IMAGE in getattr(block, "columns", ())}
    if not listed:
        found = ", ".join(f"data_{name}" for name in blocks) or "no blocks"
        where = f"{printable(path)}: " if path else ""
        raise MrcValueError(f"{where}found {found}; expected a loop with the column _{IMAGE}")
    block = "particles" if "particles" in listed else next(iter(listed))
    frame = listed[block]
    rows = Rows(path, block if path else None)
    files, sections = sections_of([str(name) for name in frame[IMAGE]], rows.name)
    values = {str(name): names.as_array(frame[name]) for name in frame.columns}
    optics = _joined(blocks.get("optics"), values, rows)
    columns = [*(_column(name, one, "") for name, one in values.items())]
    columns += [_column(name, one, "optics") for name, one in optics.items() if name not in values]
    pixel_size = _pixel_size({**optics, **values}, len(files))
    folder = os.path.dirname(path) if path else ""  # noqa: PTH120 -- a str
    return ParticleTable(Images.of(files, sections), tuple(columns), pixel_size, rows, folder)


def _joined(optics: Any, values: Mapping[str, NDArray[Any]], rows: Rows) -> dict[str, NDArray[Any]]:
    """Return the columns of the optics table, one value for each particle."""
    if optics is None or OPTICS not in values or OPTICS not in optics:
        return {}
    table = {name: np.atleast_1d(names.as_array(optics[name])) for name in optics}  # one group may be a plain block
    groups, wanted = table.pop(OPTICS), values[OPTICS]
    order = np.argsort(groups, kind="stable")
    at = np.clip(np.searchsorted(groups[order], wanted), 0, groups.size - 1)
    missing = np.flatnonzero(groups[order][at] != wanted)
    if missing.size:
        row = int(missing[0])
        known = ", ".join(map(str, groups.tolist()))
        raise MrcValueError(f"{rows.name(row)}: optics group {wanted[row]} is not in data_optics, which has {known}")
    return {name: one[order][at] for name, one in table.items()}


def _column(name: str, values: NDArray[Any], block: str) -> Column:
    plain, units = names.snake_case(name), names.units_of_star(name)
    attrs = {"long_name": names.long_name(plain), "star_name": name}
    attrs |= {"units": units} if units else {}
    attrs |= {"star_block": block} if block else {}
    return Column(plain, values, attrs)


def _pixel_size(values: Mapping[str, NDArray[Any]], count: int) -> NDArray[np.float64]:
    """Return the pixel size as RELION finds it: stated, or from detector and magnification as up to RELION 3.0."""
    if _PIXEL in values:
        return values[_PIXEL].astype(np.float64)
    detector, magnification = values.get("rlnDetectorPixelSize"), values.get("rlnMagnification")
    if detector is None or magnification is None:
        return np.full(count, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        sizes: NDArray[np.float64] = detector.astype(np.float64) * _MICROMETRE / magnification.astype(np.float64)
    return np.where(np.isfinite(sizes), sizes, np.nan)
