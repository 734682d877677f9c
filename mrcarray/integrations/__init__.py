"""Guests who speak arrays: what xarray and dask see of a file.

`convention` says how a header becomes dims, coords and attrs and does no I/O; `xarray_engine`, `accessor` and `dask_io`
are thin. None of them knows what a byte means; that is asked of `mrcarray.format` through `mrcarray.reader`.
"""
