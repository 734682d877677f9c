"""Read files named by URL, range by range: `RemoteSource`.

A source contains the URL, the options, size and tag. The first request brings the first bytes together with size and
tag, with which every later answer is compared. Credentials are in pickles, for workers need them; but they are in no
name, text, token or error.
"""

from __future__ import annotations

import hashlib
import pickle
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mrcarray.errors import MrcValueError, MrcWarning, TruncatedError, missing_package, printable
from mrcarray.storage.cache import ProcessCache
from mrcarray.storage.coalesce import merge
from mrcarray.storage.remote.filesystem import transport_for
from mrcarray.storage.remote.http_response import Limits
from mrcarray.storage.remote.transport import guarded
from mrcarray.urls import public_name, redactor

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from numpy.typing import NDArray

    from mrcarray.storage.remote.transport import Piece, Transport

__all__ = ["RemoteSource", "open_remote"]

_PACKAGES = {"http": ("HTTP", "aiohttp"), "https": ("HTTP", "aiohttp"), "s3": ("S3", "s3fs"), "s3a": ("S3", "s3fs")}
"""Protocols whose packages our extra installs."""

HEAD = 1 << 16
"""Bytes the first request asks for: the header, and most extended headers."""

GAP = 1 << 17
"""Ranges at most so far apart share a request: reading that many bytes takes about as long as another request."""

PART = 32 << 20
"""Bytes of one request."""


def open_remote(url: str, storage_options: Mapping[str, Any] | None = None) -> RemoteSource:
    """Return a source for a URL; this takes one request where the protocol allows it.

    Parameters
    ----------
    url : str
        Any URL fsspec knows, also a chain such as ``simplecache::https://...``.
    storage_options : mapping, optional
        What the protocol takes: credentials, headers, ...; for HTTP and S3 also ``min_rate`` and ``total_timeout``
        (see `mrcarray.storage.remote.http_response.Limits`).

    Raises
    ------
    OSError
        When there is no such file, it may not be read, or the server cannot be reached or serves no ranges.
    MissingDependencyError
        When the package for the protocol is not installed.
    MrcValueError
        When there is no such protocol.

    Warns
    -----
    MrcWarning
        When the server sends neither ETag nor modification time.

    Examples
    --------
    >>> import fsspec
    >>> _ = fsspec.filesystem("memory").pipe("/a/b.bin", b"abcdef")
    >>> source = open_remote("memory://a/b.bin")
    >>> source, bytes(source.read(2, 4))
    (RemoteSource('memory://a/b.bin', 6 bytes), b'cd')
    """
    options = dict(storage_options or {})
    name = public_name(url)
    head = np.empty(HEAD, dtype=np.uint8)
    transport = _transport(url, options)
    count, found = guarded(lambda: transport.open(head.data), name, redactor(url, options))
    if not found[1] and found[0] != 0:
        text = "the server sends neither ETag nor Last-Modified; a change that keeps the size of the file"
        warnings.warn(f"{printable(name)}: {text} will not be noticed", MrcWarning, stacklevel=4)
    source = RemoteSource(url, options, found)
    heads[source] = head[:count].tobytes()
    return source


