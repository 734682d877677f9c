"""Read members of zip archives without unpacking the archive: `StoredMember`, `DeflatedMember`.

The directory at the end of a zip archive lists where each member is and how it is compressed. A stored member is a
range of the archive; its checksum is verified when it is read from its start to its end. A deflated member becomes a
gzip file by ten bytes before it and eight after it, which the directory provides, and is read like one. Members that
are bzip2, xz or zstd streams are read like such files. Other and encrypted members are left to fsspec and zipfile.

The records are those of PKWARE's APPNOTE.TXT, 4.3.7 and 4.4.5.
"""

from __future__ import annotations

import errno
import io
import os
import struct
import warnings
import zipfile
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mrcarray import _compat
from mrcarray.errors import CompressionError, MrcWarning, TruncatedError, printable
from mrcarray.storage.cache import ProcessCache
from mrcarray.storage.coalesce import THREADED, fill, fill_all
from mrcarray.storage.compression.member_decoders import deflate_library
from mrcarray.storage.fileobj import FileObjectSource, SourceFile

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    from mrcarray.storage.source import ByteSource

__all__ = ["DeflatedMember", "StoredMember", "find_member", "member_of"]

SIGNATURE = b"PK\3\4"
"""Start of the header before a member."""

LOCAL = struct.Struct("<6xH18xHH")
"""The header: flags, and the lengths of the name and the extra fields that follow it."""

EXTRA = 1024
"""Bytes of extra fields read with the header; where there are more, the member's first bytes are read later."""

TAIL = (1 << 16) + 1024
"""Bytes at the end of an archive that are read first: the end of its directory, and the longest comment."""

FIRST = 4096
"""Bytes of a member read with its header, where the archive has no `granule`."""

HEADER = 1024
"""Bytes of a member that are read when it is opened."""

GZIP_HEAD = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
"""Header of a gzip file without name and time (RFC 1952)."""

ENCRYPTED, PATCHED, UTF_8 = 0x41, 0x20, 0x800
"""Flags of a member: encrypted, a patch of another file, and a name in UTF-8."""

STREAMS = frozenset({zipfile.ZIP_BZIP2, 93, 95})
"""Compression methods whose bytes are a file of that format: bzip2, zstd, xz."""


class Entry(NamedTuple):
    """A member in the directory; sizes in bytes, compressed and not."""

    name: str
    method: int
    packed: int
    size: int
    crc: int


@dataclass(frozen=True, slots=True)
class StoredMember:
    """A member that is a range of its archive.

    Parameters
    ----------
    archive : ByteSource
        The archive.
    entry : Entry
        The member in its directory.
    start : int
        Where in the archive the member's bytes start.
    first : bytes
        The first of them, read when it was found.
    permissive : bool
        Whether a wrong checksum is a warning rather than an error.
    """

    archive: ByteSource
    entry: Entry
    start: int
    first: bytes = field(default=b"", compare=False, repr=False)
    permissive: bool = field(default=False, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The member and its archive, as a URL without credentials."""
        return f"zip://{self.entry.name}::{self.archive.name}"

    @property
    def fingerprint(self) -> tuple[Hashable, ...]:
        """What identifies the archive, and the member in it."""
        return (*self.archive.fingerprint, self.start, *self.entry)

    @property
    def granule(self) -> int:
        """Bytes that cost no more to read than one."""
        found: int = getattr(self.archive, "granule", FIRST)
        return found

    @property
    def in_order(self) -> bool:
        """Whether a large range is best read by one call: that verifies its checksum, too."""
        return True

    def bounded(self, limit: int | None = None, *, permissive: bool | None = None) -> StoredMember:  # noqa: ARG002 -- the size is known
        """Return the member with another reaction to a wrong checksum; `limit` is not needed."""
        return self if permissive in {None, self.permissive} else replace(self, permissive=bool(permissive))

    def size(self) -> int:
        """Return the number of bytes."""
        return self.entry.packed

    def read(self, start: int, stop: int) -> memoryview:
        """Return the bytes ``start:stop``; fewer only at the end."""
        out = np.empty(max(0, min(stop, self.size()) - start), dtype=np.uint8)
        return out[: self.read_into(start, out)].data.toreadonly()

    def read_into(self, start: int, out: NDArray[np.uint8]) -> int:
        """Fill `out` from byte `start`; return the bytes read, fewer only at the end."""
        out = out[: max(0, self.entry.packed - start)]
        if start + out.size <= len(self.first):
            done = _copy(self.first, start, out)
        elif out.size < THREADED or getattr(self.archive, "in_order", False):
            done = self.archive.read_into(self.start + start, out)
        else:
            fill_all(self.archive, self.start + start, out, self.name, None)
            done = out.size
        if self.entry.method == zipfile.ZIP_STORED and _checksum(self, start, out[:done]) not in {None, self.entry.crc}:
            text = "the checksum (CRC-32) of the member is not the one in the zip directory; its bytes are damaged"
            if not self.permissive:
                raise CompressionError(text, self.name, position=self.start)
            warnings.warn(f"{printable(self.name)}: {text}", MrcWarning, stacklevel=3)
        return done

    def read_ranges(self, starts: Sequence[int], outs: Sequence[NDArray[np.uint8]]) -> None:
        """Fill every array of `outs` from its byte in `starts`."""
        last = max((start + out.size for start, out in zip(starts, outs, strict=True)), default=0)
        if last > self.size():
            raise TruncatedError(f"bytes up to {last} were asked for, but there are {self.size()}", self.name)
        fill(self.archive, [self.start + start for start in starts], list(outs), self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle where the member is, without its bytes."""
        return type(self), (self.archive, self.entry, self.start, b"", self.permissive)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.size()} bytes)"


