"""Any chain of xarray's indexers gives what numpy gives, lazily and through dask."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from xarray.testing.strategies import basic_indexers, outer_array_indexers, vectorized_indexers

import mrcarray
from tests.builders import mrc_bytes, sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODES = (0, 1, 2, 3, 4, 6, 12, 101)


@functools.cache
def _case(mode: int, byteorder: str) -> tuple[bytes, NDArray[Any]]:
    values = sample((4, 5, 7), mode, seed=mode)
    return mrc_bytes(values, mode, byteorder), values


def _opened(mode: int, byteorder: str, chunks: Any) -> tuple[xr.DataArray, xr.DataArray]:
    raw, values = _case(mode, byteorder)
    lazy = mrcarray.open_dataarray(raw, chunks=chunks, cache=False)
    return lazy, xr.DataArray(values, dims=lazy.dims, coords=lazy.coords)


def _step(draw: Any, sizes: dict[Any, int]) -> dict[Any, Any]:
    kinds: list[Any] = [basic_indexers, outer_array_indexers, vectorized_indexers]
    if len(sizes) < 2:
        kinds = kinds[:2]
    indexer: dict[Any, Any] = draw(draw(st.sampled_from(kinds))(sizes=sizes))
    return indexer


def _hits_xarrays_bug(lazy: xr.DataArray, indexer: dict[Any, Any]) -> bool:
    """Whether one element is taken of an array whose indexing is vectorised or turned and still lazy.

    xarray then indexes its unbroadcast index arrays and raises IndexError, with every backend.
    """
    scalars = [item for item in indexer.values() if not isinstance(item, slice) and np.ndim(item) == 0]
    return set(indexer) >= set(lazy.dims) and len(scalars) == len(indexer)


def _clashes(dims: tuple[Any, ...], indexer: dict[Any, Any]) -> bool:
    """Whether an indexer brings a dimension of the same name as one that stays, which xarray refuses."""
    brought = {dim for item in indexer.values() for dim in getattr(item, "dims", ())}
    return bool(brought & (set(dims) - set(indexer)))


def _assert_same(lazy: xr.DataArray, eager: xr.DataArray) -> None:
    assert lazy.dims == eager.dims
    assert lazy.dtype == eager.dtype
    np.testing.assert_array_equal(lazy.values, eager.values)


@given(data=st.data(), mode=st.sampled_from(MODES), byteorder=st.sampled_from("<>"))
@pytest.mark.parametrize("chunks", [None, {"z": 2, "y": 3}], ids=["lazy", "dask"])
def test_chained_indexers_equal_numpys(data: st.DataObject, mode: int, byteorder: str, chunks: Any) -> None:
    lazy, eager = _opened(mode, byteorder, chunks)
    for _ in range(data.draw(st.integers(1, 3), label="steps")):
        sizes = {dim: n for dim, n in eager.sizes.items() if n > 0}
        if not sizes or eager.ndim > 4:
            break
        indexer = _step(data.draw, sizes)
        if _hits_xarrays_bug(lazy, indexer) or _clashes(eager.dims, indexer):
            break
        lazy, eager = lazy.isel(indexer), eager.isel(indexer)
        if data.draw(st.booleans(), label="transpose"):
            lazy, eager = lazy.transpose(), eager.transpose()
    _assert_same(lazy, eager)


@given(data=st.data())
def test_cut_or_transposed_array_is_lazy_until_loaded(data: st.DataObject) -> None:
    lazy, eager = _opened(2, "<", None)
    indexer = data.draw(basic_indexers(sizes=dict(eager.sizes)))
    assert not lazy.isel(indexer).transpose().variable._in_memory


@pytest.mark.parametrize("key", [slice(0, 0, -1), slice(2, 2), slice(None, None, -1), slice(3, 0, -2), slice(0, 3, -1)])
def test_slices_with_negative_steps_and_without_elements_are_read(key: slice) -> None:
    lazy, eager = _opened(2, "<", None)
    np.testing.assert_array_equal(lazy.isel(z=key).values, eager.isel(z=key).values)


@pytest.mark.parametrize(
    "indexer",
    [
        {"z": xr.DataArray([0, 3, 1], dims="p"), "y": xr.DataArray([4, 0, 1], dims="p")},
        {"z": xr.DataArray([[0, 3], [1, 1]], dims=("p", "q"))},
        {"x": xr.DataArray([6, 0], dims="p"), "z": xr.DataArray([1, 2, 3], dims="q")},
        {"x": xr.DataArray([], dims="p").astype(int), "z": xr.DataArray([], dims="p").astype(int)},
        {"y": xr.DataArray(2), "x": xr.DataArray([1, 1], dims="p"), "z": xr.DataArray([0, 3], dims="p")},
    ],
    ids=["points", "plane of sections", "outer in disguise", "no points", "scalar and points"],
)
@pytest.mark.parametrize("turned", [False, True])
def test_vectorised_requests_equal_numpys(indexer: dict[str, xr.DataArray], turned: bool) -> None:
    lazy, eager = _opened(2, "<", None)
    if turned:
        lazy, eager = lazy.transpose(), eager.transpose()
    got = lazy.isel(indexer)
    _assert_same(got, eager.isel(indexer))
