"""Explain the header of a file: every field with its meaning and unit, and what follows from them.

Local uncompressed files are read without NumPy, whose import takes longer than everything else here.
"""

from __future__ import annotations

import functools
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrcarray.errors import MrcFormatError, NotMrcError, printable
from mrcarray.format.fields import FIELDS, HEADER_NBYTES
from mrcarray.format.geometry import Geometry
from mrcarray.format.header import Header
from mrcarray.format.header_facts import header_facts
from mrcarray.format.header_table import escaped, field_lines, field_table, html_table, stored_values, value_text
from mrcarray.format.sniff import identify
from mrcarray.kind_facts import interpret_file
from mrcarray.positional_io import READ, pread
from mrcarray.urls import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mrcarray.format.issues import Issue
    from mrcarray.format.layout import Layout
    from mrcarray.kind_facts import Read

__all__ = ["HeaderReport", "header_report"]

_WHERE = ("axes", "voxel_size", "origin", "origin_from")
_LOCATED = ("kind", "kind_from", "shape", "dtype", "data_offset", "data_nbytes", *_WHERE)

LABEL = 80
"""Characters of a label that are shown."""

_FACTS = ("kind", "shape", "dtype", "byteorder", "voxel_size", "origin", "origin_from", "axes")
_UNITS = {"voxel_size": " angstrom", "origin": " angstrom"}


