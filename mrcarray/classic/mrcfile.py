"""MRC files: `MrcFile`.

Compression and mapping are a choice of backing; the classes for them set the choice and no more.

What is written, and when
-------------------------
A file opened for reading and writing is compared with what is in memory when it is flushed or closed, and only what
differs is written: nothing, or the header by one write in place, or the whole file anew through a temporary file and
an atomic rename. Data that were not read are never touched. Leaving a ``with`` block by an exception discards what was
not flushed. An object that is not closed is written in the same way when it is collected or the interpreter ends, with
a `ResourceWarning`; see `mrcarray.classic.unclosed`.
"""

from __future__ import annotations

import io
import os
import threading
import warnings
from typing import IO, TYPE_CHECKING, Any, ClassVar

import numpy as np

from mrcarray.classic.arguments import text_name
from mrcarray.classic.backing import ELSEWHERE, Backing
from mrcarray.classic.consistency import warn_of_contradictions, warn_of_unreadable
from mrcarray.classic.data_block import data_start, data_stop, is_packed_mode, is_plain_mode, stored
from mrcarray.classic.file_base import OpenFile
from mrcarray.classic.modified import SMALL, Content
from mrcarray.classic.mrcinterpreter import NOT_READ
from mrcarray.classic.statistics import Counted, set_statistics, statistics_bytes
from mrcarray.classic.stream import Noting
from mrcarray.classic.unclosed import finish, watch
from mrcarray.classic.warn_user import say
from mrcarray.errors import (
    ClosedError,
    ConflictError,
    MrcFormatError,
    MrcValueError,
    MrcWarning,
    StaleFileError,
    printable,
)
from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.format.header import Header

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from mrcarray.statistics import Stats

__all__ = ["MrcFile"]

_MODES = ("r", "r+", "w+")
#: What a closed file has for a stream.
_CLOSED = io.BytesIO()
_CLOSED.close()


