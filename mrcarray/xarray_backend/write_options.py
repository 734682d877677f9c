"""The options of `to_mrc` that decide on the header of a file."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from mrcarray.errors import MrcValueError

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from numpy.typing import DTypeLike

    from mrcarray.progress import Progress

__all__ = ["BY", "PLACEMENTS", "WriteKeywords", "WriteOptions", "provenance"]

PLACEMENTS = ("auto", "nstart", "origin", "both")
"""Header words that state the position of the first voxel: those of the source; words 5-7; words 50-52; both."""


BY = " by mrcarray "
"""What every label contains that this package makes by itself, before its version."""


def provenance(*steps: str) -> str:
    """Return the text of a label that tells what was done.

    Examples
    --------
    >>> provenance("cropped", "binned 2x").rpartition(" ")[0]
    'Cropped, binned 2x by mrcarray'
    """
    package = sys.modules["mrcarray"]  # an import would be one of a higher layer
    version = ".".join(package.__version__.split(".")[:2])
    return f"{', '.join(steps).capitalize()}{BY}{version}"


class WriteKeywords(TypedDict, total=False):
    """The keyword arguments of `mrcarray.to_mrc`, for methods that pass them on."""

    kind: str | None
    dtype: DTypeLike | None
    mode: int | None
    voxel_size: float | Sequence[float] | None
    byteorder: str | None
    nversion: int | None
    label: str | None
    placement: str
    region: Mapping[Any, Any] | str | tuple[Any, ...] | None
    variable: Hashable | None
    overwrite: bool
    sync: bool
    compression: str | None
    level: int | None
    compute: bool
    progress: Progress


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """Options of a write; None leaves the choice to the array.

    Parameters
    ----------
    kind : str, optional
        A key of `mrcarray.format.kinds.KINDS`.
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
        Name of the file; its suffix is evidence for the kind, and sidecars are looked for next to it.
    signed : bool
        Whether to store bytes of mode 0 signed even if the file the array came from stored them unsigned.
    placement : {"auto", "nstart", "origin", "both"}
        Header words that state the position of the first voxel.

    Raises
    ------
    MrcValueError
        When `placement` is none of `PLACEMENTS`.

    Examples
    --------
    >>> WriteOptions(placement="nstart").placement
    'nstart'
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

    def __post_init__(self) -> None:
        """Refuse an unknown placement."""
        if self.placement not in PLACEMENTS:
            raise MrcValueError(f"placement is {self.placement!r}; expected one of {', '.join(PLACEMENTS)}")

    @property
    def label_text(self) -> str:
        """Text of the label that is added, with its default."""
        return provenance("written") if self.label is None else self.label
