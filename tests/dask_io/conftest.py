"""Fixtures of the tests of dask arrays."""

from tests.xarray_backend.conftest import volume_path as volume_path  # noqa: PLC0414 -- a fixture, passed on
