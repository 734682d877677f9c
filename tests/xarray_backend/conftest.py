"""What xarray's own test suite expects of its surroundings, and files that several tests open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from xarray.tests.conftest import time_unit as time_unit  # noqa: PLC0414 -- a fixture of xarray's suite, passed on

from tests.builders import mrc_bytes, sample

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=[False, True], ids=["numpy", "dask"])
def use_dask(request: pytest.FixtureRequest) -> bool:
    """Return whether to work on dask arrays, as the newest tests of xarray ask; older releases lack this fixture."""
    return bool(request.param)


@pytest.fixture
def volume_path(tmp_path: Path) -> Path:
    """Return a float32 volume of 6 sections, 5 rows and 7 columns with 2 Å voxels."""
    path = tmp_path / "volume.mrc"
    path.write_bytes(mrc_bytes(sample((6, 5, 7), 2)))
    return path
