"""The header of an opened file, with its issues: `OpenedHeader`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrcarray.errors import printable
from mrcarray.format.header import Header
from mrcarray.format.header_facts import as_html

if TYPE_CHECKING:
    from mrcarray import reader
    from mrcarray.format.issues import Issue

__all__ = ["OpenedHeader", "issues_of", "issues_of_header"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class OpenedHeader(Header):
    """The header of an opened file, and what was not taken literally; equal to a `Header` of the same bytes.

    Parameters
    ----------
    raw : bytes
        Exactly 1024 bytes.
    byteorder : {"<", ">"}
        Byte order of its numbers, and of the pixels.
    issues : tuple of Issue
        Everything about the file that was not taken literally, notes included.

    Examples
    --------
    >>> import xarray as xr
    >>> print(str(xr.open_dataarray("tomo.mrc").mrc.header).splitlines()[-1])
    note: kind: volume, since word 23 (ispg) is in 1-230 [MRC301]
    """

    issues: tuple[Issue, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Header) and (self.raw, self.byteorder) == (other.raw, other.byteorder)

    def __hash__(self) -> int:
        return hash((self.raw, self.byteorder))

    def __repr__(self) -> str:
        return "\n".join([Header.__repr__(self), *(f"{one.severity}: {printable(one)}" for one in self.issues)])

    def _repr_html_(self) -> str:
        from mrcarray.format.header_table import field_table

        labels = ((f"label {number}", text) for number, text in enumerate(self.text_labels, 1))
        rows = [*labels, *((str(one.severity), str(one)) for one in self.issues)]
        return as_html("header", rows) + field_table(self)


def issues_of(mrc: reader.Mrc) -> tuple[Issue, ...]:
    """Return what was not taken literally in main header, geometry and extended header."""
    return (*issues_of_header(mrc), *mrc.decoded.issues)


def issues_of_header(mrc: reader.Mrc) -> tuple[Issue, ...]:
    """Return what was not taken literally in main header and geometry."""
    return (*mrc.issues, *(mrc.geometry().issues if mrc.layout is not None else ()))
