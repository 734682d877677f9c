"""Every exception and warning of the package.

The tree::

    MrcError
    ├── MrcFormatError (ValueError)         the file is wrong; see .path and .issues
    │   ├── NotMrcError                     the file has another format
    │   ├── TruncatedError                  the file ends before its data
    │   ├── CompressionError                the compressed stream is damaged; see .position
    │   └── LimitError                      the file needs more bytes than the caller allowed
    ├── MrcValueError (ValueError)          an argument is wrong
    ├── StaleFileError (ValueError)         the file changed after it was opened
    ├── ConflictError (ValueError)          another writer changed the file meanwhile
    ├── OutputExistsError (FileExistsError) the output exists and overwrite=True was not passed
    ├── ClosedError (ValueError)            the object was used after it was closed
    └── MissingDependencyError (ImportError)  an optional library is missing; the text names it
    MrcWarning (RuntimeWarning)             the file deviates from the format, or something is lost

A message that ends in what to type takes it as a `Hint`, because the library and the command line word it differently.
``str(error)`` is the text for Python, ``error.command_text`` the text for the command line.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ClosedError",
    "CompressionError",
    "ConflictError",
    "Hint",
    "LimitError",
    "MissingDependencyError",
    "MrcError",
    "MrcFormatError",
    "MrcValueError",
    "MrcWarning",
    "NotMrcError",
    "OutputExistsError",
    "StaleFileError",
    "TruncatedError",
    "advise",
    "missing_package",
    "printable",
]


def printable(text: object) -> str:
    """Return `text` with control characters and surrogates escaped, safe for a terminal."""
    plain = str(text)
    if plain.isprintable():
        return plain
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in plain)


@dataclass(frozen=True, slots=True)
class Hint:
    """What to type to solve a problem.

    Parameters
    ----------
    python : str
        For callers from Python, such as ``"pass overwrite=True"``.
    command : str
        The same for the command line, such as ``"pass --overwrite"``; empty if no option does it.
    """

    python: str
    command: str = ""


OVERWRITE = Hint("pass overwrite=True", "pass --overwrite")


def advise(message: str, hint: Hint | None, *, command: bool = False) -> str:
    """Return a message followed by its hint, worded for Python or for the command line.

    Examples
    --------
    >>> advise("file exists", OVERWRITE), advise("file exists", OVERWRITE, command=True)
    ('file exists; pass overwrite=True', 'file exists; pass --overwrite')
    """
    advice = "" if hint is None else hint.command if command else hint.python
    return f"{message}; {advice}" if advice else message


class MrcError(Exception):
    """Base class of the exceptions of this package.

    Parameters
    ----------
    message : str
        What is wrong, where, what was found, and what was expected.
    hint : Hint, optional
        What to type.
    """

    command_text: str

    def __init__(self, message: str = "", *, hint: Hint | None = None) -> None:
        super().__init__(advise(message, hint))
        self.command_text = advise(message, hint, command=True)


class MrcFormatError(MrcError, ValueError):
    """The file is wrong.

    Parameters
    ----------
    message : str
        What was found, what was expected, and what to type.
    path : str, optional
        Name of the file, which starts the text of the error.
    issues : iterable of Issue, optional
        The issues of the file.
    command_text : str, optional
        The message with its hint worded for the command line [default: the message].
    """

    path: str | None
    issues: tuple[Any, ...]

    def __init__(
        self, message: str, path: str | None = None, issues: Iterable[Any] = (), command_text: str | None = None
    ) -> None:
        super().__init__(f"{printable(path)}: {message}" if path else message)
        self.message = message
        self.command_text = message if command_text is None else command_text
        self.path = path
        self.issues = tuple(issues)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the arguments, so that an error reaches another process complete."""
        return type(self), (self.message, self.path, self.issues, self.command_text)


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
    """The file needs more bytes than the caller allowed."""


class MrcValueError(MrcError, ValueError):
    """An argument is wrong, or not possible for this file or format."""


class StaleFileError(MrcError, ValueError):
    """The file changed after it was opened."""


class ConflictError(MrcError, ValueError):
    """Another program changed the file after it was opened for writing."""


class ClosedError(MrcError, ValueError):
    """The object was used after it was closed."""


class OutputExistsError(MrcError, FileExistsError):
    """The output exists, and overwriting it was not requested.

    Parameters
    ----------
    path : str
        Name of the output.
    """

    def __init__(self, path: str) -> None:
        FileExistsError.__init__(self, errno.EEXIST, advise("file exists", OVERWRITE), path)
        self.path = path
        self.command_text = advise("file exists", OVERWRITE, command=True)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the argument."""
        return type(self), (self.path,)


class MissingDependencyError(MrcError, ImportError):
    """An optional library is not installed; the message names the extra that installs it."""


def missing_package(what: str, package: str, extra: str = "") -> MissingDependencyError:
    """Return the error about a package that is not installed, in the one form of all of them.

    Parameters
    ----------
    what : str
        What needs it.
    package : str
        Name of the package, or of the module that could not be imported.
    extra : str
        Extra of ours that installs it; empty for the package itself.

    Examples
    --------
    >>> print(missing_package("reading HTTP", "aiohttp", "remote"))
    reading HTTP needs aiohttp: pip install "mrcarray[remote]"
    """
    package = package.partition(".")[0]
    command = f'pip install "mrcarray[{extra}]"' if extra else f"pip install {package}"
    return MissingDependencyError(f"{what} needs {package}: {command}")


class MrcWarning(RuntimeWarning):
    """The file deviates from the specification but can be read, or writing loses something.

    Parameters
    ----------
    message : str
        The text for Python.
    command_text : str, optional
        The text for the command line [default: the message].
    """

    command_text: str

    def __init__(self, message: str = "", command_text: str | None = None) -> None:
        super().__init__(message)
        self.command_text = message if command_text is None else command_text
