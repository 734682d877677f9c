"""The function of mrcfile's ``mrcfile-header`` script."""

from __future__ import annotations

import argparse
from typing import IO, TYPE_CHECKING

from mrcarray.classic import load_functions
from mrcarray.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["print_headers"]


def print_headers(names: Iterable[str] | None = None, print_file: IO[str] | None = None) -> None:
    """Print all header fields of files, opened permissively.

    Parameters
    ----------
    names : iterable of str, optional
        File names [default: those of the command line].
    print_file : text stream, optional
        Where to print [default: standard output].

    Examples
    --------
    >>> import numpy as np
    >>> load_functions.write("example.mrc", np.zeros((2, 3), "f4"))
    >>> print_headers(["example.mrc"])
    MRC header for example.mrc:
    nx              : 3
    ny              : 2
    ...
    """
    if names is None:
        parser = argparse.ArgumentParser(description="Print the MRC header contents from a list of files.")
        parser.add_argument("filename", nargs="*", help="Input MRC file")
        names = parser.parse_args().filename
    for name in names:
        with load_functions.open(name, permissive=True, header_only=True) as mrc:
            print(f"MRC header for {printable(name)}:", file=print_file)
            mrc.print_header(print_file=print_file)