sums: ProcessCache[tuple[int, int]] = ProcessCache(64)
"""How far members were read in order, and the CRC-32 of that part."""


def _checksum(member: StoredMember, start: int, part: NDArray[np.uint8]) -> int | None:
    """Add bytes from `start` on; return the checksum where they are the last, all read in order."""
    key = (member.name, *member.fingerprint)
    at, known = sums.get(key) or (0, 0)
    crc32 = deflate_library().crc32
    if at <= HEADER and 0 < start - at < part.size:  # an extended header, or all but the data in another process
        known = crc32(member.archive.read(member.start + at, member.start + start), known)
    elif start not in {0, at} or not part.size:
        return None
    found: int = crc32(part.data, known if start else 0)
    sums[key] = start + part.size, found
    return found if start + part.size == member.entry.packed else None


class DeflatedMember(StoredMember):
    """A deflated member, as the gzip file it is the inside of."""

    __slots__ = ()

    def size(self) -> int:
        """Return the number of bytes of the gzip file."""
        return len(GZIP_HEAD) + self.entry.packed + len(self._tail)

    @property
    def _tail(self) -> bytes:
        return struct.pack("<II", self.entry.crc, self.entry.size & 0xFFFFFFFF)

    def read_into(self, start: int, out: NDArray[np.uint8]) -> int:
        """Fill `out` from byte `start`; return the bytes read, fewer only at the end."""
        low, high = len(GZIP_HEAD), len(GZIP_HEAD) + self.entry.packed
        done = _copy(GZIP_HEAD, start, out)
        inside = out[done : max(done, high - start)]
        if inside.size:
            done += StoredMember.read_into(self, start + done - low, inside)
        return done + (_copy(self._tail, start + done - high, out[done:]) if start + done >= high else 0)


def _copy(data: bytes, start: int, out: NDArray[np.uint8]) -> int:
    """Fill `out` from byte `start` of `data`; return how many bytes there were."""
    part = np.frombuffer(data, dtype=np.uint8)[start : start + out.size]
    out[: part.size] = part
    return part.size


# ------------------------------------------------------------------------------------------ finding


