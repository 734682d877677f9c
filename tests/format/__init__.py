"""Tests of `mrcarray.format`."""
