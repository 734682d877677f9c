"""Tests of `mrcarray.classic`, most of them against mrcfile itself."""
