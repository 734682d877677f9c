"""`Dialect`, `Field` and `Records`: the description of an extended header, and its decoded records.

A `Dialect` is a row of `mrcarray.format.extended.DIALECTS`; a `Field` describes one stored field. `Records` are the
records of the sections as a structured array in the byte order of the file, so that `encode` is the exact inverse of
`decode`.
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
from mrcarray.format.fields import DELTAVISION
from mrcarray.format.quantities import COMMON, Column

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from mrcarray.format.header import Header
    from mrcarray.format.modes import ByteOrder

__all__ = ["Dialect", "Field", "RecordFacts", "Records", "dtype_of", "joined", "missing"]


_MASKS = ("Bitmask 1", "Bitmask 2", "Bitmask 3", "Bitmask 4")


@dataclass(frozen=True, slots=True)
class RecordFacts:
    """What the main header declares about its extended header.

    Parameters
    ----------
    byteorder : {"<", ">"}
        Byte order of the file.
    nz : int
        Number of sections.
    exttyp : bytes
        Declared type, four bytes; blanks and NULs if not declared.
    nint, nreal : int
        The two 16-bit numbers at bytes 128 and 130, used by IMOD, SerialEM and the dialect AGAR.
    label : str
        First text label.
    deltavision : bool
        Whether this is a DeltaVision file, whose records are those of a light microscope.
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
        """Return the facts of a header; a CCP4 skew matrix is stored in the words of type and counts."""
        if header.ccp4.skewed:
            return cls(header.byteorder, max(header.nz, 0))
        nint, nreal = struct.unpack_from(header.byteorder + "2h", header.raw, 128)
        label = header.text_labels[0] if header.text_labels else ""
        creator = struct.unpack_from(header.byteorder + "h", header.raw, 96)[0]
        deltavision = creator == DELTAVISION and header.raw[208:211] != b"MAP"
        return cls(header.byteorder, max(header.nz, 0), header.exttyp, nint, nreal, label, deltavision)

    @property
    def declared(self) -> str:
        """The declared type as text; empty if not declared."""
        return self.exttyp.strip(b"\0 ").decode("ascii", "replace")

    @property
    def by_fei(self) -> bool:
        """Whether the first label is that of FEI's tomography programs."""
        return self.label.lstrip().startswith("Fei ")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record: its storage, its meaning, and its name in the common vocabulary.

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
        Factor from the decoded value to the unit of the common vocabulary.
    codec : Codec
        How stored items become values.
    scale : float
        Factor from the stored to the decoded number.
    mask : str
        Name of the bitmask field that declares whether this one is set, or empty.
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
        """Return the stored dtype; bitmasks are always little-endian."""
        return np.dtype(self.item).newbyteorder("<" if self.is_mask else byteorder)


def _unscaled(_records: Records, _field: Field) -> float:
    """Return the factor of a dialect with fixed units."""
    return 1.0


