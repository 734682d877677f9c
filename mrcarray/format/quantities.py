"""The common vocabulary of per-section metadata: one name and one unit for a quantity, whichever program wrote it.

Extended headers (`mrcarray.format.extended`) and sidecars (`mrcarray.format.sidecars`) map their fields to these names;
the xarray engine, the docs and the command line use the same table. To add a quantity, add a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["COMMON", "Column", "Quantity"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """One name of the common vocabulary.

    Parameters
    ----------
    name : str
        Name of the coordinate.
    unit : str
        Unit of its values; empty for plain numbers, text and times.
    meaning : str
        One phrase, used as ``long_name``.
    tolerance : float
        Values of two sources agree if they differ by at most this, in `unit`.
    relative : float
        They also agree if they differ by at most this fraction of the larger value.
    positive : bool
        Whether zero is impossible, so that a stored zero means unknown.
    """

    name: str
    unit: str
    meaning: str
    tolerance: float = 0.0
    relative: float = 0.01
    positive: bool = False

    def agree(self, one: NDArray[Any], two: NDArray[Any]) -> bool:
        """Return whether two sources agree wherever both have a value.

        Examples
        --------
        >>> COMMON["tilt_angle"].agree(np.array([3.0, np.nan]), np.array([3.01, 7.0]))
        True
        >>> COMMON["tilt_angle"].agree(np.array([3.0]), np.array([-3.0]))
        False
        """
        if one.dtype.kind == "M" and two.dtype.kind == "M":
            away = np.abs((one - two) / np.timedelta64(1, "s"))
            return not bool(np.any(away > self.tolerance))
        if one.dtype.kind != "f" or two.dtype.kind != "f":
            return True
        slack = np.maximum(self.tolerance, self.relative * np.maximum(np.abs(one), np.abs(two)))
        return not bool(np.any(np.abs(one - two) > slack))


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The values of one quantity from one source: one for each section, or one for all (0-d).

    Parameters
    ----------
    name : str
        Name of the coordinate.
    values : ndarray
        float64 (NaN where missing), datetime64[ns] (NaT), bool or str (empty where missing).
    unit, meaning : str
        Unit and phrase.
    source : str
        Where the values are from, such as ``extended header (SERI)``.
    """

    name: str
    values: NDArray[Any]
    unit: str
    meaning: str
    source: str

    @property
    def attrs(self) -> dict[str, str]:
        """The attributes of the coordinate, with a unit if there is one."""
        attrs = {"long_name": self.meaning, "from": self.source}
        return {**attrs, "units": self.unit} if self.unit else attrs

    @property
    def known(self) -> bool:
        """Whether any value is not missing."""
        if self.values.dtype.kind in "fM":
            return not bool(np.all(np.isnan(self.values)))
        if self.values.dtype.kind in "OU":
            return any(self.values.ravel().tolist())
        return True


#: Coordinate name -> quantity. The signs of defocus and tilt are the writing program's own; underfocus is negative in
#: SerialEM and EPU alike.
COMMON: dict[str, Quantity] = {
    quantity.name: quantity
    for quantity in (
        Quantity("tilt_angle", "degree", "tilt of the stage about its main axis", 0.1, 0.0),
        Quantity("refined_tilt_angle", "degree", "tilt after alignment (.tlt)", 0.1, 0.0),
        Quantity("beta_tilt", "degree", "tilt of the stage about its second axis", 0.1, 0.0),
        Quantity("tilt_axis_angle", "degree", "direction of the tilt axis in the image, as stored", 0.5, 0.0),
        Quantity("rotation_angle", "degree", "rotation of the image, counter-clockwise from x", 0.5, 0.0),
        Quantity("stage_x", "micrometer", "stage position x", 0.1, 0.001),
        Quantity("stage_y", "micrometer", "stage position y", 0.1, 0.001),
        Quantity("stage_z", "micrometer", "stage position z", 0.1, 0.001),
        Quantity("image_shift_x", "micrometer", "beam-image shift x", 0.01),
        Quantity("image_shift_y", "micrometer", "beam-image shift y", 0.01),
        Quantity("defocus", "micrometer", "defocus at the time of the exposure", 0.01),
        Quantity("target_defocus", "micrometer", "requested defocus", 0.01),
        Quantity("exposure_dose", "1/angstrom^2", "electron dose of this exposure", 0.01, 0.01, positive=True),
        Quantity("prior_dose", "1/angstrom^2", "electron dose before this exposure", 0.01),
        Quantity("dose_rate", "1/pixel/s", "electron dose rate at the camera", 0.01),
        Quantity("exposure_time", "s", "exposure time", 0.001, 0.01, positive=True),
        Quantity("magnification", "", "nominal magnification", 100.0, 0.01, positive=True),
        Quantity("pixel_size", "angstrom", "size of a pixel at the specimen", 0.0, 0.02, positive=True),
        Quantity("voltage", "kV", "acceleration voltage", 0.0, 0.01, positive=True),
        Quantity("datetime", "", "time of the exposure, local to the microscope", 60.0, 0.0),
        Quantity("intensity", "", "condenser (C2) setting, as a fraction", 1e-3, 0.01),
        Quantity("spot_size", "", "spot size number", 0.0, 0.0),
        Quantity("illuminated_area", "micrometer", "diameter of the illuminated area", positive=True),
        Quantity("convergence_angle", "degree", "convergence angle of the beam", 1e-3),
        Quantity("camera_length", "mm", "camera length in diffraction", positive=True),
        Quantity("slit_width", "eV", "width of the energy slit"),
        Quantity("energy_loss", "eV", "energy shift of the filter", 0.1),
        Quantity("binning", "", "camera pixels in an image pixel, along one axis", positive=True),
        Quantity("counts_per_electron", "", "counts per electron", positive=True),
        Quantity("piece_x", "pixel", "montage piece coordinate x", 0.5, 0.0),
        Quantity("piece_y", "pixel", "montage piece coordinate y", 0.5, 0.0),
        Quantity("piece_z", "", "montage section number", 0.5, 0.0),
        Quantity("x_tilt_angle", "degree", "tilt about the x axis (.xtilt)", 0.1, 0.0),
        Quantity("frames_file", "", "file of the frames from which the image was made", 0.0, 0.0),
    )
}
