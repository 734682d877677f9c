"""``.cs`` files of cryoSPARC: one NumPy structured array."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import MrcValueError, printable
from mrcarray.particles import columns as names
from mrcarray.particles.table import Column, Images, ParticleTable, Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["read_cryosparc"]

_FILE, _SECTION, _PIXEL = "blob/path", "blob/idx", "blob/psize_A"
_SAME_AS_RELION = {
    "blob/psize_A": "image_pixel_size",
    "ctf/df1_A": "defocus_u",
    "ctf/df2_A": "defocus_v",
    "ctf/df_angle_rad": "defocus_angle",
    "ctf/phase_shift_rad": "phase_shift",
    "ctf/accel_kv": "voltage",
    "ctf/cs_mm": "spherical_aberration",
    "ctf/amp_contrast": "amplitude_contrast",
    "location/micrograph_path": "micrograph_name",
}
"""Fields that have the name of RELION's column for the same quantity."""

_UNITS = {"A": "angstrom", "A2": "angstrom^2", "rad": "radian", "mrad": "mrad", "deg": "degree", "kv": "kV", "mm": "mm"}
"""Unit by the last part of a field's name."""


def read_cryosparc(path: str) -> ParticleTable:
    """Read the particles of a ``.cs`` file.

    Raises
    ------
    MrcValueError
        When it is not a structured array with the fields ``blob/path`` and ``blob/idx``.
    """
    try:
        table = np.load(path, allow_pickle=False)
    except ValueError as error:
        raise MrcValueError(f"{printable(path)}: not a .cs file of cryoSPARC (a NumPy structured array)") from error
    fields = getattr(table.dtype, "names", None) or ()
    if lost := [name for name in (_FILE, _SECTION) if name not in fields]:
        raise MrcValueError(
            f"{printable(path)}: has no field {lost[0]}; expected a .cs file that lists particle images"
        )
    # ">" marks a path relative to the project's directory
    files = [name.removeprefix(">") for name in names.as_array(table[_FILE]).tolist()]
    columns = tuple(_column(name, table[name]) for name in fields if name not in (_FILE, _SECTION))
    size = table[_PIXEL].astype(np.float64) if _PIXEL in fields else np.full(len(table), np.nan)
    images = Images.of(files, table[_SECTION])
    return ParticleTable(images, columns, size, Rows(path), os.path.dirname(path))  # noqa: PTH120 -- a str


def _column(name: str, values: NDArray[Any]) -> Column:
    """Return a column named as RELION's, or by its own name without the unit.

    Examples
    --------
    >>> _column("ctf/exp_group_id", np.arange(2)).name, _column("ctf/tilt_mrad", np.arange(2)).attrs["units"]
    ('ctf_exp_group_id', 'mrad')
    """
    stem, _, last = name.rpartition("_")
    units = _UNITS.get(last, "")
    plain = _SAME_AS_RELION.get(name) or (stem if units else name).replace("/", "_").lower()
    attrs = {"long_name": names.long_name(plain), **({"units": units} if units else {})}
    array = names.as_array(values)
    return Column(plain, array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("=")), attrs)
