"""The header of a file an array came from, shown together with what was not taken literally."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrcarray.errors import printable
from mrcarray.format.header import Header

if TYPE_CHECKING:
    from mrcarray.format.issues import Issue

__all__ = ["OpenedHeader"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class OpenedHeader(Header):
    """A header that says how it was read; equal to a `Header` of the same bytes.

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
    note: kind: volume, since word 23 (ispg) lies in 1-230 [MRC301]
    """

    issues: tuple[Issue, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Header) and (self.raw, self.byteorder) == (other.raw, other.byteorder)

    def __hash__(self) -> int:
        return hash((self.raw, self.byteorder))

    def __repr__(self) -> str:
        return "\n".join([Header.__repr__(self), *(f"{one.severity}: {printable(one)}" for one in self.issues)])
