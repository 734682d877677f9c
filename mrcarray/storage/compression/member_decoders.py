"""Decode one member of a compressed file piece by piece, with the fastest library that is installed.

All decoders work alike: `decode` takes more compressed bytes (or none) and returns at most so many uncompressed ones,
so that no input can produce more than was asked for.
"""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Any, Protocol

from mrcarray.errors import missing_package

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

__all__ = ["GzipDecoder", "MemberDecoder", "UnreadableError", "XzDecoder", "ZstdDecoder", "whole_gzip"]


class MemberDecoder(Protocol):
    """A decoder of one member."""

    def decode(self, data: bytes, most: int) -> bytes:
        """Take compressed bytes and return at most `most` uncompressed ones; keep the input that is not used yet."""

    def waiting(self) -> int:
        """Return how many compressed bytes are not used yet."""

    def hungry(self) -> bool:
        """Return whether nothing more can come without more input."""

    def rest(self) -> bytes | None:
        """Return the bytes after the end of the member, or None when the end was not reached."""

    def fork(self) -> MemberDecoder | None:
        """Return a second decoder in the same state without the waiting input, or None where the library cannot."""


def _import(*names: str) -> ModuleType | None:
    """Return the first of the modules that is installed."""
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


@functools.cache
def deflate_library() -> Any:
    """Return zlib-ng, which is about twice as fast, or Python's zlib."""
    return _import("zlib_ng.zlib_ng") or importlib.import_module("zlib")


@functools.cache
def inflate_library() -> Any:
    """Return isal, which reads integers a quarter faster than zlib-ng but cannot copy its state, or None."""
    return _import("isal.isal_zlib")


@functools.cache
def zstd_library() -> Any:
    """Return Python's own module (from version 3.14 on), or the backport of it."""
    found = _import("compression.zstd", "backports.zstd")
    if found is None:
        raise missing_package("reading zstd", "backports-zstd", "zstd")
    return found


MATCH = 258
"""Longest match of deflate in bytes."""


class GzipDecoder:
    """A gzip member; its checksum and length are verified at its end."""

    __slots__ = ("_object", "_pending", "_ready")

    def __init__(self, library: Any = None) -> None:
        self._object = (library or deflate_library()).decompressobj(31)
        self._pending = self._ready = b""

    def decode(self, data: bytes, most: int) -> bytes:
        """Decode; give the library the bytes again that it did not take."""
        if self._ready:
            known, self._ready = self._ready[:most], self._ready[most:]
            self._pending += data
            return known
        piece: bytes = self._object.decompress(self._pending + data if self._pending else data, most)
        self._pending = self._object.unconsumed_tail
        return piece

    def waiting(self) -> int:
        """Return the number of bytes that are not used."""
        return len(self._pending)

    def hungry(self) -> bool:
        """Return whether all input was taken."""
        return not self._pending and not self._ready

    def rest(self) -> bytes | None:
        """Return the bytes after the member."""
        return self._object.unused_data if self._object.eof else None

    def fork(self) -> GzipDecoder | None:
        """Copy the state: 25 to 40 KiB, most of it the last 32 KiB of output.

        The library's object keeps its last input, up to some MiB, until it is called again. That call may return a few
        bytes that were decoded before: the rest of a match, and the symbols in the bits it has read.
        """
        copy = self._object.copy()
        ready = b"".join(iter(lambda: copy.decompress(b"", MATCH), b""))
        if copy.eof:
            return None
        other = type(self).__new__(type(self))
        other._object, other._pending, other._ready = copy, b"", self._ready + ready  # noqa: SLF001 -- the same class
        return other


def whole_gzip() -> Callable[[], MemberDecoder] | None:
    """Return what makes a decoder for whole reads, which need no copies of its state; None without isal."""
    library = inflate_library()
    return None if library is None else functools.partial(GzipDecoder, library)


class _LibraryDecoder:
    """What the decompressors of lzma and zstd have in common: they keep the input they did not use."""

    __slots__ = ("_object",)

    def __init__(self, decompressor: Any) -> None:
        self._object = decompressor

    def decode(self, data: bytes, most: int) -> bytes:
        piece: bytes = self._object.decompress(data, most)
        return piece

    def waiting(self) -> int:
        return 0  # the libraries do not say how much input they keep

    def hungry(self) -> bool:
        needs: bool = self._object.needs_input
        return needs

    def rest(self) -> bytes | None:
        return self._object.unused_data if self._object.eof else None

    def fork(self) -> None:
        return None  # these libraries cannot copy their state


class XzDecoder(_LibraryDecoder):
    """An xz stream, from its start."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(importlib.import_module("lzma").LZMADecompressor())  # slow to import, and rarely needed


class UnreadableError(Exception):
    """A member is not damaged, but cannot be decoded here; the text gives the reason and what to do."""


@functools.cache
def _zstd_options() -> dict[Any, int]:
    furthest = zstd_library().DecompressionParameter.window_log_max
    return {furthest: furthest.bounds()[1]}


class ZstdDecoder(_LibraryDecoder):
    """A zstd frame, which may refer back as far as the library allows: 2 GiB."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(zstd_library().ZstdDecompressor(options=_zstd_options()))

    def decode(self, data: bytes, most: int) -> bytes:
        """Decode; distinguish errors of the frame from lack of memory."""
        try:
            return super().decode(data, most)
        except zstd_library().ZstdError as error:
            if "not enough memory" in str(error):
                raise MemoryError(str(error)) from None
            for words, reason in _ZSTD_REASONS.items():
                if words in str(error):
                    raise UnreadableError(reason) from None
            raise


_ZSTD_REASONS = {
    "Dictionary mismatch": "it was made with a dictionary, which the file does not contain: unpack it with zstd -D",
    "too much memory": "it refers back further than the library allows: unpack it with zstd --long=31",
}
"""What the library's errors about undamaged frames mean, by some of their words."""
