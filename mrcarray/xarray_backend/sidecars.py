"""Find, read and write the text files that describe the sections of an image.

Only local files are looked for: next to ``TS_01.mrc`` the documents ``TS_01.mrc.mdoc``, ``TS_01.mdoc`` and
``TS_01.idoc``, of which the first that exists counts, and the lists ``TS_01.rawtlt``, ``TS_01.tlt`` and
``TS_01.xtilt``. The suffix of a compressed file (``TS_01.mrc.gz``) does not matter.
`mrcarray.xarray_backend.metadata_read` joins what they contain.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mrcarray.errors import Hint, MrcValueError
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.quantities import COMMON, Column
from mrcarray.format.sidecars import ANGLE_LISTS, Mdoc, parse_angles
from mrcarray.storage.atomic import AtomicFile
from mrcarray.urls import sidecars_of, unpacked
from mrcarray.xarray_backend.pending import Pending, interrupted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "Found",
    "Pending",
    "SidecarOption",
    "announced",
    "announced_as",
    "content",
    "existing",
    "exists",
    "interrupted",
    "load",
    "prepared",
    "write",
]

SidecarOption = Literal[False] | str | os.PathLike[str]
"""``"auto"`` looks next to the file, a path is read, False ignores sidecars."""

_DOCUMENTS = (".mdoc", ".idoc")
_SECTIONS = frozenset({"ZValue", "MontSection", "FrameSet", "Image"})
_LIMIT = 64 << 20
"""Longest sidecar in bytes: the entries of a hundred thousand images."""


@dataclass(frozen=True, slots=True)
class Found:
    """The contents of the sidecars of a file.

    Parameters
    ----------
    columns : tuple of dict of str to Column
        One dict a sidecar, in order of precedence.
    issues : tuple of Issue
        What could not be read or joined.
    """

    columns: tuple[dict[str, Column], ...] = ()
    issues: tuple[Issue, ...] = ()


def existing(path: str) -> list[str]:
    """Return the sidecars that exist next to a local file, in order of precedence.

    Parameters
    ----------
    path : str
        The image file; a URL has none.
    """
    names = sidecars_of(path)
    documents = (name for name in names.documents if exists(name))
    return [*itertools.islice(documents, 1), *filter(_is_file, names.lists)]


def exists(name: str) -> bool:
    """Return whether a sidecar exists, or is announced."""
    coming = _announced.get()
    return (coming is not None and coming[0] == name) or _is_file(name)


def _is_file(name: str) -> bool:
    return os.path.isfile(name)  # noqa: PTH113 -- pathlib raises for names that are too long


def write(path: str, text: str, *, overwrite: bool = False) -> str:
    """Write a sidecar under its name once it is complete, and return its absolute path.

    Parameters
    ----------
    path : str
        The sidecar.
    text : str
        Its content.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    FileExistsError
        When it exists and `overwrite` is false.
    """
    with prepared(path, text, overwrite=overwrite) as file:
        file.commit()
    return str(Path(path).absolute())


def prepared(path: str, text: str, *, overwrite: bool) -> AtomicFile:
    """Write a sidecar to a temporary file, which gets its name by `commit`."""
    file = AtomicFile(path, overwrite=overwrite)
    try:
        file.write_at(0, text.encode("utf-8"))
        file.flush()
    except BaseException:
        file.abort()
        raise
    return file


_announced: ContextVar[tuple[str, bytes] | None] = ContextVar("_announced", default=None)


@contextlib.contextmanager
def announced(path: str, text: str) -> Iterator[None]:
    """Let `existing` and `load` find an mdoc that will be written after its image."""
    token = _announced.set((os.path.abspath(path), text.encode("utf-8")))  # noqa: PTH100 -- names need not be text
    try:
        yield
    finally:
        _announced.reset(token)


@contextlib.contextmanager
def announced_as(target: str, made: str) -> Iterator[None]:
    """Let the mdoc next to `target`, which exists or is announced, be found next to the temporary image `made`."""
    names = [name for name in existing(os.path.abspath(target)) if name.endswith(".mdoc")]  # noqa: PTH100 -- as above
    if not names:
        yield
        return
    with announced(f"{unpacked(made)}.mdoc", content(names[0]).decode("utf-8", "replace")):
        yield


def load(path: str, option: SidecarOption, count: int, *, every: bool = False, limit: int = _LIMIT) -> Found:
    """Read the sidecars of a file.

    Parameters
    ----------
    path : str
        The image file.
    option : {"auto", False} or path
        Which sidecars. A named one must be readable and fit; one that is found and does not fit is ignored with a
        warning.
    count : int
        Number of sections of the file.
    every : bool
        Add the keys of an mdoc under their own names.
    limit : int
        Longest sidecar in bytes.

    Raises
    ------
    OSError
        When the named sidecar cannot be read.
    MrcValueError
        When the named file is not a sidecar, or does not fit the image.
    """
    if option is False:
        return Found()
    if option != "auto":
        columns, issues = _read(Path(option), path, count, limit, every=every)
        return Found((columns,), issues)
    names = existing(path)
    broken = interrupted(path)
    if not broken:
        return _auto(map(Path, names), path, count, limit, every=every)
    rest = [Path(name) for name in names if Path(name).suffix not in _DOCUMENTS]
    found = _auto(rest, path, count, limit, every=every)
    return replace(found, issues=(Issue("MRC423", Severity.WARNING, broken), *found.issues))


def _auto(names: Iterable[Path], path: str, count: int, limit: int, *, every: bool) -> Found:
    """Read the sidecars that were found; one that cannot be read is a warning."""
    columns: list[dict[str, Column]] = []
    issues: tuple[Issue, ...] = ()
    for name in names:
        try:
            these, more = _read(name, path, count, limit, every=every)
        except (OSError, MrcValueError) as error:
            message = f"the sidecar {name.name} is ignored: {error}"
            hint = Hint("pass sidecar=False to ignore all sidecars")
            issues += (Issue("MRC423", Severity.WARNING, message, hint=hint),)
            continue
        columns.append(these)
        issues += more
    return Found(tuple(columns), issues)


def _read(name: Path, path: str, count: int, limit: int, *, every: bool) -> tuple[dict[str, Column], tuple[Issue, ...]]:
    """Return the columns of one sidecar, and an issue if it describes more sections than there are."""
    data = content(str(name), limit)
    if len(data) > limit:
        raise MrcValueError(f"it has more than {limit} bytes")
    if name.suffix in _DOCUMENTS:
        return _document(Mdoc.parse(data), name.name, Path(path).name, count, every=every)
    return _angles(data, name, count), ()


def content(name: str, limit: int = _LIMIT) -> bytes:
    """Return the bytes of a sidecar that exists or is announced; of a longer one `limit` and one more."""
    coming = _announced.get()
    if coming is not None and coming[0] == name:
        return coming[1]
    with Path(name).open("rb") as file:
        return file.read(limit + 1)


def _document(
    doc: Mdoc, name: str, image: str, count: int, *, every: bool
) -> tuple[dict[str, Column], tuple[Issue, ...]]:
    """Return the columns of an mdoc, and warnings; refuse a text that is not an mdoc."""
    if doc.top.entries and not any(section.kind in _SECTIONS for section in doc.sections):
        raise MrcValueError(f"{name} has no mdoc section, such as [ZValue = 0]")
    columns = doc.columns(count, image, every=every)
    columns = {key: replace(column, source=f"mdoc ({name})") for key, column in columns.items()}
    issues: tuple[Issue, ...] = ()
    if doc.extent > count:
        message = f"{name} describes {doc.extent} sections, but the file has {count}; the others are ignored"
        issues += (Issue("MRC422", Severity.WARNING, message, None, str(doc.extent), str(count)),)
    if twice := doc.repeated:
        message = f"{name} has several entries for section {twice[0]}, which differ; the last one is used"
        issues += (Issue("MRC422", Severity.WARNING, message),)
    return columns, issues


def _angles(data: bytes, name: Path, count: int) -> dict[str, Column]:
    """Return the one column of a list, which must have an angle for each section, since it has no section numbers."""
    angles = parse_angles(data.decode("utf-8-sig", "replace"))
    if len(angles) != count:
        raise MrcValueError(f"{name.name} has {len(angles)} angles; expected one for each of {count} sections")
    key = ANGLE_LISTS.get(name.suffix, "tilt_angle")
    quantity = COMMON[key]
    return {key: Column(key, angles, quantity.unit, quantity.meaning, name.name)}
