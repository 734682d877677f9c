"""Read compressed files like plain ones: `CompressedSource`.

A source is a value: the source of the compressed bytes, the name of the format, and how many bytes are wanted. What the
process learns while it decodes is kept in `readers`, by fingerprint, so that copies of the source share it, also those
that arrive in a pickle.

Output is never more than what is asked for and one piece (256 KiB, for bzip2 some blocks), whatever the input.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import LimitError, MrcWarning, TruncatedError, printable
from mrcarray.storage.cache import ProcessCache
from mrcarray.storage.cache_folder import FOLDER
from mrcarray.storage.coalesce import merge
from mrcarray.storage.compression.codecs import CODECS
from mrcarray.storage.compression.heads import LENGTH, heads, known_head, read_head
from mrcarray.storage.compression.index_file import IndexTarget, locate
from mrcarray.storage.compression.seekable import SeekableReader
from mrcarray.storage.compression.sequential import read_pieces
from mrcarray.storage.compression.stream import first_bytes
from mrcarray.storage.local import absolute
from mrcarray.storage.source import HEAD_NBYTES

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    from mrcarray.errors import CompressionError
    from mrcarray.storage.compression.decoder import Codec
    from mrcarray.storage.source import ByteSource

__all__ = ["CompressedSource", "forget", "open_compressed", "readers"]

PART = 1 << 20
"""Bytes for which `read` allocates before it knows that they exist."""

GAP, SPAN = 1 << 17, 8 << 20
"""Ranges closer than `GAP` are decoded together, at most `SPAN` bytes at a time."""

readers: ProcessCache[SeekableReader] = ProcessCache(512, (256 << 20, 16 << 30, 64), SeekableReader.weigh)
"""Readers by name and fingerprint: at most 512, with 256 MiB of memory and 16 GiB in 64 temporary files."""


@dataclass(frozen=True, slots=True)
class CompressedSource:
    """The uncompressed bytes of a compressed source.

    Parameters
    ----------
    inner : ByteSource
        The compressed bytes.
    codec : str
        Name of the row in `mrcarray.storage.compression.codecs.CODECS`.
    limit : int, optional
        Bytes that are wanted from the start on; a read up to there verifies the checksum.
    permissive : bool
        Whether damage ends the content, with a warning, instead of raising.
    max_bytes : int, optional
        Refuse to read beyond this byte.
    index : bool or str
        Keep the index in a file: True for next to the compressed file or in the cache folder, or a path.
    head : bytes, optional
        First uncompressed bytes, decoded when the source was opened.

    Examples
    --------
    >>> import gzip
    >>> from mrcarray.storage import open_source
    >>> source = open_source(gzip.compress(b"abcdef"))
    >>> bytes(source.read(2, 4))
    b'cd'
    """

    inner: ByteSource
    codec: str
    limit: int | None = None
    permissive: bool = False
    max_bytes: int | None = None
    index: bool | str = False
    head: bytes = field(default=b"", compare=False, repr=False)

    @property
    def name(self) -> str:
        """Name of the compressed source."""
        return self.inner.name

    @property
    def fingerprint(self) -> tuple[Hashable, ...]:
        """What identifies the compressed source, and its format."""
        return (*self.inner.fingerprint, self.codec)

    @property
    def in_order(self) -> bool:
        """Whether a large range is best read from its start to its end by one thread."""
        return self._reader().fresh

    @property
    def verified(self) -> bool:
        """Whether a pass has reached the end, with all checksums right; a partial read verifies nothing."""
        return self._reader().verified

    def bounded(
        self, limit: int | None = None, *, permissive: bool | None = None, max_bytes: int | None = None
    ) -> CompressedSource:
        """Return a source that knows how much of it is wanted, and what to do with damage.

        Parameters
        ----------
        limit : int, optional
            Bytes wanted from the start on.
        permissive : bool, optional
            Whether damage ends the content instead of raising.
        max_bytes : int, optional
            Refuse to read beyond this byte.
        """
        return replace(
            self,
            limit=self.limit if limit is None else limit,
            permissive=self.permissive if permissive is None else permissive,
            max_bytes=self.max_bytes if max_bytes is None else max_bytes,
        )

    def size(self) -> int | None:
        """Return the number of bytes if a pass has reached the end, else None."""
        return self._reader().end

    def available(self, stop: int) -> int:
        """Decode up to `stop`, and return how many bytes there are before it.

        This is a pass over the file, after which reading starts at checkpoints; of a damaged file it returns how many
        bytes were whole.
        """
        self._refuse(stop)
        reader = self._reader()
        try:
            count, damage = reader.reach(stop)
        finally:
            readers[self.key] = reader
        self._report(damage if count < stop else None)
        return count

    def read(self, start: int, stop: int) -> memoryview:
        """Return the bytes ``start:stop``; fewer only where the content ends."""
        self._refuse(stop)
        if stop <= len(self.head) and stop != self.limit:
            return memoryview(self.head)[start:stop]
        if stop > LENGTH or stop == self.limit or CODECS[self.codec].member is not None:  # no head worth keeping
            return read_pieces(self.read_into, start, stop, PART)
        target = self._target()
        if target is not None and not known_head(self.inner):
            self._reader().prepare(target)
        return memoryview(
            read_head(self.inner, start, stop, lambda low, high: read_pieces(self.read_into, low, high, PART))
        )

    def read_into(self, start: int, out: NDArray[np.uint8]) -> int:
        """Fill `out` from byte `start`; return the bytes read, fewer only where the content ends."""
        stop = start + out.size
        self._refuse(stop)
        if not out.size:
            return 0
        last = stop == self.limit
        reader = self._reader()
        try:
            whole = last and out.size * 2 > stop
            count, damage = reader.read_into(start, out, whole=whole, last=last, target=self._target())
            if last and count == out.size:
                damage = self._finish(reader, stop)
        finally:
            readers[self.key] = reader  # it may use more memory now
        self._report(damage)
        return count

    def read_ranges(self, starts: Sequence[int], outs: Sequence[NDArray[np.uint8]]) -> None:
        """Fill every array of `outs` from its byte in `starts`, decoding ranges that lie close together in one go."""
        ranges = sorted(zip(starts, outs, strict=True), key=lambda one: one[0])
        wanted = [(start, start + out.size) for start, out in ranges]
        self._refuse(max((stop for _, stop in wanted), default=0))
        spans = iter(merge(wanted, GAP, SPAN))
        low = count = 0
        held = np.empty(0, dtype=np.uint8)
        high = -1
        for start, out in ranges:
            while start + out.size > high:
                low, high = next(spans)
                held = out if (low, high) == (start, start + out.size) else np.empty(high - low, dtype=np.uint8)
                count = self.read_into(low, held)
            if start + out.size > low + count:
                text = f"bytes {start} to {start + out.size} were asked for, but the file ends before"
                raise TruncatedError(text, self.name)
            if held is not out:
                out[:] = held[start - low : start - low + out.size]

    def _finish(self, reader: SeekableReader, stop: int) -> CompressionError | None:
        ends, damage = reader.finish(stop)
        target = self._target()
        if target is not None and damage is None:
            reader.keep(target)
        if not ends and damage is None:
            warnings.warn(
                f"{printable(self.name)}: the {self.codec} stream goes on after the {stop} bytes that are declared; "
                "what follows is ignored, and its checksum was not reached, so damage may have gone unnoticed",
                MrcWarning,
                stacklevel=4,
            )
        return damage

    def _target(self) -> IndexTarget | None:
        path = locate(self.name, self.inner.fingerprint, self.index) if self.index else None
        return None if path is None else IndexTarget(path, self.limit)

    def _refuse(self, stop: int) -> None:
        if self.max_bytes is not None and stop > self.max_bytes:
            raise LimitError(f"{stop} uncompressed bytes are wanted; max_bytes allows {self.max_bytes}", self.name)

    def _report(self, damage: CompressionError | None) -> None:
        if damage is None:
            return
        if not self.permissive:
            raise damage
        warnings.warn(str(damage), MrcWarning, stacklevel=4)

    @property
    def key(self) -> Hashable:
        """What identifies the reader of this source in `readers`."""
        return self.name, self.fingerprint

    def _reader(self) -> SeekableReader:
        return readers.get_or_make(self.key, lambda: SeekableReader(self.inner, CODECS[self.codec]))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the parameters, without what was decoded."""
        return CompressedSource, (self.inner, self.codec, self.limit, self.permissive, self.max_bytes, self.index)


def open_compressed(
    source: ByteSource, codec: Codec, first: bytes = b"", *, index: bool | str | os.PathLike[str] = False
) -> CompressedSource:
    """Return a source of the uncompressed bytes of a compressed source.

    Parameters
    ----------
    source : ByteSource
        The compressed bytes.
    codec : Codec
        Their format.
    first : bytes, optional
        The first compressed bytes, if they are known; they are not read again.
    index : bool or path
        Where the seek index is kept.
    """
    kept = index if isinstance(index, bool) else os.fspath(index)
    if isinstance(kept, str):
        kept = absolute(kept) + (os.sep if kept.endswith(os.sep) else "")  # the separator marks a folder
    if kept and locate(source.name, source.fingerprint, kept) is None:
        text = f"no index is kept: there is no home folder; set {FOLDER}, or give a path as index"
        warnings.warn(f"{printable(source.name)}: {text}", MrcWarning, stacklevel=3)
    return CompressedSource(source, codec.name, index=kept, head=first_bytes(first, codec, HEAD_NBYTES))


def forget() -> None:
    """Drop what this process has learnt of compressed files, and the memory and temporary files it takes."""
    readers.clear()
    heads.clear()
