"""Open a file: from a path to a frozen bundle of header, layout and lazy array.

Only the header is read, and the extended header when it is asked for. Parsing returns issues as values; `handle_issues`
raises them or warns about them.
"""

from __future__ import annotations

import inspect
import os
import re
import stat
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar

from mrcarray.caller import outside
from mrcarray.errors import (
    LimitError,
    MrcFormatError,
    MrcWarning,
    NotMrcError,
    TruncatedError,
    printable,
)
from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.format.header import Header
from mrcarray.format.header_facts import as_html, as_text, fact_rows, header_facts
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.sniff import identify, looks_like_mrc
from mrcarray.kind_facts import interpret_file
from mrcarray.positional_io import READ, pread
from mrcarray.storage.source import SupportsBounds
from mrcarray.urls import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mrcarray.array import MrcArray
    from mrcarray.format.extended import Decoded
    from mrcarray.format.geometry import Geometry
    from mrcarray.format.header_facts import Row
    from mrcarray.format.layout import Layout
    from mrcarray.storage.source import ByteSource

__all__ = [
    "Mrc",
    "OriginOption",
    "ReadOptions",
    "documented",
    "examine",
    "handle_issues",
    "is_mrc",
    "issue_warning",
    "open_file",
    "outside",
    "read_header",
    "require_read_options",
]

OriginOption = Literal["auto", "origin", "nstart", "zero"]

_Function = TypeVar("_Function", bound="Callable[..., Any]")

_MOST_EXTENDED = 256 << 20  # no known writer makes more, and opening must stay cheap
_MAP = b"MAP"
_COMPRESSED_HEAD = 3072  # more bytes of a gzip file, which then contain its header whole


class ReadOptions(TypedDict, total=False):
    """How to find, check and interpret a file; the keyword arguments of every function that opens one.

    Parameters
    ----------
    kind : str
        "image", "image_stack", "volume", "volume_stack", "tilt_series", "movie" or "particles" where the header should
        not decide.
    mode0 : {"auto", "signed", "unsigned"}
        Sign of 8-bit pixels (mode 0).
    imod_bytes : {"raw", "shifted"}
        Signed bytes of IMOD as stored, or with the 128 added that IMOD adds when it reads them.
    storage_options : mapping, optional
        For remote files: options of the file system, such as credentials.
    index : bool or path
        For compressed files: keep the index that the first access builds in a file, for the next session and for other
        processes. True stores it next to the file, or in the cache folder; a path names the file or a folder.
    max_bytes : int, optional
        Refuse larger data blocks.
    """

    kind: str
    mode0: Literal["auto", "signed", "unsigned"]
    imod_bytes: Literal["raw", "shifted"]
    storage_options: Mapping[str, Any] | None
    index: bool | str | os.PathLike[str]
    max_bytes: int | None


def require_read_options(options: Iterable[str], function: str, others: Sequence[str] = ()) -> None:
    """Raise a TypeError that names `function` for an option that neither `ReadOptions` nor `others` contain."""
    unknown = [name for name in options if name not in ReadOptions.__annotations__]
    if unknown:
        expected = ", ".join((*others, *ReadOptions.__annotations__))
        raise TypeError(f"{function} got an unexpected keyword argument {unknown[0]!r}; expected one of {expected}")


def documented(function: _Function) -> _Function:
    """Replace the entry ``**options`` in the docstring of a function by the entries of `ReadOptions`."""
    if function.__doc__ is not None:  # python -OO removes docstrings
        _, entries = inspect.cleandoc(str(ReadOptions.__doc__)).split("----------\n")
        text = inspect.cleandoc(function.__doc__)
        function.__doc__ = re.sub(r"\*\*options\n    .*\n", lambda _: f"{entries}\n", text)
    return function


