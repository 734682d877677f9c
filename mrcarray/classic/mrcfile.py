"""MRC files: `MrcFile`.

Compression and mapping are options of this class; the classes for them only set the option.

When a file that is open for reading and writing is flushed or closed, it is compared with memory, and only differences
are written: nothing, the changed bytes of the header in place, or the whole file through a temporary one and an atomic
rename. Data that were not read are copied. An exception inside a ``with`` block discards what was not flushed. An
object that is not closed is written when it is collected or the interpreter ends, with a `ResourceWarning`; see
`mrcarray.classic.unclosed`.
"""

from __future__ import annotations

import io
import os
import threading
import warnings
from typing import IO, TYPE_CHECKING, Any, ClassVar

import numpy as np

from mrcarray.classic.arguments import text_name
from mrcarray.classic.backing import Backing
from mrcarray.classic.data_block import is_packed_mode, is_plain_mode
from mrcarray.classic.file_writing import WritableFile
from mrcarray.classic.mrcinterpreter import NOT_READ
from mrcarray.classic.stream import TrackedStream
from mrcarray.classic.unclosed import finish, watch
from mrcarray.errors import ClosedError, MrcFormatError, MrcValueError, MrcWarning, StaleFileError, printable
from mrcarray.format.fields import HEADER_NBYTES

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["MrcFile"]

_MODES = ("r", "r+", "w+")
#: The stream of a closed file.
_CLOSED = io.BytesIO()
_CLOSED.close()


