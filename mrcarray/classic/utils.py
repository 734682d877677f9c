"""Functions with mrcfile's names, on top of the tables of `mrcarray.format`."""

from __future__ import annotations

import string
import sys
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mrcarray.classic.constants import IMAGE_STACK_SPACEGROUP
from mrcarray.errors import MrcFormatError, MrcValueError
from mrcarray.format import byteorder as orders
from mrcarray.format.modes import MODES, Packing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mrcarray.format.modes import ByteOrder

__all__ = [
    "byte_order_from_machine_stamp",
    "byte_orders_equal",
    "bytes_from_string",
    "data_dtype_from_header",
    "data_shape_from_header",
    "dtype_from_mode",
    "is_printable_ascii",
    "machine_stamp_from_byte_order",
    "mode_from_dtype",
    "normalise_byte_order",
    "pretty_machine_stamp",
    "printable_chars",
    "printable_string_from_bytes",
    "shape_of",
    "spacegroup_is_volume_stack",
]

#: Modes whose pixels are plain NumPy items, which are mrcfile's.
_mode_to_dtype = {m.number: m.pixel.dtype for m in MODES.values() if m.standard and m.pixel.packing is Packing.PLAIN}
#: Modes by dtype; unsigned bytes have no mode and are widened.
_dtype_to_mode = {dtype.str[1:]: number for number, dtype in _mode_to_dtype.items()} | {"u1": 6}
#: What to type for a dtype without a mode, by its kind.
_CONVERSIONS = {
    "b": "pass data.astype(np.int8)",
    "i": "pass data.astype(np.int16) if the values fit, or data.astype(np.float32)",
    "u": "pass data.astype(np.uint16) if the values fit, or data.astype(np.float32)",
    "f": "pass data.astype(np.float32)",
    "c": "pass data.astype(np.complex64)",
}
_byte_order_to_machine_stamp = {order: bytearray(orders.stamp(cast("ByteOrder", order))) for order in "<>"}
_FIRST_STACK_SPACEGROUP, _LAST_STACK_SPACEGROUP = 401, 630

printable_chars = " " + string.ascii_letters + string.digits + string.punctuation


def data_dtype_from_header(header: Any) -> np.dtype[Any]:
    """Return the dtype of the data, in the byte order of the header.

    Raises
    ------
    ValueError
        For a mode without a dtype.

    Examples
    --------
    >>> from mrcarray.classic.mrcobject import MrcObject
    >>> mrc = MrcObject()
    >>> mrc._create_default_attributes()
    >>> mrc.set_data(np.zeros((2, 3, 4), ">f4"))
    >>> data_dtype_from_header(mrc.header)
    dtype('>f4')
    """
    return dtype_from_mode(header.mode).newbyteorder(header.mode.dtype.byteorder)


def data_shape_from_header(header: Any) -> tuple[int, ...]:
    """Return the shape of the data: (y, x), (z, y, x) or (volume, z, y, x).

    Raises
    ------
    ValueError
        When a volume stack has no sections per volume.

    Examples
    --------
    >>> from mrcarray.classic.mrcobject import MrcObject
    >>> mrc = MrcObject()
    >>> mrc._create_default_attributes()
    >>> mrc.set_data(np.zeros((2, 3, 4), "f4"))
    >>> data_shape_from_header(mrc.header)
    (2, 3, 4)
    """
    return shape_of((int(header.nx), int(header.ny), int(header.nz)), int(header.mz), int(header.ispg))


def shape_of(lengths: tuple[int, int, int], mz: int, ispg: int) -> tuple[int, ...]:
    """Return the shape of the data from columns, rows and sections, sections per volume (`mz`) and space group.

    Examples
    --------
    >>> shape_of((4, 3, 10), 5, 401)
    (2, 5, 3, 4)
    """
    nx, ny, nz = lengths
    if spacegroup_is_volume_stack(ispg):
        if mz <= 0:
            raise MrcFormatError(f"word 10 (mz) is {mz}; a volume stack needs 1 or more sections per volume")
        return nz // mz, mz, ny, nx
    if ispg == IMAGE_STACK_SPACEGROUP and nz == 1:
        return ny, nx
    return nz, ny, nx


def mode_from_dtype(dtype: np.dtype[Any]) -> int:
    """Return the mode that a dtype is stored in.

    float16 12, float32 2, int8 0, int16 1, uint8 6 (widened to 16 bits in the file), uint16 6, complex64 4.

    Raises
    ------
    ValueError
        For any other dtype.

    Examples
    --------
    >>> mode_from_dtype(np.dtype("i2")), mode_from_dtype(np.dtype("u1"))
    (1, 6)
    """
    mode = _dtype_to_mode.get(dtype.kind + str(dtype.itemsize))
    if mode is None:
        advice = _CONVERSIONS.get(dtype.kind, "expected an array of numbers")
        raise MrcValueError(f"dtype '{dtype}' cannot be converted to an MRC file mode; {advice}")
    return mode


