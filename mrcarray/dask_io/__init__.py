"""Read and write blocks as dask tasks: `from_mrc`, and what `to_mrc` does with a dask array."""