class MrcFile(WritableFile):
    """An MRC file.

    Parameters
    ----------
    name : str or os.PathLike
        File name.
    mode : {"r", "r+", "w+"}
        Read, read and write, or create a file. A new file appears under its name when it is flushed or closed.
    overwrite : bool
        Whether ``w+`` may replace a file.
    permissive : bool
        Warn of problems and read on, instead of raising.
    header_only : bool
        Leave the data unread.

    Raises
    ------
    ValueError
        For another mode, a file that exists and must not be replaced, or an invalid MRC file unless `permissive`.
    OSError
        When there is no such file or it cannot be read.

    Warns
    -----
    RuntimeWarning
        When there are bytes after the data and, in permissive mode, for each problem.

    Notes
    -----
    A subclass that sets ``_iostream`` in ``_open_file`` is read and written through that stream.

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

    #: Whether a file is flushed to the disk before it takes its name; False is faster, but a crash of the machine may
    #: lose the file.
    sync: ClassVar[bool] = True
    #: Whether the object is closed, or was not opened yet.
    _closed = True

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
        self._backing = Backing(
            name,
            self._compression,
            path=None if self._handed_over is None else self._handed_over.path,
            exclusive=mode == "w+" and not overwrite,
            mapped=self._storage.in_place,
            sync=self.sync,
            writable=not self._read_only,
        )
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
            #: Held while the file is written: a daemon thread may write it while the interpreter ends.
            self._writing = threading.RLock()
            watch(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}('{printable(self._name)}', mode='{self._mode}')"

    def _read(self, header_only: bool = False) -> None:
        """Read the file from its start."""
        self._accept_stream_writes()
        self._position = 0
        self._extended_header = self._array = None
        self._data_seen = False
        super()._read(header_only)
        self._backing.end_reading()
        self._remember()

    def set_extended_header(self, extended_header: Any) -> None:
        """Replace the extended header; a change of its size moves mapped data to a new file.

        Parameters
        ----------
        extended_header : ndarray
            Any array; its bytes are written. ``header.exttyp`` stays unchanged.

        Raises
        ------
        ValueError
            When the file is open read-only, or the array has more than 2147483647 bytes.
        OSError
            When the disk is too full for a new map; nothing is changed.

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
            self._storage.follow_data_start(self)
        except BaseException:  # the data were not moved
            self._extended_header, self._header.nsymbt = before
            raise

    def flush(self) -> None:
        """Write what differs from the file: nothing, the header in place, or the whole file through a temporary one.

        Raises
        ------
        ConflictError
            When another program changed the file since it was opened; nothing is written.
        MrcValueError
            When a value is outside the range of mode 3 or 101, which is smaller than that of the dtype; nothing is
            written.
        OSError
            When the file cannot be written. After a failed write of the whole file, the old one is unchanged.

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

    def _check_not_closed(self) -> None:
        if self._frozen is None and self._record is None:
            raise ClosedError(f"{self._name}: the file is closed")

    def close(self) -> None:
        """Write what differs from the file, and close it; closing again does nothing.

        After an error, which `flush` lists, the object stays open and can be closed again.
        """
        if self._closed:
            return
        if not self._read_only and self._header is not None and not (self._foreign and self._stream.closed):
            self.flush()
            self._keep_streamed()
        self._abort()

    def _keep_streamed(self) -> None:
        """Give a new file, which the `flush` of a subclass wrote through the stream, its name."""
        if isinstance(self._stream, TrackedStream) and self._stream.written and self._backing.pending is not None:
            self._stream.flush()
            self._backing.complete()

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
        """Close; an exception in the block or in writing discards what was not flushed."""
        try:
            super().__exit__(exc_type, exc_val, exc_tb)
        finally:
            if not self._closed:
                self._abort()

    def __del__(self) -> None:
        """Close an object that was not closed."""
        if not self._closed:
            finish(self)

    def _watch(self) -> None:
        """Do nothing: the constructor watches the object once its file is open."""

    def _unclosed_name(self) -> str:
        return repr(self)

    def _needs_closing(self) -> bool:
        return not (self._closed or self._read_only)

    def _reason_to_discard(self) -> str:
        """Return why the changes of an unclosed object are not written; empty when they are.

        A program may fail between `new` and `set_data`; its new file without data must not replace an old one.
        """
        new = self._mode == "w+" and not (self._foreign or self._backing.exists)
        filled = self._array is not None and self._array.size > 0
        return (
            "no data were set, so the file that exists was kept"
            if new and not filled and self._backing.replaces
            else ""
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the arguments that open the file again, for an object that is open read-only."""
        if not self._read_only or self._closed or self._foreign:
            raise TypeError(f"cannot pickle {self!r}: only an open file in mode 'r' can be pickled")
        arguments = (self._backing.path, self._permissive, self._header_only, self._backing.fingerprint)
        return _reopen, (type(self), *arguments)

    # checks and conversion

    def validate(self, print_file: IO[str] | None = None) -> bool:
        """Check this file against MRC2014, and print one line for each problem.

        Parameters
        ----------
        print_file : text stream, optional
            Where to print [default: standard output].

        Returns
        -------
        bool
            Whether there are no problems: `MrcObject.validate` and a rule for the size of the file.

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
        if self._array is not None and not is_packed_mode(self._current_header()):
            extended = 0 if self._extended_header is None else self._extended_header.nbytes
            expected = HEADER_NBYTES + extended + self._array.nbytes
        size = size_finding(self._get_file_size(), expected)
        return report(findings(self._current_header(), self._array) + [size] * bool(size), print_file)

    def _read_for_validation(self, max_in_memory: int) -> None:
        """Read up to `max_in_memory` bytes of data for validation; of larger data keep only the statistics.

        Modes that mrcfile does not read stay unread.
        """
        from mrcarray.classic.validator_stats import Measured

        if not is_plain_mode(self._current_header()):
            self._problem(f"Unrecognised mode '{self._current_header().mode}'", "word 4", suffix=NOT_READ)
            return
        layout = self._find_data()
        if layout is None:
            return
        if layout.nbytes <= max_in_memory:
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
        """Return the data as a writable array, and drop them from this object."""
        if self._array is None:
            reasons = "; ".join(self._problems) or "they were not read"
            raise MrcFormatError(f"the data could not be read: {reasons}", self._name)
        data, self._array = self._array, None
        data.flags.writeable = True
        return data

    def to_xarray(self, chunks: Any = None) -> Any:
        """Return the file as a labelled array, by `xarray.open_dataarray` with the ``mrc`` engine.

        The array reads the file when its values are used, also after this object is closed.

        Parameters
        ----------
        chunks : int, dict, "auto" or None
            As in `xarray.open_dataarray`: None gives a lazy array without dask, ``{}`` dask chunks of one or several
            sections.

        Returns
        -------
        xarray.DataArray

        Raises
        ------
        ValueError
            When changes were not flushed.

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
            raise MrcValueError(f"{self._name}: changes are not in the file yet; call flush() first")
        options: dict[str, Any] = {"permissive": True} if self._permissive else {}
        return xr.open_dataarray(self._backing.path, engine="mrc", chunks=chunks, **options)


def _reopen(
    cls: type[MrcFile], name: str, permissive: bool, header_only: bool, fingerprint: tuple[int, ...]
) -> MrcFile:
    """Open a pickled file again; refuse one that changed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MrcWarning)
        mrc = cls(name, permissive=permissive, header_only=header_only)
    found = mrc._backing.fingerprint
    if found is None or found[: len(fingerprint)] != fingerprint:  # earlier versions pickled no change time
        mrc.close()
        raise StaleFileError(f"{name}: the file changed after the object was pickled")
    return mrc
