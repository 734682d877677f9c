"""Tests of `mrcarray.validation`."""
