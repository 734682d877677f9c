"""From an exception to an issue: what a failure to read a file becomes in a report."""

from __future__ import annotations

from mrcarray.errors import CompressionError, MrcError, MrcFormatError, StaleFileError, printable
from mrcarray.format.issues import Issue, Severity

__all__ = ["issue_of_error", "reason"]


def issue_of_error(error: Exception, path: str = "") -> Issue:
    """Return the issue for an exception that was raised while a file was read.

    Parameters
    ----------
    error : Exception
        The exception.
    path : str
        The file, which the message does not repeat.
    """
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
    if isinstance(error, MrcError | ValueError):
        return printable(error)
    return printable(f"{type(error).__name__}: {error}")
