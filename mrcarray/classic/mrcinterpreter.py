"""Reading and writing MRC data on any stream: `MrcInterpreter`.

The order of the steps, and the methods they stand in, are those of the original library, so that its subclasses keep
working. What is wrong with a file passes through one method, `_problem`, which raises or, in permissive mode, warns.
"""

from __future__ import annotations

import contextlib
import math
import os
import warnings
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mrcarray.classic import utils
from mrcarray.classic.constants import IMAGE_STACK_SPACEGROUP, MAP_ID, MAP_ID_OFFSET_BYTES
from mrcarray.classic.dtypes import HEADER_DTYPE
from mrcarray.classic.mrcobject import MrcObject
from mrcarray.classic.warn import say
from mrcarray.errors import ClosedError, MrcFormatError, MrcWarning, TruncatedError
from mrcarray.format.byteorder import STAMPS
from mrcarray.format.fields import FIELDS, HEADER_NBYTES
from mrcarray.format.header import Header
from mrcarray.format.layout import Kind, Layout
from mrcarray.format.modes import MODES

if TYPE_CHECKING:
    from types import TracebackType

    from mrcarray.format.modes import ByteOrder, PixelFormat

__all__ = [
    "HEADER_DTYPE",
    "MrcInterpreter",
]

_CHUNK = 1 << 24
_STAMP = FIELDS["machst"].offset
#: What a mode that cannot be read is followed by in permissive mode.
NOT_READ = " - data block cannot be read"


