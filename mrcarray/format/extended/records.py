"""What a dialect is, and what decoding gives: frozen values, NumPy and the standard library only.

A `Dialect` is a row of `mrcarray.format.extended.DIALECTS`; its `Field` rows say everything about one stored field.
`Records` are the per-section records as a structured array in the file's own byte order, so that `encode` is the
inverse of `decode` to the byte. Nothing here opens, prints or warns.
"""

from __future__ import annotations

import base64
import re
import struct
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.errors import MrcValueError
from mrcarray.format.extended.codecs import CODECS, Codec
from mrcarray.format.quantities import COMMON, Column

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from mrcarray.format.header import Header
    from mrcarray.format.modes import ByteOrder

__all__ = ["Dialect", "Field", "RecordFacts", "Records", "dtype_of", "joined", "missing"]


_DELTAVISION = -16224
_MASKS = ("Bitmask 1", "Bitmask 2", "Bitmask 3", "Bitmask 4")


@dataclass(frozen=True, slots=True)
class RecordFacts:
    """What the main header says that matters to its extended header.

    Parameters
    ----------
    byteorder : {"<", ">"}
        Byte order of the file.
    nz : int
        Number of sections.
    exttyp : bytes
        Declared type, four bytes; blanks and NULs mean none.
    nint, nreal : int
        The two 16-bit numbers at bytes 128 and 130, meaningful to IMOD, SerialEM and Agard's layout.
    label : str
        First text label.
    deltavision : bool
        Whether this is a DeltaVision file, whose records are no metadata of an electron microscope.
    """

    byteorder: ByteOrder = "<"
    nz: int = 1
    exttyp: bytes = b""
    nint: int = 0
    nreal: int = 0
    label: str = ""
    deltavision: bool = False

    @classmethod
    def of(cls, header: Header) -> RecordFacts:
        """Return the facts of a header; where CCP4's skew matrix stands, there are neither type nor counts."""
        if header.ccp4.skewed:
            return cls(header.byteorder, max(header.nz, 0))
        nint, nreal = struct.unpack_from(header.byteorder + "2h", header.raw, 128)
        label = header.text_labels[0] if header.text_labels else ""
        creator = struct.unpack_from(header.byteorder + "h", header.raw, 96)[0]
        deltavision = creator == _DELTAVISION and header.raw[208:211] != b"MAP"
        return cls(header.byteorder, max(header.nz, 0), header.exttyp, nint, nreal, label, deltavision)

    @property
    def declared(self) -> str:
        """The declared type as text, empty when none is declared."""
        return self.exttyp.strip(b"\0 ").decode("ascii", "replace")

    @property
    def by_fei(self) -> bool:
        """Whether the first label is the one of FEI's tomography programs."""
        return self.label.lstrip().startswith("Fei ")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record: how it is stored, what it means, and its name in the common vocabulary.

    Parameters
    ----------
    name : str
        The dialect's own name.
    item : str
        NumPy type string without byte order, such as ``f8``, ``S16`` or ``2i2``.
    unit, meaning : str
        Unit of the decoded value, and one phrase.
    common : str
        Key of `mrcarray.format.quantities.COMMON`, or empty.
    factor : float
        Decoded value times `factor` is the value in the unit of the common vocabulary.
    codec : Codec
        How stored items become values.
    scale : float
        Stored number times `scale` is the decoded number.
    mask : str
        Name of the bitmask field that says whether this one is set, or empty.
    bit : int
        Bit of `mask`.
    """

    name: str
    item: str
    unit: str = ""
    meaning: str = ""
    common: str = ""
    factor: float = 1.0
    codec: Codec = Codec.NUMBER
    scale: float = 1.0
    mask: str = ""
    bit: int = 0

    @property
    def is_mask(self) -> bool:
        """Whether this is one of FEI's bitmasks, which are little-endian in every file."""
        return self.name in _MASKS

    def dtype(self, byteorder: ByteOrder) -> np.dtype[Any]:
        """Return the stored dtype; bitmasks are little-endian whatever the file is."""
        return np.dtype(self.item).newbyteorder("<" if self.is_mask else byteorder)


def _unscaled(_records: Records, _field: Field) -> float:
    """Return the factor of a dialect whose units never change."""
    return 1.0


def _as_stated(_data: bytes, facts: RecordFacts) -> RecordFacts:
    """Return the facts of a dialect whose headers are never wrong."""
    return facts


def dtype_of(fields: Sequence[Field], byteorder: ByteOrder) -> np.dtype[Any]:
    """Return the packed dtype of a record.

    Examples
    --------
    >>> dtype_of([Field("a", "?"), Field("b", "f8")], ">").itemsize
    9
    """
    return np.dtype([(field.name, field.dtype(byteorder)) for field in fields])


