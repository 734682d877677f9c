"""Tests of `mrcarray.storage`."""
