"""Reading and writing MRC data on any stream: `MrcInterpreter`.

The steps, and the methods they are in, are those of mrcfile, so that its subclasses work. All problems with a file go
through `_problem`, which raises or, in permissive mode, warns.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from mrcarray.caller import warn
from mrcarray.classic import utils
from mrcarray.classic.consistency import warn_of_contradictions
from mrcarray.classic.constants import MAP_ID
from mrcarray.classic.data_block import impossible_dimensions, is_map_id, layout_of, pixel_of, stored
from mrcarray.classic.data_storage import DataStorage, InMemory
from mrcarray.classic.dtypes import HEADER_DTYPE
from mrcarray.classic.mrcobject import MrcObject
from mrcarray.classic.unclosed import finish, forget, watch
from mrcarray.errors import ClosedError, MrcFormatError, TruncatedError
from mrcarray.format.byteorder import STAMPS
from mrcarray.format.fields import FIELDS, HEADER_NBYTES
from mrcarray.format.header import Header
from mrcarray.format.modes import MODES

if TYPE_CHECKING:
    from types import TracebackType

    from mrcarray.format.layout import Layout

__all__ = [
    "HEADER_DTYPE",
    "MrcInterpreter",
]

_CHUNK = 1 << 24
_NO_BYTES = np.empty(0, dtype="V1")
_NO_BYTES.flags.writeable = False
_STAMP = FIELDS["machst"].offset
#: What permissive mode adds to a problem with a mode that cannot be read.
NOT_READ = " - data block cannot be read"


class MrcInterpreter(MrcObject):
    """An `MrcObject` on a stream that the caller opens and closes.

    Parameters
    ----------
    iostream : binary stream, optional
        Read at once. Without it, set ``_iostream`` and call ``_read`` or ``_create_default_attributes``.
    permissive : bool
        Warn of problems and read on, instead of raising.
    header_only : bool
        Leave the data unread.

    Raises
    ------
    ValueError
        When the stream contains no valid MRC data and `permissive` is false.

    Notes
    -----
    An exception inside a ``with`` block prevents writing. An object that is not closed is written when it is collected
    or the interpreter ends, with a `ResourceWarning`: call `close`, or use a ``with`` block.

    Subclasses may use `_iostream` and extend `_read`, `_read_header`, `_read_extended_header`, `_read_data` and
    `_read_bytearray_from_stream`.

    Examples
    --------
    >>> import io
    >>> stream = io.BytesIO()
    >>> mrc = MrcInterpreter()
    >>> mrc._iostream = stream
    >>> mrc._create_default_attributes()
    >>> mrc.set_data(np.zeros((2, 3), "i2"))
    >>> mrc.close()
    >>> len(stream.getvalue()), MrcInterpreter(io.BytesIO(stream.getvalue())).data.shape
    (1036, (2, 3))
    """

    _iostream: Any = None
    #: Class that keeps the data.
    _storage_class: ClassVar[type[DataStorage]] = InMemory

    def __init__(
        self, iostream: Any = None, permissive: bool = False, header_only: bool = False, **kwargs: Any
    ) -> None:
        self._storage = self._storage_class()
        super().__init__(**kwargs)
        self._iostream = iostream
        self._permissive = permissive
        #: Problems that permissive mode only warned of.
        self._problems: list[str] = []
        self._pid = os.getpid()
        self._data_replaced = False
        #: The header in the file, to see whether it was changed since.
        self._saved_header = b""
        if iostream is not None:
            self._read_at_once(header_only)
        self._watch()

    def _watch(self) -> None:
        """Have the object written when the interpreter ends, if it is not closed before."""
        watch(self)

    def _read_at_once(self, header_only: bool) -> None:
        """Read the stream; on failure, drop what was read."""
        try:
            self._read(header_only)
        except BaseException:
            self._forget()
            raise
        self._saved_header = self._current_header().raw
        self._data_replaced = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Close; after an exception, without writing."""
        if exc_type is None:
            self.close()
        else:
            self._abort()

    @property
    def _array(self) -> Any:
        return self._storage.array

    @_array.setter
    def _array(self, array: Any) -> None:
        self._storage.array = array

    # reading

    def _read(self, header_only: bool = False) -> None:
        """Read header, extended header and, unless `header_only`, data from the stream's position."""
        self._read_header()
        self._read_extended_header()
        if not header_only:
            self._read_data()

    def _problem(self, text: str, detail: str, error: type[MrcFormatError] = MrcFormatError, suffix: str = "") -> None:
        """Raise the error, or warn in permissive mode."""
        if not self._permissive:
            raise error(f"{text} ({detail})", self._path_for_errors())
        self._problems.append(f"{text} ({detail})")
        warn(text + suffix)

    def _path_for_errors(self) -> str | None:
        """Return the name for error texts."""
        name = getattr(self._iostream, "name", None)
        return name if isinstance(name, str) else None

    def _read_header(self) -> None:
        """Read 1024 bytes and determine their byte order."""
        raw = self._read_header_bytes()
        if len(raw) < HEADER_NBYTES:
            detail = f"found {len(raw)} bytes, expected {HEADER_NBYTES}"
            raise TruncatedError(f"Couldn't read enough bytes for MRC header ({detail})", self._path_for_errors())
        if not is_map_id(raw):
            detail = f"word 53 (map) is {Header(raw).map!r}, expected {MAP_ID!r}"
            self._problem("Map ID string not found - not an MRC file, or file is corrupt", detail)
        self._record = None
        self._frozen = self._parsed(raw)
        self._saved_header = raw

    def _read_header_bytes(self) -> bytes:
        """Read the 1024 bytes of the header, fewer at the end of the stream."""
        block, count = self._read_bytearray_from_stream(HEADER_NBYTES)
        return bytes(block[: min(count, HEADER_NBYTES)])

    def _parsed(self, raw: bytes) -> Header:
        """Return the header in the byte order it declares; in permissive mode, in the one that gives a valid mode."""
        stamp = raw[_STAMP : _STAMP + 4]
        order = STAMPS.get(stamp[:2])
        if order is None:
            text = f"Unrecognised machine stamp: {utils.pretty_machine_stamp(stamp)}"
            self._problem(text, "word 54; expected 44 44, 44 41 or 11 11")
            order = "<"
        header = Header(raw, order)
        if not self._permissive or pixel_of(header) is not None:
            return header
        opposite = Header(raw, ">" if order == "<" else "<")
        if pixel_of(opposite) is None:
            return header
        text = f"Machine stamp '{utils.pretty_machine_stamp(stamp)}' does not match the apparent byte order"
        self._problem(f"{text} '{opposite.byteorder}'", "word 54")
        return opposite

    def _read_extended_header(self) -> None:
        """Read the bytes between header and data."""
        declared = self._current_header().nsymbt
        if declared == 0:
            self._extended_header = _NO_BYTES.view() if self._read_only else np.empty(0, dtype="V1")
            return
        if declared < 0:
            self._extended_header = None
            self._problem(f"Extended header size is negative: nsymbt = {declared}", "word 24; expected 0 or more")
            return
        available = self._remaining()
        raw, count = self._read_bytearray_from_stream(declared if available is None else min(declared, available))
        if count < declared:
            self._extended_header = None
            text = f"Expected {declared} bytes in extended header but could only read {count}"
            self._problem(text, "word 24 (nsymbt); the file ends before", TruncatedError)
            return
        self._extended_header = np.frombuffer(raw, dtype="V1")
        self._extended_header.flags.writeable = not self._read_only

    def _read_data(self, max_bytes: int = 0) -> None:
        """Read the data; refuse more than `max_bytes` bytes unless it is 0."""
        self._storage.read(self, max_bytes)

    def _find_data(self, max_bytes: int = 0) -> Layout | None:
        """Return the layout of the data; None after a problem, such as a stream that ends too early."""
        layout = self._layout()
        if layout is None:
            return None
        available, nbytes = self._remaining(), layout.nbytes
        if 0 < max_bytes < nbytes:
            self._data_missing(layout, f"limit is {max_bytes}")
            return None
        if available is not None and available < nbytes:
            self._data_missing(layout, self._shortage(available))
            return None
        return layout

    def _data_missing(self, layout: Layout, found: str) -> None:
        """Report that the data block is incomplete."""
        detail = f"words 1-4 declare {layout.shape} of mode {layout.pixel.mode}"
        self._problem(f"Expected {layout.nbytes} bytes in data block but {found}", detail, TruncatedError)

    def _shortage(self, count: int) -> str:
        """Return the end of the text about a data block with `count` bytes."""
        return f"could only read {count}"

    def _layout(self, suffix: str = NOT_READ) -> Layout | None:
        """Return the layout of the data by the header; None after a problem."""
        header = self._current_header()
        pixel = pixel_of(header)
        if pixel is None:
            detail = "word 4; known are " + ", ".join(str(m.number) for m in MODES.values() if m.standard)
            self._problem(f"Unrecognised mode '{header.mode}'", detail, suffix=suffix)
            return None
        problem = impossible_dimensions(header, permissive=self._permissive)
        if problem:
            self._problem(*problem, suffix=suffix)
            return None
        return layout_of(header, pixel)

    def _read_block(self, number_of_bytes: int) -> tuple[Any, int]:
        """Read the bytes of the data."""
        return self._read_bytearray_from_stream(number_of_bytes)

    def _read_bytearray_from_stream(self, number_of_bytes: int) -> tuple[bytearray, int]:
        """Read from the stream; return the bytes and their number."""
        result = bytearray()
        while len(result) < number_of_bytes:
            size = min(_CHUNK, number_of_bytes - len(result))
            piece = bytearray(size)
            count = self._iostream.readinto(piece)
            if not count:
                break
            result += piece[:count] if count < size else piece
        return result, len(result)

    def _remaining(self) -> int | None:
        """Return the bytes between the stream's position and its end; None for a stream that cannot seek."""
        stream = self._iostream
        try:
            position = stream.tell()
            end = stream.seek(0, os.SEEK_END)
            stream.seek(position)
        except (AttributeError, OSError, ValueError):
            return None
        return max(0, int(end) - int(position))

    # writing

    def _set_new_data(self, data: Any) -> None:
        """Keep new data."""
        self._storage.set(self, data)
        self._data_replaced = True

    def _close_data(self) -> None:
        """Drop the data."""
        self._storage.release()

    def flush(self) -> None:
        """Write header, extended header and data to the stream, and truncate it after them.

        Data that were not read stay in the stream.

        Examples
        --------
        >>> import io
        >>> stream = io.BytesIO()
        >>> mrc = MrcInterpreter()
        >>> mrc._iostream = stream
        >>> mrc._create_default_attributes()
        >>> mrc.flush()
        >>> len(stream.getvalue())
        1024
        """
        self._check_process()
        if self._read_only or self._header is None:
            return
        header = self._current_header()
        warn_of_contradictions(header, self._extended_header, self._array)
        block = None if self._array is None else memoryview(stored(header, self._array))
        stream = self._iostream
        stream.seek(0)
        stream.write(header.raw)
        if self._extended_header is not None:
            stream.write(self._extended_header.tobytes())
        if block is not None:
            stream.write(block)
            stream.truncate()
        stream.flush()
        self._saved_header = header.raw
        self._data_replaced = False

    def __del__(self) -> None:
        """Close an object that was not closed."""
        if getattr(self, "_pid", None) is not None:
            finish(self)

    def _unclosed_name(self) -> str:
        """Return the name of this object in a warning."""
        return type(self).__name__

    def _needs_closing(self) -> bool:
        """Return whether changes would be lost without writing."""
        stream = self._iostream
        if stream is None or stream.closed or self._read_only or (self._record is None and self._frozen is None):
            return False
        if self._data_replaced or self._current_header().raw != self._saved_header:
            return True
        return stream.writable() and not self._is_in(stream)

    def _is_in(self, stream: Any) -> bool:
        """Return whether a stream contains this object; False for a stream that cannot be read."""
        if not (stream.readable() and stream.seekable()):
            return False
        position = stream.tell()
        stream.seek(0)
        parts = [self._current_header().raw, self._extended_header, self._array]
        same = all(_begins_with(stream, part) for part in parts if part is not None)
        stream.seek(position)
        return same

    def _reason_to_discard(self) -> str:
        """Return why the changes of an unclosed object are not written; empty when they are."""
        return "" if self._iostream.writable() else "the stream cannot be written to"

    def _check_process(self) -> None:
        """Refuse to write what a parent process opened: it writes the same file."""
        if os.getpid() != self._pid:
            raise ClosedError("this object was opened in another process; a forked child cannot write it")

    def close(self) -> None:
        """Write the object, and drop header and data; the stream stays open."""
        if self._header is not None and self._iostream is not None and not self._iostream.closed:
            self.flush()
        self._forget()

    def _abort(self) -> None:
        """Drop header and data without writing."""
        self._forget()

    def _forget(self) -> None:
        """Drop header and data."""
        self._header = None
        self._extended_header = None
        self._close_data()
        forget(self)


def _begins_with(stream: Any, part: Any) -> bool:
    """Read as many bytes as a part has; return whether they are equal."""
    content = memoryview(part if isinstance(part, bytes) else np.ascontiguousarray(part).data).cast("B")
    for at in range(0, len(content), _CHUNK):
        piece = content[at : at + _CHUNK]
        if stream.read(len(piece)) != piece:
            return False
    return True
