"""Files named by URL, read by ranges.

A `RemoteSource` holds the URL, the options, size and tag; connections belong to fsspec's file systems, one for each
process, URL and options. The first request brings the first bytes together with size and tag. Every later answer is
compared with them. Credentials go where the source goes, in pickles too, for workers need them; but they are in no
name, text, token or error.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import threading
import warnings
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import MissingDependencyError, MrcValueError, MrcWarning, TruncatedError, printable
from mrcarray.storage.remote.http import guarded, transport_for
from mrcarray.storage.remote.http_response import Limits
from mrcarray.urls import public_name, redactor

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from mrcarray.storage.remote.http import Piece, Transport

__all__ = ["RemoteSource", "open_remote"]

HEAD = 1 << 16
"""Bytes the first request asks for: the header, and most extended headers."""

HEADS = 256
"""First bytes of files that are kept."""

GAP = 1 << 17
"""Bytes between two ranges that are rather read than asked around: about what a request takes in time."""

PART = 32 << 20
"""Bytes of one request; larger ranges are cut and asked for side by side."""


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
        When the server tells neither ETag nor modification time.

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
        text = "nothing tells when the file was changed (no ETag, no Last-Modified); a change that keeps its size"
        warnings.warn(f"{printable(name)}: {text} will not be noticed", MrcWarning, stacklevel=4)
    source = RemoteSource(url, options, found)
    _heads.put(source, head[:count].tobytes())
    return source


@dataclass(frozen=True, slots=True, repr=False, eq=False)
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
    """

    url: str
    options: dict[str, Any]
    found: tuple[int | None, str]
    granule: int = field(default=HEAD, init=False)
    in_order: bool = field(default=True, init=False)

    @property
    def name(self) -> str:
        """The URL without credentials."""
        return public_name(self.url)

    @property
    def fingerprint(self) -> tuple[Hashable, ...]:
        """Size and tag, and a digest of the URL where its name does not tell all of it."""
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
        head = _heads.get(self)
        if head is not None and start + count <= len(head):
            out[:count] = np.frombuffer(head, dtype=np.uint8)[start : start + count]
            return count
        view = out.data[:count]
        pieces = [(start + at, view[at : at + PART]) for at in range(0, count, PART)]
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
        spans = merge(wanted)
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

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RemoteSource):
            return NotImplemented
        return (self.url, self.found, self.options) == (other.url, other.found, other.options)

    def __hash__(self) -> int:
        return hash((self.url, self.found))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the URL, the options and the fingerprint."""
        return RemoteSource, (self.url, self.options, self.found)

    def __repr__(self) -> str:
        return f"RemoteSource({self.name!r}, {self.found[0]} bytes)"

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        """Return what names the content, without the options."""
        return ("mrcarray.RemoteSource", self.name, self.fingerprint)


def merge(ranges: Iterable[tuple[int, int]], gap: int = GAP) -> list[tuple[int, int]]:
    """Join ranges that lie close together.

    Examples
    --------
    >>> merge([(0, 10), (20, 30), (200, 300)], gap=50)
    [(0, 30), (200, 300)]
    """
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(ranges):
        if joined and start - joined[-1][1] <= gap and stop - joined[-1][0] <= PART:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined


# ------------------------------------------------------------------------------------------ connections


class _Transports:
    """File systems by URL and options, for this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: OrderedDict[tuple[Hashable, ...], Transport] = OrderedDict()

    def of(self, url: str, options: dict[str, Any]) -> Transport:
        key = (url, _digest(options))
        with self._lock:
            found = self._all.get(key)
            if found is None:
                found = self._all[key] = _connect(url, options)
                if len(self._all) > HEADS:
                    self._all.popitem(last=False)
            return found


def _digest(options: dict[str, Any]) -> str:
    if not options:
        return ""
    try:
        return hashlib.blake2b(pickle.dumps(sorted(options.items())), digest_size=16).hexdigest()
    except Exception:  # noqa: BLE001 -- options may hold anything; those that cannot be sent are known by identity
        return str(id(options))


def _connect(url: str, options: dict[str, Any]) -> Transport:
    name, redact = public_name(url), redactor(url, options)

    def connect() -> Transport:
        try:
            limits, rest = Limits.split(options)
            return transport_for(lambda: _file_system(url, rest), name, limits)
        except ImportError as error:
            what = f"{name}: {redact(str(error))}; pip install 'mrcarray[remote]' brings what most protocols need"
            raise MissingDependencyError(printable(what)) from None
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


class _Heads:
    """First bytes of the files opened last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: OrderedDict[RemoteSource, bytes] = OrderedDict()

    def put(self, source: RemoteSource, head: bytes) -> None:
        with self._lock:
            self._all[source] = head
            if len(self._all) > HEADS:
                self._all.popitem(last=False)

    def get(self, source: RemoteSource) -> bytes | None:
        with self._lock:
            return self._all.get(source)


_transports = _Transports()
_heads = _Heads()


def _transport(url: str, options: dict[str, Any]) -> Transport:
    return _transports.of(url, options)


def _after_fork() -> None:
    """Begin anew in a child, which has none of the threads that serve connections and may hold locks."""
    global _transports, _heads
    _transports, _heads = _Transports(), _Heads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
