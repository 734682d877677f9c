"""The words of the 1024-byte header, as a table.

Every byte belongs to exactly one row of `FIELDS`, in the order of the MRC2014 page. `ALIASES` names the single items of
the rows with three values, as other programs do.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

__all__ = [
    "ALIASES",
    "DELTAVISION",
    "FIELDS",
    "HEADER_NBYTES",
    "LABELS",
    "LABEL_NBYTES",
    "MONTHS",
    "STACK_GROUPS",
    "UNDETERMINED",
    "UNFINISHED",
    "VERSIONS",
    "VOLUME_GROUPS",
    "Field",
]

HEADER_NBYTES = 1024
"""Bytes of the main header."""

LABELS, LABEL_NBYTES = 10, 80

VOLUME_GROUPS, STACK_GROUPS = range(1, 231), range(401, 631)
"""Values of word 23 (ispg) for a volume, and for a stack of volumes: 400 and the space group."""

DELTAVISION = -16224
"""Word 25 (creator) of the files of DeltaVision and Priism."""

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""The months of dates in labels and mdoc files, in any locale."""

VERSIONS = (20140, 20141)
"""The versions of MRC2014 that word 28 (nversion) declares."""

UNFINISHED = -1000
"""The mode of a file that is being written is this number minus its mode."""

UNDETERMINED = {"dmin": 0.0, "dmax": -1.0, "dmean": -2.0, "rms": -1.0}
"""Header values that declare each statistic unknown (MRC2014: dmax < dmin, dmean < both, rms < 0)."""


@dataclass(frozen=True, slots=True)
class Field:
    """One row of the header table.

    Parameters
    ----------
    name : str
        Attribute of `mrcarray.format.header.Header`.
    offset : int
        First byte, from 0.
    code : str
        `struct` code of one item: ``i`` 32-bit integer, ``f`` 32-bit float, ``8s`` eight bytes.
    count : int
        Number of items.
    unit : str
        Unit of a value; empty when it has none.
    doc : str
        One line.

    Examples
    --------
    >>> FIELDS["cella"].word, FIELDS["cella"].nbytes
    (11, 12)
    """

    name: str
    offset: int
    code: str
    count: int
    unit: str
    doc: str
    structs: dict[str, struct.Struct] = field(init=False, repr=False, compare=False)
    nbytes: int = field(init=False, repr=False, compare=False)
    """Number of bytes of the row."""

    def __post_init__(self) -> None:
        """Compile the codes of both byte orders."""
        object.__setattr__(self, "structs", {order: struct.Struct(order + self.code * self.count) for order in "<>"})
        object.__setattr__(self, "nbytes", self.structs["<"].size)

    @property
    def word(self) -> int:
        """MRC2014 number of the first 4-byte word."""
        return self.offset // 4 + 1


_ROWS = (
    Field("nx", 0, "i", 1, "pixel", "columns, the fastest axis"),
    Field("ny", 4, "i", 1, "pixel", "rows"),
    Field("nz", 8, "i", 1, "pixel", "sections, those of all volumes together"),
    Field("mode", 12, "i", 1, "", "pixel type"),
    Field("nstart", 16, "i", 3, "pixel", "first column, row and section in the unit cell"),
    Field("m", 28, "i", 3, "", "intervals of the unit cell along X, Y, Z"),
    Field("cella", 40, "f", 3, "angstrom", "edges of the unit cell along X, Y, Z"),
    Field("cellb", 52, "f", 3, "degree", "angles alpha, beta, gamma of the unit cell"),
    Field("mapcrs", 64, "i", 3, "", "which of X (1), Y (2), Z (3) runs along columns, rows, sections"),
    Field("dmin", 76, "f", 1, "", "minimum; undetermined when dmax < dmin"),
    Field("dmax", 80, "f", 1, "", "maximum; undetermined when dmax < dmin"),
    Field("dmean", 84, "f", 1, "", "mean; undetermined when below dmin and dmax"),
    Field("ispg", 88, "i", 1, "", "0 images, 1-230 volume with this space group, 401-630 stack of volumes"),
    Field("nsymbt", 92, "i", 1, "byte", "length of the extended header"),
    Field("extra1", 96, "8s", 1, "", "free; CCP4 skew flag, creator of IMOD and Priism files"),
    Field("exttyp", 104, "4s", 1, "", "type of the extended header"),
    Field("nversion", 108, "i", 1, "", "10 * year + revision of the format"),
    Field("extra2", 112, "84s", 1, "", "free; IMOD's fields, CCP4 skew"),
    Field("origin", 196, "f", 3, "angstrom", "position of the first voxel along X, Y, Z"),
    Field("map", 208, "4s", 1, "", "the characters 'MAP '"),
    Field("machst", 212, "4s", 1, "", "machine stamp: 44 44 00 00 little, 11 11 00 00 big endian"),
    Field("rms", 216, "f", 1, "", "standard deviation; undetermined when negative"),
    Field("nlabl", 220, "i", 1, "", "labels in use"),
    Field("labels", 224, "80s", 10, "", "ten labels of 80 characters"),
)

FIELDS: dict[str, Field] = {row.name: row for row in _ROWS}
"""Rows by name, in the order of their bytes."""

ALIASES: dict[str, tuple[str, int]] = {
    alias: (name, index)
    for name, aliases in {
        "nstart": ("nxstart", "nystart", "nzstart"),
        "m": ("mx", "my", "mz"),
        "cella": ("xlen", "ylen", "zlen"),
        "cellb": ("alpha", "beta", "gamma"),
        "mapcrs": ("mapc", "mapr", "maps"),
        "origin": ("xorg", "yorg", "zorg"),
    }.items()
    for index, alias in enumerate(aliases)
}
"""Names of single items: alias -> (row, index)."""