@dataclass(frozen=True, slots=True)
class Dialect:
    """One kind of extended header.

    Parameters
    ----------
    name : str
        Key in `DIALECTS`; the registered type where there is one.
    exttyp : bytes
        Type written into a header that carries it.
    title : str
        Who writes it, in one phrase.
    accepts : callable
        ``accepts(data, facts)`` says why the bytes can be what their declared type says, or returns an empty string.
    recognises : callable
        The same without a declared type to lean on, so the evidence must be in the bytes and numbers.
    fields : callable or None
        ``fields(facts)`` lists the fields of one record; None for a block that is no set of records.
    slots : bool
        The block reserves room for more records than there are sections.
    granule : int
        A block that has to grow gets a length that is a multiple of this.
    open_ended : bool
        The block may end before the last section; the sections after its end have no record.
    adjust : callable
        ``adjust(records, field)`` gives the factor by which decoded values of `field` are corrected, value by value.
    effective : callable
        Turns the facts into those that are true (a known wrong count, say).
    """

    name: str
    exttyp: bytes
    title: str
    accepts: Callable[[bytes, RecordFacts], str]
    recognises: Callable[[bytes, RecordFacts], str]
    fields: Callable[[RecordFacts], tuple[Field, ...]] | None = None
    slots: bool = False
    granule: int = 1
    open_ended: bool = False
    adjust: Callable[[Records, Field], Any] = _unscaled
    effective: Callable[[bytes, RecordFacts], RecordFacts] = _as_stated

    @property
    def has_records(self) -> bool:
        """Whether the block holds one record for each section."""
        return self.fields is not None

    def layout(self, facts: RecordFacts) -> tuple[Field, ...]:
        """Return the fields of one record; none for a block without records."""
        return self.fields(facts) if self.fields else ()

    def dtype(self, facts: RecordFacts) -> np.dtype[Any]:
        """Return the packed dtype of one record, in the byte order of the file."""
        return dtype_of(self.layout(facts), facts.byteorder)


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """The records of an extended header, one for each section, and the reserved bytes after them.

    Parameters
    ----------
    dialect : Dialect
        What they are.
    facts : RecordFacts
        What the main header says, corrected.
    array : structured ndarray, shape (section,)
        The stored bytes, typed; it may be shorter than the number of sections.
    reserved : bytes
        Whatever follows the records in the block.
    """

    dialect: Dialect
    facts: RecordFacts
    array: NDArray[Any]
    reserved: bytes = b""

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.array)

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields of a record."""
        return self.dialect.layout(self.facts)

    @property
    def units(self) -> dict[str, str]:
        """Own field name -> unit of its decoded values."""
        return {field.name: field.unit for field in self.fields}

    @property
    def source(self) -> str:
        """Who speaks, for messages and attributes."""
        return f"extended header ({self.dialect.name})"

    def field(self, name: str) -> Field:
        """Return the field of an own or common name.

        Raises
        ------
        MrcValueError
            When the dialect has no such field.
        """
        for field in self.fields:
            if name in (field.name, field.common):
                return field
        raise MrcValueError(f"{self.dialect.name} records have no field {name!r}")

    @property
    def undeclared(self) -> bool:
        """Whether no bit of any bitmask is set although there are values, as Parakeet and Python tools write records.

        All fields count then. Unused records have no bit set either, and nothing but their size and version.
        """
        names = self.array.dtype.names or ()
        if _MASKS[0] not in names or any(self.array[name].any() for name in _MASKS):
            return False
        first = self.array.dtype.fields[_MASKS[0]][1]  # type: ignore[index]  # it has fields
        return bool(len(self)) and bool(self.array.view(np.uint8).reshape(len(self), -1)[:, first:].any())

    def _declared(self) -> Records:
        """Return the records with the bits of all fields set; the values are the same."""
        array = self.array.copy()
        for field in self.fields:
            if field.mask:
                array[field.mask] |= np.uint32(1 << field.bit)
        return replace(self, array=array)

    def valid(self, name: str) -> NDArray[np.bool_]:
        """Say for each record whether its bitmask declares the field set; always where no bitmask declares anything."""
        return self._valid(self.field(name))

    def _valid(self, field: Field) -> NDArray[np.bool_]:
        if not field.mask:
            return np.ones(len(self), dtype=bool)
        valid = (self.array[field.mask] >> field.bit & 1).astype(bool)
        return np.ones_like(valid) if not valid.any() and self.undeclared else valid

    def column(self, name: str) -> Column:
        """Return one field under its own name and unit, missing where its bit is unset."""
        return self._column(self.field(name))

    def _column(self, field: Field) -> Column:
        values = CODECS[field.codec].decode(self.array[field.name], field.scale)
        return Column(field.name, _blanked(values, self._valid(field)), field.unit, field.meaning, self.source)

    def common(self, name: str) -> Column:
        """Return a field of the common vocabulary, in its common unit."""
        return self._common(self.field(name), name)

    def _common(self, field: Field, name: str) -> Column:
        quantity, values = COMMON[name], self._column(field).values
        if values.dtype.kind == "f":
            values = values * field.factor * self.dialect.adjust(self, field)
            values = np.where(values == 0, np.nan, values) if quantity.positive else values
        return Column(name, values, quantity.unit, quantity.meaning, self.source)

    def columns(self, *, every: bool = False) -> dict[str, Column]:
        """Return the common columns; with `every`, also each field under its own name.

        A field that is missing from every record has a column as well, so that files of one dialect always have the
        same coordinates and can be opened together.
        Own names have an underscore for each character a netCDF variable cannot have, ``Camera_name``.
        """
        with np.errstate(all="ignore"):  # what is no number of the right kind becomes NaN or infinity in silence
            columns = [self._common(field, field.common) for field in self.fields if field.common]
            if every:
                own = (self._column(field) for field in self.fields if not field.is_mask)
                columns += [replace(column, name=re.sub(r"\W", "_", column.name)) for column in own]
        return {column.name: column for column in columns}

    def replaced(self, name: str, values: NDArray[Any], *, relative: float = 0.0) -> Records:
        """Return records in which a common field holds `values`.

        Only records whose decoded value differs are touched, so that unchanged values keep their bytes. A value that is
        missing is marked so where the record has a way to: by its bit, or by a zero that means unknown. Elsewhere the
        record is left as it is, and `common` shows that it still states something.

        Parameters
        ----------
        name : str
            Name of the common vocabulary.
        values : ndarray
            One value for each record, in the common unit.
        relative : float
            Share of a number by which it may differ from the record's and still be the same.

        Raises
        ------
        MrcValueError
            When a value does not fit its field.
        """
        field, now = self.field(name), self.common(name).values
        values = np.asarray(values)
        changed, gone = _differ(values, now, relative), missing(values) & ~missing(now)
        gone &= bool(field.mask) or COMMON[name].positive
        if not changed.any() and not gone.any():
            return self
        if self.undeclared:  # a single bit would hide the other values
            return self._declared().replaced(name, values, relative=relative)
        if now.dtype.kind == "f":
            values = np.asarray(values, dtype=np.float64) / (field.factor * self.dialect.adjust(self, field))
        array = self.array.copy()
        array[field.name][changed] = CODECS[field.codec].encode(values[changed], field.dtype("<"), field.scale)
        array[field.name][gone] = np.zeros((), dtype=array.dtype[field.name])
        if field.mask:
            array[field.mask][changed] |= np.uint32(1 << field.bit)
            array[field.mask][gone] &= ~np.uint32(1 << field.bit)
        return self._in_its_unit(replace(self, array=array), field.name)

    def _in_its_unit(self, new: Records, changed: str) -> Records:
        """Return changed records with all values as they were meant, if by the new numbers a reader takes another unit.

        Some dialects tell the unit by the size of the numbers.
        """
        array = new.array.copy()
        for field in self.fields:
            before, after = self.dialect.adjust(self, field), self.dialect.adjust(new, field)
            if not field.common or np.array_equal(before, after):
                continue
            stored = (new if field.name == changed else self).array[field.name]
            numbers = CODECS[field.codec].decode(stored, field.scale) * before / after
            array[field.name] = CODECS[field.codec].encode(numbers, field.dtype("<"), field.scale)
        return replace(new, array=array)

    def encode(self) -> bytes:
        """Return the bytes of the whole block."""
        return self.array.tobytes() + self.reserved

    @property
    def blank(self) -> NDArray[Any]:
        """An unused record of shape (1,), the first reserved slot of this block, or one of zeros."""
        size = self.array.dtype.itemsize
        if self.dialect.slots and len(self.reserved) >= size:
            return np.frombuffer(self.reserved[:size], dtype=self.array.dtype)
        blank = np.zeros(1, dtype=self.array.dtype)
        for field in self.fields[:2]:
            if field.name.startswith("Metadata") and len(self):
                blank[field.name] = self.array[field.name][0]
        return blank

    def take(self, sections: Sequence[int] | NDArray[Any]) -> Records:
        """Return the records of these sections, in this order; a section without a record gets an unused one.

        The reserved room is kept: freed records become unused slots, new ones use up slots, and a block that is too
        small grows to a multiple of the dialect's granule.
        """
        index = np.asarray(sections, dtype=np.intp)
        index = np.where((index < 0) | (index >= len(self)), len(self), index)
        if self.undeclared and (index == len(self)).any():  # an unused record has no bit set, and no values
            return self._declared().take(sections)
        pool = joined([self.array, self.blank])
        facts = replace(self.facts, nz=len(index))
        return replace(self, facts=facts, array=pool[index], reserved=self.room(len(index), len(self)))

    def room(self, count: int, before: int) -> bytes:
        """Return the bytes that follow `count` records in a block, if possible, as long as it was with `before`."""
        if not self.dialect.slots:
            return self.reserved
        size, more = self.array.dtype.itemsize, count - before
        if more <= 0:
            return self.blank.tobytes() * -more + self.reserved
        if more * size <= len(self.reserved):
            return self.reserved[more * size :]
        return bytes(-count * size % self.dialect.granule)

    def in_order(self, byteorder: ByteOrder) -> Records:
        """Return the same records in another byte order; only reserved slots that are records can follow."""
        if byteorder == self.facts.byteorder:
            return self
        facts = replace(self.facts, byteorder=byteorder)
        dtype, size = self.dialect.dtype(facts), self.array.dtype.itemsize
        slots = len(self.reserved) // size if self.dialect.slots else 0
        spare = np.frombuffer(self.reserved[: slots * size], dtype=self.array.dtype).astype(dtype).tobytes()
        reserved = spare + self.reserved[slots * size :]
        return replace(self, facts=facts, array=self.array.astype(dtype), reserved=reserved)

    def tokens(self) -> list[str]:
        """Return each record as one line of text that says what it is, safe in netCDF and Zarr.

        Examples
        --------
        >>> from mrcarray.format.extended import DIALECTS, RecordFacts, decode
        >>> decode(bytes([44, 1, 0, 0]), RecordFacts(nz=2, exttyp=b"SERI", nint=2, nreal=1)).records.tokens()
        ['SERI<2,1:LAE=', 'SERI<2,1:']
        """
        facts = self.facts
        prefix = f"{self.dialect.name}{facts.byteorder}{facts.nint},{facts.nreal}:"
        size, data = self.array.dtype.itemsize, self.array.tobytes()
        pieces = (data[i * size : (i + 1) * size].rstrip(b"\0") for i in range(len(self)))
        return [prefix + _text(piece) for piece in pieces]

    def reserve_token(self, limit: int = 32768) -> str:
        """Return the reserved bytes as text, empty when it would be longer than `limit` even when compressed.

        Equal slots, which is what a reserved block is made of as a rule, are written once and counted.
        """
        size = self.array.dtype.itemsize
        slot, count = self.reserved[:size], len(self.reserved) // size
        if self.reserved[: count * size] != slot * count:
            count = 0
        rest = zlib.compress(self.reserved[count * size :], 1)
        text = f"{count}*{_text(slot.rstrip(bytes(1)) if count else b'')}+{_text(rest)}"
        return text if len(text) <= limit else ""


def _text(data: bytes) -> str:
    """Return bytes as base64."""
    return base64.b64encode(data).decode("ascii")


def joined(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return arrays of one dtype end to end; `numpy.concatenate` would turn them to the native byte order."""
    return np.frombuffer(b"".join(array.tobytes() for array in arrays), dtype=arrays[0].dtype)


def missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Say which values are missing: NaN, NaT, None or an empty text.

    Examples
    --------
    >>> missing(np.array([1.0, np.nan])), missing(np.array(["", "a"]))
    (array([False,  True]), array([ True, False]))
    """
    if values.dtype.kind in "fM":
        return np.asarray(np.isnan(values))
    if values.dtype.kind == "O":
        absent = [value is None or value != value or value == "" for value in values.flat]  # noqa: PLR0124 -- NaN
        return np.array(absent, dtype=bool).reshape(values.shape)
    return np.asarray(values == "") if values.dtype.kind == "U" else np.zeros(values.shape, dtype=bool)


def _differ(new: NDArray[Any], old: NDArray[Any], relative: float) -> NDArray[np.bool_]:
    """Say where a known new value is not the old one; times are the same to a millisecond."""
    if old.dtype.kind == "f":
        new = new.astype(np.float64)
        with np.errstate(invalid="ignore"):  # infinite, and no different for that
            same = (new == old) | (np.abs(new - old) <= relative * np.abs(old))
        return np.asarray(~missing(new) & ~same)
    if old.dtype.kind == "M":
        new = new.astype("M8[ns]")
        return np.asarray(~missing(new) & ~(np.abs(new - old) <= np.timedelta64(1, "ms")))
    return np.asarray((new != old) & ~missing(new))


def _blanked(values: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[Any]:
    """Return `values` with what is not valid marked as missing in the way of their type."""
    if valid.all():
        return values
    if values.dtype.kind == "b":
        values = values.astype(np.float64)
    missing: Any = {"M": np.datetime64("NaT", "ns"), "O": ""}.get(values.dtype.kind, np.nan)
    return np.where(valid, values, missing).astype(values.dtype)
