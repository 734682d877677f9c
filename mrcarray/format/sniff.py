"""Identify files that are not MRC by their first bytes."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

from mrcarray.format.byteorder import is_deltavision, words
from mrcarray.format.fields import HEADER_NBYTES, LABELS
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.modes import MODES
from mrcarray.unfinished import MARKER_START

if TYPE_CHECKING:
    from mrcarray.format.byteorder import Words

__all__ = ["identify", "looks_like_mrc"]

_COMPRESSED: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)

_FORMATS: tuple[tuple[bytes, str], ...] = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"CDF\x01", "a netCDF file"),
    (b"CDF\x02", "a netCDF file"),
    (b"CDF\x05", "a netCDF file"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"II+\0", "a BigTIFF image"),
    (b"MM\0+", "a BigTIFF image"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"%PDF-", "a PDF document"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"SIMPLE  =", "a FITS file"),
    (b"NRRD000", "an NRRD image"),
)

_EM_HEADER, _EM_MACHINES = 512, range(7)
_EM_ITEMS = {1: 1, 2: 2, 4: 4, 5: 4, 8: 8, 9: 8}
"""Type code of an EM file, at byte 3, and its bytes per pixel."""

_DM_VERSIONS = {3: (8, 12), 4: (12, 16)}
"""Version of a DigitalMicrograph file -> offsets of the byte order and of the first group of tags."""

_LFS = b"version https://git-lfs.github.com/spec/"
_HTML = (b"<!doctype html", b"<html", b"<?xml", b"<head", b"<body")
_STRICT_DIM, _GROUPS = 1 << 17, 1000


def _error(code: str, text: str) -> Issue:
    return Issue(code, Severity.ERROR, text)


def identify(first_bytes: bytes, size: int | None = None) -> Issue | None:
    """Identify a file that cannot be MRC; return None when it may be MRC.

    Parameters
    ----------
    first_bytes : bytes
        The first 1024 bytes of the file, or all if it is shorter.
    size : int, optional
        Size of the whole file, when known.

    Returns
    -------
    Issue or None
        An error that names the format.

    Examples
    --------
    >>> identify(b"", 0).message
    'the file is empty (0 bytes); expected at least the 1024 bytes of a header'
    """
    head = bytes(first_bytes[:HEADER_NBYTES])
    if not head:
        return _error("MRC902", "the file is empty (0 bytes); expected at least the 1024 bytes of a header")
    if head[208:211] == b"MAP":
        return None
    found = _by_magic(head) or _by_structure(head, len(head) if len(head) < HEADER_NBYTES else size)
    if found is None and len(head) < HEADER_NBYTES:
        length = len(head) if size is None else size
        return _error("MRC903", f"the file has {length} bytes; expected at least the 1024 bytes of a header")
    return found


def _by_magic(head: bytes) -> Issue | None:
    """Identify a file by its magic number."""
    if head.startswith(_LFS):
        text = "the file is a git-LFS pointer, not the data; fetch them with 'git lfs pull'"
        return _error("MRC904", text)
    if head.startswith(MARKER_START):
        text = "the file is unfinished: a program is overwriting it, or was interrupted while doing so; write it again"
        return _error("MRC106", text)
    text_start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:16].lower()
    if text_start.startswith(_HTML):
        return _error("MRC905", "the file is a web page (HTML or XML), perhaps an error page saved by a download")
    for magic, name in _COMPRESSED:
        if head.startswith(magic):
            text = f"the file is compressed with {name}; decompress it before reading its header"
            return _error("MRC906", text)
    for magic, name in _FORMATS:
        if head.startswith(magic):
            return _error("MRC907", f"the file is {name}; expected the header of an MRC file")
    return None


def _by_structure(head: bytes, size: int | None) -> Issue | None:
    """Identify a file without a magic number by the values of its fields."""
    if version := _digital_micrograph(head):
        text = f"the file is a DigitalMicrograph file (DM{version}); expected the header of an MRC file"
        return _error("MRC907", f"{text}; convert it, for example with IMOD's dm2mrc or RosettaSciIO")
    if _is_em(head, size):
        text = "the file is an EM image (TOM toolbox, Dynamo); expected the header of an MRC file"
        return _error("MRC907", f"{text}; convert it, for example with EMAN2's e2proc3d.py")
    if len(head) == HEADER_NBYTES and not any(head):
        text = "the header is 1024 zero bytes, which an interrupted copy or acquisition leaves"
        return _error("MRC909", f"{text}; copy or write the file again")
    return None


def _digital_micrograph(head: bytes) -> int:
    """Return the version of a DigitalMicrograph file, 0 for other files; its first tags follow a fixed header."""
    version = int.from_bytes(head[:4], "big")
    if version not in _DM_VERSIONS:
        return 0
    order, tags = _DM_VERSIONS[version]
    count = 4 if version == 3 else 8  # noqa: PLR2004 -- bytes of the number of tags
    flags, first = head[tags : tags + 2], head[tags + 2 + count : tags + 3 + count]
    known = head[order : order + 4] in (bytes(4), b"\0\0\0\1") and all(flag <= 1 for flag in flags)
    return version if known and first in (b"\x14", b"\x15") else 0


def _is_em(head: bytes, size: int | None) -> bool:
    """Return whether machine, type, dimensions and size fit an EM file, and the size does not fit MRC as well."""
    if size is None or len(head) < _EM_HEADER or head[0] not in _EM_MACHINES or head[3] not in _EM_ITEMS:
        return False
    if len(head) == HEADER_NBYTES and any(words(head, order).fits(size) for order in ("<", ">")):
        return False
    dims = (struct.unpack_from(order + "3i", head, 4) for order in "<>")
    return any(min(n) > 0 and _EM_HEADER + math.prod(n) * _EM_ITEMS[head[3]] == size for n in dims)


def looks_like_mrc(first_bytes: bytes, file_size: int | None = None) -> bool:
    """Return whether a file is probably MRC; fast, and never raises.

    With a map identifier, dimensions and mode must be plausible in one byte order. Without it all words must be, and
    the size of the file must fit them if it is known.

    Parameters
    ----------
    first_bytes : bytes
        The first bytes of the file, at least 1024.
    file_size : int, optional
        Size of the whole file.

    Examples
    --------
    >>> looks_like_mrc(b"HDF")
    False
    """
    if len(first_bytes) < HEADER_NBYTES:
        return False
    raw = bytes(first_bytes[:HEADER_NBYTES])
    tried = (words(raw, "<"), words(raw, ">"))
    if raw[208:211] == b"MAP":
        return any(w.mode in MODES and (min(w.dims) > 0 or not any(w.dims)) and w.nsymbt >= 0 for w in tried)
    if raw[208:211] == b"HKL" or identify(raw, file_size) is not None:
        return False
    return any(_strictly(w, file_size, deltavision=is_deltavision(raw)) for w in tried)


def _strictly(w: Words, file_size: int | None, *, deltavision: bool) -> bool:
    sane = (
        w.plausible
        and any(w.mapcrs)
        and max(w.nx, w.ny) <= _STRICT_DIM
        and 0 <= w.nlabl <= LABELS
        and all(math.isfinite(length) for length in w[7:10])
    )
    return sane and (file_size is None or w.fits(file_size) or deltavision)