@dataclass(frozen=True, slots=True, repr=False)
class HeaderReport:
    """A header and what follows from it; shows itself as text, and in notebooks as tables.

    Parameters
    ----------
    path : str
        The file, as the caller named it; a URL without credentials.
    header : Header
        The main header.
    size : int or None
        Bytes of the file; None for a compressed one.
    layout : Layout or None
        The layout of the pixels; None if they cannot be located.
    geometry : Geometry or None
        The positions of the voxels; None without a layout.
    issues : tuple of Issue
        Problems of the header, and notes about the evidence that decided.
    extended : tuple of int
        Start and stop of the extended header in bytes.
    kind_from : str
        Name of the row of `mrcarray.format.kinds.LINES` that decided the kind.
    """

    path: str
    header: Header
    size: int | None
    layout: Layout | None
    geometry: Geometry | None
    issues: tuple[Issue, ...]
    extended: tuple[int, int]
    kind_from: str = ""

    @property
    def byteorder_from(self) -> str:
        """The evidence for the byte order."""
        seen = {issue.code for issue in self.issues}
        stamp = self.header.machst.hex(" ")
        if "MRC125" in seen:
            return "DeltaVision's mark"
        if "MRC162" in seen:
            return f"the other words, against the machine stamp {stamp}"
        if "MRC161" in seen:
            return f"the other words, since the machine stamp is {stamp}"
        return f"the machine stamp {stamp}"

    def facts(self) -> dict[str, Any]:
        """Return what follows from the header, in plain values."""
        stated = header_facts(self.header, self.layout, self.geometry, kind_from=self.kind_from)
        return {
            "byteorder": stated["byteorder"],
            "byteorder_from": self.byteorder_from,
            "size": self.size,
            "mode": stated["mode"],
            **{name: stated[name] for name in _LOCATED if name in stated},
            "extended_nbytes": self.extended[1] - self.extended[0],
            "extended_type": stated["exttyp"],
            "labels": stated["labels"],
        }

    def fields(self) -> dict[str, Any]:
        """Return every header field except the labels; bytes as text, or as hexadecimal digits if they are not text."""
        return stored_values(self.header)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; what is unknown because the pixels cannot be located is None."""
        return {
            "path": self.path,
            **dict.fromkeys(_LOCATED),
            **self.facts(),
            "notes": [str(issue) for issue in self.issues],
            "header": self.fields(),
        }

    def lines(self, *, command: bool = False, paint: Callable[[str, str], str] = lambda text, _: text) -> Iterator[str]:
        """Yield the lines of the report: facts, issues, every field with its meaning, labels.

        Parameters
        ----------
        command : bool
            Whether to word hints for the command line instead of for Python.
        paint : callable
            Takes the severity of an issue and a colour, and returns the severity as it is printed.
        """
        for name, text in _fact_rows(self):
            yield f"{name:<14}{text}"
        for issue in self.issues:
            colour = {"error": "red", "warning": "yellow"}.get(str(issue.severity), "cyan")
            yield f"{paint(str(issue.severity), colour)}: {printable(issue.sentence(command=command))}"
        yield ""
        yield from field_lines(self.header)
        for number, label in enumerate(self.header.text_labels, 1):
            yield f"label {number:<2} {label[:LABEL]}"

    def raw_lines(self) -> Iterator[str]:
        """Yield every field as it is stored, bytes as hexadecimal digits."""
        for name in FIELDS:
            value = getattr(self.header, name)
            values = value if isinstance(value, tuple) else (value,)
            yield f"{name} = {' '.join(item.hex() if isinstance(item, bytes) else repr(item) for item in values)}"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        labels = ((f"label {number}", text) for number, text in enumerate(self.header.text_labels, 1))
        issues = ((str(issue.severity), issue.sentence()) for issue in self.issues)
        facts = html_table([*_fact_rows(self), *labels, *issues])
        return f"<div><code>{escaped(self.path)}</code>{facts}{field_table(self.header)}</div>"


def header_report(path: Any, *, kind: str = "auto", mode0: str = "auto") -> HeaderReport:
    """Read the header of a file and explain it; ``mrcarray header`` prints the report.

    Parameters
    ----------
    path : str, path, bytes or readable binary object
        The file; it may be compressed or remote.
    kind, mode0 : str
        As for `mrcarray.open_file`.

    Returns
    -------
    HeaderReport

    Raises
    ------
    NotMrcError
        When the file has no header, or is a file of another format.

    Examples
    --------
    >>> import mrcarray
    >>> report = mrcarray.header_report("tomo.mrc")
    >>> report.facts()["voxel_size"]
    [2.0, 2.0, 2.0]
    >>> print(report)
    kind          volume
    shape         20, 32, 40
    dtype         f4
    ...
       4  mode      2                                              pixel type
    ...
    """
    name, raw, size, read = _head(path)
    shown = _public(path, name)
    foreign = identify(raw, size)
    if foreign is not None or len(raw) < HEADER_NBYTES:
        text = foreign.message if foreign is not None else "the file ends within its header"
        raise NotMrcError(text, shown)
    header, parsed = Header.parse(raw, size)
    wrong = next((issue for issue in parsed if issue.code in ("MRC901", "MRC908")), None)
    if wrong is not None:
        raise NotMrcError(wrong.message, shown)
    found = interpret_file(header, size, read, name=name, kind=kind, mode0=mode0)
    geometry = Geometry.from_header(header, found.layout) if found.layout is not None else None
    noticed: tuple[Issue, ...] = ()
    if header.nsymbt > 0 and _opens_again(path):
        from mrcarray.format.pixel_size import with_stated_size
        from mrcarray.reader import examine

        decoded = examine(path).decoded
        noticed = decoded.issues
        geometry = with_stated_size(geometry, header, lambda: decoded) if geometry is not None else None
    issues = (*parsed, *found.issues, *(geometry.issues if geometry is not None else ()), *noticed)
    return HeaderReport(shown, header, size, found.layout, geometry, issues, found.extended, found.kind_from)


def _opens_again(path: Any) -> bool:
    """Return whether the file can be opened twice, which a pipe or a stream cannot."""
    if not isinstance(path, str | os.PathLike):
        return isinstance(path, bytes)
    return is_url(os.fsdecode(path)) or os.path.isfile(path)  # noqa: PTH113 -- names may be bytes


def _head(path: Any) -> tuple[str, bytes, int | None, Read]:
    """Return the name, the first bytes, the size and a function that reads more; local files need no source object."""
    if isinstance(path, str | os.PathLike) and not is_url(os.fsdecode(path)):
        status = os.stat(path)  # noqa: PTH116 -- names may be bytes
        if stat.S_ISREG(status.st_mode):  # a pipe must be opened once only
            raw = _read(path, 0, HEADER_NBYTES)
            if raw[208:211] == b"MAP":
                name = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 -- a str
                return name, raw, status.st_size, functools.partial(_read, path)
    from mrcarray.storage import open_source

    try:
        source = open_source(path)
        return source.name, bytes(source.read(0, HEADER_NBYTES)), source.size(), source.read
    except MrcFormatError as error:
        raise NotMrcError(error.message, _public(path, error.path)) from error


def _public(path: Any, name: Any) -> Any:
    """Return the name that the caller used; for URLs (which may contain credentials) and objects that of the source."""
    typed = os.fsdecode(path) if isinstance(path, str | os.PathLike) else ""
    return name if is_url(typed) else typed or name


def _read(path: Any, start: int, stop: int) -> bytes:
    """Return bytes of a file."""
    descriptor = os.open(path, READ)
    try:
        return pread(descriptor, stop - start, start)
    finally:
        os.close(descriptor)


def _fact_rows(report: HeaderReport) -> Iterator[tuple[str, str]]:
    """Yield names and texts of the facts that follow from a header."""
    facts = report.facts()
    for name in _FACTS:
        if name in facts:
            why = f" (by {report.byteorder_from})" if name == "byteorder" else ""
            yield name.replace("_", " "), f"{value_text(facts[name])}{_UNITS.get(name, '')}{why}"
    if "data_offset" in facts:
        yield "data", f"{facts['data_nbytes']} bytes from byte {facts['data_offset']}"
    if facts["extended_nbytes"]:
        yield "extended", f"{facts['extended_nbytes']} bytes ({facts['extended_type'] or 'no type'})"