@dataclass(frozen=True, slots=True, repr=False)
class Mrc:
    """An opened file: its header, and its data unread; shows itself as a short table.

    Parameters
    ----------
    source : ByteSource
        Where the bytes are.
    header : Header
        The main header.
    layout : Layout or None
        Where the pixels are; None when the header does not determine it, or with ``header_only``.
    issues : tuple of Issue
        Everything found about the file, notes included.
    array : MrcArray or None
        The pixels, unread.
    extended_range : tuple of int
        First byte of the extended header and the byte after its last, as far as they exist.
    kind_from : str
        Name of the line of `mrcarray.format.kinds.LINES` that decided the kind.
    """

    source: ByteSource
    header: Header
    layout: Layout | None
    issues: tuple[Issue, ...]
    array: MrcArray | None
    extended_range: tuple[int, int] = field(default=(HEADER_NBYTES, HEADER_NBYTES))
    kind_from: str = ""

    def __repr__(self) -> str:
        return as_text(f"<Mrc {self.path}>", self._rows())

    def _repr_html_(self) -> str:
        return as_html(f"Mrc {self.path}", self._rows())

    def _rows(self) -> tuple[Row, ...]:
        geometry = self.geometry() if self.layout is not None else None
        facts = header_facts(self.header, self.layout, geometry, kind_from=self.kind_from)
        return fact_rows(facts, self.issues)

    @property
    def path(self) -> str:
        """Absolute path or URL."""
        return self.source.name

    @property
    def extended(self) -> bytes:
        """The extended header, read now; as much of it as exists."""
        start, stop = self.extended_range
        return bytes(self.source.read(start, stop)) if stop > start else b""

    @property
    def decoded(self) -> Decoded:
        """The extended header, read and decoded now; an issue reports one that cannot be decoded."""
        from mrcarray.format import extended

        start, stop = self.extended_range
        if stop - start > _MOST_EXTENDED:
            text = f"the extended header has {stop - start} bytes; more than {_MOST_EXTENDED} are not read"
            return extended.Decoded(None, None, b"", (Issue("MRC411", Severity.WARNING, text, word=24),))
        data = self.extended
        try:
            return extended.decode(data, extended.RecordFacts.of(self.header))
        except Exception as error:  # noqa: BLE001 -- whatever is wrong with metadata, the pixels can still be opened
            text = f"the extended header could not be decoded ({type(error).__name__}: {error})"
            return extended.Decoded(None, None, data, (Issue("MRC411", Severity.WARNING, text, word=24),))

    def geometry(self, origin: OriginOption | str = "auto") -> Geometry:
        """Return the positions of the voxels in space.

        Parameters
        ----------
        origin : {"auto", "origin", "nstart", "zero"}
            Which header words give the position of the first voxel.

        Raises
        ------
        MrcFormatError
            When the file has no layout.
        """
        from mrcarray.format.geometry import Geometry
        from mrcarray.format.pixel_size import with_stated_size

        if self.layout is None:
            raise MrcFormatError("the data cannot be located, so their geometry is unknown", self.path, self.issues)
        found = Geometry.from_header(self.header, self.layout, origin)
        return with_stated_size(found, self.header, lambda: self.decoded)