def find_member(archive: ByteSource, member: str) -> StoredMember | None:
    """Return the member of that name, or None if zipfile must read it.

    This reads the end of the archive, the rest of its directory, and the member's header.

    Parameters
    ----------
    archive : ByteSource
        The archive.
    member : str
        The name of the member in its directory.

    Raises
    ------
    OSError
        When it is not an archive, or has no such member.

    Examples
    --------
    >>> import io
    >>> from mrcarray.storage.memory import MemorySource
    >>> file = io.BytesIO()
    >>> with zipfile.ZipFile(file, "w") as archive:
    ...     archive.writestr("inner/a.txt", "abcdef")
    >>> found = find_member(MemorySource(file.getvalue(), "a.zip"), "inner/a.txt")
    >>> found, bytes(found.read(2, 4))
    (StoredMember('zip://inner/a.txt::a.zip', 6 bytes), b'cd')
    """
    if isinstance(archive, StoredMember) and archive.entry.method != zipfile.ZIP_STORED:
        return None
    size = archive.size()
    if size is None:
        text = "the server does not declare the size of the archive, whose directory is at its end"
        way_out = 'put "simplecache::" in front of its URL to download it whole once'
        raise io.UnsupportedOperation(f"{printable(archive.name)}: {text}; {way_out}")
    try:
        end = SourceFile(archive)  # `zipfile` looks for the directory in many small steps
        end.seek(max(0, size - TAIL))
        end.read(TAIL)
        with zipfile.ZipFile(end) as directory:
            info = _listed(directory, member, archive.name)
    except NotImplementedError:
        return None
    except (zipfile.BadZipFile, ValueError, struct.error) as error:
        raise _damaged(archive, str(error)) from None
    entry = Entry(member, info.compress_type, info.compress_size, info.file_size, info.CRC)
    kind = _kind(entry.method)
    if kind is None or info.flag_bits & (ENCRYPTED | PATCHED):
        return None
    start, first = _locate(archive, info)
    return kind(archive, entry, start, first)


def _kind(method: int) -> type[StoredMember] | None:
    if method == zipfile.ZIP_DEFLATED:
        return DeflatedMember
    return StoredMember if method == zipfile.ZIP_STORED or method in STREAMS else None


def _listed(directory: zipfile.ZipFile, member: str, name: str) -> zipfile.ZipInfo:
    try:
        return directory.getinfo(member)
    except KeyError:
        pass
    if any(other.startswith(f"{member}/") for other in directory.namelist()):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), f"zip://{member}::{name}")
    raise FileNotFoundError(errno.ENOENT, "the archive has no such member", f"zip://{member}::{name}")


def _locate(archive: ByteSource, info: zipfile.ZipInfo) -> tuple[int, bytes]:
    """Return where a member starts, and its first bytes."""
    header, name = info.header_offset, info.orig_filename
    many = LOCAL.size + 4 * len(name) + EXTRA + getattr(archive, "granule", FIRST)
    data = bytes(archive.read(header, header + many))
    if not data.startswith(SIGNATURE) or len(data) < LOCAL.size:
        raise _damaged(archive, f"no member header at byte {header}")
    flags, length, extra = LOCAL.unpack_from(data)
    written = data[LOCAL.size :][:length].decode("utf-8" if flags & UTF_8 else "cp437", "replace")
    if written != name:
        raise _damaged(archive, f"the member at byte {header} is {written!r}; expected {name!r}")
    skip = LOCAL.size + length + extra
    if header + skip + info.compress_size > (archive.size() or 0):
        raise _damaged(archive, f"it ends inside its member {name!r}")
    return header + skip, data[skip : skip + info.compress_size]


def _damaged(archive: ByteSource, what: str) -> OSError:
    return OSError(errno.EIO, printable(f"damaged zip archive: {what}"), archive.name)


# ------------------------------------------------------------------------------------------ open members


def member_of(file: Any) -> StoredMember | None:
    """Return the member that an open file of `zipfile` reads, or None if it must be read through that file.

    Parameters
    ----------
    file : zipfile.ZipExtFile
        What ``ZipFile.open`` or fsspec's file system of archives returns. It is not closed.
    """
    facts = _compat.zip_member_facts(file)
    if facts is None:
        return None
    shared, start, method, packed, size, crc = facts
    kind = _kind(method)
    if kind is None:
        return None
    archive = FileObjectSource(shared, f"<{type(file).__name__}>", of=file)
    return kind(archive, Entry(file.name, method, packed, size, crc), start)