def _as_stated(_data: bytes, facts: RecordFacts) -> RecordFacts:
    """Return the facts unchanged, for a dialect without known errors."""
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
        Type to write to the main header.
    title : str
        Which programs write it.
    accepts : callable
        ``accepts(data, facts)`` returns the evidence that the bytes are consistent with this declared type, or "".
    recognises : callable
        The same without a declared type: the evidence must be in the bytes and counts.
    fields : callable or None
        ``fields(facts)`` returns the fields of one record; None for a block without records.
    slots : bool
        Whether the block reserves space for more records than there are sections.
    granule : int
        A block that must grow gets a length that is a multiple of this.
    open_ended : bool
        Whether the block may end before the last section, so that later sections have no record.
    adjust : callable
        ``adjust(records, field)`` returns the correction factors of the decoded values of `field`.
    effective : callable
        ``effective(data, facts)`` returns the facts with known errors corrected, such as a wrong count.
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
        """Whether the block has one record for each section."""
        return self.fields is not None

    def layout(self, facts: RecordFacts) -> tuple[Field, ...]:
        """Return the fields of one record; empty for a block without records."""
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
        Their dialect.
    facts : RecordFacts
        The facts of the main header, corrected.
    array : structured ndarray, shape (section,)
        The stored records; there may be fewer than sections.
    reserved : bytes
        The bytes after the records in the block.
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
        """The source of the values, for messages and attributes."""
        return f"extended header ({self.dialect.name})"

    def field(self, name: str) -> Field:
        """Return the field with this own or common name.

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
        """Whether no bit of any bitmask is set although there are values, as in files of Parakeet and Python tools.

        All fields are valid then. Unused records also have no bit set, and no values but their size and version.
        """
        names = self.array.dtype.names or ()
        if _MASKS[0] not in names or any(self.array[name].any() for name in _MASKS):
            return False
        first = self.array.dtype.fields[_MASKS[0]][1]  # type: ignore[index]  # it has fields
        return bool(len(self)) and bool(self.array.view(np.uint8).reshape(len(self), -1)[:, first:].any())

    def _declared(self) -> Records:
        """Return the records with the bits of all fields set."""
        array = self.array.copy()
        for field in self.fields:
            if field.mask:
                array[field.mask] |= np.uint32(1 << field.bit)
        return replace(self, array=array)

    def valid(self, name: str) -> NDArray[np.bool_]:
        """Return for each record whether its bitmask declares the field set; True if no bitmask declares anything."""
        return self._valid(self.field(name))

    def _valid(self, field: Field) -> NDArray[np.bool_]:
        if not field.mask:
            return np.ones(len(self), dtype=bool)
        valid = (self.array[field.mask] >> field.bit & 1).astype(bool)
        return np.ones_like(valid) if not valid.any() and self.undeclared else valid

    def column(self, name: str) -> Column:
        """Return one field under its own name and unit; values whose bit is not set are missing."""
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

        A field that is missing in all records has a column as well, so that files of one dialect have the same
        coordinates and can be opened together. In own names an underscore replaces each character that netCDF does not
        allow: ``Camera_name``.
        """
        with np.errstate(all="ignore"):  # invalid numbers become NaN or infinity
            columns = [self._common(field, field.common) for field in self.fields if field.common]
            if every:
                own = (self._column(field) for field in self.fields if not field.is_mask)
                columns += [replace(column, name=re.sub(r"\W", "_", column.name)) for column in own]
        return {column.name: column for column in columns}

    def replaced(self, name: str, values: NDArray[Any], *, relative: float = 0.0) -> Records:
        """Return records in which a common field is replaced by `values`.

        Only records whose decoded value differs are changed, so that other values keep their bytes. A missing value is
        stored as an unset bit, or as a zero that means unknown. A record that has neither is not changed, and `common`
        still returns its old value.

        Parameters
        ----------
        name : str
            Name of the common vocabulary.
        values : ndarray
            One value for each record, in the common unit.
        relative : float
            Largest relative difference of a number that counts as unchanged.

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
        if self.undeclared:  # setting one bit would make the other fields invalid
            return self._declared().replaced(name, values, relative=relative)
        if now.dtype.kind == "f":
            values = np.asarray(values, dtype=np.float64) / (field.factor * self.dialect.adjust(self, field))
        array = self.array.copy()
        array[field.name][changed] = CODECS[field.codec].encode(values[changed], field.dtype("<"), field.scale)
        array[field.name][gone] = np.zeros((), dtype=array.dtype[field.name])
        if field.mask:
            array[field.mask][changed] |= np.uint32(1 << field.bit)
            array[field.mask][gone] &= ~np.uint32(1 << field.bit)
        return self._in_adjusted_units(replace(self, array=array), field.name)

    def _in_adjusted_units(self, new: Records, changed: str) -> Records:
        """Return changed records with their values converted to the units that readers now infer from the new values.

        The unit of some dialects depends on the size of the numbers (`Dialect.adjust`).
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
        """One unused record (shape (1,)), the first reserved slot of this block or zeros."""
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

        The block keeps its length: removed records become unused slots, added ones use slots. A block that is too small
        grows to a multiple of the dialect's granule.
        """
        index = np.asarray(sections, dtype=np.intp)
        index = np.where((index < 0) | (index >= len(self)), len(self), index)
        if self.undeclared and (index == len(self)).any():  # an unused record has no bit set
            return self._declared().take(sections)
        pool = joined([self.array, self.blank])
        facts = replace(self.facts, nz=len(index))
        return replace(self, facts=facts, array=pool[index], reserved=self.reserved_after(len(index), len(self)))

    def reserved_after(self, count: int, before: int) -> bytes:
        """Return the reserved bytes after `count` records, so that the block is as long as with `before` records."""
        if not self.dialect.slots:
            return self.reserved
        size, more = self.array.dtype.itemsize, count - before
        if more <= 0:
            return self.blank.tobytes() * -more + self.reserved
        if more * size <= len(self.reserved):
            return self.reserved[more * size :]
        return bytes(-count * size % self.dialect.granule)

    def in_order(self, byteorder: ByteOrder) -> Records:
        """Return the same records in another byte order; reserved bytes after the last whole slot keep theirs."""
        if byteorder == self.facts.byteorder:
            return self
        facts = replace(self.facts, byteorder=byteorder)
        dtype, size = self.dialect.dtype(facts), self.array.dtype.itemsize
        slots = len(self.reserved) // size if self.dialect.slots else 0
        spare = np.frombuffer(self.reserved[: slots * size], dtype=self.array.dtype).astype(dtype).tobytes()
        reserved = spare + self.reserved[slots * size :]
        return replace(self, facts=facts, array=self.array.astype(dtype), reserved=reserved)

    def tokens(self) -> list[str]:
        """Return each record as one line of text, for netCDF and Zarr (see `mrcarray.format.extended.record_text`).

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
        """Return the reserved bytes as text; empty if it would be longer than `limit`.

        Reserved slots are usually equal, so they are written once with their number; other bytes are compressed.
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
    """Concatenate arrays of one dtype; `numpy.concatenate` would convert them to the native byte order."""
    return np.frombuffer(b"".join(array.tobytes() for array in arrays), dtype=arrays[0].dtype)


def missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which values are missing: NaN, NaT, None or an empty text.

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
    """Return where a known new value differs from the old one; times within a millisecond are equal."""
    if old.dtype.kind == "f":
        new = new.astype(np.float64)
        with np.errstate(invalid="ignore"):  # two infinities
            same = (new == old) | (np.abs(new - old) <= relative * np.abs(old))
        return np.asarray(~missing(new) & ~same)
    if old.dtype.kind == "M":
        new = new.astype("M8[ns]")
        return np.asarray(~missing(new) & ~(np.abs(new - old) <= np.timedelta64(1, "ms")))
    return np.asarray((new != old) & ~missing(new))


def _blanked(values: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[Any]:
    """Return `values` with invalid ones replaced by the missing value of their type."""
    if valid.all():
        return values
    if values.dtype.kind == "b":
        values = values.astype(np.float64)
    missing: Any = {"M": np.datetime64("NaT", "ns"), "O": ""}.get(values.dtype.kind, np.nan)
    return np.where(valid, values, missing).astype(values.dtype)