def open_file(  # noqa: PLR0913 -- the defaults of `ReadOptions`
    path: Any,
    *,
    permissive: bool = False,
    kind: str = "auto",
    mode0: str = "auto",
    imod_bytes: str = "raw",
    header_only: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    index: bool | str | os.PathLike[str] = False,
    max_bytes: int | None = None,
    sidecar: str | os.PathLike[str] = "",
) -> Mrc:
    """Open a file for reading; read its header and the evidence for its kind.

    Parameters
    ----------
    path : str, path, bytes or readable binary object
        The file.
    permissive : bool
        Warn where strict reading raises, and read what is there.
    kind, mode0, imod_bytes, storage_options, index, max_bytes
        See `ReadOptions`.
    header_only : bool
        Leave the data alone: no array, and no error for a data block that is missing or unknown.
    sidecar : str or path, optional
        A text file (.mdoc, .rawtlt, .tlt) that describes the sections: if the kind would be a guess and the file
        describes as many sections as there are, they are images. Without it, files next to the image file are used.

    Returns
    -------
    Mrc

    Raises
    ------
    MrcFormatError
        When the file is wrong; with `permissive` only when it has no 1024 bytes of header.
    LimitError
        When the data block is larger than `max_bytes`.
    """
    from mrcarray.array import MrcArray
    from mrcarray.storage import open_source

    source = open_source(path, storage_options=storage_options, index=index)
    size = source.size()
    header, issues = _parse(bytes(source.read(0, HEADER_NBYTES)), size, source.name)
    words: dict[str, Any] = {"name": source.name, "kind": kind, "mode0": mode0, "imod_bytes": imod_bytes}
    words["sidecar"] = sidecar
    found = interpret_file(header, size, source.read, **words)
    if header_only:
        handle_issues(issues, permissive=permissive, path=source.name)
        return Mrc(source, header, None, (*issues, *found.issues), None, found.extended, found.kind_from)
    if found.layout is not None:
        source = _bound(source, found.layout, permissive=permissive, max_bytes=max_bytes)
        if permissive and size is None:
            size = source.available(found.layout.stop) if isinstance(source, SupportsBounds) else source.size()
            size = None if size is not None and size >= found.layout.stop else size
            found = interpret_file(header, size, source.read, **words)
    issues = (*issues, *found.issues)
    handle_issues(issues, permissive=permissive, path=source.name)
    array = MrcArray(found.layout, source) if found.layout is not None else None
    return Mrc(source, header, found.layout, issues, array, found.extended, found.kind_from)


def examine(path: Any, *, kind: str = "auto", storage_options: Mapping[str, Any] | None = None) -> Mrc:
    """Return what is known of a file, with its issues as values: none is raised or warned of.

    Parameters
    ----------
    path : str, path, bytes or readable binary object
        The file.
    kind : str
        As for `open_file`.
    storage_options : mapping, optional
        For remote files.

    Raises
    ------
    MrcFormatError
        When the file has no 1024 bytes of header.
    """
    from mrcarray.storage import open_source

    source = open_source(path, storage_options=storage_options)
    size = source.size()
    header, issues = _parse(bytes(source.read(0, HEADER_NBYTES)), size, source.name)
    found = interpret_file(header, size, source.read, name=source.name, kind=kind)
    return Mrc(source, header, found.layout, (*issues, *found.issues), None, found.extended, found.kind_from)


def _bound(source: ByteSource, layout: Layout, *, permissive: bool, max_bytes: int | None) -> ByteSource:
    """Tell a source how many of its bytes are needed, and refuse a data block larger than the caller allows."""
    if max_bytes is not None and layout.nbytes > max_bytes:
        raise LimitError(f"the data block has {layout.nbytes} bytes; max_bytes allows {max_bytes}", source.name)
    # getattr is thirty times as fast as isinstance with a protocol, and this runs for every file.
    bounded: Callable[..., ByteSource] | None = getattr(source, "bounded", None)
    return source if bounded is None else bounded(layout.stop, permissive=permissive)


def read_header(path: Any, *, permissive: bool = False, storage_options: Mapping[str, Any] | None = None) -> Header:
    """Read only the main header of a file.

    Parameters
    ----------
    path : str, path, bytes or readable binary object
        The file.
    permissive : bool
        Return the header of any file that has 1024 bytes, with warnings.
    storage_options : mapping, optional
        For remote files.

    Returns
    -------
    Header

    Raises
    ------
    MrcFormatError
        When the file is not an MRC file; with `permissive` only when it has no 1024 bytes.

    Examples
    --------
    >>> import mrcarray
    >>> header = mrcarray.read_header("tomo.mrc")
    >>> header.nx, header.ny, header.nz, header.mode
    (40, 32, 20, 2)
    """
    if isinstance(path, str | os.PathLike) and not is_url(os.fsdecode(path)):
        fd = os.open(path, READ)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                return _stream_header(fd, path, permissive=permissive)
            raw = pread(fd, HEADER_NBYTES, 0)
            size: int | None = status.st_size
            if raw[208:211] != _MAP:
                raw, size = _decompressed(raw + pread(fd, _COMPRESSED_HEAD, HEADER_NBYTES)) or raw, None
        finally:
            os.close(fd)
        if raw[208:211] == _MAP and len(raw) == HEADER_NBYTES:
            header, issues = Header.parse(raw, size)
            if issues:
                handle_issues(issues, permissive=permissive, path=os.path.abspath(path))  # noqa: PTH100 -- a str
            return header
    return open_file(path, permissive=permissive, header_only=True, storage_options=storage_options).header


