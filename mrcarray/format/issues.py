"""A problem with a file, as a value.

Parsing returns issues; it never raises or warns for what a file holds. Who asked decides what becomes of them:
`mrcarray.reader.settle` raises or warns, validation lists, the command line selects by code.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["Issue", "Severity"]


class Severity(enum.StrEnum):
    """How bad an issue is: an error stops strict reading, a warning is said, a note is only kept."""

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
        One sentence: where, what was found, what was expected, what to do.
    word : int or None
        Header word (1-based, 4 bytes each; MRC2014 numbering) the finding is about.
    found, expected : str
        The value and the rule, for machines; empty when they have no short form.

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

    @property
    def is_error(self) -> bool:
        """Whether strict reading stops here."""
        return self.severity is Severity.ERROR

    def __str__(self) -> str:
        """Return the sentence with its code."""
        return f"{self.message} [{self.code}]"
