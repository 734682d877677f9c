"""One `to_mrc` is short to follow: how many modules it enters, and how many headers it builds."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import mrcarray
from mrcarray.format.header import Header

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

PACKAGE = Path(mrcarray.__file__).parent
VALUES = np.arange(8 * 16 * 32, dtype="f4").reshape(8, 16, 32)

STATES = 3
"""Headers of one write: as built, marked as unfinished, with the statistics."""


def plain(folder: Path) -> Any:  # noqa: ARG001 -- as `opened`
    return da.from_array(VALUES, chunks=(4, 16, 32))


def labelled(folder: Path) -> xr.DataArray:
    coords = {axis: 2.0 * np.arange(length) for axis, length in zip("zyx", VALUES.shape, strict=True)}
    return xr.DataArray(plain(folder), dims=("z", "y", "x"), coords=coords)


def opened(folder: Path) -> xr.DataArray:
    return mrcarray.open_dataarray(mrcarray.to_mrc(labelled(folder), folder / "source.mrc"), chunks={})


def cut(folder: Path) -> xr.DataArray:
    return opened(folder)[2:, ::2, 3:]


def journey(array: Any, folder: Path) -> tuple[set[str], Counter[str]]:
    """Return the modules that one `to_mrc` enters in the calling thread, and how often headers are made and parsed."""
    mrcarray.to_mrc(array, folder / "first.mrc")  # imports, and values that are computed once
    modules, headers = set[str](), Counter[str]()
    watched = {Header.__post_init__.__code__: "made", Header.parse.__func__.__code__: "parsed"}  # type: ignore[attr-defined]

    def watch(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        path = Path(code.co_filename)
        if event == "call" and path.is_relative_to(PACKAGE):
            modules.add(str(path.relative_to(PACKAGE)))
            headers[watched.get(code, "")] += 1

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        mrcarray.to_mrc(array, folder / "second.mrc")
    finally:
        sys.setprofile(before)
    return modules, headers


@pytest.mark.parametrize(
    ("array_in", "made"),
    [
        (plain, STATES),
        (labelled, STATES),
        (opened, STATES + 2),  # the header of the source: for its grid, and to start from
        (cut, STATES + 3),  # and a trial whether that header is still right
    ],
)
def test_to_mrc_builds_one_header(array_in: Callable[[Path], Any], made: int, tmp_path: Path) -> None:
    _, headers = journey(array_in(tmp_path), tmp_path)
    assert (headers["made"], headers["parsed"]) == (made, 0)


@pytest.mark.parametrize(("array_in", "most"), [(plain, 21), (labelled, 37)])
def test_to_mrc_enters_few_modules(array_in: Callable[[Path], Any], most: int, tmp_path: Path) -> None:
    modules, _ = journey(array_in(tmp_path), tmp_path)
    assert "xarray_backend/write.py" in modules
    assert len(modules) <= most, sorted(modules)
