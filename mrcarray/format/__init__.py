"""What the bytes of a file mean: header, pixel modes, layout, geometry, kinds, extended headers, sidecars.

Frozen values and pure functions of NumPy and the standard library. Nothing here opens a file, prints or warns; problems
of a file are returned as issues. A pixel mode is a row in `modes`, a header word a row in `fields`, an issue code a row
in `issues`.
"""
