"""Per-section coordinates in units of the caller's own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mrcarray.errors import MrcValueError, MrcWarning
from mrcarray.format.quantities import COMMON
from mrcarray.format.units import conversion
from tests.xarray_backend.test_metadata_read import TILTS, angles_of, opened, serialem
from tests.xarray_backend.test_metadata_write import extended_of

if TYPE_CHECKING:
    import xarray as xr


def given(path: Path, **coords: tuple[Any, str]) -> xr.DataArray:
    """Return a series of SerialEM with these values and units of its own."""
    ts = opened(serialem(path))
    return ts.assign_coords({name: ("section", values, {"units": unit}) for name, (values, unit) in coords.items()})


def test_angles_in_radian_are_written_as_degrees_they_are(tmp_path: Path) -> None:
    ts = given(tmp_path / "a.mrc", tilt_angle=(np.deg2rad(TILTS), "radian"))
    path = ts.mrc.to_mrc(tmp_path / "b.mrc")
    assert angles_of(extended_of(path), len(TILTS)) == list(TILTS)


def test_stage_positions_in_nanometres_are_written_as_micrometres(tmp_path: Path) -> None:
    ts = given(tmp_path / "a.mrc", stage_x=(np.arange(4.0) * 2000, "nm"))
    assert opened(Path(ts.mrc.to_mrc(tmp_path / "b.mrc"))).stage_x.values.tolist() == [0, 2, 4, 6]


def test_mdoc_and_list_state_common_units(tmp_path: Path) -> None:
    ts = given(tmp_path / "a.mrc", tilt_angle=(np.deg2rad(TILTS), "rad"), voltage=([3e5] * 4, "V"))
    text = Path(ts.mrc.to_mdoc(tmp_path / "b.mrc")).read_text()
    assert "Voltage = 300\n" in text
    listed = Path(ts.mrc.to_angles(tmp_path / "b.rawtlt")).read_text().split()
    assert [float(one) for one in listed] == list(TILTS)


def test_unit_of_another_kind_is_named_and_coordinate_left_out(tmp_path: Path) -> None:
    ts = given(tmp_path / "a.mrc", tilt_angle=([1.0] * 4, "furlong"))
    with pytest.warns(MrcWarning, match="tilt_angle is not written: 'furlong' cannot be converted to degree"):
        path = ts.mrc.to_mrc(tmp_path / "b.mrc")
    assert angles_of(extended_of(path), len(TILTS)) == list(TILTS)
    with pytest.raises(MrcValueError, match="'furlong' cannot be converted to degree"):
        ts.mrc.to_angles(tmp_path / "b.rawtlt")


def test_every_unit_of_vocabulary_is_known() -> None:
    units = {quantity.unit for quantity in COMMON.values() if quantity.unit}
    for unit in units:
        assert conversion(unit.upper() if unit.isascii() else unit, unit) == 1.0
        with pytest.raises(MrcValueError, match=re.escape(f"cannot be converted to {unit}")):
            conversion("apple", unit)


@pytest.mark.parametrize(
    ("one", "other", "factor"),
    [
        ("m", "micrometer", 1e6),
        ("Å", "angstrom", 1.0),
        ("e-/Å²", "electron/angstrom^2", 1.0),
        ("electron / meter ** 2", "electron/angstrom^2", 1e-20),
        ("mrad", "degree", 180e-3 / np.pi),
        ("ms", "s", 1e-3),
    ],
)
def test_unit_spellings_are_converted(one: str, other: str, factor: float) -> None:
    assert conversion(one, other) == pytest.approx(factor)
