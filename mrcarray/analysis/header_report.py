"""What a header says, explained: every field with its meaning and unit, and the facts that follow.

Made for a quick look: local uncompressed files are read without NumPy, whose import takes longer than everything else.
"""

from __future__ import annotations

import functools
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrcarray.errors import MrcFormatError, NotMrcError, printable
from mrcarray.format.fields import FIELDS
from mrcarray.format.geometry import Geometry
from mrcarray.format.header import Header
from mrcarray.format.sniff import identify
from mrcarray.kind_facts import interpret_file
from mrcarray.urls import is_url

if TYPE_CHECKING:
    from mrcarray.format.issues import Issue
    from mrcarray.format.layout import Layout
    from mrcarray.kind_facts import Read

__all__ = ["Description", "describe"]

HEADER = 1024
_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_ORDERS = {"<": "little", ">": "big"}
_WHERE = ("axes", "voxel_size", "origin", "origin_from")
_LOCATED = ("kind", "kind_from", "shape", "dtype", "data_offset", "data_nbytes", *_WHERE)


@dataclass(frozen=True, slots=True)
class Description:
    """A header and what follows from it.

    Parameters
    ----------
    path : str
        The file, as it was named; a URL without credentials.
    header : Header
        The main header.
    size : int or None
        Bytes of the file; None for a compressed one.
    layout : Layout or None
        Where the pixels lie; None when they cannot be located.
    geometry : Geometry or None
        Where the voxels lie; None without a layout.
    issues : tuple of Issue
        What reading noticed, and which evidence decided.
    extended : tuple of int
        First byte of the extended header, and the one after its last.
    kind_from : str
        Name of the line of `mrcarray.format.kinds.LINES` that decided the kind.
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
        """What told the byte order."""
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
        h, layout, geometry = self.header, self.layout, self.geometry
        facts: dict[str, Any] = {
            "byteorder": _ORDERS[h.byteorder],
            "byteorder_from": self.byteorder_from,
            "size": self.size,
            "mode": h.mode,
        }
        if layout is not None:
            facts |= {
                "kind": str(layout.kind),
                "kind_from": self.kind_from,
                "shape": list(layout.shape),
                "dtype": layout.pixel.memory,
                "data_offset": layout.offset,
                "data_nbytes": layout.nbytes,
            }
        if geometry is not None:
            facts |= {
                "axes": list(geometry.axes),
                "voxel_size": list(geometry.voxel_size),
                "origin": list(geometry.start),
                "origin_from": geometry.source,
            }
        facts["extended_nbytes"] = self.extended[1] - self.extended[0]
        facts["extended_type"] = printable(h.exttyp.decode("latin-1").strip("\0 "))
        facts["labels"] = list(h.text_labels)
        return facts

    def fields(self) -> dict[str, Any]:
        """Return every header field but the labels; bytes as text or, where they are none, as hexadecimal digits."""
        fields = {name: _shown(getattr(self.header, name)) for name in FIELDS if name != "labels"}
        return fields | {"machst": self.header.machst.hex(" ")}

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; what cannot be known without locating the pixels is None."""
        return {
            "path": self.path,
            **dict.fromkeys(_LOCATED),
            **self.facts(),
            "notes": [str(issue) for issue in self.issues],
            "header": self.fields(),
        }


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        text = value.rstrip(b"\0 ")
        return text.decode("ascii") if text.isascii() and text.decode("ascii").isprintable() else value.hex()
    return list(value) if isinstance(value, tuple) else value


def describe(path: Any, *, kind: str = "auto", mode0: str = "auto") -> Description:
    """Read a header and explain it.

    Parameters
    ----------
    path : str, path, bytes or readable binary object
        The file; it may be compressed or remote.
    kind, mode0 : str
        As for `mrcarray.open_file`.

    Returns
    -------
    Description

    Raises
    ------
    NotMrcError
        When the file has no header, or is something else.

    Examples
    --------
    >>> describe("tomo.mrc").facts()["voxel_size"]
    [2.0, 2.0, 2.0]
    """
    name, raw, size, read = _head(path)
    shown = _called(path, name)
    foreign = identify(raw, size)
    if foreign is not None or len(raw) < HEADER:
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
    return Description(shown, header, size, found.layout, geometry, issues, found.extended, found.kind_from)


def _opens_again(path: Any) -> bool:
    """Whether a second look does not disturb the first, as it would in a pipe or a stream."""
    if not isinstance(path, str | os.PathLike):
        return isinstance(path, bytes)
    return is_url(os.fsdecode(path)) or os.path.isfile(path)  # noqa: PTH113 -- names may be bytes


def _head(path: Any) -> tuple[str, bytes, int | None, Read]:
    """Return name, first bytes, size, and how to read more; of plain local files without the machinery of sources."""
    if isinstance(path, str | os.PathLike) and not is_url(os.fsdecode(path)):
        status = os.stat(path)  # noqa: PTH116 -- names may be bytes
        if stat.S_ISREG(status.st_mode):  # a pipe must be opened once only
            raw = _read(path, 0, HEADER)
            if raw[208:211] == b"MAP":
                name = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 -- a str
                return name, raw, status.st_size, functools.partial(_read, path)
    from mrcarray.storage import open_source

    try:
        source = open_source(path)
        return source.name, bytes(source.read(0, HEADER)), source.size(), source.read
    except MrcFormatError as error:
        raise NotMrcError(error.message, _called(path, error.path)) from error


def _called(path: Any, name: Any) -> Any:
    """Return the name that the caller used; for URLs (which may contain credentials) and objects that of the source."""
    typed = os.fsdecode(path) if isinstance(path, str | os.PathLike) else ""
    return name if is_url(typed) else typed or name


def _read(path: Any, start: int, stop: int) -> bytes:
    """Return bytes of a file."""
    descriptor = os.open(path, _FLAGS)
    try:
        return os.pread(descriptor, stop - start, start)
    finally:
        os.close(descriptor)
