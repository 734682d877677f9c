"""One member of a compressed file, decoded piece by piece, with the fastest library that is installed.

All decoders work alike: `decode` takes more compressed bytes (or none) and gives at most so many uncompressed ones, so
that no input, however it was made, produces more than was asked for.
"""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Any, Protocol

from mrcarray.errors import MissingDependencyError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = [
    "Decoder",
    "GzipDecoder",
    "RawDeflateDecoder",
    "UnreadableError",
    "XzDecoder",
    "ZstdDecoder",
    "whole_gzip",
]


class Decoder(Protocol):
    """A decoder of one member."""

    def decode(self, data: bytes, most: int) -> bytes:
        """Take compressed bytes and return at most `most` uncompressed ones; what is not used yet is kept."""

    def waiting(self) -> int:
        """Return how many compressed bytes it was given and has not used."""

    def hungry(self) -> bool:
        """Tell whether nothing more can come without more input."""

    def rest(self) -> bytes | None:
        """Return the bytes after the end of the member, or None when the end was not reached."""

    def fork(self) -> Decoder | None:
        """Return a second decoder in the same state but without what waits, or None where that cannot be had."""


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
    """Return zlib-ng, which is about twice as fast, or what Python brings."""
    return _import("zlib_ng.zlib_ng") or importlib.import_module("zlib")


@functools.cache
def inflate_library() -> Any:
    """Return isal, which reads integers a quarter faster than zlib-ng but cannot copy its state, or None."""
    return _import("isal.isal_zlib")


@functools.cache
def zstd_library() -> Any:
    """Return what Python brings from version 3.14 on, or the same for older versions."""
    found = _import("compression.zstd", "backports.zstd")
    if found is None:
        raise MissingDependencyError(
            "the file is compressed with zstd, for which this Python has no decoder: pip install 'mrcarray[zstd]'"
        )
    return found


MATCH = 258
"""Bytes a match of deflate may have."""


class GzipDecoder:
    """A gzip member; its checksum and length are verified at its end."""

    __slots__ = ("_object", "_pending", "_ready")

    def __init__(self, wbits: int = 31, window: bytes = b"") -> None:
        library = deflate_library()
        self._object = library.decompressobj(wbits, zdict=window) if window else library.decompressobj(wbits)
        self._pending = self._ready = b""

    def decode(self, data: bytes, most: int) -> bytes:
        """Decode; bytes the library did not take are given to it again."""
        if self._ready:
            known, self._ready = self._ready[:most], self._ready[most:]
            self._pending += data
            return known
        piece: bytes = self._object.decompress(self._pending + data if self._pending else data, most)
        self._pending = self._object.unconsumed_tail
        return piece

    def waiting(self) -> int:
        """Return the number of bytes not used."""
        return len(self._pending)

    def hungry(self) -> bool:
        """Tell whether all input was taken."""
        return not self._pending and not self._ready

    def rest(self) -> bytes | None:
        """Return what follows the member."""
        return self._object.unused_data if self._object.eof else None

    def fork(self) -> GzipDecoder | None:
        """Copy the state: 25 to 40 KiB, most of it the last 32 KiB of output. What waits can be read again.

        The library's object holds its last input, up to some MiB, until it is called again; then a few bytes may come
        out that it knew already: the rest of a match, and what the bits it holds stand for.
        """
        copy = self._object.copy()
        ready = b"".join(iter(lambda: copy.decompress(b"", MATCH), b""))
        if copy.eof:
            return None
        other = type(self).__new__(type(self))
        other._object, other._pending, other._ready = copy, b"", self._ready + ready  # noqa: SLF001 -- one of us
        return other


class WholeGzipDecoder(GzipDecoder):
    """A gzip member that is read from its start to its end."""

    __slots__ = ()

    def __init__(self) -> None:
        self._object = inflate_library().decompressobj(31)
        self._pending = self._ready = b""

    def fork(self) -> None:
        """Return None: the library cannot copy its state."""


def whole_gzip() -> type[WholeGzipDecoder] | None:
    """Return the decoder for who reads all and keeps nothing, or None where its library is not installed."""
    return None if inflate_library() is None else WholeGzipDecoder


