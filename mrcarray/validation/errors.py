"""What went wrong while a file was read, as a finding."""

from __future__ import annotations

from mrcarray.errors import CompressionError, MrcError, MrcFormatError, StaleFileError, printable
from mrcarray.format.issues import Issue, Severity

__all__ = ["reason", "trouble"]


def trouble(error: Exception, path: str = "") -> Issue:
    """Return the finding an error about a file becomes."""
    if isinstance(error, CompressionError):
        return Issue("MRC912", Severity.ERROR, printable(error.message))
    if isinstance(error, StaleFileError):
        return Issue("MRC913", Severity.ERROR, printable(error))
    return Issue("MRC911", Severity.ERROR, reason(error).removeprefix(f"{printable(path)}: "))


def reason(error: BaseException) -> str:
    """Return what went wrong in one line, without the path."""
    if isinstance(error, OSError) and error.strerror:
        return printable(error.strerror)
    if isinstance(error, MrcFormatError):
        return printable(error.message)
    if isinstance(error, MemoryError):
        return "not enough memory"
    return (
        printable(error) if isinstance(error, MrcError | ValueError) else printable(f"{type(error).__name__}: {error}")
    )
