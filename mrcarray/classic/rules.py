"""The rules of the classic validator: one small function each, in the order and with the texts of the original library.

A rule takes a `Facts` and gives one line for each problem. `RULES` is the table; `RULES` and `Facts` need only a header
record and the data, so that anything that has these can be checked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from mrcarray.classic import utils
from mrcarray.classic.constants import MAP_ID
from mrcarray.errors import printable
from mrcarray.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["RULES", "Facts", "findings", "report", "size_findings"]

_VERSIONS = (20140, 20141)
_EXTENDED_TYPES = (b"CCP4", b"MRCO", b"SERI", b"AGAR", b"FEI1", b"FEI2", b"HDF5")
#: Relative and absolute tolerance of mean and rms, as in `numpy.isclose`.
_RTOL, _ATOL = 0.01, 1e-8
_WRONG = "Data statistics appear to be inaccurate: "


@dataclass
class Facts:
    """What is checked.

    Parameters
    ----------
    header : recarray, 0-d
    data : ndarray or None
        None when the data could not be read; statistics are then compared with zero, as in the original.
    """

    header: Any
    data: Any

    @cached_property
    def empty(self) -> bool:
        """Whether there is nothing to compute statistics from."""
        return self.data is None or self.data.size == 0

    @cached_property
    def statistics(self) -> dict[str, Any]:
        """The statistics of the data, computed once, when a rule asks for them."""
        if self.empty:
            return dict.fromkeys(("minimum", "maximum", "mean", "rms"), 0)
        stats = Stats.of(self.data)
        values: dict[str, Any] = {
            "minimum": stats.minimum,
            "maximum": stats.maximum,
            "mean": stats.mean,
            "rms": stats.rms,
        }
        if stats.nans:
            return dict.fromkeys(values, math.nan)
        if self.data.dtype.kind == "c":  # NumPy orders complex numbers by their real parts
            return values | {"minimum": self.data.min(), "maximum": self.data.max()}
        if stats.infs:
            values |= {"minimum": self.data.min(), "maximum": self.data.max(), "rms": math.nan}
            values["mean"] = float(self.data.min()) + float(self.data.max())
        return values

    def shown(self, name: str) -> Any:
        """Return a statistic in the type NumPy would give it, which is how it is printed."""
        value = self.statistics[name]
        if self.empty or name == "mean":
            return value
        dtype = self.data.dtype.newbyteorder("=")
        if name == "rms":
            return dtype.type(value) if dtype.kind == "f" else value
        return dtype.type(value)


def _map_id(facts: Facts) -> Iterator[str]:
    if facts.header.map != MAP_ID:
        yield f"Map ID string is incorrect: found {facts.header.map}, should be {MAP_ID!r}"


def _machine_stamp(facts: Facts) -> Iterator[str]:
    try:
        utils.byte_order_from_machine_stamp(facts.header.machst)
    except ValueError:
        yield "Invalid machine stamp: " + utils.pretty_machine_stamp(facts.header.machst)


def _mode(facts: Facts) -> Iterator[str]:
    try:
        utils.dtype_from_mode(facts.header.mode)
    except ValueError:
        yield f"Invalid mode: {facts.header.mode}"


def _dimensions(facts: Facts) -> Iterator[str]:
    for field in ("nx", "ny", "nz", "mx", "my", "mz", "ispg", "nlabl"):
        if facts.header[field] < 0:
            yield f"Header field '{field}' is negative"


def _cell(facts: Facts) -> Iterator[str]:
    for field in "xyz":
        if facts.header.cella[field] < 0:
            yield f"Cell dimension '{field}' is negative"


def _axes(facts: Facts) -> Iterator[str]:
    axes = {int(facts.header[field]) for field in ("mapc", "mapr", "maps")}
    if axes != {1, 2, 3}:
        yield f"Invalid axis mapping: found {sorted(axes)}, should be [1, 2, 3]"


def _volume_stack(facts: Facts) -> Iterator[str]:
    nz, mz = int(facts.header.nz), int(facts.header.mz)
    if utils.spacegroup_is_volume_stack(facts.header.ispg) and (mz == 0 or nz % mz):
        yield (
            "Error in dimensions for volume stack: nz should be divisible by mz. "
            f"Found nz = {facts.header.nz}, mz = {facts.header.mz})"
        )


def _labels(facts: Facts) -> Iterator[str]:
    filled = [bool(label.strip()) for label in facts.header.label]
    for i, text in enumerate(filled):
        if text and not all(filled[:i]):
            yield "Error in header labels: empty labels appear between text-containing labels"
    if sum(filled) != facts.header.nlabl:
        yield f"Error in header labels: nlabl is {facts.header.nlabl} but {sum(filled)} labels contain text"


def _version(facts: Facts) -> Iterator[str]:
    if facts.header.nversion not in _VERSIONS:
        yield f"File does not declare MRC format version 20140 or 20141: nversion = {facts.header.nversion}"


def _extended_type(facts: Facts) -> Iterator[str]:
    exttyp = facts.header.exttyp.item()
    if facts.header.nsymbt > 0 and exttyp not in _EXTENDED_TYPES:
        text = printable(exttyp.decode("ascii", "backslashreplace"))
        yield f"Extended header type is undefined or unrecognised: exttyp = '{text}'"


def _rms(facts: Facts) -> Iterator[str]:
    header = facts.header
    if header.rms >= 0 and not _close(facts.statistics["rms"], header.rms):
        yield f"{_WRONG}RMS deviation is {facts.shown('rms')} but the value in the header is {header.rms}"


def _extremes(facts: Facts) -> Iterator[str]:
    header = facts.header
    if header.dmin < header.dmax:
        for field, name in (("dmin", "minimum"), ("dmax", "maximum")):
            if header[field] != facts.shown(name):
                yield f"{_WRONG}{name} is {facts.shown(name)} but the value in the header is {header[field]}"


def _mean(facts: Facts) -> Iterator[str]:
    header = facts.header
    if header.dmean > min(header.dmin, header.dmax) and not _close(facts.statistics["mean"], header.dmean):
        yield f"{_WRONG}mean is {facts.shown('mean')} but the value in the header is {header.dmean}"


def _close(real: Any, stated: Any) -> bool:
    """Return whether a statistic is what the header states, within the tolerance."""
    return bool(np.isclose(real, stated, rtol=_RTOL, atol=_ATOL))


RULES: dict[str, Callable[[Facts], Iterator[str]]] = {
    "MRC format ID string": _map_id,
    "Machine stamp": _machine_stamp,
    "MRC mode": _mode,
    "Map dimensions": _dimensions,
    "Cell dimensions": _cell,
    "Axis mapping": _axes,
    "Volume stack dimensions": _volume_stack,
    "Header labels": _labels,
    "MRC format version": _version,
    "Extended header type": _extended_type,
    "RMS": _rms,
    "Minimum and maximum": _extremes,
    "Mean": _mean,
}
"""The rules by subject, in the order in which they are checked; `size_findings` is the last one, for files."""


def findings(header: Any, data: Any) -> list[str]:
    """Return one line for each problem of a header and its data."""
    facts = Facts(header, data)
    with np.errstate(invalid="ignore"):
        return [text for rule in RULES.values() for text in rule(facts)]


def size_findings(header: Any, extended_header: Any, data_nbytes: int | None, file_size: int) -> list[str]:
    """Return the problem with the size of a file, if there is one.

    Parameters
    ----------
    header, extended_header : ndarray
        What was read.
    data_nbytes : int or None
        Bytes of the data block; None when it could not be read.
    file_size : int
        Bytes of the file, uncompressed.
    """
    if data_nbytes is None:
        return ["Data block could not be read - file size not checked"]
    extended = extended_header.nbytes if extended_header is not None else 0
    expected = header.nbytes + extended + data_nbytes
    if file_size == expected:
        return []
    return [
        (
            f"File is larger than expected. Actual size: {file_size} bytes; expected size: {expected} bytes "
            "(calculated from header)"
        )
    ]


def report(lines: Iterable[str], print_file: IO[str] | None) -> bool:
    """Print lines; return whether there were none."""
    valid = True
    for line in lines:
        print(line, file=print_file)
        valid = False
    return valid
