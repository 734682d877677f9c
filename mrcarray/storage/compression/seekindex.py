"""Seek indexes in files, so that the next process need not make the pass again.

A file holds two lines of JSON (a checksum; which content it belongs to, and the points), the windows of the points,
each packed for itself, so that only those are unpacked that are needed, and the first bytes of the content where those
take long to decode. It is named after the file it belongs to, or after a digest in a folder for many. One that is
damaged, of another version or of another content is ignored and written anew.
"""

from __future__ import annotations

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
from mrcarray.storage.compression.decoders import deflate_library
from mrcarray.storage.compression.points import Point

if TYPE_CHECKING:
    from collections.abc import Hashable

    from mrcarray.storage.protocols import ByteSource

__all__ = ["FOLDER", "SUFFIX", "Index", "load", "place", "save", "windows"]

FOLDER = "MRCARRAY_CACHE_FOLDER"
"""Environment variable: where indexes go that cannot lie beside their file; without it, the user's cache folder."""

SUFFIX = ".seekindex"

MAGIC = b"seek index 3\n"

SPACING = 1 << 20
"""Uncompressed bytes between two windows in a file: they take up to a thirtieth of its content."""


class Index(NamedTuple):
    """The points, where the content ends if that is known, and how it begins if that takes long to find out."""

    points: list[Point]
    end: int | None
    head: bytes = b""


def place(name: str, fingerprint: tuple[Hashable, ...], index: bool | str) -> Path:  # noqa: FBT001 -- a path, or yes
    """Return where the index of a file is kept.

    Parameters
    ----------
    name : str
        Path or URL of the compressed file.
    fingerprint : tuple
        What identifies its content.
    index : True or str
        True for beside the file (or the cache folder where that cannot be written); or a file or folder.
    """
    digest = hashlib.blake2b(repr((name, fingerprint)).encode(), digest_size=16).hexdigest() + SUFFIX
    if isinstance(index, str):
        return Path(index) / digest if index.endswith(os.sep) or Path(index).is_dir() else Path(index)
    beside = Path(name + SUFFIX)
    if beside.is_absolute() and (beside.exists() or os.access(beside.parent, os.W_OK)):
        return beside
    return _cache() / digest


def _cache() -> Path:
    named = os.environ.get(FOLDER)
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mrcarray"


def save(path: Path, fingerprint: tuple[Hashable, ...], index: Index) -> None:
    """Write an index, at once whole or not at all.

    Raises
    ------
    OSError
        When it cannot be written.
    """
    kept = [point for point in index.points if point.decoder is None]
    packed = b"".join(point.window or b"" for point in kept)
    rows = [(p.out, p.inner, p.bits, -1 if p.window is None else len(p.window)) for p in kept]
    facts = {"content": repr(fingerprint), "end": index.end, "points": rows, "head": len(index.head)}
    body = json.dumps(facts).encode() + b"\n" + packed + index.head
    path.parent.mkdir(parents=True, exist_ok=True)
    # Its windows are content of the file, so only the owner may read it. What a power cut takes is made again: no sync.
    with AtomicFile(path, overwrite=True, sync=False, follow=False, mode=0o600) as file:
        file.write_at(0, MAGIC + b"%d\n" % zlib.crc32(body) + body)
        file.commit()


def load(path: Path, fingerprint: tuple[Hashable, ...]) -> Index | None:
    """Return the index in a file, or None where there is none that belongs to this content."""
    try:
        with open(path, "rb", opener=_open) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode) or file.read(len(MAGIC)) != MAGIC:
                return None
            check, body = int(file.readline(16)), file.read()
        return _parse(body, fingerprint) if check == zlib.crc32(body) else None
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe of that name is not waited for


def _parse(body: bytes, fingerprint: tuple[Hashable, ...]) -> Index | None:
    line, _, packed = body.partition(b"\n")
    facts = json.loads(line)
    if facts["content"] != repr(fingerprint):
        return None
    points, at = [], 0
    for out, inner, bits, length in facts["points"]:
        window = None if length < 0 else packed[at : at + length]
        at += max(0, length)
        points.append(Point(int(out), int(inner), int(bits), window))
    ascending = all(one.out < other.out and one.inner <= other.inner for one, other in pairwise(points))
    if not ascending or points[:1] != [Point(0, 0)]:
        return None
    return Index(points, facts["end"], packed[at : at + facts["head"]])


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
    if limit is not None:
        spacing = max(spacing, limit // 1024)
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
