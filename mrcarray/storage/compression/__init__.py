"""Read and write compressed files: in one pass, from the middle, and within bounds of memory.

`source.CompressedSource` is what the rest of the package reads; `codecs.CODECS` is the table of formats.
"""
