"""The facts of a particle table, whatever format it had: where each image is, and the columns."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import MrcValueError, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["Column", "Images", "ParticleTable", "Rows", "resolve"]

ONE_IMAGE = -1
"""Section of an image whose table names only a file, which must then have a single section."""


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column of a table.

    Parameters
    ----------
    name : str
        Name of the coordinate.
    values : ndarray
        One value, or one vector, for each particle: numbers, or text as ``str``.
    attrs : dict
        ``units`` where the quantity has one; ``star_name`` and ``star_block`` where `to_star` needs them.
    """

    name: str
    values: NDArray[Any]
    attrs: dict[str, str]


@dataclass(frozen=True, slots=True)
class Rows:
    """Names the row of a table that an error is about.

    Parameters
    ----------
    path : str
        The table's file; empty for a DataFrame.
    block : str
        Name of the block of a STAR file.
    """

    path: str = ""
    block: str | None = None

    def name(self, row: int) -> str:
        """Return words for a row: ``path, line 31`` of a STAR file, ``path, row 3`` of another table."""
        if self.block is not None:
            return f"{printable(self.path)}, line {_line_of(self.path, self.block, row)}"
        return f"{printable(self.path)}, row {row}" if self.path else f"row {row} of the table"


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Where the image of each particle is.

    Parameters
    ----------
    files : tuple of str
        Each file once.
    codes : ndarray of int64
        For each particle, which of `files`.
    sections : ndarray of int64
        For each particle, the section of that file, counted from 0; `ONE_IMAGE` where the table names none.
    """

    files: tuple[str, ...]
    codes: NDArray[np.int64]
    sections: NDArray[np.int64]

    @classmethod
    def of(cls, files: Sequence[str] | NDArray[Any], sections: NDArray[Any]) -> Images:
        """Return the images of particles, given the file and the section of each."""
        codes = np.empty(len(files), dtype=np.int64)
        known: dict[str, int] = {}
        for row, file in enumerate(files):
            codes[row] = known.setdefault(file, len(known))
        return cls(tuple(known), codes, np.asarray(sections, dtype=np.int64))

    def first_row(self, code: int) -> int:
        """Return the first particle that is in a file."""
        return int(np.argmax(self.codes == code))


@dataclass(frozen=True, slots=True, eq=False)
class ParticleTable:
    """A table that was read.

    Parameters
    ----------
    images : Images
        Where the images are, with the names the table has.
    columns : tuple of Column
        All others.
    pixel_size : ndarray of float64
        Size of an image pixel in ångström for each particle; NaN where the table has none.
    rows : Rows
        Names rows in errors.
    folder : str
        Directory of the table's file; empty for a DataFrame.
    """

    images: Images
    columns: tuple[Column, ...]
    pixel_size: NDArray[np.float64]
    rows: Rows
    folder: str


def resolve(table: ParticleTable, root: str | os.PathLike[str] | None, *, every: bool) -> tuple[str, ...]:
    """Return an absolute path for each image file of a table.

    Parameters
    ----------
    table : ParticleTable
        The table.
    root : str or path, optional
        Directory that the names are relative to. Without it each name is looked for in the current directory, in that
        of the table, and in the parents of that.
    every : bool
        Whether each file must exist now; else the directory that has the first one is used for all.

    Raises
    ------
    FileNotFoundError
        When a file is in none of these directories; the message names the row of the table.
    """
    roots = [os.path.abspath(os.fspath(root))] if root is not None else list(_roots(table.folder))  # noqa: PTH100 -- a str
    return tuple(_paths(table, roots, every=every))


def _roots(folder: str) -> Iterable[str]:
    yield os.getcwd()  # noqa: PTH109 -- a str
    while folder:
        yield folder
        parent = os.path.dirname(folder)  # noqa: PTH120 -- a str
        folder = parent if parent != folder else ""


def _paths(table: ParticleTable, roots: list[str], *, every: bool) -> Iterable[str]:
    for code, file in enumerate(table.images.files):
        if code and not every:
            yield os.path.join(roots[0], file)  # noqa: PTH118 -- a str, once for each file
            continue
        found = next((root for root in roots if os.path.isfile(os.path.join(root, file))), None)  # noqa: PTH113, PTH118
        if found is None:
            where = table.rows.name(table.images.first_row(code))
            looked = ", ".join(printable(root) for root in roots)
            raise FileNotFoundError(f"{where}: no file {printable(file)} in {looked}; pass root=DIRECTORY")
        if not every:
            roots = [found]
        yield os.path.join(found, file)  # noqa: PTH118


def sections_of(names: Sequence[str], row_name: Callable[[int], str]) -> tuple[list[str], NDArray[np.int64]]:
    """Split image names of RELION, ``000012@stack.mrcs``, into files and sections counted from 0.

    Raises
    ------
    MrcValueError
        When the part before the ``@`` is not a number of 1 or more.

    Examples
    --------
    >>> sections_of(["000012@a.mrcs", "b.mrc"], str)
    (['a.mrcs', 'b.mrc'], array([11, -1]))
    """
    files: list[str] = []
    sections = np.full(len(names), ONE_IMAGE, dtype=np.int64)
    for row, name in enumerate(names):
        number, mark, file = name.partition("@")
        files.append(file if mark else name)
        if mark and (not number.strip().isdecimal() or int(number) < 1):
            raise MrcValueError(f"{row_name(row)}: the image is {name!r}; expected NUMBER@FILE, counted from 1")
        if mark:
            sections[row] = int(number) - 1
    return files, sections


def _line_of(path: str, block: str, row: int) -> int:
    """Return the line, counted from 1, of a row of a loop in a STAR file; read again because it is for errors only."""
    inside = looped = False
    seen = -1
    number = 0
    with open(path, encoding="utf-8", errors="replace") as lines:  # noqa: PTH123 -- a str
        for number, text in enumerate(lines, 1):
            line = text.strip()
            if line.startswith("data_"):
                inside, looped = line == f"data_{block}", False
            elif inside and line.startswith("loop_"):
                looped = True
            elif inside and looped and line and not line.startswith(("_", "#")):
                seen += 1
                if seen == row:
                    return number
    return number
