"""Units in the spelling of pint, with the real package; skipped without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import xarray as xr

from tests.builders import mrc_bytes, sample

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("pint_xarray")

_MDOC = """PixelSpacing = 2
ImageFile = a.st

[ZValue = 0]
TiltAngle = -3
ExposureDose = 2.5
PriorRecordDose = 0
DoseRate = 8

[ZValue = 1]
TiltAngle = 3
ExposureDose = 2.5
PriorRecordDose = 2.5
DoseRate = 8
"""


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_opened_tilt_series_can_be_quantified(tmp_path: Path) -> None:
    (tmp_path / "a.st").write_bytes(mrc_bytes(sample((2, 3, 4), 2), ispg=0, m=(4, 3, 1)))
    (tmp_path / "a.st.mdoc").write_text(_MDOC)
    opened = xr.open_dataset(tmp_path / "a.st", engine="mrc").drop_indexes(["section", "x", "y"])
    assert opened.exposure_dose.attrs["units"] == "1/angstrom^2"
    quantified = opened.drop_vars("extended_record", errors="ignore").pint.quantify()
    assert str(quantified.exposure_dose.pint.units) == "1 / angstrom ** 2"
    in_nm = quantified.pint.to({"exposure_dose": "1/nm^2"}).pint.dequantify()
    np.testing.assert_allclose(in_nm.exposure_dose, [250.0, 250.0])


def test_accessor_and_writer_read_units_of_pint(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(sample((2, 3, 4), 2), nstart=(1, 0, 0)))
    opened = xr.open_dataarray(tmp_path / "a.mrc").load()
    in_nm = opened.drop_indexes(["x", "y", "z"]).pint.quantify().pint.to({"x": "nm"})
    assert in_nm.mrc.voxel_size == opened.mrc.voxel_size
    assert in_nm.mrc.origin == pytest.approx(opened.mrc.origin)
    path = in_nm.mrc.to_mrc(tmp_path / "b.mrc")
    assert xr.open_dataarray(path).mrc.same_grid(opened)
