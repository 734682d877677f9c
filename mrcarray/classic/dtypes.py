"""NumPy dtypes under the names of the original library, generated from the tables of `mrcarray.format`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mrcarray.classic.utils import normalise_byte_order
from mrcarray.format.extended import DIALECTS, RecordFacts
from mrcarray.format.fields import ALIASES, FIELDS, Field

if TYPE_CHECKING:
    from mrcarray.format.modes import ByteOrder

__all__ = [
    "HEADER_DTYPE",
    "NSTART_DTYPE",
    "VOXEL_SIZE_DTYPE",
    "fei1_dtype_big_endian",
    "fei2_dtype_big_endian",
    "fei_dtype_dict",
    "get_ext_header_dtype",
]

#: Rows of three that the record array shows as one field with members; the other rows of three are three fields.
_NESTED = {"cella": ("x", "y", "z"), "cellb": ("alpha", "beta", "gamma"), "origin": ("x", "y", "z")}
#: Fields whose type or name in the record array is not the one of the table.
_TYPES: dict[str, tuple[Any, ...]] = {"machst": ("u1", 4), "extra1": ("V8",), "extra2": ("V84",)}
_NAMES = {"labels": "label"}


def _item(field: Field) -> str:
    """Return the NumPy type of one item of a header row."""
    return f"S{field.code[:-1]}" if field.code.endswith("s") else f"{field.code}4"


def _columns(field: Field) -> list[tuple[Any, ...]]:
    """Return the fields of the record array that stand for one header row."""
    if field.name in _NESTED:
        return [(field.name, [(member, _item(field)) for member in _NESTED[field.name]])]
    members = [alias for alias, (row, _) in ALIASES.items() if row == field.name]
    if members:
        return [(member, _item(field)) for member in members]
    name = _NAMES.get(field.name, field.name)
    shape = (field.count,) if field.count > 1 else ()
    return [(name, *_TYPES.get(field.name, (_item(field), *shape)))]


HEADER_DTYPE = np.dtype([column for field in FIELDS.values() for column in _columns(field)])
VOXEL_SIZE_DTYPE = np.dtype([(axis, "f4") for axis in "xyz"])
NSTART_DTYPE = np.dtype([(axis, "i4") for axis in "xyz"])

fei1_dtype_big_endian = DIALECTS["FEI1"].dtype(RecordFacts(byteorder=">"))
fei2_dtype_big_endian = DIALECTS["FEI2"].dtype(RecordFacts(byteorder=">"))
fei_dtype_dict = [(name, fei2_dtype_big_endian[name].str) for name in fei2_dtype_big_endian.names or ()]


def get_ext_header_dtype(exttyp: Any, byte_order: str = "=") -> np.dtype[Any] | None:
    """Return the dtype of one record of an extended header whose record needs nothing but its type to be known.

    Parameters
    ----------
    exttyp : bytes or 0-d array of bytes
        ``b"FEI1"`` or ``b"FEI2"``; records of other types depend on more of the header, and give None.
    byte_order : {"=", "<", ">"}
        Byte order of the file.

    Raises
    ------
    ValueError
        When the byte order is none of these.

    Examples
    --------
    >>> get_ext_header_dtype(b"FEI1", "<").itemsize
    768
    """
    order = cast("ByteOrder", normalise_byte_order(byte_order))
    for name in ("FEI1", "FEI2"):
        if exttyp == DIALECTS[name].exttyp:
            return DIALECTS[name].dtype(RecordFacts(byteorder=order))
    return None
