"""The tables of formats, and how a suffix selects one. To add a format, add a file and a row to each table."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

from mrcarray.conversion.header_attr import restored
from mrcarray.conversion.mrc import ZSTD, open_mrc
from mrcarray.conversion.netcdf import from_netcdf, to_netcdf
from mrcarray.conversion.ome_zarr import write_ome_zarr
from mrcarray.conversion.tiff import from_tiff, to_ome_tiff, to_tiff
from mrcarray.conversion.zarr_store import from_zarr, to_zarr
from mrcarray.errors import Hint, MrcValueError, printable
from mrcarray.format.kinds import suffix
from mrcarray.urls import COMPRESSED, MRC, is_url

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

__all__ = ["READERS", "WRITERS", "check_exists", "check_suffix", "is_mrc", "load", "suffix_of"]

READERS: dict[str, Callable[..., xr.DataArray]] = {
    ".nc": from_netcdf,
    ".ome.zarr": from_zarr,
    ".zarr": from_zarr,
    ".ome.tif": from_tiff,
    ".ome.tiff": from_tiff,
    ".tif": from_tiff,
    ".tiff": from_tiff,
}
"""Functions that open files, by suffix; all other files are MRC."""

WRITERS: dict[str, Callable[..., None]] = {
    ".nc": to_netcdf,
    ".ome.zarr": write_ome_zarr,
    ".zarr": to_zarr,
    ".ome.tif": to_ome_tiff,
    ".ome.tiff": to_ome_tiff,
    ".tif": to_tiff,
    ".tiff": to_tiff,
}
"""Functions that write files, by suffix; all other files are MRC."""

_PICTURES = (".png", ".jpg", ".jpeg", ".pdf", ".svg")
_COMPRESSED = (".gz", ".bz2", *ZSTD)


def suffix_of(path: str | os.PathLike[str]) -> str:
    """Return the suffix of the format, which may have two parts, without that of a compression."""
    name = os.fsdecode(path).rstrip("/")
    two = [one for one in READERS if one.count(".") > 1 and name.lower().endswith(one)]
    return two[0] if two else suffix(name)


def is_mrc(path: str | os.PathLike[str] | BinaryIO) -> bool:
    """Return whether a file is opened as MRC: a binary object, or a name without the suffix of another format."""
    return not isinstance(path, str | os.PathLike) or suffix_of(path) not in READERS


def load(path: str | os.PathLike[str] | BinaryIO, kind: str | None = None, level: int = 0) -> xr.DataArray:
    """Open a file of any known format as a labelled dask array; a binary object contains an MRC file.

    Parameters
    ----------
    path : str, path or readable binary object
        The file.
    kind : str, optional
        Kind of an MRC file, to override its header.
    level : int
        Resolution of an OME-Zarr image; 0 is the highest.

    Examples
    --------
    >>> load("tomo.mrc").dims
    ('z', 'y', 'x')
    """
    if level and (not isinstance(path, str | os.PathLike) or READERS.get(suffix_of(path)) is not from_zarr):
        raise MrcValueError(f"level is {level}, but only OME-Zarr images have levels")
    check_exists(path)
    if not isinstance(path, str | os.PathLike) or is_mrc(path):
        return open_mrc(path, kind)
    read = READERS[suffix_of(path)]
    return restored(read(path, level) if level else read(path), path)


def check_exists(path: str | os.PathLike[str] | BinaryIO) -> None:
    """Raise the same error for a missing local file of any format; URLs and binary objects are not looked at.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    """
    if isinstance(path, str | os.PathLike) and not is_url(os.fsdecode(path)):
        os.stat(path)  # noqa: PTH116 -- names need not be text


def check_suffix(target: str) -> None:
    """Refuse a name whose suffix is that of a format that is not written.

    Raises
    ------
    MrcValueError
        When the suffix is neither one of MRC nor in `WRITERS`, or is that of a compression that is not written.
    """
    if is_url(target):
        raise MrcValueError(f"cannot write to the URL {printable(target)}", hint=Hint("give the name of a local file"))
    if target.endswith("/") and suffix_of(target) not in WRITERS:
        name = printable(target)
        hint = Hint(f"give the name of a file in it, such as {name}tomo.mrc", f"create it with: mkdir -p {name}")
        raise MrcValueError(f"{name} is the name of a folder, and does not exist", hint=hint)
    last, inner = os.path.splitext(target.rstrip("/").lower())[1], suffix_of(target)  # noqa: PTH122 -- names need not be text
    packed = last in COMPRESSED
    if inner in WRITERS and not packed:
        return
    if inner not in ("", *MRC) or (packed and last not in _COMPRESSED):
        picture = last in _PICTURES
        raise MrcValueError(
            f"cannot write files with the suffix {last!r}; expected one of {', '.join(MRC)}, optionally followed by "
            f"{', '.join(_COMPRESSED)}, or one of {', '.join(WRITERS)}",
            hint=Hint(
                "for a picture: mrcarray.plot(path).save('out.png')", "for a picture: mrcarray view -o out.png FILE"
            )
            if picture
            else None,
        )
