"""The rules of the classic validator: one small function each, in the order and with the texts of the original library.

A rule takes a `Facts` and gives one line for each problem. `RULES` is the table; `RULES` and `Facts` need only a header
record and the data, so that anything that has these can be checked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from mrcarray.classic import utils
from mrcarray.classic.constants import MAP_ID
from mrcarray.errors import printable
from mrcarray.format.extended import DIALECTS
from mrcarray.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["RULES", "Facts", "Measured", "findings", "report", "size_findings"]

_VERSIONS = (20140, 20141)
#: Types of extended header the specification registers: those of the dialects but for what has none, or is newer.
_EXTENDED_TYPES = {row.exttyp for row in DIALECTS.values()} - {b"", b"json"}
#: Relative and absolute tolerance of mean and rms, as in `numpy.isclose`.
_RTOL, _ATOL = 0.01, 1e-8
_WRONG = "Data statistics appear to be inaccurate: "


#: Data up to this size are summed again as NumPy does it, where a text shows the result.
_SMALL = 64 << 20


@dataclass
class Facts:
    """What is checked.

    Parameters
    ----------
    header : recarray, 0-d
    data : ndarray, Measured or None
        None when the data could not be read; statistics are then compared with zero, as in the original.
    """

    header: Any
    data: Any

    @cached_property
    def statistics(self) -> dict[str, Any]:
        """The statistics of the data, computed once, when a rule asks for them."""
        if self.data is None or self.data.size == 0:
            return dict.fromkeys(("minimum", "maximum", "mean", "rms"), 0)
        measured = self.data if isinstance(self.data, Measured) else Measured.of(self.data)
        stats = measured.stats
        if stats.nans:
            return dict.fromkeys(("minimum", "maximum", "mean", "rms"), math.nan)
        low, high, mean, rms = measured.low, measured.high, stats.mean.real, stats.rms
        if stats.infs:
            mean, rms = (low + high).real, math.nan
        return {"minimum": low, "maximum": high, "mean": mean, "rms": rms}

    def shown(self, name: str) -> Any:
        """Return a mean or rms with the digits NumPy gives it."""
        if isinstance(self.data, np.ndarray) and 0 < self.data.nbytes <= _SMALL:
            with np.errstate(all="ignore"):
                real = self.data.real if self.data.dtype.kind == "c" else self.data
                return self.data.std() if name == "rms" else real.mean(dtype=np.float64)
        return self.statistics[name]


@dataclass
class Measured:
    """Data as far as the rules need them, for those too large to be held.

    Parameters
    ----------
    size, nbytes : int
        Values, and bytes in the file.
    stats : Stats
        Their statistics.
    low, high : number
        Their extremes, infinite ones included, in the type of the data.
    """

    size: int = 0
    nbytes: int = 0
    stats: Stats = field(default_factory=Stats)
    low: Any = None
    high: Any = None

    @classmethod
    def of(cls, values: Any) -> Measured:
        """Measure an array."""
        return cls(values.size, values.nbytes, Stats.of(values), values.min(), values.max())

    def add(self, values: Any) -> None:
        """Measure some more values."""
        if not values.size:
            return
        more = Measured.of(values)
        self.size, self.nbytes = self.size + more.size, self.nbytes + more.nbytes
        self.stats = self.stats.merge(more.stats)
        self.low = more.low if self.low is None else min(self.low, more.low)
        self.high = more.high if self.high is None else max(self.high, more.high)


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
    for name in ("nx", "ny", "nz", "mx", "my", "mz", "ispg", "nlabl"):
        if facts.header[name] < 0:
            yield f"Header field '{name}' is negative"


def _cell(facts: Facts) -> Iterator[str]:
    for axis in "xyz":
        if facts.header.cella[axis] < 0:
            yield f"Cell dimension '{axis}' is negative"


def _axes(facts: Facts) -> Iterator[str]:
    axes = {int(facts.header[name]) for name in ("mapc", "mapr", "maps")}
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
        for word, name in (("dmin", "minimum"), ("dmax", "maximum")):
            if header[word] != facts.statistics[name]:
                yield f"{_WRONG}{name} is {facts.statistics[name]} but the value in the header is {header[word]}"


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
