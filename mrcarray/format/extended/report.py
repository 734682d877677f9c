"""The values of an extended header for people and JSON: each field once, with its unit, without missing values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.format.extended.blocks import CCP4, operators
from mrcarray.format.extended.records import missing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrcarray.format.extended.detect import Decoded
    from mrcarray.format.extended.records import Records
    from mrcarray.format.quantities import Column

__all__ = ["explained", "plain", "stated"]


def stated(records: Records) -> dict[str, Column]:
    """Return each field of the records once: under its common name and unit if it has them, else under its own.

    Examples
    --------
    >>> from mrcarray.format.extended import RecordFacts, decode
    >>> found = decode(bytes([112, 23, 144, 232]), RecordFacts(nz=2, exttyp=b"SERI", nint=2, nreal=1))
    >>> {name: (column.values.tolist(), column.unit) for name, column in stated(found.records).items()}
    {'tilt_angle': ([60.0, -60.0], 'degree')}
    """
    twice = {re.sub(r"\W", "_", field.name) for field in records.fields if field.common}
    return {name: column for name, column in records.columns(every=True).items() if name not in twice}


def plain(values: NDArray[Any]) -> list[Any]:
    """Return values as numbers, booleans and texts, times in ISO 8601, and None for missing and infinite values.

    Examples
    --------
    >>> plain(np.array([1.5, np.nan])), plain(np.array(["2017-10-10T08:37:35.5", "NaT"], "M8[ns]"))
    ([1.5, None], ['2017-10-10T08:37:35.500000', None])
    """
    if values.dtype.kind == "M":
        values = np.datetime_as_string(values.astype("M8[us]")).astype(object)
        return [None if value == "NaT" else value for value in values.tolist()]
    gone = missing(values) | (np.isinf(values) if values.dtype.kind == "f" else False)
    return [None if none else value for value, none in zip(values.tolist(), np.atleast_1d(gone), strict=True)]


def explained(found: Decoded) -> dict[str, Any]:
    """Return a decoded extended header as plain values.

    Returns
    -------
    dict
        ``dialect`` and ``title`` (None without an extended header), ``nbytes``, how many ``records`` there are,
        ``columns`` (by name: ``unit``, ``meaning`` and ``values``, one for each record), and the symmetry
        ``operators`` of CCP4.
    """
    dialect, records = found.dialect, found.records
    columns = stated(records) if records is not None else {}
    return {
        "dialect": dialect.name if dialect is not None else None,
        "title": dialect.title if dialect is not None else None,
        "nbytes": len(found.data),
        "records": len(records) if records is not None else 0,
        "columns": {
            name: {"unit": column.unit, "meaning": column.meaning, "values": plain(column.values)}
            for name, column in columns.items()
            if column.known
        },
        "operators": list(operators(found.data)) if dialect is CCP4 else [],
    }
