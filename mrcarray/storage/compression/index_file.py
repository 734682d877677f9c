"""Keep the checkpoints of a compressed file in a file, so that the next process need not make the pass again.

The file of a gzip file is the index file of indexed_gzip; that of other formats starts empty. A trailer follows: the
first bytes of the content where those take long to decode, a line of JSON (which content the index belongs to, and the
checkpoints of bzip2), and a footer (checksum, length of the line, magic number). An index that is damaged, of another
version or of other content is ignored and built again. If a local file has another fingerprint (it was copied, or its
permissions changed), a checksum of its compressed bytes decides.

An index is trusted as the file itself is: a user who can write one can write the other. But an index takes no more
memory than `MOST`, and causes no other error than the file could.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import struct
import zlib
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mrcarray.storage.atomic import AtomicFile
from mrcarray.storage.cache_folder import cache_folder
from mrcarray.storage.coalesce import PIECE
from mrcarray.storage.compression.checkpoints import Checkpoint
from mrcarray.storage.compression.member_decoders import deflate_library

if TYPE_CHECKING:
    from collections.abc import Hashable

    from mrcarray.storage.source import ByteSource

__all__ = ["SUFFIX", "Index", "IndexTarget", "checksum", "load", "locate", "save"]

SUFFIX = ".seekindex"

FOOTER = struct.Struct("<II8s")
MAGIC = b"mrcidx 4"

MOST = 64 << 20
"""Most bytes of an index file."""

LINE = 2 << 20
"""Most bytes of the line of JSON: some 40,000 checkpoints, which take 10 MiB when they are read."""

POINTS = 32_768
"""Most checkpoints of bzip2 that are kept; of more, only some."""


class IndexTarget(NamedTuple):
    """Where an index is kept, and how many bytes of the content it must reach."""

    path: Path
    limit: int | None


class Index(NamedTuple):
    """The content of an index file.

    Parameters
    ----------
    checkpoints : list of Checkpoint
        Those of bzip2.
    gzip : bytes
        The index file of indexed_gzip.
    reach : int or None
        How much of the content `gzip` covers; None for all.
    end : int or None
        The size of the content, if it is known.
    head : bytes
        The first bytes of the content.
    checksum : tuple of int, optional
        Size and CRC-32 of the compressed bytes.
    """

    checkpoints: list[Checkpoint]
    gzip: bytes = b""
    reach: int | None = None
    end: int | None = None
    head: bytes = b""
    checksum: tuple[int, ...] | None = None


def locate(name: str, fingerprint: tuple[Hashable, ...], index: bool | str) -> Path | None:  # noqa: FBT001 -- a path, or True
    """Return the path of the index of a file, or None where there is no folder for it.

    Parameters
    ----------
    name : str
        Path or URL of the compressed file.
    fingerprint : tuple
        What identifies its content; URLs may have the same name without credentials.
    index : True or str
        True for next to the file (or in the cache folder where that cannot be written); or a file or folder.
    """
    sibling = Path(name + SUFFIX)
    key = (name,) if sibling.is_absolute() else (name, fingerprint)
    digest = hashlib.blake2b(repr(key).encode(errors="surrogateescape"), digest_size=16).hexdigest() + SUFFIX
    if isinstance(index, str):
        return Path(index) / digest if index.endswith(os.sep) or Path(index).is_dir() else Path(index)
    if sibling.is_absolute() and (sibling.exists() or os.access(sibling.parent, os.W_OK)):
        return sibling
    folder = cache_folder()
    return None if folder is None else folder / digest


def checksum(inner: ByteSource) -> tuple[int, ...] | None:
    """Return size and CRC-32 of the bytes of a local file; None for others, whose etags identify them."""
    size = inner.size()
    if size is None or not Path(inner.name).is_absolute():
        return None
    found = 0
    for start in range(0, size, PIECE):
        found = deflate_library().crc32(inner.read(start, min(start + PIECE, size)), found)
    return size, found


def save(path: Path, fingerprint: tuple[Hashable, ...], index: Index) -> None:
    """Write an index, completely or not at all.

    Raises
    ------
    OSError
        When it cannot be written.
    """
    kept = index.checkpoints[:1] + index.checkpoints[1 :: len(index.checkpoints) // POINTS + 1]
    facts = {
        "content": repr(fingerprint),
        "checksum": index.checksum,
        "reach": index.reach,
        "end": index.end,
        "head": len(index.head),
        "checkpoints": [(one.out, one.inner, one.bits, one.inside) for one in kept],
    }
    line = json.dumps(facts).encode()
    body = index.gzip + index.head + line
    footer = FOOTER.pack(zlib.crc32(body), len(line), MAGIC)
    if len(body) + len(footer) > MOST:
        raise ValueError(f"it would take {len(body)} bytes, more than {MOST}")
    path.parent.mkdir(parents=True, exist_ok=True)
    # It contains parts of the file, so only the owner may read it. After a power cut it is built again: no sync.
    with AtomicFile(path, overwrite=True, sync=False, follow=False, mode=0o600) as file:
        file.write_at(0, body + footer)
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
        facts, data = _read(path)
        content, index = facts["content"], _parse(facts, data)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError, struct.error):
        return None
    if content == repr(fingerprint):
        return index
    if index.checksum is None or inner is None or index.checksum != checksum(inner):
        return None
    with contextlib.suppress(OSError):  # so that the next session need not read the file for its checksum
        save(path, fingerprint, index)
    return index


def _read(path: Path) -> tuple[dict[str, Any], bytes]:
    """Return the line of JSON and what is before it; raise ValueError where the file is not an index."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)  # do not wait for a pipe of that name
    with os.fdopen(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        size = status.st_size - FOOTER.size
        if not stat.S_ISREG(status.st_mode) or not 0 <= size <= MOST:
            raise ValueError("not an index")
        file.seek(size)
        check, length, magic = FOOTER.unpack(file.read(FOOTER.size))
        file.seek(0)
        if magic != MAGIC or length > min(LINE, size) or check != zlib.crc32(body := file.read(size)):
            raise ValueError("damaged, or of another version")
    facts: dict[str, Any] = json.loads(body[size - length :])
    return facts, body[: size - length]


def _parse(facts: dict[str, Any], data: bytes) -> Index:
    """Return the index; raise ValueError where it cannot be that of any file, for it may have been made to harm."""
    found = [
        Checkpoint(_count(out), _count(inner), _count(bits), inside=bool(inside))
        for out, inner, bits, inside in facts["checkpoints"]
    ]
    ascending = all(one.out < other.out and one.inner <= other.inner for one, other in pairwise(found))
    if not ascending or found[:1] != [Checkpoint(0, 0)] or any(one.bits > 7 for one in found):  # noqa: PLR2004 -- a byte
        raise ValueError("impossible checkpoints")
    reach, end, known = facts["reach"], facts["end"], facts["checksum"]
    size = len(data) - _count(facts["head"])
    if size < 0 or (reach is not None and _count(reach) < 0) or (end is not None and _count(end) < found[-1].out):
        raise ValueError("impossible sizes")
    return Index(found, data[:size], reach, end, data[size:], known if known is None else tuple(map(_count, known)))


def _count(value: Any) -> int:
    """Return a number that can be a position in a file."""
    if type(value) is not int or not 0 <= value < 1 << 62:
        raise ValueError("not a position in a file")
    return value
