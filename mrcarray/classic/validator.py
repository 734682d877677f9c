"""Checking files: `validate`, `validate_all`, and ``python -m mrcarray.classic.validator FILE...``.

The text and the exit status are those of the original library; the rules stand in `mrcarray.validation.checks.classic`.
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

#: Bytes of data that are held in memory; larger files are read a piece at a time.
HELD = 32 << 20

__all__ = ["main", "validate", "validate_all"]


def main(args: Sequence[str] | None = None) -> int:
    """Check the files named by the arguments of the command line.

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
    """Check some files, every one of them.

    Parameters
    ----------
    names : iterable of str or os.PathLike
        File names.
    print_file : text stream, optional
        Where to print; by default the standard output.

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
    """Check whether a file is a valid MRC2014 file, and print what is wrong with it.

    Parameters
    ----------
    name : str or os.PathLike
        File name; gzip and bzip2 files are uncompressed.
    print_file : text stream, optional
        Where to print; by default the standard output.

    Returns
    -------
    bool
        Whether the file is valid. A file that cannot be opened is not, nor one whose warnings are made errors by a
        filter: the reason is printed, nothing is raised.

    Warns
    -----
    RuntimeWarning
        When the file is so wrong that it can only be read permissively.

    Examples
    --------
    >>> import numpy as np
    >>> load_functions.write("example.mrc", np.zeros((2, 3), "f4"), voxel_size=1)
    >>> validate("example.mrc")
    Checking if example.mrc is a valid MRC2014 file...
    File appears to be valid.
    True
    """
    shown = public_name(name) if isinstance(name, str) else name
    print(f"Checking if {printable(shown)} is a valid MRC2014 file...", file=print_file)
    try:
        with load_functions.open(name, permissive=True, header_only=True) as mrc:
            mrc._measure(HELD)  # noqa: SLF001 - a validator is the other half of the file
            valid = bool(mrc.validate(print_file=print_file))
    except (OSError, ValueError, MemoryError, Warning) as error:
        print(_reason(error), file=print_file)
        return False
    if valid:
        print("File appears to be valid.", file=print_file)
    return valid


def _reason(error: Exception) -> str:
    """Return the last line of the error's traceback, under the name of the built-in exception it is."""
    kind = next(cls.__name__ for cls in type(error).__mro__ if cls.__module__ == "builtins")
    return f"{kind}: {printable(error.message if isinstance(error, MrcFormatError) else error)}"


if __name__ == "__main__":
    sys.exit(main())