@dataclass(frozen=True, slots=True, repr=False)
class RemoteSource:
    """A file named by URL.

    Parameters
    ----------
    url : str
        The URL, credentials and all.
    options : dict
        The options of the protocol.
    found : (int or None, str)
        Size and tag the file must have.
    part : int
        Bytes of one request; larger ranges are cut and asked for side by side.
    """

    url: str
    options: dict[str, Any] = field(hash=False)
    found: tuple[int | None, str]
    part: int = field(default=PART, compare=False)
    granule: ClassVar[int] = HEAD
    in_order: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """The URL without credentials."""
        return public_name(self.url)

    @property
    def fingerprint(self) -> tuple[Hashable, ...]:
        """Size and tag, and a digest of the URL where its name does not contain all of it."""
        name = self.name
        if name == self.url:
            return self.found
        return (*self.found, hashlib.blake2b(self.url.encode(), digest_size=8).hexdigest())

    def size(self) -> int | None:
        """Return the size the file had when it was opened."""
        return self.found[0]

    def read(self, start: int, stop: int) -> memoryview:
        """Return the bytes ``start:stop``; fewer only at the end of the file."""
        size = self.size()
        out = np.empty(max(0, (stop if size is None else min(stop, size)) - start), dtype=np.uint8)
        return out[: self.read_into(start, out)].data.toreadonly()

    def read_into(self, start: int, out: NDArray[np.uint8]) -> int:
        """Fill `out` from byte `start`; return the bytes read, fewer only at the end of the file."""
        size = self.size()
        count = out.size if size is None else max(0, min(out.size, size - start))
        if not count:
            return 0
        head = heads.get(self)
        if head is not None and start + count <= len(head):
            out[:count] = np.frombuffer(head, dtype=np.uint8)[start : start + count]
            return count
        view = out.data[:count]
        pieces = [(start + at, view[at : at + self.part]) for at in range(0, count, self.part)]
        done = 0
        for (_, part), arrived in zip(pieces, self._fetch(pieces), strict=True):
            done += arrived
            if arrived < len(part):
                break
        return done

    def read_ranges(self, starts: Sequence[int], outs: Sequence[NDArray[np.uint8]]) -> None:
        """Fill every array of `outs` from its byte in `starts`; neighbours share a request."""
        size = self.size()
        wanted = [(start, start + out.size) for start, out in zip(starts, outs, strict=True)]
        last = max((stop for _, stop in wanted), default=0)
        if size is not None and last > size:
            raise TruncatedError(f"bytes up to {last} were asked for, but there are {size}", self.name)
        spans = merge(wanted, GAP, self.part)
        buffers = [np.empty(stop - start, dtype=np.uint8) for start, stop in spans]
        arrived = self._fetch([(start, buffer.data) for (start, _), buffer in zip(spans, buffers, strict=True)])
        lows = np.array([start for start, _ in spans])
        for start, out in zip(starts, outs, strict=True):
            i = int(np.searchsorted(lows, start, side="right")) - 1
            part = buffers[i][: arrived[i]][start - spans[i][0] :][: out.size]
            if part.size < out.size:
                text = f"bytes {start} to {start + out.size} were asked for, but the file ends before"
                raise TruncatedError(text, self.name)
            out[:] = part

    def _fetch(self, pieces: Sequence[Piece]) -> list[int]:
        transport = _transport(self.url, self.options)
        redact = redactor(self.url, self.options)
        found: list[int] = guarded(lambda: transport.fetch(pieces, self.found), self.name, redact)
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the URL, the options and the fingerprint."""
        return RemoteSource, (self.url, self.options, self.found)

    def __repr__(self) -> str:
        return f"RemoteSource({self.name!r}, {self.found[0]} bytes)"

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        """Return what names the content, without the options."""
        return ("mrcarray.RemoteSource", self.name, self.fingerprint)


# ------------------------------------------------------------------------------------------ connections

transports: ProcessCache[Transport] = ProcessCache(256)
"""File systems by URL and options: connections belong to fsspec's file systems, one for each URL and options."""

heads: ProcessCache[bytes] = ProcessCache(256)
"""First bytes of the files opened last."""


def _transport(url: str, options: dict[str, Any]) -> Transport:
    return transports.get_or_make((url, _digest(options)), lambda: _connect(url, options))


def _digest(options: dict[str, Any]) -> str:
    if not options:
        return ""
    try:
        return hashlib.blake2b(pickle.dumps(sorted(options.items())), digest_size=16).hexdigest()
    except Exception:  # noqa: BLE001 -- options may contain any object; those that cannot be sent are known by identity
        return str(id(options))


def _needed(url: str, error: ImportError) -> tuple[str, str, str]:
    """Return what a URL needs that is not installed: the protocol, the package, and the extra that installs it."""
    protocol = url.rpartition("::")[2].partition("://")[0].lower()
    if protocol in _PACKAGES:
        return f"reading {_PACKAGES[protocol][0]}", _PACKAGES[protocol][1], "remote"
    cause = error if error.name else error.__cause__ or error.__context__
    return f"reading {protocol}://", str(getattr(cause, "name", None) or protocol), ""


def _connect(url: str, options: dict[str, Any]) -> Transport:
    name, redact = public_name(url), redactor(url, options)

    def connect() -> Transport:
        try:
            limits, rest = Limits.split(options)
            return transport_for(lambda: _file_system(url, rest), name, limits)
        except ImportError as error:
            raise missing_package(*_needed(url, error)) from None
        except (ValueError, TypeError) as error:
            raise MrcValueError(printable(f"{name}: {redact(str(error))}")) from None

    found: Transport = guarded(connect, name, redact)
    return found


def _file_system(url: str, options: dict[str, Any]) -> tuple[Any, str]:
    """Return fsspec's file system for a URL and the path in it; one of an archive is not kept, for it holds it open."""
    from fsspec.core import url_to_fs

    fresh = {"skip_instance_cache": True} if url.split(":", 1)[0] in {"zip", "tar", "libarchive"} else {}
    found: tuple[Any, str] = url_to_fs(url, **options, **fresh)
    return found
