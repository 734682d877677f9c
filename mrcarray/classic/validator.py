"""Checking files: `validate`, `validate_all`, and ``python -m mrcarray.classic.validator FILE...``.

Output and exit status are mrcfile's; the rules are in `mrcarray.validation.checks.classic`.
"""

from __future__ import annotations

import argparse
import sys
from typing import IO, TYPE_CHECKING

from mrcarray.classic import load_functions
from mrcarray.errors import MrcFormatError, printable
from mrcarray.urls import public_name

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

__all__ = ["main", "validate", "validate_all"]

_MAX_IN_MEMORY = 32 << 20
"""Bytes of data that are read into memory as a whole; larger data are read in pieces."""


def main(args: Sequence[str] | None = None) -> int:
    """Check the files named on the command line.

    Returns
    -------
    int
        0 when all files are valid, else 1: the exit status.

    Examples
    --------
    >>> import numpy as np
    >>> load_functions.write("example.mrc", np.zeros((2, 3), "f4"), voxel_size=1)
    >>> main(["example.mrc"])
    Checking if example.mrc is a valid MRC2014 file...
    File appears to be valid.
    0
    """
    parser = argparse.ArgumentParser(
        description="Validate a list of MRC files. Exit status is 0 if all input files are valid, or 1 if any input "
        "file is invalid. Descriptions of the problems with any invalid files are written to the standard output."
    )
    parser.add_argument("filename", nargs="*", help="Input MRC file")
    return 0 if validate_all(parser.parse_args(args).filename) else 1


def validate_all(names: Iterable[str | os.PathLike[str]], print_file: IO[str] | None = None) -> bool:
    """Check files; one that is invalid does not stop the check.

    Parameters
    ----------
    names : iterable of str or os.PathLike
        File names.
    print_file : text stream, optional
        Where to print [default: standard output].

    Returns
    -------
    bool
        Whether all are valid.

    Examples
    --------
    >>> import numpy as np
    >>> load_functions.write("example.mrc", np.zeros((2, 3), "f4"), voxel_size=1)
    >>> validate_all(["example.mrc", "absent.mrc"])
    Checking if example.mrc is a valid MRC2014 file...
    File appears to be valid.
    Checking if absent.mrc is a valid MRC2014 file...
    FileNotFoundError: [Errno 2] No such file or directory: 'absent.mrc'
    False
    """
    valid = True
    for name in names:
        valid = validate(name, print_file) and valid
    return valid


def validate(name: str | os.PathLike[str], print_file: IO[str] | None = None) -> bool:
    """Check whether a file is a valid MRC2014 file, and print the problems.

    Parameters
    ----------
    name : str or os.PathLike
        File name; gzip and bzip2 files are decompressed.
    print_file : text stream, optional
        Where to print [default: standard output].

    Returns
    -------
    bool
        Whether the file is valid. A file that cannot be opened, or whose warnings a filter makes errors, is not; the
        reason is printed, nothing is raised.

    Warns
    -----
    RuntimeWarning
        When the file can only be read permissively.

    Examples
    --------
    >>> import numpy as np
    >>> load_functions.write("example.mrc", np.zeros((2, 3), "f4"), voxel_size=1)
    >>> validate("example.mrc")
    Checking if example.mrc is a valid MRC2014 file...
    File appears to be valid.
    True
    """
    return _validate(name, print_file, _MAX_IN_MEMORY)


def _validate(name: str | os.PathLike[str], print_file: IO[str] | None, max_in_memory: int) -> bool:
    shown = public_name(name) if isinstance(name, str) else name
    print(f"Checking if {printable(shown)} is a valid MRC2014 file...", file=print_file)
    try:
        with load_functions.open(name, permissive=True, header_only=True) as mrc:
            mrc._read_for_validation(max_in_memory)  # noqa: SLF001 - made for this function
            valid = bool(mrc.validate(print_file=print_file))
    except (OSError, ValueError, MemoryError, Warning) as error:
        print(_reason(error), file=print_file)
        return False
    if valid:
        print("File appears to be valid.", file=print_file)
    return valid


def _reason(error: Exception) -> str:
    """Return the last line of the error's traceback, with the name of the built-in exception."""
    kind = next(cls.__name__ for cls in type(error).__mro__ if cls.__module__ == "builtins")
    return f"{kind}: {printable(error.message if isinstance(error, MrcFormatError) else error)}"


if __name__ == "__main__":
    sys.exit(main())
