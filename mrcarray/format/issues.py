"""A problem with a file, as a value.

Parsing returns issues; it never raises or warns because of the contents of a file. The caller handles them:
`mrcarray.reader.settle` raises or warns, validation lists them, the command line selects them by code.
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
    """One finding about one file.

    Parameters
    ----------
    code : str
        Stable identifier, such as ``MRC104``.
    severity : Severity
        Error, warning or note.
    message : str
        One sentence: where, what was found, what was expected.
    word : int or None
        Header word (1-based, 4 bytes each; MRC2014 numbering) the finding is about.
    found, expected : str
        The value and the rule, for machines; empty when they have no short form.
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
    "MRC105": "words 5-7: the start is absurd, or another than that of words 50-52, and ignored; or it is rounded",
    "MRC106": "word 4: the file is marked as unfinished",
    "MRC109": "words 8-10: a number of intervals is 0; the number of voxels is used",
    "MRC110": "word 10: a stack of volumes is not divisible by its sections per volume",
    "MRC111": "words 11-13: a cell length is negative, not finite, zero or suspicious",
    "MRC114": "words 14-16: a cell angle is impossible and read as 90, or is not 90",
    "MRC117": "words 17-19: the axis numbers are no permutation of 1, 2, 3",
    "MRC123": "word 23: the space group has no meaning",
    "MRC124": "word 24: the length of the extended header is negative",
    "MRC125": "word 25: a DeltaVision file",
    "MRC150": "words 50-52: the origin is absurd and ignored, or its sign is turned",
    "MRC153": "word 53: the map identifier is missing or misspelt",
    "MRC154": "word 54: a valid machine stamp in another spelling",
    "MRC160": "word 54: the numbers are those of a VAX",
    "MRC161": "word 54: no valid machine stamp; the byte order was inferred",
    "MRC162": "word 54: the machine stamp contradicts the other words",
    "MRC201": "the file ends before its data do",
    "MRC202": "bytes follow the data",
    "MRC203": "word 24 claims an extended header that is not there",
    "MRC204": "the data are larger than any file",
    "MRC205": "bytes of mode 0 hold two 4-bit pixels each",
    "MRC206": "4-bit rows are not padded to whole bytes",
    "MRC207": "mode 5: which of its two meanings was taken",
    "MRC208": "the file declares no data",
    "MRC301": "which evidence decided the kind",
    "MRC302": "the kind asked for is impossible",
    "MRC303": "the kind is a guess",
    "MRC304": "which evidence decided the sign of the bytes of mode 0",
    "MRC305": "the statistics contradict both signs of the bytes of mode 0",
    "MRC306": "whether IMOD's signed bytes are shown as stored or with the 128 IMOD adds",
    "MRC401": "the declared type of the extended header contradicts its bytes; it is read as what it is",
    "MRC402": "no type is declared; the extended header is read as what its bytes show",
    "MRC403": "the extended header has fewer records than the file has sections",
    "MRC404": "the extended header has no known layout and is kept as bytes",
    "MRC405": "the extended header is an embedded HDF5 or JSON document and is left alone",
    "MRC406": "nint = 128 beside nreal = 32 is a known writer's error; nint is taken as 0",
    "MRC407": "reserved records beyond the last section are not shown",
    "MRC408": "FEI Tomography 4.4.0.4981 stored angles in the wrong unit; they are corrected",
    "MRC409": "values of an old float record are in ångström or micrometres where others write metres",
    "MRC410": "the records are in the other byte order than the header",
    "MRC411": "the extended header could not be decoded, or cannot be written as the array has it",
    "MRC412": "the extended header is all zero bytes: room for records that were never written",
    "MRC413": "FEI records declare none of their fields set; their values are shown",
    "MRC414": "the cell is 1 Å a voxel, the extended header states another pixel size, which counts",
    "MRC421": "two sources state different values for one quantity; the documented precedence decides",
    "MRC422": "a sidecar describes more sections than the file has, or one of them more than once",
    "MRC423": "a sidecar could not be read, or does not fit, and is left out",
    "MRC424": "a sidecar beside a file that is written says something else than the array",
    "MRC307": "a part of a half transform, or real pixels, whose spatial frequencies a header cannot say",
    "MRC308": "an axis whose coordinate falls is written in rising order, which undoes a flip",
    "MRC901": "not an MRC file",
    "MRC902": "an empty file",
    "MRC903": "shorter than a header",
    "MRC904": "a git-LFS pointer",
    "MRC905": "a web page",
    "MRC906": "compressed by a method the suffix or the reader does not expect",
    "MRC907": "another file format",
    "MRC908": "reflections instead of a map",
    "MRC909": "a header of zero bytes",
}
"""Every code and what it means in one line."""
