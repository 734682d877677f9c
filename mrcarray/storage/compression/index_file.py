"""Seek indexes in files, so that the next process need not make the pass again.

A file holds two lines of JSON (a checksum; which content it belongs to, and the points), the windows of the points,
each packed for itself, so that only those are unpacked that are needed, and the first bytes of the content where those
take long to decode. It is named after the file it belongs to, or after a digest in a folder for many. One that is
damaged, of another version or of another content is ignored and written anew. If a local file has another fingerprint
(it was copied, or got other permissions), a checksum of its compressed bytes decides whether its index is kept.

What an index says is believed as the file itself is: who can write the one can write the other. But no index takes more
memory than `MOST`, and none gives another error than the file could.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import stat
import struct
import zlib
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mrcarray.storage.atomic import AtomicFile
from mrcarray.storage.coalesce import PIECE
from mrcarray.storage.compression.checkpoints import Point
from mrcarray.storage.compression.decoders import deflate_library

if TYPE_CHECKING:
    from collections.abc import Hashable

    from mrcarray.storage.source import ByteSource

__all__ = ["FOLDER", "SUFFIX", "Index", "checksum", "load", "place", "save", "windows"]

FOLDER = "MRCARRAY_CACHE_FOLDER"
"""Environment variable: where indexes go that cannot lie beside their file; without it, the user's cache folder."""

SUFFIX = ".seekindex"

MAGIC = b"seek index 3\n"

MOST = 64 << 20
"""Bytes of a file: 1024 windows of 32 KiB, and more."""

LINE = 2 << 20
"""Bytes of the line of points: some 40,000 of them, which take 10 MiB when they are read."""

POINTS = 32_768
"""Points that are kept; of more, only some."""

WINDOWED = 1024
"""About how many points with a window are made of a large file."""

SPACING = 1 << 20
"""Uncompressed bytes between two windows in a file: they take up to a thirtieth of its content."""


class Index(NamedTuple):
    """The points, where the content ends if that is known, how it begins, and a checksum of the compressed bytes."""

    points: list[Point]
    end: int | None
    head: bytes = b""
    checksum: tuple[int, ...] | None = None


def place(name: str, fingerprint: tuple[Hashable, ...], index: bool | str) -> Path | None:  # noqa: FBT001 -- a path, or yes
    """Return where the index of a file is kept, or None where there is no folder for it.

    Parameters
    ----------
    name : str
        Path or URL of the compressed file.
    fingerprint : tuple
        What identifies its content; URLs may have the same name without credentials.
    index : True or str
        True for beside the file (or the cache folder where that cannot be written); or a file or folder.
    """
    beside = Path(name + SUFFIX)
    key = (name,) if beside.is_absolute() else (name, fingerprint)
    digest = hashlib.blake2b(repr(key).encode(errors="surrogateescape"), digest_size=16).hexdigest() + SUFFIX
    if isinstance(index, str):
        return Path(index) / digest if index.endswith(os.sep) or Path(index).is_dir() else Path(index)
    if beside.is_absolute() and (beside.exists() or os.access(beside.parent, os.W_OK)):
        return beside
    folder = _cache()
    return None if folder is None else folder / digest


def _cache() -> Path | None:
    named = os.environ.get(FOLDER)
    if named:
        return Path(named)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mrcarray"
    except RuntimeError:  # a user without a home folder, as in some containers
        return None


def checksum(inner: ByteSource) -> tuple[int, ...] | None:
    """Return size and CRC-32 of the bytes of a local file, None for others, which are told apart by their tags."""
    size = inner.size()
    if size is None or not Path(inner.name).is_absolute():
        return None
    found = 0
    for start in range(0, size, PIECE):
        found = deflate_library().crc32(inner.read(start, min(start + PIECE, size)), found)
    return size, found


