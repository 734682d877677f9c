"""Tests of virtual Zarr."""