def dtype_from_mode(mode: Any) -> np.dtype[Any]:
    """Return the dtype of a mode, given as a number or an array of one item.

    Raises
    ------
    ValueError
        For a mode without a dtype, or an array that does not have exactly one item.

    Examples
    --------
    >>> dtype_from_mode(2), dtype_from_mode(12)
    (dtype('float32'), dtype('float16'))
    """
    if isinstance(mode, np.ndarray):
        if mode.size != 1:
            raise MrcValueError("Mode array should contain exactly one item")
        mode = mode.item()
    if mode not in _mode_to_dtype:
        raise MrcValueError(f"Unrecognised mode '{mode}'")
    return _mode_to_dtype[mode]


def pretty_machine_stamp(machst: Iterable[int]) -> str:
    """Return a machine stamp as text.

    Examples
    --------
    >>> pretty_machine_stamp(b"DD")
    '0x44 0x44'
    """
    return " ".join(f"0x{byte:02x}" for byte in machst)


def byte_order_from_machine_stamp(machst: Any) -> str:
    r"""Return the byte order of a machine stamp: ``<`` or ``>``.

    Raises
    ------
    ValueError
        For a stamp that MRC2014 does not define.

    Examples
    --------
    >>> byte_order_from_machine_stamp([0x44, 0x44, 0, 0]), byte_order_from_machine_stamp(b"\x11\x11\0\0")
    ('<', '>')
    """
    order = orders.STAMPS.get(bytes(machst[:2]))
    if order is None:
        raise MrcValueError("Unrecognised machine stamp: " + pretty_machine_stamp(machst))
    return order


def machine_stamp_from_byte_order(byte_order: str = "=") -> bytearray:
    """Return the machine stamp to write for a byte order: one of ``=``, ``<``, ``>``.

    Raises
    ------
    ValueError
        For any other indicator.

    Examples
    --------
    >>> machine_stamp_from_byte_order(">").hex(" ")
    '11 11 00 00'
    """
    return bytearray(_byte_order_to_machine_stamp[normalise_byte_order(byte_order)])


def byte_orders_equal(a: str, b: str) -> bool:
    """Return whether two byte order indicators mean the same order.

    Raises
    ------
    ValueError
        For another indicator than ``=``, ``<`` or ``>``.

    Examples
    --------
    >>> byte_orders_equal("<", "<"), byte_orders_equal("<", ">")
    (True, False)
    """
    return normalise_byte_order(a) == normalise_byte_order(b)


def normalise_byte_order(byte_order: str) -> str:
    """Return ``<`` or ``>`` for a byte order indicator.

    Raises
    ------
    ValueError
        For another indicator than ``=``, ``<`` or ``>``.

    Examples
    --------
    >>> normalise_byte_order(">"), normalise_byte_order("=") in "<>"
    ('>', True)
    """
    if byte_order not in ("<", ">", "="):
        raise MrcValueError(f"Unrecognised byte order indicator '{byte_order}'")
    if byte_order == "=":
        return "<" if sys.byteorder == "little" else ">"
    return byte_order


def spacegroup_is_volume_stack(ispg: Any) -> bool:
    """Return whether a space group number declares a stack of volumes: 401 to 630.

    Examples
    --------
    >>> spacegroup_is_volume_stack(1), spacegroup_is_volume_stack(401)
    (False, True)
    """
    return bool(_FIRST_STACK_SPACEGROUP <= ispg <= _LAST_STACK_SPACEGROUP)


def is_printable_ascii(string_: str) -> bool:
    r"""Return whether every character is a printable ASCII character.

    Examples
    --------
    >>> is_printable_ascii("1.5 A"), is_printable_ascii("tab\t"), is_printable_ascii("é")
    (True, False, False)
    """
    return str.isprintable(string_) and str.isascii(string_)


def printable_string_from_bytes(bytes_: bytes) -> str:
    r"""Return the printable ASCII characters of bytes.

    Examples
    --------
    >>> printable_string_from_bytes(b"a label\0\0")
    'a label'
    """
    if not isinstance(bytes_, bytes | bytearray):
        raise TypeError(f"expected bytes, not {type(bytes_).__name__}")
    return "".join(c for c in bytes_.decode("ascii", "ignore") if c.isprintable())


def bytes_from_string(string_: object) -> bytes:
    """Return a text as ASCII bytes.

    Raises
    ------
    UnicodeError
        For a text with other characters.

    Examples
    --------
    >>> bytes_from_string("SERI")
    b'SERI'
    """
    return str(string_).encode("ascii", "strict")
