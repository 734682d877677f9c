"""A dask array to write, and the check of the file it was written to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array as da
import mrcfile
import numpy as np
import pytest

from mrcarray.format.builder import draft
from mrcarray.writer import DeferredWriter

NAMES = ["a.mrc", "a.mrc.gz", "a.mrc.bz2"]
VALUES = np.random.default_rng(0).normal(size=(12, 20, 24)).astype("f4")


def lazy(chunks: Any = (5, 7, 11)) -> da.Array:
    array: da.Array = da.from_array(VALUES, chunks=chunks)
    return array


def deferred(path: Path) -> DeferredWriter:
    """Return a write of `VALUES` that has not begun."""
    return DeferredWriter.of(path, draft(VALUES.shape, "f4"), None, overwrite=False, sync=False)


def check(path: Path | str, values: np.ndarray[Any, Any] = VALUES) -> None:
    """Assert that the file is there, alone, whole, and that its statistics are right."""
    with mrcfile.open(path) as found:
        np.testing.assert_array_equal(found.data, values)
        assert found.header.rms == pytest.approx(values.astype("f8").std(), rel=1e-6)
        assert found.header.dmean == pytest.approx(values.astype("f8").mean(), rel=1e-5, abs=1e-7)
        assert (found.header.dmin, found.header.dmax) == (values.min(), values.max())
    folder = Path(path).parent
    assert not [entry for entry in folder.iterdir() if entry.name.endswith("tmp")]
