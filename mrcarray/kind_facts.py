"""Interpret the header of a file with the facts about its kind that the header does not contain.

`mrcarray.format.kinds` decides from values alone. Where header and name only allow a guess, this module reads a sidecar
next to the file, or the extended header; it never reads pixels.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mrcarray.errors import MrcError
from mrcarray.format.interpret import interpret
from mrcarray.format.kinds import NO_FACTS, KindFacts
from mrcarray.urls import sidecars_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from mrcarray.format.header import Header
    from mrcarray.format.interpret import Interpretation

    Read: TypeAlias = Callable[[int, int], bytes | memoryview]

__all__ = ["has_records", "interpret_file", "sections_in", "telling_sidecars"]

_MAX_EXTENDED = 16 << 20  # like validation, which does not decode a longer block
_MAX_SIDECAR = 64 << 20  # like `mrcarray.xarray_backend.sidecars`
_RECORD_TYPES = frozenset({b"SERI", b"FEI1", b"FEI2", b"AGAR"})
_PIECE = 64 << 10


def interpret_file(  # noqa: PLR0913 -- the arguments of `interpret`, and how to read the file
    header: Header,
    size: int | None,
    read: Read,
    *,
    name: str,
    kind: str = "auto",
    mode0: str = "auto",
    imod_bytes: str = "raw",
    sidecar: str | os.PathLike[str] = "",
) -> Interpretation:
    """Interpret a header: where the pixels of the file are, and what they are.

    Parameters
    ----------
    header : Header
        The main header.
    size : int or None
        Bytes of the uncompressed file, None when unknown.
    read : callable
        Takes two positions in the uncompressed file and returns the bytes between them. It is called only when the
        kind would be a guess and there is an extended header, and never for pixels.
    name : str
        Path or URL of the file; sidecars are searched next to an absolute path.
    kind, mode0, imod_bytes : str
        As for `interpret`.
    sidecar : str or path
        A sidecar that is read before those next to the file.

    Returns
    -------
    Interpretation

    Raises
    ------
    MrcValueError
        When `kind`, `mode0` or `imod_bytes` has an unknown value.
    """
    found = interpret(header, size, name=name, kind=kind, mode0=mode0, imod_bytes=imod_bytes)
    facts = _facts(header, found, (name, os.fspath(sidecar)), read) if found.guessed else NO_FACTS
    if facts is NO_FACTS:
        return found
    return interpret(header, size, name=name, kind=kind, mode0=mode0, imod_bytes=imod_bytes, facts=facts)


def _facts(header: Header, found: Interpretation, names: tuple[str, str], read: Read) -> KindFacts:
    """Return the facts about the kind of a file; the records are not read if a sidecar decides."""
    sidecar = _sidecar(*names, header.nz)
    if sidecar:
        return KindFacts(sidecar)
    start, stop = found.extended
    return KindFacts(records=True) if stop > start and _has_records(header, start, stop, read) else NO_FACTS


def _sidecar(path: str, named: str, sections: int) -> str:
    """Return the name of the first sidecar that describes as many sections, empty when there is none."""
    # One stat for each name: four take 5 us, but listing a directory of 2000 files takes 1 ms.
    for name in (*([named] if named else []), *telling_sidecars(path)):
        if os.path.isfile(name) and _described(name) == sections:  # noqa: PTH113 -- pathlib raises for long names
            return os.path.basename(name)  # noqa: PTH119 -- as above
    return ""


def telling_sidecars(path: str) -> tuple[str, ...]:
    """Return the names of the sidecars that can decide that a file is a stack, in the order in which they are read.

    Parameters
    ----------
    path : str
        The image file; a URL or a path that is not absolute has none.
    """
    documents, lists = sidecars_of(path)
    return (*documents[:2], *lists[:2])


def _described(name: str) -> int:
    """Return how many sections a sidecar describes; 0 when it cannot be read or understood."""
    try:
        with open(name, "rb") as file:  # noqa: PTH123 -- as above
            return sections_in(name, file.read(_MAX_SIDECAR + 1))
    except OSError:  # no evidence; the function that reads its metadata reports the error
        return 0


def sections_in(name: str, data: bytes) -> int:
    """Return how many sections a sidecar describes; 0 when it cannot be understood.

    Parameters
    ----------
    name : str
        Name of the sidecar; its suffix decides its format.
    data : bytes
        Its content.
    """
    from mrcarray.format.sidecars import Mdoc, parse_angles

    if len(data) > _MAX_SIDECAR:
        return 0
    try:
        if not name.endswith(".mdoc"):
            return len(parse_angles(data.decode("utf-8-sig", "replace")))
        document = Mdoc.parse(data)
    except ValueError:  # no evidence, as above
        return 0
    frames = [section.numbers("NumSubFrames") for section in document.of_kind("FrameSet")]
    return document.extent or next((int(numbers[0]) for numbers in frames if numbers), 0)


def has_records(header: Header, data: bytes) -> bool:
    """Return whether an extended header contains records of sections that are not all zero bytes.

    Parameters
    ----------
    header : Header
        The main header, which declares the type of the block.
    data : bytes
        The block.
    """
    return bool(data) and _has_records(header, 0, len(data), lambda start, stop: data[start:stop])


def _has_records(header: Header, start: int, stop: int, read: Read) -> bool:
    """Return whether the extended header contains records of sections that are not all zero bytes."""
    try:
        if header.exttyp in _RECORD_TYPES:
            return _any_byte(start, stop, read)
        return stop - start <= _MAX_EXTENDED and _recognised(header, bytes(read(start, stop)))
    except (OSError, MrcError):  # no evidence; the function that reads the extended header reports the error
        return False


def _any_byte(start: int, stop: int, read: Read) -> bool:
    """Return whether a byte is not zero; the first piece of real records contains one."""
    for at in range(start, stop, _PIECE):
        piece = bytes(read(at, min(at + _PIECE, stop)))
        if any(piece):
            return True
        if not piece:
            break
    return False


def _recognised(header: Header, data: bytes) -> bool:
    """Return whether a block of another or no declared type is a dialect that has records."""
    from mrcarray.format import extended

    if not any(data):
        return False
    dialect = extended.detect(data, extended.RecordFacts.of(header)).dialect
    return dialect is not None and dialect.has_records
