"""How compressed bytes are read: forward, from the middle, and within bounds.

codec        what a row of the table of compressions says
decoders     one member of one format, with the fastest library that is installed
points       places where decoding can start
stream       a pass over a compressed source: members, padding, damage with its position
bzip2        the same pass for bzip2, whose blocks can be found and decoded side by side
xz           the list of blocks at the end of an xz file
seekindex    those places, kept in a file
spool        uncompressed bytes kept in memory, or in a temporary file
state        what one process knows of one compressed file

`mrcarray.storage.compression.source` makes a source of it.
"""
