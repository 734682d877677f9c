"""Maps of CCP4 with a skew transformation, whose matrix shares two words with type and version."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mrcarray.errors import MrcWarning
from tests.builders import mrc_bytes, sample
from tests.xarray_backend.test_metadata_read import opened

if TYPE_CHECKING:
    import xarray as xr

SKEW = (1, *(0.5 * n for n in range(1, 13)))
OPERATORS = b"X,  Y,  Z".ljust(80) + b"-X,  Y+1/2,  -Z".ljust(80)


@pytest.fixture
def skewed(tmp_path: Path) -> xr.DataArray:
    """Open a map with flag, matrix, translation and symmetry."""
    raw = bytearray(mrc_bytes(sample((3, 4, 5), 2), 2, "<", OPERATORS, ispg=4, nversion=0))
    struct.pack_into("<i12f", raw, 96, *SKEW)
    path = tmp_path / "a.map"
    path.write_bytes(raw)
    return opened(path)


def skew_of(path: str, order: str = "<") -> tuple[float, ...]:
    return struct.unpack_from(order + "i12f", Path(path).read_bytes(), 96)


def test_numbers_of_matrix_are_no_version_and_no_type(skewed: xr.DataArray) -> None:
    assert not {"mrc_nversion", "mrc_exttyp"} & set(skewed.attrs)
    assert [issue.code for issue in skewed.mrc.issues] == ["MRC301", "MRC402"]


@pytest.mark.parametrize("order", ["<", ">"])
def test_whole_and_part_keep_skew_and_symmetry(tmp_path: Path, skewed: xr.DataArray, order: str) -> None:
    for part in (skewed, skewed.isel(x=slice(1, 3))):
        path = part.mrc.to_mrc(tmp_path / "b.map", byteorder=order, overwrite=True)
        assert skew_of(path, order) == SKEW
        assert Path(path).read_bytes()[1024:1184] == OPERATORS


def test_computed_map_declares_version_and_no_rest_of_skew(tmp_path: Path, skewed: xr.DataArray) -> None:
    raw = Path((skewed * 2).mrc.to_mrc(tmp_path / "b.map")).read_bytes()
    assert raw[1024:1184] == OPERATORS
    assert struct.unpack_from("<i4si", raw, 96)[0] == 0
    assert struct.unpack_from("<i", raw, 108) == (20141,)


def test_requested_version_replaces_skew(tmp_path: Path, skewed: xr.DataArray) -> None:
    with pytest.warns(MrcWarning, match="skew transformation is not written"):
        path = skewed.mrc.to_mrc(tmp_path / "b.map", nversion=20141)
    assert skew_of(path)[0] == 0
    assert struct.unpack_from("<4si", Path(path).read_bytes(), 104) == (bytes(4), 20141)