def save(path: Path, fingerprint: tuple[Hashable, ...], index: Index) -> None:
    """Write an index, at once whole or not at all.

    Raises
    ------
    OSError
        When it cannot be written.
    """
    kept = [point for point in index.points if point.decoder is None]
    kept = kept[:1] + kept[1 :: len(kept) // POINTS + 1]
    packed = b"".join(point.window or b"" for point in kept)
    rows = [(p.out, p.inner, p.bits, -1 if p.window is None else len(p.window)) for p in kept]
    facts: dict[str, Any] = {"content": repr(fingerprint), "end": index.end, "points": rows, "head": len(index.head)}
    facts["checksum"] = index.checksum
    body = json.dumps(facts).encode() + b"\n" + packed + index.head
    path.parent.mkdir(parents=True, exist_ok=True)
    # Its windows are content of the file, so only the owner may read it. What a power cut takes is made again: no sync.
    with AtomicFile(path, overwrite=True, sync=False, follow=False, mode=0o600) as file:
        file.write_at(0, MAGIC + b"%d\n" % zlib.crc32(body) + body)
        file.commit()


def load(path: Path, fingerprint: tuple[Hashable, ...], inner: ByteSource | None = None) -> Index | None:
    """Return the index in a file, or None where there is none that belongs to this content.

    Parameters
    ----------
    path : Path
        The index file.
    fingerprint : tuple
        What identifies the content.
    inner : ByteSource, optional
        The compressed bytes, whose checksum decides where the fingerprint is another.
    """
    try:
        with open(path, "rb", opener=_open) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > MOST or file.read(len(MAGIC)) != MAGIC:
                return None
            check, line, packed = int(file.readline(16)), file.readline(LINE), file.read(status.st_size)
        if check != zlib.crc32(packed, zlib.crc32(line)):
            return None
        facts = json.loads(line)
        content, index = facts["content"], _parse(facts, packed)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    if content == repr(fingerprint):
        return index
    if index is None or index.checksum is None or inner is None or index.checksum != checksum(inner):
        return None
    with contextlib.suppress(OSError):  # so that the next session need not read the file for its checksum
        save(path, fingerprint, index)
    return index


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe of that name is not waited for


def _parse(facts: dict[str, Any], packed: bytes) -> Index | None:
    """Return the index, or None where it cannot be that of any file; it may have been made to harm."""
    points, at = [], 0
    for out, inner, bits, length in facts["points"]:
        window = None if length == -1 else packed[at : at + _count(length)]
        at += max(0, length)
        points.append(Point(_count(out), _count(inner), _count(bits), window))
    ascending = all(one.out < other.out and one.inner <= other.inner for one, other in pairwise(points))
    if not ascending or points[:1] != [Point(0, 0)] or any(point.bits > 7 for point in points):  # noqa: PLR2004 -- a byte
        return None
    end, known = facts["end"], facts.get("checksum")
    if end is not None and _count(end) < points[-1].out:
        return None
    size = _count(facts["head"])
    if at + size != len(packed):
        return None
    return Index(points, end, packed[at:], known if known is None else tuple(map(_count, known)))


def _count(value: Any) -> int:
    """Return a number that can be a position in a file."""
    if type(value) is not int or not 0 <= value < 1 << 62:
        raise ValueError("no position in a file")
    return value


# ------------------------------------------------------------------------------------------ gzip


def windows(inner: ByteSource, limit: int | None, spacing: int = SPACING) -> list[Point] | None:
    """Return points inside gzip members that can be saved, or None where they cannot be had.

    Only indexed_gzip finds block borders and gives the 32 KiB before them. It makes a pass of its own, no further than
    `limit`. A file that ends before it, or is damaged, gets no points.
    """
    try:
        import indexed_gzip
    except ImportError:
        return None
    spacing = max(spacing, (4 * (inner.size() or 0) if limit is None else limit) // WINDOWED)
    out = io.BytesIO()
    try:
        with indexed_gzip.IndexedGzipFile(fileobj=_Reader(inner), spacing=spacing, readbuf_size=1 << 20) as file:
            reached = file.seek(1 << 62 if limit is None else limit)
            file.export_index(fileobj=out)
    except (OSError, EOFError, ValueError, indexed_gzip.ZranError):
        return None
    if limit is not None and reached < limit:  # the file was cut: indexed_gzip takes that for its end
        return None
    return _exported(out.getvalue(), spacing // 4)


def _exported(data: bytes, least: int) -> list[Point]:
    """Return the points in what indexed_gzip exports: a header, 18 bytes for each point, and the windows.

    Points without a window are at the first block of a member, which needs none; those of small members lie so close
    that only some are kept, at least so many bytes apart.
    """
    _, window, count = struct.unpack_from("<III", data, 23)
    points = [Point(0, 0)]
    at = 35 + 18 * count
    for i in range(count):
        inner, produced, bits, has_window = struct.unpack_from("<QQBB", data, 35 + 18 * i)
        length = window if has_window else 0
        if produced - points[-1].out >= (1 if has_window else max(1, least)):
            start, shift = (inner - 1, 8 - bits) if bits else (inner, 0)
            points.append(Point(produced, start, shift, deflate_library().compress(data[at : at + length], 1)))
        at += length
    return points


class _Reader(io.RawIOBase):
    """A source as a file object."""

    def __init__(self, source: ByteSource) -> None:
        super().__init__()
        self._source = source
        self._at = 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}
        self._at = offset + (base[whence] if whence in base else self._source.size() or 0)
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        part = self._source.read(self._at, self._at + len(view))
        view[: len(part)] = part
        self._at += len(part)
        return len(part)
