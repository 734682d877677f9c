"""Half transforms in xarray: frequencies as coordinates, and back to a header."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import mrcarray
from mrcarray.errors import MrcWarning
from mrcarray.xarray_backend.coordinates import without_frequencies
from tests.builders import mrc_bytes, sample
from tests.xarray_backend.test_metadata_read import opened


def half(path: Path, shape: tuple[int, ...], real: int, **fields: Any) -> xr.DataArray:
    """Write the half transform of an image or volume of this real width and 2 Å voxels, and open it."""
    m = (real, shape[-2], shape[-3] if len(shape) == 3 and fields.get("ispg") != 0 else 1)
    path.write_bytes(mrc_bytes(sample(shape, 4), 4, m=m, cella=tuple(2.0 * n for n in m), **fields))
    return opened(path)


@pytest.mark.parametrize("real", [7, 8])
@pytest.mark.parametrize(("shape", "fields"), [((6,), {}), ((4, 6), {}), ((3, 6), {"ispg": 0})])
@pytest.mark.parametrize("computed", [False, True])
def test_half_transform_is_written_with_cell_of_real_image(
    tmp_path: Path, shape: tuple[int, ...], fields: dict[str, Any], real: int, computed: bool
) -> None:
    transform = half(tmp_path / "a.mrc", (*shape, real // 2 + 1), real, **fields)
    assert transform.x.attrs["units"] == "1/angstrom"
    np.testing.assert_allclose(transform.x, np.fft.rfftfreq(real, 2.0))
    target = (transform * 2 if computed else transform).mrc.to_mrc(tmp_path / "b.mrc")
    header = mrcarray.read_header(target)
    assert header.m[:2] == (real, 6)
    assert header.cella[:2] == (2.0 * real, 12.0)
    again = opened(Path(target))
    np.testing.assert_array_equal(again.values, transform.values * (2 if computed else 1))
    for axis in ("x", "y", "z"):
        if axis in transform.coords:
            np.testing.assert_allclose(again[axis], transform[axis])


def test_part_of_transform_is_written_with_warning(tmp_path: Path) -> None:
    transform = half(tmp_path / "a.mrc", (6, 5), 8)
    for at, part in enumerate((transform.isel(x=slice(0, 3)), transform.isel(y=slice(1, None)))):
        with pytest.warns(MrcWarning, match="MRC307"):
            target = part.mrc.to_mrc(tmp_path / f"{at}.mrc")
        again = opened(Path(target))
        np.testing.assert_array_equal(again.values, part.values)
        assert again.x.attrs["units"] != "1/angstrom" or at == 1


def test_frequencies_without_cell_they_came_from_are_dropped(tmp_path: Path) -> None:
    transform = half(tmp_path / "a.mrc", (6, 5), 8)
    bare, issues = without_frequencies(transform.drop_attrs(deep=False).drop_encoding())
    assert [issue.code for issue in issues] == ["MRC307"]
    assert "x" not in bare.coords
    row, issues = without_frequencies(transform.isel(y=3))
    assert [issue.code for issue in issues] == ["MRC307"]
    assert "y" not in row.coords
    real = opened_volume(tmp_path)
    assert without_frequencies(real)[0] is real


def opened_volume(folder: Path) -> xr.DataArray:
    """Return a plain volume."""
    (folder / "v.mrc").write_bytes(mrc_bytes(sample((2, 3, 4), 2)))
    return opened(folder / "v.mrc")


@pytest.mark.parametrize("kept", [False, True])
def test_power_spectrum_is_written_without_frequencies(tmp_path: Path, kept: bool) -> None:
    transform = half(tmp_path / "a.mrc", (6, 5), 8)
    spectrum = (abs(transform) ** 2).astype("f4").assign_attrs(transform.attrs)
    spectrum.encoding = transform.encoding if kept else {}
    with pytest.warns(MrcWarning, match=r"spatial frequencies, .* of real pixels .*MRC307"):
        target = spectrum.mrc.to_mrc(tmp_path / "b.mrc")
    assert ("header" in spectrum.encoding) == kept
    with pytest.warns(MrcWarning, match="voxel size is unknown along x, y"):
        again = opened(Path(target))
    np.testing.assert_array_equal(again.values, spectrum.values)
    assert again.x.attrs["units"] == again.y.attrs["units"] == "pixel"
    with pytest.warns(MrcWarning, match="MRC307"):
        target = spectrum.mrc.to_mrc(tmp_path / "c.mrc", voxel_size=(0.25, 0.25, 1))
    assert opened(Path(target)).mrc.voxel_size[:2] == (0.25, 0.25)


@pytest.mark.parametrize("order", [("x", "y", "z"), ("y", "x", "z"), ("z", "x", "y")])
def test_transposed_transform_keeps_its_frequencies_with_its_half_in_columns(
    tmp_path: Path, order: tuple[str, ...]
) -> None:
    transform = half(tmp_path / "a.mrc", (3, 6, 5), 8)
    again = opened(Path(transform.transpose(*order).mrc.to_mrc(tmp_path / "b.mrc")))
    assert again.dims[-1] == "x"
    xr.testing.assert_allclose(again.transpose("z", "y", "x"), transform)
    assert again.y.attrs["units"] == "1/angstrom"


def test_falling_frequencies_are_reversed_with_warning(tmp_path: Path) -> None:
    transform = half(tmp_path / "a.mrc", (6, 5), 8)
    with pytest.warns(MrcWarning, match="the coordinate y falls"):
        again = opened(Path(transform.isel(y=slice(None, None, -1)).mrc.to_mrc(tmp_path / "b.mrc")))
    xr.testing.assert_allclose(again, transform)


def test_unstorable_transform_stack_warns(tmp_path: Path) -> None:
    values = sample((2, 5, 3, 4), 4)
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(values, 4, m=(7, 3, 5), cella=(14.0, 6.0, 10.0), mapcrs=(1, 2, 3)))
    stack = opened(path).rename(x="z", z="x").assign_attrs(cell_intervals=[5, 3, 7], cell_lengths=[10.0, 6.0, 14.0])
    with pytest.warns(MrcWarning, match="not a complete half transform"):
        stack.mrc.to_mrc(tmp_path / "b.mrc")
