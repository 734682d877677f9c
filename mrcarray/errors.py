"""Every exception and warning of the package.

The tree::

    MrcError
    ├── MrcFormatError (ValueError)         the file is wrong: .path and .issues say where
    │   ├── NotMrcError                     it is something else, and we can say what
    │   ├── TruncatedError                  it ends before its data do
    │   ├── CompressionError                its compressed stream cannot be read: .position
    │   └── LimitError                      it asks for more than the caller allowed
    ├── MrcValueError (ValueError)          the request is wrong
    ├── StaleFileError (ValueError)         the file changed after it was opened
    ├── ConflictError (ValueError)          another writer changed the file meanwhile
    ├── ClosedError (ValueError)            the object was used after it was closed
    └── MissingDependencyError (ImportError)  an extra is needed; the text names it
    MrcWarning (RuntimeWarning)

This is the lowest floor: nothing here imports another room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ClosedError",
    "CompressionError",
    "ConflictError",
    "LimitError",
    "MissingDependencyError",
    "MrcError",
    "MrcFormatError",
    "MrcValueError",
    "MrcWarning",
    "NotMrcError",
    "StaleFileError",
    "TruncatedError",
    "printable",
]


def printable(text: object) -> str:
    """Return `text` with control characters and surrogates escaped, safe for a terminal."""
    plain = str(text)
    if plain.isprintable():
        return plain
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in plain)


class MrcError(Exception):
    """Root of every exception the package raises on purpose."""


class MrcFormatError(MrcError, ValueError):
    """The file is wrong.

    Parameters
    ----------
    message : str
        What was found, what was expected, and what to do.
    path : str, optional
        Name of the file; it is put in front of the message.
    issues : iterable of Issue, optional
        The findings the error was made from.
    """

    path: str | None
    issues: tuple[Any, ...]

    def __init__(self, message: str, path: str | None = None, issues: Iterable[Any] = ()) -> None:
        super().__init__(f"{printable(path)}: {message}" if path else message)
        self.message = message
        self.path = path
        self.issues = tuple(issues)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the arguments, so that an error crosses process borders whole."""
        return type(self), (self.message, self.path, self.issues)


class NotMrcError(MrcFormatError):
    """The file is something else: empty, a web page, a git-LFS pointer, another format."""


class TruncatedError(MrcFormatError):
    """The file ends before the data its header declares."""


class CompressionError(MrcFormatError):
    """A compressed stream is damaged; `position` is the offset in the compressed file.

    Parameters
    ----------
    message, path, issues
        As for `MrcFormatError`.
    position : int, optional
        Byte of the compressed file at which decoding failed.
    """

    def __init__(
        self, message: str, path: str | None = None, issues: Iterable[Any] = (), position: int | None = None
    ) -> None:
        super().__init__(message, path, issues)
        self.position = position

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the arguments."""
        return type(self), (self.message, self.path, self.issues, self.position)


class LimitError(MrcFormatError):
    """The file asks for more bytes than the caller allowed."""


class MrcValueError(MrcError, ValueError):
    """The request is wrong: an argument has no meaning for this file or format."""


class StaleFileError(MrcError, ValueError):
    """The file changed after it was opened, so its bytes can no longer be trusted."""


class ConflictError(MrcError, ValueError):
    """Another writer changed the file since it was opened for writing."""


class ClosedError(MrcError, ValueError):
    """The object was used after it was closed."""


class MissingDependencyError(MrcError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""


class MrcWarning(RuntimeWarning):
    """Something in the file is not as the specification asks, and could be read all the same."""
