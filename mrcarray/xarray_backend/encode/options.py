"""What a caller asked for when an array is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = ["Wishes"]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the caller asked for beyond the array; None leaves the choice to the array.

    Parameters
    ----------
    kind : str, optional
        A word of `mrcarray.format.kinds.KINDS`.
    mode : int, optional
        Mode to store the values in.
    byteorder : {"<", ">", "little", "big"}, optional
        Byte order; by default that of the file the array came from, else little-endian.
    voxel_size : float or (x, y, z), optional
        In ångström, instead of that of the coords.
    nversion : int, optional
        Version the header declares.
    label : str, optional
        Text of the label that is added; an empty one adds none.
    name : str
        Name of the file to be written, for its suffix.
    signed : bool
        Whether bytes of mode 0 are to be signed although those of the file the array came from are not.
    placement : {"auto", "nstart", "origin", "both"}
        Which words state the position of the first voxel.
    """

    kind: str | None = None
    mode: int | None = None
    byteorder: str | None = None
    voxel_size: float | Sequence[float] | None = None
    nversion: int | None = None
    label: str | None = None
    name: str = ""
    signed: bool = False
    placement: str = "auto"
