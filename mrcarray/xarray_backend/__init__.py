"""The xarray engine `mrc`, the accessor `.mrc`, and `to_mrc`.

`convention` defines how a header becomes dims, coords and attrs, without I/O; `encode` is its inverse. Neither
interprets bytes: `mrcarray.reader` opens files and `mrcarray.format` knows the format.
"""