def _decompressed(first: bytes) -> bytes | None:
    """Return the header in the first bytes of a compressed file, or None where they do not contain all of it."""
    from mrcarray.storage.compression.codecs import peek

    found = peek(first, HEADER_NBYTES)
    return found if len(found) == HEADER_NBYTES and found[208:211] == _MAP else None


def _stream_header(fd: int, path: str | os.PathLike[str], *, permissive: bool) -> Header:
    """Read the header of a named pipe, which must not be opened twice; `open_file` refuses folders."""
    if not stat.S_ISFIFO(os.fstat(fd).st_mode):
        return open_file(path, permissive=permissive, header_only=True).header
    with open(path, "rb", buffering=0, opener=lambda _, __: os.dup(fd)) as stream:
        return open_file(stream, permissive=permissive, header_only=True).header


def is_mrc(path: Any) -> bool:
    """Return whether the first bytes of a file, decompressed if necessary, look like MRC.

    Parameters
    ----------
    path : str, path, bytes or readable binary object
        The file.
    """
    from mrcarray.storage import open_source

    source = open_source(path)
    return looks_like_mrc(bytes(source.read(0, HEADER_NBYTES)), source.size())


def handle_issues(issues: Iterable[Issue], *, permissive: bool, path: str) -> None:
    """Raise the first error among the issues of a file, or warn of them.

    Strict reading raises the first error; without errors it warns of each warning. Permissive reading warns of errors
    and warnings. Notes are silent.

    Parameters
    ----------
    issues : iterable of Issue
        The issues found.
    permissive : bool
        Whether to warn where strict reading raises.
    path : str
        Name of the file, for the message.

    Raises
    ------
    MrcFormatError
        Or a subclass, for the first error.
    """
    issues = tuple(issues)
    if not permissive:
        for issue in issues:
            if issue.is_error:
                text, command = printable(issue.sentence()), printable(issue.sentence(command=True))
                raise _error_class(issue)(text, path, issues, command)
    for issue in issues:
        if issue.severity is not Severity.NOTE:
            warnings.warn(issue_warning(issue, path), stacklevel=outside())


def issue_warning(issue: Issue, path: str) -> MrcWarning:
    """Return the warning about one issue of the file `path`, worded for Python and for the command line."""
    return MrcWarning(*(printable(f"{path}: {issue.sentence(command=command)}") for command in (False, True)))


def _error_class(issue: Issue) -> type[MrcFormatError]:
    if issue.code in _TRUNCATED:
        return TruncatedError
    return NotMrcError if issue.code.startswith("MRC9") else MrcFormatError


_TRUNCATED = frozenset({"MRC201", "MRC203", "MRC903"})


def _parse(raw: bytes, size: int | None, path: str) -> tuple[Header, tuple[Issue, ...]]:
    """Return header and issues; raise, strict or not, when there are too few bytes for a header."""
    if len(raw) < HEADER_NBYTES:
        handle_issues([identify(raw, size) or _too_short(len(raw))], permissive=False, path=path)
    header, issues = Header.parse(raw, size)
    if raw[208:211] != _MAP:  # a file of another format may look like a header without identifier
        foreign = identify(raw, size)
        issues = issues if foreign is None else (foreign, *issues)
    return header, issues


def _too_short(found: int) -> Issue:
    text = f"the file has {found} bytes; expected at least the {HEADER_NBYTES} bytes of a header"
    return Issue("MRC903", Severity.ERROR, text, found=str(found), expected=f">= {HEADER_NBYTES}")
