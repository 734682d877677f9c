"""`Issue`: a problem with a file, as a value, and `CODES`, the table of all codes.

Parsing returns issues; it never raises or warns because of the contents of a file. The caller handles them:
`mrcarray.reader.handle_issues` raises or warns, validation lists them, the command line selects them by code.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mrcarray.errors import Hint, advise

__all__ = ["CODES", "Issue", "Severity"]


class Severity(enum.StrEnum):
    """How bad an issue is: an error stops strict reading, a warning is emitted, a note is only stored."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Issue:
    """One problem, or one decision, about one file.

    Parameters
    ----------
    code : str
        Stable identifier, such as ``MRC104``.
    severity : Severity
        Error, warning or note.
    message : str
        One sentence: where, what was found, what was expected.
    word : int or None
        Header word it is about (MRC2014 numbering: 4 bytes each, from 1).
    found, expected : str
        The value and the rule, for programs; empty when they have no short form.
    hint : Hint, optional
        What to type.

    Examples
    --------
    >>> Issue("MRC104", Severity.ERROR, "word 4 (mode) is 9", word=4, found="9").code
    'MRC104'
    """

    code: str
    severity: Severity
    message: str
    word: int | None = None
    found: str = ""
    expected: str = ""
    hint: Hint | None = None

    @property
    def is_error(self) -> bool:
        """Whether strict reading stops here."""
        return self.severity is Severity.ERROR

    def text(self, *, command: bool = False) -> str:
        """Return the message with its hint, worded for Python or for the command line."""
        return advise(self.message, self.hint, command=command)

    def sentence(self, *, command: bool = False) -> str:
        """Return the message with its hint and code."""
        return f"{self.text(command=command)} [{self.code}]"

    def __str__(self) -> str:
        """Return the sentence for Python."""
        return self.sentence()


CODES: dict[str, str] = {
    "MRC101": "words 1-3: a dimension is not positive",
    "MRC104": "word 4: the mode is unknown (error) or historic (note)",
    "MRC105": "words 5-7: nstart is unusable, differs from the origin, or was rounded",
    "MRC106": "word 4: the file is marked as unfinished",
    "MRC109": "words 8-10: a number of cell intervals is 0; the number of voxels is used",
    "MRC110": "word 10: nz is not a multiple of mz in a stack of volumes",
    "MRC111": "words 11-13: a cell length is negative, not finite, zero or unusual",
    "MRC114": "words 14-16: a cell angle is impossible and read as 90, or is not 90",
    "MRC117": "words 17-19: the axis numbers are not a permutation of 1, 2, 3",
    "MRC123": "word 23: the space group is not valid",
    "MRC124": "word 24: the length of the extended header is negative",
    "MRC125": "word 25: a DeltaVision file",
    "MRC150": "words 50-52: the origin is unusable and ignored, or its sign was inverted",
    "MRC153": "word 53: the map identifier is missing or misspelt",
    "MRC154": "word 54: the machine stamp is 44 41, CCP4's form of little endian",
    "MRC160": "word 54: the numbers are VAX numbers",
    "MRC161": "word 54: the machine stamp is not valid; the byte order was inferred",
    "MRC162": "word 54: the machine stamp contradicts the other words",
    "MRC201": "the file is truncated: it ends before its data",
    "MRC202": "bytes follow the data",
    "MRC203": "word 24: nsymbt declares an extended header that does not exist",
    "MRC204": "the data are larger than any file can be",
    "MRC205": "bytes of mode 0 contain two 4-bit pixels each",
    "MRC206": "4-bit rows are not padded to whole bytes",
    "MRC207": "mode 5: which of its two meanings was used",
    "MRC208": "the file declares no data",
    "MRC301": "which evidence decided the kind",
    "MRC302": "the requested kind is impossible",
    "MRC303": "the kind is a guess",
    "MRC304": "which evidence decided the sign of mode 0",
    "MRC305": "the statistics contradict both signs of mode 0",
    "MRC306": "IMOD's signed bytes: whether 128 was added",
    "MRC307": "an array of which a header cannot store the spatial frequencies",
    "MRC308": "a descending coordinate is written in ascending order, which undoes a flip",
    "MRC401": "the declared type of the extended header contradicts its bytes",
    "MRC402": "no type of the extended header is declared; its bytes decided",
    "MRC403": "the extended header has fewer records than the file has sections",
    "MRC404": "the layout of the extended header is unknown; it is kept as bytes",
    "MRC405": "the extended header is an embedded HDF5 or JSON document; it is kept as bytes",
    "MRC406": "nint = 128 with nreal = 32 is a known error of a writer; nint is read as 0",
    "MRC407": "reserved records after the last section are ignored",
    "MRC408": "FEI Tomography 4.4.0.4981 stored angles in the wrong unit; they are corrected",
    "MRC409": "float records use ångström or micrometres where others use metres",
    "MRC410": "the byte order of the records differs from that of the header",
    "MRC411": "the extended header could not be decoded, or cannot be written as the array requires",
    "MRC412": "the extended header is all zero bytes: space for records that were never written",
    "MRC413": "FEI records whose bitmasks declare no field set; their values are used",
    "MRC414": "the cell gives 1 Å per voxel, the extended header another pixel size, which is used",
    "MRC421": "two sources give different values of one quantity; the documented precedence decides",
    "MRC422": "a sidecar describes more sections than the file has, or one of them more than once",
    "MRC423": "a sidecar could not be read or does not match the file; it is ignored",
    "MRC424": "the existing sidecar does not match the data being written",
    "MRC901": "not an MRC file",
    "MRC902": "an empty file",
    "MRC903": "shorter than a header",
    "MRC904": "a git-LFS pointer",
    "MRC905": "a web page",
    "MRC906": "compressed in a way that the suffix or the reader does not expect",
    "MRC907": "another file format",
    "MRC908": "reflections instead of a map",
    "MRC909": "the header is all zero bytes",
}
"""Every code that reading or writing reports, with its meaning in one line."""