class MrcInterpreter(MrcObject):
    """An `MrcObject` on a stream that the caller opens and closes.

    Parameters
    ----------
    iostream : binary stream, optional
        Read at once when given. Without it, set ``_iostream`` and call ``_read`` or ``_create_default_attributes``.
    permissive : bool
        Warn of what is wrong, and read on, instead of raising.
    header_only : bool
        Leave the data unread.

    Raises
    ------
    ValueError
        When the stream holds no valid MRC data and `permissive` is false.

    Notes
    -----
    Leaving a ``with`` block by an exception writes nothing, and neither does losing the last reference: call `flush` or
    `close`, or leave the block in the ordinary way.

    For subclasses: `_iostream`; `_read`, `_read_header`, `_read_extended_header`, `_read_data` and
    `_read_bytearray_from_stream` may be extended.
    """

    _iostream: Any = None

    def __init__(
        self, iostream: Any = None, permissive: bool = False, header_only: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._iostream = iostream
        self._permissive = permissive
        self._pid = os.getpid()
        self._data_replaced = False
        #: The header as the file has it, to know whether it was changed since.
        self._saved_header = b""
        if iostream is not None:
            self._read_at_once(header_only)

    def _read_at_once(self, header_only: bool) -> None:
        """Read the stream; when it cannot be read, hold nothing of it."""
        try:
            self._read(header_only)
        except BaseException:
            self._forget()
            raise
        self._saved_header = self._facts().raw
        self._data_replaced = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Close; after an exception, without writing anything."""
        if exc_type is None:
            self.close()
        else:
            self._abort()

    # reading

    def _read(self, header_only: bool = False) -> None:
        """Read header, extended header and, unless `header_only`, data from the stream's position."""
        self._read_header()
        self._read_extended_header()
        if not header_only:
            self._read_data()

    def _problem(self, text: str, detail: str, error: type[MrcFormatError] = MrcFormatError, suffix: str = "") -> None:
        """Raise the error, or warn in permissive mode: the only place that decides which."""
        if not self._permissive:
            raise error(f"{text} ({detail})", self._path_for_errors())
        say(text + suffix)

    def _path_for_errors(self) -> str | None:
        """Return the name an error text begins with."""
        name = getattr(self._iostream, "name", None)
        return name if isinstance(name, str) else None

    def _read_header(self) -> None:
        """Read 1024 bytes and decide their byte order."""
        block, count = self._read_bytearray_from_stream(HEADER_NBYTES)
        if count < HEADER_NBYTES:
            detail = f"found {count} bytes, expected {HEADER_NBYTES}"
            raise TruncatedError(f"Couldn't read enough bytes for MRC header ({detail})", self._path_for_errors())
        raw = bytes(block[:HEADER_NBYTES])
        if not is_map_id(raw):
            detail = f"word 53 (map) is {Header(raw).map!r}, expected {MAP_ID!r}"
            self._problem("Map ID string not found - not an MRC file, or file is corrupt", detail)
        self._record = None
        self._frozen = Header(raw, self._byte_order(raw))

    def _byte_order(self, raw: bytes) -> ByteOrder:
        """Return the byte order of a header."""
        stamp = raw[_STAMP : _STAMP + 4]
        order = STAMPS.get(stamp[:2])
        if order is None:
            text = f"Unrecognised machine stamp: {utils.pretty_machine_stamp(stamp)}"
            self._problem(text, "word 54; expected 44 44, 44 41 or 11 11")
            order = "<"
        opposite: ByteOrder = ">" if order == "<" else "<"
        if self._permissive and pixel_of(Header(raw, order)) is None and pixel_of(Header(raw, opposite)) is not None:
            text = f"Machine stamp '{utils.pretty_machine_stamp(stamp)}' does not match the apparent byte order"
            self._problem(f"{text} '{opposite}'", "word 54")
            return opposite
        return order

    def _read_extended_header(self) -> None:
        """Read the bytes between header and data."""
        declared = self._facts().nsymbt
        if declared == 0:
            self._extended_header = np.empty(0, dtype="V1")
            self._extended_header.flags.writeable = not self._read_only
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
        """Read the data; at most `max_bytes`, when that is positive."""
        self._data = None
        layout = self._find_data(max_bytes)
        if layout is None:
            return
        raw, count = self._read_block(layout.nbytes)
        if count < layout.nbytes:
            self._data_missing(layout, self._shortage(count))
            return
        self._data = pixels(raw, layout)
        self._data.flags.writeable = not self._read_only

    def _find_data(self, max_bytes: int = 0) -> Layout | None:
        """Return where the data are; None after a problem, such as an end of the stream that comes too early."""
        layout = self._layout()
        if layout is None:
            return None
        available = self._remaining()
        if 0 < max_bytes < layout.nbytes:
            self._data_missing(layout, f"limit is {max_bytes}")
            return None
        if available is not None and available < layout.nbytes:
            self._data_missing(layout, self._shortage(available))
            return None
        return layout

    def _data_missing(self, layout: Layout, found: str) -> None:
        """Say that the data block is not whole."""
        detail = f"words 1-4 declare {layout.shape} of mode {layout.pixel.mode}"
        self._problem(f"Expected {layout.nbytes} bytes in data block but {found}", detail, TruncatedError)

    def _shortage(self, count: int) -> str:
        """Say how many bytes of the data block there are."""
        return f"could only read {count}"

    def _layout(self, suffix: str = NOT_READ) -> Layout | None:
        """Return where the header says the data are and what; None after a problem."""
        header = self._facts()
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
        """Read a block, for the data."""
        return self._read_bytearray_from_stream(number_of_bytes)

    def _read_bytearray_from_stream(self, number_of_bytes: int) -> tuple[bytearray, int]:
        """Read from the stream; return the bytes and how many there were."""
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
        """Return the bytes between the stream's position and its end, or None when it cannot tell cheaply."""
        return remaining(self._iostream)

    # writing

    def _set_new_data(self, data: Any) -> None:
        """Take new data."""
        super()._set_new_data(data)
        self._data_replaced = True

    def flush(self) -> None:
        """Write header, extended header and data to the stream, and cut it after them.

        Data that were not read stay as they are in the stream.
        """
        self._check_process()
        if self._read_only or self._header is None:
            return
        header = self._facts()
        warn_of_contradictions(header, self._extended_header, self._data)
        stream = self._iostream
        stream.seek(0)
        stream.write(header.raw)
        if self._extended_header is not None:
            stream.write(self._extended_header.tobytes())
        if self._data is not None:
            stream.write(memoryview(stored(header, self._data)))
            stream.truncate()
        stream.flush()
        self._saved_header = header.raw
        self._data_replaced = False

    def __del__(self) -> None:
        """Say that changes were not written; write nothing."""
        stream = getattr(self, "_iostream", None)
        if stream is None or stream.closed or self._read_only or (self._record is None and self._frozen is None):
            return
        if self._data_replaced or self._facts().raw != self._saved_header:
            text = f"unclosed {type(self).__name__}: what was not flushed is lost; use a with block, or close()"
            warnings.warn(text, ResourceWarning, source=self, stacklevel=2)

    def _check_process(self) -> None:
        """Refuse to write in a forked child what its parent holds open."""
        if os.getpid() != self._pid:
            raise ClosedError("this object was opened in another process; a forked child does not write its parent's")

    def close(self) -> None:
        """Write what has to be written, and let header and data go; the stream stays open."""
        if self._header is not None and self._iostream is not None and not self._iostream.closed:
            self.flush()
        self._forget()

    def _abort(self) -> None:
        """Let header and data go without writing."""
        self._forget()

    def _forget(self) -> None:
        """Let header and data go."""
        self._header = None
        self._extended_header = None
        self._close_data()


def remaining(stream: Any) -> int | None:
    """Return the bytes between a stream's position and its end, or None when it cannot seek."""
    try:
        position = stream.tell()
        end = stream.seek(0, os.SEEK_END)
        stream.seek(position)
    except (AttributeError, OSError, ValueError):
        return None
    return max(0, int(end) - int(position))


def is_map_id(raw: bytes) -> bool:
    """Return whether a header carries the map identifier; its fourth character may be any."""
    return raw[MAP_ID_OFFSET_BYTES : MAP_ID_OFFSET_BYTES + 3] == MAP_ID[:3]


def pixel_of(header: Header) -> PixelFormat | None:
    """Return the pixel format of a header's mode, if the specification has it."""
    row = MODES.get(header.mode)
    return row.pixel if row is not None and row.standard else None


def impossible_dimensions(header: Header, *, permissive: bool = False) -> tuple[str, str] | None:
    """Return what makes the dimensions of a header impossible, and where; None when they can be."""
    for word, name in enumerate(("nx", "ny", "nz"), start=1):
        if getattr(header, name) < 0:
            return f"Header field '{name}' is negative: {getattr(header, name)}", f"word {word}; expected 0 or more"
    nz, mz = header.nz, header.mz
    if utils.spacegroup_is_volume_stack(header.ispg) and (mz <= 0 or (nz % mz and not permissive)):
        return f"Volume stack has nz = {nz} and mz = {mz}", "words 3 and 10; nz should be divisible by a positive mz"
    return None


def layout_of(header: Header, pixel: PixelFormat) -> Layout:
    """Return the layout a header with possible dimensions describes."""
    shape = utils.shape_of(header)
    stack = Kind.IMAGE_STACK if header.ispg == IMAGE_STACK_SPACEGROUP else Kind.VOLUME
    kind = {2: Kind.IMAGE, 4: Kind.VOLUME_STACK}.get(len(shape), stack)
    return Layout(kind, shape, pixel, header.byteorder, data_start(header))


def data_start(header: Header) -> int:
    """Return the byte at which the data begin."""
    return HEADER_NBYTES + max(0, header.nsymbt)


def pixels(raw: Any, layout: Layout) -> Any:
    """Return the stored bytes as an array, in the byte order of the file."""
    flat = np.frombuffer(raw, dtype=np.uint8, count=layout.nbytes) if not isinstance(raw, np.ndarray) else raw
    if math.prod(layout.shape) == 0:
        return np.empty(layout.shape, layout.pixel.dtype.newbyteorder(layout.byteorder))
    if is_plain(layout.pixel):
        return flat.view(layout.pixel.stored_dtype(layout.byteorder)).reshape(layout.shape)
    return layout.pixel.unpack(flat.reshape(-1, layout.row_nbytes), layout.columns, layout.byteorder).reshape(
        layout.shape
    )


def is_plain(pixel: PixelFormat) -> bool:
    """Whether one stored item is one pixel of the same type."""
    return pixel.stored == pixel.memory and pixel.bits == 8 * pixel.dtype.itemsize  # bits in a byte


def is_plain_mode(header: Header) -> bool:
    """Whether the mode of a header is one whose pixels are plain items, as the original library reads them."""
    pixel = pixel_of(header)
    return pixel is not None and is_plain(pixel)


def stored(header: Header, data: Any) -> Any:
    """Return data as the bytes to write, a flat array of uint8; packed where the header's mode is a packed one."""
    pixel = _packing(header, data)
    if pixel is not None:
        return pixel.pack(data, header.byteorder).reshape(-1)
    return np.ascontiguousarray(data).reshape(-1).view(np.uint8)


def stored_nbytes(header: Header, data: Any) -> int:
    """Return how many bytes the data take in the file."""
    pixel = _packing(header, data)
    if pixel is None:
        return int(data.nbytes)
    return int(pixel.row_nbytes(data.shape[-1]) * math.prod(data.shape[:-1]))


def _packing(header: Header, data: Any) -> PixelFormat | None:
    """Return the pixel format by which the data are packed, None when they are written as they are."""
    pixel = pixel_of(header)
    return pixel if pixel is not None and not is_plain(pixel) and data.ndim and data.dtype == pixel.dtype else None


def contradictions(header: Header, extended_header: Any, data: Any) -> list[str]:
    """Return how a header contradicts the extended header and data that are written with it."""
    found = []
    if extended_header is not None and header.nsymbt != extended_header.nbytes:
        found.append(f"nsymbt is {header.nsymbt} for an extended header of {extended_header.nbytes} bytes")
    if data is None or data.size == 0:
        return found
    pixel = pixel_of(header)
    if pixel is None or pixel.dtype != data.dtype.newbyteorder("=") or impossible_dimensions(header) is not None:
        return [*found, f"mode {header.mode}, nz {header.nz} and mz {header.mz} cannot be those of {data.dtype} data"]
    declared = layout_of(header, pixel).shape
    if data.shape not in (declared, (1, *declared)) and declared != (1, *data.shape):
        found.append(f"the header declares {declared}, the data are {data.shape}")
    if STAMPS.get(header.machst[:2]) != header.byteorder:
        found.append(f"the machine stamp is {utils.pretty_machine_stamp(header.machst)}")
    return found


def warn_of_contradictions(header: Header, extended_header: Any, data: Any) -> None:
    """Warn of a header that contradicts its data; it is written all the same, as the caller asked."""
    for text in contradictions(header, extended_header, data):
        _advise(f"the header contradicts the data: {text}")


def warn_of_unreadable(header: Header, before: Header, size: int) -> None:
    """Warn of a header that declares other data than a file of this size holds, where the one before did not."""
    text = _unreadable(header, size)
    if text and not _unreadable(before, size):
        _advise(f"the header contradicts the file: {text}")


def _unreadable(header: Header, size: int) -> str:
    """Return why a file of this size cannot hold the data of a header; empty when it can."""
    pixel = pixel_of(header)
    if pixel is None or impossible_dimensions(header) is not None:
        return f"mode {header.mode}, nz {header.nz} and mz {header.mz} make no data"
    stop = layout_of(header, pixel).stop
    return f"its data end at byte {stop}, the file at {size}" if stop > size else ""


def _advise(text: str) -> None:
    """Warn, but never stop the writing: where filters make the warning an error, it is left out."""
    with contextlib.suppress(MrcWarning):
        say(text)