class RawDeflateDecoder(GzipDecoder):
    """The rest of a gzip member, from a block border in it, given the 32 KiB before; its checksum cannot be verified.

    A border may lie within a byte. The library starts at whole bytes only, so empty blocks are put in front whose bits
    end where the border is.
    """

    __slots__ = ("_lead", "_skip")

    TRAILER = 8

    def __init__(self, window: bytes, bits: int = 0) -> None:
        super().__init__(-15, window)
        self._skip = b""
        self._lead: tuple[int, int] | None = empty_blocks(bits) if bits else None

    def decode(self, data: bytes, most: int) -> bytes:
        """Decode, and after the end collect the trailer."""
        if self._object.eof:
            self._skip += data
            return b""
        if self._lead is not None and data:
            value, length = self._lead
            whole = length // 8
            low = (1 << length % 8) - 1
            border = (value >> 8 * whole) | (data[0] & ~low & 0xFF)
            data = (value & ((1 << 8 * whole) - 1)).to_bytes(whole, "little") + bytes([border]) + data[1:]
            self._lead = None
        return super().decode(data, most)

    def hungry(self) -> bool:
        """Tell whether all input was taken."""
        return self._object.eof or super().hungry()

    def rest(self) -> bytes | None:
        """Return what follows the trailer."""
        after = super().rest()
        if after is None:
            return None
        after += self._skip
        return after[self.TRAILER :] if len(after) >= self.TRAILER else None

    def fork(self) -> None:
        """Return None: it stands between two points that are known."""


FIXED_EMPTY = (0b0000000_01_0, 10)
"""A deflate block with the fixed code, not the last, with nothing in it: its bits, the first one lowest, and length."""


def empty_blocks(bits: int) -> tuple[int, int]:
    """Return deflate blocks without content whose length leaves the remainder `bits` when divided by 8.

    A block with the fixed code has 10 bits; one with its own code, made to have 93, gives the odd remainders.
    """
    value, length = _dynamic_empty() if bits % 2 else (0, 0)
    while length % 8 != bits:
        value |= FIXED_EMPTY[0] << length
        length += FIXED_EMPTY[1]
    return value, length


def _dynamic_empty() -> tuple[int, int]:
    """Return an empty block whose only code word is its end (RFC 1951, 3.2.7)."""
    fields: list[tuple[int, int]] = [(0, 1), (2, 2), (0, 5), (0, 5), (14, 4)]  # not last, own code, 257, 1, 18 lengths
    lengths = {18: 2, 1: 1, 0: 2}
    order = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1)
    fields += [(lengths.get(symbol, 0), 3) for symbol in order]
    # Code words: 1 is "0", 0 is "10", 18 is "11". 138 and 118 zeros, then length 1 for the end, 0 for distances.
    fields += [(0b11, 2), (138 - 11, 7), (0b11, 2), (118 - 11, 7), (0b0, 1), (0b01, 2)]
    fields += [(0, 1)]  # the end
    value = length = 0
    for bits, count in fields:
        value |= bits << length
        length += count
    return value, length


class _LibraryDecoder:
    """What the decompressors of lzma and zstd have in common."""

    __slots__ = ("_object",)

    def __init__(self, decompressor: Any) -> None:
        self._object = decompressor

    def decode(self, data: bytes, most: int) -> bytes:
        """Decode; the library keeps what it did not use."""
        piece: bytes = self._object.decompress(data, most)
        return piece

    def waiting(self) -> int:
        """Return 0: the library does not tell what it keeps."""
        return 0

    def hungry(self) -> bool:
        """Tell whether the library wants input."""
        wants: bool = self._object.needs_input
        return wants

    def rest(self) -> bytes | None:
        """Return what follows the member."""
        return self._object.unused_data if self._object.eof else None

    def fork(self) -> None:
        """Return None: these libraries cannot copy their state."""


@functools.cache
def _lzma() -> Any:
    return importlib.import_module("lzma")


class XzDecoder(_LibraryDecoder):
    """An xz stream, from its start."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_lzma().LZMADecompressor())


class UnreadableError(Exception):
    """A member is sound, as far as can be told, but not to be decoded here; the text says why and what to do."""


@functools.cache
def _zstd_options() -> dict[Any, int]:
    furthest = zstd_library().DecompressionParameter.window_log_max
    return {furthest: furthest.bounds()[1]}


class ZstdDecoder(_LibraryDecoder):
    """A zstd frame; Python brings the library from version 3.14 on, before that the extra ``zstd`` does.

    Frames may refer back as far as the library allows, 2 GiB: it holds no more of the output than there was.
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(zstd_library().ZstdDecompressor(options=_zstd_options()))

    def decode(self, data: bytes, most: int) -> bytes:
        """Decode; the library keeps what it did not use."""
        try:
            return super().decode(data, most)
        except zstd_library().ZstdError as error:
            if "not enough memory" in str(error):
                raise MemoryError(str(error)) from None
            for sign, reason in _ZSTD_REASONS.items():
                if sign in str(error):
                    raise UnreadableError(reason) from None
            raise


_ZSTD_REASONS = {
    "Dictionary mismatch": "it was made with a dictionary, which is not in it: unpack it with zstd -D first",
    "too much memory": "it refers back further than its library can: unpack it with zstd --long=31 first",
}
"""What the library's errors about sound frames mean, by some of their words."""