class MrcFile(OpenFile):
    """An MRC file.

    Parameters
    ----------
    name : str or os.PathLike
        File name.
    mode : {"r", "r+", "w+"}
        Read, read and write, or make a new file. A new file appears under its name when it is flushed or closed.
    overwrite : bool
        Whether ``w+`` may replace a file.
    permissive : bool
        Warn of what is wrong with the file, and read on, instead of raising.
    header_only : bool
        Leave the data unread.

    Raises
    ------
    ValueError
        For another mode, a file that is in the way, or one that is no valid MRC file and `permissive` is false.
    OSError
        When there is no such file or it cannot be read.

    Warns
    -----
    RuntimeWarning
        When there are bytes after the data, and for everything that is wrong in permissive mode.

    Notes
    -----
    For subclasses: a class that assigns ``_iostream`` in ``_open_file`` is read and written through that stream.

    Examples
    --------
    >>> with MrcFile("example.mrc", mode="w+") as mrc:
    ...     mrc.set_data(np.zeros((5, 3, 4), "f4"))
    >>> with MrcFile("example.mrc", mode="r+") as mrc:
    ...     mrc.data[0] = 1
    ...     mrc.update_header_stats()
    >>> MrcFile("example.mrc", header_only=True).header.dmax
    array(1., dtype=float32)
    """

    #: Whether what is written is flushed to the disk before it takes its name; set it to False where a crash of the
    #: machine may cost the file.
    sync: ClassVar[bool] = True
    #: Whether there is nothing to close.
    _closed = True
    #: Extended header, start and stop of the data in the file.
    _saved_extended = b""
    _saved_start = HEADER_NBYTES
    _saved_stop: int | None = None
    #: Whether somebody asked for the data, and may have changed them; and a copy of small ones from before.
    _data_seen = False
    _saved_data: bytes | None = None
    #: Whether the statistics are computed when the data are written, rather than when they are set.
    _statistics_due = False

    def __init__(
        self,
        name: str | os.PathLike[str],
        mode: str = "r",
        overwrite: bool = False,
        permissive: bool = False,
        header_only: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(permissive=permissive, **kwargs)
        if mode not in _MODES:
            raise MrcValueError(f"Mode '{mode}' not supported")
        name = text_name(name)
        if "w" in mode and not overwrite and os.path.exists(name):  # noqa: PTH110 - text stays text
            raise MrcValueError(f"File '{name}' already exists; set overwrite=True to overwrite it")
        self._name = name
        self._mode = mode
        self._read_only = mode == "r"
        self._overwrite = overwrite
        self._header_only = header_only
        exclusive = mode == "w+" and not overwrite
        path = None if self._handed_over is None else self._handed_over.path
        mapped = self._held.in_place
        facts = {"exclusive": exclusive, "mapped": mapped, "sync": self.sync, "writable": not self._read_only}
        self._backing = Backing(name, self._compression, path=path, **facts)
        self._open_file(name)
        try:
            if mode == "w+":
                self._create_default_attributes()
            else:
                self._read(header_only)
        except BaseException:
            self._close_file()
            self._backing.discard()
            raise
        self._closed = False
        if not self._read_only:
            #: Held while the file is written: a daemon thread may do so when the interpreter ends.
            self._writing = threading.RLock()
            watch(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}('{printable(self._name)}', mode='{self._mode}')"

    def _read(self, header_only: bool = False) -> None:
        """Read the file from its start."""
        self._settle()
        self._position = 0
        self._extended_header = self._array = None
        self._data_seen = False
        super()._read(header_only)
        self._backing.rest()
        self._remember()

    # writing

    def set_extended_header(self, extended_header: Any) -> None:
        """Replace the extended header; mapped data move to a new file beside this one when its size changes.

        Parameters
        ----------
        extended_header : ndarray
            Any array; its bytes are written. ``header.exttyp`` is left to the caller.

        Raises
        ------
        ValueError
            When the file is open read-only, or the array has more than 2147483647 bytes.
        OSError
            When there is no room for a new map. Nothing is changed then.

        Examples
        --------
        >>> with MrcFile("example.mrc", mode="w+") as mrc:
        ...     mrc.set_extended_header(np.frombuffer(b"any kind of array", "V1"))
        >>> MrcFile("example.mrc").extended_header.tobytes()
        b'any kind of array'
        """
        before = self._extended_header, int(self._header.nsymbt) if self._header is not None else 0
        super().set_extended_header(extended_header)
        try:
            self._held.move(self)
        except BaseException:  # the data are where they were, and so is what stands before them
            self._extended_header, self._header.nsymbt = before
            raise

    @property
    def _data(self) -> Any:
        """The data array; who was given it may have changed it."""
        self._save_data()
        self._data_seen = True
        return self._array

    @_data.setter
    def _data(self, array: Any) -> None:
        self._save_data()
        self._data_seen = True
        self._array = array

    def _set_contiguous_data(self, data: Any) -> None:
        self._save_data()
        super()._set_contiguous_data(data)

    def _save_data(self) -> None:
        """Keep a copy of small data before somebody may change or replace them."""
        if not (self._data_seen or self._data_replaced or self._read_only):
            self._saved_data = self._small_data()

    def _small_data(self) -> bytes | None:
        """Return small data as they are stored, None without them."""
        known = self._array is not None and not self._held.in_place and self._saved_stop is not None
        return bytes(self._stored()) if known and self._array.nbytes <= SMALL else None

    def _set_data_at_once(self, data: Any) -> None:
        """Set data that will be written before anybody looks at the header: their statistics wait for that."""
        self._statistics_due = True
        self.set_data(data)

    def update_header_stats(self) -> None:
        """Compute minimum, maximum, mean and rms of the data and set them in the header."""
        if not self._statistics_due:
            super().update_header_stats()
            return
        self.reset_header_stats()
        if self._array is not None and self._array.size:
            self._computed_stats = statistics_bytes(self._header)

    def _remember(self) -> None:
        """Note what the file holds, to know later what was changed."""
        self._data_replaced = False
        if self._read_only:
            return
        header = self._facts()
        self._saved_header = header.raw
        self._saved_extended = b"" if self._extended_header is None else self._extended_header.tobytes()
        self._saved_start = data_start(header)
        self._saved_stop = None if self._array is None else data_stop(header, self._array)
        self._saved_data = self._small_data() if self._data_seen else None

    def _extended_bytes(self) -> bytes:
        """Return the extended header to write; what could not be read stays as it was."""
        return self._saved_extended if self._extended_header is None else self._extended_header.tobytes()

    def _data_changed(self) -> bool:
        """Return whether the data in memory differ from those in the file."""
        if self._data_replaced or self._held.in_place:
            return self._data_replaced
        if self._array is None or not self._data_seen:
            return False
        block = self._stored()
        if self._saved_stop not in (None, self._saved_start + block.size):
            return True
        try:
            return not self._backing.holds(self._saved_start, block)
        except (StaleFileError, FileNotFoundError) as error:
            text = f"your changes cannot be compared with the file, and were not written ({error}); {ELSEWHERE}"
            raise ConflictError(text) from error

    def _stored(self) -> Any:
        """Return the data as the bytes to write; refuse those that the mode of the file does not hold."""
        try:
            return stored(self._facts(), self._array)
        except MrcValueError as error:
            raise MrcValueError(f"{printable(self._name)}: {error}; nothing was written") from None

    def _changed(self) -> str:
        """Return what has to be written: nothing, the ``"head"`` in place, or ``"all"``."""
        if not self._backing.exists:
            return "all"
        extended = self._extended_bytes()
        head = self._facts().raw != self._saved_header or extended != self._saved_extended
        if self._data_changed() or len(extended) != len(self._saved_extended):
            return "all"
        if not head:
            return ""
        return "all" if self._compression else "head"

    def flush(self) -> None:
        """Write what differs from the file: nothing, the header in place, or the whole file by way of a temporary one.

        Raises
        ------
        ConflictError
            When another program changed the file since it was opened. Nothing is written then.
        MrcValueError
            When a value is beyond what modes 3 and 101 hold, which is less than their dtype. Nothing is written then.
        OSError
            When the file cannot be written. A whole rewrite leaves the old file as it was.

        Examples
        --------
        >>> with MrcFile("example.mrc", mode="w+") as mrc:
        ...     mrc.set_data(np.zeros((5, 3, 4), "f4"))
        ...     mrc.flush()
        ...     os.path.getsize("example.mrc")
        1264
        """
        if self._read_only:
            return
        self._check_not_closed()
        self._check_process()
        with self._writing:
            self._flush()

    def _flush(self) -> None:
        """Write what differs from the file, while no other thread does."""
        if self._foreign:
            super().flush()
            return
        self._held.flush()
        self._settle()
        self._backing.forgive_touch(self._saved_content)
        changed = self._changed()
        if changed == "all":
            self._write_all()
        elif changed:
            self._write_head()
        if changed:
            self._data_seen = self._array is not None
            self._remember()
            self._close_file()
            self._stream = None
        self._position = self._saved_start if self._saved_stop is None else self._saved_stop

    def _saved_content(self) -> Content:
        """Return what the file holds, as far as that is known."""
        self._save_data()
        return Content(self._saved_header + self._saved_extended, self._saved_data)

    def _check_not_closed(self) -> None:
        if self._frozen is None and self._record is None:
            raise ClosedError(f"{self._name}: the file is closed")

    def _write_head(self) -> None:
        """Write the changed bytes of header and extended header over those in the file."""
        header = self._facts()
        warn_of_unreadable(header, Header(self._saved_header, header.byteorder), self._backing.size() or 0)
        self._backing.patch(self._saved_header + self._saved_extended, header.raw + self._extended_bytes())

    def _write_all(self) -> None:
        """Write the whole file anew; data that were not read, and bytes after the data, are copied."""
        self._held.settle(self)
        warn_of_contradictions(self._facts(), self._extended_header, self._array)
        block = self._block()
        parts, size = self._parts(block), self._final_size(block)
        self._held.write(self._backing, lambda: self._final_header(block), parts, size)

    def _block(self) -> Counted | None:
        """Return the data to write; they are counted where the statistics in the header are ours to keep true."""
        if self._array is None:
            return None
        raw = self._stored()
        plain = raw.size == self._array.nbytes and raw.size > 0
        return Counted(raw, self._array.dtype if plain and self._owns_statistics() else None)

    def _owns_statistics(self) -> bool:
        """Return whether the statistics in the header are those this object computed, or left to be computed."""
        return self._computed_stats is not None and statistics_bytes(self._header) == self._computed_stats

    def _final_header(self, block: Counted | None) -> bytes:
        """Return the header's bytes, with the statistics of the data as they were written."""
        stats = block.stats if block is not None else None
        if stats is not None:
            self._state_statistics(stats)
        return self._facts().raw

    def _state_statistics(self, stats: Stats | None) -> None:
        """Set the statistics in the header, and warn if nobody did before."""
        texts = set_statistics(self._header, self._array, stats)
        self._computed_stats = statistics_bytes(self._header)
        if self._statistics_due:
            self._statistics_due = False
            for text in texts:
                say(text)

    def _final_size(self, block: Counted | None) -> int:
        """Return the size of the file to write, as far as it is known."""
        data = 0 if block is None else int(block.raw.size)
        return HEADER_NBYTES + len(self._extended_bytes()) + data

    def _parts(self, block: Counted | None) -> Iterator[Any]:
        """Give the pieces of the file to write after the header."""
        yield self._extended_bytes()
        rest: int | None = self._saved_start
        if block is not None:
            yield block
            rest = self._saved_stop
        if rest is not None and self._backing.exists:
            yield from self._backing.pieces(rest)

    def close(self) -> None:
        """Write what differs from the file, and close it; closing again does nothing.

        When writing fails, the object stays open, so that it can be tried again; see `flush` for what is raised.
        """
        if self._closed:
            return
        if not self._read_only and self._header is not None and not (self._foreign and self._stream.closed):
            self.flush()
            self._keep_streamed()
        self._abort()

    def _keep_streamed(self) -> None:
        """Give its name to a new file that a `flush` of a subclass wrote by way of the stream."""
        if isinstance(self._stream, Noting) and self._stream.written and self._backing.pending is not None:
            self._stream.flush()
            self._backing.keep()

    def _abort(self) -> None:
        """Close without writing."""
        self._closed = True
        self._forget()
        self._close_file()
        if self._stream is None:
            self._stream = _CLOSED
        self._backing.discard()
        self._backing.release()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Close; after an exception, in the block or in writing, without leaving anything half done."""
        try:
            super().__exit__(exc_type, exc_val, exc_tb)
        finally:
            if not self._closed:
                self._abort()

    def __del__(self) -> None:
        """Close, as far as that was not done."""
        if not self._closed:
            finish(self)

    def _watch(self) -> None:
        """Wait with it until the file is open."""

    def _unclosed_name(self) -> str:
        return repr(self)

    def _needs_closing(self) -> bool:
        return not (self._closed or self._read_only)

    def _reason_to_discard(self) -> str:
        """Return why changes are not written when nobody closes this object; empty where they are.

        Between `new` and `set_data` a program may fail, and its new file without data must not replace an old one.
        """
        new = self._mode == "w+" and not (self._foreign or self._backing.exists)
        filled = self._array is not None and self._array.size > 0
        return (
            "no data were set, so the file that exists was kept"
            if new and not filled and self._backing.replaces
            else ""
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle how to open the file again; only of an object that is open read-only."""
        if not self._read_only or self._closed or self._foreign:
            raise TypeError(f"cannot pickle {self!r}: only an open file in mode 'r' can be pickled")
        arguments = (self._backing.path, self._permissive, self._header_only, self._backing.fingerprint)
        return _reopen, (type(self), *arguments)

    # checks and conversion

    def validate(self, print_file: IO[str] | None = None) -> bool:
        """Check this file against the specification, printing one line for each problem.

        Parameters
        ----------
        print_file : text stream, optional
            Where to print; by default the standard output.

        Returns
        -------
        bool
            Whether there is no problem: `MrcObject.validate` with one more rule, for the size of the file.

        Examples
        --------
        >>> with MrcFile("example.mrc", mode="w+") as mrc:
        ...     mrc.set_data(np.zeros((5, 3, 4), "f4"))
        ...     mrc.voxel_size = 1
        ...     mrc.flush()
        ...     mrc.validate()
        True
        """
        from mrcarray.classic.validator_stats import findings, report
        from mrcarray.validation.checks.classic import size_finding

        self._check_not_closed()
        expected = None
        if self._array is not None and not is_packed_mode(self._facts()):
            extended = 0 if self._extended_header is None else self._extended_header.nbytes
            expected = HEADER_NBYTES + extended + self._array.nbytes
        size = size_finding(self._get_file_size(), expected)
        return report(findings(self._facts(), self._array) + [size] * bool(size), print_file)

    def _measure(self, most: int) -> None:
        """Read the data for validation: whole up to `most` bytes, and beyond that only their statistics.

        Modes that the original library cannot read are not read.
        """
        from mrcarray.classic.validator_stats import Measured

        if not is_plain_mode(self._facts()):
            self._problem(f"Unrecognised mode '{self._facts().mode}'", "word 4", suffix=NOT_READ)
            return
        layout = self._find_data()
        if layout is None:
            return
        if layout.nbytes <= most:
            self._read_data()
            return
        measured, dtype, count = Measured(), layout.pixel.stored_dtype(layout.byteorder), 0
        for piece in self._backing.pieces(layout.offset, layout.stop):
            measured.add(np.frombuffer(piece, dtype, count=len(piece) // dtype.itemsize))
            count += len(piece)
        if count < layout.nbytes:
            self._data_missing(layout, self._shortage(count))
            return
        self._array = measured
        self._warn_of_more(layout.stop)

    def _take_data(self) -> Any:
        """Give the data away, as an array of its own that may be written."""
        if self._array is None:
            reasons = "; ".join(self._problems) or "they were not read"
            raise MrcFormatError(f"the data could not be read: {reasons}", self._name)
        data, self._array = self._array, None
        data.flags.writeable = True
        return data

    def to_xarray(self, chunks: Any = None) -> Any:
        """Return the file as a labelled array, `xarray.open_dataarray` of it with the ``mrc`` engine.

        The array reads the file itself, when its values are asked for, and outlives this object.

        Parameters
        ----------
        chunks : int, dict, "auto" or None
            As in `xarray.open_dataarray`; None gives a lazy array without dask, ``{}`` dask with one chunk a section
            or some.

        Returns
        -------
        xarray.DataArray

        Raises
        ------
        ValueError
            When there are changes that were not flushed.

        Examples
        --------
        >>> with MrcFile("example.mrc", mode="w+") as mrc:
        ...     mrc.set_data(np.zeros((5, 3, 4), "f4"))
        ...     mrc.voxel_size = 1.5
        >>> volume = MrcFile("example.mrc", header_only=True).to_xarray()
        >>> volume.dims, volume.x.values.tolist()
        (('z', 'y', 'x'), [0.0, 1.5, 3.0, 4.5])
        """
        import xarray as xr

        self._check_not_closed()
        if not self._read_only and self._changed():
            raise MrcValueError(f"{self._name}: there are changes that are not in the file yet; call flush() first")
        options: dict[str, Any] = {"permissive": True} if self._permissive else {}
        return xr.open_dataarray(self._backing.path, engine="mrc", chunks=chunks, **options)


def _reopen(
    cls: type[MrcFile], name: str, permissive: bool, header_only: bool, fingerprint: tuple[int, ...]
) -> MrcFile:
    """Open a pickled file again; refuse another file under the name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MrcWarning)
        mrc = cls(name, permissive=permissive, header_only=header_only)
    found = mrc._backing.fingerprint
    if found is None or found[: len(fingerprint)] != fingerprint:  # earlier versions pickled no change time
        mrc.close()
        raise StaleFileError(f"{name}: the file changed after the object was pickled")
    return mrc
