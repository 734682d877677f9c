"""Tests of `mrcarray.dask_io`."""
