"""An open file behind a classic object: `OpenFile` reads bytes by position, or through a stream when one is used.

A stream keeps a descriptor, so it is opened only for code that uses ``_iostream``; from then on its position counts. If
a subclass sets a stream of its own, all bytes go through that.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar

from mrcarray.caller import warn
from mrcarray.classic.mrcinterpreter import MrcInterpreter
from mrcarray.classic.stream import TrackedStream
from mrcarray.errors import CompressionError, MrcFormatError
from mrcarray.storage.compression.codecs import detect

if TYPE_CHECKING:
    from mrcarray.classic.backing import Backing
    from mrcarray.storage.local import LocalSource

__all__ = ["OpenFile"]


class OpenFile(MrcInterpreter):
    """An `MrcInterpreter` on a named file."""

    _name: str
    _mode: str
    _backing: Backing
    #: Compression of the file: ``""``, ``"gzip"`` or ``"bzip2"``.
    _compression: ClassVar[str] = ""
    #: The file, if `open` has opened it already.
    _handed_over: LocalSource | None = None
    #: The stream, once it is used, and whether a subclass set it.
    _stream: Any = None
    _foreign = False
    #: Position of the next read while there is no stream.
    _next = 0

    def _open_file(self, name: str) -> None:  # noqa: ARG002 - the original's signature
        """Open the file; a subclass may set ``_iostream`` instead."""
        if self._mode == "w+":
            self._backing.check_target()
            return
        self._backing.open(self._handed_over)
        self._handed_over = None
        if self._mode == "r+":
            self._backing.check_writable()

    def _close_file(self) -> None:
        """Close the stream, if there is one."""
        if self._stream is not None:
            self._stream.close()

    @property
    def _iostream(self) -> Any:
        """A stream on the file, opened at the next position when it is first used; a subclass may set its own.

        That of a plain file that is open for writing is writable: some subclasses have a `flush` of their own.
        """
        if self._stream is None:
            self._stream = self._backing.stream(writable=not self._read_only)
            self._stream.seek(self._next)
        return self._stream

    @_iostream.setter
    def _iostream(self, stream: Any) -> None:
        self._stream = stream
        self._foreign = stream is not None

    @property
    def _position(self) -> int:
        """Position of the next read."""
        return self._next if self._stream is None else int(self._stream.tell())

    @_position.setter
    def _position(self, position: int) -> None:
        self._next = position
        if self._stream is not None:
            self._stream.seek(position)

    def _accept_stream_writes(self) -> None:
        """Take what this program wrote to the stream for the known state of the file."""
        if isinstance(self._stream, TrackedStream) and not self._foreign and self._stream.written:
            self._stream.flush()
            self._stream.written = False
            self._backing.accept_stream_writes()

    def _path_for_errors(self) -> str | None:
        return self._name

    def _problem(self, text: str, detail: str, error: type[MrcFormatError] = MrcFormatError, suffix: str = "") -> None:
        """Raise or warn; name the compression of a file that is read as a plain one."""
        file = self._backing.file
        codec = detect(file.head) if file is not None and not self._compression else None
        hint = f"; the file is compressed with {codec.name}, use open()" if codec is not None else ""
        super()._problem(text, detail + hint, error, suffix)

    def _get_file_size(self) -> int:
        """Return the number of uncompressed bytes of the file, or of the new one that will replace it."""
        if not self._foreign:
            return self._backing.current_size()
        position = self._stream.tell()
        size = int(self._stream.seek(0, os.SEEK_END))
        self._stream.seek(position)
        return size

    # reading

    def _read_extended_header(self) -> None:
        """Read the bytes between header and data."""
        try:
            super()._read_extended_header()
        except CompressionError as error:
            self._damaged(error)

    def _read_data(self, max_bytes: int = 0) -> None:
        """Read the data, and warn of bytes after them."""
        try:
            super()._read_data(max_bytes)
            if self._storage.present:
                self._warn_of_more(self._position)
        except CompressionError as error:
            self._damaged(error)

    def _damaged(self, error: CompressionError) -> None:
        """Raise the error of a damaged compressed file, or warn in permissive mode."""
        if not self._permissive:
            raise error
        self._problems.append(error.message)
        warn(str(error))

    def _warn_of_more(self, stop: int) -> None:
        """Warn of bytes after the data."""
        more = self._get_file_size() - stop if self._foreign else self._backing.bytes_after(stop)
        if more > 0:
            known = self._foreign or self._backing.size() is not None
            warn(f"MRC file is {'' if known else 'at least '}{more} bytes larger than expected")

    def _remaining(self) -> int | None:
        if self._foreign:
            return super()._remaining()
        size = self._backing.size()
        return None if size is None else max(0, size - self._position)

    def _shortage(self, count: int) -> str:
        return f"limit is {count}" if count else super()._shortage(count)

    def _read_bytearray_from_stream(self, number_of_bytes: int) -> tuple[bytearray, int]:
        """Read from the file; return the bytes and their number."""
        if self._foreign:
            return super()._read_bytearray_from_stream(number_of_bytes)
        start = self._position
        piece = bytearray(self._backing.read(start, start + number_of_bytes))
        self._position = start + len(piece)
        return piece, len(piece)

    def _read_header_bytes(self) -> bytes:
        if self._reads_by_itself():
            return super()._read_header_bytes()
        raw = self._backing.head()
        self._position = len(raw)
        return raw

    def _reads_by_itself(self) -> bool:
        """Return whether a subclass has a stream or a reading method of its own."""
        name = "_read_bytearray_from_stream"
        return self._foreign or getattr(type(self), name) is not getattr(OpenFile, name)

    def _read_block(self, number_of_bytes: int) -> tuple[Any, int]:
        if self._reads_by_itself():
            return super()._read_block(number_of_bytes)
        start = self._position
        block, count = self._backing.read_array(start, number_of_bytes)
        self._position = start + count
        return block, count
