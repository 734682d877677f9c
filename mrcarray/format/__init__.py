"""What the bytes mean: header, pixel modes, layout, geometry, and plans of selections.

Everything here is a frozen value or a pure function of NumPy and the standard library. Nothing opens a file, prints or
warns; what is wrong with a file is returned as issues. A pixel mode is a row in `modes`, a header word a row in
`fields`, a finding a row in `issues`.
"""
