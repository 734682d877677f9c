"""Tests of `mrcarray.conversion`."""
