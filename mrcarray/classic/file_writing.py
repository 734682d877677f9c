"""Writing an open file: `WritableFile` finds what changed since the file was read or written, and writes that.

A changed header is patched in place. Any other change writes a new file through `Backing.rewrite`; statistics that the
object computed are computed again from the data that are written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mrcarray.caller import warn
from mrcarray.classic.backing import SAVE_ELSEWHERE, SMALL, Content
from mrcarray.classic.consistency import warn_of_contradictions, warn_of_unreadable
from mrcarray.classic.data_block import data_start, data_stop, holds_pixels, is_packed, stored
from mrcarray.classic.file_base import OpenFile
from mrcarray.classic.header_record import set_statistics, statistics_bytes
from mrcarray.errors import ConflictError, MrcValueError, StaleFileError, printable
from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.format.header import Header

if TYPE_CHECKING:
    from mrcarray.classic.backing import InPlaceWriter
    from mrcarray.file_writer import FileWriter
    from mrcarray.statistics import Stats

__all__ = ["WritableFile"]


class WritableFile(OpenFile):
    """An `OpenFile` that writes its changes."""

    #: Extended header, and first byte and byte after the data, in the file.
    _saved_extended = b""
    _saved_start = HEADER_NBYTES
    _saved_stop: int | None = None
    #: Whether the data were handed out, so that they may have been changed, and a copy of small ones from before.
    _data_seen = False
    _saved_data: bytes | None = None
    #: Whether statistics are computed when the data are written instead of when they are set.
    _statistics_due = False

    # the data, which a caller may change

    @property
    def _data(self) -> Any:
        """The data array; the caller may change it."""
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
        """Keep a copy of small data before they may be changed or replaced."""
        if not (self._data_seen or self._data_replaced or self._read_only):
            self._saved_data = self._small_data()

    def _small_data(self) -> bytes | None:
        """Return small data as they are stored; None for other data."""
        known = self._array is not None and not self._storage.in_place and self._saved_stop is not None
        return bytes(self._stored()) if known and self._array.nbytes <= SMALL else None

    def _set_data_at_once(self, data: Any) -> None:
        """Set data whose statistics are computed while they are written: the header is not used before."""
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

    # finding changes

    def _remember(self) -> None:
        """Record the content of the file, to detect changes later."""
        self._data_replaced = False
        if self._read_only:
            return
        header = self._current_header()
        self._saved_header = header.raw
        self._saved_extended = b"" if self._extended_header is None else self._extended_header.tobytes()
        self._saved_start = data_start(header)
        self._saved_stop = None if self._array is None else data_stop(header, self._array)
        self._saved_data = self._small_data() if self._data_seen else None

    def _extended_bytes(self) -> bytes:
        """Return the extended header to write; one that could not be read stays unchanged."""
        return self._saved_extended if self._extended_header is None else self._extended_header.tobytes()

    def _data_changed(self) -> bool:
        """Return whether the data in memory differ from those in the file."""
        if self._data_replaced or self._storage.in_place:
            return self._data_replaced
        if self._array is None or not self._data_seen:
            return False
        block = self._stored()
        if self._saved_stop not in (None, self._saved_start + block.size):
            return True
        try:
            if self._backing.contains(self._saved_start, block):
                return False
            # The half bytes that a row of mode 101 does not use may have any value.
            header = self._current_header()
            if not is_packed(header, self._array):
                return True
            raw = self._backing.read(self._saved_start, self._saved_start + block.size)
            return not holds_pixels(header, self._array, raw)
        except (StaleFileError, FileNotFoundError) as error:
            text = f"your changes cannot be compared with the file, and were not written ({error}); {SAVE_ELSEWHERE}"
            raise ConflictError(text) from error

    def _stored(self) -> Any:
        """Return the data as the bytes to write; refuse values outside the range of the file's mode."""
        try:
            return stored(self._current_header(), self._array)
        except MrcValueError as error:
            raise MrcValueError(f"{printable(self._name)}: {error}; nothing was written") from None

    def _changed(self) -> str:
        """Return what has to be written: ``""`` (nothing), ``"head"`` (the header, in place) or ``"all"``."""
        if not self._backing.exists:
            return "all"
        extended = self._extended_bytes()
        head = self._current_header().raw != self._saved_header or extended != self._saved_extended
        if self._data_changed() or len(extended) != len(self._saved_extended):
            return "all"
        if not head:
            return ""
        return "all" if self._compression else "head"

    # writing changes

    def _flush(self) -> None:
        if self._foreign:
            super().flush()
            return
        self._storage.flush()
        self._accept_stream_writes()
        self._backing.accept_touch(self._saved_content)
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
        """Return the content of the file, as far as it is known."""
        self._save_data()
        return Content(self._saved_header + self._saved_extended, self._saved_data)

    def _write_head(self) -> None:
        """Write the changed bytes of header and extended header in place."""
        header = self._current_header()
        warn_of_unreadable(header, Header(self._saved_header, header.byteorder), self._backing.size() or 0)
        self._backing.patch(self._saved_header + self._saved_extended, header.raw + self._extended_bytes())

    def _write_all(self) -> None:
        """Write the whole file; data that were not read, and bytes after the data, are copied from the old one."""
        self._storage.prepare_rewrite(self)
        warn_of_contradictions(self._current_header(), self._extended_header, self._array)
        self._storage.write(self)

    def _final_size(self) -> int:
        """Return the least size of the file to write."""
        start = HEADER_NBYTES + len(self._extended_bytes())
        if self._array is None:
            return start
        header = self._current_header()
        return start + data_stop(header, self._array) - data_start(header)

    def _fill(self, file: FileWriter | InPlaceWriter) -> bytes:
        """Write all bytes after the header to a new file; return the header, with statistics of the data written."""
        extended, rest = self._extended_bytes(), self._saved_stop
        file.write_at(HEADER_NBYTES, extended)
        start = HEADER_NBYTES + len(extended)
        if self._array is None:
            rest = self._saved_start
        elif is_packed(self._current_header(), self._array):
            block = self._stored()
            file.write_array(start, block, count=False)
            start += int(block.nbytes)
        else:
            owned = self._owns_statistics()
            stats = file.write_array(start, self._array, count=owned)
            if owned:
                self._set_statistics(stats)
            start += int(self._array.nbytes)
        if rest is not None and self._backing.exists:
            for piece in self._backing.pieces(rest):
                file.write_at(start, piece)
                start += len(piece)
        return self._current_header().raw

    def _owns_statistics(self) -> bool:
        """Return whether the statistics in the header were computed by this object, or are due, and there are data."""
        known = self._computed_stats is not None and statistics_bytes(self._header) == self._computed_stats
        return known and self._array.size > 0

    def _refresh_statistics(self) -> None:
        """Compute the statistics of data that may have changed, unless the caller set others."""
        if self._array is not None and self._owns_statistics():
            self._set_statistics(None)

    def _set_statistics(self, stats: Stats | None) -> None:
        """Set the statistics in the header; warn of NaN if they were due and no warning was given before."""
        texts = set_statistics(self._header, self._array, stats)
        self._computed_stats = statistics_bytes(self._header)
        if self._statistics_due:
            self._statistics_due = False
            for text in texts:
                warn(text)
