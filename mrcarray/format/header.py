"""`Header`: the first 1024 bytes of a file, with names.

A `Header` keeps the bytes and decodes an attribute on access, so unknown bytes survive; `Header.replace` changes only
the bytes of the named fields.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from mrcarray.errors import MrcValueError, printable
from mrcarray.format import byteorder as orders
from mrcarray.format.fields import ALIASES, FIELDS, HEADER_NBYTES, LABEL_NBYTES, LABELS, UNDETERMINED, VERSIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mrcarray.format.fields import Field
    from mrcarray.format.issues import Issue
    from mrcarray.format.modes import ByteOrder

__all__ = ["Ccp4View", "Header", "ImodView", "put_fields"]

_T = TypeVar("_T")
_Ints = tuple[int, int, int]
_Floats = tuple[float, float, float]


class _Word(Generic[_T]):
    """Descriptor of one row of the header table, or of one item of a row."""

    def __init__(self, name: str, code: str = "", offset: int = 0, *, many: bool = False) -> None:
        if code:
            self.__doc__ = name
            little, big = struct.Struct("<" + code), struct.Struct(">" + code)
        else:
            row, index = ALIASES.get(name, (name, -1))
            field = FIELDS[row]
            little, big, offset, many = field.structs["<"], field.structs[">"], field.offset, field.count > 1
            self.__doc__ = f"{field.doc}{f' ({field.unit})' if field.unit else ''}."
            if index >= 0:
                offset, many = field.offset + 4 * index, False
                little, big = struct.Struct("<" + field.code), struct.Struct(">" + field.code)
        self._little, self._big = little.unpack_from, big.unpack_from
        self._offset, self._single = offset, not many

    @overload
    def __get__(self, instance: None, owner: type) -> _Word[_T]: ...
    @overload
    def __get__(self, instance: Header | ImodView | Ccp4View, owner: type | None = None) -> _T: ...
    def __get__(self, instance: Header | ImodView | Ccp4View | None, owner: type | None = None) -> Any:
        """Decode the bytes of `instance`."""
        if instance is None:
            return self
        values = (self._little if instance.byteorder == "<" else self._big)(instance.raw, self._offset)
        return values[0] if self._single else values


@dataclass(frozen=True, slots=True, repr=False)
class Header:
    r"""The main header: 1024 bytes and the byte order of its numbers.

    Equality, hash and pickle depend on the bytes and the byte order only.

    Parameters
    ----------
    raw : bytes
        Exactly 1024 bytes.
    byteorder : {"<", ">"}
        Byte order of its numbers, and of the pixels.

    Examples
    --------
    >>> header = Header.blank(nx=64, ny=32, nz=1, mode=2)
    >>> header.nx, header.cellb, header.map
    (64, (90.0, 90.0, 90.0), b'MAP ')
    >>> header.replace(origin=(0, 0, 12.5)).origin
    (0.0, 0.0, 12.5)
    >>> header
    Header(nx=64, ny=32, nz=1, mode=2, nstart=(0, 0, 0), m=(0, 0, 0), cella=(0.0, 0.0, 0.0), cellb=(90.0, 90.0, 90.0),
           mapcrs=(1, 2, 3), dmin=0.0, dmax=-1.0, dmean=-2.0, ispg=1, nsymbt=0, exttyp=b'\x00\x00\x00\x00',
           nversion=20141, origin=(0.0, 0.0, 0.0), map=b'MAP ', machst=b'DD\x00\x00', rms=-1.0, nlabl=0,
           byteorder='<')
    """

    raw: bytes
    byteorder: ByteOrder = "<"

    nx = _Word[int]("nx")
    ny = _Word[int]("ny")
    nz = _Word[int]("nz")
    lengths = _Word[_Ints]("Columns, rows and sections: nx, ny, nz (pixel).", "3i", 0, many=True)
    mode = _Word[int]("mode")
    nstart = _Word[_Ints]("nstart")
    m = _Word[_Ints]("m")
    cella = _Word[_Floats]("cella")
    cellb = _Word[_Floats]("cellb")
    mapcrs = _Word[_Ints]("mapcrs")
    dmin = _Word[float]("dmin")
    dmax = _Word[float]("dmax")
    dmean = _Word[float]("dmean")
    ispg = _Word[int]("ispg")
    nsymbt = _Word[int]("nsymbt")
    extra1 = _Word[bytes]("extra1")
    exttyp = _Word[bytes]("exttyp")
    nversion = _Word[int]("nversion")
    extra2 = _Word[bytes]("extra2")
    origin = _Word[_Floats]("origin")
    map = _Word[bytes]("map")
    machst = _Word[bytes]("machst")
    rms = _Word[float]("rms")
    nlabl = _Word[int]("nlabl")
    labels = _Word[tuple[bytes, ...]]("labels")

    nxstart = _Word[int]("nxstart")
    nystart = _Word[int]("nystart")
    nzstart = _Word[int]("nzstart")
    mx = _Word[int]("mx")
    my = _Word[int]("my")
    mz = _Word[int]("mz")
    xlen = _Word[float]("xlen")
    ylen = _Word[float]("ylen")
    zlen = _Word[float]("zlen")
    alpha = _Word[float]("alpha")
    beta = _Word[float]("beta")
    gamma = _Word[float]("gamma")
    mapc = _Word[int]("mapc")
    mapr = _Word[int]("mapr")
    maps = _Word[int]("maps")
    xorg = _Word[float]("xorg")
    yorg = _Word[float]("yorg")
    zorg = _Word[float]("zorg")

    def __post_init__(self) -> None:
        """Check the number of bytes and the byte order."""
        if type(self.raw) is not bytes:
            object.__setattr__(self, "raw", bytes(self.raw))
        if len(self.raw) != HEADER_NBYTES:
            raise MrcValueError(f"raw has {len(self.raw)} bytes; expected {HEADER_NBYTES}")
        if self.byteorder not in ("<", ">"):
            raise MrcValueError(f"byteorder is {self.byteorder!r}; expected '<' or '>'")

    @classmethod
    def parse(cls, raw: bytes, file_size: int | None = None) -> tuple[Header, tuple[Issue, ...]]:
        """Return the header in the first 1024 bytes of a file, with its byte order decided.

        Parameters
        ----------
        raw : bytes
            At least 1024 bytes; more are ignored.
        file_size : int, optional
            Size of the whole file, which serves as evidence.

        Returns
        -------
        header : Header
        issues : tuple of Issue
            Problems of map identifier, machine stamp and byte order.

        Raises
        ------
        MrcValueError
            When there are fewer than 1024 bytes; the contents never raise.
        """
        raw = bytes(raw[:HEADER_NBYTES])
        if len(raw) < HEADER_NBYTES:
            raise MrcValueError(f"raw has {len(raw)} bytes; expected at least {HEADER_NBYTES}")
        order, issues = orders.decide(raw, file_size)
        return cls(raw, order), issues

    @classmethod
    def blank(cls, byteorder: ByteOrder = "<", **fields: Any) -> Header:
        """Return the header of a new file: the constants of MRC2014, `fields`, and zeros elsewhere.

        Parameters
        ----------
        byteorder : {"<", ">"}
            Byte order; the machine stamp follows it.
        **fields
            As for `replace`.
        """
        blank = _blank(byteorder)
        return blank.replace(**fields) if fields else blank

    def replace(self, **fields: Any) -> Header:
        """Return a header with the named fields changed and every other byte kept.

        Parameters
        ----------
        **fields
            Names in `FIELDS` or `ALIASES`: a number, three numbers, or bytes of the exact length. `labels` takes up to
            ten texts or bytes of up to 80 characters, and pads them with zero bytes.

        Returns
        -------
        Header

        Raises
        ------
        MrcValueError
            For an unknown name, or a value that does not fit its field; values are never truncated or wrapped.
        """
        raw = bytearray(self.raw)
        put_fields(raw, self.byteorder, fields)
        return Header(bytes(raw), self.byteorder)

    def __repr__(self) -> str:
        """Return every field with its value: labels in use as text, free areas only if they are not empty."""
        fields = {name: getattr(self, name) for name in FIELDS if name != "labels"}
        free = {name: fields.pop(name).rstrip(b"\0") for name in ("extra1", "extra2")}
        fields |= {name: value for name, value in free.items() if value}
        parts = [f"{name}={value!r}" for name, value in fields.items()]
        parts += [f"labels={self.text_labels!r}"] * bool(self.text_labels) + [f"byteorder={self.byteorder!r}"]
        return f"{type(self).__name__}({', '.join(parts)})"

    def _repr_html_(self) -> str:
        from mrcarray.format.header_table import field_table, html_table

        labels = html_table((f"label {number}", text) for number, text in enumerate(self.text_labels, 1))
        return f"<div>{labels}{field_table(self)}</div>"

    def to_text(self) -> str:
        """Return a line for every field: word, name, value, unit and meaning; then the labels.

        Examples
        --------
        >>> print(Header.blank().to_text())
        word  field     value                                unit      meaning
           1  nx        0                                    ...
        """
        from mrcarray.format.header_table import field_lines

        labels = (f"label {number:<2} {text}" for number, text in enumerate(self.text_labels, 1))
        return "\n".join((*field_lines(self), *labels))

    @property
    def text_labels(self) -> tuple[str, ...]:
        """The labels in use as text, without padding, with unprintable characters escaped.

        A number of labels outside 0-10 is read as the nearest number in that range.
        """
        count = max(0, min(self.nlabl, LABELS))
        return tuple(printable(raw.split(b"\0", 1)[0].decode("latin-1").rstrip()) for raw in self.labels[:count])

    @property
    def imod(self) -> ImodView:
        """The free area as IMOD and SerialEM use it."""
        return ImodView(self.raw, self.byteorder)

    @property
    def ccp4(self) -> Ccp4View:
        """The free area as CCP4 uses it."""
        return Ccp4View(self.raw, self.byteorder)


@functools.cache
def _blank(byteorder: ByteOrder) -> Header:
    """Return the header that `Header.blank` starts from."""
    constants = {
        "map": b"MAP ",
        "machst": orders.stamp(byteorder),
        "nversion": 20141,
        "ispg": 1,
        "cellb": (90.0, 90.0, 90.0),
        "mapcrs": (1, 2, 3),
        **UNDETERMINED,
    }
    return Header(bytes(HEADER_NBYTES), byteorder).replace(**constants)


def put_fields(raw: bytearray, byteorder: ByteOrder, fields: Mapping[str, Any]) -> None:
    """Store header fields in the bytes of a header; names, values and errors as for `Header.replace`.

    Examples
    --------
    >>> raw = bytearray(1024)
    >>> put_fields(raw, "<", {"nz": 3, "xorg": 12.5})
    >>> Header(bytes(raw)).lengths, Header(bytes(raw)).origin
    ((0, 0, 3), (12.5, 0.0, 0.0))
    """
    for name, value in fields.items():
        row, index = ALIASES.get(name, (name, -1))
        if row not in FIELDS:
            raise MrcValueError(f"unknown header field {name!r}; expected one of {', '.join(FIELDS)}")
        field = FIELDS[row]
        if index >= 0:
            _put(raw, byteorder + field.code, field.offset + 4 * index, (value,), name)
        else:
            _put(raw, byteorder + field.code * field.count, field.offset, _items(field, value), name)


def _items(field: Field, value: Any) -> tuple[Any, ...]:
    if field.name == "labels":
        return _label_items(value)
    if field.count == 1:
        return (_exact(field, value),) if field.code.endswith("s") else (value,)
    if not isinstance(value, Iterable):
        raise MrcValueError(f"{field.name} is {value!r}; expected {field.count} values")
    items = tuple(value)
    if len(items) != field.count:
        raise MrcValueError(f"{field.name} has {len(items)} values; expected {field.count}")
    return items


def _exact(field: Field, value: Any) -> bytes:
    data = _encoded(field.name, value)
    if len(data) != field.nbytes:
        raise MrcValueError(f"{field.name} has {len(data)} bytes; expected exactly {field.nbytes}")
    return data


def _label_items(value: Any) -> tuple[bytes, ...]:
    items = [_encoded("labels", label) for label in value]
    if len(items) > LABELS:
        raise MrcValueError(f"labels has {len(items)} entries; expected at most {LABELS}")
    longest = max((len(label) for label in items), default=0)
    if longest > LABEL_NBYTES:
        raise MrcValueError(f"a label has {longest} bytes; expected at most {LABEL_NBYTES}")
    return tuple(items) + (b"",) * (LABELS - len(items))


def _encoded(name: str, value: Any) -> bytes:
    if isinstance(value, str):
        if not value.isascii():
            raise MrcValueError(f"{name} is {value!r}; expected ASCII characters")
        return value.encode("ascii")
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise MrcValueError(f"{name} is {value!r}; expected bytes or text")


def _put(raw: bytearray, code: str, offset: int, items: tuple[Any, ...], name: str) -> None:
    try:
        struct.pack_into(code, raw, offset, *items)
    except (struct.error, OverflowError, TypeError, ValueError) as error:
        shown = items[0] if len(items) == 1 else items
        kind = "32-bit integers" if "i" in code else "32-bit floats"
        raise MrcValueError(f"{name} is {shown!r}; expected {kind}") from error


@dataclass(frozen=True, slots=True)
class ImodView:
    """The free area as IMOD and SerialEM use it; only `nint` and `nreal` have a meaning when not `stamped`."""

    raw: bytes
    byteorder: ByteOrder

    creatid = _Word[int]("Creator; -16224 in DeltaVision files.", "h", 96)
    nint = _Word[int]("SERI: bytes per section; AGAR: integers per section.", "h", 128)
    nreal = _Word[int]("SERI: bit flags; AGAR: floats per section.", "h", 130)
    stamp = _Word[int]("1146047817 in files of IMOD and SerialEM.", "i", 152)
    flags = _Word[int]("Bit flags.", "i", 156)
    idtype = _Word[int]("0 mono, 1 tilt series, 2 multiple tilts, 3 and 4 averages, 5 Priism tilt series.", "h", 160)
    lens = _Word[int]("Lens.", "h", 162)
    nd = _Word[tuple[int, int]]("For tilt series: the tilt axis (1 X, 2 Y, 3 Z), and a spare.", "2h", 164, many=True)
    vd = _Word[tuple[int, int]]("For tilt series: 100 x increment, 100 x first angle.", "2h", 168, many=True)
    tiltangles = _Word[tuple[float, ...]]("Original, then current rotation.", "6f", 172, many=True)
    _nversion = _Word[int]("nversion")

    @property
    def stamped(self) -> bool:
        """Whether the file has IMOD's stamp; without it the flags have no meaning."""
        return self.stamp == orders.IMOD_STAMP

    @property
    def signed_bytes(self) -> bool:
        """Flag 1: bytes of mode 0 are signed."""
        return self.stamped and bool(self.flags & 1)

    @property
    def spacing_from_extended(self) -> bool:
        """Flag 2: the pixel size was set from the extended header."""
        return self.stamped and bool(self.flags & 2)

    @property
    def standard_origin(self) -> bool:
        """Flag 4: the origin is stored with the sign of MRC2014."""
        return self.stamped and bool(self.flags & 4)

    @property
    def negative_rms(self) -> bool:
        """Flag 8: the RMS is negative when it was not computed."""
        return self.stamped and bool(self.flags & 8)

    @property
    def half_bytes(self) -> bool:
        """Flag 16: each byte of mode 0 contains two 4-bit pixels."""
        return self.stamped and bool(self.flags & 16)

    @property
    def ctf_corrected(self) -> bool:
        """Flag 32: the CTF has been corrected."""
        return self.stamped and bool(self.flags & 32)

    @property
    def inverted_origin(self) -> bool:
        """Whether the origin has the opposite sign of MRC2014."""
        declares_2014 = 20140 <= self._nversion <= 99999  # noqa: PLR2004 - 10 * year + revision, from 2014 on
        return self.stamped and not self.flags & 4 and not declares_2014


@dataclass(frozen=True, slots=True)
class Ccp4View:
    """The free area as CCP4 uses it: a skew transformation of the map."""

    raw: bytes
    byteorder: ByteOrder

    lskflg = _Word[int]("1 when a skew transformation is present.", "i", 96)
    skwmat = _Word[tuple[float, ...]]("Skew matrix S11 S12 S13 S21 ... S33.", "9f", 100, many=True)
    skwtrn = _Word[_Floats]("Skew translation in angstrom.", "3f", 136, many=True)
    _exttyp = _Word[bytes]("exttyp")
    _nversion = _Word[int]("nversion")

    @property
    def skewed(self) -> bool:
        """Whether the skew is valid: its flag is 1, and no version or type of MRC2014 is stored in its words."""
        return self.lskflg == 1 and self._nversion not in VERSIONS and not self._exttyp.strip(b"\0 ").isalnum()
